"""A clone of its own for tests of ``--mine``: the solutions are the learner's files, and a module
of toys has everything that could hold on to a function."""

import ast
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

CHAPTERS = ("ch05_training", "ch11_neobert", "ch19_contrastive")

TOYS = '''
"""Toys."""

import functools

import numpy as np


def double(x, by=2.0):
    """Twice an array."""
    return x * by


def half(x):
    """Half of an array."""
    return x / 2


def whole(x):
    """The same."""
    return x + 1


def loud(function):
    @functools.wraps(function)
    def wrapped(x):
        return function(x) + 100

    return wrapped


@loud
def triple(x):
    """Three times an array, decorated."""
    return x * 3


class Shape:
    """A class."""

    factor = 5

    def area(self, x):
        """The area."""
        return self.factor * x

    @staticmethod
    def corners(x):
        """The corners."""
        return x + 4


alias = double
TABLE = {"double": double}
partial = functools.partial(double, by=3.0)


def default(x, function=double):
    return function(x)


def draws(x):
    """Random numbers added."""
    return x + np.random.rand(len(x))


def pair(x):
    """Squared, and what the way back needs."""
    return x * x, (x, "the library's own")


def pair_backward(dy, cache):
    """The gradient."""
    x, whose = cache
    assert whose == "the library's own"
    return 2 * x * dy


def quarter(x):
    """A quarter."""
    return half(half(x))


def slope(x):
    """The derivative of the square, which the way back gets as it is."""
    return 2 * x


def slope_backward(dy, y):
    """No cache: what the forward pass returned."""
    return 2 * dy + 0 * y


def apply(function, x):
    """A function's value a little to the right."""
    x += 1
    return function()


def factory():
    word = "closed over"

    def closed(x):
        """It uses a variable of another function."""
        return x, word

    return closed


closed = factory()
'''

ENTRY = """
[[exercise]]
id = "{chapter}.{number}"
name = "{name}"
title = "{name}"
targets = [{targets}]
points = 1
read = "a book"
requires = []
forbidden = []
hints = ["one", "two", "three"]
"""

FUNCTIONS = {
    "double": ["double"],
    "triple": ["triple"],
    "area": ["Shape.area"],
    "corners": ["Shape.corners"],
    "pair": ["pair", "pair_backward"],
    "draws": ["draws"],
    "half": ["half"],
    "both": ["whole", "groundup.more:more"],
    "apply": ["apply"],
    "quarter": ["quarter"],
    "slope": ["slope", "slope_backward"],
}
"""Exercises 91.1 to 91.11: their targets, in groundup.toys if not said. 92.1 is a closure."""

WRITTEN = {
    "double": """
        # What the module that it replaces holds can be imported; so can what imports that module.
        from groundup.toys import half
        import groundup.around

        def double(x, by=7.0):
            return half(x) * 2 * by
    """,
    "triple": "def triple(x): return x * 30",
    "area": "def area(self, x): return self.factor * x * 10",
    "corners": "def corners(x): return x + 40",
    "pair": """
        def pair(x): return x**2, {"mine": x}

        def pair_backward(dy, cache): return dy * (cache["mine"] + cache["mine"])
    """,
    "draws": """
        import numpy as np

        def draws(x): return np.random.rand(len(x)) + x
    """,
    "half": "def half(x): raise NotImplementedError('91.7')",
    "both": "def whole(x): return x + 0.5\ndef more(x): return x + 0.25",
    "apply": """
        def apply(function, x):
            x += 1
            return function()
    """,
    "quarter": """
        from groundup.toys import half

        def quarter(x): return half(x) / 2
    """,
    "slope": """
        def slope(x): return x + x

        def slope_backward(dy, y): return dy + dy
    """,
    "closed": "def closed(x): return x, 'mine'",
}


def _used_by(node: ast.AST, nodes: list[ast.stmt]) -> list[ast.stmt]:
    """The imports and functions of a module that a node of it needs, in their order."""
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    found = [
        each
        for each in nodes
        if each is not node
        and (
            (isinstance(each, ast.FunctionDef) and each.name in names)
            or (
                isinstance(each, ast.Import | ast.ImportFrom)
                and names & {(alias.asname or alias.name).split(".")[0] for alias in each.names}
            )
        )
    ]
    deeper = [
        other
        for each in found
        if isinstance(each, ast.FunctionDef)
        for other in _used_by(each, nodes)
    ]
    return [each for each in nodes if each in found or each in deeper]


ADAM = """
import numpy as np
from groundup.scratch.optim import adam

rng = np.random.default_rng(0)
first, second = np.zeros((2, 4), dtype=np.float32)
for step in range(1, 101):
    change, first, second = adam(rng.standard_normal(4, np.float32), first, second, step, 0.01)
"""
HIDE = """
import os, sys
sys.modules.update(dict.fromkeys(os.environ.get("HIDE", "").split()))
"""
"""Python runs it when it starts: a package that is hidden is not installed."""


@dataclass
class Clone:
    """A clone, and ways to run Python in it.

    Attributes:
        root: its folder.
        before: the texts of the learner's files that the test has changed.
        adam: a script that calls adam a hundred times.
    """

    root: Path
    before: dict[Path, str] = field(default_factory=dict)
    adam: str = ADAM

    def write(self, name: str, text: str) -> Path:
        """Make a text the learner's file of an exercise, such as ``91_1_double``."""
        (path,) = self.root.glob(f"exercises/*/ex_{name}.py")
        self.before.setdefault(path, path.read_text())
        path.write_text(textwrap.dedent(text) + "\n")
        return path

    def mutate(self, name: str, mutant: str) -> None:
        """Make a mutant of the exercise what the learner wrote."""
        (solution,) = self.root.glob(f"solutions/*/ex_{name}.py")
        text = solution.with_name("mutants.py").read_text()
        nodes = ast.parse(text).body
        (node,) = (n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == mutant)
        (call,) = (each for each in node.decorator_list if isinstance(each, ast.Call))
        (replaces,) = (k.value.value for k in call.keywords if isinstance(k.value, ast.Constant))
        node.name, node.decorator_list = str(replaces), []
        own = "\n".join(ast.unparse(each) for each in (*_used_by(node, nodes), node))
        self.write(name, f"{solution.read_text()}\n\n{own}")

    def python(
        self, *arguments: str | Path, mine: str | None = None, code: int = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Python there; it must end with the exit code."""
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.root,
            env=self.environment(mine) | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def script(
        self, text: str, mine: str | None = None, code: int = 0, name: str = "script.py"
    ) -> subprocess.CompletedProcess[str]:
        """Run a text as a script there."""
        (self.root / name).write_text(textwrap.dedent(text))
        return self.python(name, mine=mine, code=code)

    def environment(self, mine: str | None = None) -> dict[str, str]:
        """The variables of a process that runs this clone's library, without figures."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GROUNDUP_")}
        chosen = {} if mine is None else {"GROUNDUP_MINE": mine}
        paths = f"{self.root / 'lib'}{os.pathsep}{self.root}"
        scratch = self.root / "scratch"
        return kept | chosen | {"PYTHONPATH": paths, "TMPDIR": str(scratch), "HIDE": "matplotlib"}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clone of all tests here: they share its compiled files."""
    place = tmp_path_factory.mktemp("mine") / "clone"
    chapters = [f"{top}/{name}" for top in ("exercises", "solutions") for name in CHAPTERS]
    for name in ("lib", *chapters):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    for name in ("chapters", "scratch"):
        (place / name).mkdir()
    for solution in place.glob("solutions/*/ex_*.py"):
        shutil.copy(solution, place / "exercises" / solution.parent.name)
    (place / "lib" / "sitecustomize.py").write_text(HIDE)
    package = place / "lib" / "groundup"
    (package / "toys.py").write_text(TOYS)
    (package / "more.py").write_text('def more(x):\n    """More."""\n    return x + 1\n')
    (package / "around.py").write_text("from groundup.toys import double, half\n")
    for chapter, functions in ((91, FUNCTIONS), (92, {"closed": ["closed"]})):
        folder = place / "exercises" / f"ch{chapter}_toys"
        folder.mkdir()
        entries = ""
        for number, (name, symbols) in enumerate(functions.items(), 1):
            whole = [each if ":" in each else f"groundup.toys:{each}" for each in symbols]
            targets = ", ".join(f'"{each}"' for each in whole)
            entries += ENTRY.format(chapter=chapter, number=number, name=name, targets=targets)
            text = textwrap.dedent(WRITTEN[name])
            (folder / f"ex_{chapter}_{number}_{name}.py").write_text(text)
        (folder / "exercise.toml").write_text(entries)
    return place


@pytest.fixture
def clone(prepared: Path) -> Iterator[Clone]:
    """The clone; what a test has changed of the learner's files is changed back."""
    made = Clone(prepared)
    yield made
    for path, text in made.before.items():
        path.write_text(text)
    assert not list((prepared / "scratch").glob("groundup-mine-*")), "a report's folder was left"
