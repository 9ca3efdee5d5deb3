"""The checks of exercise 9.1, RMSNorm and its gradient."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# The squares 1, 49, 25 and 25 have the mean 25, so the root mean square is 5.
PAPER = torch.tensor([[1.0, 7.0, 5.0, 5.0]], dtype=torch.float64)
SHAPES = ((4,), (3, 4), (2, 3, 4), (0, 4))


def ones(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.float64)


def draw(*shape: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random x, weight and dy with one decimal."""
    rng = np.random.default_rng(seed)
    return (
        torch.tensor(rng.normal(size=shape).round(1)),
        torch.tensor(rng.normal(size=shape[-1]).round(1) + 1),
        torch.tensor(rng.normal(size=shape).round(1)),
    )


def by_definition(x: Tensor, weight: Tensor, eps: float) -> NDArray[np.float64]:
    """The norm, one vector and one entry at a time."""
    y = np.empty(tuple(x.shape))
    for place in np.ndindex(y.shape[:-1]):
        v = [float(each) for each in x[place]]
        root = math.sqrt(math.fsum(each * each for each in v) / len(v) + eps)
        y[place] = [float(w) * each / root for w, each in zip(weight, v, strict=True)]
    return y


def run(own: Any, x: Tensor, weight: Tensor, eps: float) -> Any:
    """y and the cache, on copies of the inputs."""
    result = own.rms_norm(x.clone(), weight.clone(), eps)
    expect.parts(result, ("y", "cache"))
    return result


def backward(own: Any, x: Tensor, weight: Tensor, dy: Tensor, eps: float = 0.0) -> Any:
    """dx and dweight, on copies of the inputs, after a forward pass of other vectors."""
    _, cache = run(own, x, weight, eps)
    run(own, x.flip(-1) + 1, weight, eps)
    result = own.rms_norm_backward(dy.clone(), cache)
    expect.parts(result, ("dx", "dweight"))
    return result


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """y has the shape and the dtype of x; no vector gives none"""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        for shape in SHAPES:
            x, weight = torch.ones(shape, dtype=dtype), torch.ones(4, dtype=dtype)
            y, _ = run(own, x, weight, 1e-5)
            expect.array(y, like=x, shape=shape, what="y")


@check(Layer.SHAPES)
def test_gradient_shapes(own: Any) -> None:
    """dx is like x, and dweight like weight, in each dtype"""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        for shape in SHAPES:
            x, weight = torch.ones(shape, dtype=dtype), torch.ones(4, dtype=dtype)
            dx, dweight = backward(own, x, weight, torch.ones_like(x), 1e-5)
            expect.array(dx, like=x, shape=shape, what="dx")
            expect.array(
                dweight,
                like=weight,
                shape=(4,),
                what="dweight",
                probably="One weight serves all vectors, so its gradient is summed over all axes "
                "but the last; a single vector has no axis to sum over.",
            )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, weight and dy are left as they were"""
    x, weight, dy = draw(2, 4, seed=1)
    with expect.unchanged(x=x, weight=weight, dy=dy):
        result = own.rms_norm(x, weight, 0.1)
        expect.parts(result, ("y", "cache"))
        own.rms_norm_backward(dy, result[1])


@check(Layer.EXAMPLE)
def test_by_hand(own: Any) -> None:
    """four numbers whose root mean square is 5"""
    given = {"x": PAPER, "weight": ones(4), "eps": 0.0}
    expect.close(
        run(own, *given.values())[0],
        np.array([[0.2, 1.4, 1.0, 1.0]]),
        what="y",
        given=given,
        probably="The mean square is (1 + 49 + 25 + 25) / 4 = 25 and its root 5. If you have "
        "-1.606 at [0, 0], the mean is subtracted, as layer norm does. If you have 0.4588 at "
        "[0, 0], x is divided by its standard deviation. If you have 0.1 at [0, 0], the squares "
        "are summed and not averaged; if 0.1732, their sum is divided by n - 1. If you have 0.04 "
        "at [0, 0], the root is missing. If you have 0.2222 at [0, 0], you took the mean of the "
        "sizes and not of the squares.",
    )


@check(Layer.EXAMPLE)
def test_eps(own: Any) -> None:
    """eps is added to the mean square: 25 + 11 = 36"""
    given = {"x": PAPER, "weight": ones(4), "eps": 11.0}
    expect.close(
        run(own, *given.values())[0],
        np.array([[1, 7, 5, 5]]) / 6,
        what="y",
        given=given,
        probably="If you have 0.0625 at [0, 0], eps is added to the root. If you have 0.2 at "
        "[0, 0], it is missing. If you have 0.09091 at [0, 0], it is the smallest divisor and "
        "not added.",
    )


@check(Layer.EXAMPLE)
def test_weight(own: Any) -> None:
    """the weight scales what has been normalised"""
    given = {"x": PAPER, "weight": torch.tensor([2.0, 1.0, 1.0, 3.0]).double(), "eps": 0.0}
    expect.close(
        run(own, *given.values())[0],
        np.array([[0.4, 1.4, 1.0, 3.0]]),
        what="y",
        given=given,
        probably="The result of the first example, times the weight. If you have 0.6 at [0, 0], "
        "the weight is taken to be the distance from one. If you have 0.2296 at [0, 0], x is "
        "scaled before its root mean square is taken.",
    )


@check(Layer.EXAMPLE)
def test_two_vectors(own: Any) -> None:
    """two vectors, each by its own root mean square"""
    given = {"x": torch.cat((PAPER, 3 * PAPER)), "weight": ones(4), "eps": 0.0}
    expect.close(
        run(own, *given.values())[0],
        np.array([[0.2, 1.4, 1.0, 1.0]] * 2),
        what="y",
        given=given,
        probably="The second vector is three times the first, and comes out the same. If you have "
        "0.4472 at [0, 0], the mean runs over the rows; if 0.08944, over rows and entries.",
    )


@check(Layer.EXAMPLE, points=2)
def test_gradient_by_hand(own: Any) -> None:
    """the gradient of the first entry, worked by hand"""
    weight = torch.tensor([2.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    dy = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    given = {"x": PAPER, "weight": weight, "dy": dy}
    expect.close(
        backward(own, *given.values())[0],
        np.array([[0.396, -0.028, -0.02, -0.02]]),
        what="dx",
        given=given,
        probably="eps is 0. g = dy · weight = (2, 0, 0, 0), x̂ = (0.2, 1.4, 1, 1), and the mean of "
        "g · x̂ is 0.1. So dx = (g - 0.1 x̂) / 5. If you have 0.4 at [0, 0], the root mean "
        "square is taken for a constant. If you have 0.198 at [0, 0], g lacks the weight. "
        "If you have 0.384 at [0, 0], g · x̂ is summed and not averaged. If you have 0.296 "
        "at [0, 0], the mean of g is taken off, as in layer norm. If you have 1.98 at [0, "
        "0], the division by r is missing. If you have 0.404 at [0, 0], the second part is "
        "added. If you have 0.38 at [0, 0], the second part is along x and not along x̂.",
    )


@check(Layer.EXAMPLE)
def test_weight_gradient_by_hand(own: Any) -> None:
    """the weight's gradient over three vectors, worked by hand"""
    x = torch.cat((PAPER, 2 * torch.eye(4, dtype=torch.float64)[[0, 3]]))
    given = {"x": x, "weight": 3 * ones(4), "dy": torch.ones(3, 4, dtype=torch.float64)}
    expect.close(
        backward(own, *given.values())[1],
        np.array([2.2, 1.4, 1.0, 3.0]),
        what="dweight",
        given=given,
        probably="eps is 0. The other two have the root mean square 1, so x̂ is (0.2, 1.4, 1, 1), "
        "(2, 0, 0, 0) and (0, 0, 0, 2), and dweight is their sum. If you have 0.7333 at "
        "[0], it is averaged. If you have 3 at [0], it is made from x and not from x̂. If "
        "you have 6.6 at [0], the weight "
        "has come in.",
    )


@check(Layer.RANDOM)
def test_random(own: Any) -> None:
    """random vectors agree with the definition, entry by entry"""
    for seed, shape in enumerate(((1, 1), (1, 2), (3, 2), (2, 3, 5))):
        x, weight, _ = draw(*shape, seed=seed)
        for eps in (0.0, 0.5):
            x = torch.where(x == 0, 0.1, x)
            expect.close(
                run(own, x, weight, eps)[0],
                by_definition(x, weight, eps),
                what="y",
                given={"x": x, "weight": weight, "eps": eps},
                probably="Each vector is divided by its own root mean square, whatever the signs "
                "of its entries, and float64 stays float64 all the way.",
            )


@check(Layer.GRADIENTS, points=2)
def test_gradients(own: Any) -> None:
    """dx and dweight are the derivatives of your forward pass"""
    for seed, shape in enumerate(((1, 3), (2, 2, 4))):
        x, weight, dy = draw(*shape, seed=10 + seed)
        dx, dweight = backward(own, x, weight, dy, 0.3)
        given = {"x": x, "weight": weight, "eps": 0.3, "dy": dy}

        def of_x(point: Any, weight: Tensor = weight, dy: Tensor = dy) -> float:
            return float((run(own, torch.tensor(point), weight, 0.3)[0] * dy).sum())

        def of_weight(point: Any, x: Tensor = x, dy: Tensor = dy) -> float:
            return float((run(own, x, torch.tensor(point), 0.3)[0] * dy).sum())

        expect.gradient(dx, of_x, x.numpy(), what="dx", given=given)
        expect.gradient(dweight, of_weight, weight.numpy(), what="dweight", given=given)


@check(Layer.STABILITY)
def test_float16(own: Any) -> None:
    """float16: 300 squared is 90,000, and the largest number is 65,504"""
    x = torch.tensor([[300.0, -300.0]], dtype=torch.float16)
    expect.close(
        run(own, x, torch.ones(2, dtype=torch.float16), 1e-5)[0],
        np.array([[1.0, -1.0]]),
        like=x,
        what="y",
        given={"x": x},
        probably="The square must be taken in float32, and the result turned back: in float16 "
        "it is infinite.",
    )


@check(Layer.STABILITY)
def test_zeros(own: Any) -> None:
    """a vector of zeros stays one, and its gradient is finite"""
    x, weight, dy = torch.zeros(1, 2).double(), ones(2), torch.tensor([[1.0, 0.0]]).double()
    dx, _ = backward(own, x, weight, dy, 0.25)
    expect.close(run(own, x, weight, 0.25)[0], np.zeros((1, 2)), what="y", given={"x": x})
    expect.close(
        dx,
        np.array([[2.0, 0.0]]),
        what="dx",
        given={"x": x, "dy": dy, "eps": 0.25},
        probably="The root of eps is 0.5, and dx = dy / 0.5. eps belongs to the root mean "
        "square of the backward pass too.",
    )
