"""The checks of exercise 8.1, the NumPy encoder's parameters as torch keeps them."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

INSIDE = {
    "wqkv": ("self_attn.in_proj_weight", (4, 12)),
    "bqkv": ("self_attn.in_proj_bias", (12,)),
    "wo": ("self_attn.out_proj.weight", (4, 4)),
    "bo": ("self_attn.out_proj.bias", (4,)),
    "norm1.gamma": ("norm1.weight", (4,)),
    "norm1.beta": ("norm1.bias", (4,)),
    "w1": ("linear1.weight", (4, 6)),
    "b1": ("linear1.bias", (6,)),
    "w2": ("linear2.weight", (6, 4)),
    "b2": ("linear2.bias", (4,)),
    "norm2.gamma": ("norm2.weight", (4,)),
    "norm2.beta": ("norm2.bias", (4,)),
}


def names_and_shapes(layers: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The twin's name, and our shape, of every parameter of an encoder of width 4."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {"embedding": ("embedding.weight", (4, 4))}
    for i in range(layers):
        for name, (theirs, shape) in INSIDE.items():
            found[f"layers.{i}.{name}"] = (f"layers.layers.{i}.{theirs}", shape)
    return found | {
        "norm.gamma": ("layers.norm.weight", (4,)),
        "norm.beta": ("layers.norm.bias", (4,)),
        "classifier.weight": ("classifier.weight", (4, 3)),
        "classifier.bias": ("classifier.bias", (3,)),
    }


def draw(layers: int, seed: int = 0, dtype: type = np.float64) -> dict[str, Any]:
    """Random parameters with one decimal; the embedding and wo are square."""
    rng = np.random.default_rng(seed)
    shapes = names_and_shapes(layers)
    return {name: rng.normal(size=s).round(1).astype(dtype) for name, (_, s) in shapes.items()}


def converted(own: Any, params: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What the learner returns, if it is a dictionary of tensors."""
    result = own.to_torch(params)
    if not isinstance(result, dict):
        expect.fail(
            f"The result is {type(result).__name__}, not a dictionary. Is a return missing?"
        )
    return result


def need(result: dict[str, torch.Tensor], name: str, probably: str = "") -> torch.Tensor:
    """The tensor of this name."""
    if name not in result:
        there = ", ".join(sorted(result)) or "nothing"
        expect.fail(f"There is no {name}. There is: {there}.", probably=probably)
    return result[name]


@check(Layer.SHAPES)
def test_every_name(own: Any) -> None:
    """every parameter is there, under the twin's name"""
    params = {n: v for n, v in draw(1).items() if not n.startswith("norm.")}
    result = converted(own, params)
    for name in params:
        need(result, names_and_shapes(1)[name][0], f"That is what the twin calls our {name}.")
    if len(result) != len(params):
        extra = sorted(set(result) - {names_and_shapes(1)[name][0] for name in params})
        expect.fail(f"There is more than the twin has: {', '.join(extra)}.")


@check(Layer.SHAPES)
def test_the_last_norm(own: Any) -> None:
    """the norm after the last layer, which pre-norm models have"""
    params = draw(1)
    result = converted(own, params)
    for name in ("layers.norm.weight", "layers.norm.bias"):
        need(
            result,
            name,
            "It stands outside the numbered layers, and torch counts it to the module that holds "
            "them: norm.gamma is layers.norm.weight.",
        )


@check(Layer.SHAPES)
def test_layers_keep_their_numbers(own: Any) -> None:
    """layer 10 of 12 is layer 10, with its own numbers"""
    params = draw(12)
    result = converted(own, params)
    for i in (0, 2, 10):
        expect.close(
            need(result, f"layers.layers.{i}.linear1.bias"),
            params[f"layers.{i}.b1"],
            what=f"layers.layers.{i}.linear1.bias",
            probably=f"These should be the numbers of layers.{i}.b1. The number of a layer is what "
            "stands between the first two dots, one digit or two.",
        )


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """the NumPy parameters stay, and a second call gives the same"""
    params = draw(1)
    with expect.unchanged(**params):
        first = converted(own, params)["classifier.weight"].detach().clone()
    expect.close(
        converted(own, params)["classifier.weight"],
        first.numpy(),
        what="classifier.weight of a second call",
        probably="The first result is that of the first call. The second may depend on nothing but "
        "the parameters that it is given.",
    )


@check(Layer.EXAMPLE)
def test_linear_map(own: Any) -> None:
    """(in, out) = (2, 3): the classifier is turned to (3, 2)"""
    weight = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    params = {"classifier.weight": weight, "classifier.bias": np.zeros(3)}
    expect.close(
        need(converted(own, params), "classifier.weight"),
        np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]),
        what="classifier.weight",
        given={"classifier.weight": weight},
        probably="torch computes x Wᵀ, so its W is ours with rows and columns exchanged. If you "
        "have 2 at [0, 1], the numbers were put into the new shape in their old order.",
    )
    one = np.array([[1.0], [2.0]])
    expect.close(
        need(converted(own, {"classifier.weight": one}), "classifier.weight"),
        np.array([[1.0, 2.0]]),
        what="classifier.weight of a map to one number",
        given={"classifier.weight": one},
        probably="(2, 1) is a map to one number. It becomes (1, 2), with both of its axes.",
    )


@check(Layer.EXAMPLE)
def test_square_map(own: Any) -> None:
    """a square map is turned too, though its shape does not tell"""
    weight = np.array([[1.0, 2.0], [3.0, 4.0]])
    expect.close(
        need(converted(own, {"layers.0.wo": weight}), "layers.layers.0.self_attn.out_proj.weight"),
        np.array([[1.0, 3.0], [2.0, 4.0]]),
        what="self_attn.out_proj.weight",
        given={"layers.0.wo": weight},
        probably="Our first column (1, 3) is the first row of torch's. load_state_dict does not "
        "complain of a square map that is not turned: both shapes are (2, 2).",
    )


@check(Layer.EXAMPLE)
def test_embedding(own: Any) -> None:
    """the embedding is a table: row 1 is the vector of token 1"""
    table = np.array([[1.0, 2.0], [3.0, 4.0]])
    expect.close(
        need(converted(own, {"embedding": table}), "embedding.weight"),
        table,
        what="embedding.weight",
        given={"embedding": table},
        probably="If you have 3 at [0, 1], it is transposed. It is not a linear map: torch looks "
        "its rows up, as we do.",
    )


@check(Layer.EXAMPLE)
def test_bias(own: Any) -> None:
    """a bias has one axis, and keeps it"""
    bias = np.array([1.0, 2.0])
    expect.close(
        need(converted(own, {"layers.0.b2": bias}), "layers.layers.0.linear2.bias"),
        bias,
        what="linear2.bias",
        given={"layers.0.b2": bias},
        probably="Only matrices are turned. If its shape is (2, 1) or (1, 2), it was made one.",
    )


@check(Layer.RANDOM)
def test_fused_projection(own: Any) -> None:
    """queries, keys and values come out of the fused map as before"""
    for seed in range(3):
        params = draw(1, seed)
        x = np.random.default_rng(seed).normal(size=(2, 4)).round(1)
        result = converted(own, params)
        weight = need(result, "layers.layers.0.self_attn.in_proj_weight")
        bias = need(result, "layers.layers.0.self_attn.in_proj_bias")
        if weight.shape != (12, 4):
            expect.fail(f"in_proj_weight has shape {tuple(weight.shape)}, not (12, 4).")
        expect.close(
            F.linear(torch.from_numpy(x), weight.double(), bias.double()),
            x @ params["layers.0.wqkv"] + params["layers.0.bqkv"],
            what="The 12 numbers a token of query, key and value",
            given={"x": x},
            probably="The whole (4, 12) matrix is turned, not each of its three (4, 4) parts: the "
            "rows of the result are queries first, then keys, then values.",
        )


@check(Layer.RANDOM)
def test_every_number(own: Any) -> None:
    """all linear maps are turned, and all else is as it was"""
    maps = ("wqkv", "wo", "w1", "w2", "classifier.weight")
    params = draw(2)
    result = converted(own, {name: value.copy() for name, value in params.items()})
    for name, (theirs, _) in names_and_shapes(2).items():
        expect.close(
            need(result, theirs),
            params[name].T if name.endswith(maps) else params[name],
            what=theirs,
            given={name: params[name]},
            probably="Every map from (in, out) is turned, in the feed-forward network too. "
            "Biases, the norms' scales and shifts, and the embedding are not.",
        )


@check(Layer.STABILITY)
def test_dtype(own: Any) -> None:
    """float64 stays float64, and float32 stays float32"""
    for dtype, like in ((np.float64, torch.float64), (np.float32, torch.float32)):
        params = draw(1, dtype=dtype)
        result = converted(own, params)
        for name, (theirs, shape) in names_and_shapes(1).items():
            turned = len(shape) == 2 and name != "embedding"
            expect.array(
                need(result, theirs),
                like=torch.zeros(0, dtype=like),
                shape=shape[::-1] if turned else shape,
                what=theirs,
            )
