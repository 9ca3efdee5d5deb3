"""Every backward pass of Part I is the derivative of its forward pass, whatever shape and mask.

CASES holds, for each backward function, how to draw a case. A backward that is added without one
makes the last tests fail.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import Phase, assume, given, seed, settings
from hypothesis import strategies as st

import groundup.scratch
from groundup.scratch import (
    activations,
    attention,
    blocks,
    decoder,
    dropout,
    encoder,
    feedforward,
    flash,
    language,
    linear,
    loss,
    modern,
    normalization,
    pooling,
    positions,
)
from groundup.scratch.fast import FastTrainer
from groundup.scratch.gradcheck import TOLERANCE, check_gradients, report
from groundup.scratch.masks import causal_mask


@dataclass(frozen=True)
class Case:
    """A forward and a backward pass as :func:`check_gradients` takes them, and the inputs."""

    forward: Callable
    backward: Callable
    inputs: dict


class Draw:
    """Draws shapes from hypothesis, where it can shrink them, and numbers from a generator."""

    def __init__(self, data, kind=None):
        self.data, self.kind = data, kind
        self.rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))

    def size(self, least=1, most=4):
        return self.data.draw(st.integers(least, most))

    def one_of(self, *values):
        return self.data.draw(st.sampled_from(values))

    def lead(self):
        return tuple(self.data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))

    def normal(self, *shape):
        return self.rng.normal(size=shape)

    def normals(self, **shapes):
        return {name: self.rng.normal(size=shape) for name, shape in shapes.items()}

    def spread(self, *shape):
        """Vectors of ordinary size: near zero a norm's third derivative spoils the differences."""
        return self.rng.choice([-1.0, 1.0], shape) * self.rng.uniform(0.5, 2, shape)

    def tokens(self, *shape):
        """Vectors whose entries lie well apart, for layer norm, in the same way."""
        x = self.normal(*shape)
        x -= x.mean(axis=-1, keepdims=True)
        x *= self.rng.uniform(0.7, 2, (*shape[:-1], 1)) / x.std(axis=-1, keepdims=True)
        return x + self.normal(*shape[:-1], 1)

    def padding(self, batch, length):
        """(B, T) or None, True at real tokens."""
        real = self.rng.random((batch, length)) < 0.6
        return {
            "no mask": None,
            "right": np.arange(length) < self.rng.integers(1, length + 1, (batch, 1)),
            "left": np.arange(length) >= self.rng.integers(0, length, (batch, 1)),
            "holes": real,
            "a row of padding": real & (np.arange(batch) > 0)[:, None],
            "nothing but padding": np.zeros((batch, length), bool),
        }[self.kind]


PADDING = ("no mask", "right", "left", "holes", "a row of padding", "nothing but padding")
LOOKS = ("no mask", "causal", "keys", "any", "a query without keys")


def _named(backward, names):
    """(dx, {name: gradient}) as a tuple, in the order of the inputs."""

    def flat(dy, cache):
        dx, grads = backward(dy, cache)
        assert grads.keys() == set(names)
        return dx, *(grads[name] for name in names)

    return flat


def _relu(draw):
    x = draw.normal(*draw.lead())
    away = x + np.where(x > 0, 0.1, -0.1)  # differences across the kink mean nothing
    return Case(activations.relu, activations.relu_backward, {"x": away})


def _silu(draw):
    x = 3 * draw.normal(*draw.lead())
    return Case(activations.silu, activations.silu_backward, {"x": x})


def _gelu(draw):
    x = 2 * draw.normal(*draw.lead())
    return Case(activations.gelu, activations.gelu_backward, {"x": x})


def _softmax(draw):
    x = draw.normal(*draw.lead())
    return Case(lambda x: (activations.softmax(x),) * 2, activations.softmax_backward, {"x": x})


def _linear(draw):
    width, out = draw.size(), draw.size()
    inputs = draw.normals(x=(*draw.lead(), width), weight=(width, out), bias=(out,))
    return Case(linear.linear, linear.linear_backward, inputs)


def _embedding(draw):
    rows = draw.size()
    ids = draw.rng.integers(rows, size=draw.lead())  # repeats are the interesting case
    inputs = draw.normals(table=(rows, draw.size()))
    return Case(lambda table: linear.embedding(ids, table), linear.embedding_backward, inputs)


def _layer_norm(draw):
    width = draw.size(1, 6)
    lead = draw.lead()
    x = draw.tokens(*lead, width) if width > 1 else draw.normal(*lead, 1)
    inputs = {"x": x, **draw.normals(gamma=(width,), beta=(width,))}
    return Case(normalization.layer_norm, normalization.layer_norm_backward, inputs)


def _rms_norm(draw):
    width = draw.size(1, 6)
    inputs = {"x": draw.spread(*draw.lead(), width), "gamma": draw.normal(width)}
    return Case(normalization.rms_norm, normalization.rms_norm_backward, inputs)


def _dropout(draw):
    rate, seed = draw.one_of(0.0, 0.3, 0.9), draw.size(0, 99)

    def forward(x):
        return dropout.dropout(x, rate, np.random.default_rng(seed))  # the same noise each time

    return Case(forward, dropout.dropout_backward, {"x": draw.normal(*draw.lead())})


def _attention(draw):
    batch, heads, t, s, k = (draw.size(1, 3) for _ in range(5))
    lead = draw.one_of((), (batch,), (batch, heads))
    inputs = draw.normals(q=(*lead, t, k), k=(*lead, s, k), v=(*lead, s, k))
    some = draw.rng.random((*lead, t, s)) < 0.6
    mask = {
        "no mask": None,
        "causal": causal_mask(t, max(s, t))[:, :s],
        "keys": some[..., :1, :],
        "any": some,
        "a query without keys": some & (np.arange(t) > 0)[:, None],
    }[draw.kind]
    return Case(
        lambda q, k, v: attention.attention(q, k, v, mask), attention.attention_backward, inputs
    )


def _tiled_attention(draw):
    t, s, k = (draw.size(1, 4) for _ in range(3))
    block = (draw.size(1, 5), draw.size(1, 5))
    inputs = draw.normals(q=(2, t, k), k=(2, s, k), v=(2, s, k))
    some = draw.rng.random((2, t, s)) < 0.6
    causal = draw.kind == "causal" and t <= s
    mask = {
        "keys": some[..., :1, :],
        "any": some,
        "a query without keys": some & (np.arange(t) > 0)[:, None],
    }.get(draw.kind)
    return Case(
        lambda q, k, v: flash.tiled_attention(q, k, v, mask, causal, block),
        flash.tiled_attention_backward,
        inputs,
    )


def _plain_attention(draw):
    t, s, k = (draw.size(1, 4) for _ in range(3))
    return Case(
        lambda q, k, v: flash.plain_attention(q, k, v, flash.Traffic()),
        lambda dy, cache: flash.plain_attention_backward(dy, cache, flash.Traffic()),
        draw.normals(q=(t, k), k=(s, k), v=(s, k)),
    )


def _heads(width):
    return {
        "wqkv": (width, 3 * width),
        "bqkv": (3 * width,),
        "wo": (width, width),
        "bo": (width,),
    }


def _multi_head_attention(draw):
    batch, length, heads = draw.size(1, 3), draw.size(), draw.one_of(1, 2, 4)
    mask = draw.padding(batch, length)
    return Case(
        lambda **inputs: attention.multi_head_attention(**inputs, heads=heads, mask=mask),
        attention.multi_head_attention_backward,
        draw.normals(x=(batch, length, 4), **_heads(4)),
    )


def _far_from_kinks(hidden):
    assume(np.abs(hidden).min() > 1e-3)


def _well_apart(*norms):
    """Of the caches of layer norms: every vector had a deviation that is not small."""
    assume(min(std.min() for _, std, _ in norms) > 0.3)


def _feed_forward(draw):
    width, hidden = draw.size(), draw.size()
    shapes = {"w1": (width, hidden), "b1": (hidden,), "w2": (hidden, width), "b2": (width,)}
    inputs = draw.normals(x=(*draw.lead(), width), **shapes)
    _far_from_kinks(inputs["x"] @ inputs["w1"] + inputs["b1"])
    return Case(feedforward.feed_forward, feedforward.feed_forward_backward, inputs)


def _swiglu(draw):
    width, hidden = draw.size(), draw.size()
    shapes = {"w12": (width, 2 * hidden), "w3": (hidden, width)}
    inputs = draw.normals(x=(*draw.lead(), width), **shapes)
    return Case(feedforward.swiglu, feedforward.swiglu_backward, inputs)


def _block_params(draw, width=4, hidden=5):
    shapes = {**_heads(width), "w1": (width, hidden), "b1": (hidden,)}
    shapes |= {"w2": (hidden, width), "b2": (width,)}
    norms = (f"norm{i}.{name}" for i in (1, 2) for name in ("gamma", "beta"))
    return draw.normals(**shapes, **dict.fromkeys(norms, (width,)))


def _block(forward, backward):
    def case(draw):
        batch, length, heads = draw.size(1, 2), draw.size(1, 3), draw.one_of(1, 2, 4)
        mask, rate = draw.padding(batch, length), draw.one_of(0.0, 0.3)
        inputs = {"x": draw.tokens(batch, length, 4), **_block_params(draw)}

        def noisy(x, **p):
            return forward(x, p, heads, mask, (rate, np.random.default_rng(5)))

        _, (_, _, norm1, (first, _, _), _, norm2) = noisy(**inputs)
        _well_apart(norm1, norm2)
        _far_from_kinks(first[0] @ inputs["w1"] + inputs["b1"])
        return Case(noisy, _named(backward, [*inputs][1:]), inputs)

    return case


def decoder_block_backward(dy, cache):
    """The decoder's block has the backward pass of every pre-norm block."""
    return blocks.pre_norm_block_backward(dy, cache)


def _decoder_block(draw):
    batch, length, heads = draw.size(1, 2), draw.size(1, 3), draw.one_of(1, 2, 4)
    real = draw.padding(batch, length)
    look = causal_mask(length) if real is None else causal_mask(length) & real[:, None, None, :]
    inputs = {"x": draw.tokens(batch, length, 4), **_block_params(draw)}

    def forward(x, **p):
        return decoder.decoder_block(x, p, heads, look)

    _, cache = forward(**inputs)
    _well_apart(cache[2], cache[5])
    return Case(forward, _named(decoder_block_backward, [*inputs][1:]), inputs)


def _modern_block(draw):
    batch, length, heads, hidden = draw.size(1, 2), draw.size(), draw.one_of(1, 2), draw.size()
    mask = draw.padding(batch, length)
    shapes = {"attention_norm": (4,), "qkv": (4, 12), "wo": (4, 4), "ffn_norm": (4,)}
    shapes |= {"w12": (4, 2 * hidden), "w3": (hidden, 4)}
    inputs = {"x": draw.spread(batch, length, 4), **draw.normals(**shapes)}
    return Case(
        lambda x, **params: modern.modern_block(x, params, heads, mask),
        _named(modern.modern_block_backward, list(shapes)),
        inputs,
    )


def _first_token_pool(draw):
    x = draw.normal(draw.size(), draw.size(), draw.size())
    mask = draw.padding(*x.shape[:2])
    return Case(
        lambda x: pooling.first_token_pool(x, mask), pooling.first_token_pool_backward, {"x": x}
    )


def _mean_pool(draw):
    x = draw.normal(draw.size(), draw.size(), draw.size())
    mask = draw.padding(*x.shape[:2])
    return Case(lambda x: pooling.mean_pool(x, mask), pooling.mean_pool_backward, {"x": x})


def _rope(draw):
    lead, theta = draw.lead(), draw.one_of(2.0, 10000.0)
    x = draw.normal(*lead, draw.size(), 2 * draw.size(1, 3))
    return Case(lambda x: positions.rope(x, theta), positions.rope_backward, {"x": x})


def _of_loss(forward, backward):
    """A loss is a number, so its gradient is weighed by the one number dy."""
    return (
        lambda **inputs: (lambda value, cache: (np.array(value), cache))(*forward(**inputs)),
        lambda dy, cache: dy * backward(cache),
    )


def _cross_entropy(draw):
    rows, classes = draw.size(1, 5), draw.size(1, 6)
    targets = draw.rng.integers(classes, size=rows)
    pair = _of_loss(lambda logits: loss.cross_entropy(logits, targets), loss.cross_entropy_backward)
    return Case(*pair, {"logits": 2 * draw.normal(rows, classes)})


def _targets(draw, shape, classes):
    """Classes, and some to be ignored; at least one counts."""
    targets = np.where(draw.rng.random(shape) < 0.4, -100, draw.rng.integers(classes, size=shape))
    targets.flat[0] = 0
    return targets


def _smoothed_cross_entropy(draw):
    shape, classes, smoothing = draw.lead(), draw.size(1, 6), draw.one_of(0.0, 0.1, 0.9)
    targets = _targets(draw, shape, classes)
    pair = _of_loss(
        lambda logits: loss.smoothed_cross_entropy(logits, targets, smoothing, -100),
        loss.smoothed_cross_entropy_backward,
    )
    return Case(*pair, {"logits": 2 * draw.normal(*shape, classes)})


def _next_token_loss(draw):
    shape, classes = (draw.size(), draw.size()), draw.size(1, 6)
    targets = _targets(draw, shape, classes)
    pair = _of_loss(
        lambda logits: language.next_token_loss(logits, targets),
        language.next_token_loss_backward,
    )
    return Case(*pair, {"logits": 2 * draw.normal(*shape, classes)})


def _away_from_start(draw, params):
    """No parameter keeps its special start: no zero biases, no norms at one."""
    return {name: value + 0.3 * draw.normal(*value.shape) for name, value in params.items()}


def _encoder(draw):
    batch, length = draw.size(1, 2), draw.size(1, 3)
    config = encoder.EncoderConfig(
        vocabulary=5,
        classes=3,
        width=4,
        hidden=3,
        max_length=3,
        heads=draw.one_of(1, 2),
        layers=draw.size(1, 2),
        norm=draw.one_of("post", "pre"),
        pooling=draw.one_of("first", "mean"),
        dropout=draw.one_of(0.0, 0.3),
    )
    ids, mask = draw.rng.integers(5, size=(batch, length)), draw.padding(batch, length)
    params = _away_from_start(draw, encoder.init_params(config, draw.rng, np.float64))
    model = encoder.Encoder(config, params)

    def forward(**params):
        return encoder.Encoder(config, params).forward(ids, mask, np.random.default_rng(5))

    _, (_, caches, _) = forward(**params)
    for i, (_, _, norm1, (first, _, _), _, norm2) in enumerate(caches):
        _well_apart(norm1, norm2)
        _far_from_kinks(first[0] @ params[f"layers.{i}.w1"] + params[f"layers.{i}.b1"])
    return Case(forward, _in_order(model.backward, params), params)


def _in_order(backward, names):
    def flat(dy, cache):
        grads = backward(dy, cache)
        assert grads.keys() == set(names)
        return tuple(grads[name] for name in names)

    return flat


def _decoder(draw):
    batch, length = draw.size(1, 2), draw.size(1, 3)
    config = decoder.DecoderConfig(
        vocabulary=5,
        width=4,
        hidden=3,
        max_length=3,
        heads=draw.one_of(1, 2),
        layers=draw.size(1, 2),
    )
    ids, mask = draw.rng.integers(5, size=(batch, length)), draw.padding(batch, length)
    params = _away_from_start(draw, decoder.init_params(config, draw.rng, np.float64))

    def forward(**params):
        return decoder.Decoder(config, params).forward(ids, mask)

    _, (_, _, caches, norm, _) = forward(**params)
    _well_apart(norm, *(cache[i] for cache in caches for i in (2, 5)))
    return Case(forward, _in_order(decoder.Decoder(config, params).backward, params), params)


def _fast(draw):
    """The fast step has its backward passes in memory of its own; their results are compared."""
    batch, length = draw.size(1, 3), draw.size(1, 3)
    config = encoder.EncoderConfig(
        vocabulary=5,
        classes=3,
        width=4,
        hidden=3,
        max_length=3,
        heads=draw.one_of(1, 2),
        layers=draw.size(1, 2),
        pooling=draw.one_of("first", "mean"),
    )
    ids, mask = draw.rng.integers(5, size=(batch, length)), draw.padding(batch, length)
    answers = draw.rng.integers(3, size=batch)
    start = _away_from_start(draw, encoder.init_params(config, draw.rng, np.float64))
    _, (_, caches, _) = encoder.Encoder(config, start).forward(ids, mask)
    for i, (_, _, norm1, (first, _, _), _, norm2) in enumerate(caches):
        _well_apart(norm1, norm2)
        _far_from_kinks(first[0] @ start[f"layers.{i}.w1"] + start[f"layers.{i}.b1"])
    trainer = FastTrainer(encoder.Encoder(config, {n: v.copy() for n, v in start.items()}))

    def forward(**params):
        for name, value in params.items():
            trainer.model.params[name][...] = value
        value, grads = trainer.gradients(ids, mask, answers)
        return np.array(value), {name: grad.copy() for name, grad in grads.items()}

    def backward(dy, grads):
        return tuple(dy * grads[name] for name in start)

    return Case(forward, backward, start)


CASES = {
    activations.relu_backward: _relu,
    activations.silu_backward: _silu,
    activations.gelu_backward: _gelu,
    activations.softmax_backward: _softmax,
    linear.linear_backward: _linear,
    linear.embedding_backward: _embedding,
    normalization.layer_norm_backward: _layer_norm,
    normalization.rms_norm_backward: _rms_norm,
    dropout.dropout_backward: _dropout,
    attention.attention_backward: _attention,
    attention.multi_head_attention_backward: _multi_head_attention,
    flash.tiled_attention_backward: _tiled_attention,
    flash.plain_attention_backward: _plain_attention,
    feedforward.feed_forward_backward: _feed_forward,
    feedforward.swiglu_backward: _swiglu,
    blocks.post_norm_block_backward: _block(
        blocks.post_norm_block, blocks.post_norm_block_backward
    ),
    blocks.pre_norm_block_backward: _block(blocks.pre_norm_block, blocks.pre_norm_block_backward),
    decoder_block_backward: _decoder_block,
    modern.modern_block_backward: _modern_block,
    pooling.first_token_pool_backward: _first_token_pool,
    pooling.mean_pool_backward: _mean_pool,
    positions.rope_backward: _rope,
    loss.cross_entropy_backward: _cross_entropy,
    loss.smoothed_cross_entropy_backward: _smoothed_cross_entropy,
    language.next_token_loss_backward: _next_token_loss,
    encoder.Encoder.backward: _encoder,
    decoder.Decoder.backward: _decoder,
    FastTrainer.gradients: _fast,
}
KINDS = {
    attention.attention_backward: LOOKS,
    flash.tiled_attention_backward: LOOKS,
} | dict.fromkeys(
    [
        *(attention.multi_head_attention_backward, modern.modern_block_backward),
        *(blocks.post_norm_block_backward, blocks.pre_norm_block_backward),
        *(pooling.first_token_pool_backward, pooling.mean_pool_backward),
        *(decoder_block_backward, decoder.Decoder.backward),
        *(encoder.Encoder.backward, FastTrainer.gradients),
    ],
    PADDING,
)
"""The masks of those that take one."""
HELPERS = {blocks.attend_backward, blocks.feed_backward, blocks.pre_norm_backward}
"""They write gradients into a dictionary of the caller, and run inside the cases of the blocks."""
MODELS = {encoder.Encoder.backward, decoder.Decoder.backward, FastTrainer.gradients}


def _each(backward, kind, check, examples):
    """Call ``check(draw, case)`` for a few cases, the same ones every time."""

    # Shapes are tiny as they are; a failure need not be shrunk, which takes minutes.
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate])
    @seed(KINDS.get(backward, (None,)).index(kind))
    @given(data=st.data())
    def run(data):
        draw = Draw(data, kind)
        check(draw, CASES[backward](draw))

    run()


def _name(function):
    return f"{function.__module__.removeprefix('groundup.scratch.')}.{function.__qualname__}"


PAIRS = {
    f"{_name(function)}{f', {kind}' if kind else ''}": (function, kind)
    for function in CASES
    for kind in KINDS.get(function, (None,))
}


def _check(draw, case):
    errors = check_gradients(case.forward, case.backward, case.inputs, draw.rng)
    assert all(error.relative < TOLERANCE for error in errors), report(errors)


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_the_derivative_of_its_forward(name):
    function, kind = PAIRS[name]
    _each(function, kind, _check, 12 if kind is None else 2 if function in MODELS else 4)


def _backwards():
    """Every function and method of Part I whose name ends in backward, by where it stands."""
    found = {}
    for info in pkgutil.walk_packages(groundup.scratch.__path__, "groundup.scratch."):
        module = importlib.import_module(info.name)
        owners = [c for c in vars(module).values() if inspect.isclass(c)]
        for owner in (module, *owners):
            for name, function in vars(owner).items():
                if inspect.isfunction(function) and name.endswith("backward"):
                    found[f"{function.__module__}.{function.__qualname__}"] = function
    return found


def _is_fast(function):
    return function.__module__.startswith("groundup.scratch.fast.")


def test_there_is_a_case_for_each_backward():
    """The helpers of a pair, and the parts of the fast step, run inside one: see below."""
    public = {
        name: function
        for name, function in _backwards().items()
        if not (function.__name__.startswith("_") or _is_fast(function) or function in HELPERS)
    }
    assert len(public) > 20
    assert sorted(name for name, f in public.items() if f not in CASES) == []


def test_every_backward_is_run_by_the_cases():
    ran = set()

    def note(frame, event, _):
        if event == "call":
            ran.add(frame.f_code)

    def run(draw, case):
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            y, cache = case.forward(**case.inputs)  # that of the fast step is forward and backward
            case.backward(np.ones(np.shape(y)), cache)
        finally:
            sys.setprofile(before)

    for function, kind in PAIRS.values():
        _each(function, kind, run, examples=3)
    backwards = _backwards()
    assert any(_is_fast(function) for function in backwards.values())
    assert sorted(n for n, function in backwards.items() if function.__code__ not in ran) == []


def test_the_decoder_at_its_full_size():
    """103,424 parameters, along random directions: one by one would take minutes.

    Its GELU has no kink. A step along a direction of the digit encoder crosses some of its ReLUs'.
    """
    rng = np.random.default_rng(0)
    config = decoder.DecoderConfig()
    start = decoder.init_params(config, rng, np.float64)
    params = {name: value + 0.1 * rng.normal(size=value.shape) for name, value in start.items()}
    ids, mask = rng.integers(20, size=(2, 5)), np.array([[True] * 5, [True] * 3 + [False] * 2])
    large = {name: value for name, value in params.items() if value.size > 512}

    def forward(**changed):
        return decoder.Decoder(config, params | changed).forward(ids, mask)

    backward = decoder.Decoder(config, params).backward
    errors = check_gradients(
        forward, lambda dy, cache: tuple(backward(dy, cache)[name] for name in large), large, rng
    )
    assert sum(value.size for value in large.values()) > 100_000
    assert all(error.slopes is not None for error in errors)
    assert all(error.relative < TOLERANCE for error in errors), report(errors)
