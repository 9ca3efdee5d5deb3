"""The machine itself: text, cores and load, memory, disk, processes."""

import locale
import os
import shutil
import sys
import tempfile
from pathlib import Path

from groundup.doctor.limits import cores_allowed, memory_available
from groundup.doctor.machine_probe import Judgement, Numbers, ProbeVerdict
from groundup.lab.files import read_json, write_json
from groundup.lab.records import runs_directory

TOUR_GIGABYTES = 4.0  # the budget of the tour
DISK_GIGABYTES = 2.0  # a few tours, 200 MB each, the caches, and room to spare
_SIGNS = "αβ·√→é"  # of the kind that the course prints


def measure_text() -> Numbers:
    """Encode the signs that the course prints, as output and as files are encoded."""
    encodings = {"output": sys.stdout.encoding, "files": locale.getpreferredencoding(False)}
    lost = []
    for use, encoding in encodings.items():
        try:
            _SIGNS.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            lost.append(use)
    return {**encodings, "lost": lost}


def judge_text(numbers: Numbers) -> Judgement:
    """Whether the signs survive."""
    if numbers["lost"]:
        measured = f"{_SIGNS} can't be written: {', '.join(numbers['lost'])}"
        return Judgement(
            ProbeVerdict.WARN, measured, "export PYTHONUTF8=1 (Windows: set PYTHONUTF8=1)"
        )
    return Judgement(ProbeVerdict.OK, f"{_SIGNS} written ({numbers['output']})")


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
        return Judgement(ProbeVerdict.WARN, measured, mend)
    if allowed < 2:
        mend = "the time limits are made for two cores: allow this container or virtual machine two"
        return Judgement(ProbeVerdict.WARN, measured, mend)
    return Judgement(ProbeVerdict.OK, measured)


def measure_memory() -> Numbers:
    """Memory that is free for this process."""
    available = memory_available()
    return {"gigabytes": None if available is None else available / 1e9}


def judge_memory(numbers: Numbers) -> Judgement:
    """The tour's budget is 4 GB; a chapter takes up to 1."""
    free = numbers["gigabytes"]
    if free is None:
        return Judgement(
            ProbeVerdict.ABSENT, "this system does not say", "pip install -c constraints.txt psutil"
        )
    measured = f"{free:.1f} GB free; the tour may take {TOUR_GIGABYTES:.0f}"
    if free < 1:
        mend = "close other programs, or allow this container more: chapters take up to 1 GB"
        return Judgement(ProbeVerdict.FAIL, measured, mend)
    if free < TOUR_GIGABYTES:
        mend = "close other programs before the tour, or run groundup tour --quick"
        return Judgement(ProbeVerdict.WARN, measured, mend)
    return Judgement(ProbeVerdict.OK, measured)


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists())


def measure_disk() -> Numbers:
    """Free space for runs, caches and temporary files; and a file, written, replaced and read."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    places = {"runs": runs_directory(), "caches": cache, "temporary": Path(tempfile.gettempdir())}
    path = existing(places["runs"]) / f".groundup-doctor-{os.getpid()}.json"
    try:
        write_json(path, 1)
        write_json(path, {"signs": _SIGNS})
        intact = read_json(path) == {"signs": _SIGNS}
    finally:
        path.unlink(missing_ok=True)
    free = {name: shutil.disk_usage(existing(each)).free / 1e9 for name, each in places.items()}
    return {"free": free, "intact": intact, "folder": str(path.parent)}


def judge_disk(numbers: Numbers) -> Judgement:
    """What was read is what was written, and the tightest of the three places has room."""
    if not numbers["intact"]:
        mend = "this disk is not reliable: keep runs on another, export GROUNDUP_RUNS=/path"
        return Judgement(ProbeVerdict.FAIL, f"read something else in {numbers['folder']}", mend)
    tightest, free = min(numbers["free"].items(), key=lambda each: each[1])
    variable = {"runs": "GROUNDUP_RUNS", "caches": "XDG_CACHE_HOME", "temporary": "TMPDIR"}[
        tightest
    ]
    measured = f"{free:.1f} GB free for {tightest}; a file written, replaced and read"
    mend = f"make room, or use another disk for {tightest}: export {variable}=/path"
    if free < 0.2:
        return Judgement(ProbeVerdict.FAIL, measured, mend)
    if free < DISK_GIGABYTES:
        return Judgement(ProbeVerdict.WARN, measured, mend)
    return Judgement(ProbeVerdict.OK, measured)


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
        return Judgement(
            ProbeVerdict.WARN, "not on this system; exercises are checked in forks", mend
        )
    if numbers["code"] != 7:
        mend = "raise the limit on processes (ulimit -u) or allow this container more"
        return Judgement(ProbeVerdict.FAIL, f"the copy ended with {numbers['code']}, not 7", mend)
    return Judgement(ProbeVerdict.OK, "a copy of a process ran and ended")
