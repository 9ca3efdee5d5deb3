"""The page of the site that shows which check rejects which mistake."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from groundup.course.catalogue import catalogue
from groundup.course.exercises.kills import Kills, counts, kills, summary
from groundup.lab.errors import WorkError
from groundup.lab.files import atomic_file

_INTRODUCTION = """# Which check rejects which mistake

Every check of every exercise was run on the solution, on the stub, and on each wrong version when
this page was made. A cross says that the check rejects that version. A learner is stopped at the
first cross of a row, and is told the sentence that stands below the table.
[How mutants work](teach/mutants.md) explains it.

"""


def kill_page(root: Path) -> str:
    """The page as Markdown. It is kept until an exercise or the library changes.

    Args:
        root: the clone.

    Raises:
        WorkError: a mutant survives, or a check rejects nothing.
    """
    kept = root / ".cache" / "kills" / f"{_fingerprint(root)}.md"
    if not kept.is_file():
        found = [kills(exercise) for exercise in catalogue(root)]
        if faults := [f"{each.exercise.id}: {fault}" for each in found for fault in each.faults]:
            raise WorkError("\n".join(faults))
        with atomic_file(kept) as temporary:
            temporary.write_text(as_page(found), encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def as_page(found: Sequence[Kills]) -> str:
    """The matrices as Markdown."""
    return f"{_INTRODUCTION}**{summary(found)}.**\n\n" + "\n".join(map(_section, found))


def _section(found: Kills) -> str:
    lines = [f"## {found.exercise.id} {found.exercise.title}", "", f"{counts(found)}.", ""]
    lines += [f"{n}. {c.layer.title}: {c.title}" for n, c in enumerate(found.checks, 1)]
    lines += ["", f"| mistake | {' | '.join(str(n + 1) for n in range(len(found.checks)))} |"]
    lines += ["|:--|" + ":-:|" * len(found.checks)]
    for each in found.mutants:
        marks = ("×" if c.name in found.rejected[each.name] else "" for c in found.checks)
        lines.append(f"| `{each.name}` | " + " | ".join(marks) + " |")
    lines += ["", *(f"`{each.name}`\n:   {each.diagnosis}\n" for each in found.mutants)]
    return "\n".join(lines)


def _fingerprint(root: Path) -> str:
    """A hash of whatever the result can depend on in the clone, the learner's files left out."""
    digest = hashlib.sha256()
    for folder in ("exercises", "solutions", "lib/groundup"):
        for path in sorted((root / folder).rglob("*")):
            learners = folder == "exercises" and path.name.startswith("ex_")
            if path.suffix in (".py", ".toml") and not learners:
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
