"""The shape of a NeoBERT, in the published configuration's words."""

import math

from transformers import PreTrainedConfig

_SIZES = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_length", "head_dim", "global_attn_every_n_layers"),
)

_CHOICES = {
    "position_embedding_type": ("rotary", "absolute"),
    "norm_type": ("rms_norm", "layer_norm"),
    "norm_position": ("pre", "post"),
    "hidden_act": ("swiglu", "gelu"),
}


class NeoBERTConfig(PreTrainedConfig):
    """Configuration of :class:`~groundup.neobert.modeling.NeoBERTModel`.

    The defaults are the published 250M model (arXiv 2502.19587). Everything below ``rope_theta``
    is our own addition; at its default it changes nothing.

    Attributes:
        vocab_size: V.
        hidden_size: D, the width of the residual stream.
        num_hidden_layers: number of blocks.
        num_attention_heads: H.
        intermediate_size: of a feed-forward network with GELU. SwiGLU has three matrices instead of
            two, so its hidden width is :attr:`swiglu_size` = int(2/3 of this), rounded up to a
            multiple of 8.
        norm_eps: of every norm.
        max_length: the longest sequence accepted, in tokens. Other tools read it under the name
            ``max_position_embeddings``.
        initializer_range: linear maps and embeddings begin uniform in ± this; a classifier begins
            normal with this deviation.
        rope_theta: base of the rotary wavelengths.
        rope_scale: positions are divided by it, to read further than was trained; see
            :func:`~groundup.neobert.rope.rope_tables`.
        head_dim: K. None: D / H, the published form.
        local_attention: if given, in most layers a token attends to only so many others, half of
            them on each side.
        global_attn_every_n_layers: with ``local_attention``, the layers 0, n, 2n, … attend to all.
        position_embedding_type: "rotary", or "absolute", a learned table of ``max_length`` vectors.
        norm_type: "rms_norm" or "layer_norm".
        norm_position: "pre", before each branch and once at the end, or "post", after each sum.
        hidden_act: "swiglu", or "gelu" in a network of two matrices.
        classifier_dropout: before and after the dense layer of a classification head.
        embedding_std: if given, embeddings begin normal with this deviation.
        sparse_prediction: with labels, compute logits for the labelled tokens alone.
        zero_residual: begin each block's two outputs at zero, so that a fresh model is the
            identity on its embeddings.
    """

    model_type = "neobert"
    attribute_map = {"max_position_embeddings": "max_length"}  # noqa: RUF012 (transformers' form)

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
    rope_scale: float = 1.0
    head_dim: int | None = None
    local_attention: int | None = None
    global_attn_every_n_layers: int = 3
    position_embedding_type: str = "rotary"
    norm_type: str = "rms_norm"
    norm_position: str = "pre"
    hidden_act: str = "swiglu"
    classifier_dropout: float = 0.1
    embedding_std: float | None = None
    sparse_prediction: bool = False
    zero_residual: bool = False

    def __post_init__(self, **kwargs: object) -> None:
        self._check_sizes()
        if self.head_dim is None:
            if self.hidden_size % self.num_attention_heads:
                raise ValueError(
                    "num_attention_heads must divide hidden_size: got "
                    f"hidden_size={self.hidden_size}, heads={self.num_attention_heads}"
                )
            self.head_dim = self.hidden_size // self.num_attention_heads
        if self.head_dim % 2 and self.position_embedding_type == "rotary":
            raise ValueError(f"head_dim must be even, RoPE rotates pairs: got {self.head_dim}")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be {' or '.join(known)}: got {getattr(self, name)!r}"
                )
        if self.local_attention is not None and self.local_attention < 2:
            raise ValueError(f"local_attention must be at least 2: got {self.local_attention}")
        super().__post_init__(**kwargs)

    def _check_sizes(self) -> None:
        """Refuse impossible sizes and scales. A model without layers is its embeddings."""
        for name in _SIZES:
            value, least = getattr(self, name), int(name != "num_hidden_layers")
            if value is not None and not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number: got {value!r}")
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}: got {value}")
        for name in ("norm_eps", "rope_theta", "rope_scale"):
            if not 0 < (value := getattr(self, name)) < math.inf:
                wanted = "finite" if value == math.inf else "above 0"
                raise ValueError(f"{name} must be {wanted}: got {value}")
        for name in ("initializer_range", "embedding_std"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite: got {getattr(self, name)}")
        if not 0 <= self.classifier_dropout < 1:
            raise ValueError(
                f"classifier_dropout must be at least 0 and below 1: got {self.classifier_dropout}"
            )

    @property
    def swiglu_size(self) -> int:
        """F, the hidden width of the feed-forward network with SwiGLU."""
        return -(-int(2 * self.intermediate_size / 3) // 8) * 8

    @property
    def causal(self) -> bool:
        """Whether a token attends to no later one."""
        return False

    @property
    def groups(self) -> int:
        """G, the number of heads of keys and values."""
        return self.num_attention_heads

    @property
    def qkv_size(self) -> int:
        """The width of the fused projection: H queries, G keys and G values."""
        assert self.head_dim is not None
        return (self.num_attention_heads + 2 * self.groups) * self.head_dim

    def window(self, layer: int) -> int | None:
        """How many tokens a layer attends to on each side of its own; None: all of them."""
        if self.local_attention is None or layer % self.global_attn_every_n_layers == 0:
            return None
        return self.local_attention - 1 if self.causal else self.local_attention // 2
