# Stub 6c794201cb5b: yours to edit. It is never written over unasked.
"""Exercise 11.3, A block, assembled.

Write the body of ``forward``, then run
``groundup check 11.3``.
"""

from torch import Tensor

from groundup.neobert.batch_layout import BatchLayout


def forward(
    self,
    x: Tensor,
    rotation: tuple[Tensor, Tensor] | None,
    layout: BatchLayout | None = None,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Run the block: two branches, each of which is added to the residual stream.

    Its parts are attention_norm, ffn_norm and ffn, and
    self_attention(x, rotation, layout, need_weights), which is attention from qkv to wo and
    gives (B, T, D) and the weights. norm_position in self.config says whether norms come before
    the branches or after the sums.

    Args:
        x: (B, T, D).
        rotation: cos and sin, (T, K/2) each, of the tokens' positions. None: no rotation.
        layout: the token layout, such as sequences packed end to end in a batch of one. None:
            (B, T) tokens without padding.
        need_weights: mix by the written formula, and return its weights.

    Returns:
        (B, T, D); and the attention weights, (B, H, T, T), or in rows of their own (S, H, M, M)
        for a pack of S sequences up to M long, or None.
    """
    raise NotImplementedError("11.3")
