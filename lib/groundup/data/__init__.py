"""Texts: corpora, tables, tokenizers, pairs."""
