"""The last block when only the first token is read: no other query, no key and no value."""

import numpy as np

from groundup.scratch.fast.block import BlockTensors, Rest
from groundup.scratch.fast.memory import Workspace
from groundup.scratch.fast.pieces import (
    Linear,
    linear,
    linear_backward,
    softmax,
    softmax_backward,
)
from groundup.scratch.types import Array, BoolArray


class FirstTokenBlock:
    r"""A block that gives its output at the first position alone.

    Everything after attention is done for B rows instead of B·T. And with one query a sequence,
    keys and values need not be formed.

    Derivation:
        Of one head, with :math:`q` its query and :math:`x_t` the inputs, the scores are

        .. math:: s_t = q\cdot(x_t W_k + b_k) = a\cdot x_t + q\cdot b_k, \qquad a = q W_k^\top

        The last term is the same for every t, and softmax does not see it. The weights
        :math:`p_t` sum to one, so the mixed value is

        .. math:: \sum_t p_t (x_t W_v + b_v) = m W_v + b_v, \qquad m = \sum_t p_t x_t

        Two products of (T, D) with a (D, K) matrix have become two of one row with it. The
        backward pass is that of these two lines; both paths meet in
        :math:`dx_t = p_t\,dm + ds_t\,a`. The gradient of :math:`b_k` is zero, exactly.

    Args:
        layer: the parameters.
        grad: where their gradients go.
        heads: H.
        shared: memory that other blocks may use after a call.
    """

    def __init__(
        self, layer: BlockTensors, grad: BlockTensors, heads: int, shared: Workspace
    ) -> None:
        self.query, self.wk, self.wv, self.bv = _split(layer.qkv, heads)
        self.dquery, self.dwk, self.dwv, self.dbv = _split(grad.qkv, heads)
        self.heads = heads
        self.kept, self.shared = Workspace(shared.dtype), shared
        self.rest = Rest(layer, grad, shared)

    def forward(self, x: Array, mask: BoolArray | None) -> Array:
        """(B, T, D) to (B, D). ``x`` and the result stay in use until :meth:`backward`."""
        batch, length, width = x.shape
        heads, kept = self.heads, self.kept
        self.x = x
        self.first = kept("first", batch, width)
        np.copyto(self.first, x[:, 0])
        q = linear(self.first, self.query, kept("q", batch, width))
        self.q = _by_head(q, heads)  # (H, B, K)
        self.a = kept("a", batch, heads, width)
        np.matmul(self.q, self.wk.swapaxes(1, 2), out=self.a.transpose(1, 0, 2))
        self.weights = kept("weights", length, batch, heads)
        np.matmul(x, self.a.swapaxes(1, 2), out=self.weights.transpose(1, 0, 2))
        self.weights *= x.dtype.type(self.wk.shape[-1] ** -0.5)
        softmax(self.weights, mask)
        self.m = kept("m", batch, heads, width)
        np.matmul(self.weights.transpose(1, 2, 0), x, out=self.m)
        mixed = kept("mixed", batch, width)
        np.matmul(self.m.transpose(1, 0, 2), self.wv, out=_by_head(mixed, heads))
        # Weights sum to one, or to zero where all is padding.
        self.total = np.ones((batch, 1), x.dtype)
        if mask is not None:
            self.total *= mask.any(axis=1, keepdims=True)
        mixed += self.total * self.bv
        return self.rest.forward(self.first, mixed)

    def backward(self, dz: Array) -> Array:
        """Gradients of :meth:`forward`: (B, D), which is lost, to (B, T, D)."""
        x, heads, shared = self.x, self.heads, self.shared
        dfirst, dmixed = self.rest.backward(dz)
        np.matmul(self.total[:, 0], dmixed, out=self.dbv)
        dmixed = _by_head(dmixed, heads)  # (H, B, K)
        np.matmul(self.m.transpose(1, 2, 0), dmixed, out=self.dwv)
        dm = shared("dm", *self.m.shape)
        np.matmul(dmixed, self.wv.swapaxes(1, 2), out=dm.transpose(1, 0, 2))
        dscores = shared("dscores", *self.weights.shape)
        np.matmul(x, dm.swapaxes(1, 2), out=dscores.transpose(1, 0, 2))
        dx = np.matmul(self.weights.transpose(1, 0, 2), dm, out=shared("dx", *x.shape))
        softmax_backward(dscores, self.weights)
        dscores *= x.dtype.type(self.wk.shape[-1] ** -0.5)
        dx += np.matmul(dscores.transpose(1, 0, 2), self.a, out=shared("scores_path", *x.shape))
        da = np.matmul(dscores.transpose(1, 2, 0), x, out=dm).transpose(1, 0, 2)  # (H, B, D)
        np.matmul(da.swapaxes(1, 2), self.q, out=self.dwk)
        dq = shared("dq", *self.first.shape)
        np.matmul(da, self.wk, out=_by_head(dq, heads))
        dx[:, 0] += linear_backward(dq, self.first, self.query, self.dquery, dz)
        dx[:, 0] += dfirst
        return dx


def _split(qkv: Linear, heads: int) -> tuple[Linear, Array, Array, Array]:
    """The fused projection as views: the query's map, Wk and Wv (H, D, K), bv (D,)."""
    width = len(qkv.weight)
    wq, wk, wv = (qkv.weight[:, i * width : (i + 1) * width] for i in range(3))
    bq, _, bv = qkv.bias.reshape(3, width)
    return Linear(wq, bq), _by_head(wk, heads), _by_head(wv, heads), bv


def _by_head(x: Array, heads: int) -> Array:
    """(N, H·K) to (H, N, K), a view."""
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)
