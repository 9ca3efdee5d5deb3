# Stub 0a46a964c0bb: yours to edit. It is never written over unasked.
"""Exercise 10.1, Online softmax: one more block.

Write the body of ``merge_block`` and ``finish_rows``, then run
``groundup check 10.1``.
"""

import numpy as np

from groundup.scratch.types import Array


def merge_block(
    top: Array, total: Array, out: Array, scores: Array, values: Array
) -> tuple[Array, Array, Array]:
    r"""One step of online softmax: take one more block of keys into the running result.

    What has been seen of a row is kept in three parts, with :math:`z_s` its scores and
    :math:`v_s` their values:

    .. math:: m = \max_s z_s, \qquad \ell = \sum_s e^{z_s - m}, \qquad o = \sum_s e^{z_s - m} v_s

    When every block has been taken in, :math:`o / \ell` is the row's attention. Before the first,
    m is minus infinity, and the sum and the output are zero (Milakov and Gimelshein, 2018).

    Args:
        top: (..., T, 1) the largest score so far, m.
        total: (..., T, 1) the sum so far, relative to ``top``.
        out: (..., T, K) the output so far, relative to ``top`` and not yet divided.
        scores: (..., T, C) of the new block; minus infinity marks a key that must not be seen.
        values: (..., C, K) of the new block.

    Returns:
        top, total and out of everything seen so far, the new block included. A row that has seen
        no key yet stays at minus infinity, zero and zero.
    """
    raise NotImplementedError("10.1")


def finish_rows(top: Array, total: Array, out: Array) -> tuple[Array, Array]:
    r"""The end of online softmax: what :func:`merge_block` has collected, made into a result.

    Args:
        top: (..., T, 1) the largest score of each row.
        total: (..., T, 1) the sum, relative to ``top``.
        out: (..., T, K) the output, relative to ``top`` and not yet divided.

    Returns:
        The attention of each row (..., T, K), and its log-sum-exp :math:`\ln \sum_s e^{z_s}`
        (..., T, 1), from which a backward pass can make any weight again. A row that has seen no
        key gets zeros, and plus infinity: its weights :math:`e^{z - \infty}` are then zero.
    """
    raise NotImplementedError("10.1")
