"""Streams of all kinds: another encoding, a reader that leaves, a full disk, a closed one."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from groundup.cli import main
from groundup.course import clone
from groundup.course.catalogue import catalogue
from groundup.lab.streams import prepare_streams

ENCODINGS = ["ascii", "latin-1", "cp1252", "cp437", "shift_jis", "utf-8"]
EXERCISES = catalogue(clone.root())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone whose progress is the test's own, and an environment that is put back."""
    here = clone.root()
    for name in ("lib", "chapters", "solutions", "pyproject.toml"):
        (tmp_path / name).symlink_to(here / name)
    for each in EXERCISES:
        folder = tmp_path / "exercises" / each.folder
        folder.mkdir(parents=True, exist_ok=True)
        for file in (each.file, each.checks, each.file.with_name("exercise.toml")):
            if not (folder / file.name).exists():
                (folder / file.name).symlink_to(file)
    monkeypatch.setattr(clone, "root", lambda: tmp_path)
    monkeypatch.setenv("PYTHONIOENCODING", "")


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str) -> tuple[int, str]:
    """Call a command with strict streams of an encoding, as Python makes them."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, "strict"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding, "strict"))
    code = main(list(arguments))
    sys.stderr.flush()
    return code, raw.getvalue().decode(encoding)


def call(*arguments: str, encoding: str = "utf-8", **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "groundup", *arguments],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_solutions_are_printed_whole(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    for exercise in EXERCISES[:: 1 if encoding == "ascii" else 10]:
        code, text = printed(monkeypatch, encoding, "solution", exercise.id, "--yes")
        assert code == 0
        last = exercise.solution.read_text().splitlines()[-1]
        assert last in text.splitlines()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["start"],
        ["progress"],
        ["hint", "9.3"],
        ["hint", "—√λ"],
        ["check", "√"],
        ["digits", "ask", "Max ( 5 ∞ 9 )"],
        ["runs", "--sql", "SELECT '√\udcff'"],
        ["chapter", "²"],
    ],
)
def test_no_encoding_ends_in_a_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], encoding: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _, text = printed(monkeypatch, encoding, *arguments)
    assert text.strip()
    for word in ("Traceback", "UnicodeEncodeError", "Not expected"):
        assert word not in text


def test_json_is_the_same_in_every_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign that was replaced, such as a quotation mark, would end a string of the document."""
    ascii_, utf_8 = (printed(monkeypatch, e, "grade", "9.1", "--json") for e in ("ascii", "utf-8"))
    assert json.loads(ascii_[1]) == json.loads(utf_8[1])


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("m̂/(√v̂ + ε)", "m/(sqrtv + epsilon)"),
        ("Δ = −lr·g", "Delta = -lr.g"),
        ("▁▄█ ━━ │", ".-# -- |"),
        ("naïve x² ½", "naive x2 1/2"),
        ("日本 \udcff", "?? ?"),
    ],
)
def test_what_ascii_lacks_is_written_in_it(
    monkeypatch: pytest.MonkeyPatch, text: str, plain: str
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    prepare_streams()
    print(text, flush=True)
    assert raw.getvalue() == plain.encode() + b"\n"


def test_child_processes_share_the_encoding_without_its_errors(tmp_path: Path) -> None:
    script = "import groundup.lab.streams as s, os; s.prepare_streams(); "
    script += "os.execv(os.sys.executable, ['python', '-c', 'print(\"a√b\")'])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a?b\n", b"")


@pytest.mark.parametrize("arguments", [["progress"], ["--help"], ["course", "report", "5.6"]])
def test_a_reader_that_leaves_is_no_error(arguments: list[str]) -> None:
    process = call(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, b"")


def script(tmp_path: Path, text: str) -> subprocess.Popen[bytes]:
    """Run a script as ``groundup chapter`` runs a chapter's."""
    file = tmp_path / "script.py"
    file.write_text(text)
    return subprocess.Popen(
        [sys.executable, "-m", "groundup.course.chapters.script", str(file)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_chapter_prints_in_any_encoding(tmp_path: Path) -> None:
    process = script(tmp_path, "print(__name__, __file__, '√2 × 3')")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert out.decode() == f"__main__ {tmp_path}/script.py sqrt2 x 3\n"


def test_a_chapter_ends_quietly_when_its_reader_leaves(tmp_path: Path) -> None:
    process = script(tmp_path, "import time\nwhile True: print('on', flush=True)")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, b"")


def test_a_chapter_that_fails_shows_where(tmp_path: Path) -> None:
    process = script(tmp_path, "x = 1\nassert x == 2, 'two'")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "line 2" in err.decode()
    assert "AssertionError: two" in err.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        _, err = (process := call("progress", stdout=full)).communicate(timeout=60)
    assert process.returncode == 1
    (line,) = err.decode().splitlines()
    assert line.startswith("error: ")
    assert "No space left" in line


@pytest.mark.parametrize("arguments", [["start"], ["solution", "5.1"]])
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_holds_nothing(arguments: list[str], closed: int) -> None:
    shell = f'exec "$@" {closed}>&-'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "groundup", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (2 if arguments[0] == "solution" else 0)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_folder_that_is_gone_is_said() -> None:
    shell = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    for arguments in (["start"], ["check", "exercises/ch05_training/ex_5_1_adam.py"]):
        done = subprocess.run(
            ["sh", "-c", shell, "sh", sys.executable, "-m", "groundup", *arguments],
            cwd=clone.root(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert (
            done.stderr == "error: the folder that you are in is gone: change to another with cd\n"
        )
