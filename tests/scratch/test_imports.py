"""Part I needs NumPy alone, and is there at once."""

import subprocess
import sys
from pathlib import Path

import numpy as np

LIBRARY = Path(__file__).parents[2] / "lib"
PACKAGES = Path(np.__file__).parents[1]

# Without .pth files, which may import packages of their own at start-up.
SETUP = f"import sys; sys.path[:0] = [{str(LIBRARY)!r}, {str(PACKAGES)!r}]\n"

# What has come with each import from outside the standard library, and from outside NumPy.
PROBE = """
import importlib, pkgutil
def foreign():
    tops = {name.partition(".")[0] for name in sys.modules}
    files = {name: getattr(sys.modules[name], "__file__", None) or "" for name in tops}
    return {name for name, file in files.items() if "site-packages" in file} - {"numpy"}
"""
EACH = """
import groundup.scratch
modules = [m.name for m in pkgutil.walk_packages(groundup.scratch.__path__, "groundup.scratch.")]
assert len(modules) > 30, modules
for name in modules:
    importlib.import_module(name)
    assert not foreign(), (name, foreign())
"""
TIME = """
from time import process_time
began = process_time()
import groundup.scratch
print(process_time() - began)
"""


def _run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-c", SETUP + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_probe_sees_a_foreign_import():
    done = _run(PROBE + "import safetensors; print(*foreign())")
    assert done.stdout.split() == ["safetensors"]


def test_every_module_needs_numpy_alone():
    done = _run(PROBE + EACH)
    assert done.returncode == 0, done.stderr


def test_it_is_imported_within_the_budget():
    """0.2 s of one processor, however busy the machine is; the best of three."""
    assert min(float(_run(TIME).stdout) for _ in range(3)) < 0.2
