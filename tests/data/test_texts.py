"""Documents from paths, folders and the Hub: what is read, and what is said to be left out."""

import codecs
import gzip
import os
import re
import warnings
from pathlib import Path

import pytest
from readers import Read, Refusal, Write

from groundup.data import texts
from groundup.data.texts import read_documents, read_json_file, read_pairs
from groundup.lab.errors import UserError, WorkError


def test_a_folder_of_all_kinds(documents: Read, write: Write, tmp_path: Path) -> None:
    files = {
        "a.txt": "One.\r\n\r\nTwo.\r\n",
        "b.MD": "# Three\n",
        "c.csv": "text\nfour\n\nfive\n",
        "d.jsonl": '{"text": "six"}\n{"text": null}\n',
        "sub/e.txt.gz": gzip.compress(b"seven"),
        "sub/picture.PNG": b"\x89PNG\0",
        "sub/README": "no suffix",
        "z.txt": "",
        ".hidden.txt": "h",
        ".git/config.txt": "g",
    }
    for name, content in files.items():
        write(f"mix/{name}", content)
    folder = tmp_path / "mix"
    (folder / "sub" / "loop").symlink_to("..")
    (folder / "again.txt").symlink_to("a.txt")
    (folder / "dead.txt").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.txt")
    read, said = documents(folder)
    assert read == ["One.\n\nTwo.\n", "# Three\n", "four", "five", "six", "seven"]
    for what in (
        "hidden files: 1",
        "hidden folders: 1",
        "links that lead nowhere: 1",
        "links to what was read already: 2",
        "what is neither file nor folder: 1",
        "files without text: 1",
        "rows without text: 1",
        "files of another kind (.png): 1",
        "files of another kind (no suffix): 1",
    ):
        assert what in said
    # Each is what it is alone.
    alone = ("a.txt", "b.MD", "c.csv", "d.jsonl")
    assert [text for name in alone for text in documents(folder / name)[0]] == read[:-1]


def test_a_folder_of_other_kinds_says_so(refusal: Refusal, write: Write) -> None:
    folder = write("pictures/a.png", b"\x89").parent
    message = refusal(folder)
    assert "holds no text: files of another kind (.png): 1" in message
    assert "; of a folder, .txt, .text, .md" in message


PATHS = {
    "": "the path is empty",
    "  ": "the path is empty",
    "nots.txt": r"no such file or folder.*did you mean notes\.txt\?",
    "NOTES.TXT": r"did you mean notes\.txt\?",
    "notes": r"did you mean notes\.txt\?",
    "dta/deep/story.txt": r"did you mean data/deep/story\.txt\?",
    "data\\deep\\story.txt": r"did you mean data/deep/story\.txt\?",
    " notes.txt": r"did you mean notes\.txt\?",
    "'notes.txt'": r"did you mean notes\.txt\?",
    "notes.txt/more": r"notes\.txt is a file, not a folder",
    "data/storys": r"no such file or folder.*hf://datasets/data/storys",  # no network is asked
    "owner/table.csv": r"no such file or folder.*hf://datasets/owner/table\.csv",
    "./owner/name": r"no such file or folder",
    "storys": r"did you mean stories\?",
    "https://example.org/a.txt": "fetch it first",
    "a\0b": "NUL",
    "dead.txt": "a link that leads nowhere",
    "self": "a link that leads nowhere",
    "x" * 300: "cannot read x+: File name too long",
    "~no_such_user_here/x": "cannot read ~no_such_user_here/x",
}


@pytest.mark.parametrize("source", PATHS)
def test_a_path_that_is_not_there(
    refusal: Refusal, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    write("notes.txt", "x")
    write("data/deep/story.txt", "x")
    (tmp_path / "dead.txt").symlink_to("gone.txt")
    (tmp_path / "self").symlink_to("self")
    monkeypatch.chdir(tmp_path)

    def no_network(*_: object) -> None:
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr(texts, "hub_rows", no_network)
    assert re.search(PATHS[source], refusal(source, also=["stories"]))
    with pytest.raises(UserError):
        read_pairs(source)


def test_a_home_folder_is_known(
    documents: Read, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(write("notes.txt", "At home.").parent))
    assert documents("~/notes.txt")[0] == ["At home."]


def test_a_local_folder_comes_before_the_hub(
    documents: Read, refusal: Refusal, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("owner/name/a.txt", "local")
    asked: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(texts, "hub_rows", lambda name, _: asked.append(name) or iter(()))
    assert documents("owner/name")[0] == ["local"]
    assert not asked
    for source in ("another/name", "hf://datasets/owner/name"):
        assert "it is empty" in refusal(source)
    assert asked == ["another/name", "owner/name"]


def test_without_a_network_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for read in (read_documents, read_pairs):
        with pytest.raises((WorkError, UserError), match="no-owner/no-set") as error:
            read("no-owner/no-set")
        assert "\n" not in str(error.value)


def test_rows_of_the_hub_are_read_like_others(
    documents: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    rows = [{"text": "a"}, {"text": None}, {"text": float("nan")}, {"text": "b"}]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: iter(rows))
    read, said = documents("some-owner/some-set")
    assert read == ["a", "b"]
    assert "rows without text: 2 (first: some-owner/some-set, row 2)" in said


def test_no_more_is_read_than_the_limit(documents: Read, write: Write) -> None:
    path = write("t.txt", "abc" * 100_000)
    assert documents(path, limit=299_999) == (
        ["abc" * 99_999 + "ab"],
        f"{path}: only the first 299,999 characters are read",
    )
    assert documents(path, limit=300_000) == (["abc" * 100_000], "")
    table = write("u.csv", "text\nabcd\nefgh\nijkl\n")
    read, said = documents(table, limit=8)
    assert read == ["abcd", "efgh"]
    assert "only the first 8 characters" in said


def test_a_library_call_warns(write: Write) -> None:
    path = write("t.jsonl", '"a"\nnull\n')
    with pytest.warns(UserWarning, match="rows without text: 1") as caught:
        assert read_documents(path) == ["a"]
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_documents(write("u.jsonl", '"a"\n')) == ["a"]


def test_a_json_file_of_a_person(refusal: Refusal, write: Write) -> None:
    assert read_json_file(write("c.json", codecs.BOM_UTF8 + b'{"a": 1}\r\n')) == {"a": 1}
    assert "c.json, line 2 is not JSON" in refusal(write("c.json", '{"a":\n}'), read_json_file)
    assert "Is a directory" in refusal(write("d/c.json", "").parent, read_json_file)
    assert "did you mean" in refusal(write("c.json", "").with_name("c.jsn"), read_json_file)
