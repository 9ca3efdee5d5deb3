"""The command ``groundup doctor``, as a learner runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from groundup.doctor.probes import PROBES

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def run_doctor(
    tmp_path: Path, blocked: list[str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER.format(blocked=set(blocked)))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "groundup", "doctor", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_core_packages_alone_are_enough(tmp_path: Path) -> None:
    """Without PyTorch and Matplotlib nothing is broken; the JSON says what is absent."""
    blocked = ["torch", "transformers", "matplotlib", "accelerate", "psutil"]
    result = run_doctor(tmp_path, blocked, "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    content = json.loads(result.stdout)
    assert content["verdict"] in ("ok", "warn")
    results = {each["probe"]: each for each in content["results"]}
    assert list(results) == [probe.name for probe in PROBES]
    for probe in PROBES:
        torch = probe.name in ("torch", "figure") or "torch" in probe.needs
        assert (results[probe.name]["verdict"] == "absent") == torch, probe.name
    assert results["torch"]["mend"].endswith("'.[embed]' gives Parts II and III")
    assert results["training step"]["measured"] == "not run: needs PyTorch"
    chapters = {each["name"]: each for each in content["times"]["expected"]}
    assert chapters["chapter 5"]["seconds"] > 0
    assert chapters["chapter 11"]["seconds"] is None
    assert list(tmp_path.glob("runs")) == []


def test_a_broken_core_package(tmp_path: Path) -> None:
    """Even without NumPy the doctor speaks, and the exit code says that something is broken."""
    result = run_doctor(tmp_path, ["numpy", "torch", "matplotlib", "transformers"])
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "No module named 'numpy'" in result.stdout
    assert "mend: pip install --force-reinstall -c constraints.txt numpy" in result.stdout
    assert "Something is broken" in result.stdout
    assert "\x1b" not in result.stdout
