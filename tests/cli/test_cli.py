"""The command line: every wrong call ends in one line that says what to do, with its exit code."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from groundup.apps.digits.recipes import DigitRecipe, TwoDigitRecipe
from groundup.apps.text.text_model import TextRecipe
from groundup.cli import build_parser
from groundup.cli.parser import Parser
from groundup.cli.recipe_options import add_recipe, as_arguments, given


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tour", "--fast"], ["--fast", "--help"]),
        (["climb"], ["climb"]),
        (["chek", "5.1"], ["'chek'", "did you mean check?", "groundup --help"]),
        (["digits", "trian"], ["'trian'", "did you mean train?", "groundup digits --help"]),
        (["start", "5.1"], ["5.1", "groundup start --help"]),
        (["digits", "ask", "mix", "5", "3"], ["'mix'", "did you mean Min?"]),
        (["digits", "ask", ""], ["question is empty"]),
        (["digits", "report", "max"], ["max", "groundup digits report --help"]),
        (["--fast"], ["--fast", "groundup --help"]),
        (["digits"], ["command is missing", "--help"]),
        (["digits", "train", "--epochs", "0"], ["epochs", "at least 1", "0"]),
        (["digits", "train", "--epochs", "many"], ["many"]),
        (["docs", "serve", "--port", "99999"], ["99999"]),
        (["search", "join two paths"], ["groundup tour"]),
        (["search", "join two paths", "--run", "no-such-run"], ["no-such-run"]),
        (["runs"], ["groundup tour"]),
        (["tour", "--resume"], ["resume"]),
        (["diagnose", "nowhere"], ["nowhere", "config.json"]),
        (["chapter", "99"], ["no chapter 99"]),
    ],
)
def test_wrong_calls(groundup: Callable[..., Any], arguments: list[str], words: list[str]) -> None:
    groundup(*arguments).assert_one_line_error(2, *words)


def test_missing_package(tmp_path: Path, groundup_apart: Callable[..., Any]) -> None:
    # A package that fails to import as a missing one would, found before the real one.
    (tmp_path / "duckdb.py").write_text("raise ModuleNotFoundError('gone', name='duckdb')\n")
    run_directory = tmp_path / "runs" / "tour-1"
    run_directory.mkdir(parents=True)
    (run_directory / "record.parquet").write_bytes(b"")
    result = groundup_apart("runs", PYTHONPATH=str(tmp_path))
    result.assert_one_line_error(2, "duckdb", "pip install")


def test_help_is_light(tmp_path: Path) -> None:
    """`groundup --help` must not wait for NumPy, torch or rich."""
    code = (
        "import sys; from groundup.cli import build_parser; build_parser().format_help(); "
        "heavy = {'numpy', 'torch', 'rich', 'transformers'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_a_command_s_help_ends_in_an_example(groundup: Callable[..., Any]) -> None:
    text = groundup("tour", "--help").stdout
    assert "Example: groundup tour --quick" in text


def test_help_lists_each_command_once_under_its_part() -> None:
    parts: dict[str, list[str]] = {}
    for line in build_parser().format_help().splitlines():
        if line.startswith("  ") and line.endswith(":") and not line.startswith("    "):
            names = parts[line.strip(" :")] = []
        elif parts and line.startswith("    ") and not line.startswith("     "):
            names.append(line.split()[0])
        elif parts and line.startswith("options:"):
            break
    assert {part: names[0] for part, names in parts.items()} == {
        "learn": "start",
        "use the library": "tour",
        "maintain": "course",
    }
    commands = [name for names in parts.values() for name in names]
    assert len(commands) == len(set(commands)) > 15


@pytest.mark.parametrize("recipe", [DigitRecipe, TwoDigitRecipe, TextRecipe])
def test_a_recipe_is_a_set_of_options(recipe: type) -> None:
    """Names, types, defaults and help come from the dataclass; what is given comes back."""
    parser = Parser(prog="train")
    add_recipe(parser, recipe)
    nothing = given(parser.parse_args([]), recipe)
    assert nothing == dict.fromkeys(each.name for each in fields(recipe))
    assert as_arguments(nothing) == []
    others = {"int": 7, "float": 0.25, "str": "x", "bool": True}
    said = {
        each.name: next(v for kind, v in others.items() if kind in str(each.type))
        for each in fields(recipe)
    }
    assert given(parser.parse_args(as_arguments(said)), recipe) == said
    text = " ".join(parser.format_help().split())
    for each in fields(recipe):
        assert f"--{each.name.replace('_', '-')}" in text
        if each.default is not None and not isinstance(each.default, bool):
            assert f"(default {each.default})" in text


def test_an_option_shows_the_other_default_of_a_variant() -> None:
    @dataclass
    class One:
        """One.

        Attributes:
            steps: how many, at 100%
                of the speed.
        """

        steps: int = 3

    @dataclass
    class Two(One):
        steps: int = 9

    parser = Parser(prog="train")
    add_recipe(parser, One, {"--two": Two})
    text = " ".join(parser.format_help().split())
    assert "how many, at 100% of the speed (default 3, with --two 9)" in text
