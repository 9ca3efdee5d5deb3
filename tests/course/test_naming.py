"""What people call an exercise, and what they are told when it names none or several."""

import shutil
from pathlib import Path

import pytest

from groundup.course import clone
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.learn.state import one
from groundup.course.mine.selection import choose_exercises
from groundup.course.naming import chapter_number, find, select
from groundup.lab.errors import UserError

EXERCISES = catalogue(clone.root())
ADAM = next(each for each in EXERCISES if each.id == "5.1")


def names(text: str) -> list[str]:
    return [each.id for each in select(EXERCISES, text)]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.id)
def test_each_is_found_by_number_name_title_and_files(exercise: Exercise) -> None:
    root = exercise.root
    for file in (exercise.file, exercise.checks, exercise.solution, exercise.explanation):
        where = file.relative_to(root)
        for text in (file, where, file.name, file.stem, f"{where}:12", f"{where}, line 12"):
            assert names(str(text)) == [exercise.id], text
        assert names(f"{file.as_uri()}#12") == [exercise.id]
    backup = exercise.file.with_name(f"{exercise.file.name}.bak-20250131-101500-000000")
    for text in (exercise.id, exercise.name, exercise.name.upper(), exercise.title, str(backup)):
        assert names(text) == [exercise.id], text
    assert names(exercise.name.replace("_", "-")) == [exercise.id]


def test_a_path_is_meant_from_here_or_from_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ADAM.file.parent)
    assert names("ex_5_1_adam.py") == names("./ex_5_1_adam.py") == ["5.1"]
    assert names("../ch05_training/test_5_1_adam.py") == ["5.1"]
    assert names("exercises/ch05_training/ex_5_1_adam.py") == ["5.1"]


def test_a_file_that_is_gone_still_has_its_name(tmp_path: Path) -> None:
    moved = [Exercise(**{**vars(each), "root": tmp_path}) for each in EXERCISES]
    assert find(moved, str(tmp_path / "exercises/ch05_training/ex_5_1_adam.py")) == moved[16]


def test_a_link_to_the_clone_is_the_clone(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ADAM.root)
    assert names(str(tmp_path / "link" / ADAM.file.relative_to(ADAM.root))) == ["5.1"]


def test_another_clone_s_file_is_not_taken_for_ours(tmp_path: Path) -> None:
    other = tmp_path / "exercises/ch05_training/ex_5_1_adam.py"
    other.parent.mkdir(parents=True)
    shutil.copy(ADAM.file, other)
    with pytest.raises(UserError, match=f"{other} is not of this clone.*{ADAM.file}"):
        names(str(other))


@pytest.mark.parametrize(
    "text",
    [
        *("5", "05", "ch5", "ch05", "Chapter 5", "ch05_training", "exercises/ch05_training/"),
        *("solutions/ch05_training", "chapters/05_training.py", "05_training.py"),
    ],
)
def test_chapters(text: str) -> None:
    assert names(text) == [f"5.{n}" for n in range(1, 8)]
    assert chapter_number("5") == chapter_number("chapters/05_training.py") == 5
    with pytest.raises(UserError, match=r"is a chapter: name one of its exercises: 5\.1 \(Adam\)"):
        one(ADAM.root, text)


@pytest.mark.parametrize(
    ("text", "exercise"),
    [
        ("clip", "5.3"),
        ("warm", "5.4"),
        ("layer_norm_backward", "2.3"),
        ("5_1", "5.1"),
        ("05.01", "5.1"),
    ],
)
def test_the_only_beginning_of_a_name_is_enough(text: str, exercise: str) -> None:
    assert names(text) == [exercise]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiled", r"'tiled' names 2 exercises: 10\.2 \(Attention in tiles\), 10\.3"),
        ("step", r"'step' names 2 exercises: 5\.7 .*, 7\.5"),
        ("linaer", r"'linaer'\. Did you mean 2\.1 \(A linear layer and its gradients\)\?"),
        ("atention", r"Did you mean 3\.1 "),
        ("5.99", r"Chapter 5 has 5\.1 \(Adam\), 5\.2 .*, 5\.7 "),
        ("99", r"'99'\. Give a number, such as 1\.1, .* chapter with exercises: 1 to 11, 19"),
        ("12.1", r"chapter with exercises: 1 to 11, 19"),
        ("", r"''\. Give a number"),
        ("../..", r"'\.\./\.\.'\. Give a number"),
        ("exercises/ch05_training/notes.py", "Give a number"),
    ],
)
def test_what_names_none_or_several_is_told_what_comes_near(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        names(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_mine_takes_names_and_paths_too() -> None:
    solved = [Exercise(**{**vars(e), "root": e.root, "folder": e.folder}) for e in EXERCISES]
    for text in ("adam", "exercises/ch05_training/ex_5_1_adam.py", "5.1"):
        with pytest.raises(UserError, match=r"exercise 5\.1 is not written yet"):
            choose_exercises(solved, text)
