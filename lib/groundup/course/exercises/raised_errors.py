"""What an error says to a learner: in words, with the line of the file that it came from."""

import traceback
from pathlib import Path

from groundup.course.exercises import deadline
from groundup.course.exercises.checks import CheckFailure
from groundup.course.exercises.deadline import OutOfTime
from groundup.course.exercises.formatting import WIDTH, legible, shorten
from groundup.course.exercises.python_files import read_source

_LONGEST = 300  # characters of an error's text that are shown


def raised(error: BaseException, path: Path) -> str:
    """What went wrong in words, with the last line of the file that it passed through."""
    lines = _lines(error, path)
    text = _in_words(error)
    return f"{path.name}, line {lines[-1]}: {text}" if lines else text


def line_of(error: BaseException, path: Path) -> str:
    """The text of that line, with its number; empty if it passed through none."""
    lines = _lines(error, path)
    try:
        texts = read_source(path, path.name).splitlines()
    except CheckFailure:
        return ""
    if not lines or lines[-1] > len(texts):
        return ""
    return f"{lines[-1]} | {shorten(legible(texts[lines[-1] - 1].strip()), WIDTH - 8)}"


def _lines(error: BaseException, path: Path) -> list[int]:
    frames = traceback.walk_tb(error.__traceback__)
    return [line for frame, line in frames if frame.f_code.co_filename == str(path)]


def _in_words(error: BaseException) -> str:
    kind = type(error).__name__
    try:
        said = shorten(legible(str(error)), _LONGEST)
    except Exception:
        said = ""
    if isinstance(error, OutOfTime):
        return f"still running after {said}. {deadline.ASK}"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in said:
        return f"more memory is asked for than a check may use. {said}".rstrip()
    if isinstance(error, RecursionError):
        return f"a function calls itself without end ({kind})."
    if isinstance(error, SystemExit):
        return "exit() is called, which would end the whole program that uses this."
    if isinstance(error, EOFError):
        return "there is no keyboard here: input() and breakpoint() work under pytest --pdb only."
    return f"{kind}: {said}" if said else kind
