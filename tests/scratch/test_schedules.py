"""The learning rate over time, against torch's schedulers."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.optim import step_decay, warmup_cosine

few = settings(max_examples=15, deadline=None, derandomize=True, database=None)


def _theirs(make, peak, steps):
    """The rates that a torch scheduler gives to steps 0, 1, 2, …"""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its deprecated way to call one scheduler from another
        schedule = make(optimizer)
        for _ in range(steps):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
    return rates


@few
@given(
    warmup=st.integers(0, 20),
    rest=st.integers(1, 40),
    peak=st.floats(1e-5, 1),
    share=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_warm_up_and_cosine_equal_torch(warmup, rest, peak, share):
    def make(optimizer):
        scheduler = torch.optim.lr_scheduler
        cosine = scheduler.CosineAnnealingLR(optimizer, T_max=rest, eta_min=share * peak)
        if not warmup:
            return cosine
        # From 1/(W+1) of the peak at step 0 to the peak at step W.
        rise = scheduler.LinearLR(optimizer, 1 / (warmup + 1), 1.0, total_iters=warmup)
        return scheduler.SequentialLR(optimizer, [rise, cosine], milestones=[warmup])

    total = warmup + rest
    ours = [warmup_cosine(step, total, warmup, peak, share * peak) for step in range(total + 1)]
    # torch multiplies its way from step to step, and adds up a rounding at each.
    np.testing.assert_allclose(ours, _theirs(make, peak, total + 1), rtol=1e-9, atol=1e-12 * peak)


@few
@given(every=st.integers(1, 9), factor=st.floats(0.1, 1), peak=st.floats(1e-5, 1))
def test_step_decay_equals_torch(every, factor, peak):
    ours = [step_decay(step, every, factor, peak) for step in range(30)]
    expected = _theirs(lambda o: torch.optim.lr_scheduler.StepLR(o, every, factor), peak, 30)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 5])
def test_beyond_the_last_step_the_rate_stays_at_the_floor(steps):
    assert warmup_cosine(10 + steps, 10, 2, 1.0, floor=0.25) == pytest.approx(0.25)
