"""Packages that export names of their modules and import a module when a name of it is first used.

A package lists its public names twice, and ruff reports a difference between the lists::

    __all__ = ["NeoBERTModel"]

    if TYPE_CHECKING:
        from groundup.neobert.modeling import NeoBERTModel
    else:
        __getattr__, __dir__ = attach(__name__)

Type checkers and editors follow the import. At run time it is only read, to learn which module
holds which name.
"""

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import get_data


def attach(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package that exports names lazily."""
    source = get_data(package, "__init__.py")
    assert source is not None
    module_of = exports(source.decode())

    def __getattr__(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(module_of[name]), name)

    def __dir__() -> list[str]:
        return sorted({*vars(import_module(package)), *module_of})

    return __getattr__, __dir__


def exports(source: str) -> dict[str, str]:
    """The names that the text of a package exports lazily, and the module that defines each."""
    return {
        alias.name: node.module
        for block in typing_blocks(ast.parse(source))
        for node in block.body
        if block.orelse and isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }


def typing_blocks(tree: ast.AST) -> Iterator[ast.If]:
    """Every ``if TYPE_CHECKING``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield node
