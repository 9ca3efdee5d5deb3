"""The two-layer network inside each block: the 2017 form, and SwiGLU."""

import numpy as np

from groundup.scratch.activations import (
    gelu,
    gelu_backward,
    relu,
    relu_backward,
    silu,
    silu_backward,
)
from groundup.scratch.linear import linear, linear_backward
from groundup.scratch.types import Array, Cache

ACTIVATIONS = {"relu": (relu, relu_backward), "gelu": (gelu, gelu_backward)}


def feed_forward(
    x: Array, w1: Array, b1: Array, w2: Array, b2: Array, activation: str = "relu"
) -> tuple[Array, Cache]:
    """relu(x W1 + b1) W2 + b2, each position by itself (Vaswani et al., 2017).

    Args:
        x: (..., D).
        w1: (D, F), b1: (F,).
        w2: (F, D), b2: (D,).
        activation: "relu", or "gelu" (Radford et al., 2018).

    Returns:
        y (..., D), and the cache :func:`feed_forward_backward` needs.
    """
    hidden, cache_in = linear(x, w1, b1)
    active, cache_active = ACTIVATIONS[activation][0](hidden)
    y, cache_out = linear(active, w2, b2)
    return y, (cache_in, (activation, cache_active), cache_out)


def feed_forward_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array]:
    """Gradients of :func:`feed_forward`.

    Returns:
        dx (..., D), dw1 (D, F), db1 (F,), dw2 (F, D), db2 (D,).
    """
    cache_in, (activation, cache_active), cache_out = cache
    dactive, dw2, db2 = linear_backward(dy, cache_out)
    dhidden = ACTIVATIONS[activation][1](dactive, cache_active)
    dx, dw1, db1 = linear_backward(dhidden, cache_in)
    return dx, dw1, db1, dw2, db2


def swiglu(x: Array, w12: Array, w3: Array) -> tuple[Array, Cache]:
    r"""A feed-forward network with a gate (Shazeer, 2020): silu(x W1) ⊙ (x W2), then W3.

    Args:
        x: (..., D).
        w12: (D, 2F); the first F columns make the gate, the last F the values.
        w3: (F, D).

    Returns:
        y (..., D), and the cache :func:`swiglu_backward` needs.

    Derivation:
        For :math:`h = \mathrm{silu}(a) \odot b`: :math:`da = dh \odot b \odot
        \mathrm{silu}'(a)` and :math:`db = dh \odot \mathrm{silu}(a)`. The rest is linear maps.
    """
    both, cache_in = linear(x, w12)
    gate, value = np.split(both, 2, axis=-1)
    active, cache_gate = silu(gate)
    y, cache_out = linear(active * value, w3)
    return y, (cache_in, cache_gate, active, value, cache_out)


def swiglu_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`swiglu`.

    Returns:
        dx (..., D), dw12 (D, 2F), dw3 (F, D).
    """
    cache_in, cache_gate, active, value, cache_out = cache
    dproduct, dw3, _ = linear_backward(dy, cache_out)
    dgate = silu_backward(dproduct * value, cache_gate)
    dboth = np.concatenate([dgate, dproduct * active], axis=-1)
    dx, dw12, _ = linear_backward(dboth, cache_in)
    return dx, dw12, dw3
