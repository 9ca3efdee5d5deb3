"""A clone of a few chapters' exercises, all unwritten."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.course import clone
from groundup.course.authoring.stubs import stub_text
from groundup.course.catalogue import Exercise, catalogue


@pytest.fixture
def unwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Exercise]]:
    """Make the clone of some folders of exercises, and have the commands work on it."""

    def make(*folders: str) -> dict[str, Exercise]:
        here, root = clone.root(), tmp_path / "clone"
        root.mkdir()
        for name in ("lib", "chapters", "pyproject.toml"):
            (root / name).symlink_to(here / name)
        for top in ("exercises", "solutions"):
            for folder in folders:
                shutil.copytree(here / top / folder, root / top / folder)
        found = {each.id: each for each in catalogue(root)}
        for each in found.values():
            each.file.write_text(stub_text(each))
        monkeypatch.setattr(clone, "root", lambda: root)
        return found

    return make
