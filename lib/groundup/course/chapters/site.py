"""Build the course's site, and serve it on this machine."""

import errno
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

from groundup.course import clone
from groundup.lab.errors import UserError, WorkError

_NEEDED = ("mkdocs", "material", "mkdocstrings", "jupytext", "nbclient", "ipykernel", "matplotlib")


def build(strict: bool = True, target: Path = Path("site"), root: Path | None = None) -> None:
    """Build the site: run the chapters that changed, and write every page.

    Args:
        strict: fail on a broken link, an unknown name of the library, or a wrong formula. A cell
            that raises fails the build in any case.
        target: the directory to write, relative to where the command runs.
        root: the clone to build; by default the one this package is installed from.

    Raises:
        UserError: outside a clone, or a package of the ``docs`` extra is missing.
        WorkError: the build failed; what failed has been printed.
    """
    root = root or clone.root()
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(
            f"missing {', '.join(missing)}: "
            "run pip install -c constraints.txt -e '.[docs]' in the clone"
        )
    install_katex(root / "docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(root / "mkdocs.yml")]
    command += ["--clean", "--site-dir", str(target.resolve())]
    command.append("--strict" if strict else "--no-strict")
    print(f"Building the site in {target}", flush=True)
    # Material announces its end of life at each start; the versions here are pinned.
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    if subprocess.run(command, cwd=root, env=environment, check=False).returncode:
        raise WorkError("the site was not built: the reasons are above")


def install_katex(docs: Path) -> bool:
    """Install the KaTeX that ``docs/package.json`` pins, if it isn't there already.

    Without npm, or without a network, says in one line that the site uses MathML instead.

    Returns:
        True if KaTeX is installed.
    """
    wanted = json.loads((docs / "package.json").read_text())["dependencies"]["katex"]
    installed = docs / "node_modules" / "katex" / "package.json"
    if installed.is_file() and json.loads(installed.read_text())["version"] == wanted:
        return True
    npm = shutil.which("npm")
    reason = "npm is not installed"
    if npm:
        print(f"Installing KaTeX {wanted}", flush=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"]
        done = subprocess.run(command, cwd=docs, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return True
        reason = "npm could not install KaTeX"
    print(f"Maths will be MathML, set by the browser: {reason}", flush=True)
    return False


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


def serve(port: int = 8000, target: Path = Path("site")) -> None:
    """Build the site and serve it to this machine alone, until interrupted.

    Args:
        port: where to listen on 127.0.0.1.
        target: the directory to build in.

    Raises:
        UserError: the port is taken, or as :func:`build` says.
        WorkError: the build failed.
    """
    handler = partial(_Handler, directory=str(target.resolve()))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} is in use: stop what listens there or choose another with --port"
            ) from None
        raise UserError(f"can't listen on port {port}: {error}") from None
    with server:
        build(target=target)
        print(f"Serving on http://127.0.0.1:{server.server_port}/ (Ctrl-C ends)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
