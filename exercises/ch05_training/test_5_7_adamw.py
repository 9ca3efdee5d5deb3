"""The checks of exercise 5.7, AdamW's step."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check


def optimizer(params: Any, decay: Any, betas: Any = (0.9, 0.999)) -> SimpleNamespace:
    """What an AdamW holds before its first step."""
    zeros = {name: np.zeros_like(value) for name, value in params.items()}
    return SimpleNamespace(
        params=params,
        decay=decay,
        betas=betas,
        first=zeros,
        second={name: value.copy() for name, value in zeros.items()},
        step_count=0,
    )


def one_weight(own: Any, steps: int = 1, decay: float = 0.5) -> Any:
    """A weight of 2 whose gradient is 4 at each step, at a rate of 0.1; the array is returned."""
    w = np.array([[2.0]])
    state = optimizer({"w": w}, {"w": decay})
    for _ in range(steps):
        own.step(state, {"w": np.array([[4.0]])}, 0.1)
    return w


GIVEN = {"w": np.array([[2.0]]), "gradient": np.array([[4.0]]), "lr": 0.1, "decay": 0.5}


@check(Layer.SHAPES)
def test_refuses(own: Any) -> None:
    """a missing or misshapen gradient, or a negative rate: ValueError"""
    good = {"b": np.ones(1), "w": np.ones((1, 2))}
    for grads, lr, why in (
        ({"b": np.ones(1)}, 0.1, "the gradient of w is missing"),
        (good | {"w": np.ones(1)}, 0.1, "w is (1, 2) and its gradient (1,), which broadcasts"),
        (good | {"w": np.ones(2)}, 0.1, "w is (1, 2) and its gradient (2,)"),
        (good, -0.1, "the rate is -0.1"),
    ):
        state = optimizer({"b": np.ones(1), "w": np.ones((1, 2))}, {"b": 0.0, "w": 0.0})
        with expect.raises(ValueError, why):
            own.step(state, grads, lr)
        if state.step_count:
            expect.fail(
                f"step_count is {state.step_count} after a step that was refused.",
                probably="Ask for everything that is refused first, and count after that.",
            )


@check(Layer.INPUTS)
def test_gradients_unchanged(own: Any) -> None:
    """the gradients are left as they were"""
    g = np.array([[4.0, -1.0]])
    with expect.unchanged(gradient=g):
        own.step(optimizer({"w": np.array([[2.0, 1.0]])}, {"w": 0.5}), {"w": g}, 0.1)


@check(Layer.EXAMPLE)
def test_without_decay(own: Any) -> None:
    """without decay it is Adam, and the array itself is changed"""
    expect.close(
        one_weight(own, decay=0.0),
        np.array([[1.9]]),
        what="w after one step",
        given=GIVEN | {"decay": 0.0},
        probably="Adam's first step is the rate against the sign of the gradient. If you have 2 at "
        "[0, 0], the model's array is what it was: value += change writes into it, and "
        "self.params[name] = value + change puts another in its place.",
    )


@check(Layer.EXAMPLE, points=2)
def test_decay(own: Any) -> None:
    """one step with decay, worked by hand"""
    expect.close(
        one_weight(own),
        np.array([[1.8]]),
        what="w after one step",
        given=GIVEN,
        probably="The decay takes 0.1·0.5 of 2, which leaves 1.9, and Adam's change is -0.1. "
        "The decay is not a part of the gradient, where dividing by the scale would erase it. If "
        "you have 0.9 at [0, 0], the decay is not multiplied by the rate. If you have 1.805 at "
        "[0, 0], the decay also shrinks this step's change.",
    )


@check(Layer.EXAMPLE)
def test_each_its_own_decay(own: Any) -> None:
    """each parameter has its own decay; a bias has none"""
    params = {"w": np.array([[2.0]]), "bias": np.array([2.0]), "u": np.array([[2.0]])}
    grads = {"w": np.array([[4.0]]), "bias": np.array([4.0]), "u": np.array([[-4.0]])}
    own.step(optimizer(params, {"w": 0.5, "bias": 0.0, "u": 0.25}), grads, 0.1)
    given = {"parameters": 2.0, "lr": 0.1, "decay of w, bias, u": np.array([0.5, 0.0, 0.25])}
    expect.close(
        np.array([params["w"][0, 0], params["bias"][0], params["u"][0, 0]]),
        np.array([1.8, 1.9, 2.05]),
        what="The list of w, bias and u",
        given=given,
        probably="self.decay holds the decay of each parameter by its name. If you have 1.8 at "
        "[1], the bias decays too.",
    )


@check(Layer.EXAMPLE)
def test_step_is_counted(own: Any) -> None:
    """step_count is one more after a step, however many parameters"""
    params = {name: np.ones(1) for name in "abc"}
    state = optimizer(params, dict.fromkeys("abc", 0.0))
    own.step(state, {name: np.ones(1) for name in "abc"}, 0.1)
    if state.step_count != 1:
        expect.fail(
            f"step_count is {state.step_count} after one step of three parameters.",
            probably="Count once a step, before the parameters: Adam's correction begins with 1.",
        )
    own.step(state, {name: np.ones(1) for name in "abc"}, 0.0)
    if state.step_count != 2:
        expect.fail(
            f"step_count is {state.step_count} after a second step, at a rate of 0.",
            probably="A schedule may begin or end with a rate of 0, and its steps count.",
        )


@check(Layer.RANDOM, points=3)
def test_runs(own: Any) -> None:
    """several steps with other betas: weighted averages, then decay"""
    rng = np.random.default_rng(57)
    for shape in ((1, 1), (2, 3)):
        w = rng.normal(size=shape).round(1)
        state, wanted = optimizer({"w": w}, {"w": 0.3}, betas=(0.8, 0.95)), w.copy()
        gradients = [rng.normal(size=shape).round(1) for _ in range(4)]
        given = {"w": w.copy()} | {f"gradient {n}": g for n, g in enumerate(gradients, start=1)}
        for step, gradient in enumerate(gradients, start=1):
            own.step(state, {"w": gradient.copy()}, 0.1 / step)
            ages = np.arange(step)[::-1]
            mean = np.average(gradients[:step], axis=0, weights=0.8**ages)
            square = np.average(np.square(gradients[:step]), axis=0, weights=0.95**ages)
            wanted = wanted - 0.1 / step * (0.3 * wanted + mean / (np.sqrt(square) + 1e-8))
        expect.close(
            w,
            wanted,
            what="w after four steps",
            given=given | {"decay": 0.3, "betas": np.array([0.8, 0.95])},
            probably="Between steps self.first, self.second and self.step_count are kept. The "
            "betas are self.betas.",
        )
