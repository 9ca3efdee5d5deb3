"""Writing: the loop anyone would write, exhaustive search, and the cache."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.scratch.activations import softmax
from groundup.scratch.decoder import Decoder, DecoderConfig
from groundup.scratch.generate import beam_search, generate
from groundup.scratch.sampling import greedy, sampler

slower = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 2**32 - 1)
CONFIG = DecoderConfig(vocabulary=4, width=4, heads=2, layers=2, hidden=4, max_length=9)
END = 2  # not 0, which fills up the rows that have ended


def _model(seed):
    rng = np.random.default_rng(seed)
    model = Decoder.create(CONFIG, rng, np.float64)
    for value in model.params.values():
        value += 0.7 * rng.normal(size=value.shape)
    return model


prompts = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=3)


@slower
@given(seed=seeds, some=prompts, new=st.integers(1, 5))
def test_greedy_is_the_loop_anyone_would_write(seed, some, new):
    model = _model(seed)
    for prompt, written in zip(some, generate(model, some, greedy, new, {END}), strict=True):
        text = list(prompt)
        while len(text) < len(prompt) + new:
            text.append(int(model.forward(np.array([text]))[0][0, -1].argmax()))
            if text[-1] == END:
                break
        assert written == text[len(prompt) :]


STRATEGIES = {
    "greedy": {},
    "temperature": {"temperature": 1.3},
    "top-k": {"k": 2},
    "top-p": {"p": 0.8},
    "all": {"temperature": 0.8, "k": 3, "p": 0.9},
}


@pytest.mark.parametrize("name", STRATEGIES)
@slower
@given(seed=seeds, some=prompts)
def test_the_cache_changes_nothing(name, seed, some):
    model = _model(seed)
    texts = []
    for cached in (True, False):
        rng = np.random.default_rng(seed)
        choose = greedy if name == "greedy" else sampler(rng, **STRATEGIES[name])
        texts.append(generate(model, some, choose, 6, {END}, cached))
    assert texts[0] == texts[1]


@slower
@given(seed=seeds, some=prompts, power=st.sampled_from([0.0, 1.0]))
def test_the_cache_changes_no_beam(seed, some, power):
    model = _model(seed)
    both = [beam_search(model, some, 3, 5, {END}, power, cached) for cached in (True, False)]
    for ours, theirs in zip(*both, strict=True):
        assert [h.ids for h in ours] == [h.ids for h in theirs]
        np.testing.assert_allclose([h.score for h in ours], [h.score for h in theirs], rtol=1e-11)


@slower
@given(seed=seeds, some=prompts, new=st.integers(1, 5), power=st.sampled_from([0.0, 0.6, 1.0]))
def test_a_beam_of_one_is_greedy(seed, some, new, power):
    model = _model(seed)
    found = beam_search(model, some, 1, new, {END}, power)
    assert [h.ids for (h,) in found] == generate(model, some, greedy, new, {END})


def _every_text(model, prompt, new, power):
    """All texts there are, with log p from a full pass over each; the best first."""
    texts = []
    for n in range(1, new + 1):
        for ids in itertools.product(range(4), repeat=n):
            if END in ids[:-1] or (n < new and ids[-1] != END):
                continue
            logits = model.forward(np.array([[*prompt, *ids]]))[0][0, len(prompt) - 1 : -1]
            log_p = np.log(softmax(logits))[np.arange(n), list(ids)].sum()
            texts.append((log_p / n**power, log_p, list(ids)))
    return sorted(texts, reverse=True)


@settings(max_examples=6, deadline=None)
@given(seed=seeds, some=prompts, new=st.integers(1, 3), power=st.sampled_from([0.0, 0.6, 1.0]))
def test_a_wide_beam_is_exhaustive_search(seed, some, new, power):
    model = _model(seed)
    found = beam_search(model, some, 100, new, {END}, power)
    for prompt, hypotheses in zip(some, found, strict=True):
        expected = _every_text(model, prompt, new, power)
        assert [h.ids for h in hypotheses] == [ids for _, _, ids in expected]
        got = [(h.score, h.log_probability) for h in hypotheses]
        np.testing.assert_allclose(got, [text[:2] for text in expected], rtol=1e-10)


def test_a_row_does_not_depend_on_its_neighbours():
    model = _model(1)
    some = [[1, 2, 3], [2], [3, 3]]
    together = generate(model, some, greedy, 6, {END})
    assert together == [generate(model, [p], greedy, 6, {END})[0] for p in some]
    beams = beam_search(model, some, 3, 6, {END})
    assert [[h.ids for h in beam] for beam in beams] == [
        [h.ids for h in beam_search(model, [p], 3, 6, {END})[0]] for p in some
    ]


def test_any_stop_token_ends_a_row():
    model = _model(2)
    free = generate(model, [[1], [2, 3]], greedy, 7)
    assert [len(row) for row in free] == [7, 7]
    for stop in ({free[0][0]}, {free[0][-1], free[1][0]}):
        cut = generate(model, [[1], [2, 3]], greedy, 7, stop)
        for row, whole in zip(cut, free, strict=True):
            at = next((i for i, token in enumerate(whole) if token in stop), 6)
            assert row == whole[: at + 1]


def test_the_same_seed_writes_the_same_text():
    model = _model(3)
    texts = [generate(model, [[1]], sampler(np.random.default_rng(seed)), 9) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("some", "new", "message"),
    [
        ([], 1, "at least one prompt"),
        ([[1], []], 1, r"lengths \[1, 0\]"),
        ([[1]], 0, "0 new"),
        ([[1], [1, 2]], 9, "prompt of 2 tokens and 9 new ones do not fit into max_length = 9"),
        ([[4]], 1, r"\[0, 4\)"),
    ],
)
def test_what_cannot_be_written_is_named(some, new, message):
    with pytest.raises(ValueError, match=message):
        generate(_model(0), some, greedy, new)
    with pytest.raises(ValueError, match=message):
        beam_search(_model(0), some, 2, new)


def test_the_last_token_needs_no_room():
    assert len(generate(_model(0), [[1, 2]], greedy, 8)[0]) == 8


def test_a_beam_without_width_is_named():
    with pytest.raises(ValueError, match="got width=0"):
        beam_search(_model(0), [[1]], 0, 1)


def test_a_model_that_broke_is_named():
    model = _model(0)
    model.params["norm.gamma"][0] = np.nan
    for write in (
        lambda: generate(model, [[1]], greedy, 1),
        lambda: generate(model, [[1]], sampler(np.random.default_rng(0)), 1),
        lambda: beam_search(model, [[1]], 2, 1),
    ):
        with pytest.raises(ValueError, match="NaN"):
            write()
