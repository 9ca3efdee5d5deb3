"""The two errors a command may end with, and the exit code of each."""


class GroundUpError(Exception):
    """An expected failure. Its message says what was wrong, where, and what to do."""

    exit_code = 1


class WorkError(GroundUpError):
    """The call was right and the work failed (a check, a download, a process). Exit code 1."""


class UserError(GroundUpError):
    """The call was wrong: an unknown name, an unreadable file, a missing package. Exit code 2."""

    exit_code = 2
