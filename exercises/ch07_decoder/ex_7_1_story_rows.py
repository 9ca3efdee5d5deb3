# Stub 175a333a98cf: yours to edit. It is never written over unasked.
"""Exercise 7.1, Rows and what comes next.

Write the body of ``story_rows``, then run
``groundup check 7.1``.
"""

from collections.abc import Sequence

import numpy as np

from groundup.scratch.language import IGNORE
from groundup.scratch.types import IntArray


def story_rows(texts: Sequence[Sequence[int]], end: int) -> tuple[IntArray, IntArray]:
    """Rows to train a decoder on, a story each: at every token, what comes next.

    A row begins with ``end``, as if another story had just ended, so that the first word is
    learned too. The last target is ``end``, so that stopping is learned. Short rows are filled up
    on the right, where no earlier token can look: no mask is needed.

    Args:
        texts: the token ids of each story, without ``end``.
        end: the id of :data:`END`.

    Returns:
        ids (N, T), T one more than the longest story has tokens, filled up with ``end``; and
        targets (N, T), :data:`~groundup.scratch.language.IGNORE` at the filling.

    Raises:
        ValueError: there is no story, or one is empty.
    """
    raise NotImplementedError("7.1")
