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
from groundup.scratch.optim import AdamW, clip_by_norm

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


def _without_key_bias(name, value):
    # The same number on all scores of a query changes no weight, so the key's bias has gradient
    # zero. The plain form gets rounding noise instead, and Adam makes steps of it.
    return np.delete(value.reshape(3, -1), 1, axis=0) if name.endswith("bqkv") else value


def _all(model):
    params = (_without_key_bias(*item).ravel() for item in model.params.items())
    return np.concatenate(list(params)).astype(np.float64)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_twenty_steps_in_float32(pooling, clip, decay):
    rng = np.random.default_rng(1)
    plain = _encoder(dtype=np.float32, pooling=pooling)
    exact = Encoder(plain.config, {n: v.astype(np.float64) for n, v in plain.params.items()})
    fast = FastTrainer(_copy(plain), weight_decay=decay, clip=clip)
    optimizers = [(m, AdamW(m.params, weight_decay=decay)) for m in (plain, exact)]
    start = _all(exact)
    for step in range(20):
        batch = _batch(rng, plain.config, 16, 4 + step % 3)
        for model, optimizer in optimizers:
            _, grads = _plain(model, *batch)
            if clip is not None:
                clip_by_norm(grads, clip)
            optimizer.step(grads, 1e-3)
        fast.step(*batch, 1e-3)
    assert {value.dtype for value in fast.model.params.values()} == {np.dtype(np.float32)}
    # Rounding grows from step to step, so it is judged beside that of the plain form.
    rounding = np.linalg.norm(_all(plain) - _all(exact))
    assert np.linalg.norm(_all(fast.model) - _all(exact)) < 2 * rounding
    assert rounding < 0.01 * np.linalg.norm(_all(exact) - start)


def test_twenty_steps_in_float64(rng):
    model = _encoder()
    fast = FastTrainer(_copy(model), clip=0.5)
    optimizer = AdamW(model.params)
    for _ in range(20):
        batch = _batch(rng, model.config, 16, 6)
        _, grads = _plain(model, *batch)
        clip_by_norm(grads, 0.5)
        optimizer.step(grads, 1e-3)
        fast.step(*batch, 1e-3)
    for name, plain in model.params.items():
        for ours, theirs in (
            (fast.model.params[name], plain),
            (fast.optimizer.first[name], optimizer.first[name]),
            (fast.optimizer.second[name], optimizer.second[name]),
        ):
            ours, theirs = _without_key_bias(name, ours), _without_key_bias(name, theirs)
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-12, err_msg=name)


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
