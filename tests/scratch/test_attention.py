"""Attention: torch, and what a mask must and must not let through."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.attention import (
    attention,
    attention_backward,
    merge_heads,
    multi_head_attention,
    multi_head_attention_backward,
    split_heads,
)

fast = settings(max_examples=25, deadline=None)
sizes = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def _case(draw):
    lead = tuple(draw(st.lists(st.integers(1, 2), max_size=2)))
    t, s, k = draw(sizes), draw(sizes), draw(sizes)
    rng = np.random.default_rng(draw(seeds))
    shapes = {"q": (*lead, t, k), "k": (*lead, s, k), "v": (*lead, s, k)}
    inputs = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    mask = rng.random((*lead, t, s)) < 0.7 if draw(st.booleans()) else None
    return inputs, mask


@pytest.mark.parametrize("masked", [False, True])
def test_equal_to_torch(masked, rng):
    q, k, v = (rng.normal(size=(2, 3, n, 4)) for n in (5, 6, 6))
    dy = rng.normal(size=(2, 3, 5, 4))
    mask = None
    if masked:
        mask = rng.random((2, 1, 5, 6)) < 0.6
        mask[..., 0] = True
    y, cache = attention(q, k, v, mask)
    leaves = [torch.tensor(a, requires_grad=True) for a in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(
        *leaves, attn_mask=None if mask is None else torch.tensor(mask)
    )
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    for ours, leaf in zip(attention_backward(dy, cache), leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


@fast
@given(case=_case())
def test_a_masked_key_has_no_influence(case):
    inputs, mask = case
    s = inputs["k"].shape[-2]
    look = np.ones((1, s), bool) if mask is None else mask.copy()
    look[..., -1] = False
    changed = {name: value.copy() for name, value in inputs.items()}
    changed["k"][..., -1, :] = 1e3
    changed["v"][..., -1, :] = -1e3
    y, cache = attention(**inputs, mask=look)
    np.testing.assert_array_equal(attention(**changed, mask=look)[0], y)
    np.testing.assert_array_equal(cache[0][..., -1], 0)
    _, dk, dv = attention_backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(dk[..., -1, :], 0)
    np.testing.assert_array_equal(dv[..., -1, :], 0)


def test_a_row_without_keys_is_finite(rng):
    q, k, v = (rng.normal(size=(1, 3, 2)) for _ in range(3))
    mask = np.array([[True, True, False], [False, False, False], [True, False, False]])
    with np.errstate(all="raise"):
        y, cache = attention(q, k, v, mask)
        grads = attention_backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(y[0, 1], 0)
    np.testing.assert_array_equal(grads[0][0, 1], 0)
    assert all(np.isfinite(g).all() for g in grads)


@fast
@given(batch=sizes, length=sizes, heads=sizes, width=sizes, seed=seeds)
def test_split_and_merge_undo_each_other(batch, length, heads, width, seed):
    x = np.random.default_rng(seed).normal(size=(batch, length, heads * width))
    parts = split_heads(x, heads)
    assert parts.shape == (batch, heads, length, width)
    np.testing.assert_array_equal(parts[:, -1], x[..., -width:])
    np.testing.assert_array_equal(merge_heads(parts), x)


def _weights(rng, width):
    shapes = {
        "wqkv": (width, 3 * width),
        "bqkv": (3 * width,),
        "wo": (width, width),
        "bo": (width,),
    }
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def test_multi_head_equals_torch(rng):
    x, weights = rng.normal(size=(2, 5, 8)), _weights(rng, 8)
    mask = np.array([[True] * 5, [True] * 3 + [False] * 2])
    y, cache = multi_head_attention(x, **weights, heads=2, mask=mask)
    module = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.tensor(weights["wqkv"].T))
        module.in_proj_bias.copy_(torch.tensor(weights["bqkv"]))
        module.out_proj.weight.copy_(torch.tensor(weights["wo"].T))
        module.out_proj.bias.copy_(torch.tensor(weights["bo"]))
    leaf = torch.tensor(x, requires_grad=True)
    expected, _ = module(leaf, leaf, leaf, key_padding_mask=torch.tensor(~mask))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    dy = rng.normal(size=y.shape)
    expected.backward(torch.tensor(dy))
    dx, dwqkv, dbqkv, dwo, dbo = multi_head_attention_backward(dy, cache)
    pairs = [
        (dx, leaf.grad),
        (dwqkv, module.in_proj_weight.grad.T),
        (dbqkv, module.in_proj_bias.grad),
        (dwo, module.out_proj.weight.grad.T),
        (dbo, module.out_proj.bias.grad),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-10, atol=1e-11)


def test_wrong_shapes_are_named(rng):
    weights = _weights(rng, 8)
    with pytest.raises(ValueError, match="width=8, heads=3"):
        multi_head_attention(rng.normal(size=(2, 5, 8)), **weights, heads=3)
    with pytest.raises(ValueError, match=r"\(2, 5\): got \(2, 4\)"):
        multi_head_attention(
            rng.normal(size=(2, 5, 8)), **weights, heads=2, mask=np.ones((2, 4), bool)
        )
