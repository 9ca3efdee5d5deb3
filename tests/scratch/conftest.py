"""What the tests of Part I share: the gradient oracle, and a small float64 encoder."""

from collections.abc import Callable

import numpy as np
import pytest

from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.gradcheck import TOLERANCE, check_gradients, report


def _assert_gradients(forward: Callable, backward: Callable, inputs: dict, seed: int = 0) -> None:
    errors = check_gradients(forward, backward, inputs, np.random.default_rng(seed))
    assert all(error.relative < TOLERANCE for error in errors), report(errors)


@pytest.fixture(scope="session")
def assert_gradients() -> Callable:
    """Compare a backward pass with central differences of its forward pass."""
    return _assert_gradients


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def tiny() -> Encoder:
    """Two layers, small enough for finite differences, with no parameter at its special start."""
    config = EncoderConfig(vocabulary=7, classes=3, width=4, heads=2, layers=2, hidden=6)
    rng = np.random.default_rng(0)
    model = Encoder.create(config, rng, np.float64)
    for value in model.params.values():
        value += 0.1 * rng.normal(size=value.shape)
    return model
