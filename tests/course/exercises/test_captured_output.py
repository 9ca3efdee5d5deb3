"""Of what code prints, a few lines are kept, and the count is right."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.course.exercises.captured_output import CapturedOutput


def kept(*texts: str, flush: bool = False) -> list[str]:
    printed = CapturedOutput()
    for text in texts:
        print(text, end="", file=printed.stream(), flush=flush)
    return printed.take().splitlines()


def test_few_lines_are_kept_whole() -> None:
    assert kept("one\n\ntwo\nthree") == ["one", "", "two", "three"]
    assert kept() == []


@given(st.lists(st.integers(0, 400), max_size=60), st.booleans())
def test_first_lines_last_lines_and_the_count_between(sizes: list[int], flush: bool) -> None:
    """However the text arrives, in one piece or in many."""
    lines = [f"{n}:{'x' * 40}" for n in range(sum(sizes))]
    pieces, at = [], 0
    for size in sizes:
        pieces.append("".join(f"{line}\n" for line in lines[at : at + size]))
        at += size
    shown = kept(*pieces, flush=flush)
    if len(lines) <= 16:
        assert shown == lines
    else:
        assert shown == [*lines[:12], f"… {len(lines) - 16:,} more lines …", *lines[-4:]]


@pytest.mark.parametrize("flush", [False, True])
def test_a_line_without_end_is_cut(flush: bool) -> None:
    (line,) = kept(*["é" * 1000] * 500, flush=flush)
    assert line == "é" * 200 + "… (1,000,000 bytes)"


def test_a_progress_bar_shows_its_end() -> None:
    assert kept(*(f"\r{n}%" for n in range(50)), "\n") == ["49%"]


def test_nothing_moves_the_cursor_or_fails_to_be_written() -> None:
    (line,) = kept("\x1b[2J\ud800\ttab\x07")
    assert line == "\\x1b[2J\\ud800\ttab\\x07"


def test_the_stream_is_one_that_code_may_use(tmp_path: Path) -> None:
    printed = CapturedOutput()
    stream = printed.stream()
    stream.buffer.write(b"bytes\n")
    stream.flush()
    stream.writelines(["lines\n"])
    assert (stream.encoding, stream.isatty()) == ("utf-8", False)
    assert printed.take() == "bytes\nlines"
    stream.close()
    assert printed.take() == ""
