"""What counts as a difference, and what a copy is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from groundup.course.mine.comparison import RESULT, Comparison, TensorDifference, coarsest
from groundup.course.mine.copies import NotWide, duplicate, random_state


def compare(got: Any, wanted: Any, coarse: str = "float64") -> list[TensorDifference]:
    return list(Comparison(coarse).run(got, wanted, RESULT))


@dataclass
class State:
    steps: int
    means: dict[str, Any]


def test_tensors_are_named_and_shown() -> None:
    one = np.arange(3.0)
    same, other = compare((one, {"a": one}), (one, {"a": one + np.array([0, 0, 1])}))
    assert (same.what, same.error, same.text) == ("part 1 of 2", 0.0, "")
    assert other.what == "part 2 of 2['a']"
    assert "first difference at [2]: yours 2, the library's 3" in other.text
    assert other.error == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("got", "wanted", "words"),
    [
        (None, np.ones(2), "yours is None, the library's a NumPy array of float64, shape (2,)"),
        (
            np.ones(2),
            (np.ones(2), 1),
            "a NumPy array of float64, shape (2,), the library's a tuple",
        ),
        (np.ones(3), np.ones(2), "shape (3,), the library's a NumPy array of float64, shape (2,)"),
        (np.ones(2, "f4"), np.ones(2), "float32, shape (2,), the library's a NumPy array of float"),
        (np.ones((1,)), 1.0, "shape (1,), the library's a number"),
        ({"a": 1.0}, {"b": 1.0}, "is missing"),
        (np.array([1, 2]), np.array([1, 3]), "first difference at [1]: yours 2, the library's 3"),
        (State(1, {"m": 1.0}), State(1, {"m": 2.0}), "yours 1, the library's 2"),
    ],
)
def test_what_differs(got: Any, wanted: Any, words: str) -> None:
    (text,) = [each.text for each in compare(got, wanted) if each.text]
    assert words in text


def test_what_does_not_differ() -> None:
    for got, wanted in (
        (np.float64(0.5), 0.5),
        (np.array(0.5), 0.5),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
        (None, None),
        (State(1, {"m": np.ones(2)}), State(1, {"m": np.ones(2)})),
    ):
        assert not [each for each in compare(got, wanted) if each.text]


def test_the_limit_follows_the_type_and_the_largest_entry() -> None:
    wanted = np.array([1000.0, 0.0])
    assert not compare(wanted + np.array([0, 1e-3]), wanted, "float32")[0].text
    assert compare(wanted + np.array([0, 1e-3]), wanted, "float64")[0].text
    # Small numbers are compared with each other, not with one.
    assert compare(np.array([2e-9]), np.array([1e-9]), "float32")[0].text
    assert coarsest(({"a": np.ones(1, "f4")}, [np.ones(1)], 1)) == "float32"
    assert coarsest((np.ones(1, int), "text")) == "float64"


def test_copies_share_nothing() -> None:
    array = np.asfortranarray(np.ones((2, 3), np.float32))
    state = State(1, {"m": array})
    given = ((array, [array], state), {"text": "x", "ids": np.arange(2)})
    (first, inner, own), named = duplicate(given)
    assert first is inner[0]  # what occurs twice is one thing in the copy too
    assert first.flags.f_contiguous
    for copy in (first, own.means["m"]):
        assert not np.shares_memory(copy, array)
        assert (copy == array).all()
    assert named["text"] == "x"
    wide = duplicate(given[0][:2], wide=True)
    assert wide[0].dtype == np.float64
    assert duplicate(named, wide=True)["ids"].dtype == np.arange(2).dtype
    with pytest.raises(NotWide, match="State"):
        duplicate(given, wide=True)


def test_copies_of_tensors_take_part_in_gradients() -> None:
    torch = pytest.importorskip("torch")
    leaf = torch.ones(3, requires_grad=True)
    (twin,) = duplicate((leaf * 2,))
    assert twin.requires_grad
    twin.mul_(2)  # as in the original, which is no leaf
    assert (twin == 4).all()
    assert not duplicate(leaf.detach()).requires_grad
    assert duplicate(leaf, wide=True).dtype == torch.float64


def test_random_generators_are_put_back() -> None:
    torch = pytest.importorskip("torch")
    restore = random_state()
    first = np.random.rand(), torch.rand(1).item()  # noqa: NPY002
    restore()
    assert (np.random.rand(), torch.rand(1).item()) == first  # noqa: NPY002


def test_a_parameter_is_a_tensor() -> None:
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.ones(3))
    assert not any(f.text for f in compare(parameter, duplicate(parameter)))
    assert any(f.text for f in compare(parameter, np.ones(3, dtype=np.float32)))
