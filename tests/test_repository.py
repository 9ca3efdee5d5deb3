"""What the repository itself promises."""

import json
import re
import subprocess
from pathlib import Path

import house
import pytest

ROOT = Path(__file__).parents[1]


def ignored(path: str) -> bool:
    result = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False)
    assert result.returncode in (0, 1), "git check-ignore failed"
    return result.returncode == 0


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("docs/assets/ladder.svg", False),
        ("docs/assets/extra.css", False),
        ("lib/groundup/lab/files.py", False),
        ("lib/groundup/embed/search.py", False),
        ("docs/site/page.md", False),
        ("lib/groundup/runs/x.py", False),
        ("assets/model.safetensors", True),
        ("runs/tour-1/run.json", True),
        ("exercises/progress.json", True),
        ("lib/groundup/course/exercises/progress.py", False),
        ("site/index.html", True),
        (".venv/bin/python", True),
        (".venv-newest/bin/python", True),
        (".github/workflows/newest.yml", False),
        ("docs/node_modules/katex/package.json", True),
    ],
)
def test_gitignore(path: str, expected: bool) -> None:
    assert ignored(path) is expected


def test_readme_shows_the_recorded_tour() -> None:
    """Each row of the README's table is a row of the committed run."""
    record = json.loads((ROOT / "benchmarks/results/tour.json").read_text("utf-8"))
    readme = (ROOT / "README.md").read_text("utf-8")
    for row in record["rows"]:
        expected = f"| {row['ndcg']:.3f} | {row['recall']:.3f} |"
        assert any(row["what"] in line and expected in line for line in readme.splitlines()), row
    assert f"{record['seconds']:.0f} seconds" in readme


def _contracts() -> str:
    return (ROOT / "pyproject.toml").read_text("utf-8")


def test_the_house_is_drawn_as_the_contracts_hold_it() -> None:
    assert house.drawing(_contracts()) in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_every_room_is_drawn() -> None:
    rooms = {path.parent.name for path in (ROOT / "lib/groundup").glob("*/__init__.py")}
    assert rooms == set(re.findall(r"\b[a-z]+\b", house.drawing(_contracts()).split("TD")[1]))


def test_what_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`((?:lib|docs|tests|benchmarks|chapters)/[\w./]+)`", text)
    assert len(named) > 50
    missing = [name for name in named if not (ROOT / name).exists()]
    assert missing == ["chapters/NN_name.py", "benchmarks/results/NAME.json"]


def test_where_is_answers_thirty_questions() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("### Where is…")[1]
    rows = [line for line in table.split("\n\n")[1].splitlines() if "`" in line]
    assert len(rows) == 30
