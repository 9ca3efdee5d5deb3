"""Splits that share no input: every row once, equal rows together, shares of distinct inputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.scratch.tasks.splits import disjoint_split


@given(seed=st.integers(0, 1000), rows=st.integers(1, 60), kinds=st.integers(1, 4))
def test_no_input_on_two_sides_and_no_row_lost(seed, rows, kinds):
    rng = np.random.default_rng(seed)
    inputs = rng.integers(kinds, size=(rows, 2))
    order = rng.permutation(rows)
    parts = disjoint_split(inputs, order, (0.5, 0.25, 0.25))
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))
    sides = [{tuple(inputs[row]) for row in part} for part in parts]
    distinct = set(map(tuple, inputs.tolist()))
    assert sum(map(len, sides)) == len(set().union(*sides)) == len(distinct)
    for side, share in zip(sides, (0.5, 0.25, 0.25), strict=True):
        assert abs(len(side) - share * len(distinct)) <= 1
    place = {row: n for n, row in enumerate(order.tolist())}
    assert all([place[row] for row in part] == sorted(place[row] for row in part) for part in parts)


def test_by_hand():
    inputs = np.array([[5, 3], [3, 5], [5, 3], [9, 9], [5, 9], [9, 9]])
    parts = disjoint_split(inputs, np.array([5, 1, 0, 3, 4, 2]), (0.5, 0.25, 0.25))
    assert [part.tolist() for part in parts] == [[1, 0, 2], [5, 3], [4]]


def test_a_frequent_input_is_in_each_part_as_often_as_a_rare_one():
    """A place in the line that is taken at any of an input's rows favours the first part."""
    inputs = np.array([[0]] * 20 + [[n] for n in range(1, 10)])
    rng = np.random.default_rng(0)
    shares = (0.5, 0.5)
    trials = 400
    hits = sum(0 in disjoint_split(inputs, rng.permutation(29), shares)[0] for _ in range(trials))
    assert abs(hits / trials - 0.5) < 5 * 0.5 / trials**0.5  # five standard deviations


def test_no_rows_give_empty_parts():
    none = np.zeros(0, dtype=int)
    assert [len(part) for part in disjoint_split(np.zeros((0, 3), dtype=int), none)] == [0, 0, 0]


def test_where_no_input_comes_twice_the_order_is_cut():
    order = np.random.default_rng(3).permutation(20)
    parts = disjoint_split(np.arange(20)[:, None], order)
    for part, expected in zip(parts, np.split(order, [16, 18]), strict=True):
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("shares", [(0.5, 0.6), (0.5, 0.4), (1.2, -0.2)])
def test_shares_that_make_no_sense_are_named(shares):
    with pytest.raises(ValueError, match="sum to 1"):
        disjoint_split(np.array([[1], [2]]), np.array([0, 1]), shares)


@pytest.mark.parametrize("order", [[0], [0, 0], [0, 1, 2]])
def test_an_order_of_other_rows_is_named(order):
    with pytest.raises(ValueError, match="each of the 2 rows once"):
        disjoint_split(np.array([[1], [2]]), np.array(order))
