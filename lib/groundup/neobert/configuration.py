"""The shape of a NeoBERT, in the published configuration's words."""

from transformers import PreTrainedConfig


class NeoBERTConfig(PreTrainedConfig):
    """Configuration of :class:`~groundup.neobert.modeling.NeoBERTModel`.

    The defaults are the published 250M model (arXiv 2502.19587). Everything below ``rope_theta``
    is our own addition; at its default it changes nothing.

    Attributes:
        vocab_size: V.
        hidden_size: D, the width of the residual stream.
        num_hidden_layers: number of blocks.
        num_attention_heads: H.
        intermediate_size: before the SwiGLU rule; the hidden width is
            :attr:`swiglu_size` = int(2/3 of this), rounded up to a multiple of 8.
        norm_eps: of every RMSNorm.
        max_length: the longest sequence accepted, in tokens.
        initializer_range: linear maps and embeddings begin uniform in ± this.
        rope_theta: base of the rotary wavelengths.
        head_dim: K. None: D / H, the published form.
        embedding_std: if given, token embeddings begin normal with this deviation.
        sparse_prediction: with labels, compute logits for the labelled tokens alone.
        zero_residual: begin each block's two outputs at zero, so that a fresh model is the
            identity on its embeddings.
    """

    model_type = "neobert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 28
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    norm_eps: float = 1e-5
    max_length: int = 4096
    initializer_range: float = 0.02
    rope_theta: float = 10000.0
    pad_token_id: int | None = 0
    tie_word_embeddings: bool = False
    head_dim: int | None = None
    embedding_std: float | None = None
    sparse_prediction: bool = False
    zero_residual: bool = False

    def __post_init__(self, **kwargs: object) -> None:
        if self.head_dim is None:
            if self.hidden_size % self.num_attention_heads:
                raise ValueError(
                    "num_attention_heads must divide hidden_size: got "
                    f"hidden_size={self.hidden_size}, heads={self.num_attention_heads}"
                )
            self.head_dim = self.hidden_size // self.num_attention_heads
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even, RoPE rotates pairs: got {self.head_dim}")
        super().__post_init__(**kwargs)

    @property
    def swiglu_size(self) -> int:
        """F, the hidden width of the feed-forward network."""
        return -(-int(2 * self.intermediate_size / 3) // 8) * 8
