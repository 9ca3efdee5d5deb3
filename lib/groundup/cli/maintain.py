"""The commands that maintain the course: generated files, the proofs of its checks, the site."""

import argparse
from pathlib import Path

from groundup.cli.parser import Commands, add, add_group, port


def add_commands(commands: Commands) -> None:
    """Add them."""
    course = add_group(commands, "course", "maintain the course")
    build = add(
        course,
        "build",
        _build,
        "generate stubs and solutions from the library",
        "groundup course build --check",
    )
    build.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    build.add_argument("--force", action="store_true", help="replace edited stubs, after a backup")
    report = add(
        course,
        "report",
        _report,
        "prove the checks: which one rejects which wrong version",
        "groundup course report 5.1",
    )
    report.add_argument("selection", nargs="?", help="an exercise (5.1) or a chapter; default: all")
    report.add_argument("--json", action="store_true", help="one JSON document on stdout")

    docs = add_group(commands, "docs", "build or serve the site")
    site = add(docs, "build", _docs_build, "build the site", "groundup docs build --strict")
    site.add_argument("--strict", action="store_true", help="fail on any warning")
    serve = add(docs, "serve", _docs_serve, "build and serve the site", "groundup docs serve")
    serve.add_argument("--port", type=port, default=8000, help="on 127.0.0.1 (default 8000)")
    for command in (site, serve):
        command.add_argument("--target", type=Path, default=Path("site"), help="output folder")


def _build(options: argparse.Namespace) -> int:
    from groundup.course import clone
    from groundup.course.authoring import stubs

    written = stubs.build(clone.root(), check=options.check, force=options.force)
    for path in written:
        print(path)
    return 0


def _report(options: argparse.Namespace) -> int:
    from groundup.course.exercises import mutation_report

    return mutation_report.report(options.selection, options.json)


def _docs_build(options: argparse.Namespace) -> int:
    from groundup.course.chapters import site

    site.build(strict=options.strict, target=options.target)
    return 0


def _docs_serve(options: argparse.Namespace) -> int:
    from groundup.course.chapters import site

    site.serve(options.port, options.target)
    return 0
