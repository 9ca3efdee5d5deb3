"""Where a result differs from the library's by more than rounding."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises.formatting import as_array, side_by_side
from groundup.course.exercises.tolerances import ROUNDING, difference, kind, largest, precision

RESULT = "the result"


@dataclass(frozen=True)
class TensorDifference:
    """How one tensor compares.

    Attributes:
        what: which one, such as ``part 2 of 3``.
        error: the largest difference, relative to the library's largest entry.
        text: if it differs by more than rounding, how; empty if not.
    """

    what: str
    error: float
    text: str = ""


@dataclass
class Comparison:
    """Compares what a function gave with what the library's gave.

    Attributes:
        coarse: the coarsest floating-point type that went in; see :func:`coarsest`.
        visited: objects that were compared already, by id.
    """

    coarse: str
    visited: set[int] = field(default_factory=set)

    def run(self, got: Any, wanted: Any, what: str) -> Iterator[TensorDifference]:
        """Compare tensor by tensor, in their order.

        Args:
            got: the learner's.
            wanted: the library's.
            what: a name for the whole.
        """
        array = as_array(wanted)
        if array is not None:
            yield self._tensor(got, wanted, array, what)
            return
        alike = _is_sequence(got) and _is_sequence(wanted)
        if not (alike or type(got) is type(wanted)) or _length(got) != _length(wanted):
            yield _unlike(got, wanted, what)
            return
        if id(wanted) in self.visited:
            return
        self.visited.add(id(wanted))
        mine = dict(_items(got))
        for key, item in _items(wanted):
            name = f"{what}.{key}" if hasattr(wanted, "__dict__") else f"{what}[{key!r}]"
            if what == RESULT and isinstance(wanted, tuple):
                name = f"part {key + 1} of {len(wanted)}"
            if key in mine:
                yield from self.run(mine[key], item, name)
            else:
                yield TensorDifference(name, np.inf, "is missing")

    def _tensor(self, got: Any, wanted: Any, array: NDArray[Any], what: str) -> TensorDifference:
        own = as_array(got)
        if own is None or own.shape != array.shape or _kind(got) != _kind(wanted):
            return _unlike(got, wanted, what)
        with np.errstate(all="ignore"):
            away = largest(own - array.astype(np.result_type(array, np.float64)))
        error = away / (largest(array) or 1.0)
        rounding = self.coarse if array.dtype.kind == "f" else ""
        index = difference(own, array, rounding, floor=0.0)
        if index is None:
            return TensorDifference(what, error)
        return TensorDifference(
            what, error, side_by_side(own, array, index, names=("yours", "the library's"))
        )


def coarsest(values: Any) -> str:
    """The coarsest floating-point type of the arrays and tensors in nested containers."""
    found = {precision(leaf) for leaf in _leaves(values)} - {""}
    return max(found or {"float64"}, key=lambda name: ROUNDING[name])


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list | tuple):
        for _, item in _items(value):
            yield from _leaves(item)
    else:
        yield value


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a container or an object holds, by key, index or name."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif not isinstance(value, type | FunctionType | ModuleType):
        yield from getattr(value, "__dict__", {}).items()


def _length(value: Any) -> int:
    return len(value) if isinstance(value, dict | list | tuple) else 0


def _is_sequence(value: Any) -> bool:
    return type(value) in (list, tuple)


def _kind(value: Any) -> str:
    """What a tensor is. A number is a number, whether Python's or NumPy's."""
    if isinstance(value, int | float | np.generic) or _is_scalar_array(value):
        return "a number"
    return f"{_name(value)} of {kind(value)}"


def _is_scalar_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not value.shape


def _name(value: Any) -> str:
    names = {"ndarray": "a NumPy array", "NoneType": "None"}
    # A copy of a parameter is a plain tensor.
    names |= dict.fromkeys(("Tensor", "Parameter"), "a torch tensor")
    kind = type(value).__name__
    return names.get(kind, f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}")


def _unlike(got: Any, wanted: Any, what: str) -> TensorDifference:
    return TensorDifference(
        what, np.inf, f"yours is {_describe(got)}, the library's {_describe(wanted)}"
    )


def _describe(value: Any) -> str:
    if as_array(value) is None:
        parts = f" of {len(value)} parts" if isinstance(value, list | tuple) else ""
        return _name(value) + parts
    shape = tuple(getattr(value, "shape", ()))
    return f"{_kind(value)}, shape {shape}" if shape else _kind(value)
