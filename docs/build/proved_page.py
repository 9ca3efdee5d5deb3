"""The page of the site that shows which check rejects which mistake."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from templates import fill

from groundup.course.catalogue import catalogue
from groundup.course.exercises.mutation_report import (
    MutationReport,
    counts,
    mutation_report,
    summary,
)
from groundup.lab.errors import WorkError
from groundup.lab.files import atomic_file


def proved_page(root: Path) -> str:
    """The page as Markdown. It is kept until an exercise or the library changes.

    Args:
        root: the clone.

    Raises:
        WorkError: a mutant survives, or a check rejects nothing.
    """
    kept = root / ".cache" / "mutation_report" / f"{_fingerprint(root)}.md"
    if not kept.is_file():
        found = [mutation_report(exercise) for exercise in catalogue(root)]
        if faults := [f"{each.exercise.id}: {fault}" for each in found for fault in each.faults]:
            raise WorkError("\n".join(faults))
        with atomic_file(kept) as temporary:
            temporary.write_text(proofs(found), encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def proofs(found: Sequence[MutationReport]) -> str:
    """The page of these exercises: which check rejects which mistake."""
    return fill("proved.md", found=found, summary=summary(found), counts=counts)


def _fingerprint(root: Path) -> str:
    """A hash of all that the result can depend on in the clone, the learner's files left out."""
    digest = hashlib.sha256()
    for folder in ("exercises", "solutions", "lib/groundup", "docs/build"):
        for path in sorted((root / folder).rglob("*")):
            learners = folder == "exercises" and path.name.startswith("ex_")
            if path.suffix in (".py", ".toml", ".md") and not learners:
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
