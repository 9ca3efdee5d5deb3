"""The commands of the text model: train a decoder on any text, let it write."""

import argparse
from pathlib import Path

from groundup.cli.parser import Commands, add, add_group, natural, positive
from groundup.lab.errors import UserError

_RECIPE = (
    *("data", "column", "encoding", "megabytes", "tokenizer", "vocabulary"),
    *("width", "layers", "heads", "context", "steps", "batch_size", "lr", "seed"),
)


def add_commands(commands: Commands) -> None:
    """Add them."""
    text = add_group(commands, "text", "train a decoder on a text, and let it write (NumPy)")
    train = add(
        text,
        "train",
        _train,
        "train a decoder on a text",
        "groundup text train --data my_book.txt --tokenizer bpe",
    )
    train.add_argument(
        "--data",
        help="a text file; a table (.csv, .tsv, .jsonl, .json, .parquet); a folder of such, also "
        "packed (.gz, .bz2, .xz); or a data set of the Hub, such as roneneldan/TinyStories "
        "(default: stories from a small grammar)",
    )
    train.add_argument(
        "--encoding",
        help="of files that are not UTF-8 and have no byte order mark, such as cp1252 (Windows)",
    )
    train.add_argument("--column", help="the column of a data set that holds the text")
    train.add_argument(
        "--megabytes", type=positive, help="read at most so many million characters (default 200)"
    )
    train.add_argument(
        "--tokenizer",
        help="char (the default); bpe, learned from the text; gpt2, or another byte-level "
        "tokenizer of the Hub or a folder",
    )
    train.add_argument(
        "--vocabulary", type=positive, help="tokens that bpe learns at most (default 1000)"
    )
    train.add_argument("--width", type=positive, help="of the model (default 64)")
    train.add_argument("--layers", type=positive, help="of the model (default 2)")
    train.add_argument("--heads", type=positive, help="of the model (default 4)")
    train.add_argument("--context", type=positive, help="tokens it looks back on (default 64)")
    train.add_argument("--steps", type=positive, help="optimizer steps (default 1000)")
    train.add_argument("--batch-size", type=positive, help="rows a step (default 32)")
    train.add_argument("--lr", type=float, help="peak learning rate (default 0.003)")
    train.add_argument("--seed", type=natural, help="of weights and order (default 0)")
    train.add_argument("--output", type=Path, help="checkpoint file (default runs/text/…)")
    train.add_argument("--resume", action="store_true", help="go on with the unfinished training")

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
    write.add_argument("--checkpoint", type=Path, help="a file of groundup text train --output")


def _train(options: argparse.Namespace) -> int:
    from groundup.apps.text import show_text

    given = {name: getattr(options, name) for name in _RECIPE}
    show_text.train(given, options.output, options.resume)
    return 0


def _write(options: argparse.Namespace) -> int:
    sampled = (options.temperature, options.top_k, options.top_p, options.seed)
    if options.greedy and options.beam is not None:
        raise UserError("--greedy and --beam are two ways to choose: give one")
    certain = options.greedy or options.beam is not None
    if certain and any(value is not None for value in sampled):
        raise UserError(
            "--temperature, --top-k, --top-p and --seed are for sampling: leave out --greedy and "
            "--beam"
        )
    from groundup.apps.text import show_text

    temperature = 0.8 if options.temperature is None else options.temperature
    choose = None
    if not certain:
        choose = show_text.sampling(options.seed or 0, temperature, options.top_k, options.top_p)
    show_text.write(options.prompt, options.checkpoint, options.tokens, choose, options.beam)
    return 0
