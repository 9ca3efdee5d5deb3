"""What a trained digit model has learned: where it errs, where its heads look, how it counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from groundup.apps.digits import digit_model, two_digit_model
from groundup.apps.digits.digit_training import describe_mistakes
from groundup.apps.session import figures
from groundup.apps.session.resumable_training import read_notes
from groundup.apps.session.task import recipe_of
from groundup.lab.console import console
from groundup.lab.errors import UserError
from groundup.lab.hyperlinks import link_paths
from groundup.scratch.analysis import ablate_heads, head_entropy, verdicts
from groundup.scratch.probe import geometry
from groundup.scratch.tasks.digits import OPERATIONS, SIZES, TOKEN_IDS, accuracy, make_splits
from groundup.scratch.tasks.two_digits import exact_match
from groundup.scratch.tasks.two_digits import make_splits as draw_splits
from groundup.scratch.types import Array

_EXAMINED = 2_000
"""At most so many questions are looked into head by head."""


def report(path: Path | None) -> None:
    """Print it for a kept model, and draw its figures where Matplotlib is installed.

    Raises:
        UserError: there is no such model.
    """
    path = path or digit_model.TASK.path
    if not path.exists():
        raise UserError(f"no checkpoint at {path}; make one with groundup digits train")
    notes = read_notes(path)
    recipe = recipe_of(notes)
    seed, arguments = recipe.get("seed", 0), recipe.get("arguments", 3)
    if notes.get("task") == two_digit_model.TASK.name:
        drawn = draw_splits(np.random.default_rng(seed), SIZES[recipe["size"]], arguments)
        _accuracy(exact_match(two_digit_model.TASK.load(path)[0], drawn.test), len(drawn.test))
        return
    model = digit_model.TASK.load(path)[0]
    test = make_splits(np.random.default_rng(seed), arguments).test
    _accuracy(accuracy(model, test), len(test))
    for said in describe_mistakes(model, test):
        console.print(Text(said))
    some = test.take(np.arange(min(len(test), _EXAMINED)))
    shares = head_entropy(model, some)
    _heads(shares, ablate_heads(model, some))
    first = TOKEN_IDS["0"]
    order = geometry(model.params["embedding"][first : first + 10])
    _number_line(order.coordinates[:, 0], order.number_line)
    if figures.installed():
        heads = figures.draw_heads(path.with_suffix(".heads.png"), shares, OPERATIONS)
        drawn_files = [heads, figures.draw_digits(path.with_suffix(".digits.png"), order)]
        names = ", ".join(map(str, drawn_files))
        console.print(link_paths(Text(f"\nFigures: {names}")), soft_wrap=True)


def _accuracy(result: dict[str, float], count: int) -> None:
    console.print(f"Right answers to {count:,} questions never seen in training:")
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, share in result.items():
        table.add_row(f"  {name}", f"{share:.1%}")
    console.print(table)


def _heads(shares: Array, without: Array) -> None:
    words = verdicts(shares)
    console.print(
        "\nHow the heads look from the first token: focused on a token or two, or distributed\n"
        "(the entropy, as a share of the most that it could be):"
    )
    console.print(
        _head_table(
            [
                [f"{w} {s:.2f}" for w, s in zip(*pair, strict=True)]
                for pair in zip(_rows(words), _rows(shares), strict=True)
            ],
            shares,
        )
    )
    console.print("\nRight answers when that head is removed:")
    console.print(_head_table([[f"{s:.1%}" for s in row] for row in _rows(without)], without))


def _rows(values: NDArray[Any]) -> NDArray[Any]:
    """(layers, H, operations) to a row for each head."""
    return values.reshape(-1, values.shape[-1])


def _head_table(cells: list[list[str]], like: Array) -> Table:
    table = Table("", *OPERATIONS, box=None, pad_edge=False)
    for (layer, head), row in zip(np.ndindex(*like.shape[:2]), cells, strict=True):
        table.add_row(f"  layer {layer + 1} head {head + 1}", *row)
    return table


def _number_line(places: Sequence[float] | Array, correlation: float, width: int = 60) -> None:
    console.print("\nThe embeddings of the digits on their first principal axis:")
    low, high = min(places), max(places)
    line, above = [" "] * (width + 1), [" "] * (width + 1)
    for digit, place in enumerate(places):
        column = round(float((place - low) / (high - low) * width))
        row = line if line[column] == " " else above  # two digits may share a column
        row[column] = str(digit)
    for row in (above, line):
        if text := "".join(row).rstrip():
            console.print(Text(f"  {text}"))
    console.print(
        f"  Order and distance agree by {correlation:+.2f} (rank correlation): 1 is a number line, "
        "0 no order."
    )
