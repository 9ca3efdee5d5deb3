"""A contrastive run from its configuration file to the saved encoder."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from groundup.embed.encoder import SentenceEncoder
from groundup.embed.lora import LoraSettings
from groundup.embed.objective import ContrastiveObjective
from groundup.embed.train import gradient_error, load_config, main, save_config, train_contrastive
from groundup.lab.errors import UserError, WorkError
from groundup.lab.files import write_json


def test_the_gradient_check_leaves_encoder_and_objective_alone(encoder, pairs, config):
    objective = ContrastiveObjective(pairs, encoder, config)
    assert gradient_error(encoder, objective) < 1e-12
    assert next(encoder.parameters()).dtype == torch.float32
    assert all(p.grad is None for p in encoder.parameters())
    assert objective.config is config
    assert len(objective.pairs) == 24


def test_a_run_that_diverges_saves_nothing(encoder, pairs, config, tmp_path):
    encoder.save(tmp_path / "start")
    write_json(tmp_path / "pairs.json", pairs)
    places = {k: str(tmp_path / v) for k, v in (("model", "start"), ("output", "end"))}
    wild = replace(config.loop, lr=1e38, clip=float("inf"), warmup=0.0)
    with pytest.raises(WorkError, match="the training ended after step"):
        train_contrastive(replace(config, loop=wild, pairs=str(tmp_path / "pairs.json"), **places))
    assert not (tmp_path / "end").exists()
    assert not (tmp_path / "end.json").exists()


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
