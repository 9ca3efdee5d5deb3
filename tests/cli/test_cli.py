"""The command line: every wrong call ends in one line that says what to do, with its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundup", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def assert_one_line_error(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


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
        (["digits", "train", "--epochs", "0"], ["at least 1"]),
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
def test_wrong_calls(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    assert_one_line_error(run(*arguments, cwd=tmp_path), 2, *words)


def test_missing_package(tmp_path: Path) -> None:
    # A package that fails to import as a missing one would, found before the real one.
    (tmp_path / "duckdb.py").write_text("raise ModuleNotFoundError('gone', name='duckdb')\n")
    run_directory = tmp_path / "runs" / "tour-1"
    run_directory.mkdir(parents=True)
    (run_directory / "record.parquet").write_bytes(b"")
    result = run("runs", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert_one_line_error(result, 2, "duckdb", "pip install")


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
    text = run("tour", "--help", cwd=tmp_path).stdout
    assert "Example: groundup tour --quick" in text
