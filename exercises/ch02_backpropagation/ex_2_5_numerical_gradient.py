# Stub dcd9a3da3f08: yours to edit. It is never written over unasked.
"""Exercise 2.5, The gradient checker.

Write the body of ``numerical_gradient``, then run
``groundup check 2.5``.
"""

from collections.abc import Callable

import numpy as np

from groundup.scratch.types import Array


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
    raise NotImplementedError("2.5")
