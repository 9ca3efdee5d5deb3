"""The forward pass of :mod:`.flash` as one GPU kernel, in Triton (Tillet et al., 2019).

One program takes one tile of queries of one head and goes over the keys; what it keeps (the
largest score, the sum, the output) stays on the chip. All but the launch runs without a GPU:
:func:`plan_launch` works out the grid and refuses bad input.
"""

import math
import os
from dataclasses import dataclass

import torch
from torch import Tensor

from .batch_layout import Packed

try:
    import triton
    import triton.language as tl
except ImportError:  # it comes with torch's builds for NVIDIA GPUs
    triton = None

WIDTHS = (16, 32, 64, 128)
_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


if triton is not None:

    @triton.jit  # type: ignore[untyped-decorator]
    def _kernel(  # type: ignore[no-untyped-def]
        q_start,
        k_start,
        v_start,
        y_start,
        starts,
        lengths,
        q_batch,
        q_head,
        q_token,
        k_batch,
        k_head,
        k_token,
        v_batch,
        v_head,
        v_token,
        y_batch,
        y_head,
        y_token,
        heads,
        row_tiles,
        scale,
        CAUSAL: tl.constexpr,
        WIDTH: tl.constexpr,
        ROWS: tl.constexpr,
        COLUMNS: tl.constexpr,
    ):
        program = tl.program_id(0)
        first = program % row_tiles * ROWS
        head = (program // row_tiles % heads).to(tl.int64)
        sequence = program // row_tiles // heads
        length = tl.load(lengths + sequence)
        if first >= length:
            return
        start, batch = tl.load(starts + sequence).to(tl.int64), sequence.to(tl.int64)
        q_start += batch * q_batch + head * q_head + start * q_token
        k_start += batch * k_batch + head * k_head + start * k_token
        v_start += batch * v_batch + head * v_head + start * v_token
        y_start += batch * y_batch + head * y_head + start * y_token

        width = tl.arange(0, WIDTH)
        rows = (first + tl.arange(0, ROWS)).to(tl.int64)
        row_mask = rows[:, None] < length
        q = tl.load(q_start + rows[:, None] * q_token + width, mask=row_mask, other=0.0)
        top = tl.full((ROWS,), float("-inf"), tl.float32)
        total = tl.zeros((ROWS,), tl.float32)
        out = tl.zeros((ROWS, WIDTH), tl.float32)
        end = tl.minimum(length, first + ROWS) if CAUSAL else length
        for first_column in range(0, end, COLUMNS):
            columns = (first_column + tl.arange(0, COLUMNS)).to(tl.int64)
            column_mask = columns < length
            k = tl.load(  # transposed: (WIDTH, COLUMNS)
                k_start + columns * k_token + width[:, None], mask=column_mask, other=0.0
            )
            v = tl.load(
                v_start + columns[:, None] * v_token + width, mask=column_mask[:, None], other=0.0
            )
            attn_mask = column_mask & (columns <= rows[:, None]) if CAUSAL else column_mask
            scores = tl.dot(q, k, input_precision="ieee") * scale
            scores = tl.where(attn_mask, scores, float("-inf"))
            # Every row attends to key 0, so the largest score is finite from the first block on.
            new_top = tl.maximum(top, tl.max(scores, 1))
            old, weights = tl.exp2(top - new_top), tl.exp2(scores - new_top[:, None])
            total = old * total + tl.sum(weights, 1)
            mixed = tl.dot(weights.to(v.dtype), v, input_precision="ieee")
            out = old[:, None] * out + mixed
            top = new_top
        y = out / total[:, None]
        tl.store(y_start + rows[:, None] * y_token + width, y, mask=row_mask)


@dataclass(frozen=True)
class LaunchPlan:
    """How the kernel is launched.

    Attributes:
        grid: programs: tiles of queries × heads × sequences, on one axis. The other two axes of a
            grid end at 65,535, which a large pack exceeds.
        row_tiles: tiles of queries, of the longest sequence; a program beyond the end of its own
            sequence returns at once.
        starts: (S,) int32, the first token of each sequence in its row of the batch.
        lengths: (S,) int32.
        sequence_stride: whether sequence n is in row n of the batch (1), or all are in row 0 (0).
        scale: log₂e/√K: the kernel's exponentials are powers of two.
    """

    grid: tuple[int]
    row_tiles: int
    starts: Tensor
    lengths: Tensor
    sequence_stride: int
    scale: float


def plan_launch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    packed: Packed | None = None,
    lengths: Tensor | None = None,
    block: tuple[int, int] = (64, 64),
) -> LaunchPlan:
    """The launch of :func:`flash_forward`, worked out without a GPU.

    Raises:
        ValueError: the kernel can't run on this input.
    """
    shapes = [tuple(each.shape) for each in (q, k, v)]
    if q.dim() != 4 or len(set(shapes)) > 1:
        raise ValueError(f"q, k and v must be (B, H, T, K), all three alike: got {shapes}")
    batch, heads, length, width = q.shape
    if width not in WIDTHS:
        raise ValueError(f"the kernel takes heads of width {WIDTHS}: got {width}")
    kinds = {str(each.dtype) for each in (q, k, v)}
    if q.dtype not in _DTYPES or len(kinds) > 1:
        raise ValueError(f"q, k and v must all be float16, bfloat16 or float32: got {kinds}")
    if any(size < 16 or size & (size - 1) for size in block):
        raise ValueError(f"block sizes must be powers of two from 16 up: got {block}")
    if packed is not None and lengths is not None:
        raise ValueError("a pack has lengths of its own: give packed or lengths, not both")
    if packed is not None:
        tokens = len(packed.positions)
        if (batch, length) != (1, tokens):
            raise ValueError(f"a pack of {tokens} tokens is (1, H, {tokens}, K): got {shapes[0]}")
        starts, longest, stride = packed.cu_seqlens[:-1], packed.max_seqlen, 0
        lengths = packed.cu_seqlens.diff()
    else:
        starts = torch.zeros(batch, dtype=torch.int32, device=q.device)
        longest, stride = length, 1
        if lengths is None:
            lengths = torch.full_like(starts, length)
        elif lengths.shape != (batch,) or lengths.is_floating_point():
            raise ValueError(
                f"lengths must be ({batch},) integers: got {lengths.dtype} of shape "
                f"{tuple(lengths.shape)}"
            )
    row_tiles = -(-longest // block[0])
    return LaunchPlan(
        grid=(row_tiles * heads * len(starts),),
        row_tiles=row_tiles,
        starts=starts.to(torch.int32),
        lengths=lengths.to(torch.int32),
        sequence_stride=stride,
        scale=math.log2(math.e) / math.sqrt(width),
    )


def flash_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    packed: Packed | None = None,
    lengths: Tensor | None = None,
    causal: bool = False,
    block: tuple[int, int] = (64, 64),
) -> Tensor:
    """Scaled dot-product attention in one kernel, without gradients.

    Args:
        q: (B, H, T, K) float16, bfloat16 or float32, K one of :data:`WIDTHS`; k and v likewise.
        packed: documents, end to end in a batch of one; a query attends to its own document.
        lengths: (B,) integers from 0 to T: only so many tokens of each row are real, from its
            start. The others are padding, and their own results are zeros.
        causal: no query attends to a later key.
        block: queries and keys in a tile, powers of two.

    Returns:
        (B, H, T, K), of q's dtype; sums are kept in float32.

    Raises:
        ImportError: Triton is not installed.
        ValueError: there is no GPU, a gradient is asked for, or the kernel can't run on this input.
    """
    if triton is None:
        raise ImportError(
            "the kernel needs Triton: pip install -c constraints.txt triton, "
            "or torch's build for CUDA"
        )
    if q.device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(f"the kernel runs on a GPU: got tensors on {q.device.type}")
    if torch.is_grad_enabled() and any(each.requires_grad for each in (q, k, v)):
        raise ValueError("the kernel has no backward pass: call it under torch.no_grad()")
    launch = plan_launch(q, k, v, packed, lengths, block)
    q, k, v = (each if each.stride(-1) == 1 else each.contiguous() for each in (q, k, v))
    y = torch.zeros_like(q)
    strides = [
        stride
        for each in (q, k, v, y)
        for stride in (each.stride(0) * launch.sequence_stride, each.stride(1), each.stride(2))
    ]
    if launch.grid[0]:
        _kernel[launch.grid](
            *(q, k, v, y, launch.starts, launch.lengths),
            *strides,
            *(q.shape[1], launch.row_tiles, launch.scale),
            CAUSAL=causal,
            WIDTH=q.shape[3],
            ROWS=block[0],
            COLUMNS=block[1],
            num_warps=4 if q.shape[3] <= 64 else 8,
            num_stages=1 if q.dtype == torch.float32 else 2,  # tiles loaded ahead need room, too
        )
    return y
