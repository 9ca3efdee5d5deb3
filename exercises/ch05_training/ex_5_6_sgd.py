# Stub 98d8a042ba01: yours to edit. It is never written over unasked.
"""Exercise 5.6, Gradient descent with momentum.

Write the body of ``sgd``, then run
``groundup check 5.6``.
"""

from groundup.scratch.types import Array


def sgd(gradient: Array, velocity: Array, lr: float, momentum: float = 0.9) -> tuple[Array, Array]:
    """One step of gradient descent with momentum for one parameter (Polyak, 1964).

    Args:
        gradient: the gradient now, any shape.
        velocity: what is left of earlier gradients, same shape; zeros at first.
        lr: the learning rate.
        momentum: how much of the velocity is kept; 0 is plain gradient descent.

    Returns:
        change (add it to the parameter), and the new velocity. The inputs are not touched.
    """
    raise NotImplementedError("5.6")
