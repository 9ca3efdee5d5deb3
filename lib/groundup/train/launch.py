"""Run a module in several processes with torchrun, and receive their messages."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from groundup.lab.errors import WorkError
from groundup.lab.ranges import require_whole


def send_message(message: dict[str, Any]) -> None:
    """Send a message from a process to the caller of :func:`torchrun`.

    The line is written in one piece, which a pipe keeps whole up to 4,096 bytes (POSIX, PIPE_BUF).
    It begins with a line end of its own: ``print`` writes its text and its line end apart where
    Python does not buffer (``PYTHONUNBUFFERED``), and the message may come between the two.
    """
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), f"\n{json.dumps(message)}\n".encode())


def torchrun(
    module: str,
    arguments: list[str],
    processes: int,
    on_message: Callable[[dict[str, Any]], None],
) -> None:
    """Start ``processes`` copies of a module on this machine and wait for them.

    Args:
        module: importable name, run as ``python -m``.
        arguments: passed to each copy.
        processes: how many; the cores are shared out among them.
        on_message: called with each message of :func:`send_message`.

    Raises:
        ValueError: there is no process to start.
        WorkError: a copy failed; the message ends with the last lines it wrote.
    """
    require_whole(processes=processes)
    threads = max(1, (os.cpu_count() or 1) // processes)
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "1"]
    command += ["--nproc-per-node", str(processes)]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    command += ["--local-addr", "127.0.0.1", "-m", module, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile("w+") as errors:
        # A session of its own: a Ctrl-C reaches this process alone, which then ends the others.
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
            env=environment,
            start_new_session=True,
        )
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if line.startswith("{"):
                    on_message(json.loads(line))
            code = child.wait()
        finally:
            _end(child)
        if code:
            errors.seek(0)
            raise WorkError(f"{module} failed in {processes} processes:\n{_reason(errors.read())}")


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _reason(errors: str) -> str:
    """The lines that say why: ours if there is one, else the last before torchrun's own report."""
    lines = [line for line in errors.splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("error: ")]
    if ours:
        return ours[0].removeprefix("error: ")
    raised = [line for line in lines if "Error" in line and "ChildFailedError" not in line]
    return "\n".join(raised[-3:] or lines[-10:])
