"""The end of a run with the learner's functions: the report, and whether they were called."""

import shutil
from pathlib import Path

from rich.table import Table
from rich.text import Text

from groundup.course import clone
from groundup.course.mine import curves, reference
from groundup.course.mine.calls import Tally
from groundup.course.mine.gathered import Run, gather
from groundup.course.mine.reference import OwnRun, Reference
from groundup.course.mine.report import print_functions, print_left_out, used
from groundup.course.mine.selection import Selection
from groundup.lab.console import console
from groundup.lab.errors import WorkError


def close(
    folder: Path,
    selection: Selection,
    began: float,
    finished: bool,
    again: Reference | None = None,
) -> None:
    """Print the report of a run, and remove what its processes wrote.

    Args:
        folder: of the report; each process has written into it.
        selection: what was swapped.
        began: when the run began, in seconds since the epoch.
        finished: the run came to its end. If not, it has failed already, whatever was called.
        again: how to run it on the library's own functions, where that isn't on record. None: a
            record is used if there is one.

    Raises:
        WorkError: a function was never called, of an exercise that was asked for by its id; or
            none was called at all.
    """
    run = gather(folder)
    shutil.rmtree(folder)
    tallies = [
        run.tallies.get((exercise.id, target.symbol), Tally(exercise.id, target.symbol))
        for exercise in selection.chosen
        if exercise.id not in run.left_out
        for target in exercise.targets
    ]
    print_functions(tallies, selection.named)
    print_left_out(selection.left_out | run.left_out)
    _print_losses(run, began, again if finished else None)
    missing = [f"{t.exercise} {t.name}" for t in tallies if not used(t)]
    if finished and not any(map(used, tallies)):
        raise WorkError("no function of yours was called in this run: it shows nothing of them")
    wanted = [name for name in missing if name.split()[0] in selection.named]
    if finished and wanted:
        raise WorkError(f"never called in this run: {', '.join(wanted)}")


def _print_losses(run: Run, began: float, again: Reference | None) -> None:
    """The loss curves over those of the library's own run."""
    toured = reference.of_tour(began) if run.tour else None
    if not run.trainings:
        return
    own = toured.own if toured else _own_run(run, again)
    theirs = own.trainings if own else []
    console.print()
    if own and len(theirs) != len(run.trainings):
        console.print(
            f"  {len(run.trainings)} trainings here and {len(theirs)} in the library's own run "
            f"({own.when}): they can't be compared."
        )
        theirs = []
    names = [str(number + 1) for number in range(len(run.trainings))]
    if toured and len(toured.stages) == len(names):
        names = toured.stages
    table = Table("  training", "steps", "loss, yours", "", "", box=None, pad_edge=False)
    if theirs:
        table.columns[3].header = "the library's"
    for name, cells in zip(names, curves.rows(run.trainings, theirs), strict=True):
        table.add_row(f"  {name}", *cells)
    console.print(table)
    for line in curves.drawing(run.trainings, theirs, names):
        console.print(Text(f"  {line}"))
    if toured:
        missing = "none of this plan and seed is finished yet"
        console.print(f"  The library's own tour: {toured.own.when if toured.own else missing}.")
    elif own:
        console.print(
            f"  {run.computing:.1f} s of computing in the whole run, {own.computing:.1f} s in the "
            f"library's own of {own.when}: {run.computing / own.computing:.2f}×."
        )
    curves.draw(run.trainings, theirs, names)


def _own_run(run: Run, again: Reference | None) -> OwnRun | None:
    script = Path(run.script)
    if again is None and script.parent == clone.root() / "chapters":
        known = reference.kept(reference.of_chapter(script))
        if known is None:
            number = int(script.name[:2])
            console.print(
                f"  To compare the losses with the library's: groundup chapter {number} --mine"
            )
        return known
    if again is None:
        return None
    known = reference.kept(again)
    if known is None:
        console.print("\n  Once, to compare: the same run on the library's own functions …")
        try:
            known = reference.record(again)
        except WorkError as error:
            console.print(Text(f"  No comparison of the losses: {error}."))
    return known
