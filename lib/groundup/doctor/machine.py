"""The machine itself: Python, cores and load, memory, disk, files, text, processes."""

import locale
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from groundup.doctor.findings import Judgement, Numbers, Verdict
from groundup.doctor.limits import cores_allowed, memory_available
from groundup.lab.files import read_json, write_json
from groundup.lab.records import runs_directory

TOUR_GIGABYTES = 4.0  # the budget of the tour
DISK_GIGABYTES = 2.0  # a few tours, 200 MB each, the caches, and room to spare
_SIGNS = "αβ·√→é"  # of the kind that the course prints


def measure_python() -> Numbers:
    """Which Python this is."""
    return {
        "version": platform.python_version(),
        "recent": sys.version_info >= (3, 11),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "place": sys.prefix,
    }


def judge_python(numbers: Numbers) -> Judgement:
    """3.11 or newer, 64 bits: PyTorch has no 32-bit builds."""
    measured = f"{numbers['version']}, {numbers['bits']} bits, in {numbers['place']}"
    if not numbers["recent"] or numbers["bits"] != 64:
        mend = "install a 64-bit Python 3.11 or newer, and make the environment again with it"
        return Judgement(Verdict.FAIL, measured, mend)
    return Judgement(Verdict.OK, measured)


def measure_text() -> Numbers:
    """Print, in memory, the signs that the course uses, and name a file with one."""
    encodings = {
        "output": sys.stdout.encoding,
        "files": locale.getpreferredencoding(False),
        "names": sys.getfilesystemencoding(),
    }
    lost = []
    for use, encoding in encodings.items():
        try:
            _SIGNS.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            lost.append(use)
    with tempfile.TemporaryDirectory() as folder:
        try:
            (Path(folder) / f"{_SIGNS}.txt").write_text(_SIGNS, "utf-8")
        except (OSError, UnicodeError):
            lost.append("a file's name")
    return {**encodings, "lost": lost}


def judge_text(numbers: Numbers) -> Judgement:
    """Whether the signs survive."""
    if numbers["lost"]:
        measured = f"{_SIGNS} can't be written: {', '.join(numbers['lost'])}"
        return Judgement(Verdict.WARN, measured, "export PYTHONUTF8=1 (Windows: set PYTHONUTF8=1)")
    return Judgement(Verdict.OK, f"{_SIGNS} written ({numbers['output']})")


def measure_cores() -> Numbers:
    """Cores of the machine, cores this process may use, and the load of the last minute."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"machine": os.cpu_count() or 1, "allowed": cores_allowed(), "load": load}


def judge_cores(numbers: Numbers) -> Judgement:
    """Two are what the budgets are for; a busy machine makes every time longer."""
    machine, allowed, load = numbers["machine"], numbers["allowed"], numbers["load"]
    measured = f"{allowed:g} of {machine} may be used"
    if load is not None:
        measured += f"; {load:.1f} busy in the last minute"
    if load is not None and load > machine / 2:
        mend = "other programs are at work, and everything takes longer: end them, and repeat"
        return Judgement(Verdict.WARN, measured, mend)
    if allowed < 2:
        mend = "the time limits are made for two cores: allow this container or virtual machine two"
        return Judgement(Verdict.WARN, measured, mend)
    return Judgement(Verdict.OK, measured)


def measure_memory() -> Numbers:
    """Memory that is free for this process."""
    available = memory_available()
    return {"gigabytes": None if available is None else available / 1e9}


def judge_memory(numbers: Numbers) -> Judgement:
    """The tour's budget is 4 GB; a chapter takes up to 1."""
    free = numbers["gigabytes"]
    if free is None:
        return Judgement(
            Verdict.ABSENT, "this system does not say", "pip install -c constraints.txt psutil"
        )
    measured = f"{free:.1f} GB free; the tour may take {TOUR_GIGABYTES:.0f}"
    if free < 1:
        mend = "close other programs, or allow this container more: chapters take up to 1 GB"
        return Judgement(Verdict.FAIL, measured, mend)
    if free < TOUR_GIGABYTES:
        mend = "close other programs before the tour, or run groundup tour --quick"
        return Judgement(Verdict.WARN, measured, mend)
    return Judgement(Verdict.OK, measured)


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists())


def measure_disk() -> Numbers:
    """Free space where runs, caches and temporary files are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    places = {"runs": runs_directory(), "caches": cache, "temporary": Path(tempfile.gettempdir())}
    return {name: shutil.disk_usage(existing(path)).free / 1e9 for name, path in places.items()}


def judge_disk(numbers: Numbers) -> Judgement:
    """The tightest of the three counts."""
    tightest = min(numbers, key=lambda name: numbers[name])
    free = numbers[tightest]
    measured = f"{free:.1f} GB free for {tightest}"
    if tightest == "runs":
        mend = "make room, or keep runs on another disk: export GROUNDUP_RUNS=/path"
    elif tightest == "caches":
        mend = "make room, or keep caches on another disk: export XDG_CACHE_HOME=/path"
    else:
        mend = "make room, or use another disk: export TMPDIR=/path"
    if free < 0.2:
        return Judgement(Verdict.FAIL, measured, mend)
    if free < DISK_GIGABYTES:
        return Judgement(Verdict.WARN, measured, mend)
    return Judgement(Verdict.OK, measured)


def measure_files() -> Numbers:
    """Write a file, atomically, where runs are kept; read it; replace it; remove it."""
    folder = existing(runs_directory())
    path = folder / f".groundup-doctor-{os.getpid()}.json"
    try:
        write_json(path, 1)
        write_json(path, {"signs": _SIGNS})
        right = read_json(path) == {"signs": _SIGNS}
    finally:
        path.unlink(missing_ok=True)
    return {"folder": str(folder), "right": right}


def judge_files(numbers: Numbers) -> Judgement:
    """What was read must be what was written."""
    if not numbers["right"]:
        mend = "this disk is not reliable: keep runs on another, export GROUNDUP_RUNS=/path"
        return Judgement(Verdict.FAIL, f"read something else in {numbers['folder']}", mend)
    return Judgement(Verdict.OK, f"written, replaced and read in {numbers['folder']}")


def measure_fork() -> Numbers:
    """Copy this process and hear the copy's exit code."""
    if not hasattr(os, "fork"):
        return {"possible": False}
    child = os.fork()
    if child == 0:
        os._exit(7)
    _, status = os.waitpid(child, 0)
    return {"possible": True, "code": os.waitstatus_to_exitcode(status)}


def judge_fork(numbers: Numbers) -> Judgement:
    """Exercises run in a forked process; Windows has none."""
    if not numbers["possible"]:
        mend = "on Windows, use the Windows Subsystem for Linux: wsl --install"
        return Judgement(Verdict.WARN, "not on this system; exercises are checked in forks", mend)
    if numbers["code"] != 7:
        mend = "raise the limit on processes (ulimit -u) or allow this container more"
        return Judgement(Verdict.FAIL, f"the copy ended with {numbers['code']}, not 7", mend)
    return Judgement(Verdict.OK, "a copy of a process ran and ended")
