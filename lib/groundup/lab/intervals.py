"""How far off a measured share can be."""

import math


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    r"""The 95% interval of a share (Wilson, 1927), which stays inside 0 to 1 even at 100%.

    Args:
        right: how many of ``total`` were right.
        total: how many there were, at least 1.

    Derivation:
        It holds the shares :math:`p` that lie within 1.96 of their own standard errors of what was
        measured: :math:`(\hat p - p)^2 \le z^2 p(1-p)/n`, solved for :math:`p`.
    """
    z = 1.959964
    share = right / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    below = 1 + z * z / total
    # At the ends rounding leaves a trace beyond 0 and 1.
    return max((middle - half) / below, 0.0), min((middle + half) / below, 1.0)
