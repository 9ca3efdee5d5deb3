"""Watching: which saves count. The whole command is tried in tests/cli/test_learn.py."""

import os
from pathlib import Path

import pytest

from groundup.course import clone
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.learn.watch import Watcher


@pytest.fixture
def exercises(tmp_path: Path) -> list[Exercise]:
    """Two exercises, whose files are in a folder of the test's own."""
    two = catalogue(clone.root())[:2]
    moved = [Exercise(**{**vars(each), "root": tmp_path}) for each in two]
    for each in moved:
        each.file.parent.mkdir(parents=True, exist_ok=True)
        each.file.write_text("old\n")
    return moved


def looks(watcher: Watcher, times: int = 3) -> list[str]:
    return [each.id for _ in range(times) for each in watcher.saved()]


def test_a_save_is_told_once(exercises: list[Exercise]) -> None:
    watcher = Watcher(exercises)
    assert looks(watcher) == []
    exercises[1].file.write_text("new text\n")
    assert looks(watcher) == [exercises[1].id]
    assert looks(watcher) == []


def test_a_file_that_is_replaced_counts(exercises: list[Exercise]) -> None:
    file = exercises[0].file
    watcher = Watcher(exercises)
    other = file.with_name("other")
    other.write_text(file.read_text())
    before = file.stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))  # the same but for the inode
    other.rename(file)
    assert looks(watcher) == [exercises[0].id]


def test_a_save_in_two_steps_is_told_when_it_is_whole(exercises: list[Exercise]) -> None:
    file = exercises[0].file
    watcher = Watcher(exercises)
    file.write_text("")
    assert looks(watcher, 1) == []
    file.write_text("all of it\n")
    assert looks(watcher, 1) == []
    assert looks(watcher, 1) == [exercises[0].id]


def test_a_file_that_goes_and_comes_back_is_told_when_it_is_there(
    exercises: list[Exercise],
) -> None:
    file = exercises[0].file
    watcher = Watcher(exercises)
    file.unlink()
    assert looks(watcher) == []
    file.write_text("back again\n")
    assert looks(watcher) == [exercises[0].id]
