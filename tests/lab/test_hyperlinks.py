"""Paths that are links in a terminal, and plain text elsewhere."""

import io
from pathlib import Path

import pytest
from rich.text import Text

from groundup.course import clone
from groundup.lab import hyperlinks
from groundup.lab.console import Terminal

STUB = "exercises/ch05_training/ex_5_1_adam.py"
URI = (clone.root() / STUB).as_uri()


def shown(monkeypatch: pytest.MonkeyPatch, text: str, terminal: bool = True) -> str:
    file = io.StringIO()
    console = Terminal(file=file, force_terminal=terminal or None, width=120)
    monkeypatch.setattr(hyperlinks, "console", console)
    console.print(hyperlinks.link_paths(Text(text), clone.root()), soft_wrap=True)
    return file.getvalue()


@pytest.fixture(autouse=True)
def _xterm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (f"  open  {STUB}, and write the body of adam", URI),
        (f"Start at {STUB}, line 14.", f"{URI}#14"),
        (f"  Your code: {STUB}", URI),
        ("ex_5_1_adam.py, line 3: TypeError", f"{URI}#3"),
        ("ex_5_1_adam.py:3: note", f"{URI}#3"),
        (f"Kept in {clone.root() / STUB}", URI),
        (
            "read  chapters/05_training.py, line 9: X",
            f"{clone.root().as_uri()}/chapters/05_training.py#9",
        ),
    ],
)
def test_a_path_is_a_link_with_its_line(
    monkeypatch: pytest.MonkeyPatch, text: str, uri: str
) -> None:
    out = shown(monkeypatch, text)
    assert f";{uri}\x1b\\" in out  # ESC ] 8 ; id ; URI ST
    assert out.count("\x1b]8;") == 2, "it begins and ends once"


def test_a_path_from_here_is_a_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/a model.txt").touch()
    (tmp_path / "runs/model.safetensors").touch()
    uri = (tmp_path / "runs/model.safetensors").as_uri()
    assert uri in shown(monkeypatch, "Kept in runs/model.safetensors")


@pytest.mark.parametrize(
    "text", ["exercises/ch05_training/none.py", "1/2", "and/or", "http://a/b.c"]
)
def test_what_is_no_file_is_no_link(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert shown(monkeypatch, text) == f"{text}\n"


@pytest.mark.parametrize("name", ["dumb", "unknown", "linux"])
def test_a_terminal_without_links_shows_the_text(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("TERM", name)
    assert shown(monkeypatch, STUB) == f"{STUB}\n"


def test_a_pipe_gets_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, STUB, terminal=False) == f"{STUB}\n"


def test_links_do_not_depend_on_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert URI in shown(monkeypatch, STUB)
