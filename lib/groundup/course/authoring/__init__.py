"""Stubs and solutions, extracted from the library."""
