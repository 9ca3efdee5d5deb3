"""The 2017 encoder with a classifier on its first token, forward and backward, in NumPy."""

from dataclasses import dataclass

import numpy as np

from groundup.scratch.attention import multi_head_attention, multi_head_attention_backward
from groundup.scratch.feedforward import feed_forward, feed_forward_backward
from groundup.scratch.linear import embedding, embedding_backward, linear, linear_backward
from groundup.scratch.normalization import layer_norm, layer_norm_backward
from groundup.scratch.positions import sinusoidal_positions
from groundup.scratch.types import Array, BoolArray, Cache, IntArray, Params


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of an :class:`Encoder`. The defaults are the digit model: 101,898 parameters."""

    vocabulary: int = 20
    classes: int = 10
    width: int = 64
    heads: int = 4
    layers: int = 2
    hidden: int = 256
    max_length: int = 32

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1: got {value}")
        if self.width % self.heads:
            raise ValueError(f"heads must divide width: got width={self.width}, heads={self.heads}")


def xavier(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """A uniform matrix that keeps the variance of what passes through (Glorot, Bengio, 2010)."""
    limit = np.sqrt(6 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns))


def init_params(
    config: EncoderConfig, rng: np.random.Generator, dtype: type = np.float32
) -> Params:
    """Fresh parameters: Xavier matrices, zero biases, norms at one."""
    width, hidden = config.width, config.hidden
    params: Params = {"embedding": rng.normal(0, 1, (config.vocabulary, width))}
    for i in range(config.layers):
        params |= {
            f"layers.{i}.wqkv": np.hstack([xavier(rng, width, width) for _ in range(3)]),
            f"layers.{i}.bqkv": np.zeros(3 * width),
            f"layers.{i}.wo": xavier(rng, width, width),
            f"layers.{i}.bo": np.zeros(width),
            f"layers.{i}.norm1.gamma": np.ones(width),
            f"layers.{i}.norm1.beta": np.zeros(width),
            f"layers.{i}.w1": xavier(rng, width, hidden),
            f"layers.{i}.b1": np.zeros(hidden),
            f"layers.{i}.w2": xavier(rng, hidden, width),
            f"layers.{i}.b2": np.zeros(width),
            f"layers.{i}.norm2.gamma": np.ones(width),
            f"layers.{i}.norm2.beta": np.zeros(width),
        }
    params |= {
        "classifier.weight": xavier(rng, width, config.classes),
        "classifier.bias": np.zeros(config.classes),
    }
    return {name: value.astype(dtype) for name, value in params.items()}


class Encoder:
    """Token ids in, class logits out. Post-LN blocks; the first token is read off at the end.

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

    def forward(self, ids: IntArray, mask: BoolArray | None = None) -> tuple[Array, Cache]:
        """Run the network.

        Args:
            ids: (B, T) token ids.
            mask: (B, T), True at real tokens. None: no padding.

        Returns:
            logits (B, C), and the cache :meth:`backward` and :meth:`attention_maps` need.

        Raises:
            ValueError: the batch is empty or too long, an id or the mask does not fit.
        """
        if ids.ndim != 2 or not ids.size:
            raise ValueError(f"ids must be a non-empty (B, T) array: got shape {ids.shape}")
        length = ids.shape[1]
        if length > self.config.max_length:
            raise ValueError(f"at most {self.config.max_length} tokens fit: got {length}")
        tokens, cache_embedding = embedding(ids, self.params["embedding"])
        x: Array = tokens + self.positions[:length]
        caches = []
        for i in range(self.config.layers):
            x, cache = self._block(i, x, mask)
            caches.append(cache)
        first = x[:, 0]  # (B, D)
        logits, cache_classifier = linear(
            first, self.params["classifier.weight"], self.params["classifier.bias"]
        )
        return logits, (cache_embedding, tuple(caches), cache_classifier, x.shape)

    def backward(self, dlogits: Array, cache: Cache) -> Params:
        """Gradients of every parameter, under the parameters' names.

        Args:
            dlogits: (B, C).
            cache: what :meth:`forward` returned.
        """
        cache_embedding, caches, cache_classifier, shape = cache
        grads: Params = {}
        dfirst, grads["classifier.weight"], grads["classifier.bias"] = linear_backward(
            dlogits, cache_classifier
        )
        dx: Array = np.zeros(shape, dlogits.dtype)
        dx[:, 0] = dfirst  # only the first token was read
        for i in reversed(range(self.config.layers)):
            dx = self._block_backward(i, dx, caches[i], grads)
        grads["embedding"] = embedding_backward(dx, cache_embedding)
        return grads

    def attention_maps(self, cache: Cache) -> list[Array]:
        """The weights each layer used, (B, H, T, T) a layer, from a forward pass's cache."""
        return [block[0][1][0] for block in cache[1]]

    def _block(self, i: int, x: Array, mask: BoolArray | None) -> tuple[Array, Cache]:
        p = {name: self.params[f"layers.{i}.{name}"] for name in _BLOCK}
        mixed, cache_attention = multi_head_attention(
            x, p["wqkv"], p["bqkv"], p["wo"], p["bo"], self.config.heads, mask
        )
        x, cache_norm1 = layer_norm(x + mixed, p["norm1.gamma"], p["norm1.beta"])
        fed, cache_ffn = feed_forward(x, p["w1"], p["b1"], p["w2"], p["b2"])
        x, cache_norm2 = layer_norm(x + fed, p["norm2.gamma"], p["norm2.beta"])
        return x, (cache_attention, cache_norm1, cache_ffn, cache_norm2)

    def _block_backward(self, i: int, dy: Array, cache: Cache, grads: Params) -> Array:
        cache_attention, cache_norm1, cache_ffn, cache_norm2 = cache
        g: Params = {}
        # A sum passes its gradient to both terms; where paths meet again, gradients add.
        dsum, g["norm2.gamma"], g["norm2.beta"] = layer_norm_backward(dy, cache_norm2)
        dx, g["w1"], g["b1"], g["w2"], g["b2"] = feed_forward_backward(dsum, cache_ffn)
        dsum, g["norm1.gamma"], g["norm1.beta"] = layer_norm_backward(dx + dsum, cache_norm1)
        dx, g["wqkv"], g["bqkv"], g["wo"], g["bo"] = multi_head_attention_backward(
            dsum, cache_attention
        )
        grads |= {f"layers.{i}.{name}": value for name, value in g.items()}
        return dx + dsum


_BLOCK = (
    *("wqkv", "bqkv", "wo", "bo", "norm1.gamma", "norm1.beta"),
    *("w1", "b1", "w2", "b2", "norm2.gamma", "norm2.beta"),
)
