"""What two processes did together, for every test that asks."""

from collections.abc import Callable
from pathlib import Path

import pytest
import train_ranks


@pytest.fixture(scope="session")
def two_processes(
    run_ranks: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder in which train_ranks.py left the results of two processes."""
    folder = tmp_path_factory.mktemp("two_processes")
    run_ranks(Path(train_ranks.__file__), folder)
    return folder
