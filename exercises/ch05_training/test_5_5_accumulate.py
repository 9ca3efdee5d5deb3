"""The checks of exercise 5.5, gradient accumulation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# What is passed on may be anything.
MODEL = object()


@dataclass
class Part:
    """Rows of a fit: a mean loss of ½(w·x − y)² over those that count."""

    x: Any  # (N, D)
    y: Any  # (N,)
    counts: Any  # (N,) of bool

    def __len__(self) -> int:
        return len(self.y)

    @property
    def counted(self) -> int:
        """How many answers the mean is taken over."""
        return int(self.counts.sum())


def objective(model: Any, part: Part, rng: Any) -> Any:
    """The mean loss and its gradient; 0/0, and so NaN, if nothing counts."""
    x, y = part.x[part.counts], part.y[part.counts]
    off = x @ model["w"] - y
    with np.errstate(invalid="ignore"):
        return float(np.float64((off**2).sum()) / 2 / len(y)), {"w": off @ x / np.float64(len(y))}


def fixed(model: Any, part: Any, rng: Any) -> Any:
    """A part that says itself what its loss and its gradient are; it is called without a rng."""
    if rng is not None:
        expect.fail(f"No generator was passed, and the objective gets one: {rng}.")
        return part.loss + rng.random(), {"w": np.array([part.slope])}
    return part.loss, {"w": np.array([part.slope])}


@dataclass
class Given:
    """What :func:`fixed` gives back, and how many answers stand behind it."""

    counted: int
    loss: float
    slope: float

    def __len__(self) -> int:
        return 4  # rows; not all of them count


def whole(own: Any, function: Any, model: Any, parts: Any, rng: Any = None) -> Any:
    """Call it, and see that a loss and a dictionary come back."""
    result = own.accumulate(function, model, parts, rng)
    expect.parts(result, ("loss", "grads"))
    if not isinstance(result[1], dict):
        expect.fail(f"grads is {type(result[1]).__name__}, not a dictionary of arrays.")
    return result


def random_part(rng: Any, rows: int, counted: int) -> Part:
    counts = np.arange(rows) < counted
    x = rng.integers(-3, 4, (rows, 2)) / 2
    return Part(x, rng.integers(-3, 4, rows) / 2, rng.permutation(counts))


@check(Layer.SHAPES)
def test_parts(own: Any) -> None:
    """a loss and the gradients by name come back, with their dtype"""

    def two(model: Any, part: Any, rng: Any) -> Any:
        return 1.0, {"w": np.ones((2, 3), np.float32), "b": np.ones(3, np.float32)}

    loss, grads = whole(own, two, MODEL, [Given(2, 0, 0), Given(2, 0, 0)])
    expect.number(loss, what="The loss")
    if set(grads) != {"w", "b"}:
        expect.fail(f"The gradients are of {sorted(grads)}, not of b and w.")
    for name, shape in (("w", (2, 3)), ("b", (3,))):
        expect.array(grads[name], like=np.ones(1, np.float32), shape=shape, what=f"grads[{name!r}]")


@check(Layer.INPUTS)
def test_objectives_arrays(own: Any) -> None:
    """the arrays that the objective gave are its own"""
    buffer, written = np.zeros(1), []

    def reuses(model: Any, part: Given, rng: Any) -> Any:
        buffer[...] = part.slope  # as a fast step does: one array, written over each time
        written.append(part.slope)
        return part.loss, {"w": buffer}

    _, grads = whole(own, reuses, MODEL, [Given(1, 1.0, 4.0), Given(3, 1.0, 6.0)])
    given = {"gradient of part 1": 4.0, "gradient of part 2": 6.0, "counted": np.array([1, 3])}
    expect.close(
        grads["w"],
        np.array([5.5]),
        what="The gradient",
        given=given,
        probably="It is (1·4 + 3·6) / 4. The objective uses one array for its gradients and writes "
        "over it at each call. If you have 9 at [0], that array was kept for the first part, and "
        "the second part is in it: what you add up must be an array of your own.",
    )
    expect.close(
        buffer,
        np.array(written[-1:]),
        what="The objective's own array, after its last call,",
        given=given,
        probably="Operators such as *= and += write into the array that the objective returned.",
    )
    _, grads = whole(own, reuses, MODEL, [Given(1, 1.0, 4.0)])
    buffer[...] = 0.0
    expect.close(
        grads["w"],
        np.array([4.0]),
        what="The gradient of one part, after the objective has used its array again,",
        given={"gradient of the part": 4.0},
        probably="With one part too, the result is an array of its own, and not the objective's.",
    )


@check(Layer.EXAMPLE)
def test_loss(own: Any) -> None:
    """the loss of two parts, with 1 and 3 answers"""
    parts = [Given(1, 4.0, 0.0), Given(3, 8.0, 0.0)]
    loss, _ = whole(own, fixed, MODEL, parts)
    expect.close(
        loss,
        7.0,
        what="The loss",
        given={"losses": np.array([4.0, 8.0]), "counted": np.array([1, 3])},
        probably="The four answers have 4 + 3·8 = 28 nats together, so the mean is 7. If you have "
        "12, they are added. If you have 28, nothing "
        "is divided. If you have 3.5, it is divided by the number of rows; not all rows count. If "
        "you have 8, only the last part is there.",
    )


@check(Layer.EXAMPLE, points=2)
def test_gradient(own: Any) -> None:
    """the gradient of the same two parts"""
    parts = [Given(1, 4.0, 2.0), Given(3, 8.0, 6.0)]
    _, grads = whole(own, fixed, MODEL, parts)
    expect.close(
        grads["w"],
        np.array([5.0]),
        what="The gradient",
        given={"gradients": np.array([2.0, 6.0]), "counted": np.array([1, 3])},
        probably="(1·2 + 3·6) / 4 = 5. The gradient of a weighted sum is the weighted sum of the "
        "gradients, with the weights of the losses. If you have 6 at [0], the last part has "
        "replaced the first.",
    )


@check(Layer.EXAMPLE)
def test_three_parts(own: Any) -> None:
    """three parts of two answers each"""
    parts = tuple(Given(2, loss, 0.0) for loss in (1.0, 2.0, 6.0))
    loss, _ = whole(own, fixed, MODEL, parts)
    expect.close(
        loss,
        3.0,
        what="The loss",
        given={"losses": np.array([1.0, 2.0, 6.0]), "counted": np.array([2, 2, 2])},
        probably="Three equal parts: a third of each. If you have 3.75, you halve at each part: "
        "the last one counts half, the first a quarter.",
    )


@check(Layer.EXAMPLE)
def test_empty_parts(own: Any) -> None:
    """a part without answers adds nothing; without any, ValueError"""
    rng = np.random.default_rng(5)
    parts = [random_part(rng, 3, 3), random_part(rng, 3, 0)]
    model = {"w": np.array([1.0, -0.5])}
    expect.close(
        whole(own, objective, model, parts)[0],
        objective(model, parts[0], None)[0],
        what="The loss",
        given={"counted": np.array([3, 0])},
        probably="A part of padding alone has no mean: 0/0. Its share is zero, but zero times NaN "
        "is NaN. Leave it out.",
    )
    for nothing, why in ((parts[1:], "no part has an answer"), ([], "there are no parts")):
        with expect.raises(ValueError, why):
            own.accumulate(objective, model, nothing)


@check(Layer.EXAMPLE)
def test_generator(own: Any) -> None:
    """model and generator are passed on, and drawn from in turn"""
    model, rng, draws = {"w": np.ones(1)}, np.random.default_rng(7), []

    def draws_one(given: Any, part: Given, generator: Any) -> Any:
        if given is not model or not isinstance(generator, np.random.Generator):
            expect.fail("The objective is called as objective(model, part, rng).")
        draws.append(float(generator.random()))
        return draws[-1], {"w": np.ones(1)}

    loss, _ = whole(own, draws_one, model, [Given(1, 0, 0), Given(3, 0, 0)], rng)
    wanted = np.random.default_rng(7).random(2)
    expect.close(
        loss,
        (wanted[0] + 3 * wanted[1]) / 4,
        what="The loss, which is a draw here,",
        given={"draws of one generator": wanted, "counted": np.array([1, 3])},
        probably="Dropout draws from rng. Pass on the one you were given, to the parts in their "
        "order: a new one for each part drops the same units every time.",
    )


@check(Layer.RANDOM, points=3)
def test_descent(own: Any) -> None:
    """three steps of descent: those of the whole batch in one piece"""
    rng = np.random.default_rng(55)
    for sizes in (((2, 2), (2, 2)), ((2, 1), (4, 4)), ((1, 1), (3, 0), (5, 2), (2, 2))):
        parts = [random_part(rng, rows, counted) for rows, counted in sizes]
        batch = Part(
            *(np.concatenate([getattr(p, n) for p in parts]) for n in ("x", "y", "counts"))
        )
        w, by_parts, steps = np.zeros(2), np.zeros(2), []
        for _ in range(3):
            wanted, right = objective({"w": w}, batch, None)
            loss, grads = whole(own, objective, {"w": by_parts}, parts)
            w, by_parts = w - 0.25 * right["w"], by_parts - 0.25 * grads["w"]
            steps.append((loss, wanted, by_parts, w))
        given = {"counted": np.array([part.counted for part in parts])}
        for n, (loss, wanted, by_parts, w) in enumerate(steps, start=1):
            expect.close(loss, wanted, what=f"The loss before step {n}", given=given)
            expect.close(
                by_parts,
                w,
                what=f"w after step {n}",
                given=given,
                probably="w is what gradient descent makes of your gradients.",
            )
