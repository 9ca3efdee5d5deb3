"""Versions of single functions that authors write: wrong ones, and right ones in other styles."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from groundup.course.catalogue import Exercise
from groundup.course.exercises.python_files import execute_file


@dataclass(frozen=True)
class Version:
    """Another version of one function of an exercise.

    Attributes:
        exercise: the id, such as ``5.1``.
        replaces: the function's name in the exercise; the others stay right.
        name: of the version.
        about: what is wrong in it, or unusual, a sentence.
        function: the version.
    """

    exercise: str
    replaces: str
    name: str
    about: str
    function: Callable[..., Any]

    @classmethod
    def of(cls, exercise: str, replaces: str, function: Callable[..., Any]) -> Self:
        """The version that is this function; its docstring says what it is about."""
        about = " ".join((function.__doc__ or "").split())
        if not about:
            raise ValueError(f"{function.__name__} needs a docstring, which says what it does")
        return cls(exercise, replaces, function.__name__, about, function)


class Mutant(Version):
    """A wrong version, as people really write it. What it is about is the diagnosis."""


class Variant(Version):
    """A right version in another style, which the checks must accept."""


def mutant(exercise: str, replaces: str) -> Callable[[Callable[..., Any]], Mutant]:
    """Make a function in a ``mutants.py`` a mutant; its docstring is the diagnosis.

    Args:
        exercise: the id, such as ``5.1``.
        replaces: the function's name in the exercise; the others stay right.

    Raises:
        ValueError: the function has no docstring.
    """
    return lambda function: Mutant.of(exercise, replaces, function)


def variant(exercise: str, replaces: str) -> Callable[[Callable[..., Any]], Variant]:
    """Make a function in a ``variants.py`` a right version; its docstring says what is unusual.

    Args:
        exercise: the id, such as ``5.1``.
        replaces: the function's name in the exercise.

    Raises:
        ValueError: the function has no docstring.
    """
    return lambda function: Variant.of(exercise, replaces, function)


def mutants(exercise: Exercise) -> dict[str, Mutant]:
    """The mutants of an exercise, by name."""
    found = _defined(exercise.mutants, exercise)
    return {each.name: each for each in found if isinstance(each, Mutant)}


def variants(exercise: Exercise) -> dict[str, Variant]:
    """The right versions of an exercise in other styles, by name; a chapter may have none."""
    path = exercise.mutants.with_name("variants.py")
    found = _defined(path, exercise) if path.is_file() else []
    return {each.name: each for each in found if isinstance(each, Variant)}


def _defined(path: Path, exercise: Exercise) -> list[Any]:
    """What a file of versions defines of an exercise."""
    text = path.read_text(encoding="utf-8")
    module = execute_file(text, path, f"{path.stem}_of_{exercise.folder}")
    return [each for each in vars(module).values() if getattr(each, "exercise", "") == exercise.id]
