"""The site: what a build contains, what fails it, and what is said when it can't begin."""

import re
import shutil
import socket
from pathlib import Path

import pytest

from groundup.course import clone
from groundup.course.chapters import site
from groundup.lab.errors import UserError, WorkError

ROOT = Path(__file__).resolve().parents[2]
KATEX = ROOT / "docs" / "node_modules" / "katex"
with_katex = pytest.mark.skipif(not KATEX.is_dir(), reason="KaTeX is not installed under docs/")
PAGES = ("teach/mutants.md", "maintain/chapters.md")
MODULES = ("__init__", "lab/__init__", "lab/errors", "lab/plot", "course/__init__", "course/clone")
CHAPTERS = tuple(
    f"course/chapters/{name}" for name in ("__init__", "render", "execute", "dependencies")
)
CHAPTER = """# %% [markdown]
# # Training
#
# Maths $x^2$, a note[^n], and [show][groundup.lab.plot.show].
#
# [^n]: The note.
#
# ::: source groundup.lab.plot:show folded
#
# EXTRA

# %%
from groundup.lab.plot import figure, show
fig, axes = figure()
axes.plot([1, 2])
show(fig, "line", "A caption.")
print("printed", 6 * 7)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A clone with the real configuration, one chapter, and a few modules of the library."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs" / "assets", docs / "assets")
    for name in (*PAGES, "package.json"):
        (docs / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "docs" / name, docs / name)
    shutil.copytree(ROOT / "docs/build", docs / "build", ignore=shutil.ignore_patterns("__*"))
    (docs / "index.md").write_text("# A clone\n\n[Its part](part_2/index.md) has one chapter.\n")
    if KATEX.is_dir():
        (docs / "node_modules").symlink_to(KATEX.parent)
    for module in (*MODULES, *CHAPTERS):
        file = tmp_path / "lib" / "groundup" / f"{module}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "lib" / "groundup" / f"{module}.py", file)
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "05_training.py").write_text(CHAPTER)
    return tmp_path


def without_npm(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "docs" / "node_modules").unlink(missing_ok=True)
    monkeypatch.setenv("PATH", str(root))


@pytest.mark.slow
def test_a_build_is_whole_and_asks_no_other_host(root: Path, monkeypatch, capfd) -> None:
    without_npm(root, monkeypatch)
    before = {path for path in (root / "docs").rglob("*") if "__pycache__" not in path.parts}
    site.build(target=root / "out", root=root)
    assert "npm is not installed" in capfd.readouterr().out

    html = (root / "out/chapters/05_training/index.html").read_text()
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">' in html
    assert 'class="arithmatex"' not in html
    assert 'href="../../reference/lab/plot/#groundup.lab.plot.show"' in html
    assert "<figcaption>A caption.</figcaption>" in html
    assert re.search(r'class="[^"]*\boutput\b[^"]*".*printed 42', html, re.DOTALL)
    assert 'class="footnote"' in html
    folder = root / "out/chapters/05_training"
    assert {"line.png", "05_training.py", "05_training.ipynb"} <= {p.name for p in folder.iterdir()}
    reference = (root / "out/reference/lab/plot/index.html").read_text()
    assert 'id="groundup.lab.plot.figure"' in reference

    fetched = re.compile(r'<(?:script|img|link|iframe)[^>]*?(?:src|href)="(?:https?:)?//[^"]*')
    for page in (root / "out").rglob("*.html"):
        assert not fetched.findall(page.read_text()), page
    for sheet in (root / "out").rglob("*.css"):
        assert not re.findall(r"url\([\"']?(?:https?:)?//|@import", sheet.read_text()), sheet
    after = {path for path in (root / "docs").rglob("*") if "__pycache__" not in path.parts}
    assert after == before


@pytest.mark.slow
@with_katex
def test_katex_comes_with_the_site(root: Path) -> None:
    site.build(target=root / "out", root=root)
    html = (root / "out/chapters/05_training/index.html").read_text()
    assert r'<span class="arithmatex">\(x^2\)</span>' in html
    for name in re.findall(r'="(?:\.\./)+(assets/(?:katex|maths)[^"]*)"', html):
        assert (root / "out" / name).is_file(), name
    sheet = (root / "out/assets/katex/katex.min.css").read_text()
    fonts = set(re.findall(r"fonts/[\w-]+\.woff2", sheet))
    assert fonts
    assert all((root / "out/assets/katex" / font).is_file() for font in fonts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("[gone](absent.md)", "absent.md"),
        ("[gone](05_training.md#absent)", "#absent"),
        ("[gone][groundup.lab.plot.absent]", "groundup.lab.plot.absent"),
        ("\n# %%\nraise KeyError('lost')\n", "05_training: the cell that begins"),
        pytest.param(r"$\frac{1$", "KaTeX refuses", marks=with_katex),
    ],
    ids=["link", "anchor", "name", "cell", "formula"],
)
def test_a_strict_build_fails(root: Path, capfd, extra: str, message: str) -> None:
    chapter = root / "chapters" / "05_training.py"
    chapter.write_text(CHAPTER.replace("# EXTRA", extra if "%%" in extra else f"# {extra}"))
    with pytest.raises(WorkError, match="was not built"):
        site.build(target=root / "out", root=root)
    assert message in "".join(capfd.readouterr())


@pytest.mark.slow
def test_a_docstring_that_names_a_wrong_parameter_fails_the_build(root: Path, capfd) -> None:
    wrong = 'def f(x: int) -> None:\n    """F.\n\n    Args:\n        y: not there.\n    """\n'
    (root / "lib/groundup/lab/wrong.py").write_text(wrong)
    with pytest.raises(WorkError):
        site.build(target=root / "out", root=root)
    assert "Parameter 'y' does not appear" in "".join(capfd.readouterr())


def test_a_port_in_use_is_named_before_anything_is_built(monkeypatch) -> None:
    monkeypatch.setattr(site, "build", lambda **_: pytest.fail("built"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use: .* --port"):
            site.serve(port=port)


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(UserError, match="can't listen on port"):
        site.serve(port=port)


def test_missing_packages_are_named_with_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(site, "find_spec", lambda name: None if name == "mkdocs" else object())
    with pytest.raises(UserError, match=r"missing mkdocs: .*\[docs\]"):
        site.build(root=ROOT)


def test_outside_a_clone_the_message_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(clone.groundup, "__file__", str(tmp_path / "lib/groundup/__init__.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="needs the repository"):
        site.build()
