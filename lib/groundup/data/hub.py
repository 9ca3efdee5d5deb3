"""Rows of a data set on the Hugging Face Hub, streamed."""

import logging
import re
from collections.abc import Iterator

from groundup.data.tables import Row
from groundup.lab.errors import UserError, WorkError

_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
PREFIX = "hf://datasets/"


def hub_name(source: str) -> str | None:
    """The ``owner/name`` that a source names, with or without :data:`PREFIX`, or None."""
    name = source.removeprefix(PREFIX).strip("/")
    return name if _NAME.fullmatch(name) else None


def hub_rows(name: str, hint: str = "") -> Iterator[Row]:
    """The rows of a data set's training split, one after the other, none kept.

    Args:
        name: ``owner/name``.
        hint: added to the error for a data set that can't be read.

    Raises:
        UserError: there is no data set of that name.
        WorkError: the Hub can't be reached.
    """
    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it repeats itself
    number = 0
    try:
        for row in datasets.load_dataset(name, split="train", streaming=True):
            number += 1
            yield Row(f"{name}, row {number}", row)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise UserError(f"no data set {name} on the Hub, or it is not public{hint}") from error
    except Exception as error:  # of datasets, httpx, fsspec, pyarrow: they share no class
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        where = f" after row {number}" if number else ""
        raise WorkError(
            f"the data set {name} could not be read{where}: {why}; is there a network? --data also "
            f"takes a file or a folder{hint}"
        ) from error
