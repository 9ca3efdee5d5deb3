"""The text model in the terminal: how it trains, and what it is worth."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from groundup.apps.session import training_display
from groundup.apps.session.resumable_training import Point, ResumableTraining, unfinished_path
from groundup.apps.text import text_model
from groundup.apps.text.text_model import TextRecipe, TokenizedText
from groundup.lab.console import console, progress_bar
from groundup.lab.errors import UserError, WorkError
from groundup.scratch.decoder import Decoder
from groundup.scratch.sampling import sampler

_SAMPLE = 110  # tokens of a sample while training
_SHOWN = 110  # characters of it that are printed: a line


def train(given: dict[str, Any], path: Path | None, resume: bool = False) -> None:
    """Train a decoder on a text, keep it, and say what it is worth on the part it never saw.

    Args:
        given: fields of :class:`~groundup.apps.text.text_model.TextRecipe`; None: not given.
        path: of the model. None: this folder's.
        resume: go on with the unfinished training.
    """
    path = path or text_model.TASK.path
    recipe = text_model.TASK.choose_recipe(given, path, resume)
    corpus = text_model.load_corpus(path) if resume else _read(recipe)
    training, measured = text_model.begin(recipe, corpus, path)
    if resume:
        training.restore()
    size = sum(value.size for value in training.model.params.values())
    console.print(
        f"Training a decoder of {size:,} parameters in NumPy on {recipe.data}: "
        f"{len(corpus.train):,} tokens of {len(corpus.tokens):,} kinds; {len(corpus.held_out):,} "
        f"are held out.\n{recipe.steps:,} steps of {recipe.batch_size} rows of {recipe.context} "
        "tokens. Ctrl-C stops it, --resume goes on.",
        markup=False,
    )
    training_display.announce(training)
    if not resume:
        unfinished_path(path).unlink(missing_ok=True)  # it was of other ids
        text_model.save_corpus(corpus, path)

    def sample(point: Point) -> None:
        _show_sample(training, corpus, int(point["step"]))

    try:
        seconds = training_display.run(training, text_model.TASK.again(path), on_point=sample)
    except WorkError:  # there is nothing to go on with
        text_model.ids_path(path).unlink(missing_ok=True)
        raise
    _table(training, text_model.unigram(corpus, measured), measured.targets.size)
    after = {n: v for n, v in training.points[-1].items() if n not in ("step", "train_loss")}
    training_display.close(training, seconds, after)
    text_model.ids_path(path).unlink(missing_ok=True)


def _read(recipe: TextRecipe) -> TokenizedText:
    with progress_bar("reading the text") as bar:
        return text_model.read_corpus(recipe, bar.update, _note)


def _note(message: str) -> None:
    console.print(f"note: {message}", markup=False, soft_wrap=True)


def _show_sample(training: ResumableTraining[Decoder], corpus: TokenizedText, step: int) -> None:
    rng = np.random.default_rng([training.config.seed, step])
    known = corpus.tokens
    try:
        prompt = text_model.prompt_ids(known, "")
    except UserError:  # the text has no empty line
        prompt = [int(corpus.held_out[0])]
    ids = list(text_model.stream(training.model, prompt, sampler(rng, 0.8), _SAMPLE))
    written = " ".join(known.decode(np.array(ids)).split())
    console.print(Text(f"    {written[:_SHOWN]}", style="dim"))


def _table(training: ResumableTraining[Decoder], unigram: dict[str, float], count: int) -> None:
    console.print(f"\nOn {count:,} tokens that were held out:")
    table = Table("", "perplexity", "bits per byte", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {
        "before training": training.points[0],
        "how frequent each token is (unigram)": unigram,
        "after training": training.points[-1],
    }
    for name, scores in rows.items():
        bits = f"{scores['bits_per_byte']:.3f}"
        table.add_row(f"  {name}", f"{scores['perplexity']:,.2f}", bits)
    console.print(table)
