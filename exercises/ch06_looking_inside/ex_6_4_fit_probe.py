# Stub 043fc458c7f7: yours to edit. It is never written over unasked.
"""Exercise 6.4, A linear probe.

Write the body of ``fit_probe``, then run
``groundup check 6.4``.
"""

import numpy as np

from groundup.scratch.types import Array, IntArray


def fit_probe(
    x: Array, labels: IntArray, classes: int, penalty: float = 1.0
) -> tuple[Array, Array]:
    r"""A linear probe: ridge regression from vectors to classes, in closed form.

    Each label becomes a row of C numbers, 1 at its class and 0 elsewhere. Weights and bias make
    the sum of squared differences between these rows and ``x @ weights + bias`` smallest, plus
    ``penalty`` times the sum of the squared weights. The bias is not penalised. The predicted class
    is the one with the largest entry. (Alain and Bengio, 2016, probe with a softmax instead.)

    Args:
        x: (N, D) vectors.
        labels: (N,) classes, in [0, C), of any integer type.
        classes: C.
        penalty: above 0, so that there is one solution however many columns depend on others.

    Returns:
        weights (D, C) and bias (C,), in the dtype of x.

    Raises:
        ValueError: the penalty is not above 0, or a label lies outside [0, C).
    """
    raise NotImplementedError("6.4")
