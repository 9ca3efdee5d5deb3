"""Run by tests where groundup is not installed: vectors and scores of saved directories.

python -I -S read_elsewhere.py SITE_PACKAGES INPUT.json OUTPUT.npz

``-S`` keeps Python from reading the .pth file that makes groundup importable; the packages' folder
is added by hand. The input holds "directories" by name, "texts", and "queries" and "documents", of
which document i answers query i.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

site, source, target = sys.argv[1:]
sys.path.append(site)
assert importlib.util.find_spec("groundup") is None

import mteb  # noqa: E402
import numpy as np  # noqa: E402
from datasets import Dataset  # noqa: E402
from mteb.abstasks import AbsTaskRetrieval  # noqa: E402
from mteb.abstasks.task_metadata import TaskMetadata  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

given: dict[str, Any] = json.loads(Path(source).read_text("utf-8"))


class Pairs(AbsTaskRetrieval):
    """Document i answers query i."""

    metadata = TaskMetadata(
        name="Pairs",
        description="Document i answers query i.",
        dataset={"path": "local", "revision": "local"},
        type="Retrieval",
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:
        queries = [{"id": f"q{i}", "text": text} for i, text in enumerate(given["queries"])]
        documents = [
            {"id": f"d{i}", "title": "", "text": text} for i, text in enumerate(given["documents"])
        ]
        split: Any = {
            "corpus": Dataset.from_list(documents),
            "queries": Dataset.from_list(queries),
            "relevant_docs": {f"q{i}": {f"d{i}": 1} for i in range(len(queries))},
            "top_ranked": None,
        }
        self.dataset = {"default": {"test": split}}
        self.data_loaded = True


result: dict[str, Any] = {}
for name, directory in given["directories"].items():
    model = SentenceTransformer(directory, device="cpu", trust_remote_code=True)
    assert model.device.type == "cpu"
    result[f"{name}/vectors"] = model.encode(given["texts"], batch_size=3)
    result[f"{name}/max_length"] = np.array(model.max_seq_length)
    found = mteb.evaluate(model, Pairs(), cache=None, co2_tracker=False, show_progress_bar=False)
    scores = found.task_results[0].scores["test"][0]
    result[f"{name}/scores"] = np.array([scores["ndcg_at_10"], scores["recall_at_10"]])
assert "groundup" not in sys.modules
np.savez(target, **result)
