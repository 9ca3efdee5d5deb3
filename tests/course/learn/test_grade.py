"""Grading: every check runs, an instructor's own count apart, nothing is silently left out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.course.catalogue import Exercise
from groundup.course.exercises import progress
from groundup.course.learn.grade import grade
from groundup.lab.errors import UserError

OWN = '''
from groundup.course.exercises.checks import Layer, check
from groundup.course.exercises import expect
import numpy as np


@check(Layer.EXAMPLE, points=4)
def test_zero(own):
    """a zero gradient moves nothing"""
    zero = np.zeros(2)
    expect.close(own.adam(zero, zero, zero, 1, 0.1)[0], zero, what="The change")


@check(Layer.EXAMPLE, points=3)
def test_never(own):
    """what nobody passes"""
    expect.close(own.adam(np.ones(1), np.zeros(1), np.zeros(1), 1, 0.1)[0], 9.0, what="The change")
'''


@pytest.fixture
def course(unwritten: Callable[..., dict[str, Exercise]]) -> dict[str, Exercise]:
    """A clone with the exercises of chapter 5."""
    return unwritten("ch05_training")


def document(capsys: pytest.CaptureFixture[str], *arguments: Any, **named: Any) -> dict[str, Any]:
    capsys.readouterr()
    assert grade(*arguments, as_json=True, **named) == 0
    return json.loads(capsys.readouterr().out)


def test_every_check_runs_and_the_progress_file_is_left_alone(
    course: dict[str, Exercise], capsys: pytest.CaptureFixture[str]
) -> None:
    exercise = course["5.1"]
    solved = exercise.solution.read_text()
    # Wrong on the first step, which is an early check; what comes after is graded all the same.
    wrong = solved.replace("mean = first / (1 - beta1**step)", "mean = first")
    assert wrong != solved
    exercise.file.write_text(wrong)
    graded = document(capsys)
    first, second, *_ = graded["exercises"]
    verdicts = {row["name"]: row["verdict"] for row in first["checks"]}
    assert verdicts["test_first_step"] == "failed"
    assert verdicts["test_no_gradient"] == "passed"
    passed = [row["points"] for row in first["checks"] if row["verdict"] == "passed"]
    assert first["points"] == sum(passed) < first["of"] == exercise.points
    assert sum(row["points"] for row in first["checks"]) == first["of"]
    assert "-0.1" in next(r["message"] for r in first["checks"] if r["name"] == "test_first_step")
    assert second["points"] == 0
    assert {row["verdict"] for row in second["checks"]} == {"to write"}
    assert graded["points"] == first["points"]
    assert graded["of"] == sum(each.points for each in course.values())
    assert not progress.path(exercise.root).exists()


def test_own_checks_are_found_below_and_counted_apart(
    course: dict[str, Exercise], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = tmp_path / "own" / "week1"
    own.mkdir(parents=True)
    (own / course["5.1"].checks.name).write_text(OWN)
    shutil.copy(course["5.1"].solution, course["5.1"].file)
    graded = document(capsys, checks=tmp_path / "own")
    first, second, *_ = graded["exercises"]
    assert first["points"] == course["5.1"].points
    assert [(r["name"], r["verdict"], r["points"]) for r in first["instructor"]] == [
        ("test_zero", "passed", 4),
        ("test_never", "failed", 3),
    ]
    assert (first["instructor_points"], first["instructor_of"]) == (4, 7)
    assert (graded["instructor_points"], graded["instructor_of"]) == (4, 7)
    assert second["instructor"] == []
    assert grade(checks=tmp_path / "own") == 0
    assert "4 of 7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words"),
    [("test_5_1_adams.py", "test_5_1_adams.py is named"), ("notes.txt", "holds no file of checks")],
)
def test_checks_that_would_grade_nothing_are_refused(
    course: dict[str, Exercise], tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / name).write_text(OWN)
    with pytest.raises(UserError, match=words):
        grade(checks=tmp_path / "own")


def test_checks_that_break_are_an_error_of_the_call(
    course: dict[str, Exercise], tmp_path: Path
) -> None:
    (tmp_path / course["5.1"].checks.name).write_text("import no_such_module_here.inside\n")
    (tmp_path / "own").mkdir()
    (tmp_path / course["5.1"].checks.name).rename(tmp_path / "own" / course["5.1"].checks.name)
    with pytest.raises(UserError, match=r"no_such_module_here|test_5_1_adam\.py"):
        grade("5.1", checks=tmp_path / "own")


def test_submission_is_graded_in_place_of_the_clone(
    course: dict[str, Exercise], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for exercise in course.values():
        shutil.copy(exercise.solution, exercise.file)
    ada = tmp_path / "ada" / "deep"
    ada.mkdir(parents=True)
    shutil.copy(course["5.1"].solution, ada)
    (ada / "ex_5_9_mine.py").write_text("x = 1\n")
    graded = document(capsys, submission=tmp_path / "ada")
    first, *others = [each["points"] for each in graded["exercises"]]
    assert (first, set(others)) == (course["5.1"].points, {0})
    assert graded["exercises"][1]["error"] == "ex_5_2_cross_entropy.py was not handed in."
    assert {row["verdict"] for row in graded["exercises"][1]["checks"]} == {"not run"}
    assert sum(row["points"] for row in graded["exercises"][1]["checks"]) == course["5.2"].points
    (ada / course["5.1"].file.name).write_text("def adam(:\n")
    graded = document(capsys, submission=tmp_path / "ada")
    assert graded["points"] == 0
    assert "line 1" in graded["exercises"][0]["error"]


def test_files_of_no_exercise_are_named(
    course: dict[str, Exercise], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ada = tmp_path / "ada"
    ada.mkdir()
    with pytest.raises(UserError, match=r"holds no file of an exercise, such as ex_5_1_adam\.py"):
        grade(submission=ada)
    with pytest.raises(UserError, match="not a folder"):
        grade(submission=ada / "none")
    shutil.copy(course["5.1"].solution, ada)
    (ada / "ex_5_1_adm.py").write_text("")
    grade(submission=ada)
    assert "not graded" in capsys.readouterr().err
    (ada / "copy").mkdir()
    shutil.copy(course["5.1"].solution, ada / "copy")
    with pytest.raises(UserError, match=r"ex_5_1_adam\.py is there twice"):
        grade(submission=ada)


def test_missing_package_stops_the_grading(course: dict[str, Exercise]) -> None:
    checks = course["5.2"].checks
    checks.write_text(f"import not_a_package\n{checks.read_text()}")
    with pytest.raises(UserError, match=r"5\.2 can't be graded.*not_a_package"):
        grade()


def test_table_says_what_is_wrong(
    course: dict[str, Exercise], capsys: pytest.CaptureFixture[str]
) -> None:
    exercise = course["5.1"]
    solved = exercise.solution.read_text()
    exercise.file.write_text(solved.replace("-lr * mean", "-lr * mean * 1.5"))
    assert grade() == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"of {exercise.points}" in lines[0]
    assert "first: the change of step 1" in lines[0]
    assert lines[1].endswith("not written")
    assert lines[-1].split()[0] == "all"
