"""The text model of the command line: a NumPy decoder trained on any text, and what it writes."""
