"""Masks: by hand, and what they let through attention."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.scratch.attention import attention
from groundup.scratch.masks import causal_mask, key_mask


def test_causal_mask_by_hand():
    square = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]], dtype=bool)
    np.testing.assert_array_equal(causal_mask(3), square)
    np.testing.assert_array_equal(causal_mask(2, 3), square[1:])
    assert causal_mask(3).dtype == bool


@given(queries=st.integers(1, 6), older=st.integers(0, 6))
def test_causal_mask_compares_positions(queries, older):
    mask = causal_mask(queries, older + queries)
    assert mask.shape == (queries, older + queries)
    for t, s in np.ndindex(mask.shape):
        assert mask[t, s] == (s <= older + t)


def test_both_masks_together_equal_torch():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 2, 2, 5, 4))
    real = np.array([[True] * 5, [True] * 3 + [False] * 2])
    look = causal_mask(5) & key_mask(real)
    assert look.shape == (2, 1, 5, 5)
    y, _ = attention(q, k, v, look)
    blocked = torch.zeros(2, 1, 5, 5, dtype=torch.float64)
    blocked.masked_fill_(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf)
    blocked.masked_fill_(torch.tensor(~real)[:, None, None, :], -torch.inf)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *map(torch.tensor, (q, k, v)), attn_mask=blocked
    )
    np.testing.assert_allclose(y, expected.numpy(), rtol=1e-11, atol=1e-12)


def test_what_stands_ahead_or_is_padding_changes_nothing():
    rng = np.random.default_rng(1)
    q, k, v = rng.normal(size=(3, 1, 2, 4, 3))
    look = causal_mask(4) & key_mask(np.array([[True, True, True, False]]))
    y, _ = attention(q, k, v, look)
    k[..., 2:, :], v[..., 2:, :] = 1e3, -1e3
    np.testing.assert_array_equal(attention(q, k, v, look)[0][..., :2, :], y[..., :2, :])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="3 queries, 2 keys"):
        causal_mask(3, 2)
    with pytest.raises(ValueError, match=r"got bool of shape \(3,\)"):
        key_mask(np.ones(3, bool))
    with pytest.raises(ValueError, match="got int64"):
        key_mask(np.ones((2, 3), np.int64))
