"""What the report says of the learner's functions: calls, time, and where one differs."""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import median
from typing import Any

from rich.table import Table
from rich.text import Text

from groundup.course.exercises.show import indent
from groundup.course.mine.calls import Tally
from groundup.course.mine.selection import NOT_WRITTEN
from groundup.lab.console import console


def used(tally: Tally) -> bool:
    """Whether a function was called at all."""
    return bool(tally.calls) or tally.compiled


def print_functions(tallies: Sequence[Tally], named: frozenset[str]) -> None:
    """A line for each function, and for each that differs the first place where it does.

    Args:
        tallies: of all swapped functions, in the order of the course.
        named: exercises that were asked for by their id; of others, those not used get no line.
    """
    unused = {t.exercise for t in tallies} - {t.exercise for t in tallies if used(t)} - named
    console.print("\n[bold]Your code in this run[/bold]")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in ("  function", "calls", "a call", "× library", "result"):
        table.add_column(header, justify="left" if header in ("  function", "result") else "right")
    for tally in tallies:
        if tally.exercise not in unused:
            name = Text(f"  {tally.exercise} {tally.name}")
            table.add_row(name, *_numbers(tally), _equality(tally))
    if table.row_count:
        console.print(table)
    for tally in tallies:
        _print_difference(tally)
    if unused:
        console.print(f"  Not used by this run: {', '.join(sorted(unused, key=_order))}.")


def print_left_out(left_out: Mapping[str, str]) -> None:
    """Which exercises could not be used; the library's functions stood in for them."""
    empty = [name for name, reason in left_out.items() if reason.startswith(NOT_WRITTEN)]
    if empty:
        names = ", ".join(sorted(empty, key=_order))
        console.print(f"  Not written yet, so the library's: {names}.")
    for name in sorted(left_out.keys() - set(empty), key=_order):
        console.print(Text(f"  {name} was left out, the library's used: {left_out[name]}"))


def _numbers(tally: Tally) -> tuple[str, str, str]:
    """Its calls, the time of one, and how many times the library's time that is."""
    if not tally.calls:
        return "compiled" if tally.compiled else "0", "", ""
    ratio = _slowdown(tally.ratios)
    each = _duration(tally.seconds / tally.calls)
    return f"{tally.calls:,}", each, "" if ratio is None else f"{ratio:.2f}"


def _slowdown(ratios: Sequence[float]) -> float | None:
    """The time of a call over the library's, or None where too few were timed.

    Who runs first is slower. Two calls in opposite orders make one fair one.
    """
    fair = [sqrt(one * other) for one, other in zip(ratios[::2], ratios[1::2], strict=False)]
    return median(fair) if len(fair) > 1 else None


def _equality(tally: Tally) -> Text:
    compared = f"{tally.compared} compared call{'s' * (tally.compared != 1)}"
    if not used(tally):
        return Text("never called", "red")
    if tally.different:
        return Text(f"differs in {tally.different} of {compared}", "red")
    if tally.changed:
        return Text("changes an argument", "red")
    if tally.compared:
        same = f"equal to {tally.error:.0e}" if tally.error else "equal"
        return Text(f"{same} in {compared}", "green")
    if not tally.calls:
        return Text("in compiled graphs, where calls are not counted")
    return Text("not compared" + (f": {tally.skipped}" if tally.skipped else ""))


def _print_difference(tally: Tally) -> None:
    for found, says in (
        (tally.first, "The first difference is in"),
        (tally.changed, "An argument is changed that the library's leaves alone:"),
    ):
        if found:
            console.print(Text(f"\n  {tally.exercise} {tally.name}. {says} {_place(found)}"))
            console.print(Text(indent(found["text"], 6)))
            console.print(Text(f"    groundup check {tally.exercise} says more."))


def _place(found: Mapping[str, Any]) -> str:
    rank = f" of process {found['rank']}" if "rank" in found else ""
    return f"{found['what']}, call {found['call']:,}{rank}."


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def _order(name: str) -> list[int]:
    return [int(part) for part in name.split(".")]
