"""The pages say what the JSON of their benchmarks says, and the ladder's shows its cells."""

import json
from pathlib import Path

import pytest
from result_pages import RESULTS, ladder_page, result_pages
from templates import scientific

from groundup.parity.ladder import FORMS, compare_forms


def _row(kind: str, model: str, speed: int, **more: float) -> dict[str, object]:
    return {
        "kind": kind,
        "model": model,
        "parameters": 13_767_552,
        "seconds": 0.5,
        "tokens_per_second": speed,
        **more,
    }


def _result() -> dict[str, object]:
    ragged = [
        _row(kind, f"NeoBERT, {form}", speed)
        for kind in ("forward", "training step")
        for form, speed in (("packed", 1900), ("with a mask", 1800), ("padding computed", 1000))
    ]
    uniform = [
        _row("forward", "NeoBERT", 3000),
        _row("training step", "NeoBERT", 1234, utilisation=0.41),
    ]
    return {
        "date": "2026-01-31",
        "machine": {
            "device": "Some processor",
            "cores": 2,
            "threads": 2,
            "precision": "float32",
            "torch": "2.13.0",
            "transformers": "5.1.0",
        },
        "size": {"width": 384, "layers": 6, "heads": 6, "vocabulary": 8192},
        "compiled": False,
        "uniform": [{"rows_of_batch": 8, "length": 256, "padding": 0.0, "rows": uniform}],
        "ragged": [{"rows_of_batch": 16, "length": 256, "padding": 0.5, "rows": ragged}],
        "memory": [{"length": 4096, "mebibytes": {"NeoBERT": 1234.5, "BERT": 2000.0}}],
    }


def page_of(folder: Path, name: str, result: dict[str, object]) -> str:
    """The page that is made where this is the only result."""
    path = folder / RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(result))
    pages = result_pages(folder)
    del pages["ladder.md"]
    [page] = pages.values()
    return page


def test_without_a_result_there_is_no_page_of_it(tmp_path: Path):
    assert result_pages(tmp_path).keys() == {"ladder.md"}


def test_the_encoder(tmp_path: Path):
    page = page_of(tmp_path, "encoder-cpu", _result())
    assert "## Some processor" in page
    assert "| NeoBERT | 13,767,552 | 3,000 | 1,234 (41% of peak) |" in page
    assert "1.90 times as fast in a forward pass and 1.90 times as fast in a training step" in page
    assert "Leaving out 50% of the places could give 2.00" in page
    assert "| 4,096 | 1,234 MiB | 2,000 MiB |" in page
    assert "2026-01-31" in page


def test_verdicts_follow_the_intervals(tmp_path: Path) -> None:
    rows = [
        {"chain": "BM25", "ndcg": [0.5], "whole_tour_minus_this": [0.05, 0.01, 0.09]},
        {"chain": "whole tour", "ndcg": [0.55], "whole_tour_minus_this": None},
        {"chain": "without a", "ndcg": [0.4, 0.5], "whole_tour_minus_this": [0.1, 0.05, 0.15]},
        {"chain": "without b", "ndcg": [0.55], "whole_tour_minus_this": [0.0, -0.01, 0.01]},
        {"chain": "without c", "ndcg": [0.6], "whole_tour_minus_this": [-0.05, -0.07, -0.03]},
    ]
    result = {
        "date": "2026-01-31",
        "machine": "2 cores",
        "seeds": 2,
        "questions": 1234,
        "corpus": {"versions": {"numpy": "2.4"}},
        "rows": rows,
    }
    page = page_of(tmp_path, "tour_stages", result)
    assert "| BM25 | 0.500 | +0.050 [+0.010, +0.090] |" in page
    assert "| without a | 0.450 | +0.100 [+0.050, +0.150]: pays |" in page
    assert "not shown to pay" in page.split("without b")[1].splitlines()[0]
    assert "harms" in page.split("without c")[1].splitlines()[0]
    assert "1,234 questions" in page
    assert "2 cores, 2026-01-31" in page
    assert "numpy 2.4" in page


def test_every_cell_is_on_the_page():
    page = ladder_page()
    rows = {line.split("|")[1].strip(" *"): line for line in page.splitlines() if "**" in line}
    header = next(line for line in page.splitlines() if line.startswith("| |"))
    columns = [name.strip() for name in header.split("|")[2:-1]]
    assert columns == [form.name for form in FORMS[:-1]]
    for cell in compare_forms():
        row, column = cell.forms
        shown = rows[row].split("|")[2:-1][columns.index(column)].strip()
        assert shown == scientific(cell.error)
    assert "10⁻⁵ where one is in float32, 5·10⁻² in bfloat16" in page


@pytest.mark.parametrize(
    ("number", "text"), [(9.4e-16, "9·10⁻¹⁶"), (1e-10, "10⁻¹⁰"), (0.96e-2, "10⁻²"), (37.0, "4·10¹")]
)
def test_scientific(number: float, text: str):
    assert scientific(number) == text
