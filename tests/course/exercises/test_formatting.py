"""Whatever a value is, what is shown of it is short, and nothing is raised."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from groundup.course.exercises.formatting import as_array, excerpt, show, side_by_side
from groundup.course.exercises.tolerances import first_beyond

torch = pytest.importorskip("torch")


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Long:
    def __repr__(self) -> str:
        return "z\n" * 10**6


class Wrong:
    def __repr__(self) -> str:
        return 3  # type: ignore[return-value]


class Liar(np.ndarray):
    """An array that says it equals everything, and computes nothing."""

    def __eq__(self, other: object) -> Any:
        return np.True_

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        return np.True_

    __hash__ = None  # type: ignore[assignment]


class list_(list[int]):
    def __len__(self) -> int:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[int]:
        raise RuntimeError("no")


list_.__name__ = "list"


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def objects(*values: Any) -> Any:
    """An array that holds them, and asks them nothing."""
    array = np.empty(len(values), dtype=object)
    for n, value in enumerate(values):
        array[n] = value
    return array


ANYTHING = [
    list(range(10**6)),
    nested(10**5),
    itself(),
    dict.fromkeys(range(100), "x" * 10**6),
    "x" * 10**7,
    "a\nb\x1b[2J\ud800",
    b"\0" * 10**6,
    10**400,
    {"a": np.zeros((300, 300)), "b": [torch.zeros(300, 300)] * 50},
    (np.zeros(10**6), None),
    np.broadcast_to(np.zeros(1), (10**9, 10**6)),
    np.zeros((0, 10**6)),
    np.zeros((1,) * 30),
    objects(Hostile(), None),
    np.array(["x" * 10**5] * 20),
    np.array([b"\x1b"] * 3),
    np.zeros(3, dtype=[("a", float), ("b", "U9")]),
    np.array(["2020-01-01", "NaT"], dtype="M8[D]"),
    np.ma.array([1.0, 2.0], mask=[True, False]),
    np.array([1 + 2j, np.nan]),
    np.array([np.nan, np.inf, -np.inf]),
    np.float16(1) / 3,
    np.zeros(5).view(Liar),
    torch.empty(3, device="meta"),
    torch.zeros(10**4).to_sparse(),
    torch.ones(2, dtype=torch.bfloat16, requires_grad=True),
    torch.ones(2, dtype=torch.complex64).conj(),
    torch.nn.Parameter(torch.zeros(10**4)),
    torch.nn.Linear(10**3, 10),
    (n for n in range(3)),
    Hostile(),
    Hostile,
    Long(),
    Wrong(),
    [Hostile(), Long(), Wrong()],
    list_([1, 2]),
    nested,
    None,
    ...,
    True,
]


@pytest.mark.parametrize("number", range(len(ANYTHING)))  # pytest asks a value for attributes
def test_anything_is_shown_in_a_few_lines(number: int) -> None:
    value = ANYTHING[number]
    for shown in (show(value), show(excerpt(value))):
        assert len(shown) < 24 * 90
        assert len(shown.splitlines()) <= 24
        assert shown.encode()
        assert "\x1b" not in shown


def test_an_excerpt_is_shown_like_the_whole_and_does_not_change() -> None:
    for shape in ((), (3,), (2, 3), (30,), (5, 6, 7), (0, 2)):
        x = np.random.default_rng(0).normal(size=shape)
        kept, shown = excerpt(x), show(x)
        x[...] = 7
        assert show(kept) == shown
    t = torch.arange(3.0)
    kept = excerpt(t)
    t[0] = 9
    assert show(kept) == "[0. 1. 2.]"


def test_containers_show_their_numbers_and_the_shapes_of_their_arrays() -> None:
    assert show((1, 2.5, None)) == "(1, 2.5, None)"
    assert show({"w": np.zeros((2, 3))}) == "{'w': <array of shape (2, 3)>}"
    assert show(list(range(100))) == "[0, 1, 2, 3, 4, 5, ...]"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1, 2.5], dtype=object), [1.0, 2.5]),
        (10**30, 1e30),
        (torch.tensor([1 + 1j]).conj(), [1 - 1j]),
        (np.ones(2).view(Liar), [1.0, 1.0]),
        (True, 1),
    ],
)
def test_numbers_are_read_out(value: Any, expected: Any) -> None:
    array = as_array(value)
    assert type(array) is np.ndarray
    assert array.tolist() == expected


def test_what_holds_no_numbers_is_none() -> None:
    for value in (
        objects(None, 1),
        objects(Hostile()),
        np.ma.array([1.0], mask=[True]),
        torch.empty(2, device="meta"),
        torch.ones(2).to_sparse(),
        10**400,
        "1",
        [1.0],
        Hostile(),
        1j,
    ):
        assert as_array(value) is None


@pytest.mark.parametrize(
    ("one", "other", "index"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 3.0]), (1,)),
        (np.array(["a", "b"]), np.array(["a", "c"]), (1,)),
        (np.array(["1"]), np.array([1.0]), (0,)),
        (np.array(["2020", "2021"], "M8[Y]"), np.array([1.0, 2.0]), (0,)),
        (np.array([1j, np.nan]), np.array([1j, np.nan]), None),
        (np.array([True]), np.array([1.0]), None),
    ],
)
def test_the_first_difference_of_any_kinds(
    one: Any, other: Any, index: tuple[int, ...] | None
) -> None:
    found = first_beyond(one, other, 0.0, 0.0)
    assert found == index
    if found is not None:
        assert "first difference at" in side_by_side(one, other, found)
