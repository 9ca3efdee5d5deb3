"""The cache of keys and values, under each of the two names that transformers has given it.

Up to transformers 5.23 it is ``past_key_values``; from 5.24 on it is ``cache``, and the old name is
announced to go. Models here take and show it under both, whatever is installed. What goes back to
transformers has the name that its own outputs have, so no version is compared.
"""

from dataclasses import fields
from typing import Any

from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

CACHE_NAMES = ("cache", "past_key_values")
_OUTPUT_FIELDS = {field.name for field in fields(BaseModelOutputWithPast)}
CACHE_NAME = next(name for name in CACHE_NAMES if name in _OUTPUT_FIELDS)
"""The one of the two names that the installed transformers uses."""


def one_cache(cache: Cache | None, past_key_values: Cache | None) -> Cache | None:
    """The cache, whichever of the two arguments holds it; None where neither does.

    Raises:
        ValueError: both do.
    """
    if cache is not None and past_key_values is not None:
        raise ValueError(
            "cache and past_key_values are two names of one argument: got both, give cache alone"
        )
    return past_key_values if cache is None else cache


def with_own_name(arguments: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments with the cache under the name that transformers' own methods take.

    Raises:
        ValueError: it is there under both names.
    """
    cache = one_cache(*(arguments.get(name) for name in CACHE_NAMES))
    rest = {name: value for name, value in arguments.items() if name not in CACHE_NAMES}
    return rest if cache is None else {**rest, CACHE_NAME: cache}


class _BothNames:
    """An output whose cache is also found under the name that transformers' class lacks."""

    def __getattr__(self, name: str) -> Any:
        if name in CACHE_NAMES:
            return getattr(self, CACHE_NAME)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class DecoderOutput(_BothNames, BaseModelOutputWithPast):
    """transformers' output of a decoder; its cache is ``cache`` and ``past_key_values``."""


class CausalLMOutput(_BothNames, CausalLMOutputWithPast):
    """transformers' output of a language model, likewise."""
