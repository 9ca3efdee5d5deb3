"""The page that makes an exercise from nothing: its blocks are that exercise, and it is proved."""

import re
import shutil
from pathlib import Path

import pytest

from groundup.course import clone
from groundup.course.authoring.stubs import build
from groundup.course.catalogue import catalogue
from groundup.course.exercises.mutation_report import as_text, mutation_report
from groundup.course.naming import select

PAGE = clone.root() / "docs/teach/own_exercise.md"
BLOCK = re.compile(r'^```\w+ title="(?P<path>[^"]+)"\n(?P<text>.*?)^```', re.MULTILINE | re.DOTALL)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A clone with the library's scratch room, and the files of the page."""
    (tmp_path / "pyproject.toml").touch()
    scratch = clone.root() / "lib/groundup/scratch"
    shutil.copytree(scratch, tmp_path / "lib/groundup/scratch")
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        path = tmp_path / block["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block["text"], encoding="utf-8")
    return tmp_path


def test_the_exercise_of_the_page_is_proved(root: Path) -> None:
    written = build(root, say=lambda _: None)
    assert [path.name for path in written] == ["ex_91_1_relu.py"] * 2
    (exercise,) = select(catalogue(root), "91.1")
    found = mutation_report(exercise)
    assert found.faults == []
    assert len(found.mutants) >= 5
    assert sum(check.points for check in found.checks) == exercise.points
    assert f"```text\n{as_text(found)}```" in PAGE.read_text(encoding="utf-8")
    assert exercise.explanation.read_text(encoding="utf-8").startswith("# 91.1 ")
