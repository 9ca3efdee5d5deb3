"""Numbers as bars and shades of text: what a terminal can draw, and a pipe can keep."""

from collections.abc import Sequence

from groundup.scratch.types import Array

_SHADES = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int = 30) -> str:
    """A bar for a share in [0, 1]."""
    return "█" * round(float(share) * width)


def heat(values: Array, limit: float) -> str:
    """A row of blocks, one a number: the lowest for -limit, the highest for +limit.

    Args:
        values: (n,).
        limit: above 0; what lies beyond is shown as the limit.
    """
    places = (values.clip(-limit, limit) / limit + 1) / 2 * (len(_SHADES) - 1)
    return "".join(_SHADES[round(float(place))] for place in places)


def likeliest(probabilities: Array, names: Sequence[str], count: int = 3) -> list[str]:
    """A line for each of the likeliest classes: its name, its probability, a bar."""
    best = probabilities.argsort(kind="stable")[::-1][:count]
    return [
        f"  {names[i]:7}{probabilities[i]:8.2%}  {bar(probabilities[i])}".rstrip() for i in best
    ]


def attended(tokens: Sequence[str], weights: Array) -> list[str]:
    """A line for each token that was read: how much of the attention it got.

    Args:
        tokens: T of them.
        weights: (T,).
    """
    return [
        f"  {token:7}{weight:6.2f}  {bar(weight)}".rstrip()
        for token, weight in zip(tokens, weights, strict=True)
    ]
