"""Files that are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from groundup.lab import files
from groundup.lab.files import atomic_directory, atomic_file, read_json, write_json


class Broken(Exception):
    pass


def test_a_file_appears_when_it_is_written(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic_file(path) as temporary:
        assert temporary.parent == path.parent  # a rename across file systems is not atomic
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_file_survives_an_exception(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def half() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("ha")
            raise Broken

    with pytest.raises(Broken):
        half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_directory_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model"
    for name in ("a", "b"):
        with atomic_directory(path) as temporary:
            (temporary / name).write_text(name)
            assert os.listdir(path) == ["a"] if path.exists() else name == "a"
        assert os.listdir(path) == [name]
    assert os.listdir(tmp_path) == ["model"]


def test_a_directory_survives_an_exception(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()

    def half() -> None:
        with atomic_directory(path) as temporary:
            (temporary / "new").touch()
            raise Broken

    with pytest.raises(Broken):
        half()
    assert os.listdir(path) == ["old"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_directory_survives_a_failed_rename(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()
    real = os.replace

    def fails(source: Path, target: Path) -> None:
        if str(source).endswith(".tmp"):
            raise OSError("the disk is gone")
        real(source, target)

    monkeypatch.setattr(files.os, "replace", fails)
    with pytest.raises(OSError, match="gone"), atomic_directory(path) as temporary:
        (temporary / "new").touch()
    assert os.listdir(path) == ["old"]
    assert os.listdir(tmp_path) == ["model"]


def test_others_may_read_what_they_could_have_read(tmp_path):
    """As open() and mkdir() make them: by the umask, not for the owner alone."""
    (tmp_path / "plain").write_text("")
    (tmp_path / "folder").mkdir()
    with atomic_file(tmp_path / "file") as temporary:
        temporary.write_text("")
    with atomic_directory(tmp_path / "directory"):
        pass

    def mode(name: str) -> int:
        return stat.S_IMODE((tmp_path / name).stat().st_mode)

    assert mode("file") == mode("plain")
    assert mode("directory") == mode("folder")


def test_json_round_trip_and_damage(tmp_path):
    content = {"ä": [1, 2.5, None], "nested": {"x": True}}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    assert "ä" in (tmp_path / "a.json").read_text("utf-8")
    assert read_json(tmp_path / "missing.json") is None
    (tmp_path / "half.json").write_text('{"a": ')
    assert read_json(tmp_path / "half.json") is None
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    assert read_json(tmp_path / "binary.json") is None


def test_what_is_no_json_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert read_json(tmp_path / "a.json") == 1
    assert os.listdir(tmp_path) == ["a.json"]
