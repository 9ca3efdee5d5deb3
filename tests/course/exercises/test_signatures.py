"""A function passes if it takes every call that is made; if not, the one mend is named."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.course.catalogue import Exercise, catalogue
from groundup.course.exercises.signatures import signature_fault

Write = Callable[..., Path]
WANTED = "q, k, v, mask=None"


def signature(parameters: str) -> inspect.Signature:
    made: dict[str, Any] = {}
    exec(f"def f({parameters}): ...", made)
    return inspect.signature(made["f"])


@pytest.fixture
def exercise(toy_clone: Write) -> Exercise:
    """One whose checks pass v by name, and whose library passes k by name."""
    root = toy_clone("def other(): attention(1, k=2)", "attention")
    (found,) = catalogue(root)
    found.checks.write_text("def test(own): own.attention(1, 2, v=3)")
    return found


@pytest.mark.parametrize(
    "parameters",
    [
        "q, k, v, mask=None",
        "q: int, k: 'Array', v, mask: None = None",
        "query, k, v, mask=None",
        "q, k, v, mask=None, scale=1.0, *, causal=False",
        "q, k, v, mask=None, *args, **kwargs",
        "q=0, k=0, v=0, mask=None",
        "*args, **kwargs",
        "q, *rest, **named",
        "q, k, v, /, mask=None",
    ],
)
def test_signatures_that_will_do(exercise: Exercise, parameters: str) -> None:
    assert not signature_fault("attention", signature(WANTED), signature(parameters), exercise)


@pytest.mark.parametrize(
    ("parameters", "remedy"),
    [
        ("q, k, v, mask", "Give mask its default: mask=None."),
        ("q, k, v", "Add mask=None at the end."),
        ("q, k", "Add v at the end."),
        ("", "Add q at the end."),
        ("q, v, k, mask=None", "Put the parameters into that order."),
        ("mask, q, k, v", "Put the parameters into that order."),
        ("k, v, mask=None", "Add q in its place."),
        ("q, k, v, *, mask=None", "mask is passed by its place too: put it before the *."),
        ("*, q, k, v, mask=None", "q is passed by its place too: put it before the *."),
        ("q, k, v, m=None", "mask is passed by its name: call m mask."),
        ("q, keys, v, mask=None", "k is passed by its name: call keys k."),
        ("q, k, values, mask=None", "v is passed by its name: call values v."),
        ("self, q, k, v, mask=None", "Take self out: nothing is passed for it."),
        ("q, k=0, scale=1, v=0, mask=None", "Put scale at the end."),
        ("q, k, v, mask=None, *, heads", "Give heads a default, or take it out"),
    ],
)
def test_the_one_mend_is_named(exercise: Exercise, parameters: str, remedy: str) -> None:
    says = signature_fault("attention", signature(WANTED), signature(parameters), exercise)
    assert says.startswith(f"attention must take ({WANTED}): yours takes ({parameters}). ")
    assert remedy in says


def test_a_mended_signature_is_what_was_asked_for(exercise: Exercise) -> None:
    only_named = signature("q, *, mask=None")
    assert "Add mask=None after a *." in signature_fault("f", only_named, signature("q"), exercise)
    assert not signature_fault("f", only_named, signature("q, mask=None"), exercise)
    extra = signature_fault("f", signature("q"), signature("q, heads"), exercise)
    assert "Give heads a default, or take it out" in extra
