"""Masked language modelling: hidden tokens, batches of texts, and the loss over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from groundup.data.strings import check_texts
from groundup.lab.fingerprint import digest
from groundup.lab.ranges import require_number, require_share, require_whole
from groundup.lab.seeds import seed_at
from groundup.neobert.losses import IGNORE
from groundup.train.module_mode import evaluation_mode


def mask_tokens(
    ids: Tensor, maskable: Tensor, mask_id: int, rate: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide a share of the tokens. Every hidden token becomes [MASK], as in NeoBERT's recipe.

    Args:
        ids: (B, T) tokens, of any integer type.
        maskable: (B, T) bool, False at special tokens and padding.
        mask_id: the id of [MASK].
        rate: the probability of each maskable token to be hidden.
        generator: makes the choice repeatable.

    Returns:
        The input (B, T), and the labels (B, T): the token where it is hidden, −100 elsewhere. Both
        are int64: −100 has no place in an unsigned type.

    Raises:
        ValueError: the rate is outside [0, 1], or ``maskable`` is not boolean.
    """
    require_share(rate=rate)
    if maskable.dtype != torch.bool:
        raise ValueError(f"maskable must be boolean: got {maskable.dtype}")
    ids = ids.long()
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & maskable
    return ids.masked_fill(chosen, mask_id), ids.masked_fill(~chosen, IGNORE)


def pad_rows(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Stack token lists, padded on the right.

    Returns:
        ids (B, T), and the attention mask (B, T), 1 at real tokens.

    Raises:
        ValueError: there is no row.
    """
    if not rows:
        raise ValueError("a batch needs at least one row: got none")
    length = max(len(row) for row in rows)
    ids = torch.full((len(rows), length), pad_id)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids, mask


@dataclass
class MaskedText:
    """The objective of masked pretraining: texts of like length share a batch, some tokens hidden.

    An epoch holds every text once. Where the texts do not fill the last batch, the batches share
    the gap: some hold one text less than the others.

    Attributes:
        rows: token ids of each text, special tokens included.
        tokenizer: knows the special tokens.
        batch_size: texts a batch and process, at most.
        rate: share of tokens that are hidden, above 0. Each batch hides at least one token.
        seed: of order and masks; both depend on it and on the position alone.

    Raises:
        ValueError: a value that cannot be, or fewer texts than a batch holds.
    """

    rows: list[list[int]]
    tokenizer: PreTrainedTokenizerBase
    batch_size: int = 64
    rate: float = 0.2
    seed: int = 0
    coupled: bool = False

    def __post_init__(self) -> None:
        require_whole(batch_size=self.batch_size)
        require_number("rate", self.rate, 0, 1, open_low=True)
        require_whole(0, seed=self.seed)
        if len(self.rows) < self.batch_size:
            raise ValueError(f"{len(self.rows)} texts do not fill a batch of {self.batch_size}")
        by_length = np.argsort([len(row) for row in self.rows], kind="stable")
        self._batches = np.array_split(by_length, -(-len(by_length) // self.batch_size))
        self._special = torch.tensor(self.tokenizer.all_special_ids)

    def batch(self, index: int, rank: int = 0, processes: int = 1) -> dict[str, Tensor]:
        """Micro-batch ``index`` of process ``rank``: input_ids, attention_mask and labels."""
        place = index * processes + rank
        epoch, position = divmod(place, len(self._batches))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self._batches))
        rows = [self.rows[i] for i in self._batches[order[position]]]
        assert isinstance(self.tokenizer.pad_token_id, int)
        ids, attention_mask = pad_rows(rows, self.tokenizer.pad_token_id)
        generator = torch.Generator().manual_seed(seed_at(self.seed, place))
        maskable = ~torch.isin(ids, self._special)
        assert isinstance(self.tokenizer.mask_token_id, int)
        hidden, labels = mask_tokens(
            ids, maskable, self.tokenizer.mask_token_id, self.rate, generator
        )
        if not (labels != IGNORE).any() and maskable.any():
            # In a small batch chance may hide nothing: hide one token.
            one = torch.rand(ids.shape, generator=generator).masked_fill(~maskable, -1).argmax()
            chosen = torch.arange(ids.numel()).view_as(ids) == one
            hidden, labels = mask_tokens(ids, chosen, self.tokenizer.mask_token_id, 1.0, generator)
        return {"input_ids": hidden, "attention_mask": attention_mask, "labels": labels}

    def description(self) -> dict[str, Any]:
        """What the batches depend on, see :class:`~groundup.train.objective.DescribedObjective`."""
        return {
            "batch_size": self.batch_size,
            "rate": self.rate,
            "seed": self.seed,
            "texts": len(self.rows),
            "content": digest(self.rows),
        }

    def count(self, batch: dict[str, Tensor]) -> int:
        """The number of hidden tokens."""
        return int((batch["labels"] != IGNORE).sum())

    def loss(self, model: torch.nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The summed cross-entropy of the hidden tokens, in nats."""
        device = next(model.parameters()).device
        moved = {name: value.to(device) for name, value in batch.items()}
        loss: Tensor = model(**moved, num_items_in_batch=1).loss
        return loss


def tokenize_rows(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, min_length: int = 8
) -> list[list[int]]:
    """Token ids of each text, cut at ``max_length``; texts under ``min_length`` are left out.

    Raises:
        ValueError: one of the texts is not a string, a length is below 1, or ``min_length`` is
            above ``max_length``.
    """
    require_whole(max_length=max_length, min_length=min_length)
    if min_length > max_length:
        raise ValueError(
            f"min_length must be at most max_length: got {min_length} and {max_length}"
        )
    encoded = tokenizer(list(check_texts(texts)), truncation=True, max_length=max_length)[
        "input_ids"
    ]
    return [row for row in encoded if len(row) >= min_length]


def log_frequencies(rows: Sequence[Sequence[int]], vocabulary: int) -> Tensor:
    """Log of each token's share of the text, with one occurrence added for each.

    Args:
        rows: token ids.
        vocabulary: V.

    Returns:
        (V,) float32, in nats.

    Raises:
        ValueError: a token is outside [0, V).
    """
    require_whole(vocabulary=vocabulary)
    ids = np.concatenate([np.asarray(row, np.int64) for row in rows])
    if ids.size and (ids.min() < 0 or ids.max() >= vocabulary):
        raise ValueError(f"token ids must lie in [0, {vocabulary}): got {ids.min()} to {ids.max()}")
    counts = np.bincount(ids, minlength=vocabulary)
    shares = (counts + 1) / (counts.sum() + vocabulary)
    return torch.tensor(np.log(shares), dtype=torch.float32)


def unigram_loss(frequencies: Tensor, labels: Tensor) -> float:
    """The loss of a model that predicts each token by its frequency in the training text.

    Args:
        frequencies: (V,) from :func:`log_frequencies` of the training text.
        labels: any shape, the hidden tokens; −100 is left out.

    Returns:
        The mean cross-entropy in nats: the entropy of the hidden tokens under those frequencies.

    Raises:
        ValueError: no token is hidden, or a label is neither −100 nor in [0, V).
    """
    labels = labels.long()
    hidden = labels[labels != IGNORE]
    if not len(hidden):
        raise ValueError(f"none of {labels.numel()} labels is of a hidden token")
    low, high = (int(end) for end in hidden.aminmax())
    if low < 0 or high >= len(frequencies):
        raise ValueError(f"labels must lie in [0, {len(frequencies)}): got {low} to {high}")
    return float(-frequencies[hidden].mean())


@torch.no_grad()
def init_bias_from_unigrams(decoder: torch.nn.Linear, frequencies: Tensor) -> None:
    """Let a fresh decoder predict each token by its frequency alone, whatever the input.

    The first loss is then the unigram loss, and every step goes into what context adds to it.
    """
    decoder.weight.zero_()
    decoder.bias.copy_(frequencies)


@torch.no_grad()
def masked_loss(model: torch.nn.Module, data: MaskedText, batches: int) -> tuple[float, Tensor]:
    """Mean loss in nats over the hidden tokens of the first batches, and those tokens' labels.

    The model is put into evaluation mode for it, and back.

    Raises:
        ValueError: there is no batch, or none has a hidden token.
    """
    require_whole(batches=batches)
    total, labels = 0.0, []
    with evaluation_mode(model):
        for index in range(batches):
            batch = data.batch(index)
            total += float(data.loss(model, batch))
            labels.append(batch["labels"].flatten())
    joined = torch.cat(labels)
    count = int((joined != IGNORE).sum())
    if not count:
        raise ValueError(f"none of the first {batches} batches has a hidden token")
    return total / count, joined
