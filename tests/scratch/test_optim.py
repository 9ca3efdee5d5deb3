"""Adam, AdamW, clipping and the schedule, against torch and against arithmetic on paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.optim import SGD, Adam, AdamW, adam, clip_by_norm, step_decay, warmup_cosine

SHAPES = {"embedding": (5, 3), "weight": (3, 4), "bias": (4,)}


def test_first_steps_on_paper():
    """Gradient 4, then 2, at rate 0.1: the chapter's arithmetic, in fractions."""
    change, m, v = adam(np.array(4.0), np.zeros(()), np.zeros(()), 1, 0.1, eps=0.0)
    assert float(m) == pytest.approx(0.4)
    assert float(v) == pytest.approx(0.016)
    assert float(change) == pytest.approx(-0.1)
    change, m, v = adam(np.array(2.0), m, v, 2, 0.1, eps=0.0)
    mean, mean_square = 0.56 / 0.19, (0.016 * 0.999 + 0.004) / (1 - 0.999**2)
    assert float(change) == pytest.approx(-0.1 * mean / mean_square**0.5)


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 2**32 - 1))
def test_the_gradients_scale_cancels(scale, seed):
    first = second = scaled_first = scaled_second = np.zeros(4)
    for step, g in enumerate(np.random.default_rng(seed).normal(size=(5, 4)), start=1):
        a, first, second = adam(g, first, second, step, 0.1, eps=0.0)
        b, scaled_first, scaled_second = adam(
            scale * g, scaled_first, scaled_second, step, 0.1, eps=0.0
        )
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_adam_does_not_touch_its_inputs(rng):
    arrays = [rng.random(3) for _ in range(3)]
    before = [a.copy() for a in arrays]
    adam(*arrays, 1, 0.1)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.9, 0.95)])
def test_100_steps_of_adamw_equal_torch(betas, rng):
    ours = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    theirs = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in ours.items()}
    groups = [
        {"params": [theirs["weight"]], "weight_decay": 0.1},
        {"params": [theirs["embedding"], theirs["bias"]], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=1.0, betas=betas, eps=1e-8)
    optimizer = AdamW(ours, *betas, weight_decay=0.1)
    for step in range(100):
        lr = warmup_cosine(step, 100, 10, 0.05)
        grads = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
        for name, parameter in theirs.items():
            parameter.grad = torch.tensor(grads[name])
        for group in reference.param_groups:
            group["lr"] = lr
        optimizer.step(grads, lr)
        reference.step()
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name].detach().numpy(), rtol=0, atol=1e-12)


def test_100_float32_steps_of_adamw_equal_torch(rng):
    ours = {"weight": rng.normal(size=(3, 4)).astype(np.float32)}
    theirs = torch.nn.Parameter(torch.tensor(ours["weight"]))
    reference = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    optimizer = AdamW(ours, weight_decay=0.1)
    for _ in range(100):
        gradient = rng.normal(size=(3, 4)).astype(np.float32)
        theirs.grad = torch.tensor(gradient)
        optimizer.step({"weight": gradient}, 0.01)
        reference.step()
    assert ours["weight"].dtype == np.float32
    np.testing.assert_allclose(ours["weight"], theirs.detach().numpy(), rtol=0, atol=1e-6)


def test_decay_is_decoupled_and_spares_vectors():
    params = {name: np.ones(shape) for name, shape in SHAPES.items()}
    optimizer = AdamW(params, weight_decay=0.5)
    for _ in range(3):
        optimizer.step({name: np.zeros(shape) for name, shape in SHAPES.items()}, lr=0.1)
    np.testing.assert_allclose(params["weight"], 0.95**3, rtol=1e-12)
    np.testing.assert_array_equal(params["embedding"], 1)
    np.testing.assert_array_equal(params["bias"], 1)


@settings(max_examples=40, deadline=None)
@given(limit=st.floats(0.01, 100), seed=st.integers(0, 2**32 - 1))
def test_clipping_equals_torch(limit, seed):
    rng = np.random.default_rng(seed)
    grads = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    before = {name: g.copy() for name, g in grads.items()}
    leaves = [torch.nn.Parameter(torch.zeros(shape)) for shape in SHAPES.values()]
    for leaf, g in zip(leaves, before.values(), strict=True):
        leaf.grad = torch.tensor(g, dtype=torch.float32)
    expected = torch.nn.utils.clip_grad_norm_(leaves, limit).item()
    norm = clip_by_norm(grads, limit)
    assert norm == pytest.approx(expected, rel=1e-5)
    for (name, g), leaf in zip(grads.items(), leaves, strict=True):
        np.testing.assert_allclose(g, leaf.grad.numpy(), rtol=1e-4, atol=1e-6)  # torch: + 1e-6
        if norm <= limit:
            np.testing.assert_array_equal(g, before[name])
        else:
            np.testing.assert_allclose(g, before[name] * limit / norm, rtol=1e-12)


schedules = st.tuples(st.integers(1, 50), st.integers(2, 200)).map(lambda p: (p[0], sum(p)))


@settings(max_examples=60, deadline=None)
@given(schedule=schedules, peak=st.floats(1e-5, 1), share=st.floats(0, 1))
def test_the_schedule(schedule, peak, share):
    warmup, total = schedule
    floor = share * peak
    rates = np.array([warmup_cosine(s, total, warmup, peak, floor) for s in range(total + 5)])
    assert (rates[:-1] > 0).all() or floor == 0
    assert rates[0] > 0
    np.testing.assert_allclose(np.diff(rates[: warmup + 1]), peak / (warmup + 1), rtol=1e-9)
    assert rates[warmup] == pytest.approx(peak)
    assert (np.diff(rates[warmup:]) <= 1e-12 * peak).all()
    np.testing.assert_allclose(rates[total:], floor, atol=1e-12)
    if (total - warmup) % 2 == 0:  # half of the way down after half of the time
        assert rates[(total + warmup) // 2] == pytest.approx((peak + floor) / 2)


def test_no_warmup_starts_at_the_peak():
    assert warmup_cosine(0, 10, 0, 0.5) == 0.5
    assert warmup_cosine(10, 10, 0, 0.5) == 0.0


@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_100_steps_of_adam_equal_torch(l2, rng):
    ours = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    theirs = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in ours.items()}
    reference = torch.optim.Adam(theirs.values(), lr=0.01, weight_decay=l2)
    optimizer = Adam(ours, l2=l2)
    for _ in range(100):
        grads = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
        for name, parameter in theirs.items():
            parameter.grad = torch.tensor(grads[name])
        before = {name: g.copy() for name, g in grads.items()}
        optimizer.step(grads, 0.01)
        reference.step()
        for name, g in grads.items():
            np.testing.assert_array_equal(g, before[name])
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name].detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_100_steps_of_sgd_equal_torch(momentum, rng):
    ours = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    theirs = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in ours.items()}
    reference = torch.optim.SGD(theirs.values(), lr=1.0, momentum=momentum)
    optimizer = SGD(ours, momentum)
    schedule = torch.optim.lr_scheduler.StepLR(reference, 30, gamma=0.5)
    for step in range(100):
        grads = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
        for name, parameter in theirs.items():
            parameter.grad = torch.tensor(grads[name])
        lr = step_decay(step, 30, 0.5, 1.0)
        assert lr == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step(grads, lr)
        reference.step()
        schedule.step()
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name].detach().numpy(), rtol=0, atol=1e-11)
