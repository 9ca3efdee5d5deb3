"""The command line. Each command is a few lines over a library call; heavy imports wait for it."""

import os
import sys
from pathlib import Path

TYPE_CHECKING = False  # as type checkers read it; typing itself would be imported unguarded
if TYPE_CHECKING:
    from groundup.cli.parser import Parser

# The extra that brings a package; embed brings all that Parts II and III need, so it is said once.
EXTRAS = {
    **dict.fromkeys(("torch", "transformers", "tokenizers", "accelerate", "pyarrow"), "embed"),
    **dict.fromkeys(("huggingface_hub", "pandas", "psutil"), "embed"),
    **dict.fromkeys(("peft", "datasets", "mteb", "duckdb", "bm25s"), "embed"),
    **dict.fromkeys(("matplotlib", "cycler"), "plot"),
    **dict.fromkeys(("jupytext", "jupyter_client", "nbclient", "nbformat", "IPython"), "docs"),
    **dict.fromkeys(("griffe", "latex2mathml"), "docs"),
    **dict.fromkeys(("packaging", "pytest"), "learn"),
}


def build_parser() -> "Parser":
    """All commands and their options."""
    from functools import partial

    from groundup import __version__
    from groundup.cli import learn, library, maintain
    from groundup.cli.parser import Parser, PartsFormatter

    titles: dict[str, str] = {}
    parser = Parser(
        prog="groundup",
        formatter_class=partial(PartsFormatter, titles),
        description="From a transformer in NumPy to NeoBERT to sentence embeddings.",
        epilog="Start with: groundup start",
    )
    parser.add_argument("--version", action="version", version=f"groundup {__version__}")
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (before the command)"
    )
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=Parser)
    parts = {"learn": learn, "use the library": library, "maintain": maintain}
    for title, part in parts.items():
        before = len(commands.choices)
        part.add_commands(commands)
        titles[list(commands.choices)[before]] = title
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 the work failed, 2 the call was wrong, 130 interrupted.
    """
    # NumPy's matrices here are small: a second BLAS thread costs more than it brings. It has to be
    # set before NumPy is imported, and a setting of the user's own is kept.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:  # from the first import on: Ctrl-C may come at any moment
        from groundup.lab.library_logs import quiet_libraries
        from groundup.lab.streams import discard_output, prepare_streams

        prepare_streams()
        quiet_libraries()
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("\ninterrupted: nothing half-written was left behind")
        return 130
    except BrokenPipeError:  # the reader (`| head`) has left; nothing more can be said to it
        discard_output(sys.stdout)
        return 0
    except OSError as error:  # of the flush, such as a full disk
        discard_output(sys.stdout)
        _complain(f"error: the output can't be written: {error.strerror}")
        return 1
    return code


def _run(arguments: list[str] | None) -> int:
    """The same, with what is printed perhaps not yet written out."""
    debug = False
    try:
        parser = build_parser()
        options, unknown = parser.parse_known_args(arguments)
        debug = options.debug
        if options.command is None and not unknown:
            parser.print_help()
            return 0
        if unknown:  # told by the command that they were given to, whose help they need
            getattr(options, "parser", parser).error(f"not understood: {' '.join(unknown)}")
        from groundup.course.environment import require_home

        require_home(Path(sys.prefix))
        return int(options.action(options))
    except SystemExit as exit_:  # of the parser: its help, or a wrong call
        return int(exit_.code or 0)
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        text, code = _told(error)
        _complain(f"error: {text}")
        return code


def _told(error: Exception) -> tuple[str, int]:
    """One line about an error, and the exit code."""
    from groundup.lab.errors import GroundUpError, UserError

    if isinstance(error, GroundUpError):
        return str(error), error.exit_code
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in EXTRAS:
            install = f"pip install -c constraints.txt -e '.[{EXTRAS[package]}]'"
            return f"this command needs the package {package}: {install}", UserError.exit_code
    if isinstance(error, OSError):
        try:
            os.getcwd()
        except OSError:
            return "the folder that you are in is gone: change to another with cd", 2
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", 1
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{said}. Not expected: groundup --debug before the command shows where", 1


def _complain(text: str) -> None:
    try:
        print(text, file=sys.stderr)
    except OSError:  # the reader of the errors has left too
        return
