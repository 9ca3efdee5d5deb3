"""The checker: right on closed forms, and it must reject what is wrong."""

import numpy as np
import pytest

from groundup.scratch.activations import softmax, softmax_backward
from groundup.scratch.attention import attention, attention_backward
from groundup.scratch.gradcheck import check_gradients, compare, numerical_gradient
from groundup.scratch.linear import embedding, linear, linear_backward
from groundup.scratch.normalization import layer_norm


def test_numerical_gradient_of_a_polynomial(rng):
    x = rng.normal(size=(2, 3))
    before = x.copy()
    gradient = numerical_gradient(lambda: float((x**3).sum()), x)
    np.testing.assert_allclose(gradient, 3 * before**2, rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(x, before)


def test_float32_is_refused():
    with pytest.raises(ValueError, match="float64: got float32"):
        numerical_gradient(lambda: 0.0, np.zeros(3, np.float32))


def worst(forward, backward, inputs, rng):
    return max(e.relative for e in check_gradients(forward, backward, inputs, rng))


def test_a_right_backward_passes(rng):
    inputs = {"x": rng.normal(size=(3, 4)), "weight": rng.normal(size=(4, 2))}
    assert worst(linear, lambda dy, c: linear_backward(dy, c)[:2], inputs, rng) < 1e-7


def _layer_norm_as_if_constant(dy, cache):
    """Mean and deviation held fixed: what one gets by forgetting that they depend on x."""
    normal, std, gamma = cache
    return dy * gamma / std, (dy * normal).sum(0), dy.sum(0)


def _assigned_not_added(dx, cache):
    ids, shape = cache
    table = np.zeros(shape)
    table[ids] = dx
    return table


def _without_the_jacobian(dp, p):
    return dp * p * (1 - p)


@pytest.mark.parametrize(
    ("forward", "backward", "shapes"),
    [
        (layer_norm, _layer_norm_as_if_constant, {"x": (3, 4), "gamma": (4,), "beta": (4,)}),
        (lambda x: (softmax(x),) * 2, _without_the_jacobian, {"x": (2, 4)}),
        (
            lambda table: embedding(np.array([[0, 1, 1]]), table),
            _assigned_not_added,
            {"table": (3, 2)},
        ),
        (linear, lambda dy, c: (dy @ c[1], c[0].T @ dy), {"x": (3, 4), "weight": (4, 4)}),
        (lambda x: (softmax(x),) * 2, lambda dp, p: -softmax_backward(dp, p), {"x": (2, 4)}),
        (linear, lambda dy, c: (dy @ c[1].T, c[0].T @ dy / 3), {"x": (3, 4), "weight": (4, 4)}),
    ],
    ids=["statistics held fixed", "softmax diagonal", "assignment", "no transpose", "sign", "mean"],
)
def test_a_wrong_backward_is_rejected(forward, backward, shapes, rng):
    inputs = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    assert worst(forward, backward, inputs, rng) > 1e-2


def test_a_self_consistent_pair_with_a_wrong_backward_is_rejected(rng):
    """Forward and backward share a mistaken cache: they agree with each other, not with calculus.

    The forward doubles x and the backward uses the cached x, undoubled, all along its way.
    """

    def forward(x):
        return (2 * x) ** 2, x

    def backward(dy, x):
        return dy * 2 * x

    [error] = check_gradients(forward, backward, {"x": rng.normal(size=4)}, rng)
    assert error.relative > 0.5
    assert error.expected == pytest.approx(4 * error.received, rel=1e-6)
    assert str(error.index[0]) in str(error)
    assert f"{error.received:.6g}" in str(error)


def test_a_gradient_that_is_zero_is_no_false_alarm(rng):
    """With one key the scores change nothing: dq and dk are zero, their differences noise."""
    inputs = {name: rng.normal(size=(3, 1, 4)) for name in "qkv"}
    assert worst(attention, attention_backward, inputs, rng) < 1e-7


def test_a_small_error_in_a_small_gradient_is_seen():
    exact = np.full(4, 1e-6)
    assert compare("x", exact * 1.01, exact).relative > 1e-7


def test_nan_is_not_taken_for_right():
    error = compare("x", np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    assert not error.relative < 1e-7
    assert error.index == (1,)


def test_wrong_forms_are_named(rng):
    inputs = {"x": rng.normal(size=(3, 4)), "weight": rng.normal(size=(4, 2))}
    with pytest.raises(ValueError, match="2 inputs need as many gradients: got 3"):
        check_gradients(linear, linear_backward, inputs, rng)
    with pytest.raises(ValueError, match=r"dweight must have shape \(4, 2\): got \(2, 4\)"):
        check_gradients(linear, lambda dy, c: (dy @ c[1].T, dy.T @ c[0]), inputs, rng)
