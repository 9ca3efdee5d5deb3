"""The checks of exercise 4.2, the post-norm block and its gradients."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

EPS = 1e-5


def sizes(width: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter."""
    vectors = ("bo", "b2", "norm1.gamma", "norm1.beta", "norm2.gamma", "norm2.beta")
    return {
        "wqkv": (width, 3 * width),
        "bqkv": (3 * width,),
        "wo": (width, width),
        "w1": (width, hidden),
        "b1": (hidden,),
        "w2": (hidden, width),
    } | dict.fromkeys(vectors, (width,))


def random_case(rng: Any, batch: int, length: int, width: int, hidden: int) -> Any:
    """x and the parameters; no two norms are alike."""
    p = {name: rng.normal(size=s).round(1) for name, s in sizes(width, hidden).items()}
    for name in ("norm1.gamma", "norm2.gamma"):
        p[name] = 1 + np.abs(p[name])
    return rng.normal(size=(batch, length, width)).round(1), p


# Two tokens of width 4, one head, two hidden units. Every sum has a whole number for its spread.
PAPER_X = np.array([[[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]]])
PAPER = {
    "wqkv": np.hstack(
        [
            np.eye(4) * math.log(3) / 2,
            np.eye(4),
            np.array([[-1.0, 1.5, -1.0, -0.5], [1.0, -2.5, 1.0, -0.5], [0.0] * 4, [0.0] * 4]),
        ]
    ),
    "bqkv": np.zeros(12),
    "wo": np.eye(4),
    "bo": np.zeros(4),
    "w1": np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]),
    "b1": np.zeros(2),
    "w2": np.array([[3.0, 0.0, 0.0, -3.0], [2.0, 0.0, -1.0, -1.0]]),
    "b2": np.zeros(4),
    "norm1.gamma": np.ones(4),
    "norm1.beta": np.zeros(4),
    "norm2.gamma": np.ones(4),
    "norm2.beta": np.zeros(4),
}


def run(own: Any, x: Any, p: Any, heads: int, mask: Any = None, noise: Any = (0.0, None)) -> Any:
    """y and the cache, on copies of the inputs."""
    copies = {name: value.copy() for name, value in p.items()}
    result = own.post_norm_block(x.copy(), copies, heads, mask, noise)
    expect.parts(result, ("y", "cache"))
    return result


def normal(v: Any, gamma: Any, beta: Any) -> Any:
    """Layer norm of one vector."""
    mean = math.fsum(v) / len(v)
    variance = math.fsum((each - mean) ** 2 for each in v) / len(v)
    return gamma * (v - mean) / math.sqrt(variance + EPS) + beta


def attended(x: Any, p: Any, heads: int, real: Any) -> Any:
    """Attention over one example (T, D), one head and one query at a time."""
    length, width = x.shape
    each = width // heads
    y = np.tile(p["bo"], (length, 1))
    for h in range(heads):
        q, k, v = (
            x @ p["wqkv"][:, at : at + each] + p["bqkv"][at : at + each]
            for at in (h * each, width + h * each, 2 * width + h * each)
        )
        for t in range(length):
            parts = [math.exp(float(q[t] @ k[s]) / math.sqrt(each)) for s in real]
            mixed = sum(e * v[s] for e, s in zip(parts, real, strict=True)) / math.fsum(parts)
            y[t] += mixed @ p["wo"][h * each : (h + 1) * each]
    return y


def by_definition(x: Any, p: Any, heads: int, mask: Any = None, factors: Any = (1.0, 1.0)) -> Any:
    """The block, one token at a time; the factors multiply what the two sublayers add."""
    y = np.zeros(x.shape)
    first, second = (np.broadcast_to(each, x.shape) for each in factors)
    for b in range(len(x)):
        real = [s for s in range(x.shape[1]) if mask is None or mask[b, s]]
        for t, mixed in enumerate(attended(x[b], p, heads, real)):
            between = normal(x[b, t] + first[b, t] * mixed, p["norm1.gamma"], p["norm1.beta"])
            active = np.maximum(between @ p["w1"] + p["b1"], 0)
            fed = active @ p["w2"] + p["b2"]
            y[b, t] = normal(between + second[b, t] * fed, p["norm2.gamma"], p["norm2.beta"])
    return y


@check(Layer.SHAPES)
def test_result(own: Any) -> None:
    """y is like x: (B, T, D), float32 if the inputs are"""
    x = np.ones((2, 3, 4), np.float32)
    p = {name: np.ones(shape, np.float32) for name, shape in sizes(4, 5).items()}
    for noise in ((0.0, None), (0.5, np.random.default_rng(0))):
        y, _ = run(own, x, p, 2, np.ones((2, 3), bool), noise)
        expect.array(y, like=x, shape=(2, 3, 4), what="y")


@check(Layer.SHAPES)
def test_gradient_shapes(own: Any) -> None:
    """dx, and a gradient for each of the twelve parameters"""
    x = np.ones((2, 3, 4), np.float32)
    p = {name: np.ones(shape, np.float32) for name, shape in sizes(4, 5).items()}
    for noise in ((0.0, None), (0.5, np.random.default_rng(0))):
        _, cache = run(own, x, p, 2, None, noise)
        result = own.post_norm_block_backward(x.copy(), cache)
        expect.parts(result, ("dx", "the gradients by name"))
        dx, grads = result
        expect.array(dx, like=x, shape=x.shape, what="dx")
        if missing := [name for name in p if name not in grads]:
            expect.fail(f"There is no gradient of {', '.join(missing)}.")
        for name, value in p.items():
            what = f'The gradient of "{name}"'
            expect.array(grads.get(name), like=value, shape=value.shape, what=what)
        if extra := sorted(set(grads) - set(p)):
            expect.fail(f"There are gradients of {extra}, which are no parameters of the block.")


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, the parameters, the mask and dy are left as they were"""
    x, p = PAPER_X.copy(), {name: value.copy() for name, value in PAPER.items()}
    mask, dy = np.array([[True, False]]), np.arange(8.0).reshape(1, 2, 4)
    arrays = {name.replace(".", "_"): value for name, value in p.items()}
    with expect.unchanged(x=x, mask=mask, dy=dy, **arrays):
        _, cache = own.post_norm_block(x, p, 1, mask)
        own.post_norm_block_backward(dy, cache)


@check(Layer.EXAMPLE, points=3)
def test_two_tokens_by_hand(own: Any) -> None:
    """two tokens of width 4, worked by hand"""
    y, _ = run(own, PAPER_X, PAPER, 1)
    expect.close(
        y.round(4),
        np.array([[[1.4, 0.2, -0.2, -1.4], [1.6667, -0.3333, -0.3333, -1.0]]]),
        what="y, rounded to four places,",
        given={"x": PAPER_X, "heads": 1},
        probably="This is the chapter's example. After the first sum and norm the tokens are "
        "(1, 1, -1, -1) and (1, -1, 1, -1); the feed-forward network adds (6, 0, 0, -6) and "
        "(4, 0, -2, -2). If you have 1.3234 at [0, 0, 0], the attention's residual is missing. If "
        "you have 1.4142 at [0, 0, 0], the feed-forward network's is. If you have 7 at [0, 0, 0], "
        "the second norm is.",
    )


@check(Layer.EXAMPLE)
def test_attention_comes_first_in_the_cache(own: Any) -> None:
    """the cache begins with the attention's cache, for the heat maps"""
    _, cache = run(own, PAPER_X, PAPER, 1)
    try:
        weights = cache[0][1][0]
    except (IndexError, KeyError, TypeError) as error:
        says = "The first entry of the cache is not what multi_head_attention returned as its own."
        expect.fail(says, f"cache[0][1][0]: {type(error).__name__}: {error}")
        return
    expect.close(
        weights,
        np.array([[[[0.75, 0.25], [0.25, 0.75]]]]),
        what="cache[0][1][0], the weights in the attention's cache,",
        given={"x": PAPER_X, "heads": 1},
        probably="Encoder.attention_maps reads the weights of a block there. Put what "
        "multi_head_attention returned as its cache first, as it is.",
    )


@check(Layer.EXAMPLE)
def test_mask(own: Any) -> None:
    """the second token is padding: the first sees itself alone"""
    mask = np.array([[True, False]])
    y, _ = run(own, PAPER_X, PAPER, 1, mask)
    expect.close(
        y[:, 0],
        by_definition(PAPER_X, PAPER, 1, mask)[:, 0],
        what="y of the first token",
        given={"x": PAPER_X, "heads": 1, "mask": mask},
        probably="The mask goes to the attention.",
    )


@check(Layer.EXAMPLE)
def test_noise(own: Any) -> None:
    """dropout acts on what each sublayer adds, and on nothing else"""
    y, _ = run(own, PAPER_X, PAPER, 1, noise=(0.5, np.random.default_rng(8)))
    rng = np.random.default_rng(8)
    factors = [2.0 * (rng.random(PAPER_X.shape) >= 0.5) for _ in range(2)]
    expect.close(
        y,
        by_definition(PAPER_X, PAPER, 1, factors=factors),
        what="y with dropout",
        given={"x": PAPER_X, "heads": 1, "rate": 0.5, "seed": 8},
        probably="noise is the rate and the generator. What attention returns goes through "
        "dropout before it is added to x, and so does what the feed-forward network returns. The "
        "residual itself is never dropped.",
    )


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random blocks with masks, one token at a time"""
    rng = np.random.default_rng(42)
    for batch, length, width, hidden, heads in ((1, 1, 4, 1, 1), (1, 2, 4, 3, 2), (2, 3, 6, 4, 3)):
        x, p = random_case(rng, batch, length, width, hidden)
        mask = rng.random((batch, length)) < 0.7
        mask[:, 0] = True
        y, _ = run(own, x, p, heads, mask)
        expect.close(
            y,
            by_definition(x, p, heads, mask),
            what="y",
            given={"x": x, "heads": heads, "mask": mask},
            probably="Here the two norms have parameters of their own. The feed-forward network "
            "reads what the first norm returned, and its result is added to the same vector.",
        )


def differences(own: Any, names: tuple[str, ...], case: Any, heads: int, rate: float = 0.0) -> None:
    """Compare dx (the name "x") and gradients of parameters with central differences."""
    x, p = case
    dy = np.random.default_rng(46).normal(size=x.shape).round(1)
    mask = np.ones(x.shape[:2], bool)
    mask[0, -1] = False

    def forward(at: Any, params: Any) -> Any:
        noise = (rate, np.random.default_rng(9) if rate else None)
        return own.post_norm_block(at, params, heads, mask, noise)

    _, cache = forward(x.copy(), p)
    dx, grads = own.post_norm_block_backward(dy.copy(), cache)
    for name in names:

        def loss(value: Any, name: str = name) -> float:
            at, params = (value, p) if name == "x" else (x, {**p, name: value})
            return float((forward(at, params)[0] * dy).sum())

        expect.gradient(
            dx if name == "x" else grads[name],
            of=loss,
            at=x if name == "x" else p[name],
            what=f"The gradient of {name}",
            given={"x": x, "dy": dy, "rate of dropout": rate},
            probably="Walk back in order: norm 2, then both ways round the feed-forward network, "
            "then norm 1, then both ways round the attention. At a fork the two gradients add.",
        )


@check(Layer.GRADIENTS, points=2)
def test_silent_sublayers(own: Any) -> None:
    """dx when both sublayers return zero: the residual path alone"""
    x, p = random_case(np.random.default_rng(47), 1, 2, 4, 3)
    zeros = {name: np.zeros_like(p[name]) for name in ("wo", "bo", "w2", "b2")}
    differences(own, ("x",), (x, p | zeros), 2)


@check(Layer.GRADIENTS, points=2)
def test_gradient_of_x(own: Any) -> None:
    """dx, through both branches of both halves"""
    differences(own, ("x",), random_case(np.random.default_rng(48), 1, 2, 4, 3), 2)


@check(Layer.GRADIENTS, points=2)
def test_gradients_of_parameters(own: Any) -> None:
    """the gradients of the parameters, half by half"""
    last = ("norm2.gamma", "norm2.beta", "w2", "b2", "w1", "b1")
    first = ("norm1.gamma", "norm1.beta", "wo", "bo", "wqkv", "bqkv")
    differences(own, last + first, random_case(np.random.default_rng(49), 1, 2, 4, 4), 2)


@check(Layer.GRADIENTS)
def test_two_passes_at_once(own: Any) -> None:
    """two forward passes, then both backward ones, the first first"""
    cases = [random_case(np.random.default_rng(seed), 1, 2, 4, 3) for seed in (51, 52)]
    dy = np.arange(8.0).reshape(1, 2, 4)

    def alone(x: Any, p: Any) -> Any:
        dx, grads = own.post_norm_block_backward(dy.copy(), run(own, x, p, 2)[1])
        return np.array(dx), np.array(grads["bo"])

    expected = [alone(*case) for case in cases]
    caches = [run(own, x, p, 2)[1] for x, p in cases]
    results = [own.post_norm_block_backward(dy.copy(), cache) for cache in caches]
    for (x, _), (dx, grads), wanted in zip(cases, results, expected, strict=True):
        for what, received, right in zip(("dx", "bo"), (dx, grads["bo"]), wanted, strict=True):
            expect.close(
                received,
                right,
                what="dx" if what == "dx" else f"The gradient of {what}",
                given={"x": x, "dy": dy},
                probably="It differs from what your two functions gave for this x before. Every "
                "call must make new lists, dictionaries and arrays, and what the backward pass "
                "needs belongs into the cache.",
            )


@check(Layer.GRADIENTS, points=2)
def test_gradients_through_dropout(own: Any) -> None:
    """with dropout: the branch is scaled, the residual is not"""
    case = random_case(np.random.default_rng(50), 1, 2, 4, 4)
    differences(own, ("x", "b2", "bo"), case, 2, rate=0.5)
