"""Run somebody's code in a process of its own, with limits, and receive how it went.

The process is forked from this one, so everything that is imported here is there at once. The
limits are against accidents (an endless loop, a huge array, a fork), not against malice: the code
can still read and write the files that its user can.
"""

import faulthandler
import json
import os
import re
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Any

from groundup.course.exercises import child_processes, deadline
from groundup.course.exercises.captured_output import CapturedOutput
from groundup.course.exercises.deadline import GRACE, OutOfTime
from groundup.lab.errors import UserError

Message = dict[str, Any]
Send = Callable[[Message], None]

_TICK = 0.02  # seconds after which a process that sends nothing is checked
_GIGABYTE = 1 << 30
_LONGEST = 1 << 24  # bytes of a line that has no end yet
_PROCESSES = 200  # that the code may have running
_OUR_DESCRIPTORS = 200  # ours begin here, where code that tries small numbers does not meet them
_PIPE_CLOSED, _TIME_UP = 113, 114  # exit statuses: the pipe is closed; the time is up


@dataclass(frozen=True)
class Limits:
    """What the code may use.

    Attributes:
        seconds: from the beginning to the end of the work, or of each of its pieces.
        pieces: how many there are. Work of several calls :func:`deadline.restart` between them.
        memory: bytes beyond what the process has when it begins.
    """

    seconds: float = 10.0
    pieces: int = 1
    memory: int = 4 * _GIGABYTE


def run_forked(work: Callable[[Send], None], limits: Limits, receive: Send, file: Path) -> str:
    """Do a piece of work in a forked process.

    Only what the process itself sends is received: not what the code writes into files that it did
    not open, nor what a process says that the code has forked.

    Args:
        work: is given a function that sends a message (a dictionary that JSON can hold) to this
            process. What was printed since the last one goes along as ``printed``.
        limits: of time and memory.
        receive: is called here with each message.
        file: the code. If the process dies, the line of this file that it had reached is named.

    Returns:
        Why the process ended before the work did, a sentence, or empty.

    Raises:
        UserError: this system can't fork.
    """
    if not hasattr(os, "fork"):
        raise UserError("checks run in forked processes, which Windows does not have: use WSL")
    with tempfile.TemporaryFile("w+b") as crash:
        reader, writer = os.pipe()
        token = secrets.token_hex(8).encode()
        process = os.fork()
        if process == 0:
            try:
                _child(work, limits, (writer, crash.fileno()), token)
            finally:
                os._exit(1)  # neither the code nor what it forks ever comes back to the caller
        os.close(writer)
        child = _Process(process)
        try:
            ended = _listen(reader, child, limits, token, receive)
            if ended is _DONE:
                return ""
            allowed = deadline.in_words(limits.seconds)
            if child.status is None:
                return f"It was stopped: it did not come back in {allowed}."
            return _cause(child.status, crash, allowed, file)
        finally:
            os.close(reader)
            child.kill()


_DONE, _OVERDUE, _DIED = object(), object(), object()


class _Process:
    """The forked process.

    Attributes:
        status: how it ended (negative: by which signal), or None while it runs.
    """

    status: int | None = None

    def __init__(self, number: int) -> None:
        self._number = number

    def has_ended(self) -> bool:
        """Ask now."""
        if self.status is None:
            found, status = os.waitpid(self._number, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if found else None
        return self.status is not None

    def kill(self) -> None:
        """End it, with whatever it has started."""
        try:
            os.killpg(self._number, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            if not self.has_ended():  # it had no time to begin a group of its own
                os.kill(self._number, signal.SIGKILL)
        if self.status is None:
            os.waitpid(self._number, 0)


def _listen(reader: int, child: _Process, limits: Limits, token: bytes, receive: Send) -> object:
    """Hand on messages until the work is done, the process has died, or its time is over."""
    os.set_blocking(reader, False)
    overdue = time.monotonic() + limits.seconds * limits.pieces + 2 * GRACE
    held, is_open = b"", True
    while time.monotonic() < overdue:
        if is_open:
            wait([reader], _TICK)
        else:
            time.sleep(_TICK)
        has_ended = child.has_ended()  # asked before the pipe is read: nothing comes after
        data = _read(reader)
        is_open = data != b""
        *lines, held = (held + (data or b"")).split(b"\n")
        held = held[-_LONGEST:]
        for line in lines:
            _, ours, text = line.partition(token)
            if ours:
                message = json.loads(text)
                if message is None:
                    return _DONE
                receive(message)
        if has_ended and not data:
            return _DIED
    return _OVERDUE


def _read(reader: int) -> bytes | None:
    """What is in the pipe: empty if no process can write to it any more, None if nothing is."""
    try:
        return os.read(reader, 1 << 16)
    except BlockingIOError:
        return None


def _cause(status: int, crash: IO[bytes], allowed: str, file: Path) -> str:
    """What a process died of, with the line of the file that it had reached."""
    crash.seek(0)
    text = crash.read(1 << 16).decode("utf-8", "replace")
    places = re.finditer(r'File "([^"\n]+)", line (\d+)', text)
    lines = [place[2] for place in places if Path(place[1]).name == file.name]
    where = f" in {file.name}, line {lines[0]}" if lines else ""
    if text.startswith("Timeout") or status in (_TIME_UP, -signal.SIGALRM):
        return f"It was still running after {allowed}{where}. {deadline.ASK}"
    if text.startswith("Processes"):
        return f"It was stopped: it ran in more than {_PROCESSES} processes."
    if status == _PIPE_CLOSED:
        return "It closed files that it did not open (os.close), and its answer was lost with them."
    if status < 0:
        name = signal.strsignal(-status) or f"signal {-status}"
        return f"It ended the whole process{where}: {name}."
    return f"It ended the whole process (exit status {status}), which no function should do."


def _child(
    work: Callable[[Send], None], limits: Limits, descriptors: tuple[int, int], token: bytes
) -> None:
    os.setsid()  # a group of its own: Ctrl-C is the parent's, and all of it can be ended together
    writer, crash = _own_descriptors(*descriptors)
    faulthandler.enable(crash)
    _one_thread()
    _limit_memory(limits.memory)
    child_processes.limit(_PROCESSES, lambda: _too_many(crash))
    printed = CapturedOutput()
    sys.stdin = open(0)  # noqa: SIM115 (it lives as long as the process)
    sys.stdout = sys.stderr = printed.stream()
    sys.breakpointhook = _no_keyboard
    process, getpid, end, write = os.getpid(), os.getpid, os._exit, os.write

    def send(message: Message | None) -> None:
        if getpid() != process:
            end(0)  # a process that the code has forked says nothing
        if message is not None and (said := printed.take()):
            message = {**message, "printed": said}
        left = b"\n" + token + json.dumps(message).encode() + b"\n"
        try:
            while left:
                left = left[write(writer, left) :]
        except OSError:
            end(_PIPE_CLOSED)

    deadline.start_clock(limits.seconds, crash)
    try:
        work(send)
    except OutOfTime:
        end(_TIME_UP)
    send(None)
    end(0)


def _own_descriptors(*ours: int) -> list[int]:
    """Move our open files out of the way, and put the empty file in the place of all others.

    So no terminal, lock or file of the parent's can be written to by number.
    """
    import fcntl

    moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _OUR_DESCRIPTORS) for each in ours]
    nothing = os.open(os.devnull, os.O_RDWR)
    others = {0, 1, 2, *map(int, os.listdir("/dev/fd"))} - {nothing, *moved}
    for each in others:
        os.dup2(nothing, each, inheritable=each < 3)
    os.close(nothing)
    return moved


def _too_many(crash: int) -> None:
    os.pwrite(crash, b"Processes", 0)
    os.killpg(0, signal.SIGKILL)


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
