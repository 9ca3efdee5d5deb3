"""One post-LN block, its outputs computed for every token."""

from typing import NamedTuple

import numpy as np

from groundup.scratch.blocks import block_params
from groundup.scratch.fast.memory import Workspace
from groundup.scratch.fast.pieces import (
    Linear,
    Norm,
    layer_norm,
    layer_norm_backward,
    linear,
    linear_backward,
    relu,
    scaled_product,
    softmax,
    softmax_backward,
)
from groundup.scratch.types import Array, BoolArray, Params


class BlockTensors(NamedTuple):
    """The parameters of a block, or their gradients."""

    qkv: Linear
    out: Linear
    norm1: Norm
    inner: Linear
    outer: Linear
    norm2: Norm

    @classmethod
    def of(cls, params: Params, i: int) -> "BlockTensors":
        """Those of block ``i``: views, so what is written to them is written to ``params``."""
        p = block_params(params, i)
        return cls(
            Linear(p["wqkv"], p["bqkv"]),
            Linear(p["wo"], p["bo"]),
            Norm(p["norm1.gamma"], p["norm1.beta"]),
            Linear(p["w1"], p["b1"]),
            Linear(p["w2"], p["b2"]),
            Norm(p["norm2.gamma"], p["norm2.beta"]),
        )


class Rest:
    """What follows the heads in a block: output projection, residuals, norms, feed-forward.

    Each row is by itself here, so N rows are all tokens of a batch or only the first ones.
    """

    def __init__(self, layer: BlockTensors, grad: BlockTensors, shared: Workspace) -> None:
        self.layer, self.grad = layer, grad
        self.kept, self.shared = Workspace(shared.dtype), shared

    def forward(self, x: Array, mixed: Array) -> Array:
        """The block's input and what its heads mixed, (N, D) each, to its output (N, D)."""
        layer, kept = self.layer, self.kept
        self.mixed = mixed
        # Each norm's input is written over by the normalised rows its backward pass needs.
        self.normal1 = linear(mixed, layer.out, kept("normal1", *x.shape))
        self.normal1 += x
        self.y = kept("y", *x.shape)
        self.inverse1 = layer_norm(self.normal1, layer.norm1, self.y)
        hidden = kept("hidden", len(x), len(layer.inner.bias))
        self.active = relu(linear(self.y, layer.inner, hidden))
        self.normal2 = linear(self.active, layer.outer, kept("normal2", *x.shape))
        self.normal2 += self.y
        z = kept("z", *x.shape)
        self.inverse2 = layer_norm(self.normal2, layer.norm2, z)
        return z

    def backward(self, dz: Array) -> tuple[Array, Array]:
        """Gradients of :meth:`forward`; ``dz`` is lost.

        Returns:
            dx (N, D) of the residual path, dmixed (N, D).
        """
        layer, grad, shared = self.layer, self.grad, self.shared
        work = shared("work", *dz.shape)
        layer_norm_backward(dz, self.normal2, self.inverse2, layer.norm2, grad.norm2, work)
        dactive = shared("dactive", *self.active.shape)
        linear_backward(dz, self.active, layer.outer, grad.outer, dactive)
        dactive *= self.active > 0
        dy = shared("dy", *dz.shape)
        linear_backward(dactive, self.y, layer.inner, grad.inner, dy)
        dy += dz
        layer_norm_backward(dy, self.normal1, self.inverse1, layer.norm1, grad.norm1, work)
        dmixed = shared("dmixed", *dz.shape)
        linear_backward(dy, self.mixed, layer.out, grad.out, dmixed)
        return dy, dmixed


class Block:
    """A block, with the arrays its backward pass needs.

    Args:
        layer: its parameters.
        grad: where their gradients go.
        heads: H.
        shared: memory that other blocks may use after a call.
    """

    def __init__(
        self, layer: BlockTensors, grad: BlockTensors, heads: int, shared: Workspace
    ) -> None:
        self.layer, self.grad, self.heads = layer, grad, heads
        self.kept, self.shared = Workspace(shared.dtype), shared
        self.rest = Rest(layer, grad, shared)

    def forward(self, x: Array, mask: BoolArray | None) -> Array:
        """(B, T, D) to (B, T, D). ``x`` and the result stay in use until :meth:`backward`."""
        batch, length, width = x.shape
        rows = x.reshape(-1, width)
        self.x = rows
        qkv = self.project(rows, self.kept("qkv", len(rows), 3 * width))
        # A head is some columns of the rows. BLAS takes such a view as it is.
        q, k, v = self.qkv = _by_head(qkv, batch, 3, self.heads)  # (B, H, T, K) each
        self.weights = self.kept("weights", length, batch, self.heads, length)
        weights = self.weights.transpose(1, 2, 0, 3)  # (B, H, keys, queries)
        turned = self.shared("turned", *q.swapaxes(-1, -2).shape)
        scaled_product(k, q, turned, out=weights)
        softmax(self.weights, mask)
        mixed = self.kept("mixed", *rows.shape)
        (by_head,) = _by_head(mixed, batch, 1, self.heads)
        np.matmul(weights.swapaxes(-1, -2), v, out=by_head)
        return self.rest.forward(rows, mixed).reshape(x.shape)

    def backward(self, dz: Array) -> Array:
        """Gradients of :meth:`forward`, (B, T, D) to (B, T, D), written over ``dz``."""
        batch, _, width = dz.shape
        rows = dz.reshape(-1, width)
        dx, dmixed = self.rest.backward(rows)
        (dmixed,) = _by_head(dmixed, batch, 1, self.heads)
        q, k, v = self.qkv
        dqkv = self.shared("dqkv", len(rows), 3 * width)
        dq, dk, dv = _by_head(dqkv, batch, 3, self.heads)
        dscores = self.shared("dscores", *self.weights.shape)
        by_head = dscores.transpose(1, 2, 0, 3)  # (B, H, keys, queries)
        np.matmul(self.weights.transpose(1, 2, 0, 3), dmixed, out=dv)
        turned = self.shared("turned", *q.swapaxes(-1, -2).shape)
        # The softmax's gradient is linear in this one: the scale of the scores may come before it.
        scaled_product(v, dmixed, turned, out=by_head)
        softmax_backward(dscores, self.weights)
        np.matmul(by_head.swapaxes(-1, -2), k, out=dq)
        np.matmul(by_head, q, out=dk)
        self.project_backward(dqkv, rows)
        rows += dx
        return dz

    def project(self, x: Array, out: Array) -> Array:
        """Queries, keys and values: (N, D) to (N, 3D), into ``out``."""
        return linear(x, self.layer.qkv, out)

    def project_backward(self, dqkv: Array, out: Array) -> Array:
        """Gradients of :meth:`project`: dx (N, D) into ``out``."""
        return linear_backward(dqkv, self.x, self.layer.qkv, self.grad.qkv, out)


def _by_head(x: Array, batch: int, parts: int, heads: int) -> Array:
    """(B·T, parts·H·K) to (parts, B, H, T, K), a view."""
    length, head_width = len(x) // batch, x.shape[1] // (parts * heads)
    return x.reshape(batch, length, parts, heads, head_width).transpose(2, 0, 3, 1, 4)
