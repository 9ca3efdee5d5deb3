"""Pooling: a loop over the tokens, and padding that must not count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.pooling import (
    mean_pool,
    mean_pool_backward,
)


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 5),
    width=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_mean_by_a_loop_over_rows(batch, length, width, seed):
    rng = np.random.default_rng(seed)
    x, mask = rng.normal(size=(batch, length, width)), rng.random((batch, length)) < 0.6
    y, _ = mean_pool(x, mask)
    for row, keep, mean in zip(x, mask, y, strict=True):
        expected = row[keep].mean(axis=0) if keep.any() else np.zeros(width)
        np.testing.assert_allclose(mean, expected, atol=1e-14)


def test_without_a_mask_all_tokens_count(rng):
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    y, cache = mean_pool(x)
    np.testing.assert_allclose(y, x.mean(axis=1), rtol=1e-6)
    assert y.dtype == mean_pool_backward(y, cache).dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_stands_at_padding_does_not_count(value):
    x = np.ones((1, 2, 3))
    x[0, 1] = value
    y, _ = mean_pool(x, np.array([[True, False]]))
    np.testing.assert_array_equal(y, np.ones((1, 3)))


def test_mask_of_another_shape_is_named(rng):
    with pytest.raises(ValueError, match=r"\(B, T\) = \(2, 3\): got \(3, 2\)"):
        mean_pool(rng.normal(size=(2, 3, 4)), np.ones((3, 2), bool))
