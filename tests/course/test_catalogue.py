"""The catalogue: entries that are wrong are named, and selections find their exercises."""

from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.course import clone
from groundup.course.catalogue import catalogue
from groundup.course.learn.check import check
from groundup.course.naming import select
from groundup.lab.errors import UserError

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('id = "1.1"', 'id = "one"', "chapter and number"),
        ('id = "1.1"', 'id = "2.1"', "folder named ch02"),
        ('name = "toy"', 'name = "A Toy"', "lower-case"),
        ('title = "A toy"', "", "title is missing"),
        ('title = "A toy"', "title = 3", "title must be a str"),
        ('title = "A toy"', 'title = "A toy"\ncolour = "red"', "colour is not known"),
        ("points = 3", "points = 0", "points must be positive"),
        ("points = 3", "points = true", "points must be a int"),
        ('"one", "two", "three"', '"one"', "hints must be 3: got 1"),
        ('"one", "two", "three"', '"one", "two", ""', "hints must hold text"),
        ('targets = ["groundup.toy.things:f"]', "targets = []", "targets must name a function"),
        ("groundup.toy.things:f", "groundup.toy.things.f", r"groundup\.module:function"),
        ("requires = []", 'requires = ["7.7"]', "requires 7.7"),
        ("[[exercise]]", "[exercise]", "tables and nothing else"),
        ("[[exercise]]", "[[exercise", "exercise.toml"),
    ],
)
def test_wrong_entry_is_named(toy_clone: Write, old: str, new: str, reason: str) -> None:
    root = toy_clone("", "f")
    path = root / "exercises/ch01_toys/exercise.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=reason) as caught:
        catalogue(root)
    assert "exercise" in str(caught.value)


def test_id_that_stands_twice_is_named(toy_clone: Write) -> None:
    root = toy_clone("", "f")
    path = root / "exercises/ch01_toys/exercise.toml"
    path.write_text(path.read_text() * 2)
    with pytest.raises(UserError, match=r"1\.1 stands twice"):
        catalogue(root)


def test_selection() -> None:
    exercises = catalogue(clone.root())
    assert [each.id for each in select(exercises, "5.1")] == ["5.1"]
    for chapter in ("5", "05", "ch05", "ch05_training"):
        assert [each.id for each in select(exercises, chapter)] == [f"5.{n}" for n in range(1, 8)]
    with pytest.raises(UserError, match=r"'5\.9'.*5\.1 \(Adam\)"):
        select(exercises, "5.9")
    with pytest.raises(UserError, match="no exercise"):
        check("nonsense")


def test_catalogue_is_in_the_order_of_the_course() -> None:
    ids = [tuple(map(int, each.id.split("."))) for each in catalogue(clone.root())]
    assert ids == sorted(ids)


def test_outside_a_clone_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("groundup.__file__", str(tmp_path / "site/groundup/__init__.py"))
    with pytest.raises(UserError, match="needs the repository"):
        check()


def test_clone_around_the_working_folder_is_found(
    toy_clone: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = toy_clone("", "f")
    monkeypatch.setattr("groundup.__file__", "/nowhere/lib/groundup/__init__.py")
    monkeypatch.chdir(root / "exercises/ch01_toys")
    assert clone.root() == root
