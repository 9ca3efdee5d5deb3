"""Files in any encoding, packed or not: their characters, or a refusal that helps."""

import codecs
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers import LINES, Read, Refusal, Write

MARKS = {
    "utf-8": b"",
    "utf-8-sig": b"",  # Python writes the mark itself
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@given(lines=LINES, encoding=st.sampled_from([*MARKS]), end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_encoding_and_ends_of_lines_do_not_change_a_document(
    documents: Read, lines: list[str], encoding: str, end: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.txt")
        path.write_bytes(MARKS[encoding] + end.join(lines).encode(encoding))
        assert documents(path) == (["\n".join(lines)], "")


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "latin-1", "shift_jis", "gb18030"])
def test_an_encoding_that_is_named_is_used(
    documents: Read, refusal: Refusal, write: Write, encoding: str
) -> None:
    text = {"cp1251": "Привет", "shift_jis": "日本語", "gb18030": "中文"}.get(encoding, "Café")
    path = write("t.txt", (text + "\r\n").encode(encoding))
    assert documents(path, encoding=encoding) == ([text + "\n"], "")
    assert re.search(r"t\.txt is not UTF-8 text \(byte \d+\) in line 1", refusal(path))
    assert "--encoding" in refusal(path)


def test_no_wrong_characters_from_a_wrong_encoding(
    documents: Read, refusal: Refusal, write: Write
) -> None:
    for marked in (codecs.BOM_UTF8 + "Café".encode(), "Café".encode("utf-16")):
        assert documents(write("m.txt", marked), encoding="cp1252")[0] == ["Café"]
    read, said = documents(write("t.txt", "Café"), encoding="cp1252")
    assert read == ["Café"]
    assert "files in UTF-8, not in cp1252: 1" in said
    assert documents(write("a.txt", "abcd"), encoding="utf-16-le")[0] == ["abcd"]
    assert documents(write("j.txt", "日本".encode("iso2022_jp")), encoding="iso2022_jp")[0] == [
        "日本"
    ]
    assert "utf-16-le or utf-16-be" in refusal(
        write("n.txt", "Café".encode("utf-16-le")), encoding="utf-16"
    )
    assert "not CP1252 text (byte 1)" in refusal(write("w.txt", b"a\x81\xff"), encoding="cp1252")
    for name in ("cp12525", "hex", ""):
        assert f"no encoding {name!r}" in refusal(write("t.txt", "x"), encoding=name)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_what_may_not_be_read_is_named(refusal: Refusal) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        secret, closed = folder / "secret.txt", folder / "closed"
        secret.write_text("x")
        closed.mkdir()
        (closed / "a.txt").write_text("x")
        root = os.geteuid() == 0
        for path, wanted in ((closed, "cannot read the folder"), (secret, "cannot read")):
            path.chmod(0)
            try:
                if root:
                    os.seteuid(65534)
                for source in (path, folder):
                    message = refusal(source)
                    assert f"{wanted} {path}: Permission denied" in message
                if path is closed:
                    assert f"cannot read {closed / 'a.txt'}" in refusal(closed / "a.txt")
            finally:
                if root:
                    os.seteuid(0)
                path.chmod(0o755)
