"""NeoBERT against an independent transcription of its forward pass, and its published shape."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.neobert.attention import split_qkv
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel
from groundup.neobert.rope import rope_tables


@pytest.fixture(scope="module")
def model(model):
    return partial(model, dtype=torch.float32)


def padded_batch(vocabulary: int = 50) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, vocabulary, (3, 9), generator=generator)
    mask = torch.arange(9) < torch.tensor([[9], [4], [6]])
    return ids, mask.long()


# An independent oracle: the published forward pass, written from its description.


def published_forward(
    weights: dict[str, Tensor], ids: Tensor, mask: Tensor, heads: int, eps: float
) -> Tensor:
    """Logits from a published state dict: complex rotations, softmax and norms by formula."""

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * weight

    def turn(x: Tensor) -> Tensor:  # (B, L, H, K)
        half = x.shape[-1] // 2
        frequency = 10000.0 ** (-2 * torch.arange(half, dtype=x.dtype) / x.shape[-1])
        angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * frequency
        pairs = torch.complex(x[..., ::2].contiguous(), x[..., 1::2].contiguous())
        turned = pairs * torch.exp(1j * angle)[:, None, :]
        return torch.view_as_real(turned).reshape(x.shape)

    x = weights["model.encoder.weight"][ids]
    batch, length, width = x.shape
    layers = len([key for key in weights if key.endswith(".qkv.weight")])
    for i in range(layers):
        w = {
            key.split(f"transformer_encoder.{i}.")[1]: value
            for key, value in weights.items()
            if f"transformer_encoder.{i}." in key
        }
        qkv = norm(x, w["attention_norm.weight"]) @ w["qkv.weight"].T
        q, k, v = qkv.view(batch, length, heads, -1).split(width // heads, dim=-1)
        scores = torch.einsum("bihk,bjhk->bhij", turn(q), turn(k)) / (width // heads) ** 0.5
        scores = scores.masked_fill(mask[:, None, None, :] == 0, float("-inf"))
        shares = scores.exp() / scores.exp().sum(-1, keepdim=True)
        mixed = torch.einsum("bhij,bjhk->bihk", shares, v).reshape(batch, length, width)
        x = x + mixed @ w["wo.weight"].T
        both = norm(x, w["ffn_norm.weight"]) @ w["ffn.w12.weight"].T
        gate, value = both[..., : both.shape[-1] // 2], both[..., both.shape[-1] // 2 :]
        x = x + (gate * torch.sigmoid(gate) * value) @ w["ffn.w3.weight"].T
    x = norm(x, weights["model.layer_norm.weight"])
    return x @ weights["decoder.weight"].T + weights["decoder.bias"]


def test_equal_to_the_published_forward(model):
    net = model(dtype=torch.float64)
    ids, mask = padded_batch()
    expected = published_forward(net.state_dict(), ids, mask, 3, net.config.norm_eps)
    logits = net(ids, mask).logits
    real = mask.bool()
    torch.testing.assert_close(logits[real], expected[real], rtol=1e-10, atol=1e-10)


def test_the_oracle_sees_a_cut_in_thirds(model, monkeypatch):
    def thirds(qkv, heads):
        return tuple(p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in qkv.chunk(3, -1))

    net = model(dtype=torch.float64)
    ids, mask = padded_batch()
    expected = published_forward(net.state_dict(), ids, mask, 3, net.config.norm_eps)
    monkeypatch.setattr("groundup.neobert.cpu_kernels.PLAIN", True)
    monkeypatch.setattr("groundup.neobert.cpu_kernels.split_qkv", thirds)
    assert (net(ids, mask).logits - expected).abs().max() > 0.1


# The published shape.


@pytest.fixture(scope="module")
def published() -> NeoBERTForMaskedLM:
    with torch.device("meta"):
        return NeoBERTForMaskedLM(NeoBERTConfig())


def test_published_keys_and_shapes(published):
    expected = {
        "model.encoder.weight": (30522, 768),
        "model.layer_norm.weight": (768,),
        "decoder.weight": (30522, 768),
        "decoder.bias": (30522,),
    }
    for i in range(28):
        layer = f"model.transformer_encoder.{i}"
        expected |= {
            f"{layer}.qkv.weight": (2304, 768),
            f"{layer}.wo.weight": (768, 768),
            f"{layer}.ffn.w12.weight": (4096, 768),
            f"{layer}.ffn.w3.weight": (768, 2048),
            f"{layer}.attention_norm.weight": (768,),
            f"{layer}.ffn_norm.weight": (768,),
        }
    assert len(expected) == 172
    state = published.state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_published_number_of_parameters(published):
    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(published) == 245_136_954
    assert count(published.model) == 221_665_536
    assert count(published.model.transformer_encoder) == 198_223_872
    assert count(published.decoder) == 23_471_418


@pytest.mark.parametrize(("intermediate", "hidden"), [(3072, 2048), (64, 48), (12, 8), (13, 8)])
def test_swiglu_size(intermediate, hidden):
    assert NeoBERTConfig(intermediate_size=intermediate).swiglu_size == hidden


def test_fresh_weights_are_in_range(small):
    torch.manual_seed(0)
    net = NeoBERTForMaskedLM(small(initializer_range=0.05))
    for name, parameter in net.named_parameters():
        if "norm" in name:
            assert (parameter == 1).all(), name
        elif name == "decoder.bias":
            assert (parameter == 0).all(), name
        else:
            assert 0.045 < parameter.abs().max() <= 0.05, name


def test_embedding_std(small):
    torch.manual_seed(0)
    net = NeoBERTForMaskedLM(small(vocab_size=2000, embedding_std=0.7))
    assert net.model.encoder.weight.std().item() == pytest.approx(0.7, rel=0.02)


def test_zero_residual_is_the_identity_up_to_the_final_norm(small):
    torch.manual_seed(0)
    net = NeoBERTModel(small(zero_residual=True)).double()
    ids, mask = padded_batch()
    x = net.encoder(ids)
    expected = x / (x.pow(2).mean(-1, keepdim=True) + net.config.norm_eps).sqrt()
    expected = expected * mask[..., None]  # padding comes back as zeros
    torch.testing.assert_close(net(ids, mask).last_hidden_state, expected, rtol=1e-12, atol=0)
    y = NeoBERTModel(small()).double()(ids, mask).last_hidden_state
    assert not torch.allclose(y, expected, rtol=1e-3)


# Rotary positions.


def test_a_layer_moved_along_the_positions(model):
    net = model(dtype=torch.float64)
    layer = net.model.transformer_encoder[0]
    x = torch.randn(2, 6, 24, dtype=torch.float64)
    tables = [rope_tables(torch.arange(p, p + 6).double(), 8, 10000.0) for p in (0, 20)]
    first, moved = (layer(x, each)[0] for each in tables)
    torch.testing.assert_close(moved, first, rtol=1e-12, atol=1e-12)


def test_order_matters(model):
    net = model(dtype=torch.float64)
    ids = torch.tensor([[1, 2, 3, 4]])
    swapped = net(ids[:, [1, 0, 2, 3]]).logits[:, [1, 0, 2, 3]]
    assert (swapped - net(ids).logits).abs().max() > 1e-3


# Masks.


@settings(max_examples=10, deadline=None)
@given(pads=st.integers(1, 12), seed=st.integers(0, 100))
def test_padding_invariance(model, pads, seed):
    net = model(seed=seed)
    ids = torch.randint(0, 50, (2, 7), generator=torch.Generator().manual_seed(seed))
    longer = F.pad(ids, (0, pads), value=0)
    mask = F.pad(torch.ones_like(ids), (0, pads))
    torch.testing.assert_close(net(longer, mask).logits[:, :7], net(ids).logits, rtol=0, atol=1e-5)


def test_what_stands_in_the_padding_does_not_matter(model):
    net = model(dtype=torch.float64)
    ids, mask = padded_batch()
    other = torch.where(mask.bool(), ids, 49 - ids)
    real = mask.bool()
    assert torch.equal(net(ids, mask).logits[real], net(other, mask).logits[real])


def test_unmasked_padding_moves_real_tokens(model):
    net = model()
    ids = torch.randint(0, 50, (2, 7), generator=torch.Generator().manual_seed(0))
    moved = net(F.pad(ids, (0, 5), value=0)).logits[:, :7]
    assert (moved - net(ids).logits).abs().max() > 1e-2


def test_no_mask_equals_all_ones(model):
    net = model(dtype=torch.float64)
    ids, _ = padded_batch()
    torch.testing.assert_close(
        net(ids).logits, net(ids, torch.ones_like(ids)).logits, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32, torch.uint8])
def test_masks_of_any_type_agree(model, dtype):
    net = model()
    ids, mask = padded_batch()
    assert torch.equal(net(ids, mask.to(dtype)).logits, net(ids, mask).logits)


def test_fully_masked_rows_stay_finite_and_leave_the_others(model):
    net = model()
    ids, mask = padded_batch()
    alone = net(ids[:2], mask[:2]).logits
    mask[2] = 0
    logits = net(ids, mask).logits
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[:2], alone, rtol=0, atol=1e-5)
    logits.sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_split_qkv_reads_head_by_head():
    q, k, v = split_qkv(torch.arange(2 * 3 * 5).view(1, 1, 30), heads=2)
    assert q.shape == k.shape == v.shape == (1, 2, 1, 5)
    for head in range(2):
        for offset, part in ((0, q), (5, k), (10, v)):
            start = 15 * head + offset
            assert part[0, head, 0].tolist() == list(range(start, start + 5))


# Other ways to run it.


def test_bfloat16_stays_near_float32(model):
    net = model()
    ids, mask = padded_batch()
    expected = net(ids, mask).logits
    with torch.autocast("cpu", torch.bfloat16):
        mixed = net(ids, mask).logits.float()
    half = net.bfloat16()(ids, mask).logits.float()
    for logits in (mixed, half):  # eight bits of mantissa, through three layers
        assert (logits - expected).norm() / expected.norm() < 0.03


def test_token_type_ids_and_other_extras_are_ignored(model):
    net = model()
    ids, mask = padded_batch()
    extras = {"token_type_ids": torch.zeros_like(ids), "return_dict": True}
    assert torch.equal(
        net(input_ids=ids, attention_mask=mask, **extras).logits, net(ids, mask).logits
    )


def test_embeddings_can_be_read_and_replaced(model):
    net = model()
    assert net.get_input_embeddings() is net.model.encoder
    assert net.get_output_embeddings() is net.decoder
    net.resize_token_embeddings(60)
    assert net.model.encoder.weight.shape == net.decoder.weight.shape == (60, 24)
    assert net(torch.tensor([[59, 1]])).logits.shape == (1, 2, 60)


# The loss.


def labelled() -> tuple[Tensor, Tensor, Tensor]:
    ids, mask = padded_batch()
    chosen = (torch.rand(ids.shape, generator=torch.Generator().manual_seed(2)) < 0.5) & mask.bool()
    return ids, mask, ids.masked_fill(~chosen, -100)


def test_loss_is_the_mean_over_labelled_tokens(model):
    net = model(dtype=torch.float64)
    ids, mask, labels = labelled()
    chosen = labels != -100
    surprise = -net(ids, mask).logits.log_softmax(-1)[chosen]
    expected = surprise.gather(-1, labels[chosen][:, None]).mean()
    torch.testing.assert_close(net(ids, mask, labels).loss, expected, rtol=1e-12, atol=0)


def test_sparse_prediction_equals_the_full_loss(gradients, model):
    ids, mask, labels = labelled()
    full, sparse = (model(dtype=torch.float64, sparse_prediction=s) for s in (False, True))
    outputs = full(ids, mask, labels), sparse(ids, mask, labels)
    for output in outputs:
        output.loss.backward()
    torch.testing.assert_close(outputs[1].loss, outputs[0].loss, rtol=1e-12, atol=0)
    assert outputs[1].logits.shape == (int((labels != -100).sum()), 50)
    torch.testing.assert_close(outputs[1].logits, outputs[0].logits[labels != -100])
    expected = gradients(full)
    for name, gradient in gradients(sparse).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
def test_nothing_masked_gives_zero_and_keeps_the_graph(model, gradients, sparse):
    net = model(sparse_prediction=sparse)
    ids, mask = padded_batch()
    loss = net(ids, mask, torch.full_like(ids, -100)).loss
    assert loss.item() == 0
    loss.backward()
    assert all((gradient == 0).all() for gradient in gradients(net).values())


@pytest.mark.parametrize("sparse", [False, True])
def test_accumulation_equals_the_full_batch(model, gradients, sparse):
    net = model(sparse_prediction=sparse)
    ids, mask, labels = labelled()
    assert len({int((row != -100).sum()) for row in labels}) > 1  # unequal counts
    net(ids, mask, labels).loss.backward()
    expected = gradients(net)
    count = (labels != -100).sum()
    for part in (slice(0, 1), slice(1, 3)):
        net(ids[part], mask[part], labels[part], num_items_in_batch=count).loss.backward()
    for name, gradient in gradients(net).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-6, atol=1e-6)


# Errors name what was wrong.


def test_a_sequence_over_the_maximum_is_named(model):
    with pytest.raises(ValueError, match="max_length=32 tokens: got 33"):
        model()(torch.zeros(1, 33, dtype=torch.long))


@pytest.mark.parametrize("shape", [(2, 4), (1, 5), (2, 1, 5), (5,)])
def test_a_mask_of_another_shape_is_named(model, shape):
    with pytest.raises(ValueError, match=r"attention_mask must be \(B, T\) = \(2, 5\): got"):
        model()(torch.zeros(2, 5, dtype=torch.long), torch.ones(shape))


def test_heads_that_do_not_divide_the_width_are_named(small):
    with pytest.raises(ValueError, match="must divide hidden_size: got hidden_size=24, heads=5"):
        small(num_attention_heads=5)


@pytest.mark.parametrize("changes", [{"num_attention_heads": 8}, {"head_dim": 7}])
def test_an_odd_head_width_is_named(small, changes):
    with pytest.raises(ValueError, match=r"head_dim must be even.*got [37]"):
        small(**changes)


def test_a_width_that_does_not_split_is_named():
    with pytest.raises(ValueError, match="multiple of 3·heads: got 20 for 2 heads"):
        split_qkv(torch.zeros(1, 1, 20), 2)
