"""The checker: right on closed forms, and it must reject what is wrong."""

import numpy as np
import pytest

from groundup.scratch.activations import softmax, softmax_backward
from groundup.scratch.attention import attention, attention_backward
from groundup.scratch.gradcheck import (
    TOLERANCE,
    check_gradients,
    compare,
    compare_directions,
    numerical_gradient,
    report,
)
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
    assert error.relative == np.inf  # NaN would pass through max() unseen
    assert error.index == (1,)
    for received, expected in ((np.inf, 1.0), (1.0, np.inf), (np.inf, np.inf), (1.0, np.nan)):
        assert compare("x", np.array([received]), np.array([expected])).relative == np.inf


def test_wrong_forms_are_named(rng):
    inputs = {"x": rng.normal(size=(3, 4)), "weight": rng.normal(size=(4, 2))}
    with pytest.raises(ValueError, match="2 inputs need as many gradients: got 3"):
        check_gradients(linear, linear_backward, inputs, rng)
    with pytest.raises(ValueError, match=r"dweight must have shape \(4, 2\): got \(2, 4\)"):
        check_gradients(linear, lambda dy, c: (dy @ c[1].T, dy.T @ c[0]), inputs, rng)


def _cubes(x):
    """A function of each entry, whose derivative, 3x², is near three."""
    return x**3, x


def _cubes_backward(dy, x):
    return dy * 3 * x**2


@pytest.fixture
def many(rng):
    return {"x": rng.choice([-1.0, 1.0], (40, 50)) + 0.1 * rng.normal(size=(40, 50))}


def test_many_entries_cost_as_much_as_few(many, rng):
    calls = 0

    def counted(x):
        nonlocal calls
        calls += 1
        return _cubes(x)

    before = many["x"].copy()
    [error] = check_gradients(counted, _cubes_backward, many, rng)
    assert error.relative < 1e-8
    assert error.slopes is not None
    assert calls == 1 + 2 * 16 + 4 * 11 + 2  # once, in 16 directions, 11 halvings, at the entry
    np.testing.assert_array_equal(many["x"], before)


def test_directions_and_entries_agree_on_the_error(many, rng):
    """A rule wrong by a factor of two: both say a half, one of them by an estimate."""
    wrong = {"forward": _cubes, "backward": lambda dy, x: dy * 6 * x**2, "inputs": many}
    [estimated] = check_gradients(**wrong, rng=rng)
    [exact] = check_gradients(**wrong, rng=rng, entries=many["x"].size)
    assert exact.slopes is None
    assert exact.relative == pytest.approx(0.5, rel=1e-6)
    assert estimated.relative == pytest.approx(0.5, rel=0.2)
    assert estimated.received == pytest.approx(2 * estimated.expected, rel=1e-6)
    received, expected = estimated.slopes
    assert received == pytest.approx(2 * expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_one_wrong_entry_of_2000_is_found_and_named(many, seed):
    rng = np.random.default_rng(seed)
    index = tuple(int(rng.integers(n)) for n in (40, 50))

    def backward(dy, x):
        dx = _cubes_backward(dy, x)
        dx[index] += 1e-3
        return dx

    [error] = check_gradients(_cubes, backward, many, rng)
    # The norm of the gradient is near 3 times the root of 2000.
    assert error.relative == pytest.approx(1e-3 / (3 * 2000**0.5), rel=0.3)
    assert error.relative > 10 * TOLERANCE
    assert error.index == index
    assert error.received - error.expected == pytest.approx(1e-3, rel=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_two_errors_that_cancel_in_half_of_all_directions_are_found(many, seed):
    rng = np.random.default_rng(seed)
    wrong = rng.choice(2000, 2, replace=False)

    def backward(dy, x):
        dx = _cubes_backward(dy, x)
        dx.flat[wrong] += (1e-3, -1e-3)
        return dx

    [error] = check_gradients(_cubes, backward, many, rng)
    assert error.relative > 10 * TOLERANCE
    assert np.ravel_multi_index(error.index, (40, 50)) in wrong


def test_a_missing_row_among_many_is_named(rng):
    """A repeated token whose gradients were assigned instead of added."""
    ids, table = np.array([[3, 7, 7, 19]]), rng.normal(size=(30, 20))

    def backward(dx, cache):
        wrong = np.zeros((30, 20))
        wrong[ids] = dx
        return wrong

    [error] = check_gradients(lambda table: embedding(ids, table), backward, {"table": table}, rng)
    assert error.relative > 0.1
    assert error.index[0] == 7


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_among_many_is_named(many, rng, bad):
    def backward(dy, x):
        dx = _cubes_backward(dy, x)
        dx[11, 13] = bad
        return dx

    with np.errstate(invalid="ignore"):
        [error] = check_gradients(_cubes, backward, many, rng)
    assert error.relative == np.inf
    assert error.index == (11, 13)


def test_a_forward_that_breaks_off_to_nan_is_not_right(many, rng):
    with np.errstate(invalid="ignore"):
        [error] = check_gradients(lambda x: (x * np.nan, x), _cubes_backward, many, rng)
    assert error.relative == np.inf


def test_a_gradient_of_zero_among_many_is_no_false_alarm(many, rng):
    [error] = check_gradients(lambda x: (x[0, :3], x), lambda dy, x: _first(dy, x), many, rng)
    assert error.relative < TOLERANCE
    other = {**many, "unused": rng.normal(size=600)}

    def backward(dy, x):
        return _first(dy, x), np.zeros(600)

    errors = check_gradients(lambda x, unused: (x[0, :3], x), backward, other, rng)
    assert max(error.relative for error in errors) < TOLERANCE


def _first(dy, x):
    dx = np.zeros_like(x)
    dx[0, :3] = dy
    return dx


def test_a_report_has_a_line_for_each_input_and_names_the_worst(rng):
    inputs = {"x": rng.normal(size=(3, 4)), "weight": rng.normal(size=(4, 2))}

    def backward(dy, cache):
        dx, dweight, _ = linear_backward(dy, cache)
        dweight[2, 1] += 1
        return dx, dweight

    errors = check_gradients(linear, backward, inputs, rng)
    first, second, worst = report(errors).splitlines()
    assert first.split()[0] == "dx"
    assert first.endswith("right")
    assert second.startswith("dweight")
    assert second.endswith("wrong")
    assert worst == str(errors[1])
    assert "dweight: relative error" in worst
    assert "worst at [2, 1]" in worst
    assert report(errors, tolerance=10).count("right") == 2


def test_a_report_of_many_entries_names_entry_and_direction(many, rng):
    [error] = check_gradients(_cubes, lambda dy, x: -_cubes_backward(dy, x), many, rng)
    text = report([error])
    assert f"worst at {list(error.index)}" in text
    assert f"worst direction: received {error.slopes[0]:.6g}" in text


def _zeroes_dy(dy, cache):
    dy[...] = 0
    return dy.copy()


def test_a_backward_that_wipes_what_it_is_compared_by_is_rejected(rng):
    """It returns zero, and zero times anything has the gradient zero."""
    [error] = check_gradients(_cubes, _zeroes_dy, {"x": rng.normal(size=4)}, rng)
    assert error.relative > 0.5


def _squares_in_place(x):
    x *= x
    return x, x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda rng: check_gradients(lambda: (np.ones(2), ()), lambda dy, c: (), {}, rng),
            "nothing to check",
        ),
        (lambda rng: _check(np.zeros((0, 3)), rng), r"nothing to check: inputs {'x': \(0, 3\)}"),
        (lambda rng: _check(np.ones(3), rng, lambda x: (x[:0], x)), r"output \(0,\)"),
        (lambda rng: _check(np.ones(3), rng, h=0.0), "h=0.0 does not move every entry of x"),
        (lambda rng: _check(np.ones(3), rng, h=1e-20), "h=1e-20 does not move every entry of x"),
        (lambda rng: _check(np.ones(3), rng, h=np.nan), "h=nan does not move every entry of x"),
        (lambda rng: _check(np.array([1e12]), rng), "does not move every entry of x"),
        (lambda rng: _check(np.array([np.nan]), rng), "does not move every entry of x"),
        (lambda rng: _check(np.ones(600, np.float32), rng), "float64: got x in float32"),
        (lambda rng: _check(np.full(3, 2.0), rng, _squares_in_place), "changes x in place"),
        (lambda rng: compare("x", np.ones(3), np.ones((3, 1))), r"got \(3,\) and \(3, 1\)"),
        (lambda rng: compare("x", np.ones(0), np.ones(0)), r"got \(0,\) and \(0,\)"),
        (lambda rng: _directions(np.ones(3), rng, 0), "at least one direction: got 0"),
        (lambda rng: _directions(np.ones(2), rng, 4), r"shape \(2,\)\) of an x"),
        (lambda rng: report([]), "no gradient was checked"),
    ],
)
def test_a_check_that_would_not_look_is_refused(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(rng)


def _check(x, rng, forward=_cubes, **options):
    # These would pass if nothing were compared: the gradient of each is given as zero.
    return check_gradients(forward, lambda dy, x: np.zeros_like(x), {"x": x}, rng, **options)


def _directions(received, rng, count):
    x = np.ones(3)
    return compare_directions("x", received, lambda: float(x.sum()), x, rng, count)
