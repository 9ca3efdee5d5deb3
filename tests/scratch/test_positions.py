"""Sinusoids and rotations, against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.positions import rope, sinusoidal_positions

fast = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def test_sinusoids_by_their_definition():
    table = sinusoidal_positions(9, 6)
    for t in range(9):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            assert table[t, 2 * i] == pytest.approx(np.sin(angle))
            assert table[t, 2 * i + 1] == pytest.approx(np.cos(angle))


def test_rope_is_multiplication_by_a_unit_complex_number(rng):
    x = rng.normal(size=(2, 7, 6))
    as_complex = x[..., 0::2] + 1j * x[..., 1::2]
    angles = np.arange(7)[:, None] * 100.0 ** (-2 * np.arange(3) / 6)
    turned = as_complex * np.exp(1j * angles)
    y, _ = rope(x, theta=100.0)
    np.testing.assert_allclose(y[..., 0::2], turned.real, atol=1e-12)
    np.testing.assert_allclose(y[..., 1::2], turned.imag, atol=1e-12)


@fast
@given(a=st.integers(0, 10), b=st.integers(0, 10), shift=st.integers(0, 10), seed=seeds)
def test_rope_scores_depend_on_the_distance_alone(a, b, shift, seed):
    q, k = np.random.default_rng(seed).normal(size=(2, 4))
    rows, _ = rope(np.broadcast_to(q, (21, 4)))
    columns, _ = rope(np.broadcast_to(k, (21, 4)))
    here, there = rows[a] @ columns[b], rows[a + shift] @ columns[b + shift]
    np.testing.assert_allclose(here, there, atol=1e-12)


def test_an_odd_width_is_named():
    with pytest.raises(ValueError, match="got 5"):
        sinusoidal_positions(3, 5)
    with pytest.raises(ValueError, match="got 5"):
        rope(np.ones((3, 5)))


def test_rope_keeps_float32():
    assert rope(np.ones((3, 4), np.float32))[0].dtype == np.float32
