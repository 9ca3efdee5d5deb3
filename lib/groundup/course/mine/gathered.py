"""What all processes of a run saw, put together."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundup.course.mine.calls import Tally
from groundup.course.mine.losses import Training
from groundup.lab.files import read_json


@dataclass
class Run:
    """A run.

    Attributes:
        seconds: of the process that lasted longest, from its import of groundup to its end.
        computing: processor seconds of all processes, which other programs don't prolong.
        script: the path of the script that it ran, or empty.
        tour: whether it was a tour.
        tallies: of each function, by exercise and name.
        left_out: exercises that could not be used: the reason, by id.
        trainings: in the order in which they began.
    """

    seconds: float = 0.0
    computing: float = 0.0
    script: str = ""
    tour: bool = False
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    trainings: list[Training] = field(default_factory=list)


def gather(folder: Path) -> Run:
    """Read what the processes wrote into the report's folder."""
    records = [record for path in folder.glob("*.json") if (record := read_json(path))]
    run = Run()
    for record in sorted(records, key=lambda each: (each["rank"], each["began"])):
        if record["seconds"] > run.seconds:
            run.seconds, run.script = record["seconds"], record["script"]
        run.computing += record["computing"]
        run.tour = run.tour or record["tour"]
        run.left_out |= record["left_out"]
        run.trainings += (Training(**each) for each in record["trainings"])
        for each in record["functions"]:
            tally = _of_process(Tally(**each), record["rank"])
            known = run.tallies.get((tally.exercise, tally.name))
            run.tallies[tally.exercise, tally.name] = _sum(known, tally) if known else tally
    run.trainings.sort(key=lambda training: training.began)
    return run


def _of_process(tally: Tally, rank: str) -> Tally:
    place: dict[str, Any] = {"rank": rank} if rank else {}
    tally.first = tally.first and {**tally.first, **place}
    tally.changed = tally.changed and {**tally.changed, **place}
    return tally


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        exercise=one.exercise,
        name=one.name,
        calls=one.calls + other.calls,
        seconds=one.seconds + other.seconds,
        compiled=one.compiled or other.compiled,
        compared=one.compared + other.compared,
        ratios=one.ratios + other.ratios,
        error=max(one.error, other.error),
        different=one.different + other.different,
        first=one.first or other.first,
        changed=one.changed or other.changed,
        skipped=one.skipped or other.skipped,
    )
