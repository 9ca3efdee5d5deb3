"""NeoBERT on disk: exact round trips, in processes that know the library and in some that don't."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModel, AutoModelForMaskedLM

from groundup.neobert.auto import register_auto_classes
from groundup.neobert.classification import (
    NeoBERTForSequenceClassification,
    NeoBERTForTokenClassification,
)
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel

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
from pathlib import Path
from safetensors.torch import save_file
trust = sys.argv[2] == "without"
if trust:
    sys.modules["groundup"] = None  # importing it now raises
else:
    from groundup.neobert.auto import register_auto_classes
    register_auto_classes()
import transformers
outputs, ids = {}, torch.arange(1, 9).view(2, 4)
for directory in Path(sys.argv[1]).iterdir():
    for name in ("AutoModel", directory.name):
        auto = getattr(transformers, name)
        net = auto.from_pretrained(directory, trust_remote_code=trust).eval()
        with torch.no_grad():
            outputs[f"{directory.name} as {name}"] = net(ids)[0].clone()
        print(type(net).__module__.split(".")[0], type(net).__name__)
save_file(outputs, sys.argv[3])
"""


@pytest.fixture(scope="module")
def all_saved(tmp_path_factory) -> tuple[Path, dict[str, Tensor]]:
    """Each class in a directory of its Auto class's name; and what it and its encoder give."""
    directory = tmp_path_factory.mktemp("all")
    ids, config, expected = torch.arange(1, 9).view(2, 4), model().config, {}
    config.num_labels = 3
    for auto, cls in (
        ("AutoModel", NeoBERTModel),
        ("AutoModelForMaskedLM", NeoBERTForMaskedLM),
        ("AutoModelForSequenceClassification", NeoBERTForSequenceClassification),
        ("AutoModelForTokenClassification", NeoBERTForTokenClassification),
    ):
        net = cls(config).eval()
        net.save_pretrained(directory / auto)
        encoder = net if cls is NeoBERTModel else net.model
        expected[f"{auto} as AutoModel"] = encoder(ids)[0].detach()
        expected[f"{auto} as {auto}"] = net(ids)[0].detach()
    return directory, expected


@pytest.mark.parametrize(
    ("library", "home"), [("with", "groundup"), ("without", "transformers_modules")]
)
def test_rebuilt_in_a_fresh_process(all_saved, run_forked, tmp_path, library, home):
    """Each from its own directory, and the encoder from every one of them."""
    directory, expected = all_saved
    outputs = tmp_path / "outputs.safetensors"
    (tmp_path / "rebuild.py").write_text(_REBUILD)
    (printed,) = run_forked(tmp_path / "rebuild.py", directory, library, outputs)
    lines = printed.splitlines()
    assert len(lines) == 8
    assert all(line.startswith(f"{home} NeoBERT") for line in lines)
    received = load_file(outputs)
    assert received.keys() == expected.keys()
    for name, each in received.items():
        assert torch.equal(each, expected[name]), name


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
    register_auto_classes()
    ids, mask = padded_batch()
    for cls in (NeoBERTForMaskedLM, AutoModelForMaskedLM):
        loaded, report = cls.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(report.values()), report
        assert torch.equal(loaded.eval()(ids, mask).logits, net(ids, mask).logits)
    encoder = AutoModel.from_pretrained(tmp_path).eval()
    assert torch.equal(encoder(ids, mask).last_hidden_state, net.model(ids, mask).last_hidden_state)


def test_a_published_directory_loads_into_a_classifier(tmp_path):
    """A new head on the published encoder; what the directory has beside it is left."""
    net = model()
    net.save_pretrained(tmp_path)
    config = PUBLISHED | SHAPE | {"dim_head": 8}
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded, report = NeoBERTForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert set(report["unexpected_keys"]) == {"decoder.weight", "decoder.bias"}
    assert {key.split(".")[0] for key in report["missing_keys"]} == {"dense", "classifier"}
    ids, mask = padded_batch()
    assert torch.equal(
        loaded.model(ids, mask).last_hidden_state, net.model(ids, mask).last_hidden_state
    )
    saved = tmp_path / "saved"
    loaded.save_pretrained(saved)
    assert {"model.encoder.weight", "classifier.weight"} <= load_file(
        saved / "model.safetensors"
    ).keys()


def test_the_published_configuration_is_the_default(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED))
    loaded, default = NeoBERTConfig.from_pretrained(tmp_path), NeoBERTConfig()
    ours = set(default.to_diff_dict()) | {"head_dim", "norm_eps", "max_length", "pad_token_id"}
    for name in ours - {"transformers_version"}:
        assert getattr(loaded, name) == getattr(default, name), name
    assert (loaded.swiglu_size, loaded.head_dim, loaded.vocab_size) == (2048, 64, 30522)
