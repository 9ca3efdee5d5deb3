"""Standard input and output that carry any text, whatever their encoding."""

import codecs
import io
import os
import sys
import unicodedata

PLAIN = "groundup.plain"
"""The error handler's name: what a stream can't encode is written in ASCII."""

_ASCII = {
    **dict(zip("▁▂▃▄▅▆▇█", ".,:-=+*#", strict=True)),
    **dict.fromkeys("─━–—−‐‑", "-"),
    **dict.fromkeys("│▌┃|", "|"),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("“”„«»", '"'),
    "×": "x",
    "·": ".",
    "•": "*",
    "…": "...",
    "→": "->",
    "←": "<-",
    "↦": "->",
    "⇒": "=>",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "±": "+-",
    "√": "sqrt",
    "∞": "inf",
    "∂": "d",
    "∑": "sum",
    "∏": "prod",
    "∫": "int",
    "∇": "grad",
    "‖": "||",
    "°": " deg",
    "⟨": "<",
    "⟩": ">",
    "⊙": "*",
    "∈": "in",
    "∝": "~",
    "µ": "u",
    "⁄": "/",
    "ß": "ss",
}


def prepare_streams() -> None:
    """Let the three standard streams, here and in child processes, never fail on a character.

    Output takes any text: signs that the encoding lacks are written in ASCII. Input takes any
    bytes. A stream that was closed before the start is replaced by one that holds nothing.
    """
    codecs.register_error(PLAIN, _in_ascii)
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if name == "stdin" else PLAIN)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if codecs.lookup(encoding).name != "utf-8":
        os.environ["PYTHONIOENCODING"] = f"{encoding}:replace"


def discard_output(stream: object) -> None:
    """Send what is still to be written to a stream nowhere, after its reader or its disk failed."""
    if isinstance(stream, io.TextIOWrapper):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """The replacement of characters that can't be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_sign, error.object[error.start : error.end])), error.end


def _sign(character: str) -> str:
    """One character in ASCII: from the table, without its accent, by its Greek name, or "?"."""
    if character in _ASCII:
        return _ASCII[character]
    if unicodedata.combining(character):
        return ""
    plain = "".join(_ASCII.get(c, c) for c in unicodedata.normalize("NFKD", character))
    plain = plain.encode("ascii", "ignore").decode()
    name = unicodedata.name(character, "").split()
    if not plain and name[:1] == ["GREEK"] and name[2:3] == ["LETTER"]:
        return name[3].lower() if name[1] == "SMALL" else name[3].capitalize()
    return plain or "?"
