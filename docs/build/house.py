"""The house as a drawing, made from the import contracts of ``pyproject.toml``.

``python docs/build/house.py`` writes it into CONTRIBUTING.md.
"""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DRAWING = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)


def drawing(pyproject: str) -> str:
    """The rooms and who imports whom, as a Mermaid flowchart in a fence of Markdown.

    An arrow leads from each floor to the next one below. Rooms on one floor do not know each other.

    Args:
        pyproject: the text of ``pyproject.toml``.
    """
    contracts = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    lines = ["```mermaid", "flowchart TD"]
    for contract in contracts:
        if contract["type"] == "layers" and "containers" not in contract:
            floors = [_rooms(floor.split(" | ")) for floor in contract["layers"]]
            lines += [f"  {above} --> {below}" for above, below in pairwise(floors)]
        elif contract["type"] == "protected":
            importers = _rooms(sorted(contract["allowed_importers"]))
            lines.append(f"  {importers} -.-> {_rooms(contract['protected_modules'])}")
    return "\n".join([*dict.fromkeys(lines), "```"]) + "\n"


def _rooms(modules: list[str]) -> str:
    return " & ".join(module.removeprefix("groundup.") for module in modules)


def main() -> None:
    """Write the drawing into CONTRIBUTING.md."""
    page, made = ROOT / "CONTRIBUTING.md", drawing((ROOT / "pyproject.toml").read_text("utf-8"))
    text, count = _DRAWING.subn(lambda _: made, page.read_text("utf-8"))
    if count != 1:
        raise SystemExit("CONTRIBUTING.md must hold one drawing: a fence that begins ```mermaid")
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
