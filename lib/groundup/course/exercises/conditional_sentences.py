"""Which sentences of an explanation apply to a result.

A sentence that begins *If you have 0.5 at [0, 1], …* applies only to a result with that number.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SENTENCES = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
CLAIM = re.compile(
    r"[Ii]f you have (?P<values>nan|-?[\d.]*\d(?: or -?[\d.]*\d)*)(?: at (?P<at>\[[^]]*\]))?"
)


def relevant(probably: str, received: NDArray[Any], at: tuple[int, ...]) -> str:
    """The sentences that claim nothing, and those of which a claim holds.

    Args:
        probably: sentences.
        received: what the learner's function gave.
        at: where it is first wrong; for values that name no place.
    """

    def applies(sentence: str) -> bool:
        claims = list(CLAIM.finditer(sentence))
        return not claims or any(_has(received, claim, at) for claim in claims)

    return " ".join(filter(applies, _SENTENCES.split(probably)))


def without_claims(probably: str) -> str:
    """The sentences that claim nothing."""
    return " ".join(s for s in _SENTENCES.split(probably) if not CLAIM.search(s))


def _has(received: NDArray[Any], claim: re.Match[str], at: tuple[int, ...]) -> bool:
    place = claim["at"]
    index = tuple(int(i) for i in place.strip("[]").split(",")) if place else at
    try:
        value = float(received[index])
    except IndexError:
        return False
    given = claim["values"].split(" or ")
    return any(np.isclose(value, float(each), rtol=1e-3, atol=0, equal_nan=True) for each in given)
