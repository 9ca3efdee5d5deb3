"""The commands of the NumPy models, as a user calls them: digits train, ask, report; text."""

import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

TWO = ("--size", "small", "--epochs", "2", "--two-digit")
TINY = ("--width", "16", "--context", "16", "--steps", "200", "--batch-size", "8", "--lr", "0.01")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["digits", "train", "--size", "huge"], ["small, medium, large", "'huge'"]),
        (["digits", "train", "--lr", "0"], ["lr must be positive", "0.0"]),
        (["digits", "train", "--lr", "nan"], ["lr must be positive", "nan"]),
        (["digits", "train", "--arguments", "6"], ["2 to 5", "6"]),
        (["digits", "train", "--batch-size", "4001"], ["4000 questions", "4001"]),
        (["digits", "train", "--seed", "-1"], ["seed", "-1"]),
        (["digits", "train", "--resume"], ["no unfinished training", "--resume"]),
        (["digits", "train", "--question", "Max ( 1 2 3 )"], ["--step-by-step"]),
        (["digits", "train", "--step-by-step", "--question", "Max ( 1 2 )"], ["three digits"]),
        (["digits", "train", "--two-digit", "--plain"], ["no fast twin"]),
        (["digits", "train", "--mine", "--resume"], ["--mine", "--resume"]),
        (["digits", "train", *TWO, "--batch-size", "1601"], ["1600 questions", "1601"]),
        (["digits", "ask", "Max ( 1 2 3 )", "--checkpoint", "none"], ["no checkpoint at none"]),
        (["digits", "ask", "Max ( 53 9 70 )"], ["--two-digit", "minutes"]),
        (["digits", "report"], ["no checkpoint", "digits train"]),
        (["text", "train", "--data", "nowhere.txt"], ["nowhere.txt"]),
        (["text", "train", "--width", "30"], ["heads must divide", "30"]),
        (["text", "train", "--context", "999999"], ["too short for --context 999999"]),
        (["text", "train", "--tokenizer", "bpe", "--vocabulary", "9"], ["at least 256", "9"]),
        (["text", "train", "--resume"], ["no unfinished training"]),
        (["text", "write", "Once"], ["groundup text train"]),
        (["text", "write", "--greedy", "--beam", "2"], ["--greedy", "--beam"]),
        (["text", "write", "--greedy", "--top-k", "2"], ["sampling"]),
        (["text", "write", "--top-p", "2"], ["top_p", "2.0"]),
        (["text", "write", "--temperature", "-1"], ["temperature", "-1.0"]),
    ],
)
def test_wrong_calls(
    tmp_path: Path, groundup: Call, arguments: list[str], words: list[str]
) -> None:
    groundup(*arguments).assert_one_line_error(2, *words)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("source", "content", "words"),
    [
        ("", None, "the path is empty"),
        ("bok.txt", None, "did you mean book.txt?"),
        ("book.txt/", None, None),
        ("old.txt", "Bär".encode("cp1252") * 9, "(byte 1) in line 1"),
        ("cut.txt", b"a\n\xc3", "(byte 2) in line 2: it ends inside a character"),
        ("photo.png", b"\x89PNG\r\n\x1a\n\0\0", "byte 0"),
        ("cut.jsonl", b'{"text": "a"}\n{"te', "line 2 is not JSON"),
        ("nulls.csv", b"text\nNaN\n", "rows without text: 1"),
        (".", None, "old.txt"),
        ("no-owner/no-folder.txt", None, "no such file or folder"),
    ],
)
def test_texts_that_cannot_be_read(
    tmp_path: Path, groundup: Call, source: str, content: bytes | None, words: str | None
) -> None:
    (tmp_path / "book.txt").write_text("The sea was calm.\n" * 200)
    if source == ".":
        (tmp_path / "old.txt").write_bytes(b"B\xe4r")
    if content is not None:
        (tmp_path / source).write_bytes(content)
    result = groundup("text", "train", "--data", source, *TINY, "--steps", "1")
    if words is None:
        assert result.returncode == 0, result.stderr
    else:
        result.assert_one_line_error(2, words)


def test_an_old_text_of_windows_is_trained_on(tmp_path: Path, groundup: Call) -> None:
    (tmp_path / "old.TXT").write_bytes("Ein Bär aß.\r\n".encode("cp1252") * 100)
    (tmp_path / "new.jsonl").write_text('{"text": "Noch ein Bär."}\n{"text": null}\n', "utf-8")
    options = ("--data", ".", "--encoding", "cp1252", *TINY, "--steps", "2")
    trained = groundup("text", "train", *options)
    assert trained.returncode == 0, trained.stderr
    assert "rows without text: 1" in trained.stdout
    assert "files in UTF-8, not in cp1252: 1 (new.jsonl)" in trained.stdout
    wrong = groundup("text", "train", "--data", ".", "--encoding", "hex")
    wrong.assert_one_line_error(2, "no encoding 'hex'")


def test_unreadable_checkpoint(tmp_path: Path, groundup: Call) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not a checkpoint")
    for command in (["digits", "ask", "Max ( 1 2 3 )"], ["digits", "report"], ["text", "write"]):
        result = groundup(*command, "--checkpoint", str(damaged))
        result.assert_one_line_error(2, "damaged.safetensors", "train again")


def test_digits_train_ask_report(tmp_path: Path, groundup: Call) -> None:
    trained = groundup("digits", "train", "--epochs", "2")
    assert trained.returncode == 0, trained.stderr
    assert "312 steps of 64, the fast step" in trained.stdout
    assert re.search(r"Right on \d+\.\d% of inputs never seen in training \(First ", trained.stdout)
    assert re.search(r"No mistake in 500|mistakes in 500 questions", trained.stdout)
    folder = tmp_path / "runs" / "digits"
    assert {path.name for path in folder.iterdir()} == {
        *("model.safetensors", "model.curves.png", "record.parquet"),
    }
    asked = groundup("digits", "ask", "Second ( 4 7 1 )")
    assert "Second ( 4 7 1 ) = 7" in asked.stdout
    assert "mean over heads" in asked.stdout
    wrong = groundup("digits", "ask", "Maximum ( 4 7 1 )")
    wrong.assert_one_line_error(2, "'Maximum'", "First, Second, Last, Max, Min")
    wrong = groundup("digits", "ask", "Max ( 4 7 )")
    wrong.assert_one_line_error(2, "three digits")
    wrong = groundup("text", "write", "--checkpoint", "runs/digits/model.safetensors")
    wrong.assert_one_line_error(2, "a model of digits, not of text")
    report = groundup("digits", "report")
    assert report.returncode == 0, report.stderr
    for words in ("Right answers to 500", "layer 2 head 4", "focused 0.", "rank correlation"):
        assert words in report.stdout
    assert (folder / "model.heads.png").is_file()
    runs = groundup("runs")
    assert runs.stdout.count("digits") == 1


def test_other_numbers_of_arguments_are_remembered(tmp_path: Path, groundup: Call) -> None:
    small = ("--arguments", "2", "--size", "small", "--epochs", "1", "--output", "two.safetensors")
    assert groundup("digits", "train", *small).returncode == 0
    asked = groundup("digits", "ask", "Max ( 5 3 )", "--checkpoint", "two.safetensors")
    assert "Max ( 5 3 ) = " in asked.stdout
    wrong = groundup("digits", "ask", "Max ( 5 3 9 )", "--checkpoint", "two.safetensors")
    wrong.assert_one_line_error(2, "2 digits")


def test_step_by_step_in_a_pipe(tmp_path: Path, groundup: Call) -> None:
    small = ("--size", "small", "--epochs", "1", "--arguments", "2", "--output", "m.safetensors")
    shown = groundup("digits", "train", *small, "--step-by-step", "--question", "Min(4 2)")
    assert shown.returncode == 0, shown.stderr
    steps = re.findall(r"after step (\d+) ", shown.stdout)
    assert steps == ["0", "1", "2", "5", "10", "20"]
    assert shown.stdout.count("the last update ") == 5
    # It looks and changes nothing: the model is the one that is trained without it.
    groundup("digits", "train", *small[:-1], "plain.safetensors")
    import numpy as np
    from safetensors.numpy import load_file

    shown_model, plain = (load_file(tmp_path / f"{n}.safetensors") for n in ("m", "plain"))
    assert shown_model.keys() == plain.keys()
    for name, value in plain.items():
        np.testing.assert_array_equal(shown_model[name], value)


def test_two_digit_train_and_ask(tmp_path: Path, groundup: Call) -> None:
    trained = groundup("digits", "train", *TWO)
    assert trained.returncode == 0, trained.stderr
    before = trained.stdout.index("50 steps of 64: about ")  # the time is said first
    assert before < trained.stdout.index("step      0")
    asked = groundup("digits", "ask", "Max ( 53, 9, 70 )")
    assert asked.stdout.strip().startswith("Max ( 53, 9, 70 ) =")
    assert "Token 1 of the answer: " in asked.stdout
    at = ("--checkpoint", "runs/two-digits/model.safetensors")
    assert "Max ( 5 3 9 ) =" in groundup("digits", "ask", "Max ( 5 3 9 )", *at).stdout
    for question, word in {"Max ( 530 9 7 )": "0 to 99", "Max ( 53 9 )": "3 numbers"}.items():
        groundup("digits", "ask", question).assert_one_line_error(2, word)
    assert "10 to 99" in groundup("digits", "report", *at).stdout


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_text_train_and_write(tmp_path: Path, groundup: Call, tokenizer: str) -> None:
    story = "Zoë sat by the sea. The sea was calm, and Zoë was glad.\n\n"
    (tmp_path / "book.txt").write_text(story * 60, encoding="utf-8")
    options = ("--data", "book.txt", "--tokenizer", tokenizer, "--vocabulary", "280", *TINY)
    trained = groundup("text", "train", *options)
    assert trained.returncode == 0, trained.stderr
    rows = re.findall(r"(before|unigram|after).*?([\d,.]+) +([\d.]+)\n", trained.stdout)
    before, unigram, after = (float(bits) for _, _, bits in rows)
    assert after < unigram < before
    folder = tmp_path / "runs" / "text"
    assert {path.name for path in folder.iterdir()} == {
        *("model.safetensors", "model.curves.png", "record.parquet"),
    }
    first = groundup("text", "write", "The sea", "--tokens", "40", "--top-k", "5")
    assert first.stdout.startswith("The sea")
    assert len(first.stdout) > len("The sea\n")
    again = groundup("text", "write", "The sea", "--tokens", "40", "--top-k", "5")
    assert again.stdout == first.stdout
    other = groundup("text", "write", "The sea", "--tokens", "40", "--seed", "1")
    assert other.stdout != first.stdout
    # Beyond the context of 16 tokens too.
    greedy = groundup("text", "write", "The sea", "--greedy", "--tokens", "60")
    assert greedy.returncode == 0, greedy.stderr
    beam = groundup("text", "write", "The", "--beam", "3")
    assert "log probability -" in beam.stdout
    groundup("text", "write", "The", "--beam", "3", "--tokens", "50").assert_one_line_error(
        2, "max_length"
    )
    if tokenizer == "char":
        groundup("text", "write", "Ørsted").assert_one_line_error(2, "'Ø'", "trained on")
    wrong = groundup(
        "digits", "ask", "Max ( 1 2 3 )", "--checkpoint", str(folder / "model.safetensors")
    )
    wrong.assert_one_line_error(2, "a model of text")


def test_without_the_packages_that_only_some_need(tmp_path: Path, groundup_apart: Call) -> None:
    """Figures and records are left out where their packages are missing; nothing else is."""
    block = (
        "import sys\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Gone(MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('matplotlib', 'pyarrow', 'tokenizers', 'torch'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "def find_spec(name, package=None):\n"
        "    try:\n"
        "        return find(name, package)\n"
        "    except ModuleNotFoundError:\n"
        "        return None\n"
        "util.find_spec = find_spec\n"
    )
    (tmp_path / "sitecustomize.py").write_text(block)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path[1:])])

    without = partial(groundup_apart, PYTHONPATH=path)

    small = ("--size", "small", "--epochs", "1")
    assert without("digits", "train", *small).returncode == 0
    assert os.listdir(tmp_path / "runs" / "digits") == ["model.safetensors"]
    assert "Right answers" in without("digits", "report").stdout
    missing = without("text", "train", "--tokenizer", "bpe", *TINY)
    missing.assert_one_line_error(2, "tokenizers", "pip install")


def test_a_text_training_that_diverges_leaves_nothing(tmp_path: Path, groundup: Call) -> None:
    (tmp_path / "book.txt").write_text("The cat sat.\n\n" * 200, encoding="utf-8")
    result = groundup(
        *("text", "train", "--data", "book.txt", "--output", "out/m.safetensors"),
        *(*TINY, "--lr", "1e30"),
    )
    result.assert_one_line_error(1, "A lower --lr may help")
    assert not list((tmp_path / "out").iterdir())
