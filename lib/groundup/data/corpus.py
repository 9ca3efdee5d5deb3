"""English that every learner already has: the documentation inside the installed packages.

Reading costs no download and redistributes no text. What is read depends on the installed versions,
so a corpus carries them and a fingerprint of its content, to be recorded with each result.

    corpus = read_packages()
    splits = corpus.split()
    splits.train.text()          # paragraphs, for a tokenizer and for masked pretraining
    splits.train.weak_pairs()    # name -> summary
    splits.test.strong_pairs()   # summary -> body
"""

import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from groundup.data import deduplication, docstrings
from groundup.data.deduplication import normal_text, without_near_copies, without_repeats
from groundup.data.docstrings import Entry
from groundup.data.notices import Notice, issue_warning
from groundup.data.texts import read_documents
from groundup.lab.errors import UserError
from groundup.lab.files import atomic_file

STDLIB = "stdlib"
DEFAULT_PACKAGES = (STDLIB, "numpy", "torch", "transformers")
DEFAULT_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "groundup"

_NOT_DOCUMENTATION = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}


class CorpusSplits(NamedTuple):
    """Three corpora that share no module, no pair and (nearly) no text."""

    train: "Corpus"
    development: "Corpus"
    test: "Corpus"


@dataclass(frozen=True)
class Corpus:
    """Documentation entries, and where they came from."""

    entries: tuple[Entry, ...]
    versions: dict[str, str] = field(default_factory=dict)
    """Version of each package read, and of Python."""
    skipped: int = 0
    """Files that could not be read, decoded or parsed."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content: equal fingerprints mean equal entries in equal order."""
        digest = hashlib.sha256()
        for entry in self.entries:
            fields = (entry.name, entry.module, entry.summary, entry.body)
            digest.update(json.dumps(fields).encode())
        return digest.hexdigest()

    def split(self, *, test: float = 0.08, development: float = 0.06) -> CorpusSplits:
        """Assign each module to one split by a hash of its name.

        Rows of one module resemble each other, so a split by row would let a model be tested on
        what it has nearly seen. Near copies across modules are removed as well: an entry leaves
        train when its summary, or over half of its body's five-word shingles, occurs in a
        held-out entry; it leaves development when it is so close to test.

        Raises:
            ValueError: the fractions are negative or leave nothing for training.
        """
        if not (test >= 0 and development >= 0 and test + development < 1):
            raise ValueError(
                "test and development must be >= 0 and sum to less than 1: "
                f"got test={test}, development={development}"
            )
        parts: tuple[list[Entry], ...] = ([], [], [])
        for entry in self.entries:
            place = _unit_hash(entry.module)
            parts[2 if place < test else 1 if place < test + development else 0].append(entry)
        held_out = parts[2]
        dev = without_near_copies(parts[1], held_out)
        train = without_near_copies(parts[0], dev + held_out)
        return CorpusSplits(*(Corpus(tuple(p), self.versions) for p in (train, dev, held_out)))

    def text(self) -> list[str]:
        """All prose as paragraphs, each once."""
        paragraphs: dict[str, str] = {}
        for entry in self.entries:
            for paragraph in (entry.summary, *entry.body.split("\n\n")):
                if paragraph:
                    paragraphs.setdefault(normal_text(paragraph), paragraph)
        return list(paragraphs.values())

    def weak_pairs(self) -> list[tuple[str, str]]:
        """``(name, summary)`` of every entry: plenty, and only loosely the same in meaning."""
        return [(entry.name, entry.summary) for entry in self.entries]

    def strong_pairs(self, min_words: int = 10) -> list[tuple[str, str]]:
        """``(summary, body)`` of the entries whose body has ``min_words`` words; each text once."""
        pairs: list[tuple[str, str]] = []
        seen: set[str] = set()
        for entry in self.entries:
            texts = {normal_text(entry.summary), normal_text(entry.body)}
            if len(entry.body.split()) >= min_words and not texts & seen:
                seen |= texts
                pairs.append((entry.summary, entry.body.replace("\n\n", " ")))
        return pairs


def read_packages(
    packages: Sequence[str] = DEFAULT_PACKAGES,
    *,
    workers: int = 2,
    cache: Path | None = DEFAULT_CACHE,
    progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Read the documentation of installed packages; none of them is imported.

    Args:
        packages: importable names; ``"stdlib"`` is the standard library.
        workers: processes that read.
        cache: folder that keeps the result, by package versions, file sizes and this code;
            ``None`` reads afresh. A damaged cache is read again and replaced.
        progress: called with (files read, files in all).

    Raises:
        UserError: a package is not installed, or none of them holds documentation.
        ValueError: ``workers`` is not positive.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1: got {workers}")
    files = sorted(file for package in packages for file in _python_files(package))
    versions = {"python": platform.python_version()}
    versions |= {package: _version(package) for package in packages if package != STDLIB}
    path = cache / f"corpus-{_cache_key(files, versions)}.json" if cache else None
    corpus = _load(path) if path else None
    if corpus is None:
        rows, skipped = _read_files([(module, str(p)) for module, p in files], workers, progress)
        corpus = Corpus(without_repeats(Entry(*row) for row in rows), versions, skipped)
        if path and corpus.entries:
            _save(corpus, path)
    if not corpus.entries:
        raise UserError(
            f"no documentation found in packages {', '.join(packages) or '(none named)'}; "
            "install them or name others"
        )
    return corpus


def read_paragraphs(
    source: str | Path,
    *,
    column: str | None = None,
    encoding: str | None = None,
    notice: Notice = issue_warning,
) -> list[str]:
    """Paragraphs of a text file, a table, a folder of such, or a data set of the Hub; each once.

    Args:
        source: see :func:`groundup.data.texts.read_documents`, as for the rest.
        column: see there.
        encoding: see there.
        notice: see there.

    Raises:
        UserError: there is no such source, no text in it, or something in it can't be read.
        WorkError: the Hub can't be reached.
    """
    documents = read_documents(source, column=column, encoding=encoding, notice=notice)
    blocks = (block for text in documents for block in re.split(r"\n\s*\n", text))
    paragraphs = dict.fromkeys(" ".join(block.split()) for block in blocks)
    return [paragraph for paragraph in paragraphs if paragraph]


def _python_files(package: str) -> list[tuple[str, Path]]:
    """``(module, path)`` of every source file of a package, tests left out."""
    if package == STDLIB:
        roots = [(Path(sysconfig.get_paths()["stdlib"]), "")]
    else:
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
        if spec is None:
            raise UserError(f"package {package!r} is not installed; install it or name others")
        if spec.submodule_search_locations is None:
            return [(package, Path(spec.origin))] if spec.origin else []
        roots = [(Path(folder), package) for folder in spec.submodule_search_locations]
    files = []
    for root, prefix in roots:
        for folder, below, names in os.walk(root):
            below[:] = sorted(set(below) - _NOT_DOCUMENTATION)
            parts = Path(folder).relative_to(root).parts
            for name in names:
                if name.endswith(".py"):
                    stem = () if name == "__init__.py" else (name[:-3],)
                    module = ".".join((*([prefix] if prefix else []), *parts, *stem))
                    files.append((module, Path(folder, name)))
    return files


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _cache_key(files: Iterable[tuple[str, Path]], versions: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(versions, sort_keys=True).encode())
    for source in (__file__, docstrings.__file__, deduplication.__file__):
        digest.update(Path(source).read_bytes())
    for module, path in files:
        # A link that leads nowhere, as an editor's lock is one, has a size of its own.
        digest.update(f"{module} {path.lstat().st_size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:24]


def _read_files(
    files: Sequence[tuple[str, str]],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[docstrings.EntryFields], int]:
    """Rows of all files in the order of ``files``, and how many files were unreadable.

    The workers run ``docstrings.py`` as a script, not through ``multiprocessing``: that would run a
    caller's own script again (spawn), or copy its threads half-way through their work (fork).
    """
    answers: list[list[docstrings.EntryFields] | None] = [None] * len(files)
    finished = Counter[int]()

    def read_share(first: int) -> None:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as request:
            json.dump(files[first::workers], request)
            request.seek(0)
            command = [sys.executable, "-I", "-W", "ignore", docstrings.__file__]
            with subprocess.Popen(command, stdin=request, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                for number, line in enumerate(process.stdout):
                    answers[first + number * workers] = json.loads(line)
                    finished[first] = number + 1
                    if progress:
                        progress(sum(finished.values()), len(files))
        if process.returncode:
            raise RuntimeError(f"a process reading docstrings failed: exit {process.returncode}")

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(read_share, range(workers)))
    rows = [row for answer in answers if answer for row in answer]
    return rows, sum(answer is None for answer in answers)


def _unit_hash(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _load(path: Path) -> Corpus | None:
    """The cached corpus; ``None`` where there is none, or it is damaged."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        corpus = Corpus(
            tuple(Entry(*row) for row in saved["entries"]), saved["versions"], saved["skipped"]
        )
        return corpus if corpus.fingerprint == saved["fingerprint"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _save(corpus: Corpus, path: Path) -> None:
    """Write the cache in one step: a reader sees the old file or the whole new one."""
    rows = [(entry.name, entry.module, entry.summary, entry.body) for entry in corpus.entries]
    saved = {
        "versions": corpus.versions,
        "skipped": corpus.skipped,
        "fingerprint": corpus.fingerprint,
        "entries": rows,
    }
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(saved), "utf-8")
