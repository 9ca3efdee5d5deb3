"""The fast step's memory: used again, grown when a batch is larger."""

import numpy as np

from groundup.scratch.fast.memory import Workspace, views


def test_a_name_is_one_piece_of_memory():
    kept = Workspace(np.dtype(np.float32))
    first = kept("x", 4, 3)
    first[...] = 7
    assert kept("x", 4, 3) is first
    smaller = kept("x", 2, 2)
    assert smaller.shape == (2, 2)
    assert smaller.dtype == np.float32
    assert np.shares_memory(smaller, first)
    assert not np.shares_memory(kept("y", 4, 3), first)


def test_it_grows_and_lets_the_small_memory_go():
    kept = Workspace(np.dtype(np.float64))
    small, other = kept("x", 2, 2), kept("y", 3)
    large = kept("x", 5, 4)
    assert not np.shares_memory(small, large)
    assert np.shares_memory(kept("x", 2, 2), large)
    assert kept("y", 3) is other
    assert kept("x", 5, 4) is large


def test_views_cover_the_buffer_in_order():
    flat = np.arange(10.0)
    cut = views(flat, {"a": (2, 3), "b": (), "c": (3,)})
    np.testing.assert_array_equal(cut["a"], [[0, 1, 2], [3, 4, 5]])
    assert cut["b"] == 6
    np.testing.assert_array_equal(cut["c"], [7, 8, 9])
    cut["c"] += 1
    assert flat[9] == 10
