"""Run every probe and print the results: the command ``groundup doctor``."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundup.course import clone
from groundup.doctor.machine_probe import Judgement, MachineProbe, ProbeResult, ProbeVerdict, worst
from groundup.doctor.probes import PROBES
from groundup.doctor.times import ExpectedTime, expected_times, speeds
from groundup.doctor.worker import Worker
from groundup.lab.errors import GroundUpError

_UNFOLDED = 1_000  # columns; in a pipe a line stays a line
_STYLES = {
    ProbeVerdict.OK: "green",
    ProbeVerdict.WARN: "yellow",
    ProbeVerdict.FAIL: "bold red",
    ProbeVerdict.ABSENT: "dim",
}


def examine(probes: Iterable[MachineProbe]) -> Iterator[ProbeResult]:
    """Run probes in order. One whose needs have not passed is not run.

    Yields:
        Each result, as it comes.
    """
    found: dict[str, ProbeResult] = {}
    with Worker() as worker:
        for probe in probes:
            needs = [found[name] for name in probe.needs]
            lacking = [
                each.probe
                for each in needs
                if each.verdict in (ProbeVerdict.FAIL, ProbeVerdict.ABSENT)
            ]
            if lacking:
                why = f"not run: needs {lacking[0].group}"
                result = ProbeResult(probe, Judgement(ProbeVerdict.ABSENT, why))
            else:
                result = worker.run(probe)
            found[probe.name] = result
            yield result


def doctor(as_json: bool = False) -> int:
    """Examine this machine, print the results, and estimate the times.

    Returns:
        1 if something that is installed is broken, else 0.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # text that can't be printed is a result too
    # A console of its own: in a pipe a result stays one line.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _UNFOLDED)
    results: list[ProbeResult] = []
    for result in examine(PROBES):
        if not as_json:
            _print_result(console, result, results)
        results.append(result)
    try:
        times, source = expected_times(clone.root(), speeds(results))
    except GroundUpError as error:  # outside a clone, or its chapters can't be read
        times, source = [], str(error)
    verdict = worst([result.verdict for result in results])
    if as_json:
        content = {
            "verdict": verdict,
            "results": [_content(result) for result in results],
            "times": {"source": source, "expected": [asdict(each) for each in times]},
        }
        print(json.dumps(content, indent=2, allow_nan=False))
    else:
        _print_times(console, times, source)
        _print_end(console, results, verdict)
    return int(verdict == ProbeVerdict.FAIL)


def _content(result: ProbeResult) -> dict[str, object]:
    return {
        "probe": result.probe.name,
        "group": result.probe.group,
        **asdict(result.judgement),
        "numbers": result.numbers,
        "seconds": round(result.seconds, 3),
    }


def _print_result(console: Console, result: ProbeResult, before: Sequence[ProbeResult]) -> None:
    """A result in three columns, its mend below; the group's name above its first one."""
    group, judgement = result.probe.group, result.judgement
    if not before or before[-1].probe.group != group:
        console.print(Text(f"\n{group}" if before else group, "bold"))
    widths = (8, 22, None)
    verdict = Text(f"  {result.verdict}", _STYLES[result.verdict])
    _print_row(console, widths, verdict, Text(result.probe.name), Text(judgement.measured))
    if judgement.mend:
        _print_row(console, widths, Text(), Text(), Text(f"mend: {judgement.mend}", "cyan"))


def _print_row(console: Console, widths: Sequence[int | None], *cells: Text) -> None:
    """A row that folds inside its columns; each is a table, since rows come one by one."""
    row = Table.grid(padding=(0, 2, 0, 0))
    for width in widths:
        row.add_column(width=width, overflow="fold")
    row.add_row(*cells)
    console.print(row)


def _print_times(console: Console, times: list[ExpectedTime], source: str) -> None:
    head = "\nEstimated times, if nothing else runs"
    console.print(Text(head, "bold"), Text(f"({source})", "dim"))
    widths = (12, max((len(each.title) for each in times), default=0), None)
    for each in times:
        shown = each.why if each.seconds is None else f"about {duration(each.seconds)}"
        _print_row(console, widths, Text(f"  {each.name}"), Text(each.title), Text(shown))


def _print_end(console: Console, results: list[ProbeResult], verdict: ProbeVerdict) -> None:
    count = {each: sum(one.verdict == each for one in results) for each in ProbeVerdict}
    shown = ", ".join(f"{number} {each}" for each, number in count.items() if number)
    words = {
        ProbeVerdict.OK: "What is installed works.",
        ProbeVerdict.WARN: "What is installed works; the warnings say what would make it better.",
        ProbeVerdict.FAIL: "Something is broken; the mends are above.",
    }
    console.print(Text(f"\n{words[verdict]}", _STYLES[verdict]), Text(f"({shown})", "dim"))


def duration(seconds: float) -> str:
    """``19 s``, ``4 min 28 s``."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
