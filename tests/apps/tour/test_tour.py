"""The tour from bottom to top on a small corpus, stopped half-way and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundup.apps.tour import stages
from groundup.apps.tour.plan import FULL, QUICK, Contrastive
from groundup.apps.tour.tour import run_tour
from groundup.apps.tour.tour_report import table_rows
from groundup.apps.tour.tour_state import Tour
from groundup.embed.lora import LoraSettings
from groundup.lab import records
from groundup.lab.errors import UserError, WorkError


def brief(training: Contrastive) -> Contrastive:
    return replace(training, loop=replace(training.loop, seconds=None, steps=3), batch_size=16)


PLAN = replace(
    QUICK,
    packages=("asyncio", "concurrent", "email", "json", "logging", "multiprocessing", "unittest"),
    digit_steps=60,
    vocabulary=1000,
    model=QUICK.model | {"hidden_size": 32},
    masked=replace(QUICK.masked, seconds=None, steps=3),
    masked_batch=8,
    masked_texts=200,
    weak=brief(QUICK.weak),
    strong=replace(brief(QUICK.strong), lora=LoraSettings(rank=4, targets=("qkv", "encoder"))),
    bag=brief(QUICK.bag),
)


@pytest.mark.slow
def test_the_whole_tour_stopped_and_resumed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    read_elsewhere: Callable[..., dict[str, np.ndarray]],
) -> None:
    monkeypatch.setenv("GROUNDUP_RUNS", str(tmp_path / "runs"))

    def stop(tour: Tour, bar: object) -> dict[str, object]:
        raise KeyboardInterrupt

    whole = stages.STAGES
    names = [stage.name for stage in whole]
    middle = names.index("strong")
    cut = (*whole[:middle], whole[middle]._replace(work=stop), *whole[middle + 1 :])
    monkeypatch.setattr(stages, "STAGES", cut)
    with pytest.raises(KeyboardInterrupt):
        run_tour(PLAN)
    assert "--resume" in capsys.readouterr().out
    (run,) = (tmp_path / "runs").glob("tour-*")
    weights = (run / "weak" / "model.safetensors").read_bytes()
    assert not (run / "strong").exists()

    monkeypatch.setattr(stages, "STAGES", whole)
    with pytest.raises(UserError, match="no unfinished tour"):
        run_tour(replace(PLAN, vocabulary=999), resume=True)
    tour = run_tour(PLAN, resume=True)
    assert tour.directory == run
    assert (run / "weak" / "model.safetensors").read_bytes() == weights
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    out = capsys.readouterr().out
    assert out.count("done before") == middle
    for piece in ("BM25", "how do I join two paths", "plot:", "groundup search"):
        assert piece in out

    for name in ("weak", "strong", "bag"):
        assert tour.results[name]["gradient_error"] < 1e-12
        assert tour.results[name]["processes"] == 2
    assert tour.results["strong"]["trained"] < tour.results["weak"]["trained"]
    for row in table_rows(tour):
        assert 0 <= row["ndcg"] <= row["recall"] <= 1
    assert {p.name for p in run.glob("*.png")} == {"losses.png", "retrieval.png"}
    assert not list(run.rglob("*.tmp"))
    columns, rows = records.query(tmp_path / "runs")
    assert dict(zip(columns, rows[0], strict=True))["run"] == run.name
    _, losses = records.query(
        tmp_path / "runs",
        "SELECT stage, count(*) FROM records WHERE metric = 'loss' AND stage != 'digits' "
        "GROUP BY stage ORDER BY stage",
    )
    assert losses == [("bag", 3), ("masked", 3), ("strong", 3), ("weak", 3)]
    with pytest.raises(UserError, match="no unfinished tour"):
        run_tour(PLAN, resume=True)

    # Each stage's directory scores the same where groundup is not installed.
    names = ["masked", "weak", "strong", "bag-start", "bag"]
    pairs = tour.splits.test.strong_pairs()
    found = read_elsewhere({name: run / name for name in names}, [], pairs)
    ours = {**tour.results, "bag-start": tour.results["bag"]["untrained"]}
    for name in names:
        assert found[f"{name}/max_length"] == PLAN.evaluation_length
        scores = [ours[name]["ndcg_at_10"], ours[name]["recall_at_10"]]
        np.testing.assert_allclose(found[f"{name}/scores"], scores, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_ctrl_c_says_so_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "groundup", "tour", "--quick"],
        cwd=tmp_path,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    done = tmp_path / "runs"
    deadline = time.time() + 120
    while not list(done.glob("tour-*/stages/digits.json")) and time.time() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in out
    assert "interrupted" in err
    assert "Traceback" not in err
    (run,) = done.glob("tour-*")
    assert json.loads((run / "run.json").read_text())["status"] == "running"
    assert not list(run.rglob("*.tmp"))


def test_a_wrong_twin_stops_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parity stage is a check that can fail."""
    from groundup.parity import numpy_torch

    monkeypatch.setenv("GROUNDUP_RUNS", str(tmp_path / "runs"))
    broken = {**numpy_torch._LAYER_NAMES, "b1": "linear2.bias", "b2": "linear1.bias"}
    monkeypatch.setattr(numpy_torch, "_LAYER_NAMES", broken)
    monkeypatch.setattr(stages, "STAGES", stages.STAGES[:2])
    with pytest.raises((WorkError, RuntimeError)):
        run_tour(PLAN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((n, 0) for n in ("digit_steps", "vocabulary", "masked_batch", "masked_texts")),
        *((n, -1) for n in ("evaluation_length", "processes", "residual_scale")),
        ("masked_lengths", (0, 64)),
        ("masked_lengths", (64, 24)),
    ],
)
def test_a_plan_that_cannot_be_is_refused_where_it_is_made(name, value):
    with pytest.raises(ValueError, match=name):
        replace(FULL, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("query_length", -1), ("document_length", 1.5), ("cloze", 1.5)],
)
def test_a_contrastive_stage_that_cannot_be_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name} must .*: got {value}"):
        replace(FULL.weak, **{name: value})
