"""What tests of several folders share: scripts run in a group of processes, or without groundup."""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# Before torch is imported: for models this small a second thread waits more than it works.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore Ctrl-C, and their children too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def run_ranks() -> Callable[..., None]:
    """Run a script in N processes with the environment that torchrun gives; all must succeed."""

    def run(script: Path, *arguments: object, processes: int = 2) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        shared = {
            **os.environ,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        command = [sys.executable, str(script), *map(str, arguments)]
        started = [
            subprocess.Popen(
                command,
                env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank in range(processes)
        ]
        try:
            outputs = [process.communicate(timeout=120)[0] for process in started]
        finally:
            for process in started:
                process.kill()
        for rank, (process, output) in enumerate(zip(started, outputs, strict=True)):
            assert process.returncode == 0, f"process {rank} of {processes}:\n{output}"

    return run


@pytest.fixture(scope="session")
def read_elsewhere(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., dict[str, np.ndarray]]:
    """What sentence-transformers and mteb make of saved directories where groundup is not there.

    The function takes directories by name, texts to encode, and (query, document) pairs to rank; it
    returns the vectors (N, D), the tokens read, and nDCG@10 and recall@10 of each.
    """
    script = Path(__file__).parent / "embed" / "read_elsewhere.py"

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
