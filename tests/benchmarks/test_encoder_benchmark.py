"""The encoder's benchmark counts right."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("encoder_models")
    sys.modules.pop("encoder_models", None)


def test_operations_are_counted_as_torch_counts_them(models):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    size = models.Size(width=32, layers=2, heads=2, inner=96, vocabulary=50, longest=64)
    encoder = models.neobert(size)
    encoder.set_attn_implementation("eager")  # whose products are all in the open
    decoder = torch.nn.Linear(32, 50, bias=False)
    batch = models.uniform(3, 16, 50)
    with FlopCounterMode(display=False) as counter:
        hidden = encoder(**batch.unmasked("cpu")).last_hidden_state.flatten(0, 1)
        decoder(hidden[::5]).sum().backward()
    expected = size.training_flops(48, batch.seen(), 10)
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-9)


def test_the_models_are_of_one_size(models):
    size = models.Size(width=32, layers=2, heads=2, inner=96, vocabulary=50, longest=64)
    counts = {
        name: sum(p.numel() for p in make(size).parameters())
        for name, make in models.MODELS.items()
    }
    assert counts[models.OURS] == counts[models.MODERN]
    maps = sum(p.numel() for p in models.Products(size).maps.parameters())
    assert maps == 2 * size.block_parameters


def test_half_of_a_ragged_batch_is_padding(models):
    batch = models.ragged(64, 128, 50)
    assert max(batch.lengths) == 128
    assert batch.mask.float().mean() == pytest.approx(0.5, abs=0.03)
    packed = batch.packed("cpu")
    assert packed["input_ids"].tolist()[0] == batch.ids[batch.mask.bool()].tolist()
    assert packed["cu_seqlens"].diff().tolist() == batch.lengths
