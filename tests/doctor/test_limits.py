"""The cores and the memory of a container."""

import os
from pathlib import Path

import pytest

from groundup.doctor import limits


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n"}
V2 = {"proc/self/cgroup": "0::/box/inner\n"}
V1 = "4:memory:/other\n3:cpu,cpuacct:/other\n"  # lines of version 1, beside that of version 2


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
        ({"sys/fs/cgroup/box/cpu.max": "200000 100000", "proc/self/cgroup": V1 + "0::/box\n"}, 2.0),
    ],
)
def test_cores_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], share: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64), raising=False)
    assert limits.cores_allowed(tree(tmp_path, files)) == share
