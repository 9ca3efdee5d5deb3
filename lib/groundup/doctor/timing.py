"""How long a piece of work takes, by the clock and by the processor's time."""

import statistics
import time
from collections.abc import Callable


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

    Other programs do not prolong it. A mean over the whole budget, because some systems count
    processor time in steps of 16 ms.

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
