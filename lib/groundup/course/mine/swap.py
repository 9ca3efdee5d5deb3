"""Put other code into a function, so that every reference to the function runs that code."""

import inspect
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from groundup.course.catalogue import Target
from groundup.lab.errors import UserError

Function = Callable[..., Any]
_FILES = "__mine_files__"


def find_function(module: ModuleType, target: Target) -> FunctionType:
    """The function of a target: of a decorated one the innermost, of a method the class's.

    Raises:
        UserError: it is not a plain function, or a closure. The message names it.
    """
    *parents, name = target.symbol.split(".")
    owner: Any = module
    for parent in parents:
        owner = getattr(owner, parent, None)
    found = vars(owner).get(name) if owner is not None else None
    if isinstance(found, staticmethod | classmethod):
        found = found.__func__
    if callable(found):
        found = inspect.unwrap(found)
    if not isinstance(found, FunctionType):
        raise UserError(f"{target} can't be swapped: it is not a Python function")
    if found.__code__.co_freevars:
        names = ", ".join(found.__code__.co_freevars)
        raise UserError(f"{target} can't be swapped: it uses {names} of a function around it")
    return found


def copy_of(function: FunctionType) -> FunctionType:
    """The function as it is now; it stays so when the original's code is replaced."""
    twin = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__doc__ = function.__doc__
    twin.__annotations__ = function.__annotations__
    twin.__qualname__ = function.__qualname__
    twin.__module__ = function.__module__
    return twin


def replace(function: FunctionType, entry: Function, shown: Function) -> None:
    """Make every call of a function a call of another one.

    The function object stays, and its code is replaced. So another module's alias, a table, a
    partial, a default argument, an attribute of a class: all that holds the function calls
    ``entry`` from now on, whenever it was taken. The defaults are those of ``entry``.

    Args:
        function: has no free variables; see :func:`find_function`.
        entry: is called with the arguments as they come.
        shown: what ``inspect`` tells of: signature and source.
    """
    name = f"__mine_{function.__name__}_{id(function):x}"
    text = f"def {name}(*args, **kwargs):\n    return {name}(*args, **kwargs)\n"
    made: dict[str, FunctionType] = {}
    exec(compile(text, "<groundup --mine>", "exec"), made)
    function.__globals__[name] = entry
    function.__code__ = made[name].__code__
    function.__defaults__ = None
    function.__kwdefaults__ = None
    setattr(function, "__wrapped__", shown)  # noqa: B010


class _SharedModule(ModuleType):
    """A module whose names are passed on to the files that share them."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        for names, shared in vars(self)[_FILES]:
            if name in shared:
                names[name] = value


def share_names(names: dict[str, Any], module: ModuleType) -> None:
    """Keep the names that a file has from a module equal to the module's own.

    A chapter that breaks the library on purpose sets another function in a module. The module's
    functions then use it, so the functions that replace them must use it too, in their own file.

    Args:
        names: the globals of the learner's file.
        module: the one that its functions are swapped into.
    """
    held = vars(module)
    shared = {name for name, value in names.items() if name in held and held[name] is value}
    shared = {name for name in shared if not name.startswith("__")}
    held.setdefault(_FILES, []).append((names, shared))
    module.__class__ = _SharedModule
