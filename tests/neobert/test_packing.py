"""Packed equals separate, padded equals packed, and nothing crosses from one text to another."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.neobert import backends

fast = settings(max_examples=10, deadline=None)
some_lengths = st.lists(st.integers(0, 6), min_size=1, max_size=4).filter(any)


@pytest.fixture(scope="module")
def model(model):
    return partial(model, dtype=torch.float32, num_hidden_layers=2)


def texts(lengths: list[int], seed: int = 0) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 50, (n,), generator=rng) for n in lengths]


def packed(own: list[Tensor]) -> dict[str, Tensor]:
    ends = [0]
    for text in own:
        ends.append(ends[-1] + len(text))
    return {"input_ids": torch.cat(own)[None], "cu_seqlens": torch.tensor(ends)}


def padded(own: list[Tensor], side: str, width: int = 8, fill: int = 7) -> dict[str, Tensor]:
    """Rows with padding on the left, on the right, or strewn in between."""
    ids = torch.full((len(own), width), fill)
    mask = torch.zeros(len(own), width, dtype=torch.long)
    for row, text in enumerate(own):
        indices = {
            "right": torch.arange(len(text)),
            "left": torch.arange(width - len(text), width),
            "between": torch.randperm(width)[: len(text)].sort().values,
        }[side]
        ids[row, indices], mask[row, indices] = text, 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.fixture(params=["eager", "by document", "padded"])
def backend(request, monkeypatch) -> str:
    """Each way a pack is run on a CPU that has a gradient; the second and third are SDPA's."""
    if request.param == "eager":
        return "eager"
    monkeypatch.setattr(backends, "_CALL", -1 if request.param == "by document" else float("inf"))
    return "sdpa"


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("changes", [{}, {"position_embedding_type": "absolute"}])
def test_packed_equals_separate(model, gradients, backend, dtype, limit, changes):
    """Logits and gradients; a text without a token and one of one token among them."""
    net = model(dtype=dtype, attn_implementation=backend, **changes)
    own = texts([5, 0, 1, 7])
    upstream = [torch.randn(len(text), 50, dtype=dtype) for text in own]

    logits = net(**packed(own)).logits[0]
    (logits * torch.cat(upstream)).sum().backward()
    together = gradients(net)
    separate = [net(text[None]).logits[0] for text in own if len(text)]
    for part, dy in zip(separate, [dy for dy in upstream if len(dy)], strict=True):
        (part * dy).sum().backward()
    apart = gradients(net)

    scale = float(logits.detach().abs().max())
    torch.testing.assert_close(logits, torch.cat(separate), rtol=0, atol=limit * scale)
    for name, gradient in together.items():
        largest = float(apart[name].abs().max())
        torch.testing.assert_close(gradient, apart[name], rtol=0, atol=limit * largest, msg=name)


@fast
@given(lengths=some_lengths, side=st.sampled_from(["left", "right", "between"]))
def test_padded_equals_packed(model, lengths, side):
    net = model(dtype=torch.float64)
    own = texts(lengths)
    batch = padded(own, side)
    rows = net(**batch).logits
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(rows[real], net(**packed(own)).logits[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("side", ["left", "right", "between"])
@fast
@given(lengths=some_lengths, seed=st.integers(0, 100))
def test_padding_changes_nothing(model, side, lengths, seed):
    """Not to the real tokens, wherever it stands; what it holds cannot be seen."""
    net = model(seed=seed)
    own = texts(lengths, seed)
    batch = padded(own, side)
    rows, real = net(**batch).logits, batch["attention_mask"].bool()
    for row, text in enumerate(own):
        if len(text):
            alone = net(text[None]).logits[0]
            torch.testing.assert_close(rows[row, real[row]], alone, rtol=0, atol=1e-5)
    other = batch | {"input_ids": torch.where(real, batch["input_ids"], 13)}
    assert torch.equal(net(**other).logits, rows)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_without_a_mask_is_read(model, side):
    net = model()
    own = texts([5, 3])
    batch = padded(own, side)
    real = batch["attention_mask"].bool()
    moved = net(batch["input_ids"]).logits - net(**batch).logits
    assert moved[real].abs().max() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("name", ["eager", "by document", "padded", "flex_attention"])
def test_editing_one_text_leaves_the_others_bit_for_bit(model, name, monkeypatch):
    if name in ("by document", "padded"):
        monkeypatch.setattr(backends, "_CALL", -1 if name == "by document" else float("inf"))
    named = {} if name in ("by document", "padded") else {"attn_implementation": name}
    net = model(max_length=64, **named)
    own = texts([5, 33, 1, 17])
    before = net(**packed(own)).logits[0].split([5, 33, 1, 17])
    own[1] = (own[1] + 1) % 50
    after = net(**packed(own)).logits[0].split([5, 33, 1, 17])
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [1, 0, 1, 1]


def test_nothing_flows_from_one_text_to_another(model):
    """The derivative of one text's output with respect to another's input is exactly zero."""
    net = model(dtype=torch.float64)
    own = texts([3, 4, 2])
    batch = packed(own)
    x = net.model.encoder(batch["input_ids"]).detach().requires_grad_()
    y = net.model(inputs_embeds=x, cu_seqlens=batch["cu_seqlens"]).last_hidden_state
    (dx,) = torch.autograd.grad(y[0, 3:7].square().sum(), x)
    assert dx[0, :3].eq(0).all()
    assert dx[0, 7:].eq(0).all()
    assert dx[0, 3:7].ne(0).any(-1).all()


def test_a_pack_of_one_equals_the_text(model):
    net = model(dtype=torch.float64)
    (text,) = texts([6])
    torch.testing.assert_close(
        net(**packed([text])).logits, net(text[None]).logits, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("bound", [6, 9, 32])
def test_max_seqlen_may_be_a_bound(model, bound, backend):
    net = model(dtype=torch.float64, attn_implementation=backend)
    batch = packed(texts([2, 6]))
    torch.testing.assert_close(
        net(**batch, max_seqlen=bound).logits, net(**batch).logits, rtol=1e-12, atol=1e-12
    )


# Masks.


FORMS = {
    "int": lambda mask: mask,
    "bool": lambda mask: mask.bool(),
    "uint8": lambda mask: mask.to(torch.uint8),
    "float": lambda mask: mask.float(),
    "bfloat16": lambda mask: mask.bfloat16(),
    "additive": lambda mask: (1.0 - mask.float()) * torch.finfo(torch.float32).min,
    "additive, infinite": lambda mask: torch.zeros(mask.shape).masked_fill(mask == 0, -torch.inf),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("side", ["left", "right", "between"])
def test_masks_of_every_form_agree(model, form, side):
    net = model()
    batch = padded(texts([8, 4, 0, 1]), side)
    expected = net(**batch).logits
    mask = FORMS[form](batch["attention_mask"])
    assert torch.equal(net(batch["input_ids"], mask).logits, expected)
    assert torch.equal(net(batch["input_ids"], mask[:, None, None]).logits, expected)


@pytest.mark.parametrize("form", FORMS)
def test_no_mask_equals_all_ones_bit_for_bit(model, form):
    net = model()
    ids = torch.stack(texts([8, 8]))
    ones = FORMS[form](torch.ones_like(ids))
    assert torch.equal(net(ids, ones).logits, net(ids).logits)


@pytest.mark.parametrize("empty", [[1], [0, 2], [0, 1, 2]])
def test_rows_without_a_token_are_zero_and_have_gradients(model, gradients, backend, empty):
    net = model(attn_implementation=backend)
    batch = padded(texts([8, 4, 6]), "right")
    batch["attention_mask"][empty] = 0
    others = [row for row in range(3) if row not in empty]
    hidden = net.model(**batch).last_hidden_state
    assert not hidden[empty].any()
    logits = net(**batch).logits
    assert logits.isfinite().all()
    if others:
        alone = net(**{name: each[others] for name, each in batch.items()}).logits
        torch.testing.assert_close(logits[others], alone, rtol=0, atol=1e-5)
    logits.sum().backward()
    assert all(gradient.isfinite().all() for gradient in gradients(net).values())


@pytest.mark.parametrize("form", ["int", "float"])
def test_a_batch_of_no_texts(model, form, backend):
    net = model(attn_implementation=backend)
    ids = torch.zeros(0, 5, dtype=torch.long)
    assert net(ids).logits.shape == (0, 5, 50)
    assert net(ids, FORMS[form](ids)).logits.shape == (0, 5, 50)


# Errors name what was wrong.


def test_the_longest_text_of_a_pack_counts(model):
    net = model(max_length=8)
    assert net(**packed(texts([8, 8, 8]))).logits.shape == (1, 24, 50)
    with pytest.raises(ValueError, match="max_length=8 tokens: got 9"):
        net(**packed(texts([2, 9])))
    with pytest.raises(ValueError, match="max_length=8 tokens: got 9"):
        net(torch.zeros(1, 9, dtype=torch.long))


def test_padding_beyond_the_maximum_does_not_count(model):
    net = model(max_length=8)
    own = texts([8, 3])
    rows = net(**padded(own, "right", width=12)).logits
    torch.testing.assert_close(rows[:1, :8], net(own[0][None]).logits, rtol=0, atol=1e-5)


def test_a_pack_with_a_mask_or_with_rows_is_refused(model):
    net = model()
    batch = packed(texts([2, 3]))
    for wrong in (
        {"attention_mask": torch.ones(1, 5)},
        {"input_ids": batch["input_ids"].repeat(2, 1)},
    ):
        with pytest.raises(ValueError, match="no attention_mask"):
            net(**(batch | wrong))


def test_cu_seqlens_that_do_not_fit_are_named(model):
    ids = torch.zeros(1, 5, dtype=torch.long)
    with pytest.raises(ValueError, match="rise from 0 to the 5 tokens"):
        model()(ids, cu_seqlens=torch.tensor([0, 2, 4]))


@pytest.mark.parametrize(("wrong", "named"), [(50, "got 50"), (-1, "got -1")])
def test_ids_out_of_range_are_named(model, wrong, named):
    with pytest.raises(ValueError, match=f"input_ids must lie in 0 to 49: {named}"):
        model()(torch.tensor([[3, wrong]]))


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({}, "either input_ids or inputs_embeds"),
        (
            {"input_ids": torch.zeros(1, 2).long(), "inputs_embeds": torch.zeros(1, 2, 24)},
            "either input_ids or inputs_embeds",
        ),
        ({"input_ids": torch.zeros(3).long()}, r"\(B, T\), T at least 1: got \(3,\)"),
        ({"input_ids": torch.zeros(3, 0).long()}, r"\(B, T\), T at least 1: got \(3, 0\)"),
        ({"inputs_embeds": torch.zeros(1, 2, 23)}, r"\(B, T, 24\).*got \(1, 2, 23\)"),
        ({"inputs_embeds": torch.zeros(2, 24)}, r"\(B, T, 24\).*got \(2, 24\)"),
        ({"inputs_embeds": torch.zeros(2, 0, 24)}, r"T at least 1: got \(2, 0, 24\)"),
    ],
)
def test_inputs_of_another_form_are_named(model, inputs, named):
    with pytest.raises(ValueError, match=named):
        model().model(**inputs)
