"""Wrong versions of the exercises of chapter 11. What is wrong stands in each docstring."""

import torch

from groundup.course.implementations import mutant


def _refuse(qkv, heads):
    if qkv.shape[-1] % (3 * heads):
        raise ValueError("the width must be a multiple of 3·heads")


@mutant("11.1", replaces="split_qkv")
def three_thirds(qkv, heads):
    """The width is cut into three thirds; NeoBERT's weights go head by head."""
    _refuse(qkv, heads)
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in qkv.chunk(3, dim=-1))
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def keys_and_values_swapped(qkv, heads):
    """Keys and values have changed places."""
    _refuse(qkv, heads)
    q, k, v = qkv.unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    return q, v, k


@mutant("11.1", replaces="split_qkv")
def queries_and_keys_swapped(qkv, heads):
    """Queries and keys have changed places: every score is transposed."""
    _refuse(qkv, heads)
    k, q, v = qkv.unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def not_transposed(qkv, heads):
    """Heads and positions are not swapped: the result is (B, T, H, K)."""
    _refuse(qkv, heads)
    q, k, v = qkv.unflatten(-1, (heads, -1)).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def reshaped_not_transposed(qkv, heads):
    """A reshape to (B, H, T, 3K) instead of a transpose: heads and positions are mixed."""
    _refuse(qkv, heads)
    batch, length, _ = qkv.shape
    q, k, v = qkv.reshape(batch, heads, length, -1).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def column_by_column(qkv, heads):
    """q, k and v are taken to alternate column by column inside a head."""
    _refuse(qkv, heads)
    by_head = qkv.unflatten(-1, (heads, -1, 3)).transpose(1, 2)
    return by_head[..., 0], by_head[..., 1], by_head[..., 2]


@mutant("11.1", replaces="split_qkv")
def heads_innermost(qkv, heads):
    """The head is taken to be the innermost part of a column's number, and not the outermost."""
    _refuse(qkv, heads)
    q, k, v = qkv.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def scaled_in_place(qkv, heads):
    """The queries are scaled by 1/√K in place, which changes the projection itself."""
    _refuse(qkv, heads)
    q, k, v = qkv.data.unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    q *= 0.5
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def detached(qkv, heads):
    """The input is detached: no gradient reaches the projection."""
    _refuse(qkv, heads)
    q, k, v = qkv.detach().unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def width_not_checked(qkv, heads):
    """A width that does not fit is cut short in silence, and columns are lost."""
    size = qkv.shape[-1] // (3 * heads)
    by_head = qkv[..., : 3 * heads * size].unflatten(-1, (heads, 3 * size)).transpose(1, 2)
    q, k, v = by_head.split(size, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def first_sequence_for_all(qkv, heads):
    """Every sequence of the batch gets the first one's numbers."""
    _refuse(qkv, heads)
    first = qkv[:1].expand_as(qkv)
    q, k, v = first.unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    return q, k, v


def _turn(a, b, cos, sin):
    return a * cos - b * sin, a * sin + b * cos


def _interleaved(a, b):
    return torch.stack((a, b), dim=-1).flatten(-2)


@mutant("11.2", replaces="rotate_pairs")
def halves(x, cos, sin):
    """Entry i is paired with entry i + K/2, as other models do; NeoBERT pairs neighbours."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat(_turn(first, second, cos, sin), dim=-1)


@mutant("11.2", replaces="rotate_pairs")
def not_interleaved(x, cos, sin):
    """The turned entries are joined with cat: all first ones, then all second ones."""
    return torch.cat(_turn(x[..., 0::2], x[..., 1::2], cos, sin), dim=-1)


@mutant("11.2", replaces="rotate_pairs")
def clockwise(x, cos, sin):
    """The pairs turn the other way: the minus stands at the wrong sine."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return _interleaved(even * cos + odd * sin, odd * cos - even * sin)


@mutant("11.2", replaces="rotate_pairs")
def minus_missing(x, cos, sin):
    """Both signs are plus: the pair is not turned, and its length changes."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return _interleaved(even * cos + odd * sin, even * sin + odd * cos)


@mutant("11.2", replaces="rotate_pairs")
def cos_and_sin_swapped(x, cos, sin):
    """cos and sin have changed places: the pair turns by a quarter turn minus its angle."""
    return _interleaved(*_turn(x[..., 0::2], x[..., 1::2], sin, cos))


@mutant("11.2", replaces="rotate_pairs")
def second_entries_left(x, cos, sin):
    """Only the first entry of each pair is changed; the second is left as it was."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return _interleaved(even * cos - odd * sin, odd)


@mutant("11.2", replaces="rotate_pairs")
def reads_what_it_wrote(x, cos, sin):
    """The second entry is made from the first after it was turned, and not before."""
    y = x.clone()
    y[..., 0::2] = y[..., 0::2] * cos - y[..., 1::2] * sin
    y[..., 1::2] = y[..., 0::2] * sin + y[..., 1::2] * cos
    return y


@mutant("11.2", replaces="rotate_pairs")
def tables_repeated_whole(x, cos, sin):
    """The tables are made K wide with cat, as for halves: neighbours get different angles."""
    neighbours = _interleaved(-x[..., 1::2], x[..., 0::2])
    return x * torch.cat((cos, cos), dim=-1) + neighbours * torch.cat((sin, sin), dim=-1)


@mutant("11.2", replaces="rotate_pairs")
def angles_along_heads(x, cos, sin):
    """The tables lie along the axis before T, as they would for x of shape (B, T, H, K)."""
    return _interleaved(*_turn(x[..., 0::2], x[..., 1::2], cos[:, None], sin[:, None]))


@mutant("11.2", replaces="rotate_pairs")
def not_flattened(x, cos, sin):
    """The pairs keep an axis of their own: (..., K/2, 2), and not K entries in a row."""
    return torch.stack(_turn(x[..., 0::2], x[..., 1::2], cos, sin), dim=-1)


@mutant("11.2", replaces="rotate_pairs")
def written_into_x(x, cos, sin):
    """The result is written into x, and the caller's queries are gone."""
    x[..., 0::2], x[..., 1::2] = _turn(x[..., 0::2].clone(), x[..., 1::2].clone(), cos, sin)
    return x


@mutant("11.2", replaces="rotate_pairs")
def float32_returned(x, cos, sin):
    """The result is float32 whatever x is: the next product refuses bfloat16 with float32."""
    return _interleaved(*_turn(x.float()[..., 0::2], x.float()[..., 1::2], cos, sin)).float()


@mutant("11.2", replaces="rotate_pairs")
def through_float32(x, cos, sin):
    """The numbers pass through float32 on their way: in float64 half of the digits are lost."""
    x32, cos, sin = x.float(), cos.float(), sin.float()
    return _interleaved(*_turn(x32[..., 0::2], x32[..., 1::2], cos, sin)).to(x.dtype)


@mutant("11.2", replaces="rotate_pairs")
def flat_view(x, cos, sin):
    """view() puts the leading axes together, which needs x in one piece of memory; reshape not."""
    rows = x.view(-1, x.shape[-2], x.shape[-1])
    return _interleaved(*_turn(rows[..., 0::2], rows[..., 1::2], cos, sin)).view(x.shape)


@mutant("11.2", replaces="rotate_pairs")
def cut_off(x, cos, sin):
    """The input is detached: queries and keys learn nothing."""
    x = x.detach()
    return _interleaved(*_turn(x[..., 0::2], x[..., 1::2], cos, sin))
