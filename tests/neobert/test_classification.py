"""The classification heads: what they read, what they begin with, what they are taught by."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    Trainer,
    TrainingArguments,
)

from groundup.neobert.auto import register_auto_classes
from groundup.neobert.classification import (
    NeoBERTForSequenceClassification,
    NeoBERTForTokenClassification,
)
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM

exact = {"rtol": 1e-12, "atol": 1e-12}
TEXT, TOKEN = NeoBERTForSequenceClassification, NeoBERTForTokenClassification


@pytest.fixture(scope="module")
def model(model):
    return partial(model, noise=0.3, num_hidden_layers=2, num_labels=3)


def texts(lengths: list[int]) -> list[Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.randint(0, 50, (n,), generator=rng) for n in lengths]


def read(net, first: Tensor) -> Tensor:
    """The published head on the vectors of first tokens (…, D), from its weights."""
    w = net.state_dict()
    pooled = torch.tanh(first @ w["dense.weight"].T + w["dense.bias"])
    return pooled @ w["classifier.weight"].T + w["classifier.bias"]


# Weights.


def test_keys_and_shapes_of_the_heads(model):
    encoder = {f"model.{name}" for name in model(TEXT).model.state_dict()}
    text, token = model(TEXT).state_dict(), model(TOKEN).state_dict()
    heads = {
        "dense.weight": (24, 24),
        "dense.bias": (24,),
        "classifier.weight": (3, 24),
        "classifier.bias": (3,),
    }
    assert {name: tuple(text[name].shape) for name in text.keys() - encoder} == heads
    del heads["dense.weight"], heads["dense.bias"]
    assert {name: tuple(token[name].shape) for name in token.keys() - encoder} == heads
    assert encoder <= text.keys() & token.keys()


def test_the_published_head_has_two_classes_and_the_width_of_the_model():
    with torch.device("meta"):
        net = TEXT(NeoBERTConfig())
    head = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("model."))
    assert head == 768 * 768 + 768 + 2 * 768 + 2


@pytest.mark.parametrize("cls", [TEXT, TOKEN])
def test_a_head_begins_normal_and_the_encoder_uniform(cls):
    torch.manual_seed(0)
    net = cls(NeoBERTConfig(
        vocab_size=50, hidden_size=96, num_hidden_layers=1, num_attention_heads=3,
        intermediate_size=64, num_labels=20, initializer_range=0.05,
    ))  # fmt: skip
    maps = [net.classifier] + ([net.dense] if cls is TEXT else [])
    for each in maps:
        weight = each.weight.detach()
        assert float(weight.std()) == pytest.approx(0.05, rel=0.05)
        assert float(weight.abs().max()) > 0.1  # a normal's tail
        assert not each.bias.any()
    for name, parameter in net.model.named_parameters():
        assert "norm" in name or 0.04 < parameter.abs().max() <= 0.05, name


# What is read.


def test_the_first_token_is_read(model):
    net = model(TEXT)
    ids = torch.stack(texts([7, 7]))
    hidden = net.model(ids).last_hidden_state
    torch.testing.assert_close(net(ids).logits, read(net, hidden[:, 0]), **exact)


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any),
    side=st.sampled_from(["left", "right", "middle"]),
)
def test_padded_packed_and_separate_texts_agree(model, lengths, side):
    """The first real token is read, wherever it stands; a text of none is a vector of zeros."""
    net, own = model(TEXT), texts(lengths)
    expected = torch.stack([
        net(each[None]).logits[0] if len(each) else read(net, torch.zeros(24, dtype=torch.float64))
        for each in own
    ])  # fmt: skip
    ids, mask = torch.full((len(own), 7), 3), torch.zeros(len(own), 7)
    for row, each in enumerate(own):
        begin = {"left": 7 - len(each), "right": 0, "middle": 1}[side]
        ids[row, begin : begin + len(each)] = each
        mask[row, begin : begin + len(each)] = 1
    torch.testing.assert_close(net(ids, mask).logits, expected, **exact)
    additive = (1 - mask) * -1e9
    if mask.any(1).all():
        torch.testing.assert_close(net(ids, additive).logits, expected, **exact)
    ends = torch.tensor([0, *lengths]).cumsum(0)
    torch.testing.assert_close(net(torch.cat(own)[None], cu_seqlens=ends).logits, expected, **exact)


def test_every_token_is_read(model):
    net = model(TOKEN)
    ids, mask = torch.stack(texts([6, 6])), torch.tensor([[1] * 6, [0, 0, 1, 1, 1, 0]])
    hidden = net.model(ids, mask).last_hidden_state
    w = net.state_dict()
    expected = hidden @ w["classifier.weight"].T + w["classifier.bias"]
    torch.testing.assert_close(net(ids, mask).logits, expected, **exact)


def test_tokens_of_a_pack(model):
    net, own = model(TOKEN), texts([4, 2])
    together = net(torch.cat(own)[None], cu_seqlens=torch.tensor([0, 4, 6])).logits[0]
    torch.testing.assert_close(
        together, torch.cat([net(each[None]).logits[0] for each in own]), **exact
    )


@pytest.mark.parametrize("cls", [TEXT, TOKEN])
def test_dropout_is_read_and_only_trains(model, cls):
    ids = texts([6])[0][None]
    for share, differs in ((0.5, True), (0.0, False)):
        net = model(cls, classifier_dropout=share)
        assert torch.equal(net(ids).logits, net(ids).logits)
        net.train()
        assert torch.equal(net(ids).logits, net(ids).logits) != differs


# What they are taught by.


def mean_surprise(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the log of the right class's share, over the labelled rows."""
    losses = [
        -torch.log(row[label].exp() / row.exp().sum())
        for row, label in zip(logits.flatten(0, -2), labels.flatten().tolist(), strict=True)
        if label != -100
    ]
    return sum(losses) / len(losses)


ROWS = torch.arange(20).view(4, 5)


@pytest.mark.parametrize("kind", [None, "single_label_classification"])
def test_the_loss_of_classes(model, kind):
    net = model(TEXT, problem_type=kind)
    labels = torch.tensor([2, 0, 1, 1])
    output = net(ROWS, labels=labels)
    torch.testing.assert_close(output.loss, mean_surprise(output.logits, labels), **exact)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (None, torch.float64),  # whole numbers are classes where nothing else is said
        ("multi_label_classification", torch.float64),
        ("multi_label_classification", torch.float32),
        ("multi_label_classification", torch.long),
    ],
)
def test_the_loss_of_several_classes_at_once(model, kind, dtype):
    net = model(TEXT, problem_type=kind)
    labels = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]).to(dtype)
    output = net(ROWS, labels=labels)
    share = 1 / (1 + (-output.logits).exp())
    expected = -torch.where(labels == 1, share.log(), (1 - share).log()).mean()
    torch.testing.assert_close(output.loss, expected, **exact)


@pytest.mark.parametrize("kind", [None, "regression"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.long])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_the_loss_of_a_number(model, kind, dtype, shape):
    net = model(TEXT, num_labels=1, problem_type=kind)
    labels = torch.tensor([3, 1, 0, 5]).to(dtype)
    output = net(ROWS, labels=labels.view(shape))
    expected = ((output.logits[:, 0] - labels) ** 2).mean()
    torch.testing.assert_close(output.loss, expected, **exact)
    output.loss.backward()
    assert net.classifier.weight.grad.any()


def test_the_loss_of_several_numbers(model):
    net = model(TEXT, problem_type="regression")
    labels = torch.arange(12.0, dtype=torch.float64).view(4, 3)
    output = net(ROWS, labels=labels)
    torch.testing.assert_close(output.loss, ((output.logits - labels) ** 2).mean(), **exact)


@pytest.mark.parametrize("labels", [torch.tensor([2, 0]), torch.tensor([[1.0, 0, 1], [0, 1, 0]])])
def test_the_loss_in_bfloat16(model, labels):
    output = model(TEXT, dtype=torch.bfloat16)(ROWS[:2], labels=labels)
    assert output.loss.isfinite()
    output.loss.backward()


def test_the_loss_over_labelled_tokens(model):
    net = model(TOKEN)
    labels = torch.tensor([0, 1, 2, -100] * 5).view(4, 5)
    output = net(ROWS, labels=labels)
    torch.testing.assert_close(output.loss, mean_surprise(output.logits, labels), **exact)


def test_no_labelled_token_gives_zero_and_keeps_the_graph(model):
    net = model(TOKEN)
    loss = net(ROWS, labels=torch.full((4, 5), -100)).loss
    assert loss.item() == 0
    loss.backward()
    assert all(not p.grad.any() for p in net.parameters())


def test_accumulated_tokens_equal_the_full_batch(model):
    net = model(TOKEN)
    labels = torch.tensor([0, 1, 2, -100] * 5).view(4, 5)
    labels[0] = -100  # the halves have different numbers of labels
    whole = torch.autograd.grad(net(ROWS, labels=labels).loss, list(net.parameters()))
    count = (labels != -100).sum()
    parts = [
        torch.autograd.grad(
            net(ROWS[part], labels=labels[part], num_items_in_batch=count).loss,
            list(net.parameters()),
        )
        for part in (slice(0, 2), slice(2, 4))
    ]
    for full, *halves in zip(whole, *parts, strict=True):
        torch.testing.assert_close(sum(halves), full, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cls", [TEXT, TOKEN, NeoBERTForMaskedLM])
def test_transformers_trainer_runs_them(model, cls, tmp_path):
    """It gives ``num_items_in_batch`` to every forward that takes any name, unless it is told."""
    pytest.importorskip("accelerate")
    net = model(cls, dtype=torch.float32, classifier_dropout=0.0)
    label = torch.tensor(1) if cls is TEXT else ROWS[0] % 3
    examples = [{"input_ids": ids, "labels": label} for ids in ROWS]
    options = TrainingArguments(
        str(tmp_path),
        max_steps=1,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=4,
        max_grad_norm=0.0,
        optim="sgd",
        learning_rate=1.0,
        lr_scheduler_type="constant",
        use_cpu=True,
        disable_tqdm=True,
        report_to=[],
        save_strategy="no",
    )
    labels = label.expand(4) if cls is TEXT else label.expand(4, 5)
    slopes = torch.autograd.grad(net(ROWS, labels=labels).loss, list(net.parameters()))
    expected = [each - slope for each, slope in zip(net.parameters(), slopes, strict=True)]
    Trainer(net, options, train_dataset=examples).train()
    for each, wanted in zip(net.parameters(), expected, strict=True):  # a step on the full batch
        torch.testing.assert_close(each, wanted, rtol=1e-4, atol=1e-5)


# The rest of the interface.


@pytest.mark.parametrize("cls", [TEXT, TOKEN])
def test_tuples_states_and_weights(model, cls):
    ids = texts([6])[0][None]
    net = model(cls)
    output = net(ids, output_hidden_states=True, output_attentions=True)
    assert list(output) == ["logits", "hidden_states", "attentions"]
    (logits,) = net(ids, return_dict=False)
    torch.testing.assert_close(logits, output.logits, **exact)
    (by_configuration,) = model(cls, return_dict=False)(ids)
    assert torch.equal(by_configuration, logits)
    with pytest.raises(TypeError, match="atention_mask"):
        net(ids, atention_mask=ids)


@pytest.mark.parametrize(
    ("cls", "auto"),
    [(TEXT, AutoModelForSequenceClassification), (TOKEN, AutoModelForTokenClassification)],
)
def test_auto_classes(model, cls, auto, tmp_path):
    register_auto_classes()
    net = model(cls, dtype=torch.float32, problem_type=None)
    net.save_pretrained(tmp_path)
    loaded = auto.from_pretrained(tmp_path)
    assert type(loaded) is cls
    assert torch.equal(loaded(ROWS).logits, net(ROWS).logits)
    assert type(auto.from_config(net.config)) is cls


@pytest.mark.parametrize("cls", [TEXT, TOKEN])
def test_an_encoder_trained_by_masking_gets_a_new_head(model, cls, tmp_path):
    """transformers' loading onto the meta device leaves nothing uninitialised."""
    trained = model(NeoBERTForMaskedLM, dtype=torch.float32)
    trained.save_pretrained(tmp_path)
    loaded, report = cls.from_pretrained(tmp_path, num_labels=7, output_loading_info=True)
    new = {name for name in loaded.state_dict() if not name.startswith("model.")}
    assert set(report["missing_keys"]) == new
    assert set(report["unexpected_keys"]) == {"decoder.weight", "decoder.bias"}
    for name, each in loaded.model.state_dict().items():
        assert torch.equal(each, trained.model.state_dict()[name]), name
    assert loaded.classifier.weight.shape == (7, 24)
    assert not loaded.classifier.bias.any()
    assert 0.01 < float(loaded.classifier.weight.detach().std()) < 0.03
    assert loaded.training is False
    assert loaded(ROWS).logits.isfinite().all()


@pytest.mark.parametrize("cls", [TEXT, TOKEN])
def test_more_tokens_in_the_vocabulary(model, cls):
    net = model(cls)
    before = net(ROWS).logits
    net.resize_token_embeddings(60)
    assert net.config.vocab_size == 60
    assert torch.equal(net(ROWS).logits, before)
    assert net(torch.tensor([[59, 1]])).logits.isfinite().all()
