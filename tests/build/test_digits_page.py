"""The page of the digits says what its benchmark's JSON says, and its intervals are Wilson's."""

import json
from pathlib import Path

import numpy as np
import pytest
from result_pages import RESULTS, digits_page

from groundup.lab.intervals import wilson_interval

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("all", "First", "Second", "Last", "Max", "Min")
MACHINE = {"cores": 2, "architecture": "x86_64", "threads": 1, "python": "3.11", "numpy": "2.4.1"}


def _counts(right: int, total: int, groups: tuple[str, ...] = GROUPS) -> dict[str, dict[str, int]]:
    return {"right": dict.fromkeys(groups, right), "total": dict.fromkeys(groups, total)}


def _run(variant: str, seed: int, right: int, step: int | None = 200, **more: object) -> dict:
    first = None if step is None else {"step": step, "seconds": step / 100, "processor": 1.0}
    counts = _counts(right, 100, **more)
    return {
        "variant": variant,
        "seed": seed,
        "seconds": 4.0,
        "processor": 90.0,
        "first": first,
    } | counts


def _part(runs: list[dict], pooled: list[dict]) -> dict:
    recipe = {"training": {"steps": 1500, "batch_size": 64}, "model": {}, "check_every": 25}
    head = {"date": "2026-01-31", "recipe": recipe, "machine": MACHINE}
    return {**head, "runs": runs, "pooled": pooled}


def _page(**parts: dict) -> str:
    return digits_page(parts)


def test_the_ends_of_an_interval_solve_the_equation_they_come_from():
    for right, total in ((0, 10), (1, 10), (5, 10), (497, 500), (2500, 2500)):
        low, high = wilson_interval(right, total)
        share = right / total
        for end in (low, high):
            distance = abs(share - end)
            assert distance == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / total), abs=1e-9)
        assert 0 <= low <= share <= high <= 1
        assert low < high


def test_an_interval_covers_the_true_share():
    rng = np.random.default_rng(0)
    for share in (0.5, 0.9, 0.99):
        ends = [wilson_interval(int(right), 500) for right in rng.binomial(500, share, 2000)]
        covered = np.mean([low <= share <= high for low, high in ends])
        assert 0.92 < covered < 0.98


def test_digits():
    runs = [
        _run("fast step", 3, 100),
        _run("fast step", 4, 98, step=None),
        _run("plain step", 3, 90, step=300),
    ]
    pooled = [{"variant": "fast step", **_counts(198, 200)}]
    page = _page(digits=_part(runs, pooled))
    assert "| **all** | 198 | 200 | 99.00% [96.43%, 99.73%] | 98.0% |" in page
    assert "1 of 2 seeds came to 99%" in page
    assert "took 4.0 seconds by the clock, 90.0 of the processor" in page
    assert "after 200 to 200 steps, 2.0 seconds" in page
    assert "took 4 seconds, and 99% was reached after 3.0." in page
    assert "Seeds 3, 4; 2 cores, x86_64, NumPy 2.4.1 on one thread; 2026-01-31." in page
    assert "two digits" not in page


def test_two_digits():
    groups = (*GROUPS, "0 to 9", "10 to 99")
    runs = [_run("decoder", seed, 99, groups=groups) for seed in (3, 4)]
    pooled = [{"variant": "decoder", **_counts(198, 200, groups)}]
    page = _page(two_digits=_part(runs, pooled))
    assert "| 10 to 99 | 198 | 200 | 99.00% [96.43%, 99.73%] | 99.0% |" in page
    assert "took 1.5 minutes" in page


def test_ablations():
    steps = {"whole model": (200, 250), "without a": (300, None), "without b": (None, None)}
    runs = [
        _run(name, seed, right, step)
        for name, each in steps.items()
        for seed, right, step in zip((3, 4), (60, 80), each, strict=True)
    ]
    pooled = [{"variant": name, **_counts(140, 200)} for name in steps]
    page = _page(ablations=_part(runs, pooled))
    cells = "70.0% | " * 6 + "60.0% to 80.0% | "
    assert f"| whole model | {cells}200 to 250 |" in page
    assert f"| without a | {cells}300 to 300 (1 of 2 seeds) |" in page
    assert f"| without b | {cells}never |" in page


@pytest.fixture(scope="module")
def committed():
    return json.loads((ROOT / RESULTS / "digits.json").read_text("utf-8"))


def _shares(part: dict) -> dict[str, dict[str, float]]:
    return {
        pool["variant"]: {name: pool["right"][name] / n for name, n in pool["total"].items()}
        for pool in part["pooled"]
    }


def test_the_committed_result_adds_up(committed):
    assert set(committed) == {"digits", "two-digits", "ablations", "six-layers"}
    for part in committed.values():
        for pool in part["pooled"]:
            runs = [run for run in part["runs"] if run["variant"] == pool["variant"]]
            for kind in ("right", "total"):
                added = {name: sum(run[kind][name] for run in runs) for name in pool[kind]}
                assert added == pool[kind]
            assert sum(pool["total"][name] for name in GROUPS[1:]) == pool["total"]["all"]


def test_the_committed_result_bears_out_the_text(committed):
    whole, scale, residuals, norms, positions, *_ = _shares(committed["ablations"]).values()
    first = {run["seed"]: run["first"]["step"] for run in _of(committed, "whole model")}
    assert all(share > 0.99 for row in (whole, scale, residuals, norms) for share in row.values())
    late = {run["seed"]: run["first"]["step"] for run in _of(committed, "without the scale 1/√K")}
    assert all(late[seed] > step for seed, step in first.items())
    assert min(positions["Max"], positions["Min"]) > 0.99
    assert max(positions[name] for name in ("First", "Second", "Last")) < 0.43
    half, none = ([run["right"]["all"] for run in _of(committed, name)] for name in WRONG)
    assert all(250 < right < 0.99 * 500 for right in half + none)
    assert {a > b for a, b in zip(half, none, strict=True)} == {True, False}
    assert max(half) - min(half) > 100
    assert max(none) - min(none) > 100


def test_the_committed_result_bears_out_the_text_on_depth(committed):
    whole, residuals, _ = _shares(committed["six-layers"]).values()
    assert min(whole.values()) > 0.99
    assert all(run["first"] is None for run in _of(committed, "without residuals", "six-layers"))
    assert min(residuals, key=lambda name: residuals[name]) == "Second"
    norms = sorted(run["right"]["all"] for run in _of(committed, "without norms", "six-layers"))
    assert norms[0] < 0.55 * 500
    assert norms[-1] > 0.99 * 500


def _of(result: dict, variant: str, part: str = "ablations") -> list[dict]:
    return [run for run in result[part]["runs"] if run["variant"] == variant]


WRONG = ("softmax gradient without its sum: ds = p ⊙ dp", "softmax gradient left out: ds = dp")
