"""One process of a run: what it swaps, what it records, and how it ends."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, ClassVar, NoReturn

from groundup.course.exercises import before_judging
from groundup.course.mine import losses
from groundup.course.mine.environment_variables import REPORT, SELECTION
from groundup.course.mine.import_hook import ImportHook
from groundup.course.mine.learner_functions import LearnerFunctions
from groundup.course.mine.selection import Selection, resolve
from groundup.lab.errors import GroundUpError
from groundup.lab.files import write_json
from groundup.lab.streams import discard_output


class Session:
    """The functions of one process that are the learner's.

    The first process makes the report's folder and prints the report when it ends; those that it
    starts find the folder in their environment, and write their records into it.
    """

    current: ClassVar["Session | None"] = None

    def __init__(self, selection: Selection) -> None:
        self.functions = LearnerFunctions(selection)
        self.curves: list[losses.LossCurve] = []
        self.process, self.began = os.getpid(), time.time()
        self.first = REPORT not in os.environ
        self.refused = False  # the learner's code can't be used, which has been said
        self.failed = self.interrupted = False  # an exception, or Ctrl-C, ends the process
        self.status = 0  # what sys.exit was called with
        self.hook = ImportHook(self.functions.modules | losses.MODULES, self._imported)

    @classmethod
    def begin(cls, text: str) -> None:
        """Start it for a selection such as ``5.1``.

        Raises:
            UserError: the selection is wrong; see :func:`~groundup.course.mine.selection.resolve`.
        """
        cls.current = session = cls(resolve(text))
        if session.first:
            os.environ[REPORT] = tempfile.mkdtemp(prefix="groundup-mine-")
        session._note_the_end()
        atexit.register(session._end)
        session.hook.start()
        before_judging.add_action(session.cancel)

    def cancel(self) -> None:
        """Swap nothing and say nothing, and have no process that follows do so.

        For a command that starts one with a selection of its own, and for work on the exercises
        themselves. A second call does nothing.
        """
        if type(self).current is not self:
            return
        type(self).current = None
        os.environ.pop(SELECTION, None)
        atexit.unregister(self._end)
        self.hook.stop()
        if self.first:
            Path(os.environ.pop(REPORT)).rmdir()

    def _imported(self, module: ModuleType) -> None:
        try:
            if module.__name__ in losses.MODULES:
                losses.record_losses(module, self.curves)
            self.functions.imported(module)
        except GroundUpError as error:
            # Any script may import the module: no traceback through its lines.
            print(f"error: {error}", file=sys.stderr)
            self.refused = True
            raise SystemExit(error.exit_code) from None

    def _note_the_end(self) -> None:
        """Note how the process ends: an atexit function can't ask, and must not change it."""
        leave, show = sys.exit, sys.excepthook

        def exit_(status: Any = None, /) -> NoReturn:
            self.status = status if isinstance(status, int) else int(status is not None)
            leave(status)

        def excepthook(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            self.failed = True
            self.interrupted = issubclass(kind, KeyboardInterrupt)
            show(kind, error, trace)

        sys.exit, sys.excepthook = exit_, excepthook

    def _end(self) -> None:
        if os.getpid() != self.process:
            return  # a fork of this process, which inherited its calls too
        self.hook.stop()
        folder = Path(os.environ[REPORT])
        write_json(folder / f"{self.process}.json", self._record())
        code = self._report(folder) if self.first else 0
        if code or self.interrupted:
            sys.stdout.flush()
            sys.stderr.flush()
            if self.interrupted:
                # As Python does it. It forgets to when code is compiled at its end, as it was here.
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.kill(self.process, signal.SIGINT)
            # Python has settled its exit status by now: only leaving at once can change it.
            os._exit(code)

    def _report(self, folder: Path) -> int:
        """Print the report; the exit code, if it is to be another one than the run's own."""
        if self.refused:
            shutil.rmtree(folder)
            return 0
        from groundup.course.mine.report import report

        try:
            report(folder, self.functions.selection, finished=not (self.failed or self.status))
        except GroundUpError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        except BrokenPipeError:  # the reader (`| head`) has left
            discard_output(sys.stdout)
        except OSError as error:
            print(f"error: the report ended early: {error}", file=sys.stderr)
            return 1
        return 0

    def _record(self) -> dict[str, Any]:
        return {
            "rank": os.environ.get("RANK", ""),
            "began": self.began,
            "functions": [asdict(record) for record in self.functions.records],
            "left_out": self.functions.left_out,
            "curves": [vars(curve) for curve in self.curves if curve.steps],
        }
