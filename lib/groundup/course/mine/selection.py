"""Which exercises a run takes from the learner, and which of them are not written yet."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from groundup.course import naming
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.mine.environment_variables import ALL, NONE
from groundup.course.naming import select
from groundup.lab.errors import UserError

NOT_WRITTEN = "not written yet"


@dataclass(frozen=True)
class Selection:
    """What was asked for.

    Attributes:
        chosen: the exercises whose functions are swapped.
        named: those of them that were asked for by their own id, and must be called.
        left_out: exercises of ``all`` or of a chapter that can't be used: the reason, by id.
    """

    chosen: tuple[Exercise, ...] = ()
    named: frozenset[str] = frozenset()
    left_out: dict[str, str] = field(default_factory=dict)


def resolve(text: str) -> Selection:
    """Find the exercises that a selection names.

    Args:
        text: ids and chapters with commas between, such as ``5.1,11``, or ``all``, or ``none``.

    Raises:
        UserError: it names no exercise, one that was named by its id is not written, or none is.
    """
    if text == NONE:
        return Selection()
    from groundup.course import clone

    return choose_exercises(catalogue(clone.root()), text)


def choose_exercises(exercises: Sequence[Exercise], text: str) -> Selection:
    """The same among the exercises of a catalogue."""
    words = [word for word in (part.strip() for part in text.split(",")) if word]
    if not words:
        raise UserError(f"--mine names no exercise: got {text!r}. Try --mine 5.1, or --mine alone")
    named: set[str] = set()
    wanted: set[str] = set()
    for word in words:
        found = exercises if word == ALL else select(exercises, word)
        wanted |= {exercise.id for exercise in found}
        if word != ALL and not naming.find_chapter(exercises, word):
            named |= {exercise.id for exercise in found}
    chosen, left_out = [], {}
    for exercise in (each for each in exercises if each.id in wanted):
        reason = unusable(exercise)
        if reason and exercise.id in named:
            raise UserError(f"exercise {exercise.id} is {reason}")
        if reason:
            left_out[exercise.id] = reason
        else:
            chosen.append(exercise)
    if not chosen:
        first = next(each for each in exercises if each.id in left_out)
        where = first.file.relative_to(first.root)
        raise UserError(f"none of the exercises is written yet: begin with {first.id}, {where}")
    return Selection(tuple(chosen), frozenset(named), left_out)


def unusable(exercise: Exercise) -> str:
    """Why an exercise can't be put in the library's place, or nothing. Its code is not run."""
    where = exercise.file.relative_to(exercise.root)
    if not exercise.file.is_file():
        return f"missing: there is no {where}; groundup reset {exercise.id} restores it"
    try:
        tree = ast.parse(exercise.file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        return f"not valid Python: {where}{line}: {getattr(error, 'msg', error)}"
    names = {target.name for target in exercise.targets}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in names:
            for statement in node.body:
                if _gives_up(statement):
                    return f"{NOT_WRITTEN}: {node.name} in {where}, line {statement.lineno}"
    return ""


def _gives_up(statement: ast.stmt) -> bool:
    """Whether a statement is ``raise NotImplementedError``, as in a stub."""
    if not isinstance(statement, ast.Raise):
        return False
    error = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    return isinstance(error, ast.Name) and error.id == NotImplementedError.__name__
