"""The perplexity of texts under a causal or a masked language model."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from groundup.data.strings import lone_surrogate
from groundup.neobert.generation import generate_text
from groundup.neobert.losses import IGNORE
from groundup.neobert.windows import WindowRow, overlapping_windows
from groundup.train.module_mode import evaluation_mode

if TYPE_CHECKING:
    import pandas
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class PerplexityResult:
    """What an :class:`PerplexityEvaluator` found, text by text.

    Attributes:
        nats: of each text, the surprise −log p at its counted tokens, summed.
        counts: of each text, how many tokens were counted. Special tokens are read, not counted.
        sizes: of each text, the bytes of its counted part in UTF-8; None for rows of ids.
        context: how many tokens to its left the model had at every counted token, at least; fewer
            only where the text has fewer. None: no text had to be cut.
    """

    nats: tuple[float, ...]
    counts: tuple[int, ...]
    sizes: tuple[int | None, ...]
    context: int | None

    @property
    def tokens(self) -> int:
        """How many tokens were counted."""
        return sum(self.counts)

    @property
    def loss(self) -> float:
        """Nats a token, over all tokens: a long text weighs more."""
        return math.fsum(self.nats) / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(loss): between how many equally likely tokens the model seems to choose."""
        return _exp(self.loss)

    @property
    def bits_per_byte(self) -> float | None:
        """Bits to write down a byte of the texts, given the model; None for rows of ids.

        Comparable across tokenizers, as long as they keep the whole text: one that folds case or
        spaces leaves out what others must pay for.
        """
        if any(size is None for size in self.sizes):
            return None
        return math.fsum(self.nats) / math.log(2) / sum(size or 0 for size in self.sizes)

    def metrics(self) -> dict[str, float]:
        """The figures by name, for ``Record.add(stage, step, **metrics)`` of groundup.lab."""
        found = {"loss": self.loss, "perplexity": self.perplexity, "tokens": float(self.tokens)}
        bits = self.bits_per_byte
        return found if bits is None else found | {"bits_per_byte": bits}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a text: tokens, nats, loss, perplexity, bytes; NaN where nothing was counted."""
        import pandas

        losses = [n / c if c else math.nan for n, c in zip(self.nats, self.counts, strict=True)]
        columns = {
            "tokens": self.counts,
            "nats": self.nats,
            "loss": losses,
            "perplexity": [_exp(loss) for loss in losses],
            "bytes": pandas.array(self.sizes, dtype="Int64"),
        }
        return pandas.DataFrame(columns)


@dataclass(frozen=True)
class PerplexityEvaluator:
    """Measures a causal or a masked language model of transformers.

    A causal model predicts each token from those before it. The first token of a text is counted
    only if a special token comes before it. A masked model predicts tokens that are hidden from
    it, every ``rounds``-th in a pass, so that after so many passes each was hidden once. With
    ``rounds`` no smaller than a text each is hidden alone: pseudo-perplexity (Salazar et al., 2020,
    arXiv 1910.14659).

    A text longer than ``max_length`` is read in windows that overlap, and each token is counted in
    one of them: a causal model's in the first that holds it, a masked model's near the middle.

    Attributes:
        model: takes ``input_ids`` and ``attention_mask``, gives ``logits``. Models that
            ``can_generate`` are causal, the others masked.
        tokenizer: cuts texts as it always does, special tokens included. None: rows of ids alone.
        max_length: tokens the model reads at once. None: what model and tokenizer say.
        stride: tokens from the start of a window to that of the next. None: half of ``max_length``.
        rounds: of a masked model; 7 hides 14% of a text at a time.
        batch_tokens: how many tokens are read at once, padding included; logits take as much
            memory as the vocabulary is large.
    """

    model: Any
    tokenizer: "PreTrainedTokenizerBase | None" = None
    max_length: int | None = None
    stride: int | None = None
    rounds: int = 7
    batch_tokens: int = 4096

    def __post_init__(self) -> None:
        if self._window < 2 or not 1 <= self._stride < self._window:
            raise ValueError(
                "a window holds at least 2 tokens, and the next begins 1 to max_length − 1 later: "
                f"got max_length={self._window}, stride={self._stride}"
            )
        if self.rounds < 1 or self.batch_tokens < 1:
            raise ValueError(
                "rounds and batch_tokens must be at least 1: got "
                f"{self.rounds} and {self.batch_tokens}"
            )
        if self.masked and self._mask_id is None:
            raise ValueError("a masked model needs a tokenizer with a mask token")

    @property
    def masked(self) -> bool:
        """Whether the model predicts hidden tokens, not next ones."""
        return not self.model.can_generate()

    def evaluate(self, texts: Sequence[str | Sequence[int]]) -> PerplexityResult:
        """Read texts, and sum up how surprising they are.

        Batches hold texts of like length; neither they nor padding change the result beyond
        rounding. The model is put in eval mode for it, and back.

        Args:
            texts: strings; or rows of token ids, in which every token is an ordinary one.

        Raises:
            ValueError: no token can be counted, strings came without a tokenizer, or one of the
                texts is neither a string nor a row of ids.
        """
        if isinstance(texts, str):
            raise ValueError(f"texts are a list of strings, not one: got {texts[:40]!r}")
        rows: list[WindowRow] = []
        sizes: list[int | None] = []
        cut = False
        for number, text in enumerate(texts):
            ids, special, size = self._read(text, number)
            sizes.append(size)
            cut |= len(ids) > self._window
            rows += self._rows(number, ids, special)
        counts = Counter[int]()
        for row in rows:
            counts[row.text] += row.count
        if not counts.total():
            raise ValueError(f"none of {len(texts)} texts has a token that can be counted")
        nats: defaultdict[int, float] = defaultdict(float)
        with evaluation_mode(self.model):
            for batch in self._batches(rows):
                for row, surprise in zip(batch, self._score(batch), strict=True):
                    nats[row.text] += surprise
        each = range(len(texts))
        before = self._window - self._stride - self._behind
        return PerplexityResult(
            nats=tuple(nats[i] for i in each),
            counts=tuple(counts[i] for i in each),
            sizes=tuple(sizes),
            context=before if cut else None,
        )

    def samples(self, prompts: list[str], seed: int = 0, **settings: Any) -> list[str]:
        """Continuations of prompts, see :func:`generate_text`; drawn, unless settings say greedy.

        Raises:
            ValueError: there is no tokenizer, or see :func:`generate_text`.
        """
        if self.tokenizer is None:
            raise ValueError("writing needs a tokenizer")
        settings = {"do_sample": True, "max_new_tokens": 40, **settings}
        return generate_text(self.model, self.tokenizer, prompts, seed=seed, **settings)

    @property
    def _window(self) -> int:
        if self.max_length is not None:
            return self.max_length
        config = self.model.config
        names = ("max_position_embeddings", "max_length")
        known = [value for name in names if (value := getattr(config, name, None))]
        if self.tokenizer is not None:
            known.append(self.tokenizer.model_max_length)  # very large where it was not set
        if not known:
            raise ValueError("neither model nor tokenizer says how much it reads: give max_length")
        return int(min(known))

    @property
    def _stride(self) -> int:
        return self._window // 2 if self.stride is None else self.stride

    @property
    def _behind(self) -> int:
        """How many tokens of a window that is not the last are read and not counted, at its end."""
        return (self._window - self._stride) // 2 if self.masked else 0

    @property
    def _mask_id(self) -> int | None:
        return None if self.tokenizer is None else self.tokenizer.mask_token_id

    def _read(
        self, text: str | Sequence[int], number: int
    ) -> tuple[list[int], list[bool], int | None]:
        """The ids of a text, which of them are special, and the bytes of what can be counted."""
        if not isinstance(text, str):
            if not isinstance(text, Iterable) or isinstance(text, bytes):
                raise ValueError(
                    f"texts[{number}] is {text!r:.40} ({type(text).__name__}): neither a string "
                    "nor a row of ids"
                )
            return [int(i) for i in text], [False] * len(text), None  # NumPy's and torch's too
        if half := lone_surrogate(text):
            raise ValueError(f"texts[{number}] holds {half}: it was cut, or decoded wrongly")
        if self.tokenizer is None:
            raise ValueError("texts need a tokenizer; without one give rows of ids")
        fast = self.tokenizer.is_fast
        made = self.tokenizer(
            text,
            return_special_tokens_mask=True,
            return_offsets_mapping=fast,
            verbose=False,  # longer than the model reads: that is what windows are for
        )
        special = [bool(each) for each in made["special_tokens_mask"]]
        if self.masked or not special or special[0]:
            return list(made["input_ids"]), special, len(text.encode())
        if not fast:  # the second token's place in the text is not known
            return list(made["input_ids"]), special, None
        begin = made["offset_mapping"][1][0] if len(special) > 1 else len(text)
        return list(made["input_ids"]), special, len(text[begin:].encode())

    def _rows(self, number: int, ids: list[int], special: list[bool]) -> Iterator[WindowRow]:
        """What the model is shown of a text, and what it is asked there."""
        for begin, end, first, stop in overlapping_windows(
            len(ids), self._window, self._stride, self._behind
        ):
            asked = [i for i in range(first, stop) if not special[i]]
            if not self.masked:
                asked = [i for i in asked if i > begin]
                yield WindowRow.of(number, ids[begin:end], {i - begin: ids[i] for i in asked})
                continue
            assert self._mask_id is not None
            for turn in range(self.rounds):
                hidden = {i - begin: ids[i] for i in asked if i % self.rounds == turn}
                shown = ids[begin:end]
                for index in hidden:
                    shown[index] = self._mask_id
                yield WindowRow.of(number, shown, hidden)

    def _batches(self, rows: list[WindowRow]) -> Iterator[list[WindowRow]]:
        """Rows with something to count, the longest first, so many as batch_tokens holds."""
        batch: list[WindowRow] = []
        for row in sorted(rows, key=lambda row: -len(row.ids)):
            if not row.count:
                continue
            if batch and (len(batch) + 1) * len(batch[0].ids) > self.batch_tokens:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    @torch.inference_mode()
    def _score(self, batch: list[WindowRow]) -> list[float]:
        """The nats of each row."""
        ids, targets = (
            torch.nn.utils.rnn.pad_sequence([getattr(r, name) for r in batch], True, fill)
            for name, fill in (("ids", 0), ("targets", IGNORE))
        )
        lengths = torch.tensor([len(row.ids) for row in batch])
        attention_mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        device = self.model.device
        logits = self.model(
            input_ids=ids.to(device), attention_mask=attention_mask.to(device)
        ).logits
        if not self.masked:
            logits, targets = logits[:, :-1], targets[:, 1:]
        chosen = (targets != IGNORE).to(device)
        asked = logits[chosen]
        asked = asked.to(torch.promote_types(asked.dtype, torch.float32))
        surprise = F.cross_entropy(asked, targets.to(device)[chosen], reduction="none")
        which = chosen.nonzero()[:, 0].cpu()
        sums = torch.zeros(len(batch), dtype=torch.float64)
        return sums.index_add(0, which, surprise.double().cpu()).tolist()


def _exp(loss: float) -> float:
    return math.exp(loss) if loss < 709 else math.inf
