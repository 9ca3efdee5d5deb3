"""What a learner is told: of a wrong result, of a file that can't be used, of a whole run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from groundup.course import clone
from groundup.course.authoring.stubs import build
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises import check_context, expect
from groundup.course.exercises.checks import Check, CheckFailure, Layer, check
from groundup.course.exercises.implementations import Implementation, load
from groundup.course.exercises.mutants import mutant
from groundup.course.exercises.results import Result, closing_line, section
from groundup.course.exercises.runner import Outcome, Verdict, run_check
from groundup.course.naming import select
from groundup.lab.errors import UserError

Write = Callable[..., Path]
TOY = '''
    def f(x):
        """Doc."""
        return 2 * x
'''


# What exercise 5.1 is worth, and its whole chapter.
FIRST, *_ = POINTS = [e.points for e in select(catalogue(clone.root()), "5")]
WHOLE = sum(POINTS)


def said(action: Callable[[], Any]) -> str:
    with pytest.raises(CheckFailure) as caught:
        action()
    return str(caught.value)


def test_failure_shows_inputs_both_results_and_the_first_difference() -> None:
    text = said(
        lambda: expect.close(
            np.array([[1.0, 2.0], [3.0, 4.5]]),
            np.array([[1.0, 2.0], [3.0, 4.0]]),
            what="y",
            given={"x": np.array([1.0, -0.0]), "step": 2},
            probably="Look at the last row.",
        )
    )
    assert text == (
        "y is wrong.\n\n"
        "  given\n"
        "    x    = [1. 0.]\n"
        "    step = 2\n\n"
        "  received       expected\n"
        "  [[1.  2. ]     [[1. 2.]\n"
        "   [3.  4.5]]     [3. 4.]]\n"
        "  first difference at [1, 1]: received 4.5, expected 4\n\n"
        "Look at the last row."
    )


def test_large_arrays_are_shown_where_they_differ() -> None:
    expected = np.zeros((10, 10, 10))
    received = expected.copy()
    received[4, 2, 8] = 1
    text = said(lambda: expect.close(received, expected, what="y", given={"x": expected}))
    assert "shape (10, 10, 10), row [4, 2], entries 3 to 8" in text
    assert "first difference at [4, 2, 8]: received 1, expected 0" in text
    assert len(text) < 400


def test_numbers_that_look_alike_get_more_digits() -> None:
    text = said(lambda: expect.close(1.00000001, 1.0, what="y"))
    assert "received 1.00000001, expected 1" in text


def test_tolerance_follows_the_type_that_is_expected() -> None:
    near = np.array([1.0 + 1e-6])
    narrow = near.astype(np.float32)
    said(lambda: expect.close(near, np.ones(1), what="y"))
    assert "y is float32, and should be float64" in said(
        lambda: expect.close(narrow, np.ones(1), what="y")
    )
    said(lambda: expect.close(narrow.astype(np.float64), np.ones(1), what="y"))
    assert "should be float64" in said(lambda: expect.close(narrow, np.ones(1, int), what="y"))
    expect.close(narrow, np.ones(1), what="y", like=narrow)
    expect.close(narrow, np.ones(1, np.float32), what="y")
    expect.close(1.0 + 1e-12, 1.0, what="y")
    expect.close(2.0, 2, what="y")
    said(lambda: expect.close(2, 3, what="y"))


def test_other_values_can_be_right_too() -> None:
    expect.close(2.0, 1.0, what="y", also=(2.0,))
    said(lambda: expect.close(3.0, 1.0, what="y", also=(2.0,)))
    said(lambda: expect.close(np.ones(2), np.zeros(2), what="y", also=(np.ones(3),)))


def test_a_gradient_that_passed_through_float32_is_not_right() -> None:
    x = np.array([0.3, 0.7, -1.1])
    expect.gradient(3 * x**2, lambda at: float((at**3).sum()), x, what="dx")
    coarse = (3 * x**2).astype(np.float32)
    for received in (coarse, coarse.astype(np.float64)):
        said(lambda got=received: expect.gradient(got, lambda a: float((a**3).sum()), x, what="dx"))


def test_only_the_sentence_that_applies_is_shown() -> None:
    probably = (
        "Each row sums to one. If you have 0.25 at [1], the sum is over 4.0 entries. If you have "
        "2 or 3, it is missing. Then look at the last axis."
    )
    for received, shown in (
        (
            [0.0, 0.25],
            "Each row sums to one. If you have 0.25 at [1], the sum is over 4.0 entries.",
        ),
        ([3.0, 0.0], "Each row sums to one. If you have 2 or 3, it is missing."),
        ([7.0, 7.0], "Each row sums to one. Then"),
    ):
        text = said(
            lambda r=received: expect.close(np.array(r), np.ones(2), what="y", probably=probably)
        )
        assert shown in " ".join(text.split())
        assert ("If you have" in shown) == ("If you have" in text)
        assert text.count("If you have") <= 1


def test_nothing_fails_while_a_check_is_passed_over() -> None:
    with check_context.during(ignores_failures=True):
        expect.close(1.0, 2.0, what="y")
        expect.parts(None, ("a",))
        expect.array(None, like=np.ones(1), shape=(1,), what="y")
        expect.number(None, what="y")
        expect.fail("No.")
        with expect.raises(ValueError, "never"):
            raise KeyError
        x = np.ones(1)
        with expect.unchanged(x=x):
            x += 1
    said(lambda: expect.fail("No."))


def test_nan_is_not_close() -> None:
    assert "received nan, expected 1" in said(lambda: expect.close(float("nan"), 1.0, what="y"))


def test_tensors_are_compared_and_shown() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    expect.close(x, np.ones(2), what="y", like=x)
    assert "[1. 1.]" in said(lambda: expect.close(x, np.zeros(2), what="y", like=x))
    expect.array(torch.nn.Parameter(x.detach()), like=x.detach(), shape=(2,), what="y")
    text = said(lambda: expect.array(np.ones(2), like=x, shape=(2,), what="y"))
    assert text == "y is a NumPy array, not a torch tensor."


@pytest.mark.parametrize(
    ("received", "text"),
    [
        (None, "y is None, not a NumPy array. Is a return missing?"),
        ([1.0], "y is a list, not a NumPy array."),
        (np.ones(3), "y has shape (3,), not (2,)."),
        (np.ones(2, dtype=np.float32), "y is float32, and should be float64."),
    ],
)
def test_kinds_shapes_and_types(received: Any, text: str) -> None:
    assert said(lambda: expect.array(received, like=np.ones(5), shape=(2,), what="y")) == text


def test_parts_and_numbers() -> None:
    expect.parts((1, 2), ("a", "b"))
    expect.number(np.float64(1), what="y")
    assert "a return missing" in said(lambda: expect.parts(None, ("a", "b")))
    expect.parts([1, 2], ("a", "b"))
    assert "is a str, not a tuple (a, b)" in said(lambda: expect.parts("ab", ("a", "b")))
    assert "has 1 parts, not 2" in said(lambda: expect.parts((1,), ("a", "b")))
    assert "has shape (1,)" in said(lambda: expect.number(np.ones(1), what="y"))
    assert "not a number" in said(lambda: expect.number("1", what="y"))


def test_whole_numbers_may_be_of_any_width_unless_it_matters() -> None:
    counts = np.zeros(2, np.int32)
    expect.array(counts, like=np.zeros(5, int), shape=(2,), what="y")
    said(lambda: expect.array(counts, like=np.zeros(5), shape=(2,), what="y"))
    said(lambda: expect.array(counts > 0, like=np.zeros(5, int), shape=(2,), what="y"))
    said(lambda: expect.array(counts, like=np.zeros(5, int), shape=(2,), what="y", exact=True))


def test_change_in_place_is_shown_as_before_and_after() -> None:
    x = np.array([1.0, 2.0])

    def change() -> None:
        with expect.unchanged(x=x):
            x[1] = 5

    text = said(change)
    assert text.startswith("x is changed in place.")
    assert "first difference at [1]: after 5, before 2" in text


def test_expected_errors() -> None:
    with expect.raises(ValueError, "it is wrong"):
        raise ValueError

    def nothing() -> None:
        with expect.raises(ValueError, "it is wrong"):
            pass

    def other() -> None:
        with expect.raises(ValueError, "it is wrong"):
            raise IndexError("too far")

    assert said(nothing) == "No ValueError is raised when it is wrong."
    assert "IndexError is raised, and should be ValueError, when it is wrong." in said(other)
    with pytest.raises(NotImplementedError), expect.raises(ValueError, "it is wrong"):
        raise NotImplementedError


def test_gradients_are_compared_with_differences() -> None:
    x = np.array([1.0, 2.0])
    expect.gradient(2 * x, of=lambda x: (x**2).sum(), at=x, what="dx")
    text = said(lambda: expect.gradient(x, of=lambda x: (x**2).sum(), at=x, what="dx"))
    assert "first difference at [0]: received 1, expected 2" in text


def test_a_check_and_a_mutant_need_a_docstring() -> None:
    def bare(own: Any) -> None: ...

    with pytest.raises(ValueError, match="bare needs a docstring"):
        check(Layer.SHAPES)(bare)
    with pytest.raises(ValueError, match="bare needs a docstring"):
        mutant("1.1", replaces="f")(bare)


def learner(root: Path, body: str) -> Exercise:
    """A clone whose learner has replaced the stub's last line."""
    build(root)
    (exercise,) = catalogue(root)
    stub = exercise.file.read_text(encoding="utf-8")
    exercise.file.write_text(stub.replace('raise NotImplementedError("1.1")', body))
    return exercise


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return (x", "ex_1_1_toy.py, line 11: '(' was never closed."),
        ("return x\nnope", r"line 12: NameError: name 'nope' is not defined"),
        ("return x\nimport nope", "line 12: ModuleNotFoundError: No module named 'nope'"),
        ("return x\nexit(3)", "line 12: exit() is called"),
        (
            "import math\n    return math.pi",
            "line 11 uses math, which exercise 1.1 does not allow",
        ),
        ("from groundup.toy import things as t\n    return t.f(x)", "uses groundup.toy.things.f"),
        ("return x\ndef f(): return 1", "f must take (x): yours takes (). Add x at the end."),
        (
            "return x\ndel f",
            "it is defined in line 9, and then deleted",
        ),
        (
            "return x\nfrom groundup.course.exercises.formatting import show as f",
            "f in exercises/ch01_toys/",
        ),
    ],
)
def test_file_that_cannot_be_used(toy_clone: Write, body: str, text: str) -> None:
    exercise = learner(toy_clone(TOY, "f"), body)
    assert " ".join(text.split()) in " ".join(said(lambda: load(exercise)).split())


def test_missing_file_and_unknown_version(toy_clone: Write) -> None:
    exercise = learner(toy_clone(TOY, "f"), "return x")
    exercise.mutants.write_text("")
    with pytest.raises(UserError, match="has no mutant 'nope'"):
        load(exercise, "mutant:nope")
    with pytest.raises(UserError, match="--impl must be"):
        load(exercise, "nope")
    exercise.file.unlink()
    assert "Run groundup reset 1.1 to get it back." in said(lambda: load(exercise))


@check(Layer.EXAMPLE, points=2)
def doubles(own: Any) -> None:
    """twice three is six"""
    expect.close(own.f(3), 6, what="f(3)")


@check(Layer.RANDOM)
def adds(own: Any) -> None:
    """it can be added to"""
    own.f(3) + 1


@pytest.mark.parametrize(
    ("body", "check", "verdict", "text"),
    [
        ("return 2 * x", doubles, Verdict.PASSED, ""),
        ("return x", doubles, Verdict.FAILED, "received 3, expected 6"),
        ('raise NotImplementedError("1.1")', doubles, Verdict.NOT_WRITTEN, "line 11: 1.1"),
        ("return y", doubles, Verdict.FAILED, "Your code raised an error. ex_1_1_toy.py, line 11"),
        ("exit()", doubles, Verdict.FAILED, "Your code raised an error."),
        ("return None", adds, Verdict.FAILED, "The check can't use what f returned. TypeError"),
    ],
)
def test_verdicts(toy_clone: Write, body: str, check: Check, verdict: Verdict, text: str) -> None:
    outcome = run_check(check, load(learner(toy_clone(TOY, "f"), body)))
    assert outcome.verdict is verdict
    assert text in outcome.message


def test_a_users_interrupt_is_not_swallowed(toy_clone: Write) -> None:
    """In a process of its own it can only be the code's; under a debugger it is the user's."""
    own = load(learner(toy_clone(TOY, "f"), "raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        run_check(doubles, own)


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("raise NotImplementedError", Verdict.NOT_WRITTEN),
        ("raise NotImplementedError()", Verdict.NOT_WRITTEN),
        ("import torch\n    return torch.ones(2, device='meta').cpu()", Verdict.FAILED),
        ("import codecs\n    return codecs.Codec().encode('x')", Verdict.FAILED),
    ],
)
def test_only_the_learners_own_line_says_that_it_is_not_written(
    toy_clone: Write, body: str, verdict: Verdict
) -> None:
    pytest.importorskip("torch")
    outcome = run_check(doubles, load(learner(toy_clone(TOY, "f"), body)))
    assert outcome.verdict is verdict


def test_sections_of_the_report(toy_clone: Write) -> None:
    exercise = learner(toy_clone(TOY, "f"), "return x")
    passed = Outcome(adds, Verdict.PASSED)
    failed = Outcome(doubles, Verdict.FAILED, "f(3) is wrong.", "x is 3")
    unwritten = Outcome(doubles, Verdict.NOT_WRITTEN, "ex_1_1_toy.py, line 11: 1.1")

    assert section(Result(exercise, [unwritten])) == (
        "1.1 A toy: not written yet. Start at exercises/ch01_toys/ex_1_1_toy.py, line 11.\n"
    )
    text = section(Result(exercise, [passed, failed], diagnosis="It is not doubled."))
    assert text == (
        "1.1 A toy: 1 of 3 points\n\n"
        "  passed    1 point   random cases         it can be added to\n"
        "  failed    2 points  worked example       twice three is six\n\n"
        "  f(3) is wrong.\n\n"
        "  It printed\n"
        "    x is 3\n\n"
        "  Your results are those of a known mistake: It is not doubled.\n\n"
        "  Your code: exercises/ch01_toys/ex_1_1_toy.py\n"
        "  To read:   a book\n"
    )
    assert "Right so far. Go on at" in section(Result(exercise, [passed, unwritten]))
    assert "0 of 3 points\n\n  Broken." in section(Result(exercise, unusable="Broken."))
    assert closing_line([Result(exercise, [passed]), Result(exercise)]) == "Points: 1 of 6"


def test_stopped_means_wrong_and_not_unwritten(toy_clone: Write) -> None:
    exercise = learner(toy_clone(TOY, "f"), "return x")
    assert not Result(exercise, [Outcome(doubles, Verdict.NOT_WRITTEN)]).stopped
    assert Result(exercise, [Outcome(doubles, Verdict.FAILED)]).stopped
    assert Result(exercise, unusable="Broken.").stopped


def test_checks_see_only_the_functions() -> None:
    own = Implementation(SimpleNamespace(f=lambda x: 2 * x), Path("here.py"))
    assert run_check(doubles, own).verdict is Verdict.PASSED


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of its own, whose exercises of chapter 5 may be edited."""
    root = tmp_path_factory.mktemp("clone")
    (root / "pyproject.toml").touch()
    (root / "chapters").mkdir()
    here = clone.root()
    (root / "exercises").mkdir()
    (root / "solutions").mkdir()
    for name in ("exercises/ch05_training", "solutions/ch05_training", "lib/groundup"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(here / name, root / name, ignore=ignored)
    for name in ("exercises/conftest.py", "exercises/pytest.ini"):
        shutil.copy(here / name, root / name)
    build(root, force=True, say=lambda _: None)
    return root


def run_pytest(root: Path, *arguments: str, plugins: bool = False) -> tuple[int, str]:
    """Other packages' plugins, which take longer to import than the checks run, are left out."""
    command = [sys.executable, "-m", "pytest", "exercises", *arguments]
    environment = os.environ | {"PYTHONPATH": str(root / "lib")}
    if not plugins:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_learners_run_stops_at_the_first_failure(copied: Path) -> None:
    stub = copied / "exercises/ch05_training/ex_5_1_adam.py"
    pristine = stub.read_text(encoding="utf-8")
    wrong = "print('here')\n    return 0 * gradient, first + 1, second"
    stub.write_text(pristine.replace('raise NotImplementedError("5.1")', wrong))
    code, text = run_pytest(copied, plugins=True)
    stub.write_text(pristine)
    assert code == 1
    assert text.count("is wrong.") == 1
    assert "  It printed\n    here\n" in text
    assert "5.2 Cross-entropy and its gradient: not written yet. Start at exercises/" in text
    assert text.endswith(f"Points: 2 of {WHOLE}\n")
    assert "Traceback" not in text
    assert "====" not in text
    assert "FAILED" not in text


def test_other_versions_run_every_layer(copied: Path) -> None:
    code, text = run_pytest(copied, "--impl", "solution")
    assert (code, text.splitlines()[-1]) == (0, f"Points: {WHOLE} of {WHOLE}")
    code, text = run_pytest(copied, "--impl", "mutant:no_bias_correction")
    assert code == 1
    assert text.count("is wrong.") == 5
    assert "5.2" not in text


def test_missing_package_is_named_and_the_rest_is_checked(copied: Path) -> None:
    checks = copied / "exercises/ch05_training/test_5_1_adam.py"
    whole = checks.read_text(encoding="utf-8")
    checks.write_text(whole.replace("import numpy as np", "import numpi.core as np"))
    code, text = run_pytest(copied, "--impl", "solution")
    checks.write_text(whole)
    assert code == 0
    assert f"5.1 Adam (solution): 0 of {FIRST} points\n\n  This exercise needs numpi" in text
    assert "13 of 13 points" in text


def test_wrong_version_is_a_wrong_call(copied: Path) -> None:
    code, text = run_pytest(copied, "--impl", "mutant:nope")
    assert code == 4
    assert "no mutant is called 'nope'. There are: no_bias_correction," in text


def test_a_check_does_not_swap_the_librarys_functions(copied: Path) -> None:
    """With GROUNDUP_MINE exported, a check still judges the file against the library."""
    command = [sys.executable, "-m", "groundup", "check", "5.1"]
    environment = os.environ | {"PYTHONPATH": str(copied / "lib"), "GROUNDUP_MINE": "5.2"}
    stub = copied / "exercises/ch05_training/ex_5_1_adam.py"
    pristine = stub.read_text(encoding="utf-8")
    stub.write_text((copied / "solutions/ch05_training/ex_5_1_adam.py").read_text())
    other = copied / "exercises/ch05_training/ex_5_2_cross_entropy.py"
    shutil.copy(copied / "solutions/ch05_training/ex_5_2_cross_entropy.py", other)
    done = subprocess.run(
        command, cwd=copied, env=environment, capture_output=True, text=True, check=False
    )
    stub.write_text(pristine)
    assert done.returncode == 0, done.stderr
    assert f"5.1 Adam: {FIRST} of {FIRST} points" in done.stdout
    assert "Your code in this run" not in done.stdout + done.stderr
