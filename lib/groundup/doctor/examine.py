"""Run every probe and print what came out: the command ``groundup doctor``."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from groundup.course import clone
from groundup.doctor.findings import Finding, Judgement, Probe, Verdict, worst
from groundup.doctor.predict import Expected, expected, yardsticks
from groundup.doctor.probes import PROBES
from groundup.doctor.worker import Worker
from groundup.lab.errors import GroundUpError

_UNFOLDED = 1_000  # columns; in a pipe a line stays a line
_STYLES = {
    Verdict.OK: "green",
    Verdict.WARN: "yellow",
    Verdict.FAIL: "bold red",
    Verdict.ABSENT: "dim",
}


def examine(
    probes: Iterable[Probe],
    begins: Callable[[Probe], None] = lambda probe: None,
    ends: Callable[[Finding], None] = lambda finding: None,
) -> list[Finding]:
    """Run probes in order. One whose needs have not passed is not run.

    Args:
        probes: what to run.
        begins: told of each probe before it runs.
        ends: told of each finding.
    """
    found: dict[str, Finding] = {}
    with Worker() as worker:
        for probe in probes:
            begins(probe)
            lacking = [
                found[name].probe
                for name in probe.needs
                if found[name].verdict in (Verdict.FAIL, Verdict.ABSENT)
            ]
            if lacking:
                why = f"not run: needs {lacking[0].group}"
                finding = Finding(probe, Judgement(Verdict.ABSENT, why))
            else:
                finding = worker.run(probe)
            found[probe.name] = finding
            ends(finding)
    return list(found.values())


def doctor(as_json: bool = False) -> int:
    """Examine this machine, print what was found, and estimate the times.

    Returns:
        1 if something that is installed is broken, else 0.
    """
    # A console of its own: a finding stays one line in a pipe. Beside JSON, the progress goes to
    # stderr.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # text that can't be printed is a finding too
    stream = sys.stderr if as_json else sys.stdout
    console = Console(highlight=False, file=stream, width=None if stream.isatty() else _UNFOLDED)
    columns = (
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    groups: list[str] = []
    with Progress(
        *columns, console=console, transient=True, disable=not stream.isatty()
    ) as progress:
        task = progress.add_task("", total=len(PROBES))

        def begins(probe: Probe) -> None:
            progress.update(task, description=f"{probe.group}: {probe.title}")

        def ends(finding: Finding) -> None:
            progress.advance(task)
            if as_json:
                return
            if finding.probe.group not in groups:
                if groups:
                    console.print()
                console.print(Text(finding.probe.group, "bold"))
                groups.append(finding.probe.group)
            _print_finding(console, finding)

        findings = examine(PROBES, begins, ends)
    try:
        times, source = expected(clone.root(), yardsticks(findings))
    except GroundUpError as error:  # outside a clone, or its chapters can't be read
        times, source = [], str(error)
    verdict = worst([finding.verdict for finding in findings])
    if as_json:
        print(json.dumps(_content(findings, times, source, verdict), indent=2, allow_nan=False))
    else:
        _print_times(console, times, source)
        _print_end(console, findings, verdict)
    return int(verdict == Verdict.FAIL)


def _print_finding(console: Console, finding: Finding) -> None:
    """A finding in three columns, its mend below."""
    verdict, judgement = finding.verdict, finding.judgement
    widths = (8, 22, None)
    _print_row(
        console,
        widths,
        Text(f"  {verdict}", _STYLES[verdict]),
        Text(finding.probe.title),
        Text(judgement.measured),
    )
    if judgement.mend:
        _print_row(console, widths, Text(), Text(), Text(f"mend: {judgement.mend}", "cyan"))


def _print_row(console: Console, widths: Sequence[int | None], *cells: Text) -> None:
    """A row that folds inside its columns; each is a table, since rows come one by one."""
    row = Table.grid(padding=(0, 2, 0, 0))
    for width in widths:
        row.add_column(width=width, overflow="fold")
    row.add_row(*cells)
    console.print(row)


def _print_times(console: Console, times: list[Expected], source: str) -> None:
    console.print(
        Text("\nEstimated times, if nothing else runs", "bold"), Text(f"({source})", "dim")
    )
    widths = (12, max((len(each.title) for each in times), default=0), None)
    for each in times:
        estimate = each.estimate
        shown = each.why
        if estimate is not None:
            shown = f"{duration(estimate.likely)} "
            shown += f"({duration(estimate.low)} to {duration(estimate.high)})"
        _print_row(console, widths, Text(f"  {each.name}"), Text(each.title), Text(shown))


def _print_end(console: Console, findings: list[Finding], verdict: Verdict) -> None:
    count = {each: sum(one.verdict == each for one in findings) for each in Verdict}
    shown = ", ".join(f"{number} {each}" for each, number in count.items() if number)
    words = {
        Verdict.OK: "What is installed works.",
        Verdict.WARN: "What is installed works; the warnings say what would make it better.",
        Verdict.FAIL: "Something is broken; the mends are above.",
    }
    console.print(Text(f"\n{words[verdict]}", _STYLES[verdict]), Text(f"({shown})", "dim"))


def duration(seconds: float) -> str:
    """``19 s``, ``4 min 28 s``."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def _content(
    findings: list[Finding], times: list[Expected], source: str, verdict: Verdict
) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "findings": [
            {
                "probe": finding.probe.name,
                "group": finding.probe.group,
                "title": finding.probe.title,
                "verdict": finding.verdict,
                "measured": finding.judgement.measured,
                "mend": finding.judgement.mend,
                "numbers": finding.numbers,
                "seconds": round(finding.seconds, 3),
            }
            for finding in findings
        ],
        "times": {"source": source, "expected": [asdict(each) for each in times]},
    }
