"""What must be done once in a process before it judges an exercise."""

from collections.abc import Callable

before_judging: list[Callable[[], None]] = []
"""A run that swaps functions takes its swaps back here: a check is of the library as it is."""
