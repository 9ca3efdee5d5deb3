"""A learner's file stands in for a part of a module: what is replaced there is replaced in it."""

from types import ModuleType
from typing import Any

_FILES = "__mine_files__"


class _Followed(ModuleType):
    """A module whose names are passed on to the files that share them."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        for names, shared in vars(self)[_FILES]:
            if name in shared:
                names[name] = value


def follow(names: dict[str, Any], module: ModuleType) -> None:
    """Keep the names that a file has from a module as they are there.

    A chapter that breaks the library on purpose sets another function in a module. The functions of
    the module see it, so those that take their place must see it too, in their own file.

    Args:
        names: the globals of the learner's file.
        module: the one that its functions are swapped into.
    """
    held = vars(module)
    shared = {name for name, value in names.items() if name in held and held[name] is value}
    shared = {name for name in shared if not name.startswith("__")}
    held.setdefault(_FILES, []).append((names, shared))
    module.__class__ = _Followed
