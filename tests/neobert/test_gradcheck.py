"""The gradient check by directions: it passes what is right, and catches what is planted."""

import pytest
import torch
from torch import nn

from groundup.neobert.gradcheck import slope_errors


class Scaled(torch.autograd.Function):
    """The identity, with a gradient that is a factor too large."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, dy):
        return ctx.factor * dy, None


def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()


@pytest.fixture
def x():
    return torch.randn(3, 4, dtype=torch.float64)


def test_a_right_module_passes(model, x):
    errors = slope_errors(
        lambda: model(x).square().sum(), dict(model.named_parameters()), generator()
    )
    assert list(errors) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert max(errors.values()) < 1e-6


def test_a_planted_factor_is_measured(model, x):
    def loss():
        return Scaled.apply(model[2](model[1](Scaled.apply(model[0](x), 4.0))), 2.0).sum()

    errors = slope_errors(loss, dict(model.named_parameters()), generator())
    for name, wanted in {"0.weight": 7 / 8, "0.bias": 7 / 8, "2.weight": 1 / 2}.items():
        assert errors[name] == pytest.approx(wanted, abs=1e-6)


def test_a_detached_parameter_is_wrong_and_an_unused_one_is_right(model, x):
    unused = torch.ones(3, dtype=torch.float64, requires_grad=True)
    weight = model[0].weight

    def loss():
        return model[2](torch.tanh(x @ weight.detach().T + model[0].bias)).sum()

    named = {"detached": weight, "bias": model[0].bias, "unused": unused}
    errors = slope_errors(loss, named, generator())
    assert errors["detached"] == 1
    assert errors["bias"] < 1e-6
    assert errors["unused"] == 0


def test_parameters_and_grads_are_left_even_when_the_loss_fails(model, x):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    calls = []

    def loss():
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("lost")
        return model(x).sum()

    with pytest.raises(RuntimeError, match="lost"):
        slope_errors(loss, dict(model.named_parameters()), generator())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None


def test_float32_is_refused(model, x):
    model.float()
    with pytest.raises(ValueError, match=r"float64: got 0\.weight in torch\.float32"):
        slope_errors(lambda: model(x.float()).sum(), dict(model.named_parameters()), generator())
