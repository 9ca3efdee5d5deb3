"""The learner's editor: which one, with what arguments, and what is said if there is none."""

import os
from pathlib import Path

import pytest

from groundup.course.learn.editor import Editor
from groundup.lab.errors import UserError, WorkError


@pytest.fixture(autouse=True)
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that notes how it was called, in a folder with a space."""
    program = tmp_path / "my tools" / "note"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/called"\nexit ${{CODE:-0}}\n')
    program.chmod(0o755)
    for name in ("VISUAL", "EDITOR", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return program


def test_it_gets_its_arguments_and_the_file(
    editor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", f"'{editor}' --wait -c 'set nu'")
    Editor.of_learner().open(tmp_path / "a file.py")
    called = (tmp_path / "called").read_text().splitlines()
    assert called == ["--wait", "-c", "set nu", str(tmp_path / "a file.py")]


def test_visual_comes_before_editor_and_an_empty_one_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDITOR", "note e")
    monkeypatch.setenv("VISUAL", "note v")
    assert Editor.of_learner().words == ("note", "v")
    monkeypatch.setenv("VISUAL", " ")
    assert Editor.of_learner().words == ("note", "e")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "export EDITOR="),
        ("no-such-editor --wait", r"no program no-such-editor, which \$EDITOR names"),
        ("note 'unclosed", r"\$EDITOR can't be read as a command"),
    ],
)
def test_none_is_one_line(monkeypatch: pytest.MonkeyPatch, value: str | None, words: str) -> None:
    if value is not None:
        monkeypatch.setenv("EDITOR", value)
    with pytest.raises(UserError, match=words) as error:
        Editor.of_learner()
    assert "\n" not in str(error.value)


def test_one_that_fails_is_named(
    editor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "note")
    monkeypatch.setenv("CODE", "3")
    with pytest.raises(WorkError, match="the editor note ended with code 3"):
        Editor.of_learner().open(tmp_path / "file.py")


@pytest.mark.parametrize(
    ("words", "display", "inside"),
    [
        ("vim", "", True),
        ("/usr/bin/nano -w", "", True),
        ("code --wait", ":0", False),
        ("my-editor", "", False),
        ("emacs", ":0", False),
        ("emacs", "", True),
        ("emacs -nw", ":0", True),
        ("emacsclient -t", ":0", True),
    ],
)
def test_which_ones_take_the_terminal(
    monkeypatch: pytest.MonkeyPatch, words: str, display: str, inside: bool
) -> None:
    monkeypatch.setenv("DISPLAY", display)
    assert Editor(tuple(words.split())).in_terminal is inside
