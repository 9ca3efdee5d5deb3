"""The kernels for the CPU are the plain functions, forward and backward, and can be turned off."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.neobert import cpu_kernels
from groundup.neobert.attention import split_qkv
from groundup.neobert.cpu_kernels import split_rotated, use_cpu_kernel
from groundup.neobert.rope import rope_tables, rotate_pairs


def draw(batch=2, length=5, heads=3, half=2, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, length, heads * 6 * half)
    qkv = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    positions = torch.randint(0, 50, (length,), generator=generator)
    precise = torch.promote_types(dtype, torch.float32)
    return qkv, rope_tables(positions.to(precise), 2 * half, 10_000.0)


def plainly(qkv, heads, cos, sin):
    q, k, v = split_qkv(qkv, heads)
    return rotate_pairs(q, cos, sin), rotate_pairs(k, cos, sin), v


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 6),
    heads=st.integers(1, 3),
    half=st.integers(1, 4),
    tokens_first=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equal_to_the_plain_functions(batch, length, heads, half, tokens_first, seed):
    qkv, tables = draw(batch, length, heads, half, seed=seed)
    ours, plain = split_rotated(qkv, heads, tables), plainly(qkv, heads, *tables)
    generator = torch.Generator().manual_seed(seed)
    grads = [torch.randn(each.shape, generator=generator, dtype=each.dtype) for each in plain]
    if tokens_first:  # as SDPA's backward pass lays them out
        grads = [each.transpose(1, 2).contiguous().transpose(1, 2) for each in grads]
    for mine, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-14, atol=1e-14)
    (mine,), (other,) = (torch.autograd.grad(each, qkv, grads) for each in (ours, plain))
    torch.testing.assert_close(mine, other, rtol=1e-14, atol=1e-14)


def test_derivatives_first_and_second():
    qkv, tables = draw(batch=1, length=2, heads=1)

    def run(qkv):
        return split_rotated(qkv, 1, tables)

    assert torch.autograd.gradcheck(run, qkv)
    assert torch.autograd.gradgradcheck(run, qkv)


def test_gradients_that_lie_anyhow_are_read():
    qkv, tables = draw()
    ours, plain = split_rotated(qkv, 3, tables), plainly(qkv, 3, *tables)
    scattered = [torch.randn(4, 5, 3, 2, dtype=each.dtype).permute(3, 2, 1, 0) for each in plain]
    (mine,), (other,) = (torch.autograd.grad(each, qkv, scattered) for each in (ours, plain))
    torch.testing.assert_close(mine, other, rtol=1e-14, atol=1e-14)


def test_the_projection_is_left_as_it_was():
    qkv, tables = draw()
    before = qkv.detach().clone()
    split_rotated(qkv, 3, tables)
    assert torch.equal(qkv, before)


def test_where_it_is_used(monkeypatch):
    called = []
    right = cpu_kernels.rotate_pairs
    monkeypatch.setattr(cpu_kernels, "rotate_pairs", lambda *a: called.append(1) or right(*a))
    for dtype, uses in ((torch.float32, True), (torch.float64, True), (torch.bfloat16, False)):
        qkv, tables = draw(dtype=dtype)
        assert use_cpu_kernel(qkv) is uses
        called.clear()
        q, k, v = split_rotated(qkv, 3, tables)
        assert bool(called) is not uses
        assert q.dtype == k.dtype == v.dtype == dtype
    assert not use_cpu_kernel(torch.zeros(1, device="meta"))
    monkeypatch.setattr(cpu_kernels, "PLAIN", True)
    assert not use_cpu_kernel(torch.zeros(1))
    called.clear()
    split_rotated(*(lambda qkv, tables: (qkv, 3, tables))(*draw()))
    assert called


def test_a_compiler_sees_the_plain_functions():
    qkv, tables = draw(dtype=torch.float32)
    compiled = torch.compile(split_rotated, backend="eager", fullgraph=True)
    for mine, other in zip(compiled(qkv, 3, tables), plainly(qkv, 3, *tables), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize(("value", "plain"), [("1", True), ("0", False)])
def test_the_environment_turns_it_off(value, plain, run_forked, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from groundup.neobert import cpu_kernels; print(cpu_kernels.PLAIN)")
    (printed,) = run_forked(script, variables=[{"GROUNDUP_PLAIN": value}])
    assert printed.strip() == str(plain)
