"""The 2024 block: its layout of heads, its mask, and torch."""

import numpy as np
import pytest
import torch

from groundup.scratch.modern import modern_block, modern_block_backward, split_qkv

NAMES = ("attention_norm", "qkv", "wo", "ffn_norm", "w12", "w3")


def _params(rng, width, hidden):
    shapes = ((width,), (width, 3 * width), (width, width), (width,), (width, 2 * hidden))
    shapes = (*shapes, (hidden, width))
    return {name: rng.normal(size=s) for name, s in zip(NAMES, shapes, strict=True)}


def test_split_qkv_reads_head_by_head():
    heads, head_width = 2, 3
    qkv = np.arange(heads * 3 * head_width).reshape(1, 1, -1).astype(float)
    q, k, v = split_qkv(qkv, heads)
    for head in range(heads):
        start = 3 * head_width * head
        for part, offset in ((q, 0), (k, head_width), (v, 2 * head_width)):
            first = start + offset
            np.testing.assert_array_equal(part[0, head, 0], np.arange(first, first + head_width))


def _torch_block(x, p, heads, mask):
    """The layer as its paper and published code describe it, in torch and complex numbers."""
    batch, length, width = x.shape
    head_width = width // heads

    def turn(a):
        angles = torch.arange(length)[:, None] * 10000.0 ** (
            -torch.arange(0, head_width, 2, dtype=torch.float64) / head_width
        )
        pairs = torch.view_as_complex(a.reshape(*a.shape[:-1], -1, 2).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    normal = torch.nn.functional.rms_norm(x, (width,), p["attention_norm"], eps=1e-5)
    qkv = (normal @ p["qkv"]).view(batch, length, heads, 3 * head_width).transpose(1, 2)
    q, k, v = qkv.chunk(3, dim=-1)
    mixed = torch.nn.functional.scaled_dot_product_attention(
        turn(q), turn(k), v, attn_mask=mask[:, None, None, :]
    )
    x = x + mixed.transpose(1, 2).reshape(batch, length, width) @ p["wo"]
    normal = torch.nn.functional.rms_norm(x, (width,), p["ffn_norm"], eps=1e-5)
    gate, value = (normal @ p["w12"]).chunk(2, dim=-1)
    return x + (torch.nn.functional.silu(gate) * value) @ p["w3"]


def test_equal_to_torch(rng):
    params, x, dy = _params(rng, 8, 5), rng.normal(size=(2, 6, 8)), rng.normal(size=(2, 6, 8))
    mask = np.array([[True] * 6, [True] * 4 + [False] * 2])
    y, cache = modern_block(x, params, heads=2, mask=mask)
    dx, grads = modern_block_backward(dy, cache)
    leaves = {n: torch.tensor(a, requires_grad=True) for n, a in {"x": x, **params}.items()}
    expected = _torch_block(leaves["x"], leaves, 2, torch.tensor(mask))
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-10)
    for name, ours in {"x": dx, **grads}.items():
        theirs = leaves[name].grad.numpy()
        assert np.abs(ours - theirs).max() <= 1e-11 * np.abs(theirs).max(), name


def test_padding_has_no_influence(rng):
    params, x = _params(rng, 4, 3), rng.normal(size=(1, 5, 4))
    mask = np.array([[True, True, True, False, False]])
    y, _ = modern_block(x, params, 2, mask)
    x[:, 3:] = 7.0
    np.testing.assert_array_equal(modern_block(x, params, 2, mask)[0][:, :3], y[:, :3])
    np.testing.assert_allclose(modern_block(x[:, :3], params, 2)[0], y[:, :3], rtol=1e-12)


def test_an_odd_head_width_is_named(rng):
    with pytest.raises(ValueError, match="even"):
        modern_block(rng.normal(size=(1, 2, 6)), _params(rng, 6, 3), heads=2)
