"""Attention over NeoBERT's fused projection."""

from torch import Tensor

from .backends import call_sdpa
from .batch_layout import Packed
from .dispatch import BACKENDS, choose_backend


def split_qkv(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split the fused projection in the order of the published weights: head by head.

    Head h owns the columns 3Kh to 3K(h+1): K of its query, then K of its key, then K of its
    value. Three thirds of the width instead give the right shapes and fluent nonsense.

    Args:
        qkv: (B, T, H·3K).
        heads: H.

    Returns:
        q, k, v, each (B, H, T, K).

    Raises:
        ValueError: the width is not a multiple of 3·H.
    """
    batch, length, width = qkv.shape
    if width % (3 * heads):
        raise ValueError(f"the width must be a multiple of 3·heads: got {width} for {heads} heads")
    by_head = qkv.view(batch, length, heads, width // heads).transpose(1, 2)  # (B, H, T, 3K)
    q, k, v = by_head.chunk(3, dim=-1)
    return q, k, v


def split_groups(qkv: Tensor, heads: int, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split the fused projection where query heads share keys and values: group by group.

    With R = H / G, group g owns R + 2 blocks of K columns: those of its R queries, of its key, of
    its value. With G = H that is the order of :func:`split_qkv`: an encoder's weights fit.

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


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    packed: Packed | None = None,
    *,
    window: int | None = None,
    causal: bool = False,
    key_padding_mask: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Scaled dot-product attention by one of several backends.

    Args:
        q: (B, H, T, K) queries.
        k: (B, G, S, K) keys, and v likewise. G divides H: H/G query heads share a key head. S is T,
            or more where earlier keys are kept: the queries are the last T of S tokens.
        packed: sequences of unequal length, end to end in a batch of one; a token attends to those
            of its own sequence. None: B sequences of the same length.
        window: how many tokens to each side a token attends to. None: all.
        causal: a token attends to no later one.
        key_padding_mask: (B, S) bool, False at padding; SDPA runs, whatever ``backend`` says. Not
            with a pack, which has no padding.
        backend: a name of :data:`~.dispatch.BACKENDS`, or "auto".

    Returns:
        (B, T, H·K), the heads side by side; zeros at padding.

    Raises:
        ValueError: the backend can't run on this input.
        ImportError: it is not installed.
    """
    if key_padding_mask is not None:
        mixed = call_sdpa(q, k, v, window, causal, key_padding_mask[:, None, None, :])
        queries = key_padding_mask[:, -q.shape[2] :, None, None]
        return mixed.masked_fill(~queries, 0.0).flatten(2)  # kernels differ on a query without keys
    if not q.numel():
        backend = "sdpa"  # nothing but padding: fused kernels want a token at least
    run = BACKENDS[choose_backend(backend, q.device.type, q.dtype, packed is not None)]
    return run(q, k, v, packed, window, causal).flatten(2)
