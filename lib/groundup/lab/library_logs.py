"""Keep other libraries' progress bars and notices out of our terminal."""

import logging
import os
import sys
import warnings


def quiet_libraries() -> None:
    """Silence transformers, datasets and mteb below errors.

    What the user set in the environment stays.
    """
    for name, value in {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "true",
    }.items():
        os.environ.setdefault(name, value)
    if "transformers" in sys.modules:  # it read the environment when it was imported
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
    for name in ("mteb", "datasets", "sentence_transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(mteb|datasets|torch|transformers|accelerate)\b")
