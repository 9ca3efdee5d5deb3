"""The checks of exercise 8.2, the backward pass of SwiGLU's gate."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

LN3 = float(np.log(3))  # the sigmoid of ln 3 is 3/4


def forward(x: NDArray[Any]) -> NDArray[Any]:
    """silu(gate) · value in NumPy; the sigmoid is half of one plus tanh of half."""
    gate, value = np.split(x, 2, axis=-1)
    return gate * 0.5 * (1 + np.tanh(gate / 2)) * value


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """dy (..., F) and x (..., 2F), random, with one decimal."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape).round(1)
    dy = rng.normal(size=(*shape[:-1], shape[-1] // 2)).round(1)
    return torch.tensor(dy, dtype=dtype), torch.tensor(x, dtype=dtype)


def one(gate: float, value: float, dy: float) -> tuple[Tensor, Tensor]:
    """One gate and one value, in float64."""
    x = torch.tensor([[gate, value]], dtype=torch.float64)
    return torch.tensor([[dy]], dtype=torch.float64), x


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """the shape and the dtype of x come back"""
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        for shape in ((2,), (3, 4), (2, 3, 6), (0, 4)):
            dy, x = draw(*shape, dtype=dtype)
            expect.array(
                own.silu_gate_backward(dy, x),
                like=x,
                shape=shape,
                what="The gradient",
                probably="It has an entry for each entry of x: F for the gates, then F for the "
                "values, along the last axis. Without a row there is none.",
            )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """dy and x are left as they were"""
    dy, x = draw(3, 4)
    with expect.unchanged(dy=dy, x=x):
        own.silu_gate_backward(dy, x)


@check(Layer.EXAMPLE)
def test_value(own: Any) -> None:
    """gate ln 3, value 2: the gradient of the value"""
    dy, x = one(LN3, 2.0, 1.0)
    expect.close(
        own.silu_gate_backward(dy, x)[..., 1],
        np.array([0.75 * LN3]),
        what="The gradient of the value",
        given={"dy": dy, "x": x},
        probably="y is the value times silu(ln 3) = 0.75 · 1.0986 = 0.8240, so this is its slope. "
        "If you have 1.09861, the sigmoid is missing. If you have 0.75, the gate itself is. If you "
        "have 1.91198, the two halves of the result have changed places.",
    )


@check(Layer.EXAMPLE, points=2)
def test_gate(own: Any) -> None:
    """gate ln 3, value 2: the gradient of the gate"""
    dy, x = one(LN3, 2.0, 1.0)
    expect.close(
        own.silu_gate_backward(dy, x)[..., 0],
        np.array([2 * (0.75 + 0.1875 * LN3)]),
        what="The gradient of the gate",
        given={"dy": dy, "x": x},
        probably="The slope of silu at ln 3 is 0.75 + 1.0986 · 0.75 · 0.25 = 0.95599, times the "
        "value 2. If you have 1.5, it is the sigmoid alone. If you have 0.411979, the first term "
        "of the product rule is missing. If you have 0.375, it is the slope of the sigmoid. If you "
        "have 0.95599, the value is missing. If you have 1.80898, silu stands where its argument "
        "should. If you have 1.08802, the sigmoid is subtracted from the wrong side.",
    )


@check(Layer.EXAMPLE)
def test_dy(own: Any) -> None:
    """dy multiplies both: gate 0, value 4, dy 3"""
    dy, x = one(0.0, 4.0, 3.0)
    expect.close(
        own.silu_gate_backward(dy, x),
        np.array([[6.0, 0.0]]),
        what="The gradient",
        given={"dy": dy, "x": x},
        probably="At 0 the slope of silu is 1/2, and silu itself is 0: 3 · 4 · 1/2 = 6, and 0. If "
        "you have 2 at [0, 0], dy is missing.",
    )


@check(Layer.EXAMPLE)
def test_halves(own: Any) -> None:
    """two gates, two values: the gates are the first half"""
    x = torch.tensor([[0.0, LN3, 4.0, 2.0]], dtype=torch.float64)
    dy = torch.ones(1, 2, dtype=torch.float64)
    slope = 0.75 + 0.1875 * LN3
    expect.close(
        own.silu_gate_backward(dy, x),
        np.array([[2.0, 2 * slope, 0.0, 0.75 * LN3]]),
        what="The gradient",
        given={"dy": dy, "x": x},
        probably="Gate 0 belongs to value 4, gate ln 3 to value 2. If you have 0.549306 at [0, 0], "
        "gates and values are taken to alternate.",
    )


@check(Layer.RANDOM)
def test_random(own: Any) -> None:
    """random gates and values, against finite differences"""
    for seed, shape in enumerate(((1, 2), (2, 4), (2, 3, 4))):
        dy, x = draw(*shape, seed=seed)
        weights = dy.numpy()

        def contracted(at: NDArray[Any], weights: NDArray[Any] = weights) -> float:
            return float((forward(at) * weights).sum())

        expect.gradient(
            own.silu_gate_backward(dy, x),
            contracted,
            x.numpy(),
            what="The gradient",
            given={"dy": dy, "x": x},
            probably="Each entry is how fast the sum of dy · y grows with that entry of x.",
        )


@check(Layer.GRADIENTS)
def test_its_own_gradient(own: Any) -> None:
    """the result is differentiable in its turn: nothing is cut off"""
    dy, x = one(0.0, 4.0, 3.0)
    x.requires_grad_()
    dy.requires_grad_()
    result = own.silu_gate_backward(dy, x)
    first = result[0, 0]
    second, along = torch.zeros_like(x), torch.zeros_like(dy)
    if first.requires_grad:
        found = torch.autograd.grad(first, (x, dy), allow_unused=True)
        pairs = zip(found, (second, along), strict=True)
        second, along = (none if each is None else each for each, none in pairs)
    expect.close(
        second,
        np.array([[6.0, 1.5]]),
        what="The gradient of the gate's gradient",
        given={"dy": dy, "x": x},
        probably="It is dy · b · (s + a s (1 - s)); its slope at a = 0 is 3 · 4 · 1/2 = 6 along a, "
        "and 3 · 1/2 along b. If it is zero, detach, .data, numpy() or no_grad cut it off.",
    )
    expect.close(
        along,
        np.array([[2.0]]),
        what="The gradient of the gate's gradient along dy",
        given={"dy": dy, "x": x},
        probably="It is b · (s + a s (1 - s)) = 4 · 1/2. If it is zero, dy was cut off.",
    )


@check(Layer.STABILITY, points=2)
def test_large_gates(own: Any) -> None:
    """gates of a thousand and of minus a thousand"""
    x = torch.tensor([[1000.0, -1000.0, 2.0, 2.0]], dtype=torch.float64)
    dy = torch.ones(1, 2, dtype=torch.float64)
    expect.close(
        own.silu_gate_backward(dy, x),
        np.array([[2.0, 0.0, 1000.0, 0.0]]),
        what="The gradient",
        given={"dy": dy, "x": x},
        probably="Far to the right silu is its argument, far to the left it is 0. If you have nan "
        "at [0, 0], exp(1000) is infinite, and infinity over infinity is no number: torch.sigmoid "
        "knows how.",
    )
