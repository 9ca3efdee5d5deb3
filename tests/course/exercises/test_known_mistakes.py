"""Which known mistake a wrong answer is: one that does the same on every call of the checks."""

from collections.abc import Callable

import pytest

from groundup.course.catalogue import Exercise
from groundup.course.exercises.judge import judge

TOY = '''
    def f(x):
        """Doc."""
        return 2.0 * x
'''
CHECKS = '''
from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

@check(Layer.EXAMPLE, points=3)
def test_twice(own):
    """twice three is six, and twice five is ten"""
    expect.close(own.f(3.0), 6.0, what="f(3)")
    expect.close(own.f(5.0), 10.0, what="f(5)")
'''
MUTANTS = '''
from groundup.course.exercises.mutants import mutant

@mutant("1.1", replaces="f")
def seven(x):
    """It is always seven."""
    return 7.0
'''


@pytest.fixture
def exercise(toy_exercise: Callable[..., Exercise]) -> Exercise:
    return toy_exercise(TOY, checks=CHECKS, mutants=MUTANTS)


@pytest.mark.parametrize(
    ("body", "diagnosis"),
    [
        ("return 7.0", "It is always seven."),
        ("return 7.0 + 1e-13 * x", "It is always seven."),
        ("return x + 4.0", ""),  # seven too, in the call at which the check fails
        ("return 7.0 if x == 3 else 10.0", ""),
        ("return (7.0,)", ""),
        ("return None", ""),
    ],
)
def test_calls_after_the_first_failure_count(exercise: Exercise, body: str, diagnosis: str) -> None:
    exercise.file.write_text(f"def f(x):\n    {body}\n")
    result = judge(exercise)
    assert not result.solved
    assert result.diagnosis == diagnosis
