"""The digits benchmark: what it counts, what it times, and how it goes on after a stop."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundup.scratch.encoder import EncoderConfig
from groundup.scratch.trainer import OptimizerStep, TrainConfig

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """The script, with a result of its own and one part whose runs are made up."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("digits")
    module.made = []

    def run(part, variant, config):
        module.made.append((variant, config.seed, config.steps))
        right = {"all": 9 - config.seed, "Max": 5}
        total = {"all": 10, "Max": 5}
        return {"seconds": 1.0, "processor": 1.0, "first": None, "right": right, "total": total}

    variants = {"a": True, "b": False}
    part = module.Part(TrainConfig(steps=100), EncoderConfig(), 5, variants, run)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "digits.json")
    monkeypatch.setattr(module, "PARTS", {"some": part, "others": part})
    return module


def _result(bench):
    return json.loads(bench.RESULTS.read_text("utf-8"))


def test_runs_are_kept_as_they_end_and_not_made_again(bench):
    bench.measure("some", [1], quick=False)
    assert bench.made == [("a", 1, 100), ("b", 1, 100)]
    bench.measure("some", [1, 2], quick=False)
    assert bench.made[2:] == [("a", 2, 100)]
    part = _result(bench)["some"]
    assert [(r["variant"], r["seed"]) for r in part["runs"]] == [("a", 1), ("a", 2), ("b", 1)]
    assert part["pooled"] == [
        {"variant": "a", "right": {"all": 15, "Max": 10}, "total": {"all": 20, "Max": 10}},
        {"variant": "b", "right": {"all": 8, "Max": 5}, "total": {"all": 10, "Max": 5}},
    ]


def test_another_recipe_begins_anew_and_leaves_the_other_parts(bench, monkeypatch):
    bench.measure("others", [1], quick=False)
    bench.measure("some", [1], quick=False)
    changed = replace(bench.PARTS["some"], config=TrainConfig(steps=200))
    monkeypatch.setitem(bench.PARTS, "some", changed)
    bench.measure("some", [2], quick=False)
    result = _result(bench)
    assert {r["seed"] for r in result["some"]["runs"]} == {2}
    assert {r["seed"] for r in result["others"]["runs"]} == {1}
    assert result["some"]["recipe"]["training"]["steps"] == 200
    assert "seed" not in result["some"]["recipe"]["training"]


def test_a_trial_is_short_and_writes_nothing(bench):
    bench.measure("some", [1], quick=True)
    assert bench.made == [("a", 1, 5), ("b", 1, 5)]
    assert not bench.RESULTS.exists()


def test_checks_are_not_timed_and_end_when_the_aim_is_reached(bench, monkeypatch):
    now = np.zeros(2)
    monkeypatch.setattr(bench, "_clocks", now.copy)
    shares = iter([0.5, 0.995])

    def training():
        for n in range(1, 31):
            now[:] += (2, 1)  # seconds by the clock and of the processor
            yield OptimizerStep(n, 0.0, 0.0, 0.0)

    def check():
        now[:] += 1000
        return next(shares)

    times = bench.follow(training(), 30, 10, check)
    first = {"step": 20, "seconds": 40.0, "processor": 20.0}
    assert times == {"seconds": 60.0, "processor": 30.0, "first": first}


def test_shares_become_counts(bench):
    groups = {"Max": np.array([True, False, True]), "Min": np.array([False, True, False])}
    found = bench.counted({"all": 2 / 3, "Max": 0.5, "Min": 1.0}, groups)
    assert found == {
        "right": {"all": 2, "Max": 1, "Min": 1},
        "total": {"all": 3, "Max": 2, "Min": 1},
    }
