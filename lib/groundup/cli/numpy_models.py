"""The commands of the NumPy models: digits train, ask, report; text train, write."""

import argparse
from pathlib import Path

from groundup.cli import mine
from groundup.cli.parser import Commands, Parser, add, add_group, natural, positive
from groundup.lab.errors import UserError

_QUESTION = "Max ( 5 3 9 )"


def add_commands(commands: Commands) -> None:
    """Add them."""
    digits = add_group(commands, "digits", "train or ask the digit model (NumPy)")
    train = add(
        digits,
        "train",
        _train_digits,
        "train the digit model",
        "groundup digits train --size medium --epochs 4",
    )
    train.add_options = _add_digit_options
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
    report = add(
        digits,
        "report",
        _report,
        "show what the digit model has learned: mistakes, heads, number line",
        "groundup digits report",
    )
    for command in (ask, report):
        command.add_argument("--checkpoint", type=Path, help="a file of digits train --output")

    text = add_group(commands, "text", "train a decoder on a text, and let it write (NumPy)")
    train = add(
        text,
        "train",
        _train_text,
        "train a decoder on a text",
        "groundup text train --data my_book.txt --tokenizer bpe",
    )
    train.add_options = _add_text_options
    write = add(
        text,
        "write",
        _write,
        "let the text model write on",
        'groundup text write "Once upon a time" --temperature 0.7',
    )
    write.add_argument("prompt", nargs="?", default="", help="the beginning (default: none)")
    write.add_argument("--tokens", type=positive, help="how many are written (default 200)")
    write.add_argument(
        "--temperature", type=float, help="below 1 is surer, above 1 bolder (default 0.8)"
    )
    write.add_argument("--top-k", type=positive, help="choose among the k likeliest tokens")
    write.add_argument("--top-p", type=float, help="choose among those that reach probability p")
    write.add_argument("--seed", type=natural, help="of the choices (default 0)")
    write.add_argument("--greedy", action="store_true", help="always the likeliest token")
    write.add_argument(
        "--beam", type=positive, metavar="W", help="the likeliest text, of W kept at each token"
    )
    write.add_argument("--checkpoint", type=Path, help="a file of text train --output")


def _add_digit_options(train: Parser) -> None:
    from groundup.apps.digits.recipes import DigitRecipe, TwoDigitRecipe
    from groundup.cli.recipe_options import add_recipe

    add_recipe(train, DigitRecipe, {"--two-digit": TwoDigitRecipe})
    _add_training(train, "runs/digits/…")
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


def _add_text_options(train: Parser) -> None:
    from groundup.apps.text.text_model import TextRecipe
    from groundup.cli.recipe_options import add_recipe

    add_recipe(train, TextRecipe)
    _add_training(train, "runs/text/…")


def _add_training(train: Parser, default: str) -> None:
    train.add_argument("--output", type=Path, help=f"checkpoint file (default {default})")
    train.add_argument("--resume", action="store_true", help="go on with the unfinished training")


def _train_digits(options: argparse.Namespace) -> int:
    from groundup.apps.digits import digit_training
    from groundup.apps.digits.recipes import DigitRecipe, TwoDigitRecipe
    from groundup.cli.recipe_options import given

    if options.question is not None and not options.step_by_step:
        raise UserError("--question is shown by --step-by-step: give both")
    if options.two_digit and (options.plain or options.step_by_step):
        raise UserError("--two-digit has no fast twin and no --step-by-step: leave both out")
    if options.mine is not None:
        return _train_mine(options)
    if options.two_digit:
        said = given(options, TwoDigitRecipe)
        digit_training.train_two_digit(said, options.output, options.resume)
        return 0
    question = (options.question or _QUESTION) if options.step_by_step else None
    said = given(options, DigitRecipe)
    digit_training.train(said, options.output, options.resume, question)
    return 0


def _train_mine(options: argparse.Namespace) -> int:
    if options.resume or options.step_by_step:
        raise UserError("--mine trains from the start to the end: no --resume, no --step-by-step")
    from groundup.apps.digits import digit_model, two_digit_model
    from groundup.apps.digits.recipes import QuestionRecipe
    from groundup.cli.recipe_options import as_arguments, given
    from groundup.course.mine import launcher, reference

    said = given(options, QuestionRecipe)
    task = two_digit_model.TASK if options.two_digit else digit_model.TASK
    task.choose_recipe(said, task.path)  # refused here, not in the process that it starts
    recipe = ["digits", "train", *as_arguments(said)]
    recipe += ["--two-digit"] if options.two_digit else []
    output = [] if options.output is None else ["--output", options.output]
    again = reference.of_command("groundup.apps.digits.digit_training", recipe)
    return launcher.run(mine.itself(options, *recipe, *output), options.mine, again)


def _ask(options: argparse.Namespace) -> int:
    from groundup.apps.digits.digit_answers import ask

    question = " ".join(options.question) if options.question else None
    return ask(question, options.checkpoint)


def _report(options: argparse.Namespace) -> int:
    from groundup.apps.digits import digit_report

    digit_report.report(options.checkpoint)
    return 0


def _train_text(options: argparse.Namespace) -> int:
    from groundup.apps.text import text_training
    from groundup.apps.text.text_model import TextRecipe
    from groundup.cli.recipe_options import given

    text_training.train(given(options, TextRecipe), options.output, options.resume)
    return 0


def _write(options: argparse.Namespace) -> int:
    from groundup.apps.text.text_writing import write

    write(
        options.prompt,
        options.checkpoint,
        options.tokens,
        likeliest=options.greedy,
        beam=options.beam,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
    )
    return 0
