"""The two layouts of rotary positions: neighbours turn together, or the halves of a head do.

NeoBERT, like the RoFormer paper (Su et al., 2021, arXiv 2104.09864), rotates entries 2i and 2i + 1.
Llama's and ModernBERT's code in transformers (``rotate_half``) rotates entries i and i + K/2. A
model is the same in both once the rows that make its queries and keys are reordered, head by head.
Values are never rotated and keep their order.

    q, k, v = layer.qkv.weight.unflatten(0, (heads, 3, head_dim)).transpose(0, 1).flatten(1, 2)
    llama.q_proj.weight.copy_(pairs_to_halves(q, head_dim))
"""

from torch import Tensor


def pairs_to_halves(weight: Tensor, head_dim: int) -> Tensor:
    """Reorder the rows of a projection that was trained for neighbours, for code that turns halves.

    Args:
        weight: (H·K, ...) of queries or of keys, heads one after another; a bias is (H·K,).
        head_dim: K, even.

    Returns:
        The shape of weight. Under rotation by halves it gives the scores q·k that the old order
        gives under rotation of neighbours. The input is left as it was.

    Raises:
        ValueError: K is odd, or the number of rows is not a multiple of it.

    Derivation:
        Entries 2i and 2i + 1 of a head go to i and i + K/2.
    """
    check_rows(weight, head_dim)
    pairs = weight.unflatten(0, (-1, head_dim // 2, 2))  # (H, K/2, 2, ...)
    return pairs.transpose(1, 2).flatten(0, 2)


def halves_to_pairs(weight: Tensor, head_dim: int) -> Tensor:
    """Undo :func:`pairs_to_halves`: from Llama's layout to NeoBERT's.

    Args:
        weight: (H·K, ...) of queries or of keys, heads one after another; a bias is (H·K,).
        head_dim: K, even.

    Returns:
        The shape of weight. The input is left as it was.

    Raises:
        ValueError: K is odd, or the number of rows is not a multiple of it.

    Derivation:
        Entries i and i + K/2 of a head go to 2i and 2i + 1.
    """
    check_rows(weight, head_dim)
    halves = weight.unflatten(0, (-1, 2, head_dim // 2))  # (H, 2, K/2, ...)
    return halves.transpose(1, 2).flatten(0, 2)


def check_rows(weight: Tensor, head_dim: int) -> None:
    """Raise ValueError unless the rows are those of whole heads, and K is even."""
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and above 0, RoPE turns pairs: got {head_dim}")
    if weight.dim() == 0 or weight.shape[0] % head_dim:
        raise ValueError(
            f"the rows must be a multiple of head_dim={head_dim}: got shape {tuple(weight.shape)}"
        )
