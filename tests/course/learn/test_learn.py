"""What a learner is shown: where to begin, what comes next, hints, solutions, a fresh stub."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from groundup.course.authoring.stubs import build, stub_text
from groundup.course.catalogue import Exercise
from groundup.course.exercises import progress
from groundup.course.learn import guide, hints
from groundup.course.learn.check import check
from groundup.course.learn.state import exercise_states, next_exercise, reading
from groundup.lab.errors import UserError

Course = dict[str, Exercise]


@pytest.fixture
def course(unwritten: Callable[..., Course]) -> Course:
    """A clone with the exercises of two chapters; one of them requires 5.2."""
    return unwritten("ch05_training", "ch19_contrastive")


def solve(exercise: Exercise) -> None:
    shutil.copy(exercise.solution, exercise.file)


def spoil(exercise: Exercise) -> None:
    """Write something that is wrong."""
    exercise.file.write_text(
        exercise.file.read_text().replace("raise NotImplementedError", "return str")
    )


def following(course: Course) -> str:
    found = next_exercise(exercise_states(course["5.1"].root))
    return found.exercise.id if found else ""


def test_a_newcomer_is_told_what_to_read_open_and_run(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guide.start() == 0
    text = capsys.readouterr().out
    assert "transformer in NumPy" in text
    chapter = (course["5.1"].root / "chapters/05_training.py").read_text().splitlines()
    (line,) = (
        n for n, each in enumerate(chapter, 1) if each.endswith("# Three steps with a pencil")
    )
    assert f"read  chapters/05_training.py, line {line}: Three steps with a pencil" in text
    assert "open  exercises/ch05_training/ex_5_1_adam.py, and write the body of adam" in text
    assert "groundup watch 5.1" in text
    assert "groundup hint 5.1" in text
    assert "All packages that it needs are installed." in text


def test_missing_package_is_told_before_the_work(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    text = course["5.1"].checks.read_text()
    course["5.1"].checks.write_text(f"import not_a_package\n{text}")
    guide.start()
    text = capsys.readouterr().out
    assert "not_a_package" in text
    assert "pip install" in text


def test_next_is_begun_first_then_in_order_and_after_what_it_requires(course: Course) -> None:
    assert following(course) == "5.1"
    spoil(course["19.1"])  # requires 5.2, so it does not come first though it is begun
    assert following(course) == "5.1"
    spoil(course["5.2"])
    assert following(course) == "5.2"
    solve(course["5.2"])
    check("5.2")
    assert following(course) == "19.1"
    for exercise in course.values():
        solve(exercise)
    assert check() == 0
    assert following(course) == ""


def test_source_that_is_no_chapter_is_named_as_it_stands(course: Course) -> None:
    outside = Exercise(**{**vars(course["5.1"]), "read": "Kingma and Ba (2014): section 2"})
    assert reading(outside) == "Kingma and Ba (2014): section 2"


def test_check_prints_records_and_leads_on(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("5.1") == 1
    assert "not written yet" in capsys.readouterr().out
    spoil(course["5.1"])
    assert check("5.1") == 1
    text = capsys.readouterr().out
    assert "failed" in text
    assert "groundup hint 5.1         if you are stuck: hint 1 of 3" in text
    solve(course["5.1"])
    assert check("5.1") == 0
    text = capsys.readouterr().out
    points = course["5.1"].points
    assert f"Points: {points} of {points}" in text
    assert "groundup chapter 5 --mine 5.1" in text
    assert "groundup solution 5.1" in text
    assert "groundup watch 5.2" in text
    kept = progress.load(course["5.1"].root)["5.1"]
    assert kept.solved
    assert kept.attempts == 2


def test_check_of_everything_is_brief_on_what_is_not_begun(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check() == 1
    assert "groundup start" in capsys.readouterr().out
    solve(course["5.1"])
    assert check() == 1
    text = capsys.readouterr().out
    others = ", ".join(name for name in course if name != "5.1")
    assert f"Not written yet: {others}." in text
    total = sum(each.points for each in course.values())
    assert f"Points: {course['5.1'].points} of {total}" in text
    assert "\x1b" not in text


def test_hints_come_one_by_one_the_earlier_ones_above(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise = course["5.1"]
    for given in (1, 2, 3, 3):
        assert hints.hint("5.1") == 0
        text = capsys.readouterr().out
        shown = [f"Hint {n} of 3\n{hint}\n" for n, hint in enumerate(exercise.hints, 1)]
        assert [each in text for each in shown] == [n <= given for n in (1, 2, 3)]
        assert ("groundup solution 5.1" in text) == (given == 3)
        assert progress.load(exercise.root)["5.1"].hints == given
    with pytest.raises(UserError, match=r"5 is a chapter.*5\.1 \(Adam\)"):
        hints.hint("5")


def test_unsolved_solution_is_not_shown_unasked(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="--yes"):
        hints.solution("5.1")
    assert capsys.readouterr().out == ""
    assert not progress.path(course["5.1"].root).exists()


@pytest.mark.parametrize(("answer", "shown"), [("y", True), ("", False), ("no", False)])
def test_terminal_is_asked(
    course: Course, monkeypatch: pytest.MonkeyPatch, answer: str, shown: bool
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(hints.console, "_force_terminal", True)
    monkeypatch.setattr("builtins.input", lambda prompt: asked.append(prompt) or answer)
    assert hints.solution("5.1") == 0
    assert "not solved yet (0 of 3 hints given)" in asked[0]
    records = progress.load(course["5.1"].root)
    assert ("5.1" in records and records["5.1"].solution_seen is not None) == shown


def test_solution_in_a_pipe_is_code_then_explanation(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    solve(course["5.1"])
    check("5.1")
    capsys.readouterr()
    assert hints.solution("5.1") == 0
    text = capsys.readouterr().out
    assert text.startswith('"""Exercise 5.1')
    assert text.index("return -lr * mean") < text.index("# 5.1 Adam, worked")
    assert "Δ = −lr m̂/(√v̂ + ε)" in text
    assert "too small by 1−βˢᵗᵉᵖ" in text
    assert "groundup watch 5.2" in text
    kept = progress.load(course["5.1"].root)["5.1"]
    assert kept.solution_seen
    assert not kept.helped


@pytest.mark.parametrize("width", [80, 160])
def test_solution_in_a_terminal_fits_it(
    course: Course, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setattr(hints.console, "_width", width)
    monkeypatch.setattr(hints.console, "_force_terminal", True)
    monkeypatch.setattr(hints.console, "_color_system", None)
    hints.solution("5.1", yes=True)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= width
    beside = [line for line in lines if "import numpy as np" in line and "▌" not in line]
    together = [line for line in lines if "def adam(" in line and len(line.strip()) > 60]
    assert beside
    assert bool(together) == (width == 160)


def test_reset_keeps_a_copy_and_the_points(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise = course["5.1"]
    assert hints.reset("5.1") == 0
    assert "nothing to reset" in capsys.readouterr().out
    solve(exercise)
    check("5.1")
    written = exercise.file.read_text()
    capsys.readouterr()
    assert hints.reset("5.1") == 0
    (copy,) = exercise.file.parent.glob("*.bak-*")
    assert copy.read_text() == written
    assert copy.name in capsys.readouterr().out
    assert exercise.file.read_text() == stub_text(exercise)
    assert progress.load(exercise.root)["5.1"].points == exercise.points
    exercise.file.unlink()
    assert hints.reset("5.1") == 0
    assert exercise.file.read_text() == stub_text(exercise)


def test_reset_takes_several_or_all(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    def changed() -> list[str]:
        return [n for n, each in course.items() if each.file.read_text() != stub_text(each)]

    for name in ("5.1", "5.3", "19.2"):
        spoil(course[name])
    with pytest.raises(UserError, match=r"'5\.99'"):
        hints.reset("5.1", "5.99")
    for wrong in (lambda: hints.reset(), lambda: hints.reset("5.1", everything=True)):
        with pytest.raises(UserError, match=r"reset takes exercises, such as 5\.1, or --all"):
            wrong()
    assert changed() == ["5.1", "5.3", "19.2"], "a wrong call changes nothing"
    assert hints.reset("5.1", "adam", "clip_by_norm") == 0
    assert changed() == ["19.2"]
    spoil(course["5.4"])
    course["5.5"].file.unlink()
    capsys.readouterr()
    assert hints.reset(everything=True) == 0
    assert changed() == []
    out = capsys.readouterr().out
    assert out.count("Kept: ") == 2
    assert out.count("Fresh: ") == 3
    root = course["5.1"].root
    assert len(list(root.glob("exercises/*/*.bak-*"))) == 4, "one for each changed file"
    assert hints.reset(everything=True) == 0
    assert "nothing to reset" in capsys.readouterr().out


def test_a_stub_that_is_gone_has_one_remedy_everywhere(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise = course["5.1"]
    exercise.file.unlink()
    advice = f"There is no {exercise.file.relative_to(exercise.root)}. Run groundup reset 5.1"
    for command in (guide.start, check, lambda: check("5.1")):
        command()
        out, err = capsys.readouterr()
        assert advice in out.replace("\n", " "), out
        assert "course build" not in out + err
    assert hints.reset("5.1") == 0
    assert exercise.file.read_text() == stub_text(exercise)


def test_points_of_an_earlier_version_stay(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    """To begin the second function of a pair, wrongly, must not look like a loss."""
    exercise = course["5.2"]
    stub, solved = stub_text(exercise), exercise.solution.read_text()
    first = solved[: solved.index("def cross_entropy_backward")]
    second = stub[stub.index("def cross_entropy_backward") :]
    exercise.file.write_text(first + second)
    check("5.2")
    out = capsys.readouterr().out
    half = progress.load(exercise.root)["5.2"].points
    assert 0 < half < exercise.points
    assert f"Points: {half} of {exercise.points}" in out
    exercise.file.write_text(first + second.replace("raise NotImplementedError", "return str"))
    check("5.2")
    out = capsys.readouterr().out
    assert f"An earlier version reached {half} of {exercise.points} points: they stay" in out
    assert f"Points: {half} of {exercise.points}" in out
    guide.show_progress()
    (row,) = (line for line in capsys.readouterr().out.splitlines() if " 5.2   Cross" in line)
    assert f"{half} of {exercise.points}" in row


def test_a_place_that_keeps_nothing_still_teaches(
    course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder of somebody else's. Root may write anywhere, so the calls fail instead."""
    exercise = course["5.1"]

    def refuse(path: Path, content: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(progress, "write_json", refuse)
    (exercise.root / "exercises/.progress.lock").mkdir()  # so that no lock can be made either
    assert hints.hint("5.1") == 0
    out, err = capsys.readouterr()
    assert "Hint 1 of 3" in out
    assert err.startswith("progress is not kept: ")
    assert "Read-only file system" in err
    solve(exercise)
    for command, code in ((guide.start, 0), (guide.show_progress, 0), (lambda: check("5.1"), 0)):
        assert command() == code
    assert "solved" in capsys.readouterr().out


def test_map_shows_points_help_and_changes(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise = course["5.1"]
    hints.hint("5.1")
    hints.solution("5.1", yes=True)
    later = "2999-01-01T00:00:00+00:00"
    solve(exercise)
    check("5.1")
    with progress.changing(exercise.root) as records:
        records["5.1"].solved = later
    spoil(exercise)
    exercise.file.write_text(exercise.file.read_text() + "\n# broken since\n")
    capsys.readouterr()
    assert guide.show_progress() == 0
    lines = capsys.readouterr().out.splitlines()
    total = sum(each.points for each in course.values())
    chapter = sum(each.points for each in course.values() if each.id.startswith("5."))
    of = f"{exercise.points} of {exercise.points}"
    assert [*lines[0].split()[-3:]] == [str(exercise.points), "of", str(chapter)]
    (row,) = (line for line in lines if " 5.1 " in line)
    assert row.endswith(f"solved     {of}  1 hint, solution seen, changed since")
    (row,) = (line for line in lines if "> 5.2 " in line)
    assert row.endswith(f"0 of {course['5.2'].points}")
    assert not any(" 19.1 " in line for line in lines), "an untouched chapter is one line"
    assert any("19  Contrastive fine-tuning" in line for line in lines)
    assert f"1 of {len(course)} exercises solved, {exercise.points} of {total} points" in lines
    assert not any(line != line.rstrip() for line in lines)


def test_the_map_has_chapters_of_ones_own(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    root = course["5.1"].root
    entry = (root / "exercises/ch19_contrastive/exercise.toml").read_text().partition("\n\n")[0]
    own = root / "exercises/ch91_own"
    own.mkdir()
    (own / "exercise.toml").write_text(entry.replace('id = "19.1"', 'id = "91.1"'))
    build(root, say=lambda _: None)
    (own / "ex_91_1_info_nce.py").write_text("begun")
    guide.show_progress()
    lines = capsys.readouterr().out.splitlines()
    assert "More chapters" in "\n".join(lines)
    assert any("91.1  InfoNCE" in line for line in lines)


def test_whoever_has_no_groundup_in_the_shell_is_told(
    course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, told in (("/nowhere", True), (str(course["5.1"].root / "bin"), False)):
        if not told:
            tool = Path(path) / "groundup"
            tool.parent.mkdir()
            tool.touch(mode=0o755)
        monkeypatch.setenv("PATH", path)
        guide.start()
        assert ("source .venv/bin/activate" in capsys.readouterr().out) is told
