"""The evaluator against models whose surprise is known, and against plain loops."""

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from groundup.data.tokenizer import train_tokenizer
from groundup.lab.records import Record, query
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.decoder import NeoDecoderForCausalLM
from groundup.neobert.decoder_configuration import NeoDecoderConfig
from groundup.neobert.generation import generate_text
from groundup.neobert.modeling import NeoBERTForMaskedLM
from groundup.neobert.perplexity import PerplexityEvaluator

TEXTS = [
    "The cat sat on the mat.",
    "",
    "Größe und Maß, in Bytes gezählt: “täglich”.",
    "One day the little fox found a red kite behind the old mill, and took it home.",
]
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SHAPE |= {"intermediate_size": 24, "max_length": 64, "initializer_range": 0.3}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS * 3, vocab_size=300, max_length=64)


@pytest.fixture(scope="module")
def causal(tokenizer) -> NeoDecoderForCausalLM:
    torch.manual_seed(0)
    ends = {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
    config = NeoDecoderConfig(vocab_size=300, num_key_value_heads=1, **ends, **SHAPE)
    return NeoDecoderForCausalLM(config).eval()


@pytest.fixture(scope="module")
def masked() -> NeoBERTForMaskedLM:
    torch.manual_seed(0)
    return NeoBERTForMaskedLM(NeoBERTConfig(vocab_size=300, **SHAPE)).eval()


def rows(count: int, longest: int, size: int = 300, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(4, size, (n,), generator=generator).tolist() for n in lengths]


class Known(nn.Module):
    """A causal model that gives each next token its probability, whatever came before."""

    def __init__(self, probabilities: list[float], length: int = 8) -> None:
        super().__init__()
        self.log_p = nn.Parameter(torch.tensor(probabilities, dtype=torch.float64).log())
        self.config = SimpleNamespace(max_length=length)
        self.seen: list[tuple[Tensor, Tensor]] = []

    device = torch.device("cpu")

    def can_generate(self) -> bool:
        return True

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        self.seen.append((input_ids, attention_mask))
        return SimpleNamespace(logits=self.log_p.expand(*input_ids.shape, -1))


# Against what is known


def test_the_loss_of_a_model_whose_probabilities_are_known():
    found = PerplexityEvaluator(Known([0.5, 0.25, 0.125, 0.125])).evaluate([[3, 0, 1], [2, 2], [1]])
    assert found.counts == (2, 1, 0)  # the first of a row is predicted from nothing
    log2 = math.log(2)
    assert found.nats == pytest.approx((3 * log2, 3 * log2, 0))
    assert found.tokens == 3
    assert found.loss == pytest.approx(2 * log2)
    assert found.perplexity == pytest.approx(4)
    assert found.bits_per_byte is None
    assert found.context is None


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_every_token_is_counted_once_with_the_context_that_was_said(data):
    window = data.draw(st.integers(2, 9))
    stride = data.draw(st.integers(1, window - 1))
    length = data.draw(st.integers(2, 40))
    model = Known([1 / 50] * 50, window)
    found = PerplexityEvaluator(model, stride=stride, batch_tokens=1).evaluate(
        [list(range(length))]
    )
    assert found.counts == (length - 1,)
    assert found.nats[0] == pytest.approx((length - 1) * math.log(50))
    assert found.context == (window - stride if length > window else None)
    assert all(ids.shape[1] <= window for ids, _ in model.seen)
    # The ids are the places: each window is a run of them, and the last reaches the end.
    begins = sorted(int(ids[0, 0]) for ids, _ in model.seen)
    assert begins == [i * stride for i in range(len(begins))]
    assert max(int(ids.max()) for ids, _ in model.seen) == length - 1


def test_long_texts_equal_a_loop_over_their_windows(causal):
    [text] = rows(1, 40, seed=3)
    text = (text * 20)[:50]
    found = PerplexityEvaluator(causal, max_length=12, stride=5).evaluate([text])
    assert found.context == 7
    total = 0.0
    for place in range(1, 50):
        begin = 0 if place < 12 else 5 * math.ceil((place - 11) / 5)  # the first that holds it
        logits = causal(torch.tensor([text[begin:place]])).logits[0, -1]
        total -= float(logits.detach().log_softmax(-1)[text[place]])
    assert found.nats[0] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_neither_batches_nor_padding_change_the_result(kind, request, tokenizer):
    model = request.getfixturevalue(kind)
    texts = rows(12, 20)
    one = PerplexityEvaluator(model, tokenizer, batch_tokens=1, rounds=3).evaluate(texts)
    for batch_tokens in (50, 10_000):
        found = PerplexityEvaluator(model, tokenizer, batch_tokens=batch_tokens, rounds=3).evaluate(
            texts
        )
        assert found.counts == one.counts
        assert found.nats == pytest.approx(one.nats, rel=1e-6)


def test_batches_hold_what_they_may():
    model = Known([0.25] * 4)
    texts = [[0, 1, 2]] * 5 + [[1, 2]] * 4 + [[3]]
    PerplexityEvaluator(model, batch_tokens=6).evaluate(texts)
    shapes = Counter(tuple(ids.shape) for ids, _ in model.seen)
    assert shapes == {(2, 3): 3, (3, 2): 1}
    mixed = next(mask for ids, mask in model.seen if mask.sum() == 5)
    assert mixed.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_a_model_of_transformers_gives_its_own_loss():
    torch.manual_seed(0)
    gpt2 = GPT2LMHeadModel(
        GPT2Config(vocab_size=300, n_positions=32, n_embd=16, n_layer=2, n_head=2)
    ).eval()
    texts = rows(6, 30)
    found = PerplexityEvaluator(gpt2).evaluate(texts)
    total = 0.0
    for text in texts:
        ids = torch.tensor([text])
        total += float(gpt2(ids, labels=ids).loss.detach()) * (len(text) - 1)
    assert found.loss == pytest.approx(total / found.tokens, rel=1e-6)


def test_pseudo_perplexity_hides_each_token_alone(masked, tokenizer):
    texts = rows(3, 8)
    found = PerplexityEvaluator(masked, tokenizer, rounds=8).evaluate(texts)
    for text, nats, count in zip(texts, found.nats, found.counts, strict=True):
        total = 0.0
        for place, token in enumerate(text):
            hidden = torch.tensor([text])
            hidden[0, place] = tokenizer.mask_token_id
            total -= float(masked(hidden).logits[0, place].detach().log_softmax(-1)[token])
        assert count == len(text)
        assert nats == pytest.approx(total, rel=1e-5)


def test_a_masked_model_sees_both_sides_where_a_text_is_cut(masked, tokenizer):
    text = rows(1, 40, seed=3)[0] * 20
    found = PerplexityEvaluator(masked, tokenizer, max_length=12, stride=4, rounds=12).evaluate(
        [text[:40]]
    )
    assert found.counts == (40,)
    assert found.context == 4
    total = 0.0
    for place in range(40):  # counted: to the 8th of the first window, then the next 4 of each
        number = 0 if place < 8 else min((place - 4) // 4, 7)
        window = torch.tensor([text[number * 4 : min(number * 4 + 12, 40)]])
        at = place - number * 4
        token = int(window[0, at])
        window[0, at] = tokenizer.mask_token_id
        total -= float(masked(window).logits[0, at].detach().log_softmax(-1)[token])
    assert found.nats[0] == pytest.approx(total, rel=1e-5)


# Texts


def test_special_tokens_are_read_and_not_counted(causal, masked, tokenizer):
    for model in (causal, masked):
        found = PerplexityEvaluator(model, tokenizer).evaluate(TEXTS)
        assert found.counts == tuple(
            len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in TEXTS
        )
        assert found.counts[1] == 0
        assert found.sizes == (23, 0, 52, 78)
        bits = sum(found.nats) / math.log(2) / (23 + 52 + 78)
        assert found.bits_per_byte == pytest.approx(bits)


def test_bytes_of_a_first_token_that_is_not_counted_are_not_counted():
    words = {"[UNK]": 0, "Maße": 1, "sind": 2, "groß": 3}
    plain = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain)
    found = PerplexityEvaluator(Known([0.25] * 4), tokenizer).evaluate(["Maße sind groß", "Maße"])
    assert found.counts == (2, 0)
    assert found.sizes == (len("sind groß".encode()), 0)
    assert found.bits_per_byte == pytest.approx(2 * 2 / 10)


def test_a_frame_and_a_record_hold_the_figures(causal, tokenizer, tmp_path):
    found = PerplexityEvaluator(causal, tokenizer).evaluate(TEXTS)
    frame = found.to_frame()
    assert len(frame) == len(TEXTS)
    assert frame["nats"].sum() / frame["tokens"].sum() == pytest.approx(found.loss)
    assert frame["bytes"].tolist() == [23, 0, 52, 78]
    assert math.isnan(frame["loss"][1])
    assert frame["perplexity"][0] == pytest.approx(math.exp(found.nats[0] / found.counts[0]))
    record = Record.open(tmp_path / "run")
    record.add("evaluate", step=3, **found.metrics())
    record.save()
    _, stored = query(tmp_path, "SELECT metric, value FROM records WHERE step = 3")
    assert dict(stored) == found.metrics()
    assert set(found.metrics()) == {"loss", "perplexity", "tokens", "bits_per_byte"}


def test_the_mode_of_the_model_comes_back(causal, tokenizer):
    evaluator = PerplexityEvaluator(causal, tokenizer)
    for training in (True, False):
        causal.train(training)
        evaluator.evaluate(TEXTS)
        evaluator.samples(["The"], max_new_tokens=1)
        assert causal.training is training


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int64])
def test_rows_of_ids_of_any_integer_type(causal, kind):
    row = [1, 40, 100, 3]
    expected = PerplexityEvaluator(causal).evaluate([row])
    assert PerplexityEvaluator(causal).evaluate([np.array(row, kind)]) == expected
    if kind is not np.uint16:  # which torch hardly knows
        assert (
            PerplexityEvaluator(causal).evaluate([torch.from_numpy(np.array(row, kind))])
            == expected
        )


def test_modes_come_back_after_an_error(causal, tokenizer, monkeypatch):
    causal.train()
    causal.model.transformer_encoder[0].eval()
    before = [module.training for module in causal.modules()]
    evaluator = PerplexityEvaluator(causal, tokenizer)
    for name, work in (
        ("forward", lambda: evaluator.evaluate(TEXTS)),
        ("generate", lambda: evaluator.samples(["The"], max_new_tokens=1)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(causal, name, lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                work()
        assert [module.training for module in causal.modules()] == before


def test_perplexity_may_overflow():
    found = PerplexityEvaluator(Known([1 - 1e-320, 1e-320])).evaluate([[1, 1]])
    assert found.loss > 709
    assert found.perplexity == math.inf


# Writing


def test_samples_are_drawn_from_their_seed_alone(causal, tokenizer):
    evaluator = PerplexityEvaluator(causal, tokenizer)
    state = torch.get_rng_state()
    first = evaluator.samples(["The cat", "One"], seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert evaluator.samples(["The cat", "One"], seed=1) == first
    assert evaluator.samples(["The cat", "One"], seed=2) != first
    assert len(evaluator.samples(["One"], num_return_sequences=3, max_new_tokens=2)) == 3


def test_prompts_are_continued_after_their_own_tokens(causal, tokenizer):
    """On the left [CLS] stays, on the right [SEP] would end the text; padding changes nothing."""
    prompts = ["The cat sat on", "", "One day"]
    written = generate_text(causal, tokenizer, prompts, max_new_tokens=6)
    for prompt, text in zip(prompts, written, strict=True):
        ids = [tokenizer.cls_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        alone = causal.generate(torch.tensor([ids]), max_new_tokens=6)[0, len(ids) :]
        assert text == tokenizer.decode(alone, skip_special_tokens=True)


def test_a_directory_holds_model_and_tokenizer(causal, tokenizer, tmp_path):
    causal.save(tmp_path, tokenizer)
    loaded = NeoDecoderForCausalLM.load(tmp_path)
    assert not loaded.training
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert generate_text(
        loaded, again, TEXTS[:1], seed=3, do_sample=True, max_new_tokens=8
    ) == generate_text(causal, tokenizer, TEXTS[:1], seed=3, do_sample=True, max_new_tokens=8)


# Wrong input


WRONG = {
    "has a token that can be counted": lambda: PerplexityEvaluator(Known([0.5, 0.5])).evaluate(
        [[1]]
    ),
    "texts need a tokenizer": lambda: PerplexityEvaluator(Known([0.5, 0.5])).evaluate(["a"]),
    "stride=8": lambda: PerplexityEvaluator(Known([0.5, 0.5]), stride=8),
    "max_length=1": lambda: PerplexityEvaluator(Known([0.5, 0.5]), max_length=1),
    "got 7 and 0": lambda: PerplexityEvaluator(Known([0.5, 0.5]), batch_tokens=0),
    "give max_length": lambda: PerplexityEvaluator(Known([0.5, 0.5], length=0)),
    "writing needs a tokenizer": lambda: PerplexityEvaluator(Known([0.5, 0.5])).samples(["a"]),
}


@pytest.mark.parametrize(("message", "call"), WRONG.items(), ids=range(len(WRONG)))
def test_wrong_input_is_named(message, call):
    with pytest.raises(ValueError, match=message):
        call()


def test_wrong_input_of_models_is_named(causal, masked, tokenizer):
    with pytest.raises(ValueError, match="mask token"):
        PerplexityEvaluator(masked)
    with pytest.raises(ValueError, match="at least one token"):
        generate_text(causal, tokenizer, [])
    with pytest.raises(ValueError, match="at most max_length=64"):
        PerplexityEvaluator(causal, max_length=80, stride=1).evaluate([[5] * 70])
