# %% [markdown]
# # Attention at speed
#
# Chapter 03 wrote attention in three lines: scores, softmax, mixture. The libraries that train large
# models compute the same three lines, not an approximation of them, and several times as fast.
# **Why is the textbook formula slow, if the arithmetic is the same?**
#
# Because arithmetic is not what takes the time. Picture a cook with a small board and a large larder
# down the hall. Cutting is quick, walking is slow. The textbook cook fetches all carrots, cuts them,
# carries them back to the larder, fetches them again to peel them, and carries them back. The
# numbers of attention make the same walks: scores are computed and written to memory, read back for
# the softmax, written again, and read again for the mixture. This chapter keeps them on the board.
#
# A processor has two kinds of memory. The *slow memory* is large and far away; tensors live there.
# The *fast memory* is tiny and lies beside the arithmetic. On an NVIDIA A100, a GPU of 2020, the slow
# memory (called HBM) holds 40 or 80 GB and moves 1.5 to 2 TB a second. The fast memory (SRAM) holds
# 192 KB for each of 108 groups of arithmetic units and moves about 19 TB a second (Dao et al., 2022)[^flash].
# While one byte travels, the chip could do some 200 multiplications and additions in half
# precision[^a100]. The softmax does a handful for each number that it reads and writes. So during the
# softmax the arithmetic stands almost still.
#
# There is a second cost: room. The scores of $T$ tokens are $T^2$ numbers for each head.

# %% Imports tags=["hide"]
import itertools
import os
import time
from functools import partial

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F

from groundup.lab.plot import COLOURS, figure, show
from groundup.scratch.attention import attention, attention_backward
from groundup.scratch.flash import (
    Traffic,
    block_sizes,
    finish_rows,
    merge_block,
    plain_attention,
    plain_attention_backward,
    plain_traffic,
    tile_mask,
    tiled_attention,
    tiled_attention_backward,
    tiled_traffic,
    tiles,
)
from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.masks import causal_mask

torch.manual_seed(0)
torch.set_num_threads(1)
rng = np.random.default_rng(0)

# %%
heads, layers = 12, 28  # NeoBERT, chapter 11
print("tokens   scores of one layer   weights of all layers, kept for the way back")
for length in (512, 1024, 4096, 16384):
    one_layer = heads * length**2 * 4 / 1e9  # float32: 4 bytes
    print(f"{length:6} {one_layer:15.2f} GB {layers * one_layer:25.1f} GB")

# %% [markdown]
# Twice the length takes four times the room. One text of 16,384 tokens would need several of the
# largest GPUs. Yet inputs and outputs are only $T$ rows each: it is the middle of the formula that is too big.
#
# The middle seems unavoidable. A softmax divides by the sum over a whole row, so it needs the whole
# row before it can give the first weight. Or does it?
#
# ## Softmax, two numbers at a time
#
# Begin with one row: one query, its scores $z_s$ and the values $v_s$, here plain numbers. The result is
#
# $$y = \frac{\sum_s e^{z_s} v_s}{\sum_s e^{z_s}} .$$
#
# Two sums. A sum can be taken in pieces, so where is the difficulty? In the size of $e^{z}$: a score
# of 100 makes it $10^{43}$, more than float32 can hold. So softmax takes off the largest score $m$
# first (chapter 02). And the largest score is known only at the end of the row.
#
# **Two numbers.** The first score $a$ arrives. It is the largest so far, so $m = a$ and the sum relative
# to it is $\ell = e^{a-a} = 1$. Now $b$ arrives.
#
# - If $b \le a$, the largest stays, and the new term is relative to it: $\ell = 1 + e^{b-a}$.
# - If $b > a$, the largest is now $b$. The new term is $e^{b-b} = 1$. The old one was relative to $a$
#   and should be $e^{a-b}$. It was 1. So it is *multiplied* by $e^{a-b}$, and $\ell = e^{a-b} \cdot 1 + 1$.
#
# The second case is the whole idea. Nothing has to be read again: **when the largest score changes,
# all that was collected shrinks by one common factor.**
#
# **Any numbers.** Let $m$ be the largest score so far, and keep two sums relative to it:
#
# $$\ell = \sum_s e^{z_s - m}, \qquad o = \sum_s e^{z_s - m}\, v_s .$$
#
# A block of new scores arrives. Let $m'$ be the larger of $m$ and the block's largest score. For each
# old score, $e^{z - m'} = e^{z - m + m - m'} = e^{m - m'}\,e^{z - m}$, and the first factor does not
# depend on the score. So it can be taken out of both sums:
#
# $$\boxed{\;\ell' = e^{m - m'}\,\ell + \sum_{\text{block}} e^{z_s - m'}, \qquad
# o' = e^{m - m'}\,o + \sum_{\text{block}} e^{z_s - m'}\,v_s\;}$$
#
# At the end, $y = o/\ell$: the factor $e^{-m}$ stands in both and cancels. This is *online softmax*
# (Milakov and Gimelshein, 2018)[^online]. Before the first block $m = -\infty$ and both sums are zero.
#
# **By hand.** Four scores whose exponentials are 1, 2, 4 and 3, so the scores are $0, \ln 2, \ln 4, \ln 3$;
# the values are 10, 20, 30 and 40. The weights are 0.1, 0.2, 0.4 and 0.3, and
# $y = 1 + 4 + 12 + 12 = 29$. Now see them two at a time.
#
# - **First two.** $m = \ln 2$. Relative to it the exponentials are $1/2$ and 1. So $\ell = 1.5$ and
#   $o = 0.5 \cdot 10 + 1 \cdot 20 = 25$.
# - **Last two.** $m' = \ln 4$. The factor is $e^{\ln 2 - \ln 4} = 1/2$. The new exponentials are 1 and $3/4$.
#   So $\ell' = 0.75 + 1 + 0.75 = 2.5$ and $o' = 12.5 + 30 + 30 = 72.5$.
# - **End.** $y = 72.5/2.5 = 29$.
#
# The library's [merge_block][groundup.scratch.flash.merge_block] takes one such step for many rows, and
# [finish_rows][groundup.scratch.flash.finish_rows] divides.

# %%
scores = np.log([[1.0, 2.0, 4.0, 3.0]])
values = np.array([[10.0], [20.0], [30.0], [40.0]])

seen = (np.full((1, 1), -np.inf), np.zeros((1, 1)), np.zeros((1, 1)))
print("              largest      sum   output")
for part in (slice(0, 2), slice(2, 4)):
    seen = merge_block(*seen, scores[:, part], values[part])
    top, total, out = (float(each[0, 0]) for each in seen)
    print(
        f"scores {part.start} and {part.stop - 1}  ln {np.exp(top):.0f}   {total:7.2f}  {out:7.2f}"
    )
y, log_sum = finish_rows(*seen)
print(f"result {y[0, 0]:.4f}; log-sum-exp ln {np.exp(log_sum[0, 0]):.0f}")
assert np.allclose(y, 29)
assert np.allclose(log_sum, np.log(10))

backwards = (np.full((1, 1), -np.inf), np.zeros((1, 1)), np.zeros((1, 1)))
for s in (3, 2, 1, 0):  # one at a time, from the end
    backwards = merge_block(*backwards, scores[:, [s]], values[[s]])
print(f"one at a time, from the end: {finish_rows(*backwards)[0][0, 0]:.4f}")
assert np.allclose(finish_rows(*backwards)[0], 29)

# %% [markdown]
# The order and the size of the blocks do not matter. The last number that `finish_rows` gives is the
# *log-sum-exp* $L = \ln\sum_s e^{z_s} = m + \ln\ell$, here the logarithm of $1 + 2 + 4 + 3 = 10$. Keep it in mind:
# it is all that the way back will need.
#
# !!! example "Exercise 10.1: online softmax"
#     One more block, and the end. The traps: a factor on one sum only, its sign, and a row that has
#     seen no key yet, where $-\infty$ is taken from $-\infty$. `groundup watch 10.1` checks each time you
#     save.
#
# ::: source groundup.scratch.flash:merge_block folded
#
# ::: source groundup.scratch.flash:finish_rows folded
#
# ## Tiles
#
# Now many queries. Cut the matrix of scores into *tiles*: a few queries by a few keys. A tile of scores
# fits into the fast memory together with the queries, keys and values that it is made of. Work through it
# with two loops.
#
# 1. Load a tile of queries. It has seen nothing: $m = -\infty$, $\ell = 0$, $o = 0$.
# 2. For each tile of keys and values: load it, compute the tile of scores, merge.
# 3. Divide, and store the rows of the output and their log-sum-exp.
#
# The scores of a tile are used at once and forgotten. The $T \times S$ matrix of scores ($T$ queries,
# $S$ keys) never exists. This is FlashAttention (Dao et al., 2022)[^flash], in the order of its second
# version (Dao, 2023)[^flash2].
#
# Masks are cut in the same way. [tile_mask][groundup.scratch.flash.tile_mask] makes the part that belongs to
# a tile. Where nobody may look at anything the tile is skipped: it costs nothing, not even the loading.

# %% The figure's code tags=["hide"]
documents = np.repeat([0, 1, 2], [3, 5, 4])
same = documents[:, None] == documents
MASKS = {"causal": (None, True), "three documents": (same, False)}
fig, axes = figure(1, 2, height=3.1)
for ax, (name, (mask, causal)) in zip(axes, MASKS.items(), strict=True):
    look = tile_mask(slice(0, 12), slice(0, 12), (12, 12), mask, causal)
    loaded = 0
    for rows in tiles(12, 3):
        for columns in tiles(12, 3):
            worked = tile_mask(rows, columns, (12, 12), mask, causal).any()
            loaded += worked
            colour = COLOURS[0] if worked else "none"
            box = {"facecolor": colour, "alpha": 0.35 if worked else 1, "edgecolor": "none"}
            ax.axhspan(rows.start, rows.stop, columns.start / 12, columns.stop / 12, **box)
    queries, keys = np.nonzero(look)
    ax.plot(keys + 0.5, queries + 0.5, linestyle="", marker="o", markersize=4, color=COLOURS[1])
    ax.set(xlim=(0, 12), ylim=(12, 0), xticks=range(0, 13, 3), yticks=range(0, 13, 3), aspect=1)
    ax.set(xlabel="key", ylabel="query", title=f"{name}: {loaded} of 16 tiles")
    ax.grid(True, color="#7a808a", alpha=0.6)
show(
    fig,
    "tiles",
    "A matrix of 12 by 12 scores in tiles of 3 by 3. Dots: pairs that may look. Shaded: tiles that are "
    "worked on. The others are skipped. A tile is worked on whole, if only one pair in it counts.",
)

# %% [markdown]
# !!! example "Exercise 10.2: attention in tiles"
#     The two loops, with masks, for blocks that need not divide the length. The tools are in the stub:
#     `tiles`, `tile_mask`, `merge_block`, `finish_rows`, and a counter of what is loaded and stored.
#     `groundup watch 10.2`.
#
# ::: source groundup.scratch.flash:tiled_attention folded
#
# The result must be the same numbers as in chapter 03, whatever the tiles:

# %%
q, k, v = (rng.normal(size=(2, 3, 50, 8)) for _ in range(3))  # (B, H, T, K)
exact, _ = attention(q, k, v, causal_mask(50))
print("queries × keys in a tile   largest difference from one piece")
for block in ((1, 1), (7, 13), (16, 16), (64, 64)):
    y, _ = tiled_attention(q, k, v, causal=True, block=block)
    print(f"{block[0]:10} × {block[1]:<4} {np.abs(y - exact).max():32.1e}")
    assert np.allclose(y, exact, rtol=1e-10, atol=1e-12)

# %% [markdown]
# That is rounding in float64. Nothing is approximated. Many fast forms of attention leave pairs out or
# guess; this one does not.
#
# ## The way back, without the weights
#
# To train, gradients must come back through attention. Chapter 03 derived them. With the scaled scores $z$
# and the weights $p$, and writing $dx$ for the derivative of the loss with respect to $x$,
#
# $$dv = p^\top dy, \qquad dp = dy\,v^\top, \qquad
# dz_{tj} = p_{tj}\Big(dp_{tj} - \sum_i p_{ti}\,dp_{ti}\Big),$$
#
# and then $dq = dz\,k/\sqrt K$ and $dk = dz^\top q/\sqrt K$. There are two obstacles. The weights are gone: to
# keep them would be to keep $T^2$ numbers. And the sum over $i$ runs over a whole row, while a tile
# sees a part of it.
#
# **The weights.** They are $p_{ts} = e^{z_{ts}} / \sum_j e^{z_{tj}}$, and the sum is $e^{L_t}$, with the log-sum-exp
# that was kept. So
#
# $$p_{ts} = e^{z_{ts} - L_t} .$$
#
# One more product of queries and keys gives the scores of a tile again, and with one number a row they
# are weights. Final ones: there is no running maximum on the way back. To compute again what could
# have been kept is called *recomputation*. It costs arithmetic, which is cheap, and saves memory and
# walks, which are not.
#
# **The sum over the row.** Call it $D_t = \sum_i p_{ti}\,dp_{ti}$. Put in what $dp$ is: $dp_{ti} = dy_t \cdot v_i$, the
# product of two rows. Now $dy_t$ does not depend on $i$ and can be taken out of the sum:
#
# $$D_t = \sum_i p_{ti}\,(dy_t \cdot v_i) = dy_t \cdot \Big(\sum_i p_{ti}\,v_i\Big) = dy_t \cdot y_t .$$
#
# The sum in the brackets is the output. **A sum over all keys turns into a product of two rows that are
# at hand.** What is left for a tile is
#
# $$\boxed{\;dz = p \odot (dp - D), \qquad D = \text{the row sums of } dy \odot y\;}$$
#
# By hand: two keys with weights 3/4 and 1/4 and values 8 and 2, $dy = 1$. Then $y = 6 + 0.5 = 6.5$, so
# $D = 6.5$. Directly: $dp = (8, 2)$, and $\tfrac34 \cdot 8 + \tfrac14 \cdot 2 = 6.5$. And $dz = (\tfrac34 \cdot 1.5,
# \tfrac14 \cdot (-4.5)) = (1.125, -1.125)$.
#
# The loops turn inside out. Outside go the tiles of keys, whose $dk$ and $dv$ collect from all
# queries and stay in fast memory; inside go the queries, and each tile of $dq$ is read, added to, and
# written.
#
# !!! example "Exercise 10.3: the way back in tiles"
#     The gradients from inputs, output and log-sum-exp alone. The traps: $D$ taken over one tile, a share
#     that overwrites where it should add, a mask that is forgotten when the scores are computed again.
#     `groundup watch 10.3`.
#
# ::: source groundup.scratch.flash:tiled_attention_backward folded

# %%
w = np.array([[1.0]])
tiny = (np.array([[np.log(3)]]), np.array([[1.0], [0.0]]), np.array([[8.0], [2.0]]))
y, cache = tiled_attention(*tiny, block=(1, 1))
dq, dk, dv = tiled_attention_backward(w, cache)
print(f"by hand: y {y[0, 0]:.3f}, dz from dk: {(dk[:, 0] / np.log(3)).round(3).tolist()}")
assert np.allclose(y, 6.5)
assert np.allclose(dk[:, 0] / np.log(3), [1.125, -1.125])

dy = rng.normal(size=q.shape)
_, whole = attention(q, k, v, causal_mask(50))
y, cache = tiled_attention(q, k, v, causal=True, block=(16, 7))
pairs = zip(tiled_attention_backward(dy, cache), attention_backward(dy, whole), strict=True)
for name, (ours, theirs) in zip(("dq", "dk", "dv"), pairs, strict=True):
    print(f"{name}: largest difference from chapter 03 {np.abs(ours - theirs).max():.1e}")
    assert np.allclose(ours, theirs, rtol=1e-10, atol=1e-12)

small = [rng.normal(size=(5, 2)) for _ in range(3)]
ds = rng.normal(size=(5, 2))
grads = tiled_attention_backward(ds, tiled_attention(*small, block=(2, 3))[1])
for name, received, x in zip(("dq", "dk", "dv"), grads, small, strict=True):
    expected = numerical_gradient(
        lambda: float((tiled_attention(*small, block=(2, 3))[0] * ds).sum()), x
    )
    error = compare(name[1:], received, expected)
    print(f"against finite differences: {error}")
    assert error.relative < 1e-7

# %% [markdown]
# ## Counting the walks
#
# How many numbers move between slow and fast memory? Count for one head with $T$ queries and $S$ keys
# of width $K$. The textbook form is three operations, and each reads its inputs and writes its result:
#
# | operation | reads | writes |
# |:--|:--|:--|
# | scores | q, k: $TK + SK$ | $TS$ |
# | softmax | scores: $TS$ | $TS$ |
# | mixture | weights, v: $TS + SK$ | $TK$ |
#
# In sum $4TS + 2TK + 2SK$. The tiled form, with $R$ queries in a tile, reads q once and writes y and the
# log-sum-exp once. It reads all of k and v for each of the $\lceil T/R \rceil$ tiles of queries:
# $2TK + T + \lceil T/R \rceil \cdot 2SK$.
#
# By hand, for $T = S = 8$, $K = 2$ and tiles of 4: textbook $4 \cdot 64 + 32 + 32 = 320$; tiled
# $32 + 8 + 2 \cdot 32 = 104$. The library's loops count as they go, each tile through
# [Traffic][groundup.scratch.flash.Traffic]:

# %%
q8, k8, v8 = (rng.normal(size=(8, 2)) for _ in range(3))
count = {}
for name in ("textbook", "tiled"):
    forward, backward = Traffic(), Traffic()
    if name == "textbook":
        y, cache = plain_attention(q8, k8, v8, forward)
        plain_attention_backward(y, cache, backward)
    else:
        y, cache = tiled_attention(q8, k8, v8, block=(4, 4), traffic=forward)
        tiled_attention_backward(y, cache, backward)
    count[name] = forward.moved, backward.moved
    print(f"{name:9} forward {forward.moved:4} numbers moved, backward {backward.moved:4}")
assert count == {"textbook": plain_traffic(8, 8, 2), "tiled": tiled_traffic(8, 8, 2, (4, 4))}
assert count["textbook"][0] == 320
assert count["tiled"][0] == 104

# %% [markdown]
# The closed forms agree with the count, so we may use them for sizes that would take long to run. A
# larger tile of queries saves walks; columns do not occur in the formula. So give the room to rows. A
# fast memory of $M$ numbers must hold the tiles of q and of the output, those of k and v, and the scores.
# [block_sizes][groundup.scratch.flash.block_sizes] finds the tile that just fits. Its rows grow as $M/K$, and
# with $R$ of the order of $M/K$ the last term above is of the order of
#
# $$\frac{T}{M/K} \cdot SK = \frac{T S K^2}{M} .$$
#
# Still quadratic in the length, and divided by $M/K^2$. For $K = 64$ and the 192 KB of the A100, which
# hold 49,152 numbers of 4 bytes, $M/K^2$ is 12. Dao et al. prove that no exact method has a better
# order than this for every $M$ between $K$ and $TK$.

# %%
width, sram = 64, 192 * 1024 // 4
block = block_sizes(sram, width)
print(f"{sram:,} numbers hold a tile of {block[0]} queries and {block[1]} keys")
print("tokens    textbook       tiled   ratio   (millions of numbers, forward, one head)")
lengths = 2 ** np.arange(7, 15)
moved = {"textbook": [], "tiled": []}
for length in lengths.tolist():
    plain = plain_traffic(length, length, width)[0]
    tiled = tiled_traffic(length, length, width, block)[0]
    moved["textbook"].append(plain)
    moved["tiled"].append(tiled)
    print(f"{length:6} {plain / 1e6:11.2f} {tiled / 1e6:11.2f} {plain / tiled:7.1f}")

rows, columns = 48, 96  # the way back holds more: k, v, dk, dv; q, dy, dq; p, dz; L and D
held = 4 * columns * width + 3 * rows * width + 2 * rows * columns + 2 * rows
plain = plain_traffic(4096, 4096, width)[1]
tiled = tiled_traffic(4096, 4096, width, (rows, columns))[1]
print(
    f"the way back at 4,096 tokens, in tiles of {rows} by {columns}, which fill {held:,} numbers:"
)
print(f"       {plain / 1e6:11.2f} {tiled / 1e6:11.2f} {plain / tiled:7.1f}")
assert held <= sram

fig, axes = figure(1, 2, height=3.0)
for i, (name, numbers) in enumerate(moved.items()):
    axes[0].loglog(lengths, numbers, marker="o", markersize=3, color=COLOURS[i], label=name)
axes[0].set(xlabel="length (tokens)", ylabel="numbers moved", title="forward, one head")
axes[0].legend(frameon=False)
memories = 2 ** np.arange(10, 18)
forward = [tiled_traffic(4096, 4096, width, block_sizes(m, width))[0] for m in memories.tolist()]
axes[1].loglog(memories, forward, marker="o", markersize=3, color=COLOURS[1], label="tiled")
axes[1].axhline(plain_traffic(4096, 4096, width)[0], color=COLOURS[0], label="textbook")
axes[1].set(xlabel="fast memory (numbers)", ylabel="numbers moved", title="forward, 4,096 tokens")
axes[1].legend(frameon=False)
show(
    fig,
    "traffic",
    "Left: both grow with the square of the length; the tiled form moves several times fewer "
    "numbers. Right: the more fits into fast memory, the fewer; in a very small one, tiles do not pay.",
)
assert all(plain > tiled for plain, tiled in zip(*moved.values(), strict=True))
assert all(a > b for a, b in itertools.pairwise(forward))

# %% [markdown]
# Note what the right side says about a fast memory that is too small: with tiles of a few rows, keys and
# values are loaded so often that the textbook form moves less. Tiling is no magic. It pays because the
# fast memory is large compared with a head's width.
#
# This model of a machine has two memories. A real one has a third in between, a cache that serves many
# repeated loads, and registers below. So take the ratio as a direction and not as a promise of speed. The
# figures that count were measured: for GPT-2 medium at 1,024 tokens on an A100, attention forward and backward
# moved 40.3 GB in the usual form and 4.4 GB in tiles, and took 41.7 ms against 7.3 ms, with 75.2 billion
# operations in place of 66.6 (Dao et al., 2022, figure 2)[^flash]. More arithmetic, less time. (The usual form
# there masks and drops out as well, in walks of their own, which a kernel does on the board.)
#
# ## Measured here
#
# You may have no GPU, and this page is made without one. What can a CPU show? Room, fully: what a form
# keeps for the way back is the same on every machine. Time, in part: a CPU has caches instead of a
# fast memory that a program controls, and they hide much of the walking.
#
# PyTorch has a compiled kernel of the tiled form behind `scaled_dot_product_attention`, *SDPA* for short. A *kernel*
# is a program that does a whole step in one go. Our tiled form in torch is
# [flash_attention][groundup.neobert.flash.flash_attention]: the same equations as a
# `torch.autograd.Function`, which tells torch's automatic gradients (chapter 08) what to keep and how to
# come back. Its loops are Python's. Torch calls what an operation keeps *saved tensors*, and they can
# be counted.

# %%
from groundup.neobert.flash import flash_attention


def textbook(q, k, v):
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v


FORMS = {
    "textbook": textbook,
    "tiles in Python": flash_attention,
    "SDPA": F.scaled_dot_product_attention,
}


def kept(form, inputs):
    """Bytes of the tensors that are kept for the way back, each memory counted once."""
    sizes = {}

    def note(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = form(*inputs)
    return y, sum(sizes.values())


def seconds(form, inputs, dy):
    start = time.perf_counter()
    torch.autograd.grad(form(*inputs), inputs, dy)
    return time.perf_counter() - start


results = {name: [] for name in FORMS}
print("         kept for the way back (MB)         time, there and back (ms)")
print("tokens   " + "   ".join(f"{name:>8}" for name in ("textbook", "tiles", "SDPA") * 2))
for length in (256, 512, 1024, 2048):
    inputs = [torch.randn(1, 2, length, 64, requires_grad=True) for _ in range(3)]
    dy = torch.randn(1, 2, length, 64)
    outputs = []
    for name, form in FORMS.items():
        y, size = kept(form, inputs)
        outputs.append(y)
        fastest = min(seconds(form, inputs, dy) for _ in range(3))
        results[name].append((length, size / 1e6, 1e3 * fastest))
    for y in outputs[1:]:
        torch.testing.assert_close(y, outputs[0], rtol=1e-4, atol=1e-5)
    row = [results[name][-1] for name in FORMS]
    print(
        f"{length:6}   "
        + "   ".join(f"{n:8.1f}" for n in [r[1] for r in row] + [r[2] for r in row])
    )

sizes = {name: [row[1] for row in rows] for name, rows in results.items()}
assert sizes["textbook"][-1] > 3 * sizes["textbook"][-2]  # quadratic
assert sizes["tiles in Python"][-1] < 2.1 * sizes["tiles in Python"][-2]  # linear
assert sizes["textbook"][-1] > 5 * sizes["tiles in Python"][-1]

fig, axes = figure(1, 2, height=3.0)
for i, (name, rows) in enumerate(results.items()):
    length, size, fastest = zip(*rows, strict=True)
    line = {"color": COLOURS[i], "linestyle": ("-", "--", ":")[i], "marker": "o", "markersize": 3}
    axes[0].loglog(length, size, label=name, **line)
    axes[1].loglog(length, fastest, **line)
axes[0].set(xlabel="length (tokens)", ylabel="kept for the way back (MB)")
axes[1].set(xlabel="length (tokens)", ylabel="time, there and back (ms)")
for ax in axes:
    ax.set_xticks(length, labels=length)
    ax.minorticks_off()
axes[0].legend(frameon=False)
show(
    fig,
    "measured",
    "Two heads of width 64 in float32, one CPU thread. Left: in tiles, what is kept grows with the length and "
    "not with its square; ours and SDPA's lie on one line. Right: the times of this run.",
)

# %% [markdown]
# What is kept is as promised, and it does not depend on the machine. The times are those of the machine
# that made this page. Our tiles run in Python: for 2,048 tokens in tiles of 64 there are 1,024 pairs of
# tiles, each with a dozen calls into torch on the way there and as many on the way back, and every call has a
# fixed price. See what it is. The products are the same for every size of tile; the number of calls is not:

# %%
inputs = [torch.randn(1, 2, 512, 64, requires_grad=True) for _ in range(3)]
dy = torch.randn(1, 2, 512, 64)
print("tile        pairs of tiles   time, there and back (ms)   microseconds a pair")
for size in (16, 32, 64, 256):
    sized = partial(flash_attention, block=(size, size))
    fastest = min(seconds(sized, inputs, dy) for _ in range(2))
    pairs = (512 // size) ** 2
    print(f"{size:3} × {size:3} {pairs:15} {1e3 * fastest:26.1f} {1e6 * fastest / pairs:21.0f}")

# %% [markdown]
# A pair of tiles of 16 has a 256th of the work of a pair of tiles of 256, and takes far more than a 256th of
# its time: most of it is Python's and torch's price of a call. SDPA does the same steps inside one call. That
# is why kernels are written: **the algorithm saves the walks, and the kernel saves the calls.**
#
# The library has a GPU kernel as well, [flash_forward][groundup.neobert.flash_triton.flash_forward]: the loop
# of exercise 10.2 in Triton (Tillet et al., 2019)[^triton], a language for such kernels that looks like
# Python. One program takes one tile of queries of one head, and thousands run side by side. It differs from
# yours in three ways. It works in powers of two, because chips compute $2^x$ faster than $e^x$, so the
# scale holds a factor $\log_2 e$. Sums are kept in float32 when the inputs have 16 bits. And it
# needs an NVIDIA GPU; this page did not run it.
#
# ## Padding, and doing without
#
# There is waste of another kind. Texts have different lengths, and a batch is a rectangle. Shorter texts are
# filled up with *padding*, and every layer computes vectors for tokens that are not there.

# %%
from groundup.neobert.batch_layout import pack, pad_tokens, unpad

lengths = np.clip(rng.lognormal(4, 0.7, size=24), 8, 512).astype(int).tolist()
real, rectangle = sum(lengths), len(lengths) * max(lengths)
print(f"{len(lengths)} texts of {min(lengths)} to {max(lengths)} tokens")
print(f"tokens: {real:,} real, {rectangle:,} places, {1 - real / rectangle:.0%} of them padding")
scores_padded = len(lengths) * max(lengths) ** 2
scores_real = sum(n * n for n in lengths)
print(
    f"pairs:  {scores_real:,} real, {scores_padded:,} computed, {1 - scores_real / scores_padded:.0%} wasted"
)
assert scores_real / scores_padded < real / rectangle  # pairs suffer more than tokens

# %% [markdown]
# The cure is to lay the texts end to end in one row with nothing between them: a *pack*. Norms, linear maps
# and activations work on each token alone, so they never notice. Attention must know where each text
# begins and ends. Kernels take this as *cumulative sequence lengths*, `cu_seqlens`.
#
# By hand: three tokens and two, in rows of three. The mask is `1 1 1` and `1 1 0`. Flattened, the real tokens
# stand at places 0, 1, 2, 3 and 4. The lengths are 3 and 2, so the sequences begin at 0 and 3 and the last one
# ends at 5: `cu_seqlens` is 0, 3, 5. Each text counts its positions from 0: 0, 1, 2, 0, 1. (The positions
# are for RoPE, chapter 09, which must not take two texts for one.) The longest has 3 tokens.

# %%
indices, packed = unpad(torch.tensor([[True, True, True], [True, True, False]]))
print("indices   ", indices.tolist())
print("cu_seqlens", packed.cu_seqlens.tolist(), packed.cu_seqlens.dtype)
print("positions ", packed.positions.tolist())
print("longest   ", packed.max_seqlen)
assert indices.tolist() == [0, 1, 2, 3, 4]
assert packed.cu_seqlens.tolist() == [0, 3, 5]
assert packed.positions.tolist() == [0, 1, 2, 0, 1]

batch = torch.arange(12.0).view(2, 3, 2)  # (B, T, K); the last token is padding
batch[1, 2] = 0
row = batch.flatten(0, 1)[indices]
assert torch.equal(pad_tokens(row, indices, (2, 3)), batch)
print(f"{tuple(batch.shape)} → {tuple(row.shape)} → the same batch again")

# %% [markdown]
# !!! example "Exercise 10.4: leave the padding out"
#     From a mask to places, `cu_seqlens`, the longest length and positions. The traps: no zero in front,
#     positions that run on, the wrong integer type, and padding that does not stand on the right.
#     `groundup watch 10.4`.
#
# ::: source groundup.neobert.batch_layout:unpad folded
#
# In a pack, a text may look at itself alone. As a mask this is *block-diagonal*: squares of True along the
# diagonal, as in the second picture of the tiles above. Nobody builds that mask. A kernel with
# `cu_seqlens` starts each text's tiles where the text starts. On a CPU the library calls SDPA for
# each text, or pads after all where that takes less. Check it against the padded batch, and time both:

# %%
from groundup.neobert.attention import attention as torch_attention

mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]  # (B, T)
padded = [torch.randn(len(lengths), 4, max(lengths), 64) for _ in range(3)]
indices, packed = unpad(mask)
in_a_row = [
    x.transpose(1, 2).flatten(0, 1)[indices].transpose(0, 1)[None] for x in padded
]  # (1, H, N, K)


def with_padding():
    y = F.scaled_dot_product_attention(*padded, attn_mask=mask[:, None, None, :])
    return y.transpose(1, 2).flatten(2)  # (B, T, H·K)


def as_a_pack():
    return torch_attention(*in_a_row, packed)  # (1, N, H·K)


def fastest(run):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


difference = (as_a_pack()[0] - with_padding().flatten(0, 1)[indices]).abs().max().item()
by_hand = flash_attention(*in_a_row, packed).transpose(1, 2).flatten(2)
print(f"pack against padding: largest difference {difference:.1e}")
print(f"our tiles against the library's engine: {(by_hand - as_a_pack()).abs().max():.1e}")
print(
    f"attention with padding {1e3 * fastest(with_padding):.1f} ms, as a pack {1e3 * fastest(as_a_pack):.1f} ms"
)
assert difference < 1e-5
assert torch.allclose(by_hand, as_a_pack(), atol=1e-5)

# %% [markdown]
# ## Which engine runs where
#
# The library has one function for attention, [attention][groundup.neobert.attention.attention], and several
# *engines* behind it. All give the same numbers.
#
# | engine | what it is | where it runs |
# |:--|:--|:--|
# | `eager` | the textbook form, all weights in memory | everywhere; shows the weights |
# | `sdpa` | torch's `scaled_dot_product_attention` | everywhere, every precision |
# | `tiled` | the tiles of this chapter, in torch | everywhere; to be read, not for speed |
# | `varlen` | torch's own kernel for packs | NVIDIA GPU, 16 bits, torch 2.12 or newer |
# | `flash_attention_2` | the flash-attn package | NVIDIA GPU, 16 bits, to be installed |
# | `flex_attention` | torch's compiler makes a kernel for any mask | everywhere; compiled on a GPU, and there alone with gradients |
#
# Asked for `auto`, it chooses once for each kind of input. An engine that is asked for by name and can't run
# is an error that says why; nothing is replaced in silence.

# %%
from groundup.neobert.dispatch import BACKENDS, choose_backend

for name in BACKENDS:
    try:
        choose_backend(name, "cpu", torch.float32, True)
        print(f"{name:18} runs here")
    except (ValueError, ImportError) as error:
        print(f"{name:18} {error}")
for dtype in (torch.float32, torch.bfloat16):
    print(f"auto on this CPU, {dtype}: {choose_backend('auto', 'cpu', dtype, True)}")
assert choose_backend("auto", "cpu", torch.float32, True) == "sdpa"

# %% [markdown]
# ## Breaking it: forget the factor
#
# Leave the factor $e^{m - m'}$ out, and merge blocks as if the largest score had never changed. How wrong
# is it? The result of a row is right exactly when its largest score lies in the first block, for then the
# factor is 1 ever after. With $n$ equal blocks of random scores, that happens for one row in $n$.


# %%
def forgetful(top, total, out, scores, values):
    """merge_block without the factor. Wrong."""
    new_top = np.maximum(top, scores.max(axis=-1, keepdims=True))
    weights = np.exp(scores - new_top)
    return new_top, total + weights.sum(axis=-1, keepdims=True), out + weights @ values


rows, keys = 4000, 64
scores, values = 2 * rng.normal(size=(rows, keys)), rng.normal(size=(keys, 1))
weights = np.exp(scores)
right = weights @ values / weights.sum(axis=-1, keepdims=True)
print("blocks   rows that are right   one in n   largest error")
blocks, shares = [1, 2, 4, 8, 16, 32, 64], []
for n in blocks:
    seen = (np.full((rows, 1), -np.inf), np.zeros((rows, 1)), np.zeros((rows, 1)))
    for part in tiles(keys, keys // n):
        seen = forgetful(*seen, scores[:, part], values[part])
    errors = np.abs(finish_rows(*seen)[0] - right)
    shares.append(float((errors < 1e-9).mean()))
    print(f"{n:6} {shares[-1]:16.1%} {1 / n:14.1%} {errors.max():15.2f}")
    assert abs(shares[-1] - 1 / n) < 0.03

fig, axes = figure(height=2.6)
axes.loglog(blocks, shares, linestyle="", marker="o", color=COLOURS[1], label="measured")
axes.loglog(blocks, [1 / n for n in blocks], color=COLOURS[0], label="one in n")
axes.set(xlabel="blocks in a row", ylabel="share of rows that are right")
axes.set_xticks(blocks, labels=blocks)
axes.minorticks_off()
axes.legend(frameon=False)
show(
    fig,
    "forgetful",
    "Without the factor a row is right only if its largest score comes in the first block.",
)

# %% [markdown]
# The treacherous case is the left end. With one block everything is right, so a test on short rows passes.
# And all wrong results are ordinary numbers: mixtures of values with weights that sum to one. Test tiled
# code with more tiles than one, and with lengths that tiles do not divide.
#
# ## Breaking it: documents that see each other
#
# Now forget where the texts of a pack begin and end. Shapes are right and no error is raised. Then change one
# text and look at the others.

# %%
packed = pack([6, 10])
q, k, v = (torch.randn(1, 4, 16, 8) for _ in range(3))
changed = [x.clone() for x in (q, k, v)]
for x in changed[1:]:
    x[:, :, :6] = torch.randn(1, 4, 6, 8)  # other keys and values in the first text
for name, layout in (("with cu_seqlens", packed), ("without", None)):
    before, after = (
        torch_attention(q, k, v, layout),
        torch_attention(*changed[:1], *changed[1:], layout),
    )
    moved = (before - after)[0, 6:].norm() / before[0, 6:].norm()
    print(f"{name:16} the second text changes by {moved:.1%}")
    assert torch.equal(before[:, 6:], after[:, 6:]) == (layout is not None)
    assert (moved > 0.1) == (layout is None)

# %% [markdown]
# With `cu_seqlens` the second text is the same, bit for bit. Without them, 6 of the 16 keys that it mixes are a
# stranger's. A model trained so learns to live with it, and pays: in the ablations of NeoBERT's authors, packing with
# attention across documents lost 2.8% on average on GLUE, a set of language tasks (Le Breton et al., 2025)[^neobert].
#
# ## What practitioners do
#
# - **They call a kernel.** In PyTorch it is `F.scaled_dot_product_attention`, or flash-attn for packs. Pass no mask
#   where nothing is padded: an arbitrary mask rules out SDPA's fastest kernel on GPUs. For causal attention,
#   `is_causal=True` lets it skip tiles.
# - **They pack or sort.** For pretraining, packs. For inference, texts of like length go into one batch,
#   which leaves little padding.
# - **They choose tiles by trial.** 64 or 128 rows are usual, since registers are scarcer than our count says, and a
#   program that tries several sizes and keeps the fastest (*autotuning*) is part of Triton.
# - **They look at the order of sums.** On a GPU, many programs add to one $dq$ at the same time, in an order that
#   changes from run to run, and so do the last bits. Kernels offer a deterministic mode that is slower.
# - **They look at the way the chip is built.** FlashAttention-3 (Shah et al., 2024)[^flash3] overlaps loading, products
#   and softmax on newer chips. The equations are the ones above.
# - **They keep the plain form for what needs weights.** A kernel has no weights to show. To look at attention
#   maps (chapter 06) ask for `eager`.
#
# ## What you know now
#
# - The textbook form is slow because $T^2$ numbers cross the hall to the larder four times, and large because the
#   weights are kept for the way back.
# - Online softmax merges blocks with one factor; $D = dy \cdot y$ and the log-sum-exp replace the weights. Both are exact.
# - The pairs are still $T^2$. Tiles change what moves and what is kept, not how much is computed.
# - A pack wastes nothing, if attention is told where each text begins.
#
# You now have all the parts: RMSNorm, SwiGLU and RoPE from chapter 09, and attention that a long text can afford. What
# is missing is a model. How wide, how deep, how many heads, and in which order do the numbers lie in a file, so
# that others can load it? Chapter 11 decides.
#
# ## Sources
#
# [^flash]: Dao, Fu, Ermon, Rudra and Ré (2022), *FlashAttention: Fast and Memory-Efficient Exact Attention with
#     IO-Awareness*, arXiv 2205.14135. The hardware figures: section 2.1; the lower bound: proposition 3.
# [^a100]: NVIDIA, *A100 Tensor Core GPU* data sheet: 312 TFLOP/s in float16 with float32 sums, 1.555 TB/s (40 GB).
# [^online]: Milakov and Gimelshein (2018), *Online normalizer calculation for softmax*, arXiv 1805.02867.
# [^flash2]: Dao (2023), *FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning*, arXiv 2307.08691.
# [^triton]: Tillet, Kung and Cox (2019), *Triton: an intermediate language and compiler for tiled neural network
#     computations*, MAPL 2019.
# [^neobert]: Le Breton et al. (2025), *NeoBERT: A Next-Generation BERT*, arXiv 2502.19587.
# [^flash3]: Shah et al. (2024), *FlashAttention-3: Fast and Accurate Attention with Asynchrony and Low-precision*,
#     arXiv 2407.08608.
