"""Run the checks of an exercise on one version of it."""

import traceback
import warnings
from dataclasses import dataclass
from enum import Enum
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import fill

from groundup.course.checks import Check, CheckFailure
from groundup.course.exercises import Exercise
from groundup.course.implementations import Implementation, raised
from groundup.course.sandbox import OutOfTime, stop_clock
from groundup.course.show import WIDTH
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
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{path} can't be used: {type(error).__name__}: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, Check)]
    if not found:
        raise UserError(f"{path} holds no check: see groundup.course.checks")
    return sorted(found, key=lambda each: each.layer)


def run_check(check: Check, own: Implementation) -> Outcome:
    """Run one check. Whatever the learner's functions raise becomes part of the outcome."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check.run(own.functions)
    except CheckFailure as failure:
        return Outcome(check, Verdict.FAILED, str(failure))
    except NotImplementedError as error:
        place = raised(error, own.file).split(": ")[0]
        return Outcome(check, Verdict.NOT_WRITTEN, f"{place}: {error}")
    except (Exception, SystemExit, OutOfTime) as error:
        stop_clock()
        files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
        who = "Your code" if str(own.file) in files else "The check can't use your result. It"
        text = f"{who} raised an error. {raised(error, own.file)}"
        return Outcome(check, Verdict.FAILED, fill(text, WIDTH))
    return Outcome(check, Verdict.PASSED)
