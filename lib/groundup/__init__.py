"""Ground Up: a transformer in NumPy, NeoBERT in PyTorch, and sentence embeddings, one ladder.

Importing this package imports nothing heavy. Take what you need by its room:
``groundup.scratch`` (NumPy), ``groundup.neobert`` and ``groundup.embed`` (PyTorch).
"""

import os
from importlib import import_module

__version__ = "0.1.0"

if os.environ.get("GROUNDUP_MINE"):
    # `--mine`: the learner's functions take the place of the library's as modules are imported. By
    # a relative name, so that nothing that runs without it depends on the course's tools: neither
    # the layers of imports nor the fingerprint by which a chapter's page is up to date.
    os.environ.setdefault("GROUNDUP_PLAIN", "1")  # the plain functions are those that are swapped
    import_module(".course.mine", __name__).install()
