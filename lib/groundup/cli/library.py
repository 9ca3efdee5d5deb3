"""The commands that use the library: the tour, the digit model, search, records, diagnosis."""

import argparse
import time
from pathlib import Path

from groundup.cli import mine
from groundup.cli.parser import Commands, add, add_group, positive


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
    tour.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    mine.add_option(tour)

    digits = add_group(commands, "digits", "train or ask the digit model (NumPy)")
    train = add(
        digits, "train", _digits_train, "train the digit model", "groundup digits train --steps 600"
    )
    train.add_argument("--steps", type=positive, default=600, help="optimizer steps (default 600)")
    train.add_argument("--batch-size", type=positive, default=64, help="examples a step")
    train.add_argument("--lr", type=float, default=2e-3, help="peak learning rate (default 0.002)")
    train.add_argument("--seed", type=int, default=0, help="of split, weights and order")
    train.add_argument("--output", type=Path, help="checkpoint file")
    mine.add_option(train)
    ask = add(
        digits,
        "ask",
        _digits_ask,
        "ask the digit model; it is trained on first use",
        'groundup digits ask "Max ( 5 3 9 )"',
    )
    ask.add_argument("question", help='such as "Max ( 5 3 9 )" or "Second(1 2 3)"')
    ask.add_argument("--checkpoint", type=Path, help="a file of groundup digits train --output")

    search = add(
        commands,
        "search",
        _search,
        "search the documentation of your packages with the tour's model",
        'groundup search "how do I join two paths"',
    )
    search.add_argument("question", help="in plain English")
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
        from groundup.course.mine import supervise

        flags = [f"--{name}" for name in ("quick", "resume") if getattr(options, name)]
        return supervise.run(
            mine.itself(options, "tour", *flags, "--seed", options.seed), options.mine
        )
    began = time.perf_counter()
    from groundup.course.plan import FULL, QUICK
    from groundup.course.tour import run_tour

    run_tour(QUICK if options.quick else FULL, options.resume, options.seed, began)
    return 0


def _digits_train(options: argparse.Namespace) -> int:
    if options.mine is not None:
        return _digits_train_mine(options)
    from groundup.course import digits, terminal
    from groundup.scratch.trainer import TrainConfig

    config = TrainConfig(
        steps=options.steps, batch_size=options.batch_size, lr=options.lr, seed=options.seed
    )
    terminal.train_digits(config, options.output or digits.checkpoint_path())
    return 0


def _digits_train_mine(options: argparse.Namespace) -> int:
    from groundup.course.mine import reference, supervise

    recipe = ["digits", "train", "--steps", str(options.steps), "--lr", str(options.lr)]
    recipe += ["--batch-size", str(options.batch_size), "--seed", str(options.seed)]
    output = [] if options.output is None else ["--output", options.output]
    again = reference.of_command("groundup.course.digits", recipe)
    return supervise.run(mine.itself(options, *recipe, *output), options.mine, again)


def _digits_ask(options: argparse.Namespace) -> int:
    from groundup.course import terminal

    terminal.ask_digits(options.question, options.checkpoint)
    return 0


def _search(options: argparse.Namespace) -> int:
    from groundup.course import terminal

    terminal.search(options.question, options.top, options.run)
    return 0


def _runs(options: argparse.Namespace) -> int:
    from groundup.course import terminal

    terminal.runs(options.sql)
    return 0


def _diagnose(options: argparse.Namespace) -> int:
    from groundup.course import terminal

    return terminal.diagnose(options.model)
