"""The engines behind attention: which there are, which can run here, and how each is called.

An engine takes q (B, H, T, K), k and v (B, G, S, K), where G divides H, and gives (B, T, H, K);
the last query and the last key are of the same token. With a :class:`~.layout.Packed` beside them
the batch is one row of sequences laid end to end, and S is T.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.utils import logging

from .batch_layout import Packed, pad_tokens
from .flash import flash_attention

Engine = Callable[[Tensor, Tensor, Tensor, Packed | None, int | None, bool], Tensor]

_HALF = (torch.float16, torch.bfloat16)
_CALL = 3_000_000
"""What one more call costs on a CPU, in multiplications: about 0.1 ms."""


def visible(
    queries: int, keys: int, window: int | None, causal: bool, device: torch.device
) -> Tensor | None:
    """(queries, keys) bool, True where a query sees a key; the last query is the last key's token.

    None where every query sees every key.
    """
    if window is None and (not causal or queries == 1):
        return None
    look = torch.ones(queries, keys, dtype=torch.bool, device=device)
    shift = keys - queries
    if window is not None:
        look = look.triu(shift - window).tril(shift + window)
    return look.tril(shift) if causal else look


def eager(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> tuple[Tensor, Tensor]:
    """The formula as it is written, in memory quadratic in the length.

    Returns:
        The mixture (B, T, H, K), and the weights: (B, H, T, T), or (S, H, M, M) of a pack of S
        sequences up to M long. A query that sees nothing has weights of zero.
    """
    if packed is not None:
        q, k, v = _rows(packed, q, k, v)
    group = q.shape[1] // k.shape[1]
    k, v = (each.repeat_interleave(group, dim=1) for each in (k, v))
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # in this order float16 has room
    look = visible(q.shape[2], k.shape[2], window, causal, q.device)
    if packed is not None:
        real = packed.mask[:, None, None, :]
        look = real if look is None else look & real
    precise = torch.promote_types(q.dtype, torch.float32)
    if look is not None:
        scores = scores.masked_fill(~look, -torch.inf)
        weights = scores.softmax(-1, dtype=precise)
        weights = torch.where(look.any(-1, keepdim=True), weights, 0.0)
    else:
        weights = scores.softmax(-1, dtype=precise)
    mixed = (weights.to(v.dtype) @ v).transpose(1, 2)
    if packed is not None:
        mixed = mixed.flatten(0, 1)[packed.places][None]
    return mixed, weights


def sdpa(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """torch's scaled_dot_product_attention: everywhere, in every precision.

    On a CPU each sequence of a pack is a call of its own, unless the sequences are so short or so
    alike that one call with padding takes less. Elsewhere, and where it is compiled, a pack is
    padded: there the lengths are not known as numbers.
    """
    if packed is None:
        return call_sdpa(q, k, v, window, causal)
    known = q.device.type == "cpu" and not torch.compiler.is_compiling()
    if known and _wasted(packed) * q.shape[1] * q.shape[3] > _CALL:
        # split, not slices: the gradient is then put together once, not once for each sequence.
        split = (each.split(packed.lengths, dim=2) for each in (q, k, v))
        mixed = [call_sdpa(*qkv, window, causal) for qkv in zip(*split, strict=True)]  # type: ignore[call-arg]
        return torch.cat(mixed, dim=1)
    q, k, v = _rows(packed, q, k, v)
    rows = call_sdpa(q, k, v, window, causal, packed.mask[:, None, None, :])
    return rows.flatten(0, 1)[packed.places][None]


def varlen(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """torch's own varlen_attn."""
    from torch.nn.attention.varlen import varlen_attn

    queries, keys = packed or _uniform(q), packed or _uniform(k)
    mixed = varlen_attn(
        _tokens(q),
        _tokens(k),
        _tokens(v),
        queries.cu_seqlens,
        keys.cu_seqlens,
        queries.max_seqlen,
        keys.max_seqlen,
        window_size=_sides(window, causal),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(mixed, Tensor)
    return mixed.view(q.shape[0], -1, *mixed.shape[1:])


def flash_attention_2(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """The flash-attn package."""
    # Not an import statement: transformers refuses to load code from a hub without all its imports.
    flash_attn = import_module("flash_attn")
    queries, keys = packed or _uniform(q), packed or _uniform(k)
    mixed: Tensor = flash_attn.flash_attn_varlen_func(
        _tokens(q),
        _tokens(k),
        _tokens(v),
        queries.cu_seqlens,
        keys.cu_seqlens,
        queries.max_seqlen,
        keys.max_seqlen,
        causal=causal,
        window_size=_sides(window, causal=False),
    )
    return mixed.view(q.shape[0], -1, *mixed.shape[1:])


def flex_attention(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """torch's flex_attention, compiled on a GPU; blocks between two sequences are left out."""
    from torch.nn.attention import flex_attention as flex

    run: Any = _compiled_flex() if q.is_cuda else flex.flex_attention
    mask = _block_mask(packed, window, causal, q.shape[2], k.shape[2], str(q.device))
    mixed: Tensor = run(q, k, v, block_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
    return mixed.transpose(1, 2)


def tiled(
    q: Tensor, k: Tensor, v: Tensor, packed: Packed | None, window: int | None, causal: bool
) -> Tensor:
    """The tiles of :mod:`.flash`, written to be read: a loop in Python, and slow for it.

    Raises:
        ValueError: there is a window; the tiles know none.
    """
    if window is not None:
        raise ValueError("tiled attention knows no window: leave local_attention out")
    group = q.shape[1] // k.shape[1]
    k, v = (each.repeat_interleave(group, dim=1) for each in (k, v))
    return flash_attention(q, k, v, packed, causal=causal).transpose(1, 2)


ENGINES: dict[str, Engine] = {
    "eager": lambda *arguments: eager(*arguments)[0],
    "tiled": tiled,
    "sdpa": sdpa,
    "varlen": varlen,
    "flash_attention_2": flash_attention_2,
    "flex_attention": flex_attention,
}
"""By transformers' names; "tiled" and "varlen" are ours."""


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def choose(requested: str, device: str, dtype: torch.dtype, packed: bool) -> str:
    """Which engine runs, decided once for each kind of input and said in transformers' log.

    Args:
        requested: a name of :data:`ENGINES`, or "auto": for packs in half precision on a GPU
            varlen, else flash_attention_2, else flex_attention; SDPA for everything else.
        device: "cpu", "cuda", …
        dtype: of q.
        packed: whether sequences lie end to end.

    Raises:
        ValueError: there is no such engine, or it can't run on this input.
        ImportError: it is not installed.
    """
    return _choose(requested, device, dtype, packed)


@lru_cache
def _choose(requested: str, device: str, dtype: torch.dtype, packed: bool) -> str:
    if requested != "auto":
        if missing := _missing(requested, device, dtype):
            raise missing
        chosen = requested
    elif packed and device == "cuda" and dtype in _HALF:
        order = ("varlen", "flash_attention_2", "flex_attention", "sdpa")
        chosen = next(name for name in order if _missing(name, device, dtype) is None)
    else:
        chosen = "sdpa"
    kind = "packed" if packed else "padded"
    logging.get_logger(__name__).info(f"attention on {device}, {dtype}, {kind}: {chosen}")
    return chosen


def _missing(name: str, device: str, dtype: torch.dtype) -> Exception | None:
    """Why an engine can't run; None if it can."""
    if name not in ENGINES:
        return ValueError(f"attention must be auto, {', '.join(ENGINES)}: got {name!r}")
    if name in ("varlen", "flash_attention_2") and (device != "cuda" or dtype not in _HALF):
        return ValueError(f"{name} needs a GPU and float16 or bfloat16: got {dtype} on {device}")
    return installed(name)


def installed(name: str) -> ImportError | None:
    """What an engine of :data:`ENGINES` lacks to be imported; None if nothing."""
    if name == "varlen" and not _has_varlen():
        return ImportError("varlen needs torch 2.12 or newer")
    if name == "flash_attention_2" and find_spec("flash_attn") is None:
        return ImportError(
            "flash_attention_2 needs the package flash-attn: "
            "pip install --no-build-isolation -c constraints.txt flash-attn"
        )
    return None


def _has_varlen() -> bool:
    """torch 2.10 brought varlen_attn; windows and grouped keys came after it."""
    if find_spec("torch.nn.attention.varlen") is None:
        return False
    from torch.nn.attention.varlen import varlen_attn

    return {"window_size", "enable_gqa"} <= signature(varlen_attn).parameters.keys()


def call_sdpa(
    q: Tensor, k: Tensor, v: Tensor, window: int | None, causal: bool, real: Tensor | None = None
) -> Tensor:
    """(B, T, H, K). A mask rules out the fastest kernel: there is one only where it is needed."""
    square = q.shape[2] == k.shape[2]
    plain = causal and square and window is None and real is None
    look = None
    if not plain:
        look = visible(q.shape[2], k.shape[2], window, causal, q.device)
        if real is not None:
            look = real if look is None else look & real
    mixed = F.scaled_dot_product_attention(
        q, k, v, attn_mask=look, is_causal=plain, enable_gqa=q.shape[1] != k.shape[1]
    )
    return mixed.transpose(1, 2)


def _wasted(packed: Packed) -> float:
    """Pairs of places that padding adds, for each sequence."""
    count = max(len(packed.lengths), 1)
    return packed.max_seqlen**2 - sum(n * n for n in packed.lengths) / count


def _rows(packed: Packed, *tensors: Tensor) -> list[Tensor]:
    """(1, H, N, K) → (S, H, M, K): each sequence in a row of its own, zeros behind it."""
    shape = (len(packed.cu_seqlens) - 1, packed.max_seqlen)
    return [pad_tokens(_tokens(each), packed.places, shape).transpose(1, 2) for each in tensors]


def _tokens(x: Tensor) -> Tensor:
    """(B, H, T, K) → (B·T, H, K)."""
    return x.transpose(1, 2).flatten(0, 1)


def _uniform(q: Tensor) -> Packed:
    """A batch of equal lengths, as a pack."""
    batch, _, length, _ = q.shape
    each = torch.arange(batch + 1, device=q.device, dtype=torch.int32) * length
    return Packed(each, length, torch.arange(length, device=q.device).repeat(batch))


def _sides(window: int | None, causal: bool) -> tuple[int, int]:
    """Keys that are seen before and behind a query; −1 for all."""
    reach = -1 if window is None else window
    return reach, 0 if causal else reach


@lru_cache
def _compiled_flex() -> Callable[..., Tensor]:
    from torch.nn.attention import flex_attention as flex

    compiled: Callable[..., Tensor] = torch.compile(flex.flex_attention)
    return compiled


@lru_cache(maxsize=4)  # the layers of one pass ask for the same two
def _block_mask(
    packed: Packed | None,
    window: int | None,
    causal: bool,
    queries: int,
    keys: int,
    device: str,
) -> object | None:
    if packed is None and window is None and not causal:
        return None
    from torch.nn.attention.flex_attention import create_block_mask

    documents = None if packed is None else packed.documents

    def look(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        ahead = key - query - (keys - queries)  # of the query's own token
        seen = ahead <= 0 if causal else ahead < keys
        if window is not None:
            seen = seen & (ahead.abs() <= window)
        if documents is not None:
            seen = seen & (documents[query] == documents[key])
        return seen

    return create_block_mask(look, None, None, queries, keys, device=device)
