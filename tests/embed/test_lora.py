"""LoRA through PEFT: what gets adapters, what trains, and exact merging."""

import copy

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_models import tiny_bert

from groundup.embed.encoder import SentenceEncoder
from groundup.embed.lora import LoraSettings, add_lora, merge_lora
from groundup.embed.objective import ContrastiveObjective
from groundup.embed.train import load_config
from groundup.lab.errors import UserError
from groundup.lab.files import write_json
from groundup.train.loop import fit


def test_fresh_adapters_change_nothing(encoder, pairs):
    texts = [query for query, _ in pairs]
    before = encoder.encode(texts)
    add_lora(encoder, LoraSettings(rank=2))
    np.testing.assert_array_equal(encoder.encode(texts), before)


def test_only_adapters_and_token_weights_train_and_merging_is_exact(encoder, pairs, config):
    texts = [query for query, _ in pairs]
    frozen = {name: p.detach().clone() for name, p in encoder.backbone.named_parameters()}
    before = encoder.encode(texts)
    add_lora(encoder, LoraSettings(rank=2, alpha=8))
    trained = {name for name, p in encoder.named_parameters() if p.requires_grad}
    # 2 layers × 4 maps × (A, B), and the token weights
    assert len(trained) == 2 * 4 * 2 + 1
    assert all("lora_" in name or name == "token_weights" for name in trained)
    expected = sum(
        2 * sum(p.shape) for n, p in frozen.items() if p.dim() == 2 and n != "encoder.weight"
    )
    count = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    assert count == expected + len(encoder.token_weights)

    fit(encoder, ContrastiveObjective(pairs, encoder, config), config.loop)
    unmerged = encoder.encode(texts)
    assert np.abs(unmerged - before).max() > 1e-2
    held = dict(encoder.backbone.named_parameters())
    for name, value in frozen.items():
        plain = f"base_model.model.{name}"
        wrapped = plain.replace(".weight", ".base_layer.weight")
        torch.testing.assert_close(held.get(plain, held.get(wrapped)), value, rtol=0, atol=0)

    merge_lora(encoder)
    names = {name for name, _ in encoder.backbone.named_parameters()}
    assert names == set(frozen)
    np.testing.assert_allclose(encoder.encode(texts), unmerged, atol=1e-5)


def test_merged_weight_is_base_plus_scaled_product(encoder):
    add_lora(encoder, LoraSettings(rank=2, alpha=6, targets=("wo",)))
    layer = encoder.backbone.base_model.model.transformer_encoder[0].wo
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    base, a, b = (
        w.detach().clone()
        for w in (
            layer.base_layer.weight,
            layer.lora_A["default"].weight,
            layer.lora_B["default"].weight,
        )
    )
    merge_lora(encoder)
    merged = encoder.backbone.transformer_encoder[0].wo.weight
    torch.testing.assert_close(merged, base + 6 / 2 * b @ a)


def test_train_also_names_more_parameters(encoder):
    add_lora(encoder, LoraSettings(rank=2, train_also=()))
    assert not encoder.token_weights.requires_grad


@pytest.mark.parametrize(
    "wrong", [{"rank": 0}, {"alpha": -1}, {"ranks": {"wo": 0}}, {"alphas": {"wo": float("nan")}}]
)
def test_adapters_of_no_size_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LoraSettings(**wrong)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"targets": ("q_proj",)}, r"targets: 'q_proj' fits no linear.*There are encoder, qkv"),
        ({"targets": ("qkv", "w_o")}, r"targets: 'w_o' fits no linear.*Did you mean wo"),
        ({"targets": ("qkv", "layer_norm")}, "'layer_norm' fits layer_norm, a RMSNorm"),
        ({"targets": ("qkv", "transformer_encoder")}, "a ModuleList"),
        ({"targets": ("kv",)}, "'kv' fits no linear"),
        ({"targets": ("qkv",), "ranks": {"wo": 4}}, "ranks: 'wo' fits no module that gets an ad"),
        ({"alphas": {"w13": 4}}, "alphas: 'w13' fits no module.*Did you mean w3"),
        ({"train_also": ("token_weight_",)}, "begins with 'token_weight_'.*token_weights"),
    ],
)
def test_names_that_fit_nothing_are_refused_and_nothing_changes(encoder, fields, message):
    before = {name: (id(p), p.requires_grad) for name, p in encoder.named_parameters()}
    with pytest.raises(UserError, match=message):
        add_lora(encoder, LoraSettings(**fields))
    after = {name: (id(p), p.requires_grad) for name, p in encoder.named_parameters()}
    assert after == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"targets": "qkv"}, r'targets must be a list of names.*"qkv"; for one name write'),
        ({"targets": ()}, r"targets must name modules.*got \(\)"),
        ({"targets": ("all-linear",)}, 'or be the string "all-linear" itself'),
        ({"targets": (1,)}, r"list of names.*got \(1,\)"),
        ({"train_also": "token_weights"}, "train_also must be a list of names: got the string"),
        ({"rank": 0}, "rank must be at least 1: got 0"),
        ({"alpha": -1}, "alpha must be.*got -1"),
        ({"ranks": {"qkv": 1.5}}, r"ranks\['qkv'\] must be.*got 1.5"),
        ({"alphas": {"qkv": True}}, r"alphas\['qkv'\] must be.*got True"),
    ],
)
def test_settings_of_another_form_are_refused(fields, message, config, tmp_path):
    with pytest.raises(ValueError, match=message):
        LoraSettings(**fields)
    content = {"model": "m", "pairs": "p", "output": "o", "loop": {"steps": 1}, "lora": fields}
    write_json(tmp_path / "c.json", content)
    with pytest.raises(UserError, match=r"c\.json: "):
        load_config(tmp_path / "c.json")


@pytest.fixture
def bert(tokenizer) -> SentenceEncoder:
    return SentenceEncoder(tiny_bert(len(tokenizer)), tokenizer)


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=2, targets="all-linear")])
@pytest.mark.parametrize("kind", ["encoder", "causal", "bert"])
def test_every_trained_parameter_has_a_gradient(kind, lora, request, pairs, config):
    """DistributedDataParallel stops at one that has none."""
    encoder = request.getfixturevalue(kind)
    if lora:
        add_lora(encoder, lora)
    objective = ContrastiveObjective(pairs, encoder, config)
    objective.loss(encoder, objective.batch(0, 0, 1)).backward()
    assert not [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.parametrize("kind", ["encoder", "causal", "bert"])
def test_all_linear_is_what_peft_means(kind, request):
    encoder = request.getfixturevalue(kind)
    theirs = get_peft_model(
        copy.deepcopy(encoder.backbone), LoraConfig(r=2, target_modules="all-linear")
    )
    add_lora(encoder, LoraSettings(rank=2, targets="all-linear", train_also=()))

    def adapters(model):
        return {name for name, _ in model.named_parameters() if "lora_" in name}

    assert adapters(encoder.backbone) == adapters(theirs)
    assert len(adapters(theirs)) > 8


def test_adapters_are_put_on_once_and_merged_once(encoder):
    with pytest.raises(UserError, match="no adapters to merge"):
        merge_lora(encoder)
    add_lora(encoder, LoraSettings(rank=2))
    with pytest.raises(UserError, match=r"has adapters already.*merge_lora"):
        add_lora(encoder, LoraSettings(rank=2))
    merge_lora(encoder)
    with pytest.raises(UserError, match="no adapters to merge"):
        merge_lora(encoder)
    add_lora(encoder, LoraSettings(rank=2))


def test_train_also_takes_names_without_adapters(encoder):
    also = ("backbone.layer_norm", "backbone.transformer_encoder.0.wo")
    add_lora(encoder, LoraSettings(rank=2, targets=("qkv",), train_also=also))
    trained = {name for name, p in encoder.named_parameters() if p.requires_grad}
    plain = {name for name in trained if "lora_" not in name}
    prefix = "backbone.base_model.model."
    assert plain == {f"{prefix}layer_norm.weight", f"{prefix}transformer_encoder.0.wo.weight"}


def test_a_plain_mean_has_no_token_weights_to_train(neobert, tokenizer):
    encoder = SentenceEncoder(neobert, tokenizer)
    with pytest.raises(UserError, match="begins with 'token_weights'"):
        add_lora(encoder, LoraSettings(train_also=("token_weights",)))
    add_lora(encoder, LoraSettings(rank=2))
    assert all("lora_" in name for name, p in encoder.named_parameters() if p.requires_grad)
