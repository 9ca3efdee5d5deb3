"""The losses of every training in a run, step by step, read off as the training loops go."""

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from groundup.course.catalogue import Target
from groundup.course.mine import swap
from groundup.course.mine.swap import Function


@dataclass
class LossCurve:
    """The losses of one training; it is written as JSON.

    Attributes:
        began: seconds since the epoch; the trainings of several processes are put in order by it.
        timed: the clock decides how many steps it takes, so no two runs have the same curve.
        steps: their numbers.
        losses: in nats, one a step.
    """

    began: float
    timed: bool = False
    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def note(self, step: Any) -> None:
        """Add a step of a training loop, which has ``step`` and ``loss``."""
        self.steps.append(int(step.step))
        self.losses.append(float(step.loss))


def _optimize(library: Function, curves: list[LossCurve]) -> Function:
    def optimize(*args: Any, **kwargs: Any) -> Iterator[Any]:
        curve = LossCurve(time.time())
        curves.append(curve)
        for step in library(*args, **kwargs):
            curve.note(step)
            yield step

    return optimize


def _fit(library: Function, curves: list[LossCurve]) -> Function:
    signature = inspect.signature(library)

    def fit(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        curve = LossCurve(time.time(), bound.arguments["config"].seconds is not None)
        curves.append(curve)
        listener = bound.arguments.get("on_step")

        def on_step(step: Any) -> None:
            curve.note(step)
            if listener:
                listener(step)

        bound.arguments["on_step"] = on_step
        return library(*bound.args, **bound.kwargs)

    return fit


_LOOPS: dict[str, tuple[str, Callable[[Function, list[LossCurve]], Function]]] = {
    "groundup.scratch.trainer": ("optimize", _optimize),
    "groundup.train.loop": ("fit", _fit),
}
MODULES = frozenset(_LOOPS)


def record_losses(module: ModuleType, curves: list[LossCurve]) -> None:
    """Have a module of :data:`MODULES` add the curve of each of its trainings to a list."""
    name, make = _LOOPS[module.__name__]
    function = swap.find_function(module, Target(module.__name__, name))
    library = swap.copy_of(function)
    swap.replace(function, make(library, curves), shown=library)
