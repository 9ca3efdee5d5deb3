"""The command that examines the machine."""

import argparse

from groundup.cli.parser import Commands, add


def add_commands(commands: Commands) -> None:
    """Add it."""
    doctor = add(
        commands,
        "doctor",
        _doctor,
        "run what the course needs, and say what to mend",
        "groundup doctor --json",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")


def _doctor(options: argparse.Namespace) -> int:
    from groundup.doctor.report import doctor

    return doctor(options.json)
