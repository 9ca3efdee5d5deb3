# Stub 5a958556b3b6: yours to edit. It is never written over unasked.
"""Exercise 9.4, From pairs to halves, and back.

Write the body of ``pairs_to_halves`` and ``halves_to_pairs``, then run
``groundup check 9.4``.
"""

from torch import Tensor

from groundup.neobert.rope_layout import check_rows


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
    """
    raise NotImplementedError("9.4")


def halves_to_pairs(weight: Tensor, head_dim: int) -> Tensor:
    """Undo :func:`pairs_to_halves`: from Llama's layout to NeoBERT's.

    Args:
        weight: (H·K, ...) of queries or of keys, heads one after another; a bias is (H·K,).
        head_dim: K, even.

    Returns:
        The shape of weight. The input is left as it was.

    Raises:
        ValueError: K is odd, or the number of rows is not a multiple of it.
    """
    raise NotImplementedError("9.4")
