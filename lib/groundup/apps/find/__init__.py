"""Search from the command line."""
