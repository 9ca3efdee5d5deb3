"""How long does each chapter take? Every one is run as a script, beside the doctor's work.

    python benchmarks/chapter_times.py --repeats 3
    python benchmarks/chapter_times.py --compare

The result, benchmarks/results/chapter_times.json, is what `groundup doctor` scales to the machine
it runs on. Measure on a quiet machine: other programs only ever make a run longer, and the shortest
of the repeats counts. Seconds far above those of the processor show that a run was disturbed.
--compare writes nothing: it estimates each chapter from that file and this machine's speed,
runs it, and prints both times.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

# As the chapters and the commands set it: before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from groundup.apps.tour.plan import FULL
from groundup.course.chapters import navigation
from groundup.doctor.probes import PROBES
from groundup.doctor.report import examine
from groundup.doctor.times import PROBE_OF, expected_times, speeds
from groundup.lab.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "chapter_times.json"


def speed() -> dict[str, float]:
    """Milliseconds of each piece of work on this machine, now."""
    wanted = {"torch", *PROBE_OF.values()}
    return speeds(examine(probe for probe in PROBES if probe.name in wanted))


def run(chapter: navigation.Chapter) -> tuple[float, float]:
    """A chapter as a script: seconds by the clock, and of the processor in all its threads."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as runs:  # for its figures
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, str(chapter.path)],
            cwd=ROOT,
            env={**os.environ, "GROUNDUP_RUNS": runs},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def tour_fixed_seconds() -> float:
    """The seconds that the tour trains, whatever the machine."""
    loops = (FULL.masked, FULL.weak.loop, FULL.strong.loop, FULL.bag.loop)
    return sum(loop.seconds or 0.0 for loop in loops)


def measure(chapters: list[navigation.Chapter], repeats: int) -> None:
    """Run the chapters and the two pieces of work in turn, and write the result."""
    seconds: dict[str, list[float]] = {chapter.path.stem: [] for chapter in chapters}
    measured = [speed()]
    for repeat in range(repeats):
        for chapter in chapters:
            took, busy = run(chapter)
            seconds[chapter.path.stem].append(took)
            line = f"{repeat + 1}/{repeats}  {chapter.path.stem:32} {took:6.1f} s"
            print(f"{line} ({busy:.1f} s of the processor)", flush=True)
        measured.append(speed())
    write_json(
        RESULTS,
        {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
            "speeds": {name: min(each[name] for each in measured) for name in PROBE_OF},
            "chapters": seconds,
            "tour_fixed_seconds": tour_fixed_seconds(),
        },
    )
    print(f"kept in {RESULTS}")


def compare(chapters: list[navigation.Chapter]) -> None:
    """Print each chapter's estimate beside the time it then takes."""
    here = speed()
    print("milliseconds: " + ", ".join(f"{name} {value:.2f}" for name, value in here.items()))
    estimates, source = expected_times(ROOT, here)
    print(f"estimated from the times {source}")
    for chapter, each in zip(chapters, estimates, strict=False):  # the tour comes last
        took, busy = run(chapter)
        if each.seconds is None:
            print(f"{chapter.path.stem:32} took {took:.1f} s; {each.why}")
            continue
        print(
            f"{chapter.path.stem:32} estimated {each.seconds:5.1f} s; took {took:5.1f} s: "
            f"{each.seconds / took - 1:+.0%} ({busy:.1f} s of the processor)",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each chapter (default 3)")
    parser.add_argument("--compare", action="store_true", help="write nothing; test the estimates")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats must be at least 1: got {options.repeats}")
    chapters = navigation.chapters(ROOT / "chapters")
    if options.compare:
        compare(chapters)
    else:
        measure(chapters, options.repeats)


if __name__ == "__main__":
    main()
