"""A run that cannot go on: it ends by name, keeps the last good state, and leaves no trace."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch import nn
from train_ranks import Poisoned, network

from groundup.lab.errors import UserError, WorkError
from groundup.lab.seeds import seed_at
from groundup.train.checkpoint import saved_states
from groundup.train.config import LoopConfig
from groundup.train.loop import StepMetrics, fit
from groundup.train.module_mode import evaluation_mode, preserve_mode

CONFIG = LoopConfig(steps=6, lr=0.05)


class Alone(Poisoned):
    """The same in a single process."""

    def batch(self, index, rank, processes):
        return super().batch(index, 1, processes)


@pytest.mark.parametrize(
    ("poison", "said"),
    [("loss", "the loss of step 5 is inf"), ("gradient", "the gradient norm of step 5 is nan")],
)
def test_a_step_that_is_not_finite_is_not_taken(tmp_path, poison, said):
    model, heard = network(), []
    with pytest.raises(WorkError, match=rf"after step 4: {said}.*lower lr.*0\.05"):
        fit(model, Alone(poison), CONFIG, heard.append, tmp_path, save_every=1)
    assert [step.step for step in heard] == [1, 2, 3, 4]
    assert [p.name for p in saved_states(tmp_path)] == ["step-00000003", "step-00000004"]
    # What is left in memory is what is on disk: the weights after the last good step.
    kept = load_file(tmp_path / "step-00000004" / "weights.safetensors")
    for name, value in model.state_dict().items():
        assert bool(value.isfinite().all())
        assert torch.equal(value, kept[name])


def test_accumulated_micro_batches_count_too():
    with pytest.raises(WorkError, match="after step 1: the loss of step 2 is inf"):
        fit(network(), Alone("loss"), replace(CONFIG, accumulate=4))


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    """The loss and its gradient are finite; the step itself is too large for float32."""
    model = network()
    config = LoopConfig(steps=1, lr=1e38, lr_scale={"": 1e3}, warmup=0.0)
    with pytest.raises(WorkError, match="after step 1: its weights hold NaN or infinity"):
        fit(model, Alone(""), config, None, tmp_path, save_every=1)
    assert saved_states(tmp_path) == []
    with pytest.raises(WorkError, match="weights"):  # nor handed to whoever saves the model
        fit(network(), Alone(""), config)


def test_a_step_without_items_is_not_a_loss_of_zero():
    class Empty(Alone):
        def count(self, batch):
            return 0

    with pytest.raises(WorkError, match="step 1 has no item"):
        fit(network(), Empty(""), CONFIG)


def test_a_model_with_nothing_to_train_is_named():
    with pytest.raises(ValueError, match="no parameter of Sequential requires a gradient"):
        fit(network().requires_grad_(False), Alone(""), CONFIG)


@pytest.mark.xdist_group("two_processes")
def test_all_processes_stop_together_and_none_waits(two_processes):
    told = [json.loads((two_processes / f"{rank}.json").read_text()) for rank in (0, 1)]
    both, ends = zip(*told, strict=True)
    assert both[0] == both[1]
    for poison, said in (("loss", "loss of step 5 is"), ("gradient", "gradient norm of")):
        assert both[0][poison]["raised"].startswith("WorkError: the training ended after step 4: ")
        assert said in both[0][poison]["raised"]
        assert both[0][poison]["states"] == ["step-00000002", "step-00000004"]
        assert both[0][poison]["finite"]
    assert both[0]["alone"] == "done"
    assert ends[0]["full"] == "OSError: no space left on device"
    assert ends[1]["full"].startswith("WorkError: another process could not save the state of")
    for each in ends:
        assert each["apart"].startswith("UserError: process 0 found step 2 in ")


def test_the_gradient_norm_is_reported_before_clipping():
    model, heard = network(), []
    twin = network()
    x, _ = Alone("").batch(0, 0, 1)
    (twin(x).square().sum() / len(x)).backward()
    norm = math.sqrt(sum(float(p.grad.double().square().sum()) for p in twin.parameters()))
    fit(model, Alone(""), replace(CONFIG, steps=1, clip=norm / 10), heard.append)
    assert isinstance(heard[0], StepMetrics)
    # float32 sums of some tens of squares
    assert heard[0].gradient_norm == pytest.approx(norm, rel=1e-5)


class Stop(Exception):
    pass


@pytest.mark.parametrize("ends", [Stop, KeyboardInterrupt, None])
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_run_leaves_no_trace(ends, precision):
    class Ends(Alone):
        def loss(self, model, batch):
            loss = super().loss(model, batch)
            if ends is not None and batch[1]:
                raise ends
            return loss

    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    own = model[2].forward
    model[2].forward = lambda x: own(x) + 1  # somebody else's patch
    patched = model[2].forward
    model.train()
    model[1].eval()  # a frozen dropout
    model[0].bias.requires_grad_(False)
    model[0].weight.grad = torch.ones(8, 4)  # left by somebody: it must not count
    hooks = [dict(module._forward_hooks) for module in model.modules()]
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    mine = Accelerator(cpu=True)
    shared = dict(AcceleratorState._shared_state)
    config = replace(CONFIG, precision=precision)
    if ends is None:
        fit(model, Ends(""), config)
        assert not any(module.training for module in model.modules())
    else:
        with pytest.raises(ends):
            fit(model, Ends("x"), config)
        assert [module.training for module in model.modules()] == [True, True, False, True]
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before
    assert model[2].forward is patched
    assert [dict(module._forward_hooks) for module in model.modules()] == hooks
    assert not model[0].bias.requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert AcceleratorState._shared_state == shared
    assert mine.mixed_precision == "no"
    AcceleratorState._reset_state()


def test_gradients_from_before_do_not_count():
    clean, left = network(), network()
    for parameter in left.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    for model in (clean, left):
        fit(model, Alone(""), CONFIG)
    for a, b in zip(clean.parameters(), left.parameters(), strict=True):
        assert torch.equal(a, b)


def test_another_run_cannot_take_up_the_states(tmp_path):
    class Described(Alone):
        size = 3

        def batch(self, index, rank, processes):
            x, poison = super().batch(index, rank, processes)
            return x[: self.size], poison

        def description(self):
            return {"batch_size": self.size}

    fit(network(), Described(""), CONFIG, None, tmp_path, save_every=3)

    def again(name, objective, model=None, **changes):
        model = model or network()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        with pytest.raises(UserError, match=name):
            fit(model, objective, replace(CONFIG, **changes), None, tmp_path, save_every=3)
        for key, value in model.state_dict().items():
            assert torch.equal(value, before[key])

    again("seed was 0 and is 1", Described(""), seed=1)
    again("steps was 6 and is 12", Described(""), steps=12)
    again("accumulate was 1 and is 2", Described(""), accumulate=2)
    smaller = Described("")
    smaller.size = 2
    again("data: batch_size was 3 and is 2", smaller)

    class Other(Described):
        def batch(self, index, rank, processes):
            return super().batch(index + 1, rank, processes)

    again("first batch was", Other(""))
    wider = nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Linear(9, 2))
    again("parameters was", Described(""), wider)
    position = tmp_path / "step-00000006" / "position.json"
    noted = json.loads(position.read_text())
    noted["fingerprint"]["processes"] = 2
    position.write_text(json.dumps(noted))
    again("processes was 2 and is 1", Described(""))
    position.write_text(json.dumps({"step": 6, "seconds": 1.0}))
    again("processes was 'not noted'", Described(""))


WRONG = {
    "steps": [0, -1, 1.5, math.nan, True, "3"],
    "seconds": [0, -1.0, math.nan, math.inf],
    "lr": [0, -1e-3, math.nan, math.inf],
    "lr_scale": [{"a": -1.0}, {"a": math.nan}],
    "warmup": [-0.1, 1.1, math.nan],
    "floor": [-0.1, 1.1, math.nan],
    "weight_decay": [-0.1, math.nan, math.inf],
    "betas": [(0.9, 1.0), (-0.1, 0.9), (math.nan, 0.9), (0.9,)],
    "clip": [0, -1.0, math.nan],
    "accumulate": [0, -1, 2.0],
    "precision": ["fp16", "float32", "half", None],
    "seed": [-1, 0.5],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, each in WRONG.items() for v in each])
def test_what_cannot_be_is_refused_where_the_recipe_is_made(name, value):
    given = {name: value} if name == "seconds" else {"steps": 1, name: value}
    with pytest.raises(ValueError, match=name) as raised:
        LoopConfig(**given)
    shown = value["a"] if isinstance(value, dict) else value
    assert str(shown) in str(raised.value)


def test_what_can_be_is_not_refused():
    LoopConfig(seconds=0.1, clip=math.inf, lr_scale={"a": 0.0}, warmup=0.0, floor=1.0)
    LoopConfig(steps=np.int64(3), warmup=1, betas=(0.0, 0.999), precision="bf16")


def test_save_every_is_not_negative(tmp_path):
    with pytest.raises(ValueError, match="save_every"):
        fit(network(), Alone(""), CONFIG, None, tmp_path, save_every=-1)


def test_modes_come_back_module_by_module():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Linear(1, 1)))
    model.train()
    model[1].eval()
    before = [module.training for module in model.modules()]
    assert len(set(before)) == 2

    def evaluates() -> None:
        with evaluation_mode(model):
            assert not any(module.training for module in model.modules())
            raise Stop

    def trains() -> None:
        with preserve_mode(model):
            model.train()
            raise Stop

    with pytest.raises(Stop):
        evaluates()
    assert [module.training for module in model.modules()] == before
    with pytest.raises(Stop):
        trains()
    assert [module.training for module in model.modules()] == before


def test_seeds_of_positions_differ():
    """Python's hash says that -1 is -2; and small tuples must not share a seed by chance."""
    seeds = {seed_at(a, b, c) for a in range(20) for b in range(20) for c in range(20)}
    assert len(seeds) == 8000
    assert all(0 <= seed < 2**64 for seed in seeds)
    torch.manual_seed(max(seeds))
    with pytest.raises(ValueError, match="negative"):
        seed_at(-1, 0)
