"""Run the checks of an exercise on one version of it."""

import ast
import dis
import traceback
import warnings
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from groundup.course.catalogue import Exercise
from groundup.course.exercises import deadline
from groundup.course.exercises.calls import LastCall
from groundup.course.exercises.checks import Check, CheckFailure
from groundup.course.exercises.deadline import OutOfTime
from groundup.course.exercises.formatting import indent, show
from groundup.course.exercises.implementations import Implementation
from groundup.course.exercises.process_state import isolated
from groundup.course.exercises.python_files import compiled, read_source
from groundup.course.exercises.raised_errors import line_of, raised
from groundup.lab.errors import UserError


class Verdict(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_WRITTEN = "to write"


@dataclass(frozen=True)
class Outcome:
    """A check, and how it ended.

    Attributes:
        check: what was asked.
        verdict: the answer.
        message: what to show of a check that did not pass.
        printed: what the functions printed meanwhile.
    """

    check: Check
    verdict: Verdict
    message: str = ""
    printed: str = ""


def load_checks(exercise: Exercise, file: Path | None = None) -> list[Check]:
    """The checks of an exercise, in the order in which they run.

    Args:
        exercise: of the catalogue.
        file: checks of somebody else's.

    Raises:
        UserError: there is no such file, or it can't be used.
    """
    path = file or exercise.checks
    if not path.is_file():
        raise UserError(f"exercise {exercise.id} has no checks: {path} is missing")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(compiled(read_source(path, path.name), path), vars(module))
    except Exception as error:
        raise UserError(f"{path} can't be used: {type(error).__name__}: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, Check)]
    if not found:
        raise UserError(f"{path} holds no check: see groundup.course.exercises.checks")
    return sorted(found, key=lambda each: each.layer)


def missing_packages(checks: Path) -> str:
    """What to install before a file of checks can run, a sentence; empty if everything is there."""
    names = _imported(checks.read_text(encoding="utf-8"))
    missing = [name for name in names if find_spec(name) is None]
    if not missing:
        return ""
    needs = f"This exercise needs {', '.join(missing)}, which is not installed"
    return f"{needs}: run pip install -c constraints.txt -e '.[embed]' in the clone."


@lru_cache(maxsize=64)
def _imported(text: str) -> tuple[str, ...]:
    """The packages that a file imports, in order."""
    names = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return tuple(sorted(names))


def run_check(check: Check, own: Implementation) -> Outcome:
    """Run one check. Whatever the learner's functions raise or change is part of the outcome."""
    last = LastCall(own.functions)
    try:
        with isolated(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            deadline.raise_if_over()
            check.run(last.functions)
            deadline.raise_if_over()
    except CheckFailure as failure:
        return Outcome(check, Verdict.FAILED, str(failure))
    except BaseException as error:
        if not isinstance(error, Exception | SystemExit) and not deadline.is_running():
            raise  # the user's Ctrl-C, or the end of a debugger
        deadline.stop()
        if isinstance(error, NotImplementedError) and _is_stub(error, own):
            place = raised(error, own.file).split(": ")[0]
            return Outcome(check, Verdict.NOT_WRITTEN, f"{place}: {error}")
        return _broken(check, own, last, error)
    return Outcome(check, Verdict.PASSED)


def _is_stub(error: NotImplementedError, own: Implementation) -> bool:
    """Whether a function that is not written says so, and not a library that can't do something.

    What a library in C raises seems to come from the line that calls it, which raises nothing.
    """
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return False
    code = place.tb_frame.f_code
    raises = code.co_code[place.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return raises and code.co_filename == str(own.file)


def _broken(check: Check, own: Implementation, last: LastCall, error: BaseException) -> Outcome:
    """A check that an error has ended: whose, where, and on which inputs."""
    frames = traceback.walk_tb(error.__traceback__)
    inside = last.error is error
    if inside or any(frame.f_code.co_filename == str(own.file) for frame, _ in frames):
        what = "was stopped" if isinstance(error, OutOfTime) else "raised an error"
        says, detail = f"Your code {what}. {raised(error, own.file)}", line_of(error, own.file)
    elif isinstance(error, OutOfTime):
        says, detail = f"Your code is slow: its checks were {raised(error, own.file)}", ""
    else:
        what = f"what {last.name} returned" if last.name else "your functions"
        says = f"The check can't use {what}. {raised(error, own.file)}"
        detail = f"{last.name} returned\n{indent(show(last.result), 2)}"
    given = last.given if last.name else {}
    return Outcome(check, Verdict.FAILED, str(CheckFailure(says, detail, given)))
