"""Run an action when a module has been imported, before the importing code continues."""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

Action = Callable[[ModuleType], None]


class ImportHook(MetaPathFinder):
    """The first of the finders; it runs an action after each of the modules that it is told of.

    It finds nothing itself: it asks the other finders, and adds its action to the end of the
    module's execution.
    """

    def __init__(self, modules: Iterable[str], action: Action) -> None:
        self.modules = frozenset(modules)
        self.action = action

    def start(self) -> None:
        """Begin. For what has been imported already, the action runs at once."""
        sys.meta_path.insert(0, self)
        for name in sorted(self.modules & sys.modules.keys()):
            self.action(sys.modules[name])

    def stop(self) -> None:
        """End it."""
        sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders have; its loader's last step is the action."""
        if fullname not in self.modules:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                # On this loader alone, which importlib made for this one module: all else that is
                # asked of it (the source, the package's files) is answered as ever.
                run = partial(self._execute, spec.loader.exec_module)
                setattr(spec.loader, "exec_module", run)  # noqa: B010
                return spec
        return None

    def _execute(self, original: Action, module: ModuleType) -> None:
        original(module)
        # The import system binds the module in its package a moment later; the action may be to
        # run a file that says `import package.module` and uses it by that name.
        parent, _, child = module.__name__.rpartition(".")
        setattr(sys.modules[parent], child, module)
        self.action(module)
