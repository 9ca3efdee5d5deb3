"""The checks of exercise 8.3, a gradient check along random directions."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check


class Scaled(torch.autograd.Function):
    """The identity, with a gradient that is so many times too large."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return ctx.factor * grads[0], None


def leaf(*numbers: float) -> Tensor:
    """A float64 parameter with these numbers."""
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


def dice() -> torch.Generator:
    """A generator with a fixed seed."""
    return torch.Generator().manual_seed(0)


def errors(own: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What the learner returns, if it is a dictionary."""
    result = own.slope_errors(*args, **kwargs)
    if not isinstance(result, dict):
        expect.fail(
            f"The result is {type(result).__name__}, not a dictionary. Is a return missing?"
        )
    return result


def need(result: dict[str, Any], name: str, probably: str = "") -> Any:
    """The error of this parameter, a number."""
    if name not in result:
        expect.fail(f"There is no error of {name}.", probably=probably)
    expect.number(result[name], what=f"The error of {name}")
    return result[name]


@check(Layer.SHAPES)
def test_every_parameter(own: Any) -> None:
    """an error for each parameter, under its name"""
    a, b = leaf(1.0, 2.0), leaf(3.0)
    result = errors(own, lambda: (a * a).sum() + b.sum(), {"a": a, "b": b}, dice())
    for name in ("a", "b"):
        need(result, name, "Every name of the mapping is a key of the result.")


@check(Layer.SHAPES)
def test_float32(own: Any) -> None:
    """a parameter that is not float64 is refused, and grad is left"""
    b = torch.ones(2, dtype=torch.float64, requires_grad=True)
    for dtype in (torch.float32, torch.float16):
        a = torch.ones(2, dtype=dtype, requires_grad=True)
        for named in ({"a": a}, {"b": b, "a": a}, {"a": a, "b": b}):

            def loss(named: dict[str, Tensor] = named) -> Tensor:
                return torch.stack([each.double().square().sum() for each in named.values()]).sum()

            with expect.raises(ValueError, f"a is {dtype}, of {', '.join(named)}", named):
                own.slope_errors(loss, named, dice())
            if any(each.grad is not None for each in named.values()):
                expect.fail("A parameter has a grad after the refusal, and had none before.")


@check(Layer.INPUTS)
def test_parameters_unchanged(own: Any) -> None:
    """the parameters are what they were, to the last bit"""
    a, b = leaf(0.1, 0.7), leaf(0.3)
    before = {"a": a.detach().clone(), "b": b.detach().clone()}
    own.slope_errors(lambda: (a * a * b).sum(), {"a": a, "b": b}, dice(), h=0.1)
    for name, after in (("a", a), ("b", b)):
        gap = float((after.detach() - before[name]).abs().max())
        if gap:
            expect.fail(
                f"{name} is not what it was: an entry has moved by {gap:.2g}.",
                given={name: before[name]},
                probably="The parameter has to be moved while the losses are asked for, and put "
                "back afterwards from a copy. Steps forth and back with + and - round, and miss by "
                "the last digit.",
            )


@check(Layer.INPUTS)
def test_grad_unchanged(own: Any) -> None:
    """the parameters' own grad is left alone"""
    a = leaf(1.0, 2.0)
    a.grad = torch.tensor([5.0, 5.0], dtype=torch.float64)
    kept = a.grad
    with expect.unchanged(grad=kept):
        own.slope_errors(lambda: (a * a).sum(), {"a": a}, dice())
    if a.grad is not kept:
        expect.fail(
            "a.grad is another tensor than before.",
            probably="backward() adds to .grad, which belongs to whoever trains. "
            "torch.autograd.grad returns the gradients and leaves it alone.",
        )


@check(Layer.EXAMPLE, points=2)
def test_by_hand(own: Any) -> None:
    """L = a³ at a = 1 with h = 1/2: slopes 3 and 3.25"""
    a = leaf(1.0)
    result = errors(own, lambda: (a**3).sum(), {"a": a}, dice(), h=0.5)
    expect.close(
        need(result, "a"),
        0.25 / 3.25,
        what="The error of a",
        given={"a": a, "h": 0.5},
        probably="The gradient is 3. The difference is (1.5³ - 0.5³) / (2 · 0.5) = 3.375 - 0.125 = "
        "3.25. The error is 0.25 / 3.25 = 0.0769. If you have 0.25, it is not divided by the "
        "larger slope. If you have 0.538462, the difference is divided by h and not by 2h. If you "
        "have 0.368421, only one side is looked at. If you have 0.165198, the direction is "
        "not divided by its length.",
    )
    a = leaf(1.0)
    result = errors(own, lambda: (1e-4 * a**3).sum(), {"a": a}, dice(), h=0.5)
    expect.close(
        need(result, "a"),
        0.025,
        what="The error of a, of the loss a³/10,000,",
        given={"a": a, "h": 0.5},
        probably="The slopes are 0.0003 and 0.000325. Both sizes are below 0.001 and count as "
        "0.001, so the error is 0.000025 / 0.001. A size of 0.001 or more stays as it is.",
    )


@check(Layer.EXAMPLE)
def test_twice_too_large(own: Any) -> None:
    """a gradient that is twice too large is off by one half"""
    a = leaf(1.0, 2.0)
    result = errors(own, lambda: Scaled.apply(a, 2.0).square().sum(), {"a": a}, dice())
    expect.close(
        round(float(need(result, "a")), 6),
        0.5,
        what="The error of a, to six places",
        given={"a": a},
        probably="One slope is twice the other: the difference over the larger is 1/2. If you have "
        "1, it is divided by the smaller one, or by the right one.",
    )


@check(Layer.EXAMPLE)
def test_too_small(own: Any) -> None:
    """a gradient four times too small is off by 3/4, an opposite by 2"""
    a = leaf(1.0, 2.0)
    result = errors(own, lambda: Scaled.apply(a, 0.25).square().sum(), {"a": a}, dice())
    expect.close(
        round(float(need(result, "a")), 6),
        0.75,
        what="The error of a, to six places",
        given={"a": a},
        probably="If you have -0.75, its sign is kept: a largest error would never be it.",
    )
    result = errors(own, lambda: Scaled.apply(a, -1.0).square().sum(), {"a": a}, dice())
    expect.close(
        round(float(need(result, "a")), 6),
        2.0,
        what="The error of a whose gradient has the wrong sign",
        given={"a": a},
        probably="The slopes are s and -s: their difference is 2s, over the size s. If you have 0, "
        "the sizes are compared, and not the slopes.",
    )


@check(Layer.EXAMPLE)
def test_gradient_of_none(own: Any) -> None:
    """a detached parameter has no gradient, and is off by 1"""
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    result = errors(own, lambda: (a.detach() * b).sum(), {"a": a, "b": b}, dice())
    expect.close(
        need(result, "a", "Its gradient is None. That is the fault to be found: do not pass over."),
        1.0,
        what="The error of a",
        given={"a": a, "b": b},
        probably="The loss moves with a, and its gradient is None, which counts as zero. If you "
        "have 0, it is passed over as right.",
    )


@check(Layer.EXAMPLE)
def test_errors_that_cancel(own: Any) -> None:
    """entries that are off by as much up and down do not cancel"""
    a = leaf(1.0, 1.0)

    def loss() -> Tensor:
        return 2 * Scaled.apply(a[:1], 2.0).sum() + 4 * Scaled.apply(a[1:], 0.5).sum()

    found = float(need(errors(own, loss, {"a": a}, dice()), "a"))
    if not found > 0.01:
        expect.fail(
            f"The error of a is {found:.2g}, and its gradient is (4, 2), not (2, 4).",
            given={"a": a},
            probably="Along the direction (1, 1) both have the slope 6. The direction must be "
            "drawn at random.",
        )


@check(Layer.RANDOM, points=2)
def test_directions(own: Any) -> None:
    """four parameters: the directions that the generator draws"""
    scale = (1.0, 0.0, 2.0, 3.0)
    named = {
        "one": leaf(0.3),
        "without gradient": leaf(0.4, 0.6),
        "two": torch.full((2, 2), 0.5, dtype=torch.float64, requires_grad=True),
        "three": leaf(-0.2, 0.9),
    }

    def loss() -> Tensor:
        return sum((s * p**3).sum() for s, p in zip(scale, named.values(), strict=True) if s)

    result = errors(own, loss, named, dice(), h=0.2)
    generator = dice()
    for s, (name, p) in zip(scale, named.items(), strict=True):
        v = torch.randn(p.shape, generator=generator, dtype=torch.float64).numpy()
        v, x = v / np.sqrt((v * v).sum()), p.detach().numpy()
        slope = float((3 * s * x**2 * v).sum())
        # (x + hv)³ - (x - hv)³ = 6 x² hv + 2 (hv)³
        difference = slope + float((s * 0.2**2 * v**3).sum())
        expect.close(
            need(result, name),
            abs(slope - difference) / max(abs(slope), abs(difference), 1e-3),
            what=f"The error of {name}",
            given={name: p, "h": 0.2},
            probably="Each parameter has a direction of its own, drawn in their order by "
            "torch.randn with the generator, and divided by its length, one without a gradient "
            "too. While one moves, the others stay where they were. Slopes may be below zero: what "
            "divides is the larger of their sizes.",
        )


@check(Layer.STABILITY)
def test_right_gradients_pass(own: Any) -> None:
    """right gradients of many parameters are right to 1e-6"""
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(40, 30, generator=generator, dtype=torch.float64, requires_grad=True)
    x = torch.randn(5, 40, generator=generator, dtype=torch.float64)
    found = need(errors(own, lambda: torch.tanh(x @ a).sum(), {"a": a}, dice()), "a")
    if not found < 1e-6:
        expect.fail(
            f"The error of a right gradient is {float(found):.2g}, more than 1e-6.",
            probably="1,200 entries move at once. With a direction of length 1 and h = 1e-5 both "
            "errors are small: Taylor's, which grows with h, and rounding's, which grows as h "
            "shrinks. A step of 1e-12 is all rounding.",
        )


@check(Layer.STABILITY, points=2)
def test_zero_slopes(own: Any) -> None:
    """a slope of zero is right, not zero over zero"""
    a, b = leaf(1.0, 2.0), leaf(3.0)
    found = need(errors(own, lambda: (b * b).sum(), {"a": a, "b": b}, dice()), "a")
    if math.isnan(float(found)) or float(found) != 0:
        expect.fail(
            f"The error of a is {float(found):.3g}, and the loss does not depend on a.",
            given={"a": a, "b": b},
            probably="Both slopes are zero. A size below 0.001 counts as 0.001, so that nothing is "
            "divided by zero.",
        )
