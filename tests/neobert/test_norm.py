"""RMSNorm: the equation, its backward rule, and torch's own as the oracle."""

import pytest
import torch
from torch import Tensor, nn

from groundup.neobert import cpu_kernels, norm
from groundup.neobert.norm import RMSNorm, rms_norm, rms_norm_backward

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def draw(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).to(
        dtype
    )


def gradients(
    module: nn.RMSNorm, x: Tensor, weight: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """y, dx and dweight of a module."""
    x = x.clone().requires_grad_()
    module.weight.data = weight.clone()
    y = module(x)
    y.backward(dy)
    assert x.grad is not None
    assert module.weight.grad is not None
    return y.detach(), x.grad, module.weight.grad


def test_by_hand() -> None:
    x, weight = torch.tensor([1.0, 7.0]), torch.tensor([2.0, 1.0])
    y, cache = rms_norm(x, weight, 0.0)
    torch.testing.assert_close(y, torch.tensor([0.4, 1.4]))  # the root mean square is 5
    dx, dweight = rms_norm_backward(torch.tensor([1.0, 0.0]), cache)
    torch.testing.assert_close(dx, torch.tensor([0.392, -0.056]))
    torch.testing.assert_close(dweight, torch.tensor([0.2, 0.0]))


@pytest.mark.parametrize("shape", [(5,), (3, 8), (2, 3, 4, 6)])
def test_gradcheck(shape: tuple[int, ...]) -> None:
    module = RMSNorm(shape[-1], 1e-3).double()
    weight = draw(shape[-1])

    def run(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(module, {"weight": weight}, (x,))

    inputs = draw(*shape).requires_grad_(), weight.requires_grad_()
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_to_torch(dtype: torch.dtype) -> None:
    """Both are measured against torch in float64; torch's own error is the yardstick."""
    x, weight, dy = (draw(*s, dtype=dtype) for s in ((4, 7, 96), (96,), (4, 7, 96)))
    exact = gradients(nn.RMSNorm(96, 1e-5).double(), *(each.double() for each in (x, weight, dy)))
    ours = gradients(RMSNorm(96, 1e-5).to(dtype), x, weight, dy)
    torchs = gradients(nn.RMSNorm(96, 1e-5).to(dtype), x, weight, dy)
    for right, own, other in zip(exact, ours, torchs, strict=True):
        assert own.dtype == dtype
        error, yardstick = (float((each.double() - right).norm()) for each in (own, other))
        assert error <= 2 * yardstick + 1e-15 * float(right.norm())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_values_do_not_overflow(dtype: torch.dtype) -> None:
    x = torch.full((1, 4), 30_000.0, dtype=dtype)
    y, _ = rms_norm(x, torch.ones(4, dtype=dtype), 1e-5)
    torch.testing.assert_close(y, torch.ones(1, 4, dtype=dtype))


def test_zeros_stay_zeros_and_have_a_finite_gradient() -> None:
    y, dx, dweight = gradients(RMSNorm(4, 1e-5), torch.zeros(2, 4), torch.ones(4), torch.ones(2, 4))
    assert torch.equal(y, torch.zeros(2, 4))
    assert torch.equal(dweight, torch.zeros(4))
    torch.testing.assert_close(dx, torch.full((2, 4), 1e-5**-0.5))


@pytest.mark.parametrize("shape", [(5,), (3, 8), (2, 3, 4, 6)])
def test_second_derivatives(shape: tuple[int, ...]) -> None:
    module = RMSNorm(shape[-1], 1e-3).double()

    def run(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(module, {"weight": weight}, (x,))

    inputs = draw(*shape).requires_grad_(), draw(shape[-1]).requires_grad_()
    assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("size", [1, 16, 40, 1000])
@pytest.mark.parametrize("turned", [False, True])
def test_blocks_equal_the_whole(monkeypatch: pytest.MonkeyPatch, size: int, turned: bool) -> None:
    monkeypatch.setattr(norm, "_BLOCK", size)
    x, weight, dy = draw(3, 5, 8), draw(8), draw(3, 5, 8)
    if turned:  # rows that do not lie one after the other
        x, dy = (each.transpose(0, 1) for each in (x, dy))
    blocked = gradients(RMSNorm(8, 1e-5).double(), x, weight, dy)
    y, cache = rms_norm(x, weight, 1e-5)
    for own, plain in zip(blocked, (y, *rms_norm_backward(dy, cache)), strict=True):
        torch.testing.assert_close(own, plain, rtol=1e-13, atol=1e-13)


@pytest.mark.filterwarnings("ignore:Mismatch dtype")
def test_where_the_plain_functions_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = []

    def spy(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, tuple[Tensor, ...]]:
        counted.append(x.dtype)
        return rms_norm(x, weight, eps)

    monkeypatch.setattr("groundup.neobert.norm.rms_norm", spy)
    module = RMSNorm(4, 1e-5)
    module(torch.ones(2, 4))  # in blocks
    module(torch.ones(2, 4, dtype=torch.bfloat16))  # float32 weight, autocast's case: torch's own
    assert counted == []
    RMSNorm(4, 1e-5).bfloat16()(torch.ones(2, 4, dtype=torch.bfloat16))
    assert counted == [torch.bfloat16]
    monkeypatch.setattr(cpu_kernels, "PLAIN", True)
    module(torch.ones(2, 4))
    assert counted == [torch.bfloat16, torch.float32]


def test_inputs_are_left_alone() -> None:
    x, weight, dy = draw(3, 4), draw(4), draw(3, 4)
    before = [each.clone() for each in (x, weight, dy)]
    _, cache = rms_norm(x, weight, 1e-5)
    kept = [each.clone() for each in cache]
    rms_norm_backward(dy, cache)
    assert all(torch.equal(a, b) for a, b in zip((x, weight, dy), before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(cache, kept, strict=True))
