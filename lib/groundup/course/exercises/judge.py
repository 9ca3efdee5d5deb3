"""Judge one version of an exercise: its checks, in a process apart, and what mistake it is."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from groundup.course.catalogue import Exercise
from groundup.course.exercises import deadline
from groundup.course.exercises.before_judging import before_judging
from groundup.course.exercises.checks import Check, CheckFailure
from groundup.course.exercises.guard import forbid_changes
from groundup.course.exercises.implementations import Implementation, lacks, load, parameters
from groundup.course.exercises.match import known_mistake
from groundup.course.exercises.results import Result
from groundup.course.exercises.run import Outcome, Verdict, load_checks, run_check
from groundup.course.exercises.sandbox import Limits, Message, Send, run_apart

_MATCHING = 5.0  # seconds in which a mistake must be named, once the verdict is known
_PATIENCE = 3  # times as long as a learner's file a known version has: a busy machine is no fault


def judge(
    exercise: Exercise,
    which: str = "",
    *,
    stop: bool = True,
    file: Path | None = None,
    checks: Path | None = None,
    names: Collection[str] | None = None,
    apart: bool = True,
    own: Implementation | None = None,
) -> Result:
    """Run the checks of an exercise.

    Args:
        exercise: of the catalogue; ``exercise.seconds`` bounds all of it.
        which: empty for the learner's file; ``stub``, ``solution`` or ``mutant:NAME``.
        stop: at the first check that fails.
        file: the learner's file, if it is not the one in the clone.
        checks: a file of checks, if they are not the exercise's own.
        names: of the checks to run. None: all.
        apart: in a process of its own, with limits. False lets a debugger in.
        own: a version that was loaded already, instead of ``which``.

    Returns:
        How it went. Code that crashes, hangs or ends its process is part of the answer.

    Raises:
        UserError: the checks or the version asked for do not exist.
    """
    while before_judging:
        before_judging.pop()()
    result = Result(exercise)
    if lacking := lacks(checks or exercise.checks):
        result.unusable = lacking
        return result
    chosen = [c for c in load_checks(exercise, checks) if names is None or c.name in names]
    warm([exercise])
    ours = load(exercise, which) if which else own
    begun = 0

    def hear(message: Message) -> None:
        nonlocal begun
        if "begins" in message:
            begun = message["begins"] + 1
        elif "unusable" in message:
            result.unusable = message["unusable"]
        elif "diagnosis" in message:
            result.diagnosis = message["diagnosis"]
        elif message["settles"] == len(result.outcomes) < begun:  # each check once, in order
            verdict, said = Verdict(message["verdict"]), message.get("printed", "")
            check = chosen[message["settles"]]
            result.outcomes.append(Outcome(check, verdict, message["message"], said))

    def work(send: Send) -> None:
        for message in _judge(exercise, ours, chosen, stop, file):
            send(message)

    if not apart:
        work(hear)
        return result
    path = file or exercise.file
    limits = Limits(seconds=exercise.seconds * (_PATIENCE if ours else 1))
    reason = run_apart(work, limits, hear, path)
    if reason and begun > len(result.outcomes):
        check = chosen[len(result.outcomes)]
        says = str(CheckFailure(f"Your code failed. {reason}"))
        result.outcomes.append(Outcome(check, Verdict.FAILED, says))
    elif reason and not begun and not result.unusable:
        result.unusable = str(CheckFailure(f"{path.name} can't be read. {reason}"))
    return result


def warm(exercises: Iterable[Exercise]) -> None:
    """Import what exercises and their checks need, so that :func:`judge` finds it there."""
    for exercise in exercises:
        if not lacks(exercise.checks):
            load(exercise, "solution")
            load_checks(exercise)


def _judge(
    exercise: Exercise,
    known: Implementation | None,
    checks: list[Check],
    stop: bool,
    file: Path | None,
) -> Iterator[Message]:
    """What the process apart says, message by message."""
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
    if wrong:
        if not known:
            deadline.hurry(_MATCHING)
        yield {"diagnosis": known_mistake(exercise, own)}
