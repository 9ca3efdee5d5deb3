"""Three fixed pieces of work whose time says how fast a machine is for the course.

They imitate what chapters do: plain Python, a layer's arithmetic in NumPy, training steps in
PyTorch on one thread. They are no code of the library, so that their times compare machines and not
versions. They count the time of the processor, not of the clock: what other programs take meanwhile
says nothing about the machine.
"""

import statistics
import time
from collections.abc import Callable

from groundup.doctor.findings import Judgement, Numbers, Verdict


def milliseconds(work: Callable[[], object], budget: float = 0.6, least: int = 5) -> float:
    """The median time of a piece of work, after one run to warm up.

    Args:
        work: is called again and again.
        budget: seconds to spend.
        least: calls at least, whatever they take.
    """
    work()
    times: list[float] = []
    end = time.perf_counter() + budget
    while len(times) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def processor_milliseconds(work: Callable[[], object], budget: float = 0.5) -> float:
    """The mean processor time of a piece of work, after one run to warm up.

    A mean over the whole budget, because some systems count processor time in steps of 16 ms.

    Args:
        work: is called again and again; it must keep to one thread.
        budget: seconds of processor time to spend.
    """
    work()
    calls, begin = 0, time.process_time()
    while (spent := time.process_time() - begin) < budget:
        work()
        calls += 1
    return 1e3 * spent / calls


def measure_python() -> Numbers:
    """Count, sort and format in plain Python."""

    def work() -> int:
        counts: dict[str, int] = {}
        state = 1
        for _ in range(20_000):
            state = (1103515245 * state + 12345) % 2**31
            word = f"w{state % 997}"
            counts[word] = counts.get(word, 0) + 1
        return len(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    return {"milliseconds": processor_milliseconds(work)}


def measure_numpy() -> Numbers:
    """A layer at the size of Part I: 32 sequences of 20 tokens, 64 wide, four heads, float32."""
    import numpy as np

    # Once a larger array has come and gone, glibc keeps the memory of smaller ones. Before, it
    # gives it back after each operation, and that costs more than the arithmetic.
    np.ones(1 << 22, np.float32)
    rng = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    x, w_qkv, w_in, w_out = random(640, 64), random(64, 192), random(64, 256), random(256, 64)

    def work() -> np.ndarray:
        q, k, v = (x @ w_qkv).reshape(32, 20, 3, 4, 16).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / np.float32(4)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        mixed = x + (weights @ v).swapaxes(1, 2).reshape(640, 64)
        hidden = np.tanh(mixed @ w_in)
        out = hidden @ w_out
        d_hidden = (out @ w_out.T) * (1 - hidden * hidden)
        return np.asarray(d_hidden @ w_in.T + hidden.T.sum() + (mixed.T @ d_hidden).sum())

    return {"milliseconds": processor_milliseconds(work)}


def measure_torch() -> Numbers:
    """Training steps of a two-layer encoder: 16 sequences of 64 tokens, 128 wide.

    The yardstick is one thread. With more, by the clock, PyTorch's threads wait for the slowest of
    them at every operation, and a core that another program holds costs far more than its share.
    """
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
        model = nn.TransformerEncoder(layer, 2)
        x = torch.randn(16, 64, 128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def work() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    threads = torch.get_num_threads()
    as_set = milliseconds(work, least=1)
    torch.set_num_threads(1)
    try:
        one, processor = milliseconds(work, least=1), processor_milliseconds(work)
    finally:
        torch.set_num_threads(threads)
    return {"milliseconds": processor, "threads": threads, "one_thread": one, "as_set": as_set}


def judge(numbers: Numbers) -> Judgement:
    """A time is neither right nor wrong; the estimates use it."""
    return Judgement(Verdict.OK, f"{numbers['milliseconds']:.2f} ms")


def judge_torch(numbers: Numbers) -> Judgement:
    """PyTorch's own number of threads may bring little; it must not cost much."""
    one, as_set = numbers["one_thread"], numbers["as_set"]
    measured = f"{one:.1f} ms on one thread, {as_set:.1f} ms as set (threads: {numbers['threads']})"
    if as_set > 1.5 * one:
        mend = "its threads wait for each other: end other programs, or export OMP_NUM_THREADS=1"
        return Judgement(Verdict.WARN, measured, mend)
    return Judgement(Verdict.OK, measured)
