"""The exercises themselves, proved: each check can fail, and each wrong version does."""

import ast
import re
from functools import cache

import pytest

from groundup.course import clone
from groundup.course.authoring.stubs import solution_text
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises.checks import Layer
from groundup.course.exercises.conditional_sentences import CLAIM
from groundup.course.exercises.derived_mutants import derived_mutants
from groundup.course.exercises.implementations import load, mutated
from groundup.course.exercises.judge import judge, judge_known
from groundup.course.exercises.mutants import mutants, variants
from groundup.course.exercises.mutation_report import known_versions, survivors
from groundup.course.exercises.results import Result, section
from groundup.course.exercises.runner import Outcome, Verdict, load_checks

ROOT = clone.root()
EXERCISES = {exercise.id: exercise for exercise in catalogue(ROOT)}


@cache
def judged(id: str) -> dict[str, Result]:
    """How the stub, the solution and the mutants went, by what ``--impl`` calls them."""
    return judge_known(EXERCISES[id], known_versions(EXERCISES[id]))


def outcomes(id: str, which: str) -> list[Outcome]:
    return judged(id)[which].outcomes


def failed(id: str, which: str) -> set[str]:
    return {o.check.name for o in outcomes(id, which) if o.verdict is not Verdict.PASSED}


def named(exercise: Exercise) -> str:
    return exercise.id


# What is tested of an exercise is tested in one process, where it was judged: see the Makefile.
every_exercise = pytest.mark.parametrize(
    "exercise",
    [pytest.param(each, marks=pytest.mark.xdist_group(id)) for id, each in EXERCISES.items()],
    ids=named,
)


@every_exercise
def test_solution_passes_every_check(exercise: Exercise) -> None:
    wrong = [o for o in outcomes(exercise.id, "solution") if o.verdict is not Verdict.PASSED]
    assert not wrong, "\n".join(o.message for o in wrong)


@every_exercise
def test_stub_says_that_it_is_not_written(exercise: Exercise) -> None:
    for outcome in outcomes(exercise.id, "stub"):
        assert outcome.verdict is Verdict.NOT_WRITTEN
        place = rf"ex_{exercise.stem}\.py, line \d+: {re.escape(exercise.id)}"
        assert re.fullmatch(place, outcome.message)


@every_exercise
def test_checks_reject_every_mutant(exercise: Exercise) -> None:
    alive = [
        f"{name}: {each.about}"
        for name, each in mutants(exercise).items()
        if not failed(exercise.id, f"mutant:{name}")
    ]
    assert not alive, "\n".join(alive)


@every_exercise
def test_whoever_writes_a_mutant_is_told_its_diagnosis(exercise: Exercise) -> None:
    """So no two mutants do the same on every call that the checks make."""
    untold = [
        f"{name}: {each.about} Told: {told or 'nothing'}"
        for name, each in mutants(exercise).items()
        if (told := judged(exercise.id)[f"mutant:{name}"].diagnosis) != each.about
    ]
    assert not untold, "\n".join(untold)


@every_exercise
def test_every_check_rejects_a_mutant(exercise: Exercise) -> None:
    rejecting = set().union(*(failed(exercise.id, f"mutant:{name}") for name in mutants(exercise)))
    assert {check.name for check in load_checks(exercise)} == rejecting


@every_exercise
def test_there_are_mutants_of_every_function(exercise: Exercise) -> None:
    found = mutants(exercise).values()
    assert len(found) >= 5
    assert {each.replaces for each in found} == {target.name for target in exercise.targets}


@every_exercise
def test_every_mutant_in_the_folder_belongs_to_an_exercise(exercise: Exercise) -> None:
    text = exercise.mutants.read_text(encoding="utf-8")
    here = [other for other in EXERCISES.values() if other.mutants == exercise.mutants]
    assert text.count("@mutant(") == sum(len(mutants(other)) for other in here)


@every_exercise
def test_no_check_passes_a_version_derived_from_the_solution(exercise: Exercise) -> None:
    """One refusal less, a late one, numbers that passed through float32."""
    assert not survivors(exercise, derived_mutants(exercise).values())


@every_exercise
def test_right_answers_in_other_styles_pass(exercise: Exercise) -> None:
    solution, right = load(exercise, "solution"), variants(exercise)
    versions = {name: mutated(solution, each, exercise) for name, each in right.items()}
    for name, result in judge_known(exercise, versions).items():
        wrong = [o.message for o in result.outcomes if o.verdict is not Verdict.PASSED]
        assert not wrong, f"{name}, {right[name].about}\n" + "\n".join(wrong)


def claims(text: str) -> set[tuple[str, str]]:
    """The numbers that a text names after *If you have*, each with its place."""
    return {
        (value, claim["at"] or "")
        for claim in CLAIM.finditer(text)
        for value in claim["values"].split(" or ")
    }


@every_exercise
def test_a_number_that_a_failure_names_is_that_of_one_mutant(exercise: Exercise) -> None:
    """'If you have 0.415, …' names a cause: one wrong version gives the number, and no other."""
    shown: dict[tuple[str, str, str], set[str]] = {}
    for name in mutants(exercise):
        for outcome in outcomes(exercise.id, f"mutant:{name}"):
            for claim in claims(" ".join(outcome.message.split())):
                shown.setdefault((outcome.check.name, *claim), set()).add(name)
    shared = {claim: names for claim, names in shown.items() if len(names) > 1}
    assert not shared
    written = set[tuple[str, str]]()
    for node in ast.walk(ast.parse(exercise.checks.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            written |= claims(node.value)
    assert written - {(value, at) for _, value, at in shown} == set(), "given by no mutant"


def test_failure_shown_to_learners_is_the_real_one() -> None:
    text = section(judge(EXERCISES["5.1"], "mutant:no_bias_correction"))
    assert f"```text\n{text}```" in (ROOT / "docs/learn/exercises.md").read_text(encoding="utf-8")


@every_exercise
def test_points_add_up(exercise: Exercise) -> None:
    assert sum(check.points for check in load_checks(exercise)) == exercise.points


@every_exercise
def test_checks_look_at_shapes_inputs_and_an_example(exercise: Exercise) -> None:
    layers = {check.layer for check in load_checks(exercise)}
    assert {Layer.SHAPES, Layer.INPUTS, Layer.EXAMPLE, Layer.RANDOM} <= layers


@every_exercise
def test_a_report_fits_a_terminal(exercise: Exercise) -> None:
    assert all(len(check.title) <= 64 for check in load_checks(exercise))


@every_exercise
def test_solution_is_what_the_library_says(exercise: Exercise) -> None:
    assert exercise.solution.read_text(encoding="utf-8") == solution_text(exercise)


@every_exercise
def test_explanation_is_of_this_exercise(exercise: Exercise) -> None:
    first = exercise.explanation.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# {exercise.id} ")


@every_exercise
def test_section_to_read_exists(exercise: Exercise) -> None:
    path, _, heading = exercise.read.partition(": ")
    if path.startswith("chapters/"):
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        headings = {line.lstrip("# ") for line in lines if re.match(r"# #+ ", line)}
        assert heading in headings
    else:
        assert re.search(r"\(\d{4}\)|arXiv \d{4}\.\d{5}", exercise.read), (
            "name a section or a source"
        )


@every_exercise
def test_no_file_is_left_over(exercise: Exercise) -> None:
    here = [other for other in EXERCISES.values() if other.folder == exercise.folder]
    checks = {other.checks for other in here}
    assert set(exercise.checks.parent.glob("test_*.py")) == checks
    assert set(exercise.solution.parent.glob("*.md")) == {other.explanation for other in here}
