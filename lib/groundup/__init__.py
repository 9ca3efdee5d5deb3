"""Ground Up: a transformer in NumPy, NeoBERT in PyTorch, and sentence embeddings, one ladder.

Importing this package imports nothing heavy. Take what you need by its room:
``groundup.scratch`` (NumPy), ``groundup.neobert`` and ``groundup.embed`` (PyTorch).
"""

__version__ = "0.1.0"
