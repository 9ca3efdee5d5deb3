"""The checks of exercise 1.3, a split that shares no input."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

QUARTERS = (0.5, 0.25, 0.25)
TENTHS = (0.8, 0.1, 0.1)
DIFFERENT = [[5], [3], [9], [7]]
REPEATED = [[7], [3], [5], [7], [3], [7], [9], [7]]
PAIRS = [[5, 3], [3, 5], [5, 3], [9, 9], [5, 9], [9, 9]]


def split(
    own: Any, inputs: Sequence[Sequence[int]], order: Sequence[int], shares: tuple[float, ...]
) -> tuple[dict[str, Any], Any]:
    """The inputs as they are shown, and the parts."""
    given = {"inputs": np.array(inputs), "order": np.array(order), "shares": shares}
    parts = own.disjoint_split(np.array(inputs), np.array(order), shares)
    if not isinstance(parts, list | tuple) or len(parts) != len(shares):
        length = len(parts) if isinstance(parts, list | tuple) else None
        is_ = f"{length} parts" if length is not None else f"of type {type(parts).__name__}"
        says = f"The result is {is_}, and should be a list with a part for each share."
        expect.fail(says, given=given)
    return given, parts


def same(
    own: Any,
    inputs: Sequence[Sequence[int]],
    order: Sequence[int],
    expected: Sequence[Sequence[int]],
    probably: str,
    shares: tuple[float, ...] = QUARTERS,
) -> None:
    """The parts of a split are these."""
    given, parts = split(own, inputs, order, shares)
    for number, (received, rows) in enumerate(zip(parts, expected, strict=True)):
        what = f"Part {number}"
        if np.size(received) != len(rows):
            says = f"{what} has {np.size(received)} entries, not {len(rows)}."
            detail = f"received {np.asarray(received).tolist()}\nexpected {list(rows)}"
            expect.fail(says, detail, given, probably)
        expect.close(received, np.array(rows, int), what=what, given=given, probably=probably)


@check(Layer.SHAPES)
def test_a_part_for_each_share(own: Any) -> None:
    """one array of row numbers comes back for each share"""
    for rows, shares in ((20, TENTHS), (20, QUARTERS), (20, (0.5, 0.5)), (2, (0.5, 0.0, 0.5))):
        given, parts = split(own, [[n] for n in range(rows)], range(rows), shares)
        for number, part in enumerate(parts):
            if not isinstance(part, np.ndarray) or part.ndim != 1 or part.dtype.kind not in "iu":
                shape = f"{part.dtype}, {part.shape}" if isinstance(part, np.ndarray) else ""
                expect.fail(
                    f"Part {number} is not a one-dimensional array of whole numbers.",
                    f"received {type(part).__name__} {shape}".rstrip(),
                    given,
                    "With row numbers the caller can pick inputs, masks and answers alike. A part "
                    "without rows is such an array too; np.array([]) is one of floats.",
                )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """inputs and order are left as they were"""
    inputs, order = np.array(PAIRS), np.array([3, 1, 0, 5, 4, 2])
    with expect.unchanged(inputs=inputs, order=order):
        own.disjoint_split(inputs, order, QUARTERS)


@check(Layer.EXAMPLE, points=2)
def test_all_different(own: Any) -> None:
    """four different inputs: half, a quarter, a quarter"""
    same(
        own,
        DIFFERENT,
        [2, 0, 3, 1],
        [[2, 0], [3], [1]],
        "Every row stands for itself, so the line is 2, 0, 3, 1, cut at 2 and at 2 + 1 = 3. A part "
        "holds the numbers of rows of inputs, in the order in which order has them.",
    )


@check(Layer.EXAMPLE, points=2)
def test_rounded_cuts(own: Any) -> None:
    """cuts are rounded to whole inputs, each from the sum so far"""
    line = [3, 6, 0, 5, 2, 4, 1]
    same(
        own,
        [[n] for n in range(7)],
        line,
        [line[:4], line[4:6], line[6:]],
        "Of seven inputs, 0.6 is 4.2 and 0.6 + 0.2 is 5.6. Rounded, the cuts are at 4 and 6, so "
        "the parts have 4, 2 and 1.",
        (0.6, 0.2, 0.2),
    )
    ten = [[n] for n in range(10)]
    same(
        own,
        ten,
        range(10),
        [range(7), [7], [8, 9]],
        "0.7 + 0.1 times 10 is 7.999999999999999 in floating point: rounded, the cut is at 8.",
        (0.7, 0.1, 0.2),
    )
    same(
        own,
        ten,
        range(10),
        [[n] for n in range(10)],
        "Ten shares of 0.1 are 0.9999999999999999 in floating point. Shares sum to 1 if they do so "
        "but for rounding.",
        (0.1,) * 10,
    )


@check(Layer.EXAMPLE)
def test_empty_parts(own: Any) -> None:
    """a share of 0 gets no rows; 0.8, 0.1 and 0.1 are the default"""
    for shares, expected in (
        ((1.0,), [[2, 0, 3, 1]]),
        ((0.0, 1.0), [[], [2, 0, 3, 1]]),
        ((0.5, 0.0, 0.5), [[2, 0], [], [3, 1]]),
        ((1.0, 0.0), [[2, 0, 3, 1], []]),
        ((0.5, 0.5000000005), [[2, 0], [3, 1]]),
    ):
        same(
            own,
            DIFFERENT,
            [2, 0, 3, 1],
            expected,
            "A share may be 0, there may be one share alone, and the sum may miss 1 by 1e-9. Every "
            "row is in one part.",
            shares,
        )
    inputs, order = np.arange(10)[:, None], np.arange(10)
    sizes = [len(part) for part in own.disjoint_split(inputs, order)]
    expect.close(
        np.array(sizes),
        np.array([8, 1, 1]),
        what="The number of rows in each part, where no shares are given,",
        given={"inputs": inputs, "order": order},
        probably="The shares are 0.8, 0.1 and 0.1 if the caller gives none.",
    )


@check(Layer.EXAMPLE, points=2)
def test_repeats_stay_together(own: Any) -> None:
    """eight rows, four inputs: rows with one input stay together"""
    same(
        own,
        REPEATED,
        [6, 1, 4, 2, 0, 3, 5, 7],
        [[6, 1, 4], [2], [0, 3, 5, 7]],
        "Rows 6, 1, 2 and 0 stand for the inputs 9, 3, 5 and 7, and come in this order. The cuts "
        "are at 2 and 3. Part 0 gets all rows that hold 9 or 3, whenever they come, part 1 those "
        "with 5, and part 2 those with 7. Cut the line of four, and not the eight rows.",
    )


@check(Layer.EXAMPLE, points=2)
def test_first_row_stands_for_an_input(own: Any) -> None:
    """the place of an input is that of its first row in inputs"""
    same(
        own,
        REPEATED,
        [5, 6, 1, 7, 2, 0, 3, 4],
        [[6, 1, 4], [2], [5, 7, 0, 3]],
        "Rows 0, 3, 5 and 7 hold the input 7, and row 0 stands for it: its place is late, though "
        "order begins with row 5. The line is 9, 3, 5, 7. An input's place is not where order "
        "first meets it: frequent inputs, which are met early, would nearly all be in part 0.",
    )


@check(Layer.EXAMPLE)
def test_every_position_counts(own: Any) -> None:
    """5 3 and 3 5 are different inputs, and so are 5 3 and 5 9"""
    same(
        own,
        PAIRS,
        [3, 1, 0, 5, 4, 2],
        [[3, 1, 5], [0, 2], [4]],
        "There are four distinct inputs: 9 9, 3 5, 5 3 and 5 9. A sorted input or a set loses the "
        "order of its tokens; the first token alone loses the others.",
    )
    same(
        own,
        [[1, 12], [11, 2], [2, 2], [1, 12]],
        [1, 3, 2, 0],
        [[1], [2], [3, 0]],
        "1 12, 11 2 and 2 2 are three inputs, a third each. The key of an input in a dictionary "
        "must be its own: the tokens joined without a space, or their sum, are not.",
        (1 / 3, 1 / 3, 1 / 3),
    )
    same(
        own,
        [[5, 3, 9], [5, 3, 7], [5, 3, 9]],
        [1, 2, 0],
        [[1], [2, 0]],
        "5 3 9 and 5 3 7 are two inputs: they agree at the first two positions and not at the "
        "third.",
        (0.5, 0.5),
    )
    pairs = np.array(list(np.ndindex(20, 20)))
    order = np.random.default_rng(15).permutation(400)
    same(
        own,
        pairs.tolist(),
        order.tolist(),
        [order[:200].tolist(), order[200:].tolist()],
        "Here are all 400 pairs of the tokens 0 to 19, each of them once. No two are one input.",
        (0.5, 0.5),
    )


@check(Layer.EXAMPLE)
def test_refuses_order(own: Any) -> None:
    """an order without every row once raises ValueError"""
    for order, fault in (
        ([2, 0, 3], "row 1 is missing"),
        ([2, 0, 0, 3], "row 0 comes twice"),
        ([2, 0, 3, 1, 0], "row 0 comes twice, and all others once"),
        ([2, 0, 1, -1], "there is a row -1, which NumPy takes for the last,"),
        ([2, 0, 3, 4], "there is a row 4"),
    ):
        with expect.raises(ValueError, f"{fault} in order", {"order": np.array(order)}):
            own.disjoint_split(np.array(DIFFERENT), np.array(order), QUARTERS)


@check(Layer.EXAMPLE)
def test_refuses_shares(own: Any) -> None:
    """shares that do not sum to 1, or are negative, raise ValueError"""
    for shares, fault in (
        ((0.5, 0.6), "the shares sum to 1.1"),
        ((0.5, 0.4), "the shares sum to 0.9"),
        ((0.5, 0.499), "the shares sum to 0.999"),
        ((0.5, 0.50000001), "the shares sum to 1.00000001"),
        ((0.5, float("nan")), "a share is not a number"),
        ((1.25, -0.25), "a share is negative"),
    ):
        with expect.raises(ValueError, fault, {"shares": shares}):
            own.disjoint_split(np.array(DIFFERENT), np.arange(4), shares)


@check(Layer.RANDOM, points=2)
def test_no_input_in_two_parts(own: Any) -> None:
    """random rows: every row in one part, no input in two"""
    rng = np.random.default_rng(13)
    for rows, kinds in ((4, 2), (8, 2), (20, 3), (60, 4)):
        inputs = rng.integers(kinds, size=(rows, 2)).tolist()
        order = rng.permutation(rows).tolist()
        given, parts = split(own, inputs, order, (0.6, 0.2, 0.2))
        found = [row for part in parts for row in np.asarray(part).tolist()]
        if sorted(found) != list(range(rows)):
            lost = sorted(set(range(rows)) - {int(row) for row in found if np.ndim(row) == 0})
            says = "Not every row is in exactly one part."
            expect.fail(says, f"in none: {lost[:10]}" if lost else "", given)
        home: dict[tuple[int, ...], int] = {}
        for number, part in enumerate(parts):
            for row in part.tolist():
                here = home.setdefault(tuple(inputs[row]), number)
                if here != number:
                    expect.fail(
                        f"The input {inputs[row]} is in part {here} and in part {number}.",
                        "\n".join(f"part {n}: rows {p.tolist()}" for n, p in enumerate(parts)),
                        given,
                    )


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random rows agree with a walk by hand"""
    rng = np.random.default_rng(14)
    for size in (4, 8, 20):
        # Every input of 0 to size - 1 comes at least once, so the cuts are whole numbers.
        tokens = np.concatenate([np.arange(size), rng.integers(size, size=size)])
        order = rng.permutation(len(tokens))
        line = [tokens[row] for row in order if tokens[row] not in tokens[:row]]
        expected: list[list[int]] = [[], [], []]
        for row in order.tolist():
            share = line.index(tokens[row]) / size
            expected[0 if share < 0.5 else 1 if share < 0.75 else 2].append(row)
        same(
            own,
            tokens[:, None].tolist(),
            order.tolist(),
            expected,
            "The line is cut by the number of distinct inputs, and the rows of a part are in the "
            "order of order.",
        )
