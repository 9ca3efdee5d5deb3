"""Is a backward pass the derivative of its forward pass? Asked by central differences."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundup.scratch.types import Array

_FLOOR = 1e-2


@dataclass(frozen=True)
class GradientError:
    """How far one input's gradient is from the differences, and where it is worst.

    Attributes:
        name: which input.
        relative: norm of the difference over the larger norm of the two.
        index: the entry that is furthest off.
        received: the backward pass's value there.
        expected: the central difference there.
    """

    name: str
    relative: float
    index: tuple[int, ...]
    received: float
    expected: float

    def __str__(self) -> str:
        return (
            f"d{self.name}: relative error {self.relative:.1e}; worst at {list(self.index)}: "
            f"received {self.received:.6g}, expected {self.expected:.6g}"
        )


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
        ValueError: x is not float64.
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
) -> list[GradientError]:
    """Compare ``backward`` with central differences of ``forward``, input by input.

    The output is contracted with a fixed random array, so that one scalar sees all of it.

    Args:
        forward: called as ``forward(**inputs)``; returns (y, cache).
        backward: called as ``backward(dy, cache)``; returns one gradient for each input, in
            order (a lone array for a single input).
        inputs: float64 arrays, all of them differentiable.
        rng: draws the random contraction.
        h: see :func:`numerical_gradient`.

    Returns:
        One :class:`GradientError` for each input. Below 1e-7 is right; a wrong rule is usually
        above 1e-2.

    Raises:
        ValueError: a gradient is missing or has another shape than its input.
    """
    y, cache = forward(**inputs)
    dy = rng.normal(size=np.shape(y))
    received = backward(dy, cache)
    grads = received if isinstance(received, tuple) else (received,)
    if len(grads) != len(inputs):
        raise ValueError(f"{len(inputs)} inputs need as many gradients: got {len(grads)}")
    errors = []
    for (name, x), gradient in zip(inputs.items(), grads, strict=True):
        if np.shape(gradient) != x.shape:
            raise ValueError(f"d{name} must have shape {x.shape}: got {np.shape(gradient)}")
        expected = numerical_gradient(lambda: float((forward(**inputs)[0] * dy).sum()), x, h)
        errors.append(compare(name, gradient, expected))
    return errors


def compare(name: str, received: Array, expected: Array) -> GradientError:
    """Relative error of two gradients by norm, with the entry where they differ most.

    Norms below 0.01 count as 0.01: a gradient that is zero must not fail on the rounding noise of
    its differences, and an error of 1e-9 is still above the tolerance of 1e-7.
    """
    difference = np.abs(received - expected)
    # Where the true gradient is zero, the differences are rounding noise near 1e-10.
    scale = max(float(np.linalg.norm(received)), float(np.linalg.norm(expected)), _FLOOR)
    worst = np.unravel_index(
        int(np.nanargmax(np.nan_to_num(difference, nan=np.inf))), np.shape(difference)
    )
    index = tuple(int(i) for i in worst)
    return GradientError(
        name,
        float(np.linalg.norm(difference)) / scale,
        index,
        float(received[index]),
        float(expected[index]),
    )
