"""The doctor's probes: what they measure, and the verdict on it."""

import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from groundup.course import clone
from groundup.doctor import course_probes, flash_package, machine_probes, numpy_probes, torch_probes
from groundup.doctor.machine_probe import ProbeVerdict, worst
from groundup.doctor.probes import PROBES

OK, WARN, FAIL, ABSENT = ProbeVerdict
PROBE = {probe.name: probe for probe in PROBES}

CORES = {"machine": 4, "allowed": 4.0, "load": 0.1}
FREE = {"runs": 50.0, "caches": 50.0, "temporary": 50.0}
DISK = {"free": FREE, "intact": True, "folder": "/runs"}
NUMPY = {"gflops": 90.0, "correct": True, "version": "2.4", "milliseconds": 1.84}
STEP = {"milliseconds": 9.0, "threads": 2, "one_thread": 10.0, "as_set": 8.0}
NO_GPU = {"name": None, "driver": False, "cuda": None}
GPU = {"name": "A", "free": 70.0, "error": 1e-5}
FLASH = {"gpu": "A", "cuda": "13.0", "compiler": True, "version": "2.9", "error": ""}
NEOBERT = {"loss": 5.5, "expected": 5.545, "parameters": 16, "reached": 16}
GROUP = {"seconds": 4.0, "ranks": [0, 1], "wrong": 0, "milliseconds": 2.0}
FILES = {"clone": True, "exercises": 6, "edited": 2, "stale": []}


@pytest.mark.parametrize(
    ("name", "numbers", "verdict", "words"),
    [
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
        ("disk", {**DISK, "free": {**FREE, "runs": 1.5}}, WARN, ["1.5 GB", "GROUNDUP_RUNS"]),
        ("disk", {**DISK, "free": {**FREE, "caches": 1.5}}, WARN, ["XDG_CACHE_HOME"]),
        ("disk", {**DISK, "free": {**FREE, "temporary": 0.1}}, FAIL, ["TMPDIR"]),
        ("disk", {**DISK, "intact": False}, FAIL, ["GROUNDUP_RUNS"]),
        ("forked process", {"possible": True, "code": 7}, OK, ["ran"]),
        ("forked process", {"possible": True, "code": -9}, FAIL, ["-9", "ulimit"]),
        ("forked process", {"possible": False}, WARN, ["wsl --install"]),
        ("numpy", NUMPY, OK, ["90 GFLOP/s", "1.84 ms"]),
        ("numpy", {**NUMPY, "gflops": 1.2}, WARN, ["tuned", "numpy"]),
        ("numpy", {**NUMPY, "correct": False}, FAIL, ["wrong", "numpy"]),
        ("torch", {"seconds": 1.0, "version": "2.9"}, OK, ["2.9", "1.0 s"]),
        ("training step", STEP, OK, ["10.0 ms"]),
        ("training step", {**STEP, "as_set": 16.0}, WARN, ["OMP_NUM_THREADS=1"]),
        ("tiny NeoBERT", NEOBERT, OK, ["16 of 16"]),
        ("tiny NeoBERT", {**NEOBERT, "reached": 15}, FAIL, ["15 of 16", "transformers"]),
        ("tiny NeoBERT", {**NEOBERT, "loss": 9.0}, FAIL, ["9.00", "5.5"]),
        ("tiny NeoBERT", {**NEOBERT, "loss": None}, FAIL, ["not finite"]),
        ("GPU", NO_GPU, ABSENT, ["none"]),
        ("GPU", {**NO_GPU, "driver": True}, WARN, ["CPU alone", "torch"]),
        ("GPU", {**NO_GPU, "driver": True, "cuda": "12.8"}, WARN, ["12.8", "nvidia-smi"]),
        ("GPU", GPU, OK, ["A, 70 GB", "1e-05"]),
        ("GPU", {"name": "mps", "free": None, "error": 0.1}, FAIL, ["mps:", "10%", "torch"]),
        ("GPU", {**GPU, "error": None}, FAIL, ["not finite"]),
        ("flash-attn package", FLASH, OK, ["2.9"]),
        ("flash-attn package", {**FLASH, "gpu": None}, ABSENT, ["NVIDIA GPU alone"]),
        (
            *("flash-attn package", {**FLASH, "version": None}),
            *(ABSENT, ["--no-build-isolation", "ninja"]),
        ),
        (
            *("flash-attn package", {**FLASH, "version": None, "compiler": False}),
            *(ABSENT, ["toolkit 13.0"]),
        ),
        (
            *("flash-attn package", {**FLASH, "error": "undefined symbol"}),
            *(FAIL, ["symbol", "again: pip"]),
        ),
        ("two processes, gloo", GROUP, OK, ["2.0 ms", "4.0 s"]),
        ("two processes, gloo", {**GROUP, "ranks": [1]}, FAIL, ["[1]"]),
        ("two processes, gloo", {**GROUP, "wrong": 3}, FAIL, ["3 sums"]),
        ("packages of Part III", {"packages": ["a", "b"], "missing": []}, OK, ["2"]),
        ("packages of Part III", {"packages": ["b"], "missing": ["b"]}, ABSENT, ["b", "embed"]),
        ("figure", {"png": True, "bytes": 16_000}, OK, ["16 kB"]),
        ("figure", {"png": False, "bytes": 0}, FAIL, ["matplotlib"]),
        ("exercises", FILES, OK, ["6 match", "edited 2"]),
        ("exercises", {**FILES, "stale": ["a.py", "b.py"]}, FAIL, ["a.py and 1", "course build"]),
        ("exercises", {"clone": False, "why": "clone it"}, ABSENT, ["clone it"]),
    ],
)
def test_verdicts(
    name: str, numbers: dict[str, Any], verdict: ProbeVerdict, words: list[str]
) -> None:
    judgement = PROBE[name].judge(numbers)
    assert judgement.verdict == verdict
    nothing_to_do = verdict == OK or words in (["none"], ["NVIDIA GPU alone"])
    assert (judgement.mend == "") == nothing_to_do
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
        machine_probes.measure_text,
        machine_probes.measure_cores,
        machine_probes.measure_memory,
        machine_probes.measure_disk,
        course_probes.measure_packages,
        course_probes.measure_figure,
        torch_probes.measure_neobert,
        numpy_probes.measure_numpy,
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
    assert {"mteb", "torch", "matplotlib"} <= set(course_probes.measure_packages()["packages"])
    assert "mkdocs" not in course_probes.measure_packages()["packages"]


def test_edited_stubs_are_not_a_fault(toy_clone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from groundup.course.authoring import stubs

    root = toy_clone('def toy(x):\n    """A toy."""\n    return x\n', "toy")
    monkeypatch.setattr(clone, "root", lambda: root)
    assert len(course_probes.measure_exercises()["stale"]) == 2
    stubs.build(root, say=lambda line: None)
    found = {"clone": True, "exercises": 1, "edited": 0, "stale": []}
    assert course_probes.measure_exercises() == found
    module = root / "lib/groundup/toy/things.py"
    module.write_text(
        module.read_text().replace("toy(x)", "toy(y)").replace("return x", "return y")
    )
    assert len(course_probes.measure_exercises()["stale"]) == 2  # old, and not edited
    stubs.build(root, say=lambda line: None)
    (stub,) = root.glob("exercises/*/ex_*.py")
    stub.write_text(stub.read_text() + "\n# mine\n")
    assert course_probes.measure_exercises() == {**found, "edited": 1}
    (solution,) = root.glob("solutions/*/ex_*.py")
    solution.write_text("nothing")
    assert course_probes.measure_exercises()["stale"] == ["solutions/ch01_toys/ex_1_1_toy.py"]


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
    verdict: ProbeVerdict,
    words: str,
) -> None:
    """As on a machine with an NVIDIA GPU; the package is a file of the test's own, or absent."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
    real, name = importlib.util.find_spec, "flash_attn"
    monkeypatch.setattr(
        flash_package, "find_spec", lambda each: None if text is None else real(each)
    )
    if text is not None:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)
    judgement = flash_package.judge_flash_package(flash_package.measure_flash_package())
    assert judgement.verdict == verdict
    assert words in f"{judgement.measured} {judgement.mend}"
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_gpu_is_compared_with_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU in the place of a GPU: equal, and found out where one gradient is wrong."""
    torch = pytest.importorskip("torch")
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **options: cpu)
    assert torch_probes.measure_gpu()["error"] == 0
    loss, gradients = torch_probes.neobert_gradients(cpu)
    fourth = gradients[3]
    assert fourth is not None
    for factor, error in ((1.5, pytest.approx(0.5)), (math.nan, None)):
        wrong = [*gradients[:3], fourth * factor, *gradients[4:]]
        results = iter([(loss, wrong), (loss, gradients)])
        monkeypatch.setattr(
            torch_probes, "neobert_gradients", lambda device, results=results: next(results)
        )
        assert torch_probes.measure_gpu()["error"] == error


def test_worst() -> None:
    assert worst([OK, ABSENT]) == OK
    assert worst([OK, WARN, ABSENT]) == WARN
    assert worst([WARN, FAIL, OK]) == FAIL
