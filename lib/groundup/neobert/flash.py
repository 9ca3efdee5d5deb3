"""Exact attention in torch, tile by tile, so that no whole row of scores is in memory.

The algorithm of FlashAttention (Dao et al., 2022, arXiv 2205.14135; Dao, 2023, arXiv 2307.08691),
written to be read and compared: its loops are in Python. For speed use
:func:`groundup.neobert.attention.attention`, whose backends run the same steps in one kernel.
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
    attn_mask: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention, forward and backward in tiles.

    Kept for the backward pass are the inputs, the output and one number a query. Tiles in which no
    query attends to a key, such as those between two documents of a pack, are skipped.

    Args:
        q: (B, H, T, K) queries.
        k: (B, H, S, K) keys.
        v: (B, H, S, K) values.
        packed: documents, end to end in a batch of one; a query attends to its own document.
        causal: no query attends to a later key. The T queries are the last of the S positions.
        block: queries and keys in a tile. Neither has to divide its length.
        attn_mask: bool, broadcastable to (B, H, T, S), True where a query attends to a key: for
            padded batches ``key_padding_mask[:, None, None, :]``.

    Returns:
        (B, H, T, K), of q's dtype; sums are kept in float32 at least. A query without keys gets
        zeros.

    Raises:
        ValueError: the shapes do not fit together, the mask is not boolean or does not fit, or a
            block size is below 1.
    """
    _check(q, k, v, packed, causal, block, attn_mask)
    documents = None if packed is None else packed.documents
    y: Tensor = _Flash.apply(q, k, v, documents, attn_mask, causal, block)
    return y


class _Flash(torch.autograd.Function):
    """The forward pass keeps the log-sum-exp of each row; the backward recomputes the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        documents: Tensor | None,
        attn_mask: Tensor | None,
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
                tile_mask = _tile_mask(rows, columns, q, k, documents, attn_mask, causal)
                if not tile_mask.any():
                    continue
                scores = q_tile @ k[:, :, columns].to(precise).mT * scale
                scores = scores.masked_fill(~tile_mask, -torch.inf)
                new_top = torch.maximum(top, scores.amax(-1, keepdim=True))
                base = new_top.masked_fill(new_top == -torch.inf, 0)  # −∞ − (−∞) would be NaN
                old, weights = (top - base).exp(), (scores - base).exp()
                total = old * total + weights.sum(-1, keepdim=True)
                out = old * out + weights @ v[:, :, columns].to(precise)
                top = new_top
            empty = total == 0
            total = total.masked_fill(empty, 1)
            y[:, :, rows] = (out / total).to(q.dtype)
            # Plus infinity for a query without keys: exp(score − ∞) is a weight of zero.
            log_sum[:, :, rows] = (top + total.log()).masked_fill(empty, torch.inf)
        ctx.save_for_backward(q, k, v, y, log_sum, documents, attn_mask)
        ctx.causal, ctx.block = causal, block
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, y, log_sum, documents, attn_mask = ctx.saved_tensors
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
                tile_mask = _tile_mask(rows, columns, q, k, documents, attn_mask, ctx.causal)
                if not tile_mask.any():
                    continue
                q_tile, dy_tile = q[:, :, rows].to(precise), dy[:, :, rows]
                scores = (q_tile @ k_tile.mT * scale).masked_fill(~tile_mask, -torch.inf)
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


def _tile_mask(
    rows: slice,
    columns: slice,
    q: Tensor,
    k: Tensor,
    documents: Tensor | None,
    attn_mask: Tensor | None,
    causal: bool,
) -> Tensor:
    """One tile of all masks together, broadcastable to (B, H, rows, columns)."""
    tile_mask = torch.ones(1, 1, dtype=torch.bool, device=q.device)
    if causal:
        positions = torch.arange(k.shape[2], device=q.device)
        own = positions[k.shape[2] - q.shape[2] :][rows]
        tile_mask = positions[columns] <= own[:, None]
    if documents is not None:
        tile_mask = tile_mask & (documents[rows, None] == documents[columns])
    if attn_mask is not None:
        tile_mask = tile_mask & attn_mask.expand(*q.shape[:3], k.shape[2])[:, :, rows, columns]
    return tile_mask


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    packed: Packed | None,
    causal: bool,
    block: tuple[int, int],
    attn_mask: Tensor | None,
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
    if attn_mask is not None:
        full, shape = (*q.shape[:3], keys), tuple(attn_mask.shape)
        fits = all(m in (1, size) for m, size in zip(shape[::-1], full[::-1], strict=False))
        if attn_mask.dtype != torch.bool or len(shape) > 4 or not fits:
            raise ValueError(
                f"the mask must be boolean and fit (B, H, T, S) = {full}: got {attn_mask.dtype} of "
                f"shape {shape}"
            )
