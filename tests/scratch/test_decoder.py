"""The decoder: every gradient, torch's own layers, who may look where, and the cache."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.decoder import (
    Decoder,
    DecoderConfig,
    KVCache,
    init_params,
)
from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.language import IGNORE, next_token_loss, next_token_loss_backward

CONFIG = DecoderConfig(vocabulary=7, width=4, heads=2, layers=2, hidden=6, max_length=6)
IDS = np.array([[2, 5, 3, 1, 6], [4, 2, 4, 0, 0]])
MASK = np.array([[True] * 5, [True] * 3 + [False] * 2])
TARGETS = np.array([[5, 3, 1, 6, 0], [2, 4, 6, IGNORE, IGNORE]])
seeds = st.integers(0, 2**32 - 1)


def _model(config=CONFIG, seed=0):
    """Float64, with no parameter at its special start."""
    rng = np.random.default_rng(seed)
    model = Decoder.create(config, rng, np.float64)
    for value in model.params.values():
        value += 0.3 * rng.normal(size=value.shape)
    return model


@pytest.fixture
def model():
    return _model()


def test_the_default_has_103424_parameters():
    config = DecoderConfig()
    params = init_params(config, np.random.default_rng(0))
    width, hidden = config.width, config.hidden
    a_layer = (
        3 * width * width + 3 * width  # queries, keys, values
        + width * width + width  # the output projection
        + width * hidden + hidden + hidden * width + width  # feed-forward
        + 4 * width  # two norms
    )  # fmt: skip
    # The head is the embedding again and counts once.
    by_hand = 20 * width + 32 * width + 2 * a_layer + 2 * width
    assert sum(p.size for p in params.values()) == by_hand == 103_424


def test_a_fresh_model_knows_nothing():
    model = Decoder.create(DecoderConfig(), np.random.default_rng(0), np.float64)
    ids = np.random.default_rng(1).integers(0, 20, (8, 20))
    loss, _ = next_token_loss(model.forward(ids)[0], ids[:, ::-1])
    assert loss == pytest.approx(np.log(20), abs=0.05)


def test_depth_does_not_swell_the_stream():
    """2 · layers terms of equal size are added up: each is smaller by the root of their number."""
    drawn = [
        init_params(DecoderConfig(layers=layers), np.random.default_rng(0)) for layers in (1, 16)
    ]
    for name in ("layers.0.wo", "layers.0.w2"):
        shallow, deep = (params[name].std() for params in drawn)
        assert shallow / deep == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("mask", [None, MASK, MASK[:, ::-1]], ids=["none", "right", "left"])
def test_every_parameters_gradient(model, mask):
    targets = TARGETS if mask is None else np.where(mask, np.abs(TARGETS) % 7, IGNORE)

    def loss():
        return next_token_loss(model.forward(IDS, mask)[0], targets)[0]

    logits, cache = model.forward(IDS, mask)
    _, cache_loss = next_token_loss(logits, targets)
    grads = model.backward(next_token_loss_backward(cache_loss), cache)
    assert grads.keys() == model.params.keys()
    for name, value in model.params.items():
        error = compare(name, grads[name], numerical_gradient(loss, value))
        assert error.relative < 1e-7, str(error)


def _names(layer):
    return {
        "wqkv": layer.self_attn.in_proj_weight,
        "bqkv": layer.self_attn.in_proj_bias,
        "wo": layer.self_attn.out_proj.weight,
        "bo": layer.self_attn.out_proj.bias,
        "norm1.gamma": layer.norm1.weight,
        "norm1.beta": layer.norm1.bias,
        "w1": layer.linear1.weight,
        "b1": layer.linear1.bias,
        "w2": layer.linear2.weight,
        "b2": layer.linear2.bias,
        "norm2.gamma": layer.norm2.weight,
        "norm2.beta": layer.norm2.bias,
    }


def _torch_layers(model):
    """The same blocks from torch.nn.TransformerEncoderLayer, which scratch never saw."""
    c = model.config
    for i in range(c.layers):
        layer = torch.nn.TransformerEncoderLayer(
            *(c.width, c.heads, c.hidden, 0.0),
            activation=lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
            batch_first=True,
            norm_first=True,
            dtype=torch.float64,
        )
        with torch.no_grad():
            for ours, theirs in _names(layer).items():
                theirs.copy_(torch.tensor(model.params[f"layers.{i}.{ours}"].T.copy()))
        yield layer


@pytest.mark.parametrize("masked", [False, True])
def test_equal_to_torch(model, masked):
    layers = list(_torch_layers(model))
    outside = ("embedding", "positions", "norm.gamma", "norm.beta")
    leaves = {n: torch.tensor(model.params[n], requires_grad=True) for n in outside}
    x = leaves["embedding"][torch.tensor(IDS)] + leaves["positions"][: IDS.shape[1]]
    ahead = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1)
    padding = torch.tensor(~MASK) if masked else None
    for layer in layers:
        x = layer(x, src_mask=ahead, src_key_padding_mask=padding)
    x = torch.nn.functional.layer_norm(x, (4,), leaves["norm.gamma"], leaves["norm.beta"])
    expected = x @ leaves["embedding"].T
    flat = expected.reshape(-1, 7), torch.tensor(TARGETS).reshape(-1)
    torch.nn.functional.cross_entropy(*flat, ignore_index=IGNORE).backward()

    logits, cache = model.forward(IDS, MASK if masked else None)
    _, cache_loss = next_token_loss(logits, TARGETS)
    grads = model.backward(next_token_loss_backward(cache_loss), cache)
    real = MASK if masked else np.ones_like(MASK)
    np.testing.assert_allclose(
        logits[real], expected.detach().numpy()[real], rtol=1e-10, atol=1e-12
    )
    theirs = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    for i, layer in enumerate(layers):
        theirs |= {f"layers.{i}.{ours}": p.grad.numpy().T for ours, p in _names(layer).items()}
    assert theirs.keys() == grads.keys()
    for name, ours in grads.items():
        np.testing.assert_allclose(ours, theirs[name], rtol=1e-10, atol=1e-12, err_msg=name)


@settings(max_examples=20, deadline=None)
@given(length=st.integers(2, 6), at=st.integers(0, 4), seed=seeds)
def test_nothing_looks_ahead(length, at, seed):
    at = min(at, length - 2)
    model = _model(seed=seed % 5)
    ids = np.random.default_rng(seed).integers(0, 7, (2, length))
    other = ids.copy()
    other[:, at + 1 :] = (ids[:, at + 1 :] + 1) % 7
    logits, cache = model.forward(ids)
    changed, _ = model.forward(other)
    np.testing.assert_allclose(changed[:, : at + 1], logits[:, : at + 1], rtol=1e-12)
    assert np.abs(changed[:, at + 1 :] - logits[:, at + 1 :]).max() > 1e-3
    for weights in model.attention_maps(cache):
        assert weights.shape == (2, 2, length, length)
        np.testing.assert_array_equal(np.triu(weights, 1), 0)
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-12)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_padding_on_either_side_has_no_influence(model, left):
    ids = np.full((1, 5), 6)
    mask = np.zeros((1, 5), bool)
    ids[:, left : left + 3], mask[:, left : left + 3] = IDS[1:, :3], True
    alone, _ = model.forward(IDS[1:, :3])
    padded, _ = model.forward(ids, mask)
    np.testing.assert_allclose(padded[:, left : left + 3], alone, rtol=1e-12)
    dlogits = np.where(mask[..., None], 1.0, 0.0) * np.arange(7)
    grads = model.backward(dlogits, model.forward(ids, mask)[1])
    expected = model.backward(dlogits[mask][None], model.forward(IDS[1:, :3])[1])
    for name, ours in grads.items():
        np.testing.assert_allclose(ours, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_row_of_padding_alone_is_finite(model):
    mask = MASK.copy()
    mask[1] = False
    logits, cache = model.forward(IDS, mask)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(g).all() for g in model.backward(np.ones_like(logits), cache).values())


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 3), min_size=1, max_size=5),
    batch=st.integers(1, 3),
    masked=st.booleans(),
    seed=seeds,
)
def test_the_cache_equals_the_full_pass(cuts, batch, masked, seed):
    ends = [end for end in np.cumsum(cuts).tolist() if end <= 6]
    rng = np.random.default_rng(seed)
    model = _model(seed=seed % 5)
    ids = rng.integers(0, 7, (batch, ends[-1]))
    mask = rng.random(ids.shape) < 0.7 if masked else None
    full, _ = model.forward(ids, mask)
    cache = KVCache(model.config, batch, np.float64)
    for start, end in zip([0, *ends], ends, strict=False):
        new = None if mask is None else mask[:, start:end]
        logits = model.step(ids[:, start:end], cache, new)
        assert cache.length == end
        np.testing.assert_allclose(logits, full[:, start:end], rtol=1e-12, atol=1e-12)


def test_reordered_rows_go_on_as_themselves(model):
    cache = KVCache(model.config, 2, np.float64)
    model.step(IDS[:, :3], cache)
    rows = np.array([1, 0, 1])
    cache.reorder(rows)
    logits = model.step(IDS[rows, 3:], cache)
    np.testing.assert_allclose(logits, model.forward(IDS[rows])[0][:, 3:], rtol=1e-12, atol=1e-12)


def test_a_full_cache_refuses(model):
    cache = KVCache(model.config, 1, np.float64)
    model.step(np.zeros((1, 5), int), cache)
    model.step(np.zeros((1, 1), int), cache)
    with pytest.raises(ValueError, match="at most 6 tokens fit: got 7"):
        model.step(np.zeros((1, 1), int), cache)
    assert cache.length == 6


def test_float32_stays_float32():
    model = Decoder.create(CONFIG, np.random.default_rng(0))
    logits, cache = model.forward(IDS, MASK)
    assert logits.dtype == np.float32
    assert {g.dtype for g in model.backward(logits, cache).values()} == {np.dtype(np.float32)}
    store = KVCache(CONFIG, 2)
    np.testing.assert_allclose(model.step(IDS, store, MASK), logits, rtol=1e-5, atol=1e-6)
    assert model.step(IDS[:, :1], store).dtype == np.float32


@pytest.mark.parametrize(
    ("ids", "mask", "message"),
    [
        (np.array([[7]]), None, r"\[0, 7\): got 7 to 7"),
        (np.array([[-1]]), None, r"\[0, 7\): got -1 to -1"),
        (np.zeros((0, 3), int), None, "non-empty"),
        (np.zeros((2, 0), int), None, "non-empty"),
        (np.zeros(3, int), None, r"\(B, T\) array: got shape \(3,\)"),
        (np.zeros((1, 7), int), None, "at most 6 tokens fit: got 7"),
        (IDS, MASK[:, :3], r"mask must be \(B, T\) = \(2, 5\): got \(2, 3\)"),
    ],
)
def test_bad_input_is_named(model, ids, mask, message):
    with pytest.raises(ValueError, match=message):
        model.forward(ids, mask)
    with pytest.raises(ValueError, match=message):
        model.step(ids, KVCache(CONFIG, len(ids), np.float64), mask)


def test_a_cache_of_another_batch_is_named(model):
    with pytest.raises(ValueError, match="the cache holds 3 rows: got 2 rows"):
        model.step(IDS, KVCache(CONFIG, 3, np.float64))


def test_a_shape_that_cannot_be_is_named():
    with pytest.raises(ValueError, match="layers must be at least 1: got 0"):
        DecoderConfig(layers=0)
    with pytest.raises(ValueError, match="width=6, heads=4"):
        DecoderConfig(width=6, heads=4)
