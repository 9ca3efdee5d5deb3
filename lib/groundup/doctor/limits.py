"""How many cores and how much memory this process may use: the machine's, or a container's share.

A container sees all cores and all memory of its host. What it may use stands in its control group
(cgroup), version 1 or 2, and in the groups above it.
"""

import os
from collections.abc import Iterator
from pathlib import Path


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control group and of those above it, innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controllers
        here = top / path.lstrip("/")
        while here != top and top in here.parents:
            yield here
            here = here.parent
        yield top


def _number(path: Path, place: int = 0) -> int | None:
    """A number in a file; None where there is none ("max" means no limit)."""
    try:
        return int(path.read_text("utf-8").split()[place])
    except (OSError, ValueError, IndexError):
        return None


def _reclaimable(stat: Path) -> int:
    """Bytes of files in memory that the kernel drops when it needs room."""
    try:
        pairs = dict(line.split() for line in stat.read_text("utf-8").splitlines())
    except (OSError, ValueError):
        return 0
    return int(pairs.get("total_inactive_file", pairs.get("inactive_file", 0)))


def memory_available(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take, or None where the system does not say.

    Args:
        root: where /proc and /sys lie.
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
    for group in _groups(root, "memory"):
        for limit_file, usage_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, usage = _number(group / limit_file), _number(group / usage_file)
            if limit is not None and usage is not None:
                found.append(max(0, limit - usage + _reclaimable(group / "memory.stat")))
    return min(found, default=None)


def cores_allowed(root: Path = Path("/")) -> float:
    """Cores this process may use at a time; a container's share can be a fraction."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    shares = [float(len(affinity(0)) if affinity else os.cpu_count() or 1)]
    for group in _groups(root, "cpu"):
        quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
        if (group / "cpu.max").is_file():  # version 2: both in one file, "max" for no limit
            quota, period = _number(group / "cpu.max"), _number(group / "cpu.max", 1)
        if quota and period and quota > 0:
            shares.append(quota / period)
    return min(shares)
