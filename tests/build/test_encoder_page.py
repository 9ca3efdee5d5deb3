"""The page of the encoder's benchmark says what its JSON says; the benchmark counts right."""

import importlib
import json
import sys
from pathlib import Path

import pytest
from encoder_page import RESULTS, encoder_page

ROOT = Path(__file__).resolve().parents[2]


def _row(kind: str, model: str, speed: int, **more: float) -> dict[str, object]:
    return {
        "kind": kind,
        "model": model,
        "parameters": 13_767_552,
        "seconds": 0.5,
        "tokens_per_second": speed,
        **more,
    }


def _result() -> dict[str, object]:
    ragged = [
        _row(kind, f"NeoBERT, {form}", speed)
        for kind in ("forward", "training step")
        for form, speed in (("packed", 1900), ("with a mask", 1800), ("padding computed", 1000))
    ]
    uniform = [
        _row("forward", "NeoBERT", 3000),
        _row("training step", "NeoBERT", 1234, utilisation=0.41),
    ]
    return {
        "date": "2026-01-31",
        "machine": {
            "device": "Some processor",
            "cores": 2,
            "threads": 2,
            "precision": "float32",
            "torch": "2.13.0",
            "transformers": "5.1.0",
        },
        "size": {"width": 384, "layers": 6, "heads": 6, "vocabulary": 8192},
        "compiled": False,
        "uniform": [{"rows_of_batch": 8, "length": 256, "padding": 0.0, "rows": uniform}],
        "ragged": [{"rows_of_batch": 16, "length": 256, "padding": 0.5, "rows": ragged}],
        "memory": [{"length": 4096, "mebibytes": {"NeoBERT": 1234.5, "BERT": 2000.0}}],
    }


def test_without_a_result_there_is_no_page(tmp_path: Path):
    assert encoder_page(tmp_path) is None


def test_the_page(tmp_path: Path):
    folder = tmp_path / RESULTS
    folder.mkdir(parents=True)
    (folder / "encoder-cpu.json").write_text(json.dumps(_result()))
    page = encoder_page(tmp_path)
    assert page is not None
    assert "## Some processor" in page
    assert "| NeoBERT | 13,767,552 | 3,000 | 1,234 (41% of peak) |" in page
    assert "1.90 times as fast in a forward pass and 1.90 times as fast in a training step" in page
    assert "Leaving out 50% of the places could give 2.00" in page
    assert "| 4,096 | 1,234 MiB | 2,000 MiB |" in page
    assert "2026-01-31" in page


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
