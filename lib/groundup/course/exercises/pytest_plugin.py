"""The hooks that make ``pytest exercises/…`` read well; ``exercises/conftest.py`` imports them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from groundup.course import clone
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises import progress
from groundup.course.exercises.checks import Check, CheckFailure
from groundup.course.exercises.judge import judge
from groundup.course.exercises.mutants import mutants
from groundup.course.exercises.results import Result, closing_line, section
from groundup.course.exercises.runner import Verdict, missing_packages
from groundup.lab.errors import GroundUpError

__all__ = [
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_pycollect_makeitem",
    "pytest_pycollect_makemodule",
    "pytest_report_teststatus",
    "pytest_terminal_summary",
]


@dataclass
class _Session:
    """What one run of pytest knows of the exercises.

    Attributes:
        which: the value of ``--impl``.
        by_file: each exercise by its file of checks.
        results: by exercise.
        wanted: the names of the checks that run, by exercise.
        items: the checks' names in pytest.
    """

    which: str
    by_file: dict[Path, Exercise]
    results: dict[str, Result] = field(default_factory=dict)
    wanted: dict[str, set[str]] = field(default_factory=dict)
    items: set[str] = field(default_factory=set)


_SESSION = pytest.StashKey[_Session]()


class CheckItem(pytest.Item):
    """A check, as pytest sees it."""

    def __init__(self, *, check: Check, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check
        self.session_state = self.config.stash[_SESSION]
        self.session_state.items.add(self.nodeid)
        self.exercise = self.session_state.by_file[self.path.resolve()]

    def runtest(self) -> None:
        """Tell how the check went; the first of an exercise has all of them run."""
        state, name = self.session_state, self.exercise.id
        if name not in state.results:
            # The proofs want every verdict; a learner reads one failure at a time.
            state.results[name] = judge(
                self.exercise,
                state.which,
                stop=not state.which,
                names=state.wanted[name],
                forked=not self.config.getoption("usepdb"),
            )
        result = state.results[name]
        if result.unusable:
            raise CheckFailure(result.unusable)
        outcome = next((o for o in result.outcomes if o.check.name == self.check.name), None)
        if outcome is None:
            pytest.skip("an earlier check failed")
        if outcome.verdict is not Verdict.PASSED:
            raise CheckFailure(outcome.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """The failure in words, without a traceback."""
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the check is."""
        return self.path, self.check.run.__code__.co_firstlineno - 1, self.name


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--impl``."""
    parser.addoption(
        "--impl",
        default="",
        metavar="stub|solution|mutant:NAME",
        help="check another version of the exercises than the learner's",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the catalogue."""
    which = config.getoption("--impl")
    if which not in ("", "stub", "solution") and not which.startswith("mutant:"):
        raise pytest.UsageError(f"--impl must be stub, solution or mutant:NAME: got {which!r}")
    try:
        exercises = catalogue(clone.root())
    except GroundUpError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[_SESSION] = _Session(which, {exercise.checks: exercise for exercise in exercises})


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Leave out checks whose packages are not installed, and say which."""
    state = parent.config.stash[_SESSION]
    exercise = state.by_file.get(module_path.resolve())
    lacking = missing_packages(module_path) if exercise else ""
    if exercise is None or not lacking:
        return None
    state.results[exercise.id] = Result(exercise, unusable=lacking)
    empty: pytest.Module = _Empty.from_parent(parent, path=module_path)
    return empty


class _Empty(pytest.Module):
    def collect(self) -> list[pytest.Item | pytest.Collector]:
        return []


def pytest_pycollect_makeitem(collector: pytest.Module, name: str, obj: object) -> Any:
    """Collect the checks."""
    if not isinstance(obj, Check):
        return None
    if collector.path.resolve() not in collector.config.stash[_SESSION].by_file:
        raise pytest.UsageError(f"{collector.path} is of no exercise in the clone {clone.root()}")
    return CheckItem.from_parent(collector, name=name, check=obj)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the checks into the order of the layers; keep the exercise that has the mutant."""
    state = config.stash[_SESSION]
    checks = [item for item in items if isinstance(item, CheckItem)]
    others = [item for item in items if not isinstance(item, CheckItem)]
    order = list(state.by_file.values())
    checks.sort(key=lambda item: (order.index(item.exercise), item.check.layer))
    kind, _, mutant = state.which.partition(":")
    if kind == "mutant":
        known = {item.exercise.id: mutants(item.exercise) for item in checks}
        checks = [item for item in checks if mutant in known[item.exercise.id]]
        if not checks:
            names = ", ".join(name for each in known.values() for name in each)
            raise pytest.UsageError(f"no mutant is called {mutant!r}. There are: {names}")
    for item in checks:
        state.wanted.setdefault(item.exercise.id, set()).add(item.check.name)
    items[:] = [*others, *checks]


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> Any:
    """Keep the checks out of pytest's own account; the summary tells of them."""
    return ("", "", "") if report.nodeid in config.stash[_SESSION].items else None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write the learner's report."""
    state = config.stash[_SESSION]
    results = [result for result in state.results.values() if result.outcomes or result.unusable]
    if not state.which:
        progress.record(results)
    if results:
        parts = [section(result, state.which) for result in results]
        terminalreporter.write_line("\n".join([*parts, closing_line(results)]))
