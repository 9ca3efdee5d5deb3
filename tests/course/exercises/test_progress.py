"""The progress file: the best result stays, two terminals lose nothing, damage is set aside."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from groundup.course.catalogue import Exercise
from groundup.course.exercises import progress
from groundup.course.exercises.checks import Check, Layer
from groundup.course.exercises.progress import ExerciseProgress
from groundup.course.exercises.results import Result
from groundup.course.exercises.runner import Outcome, Verdict

TOY = '''
    def f(x):
        """Doc."""
        return 2 * x
'''


@pytest.fixture
def exercise(toy_exercise: Callable[..., Exercise]) -> Exercise:
    return toy_exercise(TOY)


def write(exercise: Exercise, text: str) -> None:
    exercise.file.write_text(text)


def result(exercise: Exercise, *verdicts: Verdict) -> Result:
    """Checks a, b, c of one point each that ended like this."""
    checks = [Check(name, name, Layer.EXAMPLE, 1, lambda own: None) for name in "abc"]
    pairs = zip(checks, verdicts, strict=False)
    return Result(exercise, [Outcome(check, verdict) for check, verdict in pairs])


P, F = Verdict.PASSED, Verdict.FAILED


def test_best_result_stays_and_later_versions_are_told_apart(exercise: Exercise) -> None:
    write(exercise, "first")
    progress.record([result(exercise, P, P, F)])
    best = progress.file_hash(exercise)
    write(exercise, "second")
    progress.record([result(exercise, P, F)])
    kept = progress.load(exercise.root)["1.1"]
    assert (kept.points, kept.of, kept.passed) == (2, 3, ["a", "b"])
    assert kept.best == best
    assert kept.checked == progress.file_hash(exercise) != best
    assert kept.attempts == 2
    assert kept.solved is None


def test_solved_is_dated_once_and_a_broken_version_does_not_undo_it(
    exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "now", lambda: "2030-01-01T00:00:00+00:00")
    write(exercise, "right")
    progress.record([result(exercise, P, P, P)])
    monkeypatch.setattr(progress, "now", lambda: "2031-01-01T00:00:00+00:00")
    progress.record([result(exercise, P, P, P)])
    write(exercise, "broken")
    progress.record([Result(exercise, unusable="a syntax error")])
    kept = progress.load(exercise.root)["1.1"]
    assert kept.solved == "2030-01-01T00:00:00+00:00"
    assert (kept.points, kept.attempts) == (3, 2)


def test_the_same_version_is_one_attempt(exercise: Exercise) -> None:
    write(exercise, "first")
    for _ in range(3):
        progress.record([result(exercise, P, F)])
    assert progress.load(exercise.root)["1.1"].attempts == 1


def test_untouched_stub_leaves_no_trace(exercise: Exercise) -> None:
    progress.record([result(exercise, Verdict.NOT_WRITTEN)])
    assert not progress.path(exercise.root).exists()
    exercise.file.unlink()
    progress.record([Result(exercise, unusable="There is no file.")])
    assert not progress.path(exercise.root).exists()


def test_help_counts_until_it_is_solved() -> None:
    early, late = "2030-01-01T00:00:00+00:00", "2030-01-02T00:00:00+00:00"
    assert ExerciseProgress(solution_seen=early).helped
    assert ExerciseProgress(solution_seen=early, solved=late).helped
    assert not ExerciseProgress(solution_seen=late, solved=early).helped
    assert not ExerciseProgress(solved=early).helped


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"version": 99, "exercises": {}}',
        b'{"version": 1, "exercises": []}',
        b'{"version": 1, "exercises": {"1.1": 3}}',
        b'{"version": 1, "exercises": {"1.1": {"marks": 3}}}',
        b'{"version": 1, "exercises": {"1.1": {"points": "three"}}}',
        b'{"version": 1, "exercises": {"1.1": {"solved": 7}}}',
        b"[" * 100_000,
    ],
)
def test_damaged_file_is_set_aside_and_a_new_one_begun(exercise: Exercise, content: bytes) -> None:
    file = progress.path(exercise.root)
    file.write_bytes(content)
    said: list[str] = []
    write(exercise, "first")
    progress.record([result(exercise, P, F)], said.append)
    (aside,) = file.parent.glob("progress.damaged-*.json")
    assert aside.read_bytes() == content
    assert len(said) == 1
    assert aside.name in said[0]
    assert progress.load(exercise.root)["1.1"].points == 1


def test_reading_sets_damage_aside_too(exercise: Exercise) -> None:
    progress.path(exercise.root).write_text("{")
    said: list[str] = []
    assert progress.load(exercise.root, said.append) == {}
    assert len(said) == 1
    assert progress.load(exercise.root, said.append) == {}
    assert len(said) == 1


def test_exercises_of_another_version_of_the_course_are_kept(exercise: Exercise) -> None:
    with progress.changing(exercise.root) as records:
        records["9.9"] = ExerciseProgress(points=5)
    write(exercise, "first")
    progress.record([result(exercise, P)])
    assert progress.load(exercise.root)["9.9"].points == 5


def test_an_error_while_changing_writes_nothing(exercise: Exercise) -> None:
    def fail() -> None:
        with progress.changing(exercise.root) as records:
            records["1.1"] = ExerciseProgress(points=5)
            raise ValueError("in between")

    with pytest.raises(ValueError, match="in between"):
        fail()
    assert progress.load(exercise.root) == {}


def test_file_that_cannot_be_written_is_said_and_no_error(exercise: Exercise) -> None:
    # A directory in the file's place: root, who runs tests in containers, may write anywhere.
    progress.path(exercise.root).mkdir()
    write(exercise, "first")
    said: list[str] = []
    progress.record([result(exercise, P)], said.append)
    assert "progress is not kept" in said[0]
    assert "progress.json" in said[0]


COUNT_UP = """
import sys
from pathlib import Path
from groundup.course.exercises import progress
for _ in range(50):
    with progress.changing(Path(sys.argv[1])) as records:
        records.setdefault("1.1", progress.ExerciseProgress()).attempts += 1
"""


def test_processes_at_the_same_time_lose_nothing(exercise: Exercise) -> None:
    command = [sys.executable, "-c", COUNT_UP, str(exercise.root)]
    workers = [subprocess.Popen(command) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert progress.load(exercise.root)["1.1"].attempts == 150


def test_file_is_readable_json(exercise: Exercise) -> None:
    write(exercise, "first")
    progress.record([result(exercise, P, F)])
    data = json.loads(progress.path(exercise.root).read_text())
    assert data["version"] == progress.VERSION
    assert data["exercises"]["1.1"]["passed"] == ["a"]
