"""Rotary positions against complex numbers and transformers' Llama, in both layouts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import (
    LlamaDecoderLayer,
    LlamaRotaryEmbedding,
    apply_rotary_pos_emb,
)

from groundup.neobert.block import NeoBERTLayer
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.rope import rope_tables, rotate_pairs
from groundup.neobert.rope_layout import halves_to_pairs, pairs_to_halves


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def places(length: int, first: int = 0) -> Tensor:
    return torch.arange(first, first + length, dtype=torch.float64)


def complex_turn(x: Tensor, positions: Tensor, theta: float, scale: float) -> Tensor:
    """x (..., T, K), each pair a complex number times exp(i p θ^(−2i/K) / scale)."""
    frequency = theta ** (-2 * torch.arange(x.shape[-1] // 2, dtype=torch.float64) / x.shape[-1])
    angles = torch.exp(1j * positions[:, None] / scale * frequency)
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * angles).flatten(-2)


@settings(max_examples=40, deadline=None)
@given(
    half=st.integers(1, 8),
    length=st.integers(1, 6),
    first=st.integers(0, 5000),
    theta=st.floats(10, 1e6),
    scale=st.sampled_from([0.5, 1.0, 4.0]),
)
def test_equal_to_the_complex_form(
    half: int, length: int, first: int, theta: float, scale: float
) -> None:
    x = draw(2, length, 2 * half)
    positions = places(length, first)
    turned = rotate_pairs(x, *rope_tables(positions, 2 * half, theta, scale))
    torch.testing.assert_close(
        turned, complex_turn(x, positions, theta, scale), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("theta", [10_000.0, 160_000.0])
def test_tables_are_those_of_llama(theta: float) -> None:
    config = LlamaConfig(
        hidden_size=32,
        num_attention_heads=2,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
    )
    positions = torch.tensor([0, 1, 2, 7, 300, 5])
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1), positions[None])
    ours = rope_tables(positions, 16, theta)
    # An angle of 300 is rounded to 1.5e-5 in float32.
    for own, theirs in zip(ours, (cos, sin), strict=True):
        torch.testing.assert_close(torch.cat((own, own), -1), theirs[0], rtol=0, atol=5e-5)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bfloat16, torch.float16])
def test_tables_are_precise_whatever_the_positions_are(dtype: torch.dtype) -> None:
    positions = torch.tensor([0, 1, 2, 255])
    cos, sin = rope_tables(positions.to(dtype), 8, 10_000.0)
    assert cos.dtype == sin.dtype == torch.float32
    exact = rope_tables(positions.double(), 8, 10_000.0)
    assert exact[0].dtype == torch.float64
    for got, right in zip((cos, sin), exact, strict=True):
        torch.testing.assert_close(got.double(), right, rtol=0, atol=3e-5)


def test_a_scale_divides_positions() -> None:
    interpolated = rope_tables(places(8), 6, 10_000.0, scale=2.0)
    known = rope_tables(places(4), 6, 10_000.0)
    for got, right in zip(interpolated, known, strict=True):
        torch.testing.assert_close(got[::2], right)


@pytest.mark.parametrize("shift", [1, 7, 1000])
def test_scores_depend_on_the_distance_alone(shift: int) -> None:
    q, k = draw(2, 5, 8), draw(2, 5, 8, seed=1)
    scores = []
    for first in (0, shift):
        tables = rope_tables(places(5, first), 8, 10_000.0)
        scores.append(rotate_pairs(q, *tables) @ rotate_pairs(k, *tables).mT)
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=1e-10)
    other = rope_tables(places(5, shift), 8, 10_000.0)
    moved = rotate_pairs(q, *other) @ rotate_pairs(k, *rope_tables(places(5), 8, 10_000.0)).mT
    assert (moved - scores[0]).abs().max() > 0.1  # one of the two alone does move them


# The two layouts.


def test_the_permutation_by_hand() -> None:
    weight = torch.arange(8.0)[:, None]  # two heads, K = 4
    by_halves = pairs_to_halves(weight, 4)
    assert by_halves.flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert halves_to_pairs(by_halves, 4).flatten().tolist() == list(range(8))
    assert pairs_to_halves(torch.arange(6.0), 6).tolist() == [0, 2, 4, 1, 3, 5]
    assert halves_to_pairs(torch.arange(6.0), 6).tolist() == [0, 3, 1, 4, 2, 5]


@settings(max_examples=30, deadline=None)
@given(
    heads=st.integers(1, 4), half=st.integers(1, 6), tail=st.lists(st.integers(1, 3), max_size=2)
)
def test_each_undoes_the_other(heads: int, half: int, tail: list[int]) -> None:
    weight = draw(heads * 2 * half, *tail)
    before = weight.clone()
    assert torch.equal(halves_to_pairs(pairs_to_halves(weight, 2 * half), 2 * half), weight)
    assert torch.equal(pairs_to_halves(halves_to_pairs(weight, 2 * half), 2 * half), weight)
    assert torch.equal(weight, before)


def test_scores_of_llamas_rotation() -> None:
    heads, head_dim, width, length = 3, 8, 10, 6
    x = draw(length, width)
    wq, wk = draw(heads * head_dim, width, seed=1), draw(heads * head_dim, width, seed=2)
    cos, sin = rope_tables(places(length), head_dim, 10_000.0)

    def split(rows: Tensor) -> Tensor:
        return rows.unflatten(-1, (heads, head_dim)).transpose(0, 1)  # (H, T, K)

    q, k = (rotate_pairs(split(x @ w.T), cos, sin) for w in (wq, wk))
    wide = torch.cat((cos, cos), -1)[None], torch.cat((sin, sin), -1)[None]
    their_q, their_k = apply_rotary_pos_emb(
        *(split(x @ pairs_to_halves(w, head_dim).T)[None] for w in (wq, wk)), *wide
    )
    torch.testing.assert_close(their_q[0] @ their_k[0].mT, q @ k.mT, rtol=1e-12, atol=1e-12)
    plain_q, plain_k = apply_rotary_pos_emb(*(split(x @ w.T)[None] for w in (wq, wk)), *wide)
    assert (plain_q[0] @ plain_k[0].mT - q @ k.mT).abs().max() > 0.1


def llama_of(layer: NeoBERTLayer, config: NeoBERTConfig) -> LlamaDecoderLayer:
    """A Llama layer with the weights of a NeoBERT layer."""
    theirs = LlamaConfig(
        hidden_size=config.hidden_size,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_attention_heads,
        head_dim=config.head_dim,
        intermediate_size=config.swiglu_size,
        rms_norm_eps=config.norm_eps,
        attn_implementation="eager",
    )
    llama = LlamaDecoderLayer(theirs, 0).double()
    k = config.head_dim
    assert k is not None
    by_head = layer.qkv.weight.detach().unflatten(0, (config.num_attention_heads, 3, k))
    query, key, value = by_head.transpose(0, 1).flatten(1, 2)
    gate, up = layer.ffn.w12.weight.detach().chunk(2)
    llama.load_state_dict(
        {
            "self_attn.q_proj.weight": pairs_to_halves(query, k),
            "self_attn.k_proj.weight": pairs_to_halves(key, k),
            "self_attn.v_proj.weight": value,
            "self_attn.o_proj.weight": layer.wo.weight.detach(),
            "mlp.gate_proj.weight": gate,
            "mlp.up_proj.weight": up,
            "mlp.down_proj.weight": layer.ffn.w3.weight.detach(),
            "input_layernorm.weight": layer.attention_norm.weight.detach(),
            "post_attention_layernorm.weight": layer.ffn_norm.weight.detach(),
        }
    )
    return llama.eval()


def test_a_whole_layer_moves_to_llama() -> None:
    config = NeoBERTConfig(
        hidden_size=24, num_attention_heads=3, intermediate_size=64, num_hidden_layers=1
    )
    layer = NeoBERTLayer(config).double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            parameter.copy_(0.5 * draw(*parameter.shape, seed=number))
    x = draw(2, 7, 24, seed=99)
    assert config.head_dim is not None
    cos, sin = rope_tables(places(7), config.head_dim, config.rope_theta)
    wide = torch.cat((cos, cos), -1)[None], torch.cat((sin, sin), -1)[None]
    everywhere = torch.zeros(1, 1, 7, 7, dtype=torch.float64)  # Llama's own mask is causal
    with torch.no_grad():
        ours, _ = layer(x, (cos, sin))
        theirs = llama_of(layer, config)(x, attention_mask=everywhere, position_embeddings=wide)
    # Llama's norm and softmax compute in float32, whatever the dtype.
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("move", [pairs_to_halves, halves_to_pairs])
@pytest.mark.parametrize(
    ("shape", "head_dim", "named"),
    [
        ((6, 2), 3, "even.*3"),
        ((6, 2), 0, "even.*0"),
        ((6, 2), 4, r"head_dim=4.*\(6, 2\)"),
        ((), 2, r"\(\)"),
    ],
)
def test_refuses(move, shape: tuple[int, ...], head_dim: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        move(torch.zeros(shape), head_dim)
