"""From Python source to English: the docstrings of a file, cut into a summary and a body of prose.

A file is read with ``ast``: nothing in it is imported or run. This module needs the standard
library alone, so :mod:`groundup.data.corpus` can start it as a bare script in several processes: it
then reads ``[module, path]`` pairs as JSON from its input and answers one line of JSON per file.
"""

import ast
import gc
import inspect
import json
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

EntryFields = tuple[str, str, str, str]
"""Qualified name, module, summary, body."""


@dataclass(frozen=True)
class Entry:
    """The documentation of one module, class or function."""

    name: str
    """Qualified name, such as ``os.path.join``."""
    module: str
    summary: str
    """The first sentence."""
    body: str
    """The prose after it, without the summary; ``""`` where there is none."""

    @property
    def public(self) -> bool:
        """Whether no part of the name inside its module begins with an underscore."""
        inside = self.name.removeprefix(self.module).strip(".")
        return not any(part.startswith("_") for part in inside.split("."))


MIN_SUMMARY_WORDS, MAX_SUMMARY_WORDS = 4, 60
MIN_PARAGRAPH_WORDS = 4

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_TABLES = (
    "args|arguments|parameters|params|other parameters|attributes|keyword args|keyword arguments|"
    "kwargs|inputs?|outputs?|returns?|yields?|raises|warns|shapes?|examples?|usage|see also|"
    "references|methods|fields|members|receives|variables|type args|doctests?"
)
_GOOGLE = re.compile(rf"^(\s*)(?:{_TABLES})\s*(?:\([^)]*\))?\s*:{{1,2}}\s*$", re.IGNORECASE)
_TABLE_NAME = re.compile(rf"^(?:{_TABLES})$", re.IGNORECASE)
_RULE = re.compile(r"^\s*[-=~^*#]{3,}\s*$")
_DIRECTIVE = re.compile(r"^(\s*)\.\. *(\S*)")
_PROSE_DIRECTIVES = ("note::", "warning::", "warn::", "tip::", "important::", "caution::")
_FIELD = re.compile(r"^\s*(?::\w[^:]*:|@\w+)")
_PARAMETER = re.compile(r"^[*\w.,`\[\] ]{1,40}\s*(?:\([^)]*\)\s*)?:\s")
_MARKUP = (
    (re.compile(r":[\w:+-]+:`[~!]?([^`<]*?)(?:\s*<[^`>]*>)?`"), r"\1"),
    (re.compile(r"!?\[([^\]]*)\]\((?:[^)]*)\)"), r"\1"),
    (re.compile(r"<?\b(?:https?|ftp)://\S+"), " "),
    (re.compile(r"<[^<>\n]{1,60}>"), " "),
    (re.compile(r"[`*]+|\\[a-z]+"), " "),
    (re.compile(r"\s+([,.;:!?)])"), r"\1"),
    (re.compile(r"\s+"), " "),
)
_SENTENCE_END = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)[.!?](?=\s+[A-Z(])")


def read_file(module: str, path: str) -> list[EntryFields]:
    """Every documented object of one file as ``(name, module, summary, body)``.

    Raises:
        OSError, SyntaxError, ValueError, RecursionError: the file is unreadable or not Python.
    """
    with tokenize.open(path) as file:
        source = file.read()
    if '"""' not in source and "'''" not in source:
        return []
    rows = []
    for name, docstring in _docstrings(ast.parse(source), module):
        summary, body = split_docstring(_whole_characters(docstring))
        if summary:
            rows.append((name, module, summary, body))
    return rows


def _whole_characters(text: str) -> str:
    r"""A text that can be encoded: an escape such as ``\ud800`` alone becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _docstrings(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    """Walk modules, classes and functions, but not what is defined inside a function."""
    if isinstance(node, _DOCUMENTED) and (docstring := ast.get_docstring(node, clean=False)):
        yield name, docstring
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _docstrings(child, f"{name}.{child.name}")
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _docstrings(child, name)


def split_docstring(docstring: str) -> tuple[str, str]:
    """Cut a docstring into its summary (one sentence) and its body (paragraphs of prose).

    Doctests, code, parameter tables and directives are dropped, inline markup is removed, and so is
    every repetition of the summary inside the body.

    Returns:
        ``(summary, body)``; the summary is ``""`` where the docstring opens with no sentence, and
        paragraphs of the body are separated by one blank line.
    """
    paragraphs = prose(docstring)
    if not paragraphs:
        return "", ""
    first, rest = paragraphs[0], paragraphs[1:]
    if end := _SENTENCE_END.search(first):
        first, rest = first[: end.end()], [first[end.end() :].strip(), *rest]
    words = len(first.split())
    if not MIN_SUMMARY_WORDS <= words <= MAX_SUMMARY_WORDS or _PARAMETER.match(first):
        return "", ""
    kept = [paragraph.replace(first, " ").strip() for paragraph in rest]
    kept = [text for text in kept if len(text.split()) >= MIN_PARAGRAPH_WORDS]
    return first, "\n\n".join(kept)


def prose(docstring: str) -> list[str]:
    """The paragraphs of a docstring that are sentences, each on one line without markup."""
    paragraphs: list[str] = []
    lines: list[str] = []
    for line in [*_prose_lines(inspect.cleandoc(docstring)), ""]:
        if line.strip():
            lines.append(line.strip())
            continue
        text = " ".join(lines)
        lines = []
        for pattern, replacement in _MARKUP:
            text = pattern.sub(replacement, text)
        text = text.strip(" -|")
        letters = sum(character.isalpha() or character == " " for character in text)
        if len(text) > 8 and letters >= 0.75 * len(text):
            paragraphs.append(text)
    return paragraphs


def _prose_lines(text: str) -> Iterator[str]:
    """The lines of a docstring outside doctests, code, tables and directives."""
    lines = text.expandtabs(4).splitlines()
    skip_deeper: int | None = None  # inside an indented block that is dropped, hung on this indent
    fenced = in_table = in_doctest = False
    for number, line in enumerate(lines):
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if stripped.startswith("```"):
            fenced = not fenced
        if fenced or stripped.startswith("```"):
            continue
        if not stripped:
            in_doctest = False
            yield ""
            continue
        if skip_deeper is not None:
            if indent > skip_deeper:
                continue
            skip_deeper = None
        underlined = number + 1 < len(lines) and bool(_RULE.match(lines[number + 1]))
        if underlined:  # a heading in the style of NumPy
            in_table = bool(_TABLE_NAME.match(stripped))
            yield ""
        elif google := _GOOGLE.match(line):
            skip_deeper, in_table = len(google[1]), False
            yield ""
        elif directive := _DIRECTIVE.match(line):
            if directive[2] not in _PROSE_DIRECTIVES:
                skip_deeper = len(directive[1])
            yield ""
        elif in_table or _RULE.match(line) or _FIELD.match(line):
            continue
        elif stripped.startswith((">>>", "...")) or in_doctest:
            in_doctest = True
        elif stripped.endswith("::"):
            skip_deeper = indent
            yield line.rstrip()[:-1]
        else:
            if stripped.startswith(("- ", "* ", "+ ")):
                yield ""
            yield line


def main() -> None:
    """Answer each ``[module, path]`` of the input with its rows; ``null`` if unreadable."""
    gc.disable()  # a syntax tree is many small objects: collecting them costs a third of the time
    for module, path in json.load(sys.stdin):
        try:
            rows = read_file(module, path)
        except (OSError, SyntaxError, ValueError, RecursionError):
            rows = None
        print(json.dumps(rows), flush=True)


if __name__ == "__main__":
    main()
