"""The benchmark's ablations: each takes out what it says, with the gradient that it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from groundup.scratch import attention
from groundup.scratch.activations import softmax
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.loss import cross_entropy
from groundup.scratch.tasks.digits import make_splits
from groundup.scratch.trainer import loss_and_gradients

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "digits_ablations.py"
TINY = EncoderConfig(width=4, heads=2, layers=2, hidden=4)


@pytest.fixture(scope="module")
def ablations():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ABLATIONS


@pytest.fixture(scope="module")
def batch():
    return make_splits(np.random.default_rng(0)).train.take(np.arange(4))


def _model():
    model = Encoder.create(TINY, np.random.default_rng(0), np.float64)
    for name, value in model.params.items():  # biases, too, are to matter
        if value.ndim == 1:
            value += 0.1 * np.random.default_rng(len(name)).normal(size=value.shape)
    return model


EXACT = (
    "whole model",
    "without the scale 1/√K",
    "without residuals",
    "without norms",
    "without positions",
)
WRONG = ("softmax gradient without its sum: ds = p ⊙ dp", "softmax gradient left out: ds = dp")
LOOKED_AT = ("embedding", "layers.0.wqkv", "layers.0.bo", "layers.1.wqkv", "layers.1.w1")


def _errors(batch):
    """Each looked-at gradient's relative error, against central differences."""
    model = _model()
    _, grads = loss_and_gradients(model, batch)

    def loss():
        return cross_entropy(model.forward(batch.ids, batch.mask)[0], batch.answers)[0]

    return {
        name: compare(name, grads[name], numerical_gradient(loss, model.params[name])).relative
        for name in LOOKED_AT
    }


def test_every_ablation_is_tested(ablations):
    assert set(ablations) == {*EXACT, *WRONG}


@pytest.mark.parametrize("name", EXACT)
def test_the_backward_pass_is_that_of_the_changed_forward_pass(name, ablations, batch):
    with ablations[name]():
        errors = _errors(batch)
    assert max(errors.values()) < 1e-7, errors


@pytest.mark.parametrize("name", WRONG)
def test_a_changed_jacobian_changes_the_gradient_alone(name, ablations, batch):
    logits, _ = _model().forward(batch.ids, batch.mask)
    with ablations[name]():
        errors = _errors(batch)
        assert (_model().forward(batch.ids, batch.mask)[0] == logits).all()
    assert errors["layers.0.wqkv"] > 0.01
    assert errors["layers.1.wqkv"] > 0.01
    assert errors["layers.1.w1"] < 1e-7  # behind the attention, the gradient is right


@pytest.mark.parametrize("name", EXACT[1:])
def test_an_ablation_changes_the_model_and_ends_with_its_context(name, ablations, batch):
    before, _ = _model().forward(batch.ids, batch.mask)
    with ablations[name]():
        inside, _ = _model().forward(batch.ids, batch.mask)
    assert np.abs(inside - before).max() > 1e-3
    assert (_model().forward(batch.ids, batch.mask)[0] == before).all()


def test_without_the_scale_the_scores_are_plain_products(ablations):
    q, k, v = np.random.default_rng(0).normal(size=(3, 5, 4))
    with ablations["without the scale 1/√K"]():
        y, _ = attention.attention(q, k, v)
    np.testing.assert_allclose(y, softmax(q @ k.T) @ v, rtol=1e-12)


def test_without_positions_the_order_of_the_digits_is_lost(ablations, batch):
    swapped = batch.ids.copy()
    swapped[:, [2, 4]] = swapped[:, [4, 2]]
    assert (swapped != batch.ids).any()
    with ablations["without positions"]():
        one, other = (_model().forward(ids, batch.mask)[0] for ids in (batch.ids, swapped))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_without_residuals_and_values_nothing_of_the_input_is_left(ablations, batch):
    # Each sublayer replaces what it read: cut one, and the answer is the same for all.
    with ablations["without residuals"]():
        model = _model()
        model.params["layers.0.w2"][...] = 0
        logits, _ = model.forward(batch.ids, batch.mask)
    np.testing.assert_allclose(logits, np.broadcast_to(logits[0], logits.shape), atol=1e-12)


def test_without_norms_the_sums_are_not_scaled(ablations, batch):
    with ablations["without norms"]():
        model = _model()
        plain, _ = model.forward(batch.ids, batch.mask)
        for name, value in model.params.items():
            if "norm" in name:
                value *= 3
        assert (model.forward(batch.ids, batch.mask)[0] == plain).all()
