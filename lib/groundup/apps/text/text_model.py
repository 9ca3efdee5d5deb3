"""A NumPy decoder on any text: its recipe, its training, what it writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groundup.apps.session.resumable_training import ResumableTraining
from groundup.apps.session.task import Task
from groundup.apps.text import text_data
from groundup.data import lossless_tokenizer
from groundup.data.lossless_tokenizer import (
    ByteLevelBPE,
    CharacterTokenizer,
    LosslessTokenizer,
    Progress,
)
from groundup.data.notices import Notice, issue_warning
from groundup.data.strings import lone_surrogate
from groundup.lab.errors import UserError
from groundup.lab.files import atomic_file
from groundup.lab.ranges import require_whole
from groundup.scratch import checkpoint, language
from groundup.scratch.decoder import Decoder, DecoderConfig, KVCache
from groundup.scratch.language import Rows
from groundup.scratch.sampling import Choose
from groundup.scratch.trainer import TrainConfig
from groundup.scratch.types import IntArray

_MEASURED = 20_000  # held-out tokens that are read in a measurement


@dataclass(frozen=True)
class TextRecipe:
    """How ``groundup text train`` trains. Fields, defaults and these lines are its options.

    Attributes:
        data: stories, from a small grammar; a text file; a table (.csv, .tsv, .jsonl, .json,
            .parquet); a folder of such, also packed (.gz, .bz2, .xz); or a data set of the Hub,
            such as roneneldan/TinyStories.
        column: the column of a data set that holds the text.
        encoding: of files that are not UTF-8 and have no byte order mark, such as cp1252
            (Windows).
        megabytes: read at most so many million characters.
        tokenizer: char; bpe, learned from the text; gpt2, or another byte-level tokenizer of the
            Hub or a folder.
        vocabulary: tokens that bpe learns at most.
        width: of the model.
        layers: of the model.
        heads: of the model.
        context: tokens that it can look back on.
        steps: optimizer steps.
        batch_size: rows in a step.
        lr: the peak learning rate.
        seed: of weights and order.
    """

    data: str = text_data.STORIES
    column: str | None = None
    encoding: str | None = None
    megabytes: int = 200
    tokenizer: str = "char"
    vocabulary: int = 1_000
    width: int = 64
    layers: int = 2
    heads: int = 4
    context: int = 64
    steps: int = 1_000
    batch_size: int = 32
    lr: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        names = ("megabytes", "vocabulary", "width", "layers", "heads", "context", "steps")
        require_whole(**{name: getattr(self, name) for name in (*names, "batch_size")})
        self.shape(1)
        _ = self.config  # both refuse what is out of range

    @property
    def config(self) -> TrainConfig:
        """The training's part."""
        warmup = min(100, self.steps // 10)
        return TrainConfig(self.steps, self.batch_size, self.lr, warmup=warmup, seed=self.seed)

    def shape(self, vocabulary: int) -> DecoderConfig:
        """The model's part."""
        return DecoderConfig(
            vocabulary, self.width, self.heads, self.layers, 4 * self.width, self.context
        )


@dataclass(frozen=True)
class TokenizedText:
    """A text as ids.

    Attributes:
        tokens: the tokenizer.
        train: (N,) what is trained on.
        held_out: (M,) what is not.
    """

    tokens: LosslessTokenizer
    train: IntArray
    held_out: IntArray


TASK = Task("text", "text", "groundup text train", TextRecipe, checkpoint.load_decoder)


def read_corpus(
    recipe: TextRecipe, progress: Progress, notice: Notice = issue_warning
) -> TokenizedText:
    """Read a recipe's text and encode it.

    The tokenizer learns from the training part. Only the alphabet of ``char`` is that of both
    parts: a model without a character could not be asked about a text that has it.

    Args:
        recipe: what to read.
        progress: told the share that is encoded.
        notice: told in a line what of the source was left out.

    Raises:
        UserError: there is no such text or tokenizer.
    """
    text = text_data.read_text(
        recipe.data, recipe.megabytes, recipe.column, recipe.encoding, notice
    )
    known: LosslessTokenizer
    if recipe.tokenizer == "char":
        known = CharacterTokenizer.of(text.train + text.held_out)
    elif recipe.tokenizer == "bpe":
        known = ByteLevelBPE.learn(text.train, recipe.vocabulary)
    else:
        known = ByteLevelBPE.named(recipe.tokenizer)
    share = len(text.train) / (len(text.train) + len(text.held_out))
    train = known.encode_all(text.train, lambda done: progress(done * share))
    held_out = known.encode_all(text.held_out, lambda done: progress(share + done * (1 - share)))
    return TokenizedText(known, train, held_out)


def ids_path(path: Path) -> Path:
    """Where a training keeps its text as ids until the model at ``path`` is done."""
    return path.with_suffix(".ids.npz")


def save_corpus(corpus: TokenizedText, path: Path) -> None:
    """Keep it beside the training: to go on needs neither the source nor the time to encode it."""
    with atomic_file(ids_path(path)) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            train=corpus.train,
            held_out=corpus.held_out,
            tokens=np.array(corpus.tokens.to_json()),
        )


def load_corpus(path: Path) -> TokenizedText:
    """What :func:`save_corpus` wrote.

    Raises:
        UserError: it is not there, or damaged.
    """
    try:
        with np.load(ids_path(path), allow_pickle=False) as kept:
            known = lossless_tokenizer.from_json(str(kept["tokens"]))
            return TokenizedText(known, kept["train"], kept["held_out"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{ids_path(path)} can't be read; train without --resume") from error


def begin(
    recipe: TextRecipe, corpus: TokenizedText, path: Path
) -> tuple[ResumableTraining[Decoder], Rows]:
    """A training that has not begun, and the held-out rows that it is measured on.

    Raises:
        UserError: the text is too short.
    """
    try:
        rows = language.windows(corpus.train, recipe.context)
        measured = _spread(language.windows(corpus.held_out, recipe.context))
        if len(rows) < recipe.batch_size:
            raise ValueError(f"{len(rows)} rows do not fill a batch of {recipe.batch_size}")
    except ValueError as error:
        raise UserError(f"the text is too short for --context {recipe.context}: {error}") from error
    config = recipe.config
    generator = np.random.default_rng([recipe.seed, 1])
    model = Decoder.create(recipe.shape(len(corpus.tokens)), generator)
    optimizer = language.optimizer_of(model, config)
    size = int(corpus.tokens.sizes()[measured.targets].sum())

    def measure() -> dict[str, float]:
        return scores(*language.evaluate(model, measured), size)

    training = ResumableTraining(
        task=TASK.name,
        recipe=recipe,
        model=model,
        config=config,
        optimizer=optimizer,
        steps=lambda: language.train(model, rows, config, optimizer),
        measure=measure,
        path=path,
        every=max(1, min(100, config.steps // 10)),
        notes={"tokenizer": corpus.tokens.to_json()},
    )
    return training, measured


def _spread(rows: Rows) -> Rows:
    """As many rows as a measurement looks at, evenly spread over all."""
    count = min(len(rows), max(1, _MEASURED // rows.ids.shape[1]))
    return rows.take(np.linspace(0, len(rows) - 1, count).astype(int))


def scores(loss: float, count: int, size: int) -> dict[str, float]:
    """A loss in nats a token, with the perplexity and the bits per byte that it means."""
    return {
        "loss": loss,
        "perplexity": language.perplexity(loss),
        "bits_per_byte": language.bits_per_byte(loss, count, size),
    }


def unigram(corpus: TokenizedText, measured: Rows) -> dict[str, float]:
    """The same for a model that knows how frequent each token is, and nothing else.

    Its probabilities are the training part's counts, one added to each.
    """
    counts = np.bincount(corpus.train, minlength=len(corpus.tokens)) + 1.0
    surprise = -np.log(counts / counts.sum())
    size = int(corpus.tokens.sizes()[measured.targets].sum())
    return scores(float(surprise[measured.targets].mean()), measured.targets.size, size)


def load(path: Path | None = None) -> tuple[Decoder, LosslessTokenizer]:
    """The kept text model and its tokenizer.

    Raises:
        UserError: it is missing or damaged, or it is a model of something else.
    """
    model, notes = TASK.load(path)
    try:
        return model, lossless_tokenizer.from_json(notes["tokenizer"])
    except (ValueError, KeyError) as error:  # JSONDecodeError is a ValueError
        raise UserError(
            f"{path or TASK.path}: {error}; delete it, or train again: {TASK.command}"
        ) from error


def prompt_ids(known: LosslessTokenizer, prompt: str) -> list[int]:
    """The ids of a prompt. Of an empty one: those of an empty line, where a document begins.

    Raises:
        UserError: the tokenizer does not know a character, or the prompt is not text.
    """
    if half := lone_surrogate(prompt):
        raise UserError(f"the prompt holds {half}: the terminal's encoding is not UTF-8")
    return [int(i) for i in known.encode(prompt or lossless_tokenizer.DOCUMENT_END)]


def stream(model: Decoder, prompt: list[int], choose: Choose, count: int) -> Iterator[int]:
    """Write on, a token at a time, as far as wanted.

    When the context is full, the later half of it is read again and the rest is forgotten.

    Args:
        model: the language model.
        prompt: at least one id; of a long one the last ``max_length`` are read.
        choose: picks the next token.
        count: how many are written.
    """
    longest = model.config.max_length
    text = list(prompt)
    cache = KVCache(model.config, 1)
    unread = text[-longest:]
    for _ in range(count):
        if cache.length + len(unread) > longest:
            cache, unread = KVCache(model.config, 1), text[-(longest // 2 or 1) :]
        logits = model.step(np.array([unread]), cache)[:, -1]
        token = int(choose(logits)[0])
        text.append(token)
        unread = [token]
        yield token
