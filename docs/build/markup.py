"""Docstrings that read well in an editor, made into links and formulas in the reference.

The library's docstrings write ``:func:`linear```, ``:math:`x``` and ``.. math::``, which every
Python tool knows. This Griffe extension turns them into the Markdown of the site. It is loaded by
mkdocstrings; see ``extensions`` in mkdocs.yml.
"""

import re
import textwrap
from typing import Any

import griffe

_INLINE_MATHS = re.compile(r":math:`([^`]+)`")
_BLOCK_MATHS = re.compile(
    r"^(?P<indent> *)\.\. math::(?P<first>[^\n]*)\n(?P<rest>(?: *\n|(?P=indent) +\S[^\n]*\n?)*)",
    re.MULTILINE,
)
_ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):`~?([\w.]+)`")
_LITERAL = re.compile(r"``([^`\n]+)``")


class Markup(griffe.Extension):
    """Rewrites every docstring of a package once all of it is loaded."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called by Griffe with the whole package."""
        _rewrite(pkg)


def _rewrite(scope: Any) -> None:
    if scope.docstring is not None:
        scope.docstring.value = to_markdown(scope.docstring.value, scope)
    for member in scope.members.values():
        if not member.is_alias:
            _rewrite(member)


def to_markdown(docstring: str, scope: Any) -> str:
    """A docstring in Markdown.

    Args:
        docstring: the text, indentation of the whole removed.
        scope: the Griffe object it belongs to, in whose names its references are looked up. A
            name of the library becomes a link; any other stays a name in code.
    """
    text = _BLOCK_MATHS.sub(_displayed, docstring)
    text = _INLINE_MATHS.sub(lambda found: f"${found[1]}$", text)
    text = _ROLE.sub(lambda found: _link(found[1], scope), text)
    return _LITERAL.sub(r"`\1`", text)


def _displayed(found: re.Match[str]) -> str:
    rest = textwrap.dedent(found["rest"]).strip()
    tex = "\n".join(filter(None, [found["first"].strip(), rest]))
    after = "\n" if found[0].endswith("\n") else ""
    return textwrap.indent(f"\n$$\n{tex}\n$$\n", found["indent"]) + after


def _link(name: str, scope: Any) -> str:
    try:
        target = name if name.startswith("groundup.") else scope.resolve(name)
    except griffe.NameResolutionError:
        return f"`{name}`"
    return f"[`{name}`][{target}]" if target.startswith("groundup.") else f"`{name}`"
