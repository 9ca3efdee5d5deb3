"""Tiled attention in torch, and its GPU kernel: the same as in one piece, whatever the tiles."""

import importlib.util
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.neobert import flash_triton
from groundup.neobert.batch_layout import pack
from groundup.neobert.flash import flash_attention
from groundup.neobert.flash_triton import flash_forward, plan_launch
from groundup.scratch.flash import tiled_attention, tiled_attention_backward

fast = settings(max_examples=40, deadline=None)
sizes = st.integers(1, 7)
seeds = st.integers(0, 2**32 - 1)
on_a_gpu = pytest.mark.skipif(
    not torch.cuda.is_available() or flash_triton.triton is None, reason="needs a GPU and Triton"
)


def in_one_piece(q, k, v, attn_mask):
    """The formula with all weights in memory; attn_mask (…, T, S) bool. Empty rows give zeros."""
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~attn_mask, -1e300)
    weights = scores.softmax(-1) * attn_mask
    return weights @ v


def make_attn_mask(q, k, causal=False, packed=None, key_padding_mask=None):
    """(B, H, T, S) bool."""
    queries, keys = q.shape[2], k.shape[2]
    attn_mask = torch.ones(queries, keys, dtype=torch.bool, device=q.device)
    if causal:
        attn_mask = attn_mask.tril(keys - queries)
    if packed is not None:
        ends = packed.cu_seqlens.tolist()
        of = torch.tensor([sum(n >= end for end in ends[1:]) for n in range(keys)])
        attn_mask = attn_mask & (of[:, None] == of).to(q.device)
    attn_mask = attn_mask.expand(*q.shape[:3], keys)
    return attn_mask if key_padding_mask is None else attn_mask & key_padding_mask[:, None, None, :]


def draw(seed, batch, heads, queries, keys, width):
    rng = np.random.default_rng(seed)
    shapes = [(batch, heads, n, width) for n in (queries, keys, keys, queries)]
    return [torch.tensor(rng.normal(size=shape)) for shape in shapes]


def compare(q, k, v, dy, whole_mask, **options):
    """Output and gradients of the tiled form against those of one piece, in float64."""
    for each in (q, k, v):
        each.requires_grad_()
    y, expected = flash_attention(q, k, v, **options), in_one_piece(q, k, v, whole_mask)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-12)
    grads = torch.autograd.grad(y, (q, k, v), dy)
    for ours, theirs in zip(grads, torch.autograd.grad(expected, (q, k, v), dy), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    blind = ~whole_mask.any(-1)
    assert not y[blind].any()
    assert not grads[0][blind].any()


@fast
@given(data=st.data(), seed=seeds, causal=st.booleans(), padded=st.booleans())
def test_equal_to_one_piece(data, seed, causal, padded):
    batch, heads, width = (data.draw(st.integers(1, 2)) for _ in range(3))
    keys = data.draw(sizes)
    queries = data.draw(st.integers(1, keys) if causal else sizes)
    block = (data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    q, k, v, dy = draw(seed, batch, heads, queries, keys, width)
    real = torch.tensor(np.random.default_rng(seed).random((batch, keys)) < 0.6)
    key_padding_mask = real if padded else None
    attn_mask = real[:, None, None, :] if padded else None
    whole_mask = make_attn_mask(q, k, causal, key_padding_mask=key_padding_mask)
    compare(q, k, v, dy, whole_mask, causal=causal, block=block, attn_mask=attn_mask)


@fast
@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any),
    seed=seeds,
    causal=st.booleans(),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
)
def test_documents_do_not_see_each_other(lengths, seed, causal, rows, columns):
    packed = pack(lengths)
    q, k, v, dy = draw(seed, 1, 2, sum(lengths), sum(lengths), 2)
    attn_mask = make_attn_mask(q, k, causal, packed)
    compare(q, k, v, dy, attn_mask, packed=packed, causal=causal, block=(rows, columns))


def test_changing_one_document_leaves_the_others_bit_for_bit():
    packed = pack([3, 4])
    q, k, v, _ = draw(0, 1, 2, 7, 7, 4)
    before = flash_attention(q, k, v, packed, block=(2, 2))
    k[:, :, :3], v[:, :, :3] = 5.0, -5.0
    after = flash_attention(q, k, v, packed, block=(2, 2))
    assert torch.equal(before[:, :, 3:], after[:, :, 3:])
    assert not torch.equal(before[:, :, :3], after[:, :, :3])


@fast
@given(seed=seeds, queries=sizes, keys=sizes, block=st.tuples(sizes, sizes))
def test_equal_to_numpy(seed, queries, keys, block):
    q, k, v, dy = draw(seed, 2, 1, queries, keys, 3)
    for each in (q, k, v):
        each.requires_grad_()
    y = flash_attention(q, k, v, block=block)
    ours = (y, *torch.autograd.grad(y, (q, k, v), dy))
    theirs, cache = tiled_attention(*(each.detach().numpy() for each in (q, k, v)), block=block)
    for one, other in zip(
        ours, (theirs, *tiled_attention_backward(dy.numpy(), cache)), strict=True
    ):
        np.testing.assert_allclose(one.detach().numpy(), other, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(dtype):
    q, k, v, dy = (each.to(dtype) for each in draw(1, 1, 2, 40, 40, 8))
    halves = [each.requires_grad_() for each in (q, k, v)]
    wholes = [each.detach().double().requires_grad_() for each in halves]
    y = flash_attention(*halves, block=(16, 7))
    expected = in_one_piece(*wholes, make_attn_mask(q, k))
    assert y.dtype == dtype
    limit = 2 * torch.finfo(dtype).eps  # one rounding of the result, and one of y on the way back
    torch.testing.assert_close(y.double(), expected, rtol=limit, atol=limit)
    grads = torch.autograd.grad(y, halves, dy)
    theirs = torch.autograd.grad(expected, wholes, dy.double())
    for ours, other in zip(grads, theirs, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.double(), other, rtol=limit, atol=2 * limit)


def test_long_sums_do_not_stall():
    """In bfloat16 256 + 1 is 256: a sum kept in it never counts the second half of the keys."""
    q, k = torch.zeros(1, 1, 1, 2, dtype=torch.bfloat16), torch.zeros(1, 1, 600, 2).bfloat16()
    v = (torch.arange(600) >= 300).to(torch.bfloat16)[None, None, :, None].expand(-1, -1, -1, 2)
    torch.testing.assert_close(flash_attention(q, k, v, block=(1, 1)), torch.full_like(q, 0.5))


def test_no_weights_are_kept():
    q, k, v, _ = draw(0, 1, 1, 64, 64, 2)
    y = flash_attention(q.requires_grad_(), k, v, block=(8, 8))
    kept = [each for each in y.grad_fn.saved_tensors if each is not None]
    assert sum(each.numel() for each in kept) == 4 * 64 * 2 + 64  # q, k, v, y and one a query


def test_bad_input_is_named():
    q, k, v, _ = draw(0, 1, 2, 4, 3, 2)
    with pytest.raises(ValueError, match=r"q must be \(B, H, T, K\), and k and v"):
        flash_attention(q[0], k, v)
    with pytest.raises(ValueError, match="k and v"):
        flash_attention(q, k, v[:, :, :2])
    with pytest.raises(ValueError, match="k and v"):
        flash_attention(q[..., :1], k, v)
    with pytest.raises(ValueError, match="got 4 queries, 3 keys"):
        flash_attention(q, k, v, causal=True)
    with pytest.raises(ValueError, match=r"at least one row and one column: got \(0, 2\)"):
        flash_attention(q, k, v, block=(0, 2))
    with pytest.raises(ValueError, match="a pack of 4 tokens is a batch of one"):
        flash_attention(q, k, v, pack([4]))
    with pytest.raises(ValueError, match=r"boolean and fit .*\(1, 2, 4, 3\): got torch.int64"):
        flash_attention(q, k, v, attn_mask=torch.ones(4, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"got torch.bool of shape \(4, 2\)"):
        flash_attention(q, k, v, attn_mask=torch.ones(4, 2, dtype=torch.bool))


def test_the_plan_of_a_padded_batch():
    q = torch.zeros(3, 4, 100, 32)
    launch = plan_launch(q, q, q, lengths=torch.tensor([100, 7, 0]), block=(64, 32))
    assert launch.row_tiles == 2
    assert launch.grid == (2 * 4 * 3,)
    assert launch.starts.tolist() == [0, 0, 0]
    assert launch.lengths.tolist() == [100, 7, 0]
    assert launch.starts.dtype == launch.lengths.dtype == torch.int32
    assert launch.sequence_stride == 1
    assert launch.scale == pytest.approx(1 / (math.log(2) * math.sqrt(32)))
    assert plan_launch(q, q, q).lengths.tolist() == [100, 100, 100]


def test_the_plan_of_a_pack():
    q = torch.zeros(1, 12, 10, 16)
    launch = plan_launch(q, q, q, pack([3, 0, 7]), block=(16, 16))
    assert launch.row_tiles == 1
    assert launch.grid == (12 * 3,)
    assert launch.starts.tolist() == [0, 3, 3]
    assert launch.lengths.tolist() == [3, 0, 7]
    assert launch.sequence_stride == 0


def test_a_pack_may_be_large():
    many = pack([1] * 8000)
    q = torch.zeros(1, 12, 8000, 16, dtype=torch.float16)
    assert plan_launch(q, q, q, many).grid == (96_000,)  # the second axis of a grid ends at 65,535


def test_the_plan_refuses():
    q = torch.zeros(2, 3, 8, 16)
    refused = [
        (lambda: plan_launch(q, q[:, :, :4], q), r"\(B, H, T, K\), all three alike"),
        (lambda: plan_launch(q[0], q[0], q[0]), "all three alike"),
        (lambda: plan_launch(*[q[..., :8]] * 3), r"heads of width \(16, 32, 64, 128\): got 8"),
        (lambda: plan_launch(*[q.repeat(1, 1, 1, 3)] * 3), "got 48"),
        (
            lambda: plan_launch(*[q.double()] * 3),
            "float16, bfloat16 or float32: got {'torch.float64'}",
        ),
        (lambda: plan_launch(q, q, q.half()), "must all be"),
        (lambda: plan_launch(q, q, q, block=(48, 64)), r"powers of two from 16 up: got \(48, 64\)"),
        (lambda: plan_launch(q, q, q, block=(64, 8)), "powers of two"),
        (lambda: plan_launch(q, q, q, pack([8])), r"a pack of 8 tokens is \(1, H, 8, K\)"),
        (lambda: plan_launch(q[:1], q[:1], q[:1], pack([8]), torch.tensor([8])), "not both"),
        (
            lambda: plan_launch(q, q, q, lengths=torch.tensor([8])),
            r"lengths must be \(2,\) integers",
        ),
        (lambda: plan_launch(q, q, q, lengths=torch.tensor([8.0, 8.0])), "got torch.float32"),
    ]
    for call, words in refused:
        with pytest.raises(ValueError, match=words):
            call()


def test_without_triton_or_without_a_gpu_the_kernel_says_so(monkeypatch):
    q = torch.zeros(1, 1, 4, 16)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(flash_triton, "triton", None)
    with pytest.raises(ImportError, match=r"needs Triton: pip install .* triton"):
        flash_forward(q, q, q)
    monkeypatch.setattr(flash_triton, "triton", object())
    with pytest.raises(ValueError, match="runs on a GPU: got tensors on cpu"):
        flash_forward(q, q, q)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(ValueError, match="no backward pass"):
        flash_forward(q.requires_grad_(), q, q)


def test_the_module_loads_where_triton_does_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)  # an import of it fails
    name = "groundup.neobert.flash_triton_again"
    spec = importlib.util.spec_from_file_location(name, flash_triton.__file__)
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again.triton is None
    assert again.plan_launch(*[torch.zeros(1, 1, 4, 16)] * 3).grid == (1,)


KERNEL_CASES = [
    (16, 1, torch.float32),
    (32, 63, torch.float32),
    (64, 130, torch.float16),
    (128, 257, torch.bfloat16),
]


def check_kernel(device, width, length, dtype):
    """The kernel against one piece in float64: padded, packed and causal."""
    limit = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}[dtype]
    block = (16, 32) if length < 64 else (64, 64)
    for causal in (False, True):
        q, k, v = (e.to(device, dtype) for e in draw(length, 2, 2, length, length, width)[:3])
        lengths = torch.tensor([length, length // 2], device=device)
        real = torch.arange(length, device=device) < lengths[:, None]
        attn_mask = make_attn_mask(q, k, causal, key_padding_mask=real)
        expected = (
            in_one_piece(q.double(), k.double(), v.double(), attn_mask) * real[:, None, :, None]
        )
        y = flash_forward(q, k, v, lengths=lengths, causal=causal, block=block)
        assert y.dtype == dtype
        torch.testing.assert_close(y.double(), expected, rtol=limit, atol=limit)

        cuts = [length // 3, 0, length - length // 3]
        packed = pack(cuts, device)
        # Heads cut out of a fused projection, as split_qkv gives them: not contiguous.
        fused = torch.stack([e[:1].transpose(1, 2) for e in (q, k, v)], 3).flatten(2)
        q, k, v = fused.unflatten(-1, (2, 3 * width)).transpose(1, 2).chunk(3, -1)
        expected = in_one_piece(
            q.double(), k.double(), v.double(), make_attn_mask(q, k, causal, packed)
        )
        y = flash_forward(q, k, v, packed, causal=causal, block=block)
        torch.testing.assert_close(y.double(), expected, rtol=limit, atol=limit)


@on_a_gpu
@pytest.mark.parametrize(("width", "length", "dtype"), KERNEL_CASES)
def test_the_kernel_on_a_gpu(width, length, dtype):
    check_kernel("cuda", width, length, dtype)


@pytest.mark.slow
@pytest.mark.skipif(flash_triton.triton is None, reason="needs Triton")
def test_the_kernel_in_tritons_interpreter():
    """Without a GPU. Its products of bfloat16 are wrong (Triton 3.9), so float16 stands for it."""
    program = (
        "import importlib.util, sys, torch\n"
        "spec = importlib.util.spec_from_file_location('here', sys.argv[1])\n"
        "here = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(here)\n"
        "for width, length, dtype in here.KERNEL_CASES:\n"
        "    halved = dtype if dtype == torch.float32 else torch.float16\n"
        "    here.check_kernel('cpu', width, length, halved)\n"
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", program, __file__], check=True, env=environment)
