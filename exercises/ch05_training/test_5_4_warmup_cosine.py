"""The checks of exercise 5.4, warm-up and a cosine."""

import math
from typing import Any

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Three steps of rise, then eight of fall: every number can be worked out on paper.
PAPER = {"total": 11, "warmup": 3, "peak": 0.4}


def at(own: Any, step: int, wanted: float, probably: str = "", **more: float) -> None:
    """The rate at a step of the paper schedule."""
    given = {"step": step, **PAPER, **more}
    received = own.warmup_cosine(**given)
    expect.close(received, wanted, what=f"The rate at step {step}", given=given, probably=probably)


@check(Layer.SHAPES)
def test_number(own: Any) -> None:
    """a plain number comes back, in the rise and in the fall"""
    for step in (0, 3, 6, 11):
        rate = own.warmup_cosine(step, **PAPER)
        expect.number(rate, what=f"The rate at step {step}", probably="Is a case without return?")


@check(Layer.INPUTS)
def test_no_memory(own: Any) -> None:
    """the rate depends on the step alone, in whatever order you ask"""
    once = {step: own.warmup_cosine(step, **PAPER) for step in (0, 2, 7)}
    for step in (7, 2):
        expect.close(
            own.warmup_cosine(step, **PAPER),
            once[step],
            what=f"The rate at step {step}, asked for a second time,",
            given={"step": step, **PAPER},
            probably="A run that is resumed asks for step 7 first. Keep nothing between calls.",
        )


@check(Layer.EXAMPLE)
def test_rise(own: Any) -> None:
    """the rise: 0.1, 0.2, 0.3 on the way to 0.4"""
    at(
        own,
        0,
        0.1,
        "Steps 0, 1, 2 rise and step 3 is the peak: four equal parts, and the first step has one "
        "of them. If you have 0, the first step does nothing at all. If you have 0.1333, the peak "
        "is reached one step too early. If you have 0.4, there is no warm-up.",
    )
    at(own, 2, 0.3, "Three quarters of the way. A straight line, not a curve.")


@check(Layer.EXAMPLE)
def test_peak(own: Any) -> None:
    """the peak is reached at step 3, and only there"""
    at(
        own,
        3,
        0.4,
        "The cosine begins here, at done = 0. If you have 0.3848, it has begun a step too early, "
        "and the peak is never reached. If you have 0.331, the steps of the rise count as done "
        "already.",
    )


@check(Layer.EXAMPLE, points=2)
def test_fall(own: Any) -> None:
    """a quarter and a half of the way down, worked by hand"""
    at(
        own,
        5,
        0.4 * (1 + math.sqrt(0.5)) / 2,
        "Two of eight steps are done, the angle is π/4, and 0.4·(1 + 0.7071)/2 = 0.3414. If you "
        "have 0.3, it is a straight line. If you have 0.3696, the angle goes to π/2 only. If you "
        "have 0.2, it goes to 2π: down and up again. If you have 0.3683, two of eleven steps are "
        "done: the fall takes total - warmup. If you have 0.3938, π is missing.",
    )
    at(own, 7, 0.2, "Half of the way down, the cosine is 0.")


@check(Layer.EXAMPLE, points=2)
def test_floor(own: Any) -> None:
    """with a floor of 0.1: half-way, and the end"""
    at(
        own,
        7,
        0.25,
        "Half-way between 0.4 and 0.1: only peak - floor falls, and the floor is below it at every "
        "step. If you have 0.3, the floor is added on top of a fall of the whole peak.",
        floor=0.1,
    )
    at(own, 11, 0.1, "At step total the floor is reached.", floor=0.1)
    at(
        own,
        0,
        0.1,
        "The rise begins at zero, not at the floor. If you have 0.175, it begins at the floor.",
        floor=0.1,
    )


@check(Layer.EXAMPLE)
def test_after_the_end(own: Any) -> None:
    """after the end the floor stays"""
    at(
        own,
        15,
        0.1,
        "Training may go on for a few steps, at the floor. If you have 0.25, the cosine goes on "
        "and the rate climbs again.",
        floor=0.1,
    )


@check(Layer.EXAMPLE)
def test_refuses(own: Any) -> None:
    """negative steps, and rates not in order, raise ValueError"""
    for bad in ({"step": -1}, {"total": -1}, {"warmup": -1}):
        given = {"step": 0, **PAPER} | bad
        with expect.raises(ValueError, "a number of steps is negative", given):
            own.warmup_cosine(**given)
    for floor in (-0.1, 0.5, math.nan):
        given = {"step": 0, **PAPER, "floor": floor}
        with expect.raises(ValueError, f"the floor is {floor} and the peak 0.4", given):
            own.warmup_cosine(**given)
    for peak in (-0.1, math.inf, math.nan):
        given = {"step": 0, **PAPER, "peak": peak}
        with expect.raises(ValueError, f"the peak is {peak}", given):
            own.warmup_cosine(**given)


@check(Layer.RANDOM, points=2)
def test_schedules(own: Any) -> None:
    """whole schedules, with the cosine written as a square"""
    for total, warmup, floor in ((4, 0, 0.0), (6, 2, 0.0), (12, 5, 0.25), (3, 1, 1.0)):
        for step in range(total + 3):
            if step < warmup:
                wanted = (step + 1) / (warmup + 1)
            else:  # (1 + cos 2x) / 2 = cos² x
                done = min(1.0, (step - warmup) / (total - warmup))
                wanted = floor + (1 - floor) * math.cos(done * math.pi / 2) ** 2
            given = {"step": step, "total": total, "warmup": warmup, "peak": 1.0, "floor": floor}
            received = own.warmup_cosine(**given)
            expect.close(received, wanted, what=f"The rate at step {step}", given=given)
    expect.close(
        own.warmup_cosine(5, 11, 3, 0.0),
        0.0,
        what="The rate with a peak of 0",
        given={"step": 5, **PAPER, "peak": 0.0},
    )


@check(Layer.STABILITY)
def test_short_runs(own: Any) -> None:
    """runs that end with their warm-up or before it"""
    for total, step, wanted in ((4, 4, 1.0), (4, 1, 0.4), (2, 3, 0.8)):
        given = {"step": step, "total": total, "warmup": 4, "peak": 1.0}
        expect.close(
            own.warmup_cosine(**given),
            wanted,
            what=f"The rate at step {step}",
            given=given,
            probably="total - warmup is 0 or less here, so nothing is left for the fall. A step "
            "below the warm-up is still in the rise, and at the warm-up is the peak.",
        )
