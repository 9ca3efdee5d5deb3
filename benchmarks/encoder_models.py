"""What benchmarks/encoder.py compares: encoders of one size, and batches to run them on."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groundup.data.corpus import read_packages
from groundup.neobert.batch_layout import pack
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.mlm import pad_rows
from groundup.neobert.modeling import NeoBERTModel

OURS = "NeoBERT"
MODERN = "ModernBERT (transformers)"
BERT = "BERT (transformers)"
FLOOR = "the matrix products alone"


@dataclass(frozen=True)
class Size:
    """A size that all models are built in.

    Attributes:
        width: D.
        layers: number of blocks.
        heads: H.
        inner: of a feed-forward network with two matrices; gated ones have three of 2/3 the width.
        vocabulary: V.
        longest: sequence that can be read.
    """

    width: int = 384
    layers: int = 6
    heads: int = 6
    inner: int = 1536
    vocabulary: int = 8192
    longest: int = 4096

    @property
    def gated(self) -> int:
        """The width of a gated feed-forward network with as many parameters."""
        return -(-int(2 * self.inner / 3) // 8) * 8

    @property
    def block_parameters(self) -> int:
        """Of the linear maps of one block: 4 D² of attention, 3 D F of the network."""
        return 4 * self.width**2 + 3 * self.width * self.gated

    def training_flops(self, tokens: int, length: float, predicted: int) -> float:
        """Floating-point operations of a training step.

        Each parameter of a linear map costs 2 a token forward and 4 backward. The scores and the
        mixture of one layer cost 4 D a token and key forward and twice that backward. The decoder
        works on the predicted tokens alone. Recomputation is not counted.

        Args:
            tokens: read in the step.
            length: keys that a token sees, on average over tokens.
            predicted: tokens whose logits are made.
        """
        maps = 6 * self.layers * self.block_parameters * tokens
        mixing = 12 * self.layers * self.width * length * tokens
        return maps + mixing + 6 * self.width * self.vocabulary * predicted


PUBLISHED = Size(768, 28, 12, 3072, 30522, 4096)


def neobert(size: Size) -> nn.Module:
    return NeoBERTModel(
        NeoBERTConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.width,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            intermediate_size=size.inner,
            max_length=size.longest,
        )
    )


def modernbert(size: Size) -> nn.Module:
    """With every layer global, as NeoBERT's are, and as many parameters to the last one."""
    from transformers import ModernBertConfig, ModernBertModel

    return ModernBertModel(
        ModernBertConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.width,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            intermediate_size=size.gated,
            max_position_embeddings=size.longest,
            global_attn_every_n_layers=1,
            pad_token_id=0,
            cls_token_id=1,
            bos_token_id=1,
            sep_token_id=2,
            eos_token_id=2,
        )
    )


def bert(size: Size) -> nn.Module:
    """Without dropout, which the others do not have either."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.inner,
        max_position_embeddings=size.longest,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertModel(config, add_pooling_layer=False)


MODELS: dict[str, Callable[[Size], nn.Module]] = {OURS: neobert, MODERN: modernbert, BERT: bert}


class Products(nn.Module):
    """The linear maps of the blocks and SDPA on what comes out: no norms, no gates, no sums."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(size.vocabulary, size.width)
        shapes = ((size.width, 3 * size.width), (size.width, size.width))
        shapes += 2 * ((size.width, size.gated),) + ((size.gated, size.width),)
        self.maps = nn.ModuleList(
            nn.ModuleList(nn.Linear(*shape, bias=False) for shape in shapes)
            for _ in range(size.layers)
        )

    def forward(self, input_ids: Tensor) -> Tensor:
        x: Tensor = self.embedding(input_ids)
        for qkv, wo, w1, w2, w3 in self.maps:  # type: ignore[misc]
            q, k, v = qkv(x).unflatten(2, (3, self.size.heads, -1)).permute(2, 0, 3, 1, 4)
            x = wo(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
            gate, value = w1(x), w2(x)
            x = w3(gate + value)  # the one sum, so that both maps have a gradient
        return x


@dataclass(frozen=True)
class Batch:
    """One batch, in the forms that models take.

    Attributes:
        ids: (B, T), padded.
        mask: (B, T), 1 at real tokens.
        lengths: of the rows.
    """

    ids: Tensor
    mask: Tensor
    lengths: list[int]

    @property
    def tokens(self) -> int:
        """Real ones."""
        return sum(self.lengths)

    def seen(self) -> float:
        """Keys that a token sees within its own sequence, on average."""
        return sum(n * n for n in self.lengths) / self.tokens

    def padded(self, device: str) -> dict[str, Tensor]:
        """With a mask, if there is padding."""
        inputs = {"input_ids": self.ids.to(device)}
        return inputs if self.mask.all() else {**inputs, "attention_mask": self.mask.to(device)}

    def unmasked(self, device: str) -> dict[str, Tensor]:
        """Padding as if it were text: what a model costs that computes it."""
        return {"input_ids": self.ids.to(device)}

    def packed(self, device: str) -> dict[str, Tensor | int]:
        """End to end, in one row."""
        layout = pack(self.lengths, device)
        ids = self.ids[self.mask.bool()][None]
        return {
            "input_ids": ids.to(device),
            "cu_seqlens": layout.cu_seqlens,
            "max_seqlen": layout.max_seqlen,
        }


def uniform(rows: int, length: int, vocabulary: int) -> Batch:
    """Random tokens, rows of one length."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, vocabulary, (rows, length), generator=generator)
    return Batch(ids, torch.ones_like(ids), [length] * rows)


def real_lengths(rows: int, longest: int) -> list[int]:
    """Lengths as documentation texts have them; half of a padded batch is padding.

    The words of each docstring of the standard library are counted. Texts are cut where the mean is
    half of the longest, as a tokenizer cuts at a maximum, and the counts are scaled to ``longest``.

    Args:
        rows: how many lengths; evenly spread over the sorted texts, the longest among them.
        longest: in tokens.
    """
    entries = read_packages(("stdlib",)).entries
    counts = sorted(len(f"{e.summary} {e.body}".split()) for e in entries)
    cut = next(c for c in counts if c > 1 and _mean_share(counts, c) <= 0.5)
    spread = [counts[int((i + 0.5) / rows * len(counts))] for i in range(rows)]
    return [max(1, round(min(n, cut) / cut * longest)) for n in spread]


def _mean_share(counts: list[int], cut: int) -> float:
    return statistics.fmean(min(n, cut) for n in counts) / cut


def ragged(rows: int, longest: int, vocabulary: int) -> Batch:
    """Random tokens in rows of :func:`real_lengths`, in an order drawn once."""
    generator = torch.Generator().manual_seed(0)
    lengths = real_lengths(rows, longest)
    lengths = [lengths[i] for i in torch.randperm(rows, generator=generator).tolist()]
    texts = [torch.randint(5, vocabulary, (n,), generator=generator).tolist() for n in lengths]
    ids, mask = pad_rows(texts, 0)
    return Batch(ids, mask, lengths)
