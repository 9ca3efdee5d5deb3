"""Pooling: loops as the oracle, and padding that must not matter."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.embed.pooling import last_token_pool, mean_pool

fast = settings(max_examples=40, deadline=None)


@fast
@given(
    batch=st.integers(1, 4),
    length=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
    weighted=st.booleans(),
)
def test_mean_is_the_loop(batch, length, seed, weighted):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(batch, length, 3))
    mask = rng.integers(2, size=(batch, length))
    weights = rng.uniform(0.1, 3, size=(batch, length)) if weighted else np.ones((batch, length))
    expected = np.zeros((batch, 3))
    for b in range(batch):
        total = 0.0
        for t in range(length):
            if mask[b, t]:
                expected[b] += weights[b, t] * hidden[b, t]
                total += weights[b, t]
        if total:
            expected[b] /= total
    received = mean_pool(
        torch.tensor(hidden), torch.tensor(mask), torch.tensor(weights) if weighted else None
    )
    np.testing.assert_allclose(received, expected, rtol=1e-12, atol=1e-13)


def padded(rows: list[torch.Tensor], side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Token vectors padded with large numbers that must never be read."""
    length = max(len(row) for row in rows)
    hidden = torch.full((len(rows), length, 2), 1e6, dtype=torch.float64)
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(0, len(row)) if side == "right" else slice(length - len(row), length)
        hidden[i, where] = row
        mask[i, where] = 1
    return hidden, mask


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_of_the_padding_does_not_matter(side):
    rows = [torch.randn(n, 2, dtype=torch.float64) for n in (3, 1, 5)]
    hidden, mask = padded(rows, side)
    expected = torch.stack([row.mean(0) for row in rows])
    torch.testing.assert_close(mean_pool(hidden, mask), expected)
    torch.testing.assert_close(last_token_pool(hidden, mask), torch.stack([r[-1] for r in rows]))
    if side == "right":  # what the naive form reads
        assert not torch.allclose(hidden[:, -1], last_token_pool(hidden, mask))


def test_an_empty_text_has_no_mean_and_no_last_token():
    hidden, mask = torch.randn(2, 3, 4), torch.tensor([[1, 1, 0], [0, 0, 0]])
    assert mean_pool(hidden, mask)[1].tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="all zeros"):
        last_token_pool(hidden, mask)


def test_gradients_reach_real_tokens_only():
    hidden = torch.randn(2, 3, 4, requires_grad=True)
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    (mean_pool(hidden, mask).sum() + last_token_pool(hidden, mask).sum()).backward()
    assert hidden.grad is not None
    torch.testing.assert_close(hidden.grad.abs().sum(-1) > 0, mask.bool())
