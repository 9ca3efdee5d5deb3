"""Hidden states, probes and geometry, against the forward pass, differences and known shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.gradcheck import numerical_gradient
from groundup.scratch.probe import fit_probe, geometry, hidden_states, probe, rank_correlation


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_the_last_state_gives_the_logits(norm, pooling):
    rng = np.random.default_rng(0)
    config = EncoderConfig(width=8, heads=2, layers=3, hidden=6, norm=norm, pooling=pooling)
    model = Encoder.create(config, rng, np.float64)
    ids, mask = rng.integers(20, size=(3, 5)), np.arange(5) < np.array([[5], [3], [1]])
    states = hidden_states(model, ids, mask)
    assert len(states) == 4
    assert all(state.shape == (3, 5, 8) for state in states)
    np.testing.assert_allclose(
        states[0], model.params["embedding"][ids] + model.positions[:5], atol=1e-15
    )
    read = states[-1][:, 0]
    if pooling == "mean":
        read = np.array([s[m].mean(axis=0) for s, m in zip(states[-1], mask, strict=True)])
    logits, _ = model.forward(ids, mask)
    found = read @ model.params["classifier.weight"] + model.params["classifier.bias"]
    np.testing.assert_allclose(found, logits, atol=1e-12)


def test_probe_on_paper():
    weights, bias = fit_probe(np.array([[0.0], [2.0]]), np.array([0, 1]), 2, penalty=2.0)
    np.testing.assert_allclose(weights, [[-0.25, 0.25]])
    np.testing.assert_allclose(bias, [0.75, 0.25])


def test_the_fit_is_where_the_gradient_vanishes(rng):
    x, labels, penalty = rng.normal(size=(9, 4)) + 3, rng.integers(3, size=9), 0.7
    weights, bias = fit_probe(x, labels, 3, penalty)

    def objective():
        error = np.eye(3)[labels] - x @ weights - bias
        return float((error**2).sum() + penalty * (weights**2).sum())

    for value in (weights, bias):
        np.testing.assert_allclose(numerical_gradient(objective, value), 0, atol=1e-6)


def test_columns_that_depend_on_others_are_borne(rng):
    x = rng.normal(size=(6, 1)) @ np.ones((1, 4), np.float32)
    weights, bias = fit_probe(x.astype(np.float32), np.array([0, 1, 0, 1, 0, 1]), 2)
    assert weights.dtype == bias.dtype == np.float32
    assert np.isfinite(weights).all()
    with pytest.raises(ValueError, match="penalty must be above 0: got 0"):
        fit_probe(x, np.zeros(6, int), 2, penalty=0)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int8, np.uint64])
def test_labels_of_any_integer_type(rng, kind):
    x, labels = rng.normal(size=(6, 3)), np.array([1, 0, 1, 0, 1, 1])
    for found, expected in zip(
        fit_probe(x, labels.astype(kind), 2), fit_probe(x, labels, 2), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("penalty", [0.0, -1.0, float("nan")])
def test_a_penalty_is_above_zero(rng, penalty):
    with pytest.raises(ValueError, match=f"penalty must be above 0: got {penalty}"):
        fit_probe(rng.normal(size=(3, 2)), np.array([0, 1, 1]), 2, penalty)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_named(rng, label):
    with pytest.raises(ValueError, match=rf"labels must lie in \[0, 2\): got .*{label}"):
        fit_probe(rng.normal(size=(3, 2)), np.array([0, 1, label]), 2)


def test_a_probe_finds_what_is_there_and_its_control_does_not(rng):
    types = rng.integers(50, size=600)
    labels = types % 4
    x = 3 * np.eye(4)[labels] + rng.normal(size=(600, 4))
    fitted = np.arange(600) < 400
    found = probe(x, labels, types, fitted, np.random.default_rng(0))
    assert found.accuracy > 0.9
    assert found.control < 0.6
    assert found.selectivity == found.accuracy - found.control
    common = np.bincount(labels[:400]).argmax()
    assert found.guess == (labels[400:] == common).mean()


def test_what_names_each_type_can_be_learned_by_heart(rng):
    """One column a type: the control is as good as the real labels, so nothing is shown."""
    types = np.tile(np.arange(10), 20)
    found = probe(np.eye(10)[types], types % 5, types, np.arange(200) < 100, rng)
    assert found.accuracy == found.control == 1


def test_a_probe_is_not_asked_about_rows_it_was_fitted_to(rng):
    """More columns than rows: what was fitted is known by heart, and says nothing."""
    x, labels = rng.normal(size=(60, 80)), rng.integers(5, size=60)
    found = probe(x, labels, np.arange(60), np.arange(60) < 40, rng, penalty=1e-6)
    assert found.accuracy < 0.6
    for fitted in (np.ones(60, bool), np.zeros(60, bool)):
        with pytest.raises(ValueError, match="some rows are fitted, others asked"):
            probe(x, labels, np.arange(60), fitted, rng)


def test_geometry_of_a_line(rng):
    direction = rng.normal(size=6)
    line = geometry(np.arange(5)[:, None] * direction + rng.normal(size=6))
    assert line.number_line == pytest.approx(1)
    np.testing.assert_allclose(line.explained, [1, 0], atol=1e-12)
    expected = (np.arange(5) - 2) * np.linalg.norm(direction)  # it points the way the order grows
    np.testing.assert_allclose(line.coordinates[:, 0], expected, atol=1e-12)


def test_geometry_against_its_definitions(rng):
    vectors = rng.normal(size=(6, 4))
    found = geometry(vectors)
    for i, j in np.ndindex(6, 6):
        a, b = vectors[i], vectors[j]
        assert found.cosines[i, j] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
    # Principal axes are eigenvectors of the covariance; the coordinates' variances its eigenvalues.
    eigenvalues = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    np.testing.assert_allclose(found.coordinates.var(axis=0, ddof=1), eigenvalues[:2])
    np.testing.assert_allclose(found.explained, eigenvalues[:2] / eigenvalues.sum())
    assert abs(found.coordinates[:, 0] @ found.coordinates[:, 1]) < 1e-12
    assert ((np.arange(6) - 2.5) @ found.coordinates >= 0).all()


def test_geometry_does_not_depend_on_sign_turn_or_place(rng):
    vectors = rng.normal(size=(5, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    one, other = geometry(vectors), geometry(vectors @ turn + 7)
    np.testing.assert_allclose(one.coordinates, other.coordinates, atol=1e-12)
    assert one.number_line == pytest.approx(other.number_line)


def test_geometry_names_what_does_not_fit():
    with pytest.raises(ValueError, match="three things: got 2"):
        geometry(np.eye(2))
    with pytest.raises(ValueError, match="all vectors are the same"):
        geometry(np.ones((3, 2)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 8))
def test_rank_correlation_without_ties(seed, count):
    rng = np.random.default_rng(seed)
    a, b = rng.permutation(count), rng.permutation(count)
    expected = 1 - 6 * ((a - b) ** 2).sum() / (count * (count**2 - 1))
    assert rank_correlation(a, np.exp(b)) == pytest.approx(expected)


def test_rank_correlation_with_ties():
    # Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5.
    found = rank_correlation(np.array([0, 5, 5, 9]), np.array([1, 2, 3, 4]))
    assert found == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def test_rank_correlation_names_what_does_not_fit():
    with pytest.raises(ValueError, match="two lists of one length"):
        rank_correlation(np.arange(3), np.arange(4))
    with pytest.raises(ValueError, match="a single value"):
        rank_correlation(np.arange(3), np.ones(3))
