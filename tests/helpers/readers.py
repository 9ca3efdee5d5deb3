"""What tests of readers share: types of their fixtures, and lines of text to draw."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Write = Callable[[str, str | bytes], Path]
Read = Callable[..., tuple[list[Any], str]]
Refusal = Callable[..., str]

# Text with ends of lines of its own kind: any character but those, U+FEFF and NUL.
LINES = st.lists(
    st.text(
        st.characters(exclude_characters="\r\n\ufeff\0", exclude_categories=["Cs"]), max_size=30
    ),
    min_size=1,
    max_size=6,
).filter(lambda lines: any(line.strip() for line in lines))
