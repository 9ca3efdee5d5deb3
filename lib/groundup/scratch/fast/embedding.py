"""Tokens to vectors, and the projection of the block that reads those vectors."""

import numpy as np

from groundup.scratch.fast.block import Block, BlockTensors
from groundup.scratch.fast.memory import Workspace
from groundup.scratch.fast.pieces import column_sums, linear
from groundup.scratch.types import Array, IntArray


class Embedding:
    """A table of V tokens plus one of positions.

    Args:
        table: (V, D).
        dtable: where its gradient goes.
        positions: (max_length, D), fixed.
    """

    def __init__(self, table: Array, dtable: Array, positions: Array) -> None:
        self.table, self.dtable, self.positions = table, dtable, positions
        self.kept = Workspace(table.dtype)

    def forward(self, ids: IntArray) -> Array:
        """(B, T) to (B, T, D)."""
        self.ids = ids
        self.length = ids.shape[1]
        self.one_hot = (np.arange(len(self.table))[:, None] == ids.reshape(-1)).astype(
            self.table.dtype
        )
        self.direct: Array | float = 0.0  # gradient of the table that does not come through x
        out = self.kept("x", *ids.shape, self.table.shape[1])
        return self.look_up(self.table, self.positions[: self.length], out)

    def look_up(self, tokens: Array, positions: Array, out: Array) -> Array:
        """Token row plus position row at each place: (V, E) and (T, E) to (B, T, E)."""
        # The ids are checked before; without "clip" take would check them again, in a copy.
        np.take(tokens, self.ids, axis=0, out=out, mode="clip")
        out += positions
        return out

    def sum_by_token(self, dx: Array, out: Array) -> Array:
        """Add up the rows of each token: (B·T, E) to (V, E).

        A product with one-hot rows. It costs V·T·B·E, and still a fifteenth of ``np.add.at`` at
        V = 20; a vocabulary of thousands would want rows sorted by token.
        """
        return np.matmul(self.one_hot, dx, out=out)

    def backward(self, dx: Array) -> None:
        """The table's gradient, from (B, T, D)."""
        self.sum_by_token(dx.reshape(self.one_hot.shape[1], -1), self.dtable)
        self.dtable += self.direct


class EmbeddedBlock(Block):
    r"""The first block. Its projection is made for V tokens and T positions, not B·T rows.

    Derivation:
        Row n is token i at position t, :math:`x_n = e_i + p_t`, so

        .. math:: x_n W + b = (e_i W + b) + p_t W

        and both terms are looked up in small tables. Backward, with :math:`g_n` the gradient of
        row n, :math:`S_i` the sum of :math:`g_n` over the rows of token i and :math:`R_t` that
        over the rows at position t: :math:`dW = \sum_n x_n^\top g_n = e^\top S + p^\top R`,
        :math:`db = \sum_i S_i`, and through the projection the table gets :math:`S W^\top`.
    """

    def __init__(
        self,
        layer: BlockTensors,
        grad: BlockTensors,
        heads: int,
        shared: Workspace,
        embedding: Embedding,
    ) -> None:
        super().__init__(layer, grad, heads, shared)
        self.embedding = embedding
        self.sums_shape = (len(embedding.table), len(layer.qkv.bias))  # (V, 3D)

    def project(self, x: Array, out: Array) -> Array:
        """See :meth:`Block.project`."""
        embedding, layer = self.embedding, self.layer.qkv
        tokens = linear(embedding.table, layer, self.kept("tokens", *self.sums_shape))
        positions = embedding.positions[: embedding.length] @ layer.weight
        embedding.look_up(tokens, positions, out.reshape(*embedding.ids.shape, -1))
        return out

    def project_backward(self, dqkv: Array, out: Array) -> Array:
        """See :meth:`Block.project_backward`; dx is zero, its part went to the table."""
        embedding, layer, grad = self.embedding, self.layer.qkv, self.grad.qkv
        by_token = embedding.sum_by_token(dqkv, self.kept("tokens", *self.sums_shape))
        by_position = column_sums(dqkv.reshape(len(embedding.ids), -1))
        by_position = by_position.reshape(embedding.length, -1)
        dweight = np.matmul(embedding.table.T, by_token, out=grad.weight)
        dweight += embedding.positions[: embedding.length].T @ by_position
        column_sums(by_token, grad.bias)
        embedding.direct = by_token @ layer.weight.T
        out[...] = 0
        return out
