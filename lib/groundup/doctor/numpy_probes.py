"""NumPy: whether its matrix product is correct and fast, and the time of a layer's arithmetic."""

from groundup.doctor.machine_probe import Judgement, Numbers, ProbeVerdict
from groundup.doctor.timing import milliseconds, processor_milliseconds

LARGE = 1024  # rows and columns
SLOW = 4.0  # GFLOP/s; a plain loop in C gives 1 or 2, a tuned kernel 10 or more on one core


def measure_numpy() -> Numbers:
    """A large matrix product in float32, and a layer at the size of Part I.

    The layer has 32 sequences of 20 tokens, 64 wide, four heads. It uses no code of the library, so
    that its time compares machines and not versions.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    a = rng.standard_normal((LARGE, LARGE), dtype=np.float32)
    took = milliseconds(lambda: a @ a, budget=0.3, least=3)
    correct = np.allclose((a @ a)[0], a[0].astype(np.float64) @ a.astype(np.float64), atol=1e-2)

    # Once a larger array has come and gone, glibc keeps the memory of smaller ones. Before, it
    # gives it back after each operation, and that costs more than the arithmetic.
    np.ones(1 << 22, np.float32)

    def random(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    x, w_qkv, w_in, w_out = random(640, 64), random(64, 192), random(64, 256), random(256, 64)

    def layer() -> np.ndarray:
        q, k, v = (x @ w_qkv).reshape(32, 20, 3, 4, 16).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / np.float32(4)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        mixed = x + (weights @ v).swapaxes(1, 2).reshape(640, 64)
        hidden = np.tanh(mixed @ w_in)
        out = hidden @ w_out
        d_hidden = (out @ w_out.T) * (1 - hidden * hidden)
        return np.asarray(d_hidden @ w_in.T + hidden.T.sum() + (mixed.T @ d_hidden).sum())

    return {
        "version": np.__version__,
        "correct": bool(correct),
        "gflops": 2e-6 * LARGE**3 / took,
        "milliseconds": processor_milliseconds(layer),
    }


def judge_numpy(numbers: Numbers) -> Judgement:
    """The product is correct, and by a tuned kernel."""
    measured = f"{numbers['version']}: {numbers['gflops']:.0f} GFLOP/s, "
    measured += f"a layer's arithmetic in {numbers['milliseconds']:.2f} ms"
    mend = "pip install --force-reinstall -c constraints.txt numpy"
    if not numbers["correct"]:
        return Judgement(ProbeVerdict.FAIL, f"a wrong product; {measured}", mend)
    if numbers["gflops"] < SLOW:
        mend = f"this build has no tuned matrix product: {mend}"
        return Judgement(ProbeVerdict.WARN, measured, mend)
    return Judgement(ProbeVerdict.OK, measured)
