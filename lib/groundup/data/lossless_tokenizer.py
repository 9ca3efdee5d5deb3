"""From text to ids and back without loss: characters, or byte-level BPE.

Both know the bytes of each token. So text can be put together again exactly, a token at a time, and
bits per byte are counted, not estimated.
"""

import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groundup.data.paths import did_you_mean, find_path
from groundup.data.texts import read_json_file
from groundup.lab.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

IntArray = NDArray[np.integer[Any]]

Progress = Callable[[float], None]
"""Called with the share that is done."""

DOCUMENT_END = "\n\n"
"""What ends a document in a text that holds several: an empty line."""

KINDS = ("char", "bpe", "gpt2")
"""Names of tokenizers that need no path."""

_FILE = "tokenizer.json"
_CHUNK = 1 << 20  # characters that are encoded at a time
_LEARNED_FROM = 10 << 20  # characters that a BPE is learned from, at most


class LosslessTokenizer(ABC):
    """A tokenizer.

    Attributes:
        pieces: the bytes of each token, by id.
    """

    pieces: list[bytes]

    @abstractmethod
    def encode(self, text: str) -> IntArray:
        """The ids of a text.

        Raises:
            UserError: the text holds a character without a token.
        """

    @abstractmethod
    def to_json(self) -> str:
        """All of it, as :func:`from_json` reads it."""

    def __len__(self) -> int:
        return len(self.pieces)

    def decode(self, ids: IntArray) -> str:
        """The text of some ids; bytes that are no whole character become U+FFFD."""
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", "replace")

    def encode_all(self, text: str, progress: Progress) -> IntArray:
        """The ids of a long text, a piece at a time, in as few bytes as the vocabulary needs."""
        dtype = np.uint16 if len(self) <= 1 << 16 else np.int32
        parts = []
        for start, end in _chunks(text):
            parts.append(self.encode(text[start:end]).astype(dtype))
            progress(end / len(text))
        return np.concatenate(parts)

    def sizes(self) -> IntArray:
        """(V,) the number of bytes of each token."""
        return np.array([len(piece) for piece in self.pieces])


class CharacterTokenizer(LosslessTokenizer):
    """A token for each character.

    Args:
        alphabet: the characters, in the order of their ids.
    """

    def __init__(self, alphabet: str) -> None:
        self.alphabet = alphabet
        self.pieces = [character.encode() for character in alphabet]
        self._ids = np.full(0x110000, -1, np.int32)
        self._ids[_code_points(alphabet)] = np.arange(len(alphabet))

    @classmethod
    def of(cls, text: str) -> "CharacterTokenizer":
        """The characters that occur in a text, in the order of Unicode."""
        seen = np.zeros(0x110000, bool)
        for start, end in _chunks(text):
            seen[_code_points(text[start:end])] = True
        return cls("".join(map(chr, np.flatnonzero(seen))))

    def encode(self, text: str) -> IntArray:
        ids = self._ids[_code_points(text)]
        if len(ids) and ids.min() < 0:
            unknown = sorted({text[i] for i in np.flatnonzero(ids < 0)})
            raise UserError(
                f"the model does not know {', '.join(map(repr, unknown))}: it was trained on "
                f"the characters {self.alphabet!r}"
            )
        return ids

    def to_json(self) -> str:
        return json.dumps({"kind": "char", "alphabet": self.alphabet})


class ByteLevelBPE(LosslessTokenizer):
    """Byte-level byte-pair encoding: every text has ids, and they spell its very bytes.

    The tokenizer of the NeoBERT part drops case and spaces, which suits search. A model that
    writes needs both, so this one drops nothing.

    Args:
        backend: a byte-level tokenizer of the library ``tokenizers``.

    Raises:
        UserError: it is not byte-level.
    """

    def __init__(self, backend: "Backend") -> None:
        if "ByteLevel" not in str(json.loads(backend.to_str())["decoder"]):
            raise UserError("this tokenizer is not byte-level: its tokens do not spell the text")
        self.backend = backend
        to_byte = _byte_alphabet()
        names = [backend.id_to_token(i) or "" for i in range(backend.get_vocab_size())]
        added = {token.content for token in backend.get_added_tokens_decoder().values()}
        self.pieces = [
            name.encode() if name in added else bytes(to_byte[c] for c in name) for name in names
        ]

    @classmethod
    def learn(cls, text: str, vocabulary: int) -> "ByteLevelBPE":
        """Learn the merges from the beginning of a text, 10 million characters at most.

        Args:
            text: to learn from.
            vocabulary: tokens at most, the 256 bytes among them.

        Raises:
            UserError: there is no room for the bytes.
        """
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
        from tokenizers.trainers import BpeTrainer

        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        if vocabulary < len(alphabet):
            raise UserError(
                f"a byte-level vocabulary has at least {len(alphabet)} tokens: got {vocabulary}"
            )
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = BpeTrainer(
            vocab_size=vocabulary, min_frequency=2, initial_alphabet=alphabet, show_progress=False
        )
        known = text[:_LEARNED_FROM]
        backend.train_from_iterator(_documents(known), trainer)
        return cls(backend)

    @classmethod
    def named(cls, name: str) -> "ByteLevelBPE":
        """One that exists: a ``tokenizer.json``, the folder it is in, or a model on the Hub.

        Args:
            name: such as ``gpt2``. It is fetched from the Hub once.

        Raises:
            UserError: it can't be had, or is not a tokenizer.
        """
        from tokenizers import Tokenizer

        path = find_path(name) or _from_hub(name)
        if path.is_dir():
            path /= _FILE
        content = read_json_file(path)
        try:
            backend = Tokenizer.from_str(json.dumps(content))
        except Exception as error:  # the library raises no class of its own
            raise UserError(f"{path} is not a tokenizer: {error}") from error
        return cls(backend)

    def encode(self, text: str) -> IntArray:
        found = self.backend.encode_batch_fast(_documents(text), add_special_tokens=False)
        return np.concatenate([np.array(each.ids, np.int32) for each in found])

    def to_json(self) -> str:
        return json.dumps({"kind": "bpe", "tokenizer": self.backend.to_str()})


def _from_hub(name: str) -> Path:
    import huggingface_hub

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it repeats itself
    try:
        return Path(huggingface_hub.hf_hub_download(name, _FILE))
    except (OSError, ValueError) as error:
        raise UserError(
            f"no tokenizer {name}: there is no such folder with a {_FILE}, and it could not be "
            f"fetched from the Hub ({type(error).__name__}){did_you_mean(name, KINDS)}"
        ) from error


def from_json(text: str) -> LosslessTokenizer:
    """The tokenizer that :meth:`LosslessTokenizer.to_json` wrote."""
    content: dict[str, str] = json.loads(text)
    if content["kind"] == "char":
        return CharacterTokenizer(content["alphabet"])
    from tokenizers import Tokenizer

    return ByteLevelBPE(Tokenizer.from_str(content["tokenizer"]))


def _chunks(text: str) -> Iterator[tuple[int, int]]:
    """Where to cut a long text: behind a document or a line, where one ends near enough."""
    start = 0
    while start < len(text):
        end = min(start + _CHUNK, len(text))
        if end < len(text):
            for mark in (DOCUMENT_END, "\n"):
                found = text.rfind(mark, start + _CHUNK // 2, end)
                if found >= 0:
                    end = found + len(mark)
                    break
        yield start, end
        start = end


def _documents(text: str) -> list[str]:
    """The documents of a text, each with the empty line that ends it.

    Each is encoded by itself, so that its end is always the same token: the pre-tokenizer of GPT-2
    would split it differently before a word than at the end of a prompt.
    """
    return re.split(rf"(?<={DOCUMENT_END})(?!\n)", text)


def _code_points(text: str) -> IntArray:
    points: IntArray = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return points


def _byte_alphabet() -> dict[str, int]:
    """The character of each byte in a byte-level vocabulary (Radford et al., 2019).

    A byte that is a printable character of Latin-1 is that character; the others get the
    characters from U+0100 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    shown = {chr(byte): byte for byte in printable}
    return shown | {chr(0x100 + i): byte for i, byte in enumerate(others)}
