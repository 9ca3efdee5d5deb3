"""Two loss curves, the learner's and the library's, in words, in a line of text and in a figure."""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import zip_longest

from groundup.course.mine.losses import Training

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 48
_APART = 0.01  # of the library's loss: more than rounding makes of equal functions for long
_PANELS = 6


def rows(mine: Sequence[Training], own: Sequence[Training]) -> list[tuple[str, str, str, str]]:
    """A row for each training: its steps, the ends of both curves, and how they compare.

    Args:
        mine: with the learner's functions.
        own: the same trainings on the library's; empty where there are none to compare with.
    """
    table = []
    for training, other in zip_longest(mine, own):
        steps, ends = f"{training.steps[-1]:,}", _ends(training.losses)
        if other is None:
            table.append((steps, ends, "", ""))
        elif training.timed:
            says = f"timed: {other.steps[-1]:,} steps there"
            table.append((steps, ends, _ends(other.losses), says))
        elif not _common(training, other):
            table.append((steps, ends, _ends(other.losses), "no step in common"))
        else:
            _, losses, others = zip(*_common(training, other), strict=True)
            table.append((steps, _ends(losses), _ends(others), _difference(training, other)))
    return table


def drawing(mine: Sequence[Training], own: Sequence[Training], names: Sequence[str]) -> list[str]:
    """The curves of one training as text: of the first that parts, else of the first."""
    parted = (i for i, each in enumerate(own) if _parts(mine[i], each))
    index = next(parted, 0)
    curves = {"yours": mine[index].losses}
    if own:
        curves["the library's"] = own[index].losses
    scale = [loss for losses in curves.values() for loss in losses]
    which = f" of training {names[index]}" if len(mine) > 1 else ""
    lines = [f"The loss{which}, on a logarithmic scale:"]
    return lines + [f"  {name:<13}  {_spark(losses, scale)}" for name, losses in curves.items()]


def _common(mine: Training, own: Training) -> list[tuple[int, float, float]]:
    """The steps that both have, with both losses: a tour's record holds every tenth."""
    theirs = dict(zip(own.steps, own.losses, strict=True))
    pairs = zip(mine.steps, mine.losses, strict=True)
    return [(step, loss, theirs[step]) for step, loss in pairs if step in theirs]


def _parts(mine: Training, own: Training) -> tuple[int, float, float] | None:
    """The first step at which two curves are further apart than rounding explains."""
    pairs = [] if mine.timed else _common(mine, own)
    return next((p for p in pairs if _away(p[1], p[2]) > _APART * abs(p[2])), None)


def _difference(mine: Training, own: Training) -> str:
    parted = _parts(mine, own)
    if parted is not None:
        step, loss, other = parted
        return f"part at step {step:,}: {loss:.4g} and {other:.4g}"
    most = max(_away(loss, other) for _, loss, other in _common(mine, own))
    return f"at most {most:.1e} apart" if most else "equal at every step"


def _ends(losses: Sequence[float]) -> str:
    return f"{losses[0]:.4g} to {losses[-1]:.4g}"


def _away(one: float, other: float) -> float:
    """How far apart two losses are; infinitely, where one of them is no finite number."""
    if math.isfinite(one) and math.isfinite(other):
        return abs(one - other)
    return 0.0 if str(one) == str(other) else math.inf


def _spark(losses: Sequence[float], scale: Sequence[float]) -> str:
    """A curve in one line of text, on the logarithmic scale of all losses given."""
    heights = [_log(loss) for loss in scale if math.isfinite(loss)] or [0.0]
    low, span = min(heights), (max(heights) - min(heights)) or 1.0
    cells = min(_WIDTH, len(losses))
    text = ""
    for cell in range(cells):
        part = losses[cell * len(losses) // cells : (cell + 1) * len(losses) // cells]
        mean = sum(part) / len(part)
        top = len(_BLOCKS) - 1
        text += _BLOCKS[round(top * (_log(mean) - low) / span)] if math.isfinite(mean) else "?"
    return text


def _log(loss: float) -> float:
    return math.log(max(loss, 1e-12))


def draw(mine: Sequence[Training], own: Sequence[Training], names: Sequence[str]) -> None:
    """Save a figure of the curves and say where, if Matplotlib is installed."""
    if find_spec("matplotlib") is None:
        return
    from groundup.lab.plot import COLOURS, figure, show

    shown = list(zip_longest(mine, own))[:_PANELS]
    fig, axes = figure(1, len(shown), width=max(5.0, 2.8 * len(shown)), squeeze=False)
    for name, axis, curves in zip(names, axes[0], shown, strict=False):
        styles = (("yours", "-", COLOURS[0]), ("the library's", "--", COLOURS[1]))
        for training, (label, line, colour) in zip(curves, styles, strict=True):
            if training is not None:
                axis.plot(
                    training.steps, training.losses, line, color=colour, label=label, linewidth=1
                )
        axis.set(title=f"training {name}", xlabel="step", yscale="log")
    axes[0][0].set_ylabel("loss (nats)")
    axes[0][0].legend()
    caption = "The loss with your functions" + (" over the library's own." if own else ".")
    show(fig, "your-code", caption)
