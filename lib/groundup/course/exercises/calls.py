"""The calls of a learner's functions: intercepted, the last one kept, and what they may not change.

What the caller passed, and what it got, it still has afterwards.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import signature
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.course.exercises import check_context, expect
from groundup.course.exercises.formatting import as_array, excerpt
from groundup.course.exercises.process_state import restored_settings

Function = Callable[..., Any]
Args = tuple[Any, ...]
Kwargs = dict[str, Any]

_PROBABLY = (
    "Operators such as -= and /=, out=, and assignments to x[...] write into the array that was "
    "passed. Make a new one, x = x - 1, or put back the very value that was there."
)
_REUSED = (
    "The two results share an array. Make the arrays of a result inside the function, at each call."
)
_CACHE = "A backward pass may be run twice over one cache; the second would be wrong. " + _PROBABLY


def intercept(
    functions: SimpleNamespace, around: Callable[[str, Function, Args, Kwargs], Any]
) -> SimpleNamespace:
    """The same functions, by name, each of whose calls goes through ``around``.

    It is given the name, the function and the arguments of a call, and returns the result.
    """

    def intercepted(name: str, function: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> Any:
            return around(name, function, args, kwargs)

        try:
            return wraps(function)(call)
        except Exception:  # an object that does not let itself be asked for its name
            return call

    return SimpleNamespace(**{name: intercepted(name, f) for name, f in vars(functions).items()})


class LastCall:
    """The last call of some functions: what was passed, and how it ended.

    Attributes:
        functions: each by its name, to be called in the place of the original.
        name: of the function that was called last, or empty.
        result: what it returned.
        error: what it raised, or None.
    """

    def __init__(self, functions: SimpleNamespace) -> None:
        self.name = ""
        self.result: Any = None
        self.error: BaseException | None = None
        self._given: tuple[Args, Kwargs] = ((), {})
        self._originals = functions
        self.functions = intercept(functions, self._call)

    @property
    def given(self) -> dict[str, Any]:
        """What was passed to the last call, by the names of its parameters."""
        args, kwargs = self._given
        try:
            function = getattr(self._originals, self.name)
            return dict(signature(function).bind_partial(*args, **kwargs).arguments)
        except (TypeError, ValueError, AttributeError):
            return {f"argument {n}": each for n, each in enumerate(args, 1)} | kwargs

    def _call(self, name: str, function: Function, args: Args, kwargs: Kwargs) -> Any:
        given = tuple(map(excerpt, args)), {key: excerpt(value) for key, value in kwargs.items()}
        try:
            with restored_settings():
                result = function(*args, **kwargs)
        except BaseException as error:
            if self.error is not error:  # a call inside this one may have raised it
                self.name, self._given, self.result, self.error = name, given, None, error
            raise
        self.name, self._given, self.result, self.error = name, given, result, None
        return result


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
    last: dict[str, Any] = {}

    def around(name: str, function: Function, args: Args, kwargs: Kwargs) -> Any:
        if check_context.current().differentiates:
            return function(*args, **kwargs)
        given = dict(zip(parameters.get(name, ()), args, strict=False)) | kwargs
        before = {
            key: {place: array.copy() for place, array in arrays(value, key)}
            for key, value in given.items()
        }
        earlier = [(array, array.copy()) for array in _apart(last.get(name), given)]
        try:
            result = function(*args, **kwargs)
        except ValueError as error:
            if check_context.current().expects_error:
                says = f"{name} changes {{place}} before it refuses the call, with ValueError: "
                says += f"{error}."
                _compare(given, before, says, "Ask for everything that is refused first.")
            raise
        for now, old in earlier:
            if not same_bytes(old, now):
                says = f"{name} writes over what it returned in the call before."
                shown = {"returned": old, "after the next call": now}
                expect.fail(says, "", shown, _REUSED)
        last[name] = result
        for key in (each for each in given if each not in changes):
            says = f"{name} changes {{place}} in place. The caller still needs it."
            _compare({key: given[key]}, before, says, _CACHE if key == "cache" else _PROBABLY)
        return result

    return intercept(functions, around)


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
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from arrays(getattr(value, field.name, None), f"{name}.{field.name}")
    elif isinstance(value, SimpleNamespace) or any(
        each.__module__.startswith("groundup.scratch.") for each in type(value).__mro__
    ):  # the latter a model, or a cache
        for key, item in vars(value).items():
            yield from arrays(item, f"{name}.{key}")
    elif hasattr(value, "shape"):
        array = as_array(value)
        if array is not None and array.shape:
            yield name, array


def same_bytes(before: NDArray[Any] | None, now: NDArray[Any] | None) -> bool:
    """Whether two arrays hold the very same numbers; NaN equals itself."""
    if before is None or now is None:
        return False
    return now.shape == before.shape and now.tobytes() == before.tobytes()


def _compare(
    given: Mapping[str, Any],
    before: Mapping[str, dict[str, NDArray[Any]]],
    says: str,
    probably: str,
) -> None:
    for key, value in given.items():
        old, new = before[key], dict(arrays(value, key))
        for place in old | new:
            if not same_bytes(old.get(place), new.get(place)):
                shown = {"before": old.get(place), "after": new.get(place)}
                expect.fail(says.replace("{place}", place), "", shown, probably)


def _apart(result: Any, given: Mapping[str, Any]) -> list[NDArray[Any]]:
    """The arrays of a result that share no memory with what is passed."""
    passed = [array for key, value in given.items() for _, array in arrays(value, key)]
    found = [array for _, array in arrays(result)]
    return [a for a in found if not any(np.may_share_memory(a, other) for other in passed)]
