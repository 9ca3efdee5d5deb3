"""Attention tile by tile in torch: the exact result, and never a whole row of scores in memory.

The algorithm of FlashAttention (Dao et al., 2022, arXiv 2205.14135; Dao, 2023, arXiv 2307.08691),
written to be read and to be compared with: its loops are Python's. For speed there is
:func:`groundup.neobert.attention.attention`, whose engines run the same steps inside one kernel.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .batch_layout import Packed


def flash_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    packed: Packed | None = None,
    causal: bool = False,
    block: tuple[int, int] = (64, 64),
    mask: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention, forward and backward in tiles.

    Kept for the backward pass are the inputs, the output and one number a query. Tiles in which no
    query sees a key, such as those between two documents of a pack, are skipped.

    Args:
        q: (B, H, T, K) queries.
        k: (B, H, S, K) keys.
        v: (B, H, S, K) values.
        packed: documents that lie end to end in a batch of one; they do not see each other.
        causal: no query sees a later key. The T queries are the last of the S positions.
        block: queries and keys in a tile. Neither has to divide its length.
        mask: bool, broadcastable to (B, H, T, S), True where a query may look: for padded batches
            ``real[:, None, None, :]``.

    Returns:
        (B, H, T, K), of q's dtype; sums are kept in float32 at least. A query that sees no key gets
        zeros.

    Raises:
        ValueError: the shapes do not belong together, the mask is not boolean or does not fit, or a
            block size is below 1.
    """
    _check(q, k, v, packed, causal, block, mask)
    documents = None if packed is None else packed.documents
    y: Tensor = _Flash.apply(q, k, v, documents, mask, causal, block)
    return y


class _Flash(torch.autograd.Function):
    """The forward pass keeps the log-sum-exp of each row; the backward makes the weights again."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        documents: Tensor | None,
        mask: Tensor | None,
        causal: bool,
        block: tuple[int, int],
    ) -> Tensor:
        precise = torch.promote_types(q.dtype, torch.float32)
        scale = 1 / math.sqrt(q.shape[-1])
        y = torch.empty_like(q)
        log_sum = q.new_empty((*q.shape[:-1], 1), dtype=precise)
        for rows in _tiles(q.shape[2], block[0]):
            q_tile = q[:, :, rows].to(precise)
            top = torch.full_like(q_tile[..., :1], -torch.inf)  # m, the largest score so far
            total, out = torch.zeros_like(top), torch.zeros_like(q_tile)  # ℓ and o, relative to it
            for columns in _tiles(k.shape[2], block[1]):
                look = _look(rows, columns, q, k, documents, mask, causal)
                if not look.any():
                    continue
                scores = q_tile @ k[:, :, columns].to(precise).mT * scale
                scores = scores.masked_fill(~look, -torch.inf)
                new_top = torch.maximum(top, scores.amax(-1, keepdim=True))
                base = new_top.masked_fill(new_top == -torch.inf, 0)  # −∞ − (−∞) would be NaN
                old, weights = (top - base).exp(), (scores - base).exp()
                total = old * total + weights.sum(-1, keepdim=True)
                out = old * out + weights @ v[:, :, columns].to(precise)
                top = new_top
            blind = total == 0
            total = total.masked_fill(blind, 1)
            y[:, :, rows] = (out / total).to(q.dtype)
            # Plus infinity where nothing is seen: exp(score − ∞) is a weight of zero.
            log_sum[:, :, rows] = (top + total.log()).masked_fill(blind, torch.inf)
        ctx.save_for_backward(q, k, v, y, log_sum, documents, mask)
        ctx.causal, ctx.block = causal, block
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, y, log_sum, documents, mask = ctx.saved_tensors
        precise = log_sum.dtype
        scale = 1 / math.sqrt(q.shape[-1])
        dy = dy.to(precise)
        delta = (dy * y).sum(-1, keepdim=True)  # D = Σ p·dp of each row, known from the output
        dq = torch.zeros_like(q, dtype=precise)
        dk, dv = torch.empty_like(k), torch.empty_like(v)
        for columns in _tiles(k.shape[2], ctx.block[1]):
            k_tile, v_tile = k[:, :, columns].to(precise), v[:, :, columns].to(precise)
            dk_tile, dv_tile = torch.zeros_like(k_tile), torch.zeros_like(v_tile)
            for rows in _tiles(q.shape[2], ctx.block[0]):
                look = _look(rows, columns, q, k, documents, mask, ctx.causal)
                if not look.any():
                    continue
                q_tile, dy_tile = q[:, :, rows].to(precise), dy[:, :, rows]
                scores = (q_tile @ k_tile.mT * scale).masked_fill(~look, -torch.inf)
                weights = (scores - log_sum[:, :, rows]).exp()
                dscores = weights * (dy_tile @ v_tile.mT - delta[:, :, rows]) * scale
                dv_tile += weights.mT @ dy_tile
                dk_tile += dscores.mT @ q_tile
                dq[:, :, rows] += dscores @ k_tile
            dk[:, :, columns], dv[:, :, columns] = dk_tile.to(k.dtype), dv_tile.to(v.dtype)
        return dq.to(q.dtype), dk, dv, None, None, None, None


def _tiles(length: int, size: int) -> Iterator[slice]:
    """Slices of ``size`` over the length; the last may be shorter."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _look(
    rows: slice,
    columns: slice,
    q: Tensor,
    k: Tensor,
    documents: Tensor | None,
    mask: Tensor | None,
    causal: bool,
) -> Tensor:
    """One tile of all masks together, broadcastable to (B, H, rows, columns)."""
    look = torch.ones(1, 1, dtype=torch.bool, device=q.device)
    if causal:
        places = torch.arange(k.shape[2], device=q.device)
        own = places[k.shape[2] - q.shape[2] :][rows]
        look = places[columns] <= own[:, None]
    if documents is not None:
        look = look & (documents[rows, None] == documents[columns])
    if mask is not None:
        look = look & mask.expand(*q.shape[:3], k.shape[2])[:, :, rows, columns]
    return look


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    packed: Packed | None,
    causal: bool,
    block: tuple[int, int],
    mask: Tensor | None,
) -> None:
    shapes = [tuple(each.shape) for each in (q, k, v)]
    if (
        q.dim() != 4
        or k.shape != v.shape
        or shapes[0][:2] + shapes[0][3:] != (shapes[1][:2] + shapes[1][3:])
    ):
        raise ValueError(f"q must be (B, H, T, K), and k and v (B, H, S, K): got {shapes}")
    queries, keys = q.shape[2], k.shape[2]
    if causal and queries > keys:
        raise ValueError(f"each query has a key of its own: got {queries} queries, {keys} keys")
    if min(block) < 1:
        raise ValueError(f"a block needs at least one row and one column: got {block}")
    if packed is not None and not (len(q) == 1 and queries == keys == len(packed.positions)):
        raise ValueError(
            f"a pack of {len(packed.positions)} tokens is a batch of one with as many queries and "
            f"keys: got {shapes[0]} and {shapes[1]}"
        )
    if mask is not None:
        full = (*q.shape[:3], keys)
        sizes = zip(mask.shape[::-1], full[::-1], strict=False)
        if mask.dtype != torch.bool or mask.dim() > 4 or any(m not in (1, s) for m, s in sizes):
            raise ValueError(
                f"the mask must be boolean and fit (B, H, T, S) = {full}: got {mask.dtype} of "
                f"shape {tuple(mask.shape)}"
            )
