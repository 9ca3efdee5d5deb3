"""Arguments of a learner's function that it changes: found in any call, at any depth."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from groundup.course.exercises import expect
from groundup.course.exercises.checks import CheckFailure
from groundup.course.exercises.guard import forbid_changes


@dataclass
class Pair:
    left: Any
    right: Any


NAMES = {"f": ["x"], "g": ["x"]}


def write(x: Any) -> None:
    x[0] = 9


GIVEN: list[tuple[str, Any, Callable[[Any], None]]] = [
    ("x", np.zeros(2), write),
    ("x[1]", (np.zeros(2), np.zeros(2)), lambda x: write(x[1])),
    ("x['w']", {"w": np.zeros(2)}, lambda x: write(x["w"])),
    ("x['w']", {"w": np.zeros(2)}, lambda x: x.pop("w")),
    ("x[1]", [np.zeros(2)], lambda x: x.append(np.zeros(1))),
    ("x.a", SimpleNamespace(a=np.zeros(2)), lambda x: write(x.a)),
    ("x.right", Pair(1, np.zeros(2)), lambda x: write(x.right)),
    ("x", [3, 1, 2], lambda x: x.sort()),
    ("x[0]", [[3, 1], [2]], lambda x: x[0].append(0)),
]


@pytest.mark.parametrize(("place", "value", "change"), GIVEN)
def test_a_change_is_named(place: str, value: Any, change: Callable[[Any], None]) -> None:
    own = forbid_changes(SimpleNamespace(f=lambda x: change(x)), {"f": ["x"]})
    with pytest.raises(CheckFailure) as caught:
        own.f(value)
    assert str(caught.value).startswith(f"f changes {place} in place.")


def test_what_is_asked_for_may_change_and_results_pass_through() -> None:
    def f(x: Any, out: Any) -> Any:
        write(out)
        return x

    own = forbid_changes(SimpleNamespace(f=f), {"f": ["x", "out"]}, changes=["out"])
    x = np.zeros(2)
    assert own.f(x, out=np.zeros(2)) is x
    with pytest.raises(CheckFailure):
        forbid_changes(SimpleNamespace(f=f), {"f": ["x", "out"]}).f(x, x.copy())


def test_a_refusal_changes_nothing_not_even_what_may_change() -> None:
    def late(x: Any, out: Any) -> None:
        write(out)
        raise ValueError("x is empty")

    own = forbid_changes(SimpleNamespace(f=late), {"f": ["x", "out"]}, changes=["out"])
    with pytest.raises(CheckFailure, match=r"f changes out before it refuses .* x is empty"):
        own.f(np.zeros(0), np.zeros(2))


def test_a_cache_must_serve_twice() -> None:
    own = SimpleNamespace(f_backward=lambda dy, cache: write(cache[0]))
    own = forbid_changes(own, {"f_backward": ["dy", "cache"]})
    with pytest.raises(CheckFailure, match="A backward pass may be run twice over one cache"):
        own.f_backward(np.ones(1), (np.zeros(2),))


def test_a_tensor_is_watched_and_nan_equals_itself() -> None:
    torch = pytest.importorskip("torch")
    own = forbid_changes(SimpleNamespace(f=lambda x: x.add_(1), g=lambda x: x + 1), NAMES)
    own.g(torch.full((2,), torch.nan))
    with pytest.raises(CheckFailure):
        own.f(torch.zeros(2))


def test_nothing_is_said_while_a_check_is_passed_over() -> None:
    with expect.passing_over():
        forbid_changes(SimpleNamespace(f=write), NAMES).f(np.zeros(2))
