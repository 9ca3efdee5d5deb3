"""The loop: accumulation, processes, resuming and the clock, against plain torch."""

import importlib.util
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from groundup.train.checkpoint import saved_states
from groundup.train.config import LoopConfig
from groundup.train.loop import StepMetrics, fit
from groundup.train.optimizer import learning_rate, parameter_groups

SCRIPT = Path(__file__).with_name("fit_here.py")
_spec = importlib.util.spec_from_file_location("fit_here", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
fit_here = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fit_here)

CONFIG = LoopConfig(steps=20, lr=0.05)


def by_hand(config: LoopConfig) -> dict[str, Tensor]:
    """The same run in plain torch: the whole batch, the mean, clipping, AdamW."""
    model, data = fit_here.network(), fit_here.Ragged()
    groups = parameter_groups(model, config)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)
    assert config.steps is not None
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step / config.steps, config) * group["scale"]
        x, y = data.batch(step, 0, 1)
        optimizer.zero_grad()
        ((model(x) - y).square().sum() / len(x)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
    return model.state_dict()


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor], atol: float) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        difference = float((value - other[name]).abs().max())
        assert difference <= atol, f"{name} differs by {difference}"


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_unequal_micro_batches_equal_the_full_batch(accumulate):
    model = fit_here.network()
    config = replace(CONFIG, accumulate=accumulate, weight_decay=0.1, lr_scale={"0": 0.5})
    assert fit(model, fit_here.Ragged(accumulate), config) == 20
    expected = by_hand(replace(config, accumulate=1))
    assert_same(model.state_dict(), expected, 1e-5)  # Adam magnifies float32's last digit


class MeanOfMeans(fit_here.Ragged):
    """The usual mistake: each micro-batch divided by its own size."""

    def count(self, batch):
        return 1

    def loss(self, model, batch):
        return super().loss(model, batch) / len(batch[0])


def test_one_step_of_accumulation_has_the_full_batch_gradient():
    """Gradients, as the optimizer receives them, not weights."""

    def gradient(objective, accumulate: int) -> Tensor:
        model = fit_here.network()
        seen: list[Tensor] = []
        step = torch.optim.AdamW.step

        def look(self, *args, **kwargs):
            seen.append(torch.cat([p.grad.flatten().clone() for p in model.parameters()]))
            return step(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.AdamW, "step", look)
            fit(model, objective, LoopConfig(steps=1, accumulate=accumulate, clip=1e9))
        return seen[0]

    full = gradient(fit_here.Ragged(1), 1)
    assert float((gradient(fit_here.Ragged(4), 4) - full).norm() / full.norm()) < 1e-6
    assert float((gradient(MeanOfMeans(4), 4) - full).norm() / full.norm()) > 0.05


def test_steps_are_reported_with_the_mean_loss_before_the_update():
    model, heard = fit_here.network(), []
    before = fit_here.network()
    fit(model, fit_here.Ragged(2), replace(CONFIG, steps=5, accumulate=2), heard.append)
    x, y = fit_here.Ragged().batch(0, 0, 1)
    assert heard[0].loss == pytest.approx(float((before(x) - y).square().sum().detach() / 12))
    assert [step.step for step in heard] == [1, 2, 3, 4, 5]
    assert [step.done for step in heard] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert isinstance(heard[0], StepMetrics)
    assert not model.training


@pytest.mark.timeout(120)
def test_two_processes_equal_one(run_ranks, tmp_path):
    """Unequal counts in the processes, micro-batches accumulated as well."""
    run_ranks(SCRIPT, tmp_path / "many", "--accumulate", 2)
    many, other = load_file(tmp_path / "many"), load_file(tmp_path / "many.other")
    assert_same(many, other, 0)
    assert_same(many, by_hand(CONFIG), 1e-5)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_two_processes_end_a_time_box_together(run_ranks, tmp_path):
    run_ranks(SCRIPT, tmp_path / "many", "--seconds", 0.3)
    assert_same(load_file(tmp_path / "many"), load_file(tmp_path / "many.other"), 0)


def test_coupled_objectives_refuse_accumulation_by_name():
    class Neighbourly(fit_here.Ragged):
        pass

    with pytest.raises(ValueError, match=r"Neighbourly couples the rows .* must be 1: got 2"):
        fit(fit_here.network(), Neighbourly(2, coupled=True), replace(CONFIG, accumulate=2))
    assert fit(fit_here.network(), Neighbourly(coupled=True), replace(CONFIG, steps=1)) == 1


class Stop(Exception):
    pass


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_stopped_and_resumed_is_the_uninterrupted_run(tmp_path, dropout):
    whole = fit_here.network(dropout)
    fit(whole, fit_here.Ragged(), CONFIG)

    def stop(step: StepMetrics) -> None:
        if step.step == 14:
            raise Stop

    broken = fit_here.network(dropout)
    with pytest.raises(Stop):
        fit(broken, fit_here.Ragged(), CONFIG, stop, tmp_path, save_every=4)
    assert [p.name for p in saved_states(tmp_path)] == ["step-00000008", "step-00000012"]
    torch.manual_seed(999)
    torch.rand(17)  # the random state of the process does not matter
    resumed, heard = fit_here.network(dropout), []
    for parameter in resumed.parameters():
        nn.init.normal_(parameter)  # nor do the weights it begins with
    assert fit(resumed, fit_here.Ragged(), CONFIG, heard.append, tmp_path, save_every=4) == 20
    assert [step.step for step in heard] == list(range(13, 21))
    assert_same(resumed.state_dict(), whole.state_dict(), 0)
    if dropout:  # it would show if random numbers did not follow the position
        plain = fit_here.network(0.0)
        fit(plain, fit_here.Ragged(), CONFIG)
        assert not torch.equal(plain[0].weight, whole[0].weight)


def test_a_finished_run_is_not_run_again(tmp_path):
    model = fit_here.network()
    fit(model, fit_here.Ragged(), replace(CONFIG, steps=4), None, tmp_path, save_every=2)
    again, heard = fit_here.network(), []
    steps = fit(again, fit_here.Ragged(), replace(CONFIG, steps=4), heard.append, tmp_path, 2)
    assert (steps, heard) == (4, [])
    assert_same(again.state_dict(), model.state_dict(), 0)


@pytest.mark.timeout(120)
def test_killed_and_resumed_is_the_uninterrupted_run(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), "--steps", "30", "--dropout", "0.3"]
    folder = ["--checkpoints", str(tmp_path / "states")]
    whole = subprocess.Popen([*command, str(tmp_path / "whole")], env=environment)
    first = [*command, str(tmp_path / "killed"), *folder, "--slow"]
    with subprocess.Popen(first, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if int(line) == 11:
                running.kill()  # SIGKILL: nothing is cleaned up
                break
    assert running.returncode == -9
    assert not (tmp_path / "killed").exists()
    assert saved_states(tmp_path / "states")
    second = [*command, str(tmp_path / "resumed"), *folder]
    told = subprocess.run(second, env=environment, capture_output=True, text=True, check=True)
    assert 1 < int(told.stdout.split()[0]) <= 12
    assert whole.wait() == 0
    assert_same(load_file(tmp_path / "resumed"), load_file(tmp_path / "whole"), 0)


def test_a_time_box_ends_and_the_schedule_follows_the_clock():
    class Slow(fit_here.Ragged):
        def batch(self, index, rank, processes):
            time.sleep(0.01)
            return super().batch(index, rank, processes)

    heard: list[StepMetrics] = []
    config = LoopConfig(seconds=0.5, lr=1.0, warmup=0.2)
    begin = time.perf_counter()
    steps = fit(fit_here.network(), Slow(), config, heard.append)
    assert time.perf_counter() - begin >= 0.5
    assert steps == len(heard) >= 1
    assert all(step.done < 1 for step in heard)
    assert heard[-1].seconds >= 0.5 > heard[-1].done * 0.5
    assert [step.lr for step in heard] == [learning_rate(step.done, config) for step in heard]


def test_only_what_requires_a_gradient_moves():
    model = fit_here.network()
    model[0].requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, fit_here.Ragged(), replace(CONFIG, weight_decay=0.5))
    after = model.state_dict()
    assert torch.equal(after["0.weight"], before["0.weight"])
    assert not torch.equal(after["3.weight"], before["3.weight"])


@settings(max_examples=60, deadline=None)
@given(
    done=st.floats(0, 1.5),
    warmup=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    floor=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_schedule_is_a_rise_and_half_a_cosine(done, warmup, floor):
    config = LoopConfig(steps=1, lr=2.0, warmup=warmup, floor=floor)
    if done < warmup:
        expected = 2 * done / warmup
    elif warmup == 1 or done >= 1:
        expected = 2 * floor if done > warmup else 2.0
    else:
        turn = math.pi * (done - warmup) / (1 - warmup)
        expected = 2 * (floor + (1 - floor) * (1 + math.cos(turn)) / 2)
    assert learning_rate(done, config) == pytest.approx(expected, abs=1e-6)


def test_groups_by_rate_and_decay():
    model = nn.ModuleDict(
        {"body": nn.Linear(3, 3), "body_head": nn.Linear(3, 3), "table": nn.Embedding(5, 3)}
    )
    model["frozen"] = nn.Linear(3, 3).requires_grad_(False)
    config = LoopConfig(
        steps=1,
        lr_scale={"body": 2.0, "body_head.weight": 5.0, "frozen": 9.0},
        weight_decay=0.1,
        no_decay=("table",),
    )
    names = {id(p): name for name, p in model.named_parameters()}
    found = {
        (group["scale"], group["weight_decay"]): sorted(names[id(p)] for p in group["params"])
        for group in parameter_groups(model, config)
    }
    assert found == {
        (2.0, 0.1): ["body.weight"],
        (2.0, 0.0): ["body.bias", "body_head.bias"],
        (5.0, 0.1): ["body_head.weight"],
        (1.0, 0.0): ["table.weight"],
    }


def test_scales_reach_the_optimizer():
    still = fit_here.network()
    moved = fit_here.network()
    fit(moved, fit_here.Ragged(), replace(CONFIG, lr_scale={"0.": 0.0}))
    assert torch.equal(moved[0].weight, still[0].weight)
    assert not torch.equal(moved[3].weight, still[3].weight)


def test_half_precision_casts_the_model_alone_and_leaves_no_trace():
    seen = []

    class Looks(fit_here.Ragged):
        def loss(self, model, batch):
            y = model(batch[0])
            seen.append((y.dtype, (batch[0] @ batch[0].T).dtype))
            return (y - batch[1]).square().sum()

    model = fit_here.network()
    rounded = []
    model[0].register_forward_hook(lambda m, given, out: rounded.append(out.dtype))
    x = torch.randn(3, 4)
    fit(model, Looks(), replace(CONFIG, steps=2))
    assert rounded == [torch.float32] * 2
    rounded.clear()
    fit(model, Looks(), replace(CONFIG, steps=2, precision="bf16"))  # after another precision
    assert rounded == [torch.bfloat16] * 2
    assert seen[-1] == (torch.float32, torch.float32)
    rounded.clear()
    model(x)
    assert rounded == [torch.float32]
    assert "forward" not in vars(model)


def test_wrong_configurations_are_named():
    for wrong in ({}, {"steps": 1, "seconds": 1.0}):
        with pytest.raises(ValueError, match="steps or seconds"):
            LoopConfig(**wrong)
    with pytest.raises(ValueError, match="got 0"):
        LoopConfig(steps=1, accumulate=0)
