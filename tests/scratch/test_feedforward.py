"""The two feed-forward networks: finite differences, and torch for the gated one."""

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from groundup.scratch.feedforward import (
    feed_forward,
    feed_forward_backward,
    swiglu,
    swiglu_backward,
)

fast = settings(max_examples=20, deadline=None)
sizes = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)


@fast
@given(batch=sizes, length=sizes, width=sizes, hidden=sizes, seed=seeds)
def test_gradients(assert_gradients, batch, length, width, hidden, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, length, width))
    w1, b1 = rng.normal(size=(width, hidden)), rng.normal(size=hidden)
    assume(np.abs(x @ w1 + b1).min() > 1e-3)  # away from relu's kink
    w2, b2 = rng.normal(size=(hidden, width)), rng.normal(size=width)
    inputs = {"x": x, "w1": w1, "b1": b1, "w2": w2, "b2": b2}
    assert_gradients(feed_forward, feed_forward_backward, inputs)
    inputs = {"x": x, "w12": rng.normal(size=(width, 2 * hidden)), "w3": w2}
    assert_gradients(swiglu, swiglu_backward, inputs)


def test_swiglu_equals_torch(rng):
    x, w12, w3 = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 10)), rng.normal(size=(5, 4))
    dy = rng.normal(size=(2, 3, 4))
    y, cache = swiglu(x, w12, w3)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, w12, w3)]
    gate, value = (leaves[0] @ leaves[1]).chunk(2, dim=-1)
    expected = (torch.nn.functional.silu(gate) * value) @ leaves[2]
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    for ours, leaf in zip(swiglu_backward(dy, cache), leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_positions_do_not_see_each_other(rng):
    x = rng.normal(size=(1, 3, 4))
    w1, b1, w2, b2 = (rng.normal(size=s) for s in ((4, 6), 6, (6, 4), 4))
    whole, _ = feed_forward(x, w1, b1, w2, b2)
    alone, _ = feed_forward(x[:, 1:2], w1, b1, w2, b2)
    np.testing.assert_allclose(whole[:, 1:2], alone, rtol=1e-12)
