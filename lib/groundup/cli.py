"""The command line. Each command is a few lines over a library call; heavy imports wait for it."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from groundup import __version__
from groundup.lab.errors import GroundUpError, UserError
from groundup.lab.quiet import quiet_libraries

Command = Callable[[argparse.Namespace], int]

_EXTRAS = {
    **dict.fromkeys(("torch", "transformers", "tokenizers", "accelerate", "pyarrow"), "embed"),
    **dict.fromkeys(("peft", "datasets", "mteb", "duckdb", "bm25s"), "embed"),
    "matplotlib": "plot",
    "pytest": "dev",
}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(UserError.exit_code)


def _tour(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    from groundup.course.plan import FULL, QUICK
    from groundup.course.tour import run_tour

    run_tour(QUICK if options.quick else FULL, options.resume, options.seed, began)
    return 0


def _digits_train(options: argparse.Namespace) -> int:
    from groundup.course import digits, terminal
    from groundup.scratch.trainer import TrainConfig

    config = TrainConfig(
        steps=options.steps, batch_size=options.batch_size, lr=options.lr, seed=options.seed
    )
    terminal.train_digits(config, options.output or digits.checkpoint_path())
    return 0


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


def _check(options: argparse.Namespace) -> int:
    from groundup.course.exercises import check

    return check(options.exercise)


def _build(options: argparse.Namespace) -> int:
    from groundup.course import clone, generate

    written = generate.build(clone.root(), check=options.check, force=options.force)
    for path in written:
        print(path)
    return 0


def _chapter(options: argparse.Namespace) -> int:
    import subprocess

    from groundup.course import clone

    root = clone.root()
    chapters = {path.name[:2]: path for path in sorted((root / "chapters").glob("[0-9][0-9]_*.py"))}
    path = chapters.get(f"{options.number:02d}")
    if path is None:
        raise UserError(
            f"there is no chapter {options.number} yet; chapters: {', '.join(chapters) or 'none'}"
        )
    return subprocess.run([sys.executable, str(path)], check=False).returncode


def _docs_build(options: argparse.Namespace) -> int:
    from groundup.course import site

    site.build(strict=options.strict, target=options.target)
    return 0


def _docs_serve(options: argparse.Namespace) -> int:
    from groundup.course import site

    site.serve(options.port, options.target)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = _Parser(
        prog="groundup",
        description="From a transformer in NumPy to NeoBERT to sentence embeddings.",
        epilog='Start with: groundup digits ask "Max ( 5 3 9 )"',
    )
    parser.add_argument("--version", action="version", version=f"groundup {__version__}")
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (before the command)"
    )
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=_Parser)

    def add(
        group: "argparse._SubParsersAction[_Parser]",
        name: str,
        action: Command,
        about: str,
        example: str,
    ) -> argparse.ArgumentParser:
        command = group.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=f"Example: {example}",
        )
        command.set_defaults(action=action)
        return command

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

    group = commands.add_parser("digits", help="train or ask the digit model (NumPy)")
    group.set_defaults(action=_needs_more(group))
    digits = group.add_subparsers(metavar="command", parser_class=_Parser)
    train = add(
        digits, "train", _digits_train, "train the digit model", "groundup digits train --steps 600"
    )
    train.add_argument("--steps", type=_positive, default=600, help="optimizer steps (default 600)")
    train.add_argument("--batch-size", type=_positive, default=64, help="examples a step")
    train.add_argument("--lr", type=float, default=2e-3, help="peak learning rate (default 0.002)")
    train.add_argument("--seed", type=int, default=0, help="of split, weights and order")
    train.add_argument("--output", type=Path, help="checkpoint file")
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
    search.add_argument("--top", type=_positive, default=5, help="how many answers (default 5)")
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

    chapter = add(commands, "chapter", _chapter, "run a chapter", "groundup chapter 5")
    chapter.add_argument("number", type=_positive, help="its number")

    check = add(
        commands, "check", _check, "check what you wrote in an exercise", "groundup check 5.1"
    )
    check.add_argument("exercise", nargs="?", help="an exercise (5.1), a chapter (5), or all")

    group = commands.add_parser("course", help="maintain the course")
    group.set_defaults(action=_needs_more(group))
    course = group.add_subparsers(metavar="command", parser_class=_Parser)
    build = add(
        course,
        "build",
        _build,
        "generate stubs and solutions from the library",
        "groundup course build --check",
    )
    build.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    build.add_argument("--force", action="store_true", help="replace edited stubs, after a backup")

    group = commands.add_parser("docs", help="build or serve the site")
    group.set_defaults(action=_needs_more(group))
    docs = group.add_subparsers(metavar="command", parser_class=_Parser)
    site = add(docs, "build", _docs_build, "build the site", "groundup docs build --strict")
    site.add_argument("--strict", action="store_true", help="fail on any warning")
    serve = add(docs, "serve", _docs_serve, "build and serve the site", "groundup docs serve")
    serve.add_argument("--port", type=_port, default=8000, help="on 127.0.0.1 (default 8000)")
    for command in (site, serve):
        command.add_argument("--target", type=Path, default=Path("site"), help="output folder")
    return parser


def _needs_more(group: argparse.ArgumentParser) -> Command:
    def fail(_: argparse.Namespace) -> int:
        group.error("a command is missing")

    return fail


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1: got {number}")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"must lie in 1 to 65535: got {number}")
    return number


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 the work failed, 2 the call was wrong, 130 interrupted.
    """
    # NumPy's matrices here are small: a second BLAS thread costs more than it brings. It has to be
    # said before NumPy is imported, and the user's own setting stands.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    quiet_libraries()
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return int(options.action(options))
    except KeyboardInterrupt:
        print("\ninterrupted: nothing half-written was left behind", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has left; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if options.debug or package not in _EXTRAS:
            raise
        print(
            f"error: this command needs the package {package}: "
            f"pip install -c constraints.txt -e '.[{_EXTRAS[package]}]'",
            file=sys.stderr,
        )
        return UserError.exit_code
    except GroundUpError as error:
        if options.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if options.debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
