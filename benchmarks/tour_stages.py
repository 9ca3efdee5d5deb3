"""Does each stage of the tour pay? Each is taken out in turn, and its time given to the others.

    python benchmarks/tour_stages.py --seeds 1

A stage pays when the paired-bootstrap 95% interval of nDCG@10, the whole tour minus the equal-time
run without the stage, lies above zero. The result is benchmarks/results/tour_stages.json.
"""

import argparse
import json
import os
import platform
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from groundup.apps.tour import stages
from groundup.apps.tour.plan import FULL, Contrastive, TourPlan
from groundup.apps.tour.tour_state import Tour
from groundup.embed.retrieval import paired_bootstrap
from groundup.lab.console import console, progress_bar
from groundup.lab.files import write_json
from groundup.lab.library_logs import quiet_libraries
from groundup.lab.records import Record, new_run_id, runs_directory

RESULTS = Path(__file__).parent / "results" / "tour_stages.json"


Step = tuple[str, Any]  # a stage's name, and its training


def lasting(training: Any, seconds: float) -> Any:
    """The same training with another time box."""
    if isinstance(training, Contrastive):
        return replace(training, loop=replace(training.loop, seconds=seconds))
    return replace(training, seconds=seconds)


def variants(plan: TourPlan) -> dict[str, tuple[str, list[Step]]]:
    """Where each chain starts, and its stages; all chains take the same time."""
    m, w, s = (float(loop.seconds or 0) for loop in (plan.masked, plan.weak.loop, plan.strong.loop))
    masked, weak, strong = plan.masked, plan.weak, plan.strong
    without_masked = [("weak", lasting(weak, w + m / 2)), ("strong", lasting(strong, s + m / 2))]
    return {
        "whole tour": ("fresh", [("masked", masked), ("weak", weak), ("strong", strong)]),
        "without masked pretraining": ("fresh", without_masked),
        "without weak pairs": ("fresh", [("masked", masked), ("strong", lasting(strong, s + w))]),
        "without strong pairs": ("fresh", [("masked", masked), ("weak", lasting(weak, w + s))]),
        "without masked pretraining and layer": ("bag", without_masked),
    }


def climb(tour: Tour, start: str, chain: list[Step], known: dict[str, Any]) -> Any:
    """Run one chain; the nDCG@10 of each question after it.

    Args:
        tour: the run whose corpus, tokenizer and pairs are used.
        start: "fresh", the plan's model untrained, or "bag", the same without a layer.
        chain: the stages.
        known: results by chain so far; a beginning that two chains share is run once.
    """
    name, result = start, {}
    for stage, training in chain:
        loop = training.loop if isinstance(training, Contrastive) else training
        own = f"{name}-{stage}{loop.seconds:.0f}"
        if own not in known:
            with progress_bar(own) as bar:
                if stage == "masked":
                    known[own] = stages.pretrain(tour, bar, own, training)
                else:
                    known[own] = stages.contrast(tour, bar, own, name, stage, training)
            scores = f"nDCG@10 {known[own]['ndcg_at_10']:.4f}, {known[own]['steps']:.0f} steps"
            console.print(f"    {own}: {scores}")
        name, result = own, known[own]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1, help="runs of each chain (default 1)")
    seeds = parser.parse_args().seeds
    if seeds < 1:
        parser.error(f"--seeds must be at least 1: got {seeds}")
    quiet_libraries()
    scores: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        directory = runs_directory() / new_run_id("bench")
        tour = Tour(directory, FULL, seed, Record.open(directory))
        console.print(f"seed {seed}, in {directory}/")
        for stage in stages.STAGES:
            if stage.name in ("corpus", "bm25"):
                tour.run(stage, seed + 1, seeds)
        scores.setdefault("BM25", []).append(np.array(tour.results["bm25"]["per_query"]))
        stages.fresh_encoder(tour, "fresh")
        stages.fresh_encoder(tour, "bag", layers=0)
        known: dict[str, Any] = {}
        for name, (start, chain) in variants(FULL).items():
            result = climb(tour, start, chain, known)
            scores.setdefault(name, []).append(np.array(result["per_query"]))

    means = {name: np.mean(runs, axis=0) for name, runs in scores.items()}
    rows = []
    for name, per_query in means.items():
        difference = None
        if name != "whole tour":
            difference = paired_bootstrap(means["whole tour"], per_query, np.random.default_rng(0))
        each = [float(run.mean()) for run in scores[name]]
        rows.append({"chain": name, "ndcg": each, "whole_tour_minus_this": difference})
        shown = (
            ""
            if difference is None
            else "whole tour {:+.3f} [{:+.3f}, {:+.3f}]".format(*difference)
        )
        console.print(f"{name:32} {np.mean(each):.4f}  {shown}", markup=False)
    corpus = tour.results["corpus"]
    write_json(
        RESULTS,
        {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "seeds": seeds,
            "questions": corpus["test_pairs"],
            "corpus": {k: corpus[k] for k in ("fingerprint", "versions")},
            "plan": json.loads(json.dumps(FULL, default=vars)),
            "rows": rows,
        },
    )
    console.print(f"kept in {RESULTS}")


if __name__ == "__main__":
    main()
