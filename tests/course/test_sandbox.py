"""Whatever a learner's code does, it ends in one clear message, and in time."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.course import judge as judging
from groundup.course.exercises import Exercise, catalogue
from groundup.course.generate import build
from groundup.course.judge import judge
from groundup.course.results import Result
from groundup.course.sandbox import Limits, Message, Send, run_apart

Write = Callable[..., Path]
TOY = '''
    import numpy as np

    def f(x):
        """Doc."""
        return np.multiply(2, x)
'''
CHECKS = '''
from groundup.course import expect
from groundup.course.checks import Layer, check

@check(Layer.SHAPES)
def test_number(own):
    """a number comes back"""
    expect.number(own.f(3), what="f(3)")

@check(Layer.EXAMPLE, points=2)
def test_three(own):
    """twice three is six"""
    expect.close(own.f(3), 6, what="f(3)")
'''
MUTANTS = '''
from groundup.course.implementations import mutant

@mutant("1.1", replaces="f")
def halved(x):
    """x is divided and not multiplied."""
    return x / 2

@mutant("1.1", replaces="f")
def squared(x):
    """x is squared."""
    return x * x
'''


@pytest.fixture
def judged(toy_clone: Write, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Result]:
    """Judge a body of f in a second at most a check, in half a gigabyte."""
    root = toy_clone(TOY, "f")
    build(root, say=lambda _: None)
    (exercise,) = catalogue(root)
    exercise.checks.write_text(CHECKS)
    exercise.mutants.write_text(MUTANTS)
    monkeypatch.setattr(judging, "Limits", lambda seconds: Limits(0.5, 1 << 29))

    def write_and_judge(body: str) -> Result:
        stub = exercise.file.read_text(encoding="utf-8")
        exercise.file.write_text(stub.replace('raise NotImplementedError("1.1")', body))
        return judge(exercise)

    return write_and_judge


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("while True: pass", "line 13: still running after 0.5 seconds. Does every loop"),
        ("import time\n    time.sleep(60)", "line 14: still running"),
        ("while True:\n        try: x += 1\n        except Exception: pass", "still running"),
        ("exit()", "line 13: exit() is called"),
        ("raise SystemExit(0)", "exit() is called"),
        ("return np.zeros(50 * 2**30 // 8)", "line 13: more memory is asked for"),
        ("y = []\n    while True: y.append(np.zeros(2**25))", "more memory is asked for"),
        ("import os\n    os._exit(0)", "ended the whole process (exit status 0)"),
        ("import os\n    os.kill(os.getpid(), 9)", "ended the whole process: Killed"),
        ("import ctypes\n    ctypes.string_at(0)", "line 14: Segmentation fault"),
        ("return input()", "there is no keyboard here"),
        ("breakpoint()\n    return x", "there is no keyboard here"),
        ("return f(x)", "RecursionError"),
        ("import threading\n    threading.Thread(target=input).start()\n    return x", "is wrong"),
    ],
)
def test_accidents_end_in_a_message(judged: Callable[[str], Result], body: str, says: str) -> None:
    start = time.monotonic()
    result = judged(body)
    assert says in " ".join(result.outcomes[-1].message.split())
    assert not result.solved
    assert result.stopped
    assert time.monotonic() - start < 30


def test_code_that_hears_no_alarm_is_ended(judged: Callable[[str], Result]) -> None:
    body = "import signal\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True: pass"
    assert "did not come back in 2.5 seconds" in judged(body).outcomes[-1].message


def test_file_that_hangs_or_dies_when_read(judged: Callable[[str], Result]) -> None:
    assert "still running" in judged("return 1\nwhile True: pass").unusable


def test_file_that_dies_when_read(judged: Callable[[str], Result]) -> None:
    assert "can't be read. It ended" in judged("return 1\nimport os\nos._exit(3)").unusable


def test_a_million_lines_are_cut(
    judged: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "Limits", lambda seconds: Limits(30))
    result = judged("for n in range(1_000_000): print('line', n)\n    return 7")
    said = result.outcomes[-1].printed
    assert said.startswith("line 0\nline 1\n")
    assert "characters more" in said
    assert len(said) < 3_000


def test_what_it_started_is_ended_too(judged: Callable[[str], Result], tmp_path: Path) -> None:
    note = tmp_path / "pid"
    body = (
        "import subprocess, sys\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"    open({str(note)!r}, 'w').write(str(child.pid))\n"
        "    return x"
    )
    judged(body)
    deadline = time.monotonic() + 5
    while _runs(int(note.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # Where nobody collects it, an ended process stays in the table as a zombie.
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


def test_known_mistake_is_named(judged: Callable[[str], Result]) -> None:
    assert judged("return np.multiply(0.5, x)").diagnosis == "x is divided and not multiplied."


def test_unknown_mistake_has_no_name(judged: Callable[[str], Result]) -> None:
    assert judged("return x + 1").diagnosis == ""


def test_right_code_passes(judged: Callable[[str], Result]) -> None:
    result = judged("print('hello')\n    return x + x")
    assert result.solved
    assert result.points == 3
    assert [outcome.printed for outcome in result.outcomes] == ["hello", "hello"]


def test_messages_arrive_until_it_stops() -> None:
    heard: list[Message] = []

    def work(send: Send) -> None:
        send({"n": 1})
        send({"n": 2})
        os.kill(os.getpid(), signal.SIGKILL)

    assert "Killed" in run_apart(work, Limits(), heard.append)
    assert heard == [{"n": 1}, {"n": 2}]


def test_each_message_gives_more_time() -> None:
    def work(send: Send) -> None:
        for n in range(6):
            time.sleep(0.3)
            send({"n": n})

    assert run_apart(work, Limits(seconds=1.5), lambda _: None) == ""


def test_instructors_file_and_checks(toy_clone: Write, tmp_path: Path) -> None:
    root = toy_clone(TOY, "f")
    build(root, say=lambda _: None)
    exercise: Exercise
    (exercise,) = catalogue(root)
    exercise.checks.write_text(CHECKS)
    exercise.mutants.write_text(MUTANTS)
    other = tmp_path / "handed_in.py"
    other.write_text("def f(x): return 2 * x + (x > 3)\n")
    checks = tmp_path / "mine.py"
    checks.write_text(CHECKS.replace("own.f(3), 6", "own.f(5), 10"))
    assert judge(exercise, file=other).solved
    mine = judge(exercise, file=other, checks=checks, stop=False)
    assert [outcome.verdict.value for outcome in mine.outcomes] == ["passed", "failed"]
