"""Processes started through torchrun: what they say arrives, and their failure is ours."""

from pathlib import Path

import pytest

from groundup.lab.errors import WorkError
from groundup.train.launch import torchrun

GOOD = """
import os
from groundup.train.launch import say
rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
for number in range(500):
    print("not a message")
    say({"rank": rank, "of": processes, "number": number})
"""
BAD = """
import os, sys
if os.environ["RANK"] == "1":
    sys.exit("error: the second process ran out of luck")
"""


def test_messages_and_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")  # each write then goes out at once
    (tmp_path / "good_module.py").write_text(GOOD)
    (tmp_path / "bad_module.py").write_text(BAD)
    heard: list[dict[str, int]] = []
    torchrun("good_module", [], 2, heard.append)
    expected = [(rank, 2, number) for rank in range(2) for number in range(500)]
    assert sorted((each["rank"], each["of"], each["number"]) for each in heard) == expected
    with pytest.raises(WorkError, match="the second process ran out of luck"):
        torchrun("bad_module", [], 2, heard.append)


@pytest.mark.parametrize("processes", [0, -1, 1.5])
def test_no_process_is_refused(processes: float) -> None:
    with pytest.raises(ValueError, match=f"processes must be .*: got {processes}"):
        torchrun("good_module", [], processes, print)  # type: ignore[arg-type]
