"""Wrong versions of the exercises of chapter 11. What is wrong stands in each docstring."""

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
