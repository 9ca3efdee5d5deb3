"""Layer norm and RMS norm: torch, and what they leave unchanged."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.normalization import (
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)

fast = settings(max_examples=30, deadline=None)


def test_layer_norm_equals_torch(rng):
    x, dy = rng.normal(size=(2, 3, 8)), rng.normal(size=(2, 3, 8))
    gamma, beta = rng.normal(size=8), rng.normal(size=8)
    y, cache = layer_norm(x, gamma, beta)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    expected = torch.nn.functional.layer_norm(leaves[0], (8,), leaves[1], leaves[2], eps=1e-5)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    for ours, leaf in zip(layer_norm_backward(dy, cache), leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_rms_norm_equals_torch(rng):
    x, dy, gamma = rng.normal(size=(2, 3, 8)), rng.normal(size=(2, 3, 8)), rng.normal(size=8)
    y, cache = rms_norm(x, gamma)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, gamma)]
    expected = torch.nn.functional.rms_norm(leaves[0], (8,), leaves[1], eps=1e-5)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    for ours, leaf in zip(rms_norm_backward(dy, cache), leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


@fast
@given(shift=st.floats(-100, 100), scale=st.floats(0.1, 100), seed=st.integers(0, 2**32 - 1))
def test_layer_norm_ignores_shift_and_scale(shift, scale, seed):
    x = np.random.default_rng(seed).normal(size=(2, 8))
    one, zero = np.ones(8), np.zeros(8)
    y, _ = layer_norm(x, one, zero, eps=0.0)
    np.testing.assert_allclose(layer_norm(scale * x + shift, one, zero, eps=0.0)[0], y, atol=1e-9)
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose((y * y).mean(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        rms_norm(scale * x, one, eps=0.0)[0], rms_norm(x, one, eps=0.0)[0], atol=1e-12
    )


def test_a_constant_vector_stays_finite():
    x, one = np.full((1, 4), 3.0), np.ones(4)
    y, cache = layer_norm(x, one, np.zeros(4))
    np.testing.assert_array_equal(y, 0)
    assert np.isfinite(layer_norm_backward(np.arange(4.0)[None], cache)[0]).all()


def test_float32_keeps_its_digits_far_from_zero(rng):
    """E[x²] − E[x]² would lose everything at an offset of 1,000."""
    x = rng.normal(size=(4, 64)) + 1000
    y, _ = layer_norm(x.astype(np.float32), np.ones(64, np.float32), np.zeros(64, np.float32))
    exact, _ = layer_norm(x, np.ones(64), np.zeros(64))
    assert y.dtype == np.float32
    # x itself is rounded to 1000 · 2⁻²⁴ = 6e-5 on its way into float32.
    assert np.abs(y - exact).max() < 5e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype, rng):
    x, one = rng.normal(size=(2, 4)).astype(dtype), np.ones(4, dtype)
    y, cache = layer_norm(x, one, one)
    assert {a.dtype for a in (y, *layer_norm_backward(y, cache))} == {np.dtype(dtype)}
    y, cache = rms_norm(x, one)
    assert {a.dtype for a in (y, *rms_norm_backward(y, cache))} == {np.dtype(dtype)}
