"""The commands that use the library: the tour, the NumPy models, search, records, diagnosis."""

import argparse
import time
from pathlib import Path

from groundup.cli import mine, numpy_models
from groundup.cli.parser import Commands, add, natural, positive


def add_commands(commands: Commands) -> None:
    """Add them."""
    tour = add(commands, "tour", _tour, "climb the whole ladder", "groundup tour --quick")
    tour.add_argument("--quick", action="store_true", help="smaller numbers, under a minute")
    begin = tour.add_mutually_exclusive_group()
    begin.add_argument("--resume", action="store_true", help="go on with the unfinished tour")
    begin.add_argument(
        "--fresh",
        dest="resume",
        action="store_false",
        help="start clean (the default); an unfinished tour stays where it is",
    )
    tour.add_argument("--seed", type=natural, default=0, help="of everything random (default 0)")
    mine.add_option(tour)

    numpy_models.add_commands(commands)

    search = add(
        commands,
        "search",
        _search,
        "search the documentation of your packages with the tour's model",
        'groundup search "how do I join two paths"',
    )
    search.add_argument("question", nargs="+", help="in plain English")
    search.add_argument("--top", type=positive, default=5, help="how many answers (default 5)")
    search.add_argument("--run", help="id of a tour (default: the newest finished one)")

    runs = add(
        commands,
        "runs",
        _runs,
        "list recorded runs, or ask them with SQL",
        "groundup runs --sql \"SELECT stage, max(value) FROM records WHERE metric = 'ndcg_at_10' "
        'GROUP BY stage"',
    )
    runs.add_argument("--sql", help="DuckDB SQL on the table `records`")

    diagnose = add(
        commands,
        "diagnose",
        _diagnose,
        "check a saved encoder: gradients, padding, batch order",
        "groundup diagnose runs/tour-…/strong",
    )
    diagnose.add_argument("model", type=Path, help="directory with a model and its tokenizer")


def _tour(options: argparse.Namespace) -> int:
    if options.mine is not None:
        from groundup.course.mine import launcher

        flags = [f"--{name}" for name in ("quick", "resume") if getattr(options, name)]
        return launcher.run(
            mine.itself(options, "tour", *flags, "--seed", options.seed), options.mine
        )
    began = time.perf_counter()
    from groundup.apps.tour.plan import FULL, QUICK
    from groundup.apps.tour.tour import run_tour

    run_tour(QUICK if options.quick else FULL, options.resume, options.seed, began)
    return 0


def _search(options: argparse.Namespace) -> int:
    from groundup.apps.find.tour_search import search_tour

    search_tour(" ".join(options.question), options.top, options.run)
    return 0


def _runs(options: argparse.Namespace) -> int:
    from groundup.apps.runs import show_runs

    show_runs(options.sql)
    return 0


def _diagnose(options: argparse.Namespace) -> int:
    from groundup.apps.diagnosis import show_diagnosis

    return show_diagnosis(options.model)
