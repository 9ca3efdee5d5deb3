"""What a pass can return beside its last layer, and the other ways to run one."""

import pytest
import torch
from torch import Tensor

from groundup.neobert.attention import split_qkv
from groundup.neobert.block import NeoBERTLayer
from groundup.neobert.losses import IGNORE, token_loss
from groundup.neobert.modeling import NeoBERTForMaskedLM
from groundup.neobert.rope import rope_tables, rotate_pairs

exact = {"rtol": 1e-12, "atol": 1e-12}
ENDS = torch.tensor([0, 5, 5, 6, 13])


def padded_batch() -> tuple[Tensor, Tensor]:
    """Padding on the right, on the left, in between, everywhere."""
    ids = torch.randint(0, 50, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(4, 9, dtype=torch.long)
    mask[0, :7] = mask[1, 5:] = mask[2, ::2] = 1
    return ids, mask


def pack() -> dict[str, Tensor]:
    ids = torch.randint(0, 50, (1, 13), generator=torch.Generator().manual_seed(2))
    return {"input_ids": ids, "cu_seqlens": ENDS}


# Hidden states.


@pytest.mark.parametrize("changes", [{}, {"position_embedding_type": "absolute"}], ids=str)
def test_hidden_states_are_the_stream_and_the_output_last(model, changes):
    """transformers' order: the embeddings, each block's result, the last of them after the norm."""
    net = model(**changes)
    ids, _ = padded_batch()
    blocks = []
    for layer in net.model.transformer_encoder:
        layer.register_forward_hook(lambda module, inputs, output: blocks.append(output[0]))
    output = net.model(ids, output_hidden_states=True)
    states = output.hidden_states
    assert len(states) == net.config.num_hidden_layers + 1
    embedded = net.model.encoder.weight[ids]
    if changes:
        embedded = embedded + net.model.positions.weight[:9]
    assert torch.equal(states[0], embedded)
    for state, block in zip(states[1:-1], blocks[:-1], strict=True):
        assert torch.equal(state, block)
    assert torch.equal(states[-1], output.last_hidden_state)
    assert torch.equal(states[-1], net.model.layer_norm(blocks[-1]))


def test_hidden_states_of_padded_and_packed_texts(model):
    net = model()
    ids, mask = padded_batch()
    states = net(ids, mask, output_hidden_states=True).hidden_states
    for row in range(3):
        real = mask[row].bool()
        alone = net(ids[row, real][None], output_hidden_states=True).hidden_states
        for state, own in zip(states, alone, strict=True):
            torch.testing.assert_close(state[row, real], own[0], **exact)
            assert not state[row, ~real].any()
    batch = pack()
    states = net(**batch, output_hidden_states=True).hidden_states
    alone = net(batch["input_ids"][:, 6:], output_hidden_states=True).hidden_states
    for state, own in zip(states, alone, strict=True):
        torch.testing.assert_close(state[:, 6:], own, **exact)


# Attention weights.


def mixed_again(net, state: Tensor, weights: Tensor, index: int) -> Tensor:
    """One block from its input (T, D) and its weights (H, T, T): what the next state must be."""
    block: NeoBERTLayer = net.model.transformer_encoder[index]
    values = split_qkv(block.qkv(block.attention_norm(state[None])), 3)[2][0]
    x = state + block.wo((weights @ values).transpose(0, 1).flatten(1))
    return x + block.ffn(block.ffn_norm(x))


@pytest.mark.parametrize("changes", [{}, {"local_attention": 4}], ids=str)
def test_attentions_are_the_weights_that_were_used(model, changes):
    net = model(**changes)
    ids, mask = padded_batch()
    output = net.model(ids, mask, output_attentions=True, output_hidden_states=True)
    assert len(output.attentions) == net.config.num_hidden_layers
    states = output.hidden_states
    for index, weights in enumerate(output.attentions):
        assert weights.shape == (4, 3, 9, 9)
        for row in range(4):
            real = mask[row].bool()
            shares = weights[row]
            torch.testing.assert_close(
                shares.sum(-1), real.double().expand(3, 9), **exact
            )  # one at a token, none at padding
            assert not shares[:, :, ~real].any()
            if index < 2 and real.any():
                again = mixed_again(
                    net, states[index][row, real], shares[:, real][..., real], index
                )
                torch.testing.assert_close(again, states[index + 1][row, real], **exact)
    plain = net.model(ids, mask).last_hidden_state
    torch.testing.assert_close(output.last_hidden_state, plain, **exact)


def test_the_first_layers_weights_by_formula(model):
    net = model()
    ids, _ = padded_batch()
    block = net.model.transformer_encoder[0]
    x = block.attention_norm(net.model.encoder.weight[ids])
    q, k, _ = (x @ block.qkv.weight.T).view(4, 9, 3, 3, 8).permute(3, 0, 2, 1, 4)
    cos, sin = rope_tables(torch.arange(9).double(), 8, 10000.0)
    q, k = rotate_pairs(q, cos, sin), rotate_pairs(k, cos, sin)
    expected = (q @ k.mT / 8**0.5).softmax(-1)
    received = net.model(ids, output_attentions=True).attentions[0]
    torch.testing.assert_close(received, expected, **exact)


def test_attentions_of_a_pack_are_block_diagonal(model):
    net = model()
    batch = pack()
    attentions = net(**batch, output_attentions=True).attentions
    of = torch.tensor([0] * 5 + [2] + [3] * 7)
    same = of[:, None] == of
    alone = net(batch["input_ids"][:, 6:], output_attentions=True).attentions
    for weights, own in zip(attentions, alone, strict=True):
        assert weights.shape == (1, 3, 13, 13)
        assert torch.equal(weights != 0, same.expand(1, 3, 13, 13))
        torch.testing.assert_close(weights[:, :, 6:, 6:], own, **exact)


def test_attentions_have_gradients(model):
    net = model()
    ids, mask = padded_batch()
    net(ids, mask, output_attentions=True).attentions[1].square().sum().backward()
    assert net.model.transformer_encoder[1].qkv.weight.grad.any()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


# How it is asked for.


def test_nothing_is_returned_unasked(model):
    output = model()(padded_batch()[0])
    assert list(output) == ["logits"]


@pytest.mark.parametrize("name", ["hidden_states", "attentions"])
def test_the_configuration_asks_too_and_an_argument_wins(model, name):
    net = model(**{f"output_{name}": True})
    ids, mask = padded_batch()
    asked = net(ids, mask)
    assert list(asked) == ["logits", name]
    assert len(asked[name]) == (4 if name == "hidden_states" else 3)
    assert list(net(ids, mask, **{f"output_{name}": False})) == ["logits"]


@pytest.mark.parametrize("name", ["hidden_states", "attentions"])
def test_a_configuration_that_asks_can_be_saved(model, name, tmp_path):
    net = model(**{f"output_{name}": True})
    net.save_pretrained(tmp_path)
    loaded = NeoBERTForMaskedLM.from_pretrained(tmp_path)
    assert name in loaded(padded_batch()[0])


def test_tuples_in_place_of_names(model):
    net = model()
    ids, mask = padded_batch()
    named = net(ids, mask, ids, output_hidden_states=True)
    loss, logits, states = net(ids, mask, ids, output_hidden_states=True, return_dict=False)
    assert torch.equal(loss, named.loss)
    assert torch.equal(logits, named.logits)
    assert len(states) == 4
    (hidden,) = net.model(ids, mask, return_dict=False)
    assert torch.equal(hidden, named.hidden_states[-1])
    (by_configuration,) = model(return_dict=False)(ids, mask)
    assert torch.equal(by_configuration, named.logits)


@pytest.mark.parametrize("wrong", ["output_hidden_state", "attention_masks", "position_ids"])
def test_a_misspelt_argument_is_refused(model, wrong):
    net = model()
    for each in (net, net.model):
        with pytest.raises(TypeError, match=wrong):
            each(padded_batch()[0], **{wrong: True})


# Other inputs.


def test_embedded_tokens_equal_their_ids(model):
    net = model()
    ids, mask = padded_batch()
    embedded = net.model.encoder(ids)
    assert torch.equal(net(inputs_embeds=embedded).logits, net(ids).logits)
    assert torch.equal(
        net(inputs_embeds=embedded, attention_mask=mask).logits, net(ids, mask).logits
    )
    batch = pack()
    embedded = net.model.encoder(batch["input_ids"])
    assert torch.equal(net(inputs_embeds=embedded, cu_seqlens=ENDS).logits, net(**batch).logits)


def test_token_types_are_taken_and_not_used(model):
    net = model()
    ids, mask = padded_batch()
    assert torch.equal(net(ids, mask, token_type_ids=ids).logits, net(ids, mask).logits)


# The loss in half precision.


def test_the_sum_of_many_losses_is_no_float16():
    logits = torch.zeros(30_000, 4, dtype=torch.float16)
    logits[:, 0] = 10
    loss = token_loss(logits, torch.ones(30_000, dtype=torch.long))  # 300,000 nats in all
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_of_small_types_are_classes(model, dtype):
    """In uint8 the number -100 is 156, which is a class here; torch's loss of int64 decides."""
    logits = torch.randn(4, 200, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([156, 3, 199, 156])
    expected = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(token_loss(logits, labels.to(dtype)), expected)
    for sparse in (False, True):
        net = model(vocab_size=200, sparse_prediction=sparse)
        ids = labels[None]
        whole, small = (net(ids, labels=each).loss for each in (ids, ids.to(dtype)))
        torch.testing.assert_close(small, whole, rtol=0, atol=0)
    assert int((labels.to(torch.uint8) == IGNORE).sum()) == 2  # what makes the difference


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_labels_are_integers(dtype):
    with pytest.raises(ValueError, match="labels must be integers"):
        token_loss(torch.zeros(2, 3), torch.ones(2).to(dtype))
