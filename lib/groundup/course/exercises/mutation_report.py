"""Which check rejects which wrong version: the proof that the checks of an exercise can fail."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from groundup.course import clone
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises.checks import Check
from groundup.course.exercises.derived_mutants import derived_mutants
from groundup.course.exercises.implementations import Implementation, load, mutated
from groundup.course.exercises.judge import judge_known
from groundup.course.exercises.mutants import Mutant, mutants
from groundup.course.exercises.runner import Verdict, load_checks, missing_packages
from groundup.course.naming import select
from groundup.lab.errors import UserError


@dataclass(frozen=True)
class MutationReport:
    """What the checks of an exercise do to its known versions.

    Attributes:
        exercise: of the catalogue.
        checks: in the order in which they run.
        mutants: the wrong versions.
        derived: how many more were derived from the solution.
        survivors: what those of them do that no check rejects.
        rejected: the names of the checks that reject a mutant, by the mutant's name.
        named: the mutants that are recognised: a learner with the same code reads the diagnosis.
        solution_passes: every check, on the solution.
        stub_is_unwritten: every check says so, on the stub.
    """

    exercise: Exercise
    checks: tuple[Check, ...]
    mutants: tuple[Mutant, ...]
    derived: int
    survivors: tuple[str, ...]
    rejected: dict[str, frozenset[str]]
    named: frozenset[str]
    solution_passes: bool
    stub_is_unwritten: bool

    @property
    def faults(self) -> list[str]:
        """What is not as it must be, a sentence each; empty if the exercise is proved."""
        used = frozenset[str]().union(*self.rejected.values())
        faults = [] if self.solution_passes else ["The solution fails a check."]
        faults += [] if self.stub_is_unwritten else ["The stub is not said to be unwritten."]
        faults += [f"The mutant {name} survives." for name, by in self.rejected.items() if not by]
        faults += [f"A derived mutant survives: {what}" for what in self.survivors]
        faults += [
            f"The check {c.name} rejects nothing." for c in self.checks if c.name not in used
        ]
        untold = [each.name for each in self.mutants if each.name not in self.named]
        return faults + [f"Nobody is told the diagnosis of {name}." for name in untold]


def report(selection: str | None, as_json: bool) -> int:
    """Print the matrix of each exercise: the command ``groundup course report``.

    Args:
        selection: an id, a chapter, or None for all.
        as_json: print one document for a program instead.

    Returns:
        The exit code: 1 if something is not proved.

    Raises:
        UserError: outside a clone, an unknown selection, a missing package.
    """
    exercises = catalogue(clone.root())
    chosen = exercises if selection is None else select(exercises, selection)
    found = []
    for exercise in chosen:
        found.append(mutation_report(exercise))
        if not as_json:
            print(as_text(found[-1]), flush=True)
    if as_json:
        print(json.dumps({"summary": summary(found), "exercises": [as_data(f) for f in found]}))
    else:
        print(summary(found))
    return 1 if any(each.faults for each in found) else 0


def mutation_report(exercise: Exercise) -> MutationReport:
    """Run every check of an exercise on its solution, its stub and each of its mutants.

    Raises:
        UserError: the exercise needs a package that is not installed, or has no checks.
    """
    if lacking := missing_packages(exercise.checks):
        raise UserError(f"{exercise.id}: {lacking}")
    wrong = mutants(exercise)
    results = judge_known(exercise, known_versions(exercise))
    told = {name: results[f"mutant:{name}"] for name in wrong}
    derived = derived_mutants(exercise)
    return MutationReport(
        exercise,
        tuple(load_checks(exercise)),
        tuple(wrong.values()),
        len(derived),
        tuple(survivors(exercise, derived.values())),
        {
            name: frozenset(o.check.name for o in each.outcomes if o.verdict is not Verdict.PASSED)
            for name, each in told.items()
        },
        frozenset(n for n, each in told.items() if each.diagnosis == wrong[n].about),
        results["solution"].solved,
        results["stub"].unwritten,
    )


def known_versions(exercise: Exercise) -> dict[str, Implementation]:
    """The stub, the solution and the mutants of an exercise, each by what ``--impl`` calls it."""
    found = {which: load(exercise, which) for which in ("stub", "solution")}
    for name, each in mutants(exercise).items():
        found[f"mutant:{name}"] = mutated(found["solution"], each, exercise)
    return found


def survivors(exercise: Exercise, derived: Collection[Mutant]) -> list[str]:
    """What those derived wrong versions do that pass every check."""
    solution = load(exercise, "solution")
    does = {each.name: each.about for each in derived}
    versions = {each.name: mutated(solution, each, exercise) for each in derived}
    results = judge_known(exercise, versions, stop=True, diagnose=False)
    return [does[name] for name, each in results.items() if each.solved]


def as_text(found: MutationReport) -> str:
    """The matrix for a terminal: a row for each mutant, a column for each check."""
    exercise, checks = found.exercise, found.checks
    width = max(len(each.name) for each in found.mutants)
    numbers = " ".join(f"{n:>2}" for n in range(1, len(checks) + 1))
    lines = [f"{exercise.id} {exercise.title}: {counts(found)}", ""]
    lines += [f"  {n:>2}  {c.layer.title:<20} {c.title}" for n, c in enumerate(checks, 1)]
    lines += ["", f"  {'':<{width}} {numbers}"]
    for each in found.mutants:
        marks = (" x" if c.name in found.rejected[each.name] else " ." for c in checks)
        lines.append(f"  {each.name:<{width}} {' '.join(marks)}")
    lines += ["", *(f"  FAULT: {fault}" for fault in found.faults)]
    return "\n".join(lines).rstrip() + "\n"


def as_data(found: MutationReport) -> dict[str, Any]:
    """The same for a program."""
    return {
        "id": found.exercise.id,
        "title": found.exercise.title,
        "checks": [
            {"name": c.name, "title": c.title, "layer": c.layer.title, "points": c.points}
            for c in found.checks
        ],
        "mutants": [
            {
                "name": each.name,
                "replaces": each.replaces,
                "diagnosis": each.about,
                "rejected_by": [
                    c.name for c in found.checks if c.name in found.rejected[each.name]
                ],
                "told": each.name in found.named,
            }
            for each in found.mutants
        ],
        "derived": {"mutants": found.derived, "survivors": list(found.survivors)},
        "faults": found.faults,
    }


def summary(found: Sequence[MutationReport]) -> str:
    """One line over all exercises."""
    checks, wrong = sum(len(f.checks) for f in found), sum(len(f.mutants) for f in found)
    derived = sum(f.derived for f in found)
    faults = sum(len(f.faults) for f in found)
    verdict = "no survivor" if not faults else f"{faults} faults"
    return f"{len(found)} exercises, {checks} checks, {wrong} mutants, {derived} derived: {verdict}"


def counts(found: MutationReport) -> str:
    """How many checks and mutants an exercise has, and whether anything is wrong with them."""
    told = f"{len(found.checks)} checks, {len(found.mutants)} mutants, {found.derived} derived"
    return f"{told}, no survivor" if not found.faults else f"{told}, {len(found.faults)} faults"
