"""The rungs between NumPy and PyTorch: the same weights, the same outputs, the same gradients."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTLayer
from groundup.neobert.rope import rope_tables
from groundup.scratch.encoder import Encoder
from groundup.scratch.gradcheck import compare
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.modern import modern_block, modern_block_backward
from groundup.scratch.types import Array, BoolArray, IntArray, Params

LIMIT = 1e-10
"""Largest relative error by norm that counts as equal in float64: rounding alone gives 1e-15."""


@dataclass(frozen=True)
class Rung:
    """One comparison: what was compared, and the relative error by norm."""

    pair: str
    tensor: str
    error: float

    @property
    def equal(self) -> bool:
        """Whether the error is within :data:`LIMIT`."""
        return self.error <= LIMIT


class TorchEncoder(nn.Module):
    """The digit encoder in torch, built from torch's own layers: the NumPy encoder's twin."""

    def __init__(self, source: Encoder) -> None:
        super().__init__()
        config = source.config
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            config.hidden,
            dropout=0.0,
            batch_first=True,
            norm_first=config.norm == "pre",
        )
        norm = nn.LayerNorm(config.width) if config.norm == "pre" else None
        self.pooling = config.pooling
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.TransformerEncoder(layer, config.layers, norm, enable_nested_tensor=False)
        self.classifier = nn.Linear(config.width, config.classes)
        self.positions: Tensor
        self.register_buffer("positions", torch.from_numpy(source.positions.copy()))
        self.to(torch.from_numpy(source.params["embedding"]).dtype)
        self.load_state_dict({**to_torch(source.params), "positions": self.positions})

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids (B, T) and mask (B, T) bool → logits (B, C)."""
        x = self.embedding(ids) + self.positions[: ids.shape[1]]
        x = self.layers(x, src_key_padding_mask=~mask)
        if self.pooling == "mean":
            real = mask[..., None].to(x.dtype)
            pooled = (x * real).sum(1) / real.sum(1)
        else:
            pooled = x[:, 0]
        logits: Tensor = self.classifier(pooled)
        return logits


_LAYER_NAMES = {
    "wqkv": "self_attn.in_proj_weight",
    "bqkv": "self_attn.in_proj_bias",
    "wo": "self_attn.out_proj.weight",
    "bo": "self_attn.out_proj.bias",
    "norm1.gamma": "norm1.weight",
    "norm1.beta": "norm1.bias",
    "w1": "linear1.weight",
    "b1": "linear1.bias",
    "w2": "linear2.weight",
    "b2": "linear2.bias",
    "norm2.gamma": "norm2.weight",
    "norm2.beta": "norm2.bias",
}


_FINAL_NORM = {"norm.gamma": "layers.norm.weight", "norm.beta": "layers.norm.bias"}


def torch_name(name: str) -> str:
    """The twin's name of a parameter of the NumPy encoder."""
    if name == "embedding":
        return "embedding.weight"
    if name in _FINAL_NORM:
        return _FINAL_NORM[name]
    if not name.startswith("layers."):
        return name
    _, index, rest = name.split(".", 2)
    return f"layers.layers.{index}.{_LAYER_NAMES[rest]}"


def to_torch(params: Params) -> dict[str, Tensor]:
    """The NumPy encoder's parameters under the twin's names. torch keeps linear maps as (out, in),
    so those matrices are transposed; the embedding table is not a linear map."""
    return {
        torch_name(name): torch.from_numpy(
            np.ascontiguousarray(value.T if value.ndim == 2 and name != "embedding" else value)
        )
        for name, value in params.items()
    }


def encoder_parity(model: Encoder, ids: IntArray, mask: BoolArray, answers: IntArray) -> list[Rung]:
    """NumPy encoder against its torch twin in float64: logits, loss, and every gradient.

    Args:
        model: the NumPy encoder; a float64 copy of it is compared.
        ids: (B, T) tokens, mask: (B, T), answers: (B,).
    """
    double = Encoder(model.config, {k: v.astype(np.float64) for k, v in model.params.items()})
    twin = TorchEncoder(double)
    pair = "digit encoder"

    logits, cache = double.forward(ids, mask)
    loss, cache_loss = cross_entropy(logits, answers)
    grads = to_torch(double.backward(cross_entropy_backward(cache_loss), cache))

    torch_logits = twin(torch.from_numpy(ids), torch.from_numpy(mask))
    torch_loss = F.cross_entropy(torch_logits, torch.from_numpy(answers))
    torch_loss.backward()

    rungs = [
        _rung(pair, "logits", logits, _numpy(torch_logits)),
        _rung(pair, "loss", np.array([loss]), _numpy(torch_loss).reshape(1)),
    ]
    for name, parameter in twin.named_parameters():
        assert parameter.grad is not None
        rungs.append(_rung(pair, f"d {name}", _numpy(grads[name]), _numpy(parameter.grad)))
    return rungs


_NEOBERT_NAMES = {
    "attention_norm.weight": "attention_norm",
    "qkv.weight": "qkv",
    "wo.weight": "wo",
    "ffn_norm.weight": "ffn_norm",
    "ffn.w12.weight": "w12",
    "ffn.w3.weight": "w3",
}


def layer_parity(
    rng: np.random.Generator, width: int = 32, heads: int = 4, batch: int = 3, length: int = 9
) -> list[Rung]:
    """One NeoBERT layer against the NumPy block of the same parts, in float64.

    Random weights and inputs, with padding in the batch; the output is contracted with a random
    array, so that every gradient is exercised.

    Args:
        rng: draws the weights and the inputs.
        width: D.
        heads: H, which must divide D.
        batch: B.
        length: T.
    """
    config = NeoBERTConfig(
        hidden_size=width, num_attention_heads=heads, intermediate_size=2 * width
    )
    layer = NeoBERTLayer(config).double()
    params: Params = {}
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            value = rng.normal(0, width**-0.5, tuple(parameter.shape))
            value += float(parameter.dim() == 1)  # norms scatter around one
            parameter.copy_(torch.from_numpy(value))
            params[_NEOBERT_NAMES[name]] = np.ascontiguousarray(value.T)
    x, dy = (rng.normal(size=(batch, length, width)) for _ in range(2))
    mask = np.arange(length) < rng.integers(length // 2, length + 1, size=(batch, 1))

    y, cache = modern_block(x, params, heads, mask, config.norm_eps)
    dx, grads = modern_block_backward(dy, cache)

    torch_x = torch.from_numpy(x).requires_grad_()
    assert config.head_dim is not None
    cos, sin = rope_tables(
        length, config.head_dim, config.rope_theta, torch_x.device, torch_x.dtype
    )
    torch_y = layer(torch_x, cos, sin, torch.from_numpy(mask))
    torch_y.backward(torch.from_numpy(dy))

    pair = "NeoBERT layer"
    assert torch_x.grad is not None
    rungs = [
        _rung(pair, "output", y, _numpy(torch_y)),
        _rung(pair, "d input", dx, _numpy(torch_x.grad)),
    ]
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None
        ours = grads[_NEOBERT_NAMES[name]].T
        rungs.append(_rung(pair, f"d {name}", ours, _numpy(parameter.grad)))
    return rungs


def _numpy(tensor: Tensor) -> Array:
    array: Array = tensor.detach().numpy()
    return array


def _rung(pair: str, tensor: str, ours: Array, theirs: Array) -> Rung:
    return Rung(pair, tensor, compare(tensor, ours, theirs).relative)
