"""The environment variables that pass ``--mine`` on from process to process."""

SELECTION = "GROUNDUP_MINE"
"""Exercises and chapters with commas between (``5.1,11``), or :data:`ALL`, or :data:`NONE`."""

REPORT = "GROUNDUP_MINE_REPORT"
"""The folder for each process's record of the run; the process that made it prints the report."""

ALL = "all"
"""Every exercise that is written."""

NONE = "none"
"""Nothing is swapped; losses are noted: this is how the library's own run is recorded."""
