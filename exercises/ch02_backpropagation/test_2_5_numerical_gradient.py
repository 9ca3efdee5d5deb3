"""The checks of exercise 2.5, the gradient by central differences."""

import math
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

Array = NDArray[Any]


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """the gradient is a float64 array of the shape of x"""
    for shape in ((3,), (2, 3), (2, 1, 2), ()):
        x = np.ones(shape)
        expect.array(
            own.numerical_gradient(lambda x=x: float(x.sum()), x),
            like=x,
            shape=shape,
            what="The gradient",
        )


@check(Layer.INPUTS)
def test_put_back(own: Any) -> None:
    """every entry of x is put back, to the last bit"""
    x = np.array([0.1, 1 / 3, 0.7, math.sqrt(2)])
    before = x.copy()
    own.numerical_gradient(lambda: float(x.sum()), x)
    off = np.abs(x - before).max()
    if off != 0:
        expect.fail(
            f"x is not put back: after the call an entry is off by {off:.0e}.",
            given={"x": before, "h": 1e-5},
            probably="An entry may be changed, but f and the caller still need the old one. If it "
            "is off by about h, nothing puts it back. If it is off by about 1e-16, you added and "
            "subtracted h, and each of these steps rounds: keep the old value and assign it.",
        )


@check(Layer.EXAMPLE, points=2)
def test_square(own: Any) -> None:
    """the slope of x² at 3, with h = 0.5"""
    x = np.array([3.0])
    expect.close(
        own.numerical_gradient(lambda: float(x[0] ** 2), x, h=0.5),
        np.array([6.0]),
        what="The gradient",
        given={"x": x, "h": 0.5},
        probably="Half a step above it is 12.25, half a step below 6.25, and the two points are 1 "
        "apart. If you have 6.5, the difference is taken to one side. If you have 12, the "
        "difference is divided by h, and the points are 2h apart. If you have 0, perhaps f did not "
        "see the change: it reads the caller's x, so that very array must be changed. If you have "
        "-6, the value above is subtracted from the one below.",
    )


@check(Layer.EXAMPLE)
def test_cube(own: Any) -> None:
    """the slope of x³ at 2: h is the one that is passed"""
    x = np.array([2.0])
    expect.close(
        own.numerical_gradient(lambda: float(x[0] ** 3), x, h=0.5),
        np.array([12.25]),
        what="The gradient",
        given={"x": x, "h": 0.5},
        probably="(2.5³ - 1.5³) / 1 = 15.625 - 3.375 = 12.25; the true slope is 12, and what is "
        "too much is h². If you have 12, another step or another formula is used: the "
        "points are x + h and x - h. If you have 13, the step is 1 and not 0.5.",
    )


@check(Layer.EXAMPLE, points=2)
def test_two_entries(own: Any) -> None:
    """a product of two entries: one is changed at a time"""
    x = np.array([2.0, 4.0])
    expect.close(
        own.numerical_gradient(lambda: float(x[0] * x[1]), x, h=0.5),
        np.array([4.0, 2.0]),
        what="The gradient",
        given={"x": x, "h": 0.5},
        probably="The slope along one entry is the value of the other. If you have 6 at [0], all "
        "entries are moved at once. If you have 1.5 at [1], the first entry was still 1.5 when the "
        "second was tried: it was not put back.",
    )


@check(Layer.EXAMPLE)
def test_matrix(own: Any) -> None:
    """a matrix: each entry by itself"""
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    weights = np.array([[1.0, 10.0], [100.0, 1000.0]])
    expect.close(
        own.numerical_gradient(lambda: float((weights * x).sum()), x, h=0.5),
        weights,
        what="The gradient",
        given={"x": x, "h": 0.5},
        probably="If you have 11 at [0, 0], x[i] is a whole row of the matrix. np.ndindex(x.shape) "
        "goes through the entries.",
    )


@check(Layer.EXAMPLE)
def test_refuses_float32(own: Any) -> None:
    """an x that is not float64 raises ValueError, before f is called"""

    calls: list[float] = []

    def f() -> float:
        calls.append(0.0)
        return 0.0

    def fails() -> float:
        raise RuntimeError

    for dtype in (np.float32, np.float16, np.int64):
        x = np.ones(2, dtype)
        with expect.raises(ValueError, f"x is {x.dtype}", {"x": x}):
            own.numerical_gradient(f, x)
        with suppress(ValueError, RuntimeError):  # what calls f first is known by its error
            own.numerical_gradient(fails, x)
        if calls:
            expect.fail(f"x is {x.dtype} and refused, but f is called before that.", given={"x": x})


@check(Layer.RANDOM, points=2)
def test_quadratic(own: Any) -> None:
    """random quadratic functions, whose differences are exact"""
    rng = np.random.default_rng(51)
    for shape in ((1,), (3,), (2, 2), (2, 3, 2)):
        x, slopes = (rng.integers(-4, 5, size=shape) / 4 for _ in range(2))
        curves = rng.integers(-4, 5, size=(x.size, x.size)) / 4

        def f(
            x: Array = x, slopes: Array = slopes, curves: Array = curves
        ) -> float:  # ½ xᵀCx + s·x
            return float(x.ravel() @ curves @ x.ravel() / 2 + (slopes * x).sum())

        exact = slopes + ((curves + curves.T) @ x.ravel()).reshape(shape) / 2
        expect.close(
            own.numerical_gradient(f, x, h=0.125),
            exact,
            what="The gradient",
            given={"x": x, "slopes": slopes, "curves": curves, "h": 0.125},
            probably="For ½·xCx + s·x a central difference is exact, whatever the h. Each entry "
            "must be tried while all others have their own values.",
        )


@check(Layer.RANDOM)
def test_view(own: Any) -> None:
    """a transposed x, whose entries do not lie in a row"""
    whole = np.arange(6.0).reshape(2, 3)
    x = whole.T
    weights = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    expect.close(
        own.numerical_gradient(lambda: float((weights * x).sum()), x, h=0.5),
        weights,
        what="The gradient",
        given={"x": x, "h": 0.5},
        probably="x is a view with its axes swapped. reshape(-1) and ravel() would copy it, and f "
        "reads the original. x[index], with an index from np.ndindex, always reaches it.",
    )


@check(Layer.GRADIENTS, points=2)
def test_precise_enough(own: Any) -> None:
    """with the default h, right and wrong rules are told apart"""
    x = np.array([0.5, -1.0, 2.0])
    received = own.numerical_gradient(lambda: math.log(sum(math.exp(z) for z in x)), x)
    exact = np.exp(x) / sum(math.exp(z) for z in x)
    error = float(np.linalg.norm(received - exact) / np.linalg.norm(exact))
    if not error < 1e-8:
        expect.fail(
            f"The relative error for log Σ exp(x) is {error:.1e}, and should be below 1e-8.",
            given={"x": x, "received": received, "exact": exact},
            probably="Central differences with h = 1e-5 in float64 are right to about ten digits "
            "here. One side alone gives five, and with h = 1e-10 most digits are rounding.",
        )
