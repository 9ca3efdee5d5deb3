"""The checks of exercise 5.6, gradient descent with momentum."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

PARTS = ("change", "velocity")


def step(own: Any, gradient: float, velocity: float, momentum: float) -> tuple[Any, Any]:
    """The inputs and the result for one number, at a rate of 0.1."""
    g, u = np.array([gradient]), np.array([velocity])
    given = {"gradient": g, "velocity": u, "lr": 0.1, "momentum": momentum}
    result = own.sgd(g.copy(), u.copy(), 0.1, momentum)
    expect.parts(result, PARTS)
    return given, result


@check(Layer.SHAPES)
def test_parts(own: Any) -> None:
    """two arrays come back, of the gradient's shape and dtype"""
    gradient = np.array([[1.0, -2.0, 0.5]], dtype=np.float32)
    result = own.sgd(gradient, np.zeros_like(gradient), 0.1)
    expect.parts(result, PARTS, probably="The velocity is the memory; the caller keeps it.")
    for name, value in zip(PARTS, result, strict=True):
        expect.array(value, like=gradient, shape=gradient.shape, what=name)


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """gradient and velocity are left as they were"""
    gradient, velocity = np.array([2.0, -1.0]), np.array([0.5, 1.0])
    with expect.unchanged(gradient=gradient, velocity=velocity):
        own.sgd(gradient, velocity, 0.1)


@check(Layer.EXAMPLE)
def test_first_step(own: Any) -> None:
    """the first step is plain gradient descent"""
    given, (change, _) = step(own, 2.0, 0.0, 0.75)
    expect.close(
        change,
        np.array([-0.2]),
        what="The change",
        given=given,
        probably="There is no past yet: -0.1·2. If you have 0.2, the minus sign is missing. If you "
        "have -0.05, the gradient is weighed with 1 - momentum; here it counts in full. If you "
        "have -0.15, the gradient is weighed with the momentum. If you have -0.35, the gradient "
        "counts 1.75 times, which is Nesterov's form. If you have 0, the velocity of before is "
        "used.",
    )


@check(Layer.EXAMPLE)
def test_velocity(own: Any) -> None:
    """the velocity after a second step, worked by hand"""
    given, (_, velocity) = step(own, 1.0, 2.0, 0.5)
    expect.close(
        velocity,
        np.array([2.0]),
        what="The velocity",
        given=given,
        probably="It is 0.5·2 + 1 = 2. If you have 3, nothing of the past fades. If you have 1.1, "
        "the rate is multiplied in already. If you have 1, the past is forgotten. If you have "
        "-0.2, that is the change.",
    )


@check(Layer.EXAMPLE)
def test_second_step(own: Any) -> None:
    """the change of a second step"""
    given, (change, _) = step(own, 1.0, 4.0, 0.75)
    expect.close(
        change,
        np.array([-0.4]),
        what="The change",
        given=given,
        probably="The velocity is 0.75·4 + 1 = 4, and the change -0.1·4. If you have -0.1, the "
        "change is made from the gradient alone.",
    )


@check(Layer.EXAMPLE)
def test_no_momentum(own: Any) -> None:
    """momentum 0 is plain gradient descent, whatever the velocity"""
    given, (change, _) = step(own, 3.0, 7.0, 0.0)
    expect.close(
        change,
        np.array([-0.3]),
        what="The change",
        given=given,
        probably="If you have -0.93, the momentum that was passed is not used: 0.9 is only its "
        "default.",
    )


@check(Layer.RANDOM, points=3)
def test_runs(own: Any) -> None:
    """several steps: a sum over all gradients, old ones fading"""
    rng = np.random.default_rng(56)
    for shape in ((), (3,), (2, 3)):
        velocity = np.zeros(shape)
        gradients = [np.array(rng.normal(size=shape)).round(1) for _ in range(4)]
        lrs = (0.1, 0.1, 0.02, 0.5)
        for n, (gradient, lr) in enumerate(zip(gradients, lrs, strict=True), start=1):
            change, velocity = own.sgd(gradient, velocity, lr, 0.8)
            # Not the recursion: all gradients so far, each by its age.
            total = sum(0.8 ** (n - 1 - i) * g for i, g in enumerate(gradients[:n]))
            expect.close(
                change,
                -lr * total,
                what=f"The change of step {n}",
                given={f"gradient {i}": g for i, g in enumerate(gradients[:n], start=1)}
                | {"lr": np.array(lrs[:n]), "momentum": 0.8},
                probably="The rate falls at step 3. The velocity holds gradients without any rate, "
                "so that a new rate holds for all of them.",
            )


@check(Layer.RANDOM)
def test_default(own: Any) -> None:
    """without a momentum it is 0.9"""
    gradient, velocity = np.array([0.3]), np.array([0.7])
    expect.close(
        own.sgd(gradient, velocity, 0.1)[0],
        np.array([-0.093]),
        what="The change",
        given={"gradient": gradient, "velocity": velocity, "lr": 0.1},
        probably="-0.1·(0.9·0.7 + 0.3). The momentum was not passed, so it is the default.",
    )
