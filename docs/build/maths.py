"""The maths of the site when it is built: checked with KaTeX, or turned into MathML without it."""

import html
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from groundup.lab.errors import WorkError

_SPAN = re.compile(r'<(?P<tag>span|div) class="arithmatex">(?P<body>.*?)</(?P=tag)>', re.DOTALL)
_UNKNOWN = re.compile(r"<mi>(?:\\|&</mi>)")  # a command the converter passed on as it was
_KATEX_FILES = ("katex.min.js", "katex.min.css")


def formulas(page: str) -> list[tuple[str, bool]]:
    r"""The TeX in a page of HTML, in order, each with whether it is displayed on its own.

    Args:
        page: HTML in which formulas stand in elements of class ``arithmatex``, between ``\(``
            and ``\)`` or between ``\[`` and ``\]``.
    """
    return [_tex(found["body"]) for found in _SPAN.finditer(page)]


def _tex(body: str) -> tuple[str, bool]:
    text = html.unescape(body).strip()
    return text[2:-2].strip(), text.startswith("\\[")


def to_mathml(page: str) -> str:
    """Replace each formula with MathML; one that can't be converted is shown as TeX code."""
    from latex2mathml.converter import convert

    def replace(found: re.Match[str]) -> str:
        tex, displayed = _tex(found["body"])
        known = tex.replace("{aligned}", "{align*}").replace("{gathered}", "{gather*}")
        try:
            maths = convert(known, display="block" if displayed else "inline")
        except Exception:  # the converter raises what it meets, down to IndexError
            maths = ""
        if not maths or _UNKNOWN.search(maths):
            maths = f"<code>{html.escape(tex)}</code>"
        return f'<{found["tag"]} class="mathml">{maths}</{found["tag"]}>'

    return _SPAN.sub(replace, page)


def katex_files(docs: Path) -> dict[str, Path]:
    """What a page needs of the KaTeX installed under ``docs``: name in the site to file.

    Empty if it isn't installed.
    """
    dist = docs / "node_modules" / "katex" / "dist"
    if not all((dist / name).is_file() for name in _KATEX_FILES):
        return {}
    fonts = {f"fonts/{path.name}": path for path in sorted((dist / "fonts").glob("*.woff2"))}
    return (
        {name: dist / name for name in _KATEX_FILES} | fonts | {"LICENSE": dist.parent / "LICENSE"}
    )


def katex_errors(docs: Path, found: Mapping[tuple[str, bool], str]) -> list[tuple[str, str]]:
    """Let KaTeX set every formula once, in one Node process.

    Args:
        docs: the directory with ``node_modules``.
        found: TeX and whether it is displayed on its own, to the page it stands on.

    Returns:
        The page of each formula that KaTeX refuses, and the formula with the reason.

    Raises:
        WorkError: Node could not run the check.
    """
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("check_maths.cjs"))],
        input=json.dumps(list(found)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise WorkError(f"docs/build/check_maths.cjs failed: {done.stderr.strip()[-300:]}")
    faults: list[tuple[int, str]] = json.loads(done.stdout)
    pages = list(found.values())
    return [(pages[index], fault) for index, fault in faults]
