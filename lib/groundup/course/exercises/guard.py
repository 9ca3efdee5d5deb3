"""Watch a learner's functions: what the caller passed, and what it got, it still has afterwards."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import wraps
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import expect
from groundup.course.exercises.show import as_array

_PROBABLY = (
    "Operators such as -= and /=, out=, and assignments to x[...] write into the array that was "
    "passed. Make a new one, x = x - 1, or put back the very value that was there."
)
_REUSED = (
    "The two results share an array. Make the arrays of a result inside the function, at each call."
)
_CACHE = "A backward pass may be run twice over one cache; the second would be wrong. " + _PROBABLY


def forbid_changes(
    functions: SimpleNamespace,
    parameters: Mapping[str, Sequence[str]],
    changes: Collection[str] = (),
) -> SimpleNamespace:
    """The functions, each made to fail a check if it changes an argument, or its last result.

    A function that refuses a call, where a check asks for that, must have changed nothing at all.
    A result that shares memory with an argument may change with it.

    Args:
        functions: the learner's, by name.
        parameters: what the library calls the parameters of each, in order.
        changes: those that an exercise asks to change.
    """
    return SimpleNamespace(
        **{
            name: _guard(name, each, parameters.get(name, ()), changes)
            for name, each in vars(functions).items()
        }
    )


def arrays(value: Any, name: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays and tensors within a value, by where they are in it.

    Args:
        value: an array, or lists, tuples, dictionaries, namespaces and dataclasses of them.
        name: of the value.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from arrays(item, f"{name}[{key!r}]")
    elif isinstance(value, list) and value and all(isinstance(v, int | float) for v in value):
        yield name, np.array(value)
    elif isinstance(value, list | tuple):
        for n, item in enumerate(value):
            yield from arrays(item, f"{name}[{n}]")
    elif isinstance(value, SimpleNamespace):
        for key, item in vars(value).items():
            yield from arrays(item, f"{name}.{key}")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from arrays(getattr(value, field.name, None), f"{name}.{field.name}")
    elif any(each.__module__.startswith("groundup.scratch.") for each in type(value).__mro__):
        # A model, a cache
        for key, item in vars(value).items():
            yield from arrays(item, f"{name}.{key}")
    elif hasattr(value, "shape"):
        array = as_array(value)
        if array is not None and array.shape:
            yield name, array


def _guard(
    name: str, function: Callable[..., Any], parameters: Sequence[str], changes: Collection[str]
) -> Callable[..., Any]:
    last: Any = None

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal last
        if expect.measuring():
            return function(*args, **kwargs)
        given = dict(zip(parameters, args, strict=False)) | kwargs
        before = {key: _snapshot(value, key) for key, value in given.items()}
        earlier = [(array, array.copy()) for array in _apart(last, given)]
        try:
            result = function(*args, **kwargs)
        except ValueError as error:
            if expect.refusing():
                says = f"{name} changes {{place}} before it refuses the call, with ValueError: "
                says += f"{error}."
                _compare(given, before, says, "Ask for everything that is refused first.")
            raise
        for now, old in earlier:
            if not _same(old, now):
                says = f"{name} writes over what it returned in the call before."
                shown = {"returned": old, "after the next call": now}
                expect.fail(says, "", shown, _REUSED)
        last = result
        watched = {key: value for key, value in given.items() if key not in changes}
        for key in watched:
            says = f"{name} changes {{place}} in place. The caller still needs it."
            _compare({key: given[key]}, before, says, _CACHE if key == "cache" else _PROBABLY)
        return result

    return call


def _compare(
    given: Mapping[str, Any],
    before: Mapping[str, dict[str, NDArray[Any]]],
    says: str,
    probably: str,
) -> None:
    for key, value in given.items():
        old, new = before[key], dict(arrays(value, key))
        for place in old | new:
            if not _same(old.get(place), new.get(place)):
                shown = {"before": old.get(place), "after": new.get(place)}
                expect.fail(says.replace("{place}", place), "", shown, probably)


def _apart(result: Any, given: Mapping[str, Any]) -> list[NDArray[Any]]:
    """The arrays of a result that share no memory with what is passed."""
    passed = [array for key, value in given.items() for _, array in arrays(value, key)]
    found = [array for _, array in arrays(result)]
    return [a for a in found if not any(np.may_share_memory(a, other) for other in passed)]


def _snapshot(value: Any, name: str) -> dict[str, NDArray[Any]]:
    return {place: array.copy() for place, array in arrays(value, name)}


def _same(before: NDArray[Any] | None, now: NDArray[Any] | None) -> bool:
    if before is None or now is None:
        return False
    return now.shape == before.shape and now.tobytes() == before.tobytes()
