"""The checks of exercise 11.3, a NeoBERT block out of its parts."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check
from groundup.neobert.batch_layout import BatchLayout, pack
from groundup.neobert.block import NeoBERTLayer
from groundup.neobert.configuration import NeoBERTConfig

Array = NDArray[np.float64]
PARTS = ("the stream", "the weights")
# What attention makes of a token alone, what ffn makes, and the scales of the two norms.
BY_HAND = {
    "pre": ((6, -6), (1, 1), (5, 5 / 7), (5 / 7, 10)),
    "post": ((6, -6 / 7), (0, 7.5), (5, 10), (13, 26)),
}


def block(width: int = 4, heads: int = 2, seed: int = 0, **changes: Any) -> NeoBERTLayer:
    """A layer in float64, every weight of it random."""
    config = NeoBERTConfig(
        hidden_size=width, num_attention_heads=heads, intermediate_size=12, norm_eps=1e-6, **changes
    )
    layer = NeoBERTLayer(config).double()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.tensor(rng.normal(size=tuple(parameter.shape)).round(1)))
    return layer.requires_grad_(False)


def tables(positions: list[int], head_dim: int = 2) -> tuple[Tensor, Tensor]:
    """cos and sin, (T, K/2), of an angle of half a radian a position and less for later pairs."""
    speeds = 0.5 ** torch.arange(1, head_dim // 2 + 1, dtype=torch.float64)
    angles = torch.outer(torch.tensor(positions, dtype=torch.float64), speeds)
    return angles.cos(), angles.sin()


def draw(*shape: int, seed: int = 1) -> Tensor:
    """Random numbers with one decimal."""
    return torch.tensor(np.random.default_rng(seed).normal(size=shape).round(1))


def by_formula(layer: NeoBERTLayer, x: Array, cos: Array, sin: Array) -> tuple[Array, Array]:
    """One text (T, D) through a block, head by head; and its weights (H, T, T)."""
    weight = {name: value.numpy() for name, value in layer.named_parameters()}
    length, heads = len(x), layer.heads
    head_dim = len(weight["wo.weight"].T) // heads

    def norm(rows: Array, name: str) -> Array:
        size = np.sqrt((rows**2).mean(1, keepdims=True) + 1e-6)
        scaled: Array = rows / size * weight[name]
        return scaled

    def attend(rows: Array) -> tuple[Array, Array]:
        mixed, shares = [], []
        for one in (rows @ weight["qkv.weight"].T).reshape(length, heads, -1).swapaxes(0, 1):
            q, k, v = one[:, :head_dim], one[:, head_dim:-head_dim], one[:, -head_dim:]
            q, k = (
                (np.ascontiguousarray(part).view(complex) * (cos + 1j * sin)).view(float)
                for part in (q, k)
            )
            scores = np.exp(q @ k.T / np.sqrt(head_dim))
            shares.append(scores / scores.sum(1, keepdims=True))
            mixed.append(shares[-1] @ v)
        return np.hstack(mixed) @ weight["wo.weight"].T, np.stack(shares)

    def feed_forward(rows: Array) -> Array:
        gate, value = np.hsplit(rows @ weight["ffn.w12.weight"].T, 2)
        y: Array = (gate / (1 + np.exp(-gate)) * value) @ weight["ffn.w3.weight"].T
        return y

    if layer.config.norm_position == "post":
        mixed, shares = attend(x)
        x = norm(x + mixed, "attention_norm.weight")
        return norm(x + feed_forward(x), "ffn_norm.weight"), shares
    mixed, shares = attend(norm(x, "attention_norm.weight"))
    x = x + mixed
    return x + feed_forward(norm(x, "ffn_norm.weight")), shares


def one_token(norm_position: str) -> NeoBERTLayer:
    """Width 2, one head. A token alone attends to itself, so attention is a matrix; so is ffn."""
    layer = block(2, 1, norm_position=norm_position)
    layer.attention_norm.eps = layer.ffn_norm.eps = 0.0
    layer.ffn = nn.Linear(2, 2, bias=False, dtype=torch.float64).requires_grad_(False)
    values, wide, first, second = (
        torch.tensor(row, dtype=torch.float64) for row in BY_HAND[norm_position]
    )
    with torch.no_grad():
        layer.qkv.weight[4:] = values.diag()
        layer.wo.weight.copy_(torch.eye(2))
        layer.ffn.weight.copy_(wide.diag())
        layer.attention_norm.weight.copy_(first)
        layer.ffn_norm.weight.copy_(second)
    return layer


@check(Layer.SHAPES)
def test_shapes(own: Any) -> None:
    """the stream (B, T, D) comes back, and None for the weights"""
    x = draw(2, 3, 4)
    result = own.forward(block(), x, tables([0, 1, 2]))
    expect.parts(
        result,
        PARTS,
        probably="The stream and the weights come back, the weights None where they are not asked "
        "for: return x, weights.",
    )
    expect.array(result[0], like=x, shape=(2, 3, 4), what="The stream")
    if result[1] is not None:
        expect.fail(
            "The weights are not None, and need_weights was left out.",
            probably="Asking for the weights makes attention write out every score. Hand "
            "need_weights on as it came.",
        )


@check(Layer.INPUTS)
def test_input_unchanged(own: Any) -> None:
    """x is left as it was"""
    x = draw(1, 2, 4)
    with expect.unchanged(x=x):
        own.forward(block(), x, tables([0, 1]))


@check(Layer.EXAMPLE, points=3)
def test_pre_norm(own: Any) -> None:
    """one token of two numbers, by hand: a norm before each branch"""
    x = torch.tensor([[[1.0, 7.0]]]).double()
    given = {
        "x": x,
        "attention_norm.weight": np.array([5.0, 5 / 7]),
        "attention of one token": "(a, b) → (6a, -6b)",
        "ffn_norm.weight": np.array([5 / 7, 10.0]),
        "ffn": "(a, b) → (a, b), to keep the numbers small",
        "norm_position": "pre",
    }
    expect.close(
        own.forward(one_token("pre"), x, None)[0],
        np.array([[[8.0, 3.0]]]),
        what="The stream",
        given=given,
        probably="(1, 7) has the root mean square 5 and becomes (0.2, 1.4), scaled (1, 1). "
        "Attention makes (6, -6) of it, and the stream is (7, 1). That becomes (1.4, 0.2), scaled "
        "(1, 2), and the stream is (8, 3). If you have 7.143 at [0, 0, 0], the second branch reads "
        "(1, 7). If you have 6.714 at [0, 0, 0], the first sum is missing. If you have 1 at "
        "[0, 0, 0], the second sum is missing. If you have 7.198 at [0, 0, 0], attention reads "
        "the stream without a norm. If you have 0.822 at [0, 0, 0], the norms come after the sums.",
    )


@check(Layer.EXAMPLE, points=2)
def test_post_norm(own: Any) -> None:
    """the same in the order of 2017: a norm after each sum"""
    x = torch.tensor([[[1.0, 7.0]]]).double()
    given = {
        "x": x,
        "attention of one token": "(a, b) → (6a, -6/7 b)",
        "attention_norm.weight": np.array([5.0, 10.0]),
        "ffn": "(a, b) → (0, 7.5 b)",
        "ffn_norm.weight": np.array([13.0, 26.0]),
        "norm_position": "post",
    }
    expect.close(
        own.forward(one_token("post"), x, None)[0],
        np.array([[[7.0, 34.0]]]),
        what="The stream",
        given=given,
        probably="Attention makes (6, -6) of (1, 7), and the sum is (7, 1). Its root mean square "
        "is 5, so the norm gives (1.4, 0.2), scaled (7, 2). ffn makes (0, 15) of that, and the sum "
        "is (7, 17), whose root mean square is 13. Scaled, (7, 34). If you have -165.3 at "
        "[0, 0, 1], the norms come before the branches. If you have 6 at [0, 0, 0], the branch is "
        "normed, and not the sum.",
    )


@check(Layer.EXAMPLE)
def test_weights(own: Any) -> None:
    """asked for, the weights come back; they depend on the rotation"""
    for position in ("pre", "post"):
        layer, x = block(2, 1, norm_position=position), draw(1, 2, 2)
        cos, sin = tables([0, 3])
        result = own.forward(layer, x, (cos, sin), need_weights=True)
        expect.parts(result, PARTS)
        expected = by_formula(layer, x[0].numpy(), cos.numpy(), sin.numpy())
        given = {"x": x, "cos": cos, "sin": sin, "need_weights": "True", "norm_position": position}
        names = ("The stream", "The second part, the weights,")
        for name, received, right in zip(names, result, expected, strict=True):
            expect.close(
                received,
                right[None],
                what=name,
                given=given,
                probably="self.self_attention gives two things, and takes rotation and "
                "need_weights. Hand them on, and return what it gives.",
            )


@check(Layer.EXAMPLE, points=2)
def test_packed(own: Any) -> None:
    """two texts in one row do not see each other, in either order"""
    x, lengths = draw(1, 3, 4), [2, 1]
    packed = pack(lengths)
    layout = BatchLayout(packed.positions, packed)
    cos, sin = tables([0, 1, 0])
    for position, need_weights in (("pre", False), ("pre", True), ("post", False), ("post", True)):
        layer = block(norm_position=position)
        streams, shares = zip(
            *(
                by_formula(layer, x[0, part].numpy(), cos[part].numpy(), sin[part].numpy())
                for part in (slice(0, 2), slice(2, 3))
            ),
            strict=True,
        )
        given = {"x": x, "layout": "texts of 2 and 1 tokens", "norm_position": position}
        given["need_weights"] = str(need_weights)
        result = own.forward(layer, x, (cos, sin), layout, need_weights)
        expect.parts(result, PARTS)
        expect.close(
            result[0],
            np.concatenate(streams)[None],
            what="The stream",
            given=given,
            probably="Each text must come out as it does alone. layout says where each begins, and "
            "rotation holds the turns of each position: self.self_attention takes both.",
        )
        if (result[1] is None) == need_weights:
            expect.fail(
                f"The weights of a pack are {'' if need_weights else 'not '}None, and need_weights "
                f"is {need_weights}.",
                given=given,
                probably="A pack has weights too: return what self.self_attention gives.",
            )
        elif need_weights:
            for text, share in enumerate(shares):
                n = lengths[text]
                expect.close(
                    result[1][text, :, :n, :n],
                    share,
                    what=f"The weights of text {text}",
                    given=given,
                    probably="Return the weights as self.self_attention gives them, a row for "
                    "each text.",
                )


@check(Layer.RANDOM, points=3)
def test_random(own: Any) -> None:
    """random layers and texts agree with the formula"""
    for seed, (length, width, heads, position) in enumerate(
        ((1, 2, 1, "pre"), (2, 4, 1, "pre"), (3, 8, 2, "pre"), (1, 2, 1, "post"), (3, 4, 2, "post"))
    ):
        layer = block(width, heads, seed, norm_position=position)
        x = draw(2, length, width, seed=seed + 1)
        cos, sin = tables(list(range(length)), width // heads)
        expected = [by_formula(layer, row.numpy(), cos.numpy(), sin.numpy())[0] for row in x]
        expect.close(
            own.forward(layer, x, (cos, sin))[0],
            np.stack(expected),
            what="The stream",
            given={"x": x, "norm_position": position},
            probably="Only attention looks at other tokens: norms and ffn work on each token "
            "alone, in the order of norm_position.",
        )


@check(Layer.GRADIENTS)
def test_gradient(own: Any) -> None:
    """the gradient comes back to x through every branch"""
    for position in ("pre", "post"):
        layer = block(2, 1, norm_position=position)
        at = draw(1, 2, 2).numpy()
        rotation = tables([0, 1])
        weights = torch.tensor([[[1.0, -2.0], [0.5, 3.0]]], dtype=torch.float64)

        def total(x: Tensor) -> Tensor:
            result: Tensor = (own.forward(layer, x, rotation)[0] * weights).sum()  # noqa: B023
            return result

        x = torch.tensor(at, requires_grad=True)
        loss = total(x)
        received = torch.autograd.grad(loss, x)[0] if loss.requires_grad else torch.zeros_like(x)
        expect.gradient(
            received.numpy(),
            lambda point: float(total(torch.tensor(point))),
            at,
            what="The gradient of a weighted sum of the stream",
            given={"x": at, "norm_position": position},
            probably="detach, .data and no_grad cut a branch off: its input gets no gradient "
            "through it.",
        )
