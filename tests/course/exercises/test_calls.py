"""Arguments of a learner's function that it changes: found in any call, at any depth."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from groundup.course.exercises import check_context, expect
from groundup.course.exercises.calls import forbid_changes
from groundup.course.exercises.checks import CheckFailure


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
    told = pytest.raises(CheckFailure, match=r"f changes out before it refuses .* x is empty")
    with told, expect.raises(ValueError, "x is empty"):
        own.f(np.zeros(0), np.zeros(2))


def test_an_error_where_nothing_is_to_be_refused_is_the_learners_own() -> None:
    def breaks(x: Any) -> None:
        write(x)
        raise ValueError("shapes do not match")

    own = forbid_changes(SimpleNamespace(f=breaks), NAMES)
    with pytest.raises(ValueError, match="shapes do not match"):
        own.f(np.zeros(2))
    with pytest.raises(CheckFailure), expect.raises(ValueError, "x is empty"):
        own.f(np.zeros(2))
    with pytest.raises(ValueError, match="shapes do not match"):
        own.f(np.zeros(2))  # what was to be refused is over


def test_a_result_outlives_the_next_call() -> None:
    buffer = np.zeros(2)

    def shares(x: Any) -> Any:
        buffer[...] = x
        return {"w": buffer}

    own = forbid_changes(SimpleNamespace(f=shares, g=lambda x: np.add(x, 0)), NAMES)
    kept = own.g(np.ones(2))
    own.g(np.zeros(2))
    assert kept.tolist() == [1, 1]
    own.f(np.ones(2))
    own.f(np.ones(2))  # the same numbers: nothing is lost
    with pytest.raises(CheckFailure, match="f writes over what it returned in the call before"):
        own.f(np.zeros(2))


def test_a_result_may_be_a_view_of_what_is_passed_to_change() -> None:
    def stores(x: Any, out: Any) -> Any:
        out[:1] = x
        return out[:1]

    own = forbid_changes(SimpleNamespace(f=stores), {"f": ["x", "out"]}, changes=["out"])
    out = np.zeros(2)
    for n in (1.0, 2.0):
        own.f(np.array([n]), out)


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
    with check_context.during(ignores_failures=True):
        forbid_changes(SimpleNamespace(f=write), NAMES).f(np.zeros(2))
