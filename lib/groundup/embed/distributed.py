"""All-gather with a gradient: the rows of every process in each of them."""

import torch
import torch.distributed as dist
from torch import Tensor


class AllGather(torch.autograd.Function):
    """Forward: all-gather. Backward: sum every process's gradient, keep the rows that are ours.

    Each process's loss depends on the rows of all processes. The derivative of the sum of all
    losses with respect to our rows is therefore the sum of the gradients of every process.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)  # autograd may share it
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def all_gather(rows: Tensor) -> Tensor:
    """Concatenate this process's rows with those of all others, in rank order.

    Under DistributedDataParallel, which averages gradients over processes, a loss that is a mean
    over the local rows then has exactly the gradient of one process on the whole batch.

    Args:
        rows: (b, D); b must be the same in every process.

    Returns:
        (processes · b, D); the same tensor where there is one process.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    gathered: Tensor = AllGather.apply(rows)
    return gathered


def row_offset(rows: int) -> int:
    """Where this process's rows begin in what :func:`all_gather` returns."""
    return dist.get_rank() * rows if dist.is_initialized() else 0
