"""Texts: corpora, tables, tokenizers, pairs."""

from typing import TYPE_CHECKING

from groundup.lab.lazy import attach

__all__ = [
    "ByteLevelBPE",
    "CharacterTokenizer",
    "Corpus",
    "CorpusSplits",
    "Entry",
    "LosslessTokenizer",
    "Notice",
    "check_texts",
    "cloze",
    "distinct",
    "read_documents",
    "read_packages",
    "read_pairs",
    "read_paragraphs",
    "train_tokenizer",
]

if TYPE_CHECKING:
    from groundup.data.corpus import Corpus, CorpusSplits, read_packages, read_paragraphs
    from groundup.data.docstrings import Entry
    from groundup.data.lossless_tokenizer import ByteLevelBPE, CharacterTokenizer, LosslessTokenizer
    from groundup.data.notices import Notice
    from groundup.data.pairs import cloze, distinct
    from groundup.data.strings import check_texts
    from groundup.data.texts import read_documents, read_pairs
    from groundup.data.tokenizer import train_tokenizer
else:
    __getattr__, __dir__ = attach(__name__)
