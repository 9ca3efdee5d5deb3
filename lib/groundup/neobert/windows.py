"""A long text as overlapping windows, each of which scores some of its tokens."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.neobert.losses import IGNORE


@dataclass(frozen=True, eq=False)
class WindowRow:
    """One input of a model, and the tokens that it must predict there.

    Attributes:
        text: the number of the text.
        ids: (T,).
        targets: (T,), or IGNORE.
        count: of the targets.
    """

    text: int
    ids: Tensor
    targets: Tensor
    count: int

    @classmethod
    def of(cls, text: int, ids: list[int], targets: dict[int, int]) -> "WindowRow":
        """A row whose targets are given by their index."""
        filled = [targets.get(index, IGNORE) for index in range(len(ids))]
        return cls(text, torch.tensor(ids), torch.tensor(filled), len(targets))


def overlapping_windows(
    length: int, window: int, stride: int, behind: int
) -> Iterator[tuple[int, int, int, int]]:
    """Begin and end of each window over a text, and begin and end of the tokens it scores.

    Args:
        length: of the text.
        window: the longest window.
        stride: from the start of a window to that of the next.
        behind: how many tokens at the end of a window are left to the next one.
    """
    begin = first = 0
    while length:
        end = min(begin + window, length)
        stop = length if end == length else end - behind
        yield begin, end, first, stop
        if end == length:
            return
        begin, first = begin + stride, stop
