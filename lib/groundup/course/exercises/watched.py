"""A learner's functions, watched: what was passed to the last call, and how it ended."""

import inspect
from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

from groundup.course.exercises.show import excerpt
from groundup.course.exercises.surroundings import call_settings


class Watched:
    """Functions that remember their last call.

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
        self._given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
        self._originals = dict(vars(functions))
        watched = {name: self._watched(name, each) for name, each in self._originals.items()}
        self.functions = SimpleNamespace(**watched)

    @property
    def given(self) -> dict[str, Any]:
        """What was passed to the last call, by the names of its parameters."""
        args, kwargs = self._given
        try:
            bound = inspect.signature(self._originals[self.name]).bind_partial(*args, **kwargs)
        except (TypeError, ValueError, KeyError):
            return {f"argument {n}": each for n, each in enumerate(args, 1)} | kwargs
        return dict(bound.arguments)

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            kept = {key: excerpt(value) for key, value in kwargs.items()}
            given = tuple(map(excerpt, args)), kept
            try:
                with call_settings():
                    result = function(*args, **kwargs)
            except BaseException as error:
                if self.error is not error:  # a call inside this one may have raised it
                    self.name, self._given, self.result, self.error = name, given, None, error
                raise
            self.name, self._given, self.result, self.error = name, given, result, None
            return result

        try:
            return wraps(function)(call)
        except Exception:  # an object that does not let itself be asked for its name
            return call
