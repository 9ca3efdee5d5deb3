"""The ``::: source`` line of a chapter: the library's own code, shown by its symbol.

``::: source groundup.scratch.attention:attention`` becomes a fenced block with the source as it
is now, and a link to its reference page. ``folded`` at the end puts it in a closed box.
"""

import ast
import difflib
import re
from pathlib import Path

from groundup.course.modules import module_file
from groundup.lab.errors import WorkError

_LINE = re.compile(r"^::: source(?P<rest>.*)$", re.MULTILINE)
_REST = re.compile(r" (?P<module>groundup[\w.]*):(?P<symbol>[\w.]+)(?P<folded> folded)?")


class SourceError(WorkError):
    """A ``::: source`` line that is not understood, or that names what is not there."""


def expand_source(markdown: str, library: Path, for_notebook: bool = False) -> str:
    """Replace each ``::: source`` line with the code it names.

    Args:
        markdown: the text of a cell.
        library: the directory that holds ``groundup``.
        for_notebook: leave out the box and the link, which only the site understands.

    Raises:
        SourceError: the line is malformed, or there is no such module or symbol.
    """

    def expand(line: re.Match[str]) -> str:
        match = _REST.fullmatch(line["rest"].rstrip())
        if match is None:
            raise SourceError(
                f"not understood: {line[0]!r}. "
                "Write ::: source groundup.module:symbol, and folded after it to close the box"
            )
        module, symbol = match["module"], match["symbol"]
        path = module_file(module, library)
        if path is None:
            raise SourceError(f"{line[0]!r}: there is no module {module}")
        code, first, last = symbol_source(path, symbol)
        block = f"```python\n{code}\n```"
        if for_notebook:
            return block
        # A private name has no entry of its own in the reference.
        private = any(part.startswith("_") for part in symbol.split("."))
        target = module if private else f"{module}.{symbol}"
        where = f"lib/{path.relative_to(library).as_posix()}, lines {first} to {last}"
        block += f"\n\n[`{target}`][{target}] · {where}\n{{ .source-of }}"
        if not match["folded"]:
            return block
        indented = "\n".join(f"    {text}" if text else "" for text in block.splitlines())
        return f'??? note "The code of `{symbol}`"\n\n{indented}\n'

    return _LINE.sub(expand, markdown)


def symbol_source(path: Path, symbol: str) -> tuple[str, int, int]:
    """The source lines of a function, class or assigned name, decorators included.

    Args:
        path: a Python file.
        symbol: a name of the module, or ``Class.method``.

    Returns:
        The code without its indentation, and the numbers of its first and last line.

    Raises:
        SourceError: the file has no such symbol; the message names the nearest one.
    """
    text = path.read_text(encoding="utf-8")
    body = ast.parse(text).body
    node: ast.stmt | None = None
    for part in symbol.split("."):
        names = {name: child for child in body for name in _bound(child)}
        if part not in names:
            near = difflib.get_close_matches(part, names, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise SourceError(f"{path.name} has no {symbol}{hint}")
        node = names[part]
        body = getattr(node, "body", [])
    assert node is not None  # the loop ran: a split has at least one part
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(d.lineno for d in decorators)])
    last = node.end_lineno or first
    lines = text.splitlines()[first - 1 : last]
    return "\n".join(line[node.col_offset :] for line in lines), first, last


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []
