"""A text encoder and its pooling: texts in, unit vectors out."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from groundup.data.strings import check_texts
from groundup.embed.backbone import has_adapters, is_pooler, read_backbone, save_backbone
from groundup.embed.end_token import with_end_token
from groundup.embed.pooling import last_token_pool, mean_pool
from groundup.embed.sentence_transformers_files import Pooling, read_pooling, write_pooling
from groundup.lab.errors import UserError
from groundup.lab.files import atomic_directory
from groundup.lab.ranges import require_whole
from groundup.neobert.auto import register_auto_classes
from groundup.train.module_mode import evaluation_mode

POOLINGS = ("mean", "weighted", "last")
_PROBES = ("", "One text, with Capitals.", "snake_case and CamelCase, 12345")


class SentenceEncoder(nn.Module):
    """A backbone, its tokenizer, and a pooling.

    ``mean`` averages the real tokens, ``last`` takes the last one (causal models) and makes sure
    that it is the end token, ``weighted`` averages with one learned weight for each token of the
    vocabulary.

    Attributes:
        backbone: token ids to one vector a token.
        tokenizer: text to token ids; for ``last`` a copy that ends each text with the end token.
        pooling: one of :data:`POOLINGS`.
        token_weights: (V,), of ``weighted``.
        max_length: tokens read of a text unless a call gives another number. It is saved, so
            other libraries that load the directory cut there too.
    """

    def __init__(
        self,
        backbone: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        pooling: str = "mean",
        token_weights: Tensor | None = None,
        max_length: int | None = None,
    ) -> None:
        """Join the parts.

        Args:
            backbone: of transformers, without a head, or PEFT's wrapper around one.
            tokenizer: the backbone's.
            pooling: one of :data:`POOLINGS`.
            token_weights: (V,) for "weighted", V at least the tokenizer's vocabulary.
            max_length: see the class. None: as much as tokenizer and backbone take.

        Raises:
            ValueError: an argument is not one of these, or two of them do not fit together.
        """
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}: got {pooling!r}")
        if (token_weights is not None) != (pooling == "weighted"):
            raise ValueError("token_weights belong to pooling 'weighted', and it needs them")
        if has_adapters(backbone) and not hasattr(backbone, "merge_and_unload"):
            raise ValueError(
                "the backbone has adapters and is not a PeftModel: give what get_peft_model or "
                "PeftModel.from_pretrained returns, on a base that was loaded alone"
            )
        self.backbone = backbone
        self.tokenizer = with_end_token(tokenizer) if pooling == "last" else tokenizer
        self.pooling = pooling
        if token_weights is not None:
            if token_weights.dim() != 1 or len(token_weights) < len(tokenizer):
                raise ValueError(
                    f"token_weights must be (V,), V at least {len(tokenizer)}, the tokenizer's "
                    f"vocabulary: got {tuple(token_weights.shape)}"
                )
            self.token_weights = nn.Parameter(token_weights)
        self.freeze_unused()
        self._longest = _longest(backbone, self.tokenizer)
        self.max_length = self._length(self._longest if max_length is None else max_length)

    def freeze_unused(self) -> None:
        """Leave out of training what no vector depends on: the pooler that BERT's family has.

        DistributedDataParallel waits for a gradient of every parameter that asks for one.
        """
        for name, parameter in self.backbone.named_parameters():
            if is_pooler(name):
                parameter.requires_grad_(False)

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
        encoded = self.tokenizer(
            list(texts), truncation=True, max_length=max_length, padding=True, return_tensors="pt"
        )
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    @torch.no_grad()
    def encode(
        self,
        texts: str | Iterable[str],
        max_length: int | None = None,
        batch_size: int = 128,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Unit vectors of texts. Texts of like length share a batch; the order is kept.

        Args:
            texts: N of them, or one.
            max_length: tokens read of each. None: the encoder's own.
            batch_size: texts at a time.
            progress: called with (texts done, N).

        Returns:
            (N, D) float32, or (D,) for one text given as a string; the dot product of two rows is
            their cosine.

        Raises:
            ValueError: something among the texts is not a string, or a number is out of range.
        """
        rows = _strings([texts] if isinstance(texts, str) else texts)
        require_whole(batch_size=batch_size)
        length = self.max_length if max_length is None else self._length(max_length)
        vectors = self._encode(rows, length, batch_size, progress)
        return vectors[0] if isinstance(texts, str) else vectors

    def _encode(
        self,
        texts: list[str],
        length: int,
        batch_size: int,
        progress: Callable[[int, int], None] | None,
    ) -> NDArray[np.float32]:
        device = next(self.parameters()).device
        order = np.argsort([len(text) for text in texts], kind="stable")
        result = np.zeros((len(texts), self.backbone.config.hidden_size), np.float32)
        with evaluation_mode(self):
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = self.tokenize([texts[i] for i in rows], length)
                vectors = self.pool(**{name: value.to(device) for name, value in batch.items()})
                result[rows] = F.normalize(vectors.float(), dim=-1).cpu().numpy()
                if progress:
                    progress(min(start + batch_size, len(order)), len(order))
        return result

    def _length(self, tokens: int) -> int:
        """A number of tokens that a text may be cut to."""
        least = self.tokenizer.num_special_tokens_to_add() + 1
        if not least <= tokens <= self._longest:
            raise ValueError(
                f"max_length must be {least} to {self._longest} tokens with this backbone and "
                f"tokenizer: got {tokens}"
            )
        return tokens

    def save(self, directory: Path | str, merge: bool = False) -> None:
        """Write backbone, tokenizer and pooling into one directory, atomically.

        ``SentenceTransformer(directory)`` gives the same vectors, for NeoBERT with
        ``trust_remote_code=True``: its code is in the directory too.

        Args:
            directory: replaced if it exists.
            merge: write adapters added to the weights. Otherwise they are written as PEFT's
                adapters, which name the directory of the base and need it.

        Raises:
            UserError: what would be written could not be read again as it is here.
        """
        directory = Path(directory)
        with atomic_directory(directory) as temporary:
            save_backbone(self.backbone, temporary, merge, directory)
            self.tokenizer.save_pretrained(temporary)
            weights = self.token_weights if self.pooling == "weighted" else None
            pooling = Pooling(self.pooling, self.max_length, weights)
            write_pooling(temporary, pooling, self.backbone.config.hidden_size, self.tokenizer)
            self._check_tokenizer(temporary)
        if not has_adapters(self.backbone):
            # Adapters that are added later find their base there.
            self.backbone.config.name_or_path = str(directory)

    def _check_tokenizer(self, directory: Path) -> None:
        register_auto_classes()
        again = AutoTokenizer.from_pretrained(directory)
        for text in _PROBES:
            before, after = self.tokenizer(text)["input_ids"], again(text)["input_ids"]
            if before != after:
                raise UserError(
                    f"{type(self.tokenizer).__name__} does not survive saving: {text!r} gives "
                    f"{before}, and {after} when read again"
                )

    @classmethod
    def load(cls, directory: Path | str) -> "SentenceEncoder":
        """Read what :meth:`save` wrote, or a directory of sentence-transformers of the same form.

        Raises:
            UserError: the directory is not there, is not whole, or is an encoder whose vectors
                this library does not compute.
        """
        folder, pooling = read_pooling(Path(directory))
        backbone = read_backbone(folder)
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
            return cls(backbone, tokenizer, pooling.kind, pooling.token_weights, pooling.max_length)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{directory} is not a whole sentence encoder: {error}") from error


def _longest(backbone: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The tokens that both take; a tokenizer without a limit reports a huge number."""
    positions = getattr(backbone.config, "max_position_embeddings", None)
    known = [n for n in (tokenizer.model_max_length, positions) if isinstance(n, int)]
    longest = min(known, default=0)
    if not 0 < longest < 2**31:
        raise ValueError(
            "neither the tokenizer nor the backbone says how many tokens it takes: set the "
            f"tokenizer's model_max_length, which is {tokenizer.model_max_length}"
        )
    return longest


def _strings(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, bytes | Mapping | Set) or not isinstance(texts, Iterable):
        raise ValueError(f"texts must be a string or a list of strings: got {shortened(texts)}")
    return list(check_texts(texts))


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
