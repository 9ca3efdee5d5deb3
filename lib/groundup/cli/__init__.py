"""The command line. Each command is a few lines over a library call; heavy imports wait for it."""

import os
import sys
from pathlib import Path

from groundup import __version__
from groundup.cli import course, doctor, learn, library
from groundup.cli.parser import Parser
from groundup.course.environment import require_home
from groundup.lab.errors import GroundUpError, UserError
from groundup.lab.quiet import quiet_libraries

# The extra that brings a package; embed brings all that Parts II and III need, so it is said once.
EXTRAS = {
    **dict.fromkeys(("torch", "transformers", "tokenizers", "accelerate", "pyarrow"), "embed"),
    **dict.fromkeys(("huggingface_hub", "pandas", "psutil"), "embed"),
    **dict.fromkeys(("peft", "datasets", "mteb", "duckdb", "bm25s"), "embed"),
    **dict.fromkeys(("matplotlib", "cycler"), "plot"),
    **dict.fromkeys(("jupytext", "jupyter_client", "nbclient", "nbformat", "IPython"), "docs"),
    **dict.fromkeys(("griffe", "latex2mathml"), "docs"),
    "pytest": "learn",
}


def build_parser() -> Parser:
    """All commands and their options."""
    parser = Parser(
        prog="groundup",
        description="From a transformer in NumPy to NeoBERT to sentence embeddings.",
        epilog="Start with: groundup start",
    )
    parser.add_argument("--version", action="version", version=f"groundup {__version__}")
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (before the command)"
    )
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=Parser)
    for room in (library, learn, doctor, course):
        room.add_commands(commands)
    return parser


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
        require_home(Path(sys.prefix))
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
        if options.debug or package not in EXTRAS:
            raise
        print(
            f"error: this command needs the package {package}: "
            f"pip install -c constraints.txt -e '.[{EXTRAS[package]}]'",
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
