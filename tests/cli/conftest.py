"""What the tests of the command line share: a call of it, and what an error must be."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from groundup.cli import main


@dataclass
class Done:
    """What a call of the command line left."""

    returncode: int
    stdout: str
    stderr: str

    def assert_one_line_error(self, code: int, *words: str) -> None:
        """It ended with this exit code and one line on stderr that holds the words."""
        assert self.returncode == code, self.stderr
        lines = self.stderr.strip().splitlines()
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("error: ")
        for word in words:
            assert word in lines[0]


@pytest.fixture
def groundup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Call the command line in a folder of the test's own.

    In this process: thirty new ones would spend their time on imports.
    """
    monkeypatch.delenv("GROUNDUP_RUNS", raising=False)

    def call(*arguments: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(tmp_path), redirect_stdout(out), redirect_stderr(err):
            try:
                code = main(list(arguments))
            except SystemExit as exit_:
                code = int(exit_.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def groundup_apart(tmp_path: Path) -> Callable[..., Done]:
    """The same in a process of its own, with other variables in its environment."""

    def call(*arguments: str, **environment: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "groundup", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call
