"""The learner's commands as they are called, in a clone of the test's own."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from groundup.cli import main
from groundup.course import clone
from groundup.course.authoring.stubs import stub_text
from groundup.course.catalogue import Exercise, catalogue

ADAM = "exercises/ch05_training/ex_5_1_adam.py"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that begins with exercise 5.1, and whose package is its own: the commands find it."""
    root = tmp_path_factory.mktemp("clone")
    here = clone.root()
    leave = shutil.ignore_patterns(
        "__pycache__", "*.egg-info", "progress*.json", "*.bak-*", "ch0[1-4]_*", "ch0[7-9]_*", "ch1*"
    )
    for name in ("lib", "exercises", "solutions", "chapters"):
        shutil.copytree(here / name, root / name, ignore=leave)
    shutil.copy(here / "pyproject.toml", root)
    return root


@pytest.fixture(scope="module")
def stubs(copied: Path) -> dict[str, tuple[Exercise, str]]:
    """Its exercises, each with the text that a learner begins with."""
    return {each.id: (each, stub_text(each)) for each in catalogue(copied)}


@pytest.fixture
def course(copied: Path, stubs: dict[str, tuple[Exercise, str]]) -> Iterator[dict[str, Exercise]]:
    """Its exercises, all unwritten."""
    for each, text in stubs.values():
        each.file.write_text(text)
    yield {id: each for id, (each, _) in stubs.items()}
    for path in copied.glob("exercises/progress*.json"):
        path.unlink()


def environment(copied: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name != "VISUAL"},
        "PYTHONPATH": str(copied / "lib"),
        "PYTHONUNBUFFERED": "1",
        "EDITOR": "no-such-editor",
    }


def run(copied: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundup", *arguments],
        cwd=copied,
        env=environment(copied),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def call(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call a command in this process, which needs no imports for it."""
    monkeypatch.setattr(clone, "root", lambda: copied)
    monkeypatch.setenv("EDITOR", "no-such-editor")
    monkeypatch.delenv("VISUAL", raising=False)

    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(copied), redirect_stdout(out), redirect_stderr(err):
            code = main(list(arguments))
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    return called


def test_from_start_to_the_first_solved_exercise(copied: Path, course: dict[str, Exercise]) -> None:
    began = run(copied, "start")
    assert began.returncode == 0, began.stderr
    assert f"open  {ADAM}" in began.stdout
    assert "Hint 1 of 3" in run(copied, "hint", "5.1").stdout
    assert run(copied, "check", "5.1").returncode == 1
    shutil.copy(course["5.1"].solution, copied / ADAM)
    checked = run(copied, "check", "5.1")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    shown = run(copied, "progress").stdout
    assert re.search(r"5\.1 +Adam +solved +(\d+) of \1  1 hint\n", shown)
    assert "> 5.2" in shown
    again = run(copied, "start").stdout
    assert again.startswith("1 of ")
    assert "Now: 5.2" in again
    assert "\x1b" not in shown + again + checked.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hint"], ["exercise", "--help"]),
        (["hint", "5.99"], ["'5.99'", "5.1 (Adam)"]),
        (["check", "nonsense"], ["'nonsense'"]),
        (["check", "99"], ["'99'", "a chapter with exercises: 5 to 6"]),
        (["watch", "77"], ["'77'"]),
        (["watch", "adan"], ["'adan'", "Did you mean 5.1 (Adam)"]),
        (["watch", "--edit"], ["no program no-such-editor", "$EDITOR"]),
        (["start", "--edit"], ["no program no-such-editor", "$EDITOR"]),
        (["reset", "5"], ["5 is a chapter"]),
        (["reset"], ["--all"]),
        (["reset", "5.1", "--all"], ["--all"]),
        (["reset", "/elsewhere/ex_5_1_adam.py"], ["not of this clone"]),
        (["chapter", "5.1"], ["no chapter 5.1", "4, 5, 6"]),
        (["solution", "5.1"], ["not solved", "--yes", "groundup hint 5.1"]),
        (["grade", "--checks", "nowhere"], ["nowhere"]),
        (["grade", "--submission", "nowhere"], ["nowhere"]),
    ],
)
def test_wrong_calls(
    call: Callable[..., subprocess.CompletedProcess[str]],
    course: dict[str, Exercise],
    arguments: list[str],
    words: list[str],
) -> None:
    result = call(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    "command",
    ["start", "check", "watch", "hint", "solution", "reset", "progress", "grade"],
)
def test_help_has_an_example(
    call: Callable[..., subprocess.CompletedProcess[str]], command: str
) -> None:
    result = call(command, "--help")
    assert result.returncode == 0
    assert f"Example: groundup {command}" in result.stdout


def test_damaged_progress_file_is_one_line(copied: Path, course: dict[str, Exercise]) -> None:
    (copied / "exercises/progress.json").write_text("{")
    result = run(copied, "start")
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert "progress.damaged-" in line


def test_grade_is_one_json_document(copied: Path, course: dict[str, Exercise]) -> None:
    result = run(copied, "grade", "5", "--json")
    assert result.returncode == 0, result.stderr
    graded = json.loads(result.stdout)
    assert [each["id"] for each in graded["exercises"]] == [f"5.{k}" for k in range(1, 8)]
    assert graded["points"] == 0


@pytest.mark.parametrize("named", ["adam", ADAM, f"solutions/{ADAM[10:]}", "test_5_1_adam.py"])
def test_names_and_paths_are_taken_everywhere(
    copied: Path,
    call: Callable[..., subprocess.CompletedProcess[str]],
    course: dict[str, Exercise],
    named: str,
) -> None:
    shutil.copy(course["5.1"].solution, copied / ADAM)
    for command in ("check", "hint", "solution", "grade", "reset"):
        result = call(command, named)
        assert result.returncode == 0, result.stderr
        assert "Adam" in result.stdout or command == "reset"
    assert (copied / ADAM).read_text() == stub_text(course["5.1"])


def test_watch_in_a_terminal_obeys_keys_and_goes_on(
    copied: Path, course: dict[str, Exercise], terminal: Callable[..., Any]
) -> None:
    watching = terminal("watch", cwd=copied, env=environment(copied))
    watching.wait_for(f"Watching {ADAM}")
    watching.wait_for("not written yet")
    watching.wait_for("h hint   s solution   n next exercise")
    for keys, words in (("h", "Hint 1 of 3"), ("H", "Hint 2 of 3"), ("?", "quit, as Ctrl-C")):
        watching.press(keys)
        watching.wait_for(words)
    watching.press("\x1b[A")  # an arrow means nothing here
    watching.press("e")
    watching.wait_for("error: there is no program no-such-editor")
    watching.press("s")
    watching.wait_for("Show the answer? [y/N]")
    watching.press("n\r")  # a line again, for the question
    watching.wait_for("gives a hint instead")
    shutil.copy(course["5.1"].solution, copied / ADAM)
    watching.wait_for("5.1 is solved.")
    watching.wait_for("Now: 5.2 Cross-entropy")
    watching.wait_for("ex_5_2_cross_entropy.py")
    watching.press("n")
    watching.wait_for("Now: 5.3 Clipping")
    (copied / "exercises/ch05_training/ex_5_2_cross_entropy.py").write_text("def cross_entropy(:\n")
    watching.wait_for("line 1")  # what was left behind is still watched
    watching.press("c")
    watching.wait_for("line 1")
    watching.press("q")
    assert watching.end() == 0
    assert "No longer watching." in watching.shown
    assert "Traceback" not in watching.shown
    assert "\x1b]8;" in watching.shown, "paths are links"


def test_a_narrow_terminal_keeps_paths_whole(
    copied: Path, course: dict[str, Exercise], terminal: Callable[..., Any]
) -> None:
    started = terminal("start", cwd=copied, env=environment(copied), columns=24)
    assert started.end() == 0
    plain = re.sub(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\", "", started.shown)
    assert f"  open  {ADAM}, and write" in plain
    checked = terminal("check", "5.1", cwd=copied, env=environment(copied), columns=24)
    checked.end()
    waiting = checked.shown[: checked.shown.index("\x1b[2K")]
    assert "\n" not in waiting, "what is wiped out is one line"


@pytest.mark.parametrize(("keys", "code"), [("\x03", 130), ("\x04", 0), ("q", 0)])
def test_watch_leaves_the_terminal_as_it_was(
    copied: Path,
    course: dict[str, Exercise],
    terminal: Callable[..., Any],
    keys: str,
    code: int,
) -> None:
    watching = terminal("watch", "5.6", cwd=copied, env=environment(copied))
    before = watching.mode()
    watching.wait_for("? help")
    watching.press("h")
    watching.wait_for("Hint 1")
    assert watching.mode() != before
    watching.press(keys)
    watching.wait_for("No longer watching.")
    deadline = time.monotonic() + 10
    while watching.mode() != before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert watching.end() == code


def test_an_editor_in_the_terminal_has_it_for_itself(
    copied: Path, course: dict[str, Exercise], terminal: Callable[..., Any], tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "nano"
    program.parent.mkdir()
    solution = course["5.1"].solution
    program.write_text(
        f'#!/bin/sh\necho editing "$2"; read line; echo "got $line"\ncp {solution} "$2"\n'
    )
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    own = {**environment(copied), "PATH": path, "EDITOR": "nano -w"}
    watching = terminal("watch", "5.1", "--edit", cwd=copied, env=own)
    watching.wait_for(f"editing {copied / ADAM}")
    watching.press("h\x03")  # Ctrl-C ends this editor, as it is a shell's script
    watching.wait_for("the editor nano -w ended with code")
    watching.wait_for("? help")
    watching.press("e")
    watching.wait_for("editing ")
    watching.press("hq\r")
    watching.wait_for("got hq")  # a line, and none of it was taken for keys
    watching.wait_for("5.1 is solved.")
    watching.wait_for("Now: 5.2")
    watching.press("q")
    assert watching.end() == 0
    assert "Hint 1" not in watching.shown


def test_watch_without_a_terminal_goes_on_and_opens_the_editor(
    copied: Path, course: dict[str, Exercise], tmp_path: Path
) -> None:
    """The editor solves each file that it is given: the watch has to go through the chapter."""
    editor = tmp_path / "edit.py"
    editor.write_text(
        "import shutil, sys, time; time.sleep(0.3); file = sys.argv[2]\n"
        "shutil.copy(file.replace('exercises', 'solutions'), file)\n"
        "print('not to be shown')\n"
    )
    for exercise in course.values():
        if exercise.id not in ("5.1", "5.2", "5.3"):
            shutil.copy(exercise.solution, exercise.file)
    assert run(copied, "check").returncode == 1
    result = subprocess.run(
        [sys.executable, "-m", "groundup", "watch", "--edit"],
        cwd=copied,
        env={
            **environment(copied),
            "VISUAL": f"{shlex.quote(sys.executable)} {shlex.quote(str(editor))} --wait",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for number in ("5.1", "5.2", "5.3"):
        assert f"{number} is solved." in result.stdout
    assert "Every exercise of the course is solved." in result.stdout
    assert "not to be shown" not in result.stdout


def test_watch_checks_what_is_saved_until_it_is_interrupted(
    copied: Path, course: dict[str, Exercise], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with output.open("w") as stream:
        watching = subprocess.Popen(
            [sys.executable, "-m", "groundup", "watch", "5"],
            cwd=copied,
            env=environment(copied),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )

    def wait_for(text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in output.read_text():
            assert time.monotonic() < deadline, output.read_text()
            assert watching.poll() is None, output.read_text()
            time.sleep(0.05)

    try:
        wait_for("Watching the 7 exercises in exercises/ch05_training")
        shutil.copy(course["5.1"].solution, copied / ADAM)
        wait_for("5.1 is solved.")
        beside = copied / f"{ADAM}.new"
        beside.write_text("def adam(:\n")
        beside.replace(copied / ADAM)
        wait_for("line 1")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130
    finally:
        watching.kill()
        watching.wait()
    text = output.read_text()
    assert "Traceback" not in text
    kept = json.loads((copied / "exercises/progress.json").read_text())["exercises"]["5.1"]
    assert kept["points"] == course["5.1"].points
    assert kept["attempts"] == 2
