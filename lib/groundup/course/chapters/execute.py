"""Run a notebook in a kernel of its own, and leave nothing of this machine in its output."""

import math
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from groundup.lab.errors import WorkError

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


class ChapterError(WorkError):
    """A chapter that can't be rendered: which one, at which cell, and why."""


def execute(notebook: Any, name: str, library: Path, timeout: float = 90.0) -> str:
    """Run every code cell in order, in an empty directory, with this interpreter.

    The notebook's cells receive their outputs: printed text without ANSI codes and with the
    paths of this machine cut down, and figures. What went to stderr is taken out and returned.

    Args:
        notebook: an ``nbformat`` notebook.
        name: the chapter, for messages.
        library: the directory that holds ``groundup``, first on the kernel's path.
        timeout: seconds for the whole notebook.

    Returns:
        What the cells wrote to stderr.

    Raises:
        ChapterError: a cell raised, or the time was up.
    """
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    with tempfile.TemporaryDirectory(prefix="groundup-") as scratch:
        folder = Path(scratch).resolve()
        manager = AsyncKernelManager(
            kernel_spec_manager=_this_interpreter(), connection_file=str(folder / "kernel.json")
        )
        if os.name == "posix":
            manager.transport = "ipc"  # sockets in the same directory: nothing listens on TCP
        client = NotebookClient(notebook, km=manager)
        deadline = time.monotonic() + timeout
        cell = None
        try:
            with client.setup_kernel(
                cwd=str(folder), env=_environment(folder, library), cleanup_kc=True
            ):
                for index, cell in enumerate(notebook.cells):
                    client.timeout = max(1, math.ceil(deadline - time.monotonic()))
                    client.execute_cell(cell, index)
        except CellExecutionError as error:
            reason = f"raised {error.ename}: {error.evalue}"
            raise ChapterError(_where(name, cell) + _clean(reason, folder, library)) from None
        except CellTimeoutError:
            reason = f"was still running after {timeout:g} s, the time a whole chapter has"
            raise ChapterError(_where(name, cell) + reason) from None
        except DeadKernelError:
            raise ChapterError(_where(name, cell) + "ended the process it ran in") from None
        return "".join(_tidy(cell, folder, library) for cell in notebook.cells)


def _this_interpreter() -> Any:
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    class ThisInterpreter(KernelSpecManager):
        """The Python that runs now, whatever kernels the user has installed."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            launcher = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=launcher, display_name="Python 3", language="python")

    return ThisInterpreter()


def _environment(folder: Path, library: Path) -> dict[str, str]:
    # The caller's GROUNDUP_ settings, such as a learner's own functions, stay out of the pages.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GROUNDUP_")}
    # The models of a page are small. On a busy machine the threads of a second core wait for each
    # other, and seconds become minutes; who wants them says so.
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return (
        threads
        | kept
        | {
            "GROUNDUP_RUNS": str(folder / "runs"),
            "IPYTHONDIR": str(folder / ".ipython"),
            "MPLBACKEND": "Agg",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "TMPDIR": str(folder),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(library), kept.get("PYTHONPATH")])),
        }
    )


def _where(name: str, cell: Any) -> str:
    lines = [line for line in (cell.source if cell else "").splitlines() if line.strip()]
    return f"{name}: the cell that begins {lines[0]!r} " if lines else f"{name}: the kernel "


def _clean(text: str, folder: Path, library: Path) -> str:
    text = _ANSI.sub("", text)
    known = [
        (folder, "."),
        (library, "lib"),
        (library.parent, "."),
        (Path(sys.prefix), "python"),
        (Path(sys.base_prefix), "python"),
        (Path.home(), "~"),
    ]
    for path, name in known:
        if len(path.parts) > 1:
            text = re.sub(rf"{re.escape(str(path))}(?=/|\b)", name, text)
    # What a progress bar overwrote is not part of the text.
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _tidy(cell: Any, folder: Path, library: Path) -> str:
    """Clean a cell's outputs in place and give back what it wrote to stderr."""
    stderr, kept = "", []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            output.text = _clean(output.text, folder, library)
            if output.name == "stderr":
                stderr += output.text
                continue
        elif "text/plain" in output.get("data", {}):
            output.data["text/plain"] = _clean(output.data["text/plain"], folder, library)
        kept.append(output)
    if cell.cell_type == "code":
        cell.outputs = kept
        cell.metadata.pop("execution", None)
    return stderr
