"""Where the fast step keeps its numbers: one flat buffer a kind, and arrays that are used again."""

import math

import numpy as np

from groundup.scratch.types import Array, Params


class Workspace:
    """Arrays that are allocated once and written again in every step.

    A fresh large array costs more than the work done in it: the system hands out its memory page
    by page, as zeros, on first touch. An array asked for again under the same name is the same
    memory, so its old content is lost. Batches of different shapes share it: the memory of a
    name grows to the largest shape it was asked for.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self._memory: dict[str, Array] = {}
        self._views: dict[tuple[str, tuple[int, ...]], Array] = {}

    def __call__(self, name: str, *shape: int) -> Array:
        """The array of this name, in this shape; what is in it is not defined."""
        view = self._views.get((name, shape))
        if view is None:
            size = math.prod(shape)
            memory = self._memory.get(name)
            if memory is None or memory.size < size:
                memory = self._memory[name] = np.empty(size, self.dtype)
                # Views of the smaller memory would keep it alive.
                self._views = {key: v for key, v in self._views.items() if key[0] != name}
            view = self._views[name, shape] = memory[:size].reshape(shape)
        return view


def views(flat: Array, shapes: dict[str, tuple[int, ...]]) -> Params:
    """Cut a flat buffer into named arrays, one behind the other, without a copy.

    Args:
        flat: (P,), P the sum of all sizes.
        shapes: names and shapes, in the order of the buffer.
    """
    result, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        result[name] = flat[start:stop].reshape(shape)
        start = stop
    return result
