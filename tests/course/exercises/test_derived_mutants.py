"""Wrong versions derived from a solution: one refusal less, a late one, and float32."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from groundup.course.catalogue import Exercise
from groundup.course.exercises.derived_mutants import derived_mutants
from groundup.course.exercises.mutation_report import survivors

TOY = '''
    import numpy as np

    def f(x, rate, low=0.0, high=1.0):
        """Doc."""
        if x.ndim != 1 or not low <= rate < high:
            raise ValueError("no")
        if x.min() < -50:
            raise ValueError("small")
        if max(abs(low), abs(high)) > 5:
            raise ValueError("low")
        x *= rate
        return x.copy(), {"sum": x.sum()}
'''
CHECKS = '''
import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

@check(Layer.EXAMPLE)
def test_example(own):
    """an example"""
    x = np.array([0.1, 0.2])
    y, kept = own.f(x, 0.7)
    expect.close(y, np.array([0.07, 0.14]), what="y")
    expect.close(x, np.array([0.07, 0.14]), what="x")
    expect.close(kept["sum"], 0.21, what="the sum")

@check(Layer.RANDOM, points=2)
def test_refuses(own):
    """what is refused"""
    for x, *rest in (
        (np.ones((1, 1)), 0.5), (np.ones(1), -1.0), (np.ones(1), 1.5), (np.full(1, -60.0), 0.5),
        (np.ones(1), 0.5, -9.0), (np.ones(1), 0.5, 0.0, 9.0),
    ):
        with expect.raises(ValueError, "it is wrong", {"x": x}):
            own.f(x, *rest)
'''


@pytest.fixture
def exercise(toy_exercise: Callable[..., Exercise]) -> Exercise:
    return replace(toy_exercise(TOY, checks=CHECKS), changes=("x",))


def test_each_part_of_a_refusal_is_left_out_once(exercise: Exercise) -> None:
    told = {each.about for each in derived_mutants(exercise).values() if "refuse:" in each.about}
    assert told == {
        f"f does not refuse: {what}."
        for what in (
            "x.ndim != 1 or not low <= rate < high",
            "x.ndim != 1",
            "not low <= rate < high",
            "not low <= rate",
            "not rate < high",
            "x.min() < -50",
            "max(abs(low), abs(high)) > 5",
            "abs(low)",
            "abs(high)",
        )
    }


def test_the_checks_reject_them_all(exercise: Exercise) -> None:
    derived = derived_mutants(exercise)
    assert {name.split("_")[1] for name in derived} == {"without", "late", "cast", "rounded"}
    assert survivors(exercise, derived.values()) == []


@pytest.mark.parametrize(
    ("weaker", "what"),
    [
        (("(np.ones((1, 1)), 0.5), ", ""), "f does not refuse: x.ndim != 1."),
        (("(np.ones(1), 1.5), ", ""), "f does not refuse: not rate < high."),
        (('    expect.close(kept["sum"], 0.21, what="the sum")\n', ""), "f takes part 2"),
        (
            ('    expect.close(x, np.array([0.07, 0.14]), what="x")\n', ""),
            "in place through float32",
        ),
    ],
)
def test_a_weaker_check_lets_one_pass(
    exercise: Exercise, weaker: tuple[str, str], what: str
) -> None:
    assert weaker[0] in CHECKS
    exercise.checks.write_text(CHECKS.replace(*weaker))
    alive = survivors(exercise, derived_mutants(exercise).values())
    assert any(what in each for each in alive), alive


def test_float32_stays_what_it_was(exercise: Exercise) -> None:
    wrong = derived_mutants(exercise)["f_cast_0"].function
    for dtype in (np.float32, np.float64):
        assert wrong(np.ones(1, dtype), 0.5)[0].dtype == np.float32
    assert wrong(np.ones(1, int) * 0.5, 0.5)[1].keys() == {"sum"}
    assert SimpleNamespace(f=wrong).f(np.full(1, 0.1), 0.5)[0] == np.float32(0.05)
