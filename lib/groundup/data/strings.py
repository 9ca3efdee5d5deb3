"""Texts that a caller hands over: strings, and nothing that only prints like one."""

import re
from collections.abc import Iterable, Iterator

_SURROGATE = re.compile("[\ud800-\udfff]")


def check_texts(texts: Iterable[object], name: str = "texts") -> Iterator[str]:
    """Pass texts on, one by one.

    Args:
        texts: what should be strings.
        name: of the argument, for the error.

    Raises:
        ValueError: a single string came where many are meant, one of them is not a string (None,
            NaN, bytes), or holds half a character.
    """
    if isinstance(texts, str | bytes):
        raise ValueError(f"{name} are a list of strings, not one: got {texts[:40]!r}")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"{name}[{number}] is {text!r:.40} ({type(text).__name__}), not a string: leave it "
                "out or decode it"
            )
        if half := lone_surrogate(text):
            raise ValueError(f"{name}[{number}] holds {half}: the text was cut, or decoded wrongly")
        yield text


def check_pairs(pairs: Iterable[tuple[object, object]]) -> tuple[list[str], list[str]]:
    """The queries and the documents of pairs; see :func:`check_texts`."""
    sides = list(zip(*pairs, strict=True)) or [(), ()]
    queries, documents = map(check_texts, sides, ("queries", "documents"))
    return list(queries), list(documents)


def lone_surrogate(text: str) -> str:
    r"""The first lone surrogate of a text, such as ``"half a character (\ud83d)"``; "" if none.

    Python keeps one for a byte that it could not decode and for half of a pair in JSON; no
    encoding can write it, and a tokenizer fails on it.
    """
    found = None if text.isascii() else _SURROGATE.search(text)
    return f"half a character (\\u{ord(found[0]):x})" if found else ""
