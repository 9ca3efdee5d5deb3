"""NeoBERT's block where no token sees a later one, with a cache of the keys and values so far."""

from torch import Tensor

from .attention import attention
from .backends import call_sdpa, eager
from .batch_layout import Reading
from .block import NeoBERTLayer
from .decoder_configuration import NeoDecoderConfig
from .rope import rotate_pairs


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
    seen = None if real is None else real[:, None, None, :]
    mixed = call_sdpa(q, k, v, window, causal=True, real=seen)
    if real is not None:  # padding on the left sees nothing at all, and kernels differ on that
        mixed = mixed.masked_fill(~real[:, -q.shape[2] :, None, None], 0.0)
    return mixed.flatten(2)


class NeoDecoderLayer(NeoBERTLayer):
    """A NeoBERT block whose tokens see no later one.

    In place of ``packed`` its ``forward`` takes a :class:`~groundup.neobert.batch_layout.Reading`:
    how the new tokens lie, and what was read before them. With fewer heads of keys and values than
    of queries ``qkv`` is smaller, and cut by :func:`split_groups`.
    """

    def __init__(self, config: NeoDecoderConfig, index: int = 0) -> None:
        super().__init__(config, index)
        assert config.num_key_value_heads is not None
        self.index = index
        self.groups = config.num_key_value_heads

    def _mix(  # type: ignore[override]
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
