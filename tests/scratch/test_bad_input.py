"""What goes in wrong comes out as an error that names it, or as finite numbers; never in silence.

Layers and losses let NaN through, as NaN: what must not happen is that it turns into a number that
looks right. Where it would be acted on (a step, a choice) it is refused by name.
"""

import itertools

import numpy as np
import pytest

from groundup.scratch.attention import attention, attention_backward, multi_head_attention
from groundup.scratch.blocks import post_norm_block, pre_norm_block
from groundup.scratch.decoder import Decoder, DecoderConfig, KVCache
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.fast import FastTrainer
from groundup.scratch.feedforward import feed_forward, swiglu
from groundup.scratch.generate import beam_search, generate
from groundup.scratch.language import Rows, next_token_loss, windows
from groundup.scratch.language import train as train_language
from groundup.scratch.linear import linear
from groundup.scratch.loss import cross_entropy, smoothed_cross_entropy
from groundup.scratch.modern import modern_block
from groundup.scratch.normalization import layer_norm, rms_norm
from groundup.scratch.optim import SGD, Adam, AdamW, adam, clip_by_norm, step_decay, warmup_cosine
from groundup.scratch.pooling import first_token_pool, mean_pool
from groundup.scratch.positions import rope, sinusoidal_positions
from groundup.scratch.sampling import greedy, sample, sampler, scale, top_k, top_p
from groundup.scratch.tasks.digits import pad, parse, tokenize
from groundup.scratch.trainer import TrainConfig

RNG = np.random.default_rng(0)
ENCODER = Encoder.create(
    EncoderConfig(vocabulary=7, classes=3, width=4, heads=2, hidden=6, max_length=6), RNG
)
DECODER = Decoder.create(DecoderConfig(vocabulary=7, width=4, heads=2, hidden=6, max_length=6), RNG)
IDS = np.array([[2, 5, 3], [4, 2, 1]])
BLOCK = {name[9:]: v for name, v in ENCODER.params.items() if name.startswith("layers.0.")}
X = RNG.normal(size=(2, 3, 4))

BATCHES = {
    "a token too large": (np.array([[7]]), None, r"token ids must lie in \[0, 7\): got 7 to 7"),
    "a negative token": (np.array([[-1]]), None, r"token ids must lie in \[0, 7\): got -1 to -1"),
    "no row": (np.zeros((0, 3), int), None, r"non-empty \(B, T\) array: got shape \(0, 3\)"),
    "no token": (np.zeros((2, 0), int), None, r"non-empty \(B, T\) array: got shape \(2, 0\)"),
    "one axis": (np.zeros(3, int), None, r"\(B, T\) array: got shape \(3,\)"),
    "a token without a row": (np.array(3), None, r"\(B, T\) array: got shape \(\)"),
    "too long": (np.zeros((1, 7), int), None, "at most 6 tokens fit: got 7"),
    "floats": (IDS.astype(float), None, "ids must be an array of integers: got float64"),
    "NaN": (IDS * np.nan, None, "ids must be an array of integers: got float64"),
    "booleans": (IDS > 2, None, "ids must be an array of integers: got bool"),
    "a list": (IDS.tolist(), None, "ids must be an array of integers: got <class 'list'>"),
    "a mask of another shape": (
        IDS,
        np.ones((3, 2), bool),
        r"mask must be \(B, T\) = \(2, 3\): got \(3, 2\)",
    ),
    "a mask that would broadcast": (IDS, np.ones((1, 3), bool), r"\(2, 3\): got \(1, 3\)"),
    "a mask of numbers": (IDS, np.ones((2, 3), int), "mask must be booleans.*got int64"),
    # Zero where one may look and minus infinity elsewhere: as booleans, the wrong way round.
    "a mask to be added": (IDS, np.zeros((2, 3)), "mask must be booleans.*got float64"),
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_that_does_not_fit_is_named(name):
    ids, mask, message = BATCHES[name]
    with pytest.raises(ValueError, match=message):
        ENCODER.forward(ids, mask)
    with pytest.raises(ValueError, match=message):
        DECODER.forward(ids, mask)
    cache = KVCache(DECODER.config, 2)
    with pytest.raises(ValueError, match=message):
        DECODER.step(ids, cache, mask)
    assert cache.length == 0
    assert not cache.mask.any()


FAST = ("a token too large", "a negative token", "no row", "too long", "a mask of another shape")


@pytest.mark.parametrize("name", FAST)
def test_the_fast_step_names_it_too_and_changes_nothing(name):
    ids, mask, message = BATCHES[name]
    model = Encoder(ENCODER.config, {n: v.copy() for n, v in ENCODER.params.items()})
    trainer = FastTrainer(model)
    with pytest.raises(ValueError, match=message):
        trainer.step(ids, mask, np.zeros(len(ids), int), 1e-3)
    assert trainer.optimizer.step_count == 0
    for name, value in ENCODER.params.items():
        np.testing.assert_array_equal(model.params[name], value)


@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_rows_of_padding_alone_stay_finite(norm, pooling):
    config = EncoderConfig(7, 3, 4, 2, 2, 6, norm=norm, pooling=pooling)
    model = Encoder.create(config, np.random.default_rng(0))
    nothing = np.zeros(IDS.shape, bool)
    with np.errstate(all="raise"):
        logits, cache = model.forward(IDS, nothing)
        grads = model.backward(np.ones_like(logits), cache)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(g).all() for g in grads.values())
    if norm == "post":
        loss, grads = FastTrainer(model).gradients(IDS, nothing, np.array([0, 1]))
        assert np.isfinite(loss)
        assert all(np.isfinite(g).all() for g in grads.values())


def test_rows_of_padding_alone_stay_finite_in_the_decoder():
    nothing = np.zeros(IDS.shape, bool)
    with np.errstate(all="raise"):
        logits, cache = DECODER.forward(IDS, nothing)
        grads = DECODER.backward(np.ones_like(logits), cache)
        stepped = DECODER.step(IDS, KVCache(DECODER.config, 2), nothing)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(g).all() for g in grads.values())
    np.testing.assert_allclose(stepped, logits, rtol=1e-5, atol=1e-6)


def test_attention_without_a_key_is_zero_with_gradients_of_zero():
    with np.errstate(all="raise"):
        y, cache = attention(X, X, X, np.zeros((2, 3, 3), bool))
        grads = attention_backward(np.ones_like(y), cache)
    for zero in (y, *grads):
        np.testing.assert_array_equal(zero, 0)


ATTENDING = {
    "attention": lambda mask: attention(X, X, X, mask),
    "multi-head": lambda mask: multi_head_attention(
        X, *(BLOCK[n] for n in ("wqkv", "bqkv", "wo", "bo")), 2, mask
    ),
    "post-norm": lambda mask: post_norm_block(X, BLOCK, 2, mask),
    "pre-norm": lambda mask: pre_norm_block(X, BLOCK, 2, mask),
    "modern": lambda mask: _modern(2, mask),
    "mean pooling": lambda mask: mean_pool(X, mask),
}


def _modern(heads, mask=None):
    shapes = {"attention_norm": 4, "qkv": (4, 12), "wo": (4, 4), "ffn_norm": 4}
    shapes |= {"w12": (4, 6), "w3": (3, 4)}
    return modern_block(X, {name: np.ones(shape) for name, shape in shapes.items()}, heads, mask)


@pytest.mark.parametrize("name", ATTENDING)
@pytest.mark.parametrize(
    "mask",
    [np.ones((2, 4), bool), np.ones((5, 1, 2, 3, 3), bool), np.zeros((2, 3)), np.ones((2, 3), int)],
    ids=["too long", "too many axes", "to be added", "numbers"],
)
def test_a_mask_that_does_not_fit_a_layer_is_named(name, mask):
    with pytest.raises(ValueError, match=r"mask must be|real must be"):
        ATTENDING[name](mask)


@pytest.mark.parametrize("mask", [np.zeros((2, 3, 3)), np.ones((3, 3), int)])
def test_a_mask_of_the_right_shape_must_be_boolean(mask):
    with pytest.raises(ValueError, match=f"must be boolean .* got {mask.dtype}"):
        attention(X, X, X, mask)


@pytest.mark.parametrize("name", ["multi-head", "post-norm", "pre-norm", "modern", "mean pooling"])
def test_a_mask_of_one_row_is_not_that_of_all(name):
    with pytest.raises(ValueError, match=r"\(B, T\) = \(2, 3\): got \(1, 3\)"):
        ATTENDING[name](np.ones((1, 3), bool))


def test_a_mask_on_the_keys_of_each_row_still_fits():
    key = np.array([[True, True, False], [True, False, False]])
    y, _ = attention(X, X, X, key[:, None])
    np.testing.assert_array_equal(attention(X[1], X[1], X[1], key[1])[0], y[1])


@pytest.mark.parametrize("call", [lambda: _modern(3), lambda: post_norm_block(X, BLOCK, 3)])
def test_heads_that_do_not_divide_are_named(call):
    with pytest.raises(ValueError, match="width=4, heads=3"):
        call()


def _weights(*shapes):
    return [np.full(shape, 0.5) for shape in shapes]


LAYERS = {
    "linear": lambda x: linear(x, *_weights((4, 2), 2)),
    "layer_norm": lambda x: layer_norm(x, *_weights(4, 4)),
    "rms_norm": lambda x: rms_norm(x, *_weights(4)),
    "attention": lambda x: attention(x, x, x),
    "feed_forward": lambda x: feed_forward(x, *_weights((4, 3), 3, (3, 4), 4)),
    "swiglu": lambda x: swiglu(x, *_weights((4, 6), (3, 4))),
    "rope": rope,
    "mean_pool": mean_pool,
    "first_token_pool": first_token_pool,
    "cross_entropy": lambda x: cross_entropy(x[:, 0], np.array([1, 2])),
    "smoothed": lambda x: smoothed_cross_entropy(x, np.zeros((2, 3), int), 0.1),
    "next_token_loss": lambda x: next_token_loss(x, np.zeros((2, 3), int)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_nan_is_not_turned_into_a_number(name):
    x = X.copy()
    x[1, 0, 2] = np.nan
    assert np.isfinite(LAYERS[name](X)[0]).all()
    assert np.isnan(LAYERS[name](x)[0]).any()


@pytest.mark.parametrize(
    "call",
    [
        greedy,
        lambda x: top_k(x, 1),
        lambda x: top_p(x, 0.5),
        lambda x: top_p(x, 1.0),
        lambda x: scale(x, 1.0),
        lambda x: sample(np.random.default_rng(0), x),
        sampler(np.random.default_rng(0), temperature=0.0),
        sampler(np.random.default_rng(0), k=2, p=0.5),
    ],
)
def test_no_token_is_chosen_by_nan(call):
    with pytest.raises(ValueError, match="the logits hold NaN or infinity"):
        call(np.array([[1.0, np.nan, 0.0]]))


def test_a_model_with_nan_neither_writes_nor_trains():
    params = {name: value.copy() for name, value in DECODER.params.items()}
    params["layers.1.w1"][0, 0] = np.nan
    broken = Decoder(DECODER.config, params)
    with pytest.raises(ValueError, match="the logits hold NaN"):
        generate(broken, [[1, 2]], greedy, 2)
    with pytest.raises(ValueError, match="the logits hold NaN"):
        beam_search(broken, [[1, 2]], 2, 2)
    before = {name: value.copy() for name, value in params.items()}
    run = train_language(broken, windows(np.arange(30) % 7, 4), TrainConfig(3, 2))
    with pytest.raises(ValueError, match=r"norm of the gradients is nan.*layers\.1\.w1"):
        next(run)
    for name, value in before.items():
        np.testing.assert_array_equal(params[name], value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clipping_names_the_gradient_that_is_broken(bad):
    grads = {"fine": np.ones(3), "broken": np.array([1.0, bad])}
    with pytest.raises(ValueError, match=r"NaN or infinity in \['broken'\]"):
        clip_by_norm(grads, 1.0)
    np.testing.assert_array_equal(grads["fine"], 1)


def test_clipping_without_a_limit_is_allowed():
    grads = {"x": np.array([3.0, 4.0])}
    assert clip_by_norm(grads, np.inf) == 5.0
    np.testing.assert_array_equal(grads["x"], [3, 4])


PARAMS = {"weight": np.ones((2, 3)), "bias": np.ones(3)}


@pytest.mark.parametrize("make", [AdamW, Adam, SGD])
@pytest.mark.parametrize(
    ("grads", "lr", "message"),
    [
        ({"weight": np.ones((2, 3))}, 0.1, r"bias must have shape \(3,\): got nothing"),
        # Would be broadcast to every row.
        ({"weight": np.ones(3), "bias": np.ones(3)}, 0.1, r"weight must .* \(2, 3\): got \(3,\)"),
        (PARAMS, -0.1, "lr must be finite and at least 0: got -0.1"),
        (PARAMS, np.nan, "lr must be finite and at least 0: got nan"),
    ],
)
def test_a_step_that_cannot_be_made_changes_nothing(make, grads, lr, message):
    params = {name: value.copy() for name, value in PARAMS.items()}
    optimizer = make(params)
    with pytest.raises(ValueError, match=message):
        optimizer.step(grads, lr)
    assert getattr(optimizer, "step_count", 0) == 0
    for name, value in PARAMS.items():
        np.testing.assert_array_equal(params[name], value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AdamW(PARAMS, beta1=1.0), r"beta1 must lie in \[0, 1\): got 1.0"),
        (lambda: AdamW(PARAMS, beta2=1.0), r"beta2 must lie in \[0, 1\): got 1.0"),
        (lambda: Adam(PARAMS, beta1=-0.1), r"beta1 must lie in \[0, 1\): got -0.1"),
        (lambda: AdamW(PARAMS, weight_decay=-1.0), "weight_decay must be finite and at least 0"),
        (lambda: Adam(PARAMS, l2=np.nan), "l2 must be finite and at least 0: got nan"),
        (lambda: SGD(PARAMS, momentum=1.0), r"momentum must lie in \[0, 1\): got 1.0"),
        (lambda: adam(*[np.ones(2)] * 3, 0, 0.1), "steps count from 1: got 0"),
        (lambda: clip_by_norm({"x": np.ones(2)}, 0.0), "must be above 0: got 0.0"),
        (lambda: clip_by_norm({"x": np.ones(2)}, -1.0), "must be above 0: got -1.0"),
        (lambda: clip_by_norm({"x": np.ones(2)}, np.nan), "must be above 0: got nan"),
        (lambda: warmup_cosine(-1, 10, 2, 0.1), "step=-1"),
        (lambda: warmup_cosine(0, -1, 2, 0.1), "total=-1"),
        (lambda: warmup_cosine(0, 10, -2, 0.1), "warmup=-2"),
        (lambda: warmup_cosine(0, 10, 2, -0.1), "peak=-0.1"),
        (lambda: warmup_cosine(0, 10, 2, np.nan), "peak=nan"),
        (lambda: warmup_cosine(0, 10, 2, np.inf), "peak=inf"),
        (lambda: warmup_cosine(0, 10, 2, 0.1, floor=0.2), "floor=0.2"),
        (lambda: step_decay(3, 0, 0.1, 1.0), "every must be at least 1: got 0"),
        (lambda: step_decay(-1, 2, 0.1, 1.0), "step must be finite and at least 0: got -1"),
        (lambda: step_decay(3, 2, -0.1, 1.0), "factor must be finite and at least 0: got -0.1"),
        (lambda: rope(X, theta=-1.0), "theta must be above 0: got -1.0"),
        (lambda: rope(X, theta=np.nan), "theta must be above 0: got nan"),
        (lambda: rope(X[..., :3]), "must be even: got 3"),
        (lambda: sinusoidal_positions(3, 5), "width must be even: got 5"),
        (lambda: scale(np.zeros((1, 3)), 0.0), "temperature of 0: it stands for greedy"),
        (lambda: beam_search(DECODER, [[1]], 2, 2, length_power=np.nan), "must be finite: got nan"),
        (lambda: generate(DECODER, [[7]], greedy, 1), r"\[0, 7\): got 7"),
        (lambda: generate(DECODER, np.zeros((0, 2), int), greedy, 1), "at least one prompt"),
        (lambda: EncoderConfig(vocabulary=0), "vocabulary must be at least 1: got 0"),
        (lambda: EncoderConfig(dropout=np.nan), r"dropout must lie in \[0, 1\): got nan"),
        (lambda: DecoderConfig(hidden=-1), "hidden must be at least 1: got -1"),
        (lambda: DecoderConfig(heads=5), "width=64, heads=5"),
        (lambda: tokenize(""), "the question is empty"),
        (lambda: tokenize("Max ( 5 3 x )"), "'x' is not in the vocabulary"),
        (lambda: parse("Max ( 5 3 )"), "an operation on three digits"),
        (lambda: pad([]), "at least one sequence"),
        (lambda: next_token_loss(X, np.full((2, 3), -100)), "all 6 are -100"),
        (lambda: windows(np.arange(3), 3), "rows of 3 tokens need a text"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_run_shorter_than_its_warm_up_only_rises():
    rates = [warmup_cosine(step, 5, 10, 1.0) for step in range(5)]
    assert all(0 < a < b < 1 for a, b in itertools.pairwise(rates))


def test_prompts_may_be_an_array():
    prompts = np.array([[1, 2], [3, 4]])
    assert generate(DECODER, prompts, greedy, 2) == generate(DECODER, prompts.tolist(), greedy, 2)


def test_a_cache_of_another_model_is_named():
    with pytest.raises(ValueError, match=r"the cache is float64 .*: the model is float32"):
        DECODER.step(IDS, KVCache(DECODER.config, 2, np.float64))
    with pytest.raises(ValueError, match=r"layers=3.*the model is float32.*layers=2"):
        DECODER.step(IDS, KVCache(DecoderConfig(7, 4, 2, 3, 6, 6), 2))


def test_a_class_that_is_ruled_out_costs_nothing():
    """Minus infinity at a class that is not the target: the loss is that of the others."""
    logits, targets = np.array([[1.0, 2.0, -np.inf]]), np.array([0])
    expected, _ = cross_entropy(logits[:, :2], targets)
    assert cross_entropy(logits, targets)[0] == pytest.approx(expected)
    assert smoothed_cross_entropy(logits, targets)[0] == pytest.approx(expected)


def test_rows_without_padding_need_no_mask():
    rows = Rows(IDS, IDS)
    assert rows.take(np.array([1])).mask is None
    np.testing.assert_allclose(
        DECODER.forward(IDS)[0], DECODER.forward(IDS, np.ones_like(IDS, bool))[0], rtol=1e-5
    )
