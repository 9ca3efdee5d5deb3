"""What checks say of a learner's results: each function here passes, or raises CheckFailure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import check_context
from groundup.course.exercises.checks import CheckFailure
from groundup.course.exercises.conditional_sentences import relevant, without_claims
from groundup.course.exercises.formatting import as_array, show, side_by_side
from groundup.course.exercises.tolerances import (
    difference,
    first_beyond,
    is_coarser,
    kind,
    largest,
    precision,
)

# Central differences of fourth order: with this step, what the formula leaves out (h⁴/30 of the
# fifth derivative) and what rounding adds (1e-16/h) are both near 1e-13 where values are near 1.
_STEP = 1e-3
_STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
# Relative to the entry, and to the largest: less than the 6e-8 that float32 would cost.
_DIFFERENCES = (1e-9, 1e-10)


def fail(
    says: str, detail: str = "", given: Mapping[str, Any] | None = None, probably: str = ""
) -> None:
    """Say that something is wrong.

    Args:
        says: what, a sentence.
        detail: lines that show it.
        given: the inputs, by name, as they are to be shown.
        probably: what the mistake probably is.

    Raises:
        CheckFailure: with all of them.
    """
    if not check_context.current().ignores_failures:
        raise CheckFailure(says, detail, given or {}, probably)


def parts(received: Any, names: Sequence[str], probably: str = "") -> None:
    """The result is a tuple, or a list, with these parts."""
    wanted = f"a tuple ({', '.join(names)})"
    if received is None:
        fail(f"The result is None, not {wanted}. Is a return missing?")
    elif not isinstance(received, tuple | list):
        fail(f"The result is {_named(received)}, not {wanted}.", probably=probably)
    elif len(received) != len(names):
        says = f"The result has {len(received)} parts, not {len(names)}: {', '.join(names)}."
        fail(says, probably=probably)


def array(
    received: Any,
    *,
    like: Any,
    shape: tuple[int, ...],
    what: str,
    probably: str = "",
    exact: bool = False,
) -> None:
    """An array of the given shape, of the same kind and dtype as ``like``.

    Whole numbers may be of any width, and a torch parameter is a tensor.

    Args:
        received: what the learner's function returned.
        like: an input, a NumPy array or a torch tensor.
        shape: the right shape.
        what: a name for it that begins a sentence.
        probably: what the mistake probably is.
        exact: whole numbers must have the width of ``like`` too, because other code needs it.
    """
    if not isinstance(received, type(like)):
        hint = " Is a return missing?" if received is None else ""
        fail(f"{what} is {_named(received)}, not {_named(like)}.{hint}")
    elif tuple(received.shape) != shape:
        says = f"{what} has shape {tuple(received.shape)}, not {shape}."
        fail(says, probably=probably)
    elif kind(received) != kind(like) or (exact and received.dtype != like.dtype):
        fail(f"{what} is {received.dtype}, and should be {like.dtype}.")


def number(received: Any, *, what: str, probably: str = "") -> None:
    """A plain number: a float, or an array without dimensions."""
    value = as_array(received)
    if value is None:
        hint = " Is a return missing?" if received is None else ""
        fail(f"{what} is {_named(received)}, not a number.{hint}", probably=probably)
    elif value.shape:
        says = f"{what} has shape {value.shape}, and should be one number."
        fail(says, probably=probably)


def close(
    received: Any,
    expected: Any,
    *,
    what: str,
    given: Mapping[str, Any] | None = None,
    probably: str = "",
    like: Any = None,
    also: Sequence[Any] = (),
) -> None:
    """Received equals expected, within the rounding of the type that is expected.

    Args:
        received: a number, an array or a tensor.
        expected: the same, from a source other than the library.
        what: a name for it that begins a sentence.
        given: the inputs, by name, as they are to be shown.
        probably: what the mistake probably is. A sentence *If you have 0.5 at [0, 1], …* is shown
            only to someone who has that.
        like: an input, if its type is another than that of ``expected``, such as float32.
        also: other values that are right.
    """
    if check_context.current().ignores_failures:
        return
    rounding = precision(expected if like is None else like)
    if not rounding and precision(received):  # whole numbers are expected of a function of floats
        rounding = "float64"
    _precise(received, rounding, what, given)
    got = as_array(received)
    for other in also:
        wanted = as_array(other)
        same_shape = got is not None and wanted is not None and got.shape == wanted.shape
        if same_shape and difference(got, wanted, rounding) is None:  # type: ignore[arg-type]
            return
    _close(received, expected, what, given, probably, lambda a, b: difference(a, b, rounding))


def gradient(
    received: Any,
    of: Callable[[NDArray[Any]], float],
    at: NDArray[Any],
    *,
    what: str,
    given: Mapping[str, Any] | None = None,
    probably: str = "",
) -> None:
    """Received is the gradient of a scalar function, by central differences of fourth order.

    It finds numbers that passed through float32. The function must be smooth within 0.002 of the
    point.

    Args:
        received: the gradient that the learner's backward pass returned.
        of: the function, such as the learner's forward pass.
        at: float64, where the gradient is taken.
        what: a name for the gradient that begins a sentence.
        given: the inputs, by name, as they are to be shown.
        probably: what the mistake probably is.
    """
    if check_context.current().ignores_failures:
        return
    _precise(received, "float64", what, given)
    expected = _slopes(of, at)
    rtol, share = _DIFFERENCES
    atol = share * max(largest(expected), 1.0)
    _close(received, expected, what, given, probably, lambda a, b: first_beyond(a, b, rtol, atol))


def repeatable_backward(
    backward: Callable[[], Any],
    other_forward: Callable[[], Any],
    names: Sequence[str],
    given: Mapping[str, Any],
) -> None:
    """A cache stays good: a backward pass gives the same after another forward pass.

    Args:
        backward: the learner's, over one cache; it returns a tuple of gradients.
        other_forward: the learner's, on other inputs, after the first backward pass.
        names: of the gradients.
        given: the inputs, by name, as they are to be shown.
    """
    alone = backward()
    other_forward()
    after = backward()
    for each in (alone, after):
        parts(each, names)
    for name, received, expected in zip(names, after, alone, strict=True):
        close(
            received,
            expected,
            what=f"{name}, taken once more after another forward pass,",
            given=given,
            probably="The expected numbers are your own, from before that pass. All that the "
            "backward pass needs must be in the cache that it is given, and must stay as it is.",
        )


@contextmanager
def unchanged(**inputs: Any) -> Iterator[None]:
    """The named arrays are the same after the block as before it."""
    before = {name: np.array(as_array(value)) for name, value in inputs.items()}
    yield
    if check_context.current().ignores_failures:
        return
    for name, value in inputs.items():
        after = as_array(value)
        assert after is not None
        if after.shape != before[name].shape:
            says = f"{name} has changed its shape, from {before[name].shape} to {after.shape}."
            raise CheckFailure(says)
        index = first_beyond(after, before[name], 0.0, 0.0)
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
        with check_context.during(expects_error=True):
            yield
    except error:
        return
    except (NotImplementedError, CheckFailure):
        raise
    except Exception as other:
        name = type(other).__name__
        says = f"{name} is raised, and should be {error.__name__}, when {when}."
        return fail(says, f"{name}: {other}", given)
    fail(f"No {error.__name__} is raised when {when}.", given=given)


def _slopes(of: Callable[[NDArray[Any]], float], at: NDArray[Any]) -> NDArray[Any]:
    slopes = np.zeros(at.shape)
    with check_context.during(differentiates=True):
        for index in np.ndindex(at.shape):
            for steps, weight in _STENCIL:
                point = at.copy()
                point[index] += steps * _STEP
                slopes[index] += weight * float(of(point))
    return slopes / _STEP


def _precise(received: Any, rounding: str, what: str, given: Mapping[str, Any] | None) -> None:
    """A floating-point result holds all the digits that it should."""
    found = precision(received)
    if rounding and found and is_coarser(found, rounding):
        fail(
            f"{what} is {found}, and should be {rounding}, as the inputs are.",
            given=given,
            probably="A number that was float32 once has lost half of its digits. Make new arrays "
            "with the dtype of an input: np.zeros_like(x), or np.zeros(shape, x.dtype).",
        )


def _close(
    received: Any,
    expected: Any,
    what: str,
    given: Mapping[str, Any] | None,
    probably: str,
    differ: Callable[[NDArray[Any], NDArray[Any]], tuple[int, ...] | None],
) -> None:
    got, wanted = as_array(received), as_array(expected)
    assert wanted is not None
    if got is None:
        raise CheckFailure(f"{what} is {_named(received)}, not {show(expected)}.", "", given or {})
    if got.shape != wanted.shape:
        says = f"{what} has shape {got.shape}, not {wanted.shape}."
        raise CheckFailure(says, "", given or {}, without_claims(probably))
    index = differ(got, wanted)
    if index is not None:
        detail = side_by_side(got, wanted, index)
        told = relevant(probably, got, index)
        raise CheckFailure(f"{what} is wrong.", detail, given or {}, told)


def _named(value: Any) -> str:
    names = {"ndarray": "a NumPy array", "Tensor": "a torch tensor", "NoneType": "None"}
    name = type(value).__name__
    return names.get(name, f"{'an' if name[0] in 'aeiou' else 'a'} {name}")
