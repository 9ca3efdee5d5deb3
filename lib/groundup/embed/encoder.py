"""A text encoder and its pooling: texts in, unit vectors out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from groundup.embed.pooling import last_token_pool, mean_pool
from groundup.lab.errors import UserError
from groundup.lab.files import atomic_directory, read_json, write_json
from groundup.lab.modes import evaluating
from groundup.lab.ranges import require_whole
from groundup.neobert.auto import register

POOLINGS = ("mean", "weighted", "last")
_POOLING_FILE = "pooling.json"
_WEIGHTS_FILE = "token_weights.safetensors"


class SentenceEncoder(nn.Module):
    """A backbone, its tokenizer, and a pooling.

    ``mean`` averages the real tokens, ``last`` takes the last one (causal models) and makes sure
    that it is the end token, ``weighted`` averages with one learned weight for each token of the
    vocabulary.
    """

    def __init__(
        self,
        backbone: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        pooling: str = "mean",
        token_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}: got {pooling!r}")
        if (token_weights is not None) != (pooling == "weighted"):
            raise ValueError("token_weights belong to pooling 'weighted', and it needs them")
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.pooling = pooling
        if token_weights is not None:
            self.token_weights = nn.Parameter(token_weights)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids (B, T) and mask (B, T) → one vector a text (B, D), not normalised."""
        hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask)
        vectors: Tensor = hidden.last_hidden_state
        if self.pooling == "last":
            return last_token_pool(vectors, attention_mask)
        weights = self.token_weights[input_ids] if self.pooling == "weighted" else None
        return mean_pool(vectors, attention_mask, weights)

    def forward(self, *batches: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Vectors of several batches in one call, as DistributedDataParallel wants it.

        Args:
            batches: each with input_ids (B, T) and attention_mask (B, T).

        Returns:
            (B, D) for each batch, not normalised.
        """
        return tuple(self.pool(**batch) for batch in batches)

    def tokenize(self, texts: Sequence[str], max_length: int) -> dict[str, Tensor]:
        """Texts → input_ids and attention_mask (B, T), cut at ``max_length`` tokens."""
        cut: dict[str, Any] = {"truncation": True, "max_length": max_length}
        if self.pooling == "last":
            rows = self.tokenizer(list(texts), **cut)["input_ids"]
            ended = {"input_ids": [self._ended(row, max_length) for row in rows]}
            encoded = self.tokenizer.pad(ended, padding=True, return_tensors="pt")
        else:
            encoded = self.tokenizer(list(texts), **cut, padding=True, return_tensors="pt")
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    def _ended(self, row: list[int], max_length: int) -> list[int]:
        """A text's tokens, the last of them the end token: many causal tokenizers add none."""
        ends = [self.tokenizer.eos_token_id, self.tokenizer.sep_token_id]
        known = [end for end in ends if isinstance(end, int)]
        if not known:
            raise ValueError("pooling 'last' needs a tokenizer with an end or separator token")
        return row if row and row[-1] in known else [*row[: max_length - 1], known[0]]

    @torch.no_grad()
    def encode(
        self,
        texts: Sequence[str],
        max_length: int = 128,
        batch_size: int = 128,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Unit vectors of texts. Texts of like length share a batch; the order is kept.

        Args:
            texts: N of them.
            max_length: tokens read of each.
            batch_size: texts at a time.
            progress: called with (texts done, N).

        Returns:
            (N, D) float32; the dot product of two rows is their cosine.

        Raises:
            ValueError: ``max_length`` or ``batch_size`` is below 1.
        """
        require_whole(max_length=max_length, batch_size=batch_size)
        device = next(self.parameters()).device
        order = np.argsort([len(text) for text in texts], kind="stable")
        result = np.zeros((len(texts), self.backbone.config.hidden_size), np.float32)
        with evaluating(self):
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = self.tokenize([texts[i] for i in rows], max_length)
                vectors = self.pool(**{name: value.to(device) for name, value in batch.items()})
                result[rows] = F.normalize(vectors, dim=-1).float().cpu().numpy()
                if progress:
                    progress(min(start + batch_size, len(order)), len(order))
        return result

    def save(self, directory: Path) -> None:
        """Write backbone, tokenizer and pooling into one directory, atomically."""
        with atomic_directory(directory) as temporary:
            self.backbone.save_pretrained(temporary)
            self.tokenizer.save_pretrained(temporary)
            write_json(temporary / _POOLING_FILE, {"pooling": self.pooling})
            if self.pooling == "weighted":
                weights = {"weight": self.token_weights.detach().contiguous()}
                save_file(weights, temporary / _WEIGHTS_FILE)

    @classmethod
    def load(cls, directory: Path) -> "SentenceEncoder":
        """Read what :meth:`save` wrote.

        Raises:
            UserError: the directory is not there or is not such an encoder.
        """
        described = read_json(directory / _POOLING_FILE)
        if described is None:
            raise UserError(f"{directory} holds no sentence encoder ({_POOLING_FILE} is missing)")
        register()
        weights = None
        try:
            backbone = AutoModel.from_pretrained(directory)
            tokenizer = AutoTokenizer.from_pretrained(directory)
            if described["pooling"] == "weighted":
                weights = load_file(directory / _WEIGHTS_FILE)["weight"]
            return cls(backbone, tokenizer, described["pooling"], weights)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise UserError(f"{directory} is not a whole sentence encoder: {error}") from error


def inverse_document_frequency(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], vocabulary: int
) -> Tensor:
    """How rare each token is: log((1 + N) / (1 + texts with it)), over its mean.

    Special tokens get 0. The mean only sets the scale: pooling divides by the sum of the weights.

    Args:
        tokenizer: cuts the texts.
        texts: N of them.
        vocabulary: V.

    Returns:
        (V,) float32 (Spärck Jones, 1972).
    """
    counts = np.zeros(vocabulary)
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    for ids in encoded:
        counts[np.unique(np.array(ids, dtype=np.int64))] += 1
    weights = np.log((1 + len(texts)) / (1 + counts))
    weights /= weights.mean()
    weights[tokenizer.all_special_ids] = 0
    return torch.tensor(weights, dtype=torch.float32)
