"""The report on the checks: what they reject, and what is wrong with them."""

from collections.abc import Callable

import pytest
from proved_page import proofs, proved_page

from groundup.course.catalogue import Exercise
from groundup.course.exercises.mutation_report import as_data, as_text, mutation_report, summary
from groundup.lab.errors import WorkError

TOY = '''
    def f(x):
        """Doc."""
        return 2 * x
'''
CHECKS = '''
from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

@check(Layer.SHAPES)
def test_number(own):
    """a number comes back"""
    expect.number(own.f(3), what="f(3)")

@check(Layer.EXAMPLE, points=2)
def test_three(own):
    """twice three is six"""
    expect.close(own.f(3), 6, what="f(3)")
'''
MUTANTS = '''
from groundup.course.exercises.mutants import mutant

@mutant("1.1", replaces="f")
def nothing(x):
    """Nothing is returned."""

@mutant("1.1", replaces="f")
def squared(x):
    """x is squared."""
    return x * x
'''


@pytest.fixture
def exercise(toy_exercise: Callable[..., Exercise]) -> Exercise:
    return toy_exercise(TOY, checks=CHECKS, mutants=MUTANTS)


def test_matrix(exercise: Exercise) -> None:
    found = mutation_report(exercise)
    assert found.faults == []
    assert found.rejected == {"nothing": {"test_number", "test_three"}, "squared": {"test_three"}}
    assert as_text(found).splitlines() == [
        "1.1 A toy: 2 checks, 2 mutants, 0 derived, no survivor",
        "",
        "   1  types and shapes     a number comes back",
        "   2  worked example       twice three is six",
        "",
        "           1  2",
        "  nothing  x  x",
        "  squared  .  x",
    ]
    assert "| `squared` |  | × |" in proofs([found])
    assert as_data(found)["mutants"][1]["rejected_by"] == ["test_three"]
    assert summary([found, found]) == "2 exercises, 4 checks, 4 mutants, 0 derived: no survivor"


def test_survivors_and_idle_checks_are_faults(exercise: Exercise) -> None:
    exercise.mutants.write_text(MUTANTS.replace("return x * x", "return x + x"))
    checks = CHECKS.replace("expect.number(own.f(3)", "own.f(3)\n    expect.number(3")
    exercise.checks.write_text(checks)
    found = mutation_report(exercise)
    assert found.faults == [
        "The mutant squared survives.",
        "The check test_number rejects nothing.",
        "Nobody is told the diagnosis of squared.",
    ]
    assert "FAULT: The mutant squared survives." in as_text(found)


def test_wrong_solution_and_finished_stub_are_faults(exercise: Exercise) -> None:
    exercise.checks.write_text(CHECKS.replace("own.f(3), 6", "4, 6").replace("own.f(3)", "3"))
    found = mutation_report(exercise)
    assert found.faults[:2] == [
        "The solution fails a check.",
        "The stub is not said to be unwritten.",
    ]


def test_page_is_kept_until_something_changes(exercise: Exercise) -> None:
    page = proved_page(exercise.root)
    assert "**1 exercises, 2 checks, 2 mutants, 0 derived: no survivor.**" in page
    (kept,) = (exercise.root / ".cache/mutation_report").iterdir()
    kept.write_text("kept")
    exercise.file.write_text("the learner's")
    assert proved_page(exercise.root) == "kept"
    exercise.mutants.write_text(MUTANTS.replace("return x * x", "return x + x"))
    with pytest.raises(WorkError, match=r"1.1: The mutant squared survives\."):
        proved_page(exercise.root)
