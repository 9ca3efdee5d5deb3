"""The doctor: numbers become the right verdicts, and whatever breaks becomes a finding."""

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from groundup.course import clone
from groundup.doctor import (
    arithmetic,
    attention,
    flash_package,
    limits,
    machine,
    parts,
    probes,
    yardsticks,
)
from groundup.doctor.examine import duration, examine
from groundup.doctor.findings import Judgement, Verdict, worst
from groundup.doctor.predict import MARGIN, YARDSTICKS, expected, scale
from groundup.doctor.probes import PROBES
from groundup.doctor.worker import attempt, judge
from groundup.lab.files import write_json

OK, WARN, FAIL, ABSENT = Verdict.OK, Verdict.WARN, Verdict.FAIL, Verdict.ABSENT
PROBE = {probe.name: probe for probe in PROBES}

PYTHON = {"version": "3.12.1", "recent": True, "bits": 64, "place": "/env"}
CORES = {"machine": 4, "allowed": 4.0, "load": 0.1}
DISK = {"runs": 50.0, "caches": 50.0, "temporary": 50.0}
PRODUCT = {"gflops": 90.0, "right": True, "version": "2.4"}
THREADS = {"one": 90.0, "all": 60.0, "own": 90.0, "set": "1"}
IMPORT = {"seconds": 1.0, "version": "2.9", "threads": 2, "allowed": 2.0}
STEP = {"milliseconds": 9.0, "threads": 2, "one_thread": 10.0, "as_set": 8.0}
GPU = {"name": None, "driver": False, "cuda": None}
FLASH = {"gpu": "A", "cuda": "13.0", "compiler": True, "version": "2.9", "error": ""}
NEOBERT = {"loss": 5.5, "expected": 5.545, "parameters": 16, "reached": 16, "milliseconds": 9.0}
GROUP = {"seconds": 4.0, "ranks": [0, 1], "wrong": 0, "milliseconds": 2.0}
FILES = {"clone": True, "exercises": 6, "edited": 2, "stale": []}


def backends(error: float | None, dtype: str = "float32") -> dict[str, Any]:
    right = {"milliseconds": 5.0, "error": 1e-7}
    return {"dtype": dtype, "backends": {"math": right, "flash": {**right, "error": error}}}


@pytest.mark.parametrize(
    ("name", "numbers", "verdict", "words"),
    [
        ("python", PYTHON, OK, ["3.12.1"]),
        ("python", {**PYTHON, "recent": False}, FAIL, ["3.11"]),
        ("python", {**PYTHON, "bits": 32}, FAIL, ["64-bit"]),
        ("text", {"output": "utf-8", "lost": []}, OK, ["utf-8"]),
        ("text", {"output": "ascii", "lost": ["output"]}, WARN, ["output", "PYTHONUTF8=1"]),
        ("cores", CORES, OK, ["4 of 4"]),
        ("cores", {**CORES, "load": None}, OK, ["4 of 4"]),
        ("cores", {**CORES, "load": 2.5}, WARN, ["2.5 busy", "other programs"]),
        ("cores", {**CORES, "allowed": 1.5}, WARN, ["1.5 of 4", "two"]),
        ("memory", {"gigabytes": 4.1}, OK, ["4.1 GB"]),
        ("memory", {"gigabytes": 3.9}, WARN, ["3.9 GB", "--quick"]),
        ("memory", {"gigabytes": 0.9}, FAIL, ["0.9 GB", "close other programs"]),
        ("memory", {"gigabytes": None}, ABSENT, ["psutil"]),
        ("disk", DISK, OK, ["50.0 GB"]),
        ("disk", {**DISK, "runs": 1.5}, WARN, ["1.5 GB", "GROUNDUP_RUNS"]),
        ("disk", {**DISK, "caches": 1.5}, WARN, ["XDG_CACHE_HOME"]),
        ("disk", {**DISK, "temporary": 0.1}, FAIL, ["TMPDIR"]),
        ("files", {"folder": "/runs", "right": True}, OK, ["/runs"]),
        ("files", {"folder": "/runs", "right": False}, FAIL, ["GROUNDUP_RUNS"]),
        ("fork", {"possible": True, "code": 7}, OK, ["ran"]),
        ("fork", {"possible": True, "code": -9}, FAIL, ["-9", "ulimit"]),
        ("fork", {"possible": False}, WARN, ["wsl --install"]),
        ("python_speed", {"milliseconds": 6.25}, OK, ["6.25 ms"]),
        ("numpy", PRODUCT, OK, ["90 GFLOP/s"]),
        ("numpy", {**PRODUCT, "gflops": 1.2}, WARN, ["tuned", "numpy"]),
        ("numpy", {**PRODUCT, "right": False}, FAIL, ["wrong", "numpy"]),
        ("numpy_threads", THREADS, OK, ["90 GFLOP/s on one"]),
        ("numpy_threads", {**THREADS, "own": 40.0}, WARN, ["unset OPENBLAS_NUM_THREADS"]),
        ("torch", IMPORT, OK, ["1.0 s"]),
        ("torch", {**IMPORT, "threads": 64}, WARN, ["64 threads", "OMP_NUM_THREADS=2"]),
        ("torch", {**IMPORT, "allowed": 0.5}, WARN, ["OMP_NUM_THREADS=1"]),
        ("torch_product", {**PRODUCT, "threads": 2, "gflops": 1.0}, WARN, ["torch"]),
        ("attention", backends(2e-6), OK, ["flash 5.0 ms", "2e-06"]),
        ("attention", backends(0.2), FAIL, ["flash", "20%", "torch"]),
        ("attention", backends(None), FAIL, ["flash (not finite)"]),
        ("gpu", GPU, ABSENT, ["none"]),
        ("gpu", {**GPU, "driver": True}, WARN, ["CPU alone", "torch"]),
        ("gpu", {**GPU, "driver": True, "cuda": "12.8"}, WARN, ["12.8", "nvidia-smi"]),
        ("gpu", {"name": "A", "free": 70.0, **backends(1e-2, "bfloat16")}, OK, ["A, 70 GB"]),
        ("flash_package", FLASH, OK, ["2.9"]),
        ("flash_package", {**FLASH, "gpu": None}, ABSENT, ["NVIDIA GPU alone"]),
        ("flash_package", {**FLASH, "version": None}, ABSENT, ["--no-build-isolation", "ninja"]),
        ("flash_package", {**FLASH, "version": None, "compiler": False}, ABSENT, ["toolkit 13.0"]),
        ("flash_package", {**FLASH, "error": "undefined symbol"}, FAIL, ["symbol", "again: pip"]),
        ("gpu", {"name": "mps", "free": None, **backends(0.1, "bfloat16")}, FAIL, ["mps: wrong"]),
        ("torch_speed", STEP, OK, ["10.0 ms"]),
        ("torch_speed", {**STEP, "as_set": 16.0}, WARN, ["OMP_NUM_THREADS=1"]),
        ("neobert", NEOBERT, OK, ["16 of 16"]),
        ("neobert", {**NEOBERT, "reached": 15}, FAIL, ["15 of 16", "transformers"]),
        ("neobert", {**NEOBERT, "loss": 9.0}, FAIL, ["9.00", "5.5"]),
        ("neobert", {**NEOBERT, "loss": None}, FAIL, ["not finite"]),
        ("processes", GROUP, OK, ["2.0 ms", "4.0 s"]),
        ("processes", {**GROUP, "ranks": [1]}, FAIL, ["[1]"]),
        ("processes", {**GROUP, "wrong": 3}, FAIL, ["3 sums"]),
        ("packages", {"packages": ["a", "b"], "missing": []}, OK, ["2"]),
        ("packages", {"packages": ["a", "b"], "missing": ["b"]}, ABSENT, ["b", "embed"]),
        ("figure", {"png": True, "bytes": 16_000, "seconds": 0.1}, OK, ["16 kB"]),
        ("figure", {"png": False, "bytes": 0, "seconds": 0.1}, FAIL, ["matplotlib"]),
        ("exercises", FILES, OK, ["6 match", "edited 2"]),
        ("exercises", {**FILES, "stale": ["a.py", "b.py"]}, FAIL, ["a.py and 1", "course build"]),
        ("exercises", {"clone": False, "why": "clone it"}, ABSENT, ["clone it"]),
    ],
)
def test_verdicts(name: str, numbers: dict[str, Any], verdict: Verdict, words: list[str]) -> None:
    judgement = PROBE[name].judge(numbers)
    assert judgement.verdict == verdict
    assert (judgement.mend == "") == (
        verdict == OK
        or (name, words) in (("gpu", ["none"]), ("flash_package", ["NVIDIA GPU alone"]))
    )
    for word in words:
        assert word in f"{judgement.measured} {judgement.mend}"


def test_every_probe_is_whole() -> None:
    """Names are unique, what a probe needs comes before it, and each names a mend."""
    before: list[str] = []
    for probe in PROBES:
        assert probe.name not in before
        assert set(probe.needs) <= set(before)
        assert probe.mend
        before.append(probe.name)


@pytest.mark.parametrize(
    "measure",
    [
        machine.measure_python,
        machine.measure_text,
        machine.measure_cores,
        machine.measure_memory,
        machine.measure_disk,
        machine.measure_files,
        parts.measure_packages,
        parts.measure_figure,
        parts.measure_neobert,
    ],
)
def test_what_is_measured_can_be_judged(
    measure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GROUNDUP_RUNS", str(tmp_path / "not" / "there"))
    probe = next(each for each in PROBES if each.measure is measure)
    numbers = measure()
    json.dumps(numbers, allow_nan=False)
    assert probe.judge(numbers).verdict in (OK, WARN)
    assert list(tmp_path.iterdir()) == []


def test_packages_follow_the_extras() -> None:
    """embed brings torch, and torch brings plot."""
    assert {"mteb", "torch", "matplotlib"} <= set(parts.measure_packages()["packages"])
    assert "mkdocs" not in parts.measure_packages()["packages"]


def test_edited_stubs_are_no_fault(toy_clone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from groundup.course.authoring import stubs

    root = toy_clone('def toy(x):\n    """A toy."""\n    return x\n', "toy")
    monkeypatch.setattr(clone, "root", lambda: root)
    assert len(parts.measure_exercises()["stale"]) == 2
    stubs.build(root, say=lambda line: None)
    found = {"clone": True, "exercises": 1, "edited": 0, "stale": []}
    assert parts.measure_exercises() == found
    module = root / "lib/groundup/toy/things.py"
    module.write_text(
        module.read_text().replace("toy(x)", "toy(y)").replace("return x", "return y")
    )
    assert len(parts.measure_exercises()["stale"]) == 2  # old, and not edited
    stubs.build(root, say=lambda line: None)
    (stub,) = root.glob("exercises/*/ex_*.py")
    stub.write_text(stub.read_text() + "\n# mine\n")
    assert parts.measure_exercises() == {**found, "edited": 1}
    (solution,) = root.glob("solutions/*/ex_*.py")
    solution.write_text("nothing")
    assert parts.measure_exercises()["stale"] == ["solutions/ch01_toys/ex_1_1_toy.py"]


@pytest.mark.parametrize(
    ("text", "verdict", "words"),
    [
        (None, ABSENT, "--no-build-isolation -c constraints.txt flash-attn"),
        ("", OK, "imports"),
        ("raise ImportError('undefined symbol: _ZN3c10')", FAIL, "undefined symbol: _ZN3c10"),
        ("raise OSError('libcudart.so.12: cannot open')", FAIL, "libcudart.so.12"),
        ("import of_its_own", FAIL, "of_its_own"),
    ],
)
def test_the_flash_attn_package(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    verdict: Verdict,
    words: str,
) -> None:
    """As on a machine with an NVIDIA GPU; the package is a file of the test's own, or absent."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
    real, name = flash_package.find_spec, "flash_attn"
    monkeypatch.setattr(
        flash_package, "find_spec", lambda each: None if text is None else real(each)
    )
    if text is not None:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)
    judgement = flash_package.judge(flash_package.measure())
    assert judgement.verdict == verdict
    assert words in f"{judgement.measured} {judgement.mend}"
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_attention_on_every_backend() -> None:
    """In bfloat16 too, as on a GPU; and a wrong backend is seen."""
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16):
        numbers = attention.compare(torch.device("cpu"), dtype)
        assert {"math", "default"} <= numbers["backends"].keys()
        assert attention.judge(numbers).verdict == OK


def test_a_wrong_backend_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def unscaled(q: Any, k: Any, v: Any) -> Any:
        return (q @ k.mT).softmax(-1) @ v

    monkeypatch.setattr(functional, "scaled_dot_product_attention", unscaled)
    judgement = attention.judge(attention.compare(torch.device("cpu"), torch.float32))
    assert judgement.verdict == FAIL


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n"}
V2 = {"proc/self/cgroup": "0::/box/inner\n"}
V1 = {"proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n"}


@pytest.mark.parametrize(
    ("files", "expected_bytes"),
    [
        ({}, 8_192_000_000),
        ({"sys/fs/cgroup/box/memory.max": "max", **V2}, 8_192_000_000),
        (
            {  # the limit of the group above counts too; files in memory can be dropped
                "sys/fs/cgroup/box/inner/memory.max": "max",
                "sys/fs/cgroup/box/memory.max": "2000000000",
                "sys/fs/cgroup/box/memory.current": "1500000000",
                "sys/fs/cgroup/box/memory.stat": "anon 1\ninactive_file 500000000\n",
                **V2,
            },
            1_000_000_000,
        ),
        (
            {
                "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "3000000000",
                "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "1000000000",
                **V1,
            },
            2_000_000_000,
        ),
        (
            {  # inside a container's own namespace, its group is the root
                "sys/fs/cgroup/memory.max": "1000",
                "sys/fs/cgroup/memory.current": "400",
                **V2,
            },
            600,
        ),
    ],
)
def test_memory_of_a_container(tmp_path: Path, files: dict[str, str], expected_bytes: int) -> None:
    assert limits.memory_available(tree(tmp_path, MEMINFO | files)) == expected_bytes


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({}, 64.0),
        ({"sys/fs/cgroup/box/cpu.max": "max 100000", **V2}, 64.0),
        ({"sys/fs/cgroup/box/cpu.max": "150000 100000", **V2}, 1.5),
        (
            {
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "200000",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000",
                **V1,
            },
            2.0,
        ),
        (
            {
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000",
                **V1,
            },
            64.0,
        ),
    ],
)
def test_cores_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], share: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64), raising=False)
    assert limits.cores_allowed(tree(tmp_path, files)) == share


def test_what_a_probe_raises_becomes_a_finding() -> None:
    def broken() -> NoReturn:
        raise RuntimeError("no such\n  kernel")

    probe = replace(PROBE["numpy"], measure=broken)
    judgement = judge(probe, attempt(probe))
    assert judgement == Judgement(FAIL, "RuntimeError: no such kernel", probe.mend)


@pytest.mark.parametrize(
    ("missing", "verdict", "mend"),
    [("torch", ABSENT, "-e '.[embed]' gives Parts II and III"), ("sympy", FAIL, "torch")],
)
def test_a_package_that_is_not_there(missing: str, verdict: Verdict, mend: str) -> None:
    """What was not installed is absent. A package that it lacks itself means it is broken."""

    def absent() -> NoReturn:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=f"{missing}.inner")

    probe = replace(PROBE["torch"], measure=absent)
    judgement = judge(probe, attempt(probe))
    assert judgement.verdict == verdict
    assert mend in judgement.mend


# A module for the child: its probes crash, hang, chatter, leave.
CHILD = """
import os, signal, time
from groundup.doctor import probes
from groundup.doctor.findings import Judgement, Probe, Verdict

def crash():
    os.kill(os.getpid(), signal.SIGILL)

def leave():
    os.write(2, b"libfoo.so: cannot open\\n")
    os._exit(3)

def chatter():
    print("welcome to a library")
    return {"answer": 42}

def show(numbers):
    return Judgement(Verdict.OK, str(numbers))

def probe(name, measure, **more):
    return Probe(name, "G", name, measure, show, "mend it", **more)

probes.PROBES = (
    probe("crash", crash),
    probe("hang", lambda: time.sleep(60), seconds=1.0),
    probe("leave", leave),
    probe("chatter", chatter),
    probe("after", chatter, needs=("crash",)),
    probe("later", chatter, needs=("chatter",)),
)
"""


def test_crashes_and_hangs_become_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python imports sitecustomize when it starts, so the child has these probes too.
    (tmp_path / "sitecustomize.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(probes, "PROBES", PROBES)  # the text replaces it, this puts it back
    exec(CHILD, {})
    begin = time.perf_counter()
    said: list[str] = []
    findings = examine(probes.PROBES, begins=lambda probe: said.append(probe.name))
    assert time.perf_counter() - begin < 20
    assert said == ["crash", "hang", "leave", "chatter", "after", "later"]
    shown = [(each.verdict, each.judgement.measured, each.judgement.mend) for each in findings]
    assert shown == [
        (FAIL, "the process ended with SIGILL", "mend it"),
        (FAIL, "no answer within 1 s", "mend it"),
        (FAIL, "the process ended with exit code 3. libfoo.so: cannot open", "mend it"),
        (OK, "{'answer': 42}", ""),
        (ABSENT, "not run: needs G", ""),
        (OK, "{'answer': 42}", ""),
    ]
    assert findings[3].numbers == {"answer": 42}


def test_worst() -> None:
    assert worst([OK, ABSENT]) == OK
    assert worst([OK, WARN, ABSENT]) == WARN
    assert worst([WARN, FAIL, OK]) == FAIL


def test_scale() -> None:
    """Twice as slow in one yardstick and eight times in the other: four times, between them."""
    there = {"python": 1.0, "numpy": 1.0}
    here = {"python": 2.0, "numpy": 8.0}
    found = scale(10.0, here, there, ["python", "numpy"])
    assert found.likely == pytest.approx(10 * 4)
    assert (found.low, found.high) == pytest.approx((20 * (1 - MARGIN), 80 * (1 + MARGIN)))
    boxed = scale(10.0, here, there, ["python", "numpy"], fixed=8.0)
    assert boxed.likely == pytest.approx(8 + 2 * 4)
    assert scale(10.0, there, there, ["python"]).likely == pytest.approx(10)


def small_clone(root: Path) -> Path:
    for name in ("02_backward", "05_training", "11_neobert"):
        (root / "chapters").mkdir(exist_ok=True)
        (root / f"chapters/{name}.py").write_text(f"# %% [markdown]\n# # Title of {name}\n")
    write_json(
        root / "benchmarks/results/chapter_times.json",
        {
            "date": "2026-01-31",
            "machine": "2 cores",
            "yardsticks": dict.fromkeys(YARDSTICKS, 1.0),
            "chapters": {"05_training": [15.0, 10.0], "11_neobert": [20.0]},
            "tour_fixed_seconds": 200.0,
        },
    )
    write_json(root / "benchmarks/results/tour.json", {"seconds": 260.0})
    return root


def test_expected_times(tmp_path: Path) -> None:
    root = small_clone(tmp_path)
    found, source = expected(root, {"python": 2.0, "numpy": 2.0, "torch": 16.0})
    likely = {each.name: each.estimate and each.estimate.likely for each in found}
    assert likely == {
        "chapter 2": None,
        "chapter 5": pytest.approx(20),  # Part I: PyTorch does not count
        "chapter 11": pytest.approx(80),
        "tour": pytest.approx(200 + 60 * 4),
    }
    assert found[0].why == "not measured"
    assert "2026-01-31" in source
    found, _ = expected(root, {"python": 2.0, "numpy": 2.0})
    lacks = "needs torch, see above"
    assert [each.why for each in found] == ["not measured", "", lacks, lacks]
    (root / "benchmarks/results/chapter_times.json").write_text("{damaged")
    found, source = expected(root, {"python": 2.0, "numpy": 2.0})
    assert {each.why for each in found} == {"not measured"}
    assert source == "nothing measured yet"


def test_committed_times_give_estimates() -> None:
    """On the reference machine itself, the estimate is the time that was measured."""
    root = clone.root()
    path = root / "benchmarks/results/chapter_times.json"
    times = json.loads(path.read_text("utf-8"))
    found, source = expected(root, times["yardsticks"])
    assert times["date"] in source
    for name, seconds in times["chapters"].items():
        (own,) = [each for each in found if each.name == f"chapter {int(name[:2])}"]
        assert own.estimate is not None
        assert own.estimate.likely == pytest.approx(min(seconds))
    assert found[-1].estimate is not None
    assert found[-1].estimate.low > times["tour_fixed_seconds"] > 0


def test_duration() -> None:
    assert [duration(each) for each in (0.2, 19.4, 60.0, 268.0)] == [
        "1 s",
        "19 s",
        "1 min 00 s",
        "4 min 28 s",
    ]


def test_yardsticks_give_a_time() -> None:
    for measure in (yardsticks.measure_python, yardsticks.measure_numpy):
        assert 0 < measure()["milliseconds"] < math.inf
    assert arithmetic.small_product() > 0


def test_yardsticks_ignore_waiting() -> None:
    """Half of the work is sleep: the clock counts it, the processor's time does not."""

    def work() -> None:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        time.sleep(0.05)

    assert yardsticks.processor_milliseconds(work, budget=0.1) == pytest.approx(20, rel=0.2)
    assert yardsticks.milliseconds(work, budget=0.1, least=1) > 65


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
    findings = {each["probe"]: each for each in content["findings"]}
    assert list(findings) == [probe.name for probe in PROBES]
    for name, finding in findings.items():
        torch = name in ("torch", "figure") or "torch" in PROBE[name].needs
        assert (finding["verdict"] == "absent") == torch, name
    assert findings["torch"]["mend"].endswith("'.[embed]' gives Parts II and III")
    assert findings["torch_speed"]["measured"] == "not run: needs PyTorch"
    chapters = {each["name"]: each for each in content["times"]["expected"]}
    assert chapters["chapter 5"]["estimate"]["likely"] > 0
    assert chapters["chapter 11"]["estimate"] is None
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
