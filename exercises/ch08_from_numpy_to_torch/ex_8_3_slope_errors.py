# Stub e8d81f6e5738: yours to edit. It is never written over unasked.
"""Exercise 8.3, A gradient check for any module.

Write the body of ``slope_errors``, then run
``groundup check 8.3``.
"""

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
    """
    raise NotImplementedError("8.3")
