"""What checks say of a learner's results: each function here passes, or raises CheckFailure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.checks import CheckFailure
from groundup.course.show import as_array, first_difference, show, side_by_side
from groundup.scratch.gradcheck import numerical_gradient

# Relative and absolute; a few hundred roundings of the type, for sums of a few hundred terms.
_TOLERANCE = {"float64": (1e-9, 1e-12), "float32": (1e-4, 1e-6)}


def parts(received: Any, names: Sequence[str], probably: str = "") -> None:
    """The result is a tuple with these parts."""
    wanted = f"a tuple ({', '.join(names)})"
    if received is None:
        raise CheckFailure(f"The result is None, not {wanted}. Is a return missing?")
    if not isinstance(received, tuple):
        raise CheckFailure(f"The result is {_kind(received)}, not {wanted}.", probably=probably)
    if len(received) != len(names):
        says = f"The result has {len(received)} parts, not {len(names)}: {', '.join(names)}."
        raise CheckFailure(says, probably=probably)


def array(
    received: Any, *, like: Any, shape: tuple[int, ...], what: str, probably: str = ""
) -> None:
    """An array of the given shape, of the same kind and dtype as ``like``.

    Args:
        received: what the learner's function returned.
        like: an input, a NumPy array or a torch tensor.
        shape: the right shape.
        what: a name for it that begins a sentence.
        probably: what the mistake probably is.
    """
    if type(received) is not type(like):
        hint = " Is a return missing?" if received is None else ""
        raise CheckFailure(f"{what} is {_kind(received)}, not {_kind(like)}.{hint}")
    if tuple(received.shape) != shape:
        says = f"{what} has shape {tuple(received.shape)}, not {shape}."
        raise CheckFailure(says, probably=probably)
    if received.dtype != like.dtype:
        raise CheckFailure(f"{what} is {received.dtype}, and the input is {like.dtype}.")


def number(received: Any, *, what: str, probably: str = "") -> None:
    """A plain number: a float, or an array without dimensions."""
    value = as_array(received)
    if value is None:
        hint = " Is a return missing?" if received is None else ""
        raise CheckFailure(f"{what} is {_kind(received)}, not a number.{hint}", probably=probably)
    if value.shape:
        raise CheckFailure(f"{what} has shape {value.shape}, and is no number.", probably=probably)


def close(
    received: Any,
    expected: Any,
    *,
    what: str,
    given: Mapping[str, Any] | None = None,
    probably: str = "",
) -> None:
    """Received equals expected, within the rounding of the type that was received.

    Args:
        received: a number, an array or a tensor.
        expected: the same, from a source other than the library.
        what: a name for it that begins a sentence.
        given: the inputs, by name, as they are to be shown.
        probably: what the mistake probably is.
    """
    dtype = str(getattr(received, "dtype", "float64")).removeprefix("torch.")
    rtol, atol = _TOLERANCE.get(dtype, (0.0, 0.0))
    _close(received, expected, what, given, probably, rtol, atol)


def gradient(
    received: Any,
    of: Callable[[NDArray[Any]], float],
    at: NDArray[Any],
    *,
    what: str,
    given: Mapping[str, Any] | None = None,
    probably: str = "",
) -> None:
    """Received is the gradient of a scalar function, by central differences.

    Args:
        received: the gradient that the learner's backward pass returned.
        of: the function, such as the learner's forward pass.
        at: float64, where the gradient is taken.
        what: a name for the gradient that begins a sentence.
        given: the inputs, by name, as they are to be shown.
        probably: what the mistake probably is.
    """
    point = at.copy()
    expected = numerical_gradient(lambda: float(of(point)), point)
    # The differences themselves are right to about 1e-9; a wrong rule is off by percents.
    _close(received, expected, what, given, probably, 1e-5, 1e-7)


@contextmanager
def unchanged(**inputs: Any) -> Iterator[None]:
    """The named arrays are the same after the block as before it."""
    before = {name: np.array(as_array(value)) for name, value in inputs.items()}
    yield
    for name, value in inputs.items():
        after = as_array(value)
        assert after is not None
        if after.shape != before[name].shape:
            says = f"{name} has changed its shape, from {before[name].shape} to {after.shape}."
            raise CheckFailure(says)
        index = first_difference(after, before[name], 0.0, 0.0)
        if index is not None:
            raise CheckFailure(
                f"{name} is changed in place. The caller still needs it.",
                detail=side_by_side(after, before[name], index, ("after", "before")),
                probably="Operators such as -= and /=, and assignments to x[...], write into the "
                "array that was passed. Make a new one: x = x - 1.",
            )


@contextmanager
def raises(
    error: type[Exception], when: str, given: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """The block raises this error.

    Args:
        error: the error's class.
        when: what is wrong with the input, to follow "when".
        given: the inputs, by name, as they are to be shown.
    """
    try:
        yield
    except error:
        return
    except NotImplementedError:
        raise
    except Exception as other:
        kind = type(other).__name__
        says = f"{kind} is raised, and should be {error.__name__}, when {when}."
        raise CheckFailure(says, f"{kind}: {other}", given or {}) from None
    raise CheckFailure(f"No {error.__name__} is raised when {when}.", given=given or {})


def _close(
    received: Any,
    expected: Any,
    what: str,
    given: Mapping[str, Any] | None,
    probably: str,
    rtol: float,
    atol: float,
) -> None:
    got, wanted = as_array(received), as_array(expected)
    assert wanted is not None
    shown = dict(given or {})
    if got is None:
        raise CheckFailure(f"{what} is {_kind(received)}, not {show(expected)}.", given=shown)
    if got.shape != wanted.shape:
        says = f"{what} has shape {got.shape}, not {wanted.shape}."
        raise CheckFailure(says, given=shown, probably=probably)
    index = first_difference(got, wanted, rtol, atol)
    if index is not None:
        detail = side_by_side(got, wanted, index)
        raise CheckFailure(f"{what} is wrong.", detail, shown, probably)


def _kind(value: Any) -> str:
    names = {"ndarray": "a NumPy array", "Tensor": "a torch tensor", "NoneType": "None"}
    name = type(value).__name__
    return names.get(name, f"{'an' if name[0] in 'aeiou' else 'a'} {name}")
