"""The page that says which stages of the tour pay, from the committed result of its benchmark."""

import json
from pathlib import Path
from typing import Any

RESULT = Path("benchmarks/results/tour_stages.json")

_INTRODUCTION = """# Which stages pay?

`make tour` trains a small NeoBERT three times over: it fills in hidden words, then it matches
names with summaries, then, through LoRA, summaries with bodies. Does each stage earn its time?
Each was taken out in turn, and its time was given to the stages that stayed. A stage **pays**
when the 95% interval of the difference, over the questions, lies above zero (paired bootstrap).
"""

_REASONS = """
Why a stage may not pay here: half a minute of masked pretraining shows the model a few hundred
thousand tokens of text; NeoBERT itself saw 2.1 trillion (Le Breton et al., 2025). It learns more
than frequencies (the tour prints both losses), but what it learns is not yet what retrieval
needs. The encoder begins as a mean of random vectors weighted by how rare each word is, which
already matches words, and the contrastive stages build on that. A transformer layer costs most of
each step: a model without one takes more than twice as many steps in the same time.
"""


def stage_page(root: Path) -> str | None:
    """The page as Markdown; ``None`` where the benchmark has not been run.

    Args:
        root: the clone.
    """
    path = root / RESULT
    if not path.is_file():
        return None
    result = json.loads(path.read_text("utf-8"))
    lines = [
        _INTRODUCTION,
        "| chain, all of the same time | nDCG@10 | the whole tour is ahead by |",
    ]
    lines.append("|:--|--:|:--|")
    lines += [_row(row) for row in result["rows"]]
    runs = "one run" if result["seeds"] == 1 else f"{result['seeds']} runs"
    versions = ", ".join(f"{k} {v}" for k, v in result["corpus"]["versions"].items())
    return "\n".join(
        [
            *lines,
            "",
            f"{result['questions']:,} questions on modules unseen in training; {runs} of each "
            f"chain, on {result['machine']}, {result['date']}. The text is the documentation of "
            f"{versions}. Made by `benchmarks/tour_stages.py`.",
            _REASONS,
        ]
    )


def _row(row: dict[str, Any]) -> str:
    score = sum(row["ndcg"]) / len(row["ndcg"])
    if row["whole_tour_minus_this"] is None:
        return f"| **{row['chain']}** | {score:.3f} | |"
    mean, low, high = row["whole_tour_minus_this"]
    verdict = "pays" if low > 0 else "harms" if high < 0 else "not shown to pay"
    shown = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    if row["chain"].startswith("without"):
        shown += f": {verdict}"
    return f"| {row['chain']} | {score:.3f} | {shown} |"
