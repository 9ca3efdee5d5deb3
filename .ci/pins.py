"""Compare what is installed with the pins of constraints.txt; exit with 1 if they differ."""

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

FILE = Path(__file__).parents[1] / "constraints.txt"
UNPINNED = {"groundup", "pip"}  # this project, and the tool that Python brings


def pins(text: str) -> dict[str, str]:
    """Name and version of every line that applies to this Python and system."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            exact = re.fullmatch("==([^*,]+)", str(requirement.specifier))
            if exact is None or requirement.url:
                raise ValueError(f"{FILE.name}: not a name and an exact version: {line!r}")
            if requirement.marker is None or requirement.marker.evaluate():
                found[canonicalize_name(requirement.name)] = exact[1]
    return found


def differences(pinned: dict[str, str], installed: dict[str, str]) -> list[str]:
    """A line for each installed package that is not the pinned one; local labels do not count."""
    lines = []
    for name, version in sorted(installed.items()):
        if name in UNPINNED:
            continue
        if name not in pinned:
            lines.append(f"{name} {version} is installed and has no pin: run make lock")
        elif Version(version).public != Version(pinned[name]).public:
            lines.append(f"{name} {version} is installed, {pinned[name]} is pinned: run make setup")
    return lines


def main() -> int:
    """Print the differences."""
    installed = {canonicalize_name(d.name): d.version for d in metadata.distributions()}
    wrong = differences(pins(FILE.read_text(encoding="utf-8")), installed)
    print("\n".join(wrong) or f"{len(installed)} packages are the pinned ones")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
