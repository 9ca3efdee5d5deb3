"""The versions of an exercise that can be checked: the learner's, stub, solution and mutants."""

import ast
import difflib
import inspect
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

from groundup.course.authoring.stubs import stub_text
from groundup.course.catalogue import Exercise
from groundup.course.exercises import deadline
from groundup.course.exercises.checks import CheckFailure
from groundup.course.exercises.deadline import OutOfTime
from groundup.course.exercises.forbidden import forbidden
from groundup.course.exercises.learner_file import Parsed, parse, read
from groundup.course.exercises.show import WIDTH, legible, shorten
from groundup.course.exercises.signatures import mend
from groundup.course.exercises.surroundings import guarded
from groundup.lab.errors import UserError

_SAID = 300  # characters of an error's text that are shown


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
class Variant:
    """A right version of one function in another style, which the checks must accept.

    Attributes:
        exercise: the id.
        replaces: the function's name in the exercise.
        name: of the variant.
        about: what is unusual in it, a sentence.
        function: the version.
    """

    exercise: str
    replaces: str
    name: str
    about: str
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
        return Mutant(exercise, replaces, function.__name__, _sentence(function), function)

    return wrap


def variant(exercise: str, replaces: str) -> Callable[[Callable[..., Any]], Variant]:
    """Make a function in a ``variants.py`` a right version; its docstring says what is unusual.

    Args:
        exercise: the id, such as ``5.1``.
        replaces: the function's name in the exercise.

    Raises:
        ValueError: the function has no docstring.
    """

    def wrap(function: Callable[..., Any]) -> Variant:
        return Variant(exercise, replaces, function.__name__, _sentence(function), function)

    return wrap


def mutants(exercise: Exercise) -> dict[str, Mutant]:
    """The mutants of an exercise, by name."""
    found = _defined(exercise.mutants, exercise)
    return {each.name: each for each in found if isinstance(each, Mutant)}


def variants(exercise: Exercise) -> dict[str, Variant]:
    """The right versions of an exercise in other styles, by name; a chapter may have none."""
    path = exercise.mutants.with_name("variants.py")
    found = _defined(path, exercise) if path.is_file() else []
    return {each.name: each for each in found if isinstance(each, Variant)}


def _defined(path: Path, exercise: Exercise) -> list[Any]:
    """What a file of versions defines of an exercise."""
    module = _execute(path.read_text(encoding="utf-8"), path, f"{path.stem}_of_{exercise.folder}")
    return [each for each in vars(module).values() if getattr(each, "exercise", "") == exercise.id]


def _sentence(function: Callable[..., Any]) -> str:
    said = " ".join((function.__doc__ or "").split())
    if not said:
        raise ValueError(f"{function.__name__} needs a docstring, which says what it does")
    return said


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


def mutated(solution: Implementation, by: Mutant | Variant, exercise: Exercise) -> Implementation:
    """A solution with one of its functions replaced by another version."""
    functions = {**vars(solution.functions), by.replaces: by.function}
    return Implementation(SimpleNamespace(**functions), exercise.mutants)


def _known(exercise: Exercise, path: Path, text: str) -> Implementation:
    """The stub or the solution, which are as they must be."""
    module = vars(_execute(text, path, f"exercise_{exercise.stem}"))
    names = [target.name for target in exercise.targets]
    return Implementation(SimpleNamespace(**{name: module[name] for name in names}), path)


def _learners(exercise: Exercise, path: Path) -> Implementation:
    where = str(_shown(path, exercise))
    reset = f"Run groundup reset {exercise.id} to get it back." if path == exercise.file else ""
    if not path.is_file():
        raise CheckFailure(f"There is no {where}. {reset}".rstrip())
    parsed = parse(path, where)
    if not parsed.tree.body:
        raise CheckFailure(f"{where} is empty. {reset}".rstrip())
    if says := forbidden(exercise, parsed.tree):
        raise CheckFailure(f"{where}, {says}")
    stub = vars(load(exercise, "stub").functions)  # before: both are one module to Python
    try:
        with guarded():
            module = _execute(parsed.text, path, f"exercise_{exercise.stem}")
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
        if says := mend(target.name, wanted, taken, exercise):
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


def lacks(checks: Path) -> str:
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


def raised(error: BaseException, path: Path) -> str:
    """What went wrong in words, with the last line of the file that it passed through."""
    lines = _lines(error, path)
    text = _in_words(error)
    return f"{path.name}, line {lines[-1]}: {text}" if lines else text


def line_of(error: BaseException, path: Path) -> str:
    """The text of that line, with its number; empty if it passed through none."""
    lines = _lines(error, path)
    try:
        texts = read(path, path.name).splitlines()
    except CheckFailure:
        return ""
    if not lines or lines[-1] > len(texts):
        return ""
    return f"{lines[-1]} | {shorten(legible(texts[lines[-1] - 1].strip()), WIDTH - 8)}"


def _lines(error: BaseException, path: Path) -> list[int]:
    frames = traceback.walk_tb(error.__traceback__)
    return [line for frame, line in frames if frame.f_code.co_filename == str(path)]


def _in_words(error: BaseException) -> str:
    kind = type(error).__name__
    try:
        said = shorten(legible(str(error)), _SAID)
    except Exception:
        said = ""
    if isinstance(error, OutOfTime):
        return f"still running after {said}. {deadline.ASK}"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in said:
        return f"more memory is asked for than a check may use. {said}".rstrip()
    if isinstance(error, RecursionError):
        return f"a function calls itself without end ({kind})."
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
    exec(compiled(text, path), vars(module))
    return module


@lru_cache(maxsize=64)
def compiled(text: str, path: Path) -> CodeType:
    """The code of a file, compiled once for each text that it has had."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(text, str(path), "exec", dont_inherit=True)
