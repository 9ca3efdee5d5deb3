"""Processes started through torchrun: what they say arrives, and their failure is ours."""

import json
from pathlib import Path

import pytest

from groundup.lab.errors import WorkError
from groundup.lab.launch import torchrun

GOOD = """
import json, os
rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
print(json.dumps({"rank": rank, "of": processes}), flush=True)
print("not a message")
"""
BAD = """
import os, sys
if os.environ["RANK"] == "1":
    sys.exit("error: the second process ran out of luck")
"""


def test_messages_and_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "good_module.py").write_text(GOOD)
    (tmp_path / "bad_module.py").write_text(BAD)
    heard: list[dict[str, int]] = []
    torchrun("good_module", [], 2, heard.append)
    assert sorted(map(json.dumps, heard)) == ['{"rank": 0, "of": 2}', '{"rank": 1, "of": 2}']
    with pytest.raises(WorkError, match="the second process ran out of luck"):
        torchrun("bad_module", [], 2, heard.append)
