"""What a trained encoder does: counts, entropies and ablations against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.analysis import (
    ablate_heads,
    attention_entropy,
    confusion,
    entropy_share,
    head_entropy,
    overfitting_warning,
    verdicts,
    without_head,
)
from groundup.scratch.attention import attention, merge_heads, multi_head_attention, split_heads
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.examples import Examples
from groundup.scratch.tasks.digits import OPERATIONS, accuracy, all_examples


@pytest.fixture
def model(rng):
    """An untrained digit encoder, loud enough for each of its heads to change answers."""
    config = EncoderConfig(width=12, heads=3, layers=2, hidden=8)
    model = Encoder.create(config, rng, np.float64)
    for name, value in model.params.items():
        value += 0.5 * rng.normal(size=value.shape) if "wo" in name else 0
    return model


@pytest.fixture
def data(rng):
    some = all_examples()
    return some.take(rng.permutation(len(some))[:120])


@settings(max_examples=30, deadline=None)
@given(classes=st.integers(1, 5), count=st.integers(0, 12), seed=st.integers(0, 2**32 - 1))
def test_confusion_counts_each_pair(classes, count, seed):
    rng = np.random.default_rng(seed)
    answers, predictions = rng.integers(classes, size=(2, count))
    counts = np.zeros((classes, classes), int)
    for right, given_ in zip(answers, predictions, strict=True):
        counts[right, given_] += 1
    np.testing.assert_array_equal(confusion(answers, predictions, classes), counts)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int32, np.uint64, np.int64])
def test_confusion_of_any_integer_type(kind):
    """30 classes have 900 cells, and uint8 counts to 255."""
    rng = np.random.default_rng(0)
    answers, predictions = rng.integers(30, size=(2, 200))
    expected = np.zeros((30, 30), int)
    np.add.at(expected, (answers, predictions), 1)
    for other in (kind, np.int64):
        found = confusion(answers.astype(kind), predictions.astype(other), 30)
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(TypeError):
        confusion(answers + 0.5, predictions, 30)


def test_confusion_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"one prediction: got \(2,\) and \(1,\)"):
        confusion(np.array([0, 1]), np.array([0]), 2)
    with pytest.raises(ValueError, match=r"predictions must lie in \[0, 2\): got 0 to 2"):
        confusion(np.array([0, 1]), np.array([0, 2]), 2)
    with pytest.raises(ValueError, match=r"answers must lie in \[0, 2\): got -1 to 1"):
        confusion(np.array([-1, 1]), np.array([0, 1]), 2)


def test_entropy_of_known_distributions():
    weights = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4, [0.5, 0.25, 0.125, 0.125]])
    np.testing.assert_allclose(attention_entropy(weights), [0, 1, 2, 1.75], atol=1e-15)
    assert not np.signbit(attention_entropy(weights)).any()
    assert attention_entropy(np.zeros(3)) == 0


@settings(max_examples=30, deadline=None)
@given(tokens=st.integers(1, 6), visible=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_entropy_against_its_definition(tokens, visible, seed):
    visible = min(tokens, visible)
    weights = np.zeros((2, tokens))
    weights[:, :visible] = np.random.default_rng(seed).dirichlet(np.ones(visible), size=2)
    mask = np.arange(tokens) < visible
    bits = [-math.fsum(p * math.log2(p) for p in row if p) for row in weights]
    np.testing.assert_allclose(attention_entropy(weights), bits, atol=1e-12)
    most = math.log2(visible) or 1
    share = entropy_share(weights, mask)
    np.testing.assert_allclose(share, np.array(bits) / most, atol=1e-12)
    assert (share <= 1 + 1e-12).all()
    even = np.where(mask, 1 / visible, 0)
    assert entropy_share(even, mask) == pytest.approx(float(visible > 1))


@pytest.mark.parametrize("shape", [(), (1,), (8,), (4, 1), (1, 8), (2, 1, 1), (1, 4, 1), (2, 4, 8)])
def test_share_with_a_mask_that_is_broadcast(shape):
    """Whatever axes the mask leaves out, the share is that of the mask written out in full."""
    rng = np.random.default_rng(0)
    mask = np.array(rng.random(shape) < 0.7)
    full = np.broadcast_to(mask, (2, 4, 8)).copy()
    counts = full.sum(axis=-1, keepdims=True)
    weights = full / np.maximum(counts, 1)  # evenly over what may be looked at
    expected = (counts[..., 0] > 1).astype(float)
    np.testing.assert_allclose(entropy_share(weights, mask), expected, atol=1e-12)
    np.testing.assert_allclose(entropy_share(weights, full), expected, atol=1e-12)


def test_share_of_a_row_that_may_look_nowhere_is_zero():
    assert entropy_share(np.zeros((1, 3)), np.zeros((1, 3), bool)) == 0


def test_entropies_keep_their_dtype():
    weights = np.full((2, 3), 1 / 3, np.float32)
    assert attention_entropy(weights).dtype == entropy_share(weights).dtype == np.float32


def test_head_entropy_is_the_mean_over_the_examples_of_an_operation(model, data):
    shares = head_entropy(model, data)
    assert shares.shape == (2, 3, len(OPERATIONS))
    for operation in range(len(OPERATIONS)):
        rows = np.flatnonzero(data.operations == operation)
        one_by_one = []
        for row in rows:
            _, cache = model.forward(data.ids[row : row + 1])
            maps = np.array(model.attention_maps(cache))[:, 0, :, 0]  # (layers, H, T)
            one_by_one.append(-(maps * np.log2(maps)).sum(-1) / np.log2(7))
        np.testing.assert_allclose(shares[..., operation], np.mean(one_by_one, axis=0), rtol=1e-10)


def test_head_entropy_does_not_see_padding(model, data):
    wide = Examples(
        np.pad(data.ids, ((0, 0), (0, 3))),
        np.pad(data.mask, ((0, 0), (0, 3))),
        data.answers,
        data.operations,
    )
    np.testing.assert_allclose(head_entropy(model, wide), head_entropy(model, data), rtol=1e-10)


def test_what_the_data_lacks_is_not_a_number(model, data):
    maxima = data.take(np.flatnonzero(data.operations == 3))
    for table in (head_entropy(model, maxima), ablate_heads(model, maxima)):
        absent = np.isnan(table).all(axis=(0, 1))
        assert absent.tolist() == [True, True, True, False, True]
        assert not np.isnan(table[..., 3]).any()
    assert verdicts(head_entropy(model, maxima))[0, 0, 0] == ""


def test_head_entropy_needs_an_answer_token(rng, data):
    model = Encoder.create(EncoderConfig(pooling="mean"), rng)
    with pytest.raises(ValueError, match="got pooling='mean'"):
        head_entropy(model, data)


def test_the_threshold_lies_between_two_digits_and_three():
    two, three = (np.log2(n) / np.log2(7) for n in (2, 3))
    assert verdicts(np.array([0, two, three, 1])).tolist() == [
        "focused",
        "focused",
        "distributed",
        "distributed",
    ]
    assert verdicts(np.array([two]), threshold=0.3).tolist() == ["distributed"]


@pytest.mark.parametrize("head", range(3))
def test_without_a_head_is_with_zeros_for_its_output(rng, head):
    x, wqkv, bqkv = rng.normal(size=(2, 4, 6)), rng.normal(size=(6, 18)), rng.normal(size=18)
    wo, bo = rng.normal(size=(6, 6)), rng.normal(size=6)
    q, k, v = (split_heads(part, 3) for part in np.split(x @ wqkv + bqkv, 3, axis=-1))
    mixed, _ = attention(q, k, v)
    mixed[:, head] = 0
    before = wo.copy()
    y, _ = multi_head_attention(x, wqkv, bqkv, without_head(wo, 3, head), bo, 3)
    np.testing.assert_allclose(y, merge_heads(mixed) @ wo + bo, atol=1e-12)
    np.testing.assert_array_equal(wo, before)


def test_without_head_names_what_does_not_fit():
    for head in (-1, 2):
        with pytest.raises(ValueError, match=rf"head must lie in \[0, 2\): got {head}"):
            without_head(np.eye(4), 2, head)
    with pytest.raises(ValueError, match="got width=4, heads=3"):
        without_head(np.eye(4), 3, 0)


def test_ablation_is_the_same_as_silencing_the_values(model, data):
    """Another way to make a head return zeros: its values are zero."""
    before = {name: value.copy() for name, value in model.params.items()}
    table = ablate_heads(model, data)
    for name, value in model.params.items():
        np.testing.assert_array_equal(value, before[name])
    assert len(np.unique(table)) > 5  # else a wrong head might not show
    for layer, head in np.ndindex(2, 3):
        params = {name: value.copy() for name, value in before.items()}
        columns = slice(24 + 4 * head, 28 + 4 * head)
        params[f"layers.{layer}.wqkv"][:, columns] = 0
        params[f"layers.{layer}.bqkv"][columns] = 0
        scores = accuracy(Encoder(model.config, params), data)
        np.testing.assert_allclose(table[layer, head], [scores[name] for name in OPERATIONS])


TRAIN = [1.0, 0.5, 0.3, 0.2, 0.1, 0.05]


def test_overfitting_is_said_with_its_numbers():
    said = overfitting_warning(TRAIN, [1.0, 0.6, 0.5, 0.6, 0.7, 0.8])
    assert said is not None
    assert "lowest at evaluation 3, 0.5," in said
    assert "risen to 0.7 (mean of the last 3)" in said
    assert "from 0.3 to 0.05" in said


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        (TRAIN, [1.0, 0.6, 0.5, 0.4, 0.3, 0.2]),  # still falling
        (TRAIN, [1.0, 0.6, 0.5, 0.4, 0.6, 0.8]),  # not for long enough
        (TRAIN, [1.0, 0.6, 0.5, 0.51, 0.52, 0.52]),  # not by enough
        ([1.0, 0.5, 0.3, 0.4, 0.5, 0.6], [1.0, 0.6, 0.5, 0.6, 0.7, 0.8]),  # both rise: no fit
        (TRAIN[:3], [0.5, 0.6, 0.9]),  # too few
        ([], []),
    ],
)
def test_no_warning(train, validation):
    assert overfitting_warning(train, validation) is None


def test_patience_and_rise_are_the_callers():
    losses = [1.0, 0.6, 0.5, 0.51, 0.52, 0.52]
    assert overfitting_warning(TRAIN, losses, rise=0.01)
    assert overfitting_warning(TRAIN, [1.0, 0.6, 0.5, 0.4, 0.6, 0.8], patience=2)
    small = [1.0, 0.006, 0.002, 0.003, 0.004, 0.005]
    assert overfitting_warning(TRAIN, small) is None
    assert overfitting_warning(TRAIN, small, least=0.001)


def test_warning_names_what_does_not_fit():
    with pytest.raises(ValueError, match="got 1 of training and 2 of validation"):
        overfitting_warning([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"got 0, 0\.05 and 0\.01"):
        overfitting_warning([1.0], [1.0], patience=0)
