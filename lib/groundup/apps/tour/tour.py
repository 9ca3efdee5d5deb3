"""Climb the ladder from end to end: stage after stage, kept on disk, and the report at the end."""

import os
import platform
import time
from pathlib import Path

from groundup import __version__
from groundup.apps.tour.plan import TourPlan
from groundup.apps.tour.tour_state import Tour
from groundup.lab.console import console
from groundup.lab.errors import UserError
from groundup.lab.files import read_json, write_json
from groundup.lab.records import Record, new_run_id, runs_directory


def unfinished_tour(runs: Path, plan: TourPlan, seed: int) -> Path | None:
    """The newest tour of this plan and seed that has begun and not ended."""
    wanted = {"status": "running", "plan": repr(plan), "seed": seed}
    for file in sorted(runs.glob("tour-*/run.json"), reverse=True):
        state = read_json(file) or {}
        if wanted.items() <= state.items():
            return file.parent
    return None


def open_tour(plan: TourPlan, resume: bool, seed: int) -> Tour:
    """Open a new run, or the unfinished one.

    Raises:
        UserError: there is nothing to resume.
    """
    runs = runs_directory()
    left = unfinished_tour(runs, plan, seed)
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


def run_tour(
    plan: TourPlan, resume: bool = False, seed: int = 0, began: float | None = None
) -> Tour:
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
    tour = open_tour(plan, resume, seed)
    console.print(f"The ladder, kept in {tour.directory}/\n")
    from groundup.apps.tour import stages, tour_report  # torch takes seconds

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
