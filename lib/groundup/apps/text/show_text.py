"""The text model in the terminal: how it trains, and what it writes."""

import codecs
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from groundup.apps.session import show_training
from groundup.apps.session.training import Point, Training, choose_recipe, unfinished
from groundup.apps.text import text_model
from groundup.apps.text.text_model import Corpus, Recipe
from groundup.data.lossless_tokenizer import LosslessTokenizer
from groundup.lab.console import console, progress_bar
from groundup.lab.errors import UserError, WorkError
from groundup.scratch.decoder import Decoder
from groundup.scratch.generate import beam_search
from groundup.scratch.sampling import Choose, greedy, sampler

_SAMPLE = 110  # tokens of a sample while training
_SHOWN = 110  # characters of it that are printed: a line


def train(given: dict[str, Any], path: Path | None, resume: bool = False) -> None:
    """Train a decoder on a text, keep it, and say what it is worth on the part it never saw.

    Args:
        given: the fields of :class:`groundup.apps.text.text_model.Recipe`; None where not given.
        path: of the model. None: this folder's.
        resume: go on with the unfinished training.
    """
    path = path or text_model.checkpoint_path()
    recipe = choose_recipe(Recipe, text_model.TASK, given, path, resume)
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
    show_training.announce(training)
    if not resume:
        unfinished(path).unlink(missing_ok=True)  # it was of other ids
        text_model.save_corpus(corpus, path)

    def sample(point: Point) -> None:
        _show_sample(training, corpus, int(point["step"]))

    output = "" if path == text_model.checkpoint_path() else f" --output {path}"
    again = f"groundup text train{output}"
    try:
        seconds = show_training.run(training, again, on_point=sample)
    except WorkError:  # there is nothing to go on with
        text_model.ids_path(path).unlink(missing_ok=True)
        raise
    _table(training, text_model.unigram(corpus, measured), measured.targets.size)
    after = {n: v for n, v in training.points[-1].items() if n not in ("step", "train_loss")}
    show_training.close(training, seconds, after)
    text_model.ids_path(path).unlink(missing_ok=True)


def _read(recipe: Recipe) -> Corpus:
    with progress_bar("reading the text") as bar:
        return text_model.read_corpus(recipe, bar.update, _note)


def _note(message: str) -> None:
    console.print(f"note: {message}", markup=False, soft_wrap=True)


def _show_sample(training: Training[Decoder], corpus: Corpus, step: int) -> None:
    rng = np.random.default_rng([training.config.seed, step])
    known = corpus.tokens
    try:
        prompt = text_model.prompt_ids(known, "")
    except UserError:  # the text has no empty line
        prompt = [int(corpus.held_out[0])]
    ids = list(text_model.stream(training.model, prompt, sampler(rng, 0.8), _SAMPLE))
    written = " ".join(known.decode(np.array(ids)).split())
    console.print(Text(f"    {written[:_SHOWN]}", style="dim"))


def _table(training: Training[Decoder], unigram: dict[str, float], count: int) -> None:
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


def write(
    prompt: str,
    path: Path | None,
    count: int | None,
    choose: Choose | None,
    beam: int | None,
) -> None:
    """Write on from a prompt; sampled text appears as it is written.

    Args:
        prompt: the beginning, which is repeated.
        path: of the model. None: this folder's.
        count: tokens to write. None: 200, or with a beam as many as the context has room for.
        choose: picks a token. None: the likeliest.
        beam: look for the likeliest text as a whole, with so many beginnings.

    Raises:
        UserError: there is no model, or the prompt can't be read.
    """
    if path is None and not text_model.checkpoint_path().exists():
        raise UserError("there is no text model yet: groundup text train makes one in minutes")
    model, known = text_model.load(path or text_model.checkpoint_path())
    ids = text_model.prompt_ids(known, prompt)
    if beam is not None:
        room = model.config.max_length - len(ids) + 1
        try:
            best = beam_search(model, [ids], beam, count or max(room, 1))[0][0]
        except ValueError as error:
            raise UserError(str(error)) from error
        print(prompt + known.decode(np.array(best.ids)))
        console.print(f"(log probability {best.log_probability:.2f}, {len(best.ids)} tokens)")
        return
    _stream(model, known, prompt, ids, choose or greedy, count or 200)


def _stream(
    model: Decoder,
    known: LosslessTokenizer,
    prompt: str,
    ids: list[int],
    choose: Choose,
    count: int,
) -> None:
    # A character may be spread over tokens: it is printed when it is whole.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    sys.stdout.write(prompt)
    for token in text_model.stream(model, ids, choose, count):
        sys.stdout.write(decoder.decode(known.pieces[token]))
        sys.stdout.flush()
    print(decoder.decode(b"", final=True))


def sampling(seed: int, temperature: float, k: int | None, p: float | None) -> Choose:
    """A way to choose tokens.

    Raises:
        UserError: a number can't be.
    """
    try:
        return sampler(np.random.default_rng(seed), temperature, k, p)
    except ValueError as error:
        raise UserError(str(error)) from error
