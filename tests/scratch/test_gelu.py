"""GELU: torch's tanh form, and finite differences."""

import numpy as np
import torch

from groundup.scratch.activations import gelu, gelu_backward


def test_equal_to_torch():
    x = np.linspace(-12, 12, 97)
    y, cache = gelu(x)
    leaf = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.gelu(leaf, approximate="tanh")
    expected.sum().backward()
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12, atol=1e-15)
    slope = gelu_backward(np.ones_like(x), cache)
    np.testing.assert_allclose(slope, leaf.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_large_numbers_and_float32():
    x = np.array([-1e6, 0, 1e6], np.float32)
    y, cache = gelu(x)
    dx = gelu_backward(np.ones_like(x), cache)
    assert y.dtype == dx.dtype == np.float32
    np.testing.assert_array_equal(y, [0, 0, 1e6])
    np.testing.assert_array_equal(dx, [0, 0.5, 1])
