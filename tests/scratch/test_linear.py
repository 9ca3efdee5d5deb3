"""The affine map and the embedding: torch, and their errors."""

import numpy as np
import pytest
import torch

from groundup.scratch.linear import embedding, embedding_backward, linear, linear_backward


def test_linear_equals_torch(rng):
    x, w, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)
    dy = rng.normal(size=(2, 3, 5))
    y, cache = linear(x, w, b)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    expected = torch.nn.functional.linear(leaves[0], leaves[1].T, leaves[2])
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12)
    for ours, leaf in zip(linear_backward(dy, cache), leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(linear(x, w)[0], linear(x, w, np.zeros(5))[0])


def test_embedding_equals_torch(rng):
    ids = np.array([[0, 2, 2], [2, 1, 0]])
    table, dx = rng.normal(size=(4, 3)), rng.normal(size=(2, 3, 3))
    x, cache = embedding(ids, table)
    leaf = torch.tensor(table, requires_grad=True)
    expected = torch.nn.functional.embedding(torch.tensor(ids), leaf)
    expected.backward(torch.tensor(dx))
    np.testing.assert_array_equal(x, expected.detach().numpy())
    np.testing.assert_allclose(embedding_backward(dx, cache), leaf.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("bad", [-1, 4])
def test_an_id_outside_the_table_is_named(bad):
    with pytest.raises(ValueError, match=rf"\[0, 4\).*{bad}"):
        embedding(np.array([[0, bad]]), np.ones((4, 2)))
