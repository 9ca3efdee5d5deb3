"""Questions to the digit models as people type them: ``max(5,3,9)``, ``second 4 7 1``."""

import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches

from groundup.lab.errors import UserError
from groundup.scratch.tasks.digits import OPERATIONS

EXAMPLE = "Max ( 5 3 9 )"
_QUESTION = re.compile(r"(?P<word>[^\W\d_]+)\s*:?\s*(?P<rest>.*?)[\s=?.!]*", re.DOTALL)
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Question:
    """An operation and its numbers. As text it has the form that the models are trained on.

    Attributes:
        operation: one of :data:`groundup.scratch.tasks.digits.OPERATIONS`.
        numbers: each from 0 to 99.
    """

    operation: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.operation} ( {' '.join(map(str, self.numbers))} )"


def read_question(text: str) -> Question:
    """Read a question in any case and spacing, with or without brackets and commas.

    Raises:
        UserError: it can't be read. The message names what is wrong, in a line.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if not plain:
        raise UserError(f'the question is empty; ask for example "{EXAMPLE}"')
    found = _QUESTION.fullmatch(plain)
    if found is None:
        raise UserError(
            f'a question begins with {", ".join(OPERATIONS)}, as in "{EXAMPLE}": got {text!r}'
        )
    return Question(_operation(found["word"]), _numbers(found["rest"], text))


def _operation(word: str) -> str:
    if word.capitalize() in OPERATIONS:
        return word.capitalize()
    near = get_close_matches(word.capitalize(), OPERATIONS, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise UserError(
        f'{word!r} is not an operation: use {", ".join(OPERATIONS)}, as in "{EXAMPLE}"{meant}'
    )


def _numbers(rest: str, text: str) -> tuple[int, ...]:
    """The numbers behind the operation."""
    inside = rest
    if rest[:1] in _BRACKETS and rest.endswith(_BRACKETS[rest[0]]):
        inside = rest[1:-1]
    # A comma parts two numbers, so none can be missing beside it; spaces may be many.
    parts = [part for comma in re.split("[,;]", inside) for part in comma.split() or [""]]
    for part in parts if inside.strip() else []:
        if not re.fullmatch("[0-9]+", part):
            what = f"{part!r} is not a number" if part else "a number is missing beside a comma"
            raise UserError(f'{what}; ask for example "{EXAMPLE}": got {text!r}')
        if len(part.lstrip("0")) > 2:
            raise UserError(
                f"numbers go from 0 to 99, with spaces or commas between: got {part} in {text!r}"
            )
    if not inside.strip():
        raise UserError(f'the numbers are missing; ask for example "{EXAMPLE}": got {text!r}')
    return tuple(map(int, parts))
