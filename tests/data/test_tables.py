"""Tables as programs and people write them: every cell, or a refusal with its line."""

import codecs
import csv
import gzip
import json
import re
import tempfile
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from readers import LINES, Read, Refusal, Write

from groundup.data.texts import read_pairs


@given(lines=LINES, packed=st.booleans())
def test_a_table_keeps_every_character(documents: Read, lines: list[str], packed: bool) -> None:
    """Python's own writers of CSV and JSON are the oracle; cells lose the space around them."""
    wanted = [line.strip() for line in lines if line.strip()]
    with tempfile.TemporaryDirectory() as folder:
        table, rows = Path(folder, "t.csv"), Path(folder, "t.JSONL.GZ" if packed else "t.JSONL")
        with table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["n", "text"], *([i, x] for i, x in enumerate(lines))])
        content = "\r\n".join(json.dumps({"text": x}, ensure_ascii=False) for x in lines).encode()
        rows.write_bytes(gzip.compress(content) if packed else content)
        missing = [x for x in wanted if x.lower() in ("nan", "null", "none", "<na>")]
        assert documents(rows)[0] == wanted
        if len(missing) < len(wanted):
            assert documents(table)[0] == [x for x in wanted if x not in missing]


TABLES = {
    "semicolons.CSV": ('id;text\r\n1;a, b\r\n2;"c; ""d""\r\ne"\r\n', ["a, b", 'c; "d"\ne']),
    "excel.csv": ("sep=;\r\nid;text\r\n1;a\r\n", ["a"]),
    "tabs.csv": ("id\ttext\n1\ta;b,c\n", ["a;b,c"]),
    "quotes.tsv": ('id\ttext\n1\t"a" he said\n2\t"b\n', ['"a" he said', '"b']),
    "quoted.tsv": ('id\ttext\n1\t"a ""b""\nc"\n', ['a "b"\nc']),
    "long.csv": ('text\n"' + "x" * 200_000 + '"\n', ["x" * 200_000]),
    "mac.csv": ("id,text\r1,a\r2,b\r", ["a", "b"]),
    "marked.csv": (codecs.BOM_UTF8 + b"text\r\na\r\n", ["a"]),
    "utf16.csv": ("id\ttext\r\n1\té\r\n".encode("utf-16"), ["é"]),
    "spreadsheet.csv": ("text,,\na,,\n,,\nb,x,\n", ["a", "b"]),
    "capital.csv": ("Text,n\na,1\n", ["a"]),
    "rows.ndjson": ('{"text": "a\u2028b\x85c"}\n\n{"text": "d"}', ["a\u2028b\x85c", "d"]),
    "ends.jsonl": ('"a\\r\\nb\\rc"\n', ["a\nb\nc"]),
    "strings.jsonl": ('"a"\n"b"', ["a", "b"]),
    "list.JSON": ('["a",\n "b"]', ["a", "b"]),
    "objects.json": ('[{"text": "a"}, {"text": "b"}]', ["a", "b"]),
    "lines.json": ('{"text": "a"}\n{"text": "b"}\n', ["a", "b"]),
    "late.jsonl": ('{"n": 1, "story": null}\n{"n": 2, "story": "a"}', ["a"]),
    "marked.jsonl": (
        codecs.BOM_UTF8 + b'{"text": "a"}\n' + codecs.BOM_UTF8 + b'{"text": "b"}',
        ["a", "b"],
    ),
    "NOTES.TXT.GZ": (gzip.compress("é\r\n".encode("utf-16")), ["é\n"]),
    "unpacked.txt.gz": ("a", ["a"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_programs_write_them(documents: Read, write: Write, name: str) -> None:
    content, wanted = TABLES[name]
    assert documents(write(name, content))[0] == wanted


def test_missing_values_are_counted_and_never_words(
    documents: Read, refusal: Refusal, write: Write
) -> None:
    rows = '{"text": "a"}\n{"text": null}\n{"other": 1}\n{"text": NaN}\n{"text": " "}\n\n'
    rows += '{"text": "None"}\n'
    read, said = documents(write("t.jsonl", rows))
    assert read == ["a", "None"]  # a word that a person wrote stays one
    assert re.search(r"rows without text: 4 \(first: .*t\.jsonl, line 2\)", said)
    read, said = documents(write("t.csv", "n,text\n1,a\n2,\n3,NaN\n4,None\n5,null\n,b\n"))
    assert read == ["a", "b"]
    assert re.search(r"rows without text: 4 \(first: .*t\.csv, line 3\)", said)
    table = pyarrow.table({"text": ["a", None, "nan"], "x": [1.0, float("nan"), 2.0]})
    parquet.write_table(table, write("t.parquet", b""))
    path = write("t.parquet", b"")
    parquet.write_table(table, path)
    read, said = documents(path)
    assert read == ["a", "nan"]
    assert re.search(r"rows without text: 1 \(.*t\.parquet, row 2\)", said)
    parquet.write_table(pyarrow.table({"text": [float("nan"), 1.0]}), path)
    assert "row 2, column 'text': number 1.0 is not text" in refusal(path)


def test_the_column_is_said_where_it_was_chosen(
    documents: Read, refusal: Refusal, write: Write
) -> None:
    path = write("t.csv", "review,stars\nGood.,5\n")
    assert documents(path) == (
        ["Good."],
        f"{path}: tables whose text is taken from the column 'review': 1",
    )
    assert documents(path, column="review") == (["Good."], "")
    assert "no text in the column none: it has ['review', 'stars']" in refusal(path, column="none")
    assert "leave out --column" in refusal(write("t.txt", "x"), column="text")


PAIRS = {
    "list.json": '[["a", "b"], ["c", "d"]]',
    "lines.jsonl": '["a", "b"]\n["c", "d"]\n',
    "objects.jsonl": '{"document": "b", "query": "a"}\n{"query": "c", "document": "d"}\n',
    "known.csv": "anchor,positive,score\na,b,1\nc,d,2\n",
    "two.tsv": "frage\tantwort\na\tb\nc\td\n",
    "marked.CSV": codecs.BOM_UTF8 + b"query;document\r\na;b\r\nc;d\r\n",
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_all_kinds(pairs: Read, write: Write, name: str) -> None:
    path = write(name, PAIRS[name])
    assert pairs(path)[0] == [("a", "b"), ("c", "d")]
    assert pairs(path.parent)[0] == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("p.json", '[["a", "b"], ["c", null], [NaN, "d"], ["", "e"]]', "row 2"),
        ("p.jsonl", '{"query": "a", "document": "b"}\n{"query": "c"}\n["x"]', None),
        ("p.csv", "query,document\na,b\nc,\n,d\nNaN,e\n", "line 3"),
    ],
)
def test_a_pair_that_lacks_a_text_is_counted(
    pairs: Read, refusal: Refusal, write: Write, name: str, content: str, place: str | None
) -> None:
    path = write(name, content)
    if place is None:
        assert "line 3 is a list of 1: a pair is a list of two texts" in refusal(path, read_pairs)
        return
    read, said = pairs(path)
    assert read == [("a", "b")]
    assert f"pairs that lack a text: 3 (first: {path}, {place})" in said


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.json", '[["a", "b", "c"]]', "row 1 is a list of 3"),
        ("p.json", '["a"]', "row 1 is a string"),
        ("p.json", '[["a", 5]]', "row 1: number 5 is not text"),
        ("p.json", "[[]", r"line 1 is not JSON"),
        ("p.json", "[]", "holds no pair: it is empty"),
        ("p.csv", "a,b,c\nx,y,z\n", r"which columns of .* columns is two of \['a', 'b', 'c'\]"),
        ("p.csv", "text\nx\n", "which columns"),
        ("p.txt", "a\tb\n", "is not a table; its suffix is one of"),
    ],
)
def test_what_is_no_pair_is_refused(
    refusal: Refusal, write: Write, name: str, content: str, words: str
) -> None:
    assert re.search(words, refusal(write(name, content), read_pairs))


def test_the_columns_of_a_pair(pairs: Read, refusal: Refusal, write: Write) -> None:
    path = write("p.csv", "a,b,c\nx,y,z\n")
    assert pairs(path, columns=("c", "a"))[0] == [("z", "x")]
    for columns in (("a", "d"), ("a", "a")):
        assert "no pair in the columns" in refusal(path, read_pairs, columns=columns)
