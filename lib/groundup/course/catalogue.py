"""The catalogue of exercises, exercises/*/exercise.toml."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.lab.errors import UserError

HINTS = 3
SECONDS = 10
_KEYS: dict[str, type] = {
    "id": str,
    "name": str,
    "title": str,
    "targets": list,
    "points": int,
    "read": str,
    "requires": list,
    "forbidden": list,
    "hints": list,
    "seconds": int,
    "changes": list,
}


@dataclass(frozen=True)
class Target:
    """A function of the library that an exercise asks for.

    Attributes:
        module: such as ``groundup.scratch.optim``.
        symbol: the function in it, or ``Class.method``.
    """

    module: str
    symbol: str

    @property
    def name(self) -> str:
        """What the function is called in the learner's file."""
        return self.symbol.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.module}:{self.symbol}"


@dataclass(frozen=True)
class Exercise:
    """One entry of the catalogue.

    Attributes:
        id: chapter and number, such as ``5.1``.
        name: what its files are called after, such as ``adam``.
        title: what people call it.
        targets: one function, or a forward and backward pair.
        points: what all its checks are worth together.
        read: where what it needs is explained: ``chapters/05_training.py: Heading``, or a source.
        requires: ids of the exercises to solve before.
        forbidden: dotted names that would answer the question instead of the learner.
        hints: three, from the gentlest to the plainest.
        seconds: how long a check may take.
        changes: parameters whose values a function is asked to change in place.
        root: the clone.
        folder: the chapter's folder, such as ``ch05_training``.
    """

    id: str
    name: str
    title: str
    targets: tuple[Target, ...]
    points: int
    read: str
    requires: tuple[str, ...]
    forbidden: tuple[str, ...]
    hints: tuple[str, ...]
    seconds: int
    changes: tuple[str, ...]
    root: Path
    folder: str

    @property
    def stem(self) -> str:
        """``5_1_adam``: the common part of its files' names."""
        return f"{self.id.replace('.', '_')}_{self.name}"

    @property
    def file(self) -> Path:
        """The stub, which the learner edits."""
        return self.root / "exercises" / self.folder / f"ex_{self.stem}.py"

    @property
    def checks(self) -> Path:
        """The checks, which pytest collects."""
        return self.root / "exercises" / self.folder / f"test_{self.stem}.py"

    @property
    def solution(self) -> Path:
        """The same file solved."""
        return self.root / "solutions" / self.folder / f"ex_{self.stem}.py"

    @property
    def explanation(self) -> Path:
        """The worked explanation."""
        return self.solution.with_suffix(".md")

    @property
    def mutants(self) -> Path:
        """The wrong versions, of all exercises of the chapter."""
        return self.solution.with_name("mutants.py")


def catalogue(root: Path) -> list[Exercise]:
    """Every exercise of a clone, in the order of the course.

    Args:
        root: the clone; see :func:`groundup.course.clone.root`.

    Raises:
        UserError: an entry is wrong. The message names the file, the exercise and the fault.
    """
    found: dict[str, Exercise] = {}
    for path in sorted(root.glob("exercises/*/exercise.toml")):
        for exercise in _read(path, root):
            if exercise.id in found:
                raise UserError(
                    f"exercise {exercise.id} stands twice: in exercises/"
                    f"{found[exercise.id].folder} and in exercises/{exercise.folder}"
                )
            found[exercise.id] = exercise
    for exercise in found.values():
        if unknown := [other for other in exercise.requires if other not in found]:
            raise UserError(f"exercise {exercise.id} requires {unknown[0]}, which does not exist")
    return sorted(found.values(), key=lambda exercise: _order(exercise.id))


def _order(identifier: str) -> tuple[int, ...]:
    return tuple(int(part) for part in identifier.split("."))


def _read(path: Path, root: Path) -> list[Exercise]:
    where = path.relative_to(root).as_posix()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where}: {error}") from None
    entries = data.pop("exercise", [])
    if data or not isinstance(entries, list) or not entries:
        raise UserError(f"{where}: must hold [[exercise]] tables and nothing else")
    return [
        _entry(entry, f"{where}: exercise {entry.get('id', 'without an id')}", path, root)
        for entry in entries
    ]


def _entry(entry: dict[str, Any], where: str, path: Path, root: Path) -> Exercise:
    entry = {"seconds": SECONDS, "changes": [], **entry}
    for key, kind in _KEYS.items():
        if key not in entry:
            raise UserError(f"{where}: {key} is missing")
        if not isinstance(entry[key], kind) or isinstance(entry[key], bool):
            raise UserError(f"{where}: {key} must be a {kind.__name__}: got {entry[key]!r}")
        if kind is list and not all(isinstance(item, str) and item for item in entry[key]):
            raise UserError(f"{where}: {key} must hold text: got {entry[key]!r}")
    if unknown := sorted(entry.keys() - _KEYS.keys()):
        raise UserError(f"{where}: {unknown[0]} is not known. There are: {', '.join(_KEYS)}")
    if not re.fullmatch(r"\d+\.\d+", entry["id"]):
        raise UserError(f'{where}: id must be chapter and number, such as "5.1"')
    chapter = f"{int(entry['id'].split('.')[0]):02d}"
    if not path.parent.name.startswith(f"ch{chapter}_"):
        raise UserError(f"{where}: it belongs into a folder named ch{chapter}_…")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", entry["name"]):
        raise UserError(f"{where}: name must be lower-case words with _: got {entry['name']!r}")
    if len(entry["hints"]) != HINTS:
        raise UserError(f"{where}: hints must be {HINTS}: got {len(entry['hints'])}")
    for key in ("points", "seconds"):
        if entry[key] < 1:
            raise UserError(f"{where}: {key} must be positive: got {entry[key]}")
    if not entry["targets"]:
        raise UserError(
            f"{where}: targets must name a function, such as groundup.scratch.optim:adam"
        )
    targets = []
    for text in entry["targets"]:
        match = re.fullmatch(r"(groundup(?:\.\w+)+):(\w+(?:\.\w+)*)", text)
        if match is None:
            raise UserError(f"{where}: a target is written groundup.module:function: got {text!r}")
        targets.append(Target(match[1], match[2]))
    return Exercise(
        id=entry["id"],
        name=entry["name"],
        title=entry["title"],
        targets=tuple(targets),
        points=entry["points"],
        read=entry["read"],
        requires=tuple(entry["requires"]),
        forbidden=tuple(entry["forbidden"]),
        hints=tuple(entry["hints"]),
        seconds=entry["seconds"],
        changes=tuple(entry["changes"]),
        root=root,
        folder=path.parent.name,
    )
