"""InfoNCE: its closed form, torch's cross-entropy, its gradient by formula and by differences."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.embed.losses import info_nce

shapes = given(
    own=st.integers(1, 5),
    before=st.integers(0, 4),
    after=st.integers(0, 4),
    width=st.integers(2, 6),
    temperature=st.sampled_from([0.02, 0.05, 0.5, 1.0, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)
fast = settings(max_examples=40, deadline=None)


def draw(own: int, before: int, after: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(own, width)), rng.normal(size=(before + own + after, width))


def closed_form(q: np.ndarray, d: np.ndarray, temperature: float, offset: int) -> float:
    """The definition, one query and one document at a time."""
    total = 0.0
    for i, query in enumerate(q):
        cosines = [query @ x / math.sqrt(query @ query) / math.sqrt(x @ x) for x in d]
        top = max(cosines)
        log_sum = math.log(sum(math.exp((c - top) / temperature) for c in cosines))
        total -= (cosines[offset + i] - top) / temperature - log_sum
    return total / len(q)


@fast
@shapes
def test_the_definition(own, before, after, width, temperature, seed):
    q, d = draw(own, before, after, width, seed)
    received = float(info_nce(torch.tensor(q), torch.tensor(d), temperature, before))
    assert received == pytest.approx(closed_form(q, d, temperature, before), rel=1e-12, abs=1e-13)


@fast
@shapes
def test_torch_cross_entropy_and_its_gradient(own, before, after, width, temperature, seed):
    arrays = [torch.tensor(x) for x in draw(own, before, after, width, seed)]
    ours = [x.clone().requires_grad_() for x in arrays]
    theirs = [x.clone().requires_grad_() for x in arrays]
    received = info_nce(*ours, temperature, before)
    cosines = F.cosine_similarity(theirs[0][:, None], theirs[1][None], dim=-1)
    expected = F.cross_entropy(cosines / temperature, torch.arange(own) + before)
    torch.testing.assert_close(received, expected, rtol=1e-12, atol=1e-12)
    received.backward()
    expected.backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-11)


@fast
@shapes
def test_the_derived_gradient(own, before, after, width, temperature, seed):
    """(p − y) / (b τ) on each cosine, and (other − cosine · self) / length from there."""
    q, d = draw(own, before, after, width, seed)
    tensors = [torch.tensor(x, requires_grad=True) for x in (q, d)]
    info_nce(*tensors, temperature, before).backward()

    lengths_q, lengths_d = (np.linalg.norm(x, axis=1, keepdims=True) for x in (q, d))
    unit_q, unit_d = q / lengths_q, d / lengths_d
    cosines = unit_q @ unit_d.T
    p = np.exp((cosines - cosines.max(1, keepdims=True)) / temperature)
    p /= p.sum(1, keepdims=True)
    y = np.eye(len(d))[before : before + own]
    g = (p - y) / (own * temperature)
    dq = (g @ unit_d - (g * cosines).sum(1, keepdims=True) * unit_q) / lengths_q
    dd = (g.T @ unit_q - (g * cosines).sum(0)[:, None] * unit_d) / lengths_d
    np.testing.assert_allclose(tensors[0].grad, dq, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(tensors[1].grad, dd, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("offset", [0, 2])
def test_finite_differences(offset):
    q, d = (torch.tensor(x, requires_grad=True) for x in draw(3, 2, 1, 4, 0))
    assert torch.autograd.gradcheck(lambda a, b: info_nce(a, b, 0.3, offset), (q, d))


@fast
@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_lengths_do_not_matter(factor, seed):
    q, d = (torch.tensor(x) for x in draw(3, 0, 2, 4, seed))
    torch.testing.assert_close(info_nce(q * factor, d / factor), info_nce(q, d), rtol=1e-10, atol=0)


def test_ignorance_costs_log_of_the_documents():
    same = torch.ones(4, 3, dtype=torch.float64)
    assert float(info_nce(same, same)) == pytest.approx(math.log(4))


def test_a_batch_of_one_teaches_nothing():
    q, d = torch.randn(1, 3, requires_grad=True), torch.randn(1, 3)
    loss = info_nce(q, d)
    loss.backward()
    assert loss.item() == 0
    assert q.grad is not None
    assert float(q.grad.abs().max()) == 0


def test_small_temperatures_stay_finite():
    q = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    loss = info_nce(q, torch.tensor([[-1.0, 0.0], [0.0, -1.0]]), 1e-4)
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert q.grad is not None
    assert bool(q.grad.isfinite().all())


def test_a_wrong_offset_is_another_loss():
    q, d = (torch.tensor(x) for x in draw(3, 3, 0, 4, 0))
    assert abs(float(info_nce(q, d, 0.05, 0) - info_nce(q, d, 0.05, 3))) > 0.1


@pytest.mark.parametrize(("documents", "offset"), [(2, 0), (4, 2)])
def test_missing_documents_are_named(documents, offset):
    with pytest.raises(ValueError, match=f"3 queries from row {offset}.*got {documents}"):
        info_nce(torch.randn(3, 2), torch.randn(documents, 2), offset=offset)
