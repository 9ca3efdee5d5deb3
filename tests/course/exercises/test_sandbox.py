"""Whatever a learner's code does, it ends in one clear message, and in time."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.course.authoring.stubs import build
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises import judge as judging
from groundup.course.exercises import sandbox
from groundup.course.exercises.deadline import GRACE
from groundup.course.exercises.judge import judge
from groundup.course.exercises.results import Result
from groundup.course.exercises.sandbox import Limits, Message, Send, run_forked

Write = Callable[..., Path]
TOY = '''
    import numpy as np

    def f(x):
        """Doc."""
        return np.multiply(2, x)
'''
CHECKS = '''
from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

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
from groundup.course.exercises.mutants import mutant

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
def judged(
    toy_exercise: Callable[..., Exercise], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Result]:
    """Judge a body of f in a second at most a check, in half a gigabyte."""
    exercise = toy_exercise(TOY, checks=CHECKS, mutants=MUTANTS)
    monkeypatch.setattr(judging, "Limits", lambda seconds: Limits(seconds=0.5, memory=1 << 29))

    def write_and_judge(body: str) -> Result:
        stub = exercise.file.read_text(encoding="utf-8")
        exercise.file.write_text(stub.replace('raise NotImplementedError("1.1")', body))
        return judge(exercise)

    return write_and_judge


def in_one_line(result: Result) -> str:
    return " ".join(result.outcomes[-1].message.split())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("while True: pass", "line 13: still running after 0.5 seconds. Does every loop"),
        ("import time\n    time.sleep(60)", "line 14: still running"),
        ("while True:\n        try: x += 1\n        except Exception: pass", "still running"),
        ("while True:\n        try: x += 1\n        except BaseException: pass", "still running"),
        ("try:\n        while True: pass\n    except BaseException: return 2 * x", "still running"),
        ("import re\n    return re.match('(a*)*b', 'a' * 40)", "line 14: still running"),
        ("import threading\n    threading.Lock().acquire() and threading.Event().wait()", "still"),
        ("try: return f(x)\n    except RecursionError: return f(x)", "still running"),
        ("exit()", "line 13: exit() is called"),
        ("raise SystemExit(0)", "exit() is called"),
        ("raise KeyboardInterrupt", "Your code raised an error. ex_1_1_toy.py, line 13: Keyboard"),
        ("raise GeneratorExit", "line 13: GeneratorExit"),
        ("class E(BaseException): pass\n    raise E('so')", "line 14: E: so"),
        ("class E(Exception):\n        def __str__(self): raise E\n    raise E", "line 15: E"),
        ("return np.zeros(50 * 2**30 // 8)", "line 13: more memory is asked for"),
        ("y = []\n    while True: y.append(np.zeros(2**25))", "more memory is asked for"),
        ("import os\n    os._exit(0)", "ended the whole process (exit status 0)"),
        ("import os\n    os.fork() and os._exit(4)", "ended the whole process (exit status 4)"),
        ("import os\n    os.execv('/bin/sh', ['sh', '-c', 'exit 5'])", "process (exit status 5)"),
        (
            "import os\n    os.execv('/bin/sleep', ['sleep', '60'])",
            "It was still running after 0.5",
        ),
        ("import os\n    os.kill(os.getpid(), 9)", "ended the whole process: Killed"),
        ("import os\n    os.killpg(0, 15)", "ended the whole process: Terminated"),
        ("import os\n    os.abort()", "ended the whole process in ex_1_1_toy.py, line 14: Aborted"),
        (
            "import os\n    os.closerange(3, 900)\n    return 2 * x",
            "It closed files that it did not",
        ),
        ("import ctypes\n    ctypes.string_at(0)", "line 14: Segmentation fault"),
        ("return input()", "there is no keyboard here"),
        ("breakpoint()\n    return x", "there is no keyboard here"),
        ("return f(x)", "line 13: a function calls itself without end (RecursionError)"),
        ("import threading\n    threading.Thread(target=input).start()\n    return x", "is wrong"),
    ],
)
def test_accidents_end_in_a_message(judged: Callable[[str], Result], body: str, says: str) -> None:
    start = time.monotonic()
    result = judged(body)
    assert says in in_one_line(result)
    assert not result.solved
    assert result.stopped
    assert result.diagnosis == ""
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "body",
    [
        "import signal\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True: pass",
        "import signal\n    signal.alarm(0)\n    while True: pass",
        "import sys\n    sys.setrecursionlimit(10**9)\n    for _ in range(10**9): pass",
    ],
)
def test_code_that_hears_no_alarm_is_ended_with_its_line(
    judged: Callable[[str], Result], body: str
) -> None:
    line = 13 + body.count("\n")
    assert f"still running after 0.5 seconds in ex_1_1_toy.py, line {line}" in in_one_line(
        judged(body)
    ) or f"ex_1_1_toy.py, line {line}: still running after 0.5 seconds" in in_one_line(judged(body))


def test_an_alarm_of_the_codes_own_is_not_the_clock(judged: Callable[[str], Result]) -> None:
    body = (
        "import signal, time\n    signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "    time.sleep(0.1)\n    return 2 * x"
    )
    assert judged(body).solved


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "return x + 1 if not hasattr(f, 'n') and not setattr(f, 'n', 1) else time.sleep(60)",
    ],
)
def test_all_of_it_ends_in_the_time_of_one_exercise(
    judged: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Neither a second check nor the look for a known mistake begins the time again."""
    monkeypatch.setattr(judging, "Limits", lambda seconds: Limits(seconds=2.0, memory=1 << 29))
    monkeypatch.setattr(judging, "_MATCHING", 1.0)
    start = time.monotonic()
    assert judged(f"import time\n    {body}").stopped
    assert time.monotonic() - start < 2 + 2 * GRACE + 1  # and what the machine takes to fork


def test_a_slow_check_leaves_the_next_one_less(
    judged: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "Limits", lambda seconds: Limits(seconds=1.0, memory=1 << 29))
    result = judged("import time\n    time.sleep(0.8)\n    return 2 * x")
    assert [outcome.verdict.value for outcome in result.outcomes] == ["passed", "failed"]
    assert "still running after 1 second" in in_one_line(result)


@pytest.mark.parametrize(
    "body",
    [
        "import os\n    os.fork()\n    return 2 * x",
        "import os\n    [os.fork() for _ in range(3)]\n    return 2 * x",
        "import os\n    if os.fork() == 0: return x\n    return 2 * x",
        "return 2 * x\nimport os\nos.fork()",
        "import multiprocessing as m\n    p = m.Process(target=print)\n    p.start()\n"
        "    p.join()\n    return 2 * x",
        "import multiprocessing as m\n    with m.get_context('fork').Pool(2) as p:\n"
        "        return sum(p.map(abs, [x, x]))",
        "import subprocess\n    return int(subprocess.check_output(['echo', str(2 * x)]))",
        "import threading\n    threading.Thread(target=print).start()\n    return 2 * x",
        "import os\n    for n in range(3, 900):\n        try: os.write(n, b'null\\n{garbage')\n"
        "        except OSError: pass\n    return 2 * x",
    ],
)
def test_other_processes_and_files_do_not_change_the_verdict(
    judged: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(judging, "Limits", lambda seconds: Limits(20.0))
    result = judged(body)
    assert [outcome.verdict.value for outcome in result.outcomes] == ["passed", "passed"]
    assert result.points == result.exercise.points == 3


def test_processes_without_end_are_ended(
    judged: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "Limits", lambda seconds: Limits(20.0))
    monkeypatch.setattr(sandbox, "_PROCESSES", 8)
    result = judged("import os\n    while True: os.fork()")
    assert "It was stopped: it ran in more than 8 processes." in in_one_line(result)


def test_the_parents_files_are_out_of_reach(
    judged: Callable[[str], Result], tmp_path: Path
) -> None:
    precious = tmp_path / "progress.json"
    with precious.open("w") as file:
        number = file.fileno()
        assert judged(f"import os\n    os.write({number}, b'garbage')\n    return 2 * x").solved
    assert precious.read_text() == ""


def test_file_that_hangs_when_read(judged: Callable[[str], Result]) -> None:
    assert "line 14: still" in " ".join(judged("return 1\nwhile True: pass").unusable.split())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import os; os._exit(3)", "can't be read. It ended the whole process (exit status 3)"),
        ("raise KeyboardInterrupt", "line 14: KeyboardInterrupt"),
        ("import sys; sys.exit()", "line 14: exit() is called"),
        ("class E(BaseException): pass\nraise E('so')", "line 15: E: so"),
    ],
)
def test_file_that_dies_when_read(judged: Callable[[str], Result], line: str, says: str) -> None:
    assert says in " ".join(judged(f"return 1\n{line}").unusable.split())


def test_a_crash_shows_the_inputs_and_the_line(judged: Callable[[str], Result]) -> None:
    assert judged("x = [x]\n    return x[0] / (x[0] - 3)").outcomes[-1].message == (
        "Your code raised an error. ex_1_1_toy.py, line 14: ZeroDivisionError: division by zero\n\n"
        "  given\n    x = 3\n\n"
        "  14 | return x[0] / (x[0] - 3)"
    )


def test_a_hundred_thousand_lines_are_cut(
    judged: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "Limits", lambda seconds: Limits(60))
    result = judged("for n in range(100_000): print('line', n)\n    return 7")
    said = result.outcomes[-1].printed.splitlines()
    assert said[:2] == ["line 0", "line 1"]
    assert said[-1] == "line 99999"
    shown = [line for line in said if line.startswith("line")]
    assert f"… {100_000 - len(shown):,} more lines …" in said
    assert len(said) <= 20


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


FILE = Path("ex_1_1_toy.py")


def test_messages_arrive_until_it_stops() -> None:
    heard: list[Message] = []

    def work(send: Send) -> None:
        send({"n": 1})
        send({"n": 2})
        os.kill(os.getpid(), signal.SIGKILL)

    assert "Killed" in run_forked(work, Limits(), heard.append, FILE)
    assert heard == [{"n": 1}, {"n": 2}]


def test_long_messages_arrive_whole() -> None:
    heard: list[Message] = []
    text = "ü\n" * 100_000
    assert run_forked(lambda send: send({"text": text}), Limits(), heard.append, FILE) == ""
    assert heard == [{"text": text}]


def test_a_verdict_counts_once_and_in_order(
    judged: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = {"verdict": "passed", "message": ""}

    def repeated(*_: object) -> list[Message]:
        first: list[Message] = [{"begins": 0}, *([{"settles": 0} | settled] * 5)]
        return [*first, {"settles": 1} | settled, {"begins": 1}, *([{"settles": 1} | settled] * 5)]

    monkeypatch.setattr(judging, "_judge", repeated)
    assert judged("return x").points == 3


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
