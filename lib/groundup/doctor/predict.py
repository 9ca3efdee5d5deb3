"""How long each chapter will take here, from its time on a reference machine.

The model is one sentence: a chapter's time there, multiplied by how much slower this machine is.
Slowness is measured by the yardsticks, as the ratio of the time here to the time there. They
disagree, since machines differ in more than one number. The estimate is the geometric mean of the
ratios, and the range goes from the smallest to the largest, :data:`MARGIN` wider on both sides.
Part I counts plain Python and NumPy; the other parts count PyTorch too. Other programs, a GPU and
the number of threads are left out.

The tour trains for fixed times, which no machine changes; only the rest is scaled.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from groundup.course.chapters import pages
from groundup.doctor.findings import Finding
from groundup.lab.files import read_json

YARDSTICKS = {"python": "python_speed", "numpy": "numpy_speed", "torch": "torch_speed"}  # probes
_PART_I = ("python", "numpy")
MARGIN = 0.15
RESULTS = Path("benchmarks/results")


@dataclass(frozen=True)
class Estimate:
    """Seconds: the low end, the best guess, the high end."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True)
class Expected:
    """What a chapter or the tour will take.

    Attributes:
        name: such as ``chapter 5``.
        title: what it is about.
        estimate: the time, or None.
        why: why there is no estimate.
    """

    name: str
    title: str
    estimate: Estimate | None
    why: str = ""


def yardsticks(findings: Iterable[Finding]) -> dict[str, float]:
    """Milliseconds of each yardstick that could be measured."""
    numbers = {finding.probe.name: finding.numbers for finding in findings}
    return {
        name: numbers[probe]["milliseconds"]
        for name, probe in YARDSTICKS.items()
        if numbers.get(probe)
    }


def scale(
    seconds: float,
    here: Mapping[str, float],
    there: Mapping[str, float],
    names: Sequence[str],
    fixed: float = 0.0,
) -> Estimate:
    """A time of a reference machine, carried over to this one.

    Args:
        seconds: the time there.
        here: milliseconds of each yardstick on this machine.
        there: the same on the reference machine.
        names: which of the yardsticks count.
        fixed: of the seconds, those that are the same on every machine.
    """
    ratios = [here[name] / there[name] for name in names]
    factors = (min(ratios) * (1 - MARGIN), geometric_mean(ratios), max(ratios) * (1 + MARGIN))
    return Estimate(*(fixed + (seconds - fixed) * factor for factor in factors))


def expected(root: Path, here: Mapping[str, float]) -> tuple[list[Expected], str]:
    """What each chapter of a clone, and the tour, will take.

    Args:
        root: the clone.
        here: milliseconds of each yardstick that could be measured.

    Returns:
        The chapters in order and the tour last, and where the times come from.
    """
    times: dict[str, Any] = read_json(root / RESULTS / "chapter_times.json") or {}
    tour: dict[str, Any] = read_json(root / RESULTS / "tour.json") or {}
    there = times.get("yardsticks", {})
    boxed = times.get("tour_fixed_seconds", 0.0)

    def one(
        name: str, title: str, runs: Sequence[float], names: Sequence[str], fixed: float = 0.0
    ) -> Expected:
        if not runs or not all(there.get(each) for each in names):
            return Expected(name, title, None, "not measured")
        if lacking := [each for each in names if each not in here]:
            return Expected(name, title, None, f"needs {lacking[0]}, see above")
        # Whatever disturbs a run makes it longer: the shortest is the truest.
        return Expected(name, title, scale(min(runs), here, there, names, fixed))

    found = []
    for chapter in pages.chapters(root / "chapters"):
        names = _PART_I if chapter.number <= pages.PARTS[0].last else tuple(YARDSTICKS)
        runs = times.get("chapters", {}).get(chapter.path.stem, [])
        found.append(one(f"chapter {chapter.number}", chapter.title, runs, names))
    whole = [tour["seconds"]] if "seconds" in tour else []
    found.append(one("tour", "the whole ladder", whole, tuple(YARDSTICKS), boxed))
    source = f"measured on {times['machine']}, {times['date']}" if times else "nothing measured yet"
    return found, source
