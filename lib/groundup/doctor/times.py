"""How long each chapter will take here, from its time on a reference machine.

A chapter's time there is multiplied by how much slower this machine is at a fixed piece of work:
the arithmetic of a layer in NumPy for Part I, a training step in PyTorch on one thread for the
other parts. Other programs, a GPU and the number of threads are left out. The tour trains for fixed
times, which no machine changes; only the rest is scaled.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.course.chapters import navigation
from groundup.doctor.machine_probe import ProbeResult
from groundup.lab.files import read_json

PROBE_OF = {"numpy": "numpy", "torch": "training step"}
"""The probe that measures each piece of work, in the number ``milliseconds``."""

_RESULTS = Path("benchmarks/results")


@dataclass(frozen=True)
class ExpectedTime:
    """What a chapter or the tour will take.

    Attributes:
        name: such as ``chapter 5``.
        title: what it is about.
        seconds: the estimate, or None.
        why: why there is no estimate.
    """

    name: str
    title: str
    seconds: float | None
    why: str = ""


def speeds(results: Iterable[ProbeResult]) -> dict[str, float]:
    """Milliseconds of each piece of work that could be measured."""
    numbers = {result.probe.name: result.numbers for result in results}
    return {
        name: numbers[probe]["milliseconds"]
        for name, probe in PROBE_OF.items()
        if numbers.get(probe)
    }


def expected_times(root: Path, here: Mapping[str, float]) -> tuple[list[ExpectedTime], str]:
    """What each chapter of a clone, and the tour, will take.

    Args:
        root: the clone.
        here: what :func:`speeds` gives.

    Returns:
        The chapters in order and the tour last, and where the times come from.
    """
    times: dict[str, Any] = read_json(root / _RESULTS / "chapter_times.json") or {}
    tour: dict[str, Any] = read_json(root / _RESULTS / "tour.json") or {}
    there = times.get("speeds", {})

    def one(
        name: str, title: str, runs: Sequence[float], work: str, fixed: float = 0.0
    ) -> ExpectedTime:
        if not runs or not there.get(work):
            return ExpectedTime(name, title, None, "not measured")
        if work not in here:
            return ExpectedTime(name, title, None, f"needs {work}, see above")
        # Whatever disturbs a run makes it longer: the shortest is the truest.
        return ExpectedTime(name, title, fixed + (min(runs) - fixed) * here[work] / there[work])

    found = []
    for chapter in navigation.chapters(root / "chapters"):
        runs = times.get("chapters", {}).get(chapter.path.stem, [])
        work = "numpy" if chapter.number <= navigation.PARTS[0].last else "torch"
        found.append(one(f"chapter {chapter.number}", chapter.title, runs, work))
    whole = [tour["seconds"]] if "seconds" in tour else []
    fixed = times.get("tour_fixed_seconds", 0.0)
    found.append(one("tour", "the whole ladder", whole, "torch", fixed))
    source = f"measured on {times['machine']}, {times['date']}" if times else "nothing measured yet"
    return found, source
