"""What a learner's code changes around itself does not reach the next check."""

import builtins
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from groundup.course.exercises import deadline, expect, process_state
from groundup.course.exercises.checks import CheckFailure
from groundup.course.exercises.process_state import isolated, restored_settings

torch = pytest.importorskip("torch")


def settings() -> dict[str, Any]:
    """Everything that is to be the same after a check."""
    return {
        "errors": np.geterr(),
        "print": np.get_printoptions(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "folder": os.getcwd(),
        "path": sys.path[:],
        "depth": sys.getrecursionlimit(),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "interrupt": signal.getsignal(signal.SIGINT),
        "warnings": warnings.filters[:],
    }


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that runs somebody's code alone."""
    monkeypatch.setattr(deadline, "is_running", lambda: True)
    process_state._tables.cache_clear()
    yield
    process_state._tables.cache_clear()  # it holds the function that stood in for the right one


@pytest.mark.parametrize(
    "change",
    [
        lambda: np.seterr(all="raise"),
        lambda: np.set_printoptions(precision=1),
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_grad_enabled(False),
        lambda: os.chdir("/"),
        lambda: sys.path.clear(),
        lambda: sys.setrecursionlimit(5_000),
        lambda: setattr(sys, "stdout", None),
        lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        lambda: warnings.simplefilter("error"),
    ],
)
def test_settings_are_put_back(change: Callable[[], Any]) -> None:
    before = settings()
    with isolated():
        change()
        assert settings() != before
    assert settings() == before
    with pytest.raises(ZeroDivisionError), isolated():
        (change(), 1 / 0)
    assert settings() == before


@pytest.mark.usefixtures("alone")
def test_every_check_draws_the_same() -> None:
    drawn = []
    for _ in range(2):
        with isolated():
            numpy = np.random.random()  # noqa: NPY002
            drawn.append((random.random(), numpy, torch.rand(1).item()))
            random.seed(7)
            np.random.seed(7)  # noqa: NPY002
            torch.manual_seed(7)
    assert drawn[0] == drawn[1]


def test_a_call_leaves_its_check_as_it_was() -> None:
    """A check computes with NumPy and torch after the call, and must not meet its settings."""
    with restored_settings():
        np.seterr(all="raise")
        warnings.simplefilter("error")
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
    assert np.exp(np.float64(-1000)) == 0
    assert torch.ones(1, requires_grad=True).sum().requires_grad
    assert torch.ones(1).dtype is torch.float32


def nothing(*_: Any, **__: Any) -> None: ...


@pytest.mark.parametrize(
    ("module", "name", "says"),
    [
        (np, "isclose", "numpy.isclose"),
        (np.linalg, "norm", "numpy.linalg.norm"),
        (np.random, "default_rng", "numpy.random.default_rng"),
        (torch, "allclose", "torch.allclose"),
        (torch.nn.functional, "softmax", "torch.nn.functional.softmax"),
        (builtins, "sum", "sum"),
        (expect, "close", "groundup.course.exercises.expect.close"),
    ],
)
@pytest.mark.usefixtures("alone")
def test_a_function_that_is_replaced_or_deleted_is_named(module: Any, name: str, says: str) -> None:
    original = getattr(module, name)
    for change in (lambda: setattr(module, name, nothing), lambda: delattr(module, name)):
        with pytest.raises(CheckFailure) as caught, isolated():
            change()
        assert caught.value.says == (
            f"Your code changes {says}, which the checks use too. Write a function of your own "
            "under another name."
        )
        assert getattr(module, name) is original


@pytest.mark.usefixtures("alone")
def test_a_module_that_is_replaced_is_named() -> None:
    for stand_in in (None, SimpleNamespace()):
        with pytest.raises(CheckFailure, match="changes numpy, which"), isolated():
            sys.modules["numpy"] = stand_in  # type: ignore[assignment]
        assert sys.modules["numpy"] is np


@pytest.mark.usefixtures("alone")
def test_what_is_added_is_allowed() -> None:
    with isolated():
        np.sixth = 6  # type: ignore[attr-defined]
    del np.sixth  # type: ignore[attr-defined]
