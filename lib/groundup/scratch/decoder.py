"""A causal language model in NumPy: pre-LN blocks, a tied head, and a cache for writing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from groundup.scratch.attention import attention, merge_heads, split_heads
from groundup.scratch.blocks import (
    block_params,
    feed,
    init_block,
    pre_norm,
    pre_norm_block_backward,
)
from groundup.scratch.inputs import check_batch, check_shape
from groundup.scratch.linear import embedding, embedding_backward, linear, linear_backward
from groundup.scratch.masks import causal_mask, key_mask
from groundup.scratch.normalization import layer_norm, layer_norm_backward
from groundup.scratch.types import Array, BoolArray, Cache, IntArray, Params

Join = Callable[[Array, Array], tuple[Array, Array]]
"""Takes new keys and values, gives all of them so far: the older ones, then the new."""


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of a :class:`Decoder`. The defaults make 103,424 parameters.

    Attributes:
        vocabulary: V, the number of tokens.
        width: D.
        heads: H, which divides D.
        layers: blocks, one after the other.
        hidden: F, the width inside the feed-forward network.
        max_length: the longest text, in tokens.
    """

    vocabulary: int = 20
    width: int = 64
    heads: int = 4
    layers: int = 2
    hidden: int = 256
    max_length: int = 32

    def __post_init__(self) -> None:
        check_shape(self)


def init_params(
    config: DecoderConfig, rng: np.random.Generator, dtype: type = np.float32
) -> Params:
    """Fresh parameters: small embeddings, Xavier matrices, zero biases, norms at one.

    The embedding is also the output head. Its entries start at 0.02 (Radford et al., 2019), so
    that the first logits are near zero and the first loss is near log V. The matrices that write
    into the residual stream start smaller by √(2 · layers), the number of terms in its sum.
    """
    width, hidden = config.width, config.hidden
    shrink = 1 / np.sqrt(2 * config.layers)
    params: Params = {
        "embedding": rng.normal(0, 0.02, (config.vocabulary, width)),
        "positions": rng.normal(0, 0.02, (config.max_length, width)),
    }
    for i in range(config.layers):
        block = init_block(rng, width, hidden)
        block["wo"] *= shrink
        block["w2"] *= shrink
        params |= {f"layers.{i}.{name}": block[name] for name in _ORDER}
    params |= {"norm.gamma": np.ones(width), "norm.beta": np.zeros(width)}
    return {name: value.astype(dtype) for name, value in params.items()}


def decoder_block(
    x: Array, params: Params, heads: int, attn_mask: BoolArray, join: Join | None = None
) -> tuple[Array, Cache]:
    """One pre-LN block: x += attention(norm(x)), then x += feed_forward(norm(x)).

    Args:
        x: (B, T, D).
        params: norm1.gamma, norm1.beta, wqkv (D, 3D), bqkv, wo (D, D), bo, norm2.gamma,
            norm2.beta, w1 (D, F), b1, w2 (F, D), b2.
        heads: H, which must divide D.
        attn_mask: broadcastable to (B, H, T, S), True where a query may look.
        join: puts the keys and values of earlier tokens before the new ones, as
            :meth:`KVCache.extend` does. None: there are no earlier ones, S = T.

    Returns:
        y (B, T, D), and the cache for its backward pass, which is
        :func:`~groundup.scratch.blocks.pre_norm_block_backward`. Backward is for a block without
        earlier tokens.
    """

    def attend(normal: Array) -> tuple[Array, Cache]:
        qkv, cache_qkv = linear(normal, params["wqkv"], params["bqkv"])
        q, k, v = (split_heads(part, heads) for part in np.split(qkv, 3, axis=-1))
        if join is not None:
            k, v = join(k, v)  # (B, H, S, K)
        mixed, cache_attention = attention(q, k, v, attn_mask)
        y, cache_out = linear(merge_heads(mixed), params["wo"], params["bo"])
        return y, (cache_qkv, cache_attention, cache_out, heads)

    x, cache1 = pre_norm(x, params, "norm1", attend)
    y, cache2 = pre_norm(x, params, "norm2", lambda normal: feed(normal, params, "gelu"))
    return y, (*cache1, *cache2)


class KVCache:
    """Keys and values of the tokens a :class:`Decoder` has read, so that none is read twice.

    Attributes:
        keys: (layers, B, H, max_length, K), filled up to ``length``.
        values: the same.
        mask: (B, max_length), True at real tokens.
        length: how many tokens of each row have been read, padding included.
        config: the shape of the model it is for.
    """

    def __init__(self, config: DecoderConfig, batch: int, dtype: type = np.float32) -> None:
        self.config = config
        each = config.width // config.heads
        shape = (config.layers, batch, config.heads, config.max_length, each)
        self.keys: Array = np.zeros(shape, dtype)
        self.values: Array = np.zeros(shape, dtype)
        self.mask: BoolArray = np.zeros((batch, config.max_length), bool)
        self.length = 0

    def extend(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        """Store a layer's new keys and values (B, H, T, K) after the ``length`` older ones.

        ``length`` stays: the next layer stores at the same places.

        Returns:
            All keys and all values of the layer, (B, H, S, K).
        """
        end = self.length + k.shape[2]
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def reorder(self, rows: IntArray) -> None:
        """Row i becomes what row ``rows[i]`` was; a row may be taken twice, or not at all."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]
        self.mask = self.mask[rows]


class Decoder:
    """Token ids in, logits of the next token out, at every position (Radford et al., 2019).

    The output head is the embedding itself (Press and Wolf, 2017): what a token means where it is
    read and where it is predicted is learned once, and a large vocabulary is paid for once.
    Positions are learned: the table is as small as a word's embedding, in scale too, and nothing
    is lost, since ``max_length`` is fixed anyway. A position counts the real tokens before it;
    padding, on either side, changes nothing.

    The parameters live in one dictionary, ``params``; the dtype of the whole computation is
    theirs (float32 to train, float64 to check gradients).
    """

    def __init__(self, config: DecoderConfig, params: Params) -> None:
        self.config = config
        self.params = params

    @classmethod
    def create(
        cls, config: DecoderConfig, rng: np.random.Generator, dtype: type = np.float32
    ) -> "Decoder":
        """A decoder with fresh parameters."""
        return cls(config, init_params(config, rng, dtype))

    def forward(self, ids: IntArray, mask: BoolArray | None = None) -> tuple[Array, Cache]:
        """Run the network over whole sequences.

        Args:
            ids: (B, T) token ids.
            mask: (B, T), True at real tokens. None: no padding.

        Returns:
            logits (B, T, V): what comes after each token; and the cache :meth:`backward` and
            :meth:`attention_maps` need.

        Raises:
            ValueError: the batch is empty or too long, an id or the mask does not fit.
        """
        check_batch(ids, mask, self.config.vocabulary, self.config.max_length)
        positions = np.arange(ids.shape[1]) if mask is None else token_positions(mask)
        attn_mask = causal_mask(ids.shape[1])
        if mask is not None:
            attn_mask = attn_mask & key_mask(mask)  # (B, 1, T, T)
        return self._run(ids, positions, attn_mask)

    def backward(self, dlogits: Array, cache: Cache) -> Params:
        """Gradients of every parameter, under the parameters' names.

        Args:
            dlogits: (B, T, V).
            cache: what :meth:`forward` returned.
        """
        cache_tokens, cache_positions, caches, cache_norm, cache_head = cache
        grads: Params = {}
        dx, dhead, _ = linear_backward(dlogits, cache_head)
        dx, grads["norm.gamma"], grads["norm.beta"] = layer_norm_backward(dx, cache_norm)
        for i in reversed(range(self.config.layers)):
            dx, g = pre_norm_block_backward(dx, caches[i])
            grads |= {f"layers.{i}.{name}": value for name, value in g.items()}
        # The table is used twice, to read and to predict: its two gradients add.
        grads["embedding"] = embedding_backward(dx, cache_tokens) + dhead.T
        shared = cache_positions[0].ndim == 1  # one row of positions served the whole batch
        grads["positions"] = embedding_backward(dx.sum(axis=0) if shared else dx, cache_positions)
        return grads

    def step(self, ids: IntArray, cache: KVCache, mask: BoolArray | None = None) -> Array:
        """Read on from where the cache stands: a whole prompt, or one token at a time.

        Args:
            ids: (B, T) the next tokens of each row.
            cache: what has been read so far, and which of it is padding; its length grows by T.
            mask: (B, T), True at real tokens. None: no padding.

        Returns:
            logits (B, T, V), those :meth:`forward` gives for these tokens of the whole sequence.

        Raises:
            ValueError: the cache is full or was made for another batch, config or dtype; ids or
                mask do not fit. Nothing is changed then.
        """
        check_batch(ids, mask, self.config.vocabulary, self.config.max_length, cache.length)
        if cache.config != self.config or cache.keys.dtype != self.params["embedding"].dtype:
            raise ValueError(
                f"the cache is {cache.keys.dtype} for {cache.config}: the model is "
                f"{self.params['embedding'].dtype}, {self.config}"
            )
        if len(ids) != len(cache.mask):
            raise ValueError(f"the cache holds {len(cache.mask)} rows: got {len(ids)} rows of ids")
        end = cache.length + ids.shape[1]
        cache.mask[:, cache.length : end] = True if mask is None else mask
        read_mask = cache.mask[:, :end]
        attn_mask = causal_mask(ids.shape[1], end) & key_mask(read_mask)  # (B, 1, T, S)
        logits, _ = self._run(ids, token_positions(read_mask)[:, cache.length :], attn_mask, cache)
        cache.length = end
        return logits

    def attention_maps(self, cache: Cache) -> list[Array]:
        """The weights each layer used, (B, H, T, T) a layer, from a forward pass's cache."""
        return [block[0][1][0] for block in cache[2]]

    def _run(
        self, ids: IntArray, positions: IntArray, attn_mask: BoolArray, store: KVCache | None = None
    ) -> tuple[Array, Cache]:
        tokens, cache_tokens = embedding(ids, self.params["embedding"])
        places, cache_positions = embedding(positions, self.params["positions"])
        x: Array = tokens + places
        caches = []
        for i in range(self.config.layers):
            join = None if store is None else partial(store.extend, i)
            p = block_params(self.params, i)
            x, cache = decoder_block(x, p, self.config.heads, attn_mask, join)
            caches.append(cache)
        x, cache_norm = layer_norm(x, self.params["norm.gamma"], self.params["norm.beta"])
        logits, cache_head = linear(x, self.params["embedding"].T)
        return logits, (cache_tokens, cache_positions, tuple(caches), cache_norm, cache_head)


def token_positions(mask: BoolArray) -> IntArray:
    """(B, T) How many real tokens of the row come before each token."""
    return np.maximum(mask.cumsum(axis=1) - 1, 0)


# The order of a block's parameters in the model: sums over all of them depend on it.
_ORDER = (
    *("norm1.gamma", "norm1.beta", "wqkv", "bqkv", "wo", "bo"),
    *("norm2.gamma", "norm2.beta", "w1", "b1", "w2", "b2"),
)
