"""Cross-entropy: finite differences, torch, extreme logits, and bad targets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.loss import cross_entropy, cross_entropy_backward

fast = settings(max_examples=40, deadline=None)


@fast
@given(rows=st.integers(1, 5), classes=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_gradient(rows, classes, seed):
    rng = np.random.default_rng(seed)
    logits, targets = 2 * rng.normal(size=(rows, classes)), rng.integers(classes, size=rows)
    received = cross_entropy_backward(cross_entropy(logits, targets)[1])
    expected = numerical_gradient(lambda: cross_entropy(logits, targets)[0], logits)
    assert compare("logits", received, expected).relative < 1e-7
    np.testing.assert_allclose(received.sum(axis=-1), 0, atol=1e-12)  # a shift changes nothing


def test_equal_to_torch(rng):
    logits, targets = 5 * rng.normal(size=(6, 4)), rng.integers(4, size=6)
    loss, cache = cross_entropy(logits, targets)
    leaf = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(leaf, torch.tensor(targets))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(cross_entropy_backward(cache), leaf.grad.numpy(), atol=1e-14)


def test_ignorance_costs_log_of_the_classes():
    assert cross_entropy(np.zeros((3, 10)), np.array([0, 4, 9]))[0] == pytest.approx(np.log(10))


def test_extreme_logits_stay_finite():
    logits, targets = np.array([[1e4, 0.0], [-1e4, 1e4]]), np.array([1, 1])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, cache = cross_entropy(logits, targets)
        assert loss == pytest.approx(5e3)
        np.testing.assert_allclose(cross_entropy_backward(cache), [[0.5, -0.5], [0, 0]])


def test_the_logits_are_not_touched(rng):
    logits, targets = rng.normal(size=(3, 4)), np.array([0, 1, 2])
    before = logits.copy()
    cross_entropy_backward(cross_entropy(logits, targets)[1])
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "empty batch"),
        (np.zeros((2, 3)), np.array([0, 3]), r"\[0, 3\): got 0 to 3"),
        (np.zeros((2, 3)), np.array([-1, 0]), "got -1 to 0"),
        (np.zeros((2, 3)), np.array([0]), r"\(2, 3\) and \(1,\)"),  # would broadcast in silence
        (np.zeros((2, 3)), np.array([[0], [1]]), r"\(2, 3\) and \(2, 1\)"),
    ],
)
def test_bad_targets_are_named(logits, targets, message):
    with pytest.raises(ValueError, match=message):
        cross_entropy(logits, targets)
