"""The backends of attention: one kernel each, all with the same arguments and numbers.

A backend takes q (B, H, T, K), k and v (B, G, S, K), where G divides H, and returns (B, T, H, K);
the last query and the last key are of the same token. With a :class:`~.batch_layout.Packed` the
batch is one row of sequences, packed end to end, and S is T.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .batch_layout import Packed, pad_tokens
from .flash import flash_attention

_CALL = 3_000_000
"""What one more call costs on a CPU, in multiplications: about 0.1 ms."""


def make_attn_mask(
    queries: int,
    keys: int,
    window: int | None,
    causal: bool,
    device: torch.device,
    key_padding_mask: Tensor | None = None,
) -> Tensor | None:
    """True where a query attends to a key, broadcastable to (B, H, queries, keys).

    The last query and the last key are of the same token. ``key_padding_mask`` is (B, 1, 1, keys),
    False at padding. None where every query attends to every key.
    """
    if window is None and (not causal or queries == 1):
        return key_padding_mask
    attn_mask = torch.ones(queries, keys, dtype=torch.bool, device=device)
    shift = keys - queries
    if window is not None:
        attn_mask = attn_mask.triu(shift - window).tril(shift + window)
    if causal:
        attn_mask = attn_mask.tril(shift)
    return attn_mask if key_padding_mask is None else attn_mask & key_padding_mask


def eager(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> tuple[Tensor, Tensor]:
    """The formula as it is written, in memory quadratic in the length.

    Returns:
        The mixture (B, T, H, K), and the weights: (B, H, T, T), or (S, H, M, M) of a pack of S
        sequences up to M long. A query without keys has weights of zero.
    """
    key_padding_mask = None
    if packed is not None:
        q, k, v = _rows(packed, q, k, v)
        key_padding_mask = packed.key_padding_mask[:, None, None, :]
    group = q.shape[1] // k.shape[1]
    k, v = (each.repeat_interleave(group, dim=1) for each in (k, v))
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # in this order float16 has room
    attn_mask = make_attn_mask(q.shape[2], k.shape[2], window, causal, q.device, key_padding_mask)
    precise = torch.promote_types(q.dtype, torch.float32)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
        weights = scores.softmax(-1, dtype=precise)
        weights = torch.where(attn_mask.any(-1, keepdim=True), weights, 0.0)
    else:
        weights = scores.softmax(-1, dtype=precise)
    mixed = (weights.to(v.dtype) @ v).transpose(1, 2)
    if packed is not None:
        mixed = mixed.flatten(0, 1)[packed.indices][None]
    return mixed, weights


def sdpa(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """torch's scaled_dot_product_attention: on every device, in every precision.

    On a CPU each sequence of a pack is a call of its own, unless the sequences are so short or so
    alike that one call with padding takes less. On other devices, and where it is compiled, a pack
    is padded: the lengths are not known as numbers.
    """
    if packed is None:
        return call_sdpa(q, k, v, window, causal)
    known = q.device.type == "cpu" and not torch.compiler.is_compiling()
    if known and _wasted(packed) * q.shape[1] * q.shape[3] > _CALL:
        # split, not slices: the gradient is then put together once, not once for each sequence.
        split = (each.split(packed.lengths, dim=2) for each in (q, k, v))
        mixed = [call_sdpa(*qkv, window, causal) for qkv in zip(*split, strict=True)]  # type: ignore[call-arg]
        return torch.cat(mixed, dim=1)
    q, k, v = _rows(packed, q, k, v)
    rows = call_sdpa(q, k, v, window, causal, packed.key_padding_mask[:, None, None, :])
    return rows.flatten(0, 1)[packed.indices][None]


def varlen(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """torch's own varlen_attn."""
    from torch.nn.attention.varlen import varlen_attn

    queries, keys = packed or _uniform(q), packed or _uniform(k)
    mixed = varlen_attn(
        _tokens(q),
        _tokens(k),
        _tokens(v),
        queries.cu_seqlens,
        keys.cu_seqlens,
        queries.max_seqlen,
        keys.max_seqlen,
        window_size=_sides(window, causal),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(mixed, Tensor)
    return mixed.view(q.shape[0], -1, *mixed.shape[1:])


def flash_attention_2(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """The flash-attn package."""
    # Not an import statement: transformers refuses to load code from a hub without all its imports.
    flash_attn = import_module("flash_attn")
    queries, keys = packed or _uniform(q), packed or _uniform(k)
    mixed: Tensor = flash_attn.flash_attn_varlen_func(
        _tokens(q),
        _tokens(k),
        _tokens(v),
        queries.cu_seqlens,
        keys.cu_seqlens,
        queries.max_seqlen,
        keys.max_seqlen,
        causal=causal,
        window_size=_sides(window, causal=False),
    )
    return mixed.view(q.shape[0], -1, *mixed.shape[1:])


def flex_attention(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """torch's flex_attention, compiled on a GPU; it skips blocks between two sequences."""
    from torch.nn.attention import flex_attention as flex

    run: Any = _compiled_flex() if q.is_cuda else flex.flex_attention
    mask = _block_mask(packed, window, causal, q.shape[2], k.shape[2], str(q.device))
    mixed: Tensor = run(q, k, v, block_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
    return mixed.transpose(1, 2)


def tiled(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """The tiles of :mod:`.flash`, written to be read: a loop in Python, and therefore slow.

    Raises:
        ValueError: there is a window, which the tiles do not support.
    """
    if window is not None:
        raise ValueError("tiled attention knows no window: leave local_attention out")
    group = q.shape[1] // k.shape[1]
    k, v = (each.repeat_interleave(group, dim=1) for each in (k, v))
    return flash_attention(q, k, v, packed, causal=causal).transpose(1, 2)


def call_sdpa(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int | None,
    causal: bool,
    key_padding_mask: Tensor | None = None,
) -> Tensor:
    """(B, T, H, K). A mask rules out the fastest kernel: it is made only where it is needed."""
    square = q.shape[2] == k.shape[2]
    is_causal = causal and square and window is None and key_padding_mask is None
    attn_mask = None
    if not is_causal:
        attn_mask = make_attn_mask(
            q.shape[2], k.shape[2], window, causal, q.device, key_padding_mask
        )
    mixed = F.scaled_dot_product_attention(
        q, k, v, attn_mask=attn_mask, is_causal=is_causal, enable_gqa=q.shape[1] != k.shape[1]
    )
    return mixed.transpose(1, 2)


def _wasted(packed: Packed) -> float:
    """Pairs of tokens that padding adds, for each sequence."""
    count = max(len(packed.lengths), 1)
    return packed.max_seqlen**2 - sum(n * n for n in packed.lengths) / count


def _rows(packed: Packed, *tensors: Tensor) -> list[Tensor]:
    """(1, H, N, K) → (S, H, M, K): each sequence in a row of its own, zeros after it."""
    shape = (len(packed.cu_seqlens) - 1, packed.max_seqlen)
    return [pad_tokens(_tokens(each), packed.indices, shape).transpose(1, 2) for each in tensors]


def _tokens(x: Tensor) -> Tensor:
    """(B, H, T, K) → (B·T, H, K)."""
    return x.transpose(1, 2).flatten(0, 1)


def _uniform(q: Tensor) -> Packed:
    """A batch of equal lengths, as a pack."""
    batch, _, length, _ = q.shape
    each = torch.arange(batch + 1, device=q.device, dtype=torch.int32) * length
    return Packed(each, length, torch.arange(length, device=q.device).repeat(batch))


def _sides(window: int | None, causal: bool) -> tuple[int, int]:
    """How many keys before and after itself a query attends to; −1 for all."""
    reach = -1 if window is None else window
    return reach, 0 if causal else reach


@lru_cache
def _compiled_flex() -> Callable[..., Tensor]:
    from torch.nn.attention import flex_attention as flex

    compiled: Callable[..., Tensor] = torch.compile(flex.flex_attention)
    return compiled


@lru_cache(maxsize=4)  # the layers of one pass ask for the same two
def _block_mask(
    packed: Packed | None,
    window: int | None,
    causal: bool,
    queries: int,
    keys: int,
    device: str,
) -> object | None:
    if packed is None and window is None and not causal:
        return None
    from torch.nn.attention.flex_attention import create_block_mask

    documents = None if packed is None else packed.documents

    def attends(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        ahead = key - query - (keys - queries)  # of the query's own token
        mask = ahead <= 0 if causal else ahead < keys
        if window is not None:
            mask = mask & (ahead.abs() <= window)
        if documents is not None:
            mask = mask & (documents[query] == documents[key])
        return mask

    return create_block_mask(attends, None, None, queries, keys, device=device)
