"""The imports that a function needs when it leaves its module."""

import ast
import builtins
import symtable
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_WIDTH = 100


@dataclass(frozen=True)
class Import:
    """One import: ``import name as alias``, or with a module ``from module import name as alias``.

    Attributes:
        module: after ``from``; empty for a plain import.
        name: after ``import``.
        alias: after ``as``, or empty.
    """

    module: str
    name: str
    alias: str = ""

    @property
    def bound(self) -> str:
        """The name that the file then has."""
        return self.alias or (self.name if self.module else self.name.split(".")[0])

    def __str__(self) -> str:
        return f"{self.name} as {self.alias}" if self.alias else self.name


def needed_imports(text: str, node: _Function, module: str, package: str) -> list[Import]:
    """What brings each free name of a function into another file.

    A name that the module imports is imported in the same way, relative imports made absolute; a
    name that the module defines is imported from the module.

    Args:
        text: the whole module.
        node: the function, parsed from ``text``.
        module: the module's name.
        package: the package that its relative imports start from.

    Raises:
        LookupError: where a name comes from can't be told.
    """
    tree = ast.parse(text)
    imported = list(_module_imports(tree, package))
    if any(each.name == "*" for each in imported):
        raise LookupError("its module imports *, so where its names come from is unknown")
    defined = set(_module_level(tree))
    needed = [each for each in imported if each.module == "__future__"]
    for name in sorted(_free_names(text, node)):
        brought = [each for each in imported if each.bound == name]
        needed += brought
        if not brought and name in defined:
            needed.append(Import(module, name))
        elif not brought and not hasattr(builtins, name):
            raise LookupError(f"it uses {name}, which its module does not define")
    return needed


def import_lines(imports: Iterable[Import]) -> list[str]:
    """The import block of a file, sorted and wrapped as ruff would."""
    blocks: list[list[str]] = [[], [], [], []]
    plain = sorted({each for each in imports if not each.module}, key=lambda each: each.name)
    for each in plain:
        blocks[_section(each.name)].append(f"import {each}")
    groups: dict[tuple[str, str], set[Import]] = {}
    for each in imports:
        if each.module:  # a renamed import keeps a line of its own
            groups.setdefault((each.module, str(each) if each.alias else ""), set()).add(each)
    ordered = [(module, sorted(each, key=_member_order)) for (module, _), each in groups.items()]
    for module, members in sorted(ordered, key=lambda each: (each[0], _member_order(each[1][0]))):
        names = [str(each) for each in members]
        line = f"from {module} import {', '.join(names)}"
        if len(line) > _WIDTH:
            line = f"from {module} import (\n    " + ",\n    ".join(names) + ",\n)"
        blocks[_section(module)].append(line)
    return "\n\n".join("\n".join(block) for block in blocks if block).splitlines()


def binds(node: ast.stmt) -> list[str]:
    """The names that a statement binds in its own scope."""
    if isinstance(node, _Function | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    parts = [part for root in targets if root is not None for part in ast.walk(root)]
    return [part.id for part in parts if isinstance(part, ast.Name)]


def identifiers(node: ast.expr) -> list[str]:
    """Every name and attribute in an expression."""
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute))
    return [name.id if isinstance(name, ast.Name) else name.attr for name in names]


def _module_imports(tree: ast.Module, package: str) -> Iterator[Import]:
    for node in tree.body:
        # What annotations alone need is under TYPE_CHECKING: another file may import it.
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in identifiers(node.test)
        for part in node.body if isinstance(node, ast.If) and typing else [node]:
            if isinstance(part, ast.Import):
                yield from (Import("", alias.name, alias.asname or "") for alias in part.names)
            elif isinstance(part, ast.ImportFrom):
                base = part.module or ""
                if part.level:
                    parts = package.split(".")
                    above = parts[: len(parts) - part.level + 1]
                    base = ".".join([*above, base]) if base else ".".join(above)
                yield from (Import(base, a.name, a.asname or "") for a in part.names)


def _module_level(node: ast.AST) -> Iterator[str]:
    """Names that the module binds, inside an ``if`` or a ``try`` too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from binds(child)
        if isinstance(child, ast.If | ast.Try | ast.ExceptHandler | ast.With | ast.For | ast.While):
            yield from _module_level(child)


def _free_names(text: str, node: _Function) -> set[str]:
    names = _globals_of(_table(symtable.symtable(text, "module", "exec"), node))
    # Decorators, defaults and annotations are read where the function is defined, not inside it.
    outside: list[ast.expr] = [*node.decorator_list, *node.args.defaults]
    outside += [default for default in node.args.kw_defaults if default is not None]
    for root in outside:
        names |= {part.id for part in ast.walk(root) if isinstance(part, ast.Name)}
    for part in ast.walk(node):
        for field in ("annotation", "returns"):
            if isinstance(annotation := getattr(part, field, None), ast.expr):
                names |= _annotation_names(annotation)
    return names


def _annotation_names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _annotation_names(ast.parse(node.value, mode="eval"))
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Subscript) and identifiers(node.value)[-1:] == ["Literal"]:
        children = [node.value]  # the texts in Literal["…"] name nothing
    return {name for child in children for name in _annotation_names(child)}


def _table(table: symtable.SymbolTable, node: _Function) -> symtable.SymbolTable:
    lines = {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}
    waiting = [table]
    while waiting:
        table = waiting.pop()
        if table.get_name() == node.name and table.get_lineno() in lines:
            return table
        waiting += table.get_children()
    raise AssertionError(f"no symbol table for {node.name}")


def _globals_of(table: symtable.SymbolTable) -> set[str]:
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return names.union(*(_globals_of(child) for child in table.get_children()))


def _section(module: str) -> int:
    top = module.split(".")[0]
    if top == "__future__":
        return 0
    if top == "groundup":
        return 3
    return 1 if top in sys.stdlib_module_names else 2


def _member_order(member: Import) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order of ruff's isort."""
    name = member.name
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower()
