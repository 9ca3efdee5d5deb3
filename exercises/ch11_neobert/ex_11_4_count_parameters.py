# Stub 851a044c715a: yours to edit. It is never written over unasked.
"""Exercise 11.4, Every parameter, counted.

Write the body of ``count_parameters``, then run
``groundup check 11.4``.
"""

from groundup.neobert.configuration import NeoBERTConfig


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
    """
    raise NotImplementedError("11.4")
