"""The loop: accumulation, processes, resuming and the clock, against plain torch."""

import math
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import train_ranks
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn
from train_ranks import CONFIG, KILLED, Ragged, network

from groundup.train.checkpoint import saved_states
from groundup.train.config import LoopConfig
from groundup.train.loop import StepMetrics, fit
from groundup.train.optimizer import learning_rate, parameter_groups


def by_hand(config: LoopConfig) -> dict[str, Tensor]:
    """The same run in plain torch: the whole batch, the mean, clipping, AdamW."""
    model, data = network(), Ragged()
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
    model = network()
    config = replace(CONFIG, accumulate=accumulate, weight_decay=0.1, lr_scale={"0": 0.5})
    assert fit(model, Ragged(accumulate), config) == 20
    expected = by_hand(replace(config, accumulate=1))
    assert_same(model.state_dict(), expected, 1e-5)  # Adam magnifies float32's last digit


class MeanOfMeans(Ragged):
    """The usual mistake: each micro-batch divided by its own size."""

    def count(self, batch):
        return 1

    def loss(self, model, batch):
        return super().loss(model, batch) / len(batch[0])


def test_one_step_of_accumulation_has_the_full_batch_gradient():
    """Gradients, as the optimizer receives them, not weights."""

    def gradient(objective, accumulate: int) -> Tensor:
        model = network()
        seen: list[Tensor] = []
        step = torch.optim.AdamW.step

        def look(self, *args, **kwargs):
            seen.append(torch.cat([p.grad.flatten().clone() for p in model.parameters()]))
            return step(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.AdamW, "step", look)
            fit(model, objective, LoopConfig(steps=1, accumulate=accumulate, clip=1e9))
        return seen[0]

    full = gradient(Ragged(1), 1)
    assert float((gradient(Ragged(4), 4) - full).norm() / full.norm()) < 1e-6
    assert float((gradient(MeanOfMeans(4), 4) - full).norm() / full.norm()) > 0.05


def test_steps_are_reported_with_the_mean_loss_before_the_update():
    model, heard = network(), []
    before = network()
    fit(model, Ragged(2), replace(CONFIG, steps=5, accumulate=2), heard.append)
    x, y = Ragged().batch(0, 0, 1)
    assert heard[0].loss == pytest.approx(float((before(x) - y).square().sum().detach() / 12))
    assert [step.step for step in heard] == [1, 2, 3, 4, 5]
    assert [step.done for step in heard] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert isinstance(heard[0], StepMetrics)
    assert not model.training


@pytest.mark.xdist_group("two_processes")
def test_two_processes_equal_one(two_processes):
    one, other = (load_file(two_processes / f"{rank}.equal.safetensors") for rank in (0, 1))
    assert_same(one, other, 0)
    assert_same(one, by_hand(CONFIG), 1e-5)


@pytest.mark.xdist_group("two_processes")
def test_two_processes_end_a_time_box_together(two_processes):
    one, other = (load_file(two_processes / f"{rank}.time.safetensors") for rank in (0, 1))
    assert_same(one, other, 0)


def test_coupled_objectives_refuse_accumulation_by_name():
    class Neighbourly(Ragged):
        pass

    with pytest.raises(ValueError, match=r"Neighbourly couples the rows .* must be 1: got 2"):
        fit(network(), Neighbourly(2, coupled=True), replace(CONFIG, accumulate=2))
    assert fit(network(), Neighbourly(coupled=True), replace(CONFIG, steps=1)) == 1


class Stop(Exception):
    pass


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_stopped_and_resumed_is_the_uninterrupted_run(tmp_path, dropout):
    whole = network(dropout)
    fit(whole, Ragged(), CONFIG)

    def stop(step: StepMetrics) -> None:
        if step.step == 14:
            raise Stop

    broken = network(dropout)
    with pytest.raises(Stop):
        fit(broken, Ragged(), CONFIG, stop, tmp_path, save_every=4)
    assert [p.name for p in saved_states(tmp_path)] == ["step-00000008", "step-00000012"]
    torch.manual_seed(999)
    torch.rand(17)  # the random state of the process does not matter
    resumed, heard = network(dropout), []
    for parameter in resumed.parameters():
        nn.init.normal_(parameter)  # nor do the weights it begins with
    assert fit(resumed, Ragged(), CONFIG, heard.append, tmp_path, save_every=4) == 20
    assert [step.step for step in heard] == list(range(13, 21))
    assert_same(resumed.state_dict(), whole.state_dict(), 0)
    if dropout:  # it would show if random numbers did not follow the position
        plain = network(0.0)
        fit(plain, Ragged(), CONFIG)
        assert not torch.equal(plain[0].weight, whole[0].weight)


def test_a_finished_run_is_not_run_again(tmp_path):
    model = network()
    fit(model, Ragged(), replace(CONFIG, steps=4), None, tmp_path, save_every=2)
    again, heard = network(), []
    steps = fit(again, Ragged(), replace(CONFIG, steps=4), heard.append, tmp_path, 2)
    assert (steps, heard) == (4, [])
    assert_same(again.state_dict(), model.state_dict(), 0)


@pytest.mark.timeout(120)
def test_killed_and_resumed_is_the_uninterrupted_run(tmp_path):
    command = [sys.executable, train_ranks.__file__, str(tmp_path), "--until-killed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if int(line) == 11:
                running.kill()  # SIGKILL: nothing is cleaned up
                break
    assert running.returncode == -9
    whole, resumed, heard = network(0.3), network(0.3), []
    fit(whole, Ragged(), KILLED)
    assert fit(resumed, Ragged(), KILLED, heard.append, tmp_path, save_every=3) == 30
    assert 1 < heard[0].step <= 12
    assert_same(resumed.state_dict(), whole.state_dict(), 0)


def test_a_time_box_ends_and_the_schedule_follows_the_clock():
    class Slow(Ragged):
        def batch(self, index, rank, processes):
            time.sleep(0.01)
            return super().batch(index, rank, processes)

    heard: list[StepMetrics] = []
    config = LoopConfig(seconds=0.5, lr=1.0, warmup=0.2)
    begin = time.perf_counter()
    steps = fit(network(), Slow(), config, heard.append)
    assert time.perf_counter() - begin >= 0.5
    assert steps == len(heard) >= 1
    assert all(step.done < 1 for step in heard)
    assert heard[-1].seconds >= 0.5 > heard[-1].done * 0.5
    assert [step.lr for step in heard] == [learning_rate(step.done, config) for step in heard]


def test_only_what_requires_a_gradient_moves():
    model = network()
    model[0].requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, Ragged(), replace(CONFIG, weight_decay=0.5))
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
    still = network()
    moved = network()
    fit(moved, Ragged(), replace(CONFIG, lr_scale={"0.": 0.0}))
    assert torch.equal(moved[0].weight, still[0].weight)
    assert not torch.equal(moved[3].weight, still[3].weight)


def test_half_precision_casts_the_model_alone_and_leaves_no_trace():
    seen = []

    class Looks(Ragged):
        def loss(self, model, batch):
            y = model(batch[0])
            seen.append((y.dtype, (batch[0] @ batch[0].T).dtype))
            return (y - batch[1]).square().sum()

    model = network()
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
