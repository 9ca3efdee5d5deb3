"""Ways to choose the next token: what each keeps, and how often each token is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.activations import softmax
from groundup.scratch.sampling import greedy, sample, sampler, scale, top_k, top_p

fast = settings(max_examples=50, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def _logits(draw):
    """Rows with many ties, and now and then a token that is ruled out already."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)))
    rng = np.random.default_rng(draw(seeds))
    logits = rng.integers(-2, 3, shape).astype(float)
    if draw(st.booleans()):
        logits += rng.normal(size=shape)
    logits[:, 1:][rng.random((shape[0], shape[1] - 1)) < 0.2] = -np.inf
    return logits.astype(draw(st.sampled_from([np.float32, np.float64])))


@fast
@given(logits=_logits(), k=st.integers(1, 10))
def test_top_k_keeps_the_k_largest(logits, k):
    kept = top_k(logits, k)
    assert kept.dtype == logits.dtype
    for row, before in zip(kept, logits, strict=True):
        stays = np.isfinite(row)
        assert stays.sum() == min(k, np.isfinite(before).sum())
        np.testing.assert_array_equal(row[stays], before[stays])
        assert before[stays].min() >= before[~stays].max(initial=-np.inf)


def test_of_equals_the_lower_ids_are_kept():
    tied = np.array([[1.0, 2.0, 1.0, 1.0]])
    assert top_k(tied, 2).tolist() == [[1, 2, -np.inf, -np.inf]]
    assert top_p(np.zeros((1, 4)), 0.5).tolist() == [[0, 0, -np.inf, -np.inf]]
    assert greedy(np.array([[1.0, 3.0, 3.0]])).tolist() == [1]


@fast
@given(logits=_logits(), p=st.floats(1e-6, 1))
def test_top_p_is_the_smallest_set_that_reaches_p(logits, p):
    kept = top_p(logits, p)
    assert kept.dtype == logits.dtype
    for row, before in zip(kept, logits, strict=True):
        probabilities = softmax(before.astype(float))
        stays = np.isfinite(row)
        np.testing.assert_array_equal(row[stays], before[stays])
        inside = probabilities[stays]
        # Sums of nine numbers: equal but for a few roundings.
        assert inside.sum() >= p - 1e-14
        assert inside.min() >= probabilities[~stays].max(initial=0)
        if p < 1:
            assert inside.sum() - inside.min() < p + 1e-14  # without its last it falls short


def test_top_p_by_hand():
    logits = np.log([[0.5, 0.125, 0.25, 0.125]])
    for p, size in [(0.1, 1), (0.49, 1), (0.51, 2), (0.74, 2), (0.76, 3), (0.9, 4), (1.0, 4)]:
        assert np.isfinite(top_p(logits, p)).sum() == size, p


@fast
@given(width=st.integers(1, 9), seed=seeds, temperature=st.floats(1e-320, 1e-3))
def test_a_temperature_near_zero_is_greedy(width, seed, temperature):
    rng = np.random.default_rng(seed)
    # Whole numbers, each once a row: at 1/1000 the second has a probability of exp(-1000) = 0.
    logits = np.stack([rng.permutation(width).astype(float) for _ in range(3)])
    for choose in (sampler(rng, temperature), sampler(rng, 0.0)):
        np.testing.assert_array_equal(choose(logits), greedy(logits))
    np.testing.assert_array_equal(sample(rng, logits, temperature), greedy(logits))
    np.testing.assert_array_equal(sample(rng, logits, 0.0), greedy(logits))


@fast
@given(logits=_logits(), seed=seeds)
def test_what_is_ruled_out_is_never_drawn(logits, seed):
    drawn = sample(np.random.default_rng(seed), logits)
    assert np.isfinite(np.take_along_axis(logits, drawn[:, None], axis=-1)).all()


class _Fixed:
    """A generator whose numbers are known."""

    def __init__(self, u):
        self.u = u

    def random(self, shape):
        return np.full(shape, self.u)


def test_the_edges_of_the_draw():
    logits = np.log([[0.0 + 1e-300, 0.25, 0.75]])
    logits[0, 0] = -np.inf
    assert sample(_Fixed(0.0), logits).tolist() == [1]
    assert sample(_Fixed(0.2499), logits).tolist() == [1]
    assert sample(_Fixed(0.2501), logits).tolist() == [2]
    logits[0, 2] = -np.inf
    assert sample(_Fixed(np.nextafter(1, 0)), logits).tolist() == [1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_probabilities(temperature):
    logits = np.array([1.0, -1.0, 0.0, 0.5])
    count = 40_000
    drawn = sample(np.random.default_rng(0), np.tile(logits, (count, 1)), temperature)
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    shares = np.bincount(drawn, minlength=4) / count
    # Five standard deviations of a share.
    np.testing.assert_array_less(
        np.abs(shares - expected), 5 * np.sqrt(expected * (1 - expected) / count)
    )


def test_the_sampler_scales_before_it_cuts():
    logits = np.log(np.tile([0.6, 0.3, 0.1], (2000, 1)))
    drawn = sampler(np.random.default_rng(0), temperature=2.0, k=2, p=0.6)(logits)
    # At temperature 2 the first has 0.47 of all and 0.59 of the first two: the nucleus needs both.
    assert set(drawn.tolist()) == {0, 1}
    assert set(sampler(np.random.default_rng(0), k=2, p=0.6)(logits).tolist()) == {0}
    assert set(sampler(np.random.default_rng(0), 2.0, k=1)(logits).tolist()) == {0}
    assert set(sampler(np.random.default_rng(0), 2.0)(logits).tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: top_k(x, 0), "got k=0"),
        (lambda x: top_p(x, 0.0), "0 < p <= 1: got 0.0"),
        (lambda x: top_p(x, 1.1), "got 1.1"),
        (lambda x: top_p(x, np.nan), "got nan"),
        (lambda x: sample(np.random.default_rng(0), x, -1.0), "at least 0: got -1.0"),
        (lambda x: sample(np.random.default_rng(0), x, np.nan), "got nan"),
        (lambda x: scale(x * np.nan, 1.0), "NaN"),
        (lambda x: greedy(x * np.nan), "NaN"),
        (lambda x: greedy(x + np.inf), "infinity"),
        (lambda x: sample(np.random.default_rng(0), x - np.inf), "no token to choose"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -1.0}, "temperature must be finite and at least 0: got -1.0"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 0.0, "k": 0}, "k must be at least 1: got 0"),
        ({"k": 2.5}, "k must be a whole number: got 2.5"),
        ({"temperature": 0.0, "p": 5.0}, "0 < p <= 1: got 5.0"),
        ({"p": float("nan")}, "0 < p <= 1: got nan"),
    ],
)
def test_a_way_to_choose_that_cannot_be_is_refused_where_it_is_made(wrong, message):
    with pytest.raises(ValueError, match=message):
        sampler(np.random.default_rng(0), **wrong)
