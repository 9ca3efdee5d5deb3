"""The losses of a training are read off as its loop goes."""

from inspect import signature
from types import ModuleType, SimpleNamespace
from typing import Any, get_type_hints

import pytest

from groundup.course.mine.losses import LossCurve, record_losses

LOOP = """
from types import SimpleNamespace

def fit(model, config, on_step=None):
    for step, loss in enumerate((3.0, 2.0), 1):
        on_step(SimpleNamespace(step=step, loss=loss))
    return "done"
"""


@pytest.mark.parametrize(("seconds", "timed"), [(None, False), (2.0, True)])
def test_a_loop_that_calls_back(seconds: float | None, timed: bool) -> None:
    """The caller's own function is called too."""
    module = ModuleType("groundup.train.loop")
    exec(LOOP, vars(module))
    curves: list[LossCurve] = []
    record_losses(module, curves)
    heard: list[Any] = []
    config = SimpleNamespace(seconds=seconds)
    assert module.fit(None, config, on_step=heard.append) == "done"
    assert module.fit(None, config) == "done"
    assert [each.step for each in heard] == [1, 2]
    for curve in curves:
        assert (curve.timed, curve.steps, curve.losses) == (timed, [1, 2], [3.0, 2.0])
    assert len(curves) == 2


def test_the_loop_of_the_library_has_what_is_read_off() -> None:
    pytest.importorskip("torch")
    from groundup.train import loop

    parameters = signature(loop.fit).parameters
    assert "on_step" in parameters
    assert hasattr(get_type_hints(loop.fit)["config"], "seconds")
