"""Wrong versions that can be derived from the solution, so that no author has to think of them.

Three kinds. One refusal less: each condition that leads to ``raise``, and each part of it, is left
out once. A refusal that comes too late, after something was changed. Numbers that passed through
float32: each floating-point part of a result, what a forward pass keeps, and what is changed in
place.
"""

import ast
import copy
import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from groundup.course.catalogue import Exercise
from groundup.course.exercises.calls import Function, arrays
from groundup.course.exercises.implementations import Implementation, load
from groundup.course.exercises.mutants import Mutant
from groundup.course.exercises.runner import load_checks, run_check
from groundup.course.exercises.tolerances import precision

_CHECKERS = ("check_", "require_", "_check_", "_require_")


def derived_mutants(exercise: Exercise) -> dict[str, Mutant]:
    """The derived wrong versions of an exercise, by name."""
    solution = load(exercise, "solution")
    found = [*_refusals(exercise, solution), *_roundings(exercise, solution)]
    return {each.name: each for each in found}


def _refusals(exercise: Exercise, solution: Implementation) -> Iterator[Mutant]:
    text = exercise.solution.read_text(encoding="utf-8")
    for name, right in vars(solution.functions).items():
        refused = _refused(exercise, solution, name)
        for number in range(len(list(_cuts(_body(ast.parse(text), name))))):
            tree = ast.parse(text)
            what, cut = list(_cuts(_body(tree, name)))[number]
            cut()
            space = dict(right.__globals__)
            exec(compile(ast.fix_missing_locations(tree), str(exercise.solution), "exec"), space)
            less = space[name]
            if any(_refuses_elsewhere(less, each) for each in refused):
                continue  # what comes after it raises the same error
            told = f"{name} does not refuse: {what}."
            yield Mutant(exercise.id, name, f"{name}_without_refusal_{number}", told, less)
            if exercise.changes:
                told = f"{name} changes what it was given before it refuses: {what}."
                late = _late(right, less)
                yield Mutant(exercise.id, name, f"{name}_late_refusal_{number}", told, late)


@dataclass(frozen=True)
class _Refused:
    """A call that a check makes, and that the solution refuses: the error, and its line."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    error: type[Exception]
    line: int


def _refused(exercise: Exercise, solution: Implementation, name: str) -> list[_Refused]:
    right = getattr(solution.functions, name)
    found: list[_Refused] = []

    def record(*args: Any, **kwargs: Any) -> Any:
        try:
            return right(*args, **kwargs)
        except Exception as error:
            with suppress(Exception):  # what can't be copied is not kept
                given = copy.deepcopy((args, kwargs))
                found.append(_Refused(*given, type(error), _line(error, exercise.solution)))
            raise

    _run(exercise, solution, **{name: record})
    return found


def _refuses_elsewhere(less: Function, refused: _Refused) -> bool:
    args, kwargs = copy.deepcopy((refused.args, refused.kwargs))
    try:
        with np.errstate(all="ignore"):
            less(*args, **kwargs)
    except Exception as error:
        line = _line(error, Path(less.__code__.co_filename))
        return type(error) is refused.error and line != refused.line
    return False


def _line(error: Exception, file: Path) -> int:
    frames = traceback.extract_tb(error.__traceback__)
    return next((each.lineno or 0 for each in frames if each.filename == str(file)), 0)


def _run(exercise: Exercise, solution: Implementation, **instead: Function) -> None:
    """Run all checks on the solution with some functions replaced."""
    functions = SimpleNamespace(**{**vars(solution.functions), **instead})
    for check in load_checks(exercise):
        run_check(check, Implementation(functions, solution.file))


def _body(tree: ast.Module, name: str) -> ast.FunctionDef:
    return next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)


def _cuts(function: ast.FunctionDef) -> Iterator[tuple[str, Callable[[], None]]]:
    """What a function refuses, each with the change that makes it accept that."""
    for node in ast.walk(function):
        if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
            yield ast.unparse(node.test), _setter(node, "test", ast.Constant(False))
            yield from _parts(node, "test")
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value
            if ast.unparse(called.func).startswith(_CHECKERS):
                yield ast.unparse(called), _setter(node, "value", ast.Constant(None))


def _parts(parent: Any, field: str, index: int | None = None) -> Iterator[tuple[str, Any]]:
    """The parts of a condition that can be left out without leaving out the whole."""
    node = getattr(parent, field) if index is None else getattr(parent, field)[index]
    if isinstance(node, ast.BoolOp):
        for n, value in enumerate(node.values):
            rest = [other for other in node.values if other is not value]
            if isinstance(node.op, ast.Or) or _negated(parent):
                one = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
                yield ast.unparse(value), _setter(parent, field, one, index)
            yield from _parts(node, "values", n)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from _parts(node, "operand")
    elif isinstance(node, ast.Compare) and _negated(parent) and len(node.ops) > 1:
        sides = [node.left, *node.comparators]
        for n, op in enumerate(node.ops):
            kept: list[ast.expr] = [
                ast.Compare(sides[m], [other], [sides[m + 1]])
                for m, other in enumerate(node.ops)
                if m != n
            ]
            link = ast.Compare(sides[n], [op], [sides[n + 1]])
            rest_of = kept[0] if len(kept) == 1 else ast.BoolOp(ast.And(), kept)
            yield f"not {ast.unparse(link)}", _setter(parent, field, rest_of, index)
    elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Call):
        called = node.left
        if ast.unparse(called.func) in ("min", "max") and len(called.args) > 1:
            for each in called.args:
                others = [arg for arg in called.args if arg is not each]
                if len(others) == 1:
                    yield ast.unparse(each), _setter(node, "left", others[0])
                else:
                    yield ast.unparse(each), _setter(called, "args", others)


def _negated(parent: Any) -> bool:
    return isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)


def _setter(node: Any, field: str, value: Any, index: int | None = None) -> Callable[[], None]:
    def change() -> None:
        if index is None:
            setattr(node, field, value)
        else:
            getattr(node, field)[index] = value

    return change


def _late(right: Function, less: Function) -> Function:
    @wraps(right)
    def late(*args: Any, **kwargs: Any) -> Any:
        try:
            right(*copy.deepcopy(args), **copy.deepcopy(kwargs))
        except Exception:
            with suppress(Exception):
                less(*args, **kwargs)
            raise
        return right(*args, **kwargs)

    return late


def _roundings(exercise: Exercise, solution: Implementation) -> Iterator[Mutant]:
    for name, right in vars(solution.functions).items():
        found = _floating(exercise, solution, name)
        keeps = f"{name}_backward" in vars(solution.functions)
        for place in sorted(found):
            if keeps and place == max(found):
                kept = _coarse(right, place, False)
                if _backward(exercise, solution, name) == _backward(exercise, solution, name, kept):
                    continue  # its digits do not matter, such as those of a mask
                told, modes = "what is kept for the backward pass", ["rounded"]
            else:
                told, modes = f"part {place + 1} of the result", ["cast", "rounded"]
            for mode in modes:
                what = f"{name} takes {told} through float32."
                wrong = _coarse(right, place, mode == "cast")
                yield Mutant(exercise.id, name, f"{name}_{mode}_{place}", what, wrong)
        if _changes_fractions(exercise, solution, name):
            what = f"{name} takes what it changes in place through float32."
            wrong = _coarse_in_place(right, exercise.changes)
            yield Mutant(exercise.id, name, f"{name}_rounded_in_place", what, wrong)


def _floating(exercise: Exercise, solution: Implementation, name: str) -> set[int]:
    """The parts of a function's result that hold float64 in some call of the checks."""
    found: set[int] = set()
    right = getattr(solution.functions, name)

    def record(*args: Any, **kwargs: Any) -> Any:
        result = right(*args, **kwargs)
        for place, part in enumerate(_as_parts(result)):
            if _through(part, False) is not part:
                found.add(place)
        return result

    _run(exercise, solution, **{name: record})
    return found


def _backward(
    exercise: Exercise, solution: Implementation, name: str, instead: Function | None = None
) -> list[list[bytes]]:
    """Every gradient that the checks are given, by a forward pass."""
    made: list[list[bytes]] = []
    backward = getattr(solution.functions, f"{name}_backward")

    def record(*args: Any, **kwargs: Any) -> Any:
        result = backward(*args, **kwargs)
        made.append([array.tobytes() for _, array in arrays(result)])
        return result

    forward = instead or getattr(solution.functions, name)
    _run(exercise, solution, **{name: forward, f"{name}_backward": record})
    return made


def _changes_fractions(exercise: Exercise, solution: Implementation, name: str) -> bool:
    """Whether some check has a function change numbers in place that are not all whole."""
    right = getattr(solution.functions, name)
    signature = inspect.signature(right)
    found = False

    def record(*args: Any, **kwargs: Any) -> Any:
        nonlocal found
        result = right(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        for changed in exercise.changes:
            found |= any((array % 1).any() for _, array in arrays(given.get(changed)))
        return result

    _run(exercise, solution, **{name: record})
    return found


def _as_parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _coarse(right: Function, place: int, cast: bool) -> Function:
    @wraps(right)
    def coarse(*args: Any, **kwargs: Any) -> Any:
        result = right(*args, **kwargs)
        if not isinstance(result, tuple | list):
            return _through(result, cast)
        parts = [_through(p, cast) if n == place else p for n, p in enumerate(result)]
        return type(result)(parts)

    return coarse


def _coarse_in_place(right: Function, changes: tuple[str, ...]) -> Function:
    signature = inspect.signature(right)

    @wraps(right)
    def coarse(*args: Any, **kwargs: Any) -> Any:
        result = right(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        for name in changes:
            for _, array in arrays(given.get(name), name):
                if array.dtype == np.float64:
                    array[...] = array.astype(np.float32)
        return result

    return coarse


def _through(value: Any, cast: bool) -> Any:
    """A value with its float64 numbers taken to float32, and back again unless they are cast."""
    if isinstance(value, dict):
        changed = {key: _through(item, cast) for key, item in value.items()}
        return changed if any(changed[key] is not value[key] for key in value) else value
    if type(value) in (list, tuple):
        items = [_through(item, cast) for item in value]
        if any(a is not b for a, b in zip(items, value, strict=True)):
            return type(value)(items)
        return value
    if precision(value) != "float64":
        return value
    if isinstance(value, np.ndarray | np.generic):
        narrow = value.astype(np.float32)
        return narrow if cast else narrow.astype(np.float64)
    if isinstance(value, float):
        return np.float32(value) if cast else float(np.float32(value))
    return value.float() if cast else value.float().double()
