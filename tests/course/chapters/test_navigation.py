"""The order of the site, the formulas in a page, and docstrings as Markdown."""

import re
from pathlib import Path

import griffe
import pytest
from markup import to_markdown
from maths import formulas, to_mathml

from groundup.course.chapters.execute import ChapterError
from groundup.course.chapters.navigation import (
    PARTS,
    chapters,
    part_page,
    reference_pages,
    site_navigation,
)

TEXT = "# %% [markdown]\n# # A title\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("docs", "docs/maintain", "chapters", "lib/groundup/lab"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("docs/index.md", "docs/terms.md", "docs/maintain/tests.md"):
        (tmp_path / name).write_text("# Text\n")
    for name in ("__init__", "cli", "lab/__init__", "lab/plot", "lab/_private"):
        (tmp_path / f"lib/groundup/{name}.py").write_text("")
    for name in ("05_training", "11_neobert", "19_contrastive"):
        (tmp_path / f"chapters/{name}.py").write_text(TEXT)
    return tmp_path


def test_the_navigation_holds_every_page_once(root: Path) -> None:
    found = chapters(root / "chapters")
    nav = site_navigation(found, [root / "notebooks/tool.ipynb"], root / "docs", root / "lib")
    assert [next(iter(section)) for section in nav] == [
        "Start", *(part.heading for part in PARTS), "Notebooks", "Guides", "Reference",
    ]  # fmt: skip
    assert {"11. A title": "chapters/11_neobert.md"} in nav[2]["Part II: PyTorch"]
    pages = re.findall(r"[\w/]+\.(?:md|ipynb)", str(nav))
    assert len(pages) == len(set(pages))
    assert set(reference_pages(root / "lib")) == {p for p in pages if p.startswith("reference/")}
    assert {"index.md", "terms.md", "maintain/tests.md", "notebooks/tool.ipynb"} < set(pages)
    assert "reference/lab/_private.md" not in pages


def test_a_part_lists_the_chapters_that_exist(root: Path) -> None:
    assert "- [Chapter 5. A title](../chapters/05_training.md)" in part_page(
        PARTS[0], chapters(root / "chapters")
    )
    assert "No chapter of this part" in part_page(PARTS[0], [])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("training.py", TEXT, "named like 05_training.py"),
        ("05_again.py", TEXT, "has the same number"),
        ("06_untitled.py", "# %%\nprint(1)\n", "no heading"),
    ],
)
def test_a_script_that_is_no_chapter_is_refused(
    root: Path, name: str, text: str, message: str
) -> None:
    (root / "chapters" / name).write_text(text)
    with pytest.raises(ChapterError, match=message):
        chapters(root / "chapters")


def test_formulas_are_found_and_become_mathml() -> None:
    page = (
        r'a <span class="arithmatex">\(a &lt; b\)</span> b '
        '<div class="arithmatex">\\[\n\\frac{1}{2}\n\\]</div>'
    )
    assert formulas(page) == [("a < b", False), (r"\frac{1}{2}", True)]
    mathml = to_mathml(page)
    assert "<mo>&#x0003C;</mo>" in mathml
    assert 'display="block"' in mathml
    assert "<mfrac>" in mathml


@pytest.mark.parametrize("tex", ["x^a^b &lt; 1", r"\unheard x &lt; 1", "a &amp; b"])
def test_a_formula_that_cannot_be_converted_is_shown_as_it_is(tex: str) -> None:
    assert f"<code>{tex}</code>" in to_mathml(rf'<span class="arithmatex">\({tex}\)</span>')


def test_aligned_equations_are_a_table_without_katex() -> None:
    tex = r"\begin{aligned} a &amp;= b \\ c &amp;= d \end{aligned}"
    assert "<mtable" in to_mathml(rf'<div class="arithmatex">\[{tex}\]</div>')


def test_docstrings_become_markdown_with_links(tmp_path: Path) -> None:
    (tmp_path / "groundup").mkdir()
    (tmp_path / "groundup/__init__.py").write_text("")
    (tmp_path / "groundup/linear.py").write_text("def linear(): ...\n")
    (tmp_path / "groundup/use.py").write_text("from groundup.linear import linear\ndef f(): ...\n")
    module = griffe.load("groundup", search_paths=[tmp_path])["use"]
    docstring = (
        "See :func:`linear`, :func:`f`, :class:`torch.Tensor`, ``code`` and :math:`x_1`.\n\n"
        "Derivation:\n    As\n\n    .. math:: y = x\n\n"
        "    and\n\n    .. math::\n\n        z\n\n    end"
    )
    assert to_markdown(docstring, module) == (
        "See [`linear`][groundup.linear.linear], [`f`][groundup.use.f], `torch.Tensor`, `code` "
        "and $x_1$.\n\nDerivation:\n    As\n\n\n    $$\n    y = x\n    $$\n\n    and\n\n\n"
        "    $$\n    z\n    $$\n\n    end"
    )
