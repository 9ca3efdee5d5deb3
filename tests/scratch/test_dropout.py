"""Dropout: its mean, and what leaves it out."""

import numpy as np
import pytest

from groundup.scratch.dropout import dropout, dropout_backward


def test_the_mean_stays_and_the_rest_is_scaled(rng):
    y, _ = dropout(np.ones((200, 500)), 0.25, rng)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    # The mean of n entries has a deviation of sqrt(rate / (1 - rate) / n).
    assert abs(y.mean() - 1) < 4 * np.sqrt(0.25 / 0.75 / y.size)


def test_the_dtype_stays(rng):
    x = rng.normal(size=(3, 3)).astype(np.float32)
    y, cache = dropout(x, 0.5, rng)
    assert y.dtype == dropout_backward(y, cache).dtype == np.float32


@pytest.mark.parametrize(("rate", "generator"), [(0.5, None), (0.0, np.random.default_rng(0))])
def test_nothing_is_dropped_in_evaluation(rate, generator, rng):
    x = rng.normal(size=(2, 3))
    y, cache = dropout(x, rate, generator)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dropout_backward(x, cache), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_bad_rates_are_named(rate, rng):
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\)"):
        dropout(np.ones(3), rate, rng)
