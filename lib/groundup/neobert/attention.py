"""Attention over NeoBERT's fused projection."""

from torch import Tensor

from .backends import ENGINES, choose
from .batch_layout import Packed


def split_qkv(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the fused projection the way the published weights lay it out: head by head.

    Head h owns the columns 3Kh to 3K(h+1): K of its query, then K of its key, then K of its
    value. Cutting the width into three thirds instead gives the right shapes and fluent nonsense.

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


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    packed: Packed | None = None,
    *,
    window: int | None = None,
    causal: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Scaled dot-product attention, through the engine that suits the input.

    Args:
        q: (B, H, T, K) queries.
        k: (B, G, S, K) keys, and v likewise. G divides H: H/G query heads share a key head. S is T,
            or more where earlier keys are kept: the queries are the last T of S tokens.
        packed: sequences of unequal length lie end to end in a batch of one; they do not see each
            other. None: B sequences of the same length.
        window: a token sees so many to each side. None: all.
        causal: no token sees a later one.
        backend: a name of :data:`~.backends.ENGINES`, or "auto".

    Returns:
        (B, T, H·K), the heads side by side.

    Raises:
        ValueError: the engine can't run on this input.
        ImportError: it is not installed.
    """
    if not q.numel():
        backend = "sdpa"  # nothing but padding: fused kernels want a token at least
    engine = ENGINES[choose(backend, q.device.type, q.dtype, packed is not None)]
    return engine(q, k, v, packed, window, causal).flatten(2)
