"""The pages that show results: of the benchmarks that have been run, and of the ladder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from templates import fill

from groundup.lab.intervals import wilson_interval

RESULTS = Path("benchmarks/results")
_OPERATIONS = ("First", "Second", "Last", "Max", "Min")


def result_pages(root: Path) -> dict[str, str]:
    """Addresses and Markdown of the pages whose benchmark has been run, and of the ladder.

    Args:
        root: the clone.
    """
    results = {
        path.stem.replace("-", "_"): json.loads(path.read_text("utf-8"))
        for path in sorted((root / RESULTS).glob("*.json"))
    }
    pages = {"ladder.md": ladder_page()}
    if "digits" in results:
        pages["digits.md"] = digits_page(results["digits"])
    if encoders := [result for name, result in results.items() if name.startswith("encoder")]:
        pages["encoder.md"] = fill("encoder.md", results=encoders, gains=packing_gains)
    if "tour_stages" in results:
        pages["tour_stages.md"] = fill("tour_stages.md", **results["tour_stages"])
    return dict(sorted(pages.items()))


def digits_page(result: Mapping[str, Any]) -> str:
    """How good the small NumPy models get.

    Args:
        result: of ``benchmarks/digits.py``, by section; those that are left out have no section.
    """
    sections = dict.fromkeys(("digits", "two_digits", "ablations", "six_layers"))
    sections |= {name.replace("-", "_"): part for name, part in result.items()}
    return fill("digits.md", operations=_OPERATIONS, interval=wilson_interval, **sections)


def ladder_page() -> str:
    """The ladder, each rung against each, computed now."""
    from groundup.parity.ladder import FORMS, compare_forms

    errors = {cell.forms: cell.error for cell in compare_forms()}
    limits = sorted({form.limit for form in FORMS})
    return fill("ladder.md", names=[form.name for form in FORMS], errors=errors, limits=limits)


def packing_gains(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How many times as fast the packed model is as the one that computes padding, by kind."""

    def speed(kind: str, form: str) -> float:
        found = (r for r in rows if r["kind"] == kind and r["model"].endswith(form))
        return float(next(found)["tokens_per_second"])

    kinds = dict.fromkeys(row["kind"] for row in rows)
    return {kind: speed(kind, "packed") / speed(kind, "padding computed") for kind in kinds}
