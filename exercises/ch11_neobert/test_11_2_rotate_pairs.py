"""The checks of exercise 11.2, rotary position embeddings on adjacent pairs."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# The angle of the triangle with the sides 3, 4 and 5: about 53 degrees.
COS, SIN = torch.tensor([[0.6]], dtype=torch.float64), torch.tensor([[0.8]], dtype=torch.float64)


def by_complex_product(x: Tensor, cos: Tensor, sin: Tensor) -> NDArray[np.float64]:
    """The same in complex numbers: two neighbours in memory are one, times cos + i·sin."""
    pairs = np.ascontiguousarray(x.detach().double().numpy()).view(np.complex128)
    angles = cos.double().numpy() + 1j * sin.double().numpy()
    return (pairs * angles).view(np.float64)


def draw(
    *shape: int, seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Random vectors (..., T, K) with one decimal, and the cosines and sines of random angles."""
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.normal(size=shape).round(1), dtype=dtype)
    angles = torch.tensor(rng.uniform(0, 2 * np.pi, size=(shape[-2], shape[-1] // 2)))
    return x, angles.cos().to(dtype), angles.sin().to(dtype)


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """the shape and the dtype of x come back"""
    single, double, half = torch.float32, torch.float64, torch.bfloat16
    for dtype, of_tables in (
        (single, single),
        (double, double),
        (double, single),
        (half, single),
    ):
        for shape in ((3, 4), (2, 5, 3, 4), (0, 4)):
            x, cos, sin = draw(*shape, dtype=dtype)
            cos, sin = cos.to(of_tables), sin.to(of_tables)
            expect.array(
                own.rotate_pairs(x, cos, sin),
                like=x,
                shape=shape,
                what="The result",
                probably="The last two axes of x are T positions and K entries. In front of them "
                "may be others, or none, and all of them stay. The pairs do not keep an axis "
                "of their own.",
            )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, cos and sin are left as they were"""
    x, cos, sin = torch.tensor([[2.0, 1.0]], dtype=torch.float64), COS.clone(), SIN.clone()
    with expect.unchanged(x=x, cos=cos, sin=sin):
        own.rotate_pairs(x, cos, sin)


@check(Layer.EXAMPLE)
def test_first_axis(own: Any) -> None:
    """the point (1, 0) comes to (cos, sin)"""
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    expect.close(
        own.rotate_pairs(x, COS, SIN),
        np.array([[0.6, 0.8]]),
        what="The turned pair",
        given={"x": x, "cos": COS, "sin": SIN},
        probably="The point one step to the right, turned counter-clockwise. If you have -0.8 at "
        "[0, 1], it turns clockwise. If you have 0.8 at [0, 0], cos and sin have changed places. "
        "If you have 0.48 at [0, 1], the second line has read what the first had written. If you "
        "have 0 at [0, 1], the second entries are left as they were.",
    )


@check(Layer.EXAMPLE)
def test_second_axis(own: Any) -> None:
    """the point (0, 1) comes to (-sin, cos)"""
    x = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    expect.close(
        own.rotate_pairs(x, COS, SIN),
        np.array([[-0.8, 0.6]]),
        what="The turned pair",
        given={"x": x, "cos": COS, "sin": SIN},
        probably="The point (0, 1) is a quarter turn ahead of (1, 0), before the turn and after "
        "it. It goes to the left.",
    )


@check(Layer.EXAMPLE, points=2)
def test_two_pairs(own: Any) -> None:
    """two pairs: neighbours turn together, each pair by its angle"""
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    cos, sin = (
        torch.tensor([[0.0, 0.6]], dtype=torch.float64),
        torch.tensor([[1.0, 0.8]], dtype=torch.float64),
    )
    expect.close(
        own.rotate_pairs(x, cos, sin),
        np.array([[-2.0, 1.0, -1.4, 4.8]]),
        what="The vector",
        given={"x": x, "cos": cos, "sin": sin},
        probably="(1, 2) makes a quarter turn and comes to (-2, 1); (3, 4) turns by the other "
        "angle and comes to (-1.4, 4.8). If you have -3 at [0, 0], your pairs are (1, 3) and "
        "(2, 4): the halves, as other models pair them. If you have -1.4 at [0, 1], all first "
        "entries come before all second ones.",
    )


@check(Layer.EXAMPLE)
def test_positions(own: Any) -> None:
    """two heads, two positions: the angle belongs to the position"""
    x = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(1, 2, 2, 2)
    cos, sin = (
        torch.tensor([[1.0], [0.6]], dtype=torch.float64),
        torch.tensor([[0.0], [0.8]], dtype=torch.float64),
    )
    head = [[1.0, 0.0], [0.6, 0.8]]
    expect.close(
        own.rotate_pairs(x, cos, sin),
        np.array([[head, head]]),
        what="The result",
        given={"x": x, "cos": cos, "sin": sin},
        probably="x is (B, H, T, K) = (1, 2, 2, 2), and every pair is (1, 0). Position 0 does not "
        "turn, position 1 does, in both heads. If you have 1 at [0, 0, 1, 0], the angles run "
        "along the heads.",
    )


@check(Layer.RANDOM)
def test_random(own: Any) -> None:
    """random vectors and angles agree with the complex product"""
    for seed, shape in enumerate(((1, 2), (2, 2), (2, 4), (1, 3, 2, 6), (2, 3, 5, 8))):
        x, cos, sin = draw(*shape, seed=seed)
        expect.close(
            own.rotate_pairs(x, cos, sin),
            by_complex_product(x, cos, sin),
            what="The result",
            given={"x": x, "cos": cos, "sin": sin},
            probably="Each pair (a, b) is the complex number a + ib, and turning it is the product "
            "with cos + i·sin. The last two axes of x meet the two axes of the tables.",
        )


@check(Layer.RANDOM)
def test_view(own: Any) -> None:
    """a view into a wider tensor, which is what split_qkv gives"""
    wide = draw(2, 3, 2, 12, seed=7)[0]  # (B, T, H, 3K), and x is k of (q, k, v)
    x = wide.transpose(1, 2)[..., 4:8]
    _, cos, sin = draw(3, 4, seed=7)
    expect.close(
        own.rotate_pairs(x, cos, sin),
        by_complex_product(x, cos, sin),
        what="The result",
        given={"x": x, "cos": cos, "sin": sin},
        probably="The entries of x do not lie next to each other in memory. Indexing, flatten and "
        "reshape do not mind.",
    )


@check(Layer.GRADIENTS)
def test_gradient(own: Any) -> None:
    """the gradient comes back to x, turned the other way"""
    x = torch.tensor([[2.0, 1.0]], requires_grad=True, dtype=torch.float64)
    result = own.rotate_pairs(x, COS, SIN)
    first = result[0, 0]
    gradient = torch.autograd.grad(first, x)[0] if first.requires_grad else torch.zeros_like(x)
    expect.close(
        gradient,
        np.array([[0.6, -0.8]]),
        what="The gradient of the first turned entry",
        given={"x": x, "cos": COS, "sin": SIN},
        probably="The first entry is 0.6·a - 0.8·b. If it is zero, the result is cut off from x: "
        "detach, .data, numpy() and no_grad do that. If torch refuses, something is written in "
        "place into a tensor that autograd needs.",
    )


@check(Layer.STABILITY)
def test_float64(own: Any) -> None:
    """in float64 no digit is lost"""
    x = torch.tensor([[80000.1, 60000.0]], dtype=torch.float64)
    cos, sin = (torch.tensor([[each]], dtype=torch.float64) for each in (0.6, 0.8))
    expect.close(
        own.rotate_pairs(x, cos, sin)[..., 0],
        np.array([0.06]),
        what="The first entry of the turned pair",
        given={"x": x, "cos": cos, "sin": sin},
        probably="It is 0.6·80000.1 - 0.8·60000 = 48000.06 - 48000 = 0.06: two large numbers "
        "nearly cancel, and what was rounded off is seen. If you have 0.0625, they have passed "
        "through float32. Stay in the dtype of x: without float(), and without a tensor that is "
        "made in torch's own default.",
    )


@check(Layer.STABILITY)
def test_precise_tables(own: Any) -> None:
    """with tables in float32, a pair of bfloat16 is rounded once"""
    x = torch.tensor([[640.0, 480.0]], dtype=torch.bfloat16)
    cos, sin = torch.tensor([[2458 / 4096]]), torch.tensor([[3277 / 4096]])
    expected = torch.tensor(by_complex_product(x, cos, sin)).to(torch.bfloat16)
    expect.close(
        own.rotate_pairs(x, cos, sin).float(),
        expected.float(),
        what="The turned pair",
        given={"x, in bfloat16": x, "cos, in float32": cos, "sin, in float32": sin},
        probably="640 cos and 480 sin are nearly equal, and what counts is what is left. If you "
        "have 0 at [0, 0], the tables were rounded to eight bits before the products. "
        "Multiply first, and turn the result into x's type.",
    )
