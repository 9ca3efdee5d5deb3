"""What a chapter depends on: the key of its cached page changes with it, and with nothing else."""

from pathlib import Path

import pytest

from groundup.course.chapters.dependencies import fingerprint, library_modules, named_files

ROOT = Path(__file__).resolve().parents[3]
CHAPTERS = ROOT / "chapters"
FILES = {
    "groundup/__init__.py": "",
    "groundup/scratch/__init__.py": "",
    "groundup/scratch/attention.py": "from .linear import linear\n",
    "groundup/scratch/linear.py": "def linear():\n    from ..lab import seed\n",
    "groundup/scratch/unrelated.py": "",
    "groundup/lab/__init__.py": "",
    "groundup/lab/seed.py": "",
    "groundup/lab/other.py": "",
    "groundup/lazy/__init__.py": "if TYPE_CHECKING:\n"
    "    from groundup.lazy.late import Late\n"
    "    from groundup.lazy.later import Later, last\n"
    "else:\n    __getattr__, __dir__ = attach(__name__)\n",
    "groundup/lazy/early.py": "",
    "groundup/lazy/late.py": "from .early import early\n"
    "if TYPE_CHECKING:\n    import groundup.cli\n",
    "groundup/lazy/later.py": "",
    "groundup/cli.py": "import groundup.lab.other\n",
}
LAZY = (".lazy", ".lazy.late", ".lazy.early", ".lazy.later")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("import numpy", set()),
        (
            "from groundup.scratch.attention import attention",
            {"", ".scratch", ".scratch.attention", ".scratch.linear", ".lab", ".lab.seed"},
        ),
        ("from groundup.lab import seed", {"", ".lab", ".lab.seed"}),
        ("def f():\n    import groundup.lab.seed as s", {"", ".lab", ".lab.seed"}),
        ("# ::: source groundup.lab.seed:seed", {"", ".lab", ".lab.seed"}),
        ("import groundup.lazy.early", {"", ".lazy", ".lazy.early"}),
        (
            "from groundup.lazy import Late, late, absent",
            {"", ".lazy", ".lazy.late", ".lazy.early"},
        ),
        ("from groundup.lazy import last", {"", ".lazy", ".lazy.later"}),
        ("from groundup.lazy import *", {"", *LAZY}),
        ("import groundup.lazy", {"", *LAZY}),
        ("from groundup import lazy", {"", *LAZY}),
        ("run(['python', '-m', 'groundup.lazy'])", {"", *LAZY}),
        ("run(['python', '-m', 'groundup.cli'])", {"", ".cli", ".lab", ".lab.other"}),
        ("from groundup import nothing_here", {""}),
    ],
)
def test_modules_are_found_at_any_depth(library: Path, source: str, wanted: set[str]) -> None:
    assert set(library_modules(source, library)) == {f"groundup{name}" for name in wanted}


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ("groundup/scratch/attention.py", True),
        ("groundup/scratch/linear.py", True),
        ("groundup/lab/seed.py", True),
        ("groundup/scratch/__init__.py", True),
        ("groundup/scratch/unrelated.py", False),
        ("groundup/lab/other.py", False),
        ("groundup/cli.py", False),
    ],
)
def test_the_key_follows_the_modules_imported(library: Path, changed: str, matters: bool) -> None:
    source = "from groundup.scratch.attention import attention"
    before = fingerprint(source, library)
    path = library / changed
    path.write_text(path.read_text() + "# changed\n")
    assert (fingerprint(source, library) != before) == matters


def test_the_key_follows_the_text_and_the_files_it_names(library: Path) -> None:
    data = library / "data.json"
    data.write_text("1")
    source = "open(root / 'data.json'); open('/etc/hostname'); 'absent.json'"
    assert named_files(source, library) == [data]
    before = fingerprint(source, library, [data])
    assert fingerprint(source + " ", library, [data]) != before
    data.write_text("2")
    assert fingerprint(source, library, [data]) != before


@pytest.mark.parametrize("page", sorted(CHAPTERS.glob("0[1-7]_*.py")), ids=lambda page: page.stem)
def test_a_chapter_of_numpy_depends_on_no_room_of_torch(page: Path) -> None:
    found = library_modules(page.read_text(encoding="utf-8"), ROOT / "lib")
    rooms = {module.split(".")[1] for module in found if "." in module}
    assert rooms <= {"course", "lab", "scratch"}
