"""The estimated times."""

import json
import time
from pathlib import Path

import pytest

from groundup.course import clone
from groundup.doctor.report import duration
from groundup.doctor.times import PROBE_OF, expected_times
from groundup.doctor.timing import milliseconds, processor_milliseconds
from groundup.lab.files import write_json


def small_clone(root: Path) -> Path:
    for name in ("02_backward", "05_training", "11_neobert"):
        (root / "chapters").mkdir(exist_ok=True)
        (root / f"chapters/{name}.py").write_text(f"# %% [markdown]\n# # Title of {name}\n")
    write_json(
        root / "benchmarks/results/chapter_times.json",
        {
            "date": "2026-01-31",
            "machine": "2 cores",
            "speeds": dict.fromkeys(PROBE_OF, 1.0),
            "chapters": {"05_training": [15.0, 10.0], "11_neobert": [20.0]},
            "tour_fixed_seconds": 200.0,
        },
    )
    write_json(root / "benchmarks/results/tour.json", {"seconds": 260.0})
    return root


def test_expected_times(tmp_path: Path) -> None:
    root = small_clone(tmp_path)
    found, source = expected_times(root, {"numpy": 2.0, "torch": 4.0})
    assert {each.name: each.seconds for each in found} == {
        "chapter 2": None,
        "chapter 5": 20,  # Part I: NumPy's ratio
        "chapter 11": 80,
        "tour": 200 + 60 * 4,
    }
    assert found[0].why == "not measured"
    assert "2026-01-31" in source
    found, _ = expected_times(root, {"numpy": 2.0})
    lacks = "needs torch, see above"
    assert [each.why for each in found] == ["not measured", "", lacks, lacks]
    (root / "benchmarks/results/chapter_times.json").write_text("{damaged")
    found, source = expected_times(root, {"numpy": 2.0})
    assert {each.why for each in found} == {"not measured"}
    assert source == "nothing measured yet"


def test_committed_times_give_estimates() -> None:
    """On the reference machine itself, the estimate is the time that was measured."""
    root = clone.root()
    path = root / "benchmarks/results/chapter_times.json"
    times = json.loads(path.read_text("utf-8"))
    found, source = expected_times(root, times["speeds"])
    assert times["date"] in source
    for name, seconds in times["chapters"].items():
        (own,) = [each for each in found if each.name == f"chapter {int(name[:2])}"]
        assert own.seconds == pytest.approx(min(seconds))
    assert found[-1].seconds is not None
    assert found[-1].seconds > times["tour_fixed_seconds"] > 0


def test_duration() -> None:
    assert [duration(each) for each in (0.2, 19.4, 60.0, 268.0)] == [
        "1 s",
        "19 s",
        "1 min 00 s",
        "4 min 28 s",
    ]


def test_processor_time_ignores_waiting() -> None:
    """Half of the work is sleep: the clock counts it, the processor's time does not."""

    def work() -> None:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        time.sleep(0.05)

    assert processor_milliseconds(work, budget=0.1) == pytest.approx(20, rel=0.2)
    assert milliseconds(work, budget=0.1, least=1) > 65
