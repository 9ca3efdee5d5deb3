"""MkDocs hook: adds the generated pages, which the other modules here and the library make."""

import logging
import shutil
from pathlib import Path

import maths
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from proved_page import proved_page
from result_pages import result_pages

from groundup.course.chapters import navigation
from groundup.course.chapters.render import cached_render
from groundup.lab.errors import GroundUpError, WorkError

log = logging.getLogger("mkdocs.hooks.groundup")  # below mkdocs: its warnings count as strict

formulas: dict[tuple[str, bool], str] = {}
results: dict[str, str] = {}


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).resolve().parent


def _notebooks(root: Path) -> list[Path]:
    return sorted((root / "notebooks").glob("*.ipynb"))


def on_config(config: MkDocsConfig) -> None:
    """The navigation from what exists, and KaTeX if it is installed."""
    root, docs = _root(config), Path(config.docs_dir)
    try:
        existing = navigation.chapters(root / "chapters")
    except WorkError as error:
        raise PluginError(str(error)) from None
    results.clear()
    results.update(result_pages(root))
    made = ("proved.md", *results)
    config.nav = navigation.site_navigation(existing, _notebooks(root), docs, root / "lib", made)
    formulas.clear()
    if maths.katex_files(docs):
        config.extra_css.append("assets/katex/katex.min.css")
        config.extra_javascript += ["assets/katex/katex.min.js", "assets/maths.js"]


@event_priority(100)
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Notebooks, chapters, parts, reference and KaTeX, none of them written under docs/."""
    root = _root(config)
    existing = navigation.chapters(root / "chapters")

    def add(address: str, content: str | bytes) -> None:
        files.append(File.generated(config, address, content=content))

    for part in navigation.PARTS:
        add(navigation.part_address(part), navigation.part_page(part, existing))
    for path in _notebooks(root):
        address = f"notebooks/{path.name}"
        files.append(File(address, str(root), config.site_dir, config.use_directory_urls))
    for path in [chapter.path for chapter in existing]:
        log.info("Chapter: %s", path.stem)
        try:
            page = cached_render(path, root / "lib", root / ".cache" / "chapters")
        except WorkError as error:
            raise PluginError(str(error)) from None
        if page.stderr:
            log.info("%s wrote to stderr:\n%s", path.stem, page.stderr.rstrip())
        add(f"chapters/{path.stem}.md", page.markdown)
        for name, content in page.files.items():
            add(f"chapters/{path.stem}/{name}", content)
    try:
        add("proved.md", proved_page(root))
    except GroundUpError as error:
        raise PluginError(str(error)) from None
    for address, text in results.items():
        add(address, text)
    for address, text in navigation.reference_pages(root / "lib").items():
        add(address, text)
    for name, source in maths.katex_files(Path(config.docs_dir)).items():
        files.append(File.generated(config, f"assets/katex/{name}", abs_src_path=str(source)))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remember the formulas to check, or set them here if the browser can't."""
    if not maths.katex_files(Path(config.docs_dir)):
        return maths.to_mathml(html)
    for formula in maths.formulas(html):
        formulas.setdefault(formula, page.file.src_uri)
    return html


def on_post_build(config: MkDocsConfig) -> None:
    """Warn of each formula that KaTeX refuses; a strict build fails on it."""
    docs = Path(config.docs_dir)
    if maths.katex_files(docs) and shutil.which("node"):
        try:
            faults = maths.katex_errors(docs, formulas)
        except WorkError as error:
            raise PluginError(str(error)) from None
        for page, fault in faults:
            log.warning("%s: KaTeX refuses %s", page, fault)
