"""How a language model writes: a token at a time, or the likeliest text it can find."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from groundup.scratch.decoder import Decoder, KVCache
from groundup.scratch.sampling import Choose, scale
from groundup.scratch.types import Array, BoolArray, IntArray


def generate(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    choose: Choose,
    new_tokens: int,
    stop: Collection[int] = (),
    cached: bool = True,
) -> list[list[int]]:
    """Write on, a token at a time, all prompts side by side.

    Args:
        model: the language model.
        prompts: token ids of each prompt; their lengths may differ.
        choose: :func:`~groundup.scratch.sampling.greedy`, or what
            :func:`~groundup.scratch.sampling.sampler` returns. It is asked for every row at every
            token, also for rows that have stopped.
        new_tokens: at most how many tokens are written.
        stop: token ids that end a row.
        cached: keep keys and values. Without, each token reads the whole text again: the same
            text in more time.

    Returns:
        What was written to each prompt, the stop token included.

    Raises:
        ValueError: there is no prompt, one is empty, or prompt and new tokens do not fit.
    """
    text = _Text(model, prompts, new_tokens, cached)
    written = np.empty((len(prompts), 0), int)
    lengths = np.full(len(prompts), new_tokens)
    for i in range(new_tokens):
        tokens = choose(text.logits())
        text.append(tokens)
        written = np.column_stack([written, tokens])
        lengths[np.isin(tokens, list(stop)) & (lengths > i)] = i + 1
        if lengths.max() == i + 1:
            break
    return [row[:n].tolist() for row, n in zip(written, lengths, strict=True)]


@dataclass(frozen=True)
class Hypothesis:
    """One text that beam search found: its ids, its log p in nats, and what it was ranked by."""

    ids: list[int]
    log_probability: float
    score: float


def beam_search(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    width: int,
    new_tokens: int,
    stop: Collection[int] = (),
    length_power: float = 0.0,
    cached: bool = True,
) -> list[list[Hypothesis]]:
    """Look for the likeliest text as a whole: keep the ``width`` best beginnings at each token.

    A beginning that has met a stop token keeps its place with one continuation, itself. Width 1
    is greedy; a width that no step exceeds is exhaustive search.

    Args:
        model: the language model.
        prompts: token ids of each prompt; their lengths may differ.
        width: how many beginnings are kept, at least 1.
        new_tokens: at most how many tokens are written.
        stop: token ids that end a text.
        length_power: texts are ranked by log p / length**length_power. 0 favours short texts, as
            each token only lowers log p; 1 is the mean of a token.
        cached: see :func:`generate`.

    Returns:
        For each prompt up to ``width`` hypotheses, the best first, the stop token included.

    Raises:
        ValueError: the width is below 1 or the power not finite; otherwise as :func:`generate`.
    """
    if width < 1:
        raise ValueError(f"beam search keeps at least one text: got width={width}")
    if not np.isfinite(length_power):
        raise ValueError(f"length_power must be finite: got {length_power}")
    text = _Text(model, prompts, new_tokens, cached)
    rows = np.arange(len(prompts))[:, None]
    written = np.empty((len(prompts), 1, 0), int)  # (B, W, tokens so far); W grows from 1 to width
    total = scores = np.zeros((len(prompts), 1))  # log p of each
    lengths = np.zeros((len(prompts), 1), int)
    ended = np.zeros((len(prompts), 1), bool)
    for _ in range(new_tokens):
        logits = scale(text.logits(), 1.0)
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        log_p = log_p.reshape(*total.shape, -1)  # (B, W, V)
        log_p[ended] = -np.inf
        log_p[ended, 0] = 0.0  # the one continuation of a text that has ended
        lengths = lengths + ~ended
        totals = total[..., None] + log_p
        ranked = totals / lengths[..., None].astype(float) ** length_power
        ranked = ranked.reshape(len(rows), -1)  # (B, W·V)
        best = np.argsort(-ranked, axis=-1, kind="stable")[:, :width]
        beam, tokens = np.divmod(best, log_p.shape[-1])  # which beginning, and what follows it
        text.reorder((rows * total.shape[1] + beam).ravel())
        text.append(tokens.ravel())
        total, scores = totals[rows, beam, tokens], np.take_along_axis(ranked, best, axis=-1)
        written = np.concatenate([written[rows, beam], tokens[..., None]], axis=-1)
        lengths = lengths[rows, beam]
        ended = ended[rows, beam] | np.isin(tokens, list(stop))
        if (ended | np.isneginf(total)).all():
            break
    return [
        [
            Hypothesis(written[b, w, : lengths[b, w]].tolist(), float(total[b, w]), float(s))
            for w, s in enumerate(scores[b])
            if np.isfinite(s)  # a width above the number of texts leaves places empty
        ]
        for b in range(len(prompts))
    ]


class _Text:
    """Rows of text that grow: padded on the left, so that every row ends in the last column."""

    def __init__(
        self, model: Decoder, prompts: Sequence[Sequence[int]], new_tokens: int, cached: bool
    ) -> None:
        if not len(prompts) or not all(len(p) for p in prompts) or new_tokens < 1:
            raise ValueError(
                "writing needs at least one prompt, none of them empty, and at least one new "
                f"token: got prompts of lengths {[len(p) for p in prompts]}, {new_tokens} new"
            )
        longest = max(len(p) for p in prompts)
        # The last token written is never read.
        if longest + new_tokens - 1 > model.config.max_length:
            raise ValueError(
                f"a prompt of {longest} tokens and {new_tokens} new ones do not fit into "
                f"max_length = {model.config.max_length}"
            )
        self.model = model
        self.ids: IntArray = np.zeros((len(prompts), longest), int)
        self.mask: BoolArray = np.zeros(self.ids.shape, bool)
        for i, p in enumerate(prompts):
            self.ids[i, longest - len(p) :], self.mask[i, longest - len(p) :] = p, True
        dtype = model.params["embedding"].dtype.type
        self.cache = KVCache(model.config, len(prompts), dtype) if cached else None

    def logits(self) -> Array:
        """(B, V) What the model expects next."""
        if self.cache is None:
            return self.model.forward(self.ids, self.mask)[0][:, -1]
        new = slice(self.cache.length, None)
        return self.model.step(self.ids[:, new], self.cache, self.mask[:, new])[:, -1]

    def append(self, tokens: IntArray) -> None:
        """Add a token (B,) to each row."""
        self.ids = np.column_stack([self.ids, tokens])
        self.mask = np.column_stack([self.mask, np.ones(len(tokens), bool)])

    def reorder(self, rows: IntArray) -> None:
        """Row i becomes what row ``rows[i]`` was; the number of rows may change."""
        self.ids, self.mask = self.ids[rows], self.mask[rows]
        if self.cache is not None:
            self.cache.reorder(rows)
