"""Which backend of attention runs on an input."""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from inspect import signature

import torch
from torch import Tensor
from transformers.utils import logging

from .backends import eager, flash_attention_2, flex_attention, sdpa, tiled, varlen
from .batch_layout import Packed

Backend = Callable[[Tensor, Tensor, Tensor, Packed | None, int | None, bool], Tensor]

_HALF = (torch.float16, torch.bfloat16)

BACKENDS: dict[str, Backend] = {
    "eager": lambda *arguments: eager(*arguments)[0],
    "tiled": tiled,
    "sdpa": sdpa,
    "varlen": varlen,
    "flash_attention_2": flash_attention_2,
    "flex_attention": flex_attention,
}
"""By transformers' names; "tiled" and "varlen" are ours."""


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def choose_backend(requested: str, device: str, dtype: torch.dtype, packed: bool) -> str:
    """Which backend runs, decided once for each kind of input and said in transformers' log.

    Args:
        requested: a name of :data:`BACKENDS`, or "auto": for packs in half precision on a GPU
            varlen, else flash_attention_2, else flex_attention; SDPA for everything else.
        device: "cpu", "cuda", …
        dtype: of q.
        packed: whether sequences are packed end to end.

    Raises:
        ValueError: there is no such backend, or it can't run on this input.
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
    """Why a backend can't run; None if it can."""
    if name not in BACKENDS:
        return ValueError(f"attention must be auto, {', '.join(BACKENDS)}: got {name!r}")
    if name in ("varlen", "flash_attention_2") and (device != "cuda" or dtype not in _HALF):
        return ValueError(f"{name} needs a GPU and float16 or bfloat16: got {dtype} on {device}")
    return import_error(name)


def import_error(name: str) -> ImportError | None:
    """What a backend of :data:`BACKENDS` lacks to be imported; None if nothing."""
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
