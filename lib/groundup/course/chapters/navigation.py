"""The order of the site: chapters in three parts, guides, and the reference of the library."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.course.chapters.execute import ChapterError
from groundup.lab.lazy import exports

_STEM = re.compile(r"(?P<number>\d\d)_[a-z0-9_]+")
_TITLE = re.compile(r"^# (?:# )?(?P<title>[^%\s].*)$", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """One of the three parts: its heading, its chapters' numbers, and what it climbs to."""

    name: str
    heading: str
    first: int
    last: int
    text: str


PARTS = (
    Part(
        "Part I",
        "Part I: NumPy",
        1,
        7,
        "A transformer from nothing but arrays. Every forward pass stands beside its backward "
        "pass, and every gradient is derived by hand and checked by finite differences.",
    ),
    Part(
        "Part II",
        "Part II: PyTorch",
        8,
        15,
        "The same model in PyTorch, proved equal to the first, and from there to NeoBERT: "
        "RMSNorm, SwiGLU, RoPE, attention at speed, pretraining and fine-tuning.",
    ),
    Part(
        "Part III",
        "Part III: Embeddings",
        16,
        21,
        "From tokens to sentences: contrastive losses, LoRA, many processes, evaluation, and a "
        "model that other tools can load.",
    ),
)

ROOMS = {
    "scratch": "scratch: NumPy",
    "neobert": "neobert: PyTorch",
    "embed": "embed: embeddings",
    "parity": "parity: the ladder",
    "diagnose": "diagnose: checks",
    "train": "train: the loop",
    "data": "data: texts",
    "lab": "lab: the workbench",
    "apps": "apps: commands",
    "course": "course: exercises and site",
    "doctor": "doctor: this machine",
}


@dataclass(frozen=True)
class Chapter:
    """A chapter: its number, its file, and the title in its first heading."""

    number: int
    path: Path
    title: str

    @property
    def page(self) -> str:
        """Its address among the pages of the site."""
        return f"chapters/{self.path.stem}.md"


def chapters(folder: Path) -> list[Chapter]:
    """The chapters of a folder, in order.

    Raises:
        ChapterError: a script there is not named like ``05_training.py``, shares its number
            with another, or has no heading.
    """
    found: dict[int, Chapter] = {}
    for path in sorted(folder.glob("*.py")):
        name = _STEM.fullmatch(path.stem)
        if name is None:
            raise ChapterError(f"{path.name}: a chapter is named like 05_training.py")
        title = _TITLE.search(path.read_text(encoding="utf-8"))
        if title is None:
            raise ChapterError(f"{path.name}: no heading '# Title' in its first Markdown cell")
        number = int(name["number"])
        if number in found:
            raise ChapterError(f"{path.name}: {found[number].path.name} has the same number")
        found[number] = Chapter(number, path, title["title"].strip())
    return list(found.values())


def part_page(part: Part, existing: list[Chapter]) -> str:
    """The page that opens a part: what it is about, and its chapters."""
    links = [
        f"- [Chapter {chapter.number}. {_short(chapter.title)}](../{chapter.page})"
        for chapter in existing
        if part.first <= chapter.number <= part.last
    ]
    listed = "\n".join(links) or "No chapter of this part is in the repository yet."
    return f"# {part.heading}\n\n{part.text}\n\n{listed}\n"


def part_address(part: Part) -> str:
    """The address of the page that opens a part: ``part_1/index.md`` for the first."""
    return f"part_{PARTS.index(part) + 1}/index.md"


def reference_pages(library: Path) -> dict[str, str]:
    """A page for each public module of the library: its address, and Markdown for mkdocstrings."""
    pages = {}
    for path in sorted((library / "groundup").rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        if parts[-1] == "__init__":
            parts, address = parts[:-1], "/".join([*parts[1:-1], "index.md"])
        else:
            address = "/".join(parts[1:]) + ".md"
        if any(part.startswith("_") for part in parts):
            continue
        pages[f"reference/{address}"] = _reference_page(".".join(parts), path)
    return pages


def _reference_page(module: str, source: Path) -> str:
    """Markdown for mkdocstrings. A package's page links the names that the package exports."""
    exported = exports(source.read_text("utf-8")) if source.name == "__init__.py" else {}
    if not exported:
        return f"::: {module}\n"
    names = [f"- [`{name}`][{exported[name]}.{name}]" for name in sorted(exported)]
    listed = "\n".join([f"Import these names from `{module}`:", "", *names])
    return f"::: {module}\n    options:\n      members: false\n\n{listed}\n"


def site_navigation(
    existing: list[Chapter],
    notebooks: list[Path],
    docs: Path,
    library: Path,
    generated: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """The ``nav`` of MkDocs: what exists, in the order of the course.

    Args:
        existing: the chapters.
        notebooks: the notebooks that become pages.
        docs: the directory of the written pages; a folder in it becomes a section.
        library: the directory that holds ``groundup``.
        generated: addresses of guides that are not written but made.
    """
    start = [page for page in ("index.md", "course.md") if (docs / page).is_file()]
    nav: list[dict[str, Any]] = [{"Start": start}]
    for part in PARTS:
        members = [c for c in existing if part.first <= c.number <= part.last]
        listed = [{f"{c.number}. {_short(c.title)}": c.page} for c in members]
        nav.append({part.heading: [part_address(part), *listed]})
    if notebooks:
        nav.append({"Notebooks": [f"notebooks/{path.name}" for path in notebooks]})
    written = [path for path in sorted(docs.glob("*.md")) if path.name not in start]
    guides: list[Any] = [path.name for path in written] + list(generated)
    for folder in sorted(path for path in docs.iterdir() if path.is_dir()):
        inside = [path.relative_to(docs).as_posix() for path in sorted(folder.glob("*.md"))]
        if inside:
            guides.append({folder.name.capitalize(): inside})
    if guides:
        nav.append({"Guides": guides})
    nav.append({"Reference": _reference_navigation(list(reference_pages(library)))})
    return nav


def _short(title: str) -> str:
    """A title without the number that it may begin with."""
    return re.sub(r"^(?:Chapter )?\d+[.:]?\s+", "", title)


def _reference_navigation(pages: list[str]) -> list[Any]:
    nav: list[Any] = ["reference/index.md"]
    rooms: dict[str, list[Any]] = {room: [] for room in ROOMS}
    for page in pages:
        _, *folders, name = page.removesuffix(".md").split("/")
        if not folders:
            nav += [] if name == "index" else [{name: page}]
        elif name == "index":
            rooms.setdefault(folders[0], []).insert(0, page)
        else:
            rooms.setdefault(folders[0], []).append({".".join([*folders[1:], name]): page})
    return nav + [{ROOMS.get(room, room): inside} for room, inside in rooms.items() if inside]
