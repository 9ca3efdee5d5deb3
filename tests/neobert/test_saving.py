"""NeoBERT on disk: exact round trips, in processes that know the library and in some that don't."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModel, AutoModelForMaskedLM

from groundup.neobert.auto import register
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM

# The published config.json, with the entries that mean nothing to us and must do no harm.
PUBLISHED = {
    "architectures": ["NeoBERTLMHead"],
    "auto_map": {
        "AutoConfig": "model.NeoBERTConfig",
        "AutoModel": "model.NeoBERT",
        "AutoModelForMaskedLM": "model.NeoBERTLMHead",
        "AutoModelForSequenceClassification": "model.NeoBERTForSequenceClassification",
    },
    "classifier_init_range": 0.02,
    "decoder_init_range": 0.02,
    "dim_head": 64,
    "embedding_init_range": 0.02,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "kwargs": {"classifier_init_range": 0.02, "trust_remote_code": True},
    "max_length": 4096,
    "model_type": "neobert",
    "norm_eps": 1e-05,
    "num_attention_heads": 12,
    "num_hidden_layers": 28,
    "pad_token_id": 0,
    "pretrained_model_name_or_path": "google-bert/bert-base-uncased",
    "torch_dtype": "float32",
    "transformers_version": "4.48.2",
    "trust_remote_code": True,
    "vocab_size": 30522,
}


SHAPE = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 64,
    "max_length": 32,
}


def model() -> NeoBERTForMaskedLM:
    torch.manual_seed(0)
    return NeoBERTForMaskedLM(NeoBERTConfig(**SHAPE, initializer_range=0.3)).eval()


def padded_batch() -> tuple[Tensor, Tensor]:
    ids = torch.randint(0, 50, (3, 9), generator=torch.Generator().manual_seed(1))
    return ids, (torch.arange(9) < torch.tensor([[9], [4], [6]])).long()


def fresh(code: str, cwd: Path, *arguments: object) -> str:
    """Run code in a new process, and give back what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={"PATH": "", "HF_HOME": str(cwd / "hf"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[Path, NeoBERTForMaskedLM]:
    directory = tmp_path_factory.mktemp("saved") / "model"
    net = model()
    net.save_pretrained(directory)
    return directory, net


def test_round_trip_is_exact(saved):
    directory, net = saved
    loaded = NeoBERTForMaskedLM.from_pretrained(directory).eval()
    assert loaded.config.to_json_string() == net.config.to_json_string()
    ids, mask = padded_batch()
    assert torch.equal(loaded(ids, mask).logits, net(ids, mask).logits)


def test_saved_file_has_the_published_keys(saved):
    directory, net = saved
    stored = load_file(directory / "model.safetensors")
    assert stored.keys() == net.state_dict().keys()
    assert len(stored) == 4 + 6 * 3


def test_saved_dtype_is_kept(tmp_path):
    model().bfloat16().save_pretrained(tmp_path)
    assert NeoBERTForMaskedLM.from_pretrained(tmp_path).decoder.weight.dtype == torch.bfloat16


_REBUILD = """
import sys, torch
from safetensors.torch import save_file
if sys.argv[2] == "without":
    sys.modules["groundup"] = None  # importing it now raises
from transformers import AutoModel, AutoModelForMaskedLM
if sys.argv[2] == "with":
    from groundup.neobert.auto import register
    register()
trust = {"trust_remote_code": sys.argv[2] == "without"}
ids = torch.arange(1, 9).view(2, 4)
masked = AutoModelForMaskedLM.from_pretrained(sys.argv[1], **trust).eval()
encoder = AutoModel.from_pretrained(sys.argv[1], **trust).eval()
with torch.no_grad():
    outputs = {"logits": masked(ids).logits, "hidden": encoder(ids).last_hidden_state}
save_file(outputs, sys.argv[3])
modules = {type(m).__module__.split(".")[0] for m in (masked, encoder)}
print(*modules, type(encoder).__name__)
"""


@pytest.mark.parametrize(
    ("library", "home"), [("with", "groundup"), ("without", "transformers_modules")]
)
def test_rebuilt_in_a_fresh_process(saved, tmp_path, library, home):
    directory, net = saved
    printed = fresh(_REBUILD, tmp_path, directory, library, tmp_path / "outputs.safetensors")
    assert printed.split() == [home, "NeoBERTModel"]
    outputs = load_file(tmp_path / "outputs.safetensors")
    ids = torch.arange(1, 9).view(2, 4)
    assert torch.equal(outputs["logits"], net(ids).logits)
    assert torch.equal(outputs["hidden"], net.model(ids).last_hidden_state)


def test_auto_map_names_the_classes_that_are_there(saved, tmp_path):
    directory, net = saved
    auto_map = json.loads((directory / "config.json").read_text())["auto_map"]
    assert auto_map == {
        "AutoConfig": "configuration.NeoBERTConfig",
        "AutoModel": "modeling.NeoBERTModel",
        "AutoModelForMaskedLM": "modeling.NeoBERTForMaskedLM",
    }
    net.model.save_pretrained(tmp_path)
    auto_map = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert auto_map.keys() == {"AutoConfig", "AutoModel"}


def test_a_published_directory_loads(tmp_path):
    """Only the weights and the published config.json, whose code is not there."""
    net = model()
    net.save_pretrained(tmp_path)
    config = PUBLISHED | SHAPE | {"dim_head": 8, "initializer_range": 0.3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for source in tmp_path.glob("*.py"):
        source.unlink()
    register()
    ids, mask = padded_batch()
    for cls in (NeoBERTForMaskedLM, AutoModelForMaskedLM):
        loaded, report = cls.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(report.values()), report
        assert torch.equal(loaded.eval()(ids, mask).logits, net(ids, mask).logits)
    encoder = AutoModel.from_pretrained(tmp_path).eval()
    assert torch.equal(encoder(ids, mask).last_hidden_state, net.model(ids, mask).last_hidden_state)


def test_the_published_configuration_is_the_default(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED))
    loaded, default = NeoBERTConfig.from_pretrained(tmp_path), NeoBERTConfig()
    ours = set(default.to_diff_dict()) | {"head_dim", "norm_eps", "max_length", "pad_token_id"}
    for name in ours - {"transformers_version"}:
        assert getattr(loaded, name) == getattr(default, name), name
    assert (loaded.swiglu_size, loaded.head_dim, loaded.vocab_size) == (2048, 64, 30522)
