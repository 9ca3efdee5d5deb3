"""How a run ends: its exit status, a Ctrl-C, a reader who leaves, and processes of torchrun."""

import re
import signal
import subprocess
import sys
from typing import Any

import pytest


def test_the_exit_status_of_the_run_is_kept(clone: Any) -> None:
    never = "import sys, groundup.scratch.optim\n"
    assert "Traceback" in clone.script(never + "1 / 0", mine="5.1", code=1).stderr
    done = clone.script(never + "sys.exit(3)", mine="5.1", code=3)
    assert "never called" in done.stdout
    assert done.stderr == ""
    clone.script(clone.adam + "\nimport sys; sys.exit(3)", mine="5.1", code=3)
    clone.script(clone.adam + "\nimport sys; sys.exit()", mine="5.1", code=0)
    clone.script(never + "sys.exit()", mine="5.1", code=1)


def test_ctrl_c_is_130_and_reports(clone: Any) -> None:
    (clone.root / "script.py").write_text(clone.adam + "\nprint('ready', flush=True)\ninput()")
    command = [sys.executable, "script.py"]
    process = subprocess.Popen(
        command,
        cwd=clone.root,
        env=clone.environment("5.1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # Whoever runs the tests in the background ignores it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT  # a shell says 130
    assert re.search(r"adam +100 ", out)


def test_a_reader_may_leave(clone: Any) -> None:
    (clone.root / "script.py").write_text(clone.adam + "\nprint('done', flush=True)\ninput()")
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=clone.root,
        env=clone.environment("5.1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "done\n"
    process.stdout.close()  # as `| head -1` does
    process.stdin.write("\n")
    process.stdin.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 0
    process.stderr.close()


RANKS = """
import os
import torch
from groundup.embed.losses import info_nce
from groundup.train.launch import send_message

rank = int(os.environ["RANK"])
torch.manual_seed(0)
queries, documents = torch.randn(2, 3, 5), torch.randn(6, 5)
for n in range(4 + rank):
    loss = info_nce(queries[rank], documents, offset=3 * rank)
send_message({"rank": rank, "loss": float(loss)})
"""
LAUNCH = """
from groundup.train.launch import torchrun
torchrun("ranks", [], 2, print)
"""


@pytest.mark.slow
def test_processes_of_torchrun_are_told_together(clone: Any) -> None:
    (clone.root / "ranks.py").write_text(RANKS)
    clone.mutate("19_1_info_nce", "no_offset")  # right in process 0, whose offset is 0
    out = clone.script(LAUNCH, mine="19.1").stdout
    assert re.search(r"19\.1 info_nce +9 ", out)
    assert "differs in 3 of 6 compared calls" in out
    assert "first difference is in the result, call 1 of process 1" in out
