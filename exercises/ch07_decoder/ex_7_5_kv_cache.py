# Stub 751a5f291a8f: yours to edit. It is never written over unasked.
"""Exercise 7.5, Reading nothing twice.

Write the body of ``extend`` and ``step``, then run
``groundup check 7.5``.
"""

from groundup.scratch.decoder import KVCache, token_positions
from groundup.scratch.inputs import check_batch
from groundup.scratch.masks import causal_mask, key_mask
from groundup.scratch.types import Array, BoolArray, IntArray


def extend(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
    """Store a layer's new keys and values (B, H, T, K) after the ``length`` older ones.

    ``length`` stays: the next layer stores at the same places.

    Returns:
        All keys and all values of the layer, (B, H, S, K).
    """
    raise NotImplementedError("7.5")


def step(self, ids: IntArray, cache: KVCache, mask: BoolArray | None = None) -> Array:
    """Read on from where the cache stands: a whole prompt, or one token at a time.

    Args:
        ids: (B, T) the next tokens of each row.
        cache: what has been read so far, and which of it is padding; its length grows by T.
        mask: (B, T), True at real tokens. None: no padding.

    Returns:
        logits (B, T, V), those :meth:`forward` gives for these tokens of the whole sequence.

    Raises:
        ValueError: the cache is full or was made for another batch, config or dtype; ids or
            mask do not fit. Nothing is changed then.
    """
    raise NotImplementedError("7.5")
