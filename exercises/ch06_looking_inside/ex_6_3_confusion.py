# Stub 72978ba84c60: yours to edit. It is never written over unasked.
"""Exercise 6.3, Confusion matrix.

Write the body of ``confusion``, then run
``groundup check 6.3``.
"""

import numpy as np

from groundup.scratch.types import IntArray


def confusion(answers: IntArray, predictions: IntArray, classes: int) -> IntArray:
    """Count which answer was given for which: the confusion matrix.

    Args:
        answers: (N,) the right classes, in [0, C), of any integer type.
        predictions: (N,) the classes that were given, likewise.
        classes: C.

    Returns:
        (C, C) counts. The row is the right class, the column the one that was given, so the
        diagonal counts what was right.

    Raises:
        ValueError: answers and predictions are not two arrays (N,) of one length, or a class lies
            outside [0, C).
    """
    raise NotImplementedError("6.3")
