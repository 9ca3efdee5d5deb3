"""The page of the benchmark says what its JSON says."""

import json
from pathlib import Path

from stage_page import RESULT, stage_page


def test_verdicts_follow_the_intervals(tmp_path: Path) -> None:
    assert stage_page(tmp_path) is None
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
    path = tmp_path / RESULT
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(result))
    page = stage_page(tmp_path) or ""
    assert "| BM25 | 0.500 | +0.050 [+0.010, +0.090] |" in page
    assert "| without a | 0.450 | +0.100 [+0.050, +0.150]: pays |" in page
    assert "not shown to pay" in page.split("without b")[1].splitlines()[0]
    assert "harms" in page.split("without c")[1].splitlines()[0]
    assert "1,234 questions" in page
    assert "2 cores, 2026-01-31" in page
    assert "numpy 2.4" in page
