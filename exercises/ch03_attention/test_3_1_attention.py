"""The checks of exercise 3.1, attention and its gradients."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from groundup.course import expect
from groundup.course.checks import Layer, check

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
    q, k, v = (rng.normal(size=(2, 3, n, 4)).astype(np.float32) for n in (2, 5, 5))
    result = own.attention(q, k, v)
    expect.parts(result, ("y", "cache"))
    expect.array(result[0], like=q, shape=q.shape, what="y")


@check(Layer.SHAPES)
def test_gradient_shapes(own: Any) -> None:
    """dq, dk and dv have the shapes and the dtype of q, k and v"""
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(2, n, 4)).astype(np.float32) for n in (2, 5, 5)]
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
    v = np.array([[8.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0], [16.0, 0.0, 0.0, 0.0]])
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
        "and the weights no longer sum to one. If you have 8 at [0, 0], a masked score is 0, "
        "which is a score like any other: it must be minus infinity. If you have 16 at [0, 0], the "
        "mask is turned round: True is where a query may look. If you have 12.92 at [0, 0], it is "
        "not used. If you have 10.53 at [0, 0], it is added to the scores as a number.",
    )
    expect.close(
        cache[0],
        np.array([[0.75, 0.25, 0.0]]),
        what="The first entry of the cache, the weights,",
        given=given,
        probably="y is right, so look at what the cache begins with: other code reads the weights "
        "there.",
    )


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
        "at [0, 0], the scale is in it: the values are not scaled.",
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
        "taken off. If you have 0.75 at [0, 0], each weight minds only its own score, or the "
        "sum runs over the queries. If you have 1.125 at [0, 0], the scale is missing, or the mean "
        "is a plain one. If you have 0.2812 at [0, 0], the scale is applied twice.",
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
        "query, divided by √4. dq was right, so dk differs from it in what it is multiplied with, "
        "and in a transpose. If you have 2.472 at [0, 0], the scale is missing here.",
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
            probably="One query is right. With several, look along which axis the softmax runs, "
            "and which axes of k are swapped: only the last two.",
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
            probably="Without a mask it is right. Each query has its own row of the mask.",
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
                    probably="The example has one query. With several, each key collects from all "
                    "of them, and each query has a softmax of its own.",
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
        probably="exp(10000) is too large for a float. softmax, which is imported already, "
        "subtracts the largest score first.",
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
        probably="If you have 4 at [0, 0], masked scores are large and negative, and a row of "
        "them is an even mixture of what must not be seen: use minus infinity. If you have nan "
        "at [0, 0], the softmax divides 0 by 0; the one that is imported does not.",
    )
    for name, gradient in zip(GRADIENTS, own.attention_backward(DY.copy(), cache), strict=True):
        expect.close(gradient, np.zeros(gradient.shape), what=name, given=given)
