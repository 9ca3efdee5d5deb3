"""A small clone, whose library is a file of the test's own."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ENTRY = """
[[exercise]]
id = "1.1"
name = "toy"
title = "A toy"
targets = [{targets}]
points = 3
read = "a book"
requires = []
forbidden = ["math"]
hints = ["one", "two", "three"]
"""


@pytest.fixture
def toy_clone(tmp_path: Path) -> Callable[..., Path]:
    """Write a clone with one exercise; call it with the module's text and the targets' names."""

    def write(text: str, *symbols: str) -> Path:
        module = tmp_path / "lib" / "groundup" / "toy" / "things.py"
        folder = tmp_path / "exercises" / "ch01_toys"
        for directory in (module.parent, folder, tmp_path / "chapters"):
            directory.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pyproject.toml").touch()
        module.write_text(textwrap.dedent(text), encoding="utf-8")
        targets = ", ".join(f'"groundup.toy.things:{symbol}"' for symbol in symbols)
        (folder / "exercise.toml").write_text(ENTRY.format(targets=targets), encoding="utf-8")
        return tmp_path

    return write
