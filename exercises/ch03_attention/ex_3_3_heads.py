# Stub 2af973a54a21: yours to edit. It is never written over unasked.
"""Exercise 3.3, Split and merge heads.

Write the body of ``split_heads`` and ``merge_heads``, then run
``groundup check 3.3``.
"""

from groundup.scratch.types import Array


def split_heads(x: Array, heads: int) -> Array:
    """(B, T, H·K) → (B, H, T, K): each head gets a slice of the width."""
    raise NotImplementedError("3.3")


def merge_heads(x: Array) -> Array:
    """(B, H, T, K) → (B, T, H·K), the inverse of :func:`split_heads`."""
    raise NotImplementedError("3.3")
