"""Training and evaluation mode of a model, put back module by module."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def preserve_mode(model: Any) -> Iterator[None]:
    """Put every module of a torch model back into the mode it was in, after an error too.

    ``model.train(was_training)`` would not do: it overrides the modules that were left in another
    mode than the whole, such as a frozen dropout.
    """
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Evaluation mode for a block of code; then every module is as it was, after an error too."""
    with preserve_mode(model):
        model.eval()
        yield
