"""The learner's function at work: every call is counted, a few are compared with the library's."""

import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from groundup.course.mine.compare import Finding
from groundup.course.mine.copies import clock
from groundup.course.mine.swap import Function
from groundup.course.mine.trial import Caches, Given, Outcome, Trial, run

_FIRST = 3  # calls that are compared; after them the 6th, the 12th, the 24th, …
_CACHES = 4  # forward passes that may wait for their backward pass


@dataclass
class Tally:
    """What is known of a function's calls in one process; it is written as JSON.

    Attributes:
        exercise: the id.
        name: of the function.
        calls: how many, those inside compiled graphs left out.
        seconds: in all of them.
        compiled: whether it was called inside a compiled graph.
        compared: calls that were compared with the library's function.
        ratios: the time of each compared call over the library's. In the first, the third, … the
            learner's function went first.
        error: the largest relative difference that was within rounding.
        different: compared calls that differed by more.
        first: of the first of them: its number, the tensor and the two values.
        changed: the first argument that was changed and not by the library, likewise.
        skipped: why a call could not be compared.
    """

    exercise: str
    name: str
    calls: int = 0
    seconds: float = 0.0
    compiled: bool = False
    compared: int = 0
    ratios: list[float] = field(default_factory=list)
    error: float = 0.0
    different: int = 0
    first: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""


class Watched:
    """A learner's function, with the library's beside it.

    Args:
        tally: what is noted.
        mine: the learner's function.
        library: a copy of the function that it replaces.
        keeps_cache: it is the forward pass of a pair, and the last part of its result the cache.
        forward: it is the backward pass of this one. Its calls are compared where the forward
            pass was, because then the library has a cache of its own.
    """

    def __init__(
        self,
        tally: Tally,
        mine: Function,
        library: Function,
        keeps_cache: bool = False,
        forward: "Watched | None" = None,
    ) -> None:
        self.tally, self.mine, self.library = tally, mine, library
        self.keeps_cache, self.forward = keeps_cache, forward
        self.signature = inspect.signature(library)
        self.caches: dict[int, Caches] = {}  # by the id of the learner's
        self.due: float = inf if forward else 1  # the number of the next call to compare

    def entry(self) -> Function:
        """What is called in the function's place."""
        # As variables of a closure, which is what torch's compiler can look through.
        mine, library, tally, now = self.mine, self.library, self.tally, time.perf_counter
        forward, torch = self.forward, sys.modules.get("torch")
        compiling: Callable[[], bool] = torch.compiler.is_dynamo_compiling if torch else _never

        def call(*args: Any, **kwargs: Any) -> Any:
            if compiling():  # known while torch compiles: nothing of the rest is in the graph
                tally.compiled = True
                return mine(*args, **kwargs)
            if Trial.whose:
                return (library if Trial.whose == "library" else mine)(*args, **kwargs)
            tally.calls += 1
            if tally.calls >= self.due or (forward is not None and forward.caches):
                return self._try((args, kwargs))
            start, trials = now(), Trial.seconds
            result = mine(*args, **kwargs)
            tally.seconds += now() - start - (Trial.seconds - trials)
            if self.caches and isinstance(result, tuple):
                self.caches.pop(id(result[-1]), None)  # the same object now holds another call's
            return result

        return call

    def _try(self, given: Given) -> Any:
        start, trials = clock(), Trial.seconds
        outcome = self._trial(given)
        # Trials inside this one are in its time, and so is the learner's call.
        Trial.seconds = trials + clock() - start - outcome.seconds
        self.tally.seconds += outcome.seconds
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def _trial(self, given: Given) -> Outcome:
        tally = self.tally
        caches = self.forward._take(given) if self.forward else None
        if self.forward and caches is None:
            return run(self.mine, given)
        if not self.forward:
            self.due = tally.calls + 1 if tally.calls < _FIRST else 2 * tally.calls
        try:
            trial = Trial(self.mine, self.library, given, self.keeps_cache, caches)
        except Exception as error:  # an object that refuses to be copied
            tally.skipped = str(error) or type(error).__name__
            return run(self.mine, given)
        trial.run(mine_first=len(tally.ratios) % 2 == 0)
        tally.compared += 1
        if not trial.received.error and not trial.expected.error:
            tally.ratios.append(trial.received.seconds / max(trial.expected.seconds, 1e-9))
        try:
            self._note(trial.findings())
            if not tally.changed and (found := trial.changed(self.signature)):
                tally.changed = {"call": tally.calls, **vars(found)}
        except Exception as error:  # tensors without numbers, such as those inside torch.vmap
            tally.skipped = str(error) or type(error).__name__
        if self.keeps_cache and (made := trial.its_caches()):
            if len(self.caches) == _CACHES:
                del self.caches[next(iter(self.caches))]
            self.caches[id(made.mine)] = made
        return trial.received

    def _note(self, findings: list[Finding]) -> None:
        wrong = [finding for finding in findings if finding.text]
        within = [finding.error for finding in findings if not finding.text]
        self.tally.error = max([self.tally.error, *within])
        if wrong:
            self.tally.different += 1
            self.tally.first = self.tally.first or {"call": self.tally.calls, **vars(wrong[0])}

    def _take(self, given: Given) -> Caches | None:
        """The caches of the forward pass whose cache is among these arguments."""
        args, kwargs = given
        for value in (*args, *kwargs.values()):
            if id(value) in self.caches:
                return self.caches.pop(id(value))
        return None


def _never() -> bool:
    return False
