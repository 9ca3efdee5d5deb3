"""Stubs and solutions, cut out of the library."""
