"""Training: what order the data comes in, what a step computes, and that it learns."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch import language
from groundup.scratch.checkpoint import (
    load,
    load_decoder,
    load_state,
    optimizer_state,
    restore_optimizer,
    save,
)
from groundup.scratch.decoder import Decoder, DecoderConfig
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.fast import FastTrainer
from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.language import Rows
from groundup.scratch.optim import AdamW
from groundup.scratch.tasks.digits import OPERATIONS, accuracy, make_splits
from groundup.scratch.trainer import (
    EarlyStopping,
    TrainConfig,
    accumulate,
    batches,
    loss_and_gradients,
    optimize,
    predict,
    train,
)

TINY = EncoderConfig(width=8, heads=2, layers=2, hidden=8)
fast = settings(max_examples=30, deadline=None)


@pytest.fixture(scope="module")
def splits():
    return make_splits(np.random.default_rng(0))


def _train(splits, **options):
    model = Encoder.create(EncoderConfig(), np.random.default_rng(0))
    return model, list(train(model, splits.train, TrainConfig(**options)))


def test_it_learns_what_it_has_not_seen(splits):
    model, steps = _train(splits, steps=300, lr=2e-3, warmup=30)
    assert accuracy(model, splits.test)["all"] > 0.95
    assert [s.step for s in steps] == list(range(1, 301))
    assert steps[0].loss > 1.5
    assert np.mean([s.loss for s in steps[-20:]]) < 0.2
    assert max(s.lr for s in steps) == pytest.approx(2e-3)
    assert steps[0].lr < steps[30].lr > steps[-1].lr


@pytest.mark.slow
def test_the_default_run_reaches_its_promise(splits):
    model, _ = _train(splits)
    assert accuracy(model, splits.test)["all"] >= 0.995


def test_the_same_seed_gives_the_same_run(splits):
    (a, first), (b, second) = (_train(splits, steps=5, batch_size=8) for _ in range(2))
    assert first == second
    for name, value in a.params.items():
        np.testing.assert_array_equal(value, b.params[name])
    _, other = _train(splits, steps=5, batch_size=8, seed=1)
    assert other != first


def test_the_gradient_of_the_loss(tiny, splits):
    batch = splits.train.take(np.arange(3))
    wide = EncoderConfig(width=4, heads=2, layers=1, hidden=4)
    model = Encoder.create(wide, np.random.default_rng(1), np.float64)
    _, grads = loss_and_gradients(model, batch)
    for name in ("embedding", "layers.0.wqkv", "classifier.bias"):
        expected = numerical_gradient(
            lambda: loss_and_gradients(model, batch)[0], model.params[name]
        )
        assert compare(name, grads[name], expected).relative < 1e-7, name


def test_accuracy_is_the_share_of_right_answers(splits):
    model = Encoder.create(EncoderConfig(), np.random.default_rng(0))
    logits = predict(model, splits.test, batch_size=77)
    assert logits.shape == (500, 10)
    np.testing.assert_allclose(logits, model.forward(splits.test.ids)[0], atol=1e-5)
    right = [int(row.argmax()) == a for row, a in zip(logits, splits.test.answers, strict=True)]
    scores = accuracy(model, splits.test)
    assert scores["all"] == pytest.approx(sum(right) / 500)
    assert set(scores) == {"all", *OPERATIONS}
    shares = [(splits.test.operations == i).mean() for i in range(5)]
    by_operation = sum(s * scores[n] for s, n in zip(shares, OPERATIONS, strict=True))
    assert by_operation == pytest.approx(scores["all"])


@fast
@given(
    count=st.integers(1, 12),
    size=st.integers(1, 12),
    start=st.integers(0, 40),
    seed=st.integers(0, 9),
)
def test_a_batch_is_a_function_of_its_number(count, size, start, seed):
    size = min(size, count)
    later = itertools.islice(batches(_numbers(count), size, seed), start, start + 15)
    for resumed, expected in zip(batches(_numbers(count), size, seed, start), later, strict=False):
        np.testing.assert_array_equal(resumed.ids, expected.ids)


def test_an_epoch_shows_each_example_once():
    rows = _numbers(50)
    drawn = [batch.ids.ravel().tolist() for batch in itertools.islice(batches(rows, 16, 0), 6)]
    epochs = [list(itertools.chain(*part)) for part in (drawn[:3], drawn[3:])]
    assert [len(set(epoch)) for epoch in epochs] == [48, 48]  # 50 hold three batches of 16
    assert epochs[0] != epochs[1]
    other = next(batches(rows, 16, seed=1)).ids.ravel().tolist()
    assert other != drawn[0]


@pytest.mark.parametrize("size", [0, 11])
def test_a_batch_that_cannot_be_filled_is_named(splits, size):
    some = splits.train.take(np.arange(10))
    with pytest.raises(ValueError, match=f"10 examples do not fill a batch of {size}"):
        next(batches(some, size, 0))


def test_a_negative_start_is_named():
    with pytest.raises(ValueError, match="start must not be negative: got -1"):
        next(batches(_numbers(3), 2, 0, -1))


def _numbers(count):
    return Rows(np.arange(count)[:, None], np.arange(count)[:, None])


@pytest.mark.parametrize("cuts", [(9,), (3, 6), (1, 2, 8)])
def test_accumulated_gradients_are_those_of_the_whole_batch(cuts):
    """Parts of unequal size, and of unequal shares of counted targets: not the mean of means."""
    rng = np.random.default_rng(0)
    shape = DecoderConfig(vocabulary=7, width=8, heads=2, layers=1, hidden=8, max_length=5)
    model = Decoder.create(shape, rng, np.float64)
    ids = rng.integers(0, 7, (9, 5))
    targets = np.where(np.arange(5) > np.arange(9)[:, None] % 5, language.IGNORE, ids)
    rows = Rows(ids, targets)
    whole, expected = language.loss_and_gradients(model, rows)
    parts = [rows.take(part) for part in np.split(np.arange(9), cuts)]
    loss, grads = accumulate(language.loss_and_gradients, model, parts)
    assert loss == pytest.approx(whole, abs=1e-14)
    for name, gradient in grads.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=1e-14)
    means = np.mean([language.loss_and_gradients(model, part)[0] for part in parts if len(part)])
    assert len(cuts) == 1 or abs(means - whole) > 1e-4


def test_nothing_to_learn_from_is_named():
    rows = Rows(np.zeros((2, 3), int), np.full((2, 3), language.IGNORE))
    with pytest.raises(ValueError, match="no answer to learn from in 1 parts"):
        accumulate(language.loss_and_gradients, None, [rows])


def test_a_step_of_two_batches_is_a_step_of_their_union(splits):
    """64 rows at once, or as four batches of 16 from the same epoch, in the same order."""
    runs = []
    for size, parts in ((64, 1), (16, 4)):
        model = Encoder.create(TINY, np.random.default_rng(0), np.float64)
        config = TrainConfig(steps=6, batch_size=size, accumulate=parts, warmup=2)
        runs.append((list(train(model, splits.train, config)), model.params))
    for whole, parted in zip(runs[0][0], runs[1][0], strict=True):
        assert parted.loss == pytest.approx(whole.loss, abs=1e-12)
        assert parted.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-10)
    for name, value in runs[0][1].items():
        np.testing.assert_allclose(runs[1][1][name], value, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["plain", "dropout", "accumulated", "fast", "decoder"])
def test_a_stopped_run_goes_on_bit_for_bit(splits, tmp_path, kind):
    """Seven steps in one piece, or four, a file, and three more in a model that read the file."""
    config = TrainConfig(
        steps=7, batch_size=8, warmup=3, accumulate=2 if kind == "accumulated" else 1
    )
    shape = replace(TINY, dropout=0.2 if kind == "dropout" else 0.0)

    def fresh():
        if kind == "decoder":
            return Decoder.create(DecoderConfig(hidden=8), np.random.default_rng(0))
        return Encoder.create(shape, np.random.default_rng(0))

    def begin(model):
        """The run and its optimizer."""
        if kind == "fast":
            trainer = FastTrainer(model, config.weight_decay, config.clip)
            return trainer.train(splits.train, config), trainer.optimizer
        if kind == "decoder":
            optimizer = language.optimizer_of(model, config)
            rows = Rows(splits.train.ids[:, :-1], splits.train.ids[:, 1:])
            return language.train(model, rows, config, optimizer), optimizer
        optimizer = AdamW(model.params, weight_decay=config.weight_decay)
        return train(model, splits.train, config, optimizer), optimizer

    whole = fresh()
    expected = list(begin(whole)[0])

    stopped = fresh()
    run, optimizer = begin(stopped)
    first = list(itertools.islice(run, 4))
    save(stopped, tmp_path / "half", state=optimizer_state(optimizer))

    resumed = (load_decoder if kind == "decoder" else load)(tmp_path / "half")[0]
    run, optimizer = begin(resumed)
    restore_optimizer(optimizer, load_state(tmp_path / "half"))
    assert first + list(run) == expected
    for name, value in whole.params.items():
        np.testing.assert_array_equal(resumed.params[name], value)


def test_dropout_trains_the_model_with_noise(splits):
    losses = {}
    for share in (0.0, 0.5):
        model = Encoder.create(replace(TINY, dropout=share), np.random.default_rng(0))
        losses[share] = next(train(model, splits.train, TrainConfig(steps=1))).loss
    assert losses[0.0] != losses[0.5]


def test_early_stopping_keeps_the_best():
    params = {"w": np.zeros(1)}
    early = EarlyStopping(patience=2)
    stops = []
    for i, loss in enumerate([3.0, 2.0, 2.5, 1.9, 1.9, 2.0]):
        params["w"][0] = i
        stops.append(early.update(loss, params))
    assert stops == [False, False, False, False, False, True]
    assert (early.best, early.waited) == (1.9, 2)
    early.restore(params)
    assert params["w"][0] == 3


def test_early_stopping_does_not_take_noise_for_progress():
    early = EarlyStopping(patience=1, least=0.1)
    assert not early.update(1.0, {})
    assert early.update(0.95, {})
    assert early.best == 1.0
    assert early.update(float("nan"), {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be at least 1: got 0"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"lr": 0.0}, "lr must be positive and finite: got 0.0"),
        ({"lr": float("nan")}, "lr must be positive and finite: got nan"),
        ({"clip": -1.0}, "clip must be positive"),
        ({"warmup": -1}, "warmup must not be negative: got -1"),
        ({"seed": -1}, "seed must not be negative"),
        ({"steps": float("nan")}, "steps must be a whole number: got nan"),
        ({"steps": 2.5}, r"steps must be a whole number: got 2\.5"),
        ({"batch_size": True}, "batch_size must be a whole number: got True"),
        ({"warmup": 0.1}, r"warmup must be a whole number: got 0\.1"),
        ({"clip": float("nan")}, "clip must be positive: got nan"),
        ({"weight_decay": float("inf")}, "weight_decay must be at least 0 and finite: got inf"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**change)


@pytest.mark.parametrize("patience", [0, -1, 1.5, float("nan")])
def test_patience_is_at_least_one(patience):
    with pytest.raises(ValueError, match=f"patience must be .*: got {patience}"):
        EarlyStopping(patience)
    with pytest.raises(ValueError, match="least must be at least 0 and finite: got nan"):
        EarlyStopping(1, least=float("nan"))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_before_its_step(splits, bad):
    """Its gradients are finite, and would be taken."""
    model = Encoder.create(TINY, np.random.default_rng(0))
    before = {name: value.copy() for name, value in model.params.items()}
    grads = {name: np.ones_like(value) for name, value in before.items()}
    optimizer = AdamW(model.params)
    run = optimize(model, splits.train, TrainConfig(3, 2), optimizer, lambda *_: (bad, dict(grads)))
    with pytest.raises(ValueError, match=f"the loss is {bad}: the model has diverged"):
        next(run)
    assert optimizer.step_count == 0
    for name, value in before.items():
        np.testing.assert_array_equal(model.params[name], value)


def test_a_diverged_model_has_no_accuracy(splits):
    model = Encoder.create(TINY, np.random.default_rng(0))
    model.params["classifier.bias"][:] = np.nan
    with pytest.raises(ValueError, match="the model has diverged"):
        accuracy(model, splits.test)


def test_nothing_to_predict_is_named(splits):
    model = Encoder.create(TINY, np.random.default_rng(0))
    with pytest.raises(ValueError, match="got 0 examples, 500"):
        predict(model, splits.test.take(np.arange(0)))
