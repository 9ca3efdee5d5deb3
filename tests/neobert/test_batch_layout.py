"""Padded and packed batches: the same tokens, found, laid end to end and put back."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.neobert.batch_layout import (
    BatchLayout,
    Packed,
    as_bool,
    from_cu_seqlens,
    pack,
    pad_tokens,
    unpack_attention_weights,
    unpad,
)

fast = settings(max_examples=50, deadline=None)


@st.composite
def masks(draw: st.DrawFn) -> torch.Tensor:
    """(B, T) bool: holes, padding on either side, and rows without a token come up."""
    length = draw(st.integers(1, 6))
    row = st.lists(st.booleans(), min_size=length, max_size=length)
    return torch.tensor(draw(st.lists(row, min_size=1, max_size=4)))


def contents(packed: Packed) -> tuple[list[int], int, list[int]]:
    return packed.cu_seqlens.tolist(), packed.max_seqlen, packed.positions.tolist()


def test_lengths_3_and_2_of_width_3():
    indices, packed = unpad(torch.tensor([[True, True, True], [True, True, False]]))
    assert indices.tolist() == [0, 1, 2, 3, 4]
    assert contents(packed) == ([0, 3, 5], 3, [0, 1, 2, 0, 1])
    assert contents(pack([3, 2])) == contents(packed)
    assert packed.documents.tolist() == [0, 0, 0, 1, 1]
    assert packed.lengths == [3, 2]


def test_left_padding_holes_and_an_empty_row():
    mask = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 1, 1]]).bool()
    indices, packed = unpad(mask)
    assert indices.tolist() == [2, 3, 8, 10, 11]
    assert contents(packed) == ([0, 2, 2, 5], 3, [0, 1, 0, 1, 2])
    assert packed.documents.tolist() == [0, 0, 2, 2, 2]
    assert packed.indices.tolist() == [0, 1, 6, 7, 8]
    assert packed.key_padding_mask.tolist() == [[True, True, False], [False] * 3, [True] * 3]


@fast
@given(mask=masks())
def test_unpad_against_a_loop(mask):
    indices, ends, positions = [], [0], []
    for row, entries in enumerate(mask.tolist()):
        real = [column for column, entry in enumerate(entries) if entry]
        indices += [row * mask.shape[1] + column for column in real]
        positions += range(len(real))
        ends.append(ends[-1] + len(real))
    found, packed = unpad(mask)
    assert found.tolist() == indices
    longest = max(b - a for a, b in pairwise(ends))
    assert contents(packed) == (ends, longest, positions)
    assert packed.cu_seqlens.dtype == torch.int32  # the kernels take nothing else
    assert found.dtype == packed.positions.dtype == torch.int64
    assert type(packed.max_seqlen) is int


@fast
@given(mask=masks(), width=st.integers(0, 3))
def test_the_round_trip_is_exact(mask, width):
    x = torch.randn(*mask.shape, width, dtype=torch.float64, requires_grad=True)
    indices, _ = unpad(mask)
    back = pad_tokens(x.flatten(0, 1)[indices], indices, mask.shape)
    assert torch.equal(back, x * mask[..., None])
    (dx,) = torch.autograd.grad(back.sum(), x)
    assert torch.equal(dx, mask[..., None].expand_as(x).double())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int64, torch.bool])
def test_pad_tokens_keeps_the_dtype_and_any_further_axes(dtype):
    rows = torch.ones(2, 3, 4, 5, dtype=dtype)
    padded = pad_tokens(rows, torch.tensor([1, 2]), (2, 2))
    assert padded.dtype == dtype
    assert padded.shape == (2, 2, 3, 4, 5)
    assert padded.flatten(0, 1).any(-1).any(-1).any(-1).tolist() == [False, True, True, False]


@fast
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=5), spare=st.integers(0, 3))
def test_three_ways_to_the_same_layout(lengths, spare):
    packed = pack(lengths)
    _, found = unpad(torch.arange(max(lengths) + 1) < torch.tensor(lengths)[:, None])
    read = from_cu_seqlens(packed.cu_seqlens.long(), None, sum(lengths))
    assert contents(packed) == contents(found) == contents(read)
    assert packed.cu_seqlens.dtype == read.cu_seqlens.dtype == torch.int32
    bound = from_cu_seqlens(packed.cu_seqlens, max(lengths) + spare, sum(lengths))
    assert bound.max_seqlen == max(lengths) + spare
    rows = torch.arange(sum(lengths)) + 1
    shape = (len(lengths), bound.max_seqlen)
    padded = pad_tokens(rows, bound.indices, shape)
    assert torch.equal(padded > 0, bound.key_padding_mask)
    assert torch.equal(padded[bound.key_padding_mask], rows)
    assert packed.documents.tolist() == [s for s, n in enumerate(lengths) for _ in range(n)]


def test_what_is_derived_is_computed_once():
    packed = pack([2, 1])
    for name in ("indices", "key_padding_mask", "documents", "lengths"):
        assert getattr(packed, name) is getattr(packed, name)


@pytest.mark.parametrize("lengths", [[], [2, -1]])
def test_lengths_that_are_none_are_named(lengths):
    with pytest.raises(ValueError, match=r"numbers from 0 up: got \["):
        pack(lengths)


@pytest.mark.parametrize(
    "cu_seqlens", [torch.tensor([0]), torch.tensor(5), torch.zeros(1, 3).long(), torch.ones(3)]
)
def test_cu_seqlens_of_another_form_are_named(cu_seqlens):
    with pytest.raises(ValueError, match="one row of at least 2 integers: got"):
        from_cu_seqlens(cu_seqlens, None, 5)


@pytest.mark.parametrize(
    ("ends", "max_seqlen"),
    [
        ([1, 3, 5], None),  # does not begin at 0
        ([0, 3, 4], None),  # leaves a token out
        ([0, 3, 6], None),  # a token that is not there
        ([0, 4, 3, 5], None),  # falls
        ([0, 3, 5], 2),  # longer than said
    ],
)
def test_cu_seqlens_that_do_not_fit_are_named(ends, max_seqlen):
    with pytest.raises(ValueError, match=r"rise from 0 to the 5 tokens.*got \["):
        from_cu_seqlens(torch.tensor(ends), max_seqlen, 5)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (torch.tensor([[1, 1, 0]]), [[True, True, False]]),
        (torch.tensor([[2, -1, 0]]), [[True, True, False]]),
        (torch.tensor([[True, False, True]]), [[True, False, True]]),
        (torch.tensor([[1.0, 0.0, 1.0]]), [[True, False, True]]),
        (torch.tensor([[0.0, -1e9, -torch.inf]]), [[True, False, False]]),
        (torch.tensor([[-65504.0, 0.0, 0.0]], dtype=torch.float16), [[False, True, True]]),
        (torch.tensor([[[[0.0, 0.0, -1.0]]]]), [[True, True, False]]),
        (torch.tensor([[[[True, True, False]]]]), [[True, True, False]]),
    ],
)
def test_every_form_of_a_mask(mask, expected):
    assert as_bool(mask, torch.Size((1, 3))).tolist() == expected


def test_a_mask_on_both_sides_of_zero_is_named():
    with pytest.raises(ValueError, match="got both -1 and 1"):
        as_bool(torch.tensor([[1.0, -1.0]]), torch.Size((1, 2)))


def test_an_empty_mask_has_no_extremes():
    assert as_bool(torch.zeros(0, 3), torch.Size((0, 3))).shape == (0, 3)


@fast
@given(mask=masks(), seed=st.integers(0, 1000))
def test_weights_come_back_to_the_indices_of_their_tokens(mask, seed):
    batch, length = mask.shape
    indices, packed = unpad(mask)
    layout = BatchLayout(packed.positions, packed, indices)
    rng = torch.Generator().manual_seed(seed)
    longest = packed.max_seqlen
    weights = torch.rand(batch, 2, longest, longest, generator=rng)
    expected = torch.zeros(batch, 2, length, length)
    for row in range(batch):
        real = mask[row].nonzero().flatten().tolist()
        for i, query in enumerate(real):
            for j, key in enumerate(real):
                expected[row, :, query, key] = weights[row, :, i, j]
    assert torch.equal(unpack_attention_weights(weights, layout, mask.shape), expected)


def test_weights_of_a_pack_stand_on_the_diagonal():
    weights = torch.ones(3, 1, 2, 2)
    packed = pack([1, 0, 2])
    layout = BatchLayout(packed.positions, packed)
    whole = unpack_attention_weights(weights, layout, torch.Size((1, 3)))
    assert whole[0, 0].tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
