"""Which modules of the library a chapter depends on, and one fingerprint of them all."""

import ast
import hashlib
import platform
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from groundup.course.modules import module_file
from groundup.lab.lazy import exports, typing_blocks

_DOTTED = re.compile(r"groundup(\.\w+)*")
_DIRECTIVE = re.compile(r"^\W*::: source (groundup[\w.]*)", re.MULTILINE)


def library_modules(source: str, library: Path) -> dict[str, Path]:
    """Every module of the library that running ``source`` can import, directly or not.

    Imports are read, not run, wherever they are: at the top, in a function, as the text of a
    module's name (``"groundup.cli"`` for a subprocess), or in a ``::: source`` line. Importing a
    module runs its parent packages too. Imports for type checkers alone are left out. Of a package
    that exports names lazily, the modules of the imported names count; all of them where the
    package itself is imported.

    Args:
        source: Python text, such as a chapter.
        library: the directory that holds ``groundup``.

    Returns:
        Dotted name to file, sorted by name.
    """
    found: dict[str, Path] = {}
    waiting = list(_DIRECTIVE.findall(source)) + list(_names(source, package=""))
    while waiting:
        name = waiting.pop()
        lazy: dict[str, str] = {}  # what the package just above exports
        for module in _with_parents(name):
            path = module_file(module, library)
            if path is None:
                waiting += [lazy[last] for last in [module.rpartition(".")[2]] if last in lazy]
                break
            is_package = path.name == "__init__.py"
            text = path.read_text(encoding="utf-8")
            lazy = exports(text) if is_package else {}
            if module == name:
                waiting += lazy.values()
            if module not in found:
                found[module] = path
                waiting += _names(text, module if is_package else module.rpartition(".")[0])
    return dict(sorted(found.items()))


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[: n + 1]) for n in range(len(parts)))


def _names(source: str, package: str) -> Iterator[str]:
    """Names that may be modules of the library; those that are not have no file."""
    tree = ast.parse(source)
    for_types = {
        inner for block in typing_blocks(tree) for node in block.body for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _DOTTED.fullmatch(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]) if base else ".".join(above)
            if _DOTTED.fullmatch(base):
                names = (alias.name for alias in node.names)
                yield from (base if name == "*" else f"{base}.{name}" for name in names)
        elif isinstance(node, ast.Constant) and _DOTTED.fullmatch(str(node.value)):
            yield str(node.value)


def named_files(source: str, root: Path) -> list[Path]:
    """Files of the clone that ``source`` names in full, such as ``"benchmarks/seeds.json"``."""
    texts = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    names = sorted(text for text in texts if 0 < len(text) < 200 and text.isprintable())
    return [
        root / name for name in names if not Path(name).is_absolute() and (root / name).is_file()
    ]


def fingerprint(source: str, library: Path, extra: Iterable[Path] = ()) -> str:
    """A hash of a chapter and of all its output depends on.

    It covers the text, the source of each module in :func:`library_modules`, the ``extra``
    files, and the versions of Python, NumPy, torch and Matplotlib.
    """
    digest = hashlib.sha256(source.encode())
    for name, path in library_modules(source, library).items():
        digest.update(f"\0{name}\0".encode() + path.read_bytes())
    for path in extra:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    for package in ("numpy", "torch", "matplotlib"):
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            version = "absent"
        digest.update(f"\0{package} {version}".encode())
    digest.update(platform.python_version().encode())
    return digest.hexdigest()[:20]
