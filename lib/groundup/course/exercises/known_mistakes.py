"""Tell a learner which known mistake theirs is: the wrong version that does the same.

A check makes all its calls for that, and does not stop at the first result that is wrong. Two
versions of a function do the same if, on every call that the checks make, they return the same
numbers (and, with torch, pass the same gradients back), raise the same error, and change the same
inputs. What a forward pass keeps for its backward pass is its own affair, and is not compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.catalogue import Exercise
from groundup.course.exercises import check_context
from groundup.course.exercises.calls import Args, Function, Kwargs, intercept, same_bytes
from groundup.course.exercises.checks import Check
from groundup.course.exercises.formatting import as_array
from groundup.course.exercises.implementations import Implementation, load, mutated
from groundup.course.exercises.mutants import mutants
from groundup.course.exercises.runner import load_checks, run_check
from groundup.course.exercises.tolerances import ROUNDING, first_beyond, kind

# A leaf is a type and its numbers; of anything but an array, the type alone.
Leaf = tuple[str, NDArray[Any] | None]

# So many of the arrays that a check passes are compared after every call: finite differences make
# hundreds of calls.
_TRACKED = 24


_SOLUTION = ""  # among the names of mutants


@dataclass
class Call:
    """What one call did.

    Attributes:
        function: the name.
        results: the arrays and numbers that it returned, and the gradients that it passes back.
        error: the name of the error it raised, or empty.
        changed: which of the arrays passed so far are no longer what they were, and what they are.
        later: which of the results are changed after the call, by the end of the check.
    """

    function: str
    results: list[Leaf] = field(default_factory=list)
    error: str = ""
    changed: dict[int, Leaf] = field(default_factory=dict)
    later: tuple[int, ...] = ()


def calls(check: Check, own: Implementation, opaque: frozenset[str]) -> list[Call]:
    """Every call that a check makes, in order.

    Args:
        check: of the exercise. Whether it passes does not matter.
        own: the version that is called.
        opaque: names of functions whose last result is a cache.
    """
    made: list[Call] = []
    passed: list[tuple[Any, NDArray[Any]]] = []
    given_out: list[tuple[Call, Any, list[Leaf]]] = []

    def record(name: str, function: Function, args: Args, kwargs: Kwargs) -> Any:
        inputs = [*args, *kwargs.values()]
        for value in _within(inputs):
            array = as_array(value)
            if array is None or not array.shape or any(value is old for old, _ in passed):
                continue
            if len(passed) < _TRACKED:
                passed.append((value, array.copy()))
        call = Call(name)
        made.append(call)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.error = type(error).__name__
            raise
        finally:
            call.changed = {
                n: _leaf(now)
                for n, (now, old) in enumerate(passed)
                if not same_bytes(old, as_array(now))
            }
        call.results = list(_leaves(result, inputs, name in opaque))
        if len(given_out) < _TRACKED:
            given_out.append((call, result, list(_leaves(result, (), name in opaque))))
        return result

    with check_context.during(ignores_failures=True):
        run_check(check, replace(own, functions=intercept(own.functions, record)))
    for call, result, before in given_out:
        after = _leaves(result, (), call.function in opaque)
        pairs = enumerate(zip(before, after, strict=False))
        call.later = tuple(n for n, (old, now) in pairs if not _like(old, now))
    return made


def agree(one: Sequence[Call], other: Sequence[Call], function: str = "") -> bool:
    """Whether two runs of a check did the same.

    Args:
        one: of :func:`calls`.
        other: likewise.
        function: compare its calls alone. A run ends early where another function is not written
            yet or fails; what came before is compared.
    """
    pairs = [[each for each in run if function in ("", each.function)] for run in (one, other)]
    if function and any(_broken_off(run, function) for run in (one, other)):
        shortest = min(map(len, pairs))
        pairs = [run[:shortest] for run in pairs]
    return all(a is not None and b is not None and _equal(a, b) for a, b in zip_longest(*pairs))


class KnownMistakes:
    """The solution and the mutants of an exercise, and what they do on its checks.

    Each is run when it is first asked for, and its calls are kept, which saves most of the time
    when many versions are diagnosed.
    """

    def __init__(self, exercise: Exercise) -> None:
        solution = load(exercise, "solution")
        self._checks = load_checks(exercise)
        self._mutants = mutants(exercise)
        self._versions = {_SOLUTION: solution}
        self._versions |= {n: mutated(solution, m, exercise) for n, m in self._mutants.items()}
        self._opaque = caches(exercise)
        self._kept: dict[tuple[str, str], list[Call]] = {}

    def diagnosis(self, own: Implementation) -> str:
        """The diagnosis of the one mutant that does what ``own`` does; empty if none or several do.

        A mutant whose whole exercise does the same goes before one whose own function does: the
        other function of a pair may not be written yet, or may only pass the mistake on.

        Args:
            own: a version that a check has rejected.
        """
        alive = self._mutants.copy()
        wrong, different = set[str](), set[str]()
        for check in self._checks:
            mine = calls(check, own, self._opaque)
            right = self._calls(check, _SOLUTION)
            for name, known in list(alive.items()):
                theirs = self._calls(check, name)
                if not agree(mine, theirs, known.replaces):
                    del alive[name]
                    continue
                if not agree(mine, right, known.replaces):
                    wrong.add(name)
                if not agree(mine, theirs):
                    different.add(name)
            if not alive:
                return ""
        found = alive.keys() & wrong
        best = found - different or found
        return alive[best.pop()].about if len(best) == 1 else ""

    def _calls(self, check: Check, name: str) -> list[Call]:
        if (check.name, name) not in self._kept:
            self._kept[check.name, name] = calls(check, self._versions[name], self._opaque)
        return self._kept[check.name, name]


def caches(exercise: Exercise) -> frozenset[str]:
    """The functions of an exercise that return a cache: those with a ``…_backward`` beside them."""
    names = {target.name for target in exercise.targets}
    return frozenset(name for name in names if f"{name}_backward" in names)


def _broken_off(run: Sequence[Call], function: str) -> bool:
    return bool(run) and run[-1].function != function and bool(run[-1].error)


def _within(values: Iterable[Any]) -> Iterable[Any]:
    """The values, and those in dictionaries and in objects that a check made of a namespace."""
    for value in values:
        if isinstance(value, dict):
            yield from _within(value.values())
        elif isinstance(value, SimpleNamespace):
            yield from _within(vars(value).values())
        else:
            yield value


def _leaves(result: Any, inputs: Iterable[Any], opaque: bool) -> Iterable[Leaf]:
    parts = [result]
    if isinstance(result, tuple | list):
        parts = list(result)
        yield f"{len(parts)} parts", None
    if opaque and isinstance(result, tuple):
        parts = parts[:-1]
    for part in _without_dicts(parts):
        yield _leaf(part)
        if getattr(part, "requires_grad", False):
            yield from map(_leaf, _gradients(part, inputs))


def _without_dicts(parts: Iterable[Any]) -> Iterable[Any]:
    """The parts, with what a dictionary or a dataclass holds in its place, names and values."""
    for part in parts:
        if is_dataclass(part) and not isinstance(part, type):
            part = {each.name: getattr(part, each.name) for each in fields(part)}
        if isinstance(part, dict):
            names = sorted(part)
            yield np.array(names)
            yield from (part[name] for name in names)
        else:
            yield part


def _leaf(value: Any) -> Leaf:
    array = as_array(value)
    if array is None:
        return type(value).__name__, None
    if isinstance(value, int | float | np.generic):
        return f"a number, {kind(value)}", array.copy()
    return f"{type(value).__name__} of {value.dtype}".replace("Parameter", "Tensor"), array.copy()


def _gradients(output: Any, inputs: Iterable[Any]) -> Any:
    """What an output passes back to each input, weighted so that no two entries are alike."""
    import torch

    wanted = [each for each in inputs if getattr(each, "requires_grad", False)]
    if not wanted:
        return ()
    weights = torch.arange(1, output.numel() + 1).sin().to(output.dtype).view(output.shape)
    return torch.autograd.grad(output, wanted, weights, retain_graph=True, allow_unused=True)


def _equal(one: Call, other: Call) -> bool:
    if _outline(one) != _outline(other):
        return False
    if not all(_like(one.changed[n], other.changed[n]) for n in one.changed):
        return False
    return all(map(_like, one.results, other.results))


def _outline(call: Call) -> tuple[Any, ...]:
    return call.error, call.changed.keys(), len(call.results), call.later


def _like(one: Leaf, other: Leaf) -> bool:
    (entries, a), (other_entries, b) = one, other
    if entries != other_entries or a is None or b is None or a.shape != b.shape:
        return entries == other_entries and a is None and b is None
    if a.tobytes() == b.tobytes():
        return True
    rounding = entries.split(" ")[-1].removeprefix("torch.")
    return first_beyond(a, b, *ROUNDING.get(rounding, (0.0, 0.0))) is None
