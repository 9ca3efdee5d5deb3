"""The encoder: what it returns, what it keeps, and texts that end with the end token."""

import math
import os
import stat

import numpy as np
import pytest
import torch
import torch.nn.functional as F

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


@pytest.mark.parametrize("max_length", [3, 8, 30])
def test_every_text_of_a_causal_model_ends_with_the_end_token(causal, max_length, monkeypatch):
    plain = type(causal.tokenizer).__call__

    def without_specials(self, *args, **kwargs):  # as Llama's tokenizer: nothing is put at the end
        return plain(self, *args, **kwargs, add_special_tokens=False)

    monkeypatch.setattr(type(causal.tokenizer), "__call__", without_specials)
    batch = causal.tokenize(TEXTS, max_length)
    lengths = batch["attention_mask"].sum(1)
    last = batch["input_ids"][torch.arange(len(TEXTS)), lengths - 1]
    assert last.tolist() == [causal.tokenizer.sep_token_id] * len(TEXTS)
    assert batch["input_ids"].shape[1] <= max_length


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
    for wrong in ({"batch_size": 0}, {"batch_size": -1}, {"max_length": 0}):
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


def test_what_is_no_encoder_is_named(encoder, tmp_path):
    with pytest.raises(UserError, match=r"holds no sentence encoder \(pooling.json"):
        SentenceEncoder.load(tmp_path)
    encoder.save(tmp_path / "model")
    (tmp_path / "model" / "token_weights.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="not a whole sentence encoder"):
        SentenceEncoder.load(tmp_path / "model")


def test_wrong_poolings_are_refused(neobert, tokenizer):
    with pytest.raises(ValueError, match="one of mean, weighted, last: got 'max'"):
        SentenceEncoder(neobert, tokenizer, "max")
    with pytest.raises(ValueError, match="weighted"):
        SentenceEncoder(neobert, tokenizer, "weighted")
    with pytest.raises(ValueError, match="weighted"):
        SentenceEncoder(neobert, tokenizer, "mean", torch.ones(3))


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
