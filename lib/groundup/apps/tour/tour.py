"""The tour: the whole ladder, climbed once. Each stage is a library call a chapter explains."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from groundup import __version__
from groundup.apps.tour.plan import Plan
from groundup.data.corpus import Corpus, Splits, read_packages
from groundup.lab.console import Bar, console, progress_bar
from groundup.lab.errors import UserError
from groundup.lab.files import read_json, write_json
from groundup.lab.records import Record, new_run_id, runs_directory

Results = dict[str, Any]


class Stage(NamedTuple):
    """A rung: its name, its line on the screen, the work, and what to say of the result."""

    name: str
    title: str
    work: Callable[["Tour", Bar], Results]
    say: Callable[[Results], str]


@dataclass
class Tour:
    """One run: where it is kept, its plan, and the results of the stages that are done."""

    directory: Path
    plan: Plan
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
    def splits(self) -> Splits:
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


def unfinished(runs: Path, plan: Plan, seed: int) -> Path | None:
    """The newest tour of this plan and seed that has begun and not ended."""
    wanted = {"status": "running", "plan": repr(plan), "seed": seed}
    for file in sorted(runs.glob("tour-*/run.json"), reverse=True):
        state = read_json(file) or {}
        if wanted.items() <= state.items():
            return file.parent
    return None


def begin(plan: Plan, resume: bool, seed: int) -> Tour:
    """Open a new run, or the unfinished one.

    Raises:
        UserError: there is nothing to resume.
    """
    runs = runs_directory()
    left = unfinished(runs, plan, seed)
    if resume:
        if left is None:
            raise UserError(
                f"no unfinished tour in {runs}/ with this plan and seed; start one without --resume"
            )
        return Tour(left, plan, seed, Record.open(left))
    if left is not None:
        console.print(f"[dim]{left.name} was not finished; --resume would go on with it.[/dim]")
    directory = runs / new_run_id("tour")
    state = {"status": "running", "seed": seed, "plan": repr(plan), "version": __version__}
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    write_json(directory / "run.json", {**state, "machine": machine})
    return Tour(directory, plan, seed, Record.open(directory))


def run_tour(plan: Plan, resume: bool = False, seed: int = 0, began: float | None = None) -> Tour:
    """Climb the ladder.

    Args:
        plan: how large and how long, :data:`~groundup.apps.tour.plan.FULL` or ``QUICK``.
        resume: go on with the unfinished tour instead of starting a new one.
        seed: of everything random.
        began: when the command started, by ``time.perf_counter``; imports take their seconds too.

    Raises:
        UserError: there is nothing to resume.
    """
    start = time.perf_counter() if began is None else began
    tour = begin(plan, resume, seed)
    console.print(f"The ladder, kept in {tour.directory}/\n")
    from groundup.apps.tour import stages, tour_report

    try:
        for number, stage in enumerate(stages.STAGES, 1):
            tour.run(stage, number, len(stages.STAGES))
    except KeyboardInterrupt:
        console.print(
            "\nStopped. Finished stages are kept: the same command with --resume goes on."
        )
        raise
    tour_report.close(tour, time.perf_counter() - start)
    state = read_json(tour.path("run.json"))
    write_json(tour.path("run.json"), {**state, "status": "finished"})
    return tour
