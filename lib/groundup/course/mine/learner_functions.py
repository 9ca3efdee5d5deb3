"""The learner's functions of the chosen exercises, put in place module by module."""

import sys
from inspect import signature
from types import ModuleType
from typing import TYPE_CHECKING

from groundup.course.catalogue import Exercise, Target
from groundup.course.mine import swap
from groundup.course.mine.selection import Selection
from groundup.lab.errors import UserError

if TYPE_CHECKING:
    from groundup.course.mine.calls import CallRecord

_BACKWARD = "_backward"


class LearnerFunctions:
    """The functions of a selection, swapped as their modules are imported.

    Attributes:
        modules: those that hold a function to swap.
        records: the calls of the swapped functions.
        left_out: the exercises that can't be used: the reason, by id.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.modules = {target.module for each in selection.chosen for target in each.targets}
        self.records: list[CallRecord] = []
        self.left_out = dict(selection.left_out)
        self._imported: set[str] = set()
        self._begun: set[str] = set()

    def imported(self, module: ModuleType) -> None:
        """Swap what can be swapped now that this module has been imported.

        Raises:
            UserError: the learner's file can't be used, or a function can't be swapped.
        """
        self._imported.add(module.__name__)
        for exercise in self.selection.chosen:
            if any(target.module == module.__name__ for target in exercise.targets):
                self._swap(exercise)

    def _swap(self, exercise: Exercise) -> None:
        # The learner's file may import modules that hold functions to swap, so this may be called
        # again before it has been read: then the first call does the work, for all of them. And
        # a pair from two modules waits for both.
        waits = any(target.module not in self._imported for target in exercise.targets)
        if waits or exercise.id in self._begun:
            return
        self._begun.add(exercise.id)
        # Only now: they import NumPy, and a script may set threads before it does.
        from groundup.course.exercises.checks import CheckFailure
        from groundup.course.exercises.implementations import load

        try:
            functions = vars(load(exercise).functions)
        except CheckFailure as failure:
            if exercise.id in self.selection.named:
                raise UserError(failure.says) from None
            self.left_out[exercise.id] = failure.says
            return
        self._replace(exercise, {t: functions[t.name] for t in exercise.targets})

    def _replace(self, exercise: Exercise, mine: dict[Target, swap.Function]) -> None:
        from groundup.course.mine.calls import CallRecord, ComparedFunction

        found = {target: swap.find_function(sys.modules[target.module], target) for target in mine}
        takes_cache = {
            target.symbol.removesuffix(_BACKWARD)
            for target, function in found.items()
            if target.symbol.endswith(_BACKWARD) and "cache" in signature(function).parameters
        }
        compared: dict[str, ComparedFunction] = {}
        # A forward pass before its backward pass, which looks for it.
        for target in sorted(mine, key=lambda each: each.symbol.endswith(_BACKWARD)):
            function, record = found[target], CallRecord(exercise.id, target.symbol)
            forward = target.symbol.removesuffix(_BACKWARD)
            compared[target.symbol] = ComparedFunction(
                record,
                mine[target],
                swap.copy_of(function),
                keeps_cache=target.symbol in takes_cache,
                forward=compared.get(forward) if forward in takes_cache else None,
            )
            swap.share_names(mine[target].__globals__, sys.modules[target.module])
            swap.replace(function, compared[target.symbol].entry(), shown=mine[target])
            self.records.append(record)
