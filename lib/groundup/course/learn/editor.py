"""The learner's editor, of ``$VISUAL`` or ``$EDITOR``."""

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from groundup.lab.errors import UserError, WorkError

_IN_TERMINAL = {
    *("vi", "vim", "nvim", "view", "nano", "pico", "rnano", "micro", "hx", "helix", "kak", "joe"),
    *("jed", "jmacs", "ne", "ed", "ex", "mcedit", "mg", "zile", "tilde", "dte", "amp"),
}
_FLAGS = {"-nw", "-t", "-tty", "--tty", "--no-window-system", "--nw"}  # of emacs, emacsclient


@dataclass(frozen=True)
class Editor:
    """A command that opens a file.

    Attributes:
        words: the program and its arguments.
    """

    words: tuple[str, ...]

    @classmethod
    def of_learner(cls) -> "Editor":
        """What the environment names: ``$VISUAL``, else ``$EDITOR``.

        Raises:
            UserError: neither is set, or what it names is not there.
        """
        for name in ("VISUAL", "EDITOR"):
            text = os.environ.get(name, "").strip()
            if not text:
                continue
            try:
                words = tuple(shlex.split(text, posix=os.name != "nt"))
            except ValueError as error:
                raise UserError(f"${name} can't be read as a command: {error}: {text}") from None
            if which(words[0]) is None:
                raise UserError(
                    f"there is no program {words[0]}, which ${name} names as your editor; "
                    f"set another: export {name}=nano"
                )
            return cls(words)
        raise UserError('--edit opens your editor: export EDITOR=nano, or EDITOR="code --wait"')

    @property
    def in_terminal(self) -> bool:
        """Whether it takes the terminal for itself, rather than a window of its own."""
        name = Path(self.words[0]).stem
        if name in ("emacs", "emacsclient"):
            screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
            return not screen or not _FLAGS.isdisjoint(self.words)
        return name in _IN_TERMINAL

    def open(self, file: Path) -> None:
        """Open a file and wait until the editor is closed.

        Raises:
            WorkError: the editor failed.
        """
        with _its_own_interrupts():
            code = subprocess.run([*self.words, str(file)], check=False).returncode
        if code:
            raise WorkError(f"the editor {shlex.join(self.words)} ended with code {code}")

    def open_beside(self, file: Path) -> None:
        """Open a file in a window, and go on."""
        subprocess.Popen(
            [*self.words, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


@contextmanager
def _its_own_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to the editor, in which it may mean something else."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
