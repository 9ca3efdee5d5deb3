"""The checks of exercise 10.3, the backward pass of attention in tiles."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

GRADIENTS = ("dq", "dk", "dv")
# One query, two keys of width 4: √K is 2, the scaled scores are ln 3 and 0, the weights 3/4 and
# 1/4, and the log-sum-exp is ln 4.
Q = np.array([[2 * math.log(3), 0.0, 0.0, 0.0]])
K = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
V = np.array([[8.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]])
DY = np.array([[1.0, 0.0, 0.0, 1.0]])
GIVEN = {"q": Q, "k": K, "v": V, "dy": DY}


def counter() -> SimpleNamespace:
    """Counts as Traffic does: numbers loaded and numbers stored."""
    counts = np.zeros(2, dtype=np.int64)

    def load(x: Any) -> Any:
        counts[0] += x.size
        return x

    def store(x: Any) -> Any:
        counts[1] += x.size
        return x

    return SimpleNamespace(load=load, store=store, counts=counts)


def allowed(q: Any, k: Any, mask: Any, causal: bool) -> Any:
    """(..., T, S), True where a query may look."""
    shape = (*q.shape[:-1], k.shape[-2])
    look = np.ones(shape, bool) if mask is None else np.broadcast_to(mask, shape).copy()
    for t in range(shape[-2]):
        look[..., t, t + 1 + shape[-1] - shape[-2] if causal else shape[-1] :] = False
    return look


def forward(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False) -> tuple[Any, Any, Any]:
    """The weights, y and the log-sum-exp, all in one piece."""
    scores = np.einsum("...tk,...sk->...ts", q, k) / math.sqrt(q.shape[-1])
    look = allowed(q, k, mask, causal)
    blind = ~look.any(axis=-1, keepdims=True)
    top = np.where(blind, 0, np.where(look, scores, -np.inf).max(axis=-1, keepdims=True))
    exponentials = np.where(look, np.exp(np.where(look, scores - top, 0)), 0)
    total = np.where(blind, 1, exponentials.sum(axis=-1, keepdims=True))
    weights = exponentials / total
    log_sum = np.where(blind, np.inf, top + np.log(total))
    return weights, np.einsum("...ts,...sk->...tk", weights, v), log_sum


def by_definition(dy: Any, q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False) -> Any:
    """The three gradients, through the whole Jacobian of the softmax."""
    weights = forward(q, k, v, mask, causal)[0]
    dweights = np.einsum("...tk,...sk->...ts", dy, v)
    jacobian = weights[..., :, None] * (np.eye(k.shape[-2]) - weights[..., None, :])
    dscores = np.einsum("...ts,...tsj->...tj", dweights, jacobian) / math.sqrt(q.shape[-1])
    return (
        np.einsum("...ts,...sk->...tk", dscores, k),
        np.einsum("...ts,...tk->...sk", dscores, q),
        np.einsum("...ts,...tk->...sk", weights, dy),
    )


def cache_of(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    causal: bool = False,
    block: tuple[int, int] = (1, 1),
) -> tuple[Any, ...]:
    """What the forward pass keeps."""
    _, y, log_sum = forward(q, k, v, mask, causal)
    return q, k, v, y.astype(q.dtype), log_sum.astype(q.dtype), mask, causal, block


def paper(own: Any, block: tuple[int, int] = (1, 1)) -> Any:
    """The gradients of the paper example."""
    result = own.tiled_attention_backward(DY.copy(), cache_of(Q, K, V, block=block))
    expect.parts(result, GRADIENTS)
    return result


SIZES = (((), 2, 2, 1), ((), 3, 3, 2), ((2,), 2, 5, 3), ((2, 1), 4, 4, 4))


def compare(own: Any, seed: int, options: Any, blocks: Any, probably: str) -> None:
    """Random cases against the definition; options makes mask and causal from rng and shape."""
    rng = np.random.default_rng(seed)
    for lead, t, s, width in SIZES:
        q, k, v, dy = (rng.normal(size=(*lead, n, width)).round(1) for n in (t, s, s, t))
        chosen = options(rng, (*lead, t, s))
        for block in blocks:
            result = own.tiled_attention_backward(
                dy.copy(), cache_of(q, k, v, **chosen, block=block)
            )
            expected = by_definition(dy, q, k, v, **chosen)
            for name, received, right in zip(GRADIENTS, result, expected, strict=True):
                expect.close(
                    received,
                    right,
                    what=name,
                    given={"q": q, "k": k, "v": v, "dy": dy, **chosen, "block": block},
                    probably=probably,
                )


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """dq, dk and dv have the shapes and the dtype of q, k and v"""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, n, 4)).astype(np.float32) for n in (2, 5, 5))
    result = own.tiled_attention_backward(np.ones_like(q), cache_of(q, k, v, block=(2, 2)))
    expect.parts(result, GRADIENTS)
    for name, gradient, value in zip(GRADIENTS, result, (q, k, v), strict=True):
        expect.array(gradient, like=value, shape=value.shape, what=name)


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """dy and what the cache holds are left as they were"""
    q, k, v, dy = (array.copy() for array in (Q, K, V, DY))
    cache = cache_of(q, k, v)
    with expect.unchanged(dy=dy, q=q, k=k, v=v, y=cache[3], log_sum=cache[4]):
        own.tiled_attention_backward(dy, cache)


@check(Layer.EXAMPLE)
def test_dv_by_hand(own: Any) -> None:
    """the gradient of the values, two keys in two tiles"""
    expect.close(
        paper(own)[2],
        np.array([[0.75, 0.0, 0.0, 0.75], [0.25, 0.0, 0.0, 0.25]]),
        what="dv",
        given={**GIVEN, "log_sum": np.log([[4.0]]), "block": (1, 1)},
        probably="The scaled scores are ln 3 and 0 and log_sum is ln 4, so the weights are 3/4 and "
        "1/4, and each value gets its weight's share of dy. If you have 3 at [0, 0], log_sum is "
        "not taken off. If you have 1 at [0, 0], the softmax is taken inside a tile. If you have "
        "2.25 at [0, 0], the scores lack the scale. If you have 1.125 at [0, 0], the gradients of "
        "the scores stand where the weights belong.",
    )


@check(Layer.EXAMPLE, points=3)
def test_dq_by_hand(own: Any) -> None:
    """the gradient of the query: both tiles have a share in it"""
    expect.close(
        paper(own)[0],
        np.array([[0.5625, -0.5625, 0.0, 0.0]]),
        what="dq",
        given={**GIVEN, "y": np.array([[6.0, 0.0, 0.0, 0.5]]), "block": (1, 1)},
        probably="D = dy·y = 6.5. The weights' gradients are dy·v₀ = 8 and dy·v₁ = 2, so those of "
        "the scaled scores are 3/4·(8 - 6.5) = 1.125 and 1/4·(2 - 6.5) = -1.125; times the keys, "
        "divided by √4. If you have 3 at [0, 0], D is missing. "
        " If you have 1.125 at [0, 0], the scale is missing. If you have 0.2812 at "
        "[0, 0], it is there twice. If you have 0 at [0, 0], the second tile has overwritten what "
        "the first one gave.",
    )


@check(Layer.EXAMPLE)
def test_dk_by_hand(own: Any) -> None:
    """the gradient of the keys, worked by hand"""
    expected = 1.125 * math.log(3)
    expect.close(
        paper(own)[1],
        np.array([[expected, 0.0, 0.0, 0.0], [-expected, 0.0, 0.0, 0.0]]),
        what="dk",
        given={**GIVEN, "block": (1, 1)},
        probably="The scores' gradients are 1.125 and -1.125; each key's is its score's times the "
        "query, divided by √4.",
    )


@check(Layer.EXAMPLE, points=2)
def test_two_queries(own: Any) -> None:
    """two queries in two tiles: each key collects from both"""
    q, dy = np.concatenate([Q, np.zeros((1, 4))]), np.array([[1.0, 0.0, 0.0, 1.0]] * 2)
    _, dk, dv = own.tiled_attention_backward(dy, cache_of(q, K, V))
    given = {"q": q, "k": K, "v": V, "dy": dy, "block": (1, 1)}
    expect.close(
        dv,
        np.array([[1.25, 0.0, 0.0, 1.25], [0.75, 0.0, 0.0, 0.75]]),
        what="dv",
        given=given,
        probably="The weights are 3/4 and 1/4 for the first query and 1/2 and 1/2 for the second, "
        "so the first value collects 3/4 + 1/2. If you have 0.5 at [0, 0], the second tile of "
        "queries has overwritten what the first one gave.",
    )
    slope = 1.125 * math.log(3)
    expect.close(
        dk,
        np.array([[slope, 0.0, 0.0, 0.0], [-slope, 0.0, 0.0, 0.0]]),
        what="dk",
        given=given,
        probably="The second query is zero and adds nothing. If you have 0 at [0, 0], its tile has "
        "overwritten what the first one gave.",
    )


@check(Layer.EXAMPLE)
def test_traffic(own: Any) -> None:
    """tiles above the diagonal are not loaded"""
    zeros = [np.zeros((4, 1)) for _ in range(4)]
    for chosen in ({"causal": True}, {"mask": np.tri(4, dtype=bool)}):
        traffic = counter()
        cache = cache_of(*zeros[:3], **chosen, block=(2, 2))
        own.tiled_attention_backward(zeros[3], cache, traffic)
        for what, received, expected in zip(
            ("loaded", "stored"),
            traffic.counts.copy(),
            (8 + 8 + 3 * 10, 4 + 4 + 8 + 3 * 2),
            strict=True,
        ):
            expect.close(
                received,
                expected,
                what=f"The count of numbers {what}",
                given={"T, S, K": "4, 4, 1", "block": (2, 2), **chosen},
                probably="For D, the 4 numbers of dy and the 4 of y are loaded, and 4 are stored. "
                "Of k and v, 8 are loaded, and dk and dv are stored once. Each of the 3 pairs of "
                "tiles that are not empty, by causal or by the mask, loads 2 numbers of q, dy, "
                "log_sum, D and dq, and stores 2 of dq. The zeros that dq begins with are stored "
                "as well, 4.",
            )


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random cases in tiles of many sizes, from the whole Jacobian"""
    compare(
        own,
        104,
        lambda rng, shape: {},
        ((1, 1), (2, 2), (3, 2), (2, 3), (9, 9)),
        "Tiles need not divide the length, any axes may come in front of T, and T and S may "
        "differ.",
    )


@check(Layer.RANDOM, points=2)
def test_random_masks(own: Any) -> None:
    """random masks, causal masks, and both"""
    for n, options in enumerate(
        (
            lambda rng, shape: {"mask": rng.random(shape) < 0.6},
            lambda rng, shape: {"causal": True},
            lambda rng, shape: {"mask": rng.random(shape[-1:]) < 0.6, "causal": True},
            lambda rng, shape: {"mask": rng.random((shape[-2], 1)) < 0.6},
        )
    ):
        compare(
            own,
            105 + n,
            options,
            ((2, 2), (3, 2), (1, 3)),
            "The scores are computed again, so they must be masked again: minus infinity where "
            "tile_mask says False.",
        )


@check(Layer.GRADIENTS, points=2)
def test_gradients(own: Any) -> None:
    """the gradients are those of differences"""
    rng = np.random.default_rng(108)
    case = {n: rng.normal(size=size).round(1) for n, size in (("q", (3, 2)), ("k", (4, 2)))}
    case["v"], dy = rng.normal(size=(4, 2)).round(1), rng.normal(size=(3, 2)).round(1)
    result = own.tiled_attention_backward(dy.copy(), cache_of(**case, causal=True, block=(2, 3)))
    for name, received in zip("qkv", result, strict=True):

        def loss(x: Any, name: str = name) -> float:
            return float((forward(**{**case, name: x}, causal=True)[1] * dy).sum())

        expect.gradient(
            received,
            of=loss,
            at=case[name],
            what=f"d{name}",
            given={**case, "dy": dy, "causal": True, "block": (2, 3)},
        )


@check(Layer.STABILITY, points=2)
def test_nothing_to_look_at(own: Any) -> None:
    """large scores, and a query that may look nowhere"""
    q, k = np.array([[100.0], [100.0]]), np.array([[100.0], [99.0]])
    v, mask = np.array([[1.0], [2.0]]), np.array([[True, True], [False, False]])
    result = own.tiled_attention_backward(np.ones((2, 1)), cache_of(q, k, v, mask, block=(2, 1)))
    given = {"q": q, "k": k, "v": v, "mask": mask, "block": (2, 1)}
    expected = (np.zeros((2, 1)), np.zeros((2, 1)), np.array([[1.0], [0.0]]))
    for name, received, right in zip(GRADIENTS, result, expected, strict=True):
        expect.close(
            received,
            right,
            what=name,
            given=given,
            probably="The first query sees the first key alone, with weight 1; the second sees "
            "none. Its log_sum is plus infinity, so exp(score - log_sum) is 0. exp(score) by "
            "itself is too large for a float.",
        )
