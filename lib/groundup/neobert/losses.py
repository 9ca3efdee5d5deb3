"""The loss of a model that predicts something at some of its tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = -100
"""The label of a token the loss leaves out, transformers' convention."""


def class_labels(labels: Tensor) -> Tensor:
    """Labels as int64, where −100 means "not asked for": in uint8 it would be the class 156.

    Raises:
        ValueError: they are not integers.
    """
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be integers: got {labels.dtype}")
    return labels.long()


def token_loss(
    logits: Tensor, labels: Tensor, num_items_in_batch: Tensor | int | None = None
) -> Tensor:
    """Cross-entropy in nats, summed over the labelled tokens and divided by their number.

    Args:
        logits: (..., C).
        labels: (...) classes of any integer type, −100 where none is asked for.
        num_items_in_batch: a number to divide by instead, for accumulated batches.

    Returns:
        One number, in float32 at least: in float16 the sum of some thousand losses is infinite. 0
        where nothing is labelled.

    Raises:
        ValueError: the labels are not integers.
    """
    labels = class_labels(labels)
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    total = F.cross_entropy(
        precise.flatten(0, -2), labels.flatten(), ignore_index=IGNORE, reduction="sum"
    )
    if num_items_in_batch is None:
        num_items_in_batch = (labels != IGNORE).sum().clamp(min=1)
    return total / num_items_in_batch
