"""The training steps that numpy_step.py compares: NumPy's, torch's, JAX's, and the products alone.

All start from the parameters of one encoder and train on one batch. Libraries are imported where
they are used: a process that measures memory holds only what its variant needs.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

PLAIN, FAST, EAGER = "NumPy, plain", "NumPy, fast", "torch, nn.TransformerEncoder"
FLOOR = "matrix products alone"
LR = 1e-3

Step = Callable[[], float]  # trains once, gives the loss
Make = Callable[[int, int], Step]  # from batch and length


def encoder(pooling: str) -> Any:
    import numpy as np

    from groundup.scratch.encoder import Encoder, EncoderConfig

    return Encoder.create(EncoderConfig(pooling=pooling), np.random.default_rng(0))


def example(batch: int, length: int) -> tuple[Any, Any]:
    """ids (B, T) and answers (B,)."""
    import numpy as np

    rng = np.random.default_rng(1)
    return rng.integers(0, 20, (batch, length)), rng.integers(0, 10, batch)


def numpy_plain(pooling: str, batch: int, length: int) -> Step:
    from groundup.scratch.loss import cross_entropy, cross_entropy_backward
    from groundup.scratch.optim import AdamW

    model, (ids, answers) = encoder(pooling), example(batch, length)
    optimizer = AdamW(model.params, weight_decay=0.0)

    def step() -> float:
        logits, cache = model.forward(ids)
        loss, cache_loss = cross_entropy(logits, answers)
        optimizer.step(model.backward(cross_entropy_backward(cache_loss), cache), LR)
        return loss

    return step


def numpy_fast(pooling: str, batch: int, length: int) -> Step:
    from groundup.scratch.fast import FastTrainer

    trainer = FastTrainer(encoder(pooling), weight_decay=0.0)
    ids, answers = example(batch, length)
    return lambda: trainer.step(ids, None, answers, LR)[0]


def torch_eager(pooling: str, batch: int, length: int) -> Step:
    import torch

    model = encoder(pooling)
    c, p = model.config, {name: torch.tensor(value) for name, value in model.params.items()}
    layer = torch.nn.TransformerEncoderLayer(c.width, c.heads, c.hidden, 0.0, batch_first=True)
    stack = torch.nn.TransformerEncoder(layer, c.layers, enable_nested_tensor=False)
    table = torch.nn.Embedding.from_pretrained(p["embedding"], freeze=False)
    classifier = torch.nn.Linear(c.width, c.classes)
    with torch.no_grad():
        classifier.weight.copy_(p["classifier.weight"].T)
        classifier.bias.copy_(p["classifier.bias"])
        for i, each in enumerate(stack.layers):
            for parameter, name in (
                (each.self_attn.in_proj_weight, "wqkv"),
                (each.self_attn.out_proj.weight, "wo"),
                (each.linear1.weight, "w1"),
                (each.linear2.weight, "w2"),
            ):
                parameter.copy_(p[f"layers.{i}.{name}"].T)
            for linear in (each.linear1, each.linear2):
                linear.bias.zero_()
    positions = torch.tensor(model.positions[:length])
    ids, answers = map(torch.tensor, example(batch, length))
    modules = torch.nn.ModuleList([table, stack, classifier])
    optimizer = torch.optim.Adam(modules.parameters(), lr=LR)

    def step() -> float:
        x = stack(table(ids) + positions)
        logits = classifier(x.mean(1) if pooling == "mean" else x[:, 0])
        loss = torch.nn.functional.cross_entropy(logits, answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def by_hand(ops: Any, p: Any, ids: Any, positions: Any, config: Any, lean: bool) -> Any:
    """The logits of the encoder, for torch or JAX.

    ``lean`` leaves out the work that groundup.scratch.fast leaves out: the first projection is made
    by token and position; when one token is read, the last block is made for it alone, and without
    keys and values. The derivations stand there.
    """
    batch, heads, width = len(ids), config.heads, config.width
    scale = (width // heads) ** -0.5
    x = ops.look_up(p["embedding"], ids) + positions
    for i in range(config.layers):
        w = {name: p[f"layers.{i}.{name}"] for name in NAMES}
        if lean and config.pooling == "first" and i == config.layers - 1:
            wq, wk, wv = ops.split(w["wqkv"])
            bq, _, bv = ops.split(w["bqkv"])
            wk, wv = (m.reshape(width, heads, -1).swapaxes(0, 1) for m in (wk, wv))  # (H, D, K)
            first = x[:, 0]
            q = ops.linear(first, wq, bq).reshape(batch, heads, -1).swapaxes(0, 1)  # (H, B, K)
            a = (q @ wk.swapaxes(1, 2)).swapaxes(0, 1)  # (B, H, D)
            m = ops.softmax(a @ x.swapaxes(1, 2) * scale) @ x  # (B, H, D)
            mixed = (m.swapaxes(0, 1) @ wv).swapaxes(0, 1).reshape(batch, width) + bv
            x = first
        else:
            if lean and i == 0:
                tokens = ops.linear(p["embedding"], w["wqkv"], w["bqkv"])
                qkv = ops.look_up(tokens, ids) + positions @ w["wqkv"]
            else:
                qkv = ops.linear(x, w["wqkv"], w["bqkv"])
            parts = ops.split(qkv)
            q, k, v = (y.reshape(batch, -1, heads, width // heads).swapaxes(1, 2) for y in parts)
            mixed = ops.attention(q, k, v, scale).swapaxes(1, 2).reshape(x.shape)
        x = ops.norm(x + ops.linear(mixed, w["wo"], w["bo"]), p, f"layers.{i}.norm1")
        inner = ops.relu(ops.linear(x, w["w1"], w["b1"]))
        x = ops.norm(x + ops.linear(inner, w["w2"], w["b2"]), p, f"layers.{i}.norm2")
    if config.pooling == "mean":
        x = x.mean(1)
    elif x.ndim == 3:
        x = x[:, 0]
    return ops.linear(x, p["classifier.weight"], p["classifier.bias"])


NAMES = ("wqkv", "bqkv", "wo", "bo", "w1", "b1", "w2", "b2")


class TorchOps:
    """What :func:`by_hand` needs, by the fastest functions torch has."""

    def __init__(self) -> None:
        import torch

        self.f = torch.nn.functional

    def split(self, x: Any) -> Any:
        return x.chunk(3, -1)

    def look_up(self, table: Any, ids: Any) -> Any:
        return self.f.embedding(ids, table)

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        return self.f.linear(x, weight.T, bias)

    def softmax(self, x: Any) -> Any:
        return x.softmax(-1)

    def attention(self, q: Any, k: Any, v: Any, scale: float) -> Any:
        return self.f.scaled_dot_product_attention(q, k, v, scale=scale)

    def norm(self, x: Any, p: Any, name: str) -> Any:
        return self.f.layer_norm(x, x.shape[-1:], p[f"{name}.gamma"], p[f"{name}.beta"])

    def relu(self, x: Any) -> Any:
        return self.f.relu(x)


class JaxOps:
    """What :func:`by_hand` needs, in JAX."""

    def __init__(self) -> None:
        import jax

        self.jax = jax

    def split(self, x: Any) -> Any:
        return self.jax.numpy.split(x, 3, -1)

    def look_up(self, table: Any, ids: Any) -> Any:
        return table[ids]

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        return x @ weight + bias

    def softmax(self, x: Any) -> Any:
        return self.jax.nn.softmax(x)

    def attention(self, q: Any, k: Any, v: Any, scale: float) -> Any:
        return self.softmax(q @ k.swapaxes(-1, -2) * scale) @ v

    def norm(self, x: Any, p: Any, name: str) -> Any:
        normal = self.jax.nn.standardize(x, epsilon=1e-5)
        return normal * p[f"{name}.gamma"] + p[f"{name}.beta"]

    def relu(self, x: Any) -> Any:
        return self.jax.nn.relu(x)


def torch_by_hand(pooling: str, lean: bool, batch: int, length: int) -> Step:
    import torch

    model = encoder(pooling)
    p = {name: torch.tensor(value, requires_grad=True) for name, value in model.params.items()}
    positions = torch.tensor(model.positions[:length])
    ids, answers = map(torch.tensor, example(batch, length))
    optimizer = torch.optim.Adam(p.values(), lr=LR, fused=True)
    ops = TorchOps()

    def step() -> float:
        logits = by_hand(ops, p, ids, positions, model.config, lean)
        loss = torch.nn.functional.cross_entropy(logits, answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def jax_by_hand(pooling: str, lean: bool, batch: int, length: int) -> Step:
    import jax
    from jax import numpy as jnp

    model = encoder(pooling)
    ops, positions = JaxOps(), jnp.asarray(model.positions[:length])
    ids, answers = map(jnp.asarray, example(batch, length))

    def loss_of(p: Any) -> Any:
        logits = by_hand(ops, p, ids, positions, model.config, lean)
        return -jax.nn.log_softmax(logits)[jnp.arange(batch), answers].mean()

    def train(p: Any, first: Any, second: Any, count: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(p)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
        c1, c2 = 1 - 0.9**count, 1 - 0.999**count
        p = jax.tree.map(
            lambda p, m, v: p - LR * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, first, second
        )
        return loss, (p, first, second, count + 1)

    compiled = jax.jit(train, donate_argnums=(0, 1, 2, 3))
    p = jax.tree.map(jnp.asarray, model.params)
    zeros = [jax.tree.map(jnp.zeros_like, p) for _ in range(2)]
    state = (p, *zeros, jnp.asarray(1.0))

    def step() -> float:
        nonlocal state
        loss, state = compiled(*state)
        return float(loss)

    return step


def products(batch: int, length: int) -> Step:
    """The floor: x W of each map, and in the backward pass xᵀ dy and dy Wᵀ."""
    import numpy as np

    rng = np.random.default_rng(0)
    rows = batch * length
    maps = []
    for rows_in, rows_out in ((64, 192), (64, 64), (64, 256), (256, 64)) * 2:
        shapes = ((rows, rows_in), (rows_in, rows_out), (rows, rows_out))
        x, w, dy = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
        maps.append((x, w, dy, np.empty_like(dy), np.empty_like(w), np.empty_like(x)))

    def step() -> float:
        for x, w, _, y, _, _ in maps:
            np.matmul(x, w, out=y)
        for x, w, dy, _, dw, dx in reversed(maps):
            np.matmul(x.T, dy, out=dw)
            np.matmul(dy, w.T, out=dx)
        return float("nan")

    return step


def variants(pooling: str) -> dict[str, Make]:
    """What is compared, by name; JAX where it is installed.

    Args:
        pooling: "mean", every token is read, or "first".
    """
    chosen: dict[str, Make] = {
        PLAIN: partial(numpy_plain, pooling),
        FAST: partial(numpy_fast, pooling),
        EAGER: partial(torch_eager, pooling),
    }
    makers: dict[str, Callable[[str, bool, int, int], Step]] = {"torch": torch_by_hand}
    if find_spec("jax"):
        makers["JAX"] = jax_by_hand
    for engine, make in makers.items():
        chosen[f"{engine} by hand"] = partial(make, pooling, False)
        chosen[f"{engine} by hand, the same ideas"] = partial(make, pooling, True)
    chosen[FLOOR] = products
    return chosen
