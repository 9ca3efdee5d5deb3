"""Training: what order the data comes in, what a step computes, and that it learns."""

import itertools

import numpy as np
import pytest

from groundup.scratch.digits import OPERATIONS, make_splits
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.trainer import (
    TrainConfig,
    accuracy,
    batches,
    loss_and_gradients,
    predict,
    train,
)


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


def test_an_epoch_shows_each_example_once(splits):
    some = splits.train.take(np.arange(50))
    drawn = list(itertools.islice(batches(some, 16, seed=0), 6))
    epochs = [[tuple(row) for b in part for row in b.ids] for part in (drawn[:3], drawn[3:])]
    for rows in epochs:
        assert len(set(rows)) == 48  # 50 hold three batches of 16
    assert epochs[0] != epochs[1]


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


@pytest.mark.parametrize("size", [0, 11])
def test_a_batch_that_cannot_be_filled_is_named(splits, size):
    some = splits.train.take(np.arange(10))
    with pytest.raises(ValueError, match=f"10 examples do not fill a batch of {size}"):
        next(batches(some, size, 0))
