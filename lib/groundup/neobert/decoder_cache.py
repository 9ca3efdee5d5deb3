"""NeoBERT's block where no token sees a later one, with a cache of the keys and values so far."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.cache_utils import Cache

from .attention import attention
from .backends import eager, visible
from .block import GELU, BranchOutput, SwiGLU, make_norm
from .decoder_configuration import NeoDecoderConfig
from .layout import Packed, as_bool, from_cu_seqlens, unpad
from .rope import rotate_pairs


@dataclass(frozen=True, eq=False)
class Reading:
    """How the tokens of one pass lie, and what was read before them.

    Attributes:
        positions: (T,) the place of each token in its own text; or (B, T) where rows differ.
        packed: texts of unequal length lie end to end in a batch of one. Not with a cache.
        places: of a batch whose padding was taken out, where its real tokens stood; see
            :func:`~groundup.neobert.layout.unpad`.
        cache: keys and values of earlier tokens; each layer adds those of the new ones. None: there
            are no earlier ones, and none are kept.
        real: (B, S) bool, for the S cached and new tokens: False where a token is not there. None:
            all are. Only with a cache: without one, padding is taken out, and the rest is packed.
    """

    positions: Tensor
    packed: Packed | None = None
    places: Tensor | None = None
    cache: Cache | None = None
    real: Tensor | None = None


def lay_out(
    shape: torch.Size,
    attention_mask: Tensor | None,
    cache: Cache | None,
    cu_seqlens: Tensor | None,
    max_seqlen: int | None,
    max_length: int,
    device: torch.device,
) -> Reading:
    """Find out how the tokens of a pass lie.

    Args:
        shape: (B, T) of the new tokens.
        attention_mask: see :meth:`~groundup.neobert.decoder.NeoDecoderModel.forward`, as are the
            next three.
        cache: keys and values of P earlier tokens.
        cu_seqlens: of a batch that was packed where it was made.
        max_seqlen: of it.
        max_length: the longest text the model reads.
        device: of the tokens.

    Raises:
        ValueError: a text is longer, a shape does not fit, or two arguments exclude each other.
    """
    cached = 0 if cache is None else int(cache.get_seq_length())
    keys = longest = cached + shape[1]
    reading = Reading(torch.arange(cached, keys, device=device), cache=cache)
    if cu_seqlens is not None:
        if attention_mask is not None or cache is not None or shape[0] != 1:
            raise ValueError(
                "cu_seqlens goes with ids of shape (1, N), without attention_mask or cache"
            )
        packed = from_cu_seqlens(cu_seqlens, max_seqlen, shape[1])
        reading = Reading(packed.positions, packed)
    elif attention_mask is not None:
        real = as_bool(attention_mask, torch.Size((shape[0], keys)))
        if not real.all() and cache is None:
            places, packed = unpad(real)
            reading = Reading(packed.positions, packed, places)
        elif not real.all():
            positions = (real.cumsum(1) - 1).clamp(min=0)[:, cached:]
            reading = Reading(positions, cache=cache, real=real)
            if keys > max_length:  # else there is no need to ask the device
                longest = int(real.sum(1).max())
    if reading.packed is not None:
        longest = reading.packed.max_seqlen
    if longest > max_length:
        raise ValueError(f"at most max_length={max_length} tokens: got {longest}")
    return reading


def split_groups(qkv: Tensor, heads: int, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the fused projection of grouped queries: group by group.

    With R = H / G, group g owns R + 2 blocks of K columns: those of its R queries, of its key, of
    its value. With G = H that is NeoBERT's own layout, see
    :func:`~groundup.neobert.attention.split_qkv`: an encoder's weights fit.

    Args:
        qkv: (B, T, (H + 2G)·K).
        heads: H.
        groups: G, which divides H.

    Returns:
        q (B, H, T, K), and k, v, each (B, G, T, K). Query head h belongs to group h // R.
    """
    shared = heads // groups
    by_group = qkv.unflatten(2, (groups, shared + 2, -1))  # (B, T, G, R + 2, K)
    q, k, v = (part.flatten(2, 3).transpose(1, 2) for part in by_group.split((shared, 1, 1), dim=3))
    return q, k, v


def attend(q: Tensor, k: Tensor, v: Tensor, real: Tensor | None, window: int | None) -> Tensor:
    """Causal attention of new tokens over a cache, through torch's scaled_dot_product_attention.

    Args:
        q: (B, H, T, K) queries of the new tokens, the last T of S.
        k: (B, G, S, K) keys of all tokens, and v likewise.
        real: (B, S) bool, False where a token is not there. None: all are.
        window: a token sees so many before its own. None: all.

    Returns:
        (B, T, H·K), the heads side by side; zeros for a query that is not there.
    """
    new = q.shape[2]
    look = visible(new, k.shape[2], window, True, q.device)
    if real is not None:
        seen = real[:, None, None, :]
        look = seen if look is None else look & seen
    mixed = F.scaled_dot_product_attention(
        q, k, v, attn_mask=look, enable_gqa=q.shape[1] != k.shape[1]
    )
    if real is not None:  # padding on the left sees nothing at all, and kernels differ on that
        mixed = mixed.masked_fill(~real[:, None, -new:, None], 0.0)
    return mixed.transpose(1, 2).flatten(2)


class NeoDecoderLayer(nn.Module):
    """x += wo(attention(norm(x))), then x += ffn(norm(x)); the parameters of a NeoBERT block.

    With fewer heads of keys and values than of queries ``qkv`` is smaller, and cut by
    :func:`split_groups`.
    """

    def __init__(self, config: NeoDecoderConfig, index: int = 0) -> None:
        super().__init__()
        assert config.head_dim is not None
        assert config.num_key_value_heads is not None
        self.config = config
        self.index = index
        self.heads = config.num_attention_heads
        self.groups = config.num_key_value_heads
        self.window = config.window(index)
        inner = self.heads * config.head_dim
        fused = inner + 2 * self.groups * config.head_dim
        self.attention_norm = make_norm(config)
        self.qkv = nn.Linear(config.hidden_size, fused, bias=False)
        self.wo = BranchOutput(inner, config.hidden_size, bias=False)
        self.ffn_norm = make_norm(config)
        self.ffn: nn.Module = SwiGLU(config) if config.hidden_act == "swiglu" else GELU(config)

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        reading: Reading,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Run the block.

        Args:
            x: (B, T, D) the new tokens.
            rotation: cos and sin, (T, K/2) each, or (B, 1, T, K/2) where rows differ in their
                positions. None: no rotation.
            reading: how they lie, and what was read before them.
            need_weights: mix by the written formula, and return its weights.

        Returns:
            (B, T, D); and the attention weights, (B, H, T, S), or in rows of their own (S, H, M, M)
            for a pack of S sequences up to M long, or None.
        """
        if self.config.norm_position == "post":
            mixed, weights = self._mix(x, rotation, reading, need_weights)
            x = self.attention_norm(x + mixed)
            return self.ffn_norm(x + self.ffn(x)), weights
        mixed, weights = self._mix(self.attention_norm(x), rotation, reading, need_weights)
        x = x + mixed
        return x + self.ffn(self.ffn_norm(x)), weights

    def _mix(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        reading: Reading,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        q, k, v = split_groups(self.qkv(x), self.heads, self.groups)
        if rotation is not None:
            q, k = rotate_pairs(q, *rotation), rotate_pairs(k, *rotation)
        if reading.cache is not None:
            k, v = reading.cache.update(k, v, self.index)
        if need_weights:
            mixed, weights = eager(q, k, v, reading.packed, self.window, causal=True)
            return self.wo(mixed.flatten(2)), weights
        if reading.real is not None or k.shape[2] > q.shape[2]:
            return self.wo(attend(q, k, v, reading.real, self.window)), None
        backend = self.config._attn_implementation or "auto"
        mixed = attention(q, k, v, reading.packed, window=self.window, causal=True, backend=backend)
        return self.wo(mixed), None
