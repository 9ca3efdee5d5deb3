"""The checks of exercise 3.4, multi-head attention."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Two tokens of width 2, two heads of width 1, so that √K is 1. Keys are x itself.
PAPER = {
    "x": np.eye(2)[None],
    "wqkv": np.hstack([np.diag(np.log([3.0, 2.0])), np.eye(2), np.diag([8.0, 12.0])]),
    "bqkv": np.array([0.0, 0.0, 0.0, 0.0, 0.0, 3.0]),
    "wo": np.array([[1.0, 2.0], [0.0, 1.0]]),
    "bo": np.array([10.0, 0.0]),
}
# Of x and the parameters, for two examples of three tokens of width 4.
SHAPES: dict[str, tuple[int, ...]] = {
    "x": (2, 3, 4),
    "wqkv": (4, 12),
    "bqkv": (12,),
    "wo": (4, 4),
    "bo": (4,),
}
GRADIENTS = [f"d{name}" for name in SHAPES]


def run(own: Any, case: dict[str, Any], heads: int, mask: Any = None) -> Any:
    """y and the cache, on copies of the inputs."""
    copies = {name: value.copy() for name, value in case.items()}
    result = own.multi_head_attention(**copies, heads=heads, mask=mask)
    expect.parts(result, ("y", "cache"))
    return result


SIZES = (
    *((1, 2, 2, 1, False), (1, 2, 2, 2, False), (2, 2, 4, 2, True)),
    *((2, 3, 6, 2, True), (3, 4, 6, 3, True)),
)


def cases(seed: int, sizes: Any = SIZES) -> Iterator[tuple[dict[str, Any], int, Any]]:
    """Random inputs, numbers of heads and masks, from small to large."""
    rng = np.random.default_rng(seed)
    for batch, length, width, heads, masked in sizes:
        shapes: dict[str, tuple[int, ...]] = {
            "x": (batch, length, width),
            "wqkv": (width, 3 * width),
            "bqkv": (3 * width,),
            "wo": (width, width),
            "bo": (width,),
        }
        case = {name: rng.normal(size=shape).round(1) for name, shape in shapes.items()}
        mask = None
        if masked:
            mask = rng.random((batch, length)) < 0.6
            mask[:, 0] = True
        yield case, heads, mask


def by_definition(case: dict[str, Any], heads: int, mask: Any) -> Any:
    """One head and one query at a time, with a projection of its own for each head."""
    x, wqkv, bqkv = case["x"], case["wqkv"], case["bqkv"]
    batch, length, width = x.shape
    each = width // heads
    y = np.zeros(x.shape)
    for b, h in np.ndindex(batch, heads):
        q, k, v = (
            x[b] @ wqkv[:, start : start + each] + bqkv[start : start + each]
            for start in (h * each, width + h * each, 2 * width + h * each)
        )
        seen = [s for s in range(length) if mask is None or mask[b, s]]
        rows = case["wo"][h * each : (h + 1) * each]  # what this head adds to the output
        for t in range(length):
            parts = [math.exp(float(q[t] @ k[s]) / math.sqrt(each)) for s in seen]
            if seen:
                mixed = sum(p * v[s] for p, s in zip(parts, seen, strict=True)) / math.fsum(parts)
                y[b, t] += mixed @ rows
    return y + case["bo"]


@check(Layer.SHAPES)
def test_result(own: Any) -> None:
    """y is like x: (B, T, D), float32 if the inputs are"""
    for dtype in (np.float32, np.float64):
        case = {name: np.ones(shape, dtype) for name, shape in SHAPES.items()}
        for mask in (None, np.ones((2, 3), bool)):
            y, _ = run(own, case, 2, mask)
            expect.array(y, like=case["x"], shape=(2, 3, 4), what="y")


@check(Layer.SHAPES)
def test_gradient_shapes(own: Any) -> None:
    """five gradients, of the shapes of x and the parameters"""
    for dtype in (np.float32, np.float64):
        case = {name: np.ones(shape, dtype) for name, shape in SHAPES.items()}
        _, cache = run(own, case, 2)
        result = own.multi_head_attention_backward(np.ones((2, 3, 4), dtype), cache)
        expect.parts(result, GRADIENTS)
        for gradient, (name, value) in zip(result, case.items(), strict=True):
            expect.array(gradient, like=value, shape=value.shape, what=f"d{name}")


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, the parameters, the mask and dy are left as they were"""
    case = {name: value.copy() for name, value in PAPER.items()}
    mask, dy = np.array([[True, False]]), np.ones((1, 2, 2))
    with expect.unchanged(**case, mask=mask, dy=dy):
        _, cache = own.multi_head_attention(**case, heads=2, mask=mask)
        own.multi_head_attention_backward(dy, cache)


@check(Layer.EXAMPLE, points=2)
def test_two_heads_by_hand(own: Any) -> None:
    """two tokens, two heads, worked by hand"""
    y, _ = run(own, PAPER, 2)
    expect.close(
        y,
        np.array([[[16.0, 21.0], [14.0, 19.0]]]),
        what="y",
        given={**PAPER, "heads": 2},
        probably="Head 0 has the queries ln 3 and 0, the keys 1 and 0 and the values 8 and 0: it "
        "returns 6 and 4. Head 1 has the queries 0 and ln 2, the keys 0 and 1 and the values 3 "
        "and 15: it returns 9 and 11. So (6, 9) and (4, 11) go through wo and bo. If you have 6 "
        "at [0, 0, 0], bo is missing. If you have 18 at [0, 0, 1], bqkv is missing. If you have "
        "17.74 at [0, 0, 1], the heads were not split. If you have 19.96 at [0, 0, 1], the scores "
        "are divided by √D, and should be by √K. If you have 17 at [0, 0, 0], x is added, which is "
        "left to the caller. If you have 16 at [0, 0, 1], the heads were joined without "
        "a transpose. If you have 11 at [0, 0, 0], values and keys have changed places.",
    )


@check(Layer.EXAMPLE)
def test_mask_by_hand(own: Any) -> None:
    """the second token is padding: both queries see the first alone"""
    mask = np.array([[True, False]])
    y, _ = run(own, PAPER, 2, mask)
    expect.close(
        y,
        np.array([[[18.0, 19.0], [18.0, 19.0]]]),
        what="y",
        given={**PAPER, "heads": 2, "mask": mask},
        probably="With one key left, its weight is 1: head 0 returns 8 and head 1 returns 3, for "
        "both queries. If you have 14 at [0, 1, 0], padding is looked at. If you have 10 at "
        "[0, 0, 0], the one real token is not looked at. The mask hides keys, and not queries.",
    )


@check(Layer.EXAMPLE)
def test_refuses_another_mask(own: Any) -> None:
    """a mask that is not a boolean (B, T) raises ValueError"""
    for mask, fault in (
        (np.ones((1, 1), bool), "x is (1, 2, 2) and the mask is (1, 1)"),
        (np.ones(2, bool), "x is (1, 2, 2) and the mask is (2,)"),
        (np.ones((1, 3), bool), "x is (1, 2, 2) and the mask is (1, 3)"),
        (np.ones((1, 1, 1, 2), bool), "x is (1, 2, 2) and the mask is (1, 1, 1, 2)"),
        (np.ones((1, 2), int), "the mask holds whole numbers"),
        (np.ones((1, 2)), "the mask holds floats"),
    ):
        with expect.raises(ValueError, fault, {"mask": mask}):
            own.multi_head_attention(**PAPER, heads=2, mask=mask)
    case = {name: np.ones(shape) for name, shape in SHAPES.items()} | {"x": np.ones((2, 3, 4))}
    mask = np.ones((1, 3), bool)
    with expect.raises(ValueError, "x is (2, 3, 4) and the mask is (1, 3)", {"mask": mask}):
        own.multi_head_attention(**case, heads=2, mask=mask)


@check(Layer.EXAMPLE)
def test_refuses_heads(own: Any) -> None:
    """a number of heads that does not divide D raises ValueError"""
    case = {name: np.ones(shape) for name, shape in SHAPES.items()}
    for heads in (3, 8, 0, -2):
        with expect.raises(ValueError, f"D is 4 and there are {heads} heads", {"heads": heads}):
            own.multi_head_attention(**case, heads=heads)


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random heads and masks, one head and one query at a time"""
    for case, heads, mask in cases(34):
        y, _ = run(own, case, heads, mask)
        expect.close(
            y,
            by_definition(case, heads, mask),
            what="y",
            given={**case, "heads": heads} | ({} if mask is None else {"mask": mask}),
            probably="The first third of x @ wqkv + bqkv is the queries, then come keys, then "
            "values, and a head has neighbouring columns of each. Its scores are divided by the "
            "root of its own width. Each example has its own row of the mask.",
        )


@check(Layer.RANDOM)
def test_nothing_but_padding(own: Any) -> None:
    """an example that is all padding gives bo in every row"""
    ((case, heads, mask),) = cases(37, ((2, 2, 4, 2, True),))
    mask[1] = False
    y, _ = run(own, case, heads, mask)
    expect.close(
        y,
        by_definition(case, heads, mask),
        what="y",
        given={**case, "heads": heads, "mask": mask},
        probably="In the second example no query has a key. Attention gives zeros there, and bo is "
        "all that is left.",
    )
    y, _ = run(own, case, heads)
    expect.close(
        y,
        by_definition(case, heads, None),
        what="y without a mask, after a call with one,",
        given={**case, "heads": heads},
        probably="No call may depend on the calls before it.",
    )


@check(Layer.RANDOM)
def test_two_forward_passes(own: Any) -> None:
    """a cache stays good while other forward passes run"""
    (first, heads, mask), (second, *_) = cases(38, ((1, 2, 4, 2, True), (1, 2, 4, 2, False)))
    dy = np.random.default_rng(39).normal(size=(1, 2, 4)).round(1)
    _, cache = run(own, first, heads, mask)
    expect.repeatable_backward(
        lambda: own.multi_head_attention_backward(dy.copy(), cache),
        lambda: run(own, second, 1),
        GRADIENTS,
        given={"x": first["x"], "heads": heads, "dy": dy},
    )


@check(Layer.GRADIENTS, points=2)
def test_gradients_of_the_output_projection(own: Any) -> None:
    """dwo and dbo are derivatives of the forward pass"""
    _differences(own, ("wo", "bo"))


@check(Layer.GRADIENTS, points=3)
def test_gradients_of_the_rest(own: Any) -> None:
    """dx, dwqkv and dbqkv are derivatives of the forward pass"""
    _differences(own, ("x", "wqkv", "bqkv"))


def _differences(own: Any, names: tuple[str, ...]) -> None:
    for case, heads, mask in cases(35, SIZES[:3]):
        _, cache = run(own, case, heads, mask)
        dy = np.random.default_rng(36).normal(size=case["x"].shape).round(1)
        result = own.multi_head_attention_backward(dy.copy(), cache)
        expect.parts(result, GRADIENTS)
        for name, received in zip(SHAPES, result, strict=True):
            if name not in names:
                continue

            def loss(
                value: Any,
                name: str = name,
                case: Any = case,
                heads: int = heads,
                mask: Any = mask,
                dy: Any = dy,
            ) -> float:
                inputs = {**case, name: value}
                y, _ = own.multi_head_attention(**inputs, heads=heads, mask=mask)
                return float((y * dy).sum())

            expect.gradient(
                received,
                of=loss,
                at=case[name],
                what=f"d{name}",
                given={"x": case["x"], "heads": heads, "dy": dy},
                probably="Each step of the forward pass has its backward, in the opposite order: "
                "the output projection, heads joined, attention, heads split, the three parts, the "
                "fused projection. A change of the input moves y by something other than this "
                "gradient says.",
            )
