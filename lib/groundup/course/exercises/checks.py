"""What a check is, and how one says that something is wrong.

A check is a function of one argument, which holds the functions that the learner wrote::

    @check(Layer.EXAMPLE, points=2)
    def test_first_step(own):
        \"\"\"the first step, worked by hand\"\"\"
        expect.close(own.adam(...)[0], -0.1, what="the change", probably="…")

Its docstring is what the report calls it.
"""

import enum
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from groundup.course.exercises.formatting import WIDTH, indent, shorten, show_given

_SAID = 800  # characters of a sentence: it may quote what somebody's code returned


class Layer(enum.IntEnum):
    """The kinds of checks, in the order in which they run. A learner sees the first that fails."""

    SHAPES = 1
    INPUTS = 2
    EXAMPLE = 3
    RANDOM = 4
    GRADIENTS = 5
    STABILITY = 6

    @property
    def title(self) -> str:
        """What the report calls it."""
        return _TITLES[self]


_TITLES = {
    Layer.SHAPES: "types and shapes",
    Layer.INPUTS: "inputs unchanged",
    Layer.EXAMPLE: "worked example",
    Layer.RANDOM: "random cases",
    Layer.GRADIENTS: "gradients",
    Layer.STABILITY: "numerical stability",
}


@dataclass(frozen=True)
class Check:
    """One check of an exercise.

    Attributes:
        name: of its function.
        title: its docstring, on one line.
        layer: which kind it is.
        points: what passing it is worth.
        run: raises :class:`CheckFailure` on what is wrong.
    """

    name: str
    title: str
    layer: Layer
    points: int
    run: Callable[[Any], None]


def check(layer: Layer, points: int = 1) -> Callable[[Callable[[Any], None]], Check]:
    """Make a function a check.

    Args:
        layer: which kind it is.
        points: what passing it is worth.

    Raises:
        ValueError: the function has no docstring.
    """

    def wrap(function: Callable[[Any], None]) -> Check:
        title = " ".join((function.__doc__ or "").split())
        if not title:
            raise ValueError(f"{function.__name__} needs a docstring: the report shows it")
        return Check(function.__name__, title, layer, points, function)

    return wrap


@dataclass
class CheckFailure(Exception):
    """What is wrong, on the smallest example that shows it.

    Attributes:
        says: what is wrong, a sentence.
        detail: lines that show it, such as received beside expected.
        given: the inputs that show it, by name.
        probably: what the mistake probably is, a sentence, or empty.
    """

    says: str
    detail: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    probably: str = ""

    def __str__(self) -> str:
        parts = [textwrap.fill(shorten(self.says, _SAID), WIDTH)]
        if self.given:
            parts.append(indent("given\n" + indent(show_given(self.given), 2), 2))
        if self.detail:
            parts.append(indent(self.detail, 2))
        if self.probably:
            parts.append(textwrap.fill(self.probably, WIDTH))
        return "\n\n".join(parts)
