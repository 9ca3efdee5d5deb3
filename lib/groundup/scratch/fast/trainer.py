"""One training step of the digit encoder: forward, backward and AdamW, in memory of its own."""

import math
from collections.abc import Iterator

from groundup.scratch.encoder import Encoder
from groundup.scratch.examples import Examples
from groundup.scratch.fast.block import Block, BlockTensors
from groundup.scratch.fast.embedding import EmbeddedBlock, Embedding
from groundup.scratch.fast.first_token import FirstTokenBlock
from groundup.scratch.fast.memory import Workspace
from groundup.scratch.fast.optimizer import FlatAdamW
from groundup.scratch.fast.pieces import Linear, linear, linear_backward
from groundup.scratch.inputs import check_batch
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.optim import warmup_cosine
from groundup.scratch.pooling import mean_pool, mean_pool_backward
from groundup.scratch.trainer import OptimizerStep, TrainConfig, batches
from groundup.scratch.types import Array, BoolArray, IntArray, Params


class FastTrainer:
    """Trains an :class:`Encoder` in place; equal to the plain forms up to rounding.

    The plain forms are :meth:`Encoder.forward`, :meth:`Encoder.backward`,
    :func:`groundup.scratch.loss.cross_entropy`, :func:`groundup.scratch.optim.clip_by_norm` and
    :class:`groundup.scratch.optim.AdamW`. ``model.params`` then holds views of one buffer, and
    the model can be used and saved as before, at any time.

    Args:
        model: what is trained, in the dtype of its parameters. Post-norm, without dropout.
        weight_decay: of matrices; 0 makes it Adam.
        clip: the highest joint norm of the gradients. None: no limit.

    Attributes:
        model: the model.
        optimizer: its state, and the gradients of the last step in ``optimizer.grads``.

    Raises:
        ValueError: the model has pre-norm blocks or dropout.
    """

    def __init__(
        self, model: Encoder, weight_decay: float = 0.01, clip: float | None = None
    ) -> None:
        config = model.config
        if config.norm != "post" or config.dropout:
            raise ValueError(
                "the fast step has post-norm blocks without dropout: "
                f"got norm={config.norm!r}, dropout={config.dropout}"
            )
        self.model = model
        self.optimizer = FlatAdamW(model.params, weight_decay=weight_decay)
        self.clip = math.inf if clip is None else clip
        params, grads = model.params, self.optimizer.grads
        self._shared = Workspace(params["embedding"].dtype)
        self._kept = Workspace(self._shared.dtype)
        self._embedding = Embedding(params["embedding"], grads["embedding"], model.positions)
        blocks = [
            (BlockTensors.of(params, i), BlockTensors.of(grads, i), config.heads, self._shared)
            for i in range(config.layers)
        ]
        # When the last block's output is read at one token, it is made for that token alone.
        self._pool = FirstTokenBlock(*blocks.pop()) if config.pooling == "first" else MeanPooling()
        self._blocks = [
            Block(*block) if i else EmbeddedBlock(*block, self._embedding)
            for i, block in enumerate(blocks)
        ]
        self._classifier, self._dclassifier = (
            Linear(p["classifier.weight"], p["classifier.bias"]) for p in (params, grads)
        )

    def step(
        self, ids: IntArray, mask: BoolArray | None, answers: IntArray, lr: float
    ) -> tuple[float, float]:
        """Train on one batch.

        Args:
            ids: (B, T) token ids.
            mask: (B, T), True at real tokens. None: no padding.
            answers: (B,) the right classes.
            lr: the learning rate.

        Returns:
            The loss in nats, and the norm of the gradients before clipping.

        Raises:
            ValueError: as :meth:`Encoder.forward` and :func:`cross_entropy`, or the loss or the
                gradients are no numbers. Nothing has changed.
        """
        loss, _ = self.gradients(ids, mask, answers)
        if not math.isfinite(loss):
            raise ValueError(f"the loss is {loss}: the model has diverged")
        norm = self.optimizer.clip(self.clip)
        self.optimizer.step(lr)
        return loss, norm

    def train(self, data: Examples, config: TrainConfig) -> Iterator[OptimizerStep]:
        """Train as :func:`groundup.scratch.trainer.train` does, from the optimizer's step on.

        Weight decay and clipping are those the trainer was made with.

        Raises:
            ValueError: there are fewer examples than a batch holds, or gradients are to be
                accumulated.
        """
        if config.accumulate != 1:
            raise ValueError(f"the fast step has one batch: got accumulate={config.accumulate}")
        made = self.optimizer.step_count
        source = batches(data, config.batch_size, config.seed, start=made)
        for step, batch in zip(range(made, config.steps), source, strict=False):
            lr = warmup_cosine(step, config.steps, config.warmup, config.lr)
            loss, norm = self.step(batch.ids, batch.mask, batch.answers, lr)
            yield OptimizerStep(step + 1, loss, lr, norm)

    def gradients(
        self, ids: IntArray, mask: BoolArray | None, answers: IntArray
    ) -> tuple[float, Params]:
        """The loss in nats, and every gradient, without a step; see :meth:`step`.

        The gradients are the optimizer's own arrays: the next call writes over them.
        """
        config = self.model.config
        check_batch(ids, mask, config.vocabulary, config.max_length)
        if mask is not None and mask.all():
            mask = None
        x = self._embedding.forward(ids)
        for block in self._blocks:
            x = block.forward(x, mask)
        pooled = self._pool.forward(x, mask)
        classes = len(self._classifier.bias)
        logits = linear(pooled, self._classifier, self._kept("logits", len(ids), classes))
        loss, cache = cross_entropy(logits, answers)

        dlogits = cross_entropy_backward(cache)
        dpooled = self._shared("dpooled", *pooled.shape)
        linear_backward(dlogits, pooled, self._classifier, self._dclassifier, dpooled)
        dx = self._pool.backward(dpooled)
        for block in reversed(self._blocks):
            dx = block.backward(dx)
        self._embedding.backward(dx)
        return loss, self.optimizer.grads


class MeanPooling:
    """The plain mean pooling, which costs little, in the shape of a block."""

    def forward(self, x: Array, mask: BoolArray | None) -> Array:
        """(B, T, D) to (B, D)."""
        pooled, self.cache = mean_pool(x, mask)
        return pooled

    def backward(self, dy: Array) -> Array:
        """(B, D) to (B, T, D)."""
        return mean_pool_backward(dy, self.cache)
