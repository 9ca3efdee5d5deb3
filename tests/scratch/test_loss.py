"""Cross-entropy: finite differences, torch, extreme logits, and bad targets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.loss import (
    cross_entropy,
    cross_entropy_backward,
    smoothed_cross_entropy,
    smoothed_cross_entropy_backward,
)

fast = settings(max_examples=40, deadline=None)


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
        (np.zeros((2, 2)), np.array([True, True]), "integers .* of bool"),  # NumPy takes a mask
        (np.zeros((2, 3)), np.array([0.0, 1.0]), "integers .* of float64"),
        (np.zeros((2, 3)), np.array([0]), r"\(2, 3\) and \(1,\)"),  # would broadcast in silence
        (np.zeros((2, 3)), np.array([[0], [1]]), r"\(2, 3\) and \(2, 1\)"),
    ],
)
def test_bad_targets_are_named(logits, targets, message):
    with pytest.raises(ValueError, match=message):
        cross_entropy(logits, targets)


@fast
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=2).map(tuple),
    classes=st.integers(1, 6),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
    seed=st.integers(0, 2**32 - 1),
)
def test_smoothed_and_ignoring_equals_torch_and_differences(shape, classes, smoothing, seed):
    rng = np.random.default_rng(seed)
    logits, targets = 3 * rng.normal(size=(*shape, classes)), rng.integers(classes, size=shape)
    targets[rng.random(shape) < 0.4] = -100
    targets.flat[0] = 0
    loss, cache = smoothed_cross_entropy(logits, targets, smoothing, ignore=-100)
    received = smoothed_cross_entropy_backward(cache)
    leaf = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        leaf.reshape(-1, classes), torch.tensor(targets).reshape(-1), label_smoothing=smoothing
    )
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(received, leaf.grad.numpy(), atol=1e-14)
    numerical = numerical_gradient(
        lambda: smoothed_cross_entropy(logits, targets, smoothing, -100)[0], logits
    )
    assert compare("logits", received, numerical).relative < 1e-7


def test_without_smoothing_it_is_cross_entropy(rng):
    logits, targets = rng.normal(size=(5, 4)).astype(np.float32), rng.integers(4, size=5)
    loss, cache = smoothed_cross_entropy(logits, targets)
    expected, expected_cache = cross_entropy(logits, targets)
    assert loss == pytest.approx(expected, rel=1e-6)
    received = smoothed_cross_entropy_backward(cache)
    np.testing.assert_allclose(received, cross_entropy_backward(expected_cache), atol=1e-7)
    assert received.dtype == np.float32


@pytest.mark.parametrize(
    ("targets", "smoothing", "message"),
    [
        (np.array([-100, -100]), 0.0, "at least one row"),
        (np.array([0, 3]), 0.0, r"\[0, 3\): got 0 to 3"),
        (np.array([0, -1]), 0.0, "got -1 to 0"),
        (np.array([True, False]), 0.0, "integers .* of bool"),
        (np.array([0]), 0.0, r"need targets \(2,\): got \(1,\)"),
        (np.array([0, 1]), 1.0, r"smoothing must lie in \[0, 1\): got 1.0"),
    ],
)
def test_bad_tokens_are_named(targets, smoothing, message):
    with pytest.raises(ValueError, match=message):
        smoothed_cross_entropy(np.zeros((2, 3)), targets, smoothing, ignore=-100)
