"""One public name means one thing in the whole library, and private names stay in their module."""

import ast
from collections import defaultdict
from collections.abc import Iterator

from groundup.course import clone

ROOT = clone.root()
LIBRARY = ROOT / "lib"

# Functions that may repeat, by the reason. Along the ladder: scratch, its fast twins and neobert
# compute the same thing, and scratch can't import what lab offers.
LADDER = {
    "attention",
    "init_params",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "loss_and_gradients",
    "mean_pool",
    "relu",
    "require_whole",
    "rms_norm",
    "rms_norm_backward",
    "softmax",
    "softmax_backward",
    "split_qkv",
}
# Verbs and the like that their module qualifies, or the task or the exercise they are of.
QUALIFIED = {
    "add_commands",
    "ask",
    "begin",
    "build",
    "check",
    "close",
    "load",
    "main",
    "make_splits",
    "report",
    "run",
    "save",
    "show",
    "train",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """The name and the syntax tree of every module of the library."""
    for path in sorted(LIBRARY.rglob("*.py")):
        name = path.relative_to(LIBRARY).with_suffix("").as_posix().replace("/", ".")
        yield name.removesuffix(".__init__"), ast.parse(path.read_text("utf-8"))


def repeated(kind: type[ast.ClassDef] | type[ast.FunctionDef]) -> dict[str, list[str]]:
    """Public names that more than one module defines, and the modules."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module, tree in modules():
        for node in tree.body:
            if isinstance(node, kind) and not node.name.startswith("_"):
                homes[node.name].append(module.removeprefix("groundup."))
    return {name: found for name, found in sorted(homes.items()) if len(found) > 1}


def lines(names: dict[str, list[str]]) -> str:
    return "\n".join(f"{name}: {', '.join(found)}" for name, found in names.items())


def test_public_classes_have_unique_names() -> None:
    assert not (found := repeated(ast.ClassDef)), lines(found)


def test_functions_share_a_name_along_the_ladder_or_as_a_qualified_verb() -> None:
    found = repeated(ast.FunctionDef)
    allowed = LADDER | QUALIFIED
    assert not (wrong := {k: v for k, v in found.items() if k not in allowed}), lines(wrong)
    assert not (stale := allowed - set(found)), f"not repeated any more: {sorted(stale)}"


def test_private_names_are_not_imported_across_modules() -> None:
    stubs = sorted((ROOT / "exercises").glob("*/ex_*.py"))
    sources = [*modules(), *((path.name, ast.parse(path.read_text("utf-8"))) for path in stubs)]
    wrong = []
    for name, tree in sources:
        ours = set()  # names that this module imports from the library
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.level or _ours(node.module or "")):
                ours |= {alias.asname or alias.name for alias in node.names}
                private = [alias.name for alias in node.names if _private(alias.name)]
                wrong += [f"{name} imports {each} from {node.module}" for each in private]
            elif isinstance(node, ast.Import):
                ours |= {a.asname for a in node.names if a.asname and _ours(a.name)}
        attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        wrong += [
            f"{name} uses {node.value.id}.{node.attr}"
            for node in attributes
            if isinstance(node.value, ast.Name) and node.value.id in ours and _private(node.attr)
        ]
    assert not wrong, "\n".join(wrong)


def _ours(module: str) -> bool:
    return module.split(".")[0] == "groundup"


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
