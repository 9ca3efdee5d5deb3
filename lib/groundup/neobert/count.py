"""How many parameters a NeoBERT has, from its configuration alone."""

from .configuration import NeoBERTConfig


def count_parameters(config: NeoBERTConfig) -> dict[str, int]:
    r"""Count the parameters of a model for masked language modelling, without building it.

    Linear maps have no bias, but for the decoder. Embedding and decoder are two tables, not one; a
    model with ``tie_word_embeddings`` has V·D parameters less than the total.

    Args:
        config: of the model. Read are ``vocab_size``, ``hidden_size``, ``num_hidden_layers``,
            ``num_attention_heads``, ``head_dim``, ``intermediate_size``, ``swiglu_size``,
            ``hidden_act``, ``norm_type``, ``norm_position``, ``position_embedding_type`` and
            ``max_length``. It is left as it is.

    Returns:
        A number for each of

        - ``embedding``: the vectors of the vocabulary; ``positions``: those of a learned table of
          positions, 0 with RoPE;
        - of one layer, ``qkv``: the fused projection; ``wo``: the map back into the stream;
          ``ffn``: all matrices of the feed-forward network; ``norms``: both norms; ``layer``: all
          of these;
        - ``layers``: all layers; ``final_norm``: the norm after the last of them, 0 where
          ``norm_position`` is "post";
        - ``encoder``: everything so far, each once; ``decoder``: the map to the vocabulary, with
          its bias; ``total``: encoder and decoder.

    Derivation:
        A linear map from m numbers to n has mn parameters, and n more with a bias. Heads of width K
        are HK wide together. So ``qkv`` is :math:`3HKD` and ``wo`` :math:`HKD`. SwiGLU has three
        matrices of :math:`DF`, F its reduced width, and GELU two of the full width. A norm has D
        scales; LayerNorm has D shifts besides.
    """
    width, vocabulary = config.hidden_size, config.vocab_size
    assert config.head_dim is not None
    heads = config.num_attention_heads * config.head_dim
    qkv, wo = width * 3 * heads, heads * width
    if config.hidden_act == "swiglu":
        ffn = 3 * width * config.swiglu_size
    else:
        ffn = 2 * width * config.intermediate_size
    norm = width if config.norm_type == "rms_norm" else 2 * width
    layer = qkv + wo + ffn + 2 * norm

    embedding = vocabulary * width
    positions = config.max_length * width if config.position_embedding_type == "absolute" else 0
    layers = config.num_hidden_layers * layer
    final_norm = norm if config.norm_position == "pre" else 0
    encoder = embedding + positions + layers + final_norm
    decoder = width * vocabulary + vocabulary
    return {
        "embedding": embedding,
        "positions": positions,
        "qkv": qkv,
        "wo": wo,
        "ffn": ffn,
        "norms": 2 * norm,
        "layer": layer,
        "layers": layers,
        "final_norm": final_norm,
        "encoder": encoder,
        "decoder": decoder,
        "total": encoder + decoder,
    }
