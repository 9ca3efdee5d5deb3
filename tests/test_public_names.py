"""The public face of the library: what each room exports, lists in its reference, and costs."""

import re
import subprocess
import sys
from importlib import import_module, metadata
from inspect import isclass, isfunction
from pathlib import Path

import pytest

import groundup
from groundup.course import clone
from groundup.course.chapters.navigation import reference_pages
from groundup.lab.lazy import exports

LIBRARY = clone.root() / "lib"
ROOMS = sorted(
    path.parent.name
    for path in (LIBRARY / "groundup").glob("*/__init__.py")
    if exports(path.read_text("utf-8"))
)
# Prints the modules that an import loaded besides this library's, and its processor time.
MEASURE = """
import sys, time
start = time.process_time()
import groundup, {modules}
print(time.process_time() - start)
print(*sorted({{"torch", "transformers", "numpy", "accelerate", "rich"}} & set(sys.modules)))
"""


def test_the_rooms_of_torch_export_names() -> None:
    assert {"data", "diagnose", "embed", "neobert", "parity", "train"} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_exported_names_are_those_of_the_reference_page(room: str) -> None:
    module = import_module(f"groundup.{room}")
    page = reference_pages(LIBRARY)[f"reference/{room}/index.md"]
    linked = dict(re.findall(r"^- \[`(\w+)`\]\[groundup\.([\w.]+)\]$", page, re.MULTILINE))
    assert sorted(module.__all__) == sorted(linked)
    for name, target in linked.items():
        home, _, defined = target.rpartition(".")
        value = getattr(module, name)
        assert value is getattr(import_module(f"groundup.{home}"), defined)
        if isclass(value) or isfunction(value):  # documented on the page that is linked
            assert value.__module__ == f"groundup.{home}"
        assert f"reference/{home.replace('.', '/')}.md" in reference_pages(LIBRARY)


@pytest.mark.parametrize("room", ROOMS)
def test_no_exported_name_hides_a_module(room: str) -> None:
    """Else what a reader gets would depend on what was imported before."""
    modules = {path.stem for path in (LIBRARY / "groundup" / room).iterdir()}
    assert modules.isdisjoint(import_module(f"groundup.{room}").__all__)


def test_importing_rooms_loads_nothing_heavy_and_is_quick() -> None:
    rooms = {*ROOMS, "apps", "course", "lab", "scratch"}
    program = MEASURE.format(modules=", ".join(f"groundup.{room}" for room in sorted(rooms)))
    command = [sys.executable, "-c", program]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
    seconds, loaded = zip(*(run.stdout.split("\n")[:2] for run in runs), strict=True)
    assert set(loaded) == {""}
    assert min(map(float, seconds)) < 0.2  # all rooms together


def test_version_and_types_are_there() -> None:
    assert groundup.__version__ == metadata.version("groundup")
    assert Path(groundup.__file__).with_name("py.typed").is_file()
    changelog = (clone.root() / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)[:2] == [
        "Unreleased",
        groundup.__version__,
    ]
