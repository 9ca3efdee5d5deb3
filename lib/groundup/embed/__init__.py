"""Part III: sentence embeddings: contrastive losses, LoRA, many processes, evaluation, search."""

from typing import TYPE_CHECKING

from groundup.lab.lazy import attach

__all__ = [
    "ContrastiveConfig",
    "ContrastiveObjective",
    "LoraSettings",
    "PairBatches",
    "RetrievalResult",
    "RetrievalTask",
    "SearchHit",
    "SearchIndex",
    "SentenceEncoder",
    "add_lora",
    "all_gather",
    "bm25",
    "evaluate_retrieval",
    "gradient_error",
    "info_nce",
    "inverse_document_frequency",
    "last_token_pool",
    "mean_pool",
    "merge_lora",
    "paired_bootstrap",
    "retrieval_metrics",
    "train_contrastive",
]

if TYPE_CHECKING:
    from groundup.embed.batches import PairBatches
    from groundup.embed.distributed import all_gather
    from groundup.embed.encoder import SentenceEncoder, inverse_document_frequency
    from groundup.embed.lora import LoraSettings, add_lora, merge_lora
    from groundup.embed.losses import info_nce
    from groundup.embed.objective import ContrastiveConfig, ContrastiveObjective
    from groundup.embed.pooling import last_token_pool, mean_pool
    from groundup.embed.retrieval import (
        RetrievalResult,
        RetrievalTask,
        bm25,
        evaluate_retrieval,
        paired_bootstrap,
        retrieval_metrics,
    )
    from groundup.embed.search import SearchHit, SearchIndex
    from groundup.embed.train import gradient_error, train_contrastive
else:
    __getattr__, __dir__ = attach(__name__)
