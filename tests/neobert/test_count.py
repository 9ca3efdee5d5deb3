"""The closed form of the number of parameters against the parameters of models."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.count import count_parameters
from groundup.neobert.modeling import NeoBERTForMaskedLM

CONFIGS = st.fixed_dictionaries(
    {
        "vocab_size": st.integers(1, 20),
        "hidden_size": st.sampled_from([4, 8, 24]),
        "num_hidden_layers": st.integers(1, 3),
        "num_attention_heads": st.sampled_from([1, 2]),
        "intermediate_size": st.integers(2, 40),
        "head_dim": st.sampled_from([None, 2, 6, 16]),
        "max_length": st.integers(1, 9),
        "position_embedding_type": st.sampled_from(["rotary", "absolute"]),
        "norm_type": st.sampled_from(["rms_norm", "layer_norm"]),
        "norm_position": st.sampled_from(["pre", "post"]),
        "hidden_act": st.sampled_from(["swiglu", "gelu"]),
        "local_attention": st.sampled_from([None, 4]),
    }
)


def held(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def counted_in_the_model(config: NeoBERTConfig) -> dict[str, int]:
    with torch.device("meta"):
        net = NeoBERTForMaskedLM(config)
    encoder, layer = net.model, net.model.transformer_encoder[0]
    absolute = config.position_embedding_type == "absolute"
    return {
        "embedding": held(encoder.encoder),
        "positions": held(encoder.positions) if absolute else 0,
        "qkv": held(layer.qkv),
        "wo": held(layer.wo),
        "ffn": held(layer.ffn),
        "norms": held(layer.attention_norm) + held(layer.ffn_norm),
        "layer": held(layer),
        "layers": held(encoder.transformer_encoder),
        "final_norm": held(encoder.layer_norm),
        "encoder": held(encoder),
        "decoder": held(net.decoder),
        "total": held(net),
    }


@settings(max_examples=40, deadline=None)
@given(CONFIGS)
def test_every_part_of_any_configuration(changes):
    config = NeoBERTConfig(**changes)
    assert count_parameters(config) == counted_in_the_model(config)


def test_the_published_model():
    count = count_parameters(NeoBERTConfig())
    assert count["total"] == 245_136_954
    assert count["encoder"] == 221_665_536
    assert count["layers"] == 198_223_872
    assert count["decoder"] == 23_471_418
    assert count["layer"] == 7_079_424
    assert count["positions"] == 0


def test_counts_are_whole_numbers():
    assert {type(each) for each in count_parameters(NeoBERTConfig()).values()} == {int}
