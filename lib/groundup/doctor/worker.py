"""Run probes in a process of their own, so that a crash or a hang is a result and not the end.

The parent names a probe on the child's standard input. The child does its work and answers with one
line: the numbers, or the error. A child that dies or hangs is replaced for the next probe.
"""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from types import FrameType, TracebackType
from typing import IO, Any, NoReturn

from groundup.doctor.machine_probe import Judgement, MachineProbe, ProbeResult, ProbeVerdict

_BRINGS = {"embed": "gives Parts II and III", "plot": "gives the figures"}
_GRACE = 5.0  # seconds in which a child may end the processes it has started


class Worker:
    """The parent's side, a context manager: the child ends with it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._errors: IO[str] = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        self._errors.close()

    def run(self, probe: MachineProbe) -> ProbeResult:
        """Run one probe."""
        begin = time.perf_counter()
        answer = self._ask(probe)
        seconds = time.perf_counter() - begin
        return ProbeResult(probe, judge_answer(probe, answer), answer.get("numbers", {}), seconds)

    def _ask(self, probe: MachineProbe) -> dict[str, Any]:
        child = self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        late = threading.Event()

        def stop() -> None:
            late.set()
            _stop(child)

        timer = threading.Timer(probe.seconds, stop)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it died; the missing answer says so
                child.stdin.write(f"{probe.name}\n")
                child.stdin.flush()
            for line in child.stdout:
                if line.startswith("{"):  # anything else is some library talking
                    answer: dict[str, Any] = json.loads(line)
                    return answer
        finally:
            timer.cancel()
        self._end()
        if late.is_set():
            return {"error": f"no answer within {probe.seconds:.0f} s"}
        return {"error": f"the process ended with {self._cause(child.returncode)}"}

    def _start(self) -> subprocess.Popen[str]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
                errors="replace",
            )
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            _stop(self._child)
            for pipe in (self._child.stdin, self._child.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            self._child = None

    def _cause(self, code: int) -> str:
        """A signal's name, or the exit code and the last line on its stderr."""
        if code < 0:
            return signal.Signals(-code).name
        self._errors.seek(0)
        lines = self._errors.read().split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return f"exit code {code}. {last}".strip()


def _stop(child: subprocess.Popen[str]) -> None:
    """Ask it to end, and make it end if it does not."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def judge_answer(probe: MachineProbe, answer: dict[str, Any]) -> Judgement:
    """What an answer of the child means.

    Args:
        probe: what was run.
        answer: ``numbers``, or ``error`` and, if a package is not installed, ``missing``.
    """
    if "numbers" in answer:
        return probe.judge(answer["numbers"])
    if probe.package and answer.get("missing") == probe.package:
        mend = f"pip install -c constraints.txt -e '.[{probe.extra}]' {_BRINGS[probe.extra]}"
        return Judgement(ProbeVerdict.ABSENT, "not installed", mend)
    return Judgement(ProbeVerdict.FAIL, str(answer["error"]), probe.mend)


def attempt(probe: MachineProbe) -> dict[str, Any]:
    """Do a probe's work here; whatever it raises becomes the answer."""
    try:
        return {"numbers": probe.measure()}
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        return {"error": f"{error}", "missing": missing}
    except Exception as error:
        text = " ".join(str(error).split()) or "no message"
        return {"error": f"{type(error).__name__}: {text[:300]}"}


def main() -> None:
    """The child's side: until the parent closes the pipe."""
    from groundup.doctor.probes import PROBES
    from groundup.lab.library_logs import quiet_libraries
    from groundup.train.launch import send_message

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)  # as an exception, so that what runs ends its own processes first

    signal.signal(signal.SIGTERM, leave)
    quiet_libraries()
    known = {probe.name: probe for probe in PROBES}
    for line in sys.stdin:
        send_message(attempt(known[line.strip()]))


if __name__ == "__main__":
    main()
