"""What tests of several folders share: groups of processes, a terminal, a small clone."""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import termios
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Before torch is imported: for models this small a second thread waits more than it works.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore Ctrl-C, and their children too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file run in one process, so that what they share is made once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A process that has imported torch and transformers, from which others are forked."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "helpers" / "fork_server.py")],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HOME": str(tmp_path_factory.mktemp("hf")),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield server
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)  # with the processes of a test that has given up
    server.communicate()


@pytest.fixture(scope="session")
def run_forked(
    fork_server: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., list[str]]:
    """Run a script in processes that get a dictionary of variables each: what each has printed.

    They are forked from one that has not imported groundup; all must succeed.
    """

    def run(
        script: Path,
        *arguments: object,
        variables: Sequence[dict[str, str]] = ({},),
        together: bool = False,  # what goes to stderr, with the output
    ) -> list[str]:
        folder = tmp_path_factory.mktemp("processes")
        outputs = [folder / f"{number}.txt" for number in range(len(variables))]
        given = [str(each) for each in arguments]
        jobs = [
            (str(script), given, own, str(output), str(output if together else f"{output}.errors"))
            for own, output in zip(variables, outputs, strict=True)
        ]
        assert fork_server.stdin is not None
        assert fork_server.stdout is not None
        print(json.dumps(jobs), file=fork_server.stdin, flush=True)
        codes = json.loads(fork_server.stdout.readline())
        for number, (code, output) in enumerate(zip(codes, outputs, strict=True)):
            said = "".join(each.read_text() for each in folder.glob(f"{output.name}*"))
            assert code == 0, f"process {number} of {len(codes)}: {code}\n{said}"
        return [output.read_text() for output in outputs]

    return run


@pytest.fixture(scope="session")
def run_ranks(run_forked: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Run a script in N processes with the environment that torchrun gives; all must succeed.

    The function returns the output of each process.
    """

    def run(script: Path, *arguments: object, processes: int = 2) -> list[str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        shared = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
        }
        ranks = [shared | {"RANK": str(r), "LOCAL_RANK": str(r)} for r in range(processes)]
        return run_forked(script, *arguments, variables=ranks, together=True)

    return run


@pytest.fixture(scope="session")
def read_elsewhere(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., dict[str, np.ndarray]]:
    """What sentence-transformers and mteb make of saved directories where groundup is not there.

    The function takes directories by name, texts to encode, and (query, document) pairs to rank; it
    returns the vectors (N, D), the tokens read, and nDCG@10 and recall@10 of each.
    """
    script = Path(__file__).parent / "helpers" / "read_elsewhere.py"

    def read(
        directories: dict[str, Path], texts: list[str], pairs: list[tuple[str, str]]
    ) -> dict[str, np.ndarray]:
        folder = tmp_path_factory.mktemp("elsewhere")
        content = {
            "directories": {name: str(path) for name, path in directories.items()},
            "texts": texts,
            "queries": [query for query, _ in pairs],
            "documents": [document for _, document in pairs],
        }
        (folder / "input.json").write_text(json.dumps(content), "utf-8")
        site = sysconfig.get_paths()["purelib"]
        names = [str(script), site, str(folder / "input.json"), str(folder / "output.npz")]
        done = subprocess.run(
            [sys.executable, "-I", "-S", *names],
            cwd=folder,
            env={
                "PATH": "",
                "HF_HOME": str(folder / "hf"),
                "HF_HUB_OFFLINE": "1",
                "OMP_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
            },
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        return dict(np.load(folder / "output.npz"))

    return read


def _as_a_shell_would() -> None:
    """Before a command starts: the terminal is its own, and Ctrl-C is a signal that ends it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command in a terminal of its own: what it shows can be waited for, keys can be pressed."""

    def __init__(self, command: list[str], columns: int = 100, **options: Any) -> None:
        here, there = os.openpty()
        termios.tcsetwinsize(there, (40, columns))
        self.process = subprocess.Popen(
            command,
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
            preexec_fn=_as_a_shell_would,
            **options,
        )
        os.close(there)
        self._file = here
        self.shown = ""
        self._met = 0

    def wait_for(self, text: str, seconds: float = 30) -> str:
        """Read until a text is shown after what was waited for before; all that was shown so."""
        deadline = time.monotonic() + seconds
        while (place := self.shown.find(text, self._met)) < 0:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown!r}"
            assert self._read(0.1), f"{text!r} is not in {self.shown!r}: it has ended"
        before, self._met = self._met, place + len(text)
        return self.shown[before : self._met]

    def press(self, keys: str) -> None:
        """Type; ``\\x03`` is Ctrl-C and ``\\x04`` Ctrl-D."""
        os.write(self._file, keys.encode())

    def interrupt(self, seconds: float = 60) -> int:
        """Press Ctrl-C until the command has ended, and give its exit code.

        One press is not enough: Python's input() misses a signal that comes after its prompt is
        shown and before it waits for keys.
        """
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running: {self.shown!r}"
            with suppress(OSError):  # it has just ended
                self.press("\x03")
            pause = time.monotonic() + 0.5
            while time.monotonic() < pause and self._read(0.1):
                pass
        return self.end(5)

    def mode(self) -> list[Any]:
        """How the terminal treats what is typed."""
        return termios.tcgetattr(self._file)

    def end(self, seconds: float = 60) -> int:
        """Wait until the command ends, and give its exit code."""
        deadline = time.monotonic() + seconds
        while self._read(0.1):
            assert time.monotonic() < deadline, f"still running: {self.shown!r}"
        return self.process.wait(5)

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._file)

    def _read(self, seconds: float) -> bool:
        if select.select([self._file], [], [], seconds)[0]:
            try:
                data = os.read(self._file, 65536)
            except OSError:  # Linux says so that the other end is closed
                return False
            self.shown += data.decode(errors="replace")
            return bool(data)
        return self.process.poll() is None


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Start commands in terminals; they are ended with the test."""
    started: list[Terminal] = []

    def start(*arguments: str, **options: Any) -> Terminal:
        command = [sys.executable, "-m", "groundup", *arguments]
        environment = {**os.environ, "TERM": "xterm-256color", **options.pop("env", {})}
        started.append(Terminal(command, env=environment, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


_EXERCISE = """
[[exercise]]
id = "1.1"
name = "toy"
title = "A toy"
targets = [{targets}]
points = 3
read = "a book"
requires = []
forbidden = ["math"]
hints = ["one", "two", "three"]
"""


@pytest.fixture
def toy_clone(tmp_path: Path) -> Callable[..., Path]:
    """Write a clone with one exercise; call it with the module's text and the targets' names."""

    def write(text: str, *symbols: str) -> Path:
        module = tmp_path / "lib" / "groundup" / "toy" / "things.py"
        folder = tmp_path / "exercises" / "ch01_toys"
        for directory in (module.parent, folder, tmp_path / "chapters"):
            directory.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pyproject.toml").touch()
        module.write_text(textwrap.dedent(text), encoding="utf-8")
        targets = ", ".join(f'"groundup.toy.things:{symbol}"' for symbol in symbols)
        (folder / "exercise.toml").write_text(_EXERCISE.format(targets=targets), encoding="utf-8")
        return tmp_path

    return write
