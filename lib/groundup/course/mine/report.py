"""The report at the end of a run: calls, where a function differs, and the losses."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from groundup.course.exercises.formatting import indent
from groundup.course.mine import reference
from groundup.course.mine.calls import CallRecord
from groundup.course.mine.loss_comparison import draw_losses, loss_rows
from groundup.course.mine.losses import LossCurve
from groundup.course.mine.process_records import read_run
from groundup.course.mine.reference import ReferenceLosses, ReferenceRun
from groundup.course.mine.selection import NOT_WRITTEN, Selection
from groundup.lab.console import console
from groundup.lab.errors import WorkError


def report(
    folder: Path, selection: Selection, finished: bool, again: ReferenceRun | None = None
) -> None:
    """Print the report of a run, and remove what its processes wrote.

    Args:
        folder: of the report; each process has written into it.
        selection: what was swapped.
        finished: the run came to its end. If not, it has failed already, whatever was called.
        again: how to run it on the library's own functions. None: the losses are shown alone.

    Raises:
        WorkError: a function was never called, of an exercise that was asked for by its id; or
            none was called at all.
    """
    run = read_run(folder)
    shutil.rmtree(folder)
    records = [
        run.functions.get((exercise.id, target.symbol), CallRecord(exercise.id, target.symbol))
        for exercise in selection.chosen
        if exercise.id not in run.left_out
        for target in exercise.targets
    ]
    _print_functions(records, selection.named)
    _print_left_out(selection.left_out | run.left_out)
    if run.curves:
        _print_losses(run.curves, again if finished else None)
    missing = [record for record in records if not record.used]
    if finished and len(missing) == len(records):
        raise WorkError("no function of yours was called in this run: it shows nothing of them")
    wanted = [
        f"{each.exercise} {each.name}" for each in missing if each.exercise in selection.named
    ]
    if finished and wanted:
        raise WorkError(f"never called in this run: {', '.join(wanted)}")


def _print_functions(records: Sequence[CallRecord], named: frozenset[str]) -> None:
    """A line for each function, and for each that differs the first place where it does.

    Args:
        records: of all swapped functions, in the order of the course.
        named: exercises that were asked for by their id; of others, those not used get no line.
    """
    unused = {r.exercise for r in records} - {r.exercise for r in records if r.used} - named
    console.print("\n[bold]Your code in this run[/bold]")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in ("  function", "calls", "result"):
        table.add_column(header, justify="right" if header == "calls" else "left")
    for record in records:
        if record.exercise not in unused:
            calls = "compiled" if record.compiled and not record.calls else f"{record.calls:,}"
            table.add_row(Text(f"  {record.exercise} {record.name}"), calls, _equality(record))
    if table.row_count:
        console.print(table)
    for record in records:
        _print_difference(record)
    if unused:
        console.print(f"  Not used by this run: {', '.join(sorted(unused, key=_order))}.")


def _print_left_out(left_out: Mapping[str, str]) -> None:
    """Which exercises could not be used; the library's functions ran instead."""
    empty = [name for name, reason in left_out.items() if reason.startswith(NOT_WRITTEN)]
    if empty:
        names = ", ".join(sorted(empty, key=_order))
        console.print(f"  Not written yet, so the library's: {names}.")
    for name in sorted(left_out.keys() - set(empty), key=_order):
        console.print(Text(f"  {name} was left out, the library's used: {left_out[name]}"))


def _equality(record: CallRecord) -> Text:
    compared = f"{record.compared} compared call{'s' * (record.compared != 1)}"
    if not record.used:
        return Text("never called", "red")
    if record.different:
        return Text(f"differs in {record.different} of {compared}", "red")
    if record.changed:
        return Text("changes an argument", "red")
    if record.compared:
        same = f"equal to {record.error:.0e}" if record.error else "equal"
        return Text(f"{same} in {compared}", "green")
    if not record.calls:
        return Text("in compiled graphs, where calls are not counted")
    return Text("not compared" + (f": {record.skipped}" if record.skipped else ""))


def _print_difference(record: CallRecord) -> None:
    for found, says in (
        (record.first, "The first difference is in"),
        (record.changed, "An argument is changed that the library's leaves alone:"),
    ):
        if found:
            console.print(Text(f"\n  {record.exercise} {record.name}. {says} {_place(found)}"))
            console.print(Text(indent(found["text"], 6)))
            console.print(Text(f"    groundup check {record.exercise} says more."))


def _place(found: Mapping[str, Any]) -> str:
    rank = f" of process {found['rank']}" if "rank" in found else ""
    return f"{found['what']}, call {found['call']:,}{rank}."


def _order(name: str) -> list[int]:
    return [int(part) for part in name.split(".")]


def _print_losses(mine: Sequence[LossCurve], again: ReferenceRun | None) -> None:
    """The learner's loss curves, beside those of the library's own run."""
    known = again and (reference.kept(again) or _recorded(again))
    theirs = known.curves if known else []
    console.print()
    if known and len(theirs) != len(mine):
        console.print(
            f"  {len(mine)} trainings here and {len(theirs)} in the library's own run "
            f"({known.when}): they can't be compared."
        )
        theirs = []
    header = "the library's" if theirs else ""
    table = Table("  training", "steps", "loss, yours", header, "", box=None, pad_edge=False)
    for number, cells in enumerate(loss_rows(mine, theirs), 1):
        table.add_row(f"  {number}", *cells)
    console.print(table)
    if known and theirs:
        console.print(f"  The library's own run was made on {known.when}.")
    draw_losses(mine, theirs)


def _recorded(again: ReferenceRun) -> ReferenceLosses | None:
    console.print("\n  Once, to compare: the same run on the library's own functions …")
    try:
        return reference.record_run(again)
    except WorkError as error:
        console.print(Text(f"  No comparison of the losses: {error}."))
        return None
