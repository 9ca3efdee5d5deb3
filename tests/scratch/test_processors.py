"""The numbers of Part I on other processors, whose matrix products round in another order.

OpenBLAS, which NumPy's wheels bring, has kernels for each family of processors and takes those that
OPENBLAS_CORETYPE names. They differ in the width of their sums and in fused multiplication, and so
in every rounding; so do one thread and two.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
CPUINFO = Path("/proc/cpuinfo")
# What a processor must be able to do for a family's kernels to run on it.
NEEDS = {
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"},
    "Sandybridge": {"avx"},
}
# Where rounding decides the last digits: float32, updates of an optimizer, sums in another order.
FILES = [str(FOLDER / name) for name in ("test_fast.py", "test_trainer.py")]
NUMERIC = "(each_of_twenty and float32) or large_scores or stays_usable or accumulated or union"


def _abilities() -> set[str]:
    """What /proc/cpuinfo says that this processor can do; nothing where there is no such file."""
    text = CPUINFO.read_text() if CPUINFO.exists() else ""
    flags = [line for line in text.splitlines() if line.startswith("flags")]
    return set(flags[0].split()) if flags else set()


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("family", NEEDS)
def test_numbers_hold_with_the_kernels_of(family, threads):
    missing = NEEDS[family] - _abilities()
    if missing:
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")
    settings = {"OPENBLAS_CORETYPE": family, "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES, "-k", NUMERIC],
        env={**os.environ, **settings, "OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
