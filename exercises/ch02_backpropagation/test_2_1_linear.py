"""The checks of exercise 2.1, the linear layer and its gradients."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

Array = NDArray[Any]

# The example of the chapter: two inputs, two outputs, one row.
X = np.array([[1.0, 2.0]])
WEIGHT = np.array([[3.0, -1.0], [1.0, 2.0]])
BIAS = np.array([0.0, -1.0])
DY = np.array([[1.0, -2.0]])
GIVEN = {"x": X, "weight": WEIGHT, "dy": DY}
GRADIENTS = ("dx", "dweight", "dbias")
# A second row below it.
ROWS, DROWS = np.array([[1.0, 2.0], [2.0, 0.0]]), np.array([[1.0, -2.0], [3.0, 1.0]])


def gradients(own: Any, x: Array, weight: Array, dy: Array) -> tuple[Array, Array, Array]:
    """dx, dweight and dbias, by both passes of the learner."""
    y_and_cache = own.linear(x.copy(), weight.copy(), np.zeros(weight.shape[1], x.dtype))
    expect.parts(y_and_cache, ("y", "cache"))
    result = own.linear_backward(dy.copy(), y_and_cache[1])
    expect.parts(result, GRADIENTS)
    dx, dweight, dbias = result
    return dx, dweight, dbias


def draw(*shape: int, outputs: int, seed: int) -> tuple[Array, Array, Array, Array]:
    """Random x, weight, bias and dy with one decimal; x has the given shape."""
    rng = np.random.default_rng(seed)
    shapes = (shape, (shape[-1], outputs), (outputs,), (*shape[:-1], outputs))
    x, weight, bias, dy = (rng.normal(size=each).round(1) for each in shapes)
    return x, weight, bias, dy


@check(Layer.SHAPES)
def test_output_shape(own: Any) -> None:
    """y keeps the axes in front, and the dtype"""
    shapes = ((3,), (2, 3), (2, 4, 3), (2, 1, 4, 3))
    for shape, dtype in product(shapes, (np.float32, np.float64)):
        x, weight, bias, _ = (a.astype(dtype) for a in draw(*shape, outputs=2, seed=0))
        result = own.linear(x, weight, bias)
        expect.parts(result, ("y", "cache"))
        expect.array(
            result[0],
            like=x,
            shape=(*shape[:-1], 2),
            what="y",
            probably="x @ weight works on the last axis of x and leaves all others.",
        )


@check(Layer.SHAPES)
def test_gradient_shapes(own: Any) -> None:
    """each gradient has the shape of what it belongs to"""
    shapes = ((2, 3), (2, 4, 3), (3,), (2, 1, 4, 3))
    for shape, dtype in product(shapes, (np.float32, np.float64)):
        x, weight, _, dy = (a.astype(dtype) for a in draw(*shape, outputs=2, seed=0))
        parts = dict(zip(GRADIENTS, gradients(own, x, weight, dy), strict=True))
        wanted = {"dx": shape, "dweight": (3, 2), "dbias": (2,)}
        for name, value in parts.items():
            expect.array(
                value,
                like=x,
                shape=wanted[name],
                what=name,
                probably="However many axes x has, its last one holds the inputs. All others count "
                "rows, and every row used the same weight and the same bias.",
            )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """x, weight, bias and dy are left as they were"""
    x, weight, bias, dy = (each.copy() for each in (ROWS, WEIGHT, BIAS, DROWS))
    with expect.unchanged(x=x, weight=weight, bias=bias, dy=dy):
        _, cache = own.linear(x, weight, bias)
        own.linear_backward(dy, cache)


@check(Layer.EXAMPLE)
def test_forward_by_hand(own: Any) -> None:
    """y of two inputs, worked by hand"""
    expect.close(
        own.linear(X.copy(), WEIGHT.copy(), BIAS.copy())[0],
        np.array([[5.0, 2.0]]),
        what="y",
        given={"x": X, "weight": WEIGHT, "bias": BIAS},
        probably="The first column of weight makes the first output: 1·3 + 2·1 + 0 = 5. The "
        "second makes the other: 1·(-1) + 2·2 - 1 = 2. If you have 1 at [0, 0], you took the rows: "
        "the weight is transposed. If you have 3 at [0, 1], the bias is missing.",
    )


@check(Layer.EXAMPLE)
def test_without_bias(own: Any) -> None:
    """a bias of None adds nothing"""
    expect.close(
        own.linear(X.copy(), WEIGHT.copy())[0],
        np.array([[5.0, 3.0]]),
        what="y without a bias",
        given={"x": X, "weight": WEIGHT, "bias": None},
        probably="x @ weight is (5, 3), and without a bias nothing is added to it.",
    )
    _, cache = own.linear(ROWS.copy(), WEIGHT.copy())
    result = own.linear_backward(DROWS.copy(), cache)
    expect.parts(result, GRADIENTS)
    expect.close(
        result[2],
        np.array([4.0, -1.0]),
        what="dbias after a pass without a bias",
        given={"x": ROWS, "weight": WEIGHT, "bias": None, "dy": DROWS},
        probably="linear_backward has three parts, whether there was a bias or not: the gradient "
        "of a bias is the sum of dy over the rows.",
    )


@check(Layer.EXAMPLE, points=2)
def test_dx_by_hand(own: Any) -> None:
    """dx: each input collects from both outputs"""
    expect.close(
        gradients(own, X, WEIGHT, DY)[0],
        np.array([[5.0, -3.0]]),
        what="dx",
        given=GIVEN,
        probably="The first input reaches the outputs through 3 and -1, its row of weight: "
        "3·1 + (-1)·(-2) = 5. The second through 1 and 2: 1·1 + 2·(-2) = -3. If you have 1 at "
        "[0, 0], you took columns: the transpose is missing.",
    )


@check(Layer.EXAMPLE, points=2)
def test_dweight_by_hand(own: Any) -> None:
    """dweight: each weight's input times its output's gradient"""
    expect.close(
        gradients(own, X, WEIGHT, DY)[1],
        np.array([[1.0, -2.0], [2.0, -4.0]]),
        what="dweight",
        given=GIVEN,
        probably="weight[i, j] leads from input i to output j, so its gradient is x[i]·dy[j]. If "
        "you have 2 at [0, 1], the result is transposed.",
    )


@check(Layer.EXAMPLE)
def test_rows_add_up(own: Any) -> None:
    """dweight of two rows is the sum over the rows"""
    expect.close(
        gradients(own, ROWS, WEIGHT, DROWS)[1],
        np.array([[7.0, 0.0], [2.0, -4.0]]),
        what="dweight",
        given={"x": ROWS, "weight": WEIGHT, "dy": DROWS},
        probably="Row 0 gives [[1, -2], [2, -4]] and row 1 gives [[6, 2], [0, 0]]. Both used the "
        "same weights, so the two add. If you have 3.5 at [0, 0], you took the mean: if the loss "
        "is a mean over rows, dy holds that factor already.",
    )


@check(Layer.EXAMPLE)
def test_dbias_by_hand(own: Any) -> None:
    """dbias of two rows is the sum over the rows"""
    expect.close(
        gradients(own, ROWS, WEIGHT, DROWS)[2],
        np.array([4.0, -1.0]),
        what="dbias",
        given={"dy": DROWS},
        probably="The bias was added to both rows: (1, -2) + (3, 1) = (4, -1). If you have 2 at "
        "[0], it is their mean. If you have -1 at [0], you summed over the outputs of a row. If "
        "you have 1 at [0], it is the first row alone.",
    )


@check(Layer.RANDOM)
def test_random_forward(own: Any) -> None:
    """random sizes: y, entry by entry"""
    for seed, shape in enumerate(((1,), (1, 2), (3, 2), (2, 3, 4))):
        x, weight, _, _ = draw(*shape, outputs=3, seed=seed)
        bias = np.array([0.0, 1.0, -1.0])
        y = np.empty((*shape[:-1], 3))
        for row in np.ndindex(shape[:-1]):
            for j in range(3):
                y[row][j] = sum(x[row][i] * weight[i, j] for i in range(shape[-1])) + bias[j]
        expect.close(
            own.linear(x.copy(), weight.copy(), bias.copy())[0],
            y,
            what="y",
            given={"x": x, "weight": weight, "bias": bias},
            probably="The weight of the worked example is square. Here there are three outputs, "
            "and x may have no axis in front of the last, or several.",
        )


@check(Layer.RANDOM, points=2)
def test_random_backward(own: Any) -> None:
    """random sizes: every gradient, summed row by row"""
    for seed, shape in enumerate(((1, 2), (3, 2), (2,), (2, 3, 4))):
        x, weight, _, dy = draw(*shape, outputs=3, seed=seed)
        dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros(3)
        for row in np.ndindex(shape[:-1]):
            for i, j in np.ndindex(weight.shape):
                dx[row][i] += weight[i, j] * dy[row][j]
                dweight[i, j] += x[row][i] * dy[row][j]
            dbias += dy[row]
        received = gradients(own, x, weight, dy)
        for name, one, other in zip(GRADIENTS, received, (dx, dweight, dbias), strict=True):
            expect.close(
                one,
                other,
                what=name,
                given={"x": x, "weight": weight, "dy": dy},
                probably="Here rows, inputs and outputs differ in number, and x may have no axis "
                "in front of the last, or several. dx of a row is dy of the row times weight "
                "transposed; dweight and dbias collect from all rows.",
            )


@check(Layer.RANDOM)
def test_two_forward_passes(own: Any) -> None:
    """a cache stays good while other forward passes run"""
    x, weight, bias, dy = draw(3, 2, outputs=2, seed=8)
    _, cache = own.linear(x.copy(), weight.copy(), bias.copy())
    expect.repeatable_backward(
        lambda: own.linear_backward(dy.copy(), cache),
        lambda: own.linear(dy.copy(), weight.T.copy(), bias.copy()),
        GRADIENTS,
        given={"x": x, "weight": weight, "dy": dy},
    )


@check(Layer.GRADIENTS, points=2)
def test_gradients(own: Any) -> None:
    """the backward pass is the derivative of the forward pass"""
    x, weight, bias, dy = draw(2, 3, outputs=2, seed=9)
    _, cache = own.linear(x.copy(), weight.copy(), bias.copy())
    received = own.linear_backward(dy.copy(), cache)
    expect.parts(received, GRADIENTS)
    inputs = {"x": x, "weight": weight, "bias": bias}
    for (name, at), value in zip(inputs.items(), received, strict=True):

        def output(a: Array, name: str = name) -> float:
            return float((own.linear(**(inputs | {name: a}))[0] * dy).sum())

        expect.gradient(
            value,
            of=output,
            at=at,
            what=f"d{name}",
            given={**inputs, "dy": dy},
            probably="The two passes do not belong together: a change of the input moves y by "
            "something other than the gradient says.",
        )
