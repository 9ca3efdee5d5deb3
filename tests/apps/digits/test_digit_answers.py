"""Questions asked one after another: in a pipe, and in a terminal."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundup.apps.digits import digit_model, two_digit_model
from groundup.apps.digits.digit_answers import ask
from groundup.lab.errors import UserError
from groundup.scratch import checkpoint
from groundup.scratch.decoder import Decoder
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.tasks.two_digits import MODEL


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both models, untrained: what they answer does not matter here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GROUNDUP_RUNS", raising=False)
    rng = np.random.default_rng(0)
    encoder, decoder = Encoder.create(EncoderConfig(), rng), Decoder.create(MODEL, rng)
    for model, task, path in (
        (encoder, digit_model.TASK.name, digit_model.TASK.path),
        (decoder, two_digit_model.TASK.name, two_digit_model.TASK.path),
    ):
        path.parent.mkdir(parents=True)
        checkpoint.save(model, path, {"task": task})
    return tmp_path


@pytest.mark.parametrize(
    ("question", "written"),
    [
        ("max(5,3,9)", False),
        ("MAX ( 5 3 9 )", False),
        ("second 4 7 1", False),
        ("min 53,9,7", True),
    ],
)
def test_a_question_goes_to_the_model_of_its_numbers(
    capsys: pytest.CaptureFixture[str], question: str, written: bool
) -> None:
    assert ask(question, None) == 0
    text = capsys.readouterr().out
    assert f"{question} = " in text
    assert ("Token 1 of the answer" in text) == written


@pytest.mark.parametrize(
    ("question", "words"),
    [("Maximum ( 5 3 9 )", "'Maximum'"), ("max(5,3)", "three digits"), ("max()", "missing")],
)
def test_a_question_that_can_not_be_answered_trains_nothing(question: str, words: str) -> None:
    digit_model.TASK.path.unlink()
    with pytest.raises(UserError, match=words):
        ask(question, None)
    assert not digit_model.TASK.path.exists()


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path} can't be read as a checkpoint: it is a fold"):
        ask("max(5,3,9)", tmp_path)


def test_lines_of_a_pipe_are_answered_one_by_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "max(5,3,9)\n\nmaximum 1 2 3\nfirst 1 2\nMin ( 53 9 70 )\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    assert ask(None, None) == 2
    out, err = capsys.readouterr()
    assert out.index("max(5,3,9) = ") < out.index("Min ( 53 9 70 ) = ")
    assert [line[:7] for line in err.splitlines()] == ["error: "] * 2
    assert "> " not in out
    monkeypatch.setattr(sys, "stdin", io.StringIO("last 1 2 3\nquit\nfirst 1 2\n"))
    assert ask(None, None) == 0


@pytest.mark.parametrize(
    ("keys", "code"), [("quit\r", 0), ("EXIT\r", 0), ("\x04", 0), ("\x03", 130)]
)
def test_a_terminal_is_asked_until_it_ends(
    models: Path, terminal: Callable[..., Any], keys: str, code: int
) -> None:
    session = terminal("digits", "ask", cwd=models)
    session.wait_for("Type a question, such as Max ( 5 3 9 ). quit or Ctrl-D ends.")
    session.wait_for("> ")
    session.press("second 4 7 1\r")
    session.wait_for("second 4 7 1 = ")
    session.wait_for("> ")
    session.press("secnd 4 7 1\r")
    session.wait_for("'secnd' is not an operation")
    session.wait_for("> ")
    if keys == "\x03":
        assert session.interrupt() == code
    else:
        session.press(keys)
        assert session.end() == code
    assert "Traceback" not in session.shown
    # The terminal may show ^C behind the line end that the command has written by then.
    assert session.shown.replace("^C", "").endswith("\n")
