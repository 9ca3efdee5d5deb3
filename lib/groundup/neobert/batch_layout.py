"""The token layout of a batch: padded rows, or sequences packed end to end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

Value = TypeVar("Value")


class _Once(Generic[Value]):
    """functools.cached_property, without the lock that a compiler can't enter on Python 3.11."""

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self.compute = compute

    def __get__(self, owner: Any, kind: type | None = None) -> Value:
        value = self.compute(owner)
        object.__setattr__(owner, self.compute.__name__, value)  # found first from now on
        return value


@dataclass(frozen=True, eq=False)
class Packed:
    """Sequences packed end to end, with nothing between them: a batch of one, N tokens long.

    Attributes:
        cu_seqlens: (S + 1,) int32, where each of S sequences begins; the last entry is N. The name
            is the one fused kernels use: cumulative sequence lengths.
        max_seqlen: the longest length, or a bound of it. Kernels need it as a number: known where
            the batch is made, it need not be fetched from the device in every step.
        positions: (N,) the position of each token in its own sequence.
    """

    cu_seqlens: Tensor
    max_seqlen: int
    positions: Tensor

    @_Once
    def lengths(self) -> list[int]:
        """Of each sequence, on the host."""
        lengths: list[int] = self.cu_seqlens.diff().tolist()
        return lengths

    @_Once
    def documents(self) -> Tensor:
        """(N,) which sequence each token belongs to."""
        numbers = torch.arange(len(self.cu_seqlens) - 1, device=self.cu_seqlens.device)
        return numbers.repeat_interleave(
            self.cu_seqlens.diff().long(), output_size=len(self.positions)
        )

    @_Once
    def indices(self) -> Tensor:
        """(N,) of the tokens in the flattened (S, max_seqlen) where each sequence has a row."""
        return self.documents * self.max_seqlen + self.positions

    @_Once
    def key_padding_mask(self) -> Tensor:
        """(S, max_seqlen) bool, True where such a row holds a token."""
        lengths = self.cu_seqlens.diff()
        return torch.arange(self.max_seqlen, device=lengths.device) < lengths[:, None]


@dataclass(frozen=True, eq=False)
class BatchLayout:
    """The token layout of one forward pass, and the cache of the tokens before it.

    Attributes:
        positions: (T,) the position of each token in its own text; or (B, T) where rows differ.
        packed: texts of unequal length, end to end in a batch of one. Not with a cache.
        indices: of a batch whose padding was removed, those of its real tokens; see :func:`unpad`.
        cache: keys and values of earlier tokens; each layer of a decoder adds those of the new
            ones. None: there are no earlier ones, and none are kept.
        key_padding_mask: (B, S) bool, for the S cached and new tokens: False at padding. None:
            there is no padding. Only with a cache: without one, padding is removed, and the rest
            is packed.
    """

    positions: Tensor
    packed: Packed | None = None
    indices: Tensor | None = None
    cache: "Cache | None" = None
    key_padding_mask: Tensor | None = None


def unpad(mask: Tensor) -> tuple[Tensor, Packed]:
    """Find the real tokens of a padded batch, and pack its rows end to end.

    Args:
        mask: (B, T) bool, True at real tokens, which may be anywhere in a row.

    Returns:
        The indices of the N real tokens in the flattened mask, (N,) int64, in order; and their
        layout without the padding: a row with n real tokens is a sequence of n, positions 0 to
        n − 1. A row without any is an empty sequence. ``max_seqlen`` is the largest n itself.
    """
    indices = mask.flatten().nonzero().squeeze(1)
    lengths = mask.sum(1)
    starts = lengths.cumsum(0) - lengths
    positions = torch.arange(len(indices), device=mask.device)
    positions = positions - starts.repeat_interleave(lengths, output_size=len(indices))
    cu_seqlens = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
    return indices, Packed(cu_seqlens, int(lengths.max()), positions)


def pack(lengths: Sequence[int], device: torch.device | str | None = None) -> Packed:
    """Sequences of these lengths, end to end.

    Raises:
        ValueError: there is no sequence, or a length is negative.
    """
    if not lengths or min(lengths) < 0:
        raise ValueError(f"lengths must be one or more numbers from 0 up: got {list(lengths)}")
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    positions = torch.cat([torch.arange(n) for n in lengths])
    return Packed(cu_seqlens.to(device), max(lengths), positions.to(device))


def from_cu_seqlens(cu_seqlens: Tensor, max_seqlen: int | None, tokens: int) -> Packed:
    """The layout of a batch that was packed where it was made.

    Args:
        cu_seqlens: (S + 1,) integers, see :class:`Packed`.
        max_seqlen: the longest length, or a bound of it. None: it is fetched from the device.
        tokens: N.

    Raises:
        ValueError: the shape is wrong. On the CPU also where the entries do not rise from 0 to N
            or a sequence is longer than ``max_seqlen``: elsewhere the check would stop the device,
            or the compiler.
    """
    if cu_seqlens.dim() != 1 or len(cu_seqlens) < 2 or cu_seqlens.is_floating_point():
        raise ValueError(
            "cu_seqlens must be one row of at least 2 integers: got "
            f"{tuple(cu_seqlens.shape)} of {cu_seqlens.dtype}"
        )
    lengths = cu_seqlens.diff().long()
    if max_seqlen is None:
        max_seqlen = int(lengths.max())
    if cu_seqlens.device.type == "cpu" and not torch.compiler.is_compiling():
        ends = (int(cu_seqlens[0]), int(cu_seqlens[-1]))
        if ends != (0, tokens) or int(lengths.min()) < 0 or int(lengths.max()) > max_seqlen:
            raise ValueError(
                f"cu_seqlens must rise from 0 to the {tokens} tokens, by at most max_seqlen="
                f"{max_seqlen}: got {cu_seqlens.tolist()}"
            )
    starts = cu_seqlens[:-1].long().repeat_interleave(lengths, output_size=tokens)
    positions = torch.arange(tokens, device=cu_seqlens.device) - starts
    return Packed(cu_seqlens.to(torch.int32), max_seqlen, positions)


def pad_tokens(rows: Tensor, indices: Tensor, shape: tuple[int, ...] | torch.Size) -> Tensor:
    """Put rows (N, …) at their indices in a (B, T, …) tensor of zeros; ``shape`` is (B, T)."""
    padded = rows.new_zeros(shape[0] * shape[1], *rows.shape[1:])
    return padded.index_copy(0, indices, rows).view(*shape, *rows.shape[1:])


def unpack_attention_weights(weights: Tensor, layout: BatchLayout, shape: torch.Size) -> Tensor:
    """Attention weights of a pack, (S, H, M, M), as (B, H, T, T); those of a batch as they are."""
    if layout.packed is None:
        return weights
    batch, length = shape
    unpacked = weights.new_zeros(batch, weights.shape[1], length, length)
    indices = layout.indices
    if indices is None:  # it came as a pack: its sequences are on the diagonal of one row
        indices = torch.arange(length, device=weights.device)
    rows, columns = indices.div(length, rounding_mode="floor"), indices % length
    begin = 0
    for own, count in zip(weights, layout.packed.lengths, strict=True):
        if count:
            at = columns[begin : begin + count]
            unpacked[rows[begin]][:, at[:, None], at] = own[:, :count, :count]
            begin += count
    return unpacked


def as_bool(mask: Tensor, shape: torch.Size) -> Tensor:
    """An attention mask as (B, T) bool, True at real tokens.

    Args:
        mask: (B, T) or (B, 1, 1, T). Nonzero at real tokens; or, in floats of which none is above
            0, what is added to scores elsewhere: 0 at real tokens, far below at the others.
        shape: (B, T).

    Raises:
        ValueError: the shape is wrong, or floats are on both sides of 0.
    """
    if mask.dim() == 4 and mask.shape[1:3] == (1, 1):
        mask = mask[:, 0, 0]
    if mask.shape != shape:
        raise ValueError(f"attention_mask must be (B, T) = {tuple(shape)}: got {tuple(mask.shape)}")
    if not mask.is_floating_point() or not mask.numel():
        return mask.bool()
    low, high = (float(end) for end in mask.aminmax())
    if low < 0 < high:
        raise ValueError(
            "an attention_mask of floats is 1 and 0, or 0 and far below: got both "
            f"{low:g} and {high:g}"
        )
    return mask > 0 if high > 0 else mask == 0


def resolve_layout(
    shape: torch.Size,
    attention_mask: Tensor | None,
    *,
    cache: "Cache | None" = None,
    cu_seqlens: Tensor | None = None,
    max_seqlen: int | None = None,
    max_length: int,
    device: torch.device,
) -> BatchLayout:
    """The token layout of a forward pass, from what the model was given.

    Args:
        shape: (B, T) of the new tokens.
        attention_mask: (B, T), with a cache of P tokens (B, P + T); see :func:`as_bool`. None: all
            tokens are real.
        cache: of P earlier tokens.
        cu_seqlens: of a batch that was packed where it was made.
        max_seqlen: of it.
        max_length: the longest text the model reads.
        device: of the tokens.

    Raises:
        ValueError: a text is longer, a shape does not fit, or two arguments exclude each other.
    """
    cached = 0 if cache is None else int(cache.get_seq_length())
    keys = longest = cached + shape[1]
    layout = BatchLayout(torch.arange(cached, keys, device=device), cache=cache)
    if cu_seqlens is not None:
        if attention_mask is not None or cache is not None or shape[0] != 1:
            raise ValueError(
                "cu_seqlens goes with ids of shape (1, N), no attention_mask and no cache"
            )
        packed = from_cu_seqlens(cu_seqlens, max_seqlen, shape[1])
        layout = BatchLayout(packed.positions, packed)
    elif attention_mask is not None:
        key_padding_mask = as_bool(attention_mask, torch.Size((shape[0], keys)))
        if not key_padding_mask.all() and cache is None:
            indices, packed = unpad(key_padding_mask)
            layout = BatchLayout(packed.positions, packed, indices)
        elif not key_padding_mask.all():
            positions = (key_padding_mask.cumsum(1) - 1).clamp(min=0)[:, cached:]
            layout = BatchLayout(positions, cache=cache, key_padding_mask=key_padding_mask)
            if keys > max_length:  # else there is no need to ask the device
                longest = int(key_padding_mask.sum(1).max())
    if layout.packed is not None:
        longest = layout.packed.max_seqlen
    if longest > max_length:
        raise ValueError(f"at most max_length={max_length} tokens: got {longest}")
    return layout
