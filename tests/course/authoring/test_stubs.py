"""The generator: what it cuts out, what it refuses, and what it never overwrites."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.course.authoring.stubs import build, solution_text, stub_text
from groundup.course.catalogue import Exercise, catalogue
from groundup.lab.errors import UserError, WorkError

Write = Callable[..., Path]

DOUBLE = '''
    import math
    import os

    import numpy as np

    SCALE = 2.0


    def double(x: np.ndarray) -> np.ndarray:
        r"""Twice x.

        Args:
            x: any shape.

        Derivation:
            :math:`2x = x + x`.

            A second paragraph.

        Returns:
            the shape of x.
        """
        # Why: a comment that stays.
        return SCALE * x  # and another
'''


def only(root: Path) -> Exercise:
    (exercise,) = catalogue(root)
    return exercise


def test_stub_keeps_the_docstring_without_its_derivation(toy_clone: Write) -> None:
    stub = stub_text(only(toy_clone(DOUBLE, "double")))
    docstring = ast.get_docstring(ast.parse(stub).body[-1])  # type: ignore[arg-type]
    assert docstring == "Twice x.\n\nArgs:\n    x: any shape.\n\nReturns:\n    the shape of x."
    assert 'r"""Twice x.' in stub
    assert stub.endswith('    raise NotImplementedError("1.1")\n')
    assert "SCALE *" not in stub
    assert "Why" not in stub


def test_derivation_at_the_end_of_a_docstring(toy_clone: Write) -> None:
    text = '''
        def f(x: float) -> float:
            """One line.

            Derivation:
                It is so."""
            return x
    '''
    assert '    """One line."""\n    raise' in stub_text(only(toy_clone(text, "f")))


def test_solution_keeps_lines_and_comments(toy_clone: Write) -> None:
    solution = solution_text(only(toy_clone(DOUBLE, "double")))
    assert "    # Why: a comment that stays.\n    return SCALE * x  # and another\n" in solution
    assert "Derivation:" in solution


def test_imports_are_those_that_the_function_needs(toy_clone: Write) -> None:
    exercise = only(toy_clone(DOUBLE, "double"))
    for text in (stub_text(exercise), solution_text(exercise)):
        lines = re.findall(r"^(?:import|from) .*", text, re.MULTILINE)
        assert lines == ["import numpy as np", "from groundup.toy.things import SCALE"]


def test_where_names_come_from(toy_clone: Write) -> None:
    text = '''
        from __future__ import annotations

        from typing import TYPE_CHECKING, Literal

        import torch.nn.functional as F

        from ..scratch import types as kinds
        from .other import helper as aid

        if TYPE_CHECKING:
            from collections.abc import Sequence
        try:
            from fast import kernel
        except ImportError:
            kernel = None

        mean = 3


        def wrap(function):
            return function


        def size(x):
            return len(x)


        @wrap
        def total(
            x: Sequence[kinds.Array], y: "size" = 1, mode: Literal["mean"] = "mean"
        ) -> int:
            """Sum."""
            values: list[int] = [aid(F.relu(v)) + size(v) for v in x]
            size_of = lambda v: kernel or size(v)
            return sum(values) + size_of(x)
    '''
    lines = re.findall(
        r"^(?:import|from) .*", stub_text(only(toy_clone(text, "total"))), re.MULTILINE
    )
    assert lines == [
        "from __future__ import annotations",
        "from collections.abc import Sequence",
        "from typing import Literal",
        "import torch.nn.functional as F",
        "from groundup.scratch import types as kinds",
        "from groundup.toy.other import helper as aid",
        "from groundup.toy.things import kernel, size, wrap",
    ]


def test_pair_stands_in_one_file_and_does_not_import_itself(toy_clone: Write) -> None:
    text = '''
        import numpy as np


        def f(x):
            """Forward."""
            return np.exp(x), (x,)


        def f_backward(dy, cache):
            """Backward."""
            return dy * f(*cache)[0]
    '''
    exercise = only(toy_clone(text, "f", "f_backward"))
    assert stub_text(exercise).count('raise NotImplementedError("1.1")') == 2
    assert "groundup" not in solution_text(exercise).split('"""')[2]


def test_plain_method_becomes_a_function(toy_clone: Write) -> None:
    text = '''
        class Counter:
            def step(self, by: int) -> None:
                """Count on."""
                if by:
                    self.total += by
    '''
    solution = solution_text(only(toy_clone(text, "Counter.step")))
    assert '\ndef step(self, by: int) -> None:\n    """Count on."""\n    if by:\n' in solution


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        ("outer.inner", "closure"),
        ("inner", "closure"),
        ("Thing.area", "property"),
        ("Thing.reset", "super"),
        ("Thing.hidden", "private"),
        ("Thing.text", "a text over several lines"),
        ("Thing", "not a function"),
        ("NUMBER", "not a function"),
        ("oter", "did you mean outer"),
        ("count", "rebinds"),
        ("twice", "defined 2 times"),
        ("bare", "no docstring"),
        ("empty", "no body"),
        ("unknown", "uses nowhere"),
    ],
)
def test_what_cannot_be_cut_out_is_refused(toy_clone: Write, symbol: str, reason: str) -> None:
    text = '''
        NUMBER = 3


        def outer():
            """Doc."""

            def inner():
                """Doc."""
                return 1

            return inner


        class Thing:
            @property
            def area(self):
                """Doc."""
                return 1

            def reset(self):
                """Doc."""
                super().reset()

            def hidden(self):
                """Doc."""
                return self.__secret

            def text(self):
                """Doc."""
                return """two
            lines"""


        def count():
            """Doc."""
            global NUMBER
            NUMBER += 1


        def twice():
            """Doc."""
            return 1


        def twice():
            """Doc."""
            return 2


        def bare():
            return 1


        def empty():
            """Doc."""


        def unknown():
            """Doc."""
            return nowhere
    '''
    exercise = only(toy_clone(text, symbol))
    with pytest.raises(UserError, match=reason) as caught:
        stub_text(exercise)
    assert f"groundup.toy.things:{symbol}" in str(caught.value)


def test_star_import_and_missing_module_are_refused(toy_clone: Write) -> None:
    text = 'from os import *\n\ndef f():\n    """Doc."""\n    return getcwd()\n'
    root = toy_clone(text, "f")
    with pytest.raises(UserError, match=r"imports \*"):
        stub_text(only(root))
    (root / "lib/groundup/toy/things.py").unlink()
    with pytest.raises(UserError, match=r"no module groundup\.toy\.things"):
        stub_text(only(root))


def test_two_meanings_of_a_name_are_refused(toy_clone: Write) -> None:
    root = toy_clone(DOUBLE, "double")
    other = root / "lib/groundup/toy/more.py"
    other.write_text('import numpy.linalg as np\n\ndef g():\n    """Doc."""\n    return np\n')
    path = root / "exercises/ch01_toys/exercise.toml"
    path.write_text(path.read_text().replace('double"]', 'double", "groundup.toy.more:g"]'))
    with pytest.raises(UserError, match="two things by np"):
        stub_text(only(root))


def test_build_writes_once(toy_clone: Write) -> None:
    root = toy_clone(DOUBLE, "double")
    exercise = only(root)
    assert sorted(build(root)) == sorted([exercise.file, exercise.solution])
    assert build(root) == []
    assert build(root, check=True) == []


def test_check_names_each_file_that_differs(toy_clone: Write) -> None:
    root = toy_clone(DOUBLE, "double")
    build(root)
    exercise = only(root)
    exercise.solution.write_text("x = 1\n")
    exercise.file.unlink()
    stray = exercise.solution.with_name("ex_9_9_gone.py")
    stray.touch()
    with pytest.raises(WorkError) as caught:
        build(root, check=True)
    for path in (exercise.solution, exercise.file, stray):
        assert str(path.relative_to(root)) in str(caught.value)
    assert exercise.solution.read_text() == "x = 1\n"


def test_edited_stub_is_left_alone_and_backed_up_when_forced(toy_clone: Write) -> None:
    root = toy_clone(DOUBLE, "double")
    build(root)
    exercise = only(root)
    mine = exercise.file.read_text().replace("raise NotImplementedError", "return x + x  #")
    exercise.file.write_text(mine)
    said: list[str] = []
    assert build(root, say=said.append) == []
    assert exercise.file.read_text() == mine
    assert said == ["exercises/ch01_toys/ex_1_1_toy.py is edited: left as it is"]
    assert build(root, force=True, say=said.append) == [exercise.file]
    (backup,) = exercise.file.parent.glob("*.bak-*")
    assert backup.read_text() == mine
    assert backup.name in said[1]
    assert exercise.file.read_text() == stub_text(exercise)


def test_stub_that_is_only_old_is_written_again(toy_clone: Write) -> None:
    root = toy_clone(DOUBLE, "double")
    build(root)
    toy_clone(DOUBLE.replace("Twice x", "Two times x"), "double")
    exercise = only(root)
    assert exercise.file in build(root)
    assert "Two times x" in exercise.file.read_text()


def test_file_without_the_first_line_counts_as_edited(toy_clone: Write) -> None:
    root = toy_clone(DOUBLE, "double")
    build(root)
    exercise = only(root)
    exercise.file.write_text(exercise.file.read_text().split("\n", 1)[1])
    assert build(root, say=lambda _: None) == []


def test_generated_files_pass_ruff(toy_clone: Write) -> None:
    pytest.importorskip("ruff")
    long = ", ".join(f"argument_number_{n}: ndarray" for n in range(3))
    names = [f"helper_with_a_long_name_{n}" for n in range(5)]
    text = "from numpy import array as make, ndarray\n\nTOP = 1\n\n"
    text += "".join(f"def {name}():\n    return 1\n\n" for name in names)
    text += f'def f({long}):\n    """Doc."""\n    total = make(TOP)\n'
    text += "".join(f"    total += {name}()\n" for name in names) + "    return total\n"
    root = toy_clone(text, "f")
    build(root)
    here = only(root)
    options = ["--isolated", "--line-length=100", "--no-cache"]
    first_party = 'lint.isort.known-first-party=["groundup"]'
    check = ["check", "--select=E,F,W,I", "--config", first_party]
    for command in (check, ["format", "--check"]):
        run = [sys.executable, "-m", "ruff", *command, *options, str(here.solution)]
        done = subprocess.run(run, capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, done.stdout
