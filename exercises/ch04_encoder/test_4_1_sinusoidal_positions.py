"""The checks of exercise 4.1, sinusoidal positions."""

import math
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check


def table_of(own: Any, length: int, width: int) -> Any:
    """The learner's table, once its shape is known to be right."""
    table = own.sinusoidal_positions(length, width)
    expect.array(table, like=np.zeros(1), shape=(length, width), what="The table")
    return table


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """a table (T, D) of float64 comes back"""
    table_of(own, 5, 4)
    table_of(own, 1, 8)


@check(Layer.SHAPES)
def test_refuses_an_odd_width(own: Any) -> None:
    """an odd width raises ValueError: columns come in pairs"""
    for width in (1, 3):
        with expect.raises(ValueError, f"the width is {width}"):
            own.sinusoidal_positions(2, width)


@check(Layer.INPUTS)
def test_each_call_makes_a_table(own: Any) -> None:
    """the table belongs to the caller, who may write into it"""
    for length in (2, 1):
        first = table_of(own, 2, 2)
        expected = first[:length].copy()
        first[...] = 7.0
        expect.close(
            table_of(own, length, 2),
            expected,
            what="A second table, after 7 was written into every entry of the first,",
            given={"length of the first": 2, "length of the second": length, "width": 2},
            probably="Nothing else has happened between the two calls. Make a new array in each "
            "call.",
        )


@check(Layer.EXAMPLE)
def test_position_zero(own: Any) -> None:
    """position 0: all clocks stand at angle zero"""
    expect.close(
        table_of(own, 1, 4),
        np.array([[0.0, 1.0, 0.0, 1.0]]),
        what="The row of position 0",
        given={"length": 1, "width": 4},
        probably="sin 0 = 0 and cos 0 = 1, in turns: columns 0 and 2 are sines, columns 1 and 3 "
        "cosines. If you have 1 at [0, 0], the cosine comes first. If you have 0.8415 at [0, 0], "
        "positions begin at 1.",
    )


@check(Layer.EXAMPLE, points=2)
def test_position_one(own: Any) -> None:
    """position 1 at width 4: the angles are 1 and 0.01"""
    expect.close(
        table_of(own, 2, 4)[1],
        np.array([math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]),
        what="The row of position 1",
        given={"length": 2, "width": 4},
        probably="The angles are 1 / 10000^(0/4) = 1 and 1 / 10000^(2/4) = 0.01. If you have "
        "0.09983 at [2], the exponent is i / D with i the number of the pair, where it is 2i / D. "
        "If you have 0.995 at [1], the cosine has an exponent of its own: a pair shares one angle. "
        "If you have 0.0001 at [2], the exponent reaches 1 in the last pair. If you have -0.5064 "
        "at [2], the angle is multiplied where it is to be divided. If you have 0.03162 at "
        "[2], the base is 1000.",
    )


@check(Layer.EXAMPLE)
def test_slow_and_fast(own: Any) -> None:
    """position 7 at width 2: one pair, which turns by 1 a step"""
    expect.close(
        table_of(own, 8, 2)[7],
        np.array([math.sin(7), math.cos(7)]),
        what="The row of position 7",
        given={"length": 8, "width": 2},
        probably="The first pair turns by one radian a position: sin 7 = 0.657. If you have 0.1219 "
        "at [0], it turns by one degree. If you have 0 at [0], it turns in whole circles.",
    )


@check(Layer.RANDOM, points=3)
def test_by_definition(own: Any) -> None:
    """tables of other sizes, one entry at a time"""
    for length, width in ((1, 2), (2, 6), (3, 8), (12, 10), (600, 2)):
        expected = np.zeros((length, width))
        for t, i in np.ndindex(length, width // 2):
            angle = t / math.pow(10_000, 2 * i / width)
            expected[t, 2 * i], expected[t, 2 * i + 1] = math.sin(angle), math.cos(angle)
        expect.close(
            table_of(own, length, width),
            expected,
            what="The table",
            given={"length": length, "width": width},
            probably="With D the whole width, the entry [t, 2i] is sin(t / 10000^(2i / D)), and "
            "[t, 2i + 1] is the cosine of the same angle.",
        )


@check(Layer.STABILITY, points=2)
def test_only_the_distance_counts(own: Any) -> None:
    """the dot product of two rows depends on their distance alone"""
    table = table_of(own, 40, 6)
    for t, s in ((0, 3), (5, 8), (36, 39)):
        expected = sum(math.cos((s - t) / math.pow(10_000, 2 * i / 6)) for i in range(3))
        expect.close(
            float(table[t] @ table[s]),
            expected,
            what=f"The dot product of rows {t} and {s}",
            given={"length": 40, "width": 6},
            probably="sin a sin b + cos a cos b = cos(a - b) holds for a sine and a cosine of the "
            "same angle.",
        )
