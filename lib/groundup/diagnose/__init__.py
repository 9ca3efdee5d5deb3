"""Checks for any transformer: does it train, does it leak, does padding change it."""

from typing import TYPE_CHECKING

from groundup.lab.lazy import attach

__all__ = ["CheckResult", "diagnose"]

if TYPE_CHECKING:
    from groundup.diagnose.checks import CheckResult, diagnose
else:
    __getattr__, __dir__ = attach(__name__)
