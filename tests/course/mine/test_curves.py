"""Two loss curves in words and in text; whose tour is whose."""

import os
from pathlib import Path

import pytest

from groundup.course.mine import reference
from groundup.course.mine.curves import drawing, rows
from groundup.course.mine.losses import Training
from groundup.lab.files import write_json
from groundup.lab.records import Record

FALLING = [3.0, 2.0, 1.0, 0.5]


def training(*losses: float, timed: bool = False, every: int = 1) -> Training:
    return Training(0.0, timed, [every * (n + 1) for n in range(len(losses))], list(losses))


def says(mine: Training, own: Training) -> str:
    ((*_, text),) = rows([mine], [own])
    return text


def test_what_is_said_of_two_curves() -> None:
    own = training(*FALLING)
    assert says(own, own) == "equal at every step"
    assert says(training(3.0, 2.0, 1.0, 0.504), own) == "at most 4.0e-03 apart"
    assert says(training(3.0, 2.0, 1.02, 0.5), own) == "part at step 3: 1.02 and 1"
    nan = float("nan")
    assert says(training(3.0, nan, nan, nan), own) == "part at step 2: nan and 2"
    assert says(training(nan), training(nan)) == "equal at every step"
    assert says(training(9.0, 8.0, timed=True), own) == "timed: 4 steps there"
    assert says(training(3.0), training(2.0, every=10)) == "no step in common"


def test_ends_are_of_the_steps_that_both_have() -> None:
    every_second = training(2.0, 0.5, every=2)
    ((steps, mine, own, text),) = rows([training(*FALLING)], [every_second])
    assert (steps, mine, own, text) == ("4", "2 to 0.5", "2 to 0.5", "equal at every step")
    assert rows([training(*FALLING)], []) == [("4", "3 to 0.5", "", "")]


def test_the_first_curve_that_parts_is_drawn() -> None:
    same, other = training(*FALLING), training(3.0, 3.0, 3.0, 3.0)
    lines = drawing([same, other], [same, same], ["digits", "weak"])
    assert lines == [
        "The loss of training weak, on a logarithmic scale:",
        "  yours          ████",
        "  the library's  █▆▄▁",
    ]
    assert drawing([same], [], ["1"]) == [
        "The loss, on a logarithmic scale:",
        "  yours          █▆▄▁",
    ]
    assert drawing([training(float("inf"), 1.0)], [], ["1"])[1].endswith("?▁")


def tour(runs: Path, name: str, status: str, seed: int = 0) -> Path:
    folder = runs / f"tour-{name}"
    state = {"status": status, "plan": "a plan", "seed": seed, "version": "1"}
    write_json(folder / "run.json", state)
    record = Record.open(folder)
    for step, loss in enumerate(FALLING, 1):
        record.add("digits", step, loss=loss, lr=0.1)
    record.add("masked", 1, loss=1.0)
    record.save()
    os.utime(folder / "run.json", (1000.0, 1000.0))
    return folder


def test_a_tour_is_compared_with_one_of_the_librarys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("GROUNDUP_RUNS", str(tmp_path))
    tour(tmp_path, "1", "finished")
    tour(tmp_path, "2", "running")
    tour(tmp_path, "3", "finished", seed=1)
    mine = tour(tmp_path, "4", "finished")
    assert reference.of_tour(began=2000.0) is None
    for began in (500.0, 500.0):
        os.utime(mine / "run.json", (900.0, 900.0))
        for name in "123":
            os.utime(tmp_path / f"tour-{name}" / "run.json", (100.0, 100.0))
        found = reference.of_tour(began)
        assert found is not None
        assert found.stages == ["digits", "masked"]
        assert found.own is not None
        # Not the unfinished one, not the one of another seed, and never one of the learner's own.
        assert found.own.when == "tour-1"
        assert found.own.trainings[0].losses == FALLING
        mine = tour(tmp_path, "5", "finished")
        os.utime(tmp_path / "tour-4" / "run.json", (100.0, 100.0))
