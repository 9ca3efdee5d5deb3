"""Autograd's gradients against finite differences, for any module."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def slope_errors(
    loss: Callable[[], Tensor],
    parameters: Mapping[str, Tensor],
    generator: torch.Generator,
    h: float = 1e-5,
) -> dict[str, float]:
    """How far autograd's slope of the loss is from a central difference, for each parameter.

    For each parameter in turn one random direction is drawn: ``torch.randn(parameter.shape,
    generator=generator, dtype=torch.float64)``, divided by its length. Along it the loss has a
    slope, which is asked for twice: of the gradient, and of the loss at two points that lie h to
    either side.

    Args:
        loss: reads the parameters and returns the loss, a tensor without dimensions; the same
            each time.
        parameters: float64 leaves by name, such as ``dict(module.named_parameters())``.
        generator: draws the directions.
        h: the distance of either point.

    Returns:
        By name, the difference of the two slopes over the larger of their sizes; a size below 0.001
        counts as 0.001, so that a slope of zero does not fail on rounding. A gradient that is None
        counts as zero. Below 1e-6 is right. The parameters, and their ``grad``, are as they were.

    Raises:
        ValueError: a parameter is not float64. The differences would be rounding noise.

    Derivation:
        Along a direction v the loss is a function of one number, f(t) = L(θ + t v), and
        f'(0) = ∇L · v. Taylor's series gives (f(h) - f(-h)) / 2h = f'(0) + h² f'''/6 + …: the
        even terms cancel.
    """
    for name, parameter in parameters.items():
        if parameter.dtype != torch.float64:
            raise ValueError(f"gradients are checked in float64: got {name} in {parameter.dtype}")
    grads = torch.autograd.grad(loss(), list(parameters.values()), allow_unused=True)
    errors = {}
    for (name, parameter), grad in zip(parameters.items(), grads, strict=True):
        v = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        v /= v.norm()
        received = 0.0 if grad is None else float((grad * v).sum())
        start, values = parameter.detach().clone(), []
        with torch.no_grad():
            try:
                for t in (h, -h):
                    parameter.copy_(start + t * v)
                    values.append(float(loss()))
            finally:
                parameter.copy_(start)
        expected = (values[0] - values[1]) / (2 * h)
        errors[name] = abs(received - expected) / max(abs(received), abs(expected), 1e-3)
    return errors
