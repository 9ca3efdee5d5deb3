"""The tested environment: what is pinned, what is declared, and what the installs use."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from groundup import cli

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LINES = [
    line
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
# Modules whose distribution has another name.
DISTRIBUTIONS = {"griffe": "griffelib", "sklearn": "scikit-learn", "IPython": "ipython"}
# Benchmarks compare with it where it happens to be installed.
OPTIONAL = {"jax"}


def pins() -> Any:
    spec = importlib.util.spec_from_file_location("pins", ROOT / ".ci/pins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def requirements(*extras: str) -> list[Requirement]:
    """What the project declares: the core, and the extras with those they include."""
    found = [Requirement(line) for line in PROJECT["dependencies"]]
    for extra in extras:
        for line in EXTRAS[extra]:
            one = Requirement(line)
            found += requirements(*one.extras) if one.name == "groundup" else [one]
    return found


def names(*extras: str) -> set[str]:
    return {canonicalize_name(one.name) for one in requirements(*extras)}


@cache
def imports(*folders: str) -> dict[str, set[str]]:
    """The distributions that the code of some folders imports, each with its files."""
    found: dict[str, set[str]] = {}
    scripts = ("benchmarks", "docs/build", "tests/helpers")
    own = {path.stem for folder in scripts for path in (ROOT / folder).glob("*.py")}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for top in {module.partition(".")[0] for module in modules}:
                if top not in {*sys.stdlib_module_names, *own, *OPTIONAL, "groundup"}:
                    name = canonicalize_name(DISTRIBUTIONS.get(top, top))
                    found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


def test_every_line_is_a_name_and_an_exact_version() -> None:
    for line in LINES:
        one = Requirement(line)
        assert one.url is None, line
        assert not one.extras, line
        assert re.fullmatch(r"==[^*,+]+", str(one.specifier)), line
    assert not re.search(r"://|\+cpu|--", "\n".join(LINES))


def test_a_second_line_of_a_package_is_for_another_machine() -> None:
    lines: dict[str, list[Requirement]] = {}
    for one in map(Requirement, LINES):
        lines.setdefault(canonicalize_name(one.name), []).append(one)
    for name, several in lines.items():
        for version in ("3.11.0", "3.11.4", "3.11.9", "3.12.8", "3.13.1", "3.14.0"):
            machine = {
                "python_full_version": version,
                "python_version": ".".join(version.split(".")[:2]),
            }
            here = [one for one in several if not one.marker or one.marker.evaluate(machine)]
            assert len(here) <= 1, (name, version)


def test_all_that_the_full_environment_needs_is_pinned() -> None:
    """Followed through what each installed package says of itself."""
    pinned, seen = set(pins().pins("\n".join(LINES))), set[str]()
    queue = requirements("embed", "docs", "dev")
    while queue:
        one = queue.pop()
        name = canonicalize_name(one.name)
        if (one.marker and not one.marker.evaluate()) or name == "groundup":
            continue
        assert name in pinned, name
        key = f"{name}[{','.join(sorted(one.extras))}]"
        if key in seen:
            continue
        seen.add(key)
        for line in _requires(name):
            inner = Requirement(line)
            chosen = [{"extra": extra} for extra in ("", *one.extras)]
            if inner.marker is None or any(inner.marker.evaluate(each) for each in chosen):
                inner.marker = None
                queue.append(inner)
    assert len(seen) > 100


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # declared since this environment was made
        return []


def test_the_pins_lie_in_the_declared_ranges() -> None:
    pinned = pins().pins("\n".join(LINES))
    for one in requirements(*(set(EXTRAS) - {"gpu"})):
        assert one.specifier.contains(pinned[canonicalize_name(one.name)]), str(one)
    caps = Requirement((ROOT / ".ci/caps.txt").read_text("utf-8").splitlines()[-1])
    assert caps.name == "torch"
    assert caps.specifier.contains(pinned["torch"])


@pytest.mark.parametrize("extra", EXTRAS)
def test_nothing_is_declared_twice(extra: str) -> None:
    lines = [Requirement(line) for line in EXTRAS[extra]]
    own = [canonicalize_name(one.name) for one in lines if one.name != "groundup"]
    assert len(own) == len(set(own))
    included = [name for one in lines if one.name == "groundup" for name in one.extras]
    assert not set(own) & names(*included)  # the core among them


def test_no_extra_is_another_under_a_second_name() -> None:
    contents = [frozenset(names(extra)) for extra in EXTRAS]
    assert len(set(contents)) == len(contents)


def test_what_the_library_imports_is_declared() -> None:
    declared = names(*(set(EXTRAS) - {"dev"}))
    missing = {k: v for k, v in imports("lib", "docs").items() if k not in declared}
    assert not missing


def test_what_the_chapters_and_tests_import_is_declared() -> None:
    folders = ("chapters", "exercises", "tests", "benchmarks", ".ci")
    declared = names(*EXTRAS)
    missing = {k: v for k, v in imports(*folders).items() if k not in declared}
    assert not missing


def test_a_missing_package_is_said_with_the_extra_that_brings_it() -> None:
    core = names()
    for package, files in imports("lib").items():
        if package in core or package in names("gpu") - names("torch"):
            continue
        said = {canonicalize_name(DISTRIBUTIONS.get(k, k)): v for k, v in cli.EXTRAS.items()}
        assert package in said, (package, files)
        assert package in names(said[package]), package


TEXTS = [
    path
    for path in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if path.endswith((".py", ".md", ".ipynb", ".yml", ".toml", ".txt", ".ci/run"))
    and not path.startswith("tests/")
]


def test_every_install_that_a_text_tells_of_uses_the_pins() -> None:
    wrong = []
    for path in TEXTS:
        for line in (ROOT / path).read_text("utf-8").splitlines():
            for call in re.findall(r"pip install ([^`#]*)", line):
                if "-c constraints.txt" not in call and "-c .ci/caps.txt" not in call:
                    wrong.append(f"{path}: {line.strip()}")
    assert not wrong, "\n".join(wrong)
    assert len(TEXTS) > 100 or not (ROOT / ".git").exists()


def test_extras_that_texts_name_exist() -> None:
    for path in TEXTS:
        text = (ROOT / path).read_text("utf-8")
        for group in re.findall(r"-e \\?['\"]\.\[([\w,]+)\]", text):
            assert set(group.split(",")) <= set(EXTRAS), (path, group)


def test_differences_from_the_pins_are_named() -> None:
    module = pins()
    pinned = {"a": "1.0", "b": "2.0", "torch": "2.13.0"}
    installed = {"a": "1.0", "torch": "2.13.0+cpu", "pip": "1", "groundup": "0.1.0"}
    assert module.differences(pinned, installed) == []
    (line,) = module.differences(pinned, {"b": "2.1"})
    assert "b 2.1" in line
    assert "2.0" in line
    (line,) = module.differences(pinned, {"c": "1"})
    assert "make lock" in line
    with pytest.raises(ValueError, match="exact"):
        module.pins("torch<2.14")
    marked = "a==1 ; python_full_version < '3.0'\na==2 ; python_full_version >= '3.0'"
    assert module.pins(marked) == {"a": "2"}
