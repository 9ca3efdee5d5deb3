"""Two loss curves, the learner's and the library's, in a row of a table and in a figure."""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import zip_longest

from groundup.course.mine.losses import LossCurve

_APART = 0.01  # of the library's loss: more than rounding makes of equal functions for long
_PANELS = 6


def loss_rows(
    mine: Sequence[LossCurve], library: Sequence[LossCurve]
) -> list[tuple[str, str, str, str]]:
    """A row for each training: its steps, the ends of both curves, and how they compare.

    Args:
        mine: with the learner's functions.
        library: the same trainings on the library's; empty where there are none to compare with.
    """
    table = []
    for own, other in zip_longest(mine, library):
        steps, ends = f"{own.steps[-1]:,}", _ends(own.losses)
        if other is None:
            table.append((steps, ends, "", ""))
        elif own.timed:
            says = f"timed: {other.steps[-1]:,} steps there"
            table.append((steps, ends, _ends(other.losses), says))
        else:
            table.append((steps, ends, _ends(other.losses), _difference(own, other)))
    return table


def _difference(mine: LossCurve, library: LossCurve) -> str:
    """The first step at which two curves are further apart than rounding explains, in words."""
    most = 0.0
    for step, one, other in zip(mine.steps, mine.losses, library.losses, strict=False):
        away = _away(one, other)
        if away > _APART * abs(other):
            return f"part at step {step:,}: {one:.4g} and {other:.4g}"
        most = max(most, away)
    if len(mine.steps) != len(library.steps):
        return f"{len(library.steps):,} steps there"
    return f"at most {most:.1e} apart" if most else "equal at every step"


def _ends(losses: Sequence[float]) -> str:
    return f"{losses[0]:.4g} to {losses[-1]:.4g}"


def _away(one: float, other: float) -> float:
    """How far apart two losses are; infinitely, where one of them is not finite."""
    if math.isfinite(one) and math.isfinite(other):
        return abs(one - other)
    return 0.0 if str(one) == str(other) else math.inf


def draw_losses(mine: Sequence[LossCurve], library: Sequence[LossCurve]) -> None:
    """Save a figure of the curves and say where, if Matplotlib is installed."""
    if find_spec("matplotlib") is None:
        return
    from groundup.lab.plot import COLOURS, figure, show

    shown = list(zip_longest(mine, library))[:_PANELS]
    fig, axes = figure(1, len(shown), width=max(5.0, 2.8 * len(shown)), squeeze=False)
    for number, (axis, curves) in enumerate(zip(axes[0], shown, strict=True), 1):
        styles = (("yours", "-", COLOURS[0]), ("the library's", "--", COLOURS[1]))
        for curve, (label, line, colour) in zip(curves, styles, strict=True):
            if curve is not None:
                axis.plot(curve.steps, curve.losses, line, color=colour, label=label, linewidth=1)
        axis.set(title=f"training {number}", xlabel="step", yscale="log")
    axes[0][0].set_ylabel("loss (nats)")
    axes[0][0].legend()
    caption = "The loss with your functions" + (" over the library's own." if library else ".")
    show(fig, "your-code", caption)
