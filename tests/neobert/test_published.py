"""Directories as NeoBERT is published: a file of weights, and a config.json that isn't ours."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from groundup.course import clone
from groundup.neobert.auto import register_auto_classes
from groundup.neobert.classification import NeoBERTForSequenceClassification
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel

# config.json as the hub has it: with the names of classes and of arguments that we do not have.
ON_THE_HUB = {
    "architectures": ["NeoBERTLMHead"],
    "auto_map": {
        "AutoConfig": "model.NeoBERTConfig",
        "AutoModel": "model.NeoBERT",
        "AutoModelForMaskedLM": "model.NeoBERTLMHead",
        "AutoModelForSequenceClassification": "model.NeoBERTForSequenceClassification",
    },
    "classifier_init_range": 0.02,
    "decoder_init_range": 0.02,
    "embedding_init_range": 0.02,
    "kwargs": {"classifier_init_range": 0.02, "pretrained_model_name_or_path": "bert-base-uncased"},
    "model_type": "neobert",
    "norm_eps": 1e-5,
    "pad_token_id": 0,
    "torch_dtype": "float32",
    "transformers_version": "4.48.2",
}
# Sizes that fit a test; F = int(2·64/3) up to a multiple of 8.
V, D, L, H, F = 60, 24, 2, 3, 48
SIZES = {
    "dim_head": D // H,
    "hidden_size": D,
    "intermediate_size": 64,
    "max_length": 4096,
    "num_attention_heads": H,
    "num_hidden_layers": L,
    "vocab_size": V,
}


def shapes() -> dict[str, tuple[int, ...]]:
    """The published keys, by hand, at the sizes above."""
    found: dict[str, tuple[int, ...]] = {
        "model.encoder.weight": (V, D),
        "model.layer_norm.weight": (D,),
        "decoder.weight": (V, D),
        "decoder.bias": (V,),
    }
    for i in range(L):
        layer = f"model.transformer_encoder.{i}"
        found |= {
            f"{layer}.qkv.weight": (3 * D, D),
            f"{layer}.wo.weight": (D, D),
            f"{layer}.ffn.w12.weight": (2 * F, D),
            f"{layer}.ffn.w3.weight": (D, F),
            f"{layer}.attention_norm.weight": (D,),
            f"{layer}.ffn_norm.weight": (D,),
        }
    return found


HEAD = {
    "dense.weight": (D, D),
    "dense.bias": (D,),
    "classifier.weight": (2, D),
    "classifier.bias": (2,),
}


def write(
    directory: Path, keys: dict[str, tuple[int, ...]], **changes: object
) -> dict[str, Tensor]:
    """A published directory with random weights of these keys; the weights."""
    register_auto_classes()
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=generator) for name, shape in keys.items()}
    directory.mkdir(parents=True, exist_ok=True)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(ON_THE_HUB | SIZES | changes))
    return weights


def equal(received: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert received.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(received[name], tensor), name


def test_a_published_file_loads_and_is_saved_back(tmp_path):
    weights = write(tmp_path / "hub", shapes())
    net, report = AutoModelForMaskedLM.from_pretrained(tmp_path / "hub", output_loading_info=True)
    assert isinstance(net, NeoBERTForMaskedLM)
    assert not any(report.values()), report
    equal(net.state_dict(), weights)
    net.save_pretrained(tmp_path / "back")
    equal(load_file(tmp_path / "back" / "model.safetensors"), weights)


def test_the_encoder_of_a_published_file(tmp_path):
    weights = write(tmp_path / "hub", shapes())
    net, report = AutoModel.from_pretrained(tmp_path / "hub", output_loading_info=True)
    assert isinstance(net, NeoBERTModel)
    assert not report["missing_keys"]
    assert set(report["unexpected_keys"]) == {"decoder.weight", "decoder.bias"}
    mine = {name.removeprefix("model."): t for name, t in weights.items() if "decoder" not in name}
    equal(net.state_dict(), mine)


def test_a_published_classifier_loads_and_is_saved_back(tmp_path):
    keys = {name: shape for name, shape in shapes().items() if "decoder" not in name} | HEAD
    weights = write(tmp_path / "hub", keys, architectures=["NeoBERTForSequenceClassification"])
    auto = AutoModelForSequenceClassification
    net, report = auto.from_pretrained(tmp_path / "hub", output_loading_info=True)
    assert isinstance(net, NeoBERTForSequenceClassification)
    assert not any(report.values()), report
    net.save_pretrained(tmp_path / "back")
    equal(load_file(tmp_path / "back" / "model.safetensors"), weights)


def test_a_classifier_on_a_published_encoder_has_a_fresh_head(tmp_path):
    write(tmp_path / "hub", shapes())
    auto = AutoModelForSequenceClassification
    net, report = auto.from_pretrained(tmp_path / "hub", num_labels=3, output_loading_info=True)
    assert set(report["missing_keys"]) == HEAD.keys()
    assert set(report["unexpected_keys"]) == {"decoder.weight", "decoder.bias"}
    assert net.classifier.weight.shape == (3, D)
    assert 0 < net.classifier.weight.abs().max() < 0.1
    assert not net.classifier.bias.any()


@pytest.mark.parametrize(("eps", "length"), [(1e-5, 4096), (1e-6, 1024)])
def test_eps_and_length_are_those_of_the_file(tmp_path, eps, length):
    """The original class has other defaults than the configuration that is published with it."""
    write(tmp_path, shapes(), norm_eps=eps, max_length=length)
    net = AutoModel.from_pretrained(tmp_path)
    norms = [module.eps for name, module in net.named_modules() if name.endswith("norm")]
    assert norms == [eps] * (2 * L + 1)
    net(torch.ones(1, length, dtype=torch.long), torch.arange(length)[None] < length)
    with pytest.raises(ValueError, match=f"max_length={length} tokens: got {length + 1}"):
        net(torch.ones(1, length + 1, dtype=torch.long))


def test_a_saved_configuration_keeps_the_sizes(tmp_path):
    write(tmp_path / "hub", shapes())
    AutoModelForMaskedLM.from_pretrained(tmp_path / "hub").save_pretrained(tmp_path / "back")
    saved = json.loads((tmp_path / "back" / "config.json").read_text())
    for name in ("hidden_size", "intermediate_size", "norm_eps", "max_length", "pad_token_id"):
        assert saved[name] == (ON_THE_HUB | SIZES)[name]
    assert saved["architectures"] == ["NeoBERTForMaskedLM"]
    assert AutoConfig.from_pretrained(tmp_path / "back").swiglu_size == F


# The real weights, where they are at hand.


@pytest.fixture(scope="module")
def published() -> Path:
    register_auto_classes()
    named = os.environ.get("GROUNDUP_NEOBERT")
    directory = Path(named) if named else clone.root() / "assets" / "NeoBERT"
    if not (directory / "model.safetensors").is_file():
        pytest.skip(
            "the published weights are not here: put chandar-lab/NeoBERT into assets/NeoBERT, or "
            f"name its directory in GROUNDUP_NEOBERT (looked in {directory})"
        )
    return directory


def test_the_published_file_has_the_keys(published):
    with safe_open(published / "model.safetensors", "pt") as file:
        keys = set(file.keys())
    with torch.device("meta"):
        expected = NeoBERTForMaskedLM(AutoConfig.from_pretrained(published)).state_dict()
    assert len(keys) == 172
    assert keys == expected.keys()


def test_the_published_model_knows_two_capitals(published):
    tokenizer = AutoTokenizer.from_pretrained(published, trust_remote_code=False)
    assert tokenizer("hello world")["input_ids"] == [101, 7592, 2088, 102]
    net, report = NeoBERTForMaskedLM.from_pretrained(
        published, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values()), report
    for sentence, answer in (
        ("The capital of France is [MASK].", "paris"),
        ("Paris is the capital of [MASK].", "france"),
    ):
        ids = tokenizer(sentence, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = net.eval()(ids).logits[ids == tokenizer.mask_token_id]
        assert tokenizer.decode(logits.argmax(-1)) == answer
