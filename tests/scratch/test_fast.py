"""The fast training step: equal to the plain forms in loss, gradients and parameters."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.checkpoint import load, save
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.fast import FastTrainer
from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.optim import adam, clip_by_norm

POOLINGS = ("first", "mean")


def _encoder(seed=0, dtype=np.float64, **shape):
    """An encoder with no parameter at its special start."""
    rng = np.random.default_rng(seed)
    model = Encoder.create(EncoderConfig(**shape), rng, dtype)
    for value in model.params.values():
        value += 0.1 * rng.normal(size=value.shape)
    return model


def _copy(model):
    return Encoder(model.config, {name: value.copy() for name, value in model.params.items()})


def _batch(rng, config, batch, length, masked=True):
    ids = rng.integers(0, config.vocabulary, (batch, length))
    mask = np.arange(length) < rng.integers(1, length + 1, (batch, 1)) if masked else None
    return ids, mask, rng.integers(0, config.classes, batch)


def _plain(model, ids, mask, answers):
    logits, cache = model.forward(ids, mask)
    loss, cache_loss = cross_entropy(logits, answers)
    return loss, model.backward(cross_entropy_backward(cache_loss), cache)


def _assert_equal(model, fast, batch, tolerance=1e-12):
    loss, grads = _plain(model, *batch)
    loss_fast, grads_fast = fast.gradients(*batch)
    assert loss_fast == pytest.approx(loss, rel=tolerance)
    assert grads_fast.keys() == grads.keys()
    # Where a gradient is zero but for rounding, that of the whole network is the measure.
    rounding = 1e-14 * max(np.linalg.norm(g) for g in grads.values())
    for name, expected in grads.items():
        error = np.linalg.norm(grads_fast[name] - expected)
        assert error <= tolerance * np.linalg.norm(expected) + rounding, name


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_loss_and_every_gradient(pooling, layers, rng):
    model = _encoder(pooling=pooling, layers=layers)
    fast = FastTrainer(_copy(model))
    # Shapes change between steps, up and down: the memory must follow.
    for batch, length in ((4, 7), (3, 1), (1, 1), (8, 32), (2, 5), (9, 7), (4, 7)):
        for masked in (False, True):
            _assert_equal(model, fast, _batch(rng, model.config, batch, length, masked))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(POOLINGS),
    st.integers(1, 3),
    st.integers(2, 4),  # not 1: a norm over two entries gives ±1, and all gradients cancel
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)
def test_any_shape_and_any_mask(pooling, heads, half_head, layers, batch, length, seed):
    rng = np.random.default_rng(seed)
    model = _encoder(
        seed,
        width=2 * heads * half_head,
        heads=heads,
        layers=layers,
        hidden=5,
        vocabulary=7,
        classes=3,
        max_length=9,
        pooling=pooling,
    )
    ids, _, answers = _batch(rng, model.config, batch, length)
    mask = rng.random((batch, length)) < 0.6  # holes, hidden first tokens, rows of padding alone
    _assert_equal(model, FastTrainer(_copy(model)), (ids, mask, answers), 1e-11)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_row_of_padding_alone(pooling, rng):
    model = _encoder(pooling=pooling)
    ids, mask, answers = _batch(rng, model.config, 4, 6)
    mask[1] = False
    _assert_equal(model, FastTrainer(_copy(model)), (ids, mask, answers))


def test_large_scores_do_not_overflow(rng):
    model = _encoder(dtype=np.float32)
    for i in range(2):
        model.params[f"layers.{i}.wqkv"] *= 1e3
    loss, grads = FastTrainer(model).gradients(*_batch(rng, model.config, 4, 6))
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in grads.values())


def _assert_one_step(fast, batch, lr):
    """One step from the state that the trainer is in: its gradients, and what Adam makes of them.

    Adam divides a gradient by its own size. Where the exact gradient is zero, as that of the keys'
    bias, or happens to be near it, a step is rounding error over rounding error, and two right
    programs move apart by as much as the learning rate. So each step is judged from one state: the
    gradients against float64, and the update against Adam in float64 on the same gradients.
    """
    state, params = fast.optimizer, fast.model.params
    kind = np.finfo(params["embedding"].dtype)
    unit, tiny = float(kind.eps) / 2, float(kind.tiny)
    values, firsts, seconds = (
        {name: value.astype(np.float64) for name, value in kept.items()}
        for kept in (params, state.first, state.second)
    )
    loss, grads = _plain(Encoder(fast.model.config, values), *batch)
    if fast.clip is not None:
        clip_by_norm(grads, fast.clip)
    loss_fast, _ = fast.step(*batch, lr)
    # A product of n terms rounds by at most n units of its norm (Higham, 2002, 3.5). On the way
    # there and back each layer has 6 + 6 of them, the classifier 2, of at most 256 terms; the norms
    # between them keep the scale.
    rounding = (12 * fast.model.config.layers + 2) * 256 * unit
    assert loss_fast == pytest.approx(loss, rel=rounding)
    whole = np.sqrt(sum(np.sum(g * g) for g in grads.values()))
    for name, value in values.items():
        g, m, v = state.grads[name].astype(np.float64), firsts[name], seconds[name]
        assert np.linalg.norm(g - grads[name]) <= rounding * whole, name
        change, first, second = adam(g, m, v, state.step_count, lr)
        # Sums and products of at most eight roundings each, of terms of these sizes.
        m_size, v_size = 0.9 * np.abs(m) + 0.1 * np.abs(g), v + 0.001 * g * g
        assert (np.abs(state.first[name] - first) <= 8 * unit * m_size + tiny).all(), name
        assert (np.abs(state.second[name] - second) <= 8 * unit * v_size + tiny).all(), name
        corrected = second / (1 - 0.999**state.step_count)
        step = lr * m_size / (1 - 0.9**state.step_count) / (np.sqrt(corrected) + 1e-8)
        decay = lr * state.weight_decay if value.ndim > 1 and name != "embedding" else 0
        error = np.abs(params[name] - (value * (1 - decay) + change))
        assert (error <= unit * (4 * np.abs(value) + 16 * step)).all(), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_each_of_twenty_steps(dtype, pooling, clip, decay):
    rng = np.random.default_rng(1)
    fast = FastTrainer(_encoder(dtype=dtype, pooling=pooling), weight_decay=decay, clip=clip)
    for step in range(20):
        batch = _batch(rng, fast.model.config, 16, 4 + step % 3)
        _assert_one_step(fast, batch, 1e-3)
    assert {value.dtype for value in fast.model.params.values()} == {np.dtype(dtype)}


def test_the_key_bias_gets_no_gradient(rng):
    model = _encoder()
    _, grads = FastTrainer(model).gradients(*_batch(rng, model.config, 4, 6))
    np.testing.assert_array_equal(grads["layers.1.bqkv"].reshape(3, -1)[1], 0)


def test_the_model_stays_usable(rng, tmp_path):
    model = _encoder(dtype=np.float32)
    names = list(model.params)
    fast = FastTrainer(model)
    batch = _batch(rng, model.config, 4, 6)
    loss, _ = _plain(model, *batch)
    for _ in range(5):
        fast.step(*batch, 1e-3)
    assert list(model.params) == names
    assert _plain(model, *batch)[0] < loss
    save(model, tmp_path / "model")
    logits, _ = load(tmp_path / "model")[0].forward(*batch[:2])
    np.testing.assert_array_equal(logits, model.forward(*batch[:2])[0])


def test_a_step_makes_no_large_array(rng):
    model = _encoder(dtype=np.float32)
    fast = FastTrainer(_copy(model))
    batch = _batch(rng, model.config, 32, 20)

    def peak(step):
        step()
        tracemalloc.start()
        step()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    # What the first step made is used again; the plain form makes it in each.
    assert peak(lambda: fast.step(*batch, 1e-3)) < 0.15 * peak(lambda: _plain(model, *batch))


@pytest.mark.parametrize(
    ("ids", "mask", "answers", "message"),
    [
        (np.zeros((0, 3), int), None, [0], r"shape \(0, 3\)"),
        (np.zeros(3, int), None, [0], r"shape \(3,\)"),
        (np.zeros((1, 33), int), None, [0], "at most 32 tokens fit: got 33"),
        (np.array([[20]]), None, [0], r"\[0, 20\): got 20"),
        (np.array([[-1]]), None, [0], r"\[0, 20\): got -1"),
        (np.array([[1, 2]]), np.ones((1, 3), bool), [0], r"\(1, 2\): got \(1, 3\)"),
        (np.array([[1, 2]]), None, [10], r"\[0, 10\): got 10"),
        (np.array([[1, 2]]), None, [0, 1], r"\(2,\)"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(ids, mask, answers, message):
    model = _encoder()
    fast = FastTrainer(model)
    before = {name: value.copy() for name, value in model.params.items()}
    with pytest.raises(ValueError, match=message):
        fast.step(ids, mask, np.array(answers), 1e-3)
    assert fast.optimizer.step_count == 0
    for name, value in before.items():
        np.testing.assert_array_equal(model.params[name], value)


@pytest.mark.parametrize("shape", [{"norm": "pre"}, {"dropout": 0.1}])
def test_a_model_it_does_not_know_is_refused(shape):
    (name,) = shape
    with pytest.raises(ValueError, match=f"{name}={shape[name]!r}"):
        FastTrainer(_encoder(**shape))


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_diverged_step_changes_nothing(clip):
    model = Encoder.create(EncoderConfig(), np.random.default_rng(0))
    trainer = FastTrainer(model, clip=clip)
    model.params["classifier.bias"][0] = np.nan
    before = {name: value.copy() for name, value in model.params.items()}
    with pytest.raises(ValueError, match="the model has diverged"):
        trainer.step(np.array([[2, 3, 4]]), None, np.array([1]), lr=1e-3)
    for name, value in model.params.items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(ValueError, match="limit of the norm must be above 0: got 0"):
        trainer.optimizer.clip(0)
    trainer.optimizer.grads["layers.0.wo"][0] = np.inf
    with pytest.raises(ValueError, match=r"NaN or infinity in .*layers\.0\.wo"):
        trainer.optimizer.clip(1)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_gradients_that_are_not_finite_change_nothing(clip, monkeypatch):
    """The loss is a number; a product on the way back has overflowed."""
    model = Encoder.create(EncoderConfig(), np.random.default_rng(0))
    trainer = FastTrainer(model, clip=clip)
    gradients = trainer.gradients

    def overflowing(*batch):
        loss, grads = gradients(*batch)
        grads["layers.0.wo"][0, 0] = np.inf
        return loss, grads

    monkeypatch.setattr(trainer, "gradients", overflowing)
    before = {name: value.copy() for name, value in model.params.items()}
    with pytest.raises(ValueError, match=r"NaN or infinity in .*layers\.0\.wo"):
        trainer.step(np.array([[2, 3, 4]]), None, np.array([1]), lr=1e-3)
    for name, value in model.params.items():
        np.testing.assert_array_equal(value, before[name])
