"""Matrix products: whether NumPy and PyTorch have a fast one, and whether its threads help."""

import os
import subprocess
import sys

from groundup.doctor.findings import Judgement, Numbers, Verdict
from groundup.doctor.limits import cores_allowed
from groundup.doctor.yardsticks import milliseconds

LARGE = 1024  # rows and columns
SLOW = 4.0  # GFLOP/s; a plain loop in C gives 1 or 2, a tuned kernel 10 or more on one core
_THREADS = "OPENBLAS_NUM_THREADS"


def measure_numpy() -> Numbers:
    """A large product, float32."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((LARGE, LARGE), dtype=np.float32)
    took = milliseconds(lambda: a @ a, budget=0.3, least=3)
    right = np.allclose((a @ a)[0], a[0].astype(np.float64) @ a.astype(np.float64), atol=1e-2)
    return {"gflops": 2e-6 * LARGE**3 / took, "right": bool(right), "version": np.__version__}


def measure_torch() -> Numbers:
    """The same in PyTorch."""
    import torch

    a = torch.randn(LARGE, LARGE, generator=torch.Generator().manual_seed(0))
    took = milliseconds(lambda: a @ a, budget=0.3, least=3)
    right = torch.allclose((a @ a)[0].double(), a[0].double() @ a.double(), atol=1e-2)
    return {
        "gflops": 2e-6 * LARGE**3 / took,
        "right": right,
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def judge_product(numbers: Numbers) -> Judgement:
    """Right, and by a tuned kernel."""
    measured = f"{numbers['gflops']:.0f} GFLOP/s, {LARGE} × {LARGE} ({numbers['version']}"
    measured += f", threads: {numbers['threads']})" if "threads" in numbers else ")"
    package = "torch" if "threads" in numbers else "numpy"
    mend = f"pip install --force-reinstall -c constraints.txt {package}"
    if not numbers["right"]:
        return Judgement(Verdict.FAIL, f"a wrong product; {measured}", mend)
    if numbers["gflops"] < SLOW:
        mend = f"this build of {package} has no tuned matrix product: {mend}"
        return Judgement(Verdict.WARN, measured, mend)
    return Judgement(Verdict.OK, measured)


def small_product() -> float:
    """GFLOP/s of the product that Part I spends its time on: (640, 64) times (64, 64)."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal((640, 64), dtype=np.float32)
    w = rng.standard_normal((64, 64), dtype=np.float32)
    return 2e-6 * 640 * 64 * 64 / milliseconds(lambda: x @ w, budget=0.25)


def measure_threads() -> Numbers:
    """The small product with one BLAS thread, with all, and with as many as are set now.

    NumPy's library reads the number when it is imported, so each is a process of its own.
    """
    code = f"from {__name__} import small_product; print(small_product())"
    own = os.environ.get(_THREADS)

    def gflops(setting: str | None) -> float:
        environment = {
            k: v for k, v in os.environ.items() if k not in (_THREADS, "OMP_NUM_THREADS")
        }
        if setting is not None:
            environment[_THREADS] = setting
        command = [sys.executable, "-c", code]
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
        return float(result.stdout)

    one = gflops("1")
    return {"one": one, "all": gflops(None), "own": one if own == "1" else gflops(own), "set": own}


def judge_threads(numbers: Numbers) -> Judgement:
    """More threads than one must not be set where they cost time."""
    measured = f"{numbers['one']:.3g} GFLOP/s on one thread, {numbers['all']:.3g} on all cores"
    if numbers["own"] < 0.7 * numbers["one"]:
        measured += f", {numbers['own']:.3g} as set now"
        mend = f"at this size threads wait for each other: unset {_THREADS} (the course sets 1)"
        return Judgement(Verdict.WARN, measured, mend)
    return Judgement(Verdict.OK, f"{measured} (640 × 64 × 64)")


def measure_import() -> Numbers:
    """Import PyTorch, and ask how many threads it takes."""
    import time

    begin = time.perf_counter()
    import torch

    return {
        "seconds": time.perf_counter() - begin,
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "allowed": cores_allowed(),
    }


def judge_import(numbers: Numbers) -> Judgement:
    """No more threads than cores: in a container, PyTorch counts its host's."""
    measured = f"{numbers['version']}, imported in {numbers['seconds']:.1f} s"
    cores = max(1, int(numbers["allowed"]))
    if numbers["threads"] > cores:
        measured += f"; {numbers['threads']} threads on {numbers['allowed']:g} cores"
        return Judgement(Verdict.WARN, measured, f"export OMP_NUM_THREADS={cores}")
    return Judgement(Verdict.OK, measured)
