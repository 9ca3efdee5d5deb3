"""The encoder: every parameter's gradient, torch's own encoder layer, masks, and errors."""

import numpy as np
import pytest
import torch

from groundup.scratch.encoder import Encoder, EncoderConfig, init_params, xavier
from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.loss import cross_entropy, cross_entropy_backward

IDS = np.array([[2, 5, 3, 1], [4, 2, 1, 0]])
MASK = IDS != 0
TARGETS = np.array([2, 0])


def test_the_digit_model_has_101898_parameters():
    config = EncoderConfig()
    params = init_params(config, np.random.default_rng(0))
    width, hidden = config.width, config.hidden
    a_layer = (
        3 * width * width + 3 * width  # queries, keys, values
        + width * width + width  # the output projection
        + width * hidden + hidden + hidden * width + width  # feed-forward
        + 4 * width  # two norms
    )  # fmt: skip
    by_hand = 20 * width + 2 * a_layer + width * 10 + 10
    assert sum(p.size for p in params.values()) == by_hand == 101_898


def test_every_parameters_gradient(tiny):
    def loss():
        return cross_entropy(tiny.forward(IDS, MASK)[0], TARGETS)[0]

    logits, cache = tiny.forward(IDS, MASK)
    grads = tiny.backward(cross_entropy_backward(cross_entropy(logits, TARGETS)[1]), cache)
    assert grads.keys() == tiny.params.keys()
    for name, value in tiny.params.items():
        error = compare(name, grads[name], numerical_gradient(loss, value))
        assert error.relative < 1e-7, str(error)


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_every_parameters_gradient_in_other_shapes(norm, pooling, rate):
    config = EncoderConfig(7, 3, 4, 2, 2, 6, norm=norm, pooling=pooling, dropout=rate)
    rng = np.random.default_rng(1)
    model = Encoder.create(config, rng, np.float64)
    for value in model.params.values():
        value += 0.1 * rng.normal(size=value.shape)

    def forward():
        return model.forward(IDS, MASK, np.random.default_rng(5))  # the same noise each time

    logits, cache = forward()
    grads = model.backward(cross_entropy_backward(cross_entropy(logits, TARGETS)[1]), cache)
    assert grads.keys() == model.params.keys()
    for name, value in model.params.items():
        expected = numerical_gradient(lambda: cross_entropy(forward()[0], TARGETS)[0], value)
        error = compare(name, grads[name], expected)
        assert error.relative < 1e-7, str(error)


def test_dropout_is_for_training_alone():
    model = Encoder.create(EncoderConfig(dropout=0.5), np.random.default_rng(0))
    plain, _ = model.forward(IDS, MASK)
    np.testing.assert_array_equal(plain, model.forward(IDS, MASK)[0])
    noisy, _ = model.forward(IDS, MASK, np.random.default_rng(0))
    assert not np.allclose(plain, noisy)


@pytest.mark.parametrize(
    ("field", "value"), [("norm", "middle"), ("pooling", "last"), ("dropout", 1.0), ("layers", 0)]
)
def test_shapes_that_are_not_known_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        EncoderConfig(**{field: value})


def _torch_twin(model):
    """The same network from torch.nn.TransformerEncoderLayer, which scratch never saw."""
    c = model.config
    layers = []
    for i in range(c.layers):
        layer = torch.nn.TransformerEncoderLayer(
            c.width, c.heads, c.hidden, dropout=0.0, batch_first=True, dtype=torch.float64
        )
        with torch.no_grad():
            for ours, theirs in _names(layer).items():
                theirs.copy_(torch.tensor(model.params[f"layers.{i}.{ours}"].T.copy()))
        layers.append(layer)
    return layers


def _names(layer):
    return {
        "wqkv": layer.self_attn.in_proj_weight,
        "bqkv": layer.self_attn.in_proj_bias,
        "wo": layer.self_attn.out_proj.weight,
        "bo": layer.self_attn.out_proj.bias,
        "norm1.gamma": layer.norm1.weight,
        "norm1.beta": layer.norm1.bias,
        "w1": layer.linear1.weight,
        "b1": layer.linear1.bias,
        "w2": layer.linear2.weight,
        "b2": layer.linear2.bias,
        "norm2.gamma": layer.norm2.weight,
        "norm2.beta": layer.norm2.bias,
    }


def test_equal_to_torch(tiny):
    layers = _torch_twin(tiny)
    outside = ("embedding", "classifier.weight", "classifier.bias")
    leaves = {n: torch.tensor(tiny.params[n], requires_grad=True) for n in outside}
    x = leaves["embedding"][torch.tensor(IDS)] + torch.tensor(tiny.positions[: IDS.shape[1]])
    for layer in layers:
        x = layer(x, src_key_padding_mask=torch.tensor(~MASK))
    expected = x[:, 0] @ leaves["classifier.weight"] + leaves["classifier.bias"]
    torch.nn.functional.cross_entropy(expected, torch.tensor(TARGETS)).backward()

    logits, cache = tiny.forward(IDS, MASK)
    grads = tiny.backward(cross_entropy_backward(cross_entropy(logits, TARGETS)[1]), cache)
    np.testing.assert_allclose(logits, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    theirs = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    for i, layer in enumerate(layers):
        theirs |= {f"layers.{i}.{ours}": p.grad.numpy().T for ours, p in _names(layer).items()}
    assert theirs.keys() == grads.keys()
    for name, ours in grads.items():
        np.testing.assert_allclose(ours, theirs[name], rtol=1e-9, atol=1e-12)


def test_padding_has_no_influence(tiny):
    logits, cache = tiny.forward(IDS, MASK)
    shorter, _ = tiny.forward(IDS[1:, :3])
    np.testing.assert_allclose(logits[1:], shorter, rtol=1e-12)
    other = np.where(MASK, IDS, 6)
    np.testing.assert_array_equal(tiny.forward(other, MASK)[0], logits)
    for weights in tiny.attention_maps(cache):
        assert weights.shape == (2, 2, 4, 4)
        np.testing.assert_array_equal(weights[1, :, :, 3], 0)
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-12)


def test_a_row_of_padding_alone_is_finite(tiny):
    mask = MASK.copy()
    mask[1] = False
    logits, cache = tiny.forward(IDS, mask)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(g).all() for g in tiny.backward(np.ones_like(logits), cache).values())


def test_rows_of_a_batch_do_not_see_each_other(tiny):
    both, _ = tiny.forward(IDS, MASK)
    alone, _ = tiny.forward(IDS[:1], MASK[:1])
    np.testing.assert_allclose(both[:1], alone, rtol=1e-12)


def test_order_matters(tiny):
    a, _ = tiny.forward(np.array([[2, 3, 4]]))
    b, _ = tiny.forward(np.array([[2, 4, 3]]))
    assert np.abs(a - b).max() > 1e-3


def test_dtype_is_the_parameters(rng):
    model = Encoder.create(EncoderConfig(), rng)
    logits, cache = model.forward(IDS, MASK)
    assert logits.dtype == np.float32
    assert {g.dtype for g in model.backward(logits, cache).values()} == {np.dtype(np.float32)}


def test_the_same_seed_gives_the_same_parameters():
    first, second = (init_params(EncoderConfig(), np.random.default_rng(3)) for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


def test_xavier_has_its_variance(rng):
    matrix = xavier(rng, 300, 500)
    assert matrix.var() == pytest.approx(2 / 800, rel=0.02)


@pytest.mark.parametrize(
    ("ids", "mask", "message"),
    [
        (np.zeros((0, 3), int), None, r"shape \(0, 3\)"),
        (np.zeros(3, int), None, r"shape \(3,\)"),
        (np.zeros((1, 33), int), None, "at most 32 tokens fit: got 33"),
        (np.array([[7]]), None, r"\[0, 7\): got 7"),
        (np.array([[1, 2]]), np.ones((1, 3), bool), r"\(1, 2\): got \(1, 3\)"),
    ],
)
def test_bad_input_is_named(tiny, ids, mask, message):
    with pytest.raises(ValueError, match=message):
        tiny.forward(ids, mask)


def test_a_bad_shape_is_named():
    with pytest.raises(ValueError, match="width=64, heads=5"):
        EncoderConfig(heads=5)
    with pytest.raises(ValueError, match="heads must be at least 1: got 0"):
        EncoderConfig(heads=0)
