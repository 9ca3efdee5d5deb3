"""Part III: sentence embeddings: contrastive losses, LoRA, many processes, evaluation, search."""
