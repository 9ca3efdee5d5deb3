"""The learner's function in a run: every call is counted, a few are compared with the library's."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from groundup.course.mine.comparison import TensorDifference
from groundup.course.mine.paired_call import Caches, Given, PairedCall
from groundup.course.mine.swap import Function

_FIRST = 3  # calls that are compared; after them the 6th, the 12th, the 24th, …
_CACHES = 4  # forward passes that may wait for their backward pass


@dataclass
class CallRecord:
    """What is known of a function's calls in one process; it is written as JSON.

    Attributes:
        exercise: the id.
        name: of the function.
        calls: how many, those inside compiled graphs left out.
        compiled: whether it was called inside a compiled graph.
        compared: calls that were compared with the library's function.
        error: the largest relative difference that was within rounding.
        different: compared calls that differed by more.
        first: of the first of them: its number, the tensor and the two values.
        changed: the first argument that was changed and not by the library, likewise.
        skipped: why a call could not be compared.
    """

    exercise: str
    name: str
    calls: int = 0
    compiled: bool = False
    compared: int = 0
    error: float = 0.0
    different: int = 0
    first: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""

    @property
    def used(self) -> bool:
        """Whether the function was called at all."""
        return bool(self.calls) or self.compiled

    def note(self, found: list[TensorDifference], changed: TensorDifference | None) -> None:
        """Add what the comparison of the newest call found."""
        different = [each for each in found if each.text]
        self.error = max([self.error, *(each.error for each in found if not each.text)])
        if different:
            self.different += 1
            self.first = self.first or {"call": self.calls, **vars(different[0])}
        if changed:
            self.changed = self.changed or {"call": self.calls, **vars(changed)}

    def add(self, other: "CallRecord") -> None:
        """Add the record of another process."""
        self.calls += other.calls
        self.compiled |= other.compiled
        self.compared += other.compared
        self.error = max(self.error, other.error)
        self.different += other.different
        self.first = self.first or other.first
        self.changed = self.changed or other.changed
        self.skipped = self.skipped or other.skipped


class ComparedFunction:
    """A learner's function, with the library's beside it.

    Args:
        record: what is noted.
        mine: the learner's function.
        library: a copy of the function that it replaces.
        keeps_cache: it is the forward pass of a pair, and the last part of its result the cache.
        forward: it is the backward pass of this one. Its calls are compared where the forward
            pass was, because then the library has a cache of its own.
    """

    def __init__(
        self,
        record: CallRecord,
        mine: Function,
        library: Function,
        keeps_cache: bool = False,
        forward: "ComparedFunction | None" = None,
    ) -> None:
        self.record, self.mine, self.library = record, mine, library
        self.keeps_cache, self.forward = keeps_cache, forward
        self.signature = inspect.signature(library)
        self.caches: dict[int, Caches] = {}  # by the id of the learner's
        self.due: float = inf if forward else 1  # the number of the next call to compare

    def entry(self) -> Function:
        """What is called in the function's place."""
        # As variables of a closure, which torch's compiler can trace.
        mine, library, record, forward = self.mine, self.library, self.record, self.forward
        torch = sys.modules.get("torch")
        compiling: Callable[[], bool] = torch.compiler.is_dynamo_compiling if torch else _never

        def call(*args: Any, **kwargs: Any) -> Any:
            if compiling():  # known while torch compiles: nothing of the rest is in the graph
                record.compiled = True
                return mine(*args, **kwargs)
            if PairedCall.whose:
                return (library if PairedCall.whose == "library" else mine)(*args, **kwargs)
            record.calls += 1
            if record.calls >= self.due or (forward is not None and forward.caches):
                return self._compare((args, kwargs))
            result = mine(*args, **kwargs)
            if self.caches and isinstance(result, tuple):
                self.caches.pop(id(result[-1]), None)  # the same object now holds another call's
            return result

        return call

    def _compare(self, given: Given) -> Any:
        """Make the call, and the library's beside it if the arguments allow it."""
        record, (args, kwargs) = self.record, given
        caches = self.forward.take_caches(given) if self.forward else None
        if self.forward and caches is None:
            return self.mine(*args, **kwargs)
        if not self.forward:
            self.due = record.calls + 1 if record.calls < _FIRST else 2 * record.calls
        try:
            pair = PairedCall(self.mine, self.library, given, self.keeps_cache, caches)
        except Exception as error:  # an object that refuses to be copied
            record.skipped = str(error) or type(error).__name__
            return self.mine(*args, **kwargs)
        pair.run()
        record.compared += 1
        try:
            record.note(pair.differences(), pair.changed(self.signature))
        except Exception as error:  # tensors without numbers, such as those inside torch.vmap
            record.skipped = str(error) or type(error).__name__
        if self.keeps_cache and (made := pair.its_caches()):
            if len(self.caches) == _CACHES:
                del self.caches[next(iter(self.caches))]
            self.caches[id(made.mine)] = made
        return pair.received.result()

    def take_caches(self, given: Given) -> Caches | None:
        """The caches of the forward pass whose cache is among these arguments."""
        args, kwargs = given
        for value in (*args, *kwargs.values()):
            if id(value) in self.caches:
                return self.caches.pop(id(value))
        return None


def _never() -> bool:
    return False
