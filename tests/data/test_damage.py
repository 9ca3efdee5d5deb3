"""What is broken is refused in a line that says file, place and remedy."""

import bz2
import codecs
import gzip
import lzma
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import Read, Refusal, Write

from groundup.data.texts import read_documents, read_pairs
from groundup.lab.errors import UserError

BROKEN = {
    "windows.txt": (b"One\r\ncaf\xe9 noir", r"not UTF-8 text \(byte 8\) in line 2.*cp1252.*'café'"),
    "far.txt": (b"x\r\n" * 60_000 + b"\xff", r"\(byte 180000\) in line 60001.*0xFF"),
    "cut.txt": ("日本".encode()[:-1], r"\(byte 3\) in line 1: it ends inside a character"),
    "cut16.txt": ("ab".encode("utf-16")[:-1], r"UTF-16-LE text \(byte 4\).*inside a character"),
    "wide.txt": ("plain text".encode("utf-16-be"), r"NUL byte \(byte 0\).*--encoding utf-16-be"),
    "wide32.txt": ("plain text".encode("utf-32-le"), r"NUL byte \(byte 1\).*--encoding utf-32-le"),
    "nul.md": (b"one\ntwo\n\0three", r"NUL byte \(byte 8\) in line 3.*damaged"),
    "photo.png": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        r"\(byte 0\) in line 1.*it is not text, it seems",
    ),
    "book.txt.zst": (b"\x28\xb5\x2f\xfd....", "packed with zstandard, not text; unpack it"),
    "paper.pdf": (b"%PDF-1.7\n", "is a PDF, not text; unpack it or save it as text"),
    "letter.docx": (b"PK\x03\x04...", "zip archive, or a file of Word"),
    "cut.txt.gz": (gzip.compress(os.urandom(999))[:500], r"\(500 bytes\) can't be unpacked.*fetch"),
    "bad.txt.gz": (gzip.compress(b"abc")[:-5] + b"12345", r"can't be unpacked: CRC check failed"),
    "cut.jsonl": ('{"text": "a"}\n{"text": "b', r"cut\.jsonl, line 2 is not JSON.*cut, it seems"),
    "cut2.jsonl": ('{"text": "a"}\n{"text": ', r"line 2 is not JSON.*column 10; it was cut"),
    "deep.jsonl": ("[" * 100_000, r"deep\.jsonl, line 1 can't be read as JSON"),
    "long.jsonl": ('{"text": ' + "9" * 5000 + "}", r"line 1 can't be read as JSON: Exceeds"),
    "number.jsonl": ('{"text": "a"}\n{"text": 5}', r"line 2, column 'text': number 5 is not text"),
    "truth.jsonl": ('{"text": true}', r"line 1, column 'text': truth value True is not text"),
    "half.jsonl": ('{"text": "\\ud83d"}', r"line 1, .*half a character \(\\ud83d\)"),
    "list.jsonl": ('"a"\n["b", "c"]', r"line 2: list \[.* is not text"),
    "mixed.jsonl": ('"a"\n{"text": "b"}', "which|line 1 is a string"),
    "object.json": ('{"a": ["b"]}', "holds a JSON object, not a list of rows"),
    "cut.json": ('["a",\n"b"', r"cut\.json, line 2 is not JSON"),
    "wide.csv": ("id,text\n1,a\n2,b, c\n", "line 3 has 3 cells and the header 2"),
    "short.csv": ("id,text\n1\n", "line 2 has 1 cells and the header 2"),
    "open.csv": ('id,text\n1,"a\n2,b\n', "line 2 can't be read.*double quote"),
    "twice.csv": ("text,text\na,b\n", "line 1: two columns have one name"),
    "headless.csv": ("The cat sat on the mat.\nThe dog slept.\n", "line 1 is a row"),
    "two.csv": (
        "title,body\na,b\n",
        r"which column of .*two\.csv is the text\? --column is one of",
    ),
    "other.parquet": (b"no table", "can't be read as Parquet.*fetch it again"),
    "cut.parquet": (b"PAR1" + b"x" * 50, "can't be read as Parquet"),
    "table.txt": (b"PAR1....", r"Parquet table \(name it \.parquet\)"),
    "empty.txt": ("", "holds no text: it is empty"),
    "blank.txt": (codecs.BOM_UTF8 + b" \r\n\t", "holds no text: it is empty"),
    "header.csv": ("text\n", "holds no text: it is empty"),
    "nulls.jsonl": ('{"text": null}\n', r"holds no text: rows without text: 1 \(.*line 1\)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused_with_file_place_and_remedy(
    documents: Read, refusal: Refusal, write: Write, name: str
) -> None:
    content, words = BROKEN[name]
    path = write(name, content)
    message = refusal(path)
    assert str(path) in message
    assert re.search(words, message)
    folder = write(f"folder/{name}", content).parent
    write("folder/fine.txt", "Fine.")
    if path.suffix in (".pdf", ".docx", ".png", ".zst") or "holds no text" in words:
        read, said = documents(folder)  # left out, and said
        assert read == ["Fine."]
        assert name in said
    else:
        assert name in refusal(folder)


WHOLE = {
    "t.txt": "Café.\r\n\r\nTwo.\r\n".encode() * 9,
    "t.csv": 'id,text,query,document\r\n1,"a ""b""\r\nc",é,d\r\n'.encode(),
    "t.tsv": 'query\tdocument\n"é\tx\n'.encode(),
    "t.jsonl": '{"text": "é", "query": "a", "document": "b"}\n'.encode() * 3,
    "t.json": b'["x", "y", ["a", "b"]]',
    "t.txt.gz": gzip.compress(os.urandom(99).hex().encode()),
    "t.csv.bz2": bz2.compress(b"text\nabc\n" * 9),
    "t.jsonl.xz": lzma.compress(b'["a", "b"]\n' * 9),
}


@settings(deadline=None, max_examples=300)
@given(
    name=st.sampled_from([*WHOLE]),
    start=st.floats(0, 1),
    length=st.integers(0, 40),
    put=st.binary(max_size=4),
    encoding=st.sampled_from([None, None, "cp1252", "utf-16-le", "gb18030"]),
    read=st.sampled_from([read_documents, read_pairs]),
)
def test_any_damage_is_read_or_refused_in_a_line(
    name: str,
    start: float,
    length: int,
    put: bytes,
    encoding: str | None,
    read: Callable[..., object],
) -> None:
    """Bytes cut out anywhere and others put in: no other error, whatever comes of it."""
    whole = WHOLE[name]
    at = int(start * len(whole))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(whole[:at] + put + whole[at + length :])
        said = ""
        try:
            read(path, encoding=encoding, notice=lambda _: None)
        except UserError as error:
            said = str(error)
        assert "\n" not in said
        assert not said or str(path) in said
