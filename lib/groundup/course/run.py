"""Run the checks of an exercise on one version of it."""

import traceback
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from importlib.util import module_from_spec, spec_from_file_location

from groundup.course.checks import Check, CheckFailure
from groundup.course.exercises import Exercise
from groundup.course.implementations import Implementation, raised
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
    """

    check: Check
    verdict: Verdict
    message: str = ""


def load_checks(exercise: Exercise) -> list[Check]:
    """The checks of an exercise, in the order in which they run.

    Raises:
        UserError: there is no file of checks.
    """
    path = exercise.checks
    if not path.is_file():
        raise UserError(f"exercise {exercise.id} has no checks: {path} is missing")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found = (value for value in vars(module).values() if isinstance(value, Check))
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
    except (Exception, SystemExit) as error:
        files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
        who = "Your code" if str(own.file) in files else "The check can't use your result. It"
        return Outcome(check, Verdict.FAILED, f"{who} raised an error. {raised(error, own.file)}")
    return Outcome(check, Verdict.PASSED)


def run_checks(checks: Iterable[Check], own: Implementation) -> list[Outcome]:
    """Run every check, whether or not an earlier one passed."""
    return [run_check(check, own) for check in checks]
