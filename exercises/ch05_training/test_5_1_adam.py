"""The checks of exercise 5.1, Adam."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

PARTS = ("change", "first", "second")
# With these, every number of the first two steps can be worked out on paper.
PAPER = {"lr": 0.1, "beta1": 0.75, "beta2": 0.5, "eps": 0.0}


def paper(own: Any, step: int) -> tuple[dict[str, Any], Any]:
    """The inputs and the result of a step; the gradient is 3, then -3."""
    states = {1: ([3.0], [0.0], [0.0]), 2: ([-3.0], [0.75], [4.5])}
    gradient, first, second = (np.array(each) for each in states[step])
    given = {"gradient": gradient, "first": first, "second": second, "step": step, **PAPER}
    result = own.adam(gradient.copy(), first.copy(), second.copy(), step, **PAPER)
    expect.parts(result, PARTS)
    return given, result


@check(Layer.SHAPES)
def test_parts(own: Any) -> None:
    """three arrays come back, of the gradient's shape and dtype"""
    gradient = np.array([[1.0, -2.0, 0.5]], dtype=np.float32)
    zeros = np.zeros_like(gradient)
    result = own.adam(gradient, zeros, zeros.copy(), 1, 0.1)
    expect.parts(result, PARTS, probably="The running means are the state; the caller keeps them.")
    for name, value in zip(PARTS, result, strict=True):
        expect.array(value, like=gradient, shape=gradient.shape, what=name)


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """gradient, first and second are left as they were"""
    gradient, first, second = np.array([2.0, -1.0]), np.array([0.5, 1.0]), np.array([2.0, 1.0])
    with expect.unchanged(gradient=gradient, first=first, second=second):
        own.adam(gradient, first, second, 2, 0.1)


@check(Layer.EXAMPLE)
def test_first_mean(own: Any) -> None:
    """first is the running mean of the gradient"""
    given, (_, first, _) = paper(own, 1)
    expect.close(
        first,
        np.array([0.75]),
        what="first, after one step,",
        given=given,
        probably="It is 0.75·0 + 0.25·3 = 0.75. If you have 3, you returned the corrected mean: "
        "the correction is for the change alone, and the state is kept without it. If you have "
        "2.25, beta1 weighs the gradient and not the old mean. If you have 1.5, you used beta2. If "
        "you have 4.5, first and second have changed places.",
    )


@check(Layer.EXAMPLE)
def test_second_mean(own: Any) -> None:
    """second is the running mean of the squared gradient"""
    given, (_, _, second) = paper(own, 1)
    expect.close(
        second,
        np.array([4.5]),
        what="second, after one step,",
        given=given,
        probably="It is 0.5·0 + 0.5·3² = 4.5. If you have 9, you returned the corrected mean.",
    )


@check(Layer.EXAMPLE, points=2)
def test_first_step(own: Any) -> None:
    """the change of step 1, worked by hand"""
    given, (change, _, _) = paper(own, 1)
    expect.close(
        change,
        np.array([-0.1]),
        what="The change of step 1",
        given=given,
        probably="The corrected means are 0.75 / (1 - 0.75) = 3 and 4.5 / (1 - 0.5) = 9, and the "
        "change is -0.1·3/√9. If you have -0.03536, the correction is missing. If you have "
        "nan, the exponent of the correction is step - 1. If you have -0.03333, the root is "
        "missing. If you have 0.1, the minus sign is missing.",
    )


@check(Layer.EXAMPLE)
def test_second_step(own: Any) -> None:
    """the change of step 2, worked by hand"""
    given, (change, _, _) = paper(own, 2)
    expect.close(
        change,
        np.array([1 / 70]),
        what="The change of step 2",
        given=given,
        probably="The means are now 0.75·0.75 - 0.25·3 = -0.1875 and 0.5·4.5 + 0.5·9 = 6.75. "
        "Corrected they are -0.1875 / (1 - 0.75²) and 6.75 / (1 - 0.5²) = 9: the exponent of the "
        "correction is the step.",
    )


@check(Layer.EXAMPLE)
def test_eps(own: Any) -> None:
    """eps is added to the root, not under it"""
    gradient, zeros = np.array([3.0]), np.zeros(1)
    change, _, _ = own.adam(gradient, zeros, zeros.copy(), 1, 1.0, eps=1.0)
    expect.close(
        change,
        np.array([-0.75]),
        what="The change with a large eps",
        given={"gradient": gradient, "step": 1, "lr": 1.0, "eps": 1.0},
        probably="It is -3 / (√9 + 1). If you have -0.9487, eps stands under the root. If you "
        "have -1, it is not used.",
    )


@check(Layer.EXAMPLE)
def test_steps_count_from_one(own: Any) -> None:
    """a step below 1 raises ValueError"""
    zeros = np.zeros(1)
    for step in (0, -1):
        with expect.raises(ValueError, f"the step is {step}: they count from 1"):
            own.adam(np.ones(1), zeros, zeros.copy(), step, 0.1)


@check(Layer.RANDOM)
def test_runs(own: Any) -> None:
    """several steps in a row: the change from weighted averages"""
    rng = np.random.default_rng(5)
    for shape in ((), (3,), (2, 3)):
        first, second = np.zeros(shape), np.zeros(shape)
        gradients = [np.array(rng.normal(size=shape)).round(1) for _ in range(4)]
        gradients[2] = np.zeros(shape)  # the means fade where nothing is new
        for step, gradient in enumerate(gradients, start=1):
            change, first, second = own.adam(gradient, first, second, step, 0.01, 0.9, 0.95)
            # Not the recursion: averages over all gradients so far, newer ones weighing more.
            ages = np.arange(step)[::-1]
            mean = np.average(gradients[:step], axis=0, weights=0.9**ages)
            square = np.average(np.square(gradients[:step]), axis=0, weights=0.95**ages)
            expect.close(
                change,
                -0.01 * mean / (np.sqrt(square) + 1e-8),
                what=f"The change of step {step}",
                given={f"gradient {n}": g for n, g in enumerate(gradients[:step], start=1)}
                | {"lr": 0.01, "beta1": 0.9, "beta2": 0.95},
                probably="Each step starts from what the step before returned as first and second.",
            )


@check(Layer.RANDOM)
def test_defaults(own: Any) -> None:
    """without betas and eps they are 0.9, 0.999 and 1e-8"""
    gradient, first, second = np.array([1e-8, 3.0]), np.array([2e-8, -1.0]), np.array([0.0, 4.0])
    mean = (0.9 * first + 0.1 * gradient) / (1 - 0.9**2000)
    square = (0.999 * second + 0.001 * gradient**2) / (1 - 0.999**2000)
    expect.close(
        own.adam(gradient, first, second, 2000, 0.5)[0],
        -0.5 * mean / (np.sqrt(square) + 1e-8),
        what="The change of step 2000",
        given={"gradient": gradient, "first": first, "second": second, "step": 2000, "lr": 0.5},
        probably="beta1, beta2 and eps were not passed, so they are the defaults of the signature. "
        "At this step 0.9**step is 0, and 0.999**step still 0.135.",
    )


@check(Layer.STABILITY)
def test_no_gradient(own: Any) -> None:
    """a parameter whose gradient is always zero does not move"""
    zeros = np.zeros(2, dtype=np.float32)
    change, _, _ = own.adam(zeros, zeros.copy(), zeros.copy(), 1, 0.1)
    expect.close(
        change,
        np.zeros(2, dtype=np.float32),
        what="The change for a zero gradient",
        given={"gradient": zeros, "step": 1, "lr": 0.1},
        probably="0/0 is not a number. eps keeps the denominator above zero.",
    )
