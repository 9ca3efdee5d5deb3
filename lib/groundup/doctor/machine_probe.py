"""A probe of the machine, its result, and the verdict."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Numbers = dict[str, Any]  # what a probe measured; JSON can hold it


class ProbeVerdict(StrEnum):
    """How a probe ended."""

    OK = "ok"
    WARN = "warn"  # it works; something makes it slow or tight
    FAIL = "fail"  # it is there, and broken
    ABSENT = "absent"  # it is not there; what needs it can't be used


@dataclass(frozen=True)
class Judgement:
    """What the numbers of a probe mean.

    Attributes:
        verdict: the answer.
        measured: what was found, in a line with its numbers.
        mend: what to do, in a sentence; empty where nothing is to be done.
    """

    verdict: ProbeVerdict
    measured: str
    mend: str = ""


@dataclass(frozen=True)
class MachineProbe:
    """Something the doctor runs.

    Attributes:
        name: such as ``training step``.
        group: the heading above it.
        measure: does the work in a process of its own, and returns numbers.
        judge: says what the numbers mean.
        mend: what to do if the work can't be done at all.
        package: what it imports, beyond the core; its absence is not a fault.
        extra: the extra of this project that brings ``package``.
        needs: probes that must have passed before.
        seconds: the time after which it counts as hanging.
    """

    name: str
    group: str
    measure: Callable[[], Numbers]
    judge: Callable[[Numbers], Judgement]
    mend: str
    package: str = ""
    extra: str = ""
    needs: tuple[str, ...] = ()
    seconds: float = 30.0


@dataclass(frozen=True)
class ProbeResult:
    """A probe and how it ended.

    Attributes:
        probe: what was run.
        judgement: how it ended.
        numbers: what was measured; empty if it could not be run.
        seconds: how long it took.
    """

    probe: MachineProbe
    judgement: Judgement
    numbers: Numbers = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def verdict(self) -> ProbeVerdict:
        """The judgement's."""
        return self.judgement.verdict


def worst(verdicts: list[ProbeVerdict]) -> ProbeVerdict:
    """FAIL before WARN before OK. What is absent counts as OK: it may be so on purpose."""
    order = (ProbeVerdict.FAIL, ProbeVerdict.WARN)
    return next((verdict for verdict in order if verdict in verdicts), ProbeVerdict.OK)
