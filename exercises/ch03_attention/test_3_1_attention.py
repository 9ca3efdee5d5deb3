"""The checks of exercise 3.1, attention and its gradients."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

GRADIENTS = ("dq", "dk", "dv")
# One query, two keys of width 4: √K is 2, the scaled scores are ln 3 and 0, the weights 3/4 and
# 1/4.
Q = np.array([[2 * math.log(3), 0.0, 0.0, 0.0]])
K = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
V = np.array([[8.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]])
DY = np.array([[1.0, 0.0, 0.0, 1.0]])
GIVEN = {"q": Q, "k": K, "v": V}


def paper(own: Any) -> Any:
    """The gradients of the paper example."""
    _, cache = own.attention(Q.copy(), K.copy(), V.copy())
    result = own.attention_backward(DY.copy(), cache)
    expect.parts(result, GRADIENTS)
    return result


SIZES = (
    *(((), 2, 2, 1), ((), 2, 3, 2), ((2,), 2, 2, 2)),
    *(((2,), 3, 3, 4), ((2, 1), 2, 4, 3), ((2, 3), 4, 5, 8)),
)


def cases(seed: int, masked: bool, sizes: Any = SIZES) -> Iterator[dict[str, Any]]:
    """Random q, k, v and mask, from small to large; no query is left without a key."""
    rng = np.random.default_rng(seed)
    for lead, t, s, width in sizes:
        shapes = {"q": (*lead, t, width), "k": (*lead, s, width), "v": (*lead, s, width)}
        case: dict[str, Any] = {n: rng.normal(size=shape).round(1) for n, shape in shapes.items()}
        if masked:
            case["mask"] = rng.random((*lead, t, s)) < 0.6
            case["mask"][..., 0] = True
        yield case


def by_definition(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    """Attention, one query at a time, over the keys it may look at and no other."""
    y = np.zeros(q.shape)
    for place in np.ndindex(q.shape[:-1]):
        lead, t = place[:-1], place[-1]
        seen = [s for s in range(k.shape[-2]) if mask is None or mask[(*lead, t, s)]]
        scores = [float(q[place] @ k[(*lead, s)]) / math.sqrt(q.shape[-1]) for s in seen]
        shares = [math.exp(score) / math.fsum(map(math.exp, scores)) for score in scores]
        y[place] = sum(p * v[(*lead, s)] for p, s in zip(shares, seen, strict=True))
    return y


@check(Layer.SHAPES)
def test_result(own: Any) -> None:
    """y is like q: (..., T, K), float32 if the inputs are"""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        q, k, v = (rng.normal(size=(2, 3, n, 4)).astype(dtype) for n in (2, 5, 5))
        for mask in (None, np.tri(2, 5, 3, dtype=bool)):
            result = own.attention(q, k, v, mask)
            expect.parts(result, ("y", "cache"))
            expect.array(
                result[0],
                like=q,
                shape=q.shape,
                what="y" if mask is None else "y with a mask",
                probably="The weights are (..., T, S), and weights @ v is (..., T, K).",
            )


@check(Layer.SHAPES)
def test_gradient_shapes(own: Any) -> None:
    """dq, dk and dv have the shapes and the dtype of q, k and v"""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        inputs = [rng.normal(size=(2, n, 4)).astype(dtype) for n in (2, 5, 5)]
        _, cache = own.attention(*inputs)
        result = own.attention_backward(np.ones_like(inputs[0]), cache)
        expect.parts(result, GRADIENTS)
        for name, gradient, value in zip(GRADIENTS, result, inputs, strict=True):
            expect.array(gradient, like=value, shape=value.shape, what=name)


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """q, k, v, the mask and dy are left as they were"""
    q, k, v, dy = (a.copy() for a in (Q, K, V, DY))
    mask = np.array([[True, False]])
    with expect.unchanged(q=q, k=k, v=v, mask=mask, dy=dy):
        _, cache = own.attention(q, k, v, mask)
        own.attention_backward(dy, cache)


@check(Layer.EXAMPLE, points=2)
def test_one_query(own: Any) -> None:
    """one query, two keys, worked by hand"""
    y, _ = own.attention(Q.copy(), K.copy(), V.copy())
    expect.close(
        y,
        np.array([[6.0, 0.0, 0.0, 0.5]]),
        what="y",
        given=GIVEN,
        probably="The scores are 2·ln 3 and 0; divided by √4 they are ln 3 and 0; the weights are "
        "3/4 and 1/4, and y is 3/4 of the first value and 1/4 of the second. If you have 7.2 at "
        "[0, 0], the scores are not divided. If you have 5.072 at [0, 0], they are divided by K "
        "and not by its root. If you have 7.902 at [0, 0], they are multiplied. If you have 8 at "
        "[0, 0], the softmax runs over the queries and not over the keys. If you have 3.6 at "
        "[0, 0], the weights are divided, after the softmax.",
    )


@check(Layer.EXAMPLE, points=2)
def test_mask(own: Any) -> None:
    """a masked key gets no weight, and the others share all of it"""
    k = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
    v = np.array([[8.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0], [20.0, 0.0, 0.0, 0.0]])
    mask = np.array([[True, True, False]])
    y, cache = own.attention(Q.copy(), k, v, mask)
    given = {"q": Q, "k": k, "v": v, "mask": mask}
    expect.close(
        y,
        np.array([[6.0, 0.0, 0.0, 0.5]]),
        what="y",
        given=given,
        probably="The scaled scores are ln 3, 0 and 2·ln 3, and the third key is masked, so that "
        "3/4 and 1/4 are left. If you have 1.846 at [0, 0], the mask is applied after the softmax, "
        "and the weights no longer sum to one. If you have 8.8 at [0, 0], a masked score is 0, "
        "which is a score like any other: it must be minus infinity. If you have 20 at [0, 0], the "
        "mask is read the wrong way round: True is where a query may look. If you have 15.69 at "
        "[0, 0], the mask is not used. If you have 12.34 at [0, 0], the mask is added to the "
        "scores as a number.",
    )
    expect.close(
        cache[0],
        np.array([[0.75, 0.25, 0.0]]),
        what="The first entry of the cache, the weights,",
        given=given,
        probably="y is right. The weights come first in the cache, because other code reads them "
        "there.",
    )


@check(Layer.EXAMPLE, points=2)
def test_refuses_other_masks(own: Any) -> None:
    """a mask that is not boolean, or does not fit, raises ValueError"""
    ones = np.ones((1, 2))
    for mask, fault in (
        (ones.astype(int), "the mask holds whole numbers"),
        (ones, "the mask holds floats"),
        (np.ones((1, 3), bool), "there are 2 keys and the mask has 3"),
        (np.ones((2, 2), bool), "there is 1 query and the mask has 2 rows"),
        (np.ones((1, 1, 2), bool), "the mask has an axis more than the scores"),
        (np.ones((2, 1), bool), "there is 1 query and the mask is (2, 1)"),
    ):
        with expect.raises(ValueError, fault, {**GIVEN, "mask": mask}):
            own.attention(Q.copy(), K.copy(), V.copy(), mask)


@check(Layer.EXAMPLE)
def test_dv_by_hand(own: Any) -> None:
    """the gradient of the values, worked by hand"""
    _, _, dv = paper(own)
    expect.close(
        dv,
        np.array([[0.75, 0.0, 0.0, 0.75], [0.25, 0.0, 0.0, 0.25]]),
        what="dv",
        given={**GIVEN, "dy": DY},
        probably="y = 3/4·v₀ + 1/4·v₁, so v₀ gets 3/4 of dy and v₁ gets 1/4. If you have 0.375 "
        "at [0, 0], dv holds the scale, which belongs to the scores.",
    )


@check(Layer.EXAMPLE, points=2)
def test_dq_by_hand(own: Any) -> None:
    """the gradient of the query, worked by hand"""
    dq, _, _ = paper(own)
    expect.close(
        dq,
        np.array([[0.5625, -0.5625, 0.0, 0.0]]),
        what="dq",
        given={**GIVEN, "dy": DY},
        probably="The weights' gradients are dy·v₀ = 8 and dy·v₁ = 2, and their mean under the "
        "weights 3/4 and 1/4 is 6.5. So the scores' gradients are 3/4·(8 - 6.5) = 1.125 and "
        "1/4·(2 - 6.5) = -1.125; times the keys, divided by √4. If you have 4 at [0, 0], softmax "
        "is passed through as if it were not there. If you have 3 at [0, 0], the mean is not "
        "subtracted. If you have 0.2812 at [0, 0], the scale is applied twice.",
    )


@check(Layer.EXAMPLE)
def test_dk_by_hand(own: Any) -> None:
    """the gradient of the keys, worked by hand"""
    _, dk, _ = paper(own)
    expected = 1.125 * math.log(3)
    expect.close(
        dk,
        np.array([[expected, 0.0, 0.0, 0.0], [-expected, 0.0, 0.0, 0.0]]),
        what="dk",
        given={**GIVEN, "dy": DY},
        probably="The scores' gradients are 1.125 and -1.125. Each key's is its score's times the "
        "query, divided by √4. They are the scores' gradients of dq, transposed and multiplied by "
        "q where dq has k.",
    )


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random cases, from the definition with plain loops"""
    for case in cases(31, masked=False):
        expect.close(
            own.attention(**{name: value.copy() for name, value in case.items()})[0],
            by_definition(**case),
            what="y",
            given=case,
            probably="Here K is not always 4, there may be several queries, and axes in front of "
            "them. Each query has a softmax of its own, over its keys, and only the last two axes "
            "of k are swapped.",
        )


@check(Layer.RANDOM)
def test_random_masks(own: Any) -> None:
    """random masks, from the definition with plain loops"""
    for case in cases(32, masked=True):
        expect.close(
            own.attention(**{name: value.copy() for name, value in case.items()})[0],
            by_definition(**case),
            what="y",
            given=case,
            probably="Each query has its own row of the mask, and each entry of the axes in front "
            "has its own mask.",
        )


@check(Layer.RANDOM, points=2)
def test_masks_that_broadcast(own: Any) -> None:
    """a mask may have axes of length 1, or fewer axes; then no mask"""
    rng = np.random.default_rng(35)
    q, k, v = (rng.normal(size=(2, 1, n, 2)).round(1) for n in (2, 3, 3))
    given = {"q": q, "k": k, "v": v}
    keys, rows = np.array([True, False, True]), np.array([[True], [False]])
    for mask in (keys, keys[None], np.tri(2, 3, 1, dtype=bool), rows, rows[:, None, None] | keys):
        y, _ = own.attention(q.copy(), k.copy(), v.copy(), mask)
        whole = np.broadcast_to(mask, (2, 1, 2, 3))
        expect.close(
            y,
            by_definition(q, k, v, whole),
            what="y",
            given={**given, "mask": mask},
            probably="The mask has the shape (..., T, S) after broadcasting: an axis of length 1, "
            "or one that is missing in front, holds for all. Where a row of it is False "
            "throughout, the query gets zeros.",
        )
    expect.close(
        own.attention(q.copy(), k.copy(), v.copy())[0],
        by_definition(q, k, v),
        what="y without a mask, after calls with one,",
        given=given,
        probably="No call may depend on the calls before it.",
    )


@check(Layer.RANDOM)
def test_two_forward_passes(own: Any) -> None:
    """a cache stays good while other forward passes run"""
    first, second = list(cases(36, masked=False, sizes=(((), 2, 3, 2),) * 2))
    dy = np.array([[1.0, -2.0], [0.5, 1.0]])
    _, cache = own.attention(**first)
    expect.repeatable_backward(
        lambda: own.attention_backward(dy.copy(), cache),
        lambda: own.attention(**second),
        GRADIENTS,
        given={**first, "dy": dy},
    )


@check(Layer.GRADIENTS, points=3)
def test_gradients(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    for masked in (False, True):
        for case in cases(33, masked, SIZES[:3]):
            _, cache = own.attention(**case)
            dy = np.random.default_rng(34).normal(size=case["q"].shape).round(1)
            received = own.attention_backward(dy.copy(), cache)
            for name, value in zip("qkv", received, strict=True):

                def loss(x: Any, case: Any = case, name: str = name, dy: Any = dy) -> float:
                    return float((own.attention(**{**case, name: x})[0] * dy).sum())

                expect.gradient(
                    value,
                    of=loss,
                    at=case[name],
                    what=f"d{name}",
                    given={**case, "dy": dy},
                    probably="Each key collects from all queries, and each query has a softmax of "
                    "its own. A change of the input moves y by something other than this gradient "
                    "says.",
                )


@check(Layer.STABILITY)
def test_large_scores(own: Any) -> None:
    """scores of 10,000 give the value of the largest"""
    q, k = np.array([[100.0]]), np.array([[100.0], [99.0]])
    v = np.array([[1.0], [2.0]])
    expect.close(
        own.attention(q, k, v)[0],
        np.array([[1.0]]),
        what="y",
        given={"q": q, "k": k, "v": v},
        probably="The scores are 10,000 and 9,900. exp(10000) is too large for a float; softmax, "
        "which is imported already, subtracts the largest score first.",
    )


@check(Layer.STABILITY)
def test_large_masked_score(own: Any) -> None:
    """a masked score of 10,000 leaves the others their weights"""
    k = np.array([[1e4, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    q, mask = Q.copy(), np.array([[False, True, True]])
    v = np.array([[1.0, 0.0, 0.0, 0.0], *V])
    expect.close(
        own.attention(q, k.copy(), v.copy(), mask)[0],
        np.array([[6.0, 0.0, 0.0, 0.5]]),
        what="y",
        given={"q": q, "k": k, "v": v, "mask": mask},
        probably="The first key is masked, and the other two are the worked example: 3/4 and 1/4. "
        "A softmax that still sees the masked score rounds their weights to 0; set that score to "
        "minus infinity before the softmax.",
    )


@check(Layer.STABILITY)
def test_nothing_to_look_at(own: Any) -> None:
    """a query that may look nowhere gets zeros, and finite gradients"""
    mask = np.array([[False, False]])
    y, cache = own.attention(Q.copy(), K.copy(), V.copy(), mask)
    given = {**GIVEN, "mask": mask}
    expect.close(
        y,
        np.zeros((1, 4)),
        what="y",
        given=given,
        probably="Where every key is masked, all scores are minus infinity, and softmax, which is "
        "imported already, turns such a row into zeros. A large negative number in place of minus "
        "infinity would give an even mixture of what must not be seen.",
    )
    for name, gradient in zip(GRADIENTS, own.attention_backward(DY.copy(), cache), strict=True):
        expect.close(gradient, np.zeros(gradient.shape), what=name, given=given)


@check(Layer.STABILITY)
def test_one_query_without_keys(own: Any) -> None:
    """of two queries, one may look nowhere: it alone gets zeros"""
    q, mask = np.concatenate([Q, Q]), np.array([[True, True], [False, False]])
    y, _ = own.attention(q.copy(), K.copy(), V.copy(), mask)
    expect.close(
        y,
        np.array([[6.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0]]),
        what="y",
        given={"q": q, "k": K, "v": V, "mask": mask},
        probably="Row 0 of y is the worked example. Query 1 may look nowhere, whatever query 0 "
        "may do.",
    )
