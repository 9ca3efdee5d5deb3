"""A learner's file runs as Python runs it; what keeps it from running is named with its mend."""

import codecs
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.course.authoring.stubs import build
from groundup.course.catalogue import Exercise
from groundup.course.exercises import progress
from groundup.course.exercises.checks import CheckFailure
from groundup.course.exercises.implementations import load
from groundup.course.mine.selection import unusable

TOY = '''
    import numpy as np

    def f(x):
        """Doc."""
        return np.multiply(2, x)

    def g(x, eps=1e-5):
        """Doc."""
        return x + eps
'''
G = "def g(x, eps=1e-5): return x + eps\n"
RIGHT = "def f(x): return 2 * x  # für\n" + G


@pytest.fixture
def exercise(toy_exercise: Callable[..., Exercise]) -> Exercise:
    """An exercise of two functions, f and g."""
    return toy_exercise(TOY, "f", "g")


def python_runs(file: Path) -> bool:
    return (
        subprocess.run([sys.executable, str(file)], capture_output=True, check=False).returncode
        == 0
    )


@pytest.mark.parametrize(
    "data",
    [
        RIGHT.encode(),
        codecs.BOM_UTF8 + RIGHT.encode(),
        RIGHT.replace("\n", "\r\n").encode(),
        RIGHT.replace("\n", "\r").encode(),
        codecs.BOM_UTF8 + RIGHT.replace("\n", "\r\n").encode(),
        b"# -*- coding: latin-1 -*-\n" + RIGHT.encode("latin-1"),
        b"# vim: set fileencoding=cp1252 :\n" + RIGHT.encode("cp1252"),
        b"#!/usr/bin/python\n# coding=utf-8\n" + RIGHT.encode(),
        codecs.BOM_UTF8 + b"# coding: utf-8\n" + RIGHT.encode(),
        ("from __future__ import annotations\nx: int = '\\d'\n" + RIGHT).encode(),
    ],
)
def test_what_python_runs_is_loaded(exercise: Exercise, data: bytes) -> None:
    exercise.file.write_bytes(data)
    assert python_runs(exercise.file)
    assert load(exercise).functions.f(3) == 6
    assert unusable(exercise) == ""
    assert progress.is_begun(exercise)


def test_a_byte_order_mark_does_not_begin_an_exercise(exercise: Exercise) -> None:
    exercise.file.write_bytes(codecs.BOM_UTF8 + exercise.file.read_bytes())
    assert not progress.is_begun(exercise)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            b"x = 1\n\0\n" + RIGHT.encode(),
            "line 2: there is a NUL byte (\\0) here. Delete the line",
        ),
        (RIGHT.encode() + b"# \0", "line 3: there is a NUL byte"),
        (RIGHT.encode("utf-16"), "is saved as UTF-16. Save it as UTF-8."),
        (RIGHT.encode("utf-16-le"), "is saved as UTF-16. Save it as UTF-8."),
        (RIGHT.encode("latin-1"), "line 1: the byte 0xfc is not UTF-8. Save the file as UTF-8"),
        (b"# a\r\n# b\r\n# c\r\nx = '\xe9'", "line 4: the byte 0xe9 is not UTF-8."),
        (b"# coding: utf8\nx = '\xe9'", "line 2: the byte 0xe9 is not UTF-8."),
        (
            b"# coding: nope\n",
            "unknown encoding: nope. Delete that line and save the file as UTF-8.",
        ),
        (b"# coding: hex\n", "names an encoding that can't be used: hex. Delete that line"),
        (codecs.BOM_UTF8 + b"# coding: latin-1\n", "an encoding that can't be used: "),
        (b"", "is empty. Run groundup reset 1.1 to get it back."),
        (b"\n# only a remark\n", "is empty. Run groundup reset 1.1 to get it back."),
        (b"def f(x):\n\tif x:\n        return 1\n", "line 3: inconsistent use of tabs and spaces"),
        (b"def f(x):\n\tif x:\n        return 1\n", "Indent every line with spaces."),
        (b"def f(x):\n", "line 1: expected an indented block"),
        (b"def f(x:\n  return x", "line 1: '(' was never closed."),
        (b"def f(x, a=1, y): return x", "line 1: "),
        (b"x = " + b"(" * 300 + b")" * 300, "too many nested parentheses"),
        (b"x = " + b"-" * 100_000 + b"1", "is nested too deeply for Python to read it."),
        (b"f = 3\n" + G.encode(), "has no function f: f is of type int there. Rename that."),
        (G.encode(), "has no function f. Write it again; groundup reset 1.1 gives the stub back"),
        (b"class A:\n  def f(x): return x\n" + G.encode(), "the one in line 2 is inside something"),
        (b"def f_(x): return x\n" + G.encode(), "no function f, but f_ in line 1. Call it f."),
        (b"def f(x): return x\n" + G.encode() + b"del f", "defined in line 1, and then deleted."),
        (b"def f(x): return x\ndef g(x, eps): return x", "Give eps its default: eps=1e-05."),
        (b"exec('(')", "line 1: SyntaxError: "),
    ],
)
def test_what_python_does_not_run_is_named(exercise: Exercise, data: bytes, says: str) -> None:
    exercise.file.write_bytes(data)
    with pytest.raises(CheckFailure) as caught:
        load(exercise)
    assert str(exercise.file.relative_to(exercise.root)) in str(caught.value)
    assert " ".join(says.split()) in " ".join(str(caught.value).split())


def test_a_file_that_is_gone_or_closed(exercise: Exercise) -> None:
    exercise.file.unlink()
    with pytest.raises(CheckFailure, match=r"no .*\. Run groundup reset 1\.1 to get it back\."):
        load(exercise)
    exercise.file.mkdir()
    with pytest.raises(CheckFailure, match="There is no"):
        load(exercise)


def test_build_leaves_a_file_of_any_encoding_alone(exercise: Exercise) -> None:
    data = RIGHT.encode("latin-1")
    exercise.file.write_bytes(data)
    said: list[str] = []
    build(exercise.root, say=said.append)
    assert said == ["exercises/ch01_toys/ex_1_1_toy.py is edited: left as it is"]
    assert exercise.file.read_bytes() == data


@pytest.mark.parametrize(
    "use",
    [
        "import math",
        "import math as m",
        "from math import pi",
        "from math import *",
        "import numpy as np, math",
        "math = __import__('math')",
        "import importlib\nm = importlib.import_module('math')",
        "from importlib import import_module as load\nm = load('math')",
        "import sys\nm = sys.modules['math']",
        "def f(x):\n    import math\n    return math.pi",
    ],
)
def test_a_name_that_is_not_allowed_is_named(exercise: Exercise, use: str) -> None:
    exercise.file.write_text(f"{use}\n{RIGHT}", encoding="utf-8")
    with pytest.raises(CheckFailure) as caught:
        load(exercise)
    line = 2 if "\n" in use else 1
    assert caught.value.says == (
        f"exercises/ch01_toys/ex_1_1_toy.py, line {line} uses math, which exercise 1.1 does not "
        "allow: the point is to write f and g yourself, in NumPy."
    )


@pytest.mark.parametrize(
    "use",
    [
        "from groundup.toy.things import f",
        "from groundup.toy import things\nh = things.f",
        "import groundup.toy.things as t\nh = t\nr = h.f",
        "from groundup.toy.things import *",
        "import groundup\nh = getattr(groundup.toy.things, 'f')",
    ],
)
def test_the_librarys_own_function_is_what_is_asked_for(exercise: Exercise, use: str) -> None:
    exercise.file.write_text(f"{use}\n{RIGHT}", encoding="utf-8")
    with pytest.raises(CheckFailure, match=r"uses groundup\.toy\.things\.f, which is what you"):
        load(exercise)


def test_names_that_only_look_alike_are_allowed(exercise: Exercise) -> None:
    allowed = "import numpy as math\nmathematics = math.pi\nimport cmath\nx = 'import math'\n"
    exercise.file.write_text(allowed + RIGHT, encoding="utf-8")
    assert load(exercise).functions.f(3) == 6
