"""The versions of an exercise that can be checked: the learner's, stub, solution and mutants."""

import ast
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

from groundup.course.checks import CheckFailure
from groundup.course.exercises import Exercise
from groundup.course.generate import parameters, stub_text
from groundup.course.sandbox import OutOfTime, stop_clock
from groundup.lab.errors import UserError


@dataclass(frozen=True)
class Mutant:
    """A wrong version of one function, as people really write it.

    Attributes:
        exercise: the id, such as ``5.1``.
        replaces: the function's name in the exercise.
        name: of the mutant.
        diagnosis: what is wrong in it, a sentence.
        function: the wrong version.
    """

    exercise: str
    replaces: str
    name: str
    diagnosis: str
    function: Callable[..., Any]


@dataclass(frozen=True)
class Implementation:
    """Functions that the checks can be run on.

    Attributes:
        functions: holds each by its name.
        file: where they were written.
    """

    functions: SimpleNamespace
    file: Path


def mutant(exercise: str, replaces: str) -> Callable[[Callable[..., Any]], Mutant]:
    """Make a function in a ``mutants.py`` a mutant; its docstring is the diagnosis.

    Args:
        exercise: the id, such as ``5.1``.
        replaces: the function's name in the exercise; the others stay right.

    Raises:
        ValueError: the function has no docstring.
    """

    def wrap(function: Callable[..., Any]) -> Mutant:
        diagnosis = " ".join((function.__doc__ or "").split())
        if not diagnosis:
            raise ValueError(f"the mutant {function.__name__} needs a docstring: the diagnosis")
        return Mutant(exercise, replaces, function.__name__, diagnosis, function)

    return wrap


def mutants(exercise: Exercise) -> dict[str, Mutant]:
    """The mutants of an exercise, by name."""
    path = exercise.mutants
    module = _execute(path.read_text(encoding="utf-8"), path, f"mutants_of_{exercise.folder}")
    found = (value for value in vars(module).values() if isinstance(value, Mutant))
    return {each.name: each for each in found if each.exercise == exercise.id}


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
    if which == "stub":
        return _functions(exercise, exercise.file, stub_text(exercise))
    if which not in ("", "solution") and kind != "mutant":
        raise UserError(f"--impl must be stub, solution or mutant:NAME: got {which!r}")
    path = exercise.solution if which else file or exercise.file
    if not path.is_file():
        where = _shown(path, exercise)
        raise CheckFailure(f"There is no {where}. Run groundup course build to get it.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CheckFailure(f"{_shown(path, exercise)} is not UTF-8 text: {error}.") from None
    own = _functions(exercise, path, text)
    if kind != "mutant":
        return own
    known = mutants(exercise)
    if name not in known:
        raise UserError(
            f"exercise {exercise.id} has no mutant {name!r}. There are: {', '.join(known)}"
        )
    return mutated(own, known[name], exercise)


def mutated(solution: Implementation, wrong: Mutant, exercise: Exercise) -> Implementation:
    """A solution with one of its functions replaced by a wrong version."""
    functions = {**vars(solution.functions), wrong.replaces: wrong.function}
    return Implementation(SimpleNamespace(**functions), exercise.mutants)


def _functions(exercise: Exercise, path: Path, text: str) -> Implementation:
    where = _shown(path, exercise)
    try:
        names = _dotted_names(ast.parse(text))
        module = _execute(text, path, f"exercise_{exercise.stem}")
    except SyntaxError as error:
        line = (error.text or "").rstrip()
        mark = " " * ((error.offset or 1) - 1) + "^"
        detail = f"{line}\n{mark}".strip("\n") if line else ""
        raise CheckFailure(f"{where}, line {error.lineno}: {error.msg}.", detail) from None
    except (Exception, SystemExit, OutOfTime) as error:
        stop_clock()
        raise CheckFailure(f"{where} can't be read. {raised(error, path)}") from None
    for banned in (*exercise.forbidden, *(f"{t.module}.{t.symbol}" for t in exercise.targets)):
        if any(f"{name}.".startswith(f"{banned}.") for name in names):
            raise CheckFailure(f"{where} uses {banned}, which is what you are asked to write.")
    functions = {}
    for name, wanted in parameters(exercise).items():
        function = getattr(module, name, None)
        if not callable(function):
            raise CheckFailure(f"{where} has no function {name}.")
        if (getattr(function, "__module__", None) or "").startswith("groundup."):
            says = f"{name} in {where} is the library's own, which is what you are asked to write."
            raise CheckFailure(says)
        if (taken := tuple(inspect.signature(function).parameters)) != wanted:
            says = f"{name} must take ({', '.join(wanted)}): yours takes ({', '.join(taken)})."
            raise CheckFailure(says)
        functions[name] = function
    return Implementation(SimpleNamespace(**functions), path)


def _shown(path: Path, exercise: Exercise) -> Path:
    """A path as the report names it: within the clone, or whole."""
    return path.relative_to(exercise.root) if path.is_relative_to(exercise.root) else path


def lacks(checks: Path) -> str:
    """What to install before a file of checks can run, a sentence; empty if everything is there."""
    names = set()
    for node in ast.parse(checks.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    missing = sorted(name for name in names if find_spec(name) is None)
    if not missing:
        return ""
    needs = f"This exercise needs {', '.join(missing)}, which is not installed"
    return f"{needs}: run pip install -c constraints.txt -e '.[embed]' in the clone."


def raised(error: BaseException, path: Path) -> str:
    """What went wrong in words, with the last line of the file that it passed through."""
    frames = [
        each for each in traceback.extract_tb(error.__traceback__) if each.filename == str(path)
    ]
    text = _in_words(error)
    return f"{path.name}, line {frames[-1].lineno}: {text}" if frames else text


def _in_words(error: BaseException) -> str:
    kind, said = type(error).__name__, str(error)
    if isinstance(error, OutOfTime):
        return f"still running after {said}. Does every loop in it end?"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in said:
        return f"more memory is asked for than a check may use. {said}".rstrip()
    if isinstance(error, SystemExit):
        return "exit() is called, which would end the whole program that uses this."
    if isinstance(error, EOFError):
        return "there is no keyboard here: input() and breakpoint() work under pytest --pdb only."
    return f"{kind}: {said}" if said else kind


def _execute(text: str, path: Path, name: str) -> ModuleType:
    """Run a file as a module. It is read each time: no cache can be older than the file."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    exec(_compiled(text, path), vars(module))
    return module


@lru_cache(maxsize=64)
def _compiled(text: str, path: Path) -> CodeType:
    return compile(text, str(path), "exec")


def _dotted_names(tree: ast.Module) -> set[str]:
    """What a file names, in full: ``import a.b as c`` and ``c.d`` give ``a.b`` and ``a.b.d``."""
    known: dict[str, str] = {}
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.split(".")[0]
                known[alias.asname or whole] = whole
                names.add(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                known[alias.asname or alias.name] = whole
                names.add(whole)
    for node in ast.walk(tree):
        attributes: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            attributes.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in known:
            names.add(".".join([known[inner.id], *attributes]))
    return names
