# %% [markdown]
# # Attention
#
# Read the question `Second ( 5 3 9 )` as a network must. Each token arrives as a vector of its own.
# The vector of `Second` knows which operation is asked, and nothing of the digits. The vector of
# `3` knows that it is a 3, and not that anybody wants it. A layer that works on each token by
# itself, like those of chapter 02, can never bring the two together. So: **how can a position look
# at another, and which one?**
#
# "Which" must not be fixed in advance. `First` wants the first digit, `Second` the next, `Max` has
# to look at all of them. The place to look at depends on what the tokens say. And we want to learn
# it by gradient, so the choice has to be something that can be differentiated.
#
# This chapter builds the answer, *attention*, in three lines, and works it forwards and backwards
# with a pencil. Then it breaks it on purpose and counts what each break costs.
#
# ## A dictionary that answers in shares
#
# A Python dictionary looks up: you bring a *query*, it is compared with every *key*, and where they
# are equal you get that key's *value*. Equal or not is a yes or no, and a yes or no has no useful
# derivative: change the query a little, and the answer stays, or jumps.
#
# Attention is the soft version (Bahdanau et al., 2014; in today's form Vaswani et al., 2017). The
# query and the keys are vectors of $K$ numbers. How well a key matches is their dot product,
# $q \cdot k = \sum_i q_i k_i$: large if they point the same way, zero if they stand at right
# angles, negative if they point apart. These *scores* are turned into shares that sum to one, the
# *weights*, and the answer is the mixture of all values in these shares. A key that matches far
# better than the others gets nearly all the weight, and the mixture is nearly its value.
#
# Where do queries, keys and values come from? Each token makes all three from its own vector $x$,
# with three learned matrices: $q = xW_q$, $k = xW_k$, $v = xW_v$. The query says what I look for,
# the key what I can be found by, the value what I hand over. For now, take them as given.
#
# ## Two tokens with a pencil
#
# Two tokens, $K = 2$. The odd-looking queries are chosen so that the weights come out as simple
# fractions.
#
# | token | query | key | value |
# |:--|:--|:--|:--|
# | 1 | $(\sqrt2 \ln 3,\ 0)$ | $(1, 0)$ | $(4, 0)$ |
# | 2 | $(0,\ \sqrt2 \ln 4)$ | $(0, 1)$ | $(0, 8)$ |
#
# **Scores.** Query 1 meets key 1 with $\sqrt2 \ln 3$ and key 2 with 0. Query 2 meets key 1 with 0
# and key 2 with $\sqrt2 \ln 4$. All scores are divided by $\sqrt K = \sqrt2$; why is a section of
# its own. So row 1 is $(\ln 3, 0)$ and row 2 is $(0, \ln 4)$.
#
# **Weights.** *Softmax* takes the exponential of each score and divides by the sum of its row,
# $p_s = e^{z_s} / \sum_j e^{z_j}$. Exponentials are positive, so every weight is, and each row
# sums to one. Row 1 has the exponentials 3 and 1, so the weights are $3/4$ and $1/4$. Row 2 has 1
# and 4: $1/5$ and $4/5$.
#
# **Mixture.** Token 1 gets $\tfrac34 (4, 0) + \tfrac14 (0, 8) = (3, 2)$. Token 2 gets
# $\tfrac15 (4, 0) + \tfrac45 (0, 8) = (0.8, 6.4)$.
#
# With one row for each token, $Q$, $K$ and $V$ are matrices of $T$ rows, and the whole of it is
#
# $$Y = \mathrm{softmax}\left(\frac{Q K^\top}{\sqrt K}\right) V ,$$
#
# with the softmax along each row. (The letter $K$ means two things here: the matrix of keys in the
# product, and their width under the root, which papers write as $d_k$.) As code:

# %%
import os
from collections.abc import Callable
from itertools import pairwise
from unittest import mock

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.scratch.activations import softmax, softmax_backward
from groundup.scratch.types import Array, BoolArray, Cache

q = np.sqrt(2) * np.diag(np.log([3.0, 4.0]))
k = np.eye(2)
v = np.diag([4.0, 8.0])

scores = q @ k.T / np.sqrt(2)
weights = softmax(scores)
y = weights @ v
print("scores ", scores.round(4).tolist())
print("weights", weights.round(4).tolist())
print("mixture", y.round(4).tolist())
assert np.allclose(weights, [[3 / 4, 1 / 4], [1 / 5, 4 / 5]])
assert np.allclose(y, [[3, 2], [0.8, 6.4]])

# %% [markdown]
# **Hiding a token.** Sometimes a key must not be seen; it may be padding. Then its score is set to
# $-\infty$ before the softmax. Its exponential is $e^{-\infty} = 0$, so its weight is exactly
# zero, and the other weights of the row share all of it. A *mask* says which pairs these are: True
# where the query may look.
#
# ## The way back
#
# Some loss $L$ depends on the mixtures. Write $dy_t$ for its gradient with respect to $y_t$, as
# chapter 02 did; we need $dv$, $dq$ and $dk$. Walk the three lines from the last to the first.
#
# **Through the mixture.** Row $t$ is $y_t = \sum_s p_{ts}\, v_s$. The value $v_s$ occurs in every
# row, each time with its weight, so it collects
#
# $$dv_s = \sum_t p_{ts}\, dy_t , \qquad\text{as matrices}\quad dV = P^\top dY .$$
#
# The number $p_{ts}$ multiplies the vector $v_s$, so its gradient is a dot product:
#
# $$dp_{ts} = dy_t \cdot v_s , \qquad dP = dY\, V^\top .$$
#
# **Through the softmax.** Take one row, with scores $z_j$, exponentials $e_j$ and their sum $S$.
# Then $p_i = e_i / S$. Raising $z_j$ raises $e_j$ and $S$ alike, both at the rate $e_j$. By the
# quotient rule, with $[i = j]$ for 1 if $i = j$ and 0 otherwise,
#
# $$\frac{\partial p_i}{\partial z_j} = \frac{[i=j]\, e_j\, S - e_i\, e_j}{S^2}
# = p_i \left([i = j] - p_j\right) .$$
#
# This table of derivatives, every output by every input, is the *Jacobian* of softmax. It is not
# diagonal: when one weight grows, all the others shrink, because they share a total of one. The
# chain rule sums over all the ways in which $z_j$ acts:
#
# $$dz_j = \sum_i dp_i\, p_i \left([i=j] - p_j\right)
# = p_j\, dp_j - p_j \sum_i p_i\, dp_i = p_j \Big( dp_j - \sum_i p_i\, dp_i \Big) .$$
#
# Read the bracket: *how much better is this value than the mixture we have now?* The sum is the
# mean of $dp$ under the weights. Moving weight to a key helps only in so far as its value is better
# than what the others give. If all are equally good, nothing should move, and nothing does.
#
# **Through the scores.** $z_{ts} = q_t \cdot k_s / \sqrt K$, once more a product:
#
# $$dq_t = \frac{1}{\sqrt K} \sum_s dz_{ts}\, k_s , \qquad
# dk_s = \frac{1}{\sqrt K} \sum_t dz_{ts}\, q_t .$$
#
# **With numbers.** Let $dy_1 = (1, 0)$ and $dy_2 = (0, 1)$.
#
# - $dv_1 = \tfrac34 (1, 0) + \tfrac15 (0, 1) = (0.75, 0.2)$ and
#   $dv_2 = \tfrac14 (1, 0) + \tfrac45 (0, 1) = (0.25, 0.8)$.
# - $dp$, row 1: $dy_1 \cdot v_1 = 4$ and $dy_1 \cdot v_2 = 0$. Row 2: 0 and 8.
# - The means under the weights: row 1, $\tfrac34 \cdot 4 + \tfrac14 \cdot 0 = 3$; row 2,
#   $\tfrac15 \cdot 0 + \tfrac45 \cdot 8 = 6.4$.
# - $dz$, row 1: $\tfrac34 (4 - 3) = 0.75$ and $\tfrac14 (0 - 3) = -0.75$. Row 2:
#   $\tfrac15 (0 - 6.4) = -1.28$ and $\tfrac45 (8 - 6.4) = 1.28$. Each row sums to zero, because
#   adding a constant to a row of scores changes no weight.
# - $dq_1 = (0.75\, k_1 - 0.75\, k_2)/\sqrt2 = (0.5303, -0.5303)$ and
#   $dq_2 = (-1.28\, k_1 + 1.28\, k_2)/\sqrt2 = (-0.9051, 0.9051)$.
# - $dk_1 = (0.75\, q_1 - 1.28\, q_2)/\sqrt2$. The $\sqrt2$ of the queries cancels:
#   $(0.75 \ln 3, -1.28 \ln 4) = (0.8240, -1.7745)$. And $dk_2 = (-0.8240, 1.7745)$.
#
# What if somebody forgets the Jacobian and passes $dp$ through as it is? Then row 1 would be
# $(4, 0)$ and not $(0.75, -0.75)$. It says: raise the score of key 1, and leave key 2 alone. The
# sign is right, and so it looks as if it should work. We shall see.
#
# The library's pair is [attention][groundup.scratch.attention.attention] and
# [attention_backward][groundup.scratch.attention.attention_backward]. The forward pass keeps what
# the backward pass needs in a cache that begins with the weights. Leading axes, for examples and
# heads, come along by themselves.

# %%
from groundup.scratch import attention as layer
from groundup.scratch.gradcheck import check_gradients

received, cache = layer.attention(q, k, v)
dq, dk, dv = layer.attention_backward(np.eye(2), cache)
for name, array in (("y ", received), ("dv", dv), ("dq", dq), ("dk", dk)):
    print(name, array.round(4).tolist())
assert np.allclose(received, y)
assert np.allclose(dv, [[0.75, 0.2], [0.25, 0.8]])
assert np.allclose(dq, [[0.5303, -0.5303], [-0.9051, 0.9051]], rtol=0, atol=1e-4)
assert np.allclose(dk, [[0.8240, -1.7745], [-0.8240, 1.7745]], rtol=0, atol=1e-4)

rng = np.random.default_rng(0)
inputs = {name: rng.normal(size=(2, 3, 4, 5)) for name in "qkv"}  # examples, heads, tokens, width
mask = rng.random((2, 1, 4, 4)) < 0.7
errors = check_gradients(
    lambda q, k, v: layer.attention(q, k, v, mask), layer.attention_backward, inputs, rng
)
print("random, masked, against finite differences:", ", ".join(f"{e.relative:.0e}" for e in errors))
assert max(e.relative for e in errors) < 1e-7

# %% [markdown]
# !!! example "Exercise 3.1: attention, forward and backward"
#     Write the pair. Begin with the forward pass and check it: the checks of the backward pass wait
#     until you are there. The traps are those of real code: a scale that is missing or is $K$, a
#     softmax along the wrong axis, a mask that acts too late, a softmax without its Jacobian.
#
#     ```text
#     groundup watch 3.1
#     ```
#
#     When it passes, `groundup chapter 3 --mine 3.1` runs this page's experiments on it.
#
# ::: source groundup.scratch.attention:attention folded
#
# ::: source groundup.scratch.attention:attention_backward folded
#
# ## Why divide by the root of the width
#
# A score is a sum of $K$ products. How large is it before anything is learned? Suppose the entries
# of a query and a key are independent, with mean 0 and variance 1 (the *variance* is the mean
# square distance from the mean). For one product the mean is
# $\mathbb E[q_i k_i] = \mathbb E[q_i]\,\mathbb E[k_i] = 0$, because the two are independent. So its
# variance is the mean of its square, and that splits for the same reason:
#
# $$\mathrm{Var}(q_i k_i) = \mathbb E[q_i^2 k_i^2] = \mathbb E[q_i^2]\;\mathbb E[k_i^2]
# = 1 \cdot 1 = 1 .$$
#
# Variances of independent terms add up, so
#
# $$\mathrm{Var}(q \cdot k) = \sum_{i=1}^{K} 1 = K .$$
#
# A typical score is as large as the standard deviation, $\sqrt K$: 8 for a width of 64. Softmax
# sees *differences*, and a difference of 8 is a factor of $e^8 \approx 3{,}000$ between two
# weights. Nothing has been learned, and the choice is already made, at random. Dividing by
# $\sqrt K$ makes the variance 1 at every width.
#
# Why is a hard choice bad? Look at the Jacobian, $p_i([i=j] - p_j)$. If one weight is close to 1
# and the others close to 0, every entry is close to 0. The gradient that arrives at the scores is
# almost nothing, and a wrong choice stays.
#
# Measure both. *Entropy*, $-\sum_s p_s \ln p_s$ in nats, says how spread a row of weights is: 0 if
# one key has it all, $\ln S$ if $S$ keys share it evenly.

# %%
KEYS, ROWS = 16, 2000


def entropy(p: Array) -> Array:
    """Entropy of each row of weights, in nats."""
    p = p.astype(float)
    return -(p * np.log(np.maximum(p, 1e-300))).sum(axis=-1)


def passed_on(p: Array, rng: np.random.Generator) -> float:
    """The median share of a random gradient's length that the softmax passes back."""
    g = rng.normal(size=p.shape)
    lengths = np.linalg.norm(softmax_backward(g, p), axis=-1) / np.linalg.norm(g, axis=-1)
    return float(np.median(lengths))


widths = (4, 16, 64, 256, 1024)
table: dict[str, list[float]] = {"raw": [], "scaled": []}
deviations, shares = [], {"raw": [], "scaled": []}
print(f"{KEYS} keys: an even spread has {np.log(KEYS):.2f} nats")
print("width   score: std     entropy: raw  scaled     gradient passed: raw  scaled")
for width in widths:
    queries, keys = rng.normal(size=(ROWS, 1, width)), rng.normal(size=(ROWS, KEYS, width))
    raw = (queries @ keys.swapaxes(-1, -2))[:, 0]  # (ROWS, KEYS)
    deviations.append(raw.std())
    for name, z in (("raw", raw), ("scaled", raw / np.sqrt(width))):
        table[name].append(float(entropy(softmax(z)).mean()))
        shares[name].append(passed_on(softmax(z), rng))
    print(
        f"{width:5} {deviations[-1]:12.2f} {table['raw'][-1]:16.2f} {table['scaled'][-1]:7.2f} "
        f"{shares['raw'][-1]:24.4f} {shares['scaled'][-1]:7.4f}"
    )
assert np.allclose(deviations, np.sqrt(widths), rtol=0.05)
assert table["raw"][-1] < 0.1 < 2 < min(table["scaled"])
assert shares["raw"][-1] < 0.01 * shares["scaled"][-1]

fig, (left, right) = figure(1, 2)
left.plot(widths, np.sqrt(widths), color=INK, linestyle="-", linewidth=1, label="√K")
left.plot(widths, deviations, "o", color=COLOURS[1], label="measured")
left.set(xscale="log", yscale="log", xlabel="head width K", ylabel="standard deviation of q·k")
left.set_yticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
left.legend()
right.plot(widths, table["scaled"], "o-", color=COLOURS[0], label="divided by √K")
right.plot(widths, table["raw"], "s--", color=COLOURS[1], label="as they are")
right.axhline(np.log(KEYS), color=INK, linewidth=0.8)
right.text(widths[0], np.log(KEYS) - 0.22, "ln 16: an even spread", color=INK, fontsize=8)
right.set(xscale="log", xlabel="head width K", ylabel="mean entropy (nats)", ylim=(0, 3))
right.legend()
for ax in (left, right):
    ax.set_xticks(widths, [str(width) for width in widths])
    ax.minorticks_off()
show(
    fig,
    "scale",
    "Random queries and keys. Scores grow with the root of the width (left). Without the division "
    "the weights of wide heads fall on one key before anything is learned (right).",
)

# %% [markdown]
# At a width of 1,024 the softmax passes back almost nothing of a gradient. Divided, every width
# behaves the same.
#
# Dividing by a number before a softmax is something people also do on purpose. The number is then
# called *temperature*: $p = \mathrm{softmax}(z/\tau)$. Towards $\tau = 0$ all weight goes to the
# largest score and the entropy to 0. Towards $\tau = \infty$ all scores are as good as equal, and
# the entropy goes to $\ln S$. So $1/\sqrt K$ is a temperature, fixed by design, for the start. It
# is not a limit: the learned matrices can make queries longer and the choice as sharp as the task
# wants.

# %%
temperatures = np.geomspace(0.05, 20, 40)
z = rng.normal(size=(ROWS, KEYS))
spread = [float(entropy(softmax(z / t)).mean()) for t in temperatures]
assert all(a < b for a, b in pairwise(spread))
assert spread[0] < 0.2
assert spread[-1] > 0.99 * np.log(KEYS)

fig, (left, right) = figure(1, 2)
order = np.sort(z[0])[::-1]
for n, t in enumerate((0.2, 1.0, 5.0)):
    left.plot(range(1, KEYS + 1), softmax(order / t), ("o-", "s--", "^:")[n], label=f"τ = {t}")
left.set(xlabel="key, best match first", ylabel="weight", ylim=(0, None))
left.legend()
right.plot(temperatures, spread, color=COLOURS[0], linestyle="-")
right.axhline(np.log(KEYS), color=INK, linewidth=0.8)
right.text(temperatures[0], np.log(KEYS) - 0.15, "ln 16: an even spread", color=INK, fontsize=8)
right.set(xscale="log", xlabel="temperature τ (log scale)", ylabel="mean entropy (nats)")
show(
    fig,
    "temperature",
    "The same 16 scores at three temperatures (left), and the entropy of 2,000 rows against the "
    "temperature (right): from one key to all of them.",
)

# %% [markdown]
# ## Where nobody may look
#
# Two kinds of mask cover nearly all cases.
#
# **Padding.** Questions of different lengths are filled up to one rectangle (chapter 01). Nobody
# may look at the filling. The mask (B, T) of an example is one row of keys, the same for every
# query and every head. Scores have the shape (B, H, T, S): examples, heads, queries, keys. So the
# row goes into the last axis, as (B, 1, 1, T), and NumPy repeats it along the other two.
#
# **The future.** A model that writes (chapter 07) learns to predict each next token from those
# before it. In training all tokens are there at once, and a query that sees the next token has
# nothing to predict. The *causal mask* lets query $t$ see keys 0 to $t$, itself included. For three
# tokens:
#
# | | key 0 | key 1 | key 2 |
# |:--|:-:|:-:|:-:|
# | **query 0** | True | False | False |
# | **query 1** | True | True | False |
# | **query 2** | True | True | True |
#
# When such a model writes, the older keys are kept, and only the newest tokens come with queries.
# Then there are fewer rows than columns: the last rows of this table. The two masks are joined with
# "and".

# %%
from groundup.scratch.masks import causal_mask, key_mask

real = np.array([[True, True, True, False, False]])  # two places of padding
both = causal_mask(5) & key_mask(real)
print("causal, last two of three:", causal_mask(2, 3).tolist())
print("shapes:", causal_mask(5).shape, key_mask(real).shape, "joined", both.shape)
weights = layer.attention(*(rng.normal(size=(1, 1, 5, 4)) for _ in range(3)), mask=both)[1][0]
print(weights[0, 0].round(2))
assert np.allclose(weights.sum(axis=-1), 1)
assert (weights[~both] == 0).all()

fig, panels = figure(1, 3, height=2.9)
drawn = (("causal", causal_mask(5)), ("padding", np.tile(real, (5, 1))), ("both", both[0, 0]))
for panel, (name, allowed) in zip(panels, drawn, strict=True):
    for t, s in np.ndindex(5, 5):
        colour = COLOURS[0] if allowed[t, s] else "none"
        panel.scatter(s, t, s=120, marker="s", color=colour, edgecolors=INK, linewidths=0.6)
    panel.set(title=name, xticks=range(5), yticks=range(5), xlabel="key")
    panel.set(xlim=(-0.6, 4.6), ylim=(4.6, -0.6), aspect="equal")
panels[0].set_ylabel("query")
show(
    fig,
    "masks",
    "Filled: the query of this row may look at the key of this column. Three real tokens and two of "
    "padding.",
)

# %% [markdown]
# The printed rows are the weights. Each sums to one, over what it may see. Padding keeps its rows:
# it may look, and nobody will read what it found.
#
# !!! example "Exercise 3.2: causal and padding masks"
#     Write `causal_mask` and `key_mask`. They are short, and one step to the side ruins a model in
#     silence. Check them with `groundup watch 3.2`.
#
# ::: source groundup.scratch.masks:causal_mask folded
#
# ::: source groundup.scratch.masks:key_mask folded
#
# ## Several looks at once
#
# One query gives one row of weights, and one row gives one mixture. That is less than it seems.
# Suppose the values carry digits, and a token wants to know about two of them. Half of 3 and half
# of 9 is 6. Half of 6 and half of 6 is 6 as well. After the mixture nobody can tell them apart.
#
# So look several times, with different queries. Each look is a *head*. It gets a slice of the
# width: with $D = 64$ and $H = 4$ heads each has $K = D/H = 16$ columns for its queries, keys and
# values. The results are laid side by side again, $H \cdot K = D$. Two heads can then report
# $(3, 9)$, which is not $(6, 6)$.
#
# More heads cost no more arithmetic. The scores of one head take $T \cdot T \cdot K$
# multiplications, those of all heads $H T^2 K = T^2 D$, whatever $H$ is. What a head loses is
# width: its queries and keys meet in $K$ dimensions and not in $D$.
#
# The split is a matter of two moves, and the order counts. Two tokens of width 4, two heads:
#
# $$\begin{pmatrix} 0 & 1 & 2 & 3 \\ 10 & 11 & 12 & 13 \end{pmatrix} \;\to\;
# \text{head 0: } \begin{pmatrix} 0 & 1 \\ 10 & 11 \end{pmatrix} \quad
# \text{head 1: } \begin{pmatrix} 2 & 3 \\ 12 & 13 \end{pmatrix}$$
#
# First the width is cut in two, (B, T, H, K). Then heads and tokens change places, (B, H, T, K), so
# that the last two axes of each head are an attention of its own.

# %%
x = np.array([[[0, 1, 2, 3], [10, 11, 12, 13]]])
split = layer.split_heads(x, 2)
print("cut, then swapped: head 0", split[0, 0].tolist(), " head 1", split[0, 1].tolist())
wrong = x.reshape(1, 2, 2, 2)
print("reshape alone:     head 0", wrong[0, 0].tolist(), " head 1", wrong[0, 1].tolist())
assert (layer.merge_heads(split) == x).all()
assert (split[0, 0] == [[0, 1], [10, 11]]).all()

# %% [markdown]
# `reshape` alone gives the same shape and raises no error. But its head 0 holds the two halves of
# token 0 as if they were two tokens. That head compares a token with itself, and the second token
# is in the other head, out of sight. And if merging is done by `reshape` too, splitting and merging
# still undo each other: a test of the round trip passes.
#
# !!! example "Exercise 3.3: split and merge heads"
#     Two functions of a line or two. Check them with `groundup watch 3.3`.
#
# ::: source groundup.scratch.attention:split_heads folded
#
# ::: source groundup.scratch.attention:merge_heads folded
#
# ## The whole layer
#
# Put it together. One matrix $W_{qkv}$ (D, 3D) makes queries, keys and values of all heads in one
# product: the first $D$ columns are the queries, then the keys, then the values. Split, attend,
# merge. A last matrix $W_o$ (D, D) mixes what the heads report. On the way back, splitting and
# merging are each other's backward: they only move numbers, and a gradient moves back the way its
# number came.

# %%
B, T, D, H = 2, 7, 64, 4
x = rng.normal(size=(B, T, D))
wqkv, wo = rng.normal(size=(D, 3 * D)) / np.sqrt(D), rng.normal(size=(D, D)) / np.sqrt(D)
bqkv, bo = np.zeros(3 * D), np.zeros(D)
fused = x @ wqkv + bqkv
queries, keys, values = (layer.split_heads(part, H) for part in np.split(fused, 3, axis=-1))
mixed, _ = layer.attention(queries, keys, values)
steps = {
    "x": x,
    "x Wqkv": fused,
    "queries": queries,
    "scores": queries @ keys.swapaxes(-1, -2),
    "mixtures": mixed,
    "merged": layer.merge_heads(mixed),
    "y": layer.merge_heads(mixed) @ wo + bo,
}
for name, array in steps.items():
    print(f"{name:9} {array.shape}")
y, _ = layer.multi_head_attention(x, wqkv, bqkv, wo, bo, H)
assert np.allclose(y, steps["y"])
print(f"parameters: {sum(p.size for p in (wqkv, bqkv, wo, bo)):,}, for any number of heads")

# %% [markdown]
# !!! example "Exercise 3.4: multi-head attention"
#     Write the layer and its backward out of the parts. Nothing new is derived, and the order is
#     everything. Check it with `groundup watch 3.4`.
#
# ::: source groundup.scratch.attention:multi_head_attention folded
#
# ::: source groundup.scratch.attention:multi_head_attention_backward folded
#
# ## Breaking it: the scale and the Jacobian
#
# Does any of this matter to a real run? Take the digit task of chapter 01 and the smallest encoder
# that can do it: one layer, one head as wide as the model, $K = 64$. What else is in an encoder is
# chapter 04's; here it only has to stay the same. Each run has the same initial weights and the
# same batches. Only the attention inside is replaced:
#
# - **no scale**: the scores are not divided;
# - **no mean**: backward, $dz = p \odot dp$, without taking off the mean;
# - **diagonal**: backward, $dz = p\,(1-p) \odot dp$, each weight on its own;
# - **skipped**: backward, $dz = dp$, as if there were no softmax;
# - **no gradient**: backward, $dz = 0$. The matrices of queries and keys get no gradient and stay
#   nearly as they were drawn. This is the run to compare the others with.

# %%
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.tasks.digits import OPERATIONS, accuracy, make_splits
from groundup.scratch.trainer import TrainConfig, train

STEPS = 300
splits = make_splits(np.random.default_rng(0))
config = EncoderConfig(layers=1, heads=1)
Backward = Callable[[Array, Array], Array]


def broken(through: Backward = softmax_backward, scaled: bool = True) -> dict[str, Callable]:
    """An attention pair with another way back through the softmax, or without the scale."""

    def attention(
        q: Array, k: Array, v: Array, mask: BoolArray | None = None
    ) -> tuple[Array, Cache]:
        scale = q.dtype.type(1 / np.sqrt(q.shape[-1]) if scaled else 1)
        scores = q @ k.swapaxes(-1, -2) * scale
        if mask is not None:
            scores = np.where(mask, scores, -np.inf)
        p = softmax(scores)
        return p @ v, (p, q, k, v, scale)

    def attention_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
        p, q, k, v, scale = cache
        dz = through(dy @ v.swapaxes(-1, -2), p) * scale
        return dz @ k, dz.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ dy

    return {"attention": attention, "attention_backward": attention_backward}


VARIANTS = {
    "right": {
        "attention": layer.attention,
        "attention_backward": layer.attention_backward,
    },
    "no scale": broken(scaled=False),
    "no mean": broken(lambda dp, p: p * dp),
    "diagonal": broken(lambda dp, p: p * (1 - p) * dp),
    "skipped": broken(lambda dp, p: dp),
    "no gradient": broken(lambda dp, p: np.zeros_like(dp)),
}


def smooth(losses: list[float], width: int = 20) -> Array:
    """Running mean of the last ``width`` values (fewer at the start)."""
    total = np.cumsum(np.concatenate([[0.0], losses]))
    last = np.arange(1, len(losses) + 1)
    first = np.maximum(last - width, 0)
    return (total[last] - total[first]) / (last - first)


def wrong_by(pair: dict[str, Callable]) -> float:
    """Relative error of dq against finite differences of the pair's own forward pass."""
    rng = np.random.default_rng(1)
    inputs = {name: rng.normal(size=(2, 3, 4)) for name in "qkv"}
    return check_gradients(*pair.values(), inputs, rng)[0].relative


unseen = splits.validation
models, curves, scored, spreads, rows = {}, {}, {}, {}, {}
print(f"{STEPS} steps     error of dq    loss   unseen right   below 0.1 at step   entropy")
for name, pair in VARIANTS.items():
    model = Encoder.create(config, np.random.default_rng(0))
    with mock.patch.multiple(layer, **pair):
        run = train(model, splits.train, TrainConfig(steps=STEPS, lr=2e-3, warmup=30))
        curves[name] = smooth([step.loss for step in run])
        scored[name] = accuracy(model, unseen)["all"]
        _, cache = model.forward(unseen.ids, unseen.mask)
    rows[name] = model.attention_maps(cache)[0][:, 0, 0]  # (N, T): where the first token looks
    models[name] = model
    spreads[name] = float(np.median(entropy(rows[name])))
    low = np.flatnonzero(curves[name] < 0.1)
    reached = str(low[0] + 1) if len(low) else "never"
    print(f"{name:14} {wrong_by(pair):8.0e} {curves[name][-1]:9.3f}", end=" ")
    print(f"{scored[name]:12.1%} {reached:>16} {spreads[name]:14.3f}")
assert scored["right"] > 0.99
assert max(scored["no scale"], scored["diagonal"], scored["skipped"]) < 0.85
assert min(curves["skipped"][-1], curves["diagonal"][-1]) > curves["no gradient"][-1]
assert wrong_by(VARIANTS["right"]) < 1e-7
assert min(wrong_by(VARIANTS[name]) for name in ("no mean", "diagonal", "skipped")) > 0.1
assert np.argmax(curves["no mean"] < 0.2) > 1.2 * np.argmax(curves["right"] < 0.2)

fig, ax = figure(height=3.6)
for n, (name, curve) in enumerate(curves.items()):
    style = {"color": INK, "linestyle": ":"} if name == "no gradient" else {}
    style = style or {"color": COLOURS[n], "linestyle": "--" if n % 2 else "-"}
    ax.plot(range(1, STEPS + 1), curve, label=name, **style)
ax.set(xlabel="step", ylabel="training loss (nats, mean of 20)", xlim=(0, STEPS), ylim=(0, None))
ax.legend(ncols=2)
show(
    fig,
    "broken",
    "One seed, the digit task, one head. The right pair learns it within 150 steps. Without the "
    "scale it crawls. A gradient that skips the softmax is worse than none at all (dotted).",
)

# %% [markdown]
# Look at the dotted line first. With queries and keys left as they were drawn, the rest of the
# network still learns something: even random shares let a little of each digit through. The last
# column is the entropy of the row from which the answer is read (the median over questions). Now
# compare:
#
# - **No scale** has an exact gradient, as the first column says. But it is the gradient of a function
#   that starts out hard. An entropy of zero: the token looks at one key and no other. It learns
#   late.
# - **No mean** gets there, clearly later. This is the kind of fault that is easy to live with: the
#   loss falls, and nobody knows how fast it should.
# - **Diagonal** and **skipped** end *above* the dotted line: worse than learning no queries and keys
#   at all. In a right gradient each row sums to zero, and what one score gains the others lose.
#   Here nothing balances. Skipped also lacks the factor $p_j$, so it keeps pushing a choice that is
#   long settled. Both end where the missing scale began, on one key, and from there little
#   gradient leads back.
#
# A falling loss does not prove a gradient. Finite differences find the three wrong ones at once:
# that is the first column. They cannot find the missing scale, which is a correct gradient of
# another function. For that you need an example with a known result, such as the one at the top.
#
# With more heads and layers the broken runs get further, and the right one stays ahead. Try
# `config = EncoderConfig()`.
#
# ## Which one does it look at?
#
# The right model has one head, and the answer is read from the first token, the operation. So there
# is one row of weights to look at. Here it is, averaged over all questions of a kind:

# %%
first = rows["right"]
looks = np.array([first[unseen.operations == n].mean(axis=0) for n in range(len(OPERATIONS))])
tokens = ["operation", "(", "1st", "2nd", "3rd", ")", "[EOS]"]
fig, ax = figure(height=2.9)
image = ax.imshow(looks, cmap="Blues", vmin=0, vmax=1, aspect="auto")
for t, s in np.ndindex(looks.shape):
    colour = "#111" if looks[t, s] < 0.6 else "#fff"
    ax.text(s, t, f"{looks[t, s]:.2f}", ha="center", va="center", fontsize=8, color=colour)
ax.set(xticks=range(len(tokens)), xticklabels=tokens, xlabel="looked at")
ax.set(yticks=range(len(OPERATIONS)), yticklabels=OPERATIONS, ylabel="question")
fig.colorbar(image, ax=ax, label="mean weight")
show(fig, "looks", "Where the operation's token looks, mean over unseen questions of each kind.")
sharp = {name: looks[n, 2:5] for n, name in enumerate(OPERATIONS)}
assert [int(sharp[name].argmax()) for name in ("First", "Second", "Last")] == [0, 1, 2]
print("weight on the digit asked for:", end=" ")
print(", ".join(f"{n} {sharp[n].max():.2f}" for n in ("First", "Second", "Last")))

# %% [markdown]
# Nobody told it where the second digit stands. `First`, `Second` and `Last` look at their digit;
# `Max` and `Min` look at all three on average; whether they do so in a single question, and how far
# such a picture may be trusted at all, chapter 06 asks.
#
# ## Breaking it: a mask that comes too late
#
# The digit model was trained on questions of one length, without padding. Now append padding to
# unseen questions. With a right mask nothing may change. Four versions of the same model:
#
# - **before the softmax**, as it should be;
# - **after the softmax**: the weights of padding are set to zero when it is too late, and the rest
#   no longer sum to one;
# - **zero for minus infinity**: a masked score becomes 0, and $e^0 = 1$ is a weight like others;
# - **no mask**.

# %%
import dataclasses


def masked_late(q: Array, k: Array, v: Array, mask: BoolArray) -> tuple[Array, Cache]:
    p = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]).astype(q.dtype)) * mask
    return p @ v, (p,)


def masked_with_zero(q: Array, k: Array, v: Array, mask: BoolArray) -> tuple[Array, Cache]:
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]).astype(q.dtype)
    p = softmax(np.where(mask, scores, q.dtype.type(0)))
    return p @ v, (p,)


right_attention = layer.attention
MASKINGS = {
    "before the softmax": right_attention,
    "after the softmax": masked_late,
    "zero for minus infinity": masked_with_zero,
    "no mask": lambda q, k, v, mask: right_attention(q, k, v),
}
added = (0, 1, 2, 4, 8, 16)
results: dict[str, list[float]] = {}
print("right answers by tokens of padding" + " " * 29 + "sum of a row")
print(" " * 25 + "".join(f"{n:6}" for n in added) + "       with 16")
for name, version in MASKINGS.items():
    results[name] = []
    for n in added:
        filled = dataclasses.replace(
            unseen,
            ids=np.pad(unseen.ids, ((0, 0), (0, n))),  # [PAD] is token 0
            mask=np.pad(unseen.mask, ((0, 0), (0, n))),
        )
        with mock.patch.object(layer, "attention", version):
            results[name].append(accuracy(models["right"], filled)["all"])
            _, cache = models["right"].forward(filled.ids, filled.mask)
    row = models["right"].attention_maps(cache)[0][:, 0, 0]
    print(f"{name:25}" + "".join(f"{share:6.0%}" for share in results[name]), end="")
    print(f"{row.sum(axis=-1).mean():14.3f}")
assert len(set(results["before the softmax"])) == 1
assert all(results[name][-1] < results["before the softmax"][-1] for name in list(MASKINGS)[1:])

fig, ax = figure(height=3.0)
for n, (name, shares_right) in enumerate(results.items()):
    ax.plot(added, [100 * s for s in shares_right], ("o-", "s--", "^-", "d--")[n], label=name)
ax.set(xlabel="tokens of padding", ylabel="right answers (%)", ylim=(0, 105))
ax.legend()
show(
    fig,
    "padding",
    "The same weights, the same unseen questions, four ways to mask. Only the right one gives an "
    "answer that does not depend on how much padding the batch happened to need.",
)

# %% [markdown]
# The right mask gives the same share at every length. Under the others, the answer to your question
# depends on how long the longest question in the batch was: on other people's questions. Without
# padding all four agree, so a test with one length finds nothing.
#
# ## What practitioners do differently
#
# - **Nobody writes the scores to memory.** (T, T) scores for every head are the largest arrays of
#   the layer. FlashAttention (Dao et al., 2022) computes the same result in tiles that fit into the
#   processor's fast memory. Chapter 10 builds it.
# - **Large negative numbers for $-\infty$.** Much code adds −10,000 or the lowest float to masked
#   scores. With at least one real key in the row the weights are as good as the same. A row with
#   none mixes what it must not see; ours becomes zeros.
# - **Scores still grow.** $1/\sqrt K$ holds at the start, for independent entries. In training,
#   queries and keys line up, and then $q \cdot k$ grows like $K$ and not like $\sqrt K$. Yang et al.
#   (2022) divide by $K$ for that reason when they carry settings from narrow models to wide ones. In
#   vision transformers of billions of parameters the scores grew until the weights fell on one key
#   and training diverged; a norm on queries and keys cured it (Dehghani et al., 2023).
# - **Fewer keys than queries.** A model that writes must keep every key and value. Sharing them
#   among all heads (Shazeer, 2019) or groups of heads (Ainslie et al., 2023) makes this memory
#   smaller by the same factor.
# - **Heads can be spared.** After training, many heads can be removed at little cost (Michel et
#   al., 2019), so their number is a habit, often $K = 64$ or 128, rather than a law.
#
# ## What you know now, and what is missing
#
# How can a position look at another, and which? It asks with a query; the best matching keys answer
# with their values; the softmax makes the choice soft enough to have a gradient, and its whole
# Jacobian belongs to that gradient. The scale keeps the choice open until something is learned.
#
# Now look at what is missing. Shuffle the tokens and run the layer again:

# %%
shuffle = rng.permutation(T)
again, _ = layer.multi_head_attention(x[:, shuffle], wqkv, bqkv, wo, bo, H)
print(f"largest difference after shuffling back: {np.abs(again - y[:, shuffle]).max():.0e}")
assert np.allclose(again, y[:, shuffle])
one, _ = layer.attention(queries, keys, values)
low, high = values.min(axis=-2, keepdims=True), values.max(axis=-2, keepdims=True)
inside = (one >= low - 1e-9) & (one <= high + 1e-9)
print(f"mixtures between the smallest and the largest value: {inside.mean():.0%}")
assert inside.all()

# %% [markdown]
# The outputs are the same, shuffled like the inputs. Attention sees a *set* of tokens. It does not
# know which came first, and so by itself it cannot answer `First`. And a mixture lies between the
# values that are mixed: attention moves and averages, and computes nothing new from what it found.
# Chapter 04 gives the tokens their positions, lets each of them think about what it has gathered,
# and stacks such layers so that a gradient still gets through all of them.
#
# ## Sources
#
# - D. Bahdanau, K. Cho, Y. Bengio (2014), *Neural machine translation by jointly learning to align
#   and translate*, arXiv 1409.0473.
# - A. Vaswani et al. (2017), *Attention is all you need*, arXiv 1706.03762.
# - P. Michel, O. Levy, G. Neubig (2019), *Are sixteen heads really better than one?*, arXiv
#   1905.10650.
# - N. Shazeer (2019), *Fast transformer decoding: one write-head is all you need*, arXiv
#   1911.02150.
# - G. Yang et al. (2022), *Tensor programs V: tuning large neural networks via zero-shot
#   hyperparameter transfer*, arXiv 2203.03466.
# - T. Dao et al. (2022), *FlashAttention: fast and memory-efficient exact attention with
#   IO-awareness*, arXiv 2205.14135.
# - M. Dehghani et al. (2023), *Scaling vision transformers to 22 billion parameters*, arXiv
#   2302.05442.
# - J. Ainslie et al. (2023), *GQA: training generalized multi-query transformer models from
#   multi-head checkpoints*, arXiv 2305.13245.
