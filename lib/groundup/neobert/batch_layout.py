"""How sequences of unequal length lie in memory: side by side with padding, or end to end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

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
    """Sequences laid end to end, with nothing between them: a batch of one, N tokens long.

    Attributes:
        cu_seqlens: (S + 1,) int32, where each of S sequences begins; the last entry is N. The name
            is the one fused kernels use: cumulative sequence lengths.
        max_seqlen: the longest length, or a bound of it. Kernels need it as a number: known where
            the batch is made, it need not be fetched from the device in every step.
        positions: (N,) the place of each token in its own sequence.
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
    def places(self) -> Tensor:
        """(N,) where the tokens stand when each sequence gets a row of ``max_seqlen`` places."""
        return self.documents * self.max_seqlen + self.positions

    @_Once
    def mask(self) -> Tensor:
        """(S, max_seqlen) bool, True where such a row holds a token."""
        lengths = self.cu_seqlens.diff()
        return torch.arange(self.max_seqlen, device=lengths.device) < lengths[:, None]


@dataclass(frozen=True, eq=False)
class Reading:
    """How the tokens of one pass lie, and what was read before them.

    Attributes:
        positions: (T,) the place of each token in its own text; or (B, T) where rows differ.
        packed: texts of unequal length lie end to end in a batch of one. Not with a cache.
        places: of a batch whose padding was taken out, where its real tokens stood; see
            :func:`unpad`.
        cache: transformers' Cache of the keys and values of earlier tokens; each layer of a decoder
            adds those of the new ones. None: there are no earlier ones, and none are kept.
        real: (B, S) bool, for the S cached and new tokens: False where a token is not there. None:
            all are. Only with a cache: without one, padding is taken out, and the rest is packed.
    """

    positions: Tensor
    packed: Packed | None = None
    places: Tensor | None = None
    cache: Any = None
    real: Tensor | None = None


def unpad(mask: Tensor) -> tuple[Tensor, Packed]:
    """Find the real tokens of a padded batch, and lay its rows end to end.

    Args:
        mask: (B, T) bool, True at real tokens, which may stand anywhere in a row.

    Returns:
        The places of the N real tokens in the flattened mask, (N,) int64, in order; and how they
        lie when the rest is left out: a row with n real tokens is a sequence of n, positions 0 to
        n − 1. A row without any is a sequence of none. ``max_seqlen`` is the largest n itself.
    """
    places = mask.flatten().nonzero().squeeze(1)
    lengths = mask.sum(1)
    starts = lengths.cumsum(0) - lengths
    positions = torch.arange(len(places), device=mask.device)
    positions = positions - starts.repeat_interleave(lengths, output_size=len(places))
    cu_seqlens = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
    return places, Packed(cu_seqlens, int(lengths.max()), positions)


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
            or a sequence is longer than ``max_seqlen``: elsewhere to look would stop the device,
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


def pad_tokens(rows: Tensor, places: Tensor, shape: tuple[int, ...] | torch.Size) -> Tensor:
    """Put rows (N, …) at their places of a (B, T, …) tensor of zeros; ``shape`` is (B, T)."""
    padded = rows.new_zeros(shape[0] * shape[1], *rows.shape[1:])
    return padded.index_copy(0, places, rows).view(*shape, *rows.shape[1:])


def square(
    weights: Tensor | None, packed: Packed | None, places: Tensor | None, shape: torch.Size
) -> Tensor | None:
    """Attention weights of a pack, (S, H, M, M), as (B, H, T, T); those of a batch as they are."""
    if weights is None or packed is None:
        return weights
    batch, length = shape
    square = weights.new_zeros(batch, weights.shape[1], length, length)
    if places is None:  # it came as a pack: its sequences stand on the diagonal of one row
        places = torch.arange(length, device=weights.device)
    rows, columns = places.div(length, rounding_mode="floor"), places % length
    begin = 0
    for own, count in zip(weights, packed.lengths, strict=True):
        if count:
            at = columns[begin : begin + count]
            square[rows[begin]][:, at[:, None], at] = own[:, :count, :count]
            begin += count
    return square


def as_bool(mask: Tensor, shape: torch.Size) -> Tensor:
    """An attention mask as (B, T) bool, True at real tokens.

    Args:
        mask: (B, T) or (B, 1, 1, T). Nonzero at real tokens; or, in floats of which none is above
            0, what is added to scores elsewhere: 0 at real tokens, far below at the others.
        shape: (B, T).

    Raises:
        ValueError: the shape is another, or floats lie on both sides of 0.
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


def lay_out(
    shape: torch.Size,
    attention_mask: Tensor | None,
    cache: Any,
    cu_seqlens: Tensor | None,
    max_seqlen: int | None,
    max_length: int,
    device: torch.device,
) -> Reading:
    """Find out how the tokens of a pass lie.

    Args:
        shape: (B, T) of the new tokens.
        attention_mask: (B, T), with a cache of P tokens (B, P + T); see :func:`as_bool`. None: all
            tokens are real.
        cache: transformers' Cache of P earlier tokens, or None.
        cu_seqlens: of a batch that was packed where it was made.
        max_seqlen: of it.
        max_length: the longest text the model reads.
        device: of the tokens.

    Raises:
        ValueError: a text is longer, a shape does not fit, or two arguments exclude each other.
    """
    cached = 0 if cache is None else int(cache.get_seq_length())
    keys = longest = cached + shape[1]
    reading = Reading(torch.arange(cached, keys, device=device), cache=cache)
    if cu_seqlens is not None:
        if attention_mask is not None or cache is not None or shape[0] != 1:
            raise ValueError(
                "cu_seqlens goes with ids of shape (1, N), no attention_mask and no cache"
            )
        packed = from_cu_seqlens(cu_seqlens, max_seqlen, shape[1])
        reading = Reading(packed.positions, packed)
    elif attention_mask is not None:
        real = as_bool(attention_mask, torch.Size((shape[0], keys)))
        if not real.all() and cache is None:
            places, packed = unpad(real)
            reading = Reading(packed.positions, packed, places)
        elif not real.all():
            positions = (real.cumsum(1) - 1).clamp(min=0)[:, cached:]
            reading = Reading(positions, cache=cache, real=real)
            if keys > max_length:  # else there is no need to ask the device
                longest = int(real.sum(1).max())
    if reading.packed is not None:
        longest = reading.packed.max_seqlen
    if longest > max_length:
        raise ValueError(f"at most max_length={max_length} tokens: got {longest}")
    return reading
