"""Blocks that keep their input alone and run once more in the backward pass."""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from groundup.neobert.decoder import NeoDecoderForCausalLM
from groundup.neobert.modeling import NeoBERTForMaskedLM

KINDS = (NeoBERTForMaskedLM, NeoDecoderForCausalLM)
every_kind = pytest.mark.parametrize("kind", KINDS)
EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(scope="module")
def training(model):
    """Makes a small model in training."""
    return lambda kind, layers=3: model(kind, num_hidden_layers=layers).train()


@pytest.fixture(scope="module")
def recomputing(training):
    """Makes the same model, whose blocks run again in the backward pass."""

    def make(kind):
        net = training(kind)
        net.activation_checkpointing_enable()
        return net

    return make


def batch(layout: str = "uniform") -> dict[str, Tensor]:
    ids = torch.randint(0, 50, (4, 9), generator=torch.Generator().manual_seed(1))
    if layout == "padded":  # on the right, on the left, nowhere
        place = torch.arange(9)
        mask = torch.stack([place < 7, place >= 5, place >= 3, place >= 0])
        return {"input_ids": ids, "attention_mask": mask.long()}
    if layout == "packed":
        return {"input_ids": ids.view(1, -1), "cu_seqlens": torch.tensor([0, 5, 5, 6, 36])}
    return {"input_ids": ids}


def blocks_run(net: PreTrainedModel) -> list[int]:
    """The numbers of the blocks that run from now on, in order."""
    runs: list[int] = []
    for index, block in enumerate(net.model.transformer_encoder):
        block.attention_norm.register_forward_pre_hook(lambda *_, index=index: runs.append(index))
    return runs


def trained(net: PreTrainedModel, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and gradients of one step."""
    made = net(**inputs, labels=inputs["input_ids"])
    made.loss.backward()
    return made.logits, {name: p.grad for name, p in net.named_parameters()}


@every_kind
@pytest.mark.parametrize("layout", ["uniform", "padded", "packed"])
def test_it_changes_nothing_but_the_memory(recomputing, training, kind, layout):
    net = recomputing(kind)
    runs = blocks_run(net)
    expected = trained(training(kind), batch(layout))
    received = trained(net, batch(layout))
    assert runs == [0, 1, 2, 2, 1, 0]  # each ran again in the backward pass
    torch.testing.assert_close(received, expected, **EXACT)
    net.eval()(**batch(layout))
    assert runs[6:] == [0, 1, 2]  # not in evaluation


@every_kind
@pytest.mark.parametrize(("every", "again"), [(1, [4, 3, 2, 1, 0]), (2, [4, 2, 0]), (3, [3, 0])])
def test_every_so_many_layers_run_again(training, kind, every, again):
    net = training(kind, layers=5)
    net.activation_checkpointing_enable(every_n_layers=every)
    runs = blocks_run(net)
    received = trained(net, batch())
    assert runs == [0, 1, 2, 3, 4, *again]
    torch.testing.assert_close(received, trained(training(kind, layers=5), batch()), **EXACT)
    net.activation_checkpointing_disable()
    runs.clear()
    trained(net, batch())
    assert runs == [0, 1, 2, 3, 4]


@every_kind
def test_weights_may_be_asked_for(training, recomputing, kind):
    inputs = batch("padded")
    expected = training(kind)(**inputs, output_attentions=True).attentions
    received = recomputing(kind)(**inputs, output_attentions=True).attentions
    torch.testing.assert_close(received, expected, **EXACT)


def test_a_decoder_refuses_a_cache_that_would_grow_twice(recomputing):
    net = recomputing(NeoDecoderForCausalLM)
    with pytest.raises(ValueError, match="use_cache=False"):
        net(**batch(), use_cache=True)


def test_without_a_backward_pass_a_decoder_may_cache(recomputing, training):
    """Samples can be drawn between two training steps."""
    ids = batch()["input_ids"]
    expected = training(NeoDecoderForCausalLM).generate(ids, max_new_tokens=4)
    net = recomputing(NeoDecoderForCausalLM)
    runs = blocks_run(net)
    assert torch.equal(net.generate(ids, max_new_tokens=4), expected)
    assert runs == [0, 1, 2] * 4
