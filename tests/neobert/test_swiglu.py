"""The gate of SwiGLU: equal to torch's own operators, forward and backward, wherever it runs."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.neobert import swiglu
from groundup.neobert.swiglu import silu_gate, silu_gate_backward


def composed(x):
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


def gradient(function, x, dy):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x), x, dy)[0]


@settings(max_examples=30, deadline=None)
@given(
    lead=st.lists(st.integers(0, 4), max_size=3),
    width=st.integers(1, 5),
    block=st.sampled_from([1, 7, 1 << 18]),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_passes_equal_autograd_of_the_composed_form(lead, width, block, seed):
    generator = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(*lead, 2 * width, generator=generator, dtype=torch.float64)
    dy = torch.randn(*lead, width, generator=generator, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(swiglu, "_BLOCK", block)
        torch.testing.assert_close(silu_gate(x), composed(x), rtol=1e-12, atol=1e-12)
        right = gradient(composed, x, dy)
        for received in (gradient(silu_gate, x, dy), silu_gate_backward(dy, x)):
            torch.testing.assert_close(received, right, rtol=1e-12, atol=1e-12)


def test_gradcheck():
    x = torch.randn(3, 2, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(silu_gate, x)


def test_views_and_a_gradient_that_is_one_number_expanded():
    x = torch.randn(6, 2, 5, dtype=torch.float64).transpose(0, 2)  # (5, 2, 6), not contiguous
    dy = torch.ones((), dtype=torch.float64).expand(5, 2, 3)
    torch.testing.assert_close(gradient(silu_gate, x, dy), gradient(composed, x, dy))


def test_huge_gates_stay_finite():
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor([[-1e4, 1e4, 2.0, 3.0]], dtype=dtype)
        dy = torch.ones(1, 2, dtype=dtype)
        expected = torch.tensor([[0.0, 3.0, 0.0, 1e4]], dtype=dtype)
        torch.testing.assert_close(gradient(silu_gate, x, dy), expected)
        torch.testing.assert_close(silu_gate_backward(dy, x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_the_input_is_kept(dtype):
    kept = []
    x = torch.randn(4, 6, dtype=dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t), lambda t: t):
        silu_gate(x)
    assert [each.data_ptr() for each in kept] == [x.data_ptr()]


def test_bfloat16_is_left_to_torch():
    x = torch.randn(4, 6, dtype=torch.bfloat16, requires_grad=True)
    y = silu_gate(x)
    assert y.dtype == torch.bfloat16
    assert "SiluGate" not in type(y.grad_fn).__name__
    assert torch.equal(y, composed(x))


def test_a_compiler_sees_torchs_own_operators():
    seen = []

    def look(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    x = torch.randn(4, 6, requires_grad=True)
    y = torch.compile(silu_gate, backend=look)(x)
    torch.testing.assert_close(y, silu_gate(x))
    assert any("silu" in each for each in seen), seen
    assert "SiluGate" not in type(y.grad_fn).__name__


def test_the_second_derivative_is_right():
    x = torch.randn(3, 2, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(silu_gate, x)


def test_nothing_is_kept_of_the_graph_without_gradients():
    with torch.no_grad():
        assert not silu_gate(torch.randn(2, 4, requires_grad=True)).requires_grad


@pytest.mark.parametrize("shape", [(3,), (2, 5), ()])
def test_a_width_without_halves_is_named(shape):
    with pytest.raises(ValueError, match=r"\(\.\.\., 2F\)"):
        silu_gate(torch.zeros(shape))


def test_a_module_with_it_can_be_copied():
    class Gated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w12 = torch.nn.Linear(3, 8, bias=False)

        def forward(self, x):
            return silu_gate(self.w12(x))

    module, x = Gated(), torch.randn(2, 3)
    assert torch.equal(copy.deepcopy(module)(x), module(x))
