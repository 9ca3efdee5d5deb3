"""Is a backward pass the derivative of its forward pass? Asked by central differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundup.scratch.types import Array, IntArray

TOLERANCE = 1e-7
"""Relative errors below this are right: in float64 the differences themselves are off by 1e-9."""

_FLOOR = 1e-2


@dataclass(frozen=True)
class GradientError:
    """How far one input's gradient is from the differences, and where it is worst.

    Attributes:
        name: which input.
        relative: norm of the difference over the larger norm of the two; infinity where either
            holds NaN or infinity.
        index: the entry that is furthest off; of an array checked by
            :func:`compare_directions`, one that is off.
        received: the backward pass's value there.
        expected: the central difference there.
        slopes: of an array checked by :func:`compare_directions`, the received and the expected
            slope along the worst direction.
    """

    name: str
    relative: float
    index: tuple[int, ...]
    received: float
    expected: float
    slopes: tuple[float, float] | None = None

    def __str__(self) -> str:
        text = (
            f"d{self.name}: relative error {self.relative:.1e}; worst at {list(self.index)}: "
            f"received {self.received:.6g}, expected {self.expected:.6g}"
        )
        if self.slopes is None:
            return text
        received, expected = self.slopes
        return f"{text}; worst direction: received {received:.6g}, expected {expected:.6g}"


def numerical_gradient(f: Callable[[], float], x: Array, h: float = 1e-5) -> Array:
    """Central differences of a scalar function with respect to every entry of x.

    Args:
        f: reads x, returns a number; x is changed in place around each call and put back.
        x: float64 array. In float32 the differences would be rounding noise.
        h: half the distance of the two points. The truncation error falls with h², the rounding
            error grows with 1/h; in float64 they meet near 1e-5.

    Returns:
        The gradient, the shape of x.

    Raises:
        ValueError: x is not float64; f is not called then.
    """
    if x.dtype != np.float64:
        raise ValueError(f"gradients are checked in float64: got {x.dtype}")
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = f()
        x[index] = kept - h
        below = f()
        x[index] = kept
        gradient[index] = (above - below) / (2 * h)
    return gradient


def check_gradients(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., Any],
    inputs: dict[str, Array],
    rng: np.random.Generator,
    h: float = 1e-5,
    entries: int = 512,
) -> list[GradientError]:
    """Compare ``backward`` with central differences of ``forward``, input by input.

    The output is contracted with a fixed random array, so that one scalar sees all of it.

    Args:
        forward: called as ``forward(**inputs)``; returns (y, cache), the same each time.
        backward: called as ``backward(dy, cache)``; returns one gradient for each input, in
            order (a lone array for a single input).
        inputs: float64 arrays, all of them differentiable.
        rng: draws the random contraction, and directions.
        h: see :func:`numerical_gradient`.
        entries: an input with more than so many is checked by :func:`compare_directions`, which
            costs the same for any size.

    Returns:
        One :class:`GradientError` for each input. Below 1e-7 is right; a wrong rule is usually
        above 1e-2.

    Raises:
        ValueError: a gradient is missing or has another shape than its input, there is nothing to
            compare, an input is changed in place, or a step of h does not move it.
    """
    copies = {name: x.copy() for name, x in inputs.items()}
    y, cache = forward(**copies)
    dy = rng.normal(size=np.shape(y))
    received = backward(dy.copy(), cache)  # a backward that writes into dy must not change ours
    grads = received if isinstance(received, tuple) else (received,)
    _require_something_to_check(inputs, copies, dy, grads, h)

    def weighed() -> float:
        return float((forward(**inputs)[0] * dy).sum())

    errors = []
    for (name, x), gradient in zip(inputs.items(), grads, strict=True):
        if x.size > entries:
            errors.append(compare_directions(name, gradient, weighed, x, rng, h=h))
        else:
            errors.append(compare(name, gradient, numerical_gradient(weighed, x, h)))
    return errors


def compare(name: str, received: Array, expected: Array) -> GradientError:
    """Relative error of two gradients by norm, with the entry where they differ most.

    Norms below 0.01 count as 0.01: a gradient that is zero must not fail on the rounding noise of
    its differences, and an error of 1e-9 is still above the tolerance of 1e-7.

    Raises:
        ValueError: the shapes differ, or there is no entry.
    """
    if np.shape(received) != np.shape(expected) or not np.size(expected):
        raise ValueError(
            f"d{name}: two arrays of one shape with entries can be compared: got "
            f"{np.shape(received)} and {np.shape(expected)}"
        )
    with np.errstate(invalid="ignore"):  # infinity less infinity; it is named below
        difference = np.abs(received - expected)
    worst = np.unravel_index(_furthest(difference), np.shape(difference))
    index = tuple(int(i) for i in worst)
    norms = (float(np.linalg.norm(each)) for each in (difference, received, expected))
    return GradientError(
        name, _relative(*norms), index, float(received[index]), float(expected[index])
    )


def compare_directions(
    name: str,
    received: Array,
    f: Callable[[], float],
    x: Array,
    rng: np.random.Generator,
    directions: int = 16,
    h: float = 1e-5,
) -> GradientError:
    r"""Compare a gradient with central differences of f along random directions.

    One entry at a time would call f twice for each. This calls it twice for each direction, and
    four times for each halving of x.

    With :math:`e` the error of the gradient and each entry of the direction :math:`v` at random
    1 or -1, received and expected slope differ by :math:`e \cdot v`, whose mean square is
    :math:`\|e\|^2`. So the root mean square over the directions estimates the norm that
    :func:`compare` computes, and an error in a single entry shows in every direction, in full.
    Several can cancel. But whatever the other signs are, one of the two signs of the largest error
    leaves a difference at least as large as it: the chance that none of n directions shows that
    much is at most :math:`2^{-n}`. What is small beside the norm stays unseen, as in
    :func:`compare`.

    All entries move at once, and what they feed moves further than by one of them: keep kinks, such
    as that of ReLU, further away than for :func:`compare`.

    The entry that is named is found by halving: of the worst direction the half whose two slopes
    differ more, then the half of that half. It is one that is wrong, if any is, and the only one
    if there is but one.

    Args:
        name: of the input.
        received: the gradient.
        f: reads x, returns a number, the same each time; x is put back.
        x: float64, the shape of ``received``.
        rng: draws the directions.
        directions: how many.
        h: how far each entry is moved, see :func:`numerical_gradient`.

    Raises:
        ValueError: the shapes differ, x has no entry, or there is no direction.
    """
    if np.shape(received) != x.shape or not x.size or directions < 1:
        raise ValueError(
            f"d{name}: a gradient (of shape {np.shape(received)}) of an x with entries (of shape "
            f"{x.shape}) can be compared, along at least one direction: got {directions}"
        )
    v = rng.choice((-1.0, 1.0), size=(directions, x.size))
    slopes = np.array([_slopes(received, f, x, np.arange(x.size), each, h) for each in v])
    gaps = slopes[:, 0] - slopes[:, 1]
    worst = _furthest(gaps)
    part = np.arange(x.size)
    while part.size > 1:
        halves = np.array_split(part, 2)
        both = [_slopes(received, f, x, half, v[worst, half], h) for half in halves]
        part = halves[_furthest(np.array([a - b for a, b in both]))]
    at_entry = _slopes(received, f, x, part, np.ones(1), h)
    gap, slope = (float(np.sqrt(np.mean(each**2))) for each in (gaps, slopes[:, 1]))
    return GradientError(
        name,
        _relative(gap, float(np.linalg.norm(received)), slope),
        tuple(int(i) for i in np.unravel_index(part[0], x.shape)),
        *at_entry,
        slopes=(float(slopes[worst, 0]), float(slopes[worst, 1])),
    )


def report(errors: Sequence[GradientError], tolerance: float = TOLERANCE) -> str:
    """What :func:`check_gradients` found, a line an input; the last line names the worst entry.

    Raises:
        ValueError: nothing was checked.
    """
    if not errors:
        raise ValueError("there is nothing to report: no gradient was checked")
    width = max(len(error.name) for error in errors)
    lines = [
        f"d{error.name:<{width}}  {error.relative:.1e}  "
        f"{'right' if error.relative < tolerance else 'wrong'}"
        for error in errors
    ]
    return "\n".join([*lines, str(max(errors, key=lambda error: error.relative))])


def _relative(difference: float, *norms: float) -> float:
    # Where the true gradient is zero, the differences are rounding noise near 1e-10.
    relative = difference / max(*norms, _FLOOR)
    return relative if np.isfinite([difference, *norms]).all() else float("inf")


def _slopes(
    received: Array, f: Callable[[], float], x: Array, part: IntArray, v: Array, h: float
) -> tuple[float, float]:
    """Received and expected slope along v, when the entries numbered ``part`` move and no other."""
    start, t = x.flat[part], np.zeros(1)  # x goes to x + t v: a function of one number

    def moved() -> float:
        x.flat[part] = start + t * v
        return f()

    expected = numerical_gradient(moved, t, h)[0]
    x.flat[part] = start
    return float(received.flat[part] @ v), float(expected)


def _furthest(gaps: Array) -> int:
    """The number of the largest; NumPy takes NaN for larger than any."""
    return int(np.argmax(np.abs(gaps)))


def _require_something_to_check(
    inputs: dict[str, Array], copies: dict[str, Array], dy: Array, grads: tuple[Any, ...], h: float
) -> None:
    """Refuse what would pass unseen: no numbers to compare, or a comparison with changed ones."""
    if not inputs or not dy.size or not all(x.size for x in inputs.values()):
        shapes = {name: x.shape for name, x in inputs.items()}
        raise ValueError(f"there is nothing to check: inputs {shapes}, output {dy.shape}")
    if len(grads) != len(inputs):
        raise ValueError(f"{len(inputs)} inputs need as many gradients: got {len(grads)}")
    for (name, x), gradient in zip(inputs.items(), grads, strict=True):
        if np.shape(gradient) != x.shape:
            raise ValueError(f"d{name} must have shape {x.shape}: got {np.shape(gradient)}")
        if x.dtype != np.float64:
            raise ValueError(f"gradients are checked in float64: got {name} in {x.dtype}")
        if not ((x - h < x) & (x < x + h)).all():
            raise ValueError(f"a step of h={h} does not move every entry of {name}")
        if not np.array_equal(x, copies[name]):
            raise ValueError(f"forward or backward changes {name} in place")
