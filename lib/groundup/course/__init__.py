"""Exercises, chapters, the site and the tour. Knows the library; the library does not know it."""
