"""The checks of exercise 1.2, padding and mask."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

PARTS = ("ids", "mask")
# The second is the longest, so that neither end of the batch decides the width.
BATCH = [[4, 1], [5, 15, 13, 1], [1]]
IDS = np.array([[4, 1, 0, 0], [5, 15, 13, 1], [1, 0, 0, 0]])
MASK = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])


def pad(own: Any, sequences: list[list[int]]) -> tuple[Any, Any]:
    """Ids and mask of a copy of the sequences."""
    result = own.pad([list(each) for each in sequences])
    expect.parts(result, PARTS)
    return result


def by_loop(sequences: list[list[int]]) -> tuple[list[list[int]], list[list[bool]]]:
    """Cell by cell: a real token if the row reaches that far."""
    columns = range(max(map(len, sequences)))
    ids = [[row[c] if c < len(row) else 0 for c in columns] for row in sequences]
    return ids, [[c < len(row) for c in columns] for row in sequences]


@check(Layer.SHAPES)
def test_two_arrays(own: Any) -> None:
    """two arrays come back, ids and mask"""
    for name, value in zip(PARTS, pad(own, BATCH), strict=True):
        if not isinstance(value, np.ndarray):
            kind = type(value).__name__
            says = f"{name} is of type {kind}, and should be a NumPy array."
            expect.fail(says, given={"sequences": BATCH})


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """a row for each sequence, as wide as the longest, (N, T)"""
    for sequences, shape in ((BATCH, (3, 4)), ([[5, 15, 1], [1]], (2, 3)), ([[5, 1]], (1, 2))):
        for name, value in zip(PARTS, pad(own, sequences), strict=True):
            if np.shape(value) != shape:
                expect.fail(
                    f"{name} has shape {np.shape(value)}, not {shape}.",
                    given={"sequences": sequences},
                    probably="N is the number of sequences, and T the length of the longest, "
                    "wherever in the list it is.",
                )


@check(Layer.SHAPES)
def test_types(own: Any) -> None:
    """ids are whole numbers, and the mask is of True and False"""
    kinds = {"ids": (np.integer, "whole numbers"), "mask": (np.bool_, "True and False")}
    for sequences in (BATCH, [[]]):
        for (name, (kind, words)), value in zip(kinds.items(), pad(own, sequences), strict=True):
            dtype = np.asarray(value).dtype
            if not np.issubdtype(dtype, kind):
                expect.fail(
                    f"{name} is of dtype {dtype}, and should be of {words}.",
                    given={"sequences": sequences},
                    probably="An array used as an index picks rows if it holds whole numbers, "
                    "keeps or drops entries if it holds True and False, and is refused if it holds "
                    "floats.",
                )


@check(Layer.INPUTS, points=2)
def test_sequences_unchanged(own: Any) -> None:
    """the caller's lists are left as they were"""
    short, long = [4, 1], [5, 15, 1]
    batch = [short, long]
    own.pad(batch)
    own.pad(batch)
    own.pad([short])
    if batch != [[4, 1], [5, 15, 1]]:
        expect.fail(
            "The sequences are changed in place. The caller still needs them.",
            f"after {batch}\nbefore {[[4, 1], [5, 15, 1]]}",
            probably="append, += and extend write into the list that was passed. Write the tokens "
            "into a new array instead.",
        )


@check(Layer.EXAMPLE, points=2)
def test_ids(own: Any) -> None:
    """the ids of three sequences, filled up on the right"""
    expect.close(
        pad(own, BATCH)[0],
        IDS,
        what="ids",
        given={"sequences": BATCH},
        probably="The first row is 4, 1 and two [PAD], which is 0. If you have 0 at [0, 0], the "
        "row begins with [PAD]: padding belongs on the right. If you have 1 at [0, 2], [EOS] is "
        "where padding should be. If you have 5 at [0, 0], the rows have changed places.",
    )


@check(Layer.EXAMPLE, points=2)
def test_mask(own: Any) -> None:
    """the mask of three sequences, True at real tokens"""
    _, mask = pad(own, BATCH)
    expect.close(
        np.asarray(mask).astype(int),
        MASK,
        what="mask, shown as 1 for True and 0 for False,",
        given={"sequences": BATCH},
        probably="The first row is 1, 1, 0, 0: two real tokens, [EOS] among them, and two [PAD]. "
        "If you have 0 at [1, 0], a real token is False; in an inverted mask they all are.",
    )


@check(Layer.EXAMPLE)
def test_refuses_nothing(own: Any) -> None:
    """no sequences at all raise ValueError"""
    with expect.raises(ValueError, "the list of sequences is empty"):
        own.pad([])


@check(Layer.EXAMPLE)
def test_empty_sequences(own: Any) -> None:
    """a sequence without tokens is a row of [PAD]"""
    for sequences, ids in (([[5, 1], []], [[5, 1], [0, 0]]), ([[]], np.zeros((1, 0), int))):
        for name, received, expected in zip(
            PARTS, pad(own, sequences), (np.array(ids), np.array(ids) != 0), strict=True
        ):
            expect.close(
                np.asarray(received).astype(int),
                expected.astype(int),
                what=f"{name}, shown as whole numbers,",
                given={"sequences": sequences},
                probably="Only a list of no sequences is refused. A sequence of no tokens is a row "
                "that is all padding.",
            )


@check(Layer.RANDOM, points=2)
def test_random(own: Any) -> None:
    """random sequences, cell by cell"""
    rng = np.random.default_rng(12)
    batches = [[[5, 15, 1], [4, 1]], [[4, 1], [6, 13, 1]]]
    for rows, longest in ((1, 6), (2, 6), (4, 6), (8, 6), (2, 70)):
        lengths = rng.integers(1, longest + 1, size=rows)
        batches.append([rng.integers(1, 20, size=length).tolist() for length in lengths])
    # All batches are padded before the first is compared: no call may write over another's arrays.
    results = [pad(own, sequences) for sequences in batches]
    for sequences, arrays in zip(batches, results, strict=True):
        for name, received, expected in zip(PARTS, arrays, by_loop(sequences), strict=True):
            expect.close(
                received,
                np.array(expected),
                what=name,
                given={"sequences": sequences},
                probably="Each row begins with its sequence and goes on with [PAD]. Seven batches "
                "are padded, one after the other, before the first is compared: no call may write "
                "into what another returned.",
            )


@check(Layer.STABILITY)
def test_large_ids(own: Any) -> None:
    """ids of a large vocabulary stay what they are"""
    sequences = [[128_255, 1], [1]]
    expect.close(
        pad(own, sequences)[0],
        np.array([[128_255, 1], [1, 0]]),
        what="ids",
        given={"sequences": sequences},
        probably="Real vocabularies have more than 100,000 tokens. Integers of 8 bits end at 127, "
        "and those of 16 bits at 32,767.",
    )
