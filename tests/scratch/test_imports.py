"""Part I needs NumPy alone."""

import pkgutil
import subprocess
import sys

import groundup.scratch

MODULES = sorted(m.name for m in pkgutil.iter_modules(groundup.scratch.__path__))
HEAVY = ("torch", "matplotlib", "safetensors", "rich", "scipy", "transformers")


# Says after each import which of the heavy packages have come with it.
PROBE = """
import importlib, sys
heavy, names = sys.argv[1].split(","), sys.argv[2:]
for name in names:
    importlib.import_module(name)
    print(name, *sorted(set(heavy) & set(sys.modules)))
"""


def _heavy_after(*names: str) -> dict[str, list[str]]:
    command = [sys.executable, "-c", PROBE, ",".join(HEAVY), *names]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    lines = (line.split() for line in done.stdout.splitlines())
    return {name: heavy for name, *heavy in lines}


def test_the_probe_sees_a_heavy_import():
    assert _heavy_after("json", "safetensors.numpy")["safetensors.numpy"] == ["safetensors"]


def test_nothing_heavy_is_imported():
    names = ["groundup.scratch", *(f"groundup.scratch.{module}" for module in MODULES)]
    assert len(names) > 10
    assert _heavy_after(*names) == {name: [] for name in names}
