"""Keep other libraries' progress bars and notices out of our terminal."""

import logging
import os
import warnings


def quiet_libraries() -> None:
    """Silence transformers, datasets and mteb below errors, and stay off the network.

    Call it before they are imported; what the user set in the environment stays.
    """
    for name, value in {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "true",
    }.items():
        os.environ.setdefault(name, value)
    for name in ("mteb", "datasets", "sentence_transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(mteb|datasets|torch|transformers|accelerate)\b")
