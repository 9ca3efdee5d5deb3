"""Text as data and as tokens: what is read, what is held out, and that no byte is lost."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models

from groundup.apps.text import text_data, text_model
from groundup.data import lossless_tokenizer
from groundup.data.lossless_tokenizer import ByteLevelBPE, CharacterTokenizer, LosslessTokenizer
from groundup.lab.errors import UserError, WorkError
from groundup.scratch.decoder import Decoder, DecoderConfig
from groundup.scratch.sampling import greedy
from groundup.scratch.tasks.stories import END, stories

ODD = "Zoë—naïve 日本 \U0001f600\tx\r\n\n  end"


def both(sample: str) -> list[LosslessTokenizer]:
    return [CharacterTokenizer.of(sample), ByteLevelBPE.learn(sample * 3, 300)]


@pytest.mark.parametrize("kind", [0, 1])
def test_text_comes_back_and_its_bytes_are_counted(kind: int) -> None:
    known = both(ODD)[kind]
    ids = known.encode(ODD)
    assert known.decode(ids) == ODD
    assert known.sizes()[ids].sum() == len(ODD.encode())
    assert b"".join(known.pieces[i] for i in ids) == ODD.encode()
    again = lossless_tokenizer.from_json(known.to_json())
    np.testing.assert_array_equal(again.encode(ODD), ids)
    assert again.pieces == known.pieces


@pytest.mark.parametrize("kind", [0, 1])
def test_a_long_text_is_encoded_in_pieces(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    monkeypatch.setattr(lossless_tokenizer, "_CHUNK", 50)
    long = (ODD + END) * 20
    known, seen = both(long)[kind], list[float]()
    ids = known.encode_all(long, seen.append)
    assert ids.dtype == np.uint16
    assert known.decode(ids) == long
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_the_end_of_a_document_is_the_same_token_everywhere() -> None:
    known = ByteLevelBPE.learn(stories(50, seed=0), 400)
    end = known.encode(END)
    assert len(end) == 1
    assert np.count_nonzero(known.encode(stories(7, seed=1)) == end[0]) == 7


def test_a_bpe_shortens_what_it_learned_from() -> None:
    sample = stories(50, seed=0)
    assert len(ByteLevelBPE.learn(sample, 400).encode(sample)) < len(sample) / 2


def test_unknown_characters_are_named() -> None:
    with pytest.raises(UserError, match=r"does not know 'x', 'é'.*'abc'"):
        CharacterTokenizer("abc").encode("aébxé")


def test_only_a_byte_level_tokenizer_will_do(tmp_path: Path) -> None:
    backend = Tokenizer(models.BPE())
    backend.decoder = decoders.BPEDecoder()
    with pytest.raises(UserError, match="not byte-level"):
        ByteLevelBPE(backend)
    folder = tmp_path / "own"
    folder.mkdir()
    learned = ByteLevelBPE.learn(ODD * 3, 300)
    learned.backend.add_special_tokens(["<|endoftext|>"])  # as GPT-2's has
    learned.backend.save(str(folder / "tokenizer.json"))
    named = ByteLevelBPE.named(str(folder))
    assert named.decode(named.encode(ODD)) == ODD
    file = folder / "tokenizer.json"
    marked = tmp_path / "marked.JSON"
    marked.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    for each in (str(file), str(marked)):
        assert ByteLevelBPE.named(each).pieces == named.pieces
    for content, words in {
        "": r"tokenizer\.json, line 1 is not JSON",
        "{}": r"tokenizer\.json is not a tokenizer",
        file.read_text()[:-9]: r"tokenizer\.json, line \d+ is not JSON",
    }.items():
        file.write_text(content)
        with pytest.raises(UserError, match=words):
            ByteLevelBPE.named(str(folder))
    file.unlink()
    with pytest.raises(UserError, match=r"no such file.*tokenizer"):
        ByteLevelBPE.named(str(folder))
    assert named.pieces[-1] == b"<|endoftext|>"


def test_a_tokenizer_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="no tokenizer no-such-tokenizer"):
        ByteLevelBPE.named("no-such-tokenizer")
    with pytest.raises(UserError, match=r"did you mean gpt2\?"):
        ByteLevelBPE.named("gtp2")
    with pytest.raises(UserError, match="the path is empty"):
        ByteLevelBPE.named("")


def test_the_end_is_held_out_between_documents(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    whole = "".join(f"document {i:03}{END}" for i in range(200))
    path.write_text(whole, encoding="utf-8")
    split = text_data.read_text(str(path), 1)
    assert split.train + split.held_out == whole
    assert split.train.endswith(END)
    assert split.held_out.startswith("document 18")
    path.write_text("x" * 1000, encoding="utf-8")
    assert len(text_data.read_text(str(path), 1).held_out) == 100


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("ab" * 600_000, encoding="utf-8")
    split = text_data.read_text(str(path), 1)
    assert len(split.train) + len(split.held_out) == 1_000_000


def test_stories_without_a_network() -> None:
    split = text_data.read_text(text_data.STORIES, 200)
    assert split.train + split.held_out == stories(text_data.COUNT, seed=0)


def test_sources_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    for content, words in {b"ab\xff": "not UTF-8 text.*byte 2", b" \n": "is empty"}.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=words):
            text_data.read_text(str(path), 1)
    with pytest.raises(UserError, match="no text nowhere"):
        text_data.read_text("nowhere", 1)


def test_tables_are_read_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    rows = [{"id": str(i), "story": f"The cat number {i} sat. "} for i in range(30)]
    folder = tmp_path / "set"
    folder.mkdir()
    table = folder / "train.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    wanted = END.join(row["story"].strip() for row in rows)
    for source in (table, folder):
        split = text_data.read_text(str(source), 1, "story")
        assert split.train + split.held_out == wanted
    with pytest.raises(UserError, match=r"--column is one of \['id', 'story'\]"):
        text_data.read_text(str(table), 1)
    with pytest.raises(UserError, match="no text in the column none"):
        text_data.read_text(str(table), 1, "none")
    with pytest.raises((WorkError, UserError), match="no-owner/no-set"):
        text_data.read_text("no-owner/no-set", 1)


@pytest.mark.parametrize(
    "content", ["One.\r\n\r\nTwo.\r\n", "One line\nand another\n" * 30, stories(20, seed=1)]
)
@pytest.mark.parametrize("suffix", [".txt", ".TXT", ".md"])
def test_a_text_in_a_folder_is_what_it_is_alone(tmp_path: Path, content: str, suffix: str) -> None:
    path = tmp_path / "folder" / f"book{suffix}"
    path.parent.mkdir()
    path.write_bytes(content.encode())
    alone, inside = (text_data.read_text(str(p), 1) for p in (path, path.parent))
    assert inside == alone
    whole = alone.train + alone.held_out
    assert whole == content.replace("\r\n", "\n")
    known = ByteLevelBPE.learn(whole, 300)
    (path.parent / "another.jsonl").write_text(json.dumps({"text": "More."}), encoding="utf-8")
    two = text_data.read_text(str(path.parent), 1)
    ids = known.encode(two.train + two.held_out)
    np.testing.assert_array_equal(ids[-len(known.encode(whole)) :], known.encode(whole))


def test_documents_are_joined_by_one_end() -> None:
    assert text_data.join(["a\n", f"b{END}", "c", "d\n"]) == f"a{END}b{END}c{END}d\n"
    assert text_data.join([f"a{END}"]) == f"a{END}"


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text\nOne.\n""\nNaN\nTwo.\n', encoding="utf-8")
    said: list[str] = []
    split = text_data.read_text(str(path), 1, notice=said.append)
    assert split.train + split.held_out == f"One.{END}Two."
    assert said == [f"{path}: rows without text: 2 (first: {path}, line 3)"]


def test_windows_text_becomes_the_same_corpus(tmp_path: Path) -> None:
    """The ids of a text do not depend on how its file was encoded."""
    content = "Der Bär aß süße Äpfel.\n\nEr schlief.\n" * 40
    corpora = []
    for name, data in {
        "utf8.txt": content.encode(),
        "marked.txt": content.replace("\n", "\r\n").encode("utf-8-sig"),
        "wide.txt": content.encode("utf-16"),
        "old.txt": content.replace("\n", "\r\n").encode("cp1252"),
    }.items():
        (tmp_path / name).write_bytes(data)
        encoding = "cp1252" if name == "old.txt" else None
        recipe = text_model.TextRecipe(data=str(tmp_path / name), encoding=encoding)
        corpora.append(text_model.read_corpus(recipe, lambda _: None))
    for corpus in corpora[1:]:
        np.testing.assert_array_equal(corpus.train, corpora[0].train)
        assert corpus.tokens.to_json() == corpora[0].tokens.to_json()


def test_unigram_is_the_entropy_of_the_counts() -> None:
    """All tokens equally frequent: as many choices as there are tokens, log2 V bits a byte."""
    ids = np.tile(np.arange(4), 100)
    known = CharacterTokenizer("abcd")
    corpus = text_model.TokenizedText(known, ids, ids)
    measured = text_model.language.windows(ids, 8)
    scores = text_model.unigram(corpus, measured)
    assert scores["perplexity"] == pytest.approx(4)
    assert scores["bits_per_byte"] == pytest.approx(2)


def test_a_prompt_that_is_not_text_is_refused() -> None:
    """What Python makes of an argument in another encoding than the terminal's."""
    for known in both(ODD):
        with pytest.raises(UserError, match=r"the prompt holds half a character \(.udce9\)"):
            text_model.prompt_ids(known, "caf\udce9")


def test_a_corpus_is_kept_for_resuming(tmp_path: Path) -> None:
    known = CharacterTokenizer.of(ODD)
    ids = known.encode_all(ODD, lambda _: None)
    path = tmp_path / "model.safetensors"
    text_model.save_corpus(text_model.TokenizedText(known, ids, ids[:3]), path)
    kept = text_model.load_corpus(path)
    np.testing.assert_array_equal(kept.train, ids)
    np.testing.assert_array_equal(kept.held_out, ids[:3])
    assert kept.train.dtype == ids.dtype
    assert kept.tokens.pieces == known.pieces
    text_model.ids_path(path).write_bytes(b"damaged")
    with pytest.raises(UserError, match="without --resume"):
        text_model.load_corpus(path)


def test_writing_goes_on_beyond_the_context() -> None:
    config = DecoderConfig(vocabulary=11, width=8, heads=2, layers=1, hidden=16, max_length=6)
    model = Decoder.create(config, np.random.default_rng(0))
    for name in model.params:  # away from the start, where all logits are near zero
        model.params[name] = model.params[name] * 5
    prompt = [1, 2, 3, 4, 5, 6, 7, 8]
    written = list(text_model.stream(model, prompt, greedy, 12))
    assert len(written) == 12
    # The same without a cache: the last six are read, or the last three when they are full.
    everything, start = list(prompt), len(prompt) - 6
    for token in written:
        if len(everything) - start > 6:
            start = len(everything) - 3
        logits = model.forward(np.array([everything[start:]]))[0][0, -1]
        assert token == int(logits.argmax())
        everything.append(token)
