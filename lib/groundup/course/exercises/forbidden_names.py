"""Names that an exercise does not allow, because they would do its work."""

import ast
from collections.abc import Iterator

from groundup.course.authoring.stubs import solution_text
from groundup.course.catalogue import Exercise

_IMPORTERS = ("importlib.import_module", "importlib.__import__", "builtins.__import__")


def forbidden_use(exercise: Exercise, tree: ast.Module) -> str:
    """What a file uses and may not, a sentence; empty if there is nothing.

    Args:
        exercise: of the catalogue.
        tree: the learner's file.
    """
    targets = [f"{target.module}.{target.symbol}" for target in exercise.targets]
    used = sorted(dotted_names(tree), key=lambda each: each[1])
    for banned in (*targets, *exercise.forbidden):
        for name, line in used:
            if not _is(name, banned):
                continue
            place = f"line {line} uses {banned}"
            if banned in targets:
                return f"{place}, which is what you are asked to write."
            own = " and ".join(target.name for target in exercise.targets)
            how = f"write {own} yourself, in {_language(exercise)}"
            return f"{place}, which exercise {exercise.id} does not allow: the point is to {how}."
    return ""


def dotted_names(tree: ast.Module) -> list[tuple[str, int]]:
    """What a file names, in full, and on which line.

    ``import a.b as c`` and ``c.d`` give ``a.b`` and ``a.b.d``; so do ``importlib.import_module``
    of a text, and a variable to which one of these is assigned.
    """
    known = {"__import__": "builtins.__import__"}
    names: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        for bound, whole, named in _imported(node):
            known[bound] = whole
            names.append((named, node.lineno))  # type: ignore[attr-defined]
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    for node in sorted(assigned, key=lambda each: each.lineno):
        value = _dotted(node.value, known)
        for target in node.targets:
            if value and isinstance(target, ast.Name) and target.id not in known:
                known[target.id] = value
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
            whole = _dotted(node, known)
            if whole:
                names.append((whole, node.lineno))
    return names


def _imported(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Of an import: what each name is bound as, to what, and what is named by it."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.split(".")[0]
            yield alias.asname or whole, whole, alias.name
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield alias.asname or alias.name, whole, whole


def _dotted(node: ast.AST, known: dict[str, str]) -> str:
    """The full name of an expression, or nothing if it is not one of a module."""
    if isinstance(node, ast.Name):
        return known.get(node.id, "")
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value, known)
        return inner and f"{inner}.{node.attr}"
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function, text = _dotted(node.func, known), node.args[0].value
        if isinstance(text, str) and function in _IMPORTERS:
            return text.split(".")[0] if function.endswith("__import__") else text
    if isinstance(node, ast.Call) and _is_getattr(node.func) and len(node.args) > 1:
        owner, name = _dotted(node.args[0], known), node.args[1]
        if owner and isinstance(name, ast.Constant) and isinstance(name.value, str):
            return f"{owner}.{name.value}"
    if isinstance(node, ast.Subscript) and _dotted(node.value, known) == "sys.modules":
        key = node.slice
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""
    return ""


def _is_getattr(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "getattr"


def _is(name: str, banned: str) -> bool:
    """Whether a name is the banned one, something in it, or ``*`` of what holds it."""
    holder = name.removesuffix("*")
    return f"{name}.".startswith(f"{banned}.") or (holder != name and banned.startswith(holder))


def _language(exercise: Exercise) -> str:
    """What the solution of an exercise is written in."""
    solution = ast.parse(solution_text(exercise))
    used = [f"{name}." for name, _ in dotted_names(solution)]
    for language, marks in (
        ("PyTorch", ("torch.",)),
        ("NumPy", ("numpy.", "groundup.scratch.types.")),
    ):
        if any(name.startswith(marks) for name in used):
            return language
    return "plain Python"
