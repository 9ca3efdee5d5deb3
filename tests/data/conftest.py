"""What the tests of readers share: files to read, what is read and said, and the refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.data.texts import read_documents, read_pairs
from groundup.lab.errors import UserError


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file below the test's folder."""

    def to(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


@pytest.fixture(scope="session")
def documents() -> Callable[..., tuple[list[str], str]]:
    """Read documents: they, and what was said of them."""

    def read(source: Path | str, **options: Any) -> tuple[list[str], str]:
        said: list[str] = []
        return read_documents(source, notice=said.append, **options), "\n".join(said)

    return read


@pytest.fixture(scope="session")
def pairs() -> Callable[..., tuple[list[tuple[str, str]], str]]:
    """Read pairs: they, and what was said of them."""

    def read(source: Path | str, **options: Any) -> tuple[list[tuple[str, str]], str]:
        said: list[str] = []
        return read_pairs(source, notice=said.append, **options), "\n".join(said)

    return read


@pytest.fixture(scope="session")
def refusal() -> Callable[..., str]:
    """The one line that a source is refused with."""

    def of(source: Path | str, read: Callable[..., object] = read_documents, **options: Any) -> str:
        with pytest.raises(UserError) as error:
            read(source, **options)
        assert "\n" not in str(error.value)
        return str(error.value)

    return of
