"""Ask the digit models in the terminal: one question, or one after another."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from groundup.apps.digits import digit_model, digit_training, two_digit_model
from groundup.apps.digits.questions import EXAMPLE, Question, read_question
from groundup.apps.session import bars
from groundup.apps.session.resumable_training import read_notes, unfinished_path
from groundup.apps.session.task import recipe_of
from groundup.lab.console import console, typed_lines
from groundup.lab.errors import UserError
from groundup.scratch.decoder import Decoder
from groundup.scratch.encoder import Encoder
from groundup.scratch.tasks.digits import VOCABULARY

_DIGITS = "0123456789"
_INTERRUPTED = 130

Loaded = tuple[Encoder | Decoder, int]
"""A model, and how many numbers a question to it has."""


class Models:
    """The models that answer, each loaded at its first question.

    Args:
        path: of the one that answers all. None: this folder's, by the size of the numbers; the
            digit model is trained if it is not there yet.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._loaded: dict[Path, Loaded] = {}

    def answer(self, text: str) -> None:
        """Print the answer to a question, its probabilities, and where the model looked.

        Raises:
            UserError: the question can't be read, or there is no model for it.
        """
        question = read_question(text)
        model, arguments = self.load(question)
        if isinstance(model, Decoder):
            _show_written(text, two_digit_model.ask(model, question, arguments))
        else:
            _show_chosen(text, digit_model.ask(model, question, arguments))

    def load(self, question: Question | None = None) -> Loaded:
        """The model for a question, or for those on numbers below 10."""
        path = self._path or self._here(question)
        if path not in self._loaded:
            if not path.exists():
                raise UserError(
                    f"no checkpoint at {path}; make one with groundup digits train --output"
                )
            notes = read_notes(path)
            two_digit = notes.get("task") == two_digit_model.TASK.name
            model, _ = (two_digit_model.TASK if two_digit else digit_model.TASK).load(path)
            self._loaded[path] = model, recipe_of(notes).get("arguments", 3)
        return self._loaded[path]

    def _here(self, question: Question | None) -> Path:
        """This folder's model for a question."""
        above_9 = question is not None and max(question.numbers) > 9
        path = (two_digit_model.TASK if above_9 else digit_model.TASK).path
        if path.exists():
            return path
        if above_9:
            raise UserError(
                "numbers above 9 are answered by another model, and it takes minutes to train: "
                "groundup digits train --two-digit"
            )
        if unfinished_path(path).exists():
            raise UserError(
                f"the training of {path} is not finished; go on with groundup digits train --resume"
            )
        if question is not None:
            digit_model.token_ids(question)  # refused before a model is trained for it
        digit_training.train({}, None)
        return path


def ask(question: str | None, path: Path | None) -> int:
    """Answer a question; without one, those that are typed or piped in, line by line.

    Args:
        question: in any form that :func:`~groundup.apps.digits.questions.read_question` takes.
        path: see :class:`Models`.

    Returns:
        The exit code: 2 if a line from a pipe could not be answered, 130 after Ctrl-C, else 0.

    Raises:
        UserError: the one question can't be answered.
    """
    models = Models(path)
    if question is not None:
        models.answer(question)
        return 0
    models.load()
    asked = sys.stdin.isatty()
    if asked:
        console.print(f"Type a question, such as {EXAMPLE}. quit or Ctrl-D ends.", markup=False)
    code = 0
    try:
        for line in typed_lines("> "):
            try:
                models.answer(line)
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
                code = code if asked else error.exit_code
    except KeyboardInterrupt:
        console.print()
        return _INTERRUPTED
    return code


def _show_chosen(question: str, answer: digit_model.DigitAnswer) -> None:
    _head(question, int(answer.probabilities.argmax()))
    console.print()
    _print(bars.likeliest(answer.probabilities, _DIGITS))
    _where(answer.tokens, answer.attention)


def _show_written(question: str, written: Sequence[two_digit_model.WrittenToken]) -> None:
    _head(question, "".join(each.token for each in written if each.token in _DIGITS))
    for place, each in enumerate(written, start=1):
        console.print(Text(f"\nToken {place} of the answer: {each.token}", style="bold"))
        _print(bars.likeliest(each.probabilities, VOCABULARY))
        if each.token in _DIGITS:
            _where(each.read, each.attention)


def _head(question: str, answer: int | str) -> None:
    console.print(Text(f"\n{' '.join(question.split())} = {answer}", style="bold"))


def _where(tokens: Sequence[str], attention: Any) -> None:
    console.print("\nWhere the answer looked (last layer, mean over heads):")
    _print(bars.attended(tokens, attention.mean(axis=0)))


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(Text(line))
