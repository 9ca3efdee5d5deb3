"""The rungs between NumPy and PyTorch: the same weights, the same outputs, the same gradients."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groundup.neobert.batch_layout import BatchLayout, pad_tokens, unpad
from groundup.neobert.block import NeoBERTLayer, rotation
from groundup.neobert.configuration import NeoBERTConfig
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
            weights = mask[..., None].to(x.dtype)
            pooled = (x * weights).sum(1) / weights.sum(1)
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
    """The NumPy encoder's parameters, as its torch twin reads them.

    Args:
        params: by the NumPy encoder's names. Its linear maps compute x W, with W (in, out).

    Returns:
        The same numbers under the twin's names (:func:`torch_name`), each in the shape in which
        torch's own modules keep it: ``nn.Linear`` and attention's projections compute x Wᵀ, and
        ``nn.Embedding`` looks up rows. The dtype stays, and the dictionary that was passed too.

    Derivation:
        torch keeps linear maps as (out, in), so those matrices are transposed; the embedding table
        is not a linear map.
    """
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


@dataclass(frozen=True)
class LayerCase:
    """A NeoBERT layer's weights, a padded batch for it, and what its output is contracted with.

    Attributes:
        config: of the layer.
        weights: by the layer's names, as torch keeps them, (out, in).
        x: (B, T, D), dy: (B, T, D), zero at padding.
        mask: (B, T) bool, True at real tokens.
    """

    config: NeoBERTConfig
    weights: Params
    x: Array
    dy: Array
    mask: BoolArray


def draw_layer(
    rng: np.random.Generator, width: int = 32, heads: int = 4, batch: int = 3, length: int = 9
) -> LayerCase:
    """Random weights and inputs in float64, with padding in the batch.

    Args:
        rng: draws them.
        width: D.
        heads: H, which must divide D.
        batch: B.
        length: T.
    """
    config = NeoBERTConfig(
        hidden_size=width, num_attention_heads=heads, intermediate_size=2 * width
    )
    weights: Params = {}
    for name, parameter in NeoBERTLayer(config).named_parameters():
        weights[name] = rng.normal(0, width**-0.5, tuple(parameter.shape))
        weights[name] += float(parameter.dim() == 1)  # norms scatter around one
    x, dy = (rng.normal(size=(batch, length, width)) for _ in range(2))
    mask = np.arange(length) < rng.integers(length // 2, length + 1, size=(batch, 1))
    return LayerCase(config, weights, x, np.where(mask[..., None], dy, 0.0), mask)


def numpy_layer(case: LayerCase) -> dict[str, Array]:
    """The output and every gradient of a layer, by the NumPy block of the same parts."""
    params = {_NEOBERT_NAMES[name]: value.T for name, value in case.weights.items()}
    heads, eps = case.config.num_attention_heads, case.config.norm_eps
    y, cache = modern_block(case.x, params, heads, case.mask, eps)
    dx, grads = modern_block_backward(case.dy, cache)
    # Padding is not there in the torch layer; here it is, and does nothing.
    y = np.where(case.mask[..., None], y, 0.0)
    by_name = {f"d {name}": grads[_NEOBERT_NAMES[name]].T for name in case.weights}
    return {"output": y, "d input": dx, **by_name}


def torch_layer(
    case: LayerCase, dtype: torch.dtype = torch.float64, backend: str = "auto", alone: bool = False
) -> dict[str, Array]:
    """The same by the NeoBERT layer and torch's autograd.

    Args:
        case: weights and inputs.
        dtype: everything is computed in it.
        backend: of attention, see :data:`groundup.neobert.dispatch.BACKENDS`.
        alone: run each sequence by itself, not all of them as a pack.

    Returns:
        By tensor, in float64.
    """
    layer = NeoBERTLayer(case.config).to(dtype)
    layer.load_state_dict({name: torch.from_numpy(each) for name, each in case.weights.items()})
    case.config._attn_implementation = backend
    x = torch.from_numpy(case.x).to(dtype).requires_grad_()
    indices, packed = unpad(torch.from_numpy(case.mask))
    rows = x.flatten(0, 1)[indices][None]
    if alone:
        parts = rows.split(packed.lengths, dim=1)
        tables = [rotation(case.config, torch.arange(p.shape[1]), dtype) for p in parts]
        outputs = [layer(part, table)[0] for part, table in zip(parts, tables, strict=True)]
        rows = torch.cat(outputs, dim=1)
    else:
        layout = BatchLayout(packed.positions, packed, indices)
        rows, _ = layer(rows, rotation(case.config, packed.positions, dtype), layout)
    y = pad_tokens(rows[0], indices, case.mask.shape)
    y.backward(torch.from_numpy(case.dy).to(dtype))
    found = {"output": y, "d input": x.grad}
    found |= {f"d {name}": parameter.grad for name, parameter in layer.named_parameters()}
    return {name: _numpy(each.double()) for name, each in found.items() if each is not None}


def layer_parity(
    rng: np.random.Generator, width: int = 32, heads: int = 4, batch: int = 3, length: int = 9
) -> list[Rung]:
    """One NeoBERT layer against the NumPy block of the same parts, in float64.

    The output is contracted with a random array, so that every gradient is exercised. Arguments as
    of :func:`draw_layer`.
    """
    case = draw_layer(rng, width, heads, batch, length)
    return compare_all("NeoBERT layer", numpy_layer(case), torch_layer(case))


def compare_all(pair: str, ours: dict[str, Array], theirs: dict[str, Array]) -> list[Rung]:
    """One rung for each tensor of two results, by name."""
    return [_rung(pair, name, each, theirs[name]) for name, each in ours.items()]


def _numpy(tensor: Tensor) -> Array:
    array: Array = tensor.detach().numpy()
    return array


def _rung(pair: str, tensor: str, ours: Array, theirs: Array) -> Rung:
    return Rung(pair, tensor, compare(tensor, ours, theirs).relative)
