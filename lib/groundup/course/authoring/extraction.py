"""Extract one function from the library: its lines, its stub, and the imports it needs."""

import ast
import difflib
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from groundup.course.authoring.imports import Import, binds, identifiers, needed_imports
from groundup.course.catalogue import Target
from groundup.course.modules import module_file
from groundup.lab.errors import UserError

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class ExtractedFunction:
    """A target, extracted from its module.

    Attributes:
        target: what was extracted.
        solution: its lines, whole, comments and decorators with them.
        head: the same lines down to the end of the docstring, without ``Derivation:``.
        imports: what brings the names that it uses from around it.
    """

    target: Target
    solution: str
    head: str
    imports: frozenset[Import]


def extract(target: Target, library: Path) -> ExtractedFunction:
    """Extract a target from the library.

    Args:
        target: a function, or a method that does not call ``super()``.
        library: the directory that holds ``groundup``.

    Raises:
        UserError: there is no such function, or it can't stand in a file of its own. The message
            names the target and the reason.
    """
    path = module_file(target.module, library)
    if path is None:
        raise UserError(f"{target}: there is no module {target.module}")
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    node = _find(tree, target)
    lines = text.splitlines()
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    docstring = node.body[0]
    if ast.get_docstring(node) is None or docstring.lineno == node.lineno:
        raise UserError(f"{target}: it has no docstring, which is all that a stub would say")
    if len(node.body) == 1:
        raise UserError(f"{target}: it has no body to cut out")
    assert node.end_lineno is not None
    assert docstring.end_lineno is not None
    solution = textwrap.dedent("\n".join(lines[first - 1 : node.end_lineno]))
    _same(node, solution, target)
    head = "\n".join(lines[first - 1 : docstring.lineno - 1])
    doc = _without_derivation(lines[docstring.lineno - 1 : docstring.end_lineno])
    return ExtractedFunction(
        target,
        solution,
        textwrap.dedent(f"{head}\n{doc}"),
        frozenset(_imports(text, node, target, path)),
    )


def _find(tree: ast.Module, target: Target) -> _Function:
    scope: ast.Module | ast.ClassDef = tree
    *parents, name = target.symbol.split(".")
    for parent in parents:
        found = _lookup(scope, parent, target)
        if isinstance(found, _Function):
            raise UserError(f"{target}: {name} is a closure, defined inside {parent}")
        if not isinstance(found, ast.ClassDef):
            raise UserError(f"{target}: {parent} is not a class")
        scope = found
    node = _lookup(scope, name, target)
    if not isinstance(node, _Function):
        raise UserError(f"{target}: it is not a function")
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in ("super", "__class__"):
            raise UserError(f"{target}: it uses {part.id}, which works only inside its class")
        if isinstance(part, ast.Global | ast.Nonlocal):
            raise UserError(f"{target}: it rebinds names outside itself: {', '.join(part.names)}")
        if isinstance(part, ast.Attribute) and re.fullmatch(r"__\w*[^_]_?", part.attr) and parents:
            raise UserError(f"{target}: it uses {part.attr}, which is private to its class")
    for decorator in node.decorator_list:
        if {"property", "cached_property", "setter"} & set(identifiers(decorator)):
            raise UserError(f"{target}: it is a property, which is not called")
    return node


def _lookup(scope: ast.Module | ast.ClassDef, name: str, target: Target) -> ast.stmt:
    bound = [(key, node) for node in scope.body for key in binds(node)]
    found = [node for key, node in bound if key == name]
    if len(found) > 1:
        raise UserError(f"{target}: {name} is defined {len(found)} times")
    if not found:
        near = difflib.get_close_matches(name, [key for key, _ in bound], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        inner = (n for n in ast.walk(scope) if isinstance(n, _Function) and n.name == name)
        if next(inner, None) is not None:
            hint = "; a function of that name stands inside another one, where it is a closure"
        raise UserError(f"{target}: there is no {name}{hint}")
    return found[0]


def _same(node: _Function, solution: str, target: Target) -> None:
    """Refuse a target whose meaning changes when its lines are moved to the left margin."""

    def plain(function: ast.stmt) -> str:
        assert isinstance(function, _Function)
        rest = ast.Module(body=function.body[1:], type_ignores=[])
        return ast.dump(function.args) + ast.dump(rest)

    if plain(ast.parse(solution).body[0]) != plain(node):
        raise UserError(f"{target}: a text over several lines in it changes when it is moved")


def _without_derivation(docstring: list[str]) -> str:
    """The lines of a docstring without the section ``Derivation:``, the closing quotes kept."""
    quotes = docstring[-1].rstrip()[-3:]
    indent = docstring[0][: len(docstring[0]) - len(docstring[0].lstrip())]
    body = [*docstring[:-1], docstring[-1].rstrip()[:-3]]
    kept: list[str] = []
    inside = False
    for line in body:
        if line.strip() and not line.startswith(f"{indent} "):
            inside = line.strip() == "Derivation:"
        if not inside:
            kept.append(line.rstrip())
    while not kept[-1]:
        kept.pop()
    return kept[0] + quotes if len(kept) == 1 else "\n".join([*kept, indent + quotes])


def _imports(text: str, node: _Function, target: Target, path: Path) -> list[Import]:
    is_package = path.name == "__init__.py"
    package = target.module if is_package else target.module.rpartition(".")[0]
    try:
        return needed_imports(text, node, target.module, package)
    except LookupError as error:
        raise UserError(f"{target}: {error.args[0]}") from None
