"""The contrastive objective, its batches, LoRA through PEFT, and the configuration file."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertModel

from groundup.data.pairs import cloze
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.lora import LoraSettings, add_lora, merge_lora
from groundup.embed.objective import ContrastiveConfig, ContrastiveObjective
from groundup.embed.train import gradient_error, load_config, main, save_config, train_contrastive
from groundup.lab.errors import UserError, WorkError
from groundup.lab.files import write_json
from groundup.train.config import LoopConfig
from groundup.train.loop import fit


@pytest.fixture
def config() -> ContrastiveConfig:
    loop = LoopConfig(steps=4, lr=1e-2, lr_scale={"token_weights": 2.0}, no_decay=("a", "b"))
    return ContrastiveConfig("model", "pairs", "output", loop, batch_size=8, temperature=0.1)


def test_an_epoch_shows_every_pair_once(encoder, pairs, config):
    objective = ContrastiveObjective(pairs, encoder, config)
    first, second = ([objective.rows(3 * epoch + i) for i in range(3)] for epoch in (0, 1))
    assert sorted(np.concatenate(first)) == list(range(24))
    assert sorted(np.concatenate(second)) == list(range(24))
    assert [x.tolist() for x in first] != [x.tolist() for x in second]
    again = ContrastiveObjective(pairs, encoder, config)
    assert again.rows(4).tolist() == second[1].tolist()  # the position alone decides


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_neighbours_are_a_run_and_no_pair_comes_twice(encoder, pairs, config, share):
    objective = ContrastiveObjective(pairs, encoder, replace(config, neighbours=share))
    for index in range(40):
        rows = objective.rows(index).tolist()
        assert len(set(rows)) == len(rows) == 8
        spread, near = set(rows[: 8 - int(8 * share)]), rows[8 - int(8 * share) :]
        step = near[0]
        for row in near:  # consecutive, but for pairs the batch has already
            while step % 24 in spread:
                step += 1
            assert row == step % 24
            step += 1


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_shares_make_up_the_batch(encoder, pairs, config, processes):
    objective = ContrastiveObjective(pairs, encoder, config)
    queries, documents = objective.batch(1, 0, 1)
    shares = [objective.batch(1, rank, processes) for rank in range(processes)]
    assert [objective.count(share) for share in shares] == [8 // processes] * processes

    def texts(batch):
        return [encoder.tokenizer.decode(i, skip_special_tokens=True) for i in batch["input_ids"]]

    assert [text for q, _ in shares for text in texts(q)] == texts(queries)
    assert [text for _, d in shares for text in texts(d)] == texts(documents)


def test_the_loss_is_both_directions_summed(encoder, pairs, config):
    objective = ContrastiveObjective(pairs, encoder, config)
    batch = objective.batch(0, 0, 1)
    q, d = (F.normalize(v, dim=-1) for v in encoder(*batch))
    logits, labels = q @ d.T / 0.1, torch.arange(8)
    expected = sum(F.cross_entropy(x, labels, reduction="sum") for x in (logits, logits.T)) / 2
    torch.testing.assert_close(objective.loss(encoder, batch), expected)


def test_lengths_are_cut(encoder, pairs, config):
    cut = ContrastiveObjective(pairs, encoder, replace(config, query_length=5, document_length=7))
    queries, documents = cut.batch(0, 0, 1)
    assert queries["input_ids"].shape == (8, 5)
    assert documents["input_ids"].shape == (8, 7)


def test_too_few_pairs_and_unequal_shares_are_named(encoder, pairs, config):
    with pytest.raises(UserError, match="24 pairs do not fill a batch of 25"):
        ContrastiveObjective(pairs, encoder, replace(config, batch_size=25))
    with pytest.raises(UserError, match="3 processes cannot share a batch of 8"):
        ContrastiveObjective(pairs, encoder, config).batch(0, 0, 3)


def test_the_gradient_check_leaves_encoder_and_objective_alone(encoder, pairs, config):
    objective = ContrastiveObjective(pairs, encoder, config)
    assert gradient_error(encoder, objective) < 1e-12
    assert next(encoder.parameters()).dtype == torch.float32
    assert all(p.grad is None for p in encoder.parameters())
    assert objective.config is config
    assert len(objective.pairs) == 24


def test_the_loop_trains_it(encoder, pairs, config):
    objective = ContrastiveObjective(pairs, encoder, config)
    losses = []
    fit(encoder, objective, replace(config.loop, steps=30), lambda step: losses.append(step.loss))
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])


def test_the_loop_refuses_to_accumulate_it(encoder, pairs, config):
    with pytest.raises(ValueError, match=r"ContrastiveObjective couples the rows.*got 2"):
        fit(
            encoder,
            ContrastiveObjective(pairs, encoder, config),
            replace(config.loop, accumulate=2),
        )


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
    ("name", "value"),
    [
        *((n, v) for n in ("batch_size", "query_length", "document_length") for v in (0, -1, 1.5)),
        *(("temperature", v) for v in (0, -0.1, float("nan"), float("inf"))),
        *((n, v) for n in ("neighbours", "cloze") for v in (-0.1, 1.1, float("nan"))),
        ("seed", -1),
    ],
)
def test_what_cannot_be_is_refused_where_the_recipe_is_made(config, name, value):
    with pytest.raises(ValueError, match=rf"{name} must .*got {value}"):
        replace(config, **{name: value})


@pytest.mark.parametrize(
    "wrong", [{"rank": 0}, {"alpha": -1}, {"ranks": {"wo": 0}}, {"alphas": {"wo": float("nan")}}]
)
def test_adapters_of_no_size_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LoraSettings(**wrong)


def test_a_run_that_diverges_saves_nothing(encoder, pairs, config, tmp_path):
    encoder.save(tmp_path / "start")
    write_json(tmp_path / "pairs.json", pairs)
    places = {k: str(tmp_path / v) for k, v in (("model", "start"), ("output", "end"))}
    wild = replace(config.loop, lr=1e38, clip=float("inf"), warmup=0.0)
    with pytest.raises(WorkError, match="the training ended after step"):
        train_contrastive(replace(config, loop=wild, pairs=str(tmp_path / "pairs.json"), **places))
    assert not (tmp_path / "end").exists()
    assert not (tmp_path / "end.json").exists()


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
    shape = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=32, **shape)
    return SentenceEncoder(BertModel(config), tokenizer)


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


@pytest.mark.parametrize("merge", [True, False])
def test_train_merges_or_saves_adapters(encoder, pairs, config, merge, tmp_path):
    encoder.save(tmp_path / "start")
    write_json(tmp_path / "pairs.json", [*pairs, *pairs])  # a copy of each shares no batch with it
    places = {k: str(tmp_path / v) for k, v in (("model", "start"), ("output", "end"))}
    places["pairs"] = str(tmp_path / "pairs.json")
    result = train_contrastive(replace(config, lora=LoraSettings(rank=2), merge=merge, **places))
    assert (tmp_path / "end" / "adapter_config.json").exists() != merge
    assert (tmp_path / "end" / "model.safetensors").exists() == merge
    saved = SentenceEncoder.load(tmp_path / "end")
    assert np.abs(saved.encode(["open the file"]) - encoder.encode(["open the file"])).max() > 1e-3
    assert result["trained"] < sum(p.numel() for p in encoder.parameters())
    if not merge:  # trained further, and merged in the end
        more = places | {"model": places["output"], "output": str(tmp_path / "more")}
        train_contrastive(replace(config, **more))
        assert (tmp_path / "more" / "model.safetensors").exists()


def test_train_saves_what_it_trained(encoder, pairs, config, tmp_path):
    encoder.save(tmp_path / "start")
    write_json(tmp_path / "pairs.json", pairs)
    places = {k: str(tmp_path / v) for k, v in (("model", "start"), ("output", "end"))}
    steps = []
    result = train_contrastive(
        replace(config, pairs=str(tmp_path / "pairs.json"), **places), steps.append
    )
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert result["steps"] == 4
    assert result["trained"] == result["parameters"] == sum(p.numel() for p in encoder.parameters())
    saved = SentenceEncoder.load(tmp_path / "end")
    assert np.abs(saved.encode(["open the file"]) - encoder.encode(["open the file"])).max() > 1e-3


@pytest.mark.parametrize("content", [[], {"a": 1}, [["only one"]], ["abc"]])
def test_train_names_a_wrong_pairs_file(encoder, config, tmp_path, content):
    encoder.save(tmp_path / "start")
    write_json(tmp_path / "pairs.json", content)
    places = {"model": str(tmp_path / "start"), "pairs": str(tmp_path / "pairs.json")}
    with pytest.raises(UserError, match="pairs"):
        train_contrastive(replace(config, **places))


@pytest.mark.parametrize("name", ["pairs.JSONL", "pairs.csv"])
def test_train_reads_pairs_as_people_have_them(encoder, pairs, config, tmp_path, name):
    """A mark, CRLF, a pair that lacks its document and a repeated one: counted and left out."""
    encoder.save(tmp_path / "start")
    rows = [*pairs, ("alone", ""), pairs[0]]
    with (tmp_path / name).open("w", encoding="utf-8-sig", newline="\r\n") as file:
        if name.endswith("csv"):
            file.write("query,document\n" + "".join(f"{q},{d}\n" for q, d in rows))
        else:
            file.writelines(json.dumps([q, d or None]) + "\n" for q, d in rows)
    said = []
    changes = {"model": str(tmp_path / "start"), "output": str(tmp_path / "end")}
    (tmp_path / "texts.txt").write_text("open read " * 10)
    changes |= {"pairs": str(tmp_path / name), "texts": str(tmp_path / "texts.txt"), "cloze": 0.5}
    result = train_contrastive(replace(config, **changes), notice=said.append)
    assert (result["pairs"], result["repeated_pairs"]) == (24, 1)
    assert len(said) == 1
    assert "pairs that lack a text: 1" in said[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pairs": ""}, "the path is empty"),
        ({"pairs": "{}/pair.json"}, r"no such file or folder.*did you mean .*pairs\.json"),
        ({"texts": "{}/texts.jsonl"}, r"texts\.jsonl, line 2: list .* is not text"),
        ({"texts": "{}/none.json"}, r"no such file or folder"),
        ({"columns": ("a", "b")}, "a pair is a list of two texts"),
        ({"encoding": "cp12525"}, "no encoding 'cp12525'"),
    ],
)
def test_train_names_a_source_that_cannot_be_read(encoder, pairs, config, tmp_path, changes, words):
    encoder.save(tmp_path / "start")
    write_json(tmp_path / "pairs.json", pairs)
    (tmp_path / "texts.jsonl").write_text('"a"\n["b"]\n')
    changes = {k: v.format(tmp_path) if isinstance(v, str) else v for k, v in changes.items()}
    given = {"model": str(tmp_path / "start"), "pairs": str(tmp_path / "pairs.json"), **changes}
    with pytest.raises(UserError, match=words):
        train_contrastive(replace(config, **given))


def test_the_command_ends_in_a_line_without_a_network(
    encoder, config, tmp_path, monkeypatch, capsys
):
    import datasets

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    encoder.save(tmp_path / "start")
    save_config(replace(config, model=str(tmp_path / "start"), pairs="a/b"), tmp_path / "c.json")
    monkeypatch.setattr("sys.argv", ["contrast", str(tmp_path / "c.json")])
    assert main() in (1, 2)
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("error: ")
    assert "a/b" in line


def test_the_configuration_survives_its_file(config, tmp_path):
    for wanted in (
        config,
        replace(config, columns=("a", "b")),
        replace(config, lora=LoraSettings(rank=3, targets=("x",)), merge=False),
        replace(config, lora=LoraSettings(targets="all-linear", train_also=("a",))),
    ):
        save_config(wanted, tmp_path / "c.json")
        assert load_config(tmp_path / "c.json") == wanted
        marked = b"\xef\xbb\xbf" + (tmp_path / "c.json").read_bytes().replace(b"\n", b"\r\n")
        (tmp_path / "c.json").write_bytes(marked)
        assert load_config(tmp_path / "c.json") == wanted


def test_a_configuration_that_is_not_json_is_named_with_its_line(tmp_path):
    (tmp_path / "c.json").write_text('{\n"model": }')
    with pytest.raises(UserError, match=r"c\.json, line 2 is not JSON"):
        load_config(tmp_path / "c.json")
    with pytest.raises(UserError, match=r"no such file: .*did you mean .*c\.json\?"):
        load_config(tmp_path / "c.jsn")


@pytest.mark.parametrize(
    "content",
    [[], {"model": "m"}, {"loop": {"steps": 1}, "tempo": 1}, {"loop": {"steps": 1, "seconds": 1}}],
)
def test_a_wrong_configuration_is_named(tmp_path, content):
    write_json(tmp_path / "c.json", content)
    with pytest.raises(UserError, match=r"c\.json"):
        load_config(tmp_path / "c.json")


def test_cloze_passages_come_from_the_texts_alike_in_every_process(encoder, pairs, config):
    texts = [" ".join(f"word{i} in text {n}" for i in range(20)) for n in range(3)]
    objective = ContrastiveObjective(
        pairs, encoder, replace(config, cloze=1.0, document_length=500), texts
    )
    whole = objective.batch(3, 0, 1)
    shares = [objective.batch(3, rank, 2) for rank in range(2)]
    for side in (0, 1):
        rows = [row for share in shares for row in share[side]["input_ids"].tolist()]
        for ours, full in zip(rows, whole[side]["input_ids"].tolist(), strict=True):
            ends = ours.index(encoder.tokenizer.sep_token_id)
            assert ours[:ends] == full[:ends]
    passage, rest = cloze(texts[0], np.random.default_rng(0))
    words = texts[0].split()
    assert len(passage.split()) + len(rest.split()) == len(words)
    at = next(
        i
        for i in range(len(words))
        if words[:i] + words[i + len(passage.split()) :] == rest.split()
    )
    assert words[at : at + len(passage.split())] == passage.split()
    with pytest.raises(UserError, match="no text is long enough"):
        ContrastiveObjective(pairs, encoder, replace(config, cloze=0.5), ["too short"])
