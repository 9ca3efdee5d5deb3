"""What a training run attaches to a model and to its process, and taking it off again."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate.state import AcceleratorState, GradientState
from torch import nn

from groundup.train.module_mode import preserve_mode

_PREPARED = "_is_accelerate_prepared"
_PATCHED = ("forward", "_original_forward", _PREPARED)


@contextmanager
def preserve_state(model: nn.Module) -> Iterator[None]:
    """Run Accelerate on a model, then leave everything but the weights as it was, after errors too.

    Put back are the mode of each module, ``forward`` (Accelerate patches it to cast), the settings
    that all Accelerators of a process share, and torch's random state. Gradients are cleared.
    """
    before = {name: vars(model)[name] for name in _PATCHED if name in vars(model)}
    states = (AcceleratorState._shared_state, GradientState._shared_state)
    shared = [(state, dict(state)) for state in states]
    devices = range(torch.cuda.device_count())
    try:
        vars(model).pop(_PREPARED, None)  # Accelerate would skip a model that it knows
        for state in states:  # and refuse another precision than the last run's
            state.clear()
        with preserve_mode(model), torch.random.fork_rng(devices):
            yield
    finally:
        for name in _PATCHED:
            vars(model).pop(name, None)
        vars(model).update(before)
        for state, content in shared:
            state.clear()
            state.update(content)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.grad = None
