"""One call made by both functions, the learner's and the library's, and how they compare."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from inspect import Signature
from math import inf
from typing import Any, ClassVar, Literal

import numpy as np

from groundup.course.mine.comparison import RESULT, Comparison, TensorDifference, coarsest
from groundup.course.mine.copies import NotWide, duplicate, random_state
from groundup.course.mine.swap import Function

Given = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Returned:
    """What a call returned, or raised."""

    value: Any = None
    error: Exception | None = None

    def says(self) -> str:
        """Which of the two, in words."""
        if self.error is None:
            return "returns a result"
        return f"raises {type(self.error).__name__}: {self.error}"

    def result(self) -> Any:
        """The value.

        Raises:
            Exception: what the call raised.
        """
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(frozen=True)
class Caches:
    """Of a forward pass that was compared, for the backward pass that follows.

    Attributes:
        mine: the learner's cache, by which the call is recognised.
        library: the library's for the same arguments.
        wide: gives both once more, in float64; None where they can't be had.
    """

    mine: Any
    library: Any
    wide: Callable[[], tuple[Any, Any] | None]


class PairedCall:
    """A call of the learner's function that the library's function makes too.

    The library's function gets copies of the arguments, and the same state of the random
    generators. Its effects stay in the copies: the run goes on as if it had not been called.

    Args:
        mine: the learner's function.
        library: what it replaced.
        given: the arguments.
        keeps_cache: the last part of the result is a cache, whose form is the learner's own.
        caches: of the forward pass whose cache is among the arguments, if they hold one.

    Raises:
        Exception: an argument can't be copied, for whatever reason its class has.
    """

    # Whose functions run in a call that isn't the run's own; empty in the run itself.
    whose: ClassVar[Literal["", "mine", "library"]] = ""

    def __init__(
        self,
        mine: Function,
        library: Function,
        given: Given,
        keeps_cache: bool = False,
        caches: Caches | None = None,
    ) -> None:
        self.mine, self.library, self.given = mine, library, given
        self.keeps_cache, self.caches = keeps_cache, caches
        self.copied = self._copy(given, caches and caches.library)
        try:  # in float64, with the learner's cache still in its place
            self.wide: Given | None = self._copy(given, caches and caches.mine, wide=True)
        except NotWide:
            self.wide = None

    def run(self) -> None:
        """Make the call twice; ``received`` and ``expected`` hold what came out."""
        self.restore = random_state()
        self.received = _call(self.mine, self.given)
        after = random_state()
        self.restore()
        self.expected = self._apart("library", self.library, self.copied)
        after()
        self.coarse = coarsest((self.copied, self.expected.value))

    def differences(self) -> list[TensorDifference]:
        """How the two results compare, tensor by tensor."""
        mine, library = self.received, self.expected
        if mine.error or library.error:
            if type(mine.error) is type(library.error):
                return []
            text = f"yours {mine.says()}, the library {library.says()}"
            return [TensorDifference(RESULT, inf, text)]
        found = self._compare(mine.value, library.value)
        # Two correct ways to compute one number may be far apart in float32, where large numbers
        # cancel. In float64 they are not; two ways to compute different numbers are as far.
        if any(each.text for each in found) and self._equal_in_float64():
            return [replace(each, text="") for each in found]
        return found

    def changed(self, signature: Signature) -> TensorDifference | None:
        """An argument that is not as the library's function leaves it."""
        mine, library = (signature.bind(*a, **k).arguments for a, k in (self.given, self.copied))
        comparison = Comparison(self.coarse)
        for name, wanted in library.items():
            if self.caches is None or mine[name] is not self.caches.mine:
                for each in comparison.run(mine[name], wanted, name):
                    if each.text:
                        return each
        return None

    def its_caches(self) -> Caches | None:
        """The caches of this forward pass; None where the learner's can't be recognised later."""
        mine, library = _last(self.received.value), _last(self.expected.value)
        if mine is None or mine == () or isinstance(mine, bool | int | float | str):
            return None

        def wide() -> tuple[Any, Any] | None:
            pair = self._in_float64()
            return pair and (_last(pair[0]), _last(pair[1]))

        return Caches(mine, library, wide)

    def _copy(self, given: Given, cache: Any, wide: bool = False) -> Given:
        """The arguments copied; a cache of the learner's among them is replaced by another."""
        known = {id(self.caches.mine): cache} if self.caches else {}
        copied: Given = duplicate(given, wide, known)
        return copied

    def _compare(self, mine: Any, library: Any) -> list[TensorDifference]:
        if self.keeps_cache:
            mine, library = _without_last(mine), _without_last(library)
        return list(Comparison(self.coarse).run(mine, library, RESULT))

    def _equal_in_float64(self) -> bool:
        pair = self._in_float64()
        return pair is not None and not any(each.text for each in self._compare(*pair))

    def _in_float64(self) -> tuple[Any, Any] | None:
        """What both functions give for the arguments in float64; None where one can't."""
        caches = self.caches.wide() if self.caches else (None, None)
        if self.wide is None or caches is None:
            return None
        after = random_state()
        self.restore()
        with redirect_stdout(io.StringIO()):  # what the learner prints was printed already
            mine = self._apart("mine", self.mine, self._copy(self.wide, caches[0]))
        self.restore()
        library = self._apart("library", self.library, self._copy(self.wide, caches[1]))
        after()
        return None if mine.error or library.error else (mine.value, library.value)

    def _apart(
        self, whose: Literal["mine", "library"], function: Function, given: Given
    ) -> Returned:
        PairedCall.whose = whose
        try:
            with np.errstate(all="ignore"):
                return _call(function, given)
        finally:
            PairedCall.whose = ""


def _call(function: Function, given: Given) -> Returned:
    args, kwargs = given
    try:
        return Returned(function(*args, **kwargs))
    except Exception as error:
        return Returned(error=error)


def _last(value: Any) -> Any:
    return value[-1] if isinstance(value, tuple) and value else None


def _without_last(value: Any) -> Any:
    return (*value[:-1], None) if isinstance(value, tuple) and value else value
