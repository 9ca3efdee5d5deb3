"""The renderer: what a page shows, what it hides, and what stops it."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

from groundup.course.chapters.execute import ChapterError
from groundup.course.chapters.render import Page, cached_render, render

LIBRARY = Path(__file__).resolve().parents[3] / "lib"
OPENING = "# %% [markdown]\n# # A title\n#\n# Words.\n\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(cells: str, name: str = "05_sample.py") -> Path:
        path = tmp_path / name
        path.write_text(OPENING + cells)
        return path

    return write


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("chapters") / "05_sample.py"
    path.write_text(OPENING + WHOLE)
    return render(path, LIBRARY)


WHOLE = """# %% [markdown]
# !!! note "A box"
#     Inside, see [attention][groundup.scratch.attention.attention].
#
# ::: source groundup.scratch.attention:attention folded

# %% Setup tags=["hide"]
import os, sys, tempfile, warnings
from pathlib import Path
from groundup.lab.plot import figure, show
print("from the hidden cell")

# %%
print("\\x1b[31mred\\x1b[0m ``` fence")
print("10%\\r100%")
print(os.getcwd(), sys.prefix, tempfile.mkdtemp(), Path.home())
warnings.warn("careful")
"a bare expression"

# %%
print("before")
fig, axes = figure()
axes.plot([1, 2, 3])
show(fig, "line", "A line of $x^2$.")
print("after")

# %% tags=["fold"]
print("folded output")
"""


def test_text_is_untouched_and_the_header_follows_the_title(page: Page) -> None:
    lines = page.markdown.splitlines()
    assert lines[0] == "# A title"
    assert re.match(r"\d+ minutes? · \[Script\]\(05_sample/05_sample.py\)", lines[2])
    assert '!!! note "A box"\n    Inside, see [attention][groundup.scratch' in page.markdown


def test_the_source_line_shows_the_library_as_it_is(page: Page) -> None:
    shown = page.markdown.split('??? note "The code of `attention`"')[1].split("```")[1]
    shown = re.sub(r"^ {4}", "", shown.removeprefix("python\n"), flags=re.MULTILINE).rstrip()
    assert shown.startswith("def attention(")
    assert shown in (LIBRARY / "groundup/scratch/attention.py").read_text()
    assert "[`groundup.scratch.attention.attention`]" in page.markdown


def test_printed_text_stands_in_a_block_longer_than_its_own_fences(page: Page) -> None:
    assert "```` { .text .output }\nred ``` fence\n100%\n" in page.markdown
    assert "\x1b" not in page.markdown
    assert "a bare expression" not in page.markdown.split("{ .text .output }", 2)[2]


def test_no_path_of_the_machine_and_no_warning_is_on_the_page(page: Page) -> None:
    everything = page.markdown + page.files["05_sample.ipynb"].decode()
    for path in ("/tmp/", str(Path.home()) + "/", sys.prefix, str(LIBRARY.parent), "ipykernel_"):
        assert path not in everything, path
    assert "UserWarning: careful" in page.stderr
    assert "UserWarning" not in everything


def test_a_figure_has_its_caption_and_its_place_among_the_output(page: Page) -> None:
    before, rest = page.markdown.split('<figure markdown="1">')
    assert before.rstrip().endswith("before\n```")
    assert rest.index("![Figure: line](05_sample/line.png)") < rest.index("after\n```")
    assert '<figcaption markdown="span">A line of $x^2$.</figcaption>' in rest
    assert page.files["line.png"].startswith(b"\x89PNG")
    assert "A line of" not in rest.split("</figure>")[1]
    assert "Markdown object" not in page.markdown


def test_tags_fold_code_or_code_and_output(page: Page) -> None:
    assert '??? note "Setup"\n\n    ``` python\n    import os' in page.markdown
    assert "``` { .text .output }\nfrom the hidden cell" in page.markdown
    assert "    ``` { .text .output }\n    folded output" in page.markdown


def test_the_downloaded_notebook_is_valid_and_plain(page: Page) -> None:
    notebook = nbformat.reads(page.files["05_sample.ipynb"].decode(), as_version=4)
    nbformat.validate(notebook)
    assert "> **A box**\n>\n> Inside, see attention." in notebook.cells[1].source
    assert "def attention(" in notebook.cells[1].source
    assert "???" not in notebook.cells[1].source
    assert notebook.cells[2].outputs[0].text == "from the hidden cell\n"
    assert page.files["05_sample.py"].decode() == OPENING + WHOLE


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            "# %%\nx = 1\n\n# %%\n\nvalues = []\nvalues[3]\n",
            r"05_sample.*'values = \[\]'.*IndexError",
        ),
        ("# %%\nimport os\nos._exit(3)\n", "05_sample.*'import os'.*ended the process"),
        ("# %% tags=['hidden']\nx = 1\n", "05_sample.*unknown tag 'hidden'"),
        ("# %% [markdown]\n# ::: source groundup.lab.plot:sho\n", "05_sample.*did you mean show"),
        ("# %% [markdown]\n# ::: source groundup.nowhere:x\n", "no module groundup.nowhere"),
        ("# %% [markdown]\n# ::: source plot\n", "05_sample: not understood"),
    ],
)
def test_a_fault_names_the_chapter_and_the_place(write, cells: str, message: str) -> None:
    with pytest.raises(ChapterError, match=message):
        render(write(cells), LIBRARY)


def test_a_chapter_has_so_much_time_and_no_more(write) -> None:
    with pytest.raises(ChapterError, match=r"'import time'.*still running after 2 s"):
        render(write("# %%\nimport time\ntime.sleep(30)\n"), LIBRARY, timeout=2)


def test_two_figures_of_one_name_are_refused(write) -> None:
    cell = "# %%\nfrom groundup.lab.plot import figure, show\nshow(figure()[0], 'same')\n"
    with pytest.raises(ChapterError, match="two figures are named 'same'"):
        render(write(cell + cell), LIBRARY)


def test_a_chapter_without_a_title_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "05_sample.py"
    path.write_text("# %%\nprint(1)\n")
    with pytest.raises(ChapterError, match="begins with '# Title'"):
        render(path, LIBRARY)


def test_a_learners_functions_stay_out_of_the_pages(write, monkeypatch) -> None:
    monkeypatch.setenv("GROUNDUP_ANYTHING", "1")
    path = write("# %%\nimport os\nprint(sorted(k for k in os.environ if 'GROUNDUP' in k))\n")
    assert "['GROUNDUP_RUNS']" in render(path, LIBRARY).markdown


def test_a_notebook_becomes_a_page_too(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_markdown_cell("# Tool"), nbformat.v4.new_code_cell("print(6 * 7)")]
    path = tmp_path / "tool.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    page = cached_render(path, LIBRARY, tmp_path / "cache")
    assert "42" in page.markdown
    assert list(page.files) == ["tool.ipynb"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted((LIBRARY.parent / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_the_notebooks_of_the_repository_run(path: Path) -> None:
    assert not any(c.get("outputs") for c in nbformat.read(path, as_version=4).cells)
    assert render(path, LIBRARY).markdown.startswith("# ")


def test_the_cache_gives_the_same_page_and_keeps_only_the_newest(write, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = write("# %%\nimport time\nprint(time.perf_counter())\n")
    first = cached_render(path, LIBRARY, cache)
    assert cached_render(path, LIBRARY, cache) == first
    path.write_text(path.read_text() + "\n# %%\nprint(2)\n")
    assert cached_render(path, LIBRARY, cache) != first
    assert len(list(cache.iterdir())) == 1
    assert json.loads(next(cache.rglob("page.json")).read_text())["markdown"]
