"""Every backend of attention against plain loops, forward and backward, packed and not."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.neobert import backends
from groundup.neobert.attention import attention
from groundup.neobert.backends import eager
from groundup.neobert.batch_layout import from_cu_seqlens, pack

exact = {"rtol": 1e-12, "atol": 1e-12}

# SDPA packs in two ways on a CPU, by what a call costs against what padding wastes.
BACKENDS = {
    "eager": ("eager", None),
    "sdpa, padded": ("sdpa", math.inf),
    "sdpa, by document": ("sdpa", -1),
    "flex": ("flex_attention", None),
}


def by_loops(q, k, v, lengths=None, window=None, causal=False) -> Tensor:
    """(B, T, H·K), one query of one head at a time; q are the last T of k's tokens."""
    batch, heads, queries, width = q.shape
    group, length = heads // k.shape[1], k.shape[2]
    of = [0] * length if lengths is None else [s for s, n in enumerate(lengths) for _ in range(n)]
    rows = []
    for b in range(batch):
        for t in range(length - queries, length):
            for h in range(heads):
                seen = [
                    s
                    for s in range(length)
                    if of[s] == of[t]
                    and (window is None or abs(s - t) <= window)
                    and not (causal and s > t)
                ]
                key, value = k[b, h // group, seen], v[b, h // group, seen]
                scores = (key * q[b, h, t - length]).sum(-1) / math.sqrt(width)
                shares = scores.exp() / scores.exp().sum()
                rows.append((shares[:, None] * value).sum(0))
    return torch.stack(rows).view(batch, queries, heads * width)


def draw(seed, batch, heads, groups, length, width=2, dtype=torch.float64) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    shapes = [(batch, n, length, width) for n in (heads, groups, groups)]
    return [torch.randn(shape, generator=rng, dtype=dtype).requires_grad_() for shape in shapes]


def compare(backend, q, k, v, packed=None, lengths=None, **options) -> None:
    name, call = BACKENDS[backend]
    expected = by_loops(q, k, v, lengths, **options)
    with pytest.MonkeyPatch.context() as patch:
        if call is not None:
            patch.setattr(backends, "_CALL", call)
        if name == "flex_attention":  # torch has no backward of it on a CPU
            bare = (each.detach() for each in (q, k, v))
            mixed = attention(*bare, packed, backend=name, **options)
        else:
            mixed = attention(q, k, v, packed, backend=name, **options)
    torch.testing.assert_close(mixed, expected, **exact)
    if mixed.requires_grad:
        dy = torch.randn_like(expected)
        ours, theirs = (torch.autograd.grad(y, (q, k, v), dy) for y in (mixed, expected))
        torch.testing.assert_close(ours, theirs, **exact)


options = st.fixed_dictionaries({"window": st.none() | st.integers(0, 4), "causal": st.booleans()})


@pytest.mark.parametrize("backend", ["eager", "sdpa, padded", "flex"])
@settings(max_examples=10, deadline=None)
@given(
    batch=st.integers(1, 2),
    groups=st.integers(1, 2),
    share=st.integers(1, 2),
    length=st.integers(1, 5),
    earlier=st.integers(0, 2),
    options=options,
    seed=st.integers(0, 1000),
)
def test_equal_lengths(backend, batch, groups, share, length, earlier, options, seed):
    """Also with keys of tokens before the first query, as a decoder keeps them."""
    q, k, v = draw(seed, batch, groups * share, groups, earlier + length)
    q = q[:, :, earlier:].detach().requires_grad_()
    compare(backend, q, k, v, **options)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=10, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any),
    spare=st.integers(0, 2),
    groups=st.integers(1, 2),
    share=st.integers(1, 2),
    options=options,
    seed=st.integers(0, 1000),
)
def test_packs(backend, lengths, spare, groups, share, options, seed):
    """Sequences without a token and of one token come up, and a bound that is too long."""
    q, k, v = draw(seed, 1, groups * share, groups, sum(lengths))
    packed = from_cu_seqlens(pack(lengths).cu_seqlens, max(lengths) + spare, sum(lengths))
    compare(backend, q, k, v, packed, lengths, **options)


@pytest.mark.parametrize("backend", BACKENDS)
def test_views_that_are_not_contiguous(backend):
    """What split_qkv gives: three parts of one tensor, heads and tokens exchanged."""
    fused = torch.randn(1, 5, 2, 9, dtype=torch.float64).transpose(1, 2)
    q, k, v = (each.detach().requires_grad_() for each in fused.chunk(3, dim=-1))
    assert not q.is_contiguous()
    compare(backend, q, k, v, pack([3, 2]), [3, 2])


@pytest.mark.parametrize("backend", BACKENDS)
def test_large_scores_stay_finite(backend, monkeypatch):
    name, call = BACKENDS[backend]
    if call is not None:
        monkeypatch.setattr(backends, "_CALL", call)
    q, k, v = (each.detach() for each in draw(0, 1, 2, 2, 5))
    mixed = attention(1e4 * q, 1e4 * k, v, pack([3, 2]), window=1, backend=name)
    best = torch.stack(
        [
            v[0, h, max(seen, key=lambda s: float((q[0, h, t] * k[0, h, s]).sum()))]
            for t, seen in enumerate([[0, 1], [0, 1, 2], [1, 2], [3, 4], [3, 4]])
            for h in range(2)
        ]
    )
    torch.testing.assert_close(mixed, best.view(1, 5, 4), **exact)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_precisions(backend, dtype, monkeypatch):
    name, call = BACKENDS[backend]
    if call is not None:
        monkeypatch.setattr(backends, "_CALL", call)
    q, k, v = (each.detach() for each in draw(0, 1, 2, 1, 7, 4, dtype))
    expected = by_loops(q.double(), k.double(), v.double(), [4, 0, 3], window=2)
    mixed = attention(q, k, v, pack([4, 0, 3]), window=2, backend=name)
    assert mixed.dtype == dtype
    limit = 4 * torch.finfo(dtype).eps  # rounded once for the scores, the weights, the result
    torch.testing.assert_close(mixed.double(), expected, rtol=limit, atol=limit)


@pytest.mark.parametrize("backend", BACKENDS)
def test_products_beyond_float16(backend):
    """50 · 50 · 64 = 160,000 is not a float16; divided by √64 it is."""
    q, k = torch.full((2, 1, 1, 2, 64), 50.0, dtype=torch.float16)
    k[..., 1, :] = -50
    v = torch.tensor([3.0, 5.0], dtype=torch.float16).view(1, 1, 2, 1).expand(1, 1, 2, 64)
    mixed = attention(q, k, v, pack([2]), backend=BACKENDS[backend][0])
    assert mixed.unique().tolist() == [3]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(0, 2, 3, 2), (1, 2, 0, 2)])
def test_a_batch_without_tokens(backend, shape):
    q = torch.zeros(shape, requires_grad=True)
    packed = pack([0, 0]) if shape[0] else None
    mixed = attention(q, q, q, packed, backend=BACKENDS[backend][0])
    assert mixed.shape == (shape[0], shape[2], 4)
    mixed.sum().backward()
    assert torch.equal(q.grad, torch.zeros(shape))


@pytest.mark.parametrize("backend", BACKENDS)
def test_editing_one_document_leaves_the_others_bit_for_bit(backend, monkeypatch):
    name, call = BACKENDS[backend]
    if call is not None:
        monkeypatch.setattr(backends, "_CALL", call)
    lengths = [5, 33, 1, 17]
    q, k, v = (each.detach() for each in draw(0, 1, 2, 2, 56, 8, torch.float32))
    packed = pack(lengths)
    before = attention(q, k, v, packed, backend=name)
    edited = [each.clone() for each in (q, k, v)]
    for each in edited:
        each[:, :, 5:38] = torch.randn(1, 2, 33, 8)
    after = attention(*edited, packed, backend=name)
    others = torch.arange(56).lt(5) | torch.arange(56).ge(38)
    assert torch.equal(before[:, others], after[:, others])
    assert not torch.equal(before, after)


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=3).filter(any),
    options=options,
    seed=st.integers(0, 1000),
)
def test_the_weights_mix_the_values(lengths, options, seed):
    """Shares of one for every token, none elsewhere; times v they give the result."""
    q, k, v = draw(seed, 1, 4, 2, sum(lengths))
    mixed, weights = eager(q, k, v, pack(lengths), **options)
    torch.testing.assert_close(mixed.flatten(2), by_loops(q, k, v, lengths, **options), **exact)
    begin = 0
    for own, n in zip(weights, lengths, strict=True):
        shares = own[:, :n, :n]
        torch.testing.assert_close(shares.sum(-1), torch.ones(4, n, dtype=q.dtype), **exact)
        assert not own[:, :n, n:].any()
        values = v[0, :, begin : begin + n].repeat_interleave(2, dim=0)
        again = (shares @ values).transpose(0, 1)
        torch.testing.assert_close(again, mixed[0, begin : begin + n], **exact)
        begin += n


def test_sdpa_calls_once_for_each_document_where_padding_would_waste(monkeypatch):
    """And pads where it would not; the results are those of the tests above."""
    calls = []
    whole = torch.nn.functional.scaled_dot_product_attention

    def count(q, *rest, **options):
        calls.append(tuple(q.shape))
        return whole(q, *rest, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", count)
    wide = torch.zeros(1, 12, 2060, 64)
    attention(wide, wide, wide, pack([2000, 30, 30]), backend="sdpa")
    assert [shape[2] for shape in calls] == [2000, 30, 30]
    calls.clear()
    even = wide[:, :, :60]
    attention(even, even, even, pack([20, 19, 21]), backend="sdpa")
    assert calls == [(3, 12, 21, 64)]
