"""The versions of an exercise that can be checked: the learner's, stub, solution and mutants."""

import ast
import difflib
import inspect
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from groundup.course.authoring.stubs import stub_text
from groundup.course.catalogue import Exercise
from groundup.course.exercises import deadline
from groundup.course.exercises.checks import CheckFailure
from groundup.course.exercises.forbidden_names import forbidden_use
from groundup.course.exercises.mutants import Version, mutants
from groundup.course.exercises.process_state import isolated
from groundup.course.exercises.python_files import Parsed, execute_file, parse_file
from groundup.course.exercises.raised_errors import line_of, raised
from groundup.course.exercises.signatures import signature_fault
from groundup.lab.errors import UserError


@dataclass(frozen=True)
class Implementation:
    """Functions that the checks can be run on.

    Attributes:
        functions: holds each by its name.
        file: where they were written.
    """

    functions: SimpleNamespace
    file: Path


def load(exercise: Exercise, which: str = "", file: Path | None = None) -> Implementation:
    """Load one version of an exercise.

    Args:
        exercise: of the catalogue.
        which: empty for the learner's file; ``stub`` as generated, ``solution``, ``mutant:NAME``.
        file: the learner's file, if it is not the one in the clone.

    Raises:
        UserError: there is no such version.
        CheckFailure: the file can't be used: a syntax error, a missing function.
    """
    kind, _, name = which.partition(":")
    if which not in ("", "stub", "solution") and kind != "mutant":
        raise UserError(f"--impl must be stub, solution or mutant:NAME: got {which!r}")
    if not which:
        return _learners(exercise, file or exercise.file)
    if which == "stub":
        return _known(exercise, exercise.file, stub_text(exercise))
    if not exercise.solution.is_file():
        where = _shown(exercise.solution, exercise)
        raise UserError(f"there is no {where}: run groundup course build to get it")
    solution = _known(exercise, exercise.solution, exercise.solution.read_text(encoding="utf-8"))
    if kind != "mutant":
        return solution
    known = mutants(exercise)
    if name not in known:
        raise UserError(
            f"exercise {exercise.id} has no mutant {name!r}. There are: {', '.join(known)}"
        )
    return mutated(solution, known[name], exercise)


def parameters(exercise: Exercise) -> dict[str, tuple[str, ...]]:
    """What the library calls the parameters of each function of an exercise, in order."""
    functions = vars(load(exercise, "solution").functions)
    return {name: tuple(inspect.signature(each).parameters) for name, each in functions.items()}


def mutated(solution: Implementation, by: Version, exercise: Exercise) -> Implementation:
    """A solution with one of its functions replaced by another version."""
    functions = {**vars(solution.functions), by.replaces: by.function}
    return Implementation(SimpleNamespace(**functions), exercise.mutants)


def _known(exercise: Exercise, path: Path, text: str) -> Implementation:
    """The stub or the solution, which are as they must be."""
    module = vars(execute_file(text, path, f"exercise_{exercise.stem}"))
    names = [target.name for target in exercise.targets]
    return Implementation(SimpleNamespace(**{name: module[name] for name in names}), path)


def _learners(exercise: Exercise, path: Path) -> Implementation:
    where = str(_shown(path, exercise))
    reset = f"Run groundup reset {exercise.id} to get it back." if path == exercise.file else ""
    if not path.is_file():
        raise CheckFailure(f"There is no {where}. {reset}".rstrip())
    parsed = parse_file(path, where)
    if not parsed.tree.body:
        raise CheckFailure(f"{where} is empty. {reset}".rstrip())
    if says := forbidden_use(exercise, parsed.tree):
        raise CheckFailure(f"{where}, {says}")
    stub = vars(load(exercise, "stub").functions)  # before: both are one module to Python
    try:
        with isolated():
            module = execute_file(parsed.text, path, f"exercise_{exercise.stem}")
    except CheckFailure as failure:
        raise CheckFailure(f"{where} can't be used. {failure.says}") from None
    except BaseException as error:
        if not isinstance(error, Exception | SystemExit) and not deadline.is_running():
            raise  # the user's Ctrl-C, or the end of a debugger
        deadline.stop()
        detail = line_of(error, path)
        raise CheckFailure(f"{where} can't be read. {raised(error, path)}", detail) from None
    functions = {}
    for target in exercise.targets:
        function = getattr(module, target.name, None)
        if not callable(function):
            raise CheckFailure(_missing(target.name, function, where, parsed, exercise))
        if str(getattr(function, "__module__", "")).startswith("groundup."):
            says = f"{target.name} in {where} is the library's own"
            raise CheckFailure(f"{says}, which is what you are asked to write.")
        try:
            taken = inspect.signature(function)
        except (TypeError, ValueError):  # one written in C; the checks will call it
            taken = inspect.signature(stub[target.name])
        wanted = inspect.signature(stub[target.name])
        if says := signature_fault(target.name, wanted, taken, exercise):
            raise CheckFailure(f"{where}: {says}")
        functions[target.name] = function
    return Implementation(SimpleNamespace(**functions), path)


def _missing(name: str, found: Any, where: str, parsed: Parsed, exercise: Exercise) -> str:
    """Why a file has no function of that name, and what to do."""
    says = f"{where} has no function {name}"
    if found is not None:
        return f"{says}: {name} is of type {type(found).__name__} there. Rename that."
    defined = {
        node.name: node.lineno
        for node in ast.walk(parsed.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    if any(getattr(node, "name", "") == name for node in parsed.tree.body):
        return f"{says} in the end: it is defined in line {defined[name]}, and then deleted."
    if name in defined:
        inside = f"the one in line {defined[name]} is inside something else"
        return f"{says} at the left margin: {inside}. Move it there."
    known = {target.name for target in exercise.targets}
    near = difflib.get_close_matches(name, [each for each in defined if each not in known], n=1)
    if near:
        return f"{says}, but {near[0]} in line {defined[near[0]]}. Call it {name}."
    again = f"groundup reset {exercise.id} gives the stub back, and keeps a copy of your file"
    return f"{says}. Write it again; {again}."


def _shown(path: Path, exercise: Exercise) -> Path:
    """A path as the report names it: within the clone, or whole."""
    return path.relative_to(exercise.root) if path.is_relative_to(exercise.root) else path
