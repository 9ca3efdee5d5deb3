"""An exercise of a small clone, with checks and mutants of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.course.authoring.stubs import build
from groundup.course.catalogue import Exercise, catalogue


@pytest.fixture
def toy_exercise(toy_clone: Callable[..., Path]) -> Callable[..., Exercise]:
    """Write an exercise; call it with its module's text, its targets, its checks and mutants."""

    def write(text: str, *symbols: str, checks: str = "", mutants: str = "") -> Exercise:
        root = toy_clone(text, *(symbols or ("f",)))
        build(root, say=lambda _: None)
        (exercise,) = catalogue(root)
        if checks:
            exercise.checks.write_text(checks)
        exercise.mutants.write_text(mutants)
        return exercise

    return write
