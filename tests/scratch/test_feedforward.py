"""The two feed-forward networks against torch, each position by itself."""

import numpy as np
import torch

from groundup.scratch.feedforward import (
    feed_forward,
    feed_forward_backward,
    swiglu,
    swiglu_backward,
)


def test_feed_forward_equals_torch(rng):
    x, dy = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    weights = [rng.normal(size=shape) for shape in ((4, 6), 6, (6, 4), 4)]
    y, cache = feed_forward(x, *weights)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, *weights)]
    linear, relu = torch.nn.functional.linear, torch.nn.functional.relu
    hidden = relu(linear(leaves[0], leaves[1].T, leaves[2]))
    expected = linear(hidden, leaves[3].T, leaves[4])
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    for ours, leaf in zip(feed_forward_backward(dy, cache), leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


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
