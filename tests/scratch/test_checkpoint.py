"""A checkpoint: exact, whole or not at all, and honest about damage."""

import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from groundup.scratch.checkpoint import load, save
from groundup.scratch.encoder import Encoder, EncoderConfig

IDS = np.array([[2, 5, 3, 1]])


def test_round_trip_is_exact(tiny, tmp_path):
    path = tmp_path / "deep" / "model.safetensors"
    save(tiny, path, {"note": "größer"})
    loaded, metadata = load(path)
    assert loaded.config == tiny.config
    assert metadata["note"] == "größer"
    assert loaded.params.keys() == tiny.params.keys()
    for name, value in tiny.params.items():
        assert loaded.params[name].dtype == value.dtype
        np.testing.assert_array_equal(loaded.params[name], value)
    np.testing.assert_array_equal(loaded.forward(IDS)[0], tiny.forward(IDS)[0])
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def test_float32_and_strided_parameters(tmp_path):
    model = Encoder.create(EncoderConfig(), np.random.default_rng(0))
    name = "layers.0.wo"
    model.params[name] = np.asfortranarray(model.params[name])
    model.params["classifier.weight"] = np.repeat(model.params["classifier.weight"], 2, 0)[::2]
    save(model, tmp_path / "m")
    loaded, _ = load(tmp_path / "m")
    for key, value in model.params.items():
        assert loaded.params[key].dtype == np.float32
        np.testing.assert_array_equal(loaded.params[key], value)


def test_a_loaded_model_can_be_trained(tiny, tmp_path):
    save(tiny, tmp_path / "m")
    loaded, _ = load(tmp_path / "m")
    for value in loaded.params.values():
        value += 1  # the arrays are the model's own, not views of a read-only file


@pytest.mark.parametrize("damage", ["truncated", "empty", "noise", "header"])
def test_a_damaged_file_is_a_value_error(tiny, tmp_path, damage):
    path = tmp_path / "model.safetensors"
    save(tiny, path)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "truncated": whole[:-8],
            "empty": b"",
            "noise": np.random.default_rng(0).bytes(500),
            "header": whole[:20] + b"\xff\xff" + whole[22:],
        }[damage]
    )
    with pytest.raises(ValueError, match=r"model\.safetensors is not a checkpoint"):
        load(path)


@pytest.mark.parametrize("config", [None, "not json", "[1]", '{"width": 4, "depth": 2}'])
def test_a_foreign_file_is_a_value_error(tmp_path, config):
    path = tmp_path / "other.safetensors"
    save_file({"a": np.ones(2)}, path, None if config is None else {"config": config})
    with pytest.raises(ValueError, match=r"other\.safetensors"):
        load(path)


@pytest.mark.parametrize("change", ["shape", "missing", "extra"])
def test_parameters_that_do_not_fit_are_named(tiny, tmp_path, change):
    if change == "shape":
        tiny.params["layers.0.wo"] = np.ones((4, 5))
    elif change == "missing":
        del tiny.params["layers.0.wo"]
    else:
        tiny.params["layers.9.wo"] = np.ones(3)
    save(tiny, tmp_path / "m")
    with pytest.raises(ValueError, match=r"layers\.[09]\.wo should be"):
        load(tmp_path / "m")


def test_no_file_is_its_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load(tmp_path / "absent")


def test_an_interrupted_save_leaves_the_old_file_alone(tiny, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save(tiny, path, {"run": "old"})

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        save(tiny, path, {"run": "new"})
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    assert load(path)[1]["run"] == "old"
