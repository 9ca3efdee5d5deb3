"""The checks of exercise 2.3, layer norm and its gradients."""

import math
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

Array = NDArray[Any]

# The example of the chapter: mean 3, variance 36/4 = 9, deviation 3.
X = np.array([[8.0, 2.0, 2.0, 0.0]])
NORMAL = np.array([[5.0, -1.0, -1.0, -3.0]]) / 3
ONES, ZEROS = np.ones(4), np.zeros(4)
DY = np.array([[9.0, 0.0, 0.0, 3.0]])
GRADIENTS = ("dx", "dgamma", "dbeta")


def gradients(
    own: Any, x: Array, gamma: Array, dy: Array, eps: float = 0.0
) -> tuple[Array, Array, Array]:
    """dx, dgamma and dbeta, by both passes of the learner."""
    y_and_cache = own.layer_norm(x.copy(), gamma.copy(), np.zeros_like(gamma), eps)
    expect.parts(y_and_cache, ("y", "cache"))
    result = own.layer_norm_backward(dy.copy(), y_and_cache[1])
    expect.parts(result, GRADIENTS)
    dx, dgamma, dbeta = result
    return dx, dgamma, dbeta


def normalised(row: Array, eps: float) -> Array:
    """A row less its mean, over the root of its variance, by exact sums."""
    mean = math.fsum(row) / len(row)
    variance = math.fsum((each - mean) ** 2 for each in row) / len(row)
    return np.array([(each - mean) / math.sqrt(variance + eps) for each in row])


@check(Layer.SHAPES)
def test_output_shape(own: Any) -> None:
    """y has the shape and the dtype of x"""
    rng = np.random.default_rng(0)
    for shape, dtype in product(((4,), (2, 4), (2, 3, 4)), (np.float32, np.float64)):
        x = rng.normal(size=shape).astype(dtype)
        result = own.layer_norm(x, ONES.astype(dtype), ZEROS.astype(dtype))
        expect.parts(result, ("y", "cache"))
        expect.array(result[0], like=x, shape=shape, what="y")


@check(Layer.SHAPES)
def test_gradient_shapes(own: Any) -> None:
    """each gradient has the shape of what it belongs to"""
    rng = np.random.default_rng(1)
    for shape, dtype in product(((4,), (2, 4), (2, 3, 4)), (np.float32, np.float64)):
        x, dy = (rng.normal(size=shape).astype(dtype) for _ in range(2))
        parts = gradients(own, x, ONES.astype(dtype), dy, eps=1e-5)
        wanted = {"dx": shape, "dgamma": (4,), "dbeta": (4,)}
        for (name, form), value in zip(wanted.items(), parts, strict=True):
            expect.array(
                value,
                like=x,
                shape=form,
                what=name,
                probably="gamma and beta were used by every vector, along all axes but the last: "
                "sum over all of these.",
            )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, gamma, beta and dy are left as they were"""
    x, gamma, beta, dy = X.copy(), np.array([3.0, 2.0, 1.0, 1.0]), ONES.copy(), DY.copy()
    with expect.unchanged(x=x, gamma=gamma, beta=beta, dy=dy):
        _, cache = own.layer_norm(x, gamma, beta)
        own.layer_norm_backward(dy, cache)


@check(Layer.EXAMPLE)
def test_normal_by_hand(own: Any) -> None:
    """one vector, mean 3 and deviation 3"""
    expect.close(
        own.layer_norm(X.copy(), ONES, ZEROS, eps=0.0)[0],
        NORMAL,
        what="y",
        given={"x": X, "gamma": ONES, "beta": ZEROS, "eps": 0.0},
        probably="Less the mean it is (5, -1, -1, -3); the mean square of that is 36/4 = 9, and "
        "its root 3. If you have 1.179 at [0, 0], the squares are of x and not of x less its mean. "
        "If you have 1.443 at [0, 0], the sum is divided by 3 and not by 4. If you have 0.5556 at "
        "[0, 0], the root is missing. If you have 2.667 at [0, 0], the mean is not subtracted. If "
        "you have nan at [0, 0], the variance is 0, as that of a single number down the rows.",
    )


@check(Layer.EXAMPLE)
def test_two_vectors(own: Any) -> None:
    """each vector has its own mean and deviation"""
    x = np.array([[8.0, 2.0, 2.0, 0.0], [10.0, 10.0, 6.0, 6.0]])
    expect.close(
        own.layer_norm(x.copy(), ONES, ZEROS, eps=0.0)[0],
        np.concatenate([NORMAL, [[1.0, 1.0, -1.0, -1.0]]]),
        what="y",
        given={"x": x, "gamma": ONES, "beta": ZEROS, "eps": 0.0},
        probably="The second vector has mean 8 and deviation 2. If you have -1 at [0, 0], each "
        "column is normalised, over the vectors. If you have 0.7001 at [0, 0], one mean and one "
        "deviation serve the whole array.",
    )


@check(Layer.EXAMPLE)
def test_gamma_and_beta(own: Any) -> None:
    """gamma scales first, then beta shifts"""
    gamma, beta = np.array([6.0, 2.0, 1.0, 1.0]), np.array([1.0, 0.0, 1.0, 2.0])
    expect.close(
        own.layer_norm(X.copy(), gamma, beta, eps=0.0)[0],
        np.array([[11.0, -2 / 3, 2 / 3, 1.0]]),
        what="y",
        given={"x": X, "gamma": gamma, "beta": beta, "eps": 0.0},
        probably="The first entry is 6·5/3 + 1 = 11. If you have 16 at [0, 0], the shift comes "
        "before the scale. If you have 2.667 at [0, 0], the scale is missing.",
    )


@check(Layer.EXAMPLE)
def test_eps(own: Any) -> None:
    """eps is added to the variance, under the root; 1e-5 by default"""
    expect.close(
        own.layer_norm(X.copy(), ONES, ZEROS, eps=16.0)[0],
        np.array([[5.0, -1.0, -1.0, -3.0]]) / 5,
        what="y with a large eps",
        given={"x": X, "gamma": ONES, "beta": ZEROS, "eps": 16.0},
        probably="√(9 + 16) = 5. If you have 0.2632 at [0, 0], eps is added to the root: 3 + 16. "
        "If you have 1.667 at [0, 0], eps is not used. If you have 1.25 at [0, 0], eps is the "
        "least that the variance may be, and is not added.",
    )
    small = np.array([[2e-3, -2e-3]])  # its variance is 4e-6
    expect.close(
        own.layer_norm(small.copy(), np.ones(2), np.zeros(2))[0],
        small / math.sqrt(14e-6),
        what="y, where eps is not given,",
        given={"x": small, "gamma": np.ones(2), "beta": np.zeros(2)},
        probably="eps is 1e-5 if the caller gives none: √(4e-6 + 1e-5).",
    )


@check(Layer.EXAMPLE, points=2)
def test_dx_by_hand(own: Any) -> None:
    """dx of one vector, worked by hand"""
    expect.close(
        gradients(own, X, ONES, DY)[0],
        np.array([[1.0, -2.0, -2.0, 3.0]]) / 3,
        what="dx",
        given={"x": X, "gamma": ONES, "dy": DY, "eps": 0.0},
        probably="The mean of dy is 3, and the mean of dy times the normalised vector "
        "(5, -1, -1, -3)/3 is 3 too. The first entry is (9 - 3 - 3·5/3) / 3 = 1/3. If you have 3 "
        "at [0, 0], mean and deviation are held fixed. If you have 1.333 at [0, 0], the term of "
        "the mean is missing. If you have 2 at [0, 0], the term of the deviation is missing. If "
        "you have 1 at [0, 0], the division by the deviation is missing. If you have -7.667 at "
        "[0, 0], sums are used in place of means.",
    )


@check(Layer.EXAMPLE)
def test_dx_with_gamma(own: Any) -> None:
    """gamma multiplies dy before the means are taken"""
    gamma, dy = np.array([3.0, 2.0, 1.0, 1.0]), np.array([[3.0, 0.0, 0.0, 3.0]])
    expect.close(
        gradients(own, X, gamma, dy)[0],
        np.array([[1.0, -2.0, -2.0, 3.0]]) / 3,
        what="dx",
        given={"x": X, "gamma": gamma, "dy": dy, "eps": 0.0},
        probably="dy·gamma is (9, 0, 0, 3), what the normalised vector sees; from there on it is "
        "the example before. If you have 0.2222 at [0, 0], gamma is not used. If you have 0.6667 "
        "at [0, 0], gamma multiplies the result.",
    )


@check(Layer.EXAMPLE)
def test_parameters_by_hand(own: Any) -> None:
    """dgamma and dbeta: sums over the vectors"""
    x, dy = np.concatenate([X, -X]), np.concatenate([DY, np.full((1, 4), 3.0)])
    gamma = np.array([3.0, 2.0, 1.0, 1.0])
    given = {"x": x, "gamma": gamma, "dy": dy, "eps": 0.0}
    _, dgamma, dbeta = gradients(own, x, gamma, dy)
    expect.close(
        dgamma,
        np.array([10.0, 1.0, 1.0, 0.0]),
        what="dgamma",
        given=given,
        probably="The normalised vectors are ±(5, -1, -1, -3)/3. The first entry is "
        "9·5/3 - 3·5/3 = 10. If you have 30 at [0], gamma is in it: it is the gradient of gamma, "
        "and multiplies nothing here. The sum of dy alone, 12 here, is dbeta. If you "
        "have 5 at [0], dgamma is the mean over the vectors.",
    )
    expect.close(
        dbeta,
        np.array([12.0, 3.0, 3.0, 6.0]),
        what="dbeta",
        given=given,
        probably="beta was added to both vectors, so its gradient is the sum of dy over both. "
        "gamma and the normalised vector have no part in it. If you have 6 at [0], dbeta is the "
        "mean.",
    )


@check(Layer.RANDOM)
def test_random_forward(own: Any) -> None:
    """random vectors, one at a time"""
    rng = np.random.default_rng(31)
    for shape in ((1, 2), (3,), (2, 3), (2, 3, 4)):
        x, gamma, beta = (rng.normal(size=s).round(1) for s in (shape, shape[-1:], shape[-1:]))
        y = np.empty(shape)
        for row in np.ndindex(shape[:-1]):
            y[row] = gamma * normalised(x[row], 0.1) + beta
        expect.close(
            own.layer_norm(x.copy(), gamma, beta, eps=0.1)[0],
            y,
            what="y",
            given={"x": x, "gamma": gamma, "beta": beta, "eps": 0.1},
            probably="Each vector along the last axis is normalised by itself, whatever axes are "
            "in front of it: its mean and its variance are over its own D entries.",
        )


@check(Layer.RANDOM)
def test_random_parameters(own: Any) -> None:
    """random vectors: dgamma and dbeta, summed one at a time"""
    rng = np.random.default_rng(32)
    for shape in ((1, 2), (3,), (2, 3), (2, 3, 4)):
        x, dy = (rng.normal(size=shape).round(1) for _ in range(2))
        gamma = rng.normal(size=shape[-1]).round(1)
        gamma[-1] = 0.0
        dgamma, dbeta = np.zeros(shape[-1]), np.zeros(shape[-1])
        for row in np.ndindex(shape[:-1]):
            dgamma += dy[row] * normalised(x[row], 0.1)
            dbeta += dy[row]
        parts = gradients(own, x, gamma, dy, eps=0.1)[1:]
        for name, one, other in zip(("dgamma", "dbeta"), parts, (dgamma, dbeta), strict=True):
            expect.close(
                one,
                other,
                what=name,
                given={"x": x, "gamma": gamma, "dy": dy, "eps": 0.1},
                probably="dgamma is the sum of dy times the normalised vector, and dbeta the sum "
                "of dy, over all axes but the last. Here eps is 0.1, and gamma holds a 0.",
            )


@check(Layer.RANDOM)
def test_two_forward_passes(own: Any) -> None:
    """a cache stays good while other forward passes run"""
    rng = np.random.default_rng(34)
    x, other, dy = (rng.normal(size=(2, 3)).round(1) for _ in range(3))
    gamma, beta = np.array([1.0, 2.0, -1.0]), np.zeros(3)
    _, cache = own.layer_norm(x.copy(), gamma.copy(), beta.copy())
    expect.repeatable_backward(
        lambda: own.layer_norm_backward(dy.copy(), cache),
        lambda: own.layer_norm(other.copy(), beta.copy(), gamma.copy()),
        GRADIENTS,
        given={"x": x, "gamma": gamma, "dy": dy},
    )


@check(Layer.GRADIENTS, points=3)
def test_gradients(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    rng = np.random.default_rng(33)
    for shape in ((1, 3), (2, 3), (2, 2, 4)):
        x, dy = (rng.normal(size=shape).round(1) for _ in range(2))
        gamma, beta = (rng.normal(size=shape[-1]).round(1) for _ in range(2))
        inputs = {"x": x, "gamma": gamma, "beta": beta}
        _, cache = own.layer_norm(x.copy(), gamma.copy(), beta.copy(), 0.1)
        received = own.layer_norm_backward(dy.copy(), cache)
        expect.parts(received, GRADIENTS)
        for (name, at), value in zip(inputs.items(), received, strict=True):

            def output(
                a: Array, name: str = name, inputs: dict[str, Array] = inputs, dy: Array = dy
            ) -> float:
                y, _ = own.layer_norm(**(inputs | {name: a}), eps=0.1)
                return float((y * dy).sum())

            expect.gradient(
                value,
                of=output,
                at=at,
                what=f"d{name}",
                given={**inputs, "dy": dy, "eps": 0.1},
                probably="An entry of x acts on y in three ways: directly, through the mean, and "
                "through the deviation. All three belong to dx. The deviation is the root of "
                "variance plus eps, in both passes.",
            )


@check(Layer.STABILITY)
def test_constant_vector(own: Any) -> None:
    """a constant vector gives beta, and finite gradients"""
    x, beta = np.full((1, 4), 2.0), np.array([1.0, 2.0, 3.0, 4.0])
    y, cache = own.layer_norm(x.copy(), ONES, beta)
    given = {"x": x, "gamma": ONES, "beta": beta}
    expect.close(
        y,
        beta[None],
        what="y",
        given=given,
        probably="The variance is 0, and 0/0 is not a number. eps keeps the denominator above 0.",
    )
    dx = own.layer_norm_backward(np.zeros((1, 4)), cache)[0]
    expect.close(dx, np.zeros((1, 4)), what="dx for a dy of zero", given=given)
    dx = own.layer_norm_backward(DY.copy(), cache)[0]
    expect.close(
        dx,
        (DY - 3) / math.sqrt(1e-5),
        what="dx",
        given={**given, "dy": DY},
        probably="The normalised vector is 0 and the deviation √eps, so dx is dy less its mean, 3, "
        "divided by √eps.",
    )


@check(Layer.STABILITY)
def test_far_from_zero(own: Any) -> None:
    """in float32, a mean of 10,000 costs no digits"""
    x = (X + 10_000).astype(np.float32)
    y, _ = own.layer_norm(x.copy(), ONES.astype(np.float32), ZEROS.astype(np.float32))
    expect.close(
        y,
        NORMAL,
        like=x,
        what="y",
        given={"x": x, "gamma": ONES, "beta": ZEROS},
        probably="A shift of all entries changes nothing in y. The variance as E[x²] - E[x]² takes "
        "two numbers near 100,000,000 from each other, and float32 holds seven digits. Square the "
        "vector after its mean is subtracted.",
    )
