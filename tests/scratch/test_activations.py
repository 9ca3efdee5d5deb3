"""relu, silu and softmax: values and gradients by torch, and extreme numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.activations import (
    relu,
    relu_backward,
    silu,
    silu_backward,
    softmax,
    softmax_backward,
)

fast = settings(max_examples=30, deadline=None)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("ours", "backward", "theirs"),
    [
        (relu, relu_backward, torch.nn.functional.relu),
        (silu, silu_backward, torch.nn.functional.silu),
        (lambda x: (softmax(x),) * 2, softmax_backward, lambda x: torch.softmax(x, -1)),
    ],
    ids=["relu", "silu", "softmax"],
)
def test_equal_to_torch(ours, backward, theirs, rng):
    x, dy = 3 * rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 3, 5))
    y, cache = ours(x)
    leaf = torch.tensor(x, requires_grad=True)
    expected = theirs(leaf)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(backward(dy, cache), leaf.grad.numpy(), rtol=1e-12, atol=1e-14)


@fast
@given(shape=shapes, seed=seeds, shift=st.floats(-1e3, 1e3))
def test_softmax_weights_sum_to_one_and_ignore_a_shift(shape, seed, shift):
    x = np.random.default_rng(seed).normal(size=shape)
    p = softmax(x)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(softmax(x + shift), p, rtol=1e-9)


def test_softmax_keeps_extreme_rows_finite():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        np.testing.assert_array_equal(softmax(np.array([1e4, 0.0])), [1, 0])
        np.testing.assert_array_equal(softmax(np.array([-np.inf, 0.0])), [0, 1])
        np.testing.assert_array_equal(softmax(np.array([-np.inf, -np.inf])), [0, 0])


def test_silu_does_not_overflow():
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(silu(np.array([-1e4, 0.0, 1e4]))[0], [0, 0, 1e4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype, rng):
    x = rng.normal(size=(2, 3)).astype(dtype)
    x_masked = np.where(np.arange(3) == 0, x, -np.inf).astype(dtype)
    for y in (relu(x)[0], silu(x)[0], softmax(x), softmax(x_masked)):
        assert y.dtype == dtype
    for f, backward in ((relu, relu_backward), (silu, silu_backward)):
        assert backward(x, f(x)[1]).dtype == dtype
