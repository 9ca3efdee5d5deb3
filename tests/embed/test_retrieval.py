"""Evaluation: mteb and scikit-learn against the closed form, BM25 by hand, the bootstrap."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.embed.retrieval import (
    RetrievalTask,
    bm25,
    evaluate_retrieval,
    paired_bootstrap,
    retrieval_metrics,
)
from groundup.lab.errors import UserError


@settings(max_examples=40, deadline=None)
@given(queries=st.integers(1, 30), more=st.integers(0, 15), seed=st.integers(0, 2**32 - 1))
def test_ndcg_is_scikit_learns(queries, more, seed):
    from sklearn.metrics import ndcg_score

    scores = np.random.default_rng(seed).normal(size=(queries, queries + more)).astype(np.float32)
    result = retrieval_metrics(scores)
    if queries + more > 1:  # scikit-learn refuses a single document
        right = np.eye(queries, queries + more)
        assert result.ndcg == pytest.approx(ndcg_score(right, scores, k=10), abs=1e-9)
    top = np.argsort(-scores, axis=1)[:, :10]
    found = [i in row for i, row in enumerate(top)]
    assert result.recall == pytest.approx(np.mean(found))
    assert result.ndcg == pytest.approx(result.per_query.mean())


def test_ranks_by_hand():
    scores = np.array([[3, 1, 2], [3, 1, 2], [2, 3, 1]], np.float32)  # ranks 1, 3, 3
    result = retrieval_metrics(scores)
    np.testing.assert_allclose(result.per_query, [1, 1 / math.log2(4), 1 / math.log2(4)])
    assert result.recall == 1


def test_rank_ten_counts_and_eleven_does_not():
    scores = np.tile(np.arange(12, 0, -1, dtype=np.float32), (12, 1))  # query i at rank i + 1
    result = retrieval_metrics(scores)
    assert result.recall == pytest.approx(10 / 12)
    assert result.per_query[9] == pytest.approx(1 / math.log2(11))
    assert result.per_query[10] == 0


@pytest.mark.parametrize("constant", [0.0, 1.0, np.nan])
def test_a_constant_score_earns_nothing(constant):
    result = retrieval_metrics(np.full((20, 20), constant, np.float32))
    assert result.ndcg == result.recall == 0


def test_mteb_agrees_on_the_same_vectors(encoder, pairs):
    task = RetrievalTask.from_pairs(pairs)
    result = evaluate_retrieval(encoder, task, 40)
    scores = encoder.encode(task.queries, 40) @ encoder.encode(task.documents, 40).T
    ours = retrieval_metrics(scores)
    assert 0 < ours.recall < 1  # a task that a random encoder neither fails nor solves
    assert result.ndcg == pytest.approx(ours.ndcg, abs=1e-4)  # mteb rounds to five digits
    assert result.recall == pytest.approx(ours.recall, abs=1e-4)
    np.testing.assert_allclose(result.per_query, ours.per_query)


def test_mteb_scores_two_models_of_one_name_apart(encoder, causal, pairs):
    task = RetrievalTask.from_pairs(pairs)
    assert evaluate_retrieval(encoder, task, 40).ndcg != evaluate_retrieval(causal, task, 40).ndcg


def test_bm25_by_hand():
    documents = ["alpha beta beta", "alpha gamma", "gamma gamma gamma delta"]
    queries = ["beta alpha", "alpha gamma", "delta"]
    words = [text.split() for text in documents]
    mean = sum(map(len, words)) / 3

    def score(query: str, i: int) -> float:
        total = 0.0
        for word in query.split():
            n = sum(word in text for text in words)
            tf = words[i].count(word)
            idf = math.log(1 + (3 - n + 0.5) / (n + 0.5))
            total += idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * len(words[i]) / mean))
        return total

    scores = np.array([[score(q, i) for i in range(3)] for q in queries], np.float32)
    expected = retrieval_metrics(scores)
    received = bm25(RetrievalTask(queries, documents))
    np.testing.assert_allclose(received.per_query, expected.per_query)

    import bm25s

    retriever = bm25s.BM25()  # and the scores themselves, not the ranks alone
    retriever.index(
        bm25s.tokenize(documents, stopwords=None, show_progress=False), show_progress=False
    )
    for i, query in enumerate(queries):
        np.testing.assert_allclose(retriever.get_scores(query.split()), scores[i], rtol=1e-5)


def test_bm25_folds_case_cuts_identifiers_and_leaves_out_stop_words():
    documents = ["the of and", "get_value", "readFile of HTTP2", "something else"]
    queries = ["GETTING the of", "Value", "file", "the else of"]
    result = bm25(RetrievalTask(queries, documents))
    assert result.per_query[0] == pytest.approx(1 / math.log2(5))  # no word is known: all tie
    np.testing.assert_allclose(result.per_query[1:], 1)


def test_no_pairs_is_named():
    with pytest.raises(UserError, match="at least one pair"):
        RetrievalTask.from_pairs([])


def test_bootstrap_of_a_constant_difference_has_no_width():
    rng = np.random.default_rng(0)
    scores = rng.random(50)
    mean, low, high = paired_bootstrap(scores + 0.25, scores, rng, draws=200)
    assert mean == pytest.approx(0.25)
    assert low == pytest.approx(0.25)
    assert high == pytest.approx(0.25)


def test_bootstrap_is_paired_and_near_the_normal_interval():
    rng = np.random.default_rng(0)
    theirs = 10 * rng.normal(size=400)  # queries differ far more than the systems
    ours = theirs + rng.normal(0.1, 1, size=400)
    mean, low, high = paired_bootstrap(ours, theirs, rng, draws=4000)
    error = (ours - theirs).std() / 20
    assert mean == pytest.approx((ours - theirs).mean())
    assert low == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.15 * error)
    _, narrow_low, narrow_high = paired_bootstrap(ours, theirs, rng, draws=4000, confidence=0.5)
    assert low < narrow_low < mean < narrow_high < high


def test_bootstrap_repeats_and_refuses():
    a, b = np.random.default_rng(1).random((2, 30))
    first, again = (paired_bootstrap(a, b, np.random.default_rng(2), draws=100) for _ in range(2))
    assert first == again
    with pytest.raises(ValueError, match=r"\(30,\) and \(29,\)"):
        paired_bootstrap(a, b[1:], np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\(0,\)"):
        paired_bootstrap(a[:0], b[:0], np.random.default_rng(0))
