"""The commands of the digit model: train it, ask it, see what it has learned."""

import argparse
from pathlib import Path

from groundup.cli import mine
from groundup.cli.parser import Commands, add, add_group, natural, positive
from groundup.lab.errors import UserError

_QUESTION = "Max ( 5 3 9 )"
_RECIPE = ("size", "epochs", "batch_size", "lr", "arguments", "seed", "patience")


def add_commands(commands: Commands) -> None:
    """Add them."""
    digits = add_group(commands, "digits", "train or ask the digit model (NumPy)")
    train = add(
        digits,
        "train",
        _train,
        "train the digit model",
        "groundup digits train --size medium --epochs 4",
    )
    train.add_argument(
        "--size",
        help="draws in an epoch: small 2,000, medium 10,000 (the default), large 50,000",
    )
    train.add_argument("--epochs", type=positive, help="how many (default 4; more for --two-digit)")
    train.add_argument("--batch-size", type=positive, help="examples a step (default 64)")
    train.add_argument(
        "--lr", type=float, help="peak learning rate (default 0.002, another for --two-digit)"
    )
    train.add_argument("--arguments", type=int, help="digits in a question, 2 to 5 (default 3)")
    train.add_argument("--seed", type=natural, help="of split, weights and order (default 0)")
    train.add_argument(
        "--patience",
        type=positive,
        help="stop after so many measurements without a lower validation loss; keep the best",
    )
    train.add_argument("--output", type=Path, help="checkpoint file (default runs/digits/…)")
    train.add_argument("--resume", action="store_true", help="go on with the unfinished training")
    train.add_argument(
        "--plain",
        action="store_true",
        default=None,
        help="the functions of the chapters, not their fast twin: slower, the same mathematics",
    )
    train.add_argument(
        "--two-digit", action="store_true", help="numbers up to 99, another model: minutes"
    )
    train.add_argument(
        "--step-by-step",
        action="store_true",
        help="show one question in the model as it learns; in a terminal, Enter goes on",
    )
    train.add_argument("--question", help=f'to show step by step (default "{_QUESTION}")')
    mine.add_option(train)

    ask = add(
        digits,
        "ask",
        _ask,
        "ask the digit model; it is trained on first use",
        f'groundup digits ask "{_QUESTION}"',
    )
    ask.add_argument(
        "question",
        nargs="*",
        help=f'such as "{_QUESTION}" or "second 1, 2, 3"; with a number above 9, as in '
        '"Max ( 53 9 70 )", the two-digit model answers (default: ask in a loop; quit ends)',
    )
    ask.add_argument("--checkpoint", type=Path, help="a file of groundup digits train --output")

    report = add(
        digits,
        "report",
        _report,
        "show what the digit model has learned: mistakes, heads, number line",
        "groundup digits report",
    )
    report.add_argument("--checkpoint", type=Path, help="a file of groundup digits train --output")


def _train(options: argparse.Namespace) -> int:
    if options.question is not None and not options.step_by_step:
        raise UserError("--question is shown by --step-by-step: give both")
    if options.two_digit and (options.plain or options.step_by_step):
        raise UserError("--two-digit has no fast twin and no --step-by-step: leave both out")
    if options.mine is not None:
        return _train_mine(options)
    from groundup.apps.digits import show_digits

    given = {name: getattr(options, name) for name in _RECIPE}
    if options.two_digit:
        show_digits.train_two_digit(given, options.output, options.resume)
        return 0
    question = (options.question or _QUESTION) if options.step_by_step else None
    given["plain"] = options.plain
    show_digits.train(given, options.output, options.resume, question)
    return 0


def _train_mine(options: argparse.Namespace) -> int:
    if options.resume or options.step_by_step:
        raise UserError("--mine trains from the start to the end: no --resume, no --step-by-step")
    from groundup.course.mine import launcher, reference

    recipe = ["digits", "train"]
    for name in _RECIPE:
        if getattr(options, name) is not None:
            recipe += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    recipe += ["--two-digit"] if options.two_digit else []
    output = [] if options.output is None else ["--output", options.output]
    again = reference.of_command("groundup.apps.digits.show_digits", recipe)
    return launcher.run(mine.itself(options, *recipe, *output), options.mine, again)


def _ask(options: argparse.Namespace) -> int:
    from groundup.apps.digits.ask_digits import ask

    question = " ".join(options.question) if options.question else None
    return ask(question, options.checkpoint)


def _report(options: argparse.Namespace) -> int:
    from groundup.apps.digits import digit_report

    digit_report.report(options.checkpoint)
    return 0
