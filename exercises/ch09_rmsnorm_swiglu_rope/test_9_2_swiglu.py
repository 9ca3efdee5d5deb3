"""The checks of exercise 9.2, SwiGLU and its gradients."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

LN3 = math.log(3)  # its sigmoid is 3/4
SHAPES = ((4,), (3, 4), (2, 3, 4), (0, 4))


def draw(*shape: int, hidden: int, seed: int, dtype: type = np.float64) -> Any:
    """Random x, w12, w3 and dy with one decimal."""
    rng = np.random.default_rng(seed)
    width = shape[-1]
    sizes = (shape, (width, 2 * hidden), (hidden, width), shape)
    return tuple(rng.normal(size=size).round(1).astype(dtype) for size in sizes)


def by_definition(x: Any, w12: Any, w3: Any) -> NDArray[np.float64]:
    """The network, one vector and one hidden unit at a time."""
    hidden = len(w3)
    y = np.zeros(x.shape)
    for place in np.ndindex(x.shape[:-1]):
        for j in range(hidden):
            gate, value = (float(x[place] @ w12[:, at]) for at in (j, hidden + j))
            y[place] += gate / (1 + math.exp(-gate)) * value * w3[j]
    return y


def run(own: Any, x: Any, w12: Any, w3: Any) -> Any:
    result = own.swiglu(x, w12, w3)
    expect.parts(result, ("y", "cache"))
    return result


def backward(own: Any, x: Any, w12: Any, w3: Any, dy: Any) -> Any:
    """dx, dw12 and dw3."""
    _, cache = run(own, x, w12, w3)
    run(own, x[..., ::-1] + 1, w12, w3)  # another pass, which must not touch the first one's cache
    result = own.swiglu_backward(dy, cache)
    expect.parts(result, ("dx", "dw12", "dw3"))
    return result


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """y has the shape and the dtype of x"""
    for dtype in (np.float64, np.float32):
        for shape in SHAPES:
            x, w12, w3, _ = draw(*shape, hidden=5, seed=0, dtype=dtype)
            y, _ = run(own, x, w12, w3)
            expect.array(y, like=x, shape=shape, what="y", probably="w3 leads back to the width D.")


@check(Layer.SHAPES)
def test_gradient_shapes(own: Any) -> None:
    """dx, dw12 and dw3 are like x, w12 and w3"""
    for dtype in (np.float64, np.float32):
        for shape in SHAPES:
            x, w12, w3, dy = draw(*shape, hidden=5, seed=0, dtype=dtype)
            grads = backward(own, x, w12, w3, dy)
            for name, grad, like in zip(("dx", "dw12", "dw3"), grads, (x, w12, w3), strict=True):
                expect.array(grad, like=like, shape=like.shape, what=name)


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, w12, w3 and dy are left as they were"""
    x, w12, w3, dy = draw(2, 3, hidden=2, seed=0)
    with expect.unchanged(x=x, w12=w12, w3=w3, dy=dy):
        backward(own, x, w12, w3, dy)


@check(Layer.EXAMPLE, points=2)
def test_one_unit(own: Any) -> None:
    """one hidden unit, worked by hand"""
    given = {"x": np.array([[1.0]]), "w12": np.array([[LN3, 2.0]]), "w3": np.array([[4.0]])}
    expect.close(
        run(own, **given)[0],
        np.array([[6 * LN3]]),
        what="y",
        given=given,
        probably="The gate is ln 3 with silu(ln 3) = 0.75·ln 3 = 0.824, the value is 2, their "
        "product 1.648, and times 4 it is 6.592. If you have 7.741, silu is on the value. If you "
        "have 5.805, it is on both. If you have 6, "
        "the gate is a sigmoid: that is GLU. If you have 3.296, the value is missing. If you have "
        "11.3, gate and value are added.",
    )


@check(Layer.EXAMPLE)
def test_two_units(own: Any) -> None:
    """two hidden units: the first two columns are the gates"""
    given = {
        "x": np.array([[1.0]]),
        "w12": np.array([[LN3, 0.0, 2.0, 5.0]]),
        "w3": np.array([[1.0], [1.0]]),
    }
    expect.close(
        run(own, **given)[0],
        np.array([[1.5 * LN3]]),
        what="y",
        given=given,
        probably="Gates ln 3 and 0, values 2 and 5: only the first unit is open. If you have "
        "8.808, gates and values are taken to alternate column by column.",
    )


@check(Layer.EXAMPLE)
def test_dw3(own: Any) -> None:
    """the gradient of w3, worked by hand"""
    given = {"x": np.array([[1.0]]), "w12": np.array([[LN3, 2.0]]), "w3": np.array([[4.0]])}
    given["dy"] = np.array([[1.0]])
    expect.close(
        backward(own, **given)[2],
        np.array([[1.5 * LN3]]),
        what="dw3",
        given=given,
        probably="w3 multiplied the product of activated gate and value, 1.648.",
    )


@check(Layer.EXAMPLE, points=2)
def test_dw12(own: Any) -> None:
    """the gradients of gate and value, worked by hand"""
    given = {"x": np.array([[1.0]]), "w12": np.array([[LN3, 2.0]]), "w3": np.array([[4.0]])}
    given["dy"] = np.array([[1.0]])
    slope = 0.75 + LN3 * 0.75 * 0.25
    expect.close(
        backward(own, **given)[1],
        np.array([[4 * 2 * slope, 4 * 0.75 * LN3]]),
        what="dw12",
        given=given,
        probably="The product gets dh = 4. The value gets 4·silu(ln 3) = 3.296, the gate "
        "4·2·silu'(ln 3) = 7.648 with the slope silu' = 0.75 + ln 3·0.75·0.25 = 0.956. If you have "
        "3.296 at [0, 0], the two have changed places. "
        " If you have 8 at [0, 0], silu's slope is missing."
        " If you have 4 at "
        "[0, 1], the value's gradient lacks the gate. If you have 0 at "
        "[0, 1], the value gets none.",
    )


@check(Layer.EXAMPLE)
def test_dx(own: Any) -> None:
    """x gets a share through the gate and a share through the value"""
    given = {"x": np.array([[1.0]]), "w12": np.array([[LN3, 2.0]]), "w3": np.array([[4.0]])}
    given["dy"] = np.array([[1.0]])
    slope = 0.75 + LN3 * 0.75 * 0.25
    expect.close(
        backward(own, **given)[0],
        np.array([[8 * slope * LN3 + 6 * LN3]]),
        what="dx",
        given=given,
        probably="7.648·ln 3 through the gate and 3.296·2 through the value, together 14.99.",
    )


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random cases agree with the definition, unit by unit"""
    for seed, (shape, hidden) in enumerate((((1, 1), 2), ((3,), 2), ((2, 2, 3), 4))):
        x, w12, w3, _ = draw(*shape, hidden=hidden, seed=seed)
        expect.close(
            run(own, x, w12, w3)[0],
            by_definition(x, w12, w3),
            what="y",
            given={"x": x, "w12": w12, "w3": w3},
            probably="Gates may be below zero, and each vector of the last axis is a case of its "
            "own, with any number of axes in front.",
        )


@check(Layer.GRADIENTS, points=2)
def test_gradients(own: Any) -> None:
    """dx, dw12 and dw3 are the derivatives of your forward pass"""
    for seed, (shape, hidden) in enumerate((((2,), 1), ((2, 2, 2), 3))):
        x, w12, w3, dy = draw(*shape, hidden=hidden, seed=20 + seed)
        point = {"x": x, "w12": w12, "w3": w3}
        grads = backward(own, x, w12, w3, dy)
        for (name, at), grad in zip(point.items(), grads, strict=True):

            def of(moved: Any, name: str = name, point: Any = point, dy: Any = dy) -> float:
                return float((run(own, **{**point, name: moved})[0] * dy).sum())

            expect.gradient(grad, of, at, what=f"d{name}", given={**point, "dy": dy})
