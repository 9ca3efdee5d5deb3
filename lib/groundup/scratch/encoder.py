"""A transformer encoder with a classifier on top, forward and backward, in NumPy."""

from dataclasses import dataclass

import numpy as np

from groundup.scratch.blocks import (
    block_params,
    init_block,
    post_norm_block,
    post_norm_block_backward,
    pre_norm_block,
    pre_norm_block_backward,
    xavier,
)
from groundup.scratch.dropout import dropout, dropout_backward
from groundup.scratch.inputs import check_batch, check_shape
from groundup.scratch.linear import embedding, embedding_backward, linear, linear_backward
from groundup.scratch.normalization import layer_norm, layer_norm_backward
from groundup.scratch.pooling import (
    first_token_pool,
    first_token_pool_backward,
    mean_pool,
    mean_pool_backward,
)
from groundup.scratch.positions import sinusoidal_positions
from groundup.scratch.types import Array, BoolArray, Cache, IntArray, Params


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of an :class:`Encoder`. The defaults are the digit model: 101,898 parameters.

    Attributes:
        vocabulary: V, the number of tokens.
        classes: C, the number of answers.
        width: D.
        heads: H, which divides D.
        layers: blocks, one after the other.
        hidden: F, the width inside the feed-forward network.
        max_length: the longest input, in tokens.
        norm: "post", the order of 2017, or "pre", which ends in one more norm.
        pooling: "first" token, or "mean" over the real ones.
        dropout: the share of each sublayer's output and of the embedding that is dropped, when a
            generator is passed to :meth:`Encoder.forward`.
    """

    vocabulary: int = 20
    classes: int = 10
    width: int = 64
    heads: int = 4
    layers: int = 2
    hidden: int = 256
    max_length: int = 32
    norm: str = "post"
    pooling: str = "first"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_shape(self)
        for name, known in (("norm", BLOCKS), ("pooling", _POOLS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be {' or '.join(known)}: got {getattr(self, name)!r}"
                )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1): got {self.dropout}")


def init_params(
    config: EncoderConfig, rng: np.random.Generator, dtype: type = np.float32
) -> Params:
    """Fresh parameters: Xavier matrices, zero biases, norms at one."""
    width, hidden = config.width, config.hidden
    params: Params = {"embedding": rng.normal(0, 1, (config.vocabulary, width))}
    for i in range(config.layers):
        block = init_block(rng, width, hidden)
        params |= {f"layers.{i}.{name}": value for name, value in block.items()}
    if config.norm == "pre":
        params |= {"norm.gamma": np.ones(width), "norm.beta": np.zeros(width)}
    params |= {
        "classifier.weight": xavier(rng, width, config.classes),
        "classifier.bias": np.zeros(config.classes),
    }
    return {name: value.astype(dtype) for name, value in params.items()}


class Encoder:
    """Token ids in, class logits out.

    The parameters live in one dictionary, ``params``; the dtype of the whole computation is
    theirs (float32 to train, float64 to check gradients).
    """

    def __init__(self, config: EncoderConfig, params: Params) -> None:
        self.config = config
        self.params = params
        dtype = params["embedding"].dtype
        self.positions = sinusoidal_positions(config.max_length, config.width).astype(dtype)

    @classmethod
    def create(
        cls, config: EncoderConfig, rng: np.random.Generator, dtype: type = np.float32
    ) -> "Encoder":
        """An encoder with fresh parameters."""
        return cls(config, init_params(config, rng, dtype))

    def forward(
        self, ids: IntArray, mask: BoolArray | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        """Run the network.

        Args:
            ids: (B, T) token ids.
            mask: (B, T), True at real tokens. None: no padding.
            rng: draws the dropout of training. None: nothing is dropped.

        Returns:
            logits (B, C), and the cache :meth:`backward` and :meth:`attention_maps` need.

        Raises:
            ValueError: the batch is empty or too long, an id or the mask does not fit.
        """
        check_batch(ids, mask, self.config.vocabulary, self.config.max_length)
        tokens, cache_embedding = embedding(ids, self.params["embedding"])
        noise = (self.config.dropout, rng)
        x, cache_drop = dropout(tokens + self.positions[: ids.shape[1]], *noise)
        block, _ = BLOCKS[self.config.norm]
        caches = []
        for i in range(self.config.layers):
            x, cache = block(x, block_params(self.params, i), self.config.heads, mask, noise)
            caches.append(cache)
        cache_norm: Cache = ()
        if self.config.norm == "pre":
            x, cache_norm = layer_norm(x, self.params["norm.gamma"], self.params["norm.beta"])
        pool, _ = _POOLS[self.config.pooling]
        pooled, cache_pool = pool(x, mask)
        logits, cache_classifier = linear(
            pooled, self.params["classifier.weight"], self.params["classifier.bias"]
        )
        before = cache_embedding, cache_drop
        return logits, (before, tuple(caches), (cache_norm, cache_pool, cache_classifier))

    def backward(self, dlogits: Array, cache: Cache) -> Params:
        """Gradients of every parameter, under the parameters' names.

        Args:
            dlogits: (B, C).
            cache: what :meth:`forward` returned.
        """
        (cache_embedding, cache_drop), caches, (cache_norm, cache_pool, cache_classifier) = cache
        grads: Params = {}
        dpooled, grads["classifier.weight"], grads["classifier.bias"] = linear_backward(
            dlogits, cache_classifier
        )
        _, pool_backward = _POOLS[self.config.pooling]
        dx = pool_backward(dpooled, cache_pool)
        if self.config.norm == "pre":
            dx, grads["norm.gamma"], grads["norm.beta"] = layer_norm_backward(dx, cache_norm)
        _, block_backward = BLOCKS[self.config.norm]
        for i in reversed(range(self.config.layers)):
            dx, g = block_backward(dx, caches[i])
            grads |= {f"layers.{i}.{name}": value for name, value in g.items()}
        grads["embedding"] = embedding_backward(dropout_backward(dx, cache_drop), cache_embedding)
        return grads

    def attention_maps(self, cache: Cache) -> list[Array]:
        """The weights each layer used, (B, H, T, T) a layer, from a forward pass's cache."""
        return [block[0][1][0] for block in cache[1]]


BLOCKS = {
    "post": (post_norm_block, post_norm_block_backward),
    "pre": (pre_norm_block, pre_norm_block_backward),
}
"""Forward and backward of a block, by the order of norm and residual."""

_POOLS = {
    "first": (first_token_pool, first_token_pool_backward),
    "mean": (mean_pool, mean_pool_backward),
}
