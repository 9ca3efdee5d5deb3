"""One tour and its stages: where it is kept, and what is done already."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from groundup.apps.tour.plan import TourPlan
from groundup.data.corpus import Corpus, CorpusSplits, read_packages
from groundup.lab.console import ProgressBar, console, progress_bar
from groundup.lab.files import read_json, write_json
from groundup.lab.records import Record

Results = dict[str, Any]


class Stage(NamedTuple):
    """A rung: its name, its line on the screen, the work, and what to say of the result."""

    name: str
    title: str
    work: Callable[["Tour", ProgressBar], Results]
    say: Callable[[Results], str]


@dataclass
class Tour:
    """One run: where it is kept, its plan, and the results of the stages that are done."""

    directory: Path
    plan: TourPlan
    seed: int
    record: Record
    results: dict[str, Results] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """A place in this run's directory."""
        return self.directory / name

    @cached_property
    def corpus(self) -> Corpus:
        """The documentation of the plan's packages, from the cache once it has been read."""
        return read_packages(self.plan.packages)

    @cached_property
    def splits(self) -> CorpusSplits:
        """The corpus by module: train, development, test."""
        return self.corpus.split()

    def run(self, stage: Stage, number: int, of: int) -> None:
        """Do one stage, or take up its result if it was done before."""
        done = self.path(f"stages/{stage.name}.json")
        console.print(f"[bold]{number}/{of}[/bold] {stage.title}")
        result = read_json(done)
        again = result is not None
        if result is None:
            self.record.drop(stage.name)
            start = time.perf_counter()
            with progress_bar(stage.name) as bar:
                result = stage.work(self, bar)
            result["wall_seconds"] = time.perf_counter() - start
            numbers = {k: float(v) for k, v in result.items() if isinstance(v, int | float)}
            self.record.add(stage.name, 0, **numbers)
            self.record.save()
            write_json(done, result)
        self.results[stage.name] = result
        took = "done before" if again else f"{result['wall_seconds']:.0f} s"
        console.print(f"    {stage.say(result)} [dim]({took})[/dim]")
