"""Reading documentation from packages, and splitting it without a leak; on a made-up package."""

import itertools
import json
from pathlib import Path

import pytest

from groundup.data.corpus import Corpus, read_packages, read_paragraphs
from groundup.data.deduplication import without_repeats
from groundup.data.docstrings import Entry, prose, split_docstring
from groundup.lab.errors import UserError

NOUNS = [
    "apple",
    "river",
    "engine",
    "window",
    "forest",
    "castle",
    "bridge",
    "planet",
    "violin",
    "harbour",
]
VERBS = [
    "opens",
    "closes",
    "paints",
    "measures",
    "counts",
    "sorts",
    "lifts",
    "turns",
    "cleans",
    "hides",
]


def docstring(noun: str, verb: str, number: int) -> str:
    return (
        f"The function {verb} one {noun} with tool {number}.\n\n"
        f"    Whenever a {noun} needs it, tool {number} {verb} the {noun} once more and then waits "
        f"until the next {noun} arrives at gate {number}.\n    "
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of 40 modules with five functions each, two broken files and a tests folder."""
    root = tmp_path / "code" / "fakepkg"
    (root / "tests").mkdir(parents=True)
    (root / "__init__.py").write_text('"""A package made for this test alone."""\n')
    (root / "tests" / "test_it.py").write_text('"""This must not be read by anyone."""\n')
    (root / "broken.py").write_text('"""Docs of a broken file here."""\ndef (:\n')
    (root / "latin.py").write_bytes(b'"""Caf\xe9 is not valid UTF-8 here."""\n')
    words = itertools.cycle(itertools.product(NOUNS, VERBS))
    for module in range(40):
        source = ["raise SystemExit('importing a package is forbidden')\n"]
        for function, (noun, verb) in zip(range(5), words, strict=False):
            body = docstring(noun, verb, module)
            source.append(f'def f{function}():\n    """{body}"""\n')
        (root / f"m{module}.py").write_text("".join(source))
    monkeypatch.syspath_prepend(tmp_path / "code")
    return "fakepkg"


def test_reads_names_summaries_and_bodies_without_importing(package: str) -> None:
    corpus = read_packages([package], cache=None)
    by_name = {entry.name: entry for entry in corpus.entries}
    assert corpus.skipped == 2
    assert by_name["fakepkg"].summary == "A package made for this test alone."
    first = by_name["fakepkg.m0.f0"]
    assert first.module == "fakepkg.m0"
    assert first.summary == "The function opens one apple with tool 0."
    assert first.body.startswith("Whenever a apple needs it, tool 0 opens")
    assert not any(".tests" in name for name in by_name)
    assert corpus.versions["fakepkg"] == "unknown"


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_do_not_change_the_result(package: str, workers: int) -> None:
    calls: list[tuple[int, int]] = []
    several = read_packages(
        [package],
        cache=None,
        workers=workers,
        progress=lambda done, total: calls.append((done, total)),
    )
    alone = read_packages([package], cache=None, workers=1)
    assert several == alone
    assert several.fingerprint == alone.fingerprint
    assert calls[-1] == (43, 43)


def test_no_module_and_no_pair_in_two_splits(package: str) -> None:
    corpus = read_packages([package], cache=None)
    splits = corpus.split(test=0.2, development=0.2)
    assert all(split.entries for split in splits)
    for one, other in itertools.combinations(splits, 2):
        assert not {e.module for e in one.entries} & {e.module for e in other.entries}
        assert not set(one.strong_pairs()) & set(other.strong_pairs())
        assert not {s for _, s in one.weak_pairs()} & {s for _, s in other.weak_pairs()}
    assert splits == corpus.split(test=0.2, development=0.2)


def test_growing_the_corpus_moves_no_module(package: str) -> None:
    corpus = read_packages([package], cache=None)
    half = Corpus(corpus.entries[: len(corpus.entries) // 2])
    small, large = half.split(test=0.2, development=0.2), corpus.split(test=0.2, development=0.2)
    for (i, part), (j, whole) in itertools.product(enumerate(small), enumerate(large)):
        if i != j:
            assert not {e.module for e in part.entries} & {e.module for e in whole.entries}


def test_near_copies_of_held_out_entries_leave_train(package: str) -> None:
    corpus = read_packages([package], cache=None)
    splits = corpus.split(test=0.2, development=0.0)
    target = next(e for e in splits.test.entries if e.body)
    module = splits.train.entries[0].module
    copies = (
        Entry(f"{module}.same_summary", module, target.summary.upper(), "Another body altogether."),
        Entry(f"{module}.near_body", module, "Quite a new summary.", target.body + " And more."),
        Entry(f"{module}.new", module, "Nothing like the others.", "Words never seen before now."),
    )
    train = Corpus(corpus.entries + copies).split(test=0.2, development=0.0).train
    names = {e.name for e in train.entries} - {e.name for e in splits.train.entries}
    assert names == {f"{module}.new"}


def test_the_cache_is_used_and_a_damaged_one_is_made_again(package: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    fresh = read_packages([package], cache=cache)
    (path,) = cache.iterdir()

    calls: list[int] = []
    again = read_packages([package], cache=cache, progress=lambda done, _: calls.append(done))
    assert again == fresh
    assert not calls

    saved = json.loads(path.read_text())
    changed = json.dumps({**saved, "entries": saved["entries"][1:]})
    for damage in ("", "{", "[]", '{"entries": [[1]]}', changed, '{"entries": 3}'):
        path.write_text(damage)
        assert read_packages([package], cache=cache) == fresh
        assert json.loads(path.read_text()) == saved
    assert list(cache.iterdir()) == [path]


def test_a_changed_package_is_read_again(package: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = read_packages([package], cache=cache)
    file = tmp_path / "code" / "fakepkg" / "m0.py"
    file.write_text(file.read_text() + 'class New:\n    """A class that was added later."""\n')
    after = read_packages([package], cache=cache)
    assert len(after.entries) == len(before.entries) + 1
    assert after.fingerprint != before.fingerprint


def test_equal_entries_are_kept_once() -> None:
    one = Entry("a.run", "a", "Run the whole program.", "It runs until the end.")
    same_text = Entry("b.start", "b", "Run the whole program!", "It runs, until the end.")
    same_leaf = Entry("c.run", "c", "Run the whole program.", "")
    other = Entry("d.stop", "d", "Run the whole program.", "")
    assert without_repeats([one, same_text, same_leaf, other]) == (one, other)


def test_missing_and_empty_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="'no_such_package_here' is not installed"):
        read_packages(["no_such_package_here"], cache=None)
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "__init__.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="no documentation found in packages hollow"):
        read_packages(["hollow"], cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_files_of_a_package_that_cannot_be_read_are_counted(package: str, tmp_path: Path) -> None:
    """A link that leads nowhere, as an editor's lock is; NUL bytes; half a character escaped."""
    before = read_packages([package], cache=tmp_path / "cache")
    root = tmp_path / "code" / "fakepkg"
    (root / ".#m0.py").symlink_to("someone@somewhere.1234")
    (root / "nul.py").write_bytes(b'"""Nothing here can be read at all."""\0')
    (root / "half.py").write_text('"""Half of a pair \\ud83d is no character."""\n')
    (root / "marked.py").write_bytes(b'\xef\xbb\xbf"""A file that begins with a mark."""\r\n')
    after = read_packages([package], cache=tmp_path / "cache")
    assert after.skipped == before.skipped + 2
    new = {entry.name: entry.summary for entry in after.entries[:] if entry not in before.entries}
    assert new == {
        "fakepkg.half": "Half of a pair \ufffd is no character.",
        "fakepkg.marked": "A file that begins with a mark.",
    }


def test_fractions_must_leave_something_to_train_on() -> None:
    with pytest.raises(ValueError, match=r"test=0\.5, development=0\.5"):
        Corpus(()).split(test=0.5, development=0.5)


DOCSTRING = """Join the :class:`~os.PathLike` parts. The separator is `chosen` for you.

    Join the PathLike parts. An empty last part ends the result with a separator, as shown below::

        code = here

    >>> join("a", "b")
    'a/b'

    Args:
        parts (`str`): what to join, in this order please.

            With a second paragraph about it.

    .. note:: nothing
        A note is prose and it stays in the body.

    .. code-block:: python

        more(code)

    Parameters
    ----------
    other : int
        A table in the style of NumPy goes as well.

    Notes
    -----
    But the notes of that style are kept, see [the guide](https://example.org) for them.
    """


def test_a_docstring_is_cut_into_prose() -> None:
    summary, body = split_docstring(DOCSTRING)
    assert summary == "Join the os.PathLike parts."
    assert body.split("\n\n") == [
        "The separator is chosen for you.",
        "Join the PathLike parts. An empty last part ends the result with a separator, as shown "
        "below:",
        "A note is prose and it stays in the body.",
        "But the notes of that style are kept, see the guide for them.",
    ]


def test_the_body_never_repeats_the_summary() -> None:
    summary, body = split_docstring("Return the last value.\n\nThus: Return the last value. Done.")
    assert summary == "Return the last value."
    assert summary not in body


@pytest.mark.parametrize(
    "text", ["", "Short.", ":param x: a value that is given", "x (int): the number of the thing"]
)
def test_what_opens_with_no_sentence_has_no_summary(text: str) -> None:
    assert split_docstring(text) == ("", "")


def test_tables_of_symbols_are_not_prose() -> None:
    assert prose("+---+---+\n| 1 | 2 |\n\n0x00 0x01 0x02 0x03 0x04") == []


def test_text_is_read_from_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("One\nparagraph.\n\n\nAnother one.\n\nOne paragraph.")
    (tmp_path / "a.md").write_text("Markdown first.")
    (tmp_path / "c.png").write_bytes(b"\x89")
    assert read_paragraphs(tmp_path / "b.txt") == ["One paragraph.", "Another one."]
    with pytest.warns(UserWarning, match=r"files of another kind \(\.png\): 1"):
        assert read_paragraphs(tmp_path) == ["Markdown first.", "One paragraph.", "Another one."]
    (tmp_path / "w.TXT").write_bytes("Für\r\nWindows.\r\n\r\nZwei.".encode("cp1252"))
    assert read_paragraphs(tmp_path / "w.TXT", encoding="cp1252") == ["Für Windows.", "Zwei."]
    for end in ("\r\n", "\r"):
        (tmp_path / "b.txt").write_bytes(f"\ufeffOne{end}paragraph.{end}{end}Two.".encode())
        assert read_paragraphs(tmp_path / "b.txt") == ["One paragraph.", "Two."]


def test_unreadable_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        read_paragraphs(tmp_path / "none.txt")
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"bad\.txt is not UTF-8 text \(byte 3\)"):
        read_paragraphs(tmp_path / "bad.txt")
    (tmp_path / "bad.txt").write_text(" \n")
    with pytest.raises(UserError, match="holds no text"):
        read_paragraphs(tmp_path)
