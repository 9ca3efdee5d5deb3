"""The encoder: what it returns, what it keeps, and texts that end with the end token."""

import copy
import math
import os
import stat

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tiny_models import tiny_llama
from tokenizers import processors
from transformers import (
    LlamaTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from groundup.embed.encoder import SentenceEncoder, inverse_document_frequency
from groundup.lab.errors import UserError

TEXTS = ["open the file", "a", "read and write a socket, then close it", "sort"]


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_a_vector_depends_on_its_text_alone(kind, request):
    model: SentenceEncoder = request.getfixturevalue(kind)
    together = model.encode(TEXTS, max_length=20, batch_size=4)
    alone = np.concatenate([model.encode([text], max_length=20) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(
        model.encode(TEXTS[::-1], max_length=20, batch_size=4), together[::-1]
    )


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_the_side_of_the_padding_does_not_matter(kind, request):
    model: SentenceEncoder = request.getfixturevalue(kind)
    vectors = {}
    kept = model.tokenizer.padding_side
    for side in ("left", "right"):
        model.tokenizer.padding_side = side
        batch = model.tokenize(TEXTS, 20)
        assert bool(batch["attention_mask"][:, 0 if side == "right" else -1].all())
        vectors[side] = model(batch)[0]
    model.tokenizer.padding_side = kept
    torch.testing.assert_close(vectors["left"], vectors["right"], rtol=0, atol=1e-5)


def test_last_pooling_is_the_hidden_state_of_the_end_token(causal):
    for text in TEXTS:
        ids = causal.tokenizer(text, return_tensors="pt")["input_ids"]
        expected = causal.backbone(input_ids=ids).last_hidden_state[0, -1]
        received = causal(causal.tokenize([text, TEXTS[2]], 30))[0][0]
        torch.testing.assert_close(received, expected, rtol=0, atol=1e-5)


def without_end(tokenizer, kind: str) -> PreTrainedTokenizerBase:
    """A tokenizer that puts no end token: a plain one, or of Llama's class, which begins texts."""
    vocabulary = {**tokenizer.get_vocab(), "<s>": len(tokenizer), "</s>": len(tokenizer) + 1}
    if kind == "llama":
        return LlamaTokenizer(vocab=vocabulary, merges=[], add_bos_token=True, pad_token="[PAD]")
    backend = copy.deepcopy(tokenizer.backend_tokenizer)
    backend.post_processor = processors.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="[SEP]", pad_token="[PAD]", padding_side="left"
    )


@pytest.mark.parametrize("kind", ["plain", "llama"])
def test_every_text_of_a_causal_model_ends_with_the_end_token(tokenizer, kind, tmp_path):
    bare = without_end(tokenizer, kind)
    assert bare("open")["input_ids"][-1] != bare.eos_token_id
    model = SentenceEncoder(tiny_llama(bare), bare, "last")
    for max_length in (3, 8, 30):
        batch = model.tokenize(TEXTS, max_length)
        lengths = batch["attention_mask"].sum(1)
        last = batch["input_ids"][torch.arange(len(TEXTS)), lengths - 1]
        assert last.tolist() == [bare.eos_token_id] * len(TEXTS)
        assert batch["input_ids"].shape[1] <= max_length
        for text, row, length in zip(TEXTS, batch["input_ids"], lengths, strict=True):
            assert row[: length - 1].tolist() == bare(text)["input_ids"][: max_length - 1]
    assert bare("open")["input_ids"][-1] != bare.eos_token_id  # what was given is as it was
    model.save(tmp_path / "model")
    again = SentenceEncoder.load(tmp_path / "model")
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))


def test_last_pooling_without_an_end_token_is_refused(tokenizer):
    bare = without_end(tokenizer, "plain")
    bare.eos_token = None
    with pytest.raises(ValueError, match="needs a tokenizer with an end or separator token"):
        SentenceEncoder(tiny_llama(bare), bare, "last")


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_one_string_is_one_vector(kind, request):
    model: SentenceEncoder = request.getfixturevalue(kind)
    both = model.encode(TEXTS[:2])
    one = model.encode(TEXTS[0])
    assert one.shape == (16,)
    np.testing.assert_allclose(one, both[0], rtol=0, atol=1e-6)
    assert model.encode([]).shape == (0, 16)
    assert model.encode(text for text in TEXTS).shape == (4, 16)
    np.testing.assert_array_equal(model.encode(np.array(TEXTS)), model.encode(TEXTS))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", None], r"texts\[1\] is None"),
        ([["a"]], r"texts\[0\] is \['a'\]"),
        (b"abc", "got b'abc'"),
        ("half \ud83d", r"texts\[0\] holds half a character"),
        ({"text": "a"}, "got {'text': 'a'}"),
        ({"a"}, "got {'a'}"),
        (3, "got 3"),
        (None, "got None"),
    ],
)
def test_what_is_not_text_is_refused(encoder, texts, message):
    with pytest.raises(ValueError, match=message):
        encoder.encode(texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 65}, "max_length must be 3 to 64 tokens.*got 65"),
        ({"max_length": 2}, "max_length must be 3 to 64 tokens.*got 2"),
        ({"batch_size": 0}, "batch_size must be at least 1: got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(encoder, options, message):
    with pytest.raises(ValueError, match=message):
        encoder.encode(TEXTS, **options)


def test_the_encoders_length_is_the_default(neobert, tokenizer, tmp_path):
    short = SentenceEncoder(neobert, tokenizer, max_length=5)
    whole = SentenceEncoder(neobert, tokenizer)
    assert (short.max_length, whole.max_length) == (5, 64)
    np.testing.assert_array_equal(short.encode(TEXTS), whole.encode(TEXTS, max_length=5))
    assert np.abs(short.encode(TEXTS) - whole.encode(TEXTS)).max() > 1e-3
    short.save(tmp_path / "model")
    again = SentenceEncoder.load(tmp_path / "model")
    np.testing.assert_array_equal(again.encode(TEXTS), short.encode(TEXTS))
    with pytest.raises(ValueError, match=r"3 to 64 tokens.*got 65"):
        SentenceEncoder(neobert, tokenizer, max_length=65)


def test_an_error_leaves_the_mode(encoder, monkeypatch):
    monkeypatch.setattr(encoder, "tokenize", lambda *_: 1 / 0)
    encoder.train()
    with pytest.raises(ZeroDivisionError):
        encoder.encode(TEXTS)
    assert encoder.training


def test_encode_leaves_the_mode_and_reports(encoder):
    told = []
    encoder.train()
    encoder.encode(TEXTS, batch_size=3, progress=lambda done, all: told.append((done, all)))
    assert encoder.training
    assert told == [(3, 4), (4, 4)]


def test_encode_gives_the_modes_back_after_an_error(encoder, monkeypatch):
    encoder.train()
    encoder.backbone.transformer_encoder[0].eval()
    before = [module.training for module in encoder.modules()]
    monkeypatch.setattr(encoder, "pool", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encoder.encode(TEXTS)
    assert [module.training for module in encoder.modules()] == before
    for wrong in ({"batch_size": 0}, {"batch_size": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least 1"):
            encoder.encode(TEXTS, **wrong)


def test_weighted_pooling_is_a_weighted_mean(encoder):
    batch = encoder.tokenize(TEXTS[:1], 20)
    hidden = encoder.backbone(**batch).last_hidden_state[0]
    weights = encoder.token_weights[batch["input_ids"][0]]
    expected = sum(w * h for w, h in zip(weights, hidden, strict=True)) / weights.sum()
    torch.testing.assert_close(encoder(batch)[0][0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_saved_and_loaded_is_the_same(kind, request, tmp_path):
    model: SentenceEncoder = request.getfixturevalue(kind)
    model.save(tmp_path / "model")
    again = SentenceEncoder.load(tmp_path / "model")
    assert again.pooling == model.pooling
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))
    mode = stat.S_IMODE((tmp_path / "model").stat().st_mode)
    os.mkdir(tmp_path / "ordinary")
    assert mode == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


def test_what_is_not_an_encoder_is_named(encoder, tmp_path):
    with pytest.raises(UserError, match=r"holds no sentence encoder \(modules.json"):
        SentenceEncoder.load(tmp_path)
    encoder.save(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="can't be read"):
        SentenceEncoder.load(tmp_path / "model")
    (tmp_path / "model" / "1_WordWeights" / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"1_WordWeights/config\.json is missing or is not"):
        SentenceEncoder.load(tmp_path / "model")


def test_missing_weights_are_not_filled_with_random_ones(encoder, tmp_path):
    encoder.save(tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    del weights["layer_norm.weight"]
    save_file(weights, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks weights: layer_norm\.weight"):
        SentenceEncoder.load(tmp_path / "model")


def test_wrong_poolings_are_refused(neobert, tokenizer):
    with pytest.raises(ValueError, match="one of mean, weighted, last: got 'max'"):
        SentenceEncoder(neobert, tokenizer, "max")
    with pytest.raises(ValueError, match="weighted"):
        SentenceEncoder(neobert, tokenizer, "weighted")
    with pytest.raises(ValueError, match="weighted"):
        SentenceEncoder(neobert, tokenizer, "mean", torch.ones(3))
    with pytest.raises(ValueError, match=r"V at least 320.*got \(3,\)"):
        SentenceEncoder(neobert, tokenizer, "weighted", torch.ones(3))


def test_inverse_document_frequency_counts_texts_not_occurrences(tokenizer):
    idf = inverse_document_frequency(tokenizer, ["open open open", "read", "open file"], 320)
    token = {w: tokenizer(w, add_special_tokens=False)["input_ids"][0] for w in ("open", "read")}
    ratio = float(idf[token["open"]] / idf[token["read"]])  # the scale is the mean's
    assert ratio == pytest.approx(math.log(4 / 3) / math.log(4 / 2))
    unseen = tokenizer("zzz", add_special_tokens=False)["input_ids"][-1]
    assert float(idf[unseen] / idf[token["read"]]) == pytest.approx(math.log(4) / math.log(4 / 2))
    assert idf[tokenizer.all_special_ids].abs().max() == 0


def test_normalised_dot_is_cosine(encoder):
    a, b = encoder.encode(TEXTS[:2])
    raw = (
        encoder(encoder.tokenize(TEXTS[:1], 128))[0][0],
        encoder(encoder.tokenize(TEXTS[1:2], 128))[0][0],
    )
    assert float(a @ b) == pytest.approx(float(F.cosine_similarity(*raw, dim=0).detach()), abs=1e-5)
