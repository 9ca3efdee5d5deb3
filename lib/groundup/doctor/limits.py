"""How many cores and how much memory this process may use: the machine's, or a container's share.

A container sees all cores and all memory of its host. The files of its control group (cgroup,
version 2), and of the groups above it, say what it may use.
"""

import os
from collections.abc import Iterator
from pathlib import Path


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's control group and of those above it, innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    top = root / "sys/fs/cgroup"
    for path in (line.removeprefix("0::/") for line in lines if line.startswith("0::/")):
        here = top / path
        yield here
        yield from (each for each in here.parents if each == top or top in each.parents)


def _numbers(path: Path) -> list[int] | None:
    """The numbers in a file; None where it is missing, or says "max": no limit."""
    try:
        return [int(word) for word in path.read_text("utf-8").split()]
    except (OSError, ValueError):
        return None


def _reclaimable(stat: Path) -> int:
    """Bytes of files in memory that the kernel drops when it needs room."""
    try:
        pairs = dict(line.split() for line in stat.read_text("utf-8").splitlines())
    except (OSError, ValueError):
        return 0
    return int(pairs.get("inactive_file", 0))


def memory_available(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take, or None where the system does not say.

    Args:
        root: the folder of /proc and /sys.
    """
    found = []
    try:
        lines = (root / "proc/meminfo").read_text("utf-8").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:  # not Linux
        try:
            import psutil
        except ImportError:
            return None
        return int(psutil.virtual_memory().available)
    for group in _groups(root):
        limit, usage = _numbers(group / "memory.max"), _numbers(group / "memory.current")
        if limit and usage:
            free = limit[0] - usage[0] + _reclaimable(group / "memory.stat")
            found.append(max(0, free))
    return min(found, default=None)


def cores_allowed(root: Path = Path("/")) -> float:
    """Cores this process may use at a time; a container's share can be a fraction."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    shares = [float(len(affinity(0)) if affinity else os.cpu_count() or 1)]
    for group in _groups(root):
        if quota := _numbers(group / "cpu.max"):
            shares.append(quota[0] / quota[1])
    return min(shares)
