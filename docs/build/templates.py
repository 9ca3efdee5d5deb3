"""Templates of the pages that show results: Jinja's, with the filters that numbers need."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def fill(name: str, **content: Any) -> str:
    """A page of Markdown: the template of this name in ``templates/``, filled in."""
    return _pages.get_template(name).render(content)


def scientific(number: float) -> str:
    """A number with one digit, as in 9·10⁻¹⁶; a 1 is left out in front of a power."""
    digit, power = f"{number:.0e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if digit == "1" else f"{digit}·10{raised}"


def share(counts: Mapping[str, Any], name: str) -> float:
    """The share of right answers in a group."""
    return float(counts["right"][name] / counts["total"][name])


def spread(values: Iterable[float], unit: float = 1.0) -> str:
    """The lowest and the highest of some values, in a unit of so many; one where they agree."""
    known = list(values)
    low, high = f"{min(known) / unit:.1f}", f"{max(known) / unit:.1f}"
    return low if low == high else f"{low} to {high}"


_pages = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # Markdown
)
_pages.filters |= {
    "scientific": scientific,
    "share": share,
    "spread": spread,
    "thousands": "{:,}".format,
}
