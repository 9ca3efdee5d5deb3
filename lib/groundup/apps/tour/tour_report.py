"""How the tour ends: the table, the plots, three questions."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from groundup.apps.tour.tour_state import Tour
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.retrieval import paired_bootstrap
from groundup.embed.search import SearchIndex
from groundup.lab.console import console
from groundup.lab.files import write_json
from groundup.lab.hyperlinks import link_paths
from groundup.lab.plot import COLOURS, figure, save_figure

QUESTIONS = (
    "how do I join two paths",
    "compute the inverse of a matrix",
    "sort a list of numbers",
)

_ROWS = (
    ("bm25", "BM25"),
    ("untrained", "bag of embeddings, untrained (random vectors, idf weights)"),
    ("bag", "bag of embeddings, strong pairs"),
    ("masked", "NeoBERT after masked pretraining, its blocks turned down"),
    ("weak", "… then weak pairs, all weights"),
    ("strong", "… then strong pairs, LoRA"),
)


def close(tour: Tour, seconds: float) -> None:
    """Print the closing table and three answers; keep table, plots and record in the run."""
    rows = table_rows(tour)
    write_json(tour.path("table.json"), {"seconds": seconds, "rows": rows})
    tour.record.add("tour", wall_seconds=seconds)
    tour.record.save()
    plots = [_plot_losses(tour), _plot_retrieval(tour, rows)]

    console.print()
    table = Table("", "nDCG@10", "recall@10", "against BM25 (95%)", box=None, pad_edge=False)
    for row in rows:
        interval = "" if row["difference"] is None else _interval(*row["difference"])
        table.add_row(Text(row["what"]), f"{row['ndcg']:.3f}", f"{row['recall']:.3f}", interval)
    console.print(table)
    console.print(
        f"[dim]{len(tour.results['bm25']['per_query']):,} questions on modules unseen in training; "
        "intervals: paired bootstrap over questions.[/dim]\n"
    )
    _questions(tour)
    for path in plots:
        console.print(link_paths(Text(f"plot: {path}", "dim")), soft_wrap=True)
    console.print(f"\nThe tour took {seconds:.0f} s. Ask your own:")
    console.print(f'  groundup search "{QUESTIONS[0]}"')


def table_rows(tour: Tour) -> list[dict[str, Any]]:
    """The closing table: what was scored, nDCG@10, recall@10, and the difference to BM25."""
    results = {**tour.results, "untrained": tour.results["bag"]["untrained"]}
    baseline = np.array(results["bm25"]["per_query"])
    rows = []
    for name, what in _ROWS:
        result = results[name]
        difference = None
        if "per_query" in result and name != "bm25":
            ours = np.array(result["per_query"])
            difference = paired_bootstrap(ours, baseline, np.random.default_rng(0), draws=2000)
        scores = {"ndcg": result["ndcg_at_10"], "recall": result["recall_at_10"]}
        rows.append({"stage": name, "what": what, **scores, "difference": difference})
    return rows


def _interval(mean: float, low: float, high: float) -> str:
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]".replace("[", "\\[")


def _questions(tour: Tour) -> None:
    index = SearchIndex.load(tour.path("index"))
    encoder = SentenceEncoder.load(tour.path("strong"))
    for question in QUESTIONS:
        console.print(f"[bold]{question}[/bold]")
        for hit in index.search(encoder, question, top=3):
            line = f"  {hit.score:.2f}  {hit.name}: {hit.summary}"
            console.print(Text(line), overflow="ellipsis", no_wrap=True)
        console.print()


def _plot_losses(tour: Tour) -> Path:
    fig, axes = figure(1, 4, width=12, height=2.8)
    titles = {
        "digits": "digits (NumPy)",
        "masked": "masked pretraining",
        "weak": "weak pairs",
        "strong": "strong pairs, LoRA",
    }
    for axis, (stage, title) in zip(axes, titles.items(), strict=True):
        points = [
            (row["step"], row["value"])
            for row in tour.record.rows
            if row["stage"] == stage and row["metric"] == "loss"
        ]
        steps, losses = (np.array(column) for column in zip(*points, strict=True))
        axis.plot(steps, losses, linewidth=0.8, alpha=0.4, color=COLOURS[0])
        width = max(1, len(losses) // 10)  # a running mean over a tenth of the run
        mean = np.convolve(losses, np.ones(width) / width, "valid")
        axis.plot(steps[width - 1 :], mean, color=COLOURS[0])
        axis.set(title=title, xlabel="step", ylabel="loss (nats)")
    axes[0].set_yscale("log")
    unigram = tour.results["masked"]["unigram_loss"]
    axes[1].axhline(unigram, linestyle=":", color=COLOURS[1])
    axes[1].annotate(
        "frequencies alone, held-out text",
        (0.98, unigram),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        color=COLOURS[1],
        fontsize=8,
    )
    return save_figure(fig, tour.path("losses.png"))


def _plot_retrieval(tour: Tour, rows: list[dict[str, Any]]) -> Path:
    fig, axis = figure(width=8, height=2.8)
    names = [row["what"] for row in rows][::-1]
    axis.barh(names, [row["ndcg"] for row in rows][::-1], height=0.6)
    axis.axvline(rows[0]["ndcg"], linestyle=":", color=COLOURS[1])
    axis.set(xlabel="nDCG@10 on unseen modules (dotted: BM25)")
    return save_figure(fig, tour.path("retrieval.png"))
