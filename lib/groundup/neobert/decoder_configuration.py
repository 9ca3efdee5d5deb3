"""The shape of a causal decoder made of NeoBERT's blocks."""

from .configuration import NeoBERTConfig


class NeoDecoderConfig(NeoBERTConfig):
    """Configuration of :class:`~groundup.neobert.decoder.NeoDecoderModel`.

    The defaults are NeoBERT's, see :class:`~groundup.neobert.configuration.NeoBERTConfig`; what
    means something else in a decoder is below.

    Attributes:
        num_key_value_heads: G, which divides H: so many heads of keys and values, each shared by
            H / G heads of queries (Ainslie et al., 2023, arXiv 2305.13245). None: H.
        local_attention: if given, in most layers a token attends to only so many: itself and those
            just before it. The cache keeps every token all the same.
        tie_word_embeddings: the map to the vocabulary is the token embedding (Press and Wolf,
            2017): learned once, saved once.
        bos_token_id: begins a text; ``generate`` begins with it where there is no prompt.
        eos_token_id: ends a text; ``generate`` stops there. Several: any of them does.
    """

    model_type = "neodecoder"
    keys_to_ignore_at_inference = ["cache", "past_key_values"]  # noqa: RUF012

    num_key_value_heads: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    def __post_init__(self, **kwargs: object) -> None:
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        groups = self.num_key_value_heads
        if groups < 1 or self.num_attention_heads % groups:
            raise ValueError(
                "num_key_value_heads must divide num_attention_heads: got "
                f"{groups} and {self.num_attention_heads}"
            )
        super().__post_init__(**kwargs)

    @property
    def causal(self) -> bool:
        """A token of a decoder attends to no later one."""
        return True

    @property
    def groups(self) -> int:
        """G, the number of heads of keys and values."""
        assert self.num_key_value_heads is not None
        return self.num_key_value_heads
