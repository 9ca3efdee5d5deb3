"""Processes started through torchrun: what they say arrives, and their failure is ours."""

from pathlib import Path

import pytest

from groundup.lab.errors import WorkError
from groundup.train.launch import torchrun

MODULE = """
import os, pathlib, sys, time
from groundup.train.launch import send_message
rank, processes, sent = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), sys.argv[1]
for number in range(500):
    print("not a message")
    send_message({"rank": rank, "of": processes, "number": number})
if rank == 0:
    pathlib.Path(sent).touch()
else:
    while not os.path.exists(sent):
        time.sleep(0.01)
    sys.exit("error: the second process ran out of luck")
"""


def test_messages_and_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")  # each write then goes out at once
    (tmp_path / "failing_module.py").write_text(MODULE)
    heard: list[dict[str, int]] = []
    with pytest.raises(WorkError, match="the second process ran out of luck"):
        torchrun("failing_module", [str(tmp_path / "sent")], 2, heard.append)
    expected = [(rank, 2, number) for rank in range(2) for number in range(500)]
    assert sorted((each["rank"], each["of"], each["number"]) for each in heard) == expected


@pytest.mark.parametrize("processes", [0, -1, 1.5])
def test_no_process_is_refused(processes: float) -> None:
    with pytest.raises(ValueError, match=f"processes must be .*: got {processes}"):
        torchrun("a_module", [], processes, print)  # type: ignore[arg-type]
