"""Run somebody's code in a process of its own, with limits, and hear how it went.

The process is forked from this one, so everything that is imported here is there at once. The
limits are against accidents (an endless loop, a huge array), not against malice: the code can still
read and write the files that its user can.
"""

import faulthandler
import io
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any

from groundup.lab.errors import UserError

Message = dict[str, Any]
Send = Callable[[Message], None]

_KEPT = 2_000  # characters of what the code prints
_GRACE = 2.0  # seconds that code which swallows the alarm gets before it is killed
_GIGABYTE = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What the code may use.

    Attributes:
        seconds: from one message to the next.
        memory: bytes beyond what the process has when it begins.
    """

    seconds: float = 10.0
    memory: int = 4 * _GIGABYTE


class OutOfTime(BaseException):
    """Raised inside code that has run too long. No ``except Exception`` stops it."""


def stop_clock() -> None:
    """Call no more alarms until the next message. For whoever has caught :class:`OutOfTime`."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def run_apart(work: Callable[[Send], None], limits: Limits, hear: Send) -> str:
    """Do a piece of work in a forked process.

    Args:
        work: is given a function that sends a message (a dictionary that JSON can hold) to this
            process. Each message gives it ``limits.seconds`` more. What was printed since the last
            one goes along as ``printed``.
        limits: of time and memory.
        hear: is called here with each message.

    Returns:
        Why the process ended before the work did, a sentence, or empty.

    Raises:
        UserError: this system can't fork.
    """
    if not hasattr(os, "fork"):
        raise UserError("checks run in forked processes, which Windows has not: use WSL")
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryFile("w+") as crash:
        context = multiprocessing.get_context("fork")
        process = context.Process(target=_child, args=(work, limits, receiver, sender, crash))
        process.start()
        sender.close()
        try:
            ended = _listen(receiver, process.sentinel, limits, hear)
            if ended is _OVERDUE:
                waited = limits.seconds + _GRACE
                return f"It was stopped: it did not come back in {waited:g} seconds."
            if ended is _DONE:
                return ""
            process.join(_GRACE)
            return _cause(process.exitcode, crash)
        finally:
            _kill(process)
            receiver.close()


_DONE, _OVERDUE, _DIED = object(), object(), object()


def _listen(receiver: Connection, sentinel: int, limits: Limits, hear: Send) -> object:
    """Hand on messages until the work is done, the process has died, or it says nothing more."""
    deadline = time.monotonic() + limits.seconds + _GRACE
    while True:
        ready = wait([receiver, sentinel], max(0.0, deadline - time.monotonic()))
        if not ready:
            return _OVERDUE
        if receiver not in ready:
            return _DIED
        try:
            message = json.loads(receiver.recv_bytes())
        except (EOFError, OSError):
            return _DIED
        if message is None:
            return _DONE
        hear(message)
        deadline = time.monotonic() + limits.seconds + _GRACE


def _kill(process: Any) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)  # with whatever the code has started
    except (ProcessLookupError, PermissionError):
        process.kill()  # it had no time to begin a group of its own
    process.join()
    process.close()


def _cause(code: int | None, crash: IO[str]) -> str:
    """What a process died of, with the learner's line if it crashed."""
    crash.seek(0)
    text = crash.read()
    places = [m for m in re.finditer(r'File "([^"]+)", line (\d+)', text) if "/ex_" in m[1]]
    where = f" in {Path(places[0][1]).name}, line {places[0][2]}" if places else ""
    if code is not None and code < 0:
        name = signal.strsignal(-code) or f"signal {-code}"
        return f"It ended the whole process{where}: {name}."
    return f"It ended the whole process (exit status {code}), which no function should do."


def _child(
    work: Callable[[Send], None],
    limits: Limits,
    receiver: Connection,
    sender: Connection,
    crash: IO[str],
) -> None:
    os.setsid()  # a group of its own: Ctrl-C is the parent's, and all of it can be ended together
    receiver.close()
    faulthandler.enable(crash)
    _one_thread()
    _limit_memory(limits.memory)
    with open(os.devnull, "r+b", buffering=0) as nothing:
        for descriptor in (0, 1, 2):
            os.dup2(nothing.fileno(), descriptor)
    kept = _Kept()
    sys.stdin = open(0)  # noqa: SIM115 (it lives as long as the process)
    sys.stdout = sys.stderr = kept  # type: ignore[assignment]
    sys.breakpointhook = _no_keyboard

    def alarm(*_: Any) -> None:
        # Once more a little later, should a bare except in a loop swallow the first.
        signal.setitimer(signal.ITIMER_REAL, _GRACE / 4)
        raise OutOfTime(f"{limits.seconds:g} seconds")

    def send(message: Message | None) -> None:
        stop_clock()
        if message is not None and (said := kept.take()):
            message = {**message, "printed": said}
        sender.send_bytes(json.dumps(message).encode())
        signal.setitimer(signal.ITIMER_REAL, limits.seconds)

    signal.signal(signal.SIGALRM, alarm)

    signal.setitimer(signal.ITIMER_REAL, limits.seconds)
    work(send)
    send(None)


def _no_keyboard(*_: Any, **__: Any) -> None:
    raise EOFError


def _one_thread() -> None:
    """A forked process has lost its parent's threads: libraries must not wait for them."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _limit_memory(extra: int) -> None:
    """Bound the address space. Linux keeps to it; macOS accepts it and does not."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        bound = pages * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_AS, (bound, resource.getrlimit(resource.RLIMIT_AS)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return


class _Kept(io.TextIOBase):
    """A place to print to, which keeps the beginning and counts the rest."""

    def __init__(self) -> None:
        self._text = ""
        self._dropped = 0

    def take(self) -> str:
        """What was printed since the last time, and how much more there was."""
        more = f"\n… and {self._dropped:,} characters more" if self._dropped else ""
        text = self._text.rstrip() + more
        self._text, self._dropped = "", 0
        return text

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        room = _KEPT - len(self._text)
        self._text += text[:room] if room > 0 else ""
        self._dropped += max(0, len(text) - max(room, 0))
        return len(text)
