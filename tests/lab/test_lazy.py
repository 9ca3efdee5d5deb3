"""A package's names, each loaded with its module when it is first used."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = """
from typing import TYPE_CHECKING

from groundup.lab.lazy import attach

__all__ = ["Tree", "plant"]

if TYPE_CHECKING:
    from garden.trees import Tree, plant
else:
    __getattr__, __dir__ = attach(__name__)
"""
TREES = """
class Tree: ...
def plant(): return Tree()
"""


@pytest.mark.parametrize(
    "program",
    [
        "import garden, sys; assert 'garden.trees' not in sys.modules",
        "from garden import Tree; import garden.trees; assert Tree is garden.trees.Tree",
        "from garden import *; assert isinstance(plant(), Tree)",
        "import garden; assert {'Tree', 'plant', '__all__'} <= set(dir(garden))",
        "import garden; assert not hasattr(garden, 'weed') and not hasattr(garden, 'trees')",
        "from garden import trees; assert trees.__name__ == 'garden.trees'",
        # A function that is replaced in its module is replaced for those who ask the package.
        "import garden, garden.trees as t; garden.plant; t.plant = 1; assert garden.plant == 1",
    ],
)
def test_names_are_loaded_on_first_use(tmp_path: Path, program: str) -> None:
    (tmp_path / "garden").mkdir()
    (tmp_path / "garden" / "__init__.py").write_text(PACKAGE)
    (tmp_path / "garden" / "trees.py").write_text(TREES)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_an_unknown_name_is_refused_as_by_any_module() -> None:
    program = "from groundup.lab.lazy import attach\nattach('groundup.lab')[0]('weed')"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "AttributeError: module 'groundup.lab' has no attribute 'weed'" in run.stderr
