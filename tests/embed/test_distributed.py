"""Two real processes (gloo) against one: gradients, not losses, and the wrong ways are told."""

import json
from dataclasses import replace
from pathlib import Path

import embed_ranks
import pytest
import torch

from groundup.embed.distributed import all_gather, row_offset
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.lora import LoraSettings
from groundup.embed.objective import ContrastiveConfig
from groundup.embed.train import save_config, train_contrastive
from groundup.lab.files import write_json
from groundup.train.config import LoopConfig


def test_one_process_gathers_itself():
    rows = torch.randn(2, 3)
    assert all_gather(rows) is rows
    assert row_offset(5) == 0


@pytest.fixture
def config(encoder, pairs, tmp_path) -> ContrastiveConfig:
    encoder.save(tmp_path / "start")
    write_json(tmp_path / "pairs.json", pairs)
    return ContrastiveConfig(
        model=str(tmp_path / "start"),
        pairs=str(tmp_path / "pairs.json"),
        output=str(tmp_path / "many"),
        loop=LoopConfig(steps=3, lr=1e-2, warmup=0.0),
        batch_size=8,
        neighbours=0.25,
        lora=LoraSettings(rank=2),
    )


@pytest.mark.timeout(120)
def test_two_processes_equal_one(config, run_ranks, tmp_path):
    save_config(config, tmp_path / "contrast.json")
    wild = replace(config.loop, lr=1e38, clip=float("inf"), lr_scale={"token_weights": 0.0})
    diverging = replace(config, loop=wild, output=str(tmp_path / "diverged"))
    save_config(diverging, tmp_path / "wild.json")
    outputs = run_ranks(Path(embed_ranks.__file__), tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())

    gradients = result["gradients"]
    assert gradients["exact"] < 1e-12
    assert gradients["torch"] < 1e-12
    for wrong in ("detached", "detached_scaled", "no_offset"):
        assert gradients[wrong] > 0.05, wrong
    assert result["order"]
    # Every process's sum reaches x; z is nobody's business but ours.
    assert result["others"] == [2.0, 1.0, 1.0]

    for kind in ("contrast", "contrast_odd", "contrast_lora"):
        assert result[kind] < 1e-12, kind
    assert result["contrast_detached"] > 0.05
    assert "2 processes cannot share a batch of 7" in result["unequal"]

    # Training: the same three steps in this process alone.
    assert result["train"]["processes"] == 2
    assert result["train"]["gradient_error"] < 1e-12
    alone = train_contrastive(replace(config, output=str(tmp_path / "one")))
    assert alone["processes"] == 1
    start, one, many = (SentenceEncoder.load(tmp_path / n) for n in ("start", "one", "many"))
    moved = False
    for before, a, b in zip(start.parameters(), one.parameters(), many.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-5)
        moved = moved or float((a - before).detach().abs().max()) > 1e-3
    assert moved

    # A run that diverges ends by name in both processes, and nothing is saved.
    said = "error: the training ended after step 1: the loss of step 2 is"
    assert said in outputs[0]
    assert said not in outputs[1]
    steps = [json.loads(line)["step"] for line in outputs[0].splitlines() if line.startswith("{")]
    assert steps == [1]
    assert not list(tmp_path.glob("diverged*"))
