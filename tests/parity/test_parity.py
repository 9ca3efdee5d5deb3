"""The rungs between NumPy and torch: they hold, and a wrong weight mapping breaks them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.neobert.attention import split_qkv
from groundup.parity import numpy_torch
from groundup.parity.numpy_torch import LIMIT, encoder_parity, layer_parity, to_torch
from groundup.scratch.encoder import Encoder, EncoderConfig

LAYER_TENSORS = {
    "output",
    "d input",
    "d attention_norm.weight",
    "d qkv.weight",
    "d wo.weight",
    "d ffn_norm.weight",
    "d ffn.w12.weight",
    "d ffn.w3.weight",
}


def digit_encoder(dtype=np.float64, **more) -> tuple[Encoder, tuple]:
    config = EncoderConfig(11, 5, width=12, heads=3, layers=2, hidden=20, **more)
    rng = np.random.default_rng(0)
    model = Encoder.create(config, rng, dtype)
    for value in model.params.values():  # away from zero biases and unit norms
        value += (0.1 * rng.normal(size=value.shape)).astype(dtype)
    ids = rng.integers(0, 11, size=(4, 7))
    mask = np.arange(7) < np.array([7, 3, 5, 6])[:, None]
    return model, (ids, mask, rng.integers(0, 5, size=4))


def worst(rungs) -> float:
    return max(rung.error for rung in rungs)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    heads=st.sampled_from([1, 2, 3]),
    head_width=st.sampled_from([2, 4, 8]),
    batch=st.integers(1, 3),
    length=st.integers(1, 9),
)
def test_every_rung_of_the_layer_holds(seed, heads, head_width, batch, length):
    rng = np.random.default_rng(seed)
    rungs = layer_parity(rng, heads * head_width, heads, batch, length)
    assert {rung.tensor for rung in rungs} == LAYER_TENSORS
    for rung in rungs:
        assert rung.equal, rung
        assert rung.error <= LIMIT == 1e-10


def test_rounding_alone_is_far_below_the_limit():
    assert worst(layer_parity(np.random.default_rng(0))) < 1e-13


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_every_rung_of_the_encoder_holds(norm, pooling):
    model, batch = digit_encoder(norm=norm, pooling=pooling)
    rungs = encoder_parity(model, *batch)
    assert {rung.tensor for rung in rungs[:2]} == {"logits", "loss"}
    gradients = {rung.tensor for rung in rungs[2:]}
    assert gradients == {f"d {name}" for name in to_torch(model.params)}
    for rung in rungs:
        assert rung.equal, rung


def test_a_float32_model_is_compared_in_float64_and_left_alone():
    model, batch = digit_encoder(np.float32)
    before = {name: value.copy() for name, value in model.params.items()}
    assert worst(encoder_parity(model, *batch)) <= LIMIT
    for name, value in model.params.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, before[name])


def test_the_twin_runs_torch_code():
    """The comparison would be empty if both sides were NumPy."""
    model, (ids, mask, _) = digit_encoder()
    logits = numpy_torch.TorchEncoder(model)(torch.from_numpy(ids), torch.from_numpy(mask))
    expected, _ = model.forward(ids, mask)
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    assert logits.grad_fn is not None


# Broken on purpose: each fault must turn a rung red.


def _swap(names, first, second):
    return {**names, first: names[second], second: names[first]}


def test_swapped_norms_of_the_layer_are_caught(monkeypatch):
    names = _swap(numpy_torch._NEOBERT_NAMES, "attention_norm.weight", "ffn_norm.weight")
    monkeypatch.setattr(numpy_torch, "_NEOBERT_NAMES", names)
    assert worst(layer_parity(np.random.default_rng(0))) > 1e-3


def test_a_layer_cut_in_thirds_is_caught(monkeypatch):
    def thirds(qkv, heads):
        return tuple(p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in qkv.chunk(3, -1))

    monkeypatch.setattr("groundup.neobert.cpu_kernels.PLAIN", True)
    monkeypatch.setattr("groundup.neobert.cpu_kernels.split_qkv", thirds)
    rungs = {r.tensor: r.error for r in layer_parity(np.random.default_rng(0))}
    assert rungs["output"] > 1e-2
    assert rungs["d qkv.weight"] > 1e-2


def test_swapped_keys_and_values_are_caught(monkeypatch):
    def swapped(qkv, heads):
        q, k, v = split_qkv(qkv, heads)
        return q, v, k

    monkeypatch.setattr("groundup.neobert.cpu_kernels.PLAIN", True)
    monkeypatch.setattr("groundup.neobert.cpu_kernels.split_qkv", swapped)
    assert worst(layer_parity(np.random.default_rng(0))) > 1e-2


def test_rotated_halves_are_caught(monkeypatch):
    """The other common form of RoPE pairs entry i with entry i + K/2."""

    def halves(x, cos, sin):
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    monkeypatch.setattr("groundup.neobert.cpu_kernels.PLAIN", True)
    monkeypatch.setattr("groundup.neobert.cpu_kernels.rotate_pairs", halves)
    assert worst(layer_parity(np.random.default_rng(0))) > 1e-3


def test_a_wrong_gradient_is_caught_though_the_output_is_right(monkeypatch):
    right = numpy_torch.modern_block_backward

    def wrong(dy, cache):
        dx, grads = right(dy, cache)
        return dx, {**grads, "wo": grads["wo"] * 1.000001}

    monkeypatch.setattr(numpy_torch, "modern_block_backward", wrong)
    red = [r.tensor for r in layer_parity(np.random.default_rng(0)) if not r.equal]
    assert red == ["d wo.weight"]


@pytest.mark.parametrize(
    ("first", "second"), [("norm1.gamma", "norm2.gamma"), ("norm1.beta", "norm2.beta")]
)
def test_swapped_weights_of_the_encoder_are_caught(monkeypatch, first, second):
    model, batch = digit_encoder()
    monkeypatch.setattr(numpy_torch, "_LAYER_NAMES", _swap(numpy_torch._LAYER_NAMES, first, second))
    assert worst(encoder_parity(model, *batch)) > 1e-4


def test_a_forgotten_transpose_of_the_encoder_is_caught(monkeypatch):
    model, batch = digit_encoder()
    wrong = {
        name: (value.mT.contiguous() if name.endswith("out_proj.weight") else value)
        for name, value in to_torch(model.params).items()
    }
    monkeypatch.setattr(numpy_torch, "to_torch", lambda params: wrong)
    assert worst(encoder_parity(model, *batch)) > 1e-3


def test_an_error_that_is_not_a_number_is_not_equal():
    assert not numpy_torch.Rung("pair", "tensor", float("nan")).equal
