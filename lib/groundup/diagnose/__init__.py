"""Checks for any transformer: does it train, does it leak, does padding change it."""
