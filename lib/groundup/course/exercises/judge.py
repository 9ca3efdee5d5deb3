"""Judge versions of an exercise in a forked process: their checks, and which mistake each is."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from groundup.course.catalogue import Exercise
from groundup.course.exercises import before_judging, deadline
from groundup.course.exercises.calls import forbid_changes
from groundup.course.exercises.checks import Check, CheckFailure
from groundup.course.exercises.implementations import Implementation, load, parameters
from groundup.course.exercises.known_mistakes import KnownMistakes
from groundup.course.exercises.results import Result
from groundup.course.exercises.runner import (
    Outcome,
    Verdict,
    load_checks,
    missing_packages,
    run_check,
)
from groundup.course.exercises.sandbox import Limits, Message, Send, run_forked

_MATCHING = 5.0  # seconds in which a mistake must be named, once the verdict is known
_PATIENCE = 3  # a known version has so many times a learner's time: the machine may be busy


def judge(
    exercise: Exercise,
    which: str = "",
    *,
    stop: bool = True,
    file: Path | None = None,
    checks: Path | None = None,
    names: Collection[str] | None = None,
    forked: bool = True,
) -> Result:
    """Run the checks of an exercise.

    Args:
        exercise: of the catalogue; ``exercise.seconds`` bounds all of it.
        which: empty for the learner's file; ``stub``, ``solution`` or ``mutant:NAME``.
        stop: at the first check that fails.
        file: the learner's file, if it is not the one in the clone.
        checks: a file of checks, if they are not the exercise's own.
        names: of the checks to run. None: all.
        forked: in a process of its own, with limits. False lets a debugger in.

    Returns:
        How it went. Code that crashes, hangs or ends its process is part of the answer.

    Raises:
        UserError: the checks or the version asked for do not exist.
    """
    before_judging.prepare()
    result = Result(exercise)
    if lacking := missing_packages(checks or exercise.checks):
        result.unusable = lacking
        return result
    chosen = [c for c in load_checks(exercise, checks) if names is None or c.name in names]
    preload([exercise])
    ours = load(exercise, which) if which else None
    received = _Received(exercise, chosen)

    def work(send: Send) -> None:
        for message in _judge(exercise, ours, chosen, stop, file, diagnosis):
            send(message)

    def diagnosis(own: Implementation) -> str:
        return KnownMistakes(exercise).diagnosis(own)

    if not forked:
        work(received.add)
        return received.result
    path = file or exercise.file
    limits = Limits(seconds=exercise.seconds * (_PATIENCE if ours else 1))
    if reason := run_forked(work, limits, received.add, path):
        received.end(reason, path)
    return received.result


def judge_known(
    exercise: Exercise,
    versions: Mapping[str, Implementation],
    *,
    stop: bool = False,
    diagnose: bool = True,
) -> dict[str, Result]:
    """Run the checks of an exercise on several versions of the course's own, in one process.

    Each has the time that :func:`judge` gives it. If one ends the process, the next ones run in
    another.

    Args:
        exercise: of the catalogue.
        versions: by any names. They may not change what the others need.
        stop: at the first check that fails.
        diagnose: find out which known mistake each wrong version is.

    Returns:
        How each went, by the same names.

    Raises:
        UserError: the exercise has no checks, or they can't be used.
    """
    before_judging.prepare()
    preload([exercise])
    results: dict[str, Result] = {}
    while left := {name: each for name, each in versions.items() if name not in results}:
        results |= _judge_together(exercise, left, stop, diagnose)
    return results


def _judge_together(
    exercise: Exercise, versions: Mapping[str, Implementation], stop: bool, diagnose: bool
) -> dict[str, Result]:
    """The results of all versions, or of those as far as the one that has ended the process."""
    checks = load_checks(exercise)
    diagnosis = KnownMistakes(exercise).diagnosis if diagnose else None
    received = {next(iter(versions)): _Received(exercise, checks)}

    def work(send: Send) -> None:
        for name, each in versions.items():
            send({"version": name})
            deadline.restart()
            for message in _judge(exercise, each, checks, stop, None, diagnosis):
                send(message)

    def receive(message: Message) -> None:
        if "version" in message:
            received[message["version"]] = _Received(exercise, checks)
        else:
            received[next(reversed(received))].add(message)

    limits = Limits(seconds=exercise.seconds * _PATIENCE, pieces=len(versions))
    if reason := run_forked(work, limits, receive, exercise.mutants):
        last = next(reversed(received))
        received[last].end(reason, versions[last].file)
    return {name: each.result for name, each in received.items()}


class _Received:
    """What the forked process has sent about one version.

    Attributes:
        result: how it went, as far as is known.
    """

    def __init__(self, exercise: Exercise, checks: list[Check]) -> None:
        self.result = Result(exercise)
        self._checks = checks
        self._begun = 0

    def add(self, message: Message) -> None:
        """Add what one message says."""
        outcomes = self.result.outcomes
        if "begins" in message:
            self._begun = message["begins"] + 1
        elif "unusable" in message:
            self.result.unusable = message["unusable"]
        elif "diagnosis" in message:
            self.result.diagnosis = message["diagnosis"]
        elif message["settles"] == len(outcomes) < self._begun:  # each check once, in order
            verdict, said = Verdict(message["verdict"]), message.get("printed", "")
            check = self._checks[message["settles"]]
            outcomes.append(Outcome(check, verdict, message["message"], said))

    def end(self, reason: str, path: Path) -> None:
        """Add that the process has ended before its work was done."""
        outcomes = self.result.outcomes
        if self._begun > len(outcomes):
            says = str(CheckFailure(f"Your code failed. {reason}"))
            outcomes.append(Outcome(self._checks[len(outcomes)], Verdict.FAILED, says))
        elif not self._begun and not self.result.unusable:
            self.result.unusable = str(CheckFailure(f"{path.name} can't be read. {reason}"))


def preload(exercises: Iterable[Exercise]) -> None:
    """Import what exercises and their checks need, so that :func:`judge` finds it there."""
    for exercise in exercises:
        if not missing_packages(exercise.checks):
            load(exercise, "solution")
            load_checks(exercise)


def _judge(
    exercise: Exercise,
    known: Implementation | None,
    checks: list[Check],
    stop: bool,
    file: Path | None,
    diagnosis: Callable[[Implementation], str] | None,
) -> Iterator[Message]:
    """What the forked process sends about one version, message by message."""
    try:
        own = known or load(exercise, file=file)
    except CheckFailure as failure:
        yield {"unusable": str(failure)}
        return
    names = parameters(exercise)
    careful = replace(own, functions=forbid_changes(own.functions, names, exercise.changes))
    wrong = False
    for number, check in enumerate(checks):
        yield {"begins": number}
        outcome = run_check(check, careful)
        yield {"settles": number, "verdict": outcome.verdict.value, "message": outcome.message}
        wrong = wrong or outcome.verdict is Verdict.FAILED
        if deadline.time_is_up() and wrong:
            return
        if stop and wrong:
            break
    if wrong and diagnosis:
        if not known:
            deadline.reduce_to(_MATCHING)
        yield {"diagnosis": diagnosis(own)}
