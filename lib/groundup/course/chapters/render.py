"""A chapter, which is a Python script, made into a page: Markdown, figures and downloads.

A chapter is a percent script (``# %%``, ``# %% [markdown]``) or a notebook. It runs from top to
bottom in a kernel of its own. Markdown cells go to the page as they are; code cells become
code blocks with what they print and show under them. Nothing here knows of MkDocs.
"""

import base64
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.course.chapters.dependencies import fingerprint, named_files
from groundup.course.chapters.execute import ChapterError, execute
from groundup.course.chapters.notebook import for_download
from groundup.course.chapters.source import SourceError, expand_source

_TAGS = {"hide", "fold"}
_HEADING = re.compile(r"# (?P<title>\S.*)")
_WORDS_A_MINUTE, _CODE_LINES_A_MINUTE = 200, 20


@dataclass(frozen=True)
class Page:
    """A rendered chapter.

    Attributes:
        markdown: the page, whose links to ``files`` begin with the chapter's own name.
        files: the contents of the folder named like the chapter: figures, script, notebook.
        stderr: what the cells wrote to stderr, for the person who builds the site.
    """

    markdown: str
    files: dict[str, bytes]
    stderr: str


def render(path: Path, library: Path, timeout: float = 90.0) -> Page:
    """Run a chapter and turn it into a page.

    Args:
        path: a percent script or an ``.ipynb``.
        library: the directory that holds ``groundup``.
        timeout: seconds for the whole chapter.

    Raises:
        ChapterError: a cell raised or ran out of time, or the chapter's form is wrong. The
            message names the chapter and the first line of the cell.
    """
    import jupytext

    name = path.stem
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="ipynb" if path.suffix == ".ipynb" else "py:percent")
    cells = [cell for cell in notebook.cells if cell.source.strip()]
    opening = _HEADING.match(cells[0].source) if cells else None
    if opening is None or cells[0].cell_type != "markdown":
        raise ChapterError(f"{name}: the first cell must be Markdown that begins with '# Title'")
    notebook.cells = cells
    parts = [_markdown(cell, name, library) for cell in cells]  # faults of form, before it runs
    stderr = execute(notebook, name, library, timeout)

    files: dict[str, bytes] = {}
    for index, cell in enumerate(cells):
        if cell.cell_type == "code":
            parts[index] = _code(cell, name, files)
    title = opening[0]
    parts[0] = f"{title}\n\n{_header(path, cells)}\n{parts[0][len(title) :]}"
    files[f"{name}.ipynb"] = for_download(notebook, library)
    if path.suffix == ".py":
        files[path.name] = text.encode()
    return Page("\n\n".join(part for part in parts if part) + "\n", files, stderr)


def cached_render(path: Path, library: Path, cache: Path, timeout: float = 90.0) -> Page:
    """:func:`render`, or the page of last time if nothing that it depends on has changed.

    A chapter runs again when its text, a library module that it imports (at any depth), a file
    of the clone that it names, the renderer, or the version of Python, NumPy, torch or
    Matplotlib is another. Only the newest page of a chapter is kept.

    Args:
        path: a percent script or an ``.ipynb``.
        library: the directory that holds ``groundup``; its parent is the root of the clone.
        cache: the directory of the kept pages.
        timeout: seconds for the whole chapter.

    Raises:
        ChapterError: as :func:`render` does.
    """
    import jupytext

    script = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        script = jupytext.writes(jupytext.reads(script, fmt="ipynb"), fmt="py:percent")
    here = Path(__file__).parent
    renderer = [here / f"{n}.py" for n in ("render", "execute", "notebook", "source")]
    try:
        key = fingerprint(script, library, [*renderer, *named_files(script, library.parent)])
    except SyntaxError as error:
        raise ChapterError(f"{path.stem}: line {error.lineno}: {error.msg}") from None
    entry = cache / f"{path.stem}-{key}"
    if entry.is_dir():
        return _load(entry)
    page = render(path, library, timeout)
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob(f"{path.stem}-" + "?" * len(key)):
        shutil.rmtree(old)
    _save(page, entry)
    return page


def _save(page: Page, entry: Path) -> None:
    # Written beside and renamed: an interrupted build leaves no half a page.
    draft = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".draft-"))
    (draft / "page.json").write_text(json.dumps({"markdown": page.markdown, "stderr": page.stderr}))
    (draft / "files").mkdir()
    for name, content in page.files.items():
        (draft / "files" / name).write_bytes(content)
    draft.rename(entry)


def _load(entry: Path) -> Page:
    stored = json.loads((entry / "page.json").read_text())
    files = {path.name: path.read_bytes() for path in sorted((entry / "files").iterdir())}
    return Page(stored["markdown"], files, stored["stderr"])


def _markdown(cell: Any, name: str, library: Path) -> str:
    unknown = set(cell.metadata.get("tags", [])) - _TAGS
    if unknown:
        raise ChapterError(f"{name}: unknown tag {unknown.pop()!r}: a cell can be hide or fold")
    if cell.cell_type != "markdown":
        return ""
    try:
        return expand_source(cell.source, library)
    except SourceError as error:
        raise ChapterError(f"{name}: {error}") from None


def _header(path: Path, cells: list[Any]) -> str:
    words = sum(len(c.source.split()) for c in cells if c.cell_type == "markdown")
    lines = sum(len(c.source.splitlines()) for c in cells if c.cell_type == "code")
    minutes = max(1, round(words / _WORDS_A_MINUTE + lines / _CODE_LINES_A_MINUTE))
    stem = path.stem
    links = [f"[Notebook]({stem}/{stem}.ipynb){{ download={stem}.ipynb }}"]
    if path.suffix == ".py":
        links.insert(0, f"[Script]({stem}/{stem}.py){{ download={stem}.py }}")
    time = f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{' · '.join([time, *links])}\n{{ .chapter-header }}\n"


def _code(cell: Any, name: str, files: dict[str, bytes]) -> str:
    tags = cell.metadata.get("tags", [])
    code = _fence(cell.source, "python")
    outputs = _outputs(cell, name, files)
    title = (cell.metadata.get("title") or "").replace('"', "'")
    if "fold" in tags:
        return _folded(title or "Code and its output", "\n\n".join([code, *outputs]))
    if "hide" in tags:
        return "\n\n".join([_folded(title or "Code", code), *outputs])
    return "\n\n".join([code, *outputs])


def _outputs(cell: Any, name: str, files: dict[str, bytes]) -> list[str]:
    """What a cell printed and showed, in order. A bare last expression shows nothing."""
    blocks: list[str] = []
    printed = ""
    for output in cell.outputs:
        data = output.get("data", {})
        about = output.get("metadata", {}).get("groundup", {})
        if output.output_type == "stream":
            printed += output.text
        elif output.output_type == "display_data" and "image/png" in data:
            blocks += _printed(printed)
            printed = ""
            blocks.append(_figure(data["image/png"], about, name, files))
        elif output.output_type == "display_data" and "caption_of" not in about:
            printed += data.get("text/plain", "") + "\n"
    return blocks + _printed(printed)


def _printed(text: str) -> list[str]:
    text = text.strip("\n").rstrip()
    return [_fence(text, "{ .text .output }")] if text else []


def _figure(png: str, about: dict[str, Any], name: str, files: dict[str, bytes]) -> str:
    figure = about.get("name") or f"figure-{len(files) + 1}"
    file = f"{figure}.png"
    if file in files:
        raise ChapterError(f"{name}: two figures are named {figure!r}")
    files[file] = base64.b64decode(png)
    width = f'{{ width="{about["width"]}" }}' if "width" in about else ""
    image = f"![Figure: {figure.replace('_', ' ')}]({name}/{file}){width}"
    caption = about.get("caption", "")
    line = f'<figcaption markdown="span">{caption}</figcaption>\n' if caption else ""
    return f'<figure markdown="1">\n{image}\n{line}</figure>'


def _fence(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks} {language}\n{text}\n{ticks}"


def _folded(title: str, body: str) -> str:
    indented = "\n".join(f"    {line}" if line else "" for line in body.splitlines())
    return f'??? note "{title}"\n\n{indented}'
