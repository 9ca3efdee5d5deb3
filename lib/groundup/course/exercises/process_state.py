"""What somebody's code may change around itself, and how it is put back.

Settings are put back without a word: a learner who sets ``np.seterr`` or a seed to find a mistake
does nothing wrong, and the next check must not notice. Replacing a function of a library is refused
by name: the checks compute with the same functions.
"""

import builtins
import math
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np

from groundup.course.exercises import child_processes, deadline
from groundup.course.exercises.checks import CheckFailure

# Modules of which no function may be replaced, if they are imported.
_CHECKED_MODULES = (
    "numpy",
    "numpy.linalg",
    "numpy.random",
    "numpy.testing",
    "torch",
    "torch.autograd",
    "torch.linalg",
    "torch.nn",
    "torch.nn.functional",
)
_OURS = "groundup."
_SEED = 0


@contextmanager
def isolated() -> Iterator[None]:
    """Put settings back after the block, and refuse what it has replaced.

    In a process that runs somebody's code alone, random draws begin again, and functions are
    compared: there nothing else replaces any, and they have to be read only once.

    Raises:
        CheckFailure: the block has replaced or deleted a function of a library, which is put back.
    """
    tables: Tables = {}
    if deadline.is_running():
        tables = _tables()
        _seed()
    with _settings():
        try:
            with restored_settings():  # torch.Storage, for one, changes with the default dtype
                yield
        finally:
            replaced = _put_back(tables)
    if replaced:
        says = f"Your code changes {replaced}, which the checks use too."
        raise CheckFailure(f"{says} Write a function of your own under another name.")


@contextmanager
def restored_settings() -> Iterator[None]:
    """Put back, after one call, the settings that the rest of its check depends on.

    A process that the call has forked ends here.
    """
    torch: Any = sys.modules.get("torch")
    with child_processes.ended_here(), np.errstate(), warnings.catch_warnings():
        if torch is None:
            yield
            return
        grads, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
        set_grads, set_dtype = torch.set_grad_enabled, torch.set_default_dtype
        try:
            yield
        finally:
            set_grads(grads)
            set_dtype(dtype)


@contextmanager
def _settings() -> Iterator[None]:
    """Put back afterwards what else can be set."""
    folder, path, depth = _folder(), sys.path[:], sys.getrecursionlimit()
    streams = sys.stdin, sys.stdout, sys.stderr
    handlers = {each: signal.getsignal(each) for each in (signal.SIGALRM, signal.SIGINT)}
    try:
        with np.printoptions():
            yield
    finally:
        if folder != _folder():
            os.chdir(folder)
        sys.path[:] = path
        sys.setrecursionlimit(depth)
        sys.stdin, sys.stdout, sys.stderr = streams
        with suppress(ValueError):  # outside the main thread
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _seed() -> None:
    """Let what draws without a generator of its own draw the same in each check."""
    random.seed(_SEED)
    np.random.seed(_SEED)  # noqa: NPY002 (what a learner may use)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.manual_seed(_SEED)


Tables = dict[str, tuple[ModuleType, dict[str, Any], list[Any]]]


@cache
def _tables() -> Tables:
    """The modules, what their names meant at first, and the same without the names."""
    found = {name: sys.modules[name] for name in _CHECKED_MODULES if name in sys.modules}
    ours = {name: each for name, each in sys.modules.items() if name.startswith(_OURS)}
    modules = {"builtins": builtins, "math": math, **found, **ours}
    tables = {name: (module, vars(module).copy()) for name, module in modules.items()}
    return {name: (module, at, list(at.values())) for name, (module, at) in tables.items()}


def _put_back(tables: Tables) -> str:
    """Undo what was changed since, and name the first function that was."""
    replaced = ""
    for name, (module, before, values) in tables.items():
        if name not in ("builtins", "math") and sys.modules.get(name) is not module:
            sys.modules[name] = module
            replaced = replaced or name
        now = vars(module)
        with suppress(Exception):  # what was put there may refuse to be compared
            # Names keep their order. Many times as fast as what follows, twice as fast as by name.
            if list(islice(now.values(), len(values))) == values:
                continue
        for key, value in before.items():
            if now.get(key, tables) is not value and callable(value):
                now[key] = value
                replaced = replaced or f"{name}.{key}".removeprefix("builtins.")
    return replaced


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""
