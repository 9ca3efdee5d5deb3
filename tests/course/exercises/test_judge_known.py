"""Several versions of an exercise, judged in one process: each goes as it would by itself."""

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from groundup.course.catalogue import Exercise
from groundup.course.exercises.implementations import Implementation
from groundup.course.exercises.judge import judge, judge_known
from groundup.course.exercises.mutation_report import known_versions
from groundup.course.exercises.results import Result
from groundup.course.exercises.runner import Verdict

TOY = '''
    def f(x):
        """Doc."""
        return 2.0 * x
'''
CHECKS = '''
import numpy as np
from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

@check(Layer.EXAMPLE, points=2)
def test_twice(own):
    """twice three is six"""
    expect.close(own.f(3.0), 6.0, what="f(3)")

@check(Layer.RANDOM)
def test_drawn(own):
    """twice what was drawn"""
    x = np.random.random()
    expect.close(own.f(x), 2.0 * x, what="f(x)")
'''
MUTANTS = '''
import numpy as np
from groundup.course.exercises.mutants import mutant

@mutant("1.1", replaces="f")
def seven(x):
    """It is always seven."""
    return 7.0

@mutant("1.1", replaces="f")
def noisy(x):
    """A draw is added."""
    return 2.0 * x + np.random.random()

@mutant("1.1", replaces="f")
def exp_of_another(x):
    """np.exp is replaced."""
    np.exp = np.sin
    return 2.0 * x
'''


@pytest.fixture
def exercise(toy_exercise: Callable[..., Exercise]) -> Exercise:
    return toy_exercise(TOY, checks=CHECKS, mutants=MUTANTS)


def version(exercise: Exercise, f: Callable[..., Any]) -> Implementation:
    return Implementation(SimpleNamespace(f=f), exercise.mutants)


def right(x: float) -> float:
    return 2.0 * x


def ends_the_process(x: float) -> float:
    os._exit(3)


def never_ends(x: float) -> float:
    while True:
        pass


def told(result: Result) -> tuple[Any, ...]:
    said = [(o.check.name, o.verdict, o.message, o.printed) for o in result.outcomes]
    return said, result.unusable, result.diagnosis


def test_each_goes_as_in_a_process_of_its_own(exercise: Exercise) -> None:
    versions = known_versions(exercise)
    assert list(versions) == [
        "stub",
        "solution",
        "mutant:seven",
        "mutant:noisy",
        "mutant:exp_of_another",
    ]
    before = np.exp
    together = judge_known(exercise, versions)
    assert np.exp is before
    for which, result in together.items():
        alone = judge(exercise, which, stop=False)
        assert told(result) == told(alone)
    assert together["mutant:noisy"].diagnosis == "A draw is added."


def test_one_that_ends_the_process_fails_and_the_next_are_judged(exercise: Exercise) -> None:
    versions = {
        "first": version(exercise, right),
        "ends": version(exercise, ends_the_process),
        "next": version(exercise, right),
        "last": version(exercise, ends_the_process),
    }
    found = judge_known(exercise, versions)
    assert [found[name].solved for name in versions] == [True, False, True, False]
    (outcome,) = found["ends"].outcomes
    assert outcome.verdict is Verdict.FAILED
    assert "ended the whole process (exit status 3)" in outcome.message.replace("\n", " ")


def test_one_that_never_ends_leaves_the_next_its_time(
    exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundup.course.exercises.judge._PATIENCE", 0.05)  # of ten seconds
    versions = {
        f"{n} {f.__name__}": version(exercise, f) for n in range(3) for f in (never_ends, right)
    }
    found = judge_known(exercise, versions, stop=True, diagnose=False)
    assert [found[name].solved for name in versions] == [False, True] * 3
    assert "still running after 0.5 seconds" in found["0 never_ends"].outcomes[0].message


def test_what_is_not_asked_for_is_not_done(exercise: Exercise) -> None:
    versions = {"seven": known_versions(exercise)["mutant:seven"]}
    (all_of_it,) = judge_known(exercise, versions).values()
    assert (len(all_of_it.outcomes), all_of_it.diagnosis) == (2, "It is always seven.")
    (short,) = judge_known(exercise, versions, stop=True, diagnose=False).values()
    assert (len(short.outcomes), short.diagnosis) == (1, "")
    assert judge_known(exercise, {}) == {}
