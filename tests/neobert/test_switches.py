"""The switches of the configuration, against a transcription of each form from its paper."""

import itertools
import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.count import count_parameters
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel

exact = {"rtol": 1e-10, "atol": 1e-10}
SWITCHES = {
    "position_embedding_type": ("rotary", "absolute"),
    "norm_type": ("rms_norm", "layer_norm"),
    "norm_position": ("pre", "post"),
    "hidden_act": ("swiglu", "gelu"),
}
ALL = [dict(zip(SWITCHES, values, strict=True)) for values in itertools.product(*SWITCHES.values())]
LOCAL = {"local_attention": 4, "global_attn_every_n_layers": 2}


@pytest.fixture(scope="module")
def model(model):
    return partial(model, intermediate_size=60)


@pytest.fixture(scope="module")
def small(small):
    return partial(small, intermediate_size=60)


def transcribed(net: NeoBERTForMaskedLM, ids: Tensor) -> Tensor:
    """Logits of one text (T,), from the weights and the configuration alone."""
    c = net.config
    w = dict(net.state_dict())
    length, heads, width = len(ids), c.num_attention_heads, c.head_dim

    def norm(x: Tensor, name: str) -> Tensor:
        if c.norm_type == "rms_norm":
            return x / ((x * x).sum(-1, keepdim=True) / x.shape[-1] + c.norm_eps) ** 0.5 * w[name]
        middle = x - x.sum(-1, keepdim=True) / x.shape[-1]
        variance = (middle * middle).sum(-1, keepdim=True) / x.shape[-1]
        weight, bias = w[name], w[name.replace("weight", "bias")]
        return middle / (variance + c.norm_eps) ** 0.5 * weight + bias

    def turned(x: Tensor) -> Tensor:  # (T, K), by one rotation matrix for each pair
        y = x.clone()
        for t in range(length):
            for i in range(width // 2):
                angle = t / c.rope_scale * c.rope_theta ** (-2 * i / width)
                cos, sin = math.cos(angle), math.sin(angle)
                a, b = x[t, 2 * i], x[t, 2 * i + 1]
                y[t, 2 * i], y[t, 2 * i + 1] = a * cos - b * sin, a * sin + b * cos
        return y

    def attend(x: Tensor, layer: int) -> Tensor:
        key = f"model.transformer_encoder.{layer}"
        everything = c.local_attention is None or layer % c.global_attn_every_n_layers == 0
        qkv = (x @ w[f"{key}.qkv.weight"].T).view(length, heads, 3, width)
        outputs = []
        for head in range(heads):
            q, k, v = qkv[:, head].unbind(1)
            if c.position_embedding_type == "rotary":
                q, k = turned(q), turned(k)
            scores = (q @ k.T / width**0.5).exp()
            for i, j in itertools.product(range(length), repeat=2):
                if not everything and abs(i - j) > c.local_attention // 2:
                    scores[i, j] = 0
            outputs.append(scores / scores.sum(1, keepdim=True) @ v)
        return torch.cat(outputs, 1) @ w[f"{key}.wo.weight"].T

    def feed(x: Tensor, layer: int) -> Tensor:
        key = f"model.transformer_encoder.{layer}.ffn"
        if c.hidden_act == "gelu":
            inner = x @ w[f"{key}.w1.weight"].T
            inner = inner * (1 + torch.erf(inner / 2**0.5)) / 2
        else:
            both = x @ w[f"{key}.w12.weight"].T
            gate, value = both[:, : both.shape[1] // 2], both[:, both.shape[1] // 2 :]
            inner = gate / (1 + (-gate).exp()) * value
        return inner @ w[f"{key}.w3.weight"].T

    x = w["model.encoder.weight"][ids]
    if c.position_embedding_type == "absolute":
        x = x + w["model.positions.weight"][:length]
    for layer in range(c.num_hidden_layers):
        key = f"model.transformer_encoder.{layer}"
        first, second = f"{key}.attention_norm.weight", f"{key}.ffn_norm.weight"
        if c.norm_position == "pre":
            x = x + attend(norm(x, first), layer)
            x = x + feed(norm(x, second), layer)
        else:
            x = norm(x + attend(x, layer), first)
            x = norm(x + feed(x, layer), second)
    if c.norm_position == "pre":
        x = norm(x, "model.layer_norm.weight")
    return x @ w["decoder.weight"].T + w["decoder.bias"]


def text(length: int = 7, seed: int = 1) -> Tensor:
    return torch.randint(0, 50, (length,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("switches", ALL, ids=lambda each: "-".join(each.values()))
def test_every_combination_equals_its_transcription(model, switches):
    net, ids = model(**switches), text()
    torch.testing.assert_close(net(ids[None]).logits[0], transcribed(net, ids), **exact)


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_theta": 100.0},
        {"rope_scale": 2.5},
        {"head_dim": 4},
        {"norm_eps": 0.1},
        LOCAL,
        {"local_attention": 3, "global_attn_every_n_layers": 1},
        {"local_attention": 3, "global_attn_every_n_layers": 9, "hidden_act": "gelu"},
    ],
    ids=str,
)
def test_every_number_equals_its_transcription(model, small, changes):
    net, ids = model(**changes), text()
    expected = transcribed(net, ids)
    torch.testing.assert_close(net(ids[None]).logits[0], expected, **exact)
    free = changes.keys() - {"head_dim", "hidden_act"}  # the others' weights have other shapes
    if free and changes.get("global_attn_every_n_layers") != 1:  # every layer sees everything
        for name in free:
            setattr(net.config, name, getattr(small(), name))
        assert (transcribed(net, ids) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("switches", ALL, ids=lambda each: "-".join(each.values()))
def test_saved_and_loaded_with_every_switch(model, switches, tmp_path):
    net, ids = model(**switches), text()[None]
    net.save_pretrained(tmp_path)
    loaded, report = NeoBERTForMaskedLM.from_pretrained(
        tmp_path, dtype=torch.float64, output_loading_info=True
    )
    assert not any(report.values()), report
    stored = loaded.state_dict()
    assert all(torch.equal(stored[name], each) for name, each in net.state_dict().items())
    torch.testing.assert_close(loaded.eval()(ids).logits, net(ids).logits, **exact)
    assert {name: getattr(loaded.config, name) for name in SWITCHES} == switches
    keys = load_file(tmp_path / "model.safetensors").keys()
    assert ("model.positions.weight" in keys) == (switches["position_embedding_type"] == "absolute")
    assert ("model.layer_norm.weight" in keys) == (switches["norm_position"] == "pre")
    assert ("model.layer_norm.bias" in keys) == (
        switches["norm_position"] == "pre" and switches["norm_type"] == "layer_norm"
    )


@pytest.mark.parametrize("width", [24, 64, 60, 3072])
def test_the_two_networks_have_as_many_parameters(small, width):
    def count(act: str) -> int:
        with torch.device("meta"):
            net = NeoBERTModel(small(hidden_act=act, intermediate_size=width))
        return sum(p.numel() for p in net.transformer_encoder[0].ffn.parameters())

    swiglu, gelu = count("swiglu"), count("gelu")
    assert gelu == 2 * 24 * width
    assert -3 * 24 <= swiglu - gelu <= 3 * 24 * 8  # the width is rounded up to a multiple of 8
    if width == 3072:
        assert swiglu == gelu


@pytest.mark.parametrize("switches", ALL, ids=lambda each: "-".join(each.values()))
def test_initial_values(small, switches):
    torch.manual_seed(0)
    net = NeoBERTForMaskedLM(small(**switches, initializer_range=0.05))
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert 0.045 < parameter.abs().max() <= 0.05, name
            assert abs(float(parameter.detach().mean())) < 0.005, name
            assert float(parameter.detach().std()) == pytest.approx(0.05 / 3**0.5, rel=0.1), name


def test_zero_residual_holds_for_both_networks(small):
    for act in SWITCHES["hidden_act"]:
        net = NeoBERTModel(small(hidden_act=act, zero_residual=True))
        ends = [
            p for name, p in net.named_parameters() if name.endswith(("wo.weight", "w3.weight"))
        ]
        assert len(ends) == 6
        assert not any(p.any() for p in ends)


def test_embedding_std_is_of_both_tables(small):
    torch.manual_seed(0)
    net = NeoBERTModel(small(embedding_std=0.7, position_embedding_type="absolute"))
    for table in (net.encoder, net.positions):
        assert float(table.weight.detach().std()) == pytest.approx(0.7, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"position_embedding_type": "learned"}, "must be rotary or absolute: got 'learned'"),
        ({"norm_type": "batch_norm"}, "must be rms_norm or layer_norm: got 'batch_norm'"),
        ({"norm_position": "both"}, "must be pre or post: got 'both'"),
        ({"hidden_act": "relu"}, "must be swiglu or gelu: got 'relu'"),
        ({"rope_scale": 0.0}, r"rope_scale must be above 0: got 0\.0"),
        ({"rope_theta": float("nan")}, "rope_theta must be above 0: got nan"),
        ({"norm_eps": 0.0}, r"norm_eps must be above 0: got 0\.0"),
        ({"vocab_size": 0}, "vocab_size must be at least 1: got 0"),
        ({"num_attention_heads": 0}, "num_attention_heads must be at least 1: got 0"),
        ({"num_hidden_layers": -1}, "num_hidden_layers must be at least 0: got -1"),
        ({"max_length": 0}, "max_length must be at least 1: got 0"),
        ({"head_dim": 0}, "head_dim must be at least 1: got 0"),
        ({"initializer_range": -0.1}, "initializer_range must be at least 0"),
        ({"classifier_dropout": 1.0}, "classifier_dropout must be at least 0 and below 1"),
        ({"local_attention": 1}, "local_attention must be at least 2: got 1"),
        ({"global_attn_every_n_layers": 0}, "global_attn_every_n_layers must be at least 1: got 0"),
    ],
)
def test_wrong_values_are_named(small, changes, named):
    with pytest.raises(ValueError, match=named):
        small(**changes)


def test_an_odd_head_width_is_fine_without_rotation(model):
    net = model(head_dim=5, position_embedding_type="absolute")
    ids = text()
    torch.testing.assert_close(net(ids[None]).logits[0], transcribed(net, ids), **exact)


@pytest.mark.parametrize("switches", [ALL[0], ALL[-1], LOCAL], ids=str)
def test_the_configuration_comes_back(small, switches, tmp_path):
    before = small(**switches, rope_scale=2.0, rope_theta=500.0, classifier_dropout=0.3)
    before.save_pretrained(tmp_path)
    after = NeoBERTConfig.from_pretrained(tmp_path)
    assert after.to_dict() == before.to_dict()
    assert NeoBERTConfig.from_dict(before.to_dict()).to_dict() == before.to_dict()


# Local attention: how far a token's influence goes.


def influence(net: NeoBERTForMaskedLM, length: int, token: int, **layout: Tensor) -> Tensor:
    """(T,) bool: whose input moves the output of a token at all."""
    x = torch.randn(1, length, 24, dtype=torch.float64, requires_grad=True)
    y = net.model(inputs_embeds=x, **layout).last_hidden_state
    (dx,) = torch.autograd.grad(y[0, token].square().sum(), x)
    return dx[0].ne(0).any(-1)


@settings(max_examples=10, deadline=None)
@given(token=st.integers(0, 15), width=st.integers(2, 6), layers=st.integers(1, 3))
def test_influence_reaches_one_window_a_layer(model, token, width, layers):
    """Layer 0 sees everything; with one more in front, exactly the window of each later one."""
    net = model(local_attention=width, global_attn_every_n_layers=9, num_hidden_layers=layers + 1)
    del net.model.transformer_encoder[0]  # without it only local layers are left
    reach = layers * (width // 2)
    expected = [abs(other - token) <= reach for other in range(16)]
    assert influence(net, 16, token).tolist() == expected


def test_a_global_layer_sees_everything(model):
    net = model(**LOCAL)
    assert [net.config.window(layer) for layer in range(5)] == [None, 2, None, 2, None]
    assert [layer.window for layer in net.model.transformer_encoder] == [None, 2, None]
    assert influence(net, 16, 3).all()


def test_windows_stay_inside_a_text_of_a_pack(model):
    net = model(local_attention=4, global_attn_every_n_layers=9)
    del net.model.transformer_encoder[0]
    seen = influence(net, 16, 6, cu_seqlens=torch.tensor([0, 5, 12, 16]))
    assert seen.nonzero().flatten().tolist() == list(range(5, 11))  # two layers, two tokens each


def test_windows_count_real_tokens(model):
    """Padding between two tokens does not part them; a padded batch equals its texts."""
    net, ids = model(**LOCAL), text(6)
    spread, mask = torch.full((1, 18), 3), torch.zeros(1, 18)
    spread[0, ::3], mask[0, ::3] = ids, 1
    torch.testing.assert_close(
        net(spread, mask).logits[0, ::3], net(ids[None]).logits[0], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("backend", ["eager", "sdpa", "flex_attention"])
@torch.no_grad()
def test_packs_with_windows_equal_their_texts(model, backend):
    net = model(**LOCAL)
    own = [text(n, n) for n in (5, 1, 9)]
    apart = torch.cat([transcribed(net, each) for each in own])
    net.set_attn_implementation(backend)
    together = net(torch.cat(own)[None], cu_seqlens=torch.tensor([0, 5, 6, 15])).logits[0]
    torch.testing.assert_close(together, apart, **exact)


def test_tied_embeddings_are_one_table(tmp_path):
    torch.manual_seed(0)
    shape = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "vocab_size": 30}
    config = NeoBERTConfig(**shape, intermediate_size=24, tie_word_embeddings=True)
    tied = NeoBERTForMaskedLM(config)
    assert tied.decoder.weight is tied.model.encoder.weight
    count = sum(parameter.numel() for parameter in tied.parameters())
    assert count == count_parameters(config)["total"] - 30 * 16
    tied.save_pretrained(tmp_path)
    again = NeoBERTForMaskedLM.from_pretrained(tmp_path)
    assert again.decoder.weight is again.model.encoder.weight
    ids = torch.arange(5)[None]
    assert torch.equal(tied.eval()(ids).logits, again.eval()(ids).logits)
    apart = NeoBERTForMaskedLM(NeoBERTConfig(**shape))
    assert apart.decoder.weight is not apart.model.encoder.weight
