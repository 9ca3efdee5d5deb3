"""What all processes of a run recorded, put together."""

from dataclasses import dataclass, field
from pathlib import Path

from groundup.course.mine.calls import CallRecord
from groundup.course.mine.losses import LossCurve
from groundup.lab.files import read_json


@dataclass
class RunRecord:
    """A run.

    Attributes:
        functions: the calls of each function, by exercise and name.
        left_out: exercises that could not be used: the reason, by id.
        curves: of the trainings, in the order in which they began.
    """

    functions: dict[tuple[str, str], CallRecord] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    curves: list[LossCurve] = field(default_factory=list)


def read_run(folder: Path) -> RunRecord:
    """Read what the processes wrote into the report's folder."""
    contents = [content for path in folder.glob("*.json") if (content := read_json(path))]
    run = RunRecord()
    for content in sorted(contents, key=lambda each: (each["rank"], each["began"])):
        run.left_out |= content["left_out"]
        run.curves += (LossCurve(**each) for each in content["curves"])
        for each in content["functions"]:
            record = CallRecord(**each)
            if content["rank"]:
                for place in filter(None, (record.first, record.changed)):
                    place["rank"] = content["rank"]
            known = run.functions.setdefault((record.exercise, record.name), record)
            if known is not record:
                known.add(record)
    run.curves.sort(key=lambda curve: curve.began)
    return run
