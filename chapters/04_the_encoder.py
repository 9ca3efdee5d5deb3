# %% [markdown]
# # The encoder
#
# Attention, as chapter 03 left it, has three gaps. It mixes what the tokens bring, and computes
# nothing new from the mixture. It sees a set of tokens and not a sequence. And it is one layer,
# while `Second ( 5 3 9 )` may need several looks, each of which builds on the one before. You can
# put attention on top of attention. Then, as you will see, after a few layers all tokens look the
# same, and there is nothing left to learn from.
#
# **What turns attention into a network that trains?** The answer is a handful of plain parts: a
# small network for each token, a sum, a norm, a table of positions, a choice of what to read at the
# end. None is hard. What is worth your evening is why each is there, and what happens without it.
#
# ## One block with a pencil
#
# A *block* does two things, one after the other. Attention lets the tokens exchange what they know.
# Then a *feed-forward network* lets each token work on what it has gathered, by itself. Each of the
# two is called a *sublayer*. In the order of 2017 (Vaswani et al.) each is used in the same way:
# add what the sublayer found to what you had, then normalise.
#
# $$x' = \mathrm{norm}_1\big(x + \mathrm{attention}(x)\big), \qquad
# y = \mathrm{norm}_2\big(x' + \mathrm{ffn}(x')\big).$$
#
# The sum is called a *residual connection* (He et al., 2015): the sublayer only has to find what
# to *change*. The norm is layer norm, from chapter 02: take off the mean of the vector and divide by
# its standard deviation. Its learned scale and shift are 1 and 0 at the start.
#
# Two tokens, width $D = 4$, one head: $x_1 = (2, 0, 0, 0)$ and $x_2 = (0, 2, 0, 0)$.
#
# **Attention.** Let the keys be the tokens themselves, and the queries the tokens times
# $\tfrac12 \ln 3$, so $q_1 = (\ln 3, 0, 0, 0)$. Query 1 meets key 1 with $2 \ln 3$ and key 2 with 0;
# divided by $\sqrt4 = 2$, the scores are $\ln 3$ and 0. So the weights are $3/4$ and $1/4$, and for
# token 2 they are $1/4$ and $3/4$. Let the value matrix give $v_1 = (-2, 3, -2, -1)$ and
# $v_2 = (2, -5, 2, -1)$. The mixtures are
#
# $$\tfrac34 v_1 + \tfrac14 v_2 = (-1, 1, -1, -1), \qquad
# \tfrac14 v_1 + \tfrac34 v_2 = (1, -3, 1, -1).$$
#
# **Sum and norm.** Token 1: $(2,0,0,0) + (-1,1,-1,-1) = (1, 1, -1, -1)$. Its mean is 0 and its
# standard deviation 1, so the norm leaves it alone. Token 2: $(0,2,0,0) + (1,-3,1,-1) =
# (1, -1, 1, -1)$, likewise.
#
# **Feed-forward.** Two linear layers with a ReLU between them, here with two hidden units. Let the
# first unit be twice the second entry, and the second unit twice the third entry. Token 1 has
# $(2, -2)$, after ReLU $(2, 0)$. Token 2 has $(-2, 2)$, after ReLU $(0, 2)$. Let an active first unit
# write $(3, 0, 0, -3)$ for each 1 it has, and the second $(2, 0, -1, -1)$. Token 1 gets
# $(6, 0, 0, -6)$, token 2 gets $(4, 0, -2, -2)$.
#
# **Sum and norm.** Token 1: $(7, 1, -1, -7)$. The mean is 0 and the mean square is
# $(49+1+1+49)/4 = 25$, so divide by 5: $(1.4, 0.2, -0.2, -1.4)$. Token 2: $(5, -1, -1, -3)$ has the
# mean square $36/4 = 9$: divide by 3.
#
# Both tokens came in with one non-zero entry. They leave with vectors that depend on each other
# (through attention) and on conditions (through ReLU). The library's
# [post_norm_block][groundup.scratch.blocks.post_norm_block] on the same numbers:

# %%
import os
import time
from collections.abc import Callable
from unittest import mock

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.scratch.blocks import post_norm_block, pre_norm_block
from groundup.scratch.types import Array, BoolArray, Cache, Params

values = np.zeros((4, 4))
values[:2] = [[-1, 1.5, -1, -0.5], [1, -2.5, 1, -0.5]]
small: Params = {
    "wqkv": np.hstack([np.eye(4) * np.log(3) / 2, np.eye(4), values]),
    "bqkv": np.zeros(12),
    "wo": np.eye(4),
    "w1": np.array([[0.0, 0], [2, 0], [0, 2], [0, 0]]),
    "b1": np.zeros(2),
    "w2": np.array([[3.0, 0, 0, -3], [2, 0, -1, -1]]),
}
small |= {name: np.zeros(4) for name in ("bo", "b2", "norm1.beta", "norm2.beta")}
small |= {name: np.ones(4) for name in ("norm1.gamma", "norm2.gamma")}
x = np.array([[[2.0, 0, 0, 0], [0, 2, 0, 0]]])
y, _ = post_norm_block(x, small, heads=1)
print(y.round(4))
by_hand = [[[7 / 5, 1 / 5, -1 / 5, -7 / 5], [5 / 3, -1 / 3, -1 / 3, -1]]]
assert np.allclose(y, by_hand, rtol=0, atol=1e-4)  # the norm's epsilon is in the fifth digit

# %% [markdown]
# ## The network for each token
#
# Why a second sublayer? A mixture lies between the values that are mixed (chapter 03). For `Max`,
# somebody must *decide* between 5, 3 and 9, and an average decides nothing. The feed-forward
# network, $\mathrm{ffn}(x) = \mathrm{relu}(xW_1 + b_1)\,W_2 + b_2$, is where "if this, then write
# that" can be said: each hidden unit is a condition on the token's vector, and its row of $W_2$ is
# what it adds if the condition holds. Usually it has $F = 4D$ hidden units. It uses the same weights
# at every position, and never looks at a neighbour. So attention is the only place where tokens
# meet, and the feed-forward network the only place where a nonlinear step is taken on what they
# found. (Softmax and norm are no straight lines either, but they only weigh and rescale.)
#
# Here is the way of a batch through the whole encoder: $B = 2$ questions of $T = 7$ tokens, $D = 64$,
# $H = 4$ heads of width $K = 16$, $F = 256$, two blocks, ten answers.
#
# | step | shape |
# |:--|:--|
# | token ids | (B, T) = (2, 7) |
# | rows of the embedding table, plus positions | (B, T, D) = (2, 7, 64) |
# | queries, keys, values: one product, then cut and split | 3 × (B, H, T, K) = 3 × (2, 4, 7, 16) |
# | attention weights | (B, H, T, T) = (2, 4, 7, 7) |
# | mixtures, merged and mixed by $W_o$; sum; norm | (B, T, D) = (2, 7, 64) |
# | hidden units | (B, T, F) = (2, 7, 256) |
# | written back; sum; norm | (B, T, D) = (2, 7, 64) |
# | the second block | (B, T, D) = (2, 7, 64) |
# | one vector for the question | (B, D) = (2, 64) |
# | logits | (B, C) = (2, 10) |
#
# A block gives back the shape that it was given. That is why blocks can be stacked.
#
# ## The block backwards
#
# Every part's backward is known from chapters 02 and 03. New are the two *forks*. In
# $s = x + f(x)$ the vector $x$ has two ways to the loss: through the sum as it is, and through $f$.
# Ways add (chapter 02). With $J$ the Jacobian of $f$ and $ds$ the gradient at the sum,
#
# $$dx = ds + ds\,J .$$
#
# So walk back from $y$. Norm 2 turns $dy$ into the gradient $ds_2$ of the second sum. It goes through
# the feed-forward network, and past it; add both: $dx' = ds_2 + ds_2 J_{\mathrm{ffn}}$. Norm 1 turns
# $dx'$ into $ds_1$. Then $dx = ds_1 + ds_1 J_{\mathrm{attention}}$. Each sublayer's backward gives
# the gradients of its parameters on the way.
#
# !!! example "Exercise 4.2: the block, forward and backward"
#     Write the pair out of the parts that you have. The traps are those of real code: a residual
#     that is forgotten on the way back, a branch's gradient that replaces the other instead of being
#     added, a norm on the wrong side of the sum, a mask that never arrives. The argument `noise`
#     is dropout, which a section below explains; the function for it is imported already.
#
#     ```text
#     groundup watch 4.2
#     ```
#
# ::: source groundup.scratch.blocks:post_norm_block folded
#
# ::: source groundup.scratch.blocks:post_norm_block_backward folded
#
# ## A sum of parts
#
# There is a second order. Move the norm to the entrance of the sublayer:
#
# $$x' = x + \mathrm{attention}(\mathrm{norm}_1(x)), \qquad
# y = x' + \mathrm{ffn}(\mathrm{norm}_2(x')).$$
#
# This is *pre-LN*; the order of 2017 is *post-LN*.

# %% The drawing tags=["hide"]
ORDERS = {
    "post-LN": ["attention", "+", "norm", "ffn", "+", "norm"],
    "pre-LN": ["norm", "attention", "+", "norm", "ffn", "+"],
}
fig, axes = figure(2, 1, height=3.0)
for ax, (name, steps) in zip(axes, ORDERS.items(), strict=True):
    arrow = {"arrowstyle": "->", "color": INK}
    for n in range(len(steps) + 1):
        ax.annotate(
            "", (n + 0.66 if n < 6 else 6.6, 0), (n + 0.34 if n else 0.1, 0), arrowprops=arrow
        )
    sums = [n + 1 for n, step in enumerate(steps) if step == "+"]
    for fork, end in zip((0.5, 3.5), sums, strict=True):
        ax.plot([fork, fork, end], [0, 0.75, 0.75], color=COLOURS[1], linestyle="-")
        ax.annotate("", (end, 0.2), (end, 0.76), arrowprops={**arrow, "color": COLOURS[1]})
    for n, step in enumerate(steps, start=1):
        colour = {"+": COLOURS[1], "norm": COLOURS[2]}.get(step, COLOURS[0])
        box = {"boxstyle": "round", "facecolor": "none", "edgecolor": colour}
        ax.text(n, 0, step, ha="center", va="center", fontsize=9, color=colour, bbox=box)
    ax.text(0, 0, "x", ha="center", va="center", color=INK)
    ax.text(6.75, 0, "y", ha="center", va="center", color=INK)
    ax.set(title=name, xlim=(-0.2, 6.9), ylim=(-0.4, 0.9))
    ax.axis("off")
show(
    fig,
    "orders",
    "The same parts in two orders. Residuals are orange. In post-LN every path from x to y goes "
    "through both norms; in pre-LN one path meets nothing but sums.",
)

# %% [markdown]
# In pre-LN nothing stands on the way of $x$ but sums.
# Follow a token through the whole network: it starts as embedding plus position, and each sublayer
# adds its part. At the end, exactly,
#
# $$x_{\mathrm{end}} = \text{embedding} + \text{position} + a_1 + f_1 + a_2 + f_2 + \dots$$
#
# with $a_l$ and $f_l$ what the attention and the feed-forward network of block $l$ added. This
# running sum is called the *residual stream* (Elhage et al., 2021). A stack of pre-LN blocks ends in
# one more norm, and then comes the classifier. Hold the standard deviation $\sigma$ of that last
# norm fixed, and norm and classifier are linear too. So each *logit* is a sum of parts, and we can
# ask every part of a trained network what it had to say.

# %%
from groundup.scratch.attention import multi_head_attention
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.feedforward import feed_forward
from groundup.scratch.normalization import layer_norm
from groundup.scratch.tasks.digits import OPERATIONS, accuracy, all_examples, make_splits
from groundup.scratch.trainer import TrainConfig, train

began = time.perf_counter()
splits = make_splits(np.random.default_rng(0))
unseen = splits.validation
ATTENTION, FEED_FORWARD = ("wqkv", "bqkv", "wo", "bo"), ("w1", "b1", "w2", "b2")
RECIPE = TrainConfig(steps=250, batch_size=32, lr=3e-3, warmup=30)


def config(layers: int, norm: str = "post") -> EncoderConfig:
    """A narrow encoder, for quick experiments."""
    return EncoderConfig(layers=layers, width=32, hidden=64, norm=norm)


def trained(model: Encoder) -> list[float]:
    """Train in place by the recipe; the loss of each step, in nats."""
    with np.errstate(all="ignore"):  # some of what follows is broken on purpose
        return [step.loss for step in train(model, splits.train, RECIPE)]


def layer(model: Encoder, i: int) -> Params:
    """The parameters of block i, under the names that a block knows."""
    prefix = f"layers.{i}."
    return {n.removeprefix(prefix): v for n, v in model.params.items() if n.startswith(prefix)}


def parts_of(model: Encoder, ids: Array) -> dict[str, Array]:
    """What each part adds to the vector of the first token, (N, D) each. Pre-LN."""
    stream = model.params["embedding"][ids]
    position = np.broadcast_to(model.positions[: ids.shape[1]], stream.shape)
    parts = {"embedding": stream[:, 0], "position": position[:, 0]}
    stream = stream + position
    for i in range(model.config.layers):
        p = layer(model, i)
        normal, _ = layer_norm(stream, p["norm1.gamma"], p["norm1.beta"])
        mixed, _ = multi_head_attention(normal, *(p[n] for n in ATTENTION), model.config.heads)
        stream = stream + mixed
        normal, _ = layer_norm(stream, p["norm2.gamma"], p["norm2.beta"])
        fed, _ = feed_forward(normal, *(p[n] for n in FEED_FORWARD))
        stream = stream + fed
        parts |= {f"attention {i + 1}": mixed[:, 0], f"feed-forward {i + 1}": fed[:, 0]}
    return parts


pre = Encoder.create(config(2, "pre"), np.random.default_rng(0))
losses = {"pre": trained(pre)}
parts = parts_of(pre, unseen.ids)
end = sum(parts.values())
centred = end - end.mean(axis=-1, keepdims=True)
sigma = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
gamma, beta = pre.params["norm.gamma"], pre.params["norm.beta"]
head, bias = pre.params["classifier.weight"], pre.params["classifier.bias"]
voices = {
    name: gamma * (part - part.mean(axis=-1, keepdims=True)) / sigma @ head
    for name, part in parts.items()
}
voices["constant"] = np.broadcast_to(beta @ head + bias, (len(unseen), 10))
logits, _ = pre.forward(unseen.ids, unseen.mask)
print(f"largest error of the sum of parts: {np.abs(sum(voices.values()) - logits).max():.0e}")
assert np.allclose(sum(voices.values()), logits, atol=1e-4)

rows = np.arange(len(unseen))
margins = {}
print("\nthe right answer's logit, above the mean of all ten")
print(" " * 16 + "".join(f"{name:>8}" for name in OPERATIONS))
for name, voice in voices.items():
    margin = voice[rows, unseen.answers] - voice.mean(axis=-1)
    margins[name] = [float(margin[unseen.operations == n].mean()) for n in range(5)]
    print(f"{name:16}" + "".join(f"{m:8.2f}" for m in margins[name]))
for name in ("embedding", "position", "constant"):
    assert np.abs(margins[name]).max() < 1.5 < max(margins["attention 2"])

# %% [markdown]
# The parts add up to the logits, to rounding. The answer is read at the first token, the operation.
# Its own embedding and position know nothing of the digits, and on average they say next to nothing
# about the answer: but for $\sigma$, they say the same to every question of a kind. The rest comes
# from the sublayers. Such a table tells who *spoke*. It does not tell who did the work that the speaker
# relied on: what block 1 wrote into the vectors of the *digits* is heard through attention 2.
#
# In post-LN this bookkeeping is only a story. Every norm divides all that came before by a number
# that depends on all of it. You can freeze those numbers and split the result, but then the first
# parts have been divided again and again, and no part has a size of its own.
#
# ## Norm after or norm before
#
# Which order is better for a deep network? Look at a network in which nothing has been learned, and
# ask how large the gradient is at each depth (Xiong et al., 2020). Let a sublayer turn a vector with
# entries of variance 1 into one of variance $v$, and let a gradient that goes back through it come
# out with $u$ times its squared length. The weights are random, so the branch and the residual are
# nearly at right angles, and squared lengths add.
#
# **Post-LN.** Forward, the sum has variance $1 + v$, and the norm divides by $\sqrt{1+v}$. Backward,
# the norm's rule divides by the same $\sqrt{1+v}$ (it also takes out two of the $D$ directions, which
# we neglect), and at the fork the two ways add up to $1 + u$. One sublayer changes the squared length
# of the gradient by
#
# $$\frac{1+u}{1+v} .$$
#
# For the feed-forward network with the weights of the next section, $u = v = 0.32$: the factor is
# 1. For attention both depend on how alike the tokens are. So in post-LN we expect gradients
# of the same size at the bottom, in the middle and at the top, and at the top *the same for every
# depth*: the last norm always returns variance 1.
#
# **Pre-LN.** Nothing divides the stream, so its variance grows: $s_l = s_0 + (v_1 + \dots + v_l)$,
# about in proportion to the depth. The last norm divides the gradient by $\sqrt{s_L}$. So the top
# blocks of a network of $L$ blocks get gradients that shrink like $1/\sqrt L$. On the way down each
# sublayer adds. It reads a copy divided by $\sqrt{s_l}$, so the branch's share is $u/s_l$, and the
# squared length grows by $1 + u/s_l$. If $u = v$, that is $(s_l + v_l)/s_l = s_{l+1}/s_l$. From the
# top to block $l$ all these ratios cancel but the ends, and $s_L/s_l$ remains. Together with the
# $1/s_L$ of the last norm:
#
# $$\text{squared length at block } l \;\propto\; \frac{1}{s_L}\cdot\frac{s_L}{s_l} = \frac{1}{s_l} .$$
#
# So the gradient falls from bottom to top like $1/\sqrt{s_l}$. To measure it, give all networks the
# same gradient at the logits, that of ten equal probabilities, and look at the gradient of each
# block's $W_2$.

# %%
DEPTHS = (2, 8, 32)
batch = splits.train.take(np.arange(32))
dlogits = ((0.1 - np.eye(10)[batch.answers]) / len(batch)).astype(np.float32)
norms: dict[tuple[str, int], Array] = {}
predicted: dict[int, Array] = {}
for norm in ("post", "pre"):
    for depth in DEPTHS:
        found, variances = [], []
        for seed in range(3):
            shape = EncoderConfig(layers=depth, norm=norm)
            model = Encoder.create(shape, np.random.default_rng(seed))
            _, cache = model.forward(batch.ids, batch.mask)
            grads = model.backward(dlogits, cache)
            found.append([np.linalg.norm(grads[f"layers.{i}.w2"]) for i in range(depth)])
            if norm == "pre":
                stream = (
                    model.params["embedding"][batch.ids] + model.positions[: batch.ids.shape[1]]
                )
                heights = []
                for i in range(depth):
                    stream, _ = pre_norm_block(stream, layer(model, i), shape.heads, batch.mask)
                    heights.append(float((stream**2).mean()))
                variances.append(heights)
        norms[norm, depth] = np.mean(found, axis=0)
        if norm == "pre":
            law = 1 / np.sqrt(np.mean(variances, axis=0))
            predicted[depth] = law * norms[norm, depth][0] / law[0]
print("gradient of W2:    first block   last block")
for (norm, depth), sizes in norms.items():
    print(f"{norm}-LN, {depth:2} blocks {sizes[0]:12.2f} {sizes[-1]:12.2f}")
tops = {key: sizes[-1] for key, sizes in norms.items()}
print(f"top of 32 over top of 8: post {tops['post', 32] / tops['post', 8]:.2f}", end=", ")
print(f"pre {tops['pre', 32] / tops['pre', 8]:.2f} (the law says about 1 and 1/2)")
assert 0.7 < tops["post", 32] / tops["post", 8] < 1.4
assert tops["pre", 32] / tops["pre", 8] < 0.6
assert norms["post", 32].max() < 2 * norms["post", 32].min()
assert np.abs(np.log(norms["pre", 32] / predicted[32])).max() < 0.5

fig, axes = figure(1, 2, sharey=True)
for ax, norm in zip(axes, ("post", "pre"), strict=True):
    for n, depth in enumerate(DEPTHS):
        blocks = range(1, depth + 1)
        ax.plot(blocks, norms[norm, depth], ("o-", "s-", ".-")[n], label=f"{depth} blocks")
    ax.set(title=f"{norm}-LN", xscale="log", xlabel="block, 1 reads the embedding (log scale)")
    ax.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    ax.minorticks_off()
axes[1].plot(range(1, 33), predicted[32], color=INK, linestyle=":", label="1/√variance, 32")
axes[0].set(ylabel="norm of the gradient of W₂", ylim=(0, None))
axes[1].legend()
show(
    fig,
    "depth",
    "Gradients of fresh networks, mean of three seeds. In post-LN every block gets the full "
    "gradient, whatever the depth. In pre-LN the upper blocks get the less the deeper the network "
    "is; dotted: the law derived above, for 32 blocks, fitted at the first.",
)

# %% [markdown]
# Both laws hold, about. Note what we do *not* see: post-LN's gradients do not fade towards the input, as is
# sometimes told. They are too even. All blocks are told to move at full strength at once, and their
# changes add up in the output, so a step that was right for two blocks can be too long for 32. Xiong
# et al. see here why post-LN needs a learning rate that starts low (chapter 05) and pre-LN can do
# without. Liu et al. (2020) also find that fading gradients are not the cause of the trouble, and
# that post-LN amplifies small changes of its weights.
#
# There is a second cost, and it is in the forward pass. In post-LN each norm divides the past by
# $\sqrt{1+v}$, so the share of what came in shrinks *exponentially* with the depth. In pre-LN it
# shrinks like $1/s_l$. Since attention at the start averages over tokens, what takes its place is
# the same for all of them. An experiment at the end of this page shows it.
#
# ## Weights that keep the size
#
# Where did $v = 0.32$ come from? A linear layer computes $y_j = \sum_i x_i W_{ij}$, a sum over
# $D_{\mathrm{in}}$ inputs. Let entries be independent with mean 0. Then variances multiply in each
# product and add over the sum (chapter 03):
#
# $$\mathrm{Var}(y_j) = D_{\mathrm{in}}\,\mathrm{Var}(W)\,\mathrm{Var}(x) .$$
#
# To keep the size, $\mathrm{Var}(W)$ must be $1/D_{\mathrm{in}}$. Backward, $dx_i = \sum_j dy_j W_{ij}$
# sums over $D_{\mathrm{out}}$ outputs, and wants $1/D_{\mathrm{out}}$. One matrix cannot have both.
# Glorot and Bengio (2010) take the middle, $2/(D_{\mathrm{in}} + D_{\mathrm{out}})$; it is called
# *Xavier*, after Glorot's first name. A uniform number from $-a$ to $a$ has variance
# $\frac{1}{2a}\int_{-a}^{a} w^2\,dw = a^2/3$, so $a = \sqrt{6/(D_{\mathrm{in}} + D_{\mathrm{out}})}$.
#
# For the feed-forward network $D_{\mathrm{out}} = 4D$, and $\mathrm{Var}(W_1) = 2/(5D)$. The hidden
# units have variance $D \cdot 2/(5D) = 2/5$. ReLU sets half of a symmetric variable to zero, and half
# of the mean square is left: $1/5$. The second matrix sums $4D$ of them:
# $4D \cdot \tfrac{2}{5D} \cdot \tfrac15 = \tfrac{8}{25} = 0.32$. Backward the same factors come in the
# opposite order, hence $u = v$.

# %%
from groundup.scratch.encoder import xavier
from groundup.scratch.feedforward import feed_forward_backward

rng = np.random.default_rng(0)
print("Xavier          variance kept forward (expected)   backward (expected)")
for rows_in, columns in ((64, 64), (64, 256), (256, 64)):
    weight = xavier(rng, rows_in, columns)
    forth = (rng.normal(size=(2000, rows_in)) @ weight).var()
    back = (rng.normal(size=(2000, columns)) @ weight.T).var()
    law = 2 / (rows_in + columns)
    print(f"{rows_in:4} to {columns:4} {forth:20.3f} ({rows_in * law:.3f})", end="")
    print(f" {back:20.3f} ({columns * law:.3f})")
    assert np.allclose([forth, back], [rows_in * law, columns * law], rtol=0.05)
weights = xavier(rng, 64, 256), np.zeros(256), xavier(rng, 256, 64), np.zeros(64)
fed, cache = feed_forward(rng.normal(size=(2000, 64)), *weights)
v, u = fed.var(), feed_forward_backward(rng.normal(size=(2000, 64)), cache)[0].var()
print(f"feed-forward network: v = {v:.3f}, u = {u:.3f} (expected 0.320)")
assert np.allclose([u, v], 0.32, rtol=0.1)

# %% [markdown]
# ## Without positions, a set
#
# Chapter 03 ended with shuffled tokens that came out shuffled and otherwise unchanged. Here is the
# proof, for the whole stack. Let $P$ be a *permutation matrix*: $PX$ holds the rows of $X$ in another
# order, and $P^\top$ puts them back, $P^\top P = I$. Claim: every layer $f$ has $f(PX) = P f(X)$. It is
# *equivariant*.
#
# - Embedding, linear layers, ReLU, norms, the feed-forward network work on each row by itself. Doing
#   this and reordering can be exchanged.
# - Attention has scores $(PXW_q)(PXW_k)^\top = P\,(XW_q)(XW_k)^\top P^\top$: rows and columns reordered
#   alike. Softmax works along each row; reordering the entries of a row reorders its weights and
#   leaves their sum alone. So the weights are $P A P^\top$, and the mixtures
#   $P A P^\top\, P X W_v = P\,(A X W_v)$, because $P^\top P = I$.
# - Sums of equivariant things are equivariant, and so is one after the other.
#
# Now read the answer at the first token, the operation. Let $P$ exchange only the digits. Row 1 of
# $P f(X)$ is row 1 of $f(X)$. So `First ( 5 3 9 )` and `First ( 9 3 5 )` get *the same logits*, and one
# of the two answers is wrong. (The mean over tokens does not change either: a sum has no order.)
#
# How much can such a network still get right? It sees the set of digits, and can do no better than
# name the one that comes first most often. Of the 1,000 triples, 720 have three different digits:
# right one time in three. 270 have a pair: name it, and be right two times in three. 10 are all equal.
# That is $240 + 180 + 10 = 430$: **at most 43%** of all `First` questions, whatever it learns. The
# same holds for `Second` and `Last`. `Max` and `Min` are questions about a set, and lose nothing.

# %%
whole = Encoder.create(config(2), np.random.default_rng(0))
blind = Encoder.create(config(2), np.random.default_rng(0))
blind.positions[:] = 0
losses |= {"post": trained(whole), "no positions": trained(blind)}
everything = all_examples()
print("all 5,000 questions" + "".join(f"{name:>9}" for name in OPERATIONS))
for name, model in (("with positions", whole), ("without positions", blind)):
    score = accuracy(model, everything)
    print(f"{name:19}" + "".join(f"{score[operation]:9.1%}" for operation in OPERATIONS))
assert max(score[name] for name in ("First", "Second", "Last")) <= 0.43
assert min(score["Max"], score["Min"]) > 0.9

first = everything.take(np.flatnonzero(everything.operations == 0))
swapped = first.ids.copy()
swapped[:, [2, 4]] = first.ids[:, [4, 2]]  # the first and the third digit change places
apart = np.abs(blind.forward(first.ids)[0] - blind.forward(swapped)[0]).max()
print(f"largest difference between the logits of First ( a b c ) and First ( c b a ): {apart:.0e}")
assert apart < 1e-3

# %% [markdown]
# `Max` and `Min` do not need positions. The other three come close to the bound and cannot pass it.
# Four fifths of these questions are from the training set. On unseen ones alone the share is lower
# still, as you will see below. Why? The digits 3, 5 and 9 have six orders, two with each digit in
# front. Hold back one with 5 in front, and the network has seen 3 and 9 in front twice and 5 once. Its
# best guess is one of the others.
#
# ## Positions as clocks
#
# So tell each token where it stands: add a vector that depends on the position. Which? The number
# $t$ itself would grow without limit and drown the token. Clocks do better. A hand that turns by a
# fixed angle $\omega$ at each position points to $(\sin t\omega, \cos t\omega)$: two numbers, never
# larger than 1. A fast hand tells neighbours apart, and comes round soon. A slow one tells far from
# near. Take $D/2$ of them with speeds in a geometric series (Vaswani et al., 2017). Pair $i$ has
#
# $$\omega_i = 10000^{-2i/D}, \qquad
# \mathrm{PE}_{t,\,2i} = \sin(t\,\omega_i), \qquad \mathrm{PE}_{t,\,2i+1} = \cos(t\,\omega_i),
# \qquad i = 0, \dots, \tfrac D2 - 1 .$$
#
# By hand at width 4: $\omega_0 = 1$ and $\omega_1 = 10000^{-2/4} = 1/100$. Position 0 is
# $(0, 1, 0, 1)$. Position 1 is $(\sin 1, \cos 1, \sin 0.01, \cos 0.01) = (0.8415, 0.5403, 0.0100,
# 1.0000)$.
#
# **A shift is a rotation.** What is the vector $k$ places further on? With $a = t\omega$ and
# $b = k\omega$, the addition theorems say
#
# $$\sin(a+b) = \sin a \cos b + \cos a \sin b, \qquad \cos(a+b) = \cos a \cos b - \sin a \sin b,$$
#
# $$\text{so}\quad \begin{pmatrix}\sin(a+b)\\ \cos(a+b)\end{pmatrix} =
# \begin{pmatrix}\cos b & \sin b\\ -\sin b & \cos b\end{pmatrix}
# \begin{pmatrix}\sin a\\ \cos a\end{pmatrix}.$$
#
# The matrix is a rotation by $b$, and it contains $k$ and not $t$: **one matrix moves every position
# by $k$**. "Two places to the right of the bracket" is something that a linear map, such as $W_q$, can
# say. And the dot product of two positions is
#
# $$\mathrm{PE}_t \cdot \mathrm{PE}_s = \sum_i \big(\sin t\omega_i \sin s\omega_i +
# \cos t\omega_i \cos s\omega_i\big) = \sum_i \cos\big((t-s)\,\omega_i\big) .$$
#
# It depends on the distance alone. At distance 0 it is $D/2$.

# %%
from groundup.scratch.positions import sinusoidal_positions

table = sinusoidal_positions(2, 4)
print(table.round(4))
assert np.allclose(table[1], [0.8415, 0.5403, 0.01, 1.0], atol=5e-5)

WIDTH, SHIFT = 64, 3
table = sinusoidal_positions(128, WIDTH)
speeds = 10000.0 ** (-np.arange(0, WIDTH, 2) / WIDTH)
move = np.zeros((WIDTH, WIDTH))
for i, angle in enumerate(SHIFT * speeds):
    rotation = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    move[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = rotation
error = np.abs(table[:-SHIFT] @ move.T - table[SHIFT:]).max()
print(f"one matrix moves all 125 positions by {SHIFT}: largest error {error:.0e}")
assert error < 1e-12
dots = table @ table.T
for distance in range(64):
    along = np.diagonal(dots, distance)
    assert np.allclose(along, np.cos(distance * speeds).sum())

fig, (left, right) = figure(1, 2)
image = left.imshow(table[:32].T, cmap="RdBu", aspect="auto", vmin=-1, vmax=1)
left.set(xlabel="position (tokens)", ylabel="column of the vector")
fig.colorbar(image, ax=left, label="entry")
right.plot(range(-63, 64), dots[64, 1:], color=COLOURS[0], linestyle="-")
right.set(xlabel="distance (tokens)", ylabel="dot product of two positions", ylim=(0, None))
show(
    fig,
    "positions",
    "Left: each position is a column of this picture; the upper entries change fast, the lower ones "
    "slowly. Right: the dot product of two positions falls with their distance, with ripples, to "
    "both sides alike.",
)

# %% [markdown]
# The dot product is the same to both sides. It says how far, and not which way. The direction has to
# come from the learned $W_q$ and $W_k$, which can rotate one of the two.
#
# !!! example "Exercise 4.1: sinusoidal positions"
#     Write the table. The traps: sines in one half and cosines in the other, an exponent of
#     $i/D$ where it is $2i/D$, positions that begin at 1. `groundup watch 4.1`
#
# ::: source groundup.scratch.positions:sinusoidal_positions folded
#
# ## One vector for the question
#
# After the last block there is a vector for each token, and the classifier wants one. *First-token
# pooling* takes the first: attention has let it look at all the others. *Mean pooling* takes the mean
# over the real tokens. With $m_t$ equal to 1 at real tokens and 0 at padding,
#
# $$y = \sum_t w_t\, x_t, \qquad w_t = \frac{m_t}{\sum_s m_s}, \qquad dx_t = w_t\, dy .$$
#
# By hand: the tokens $(2, 4)$, $(6, 0)$ and $(10, 50)$, and the last one is padding. The weights are
# $\tfrac12, \tfrac12, 0$ and the mean is $(4, 2)$. A gradient of $(2, 8)$ comes back as $(1, 4)$ to
# each of the first two, and as zero to the third. Two mistakes look almost right: to average the
# padding too, which gives $(6, 18)$, and to leave it out of the sum and still divide by $T = 3$.
# On a batch without padding neither shows.

# %%
from groundup.scratch.pooling import mean_pool, mean_pool_backward

tokens = np.array([[[2.0, 4.0], [6.0, 0.0], [10.0, 50.0]]])
pooled, cache = mean_pool(tokens, np.array([[True, True, False]]))
dtokens = mean_pool_backward(np.array([[2.0, 8.0]]), cache)
print(f"mean {pooled[0]}, gradient {dtokens[0].tolist()}")
assert pooled.tolist() == [[4, 2]]
assert dtokens.tolist() == [[[1, 4], [1, 4], [0, 0]]]

# %% [markdown]
# !!! example "Exercise 4.3: mean pooling with a mask"
#     Write the pair. Infinity may stand at padding, and an example may have no real token at all.
#     `groundup watch 4.3`
#
# ::: source groundup.scratch.pooling:mean_pool folded
#
# ::: source groundup.scratch.pooling:mean_pool_backward folded
#
# ## Noise on purpose
#
# A network can come to rely on one unit that happens to know the training set. *Dropout* (Srivastava
# et al., 2014) makes that unwise: in training, each entry of what a sublayer adds is set to zero with
# probability $r$. With $m$ a random array of zeros and ones, and the ones divided by the share that is
# kept,
#
# $$y = m \odot x, \qquad m_i = \begin{cases} 0 & \text{with probability } r \\
# \frac{1}{1-r} & \text{otherwise,} \end{cases} \qquad
# \mathbb E[m_i] = r \cdot 0 + (1-r)\cdot\frac{1}{1-r} = 1 .$$
#
# The mean of each entry stays what it was, and in evaluation dropout is simply left out. Backward,
# $m$ is a constant factor: $dx = m \odot dy$, with *the same* $m$. A second draw would send gradient
# where nothing went forward. Our digit model trains without dropout: it is small, and what it has
# learn is a rule without exceptions.

# %%
from groundup.scratch.dropout import dropout, dropout_backward

ones = np.ones((200, 500))
noisy, cache = dropout(ones, 0.25, np.random.default_rng(0))
print(f"rate 0.25: zeros {(noisy == 0).mean():.3f}, largest {noisy.max():.3f}", end=", ")
print(f"mean {noisy.mean():.3f}")
assert abs(noisy.mean() - 1) < 0.02
assert np.array_equal(dropout_backward(ones, cache), noisy)  # dy of ones: both are m

# %% [markdown]
# !!! example "Exercise 4.4: dropout"
#     Write the pair. The traps: a share that is dropped taken for the share that is kept, a scale that
#     is missing, a second draw on the way back. `groundup watch 4.4`
#
# ::: source groundup.scratch.dropout:dropout folded
#
# ::: source groundup.scratch.dropout:dropout_backward folded
#
# ## Counting to 101,898
#
# The standard digit model has a vocabulary of $V = 20$, $D = 64$, $F = 256$, two post-LN blocks,
# $C = 10$ answers. Every parameter, by hand:
#
# | part | parameters | |
# |:--|:--|--:|
# | embedding | $VD = 20 \cdot 64$ | 1,280 |
# | queries, keys, values | $D \cdot 3D + 3D = 12{,}288 + 192$ | 12,480 |
# | mixing the heads | $D \cdot D + D = 4{,}096 + 64$ | 4,160 |
# | feed-forward, in | $DF + F = 16{,}384 + 256$ | 16,640 |
# | feed-forward, out | $FD + D = 16{,}384 + 64$ | 16,448 |
# | two norms | $2 \cdot 2D$ | 256 |
# | **one block** | | **49,984** |
# | two blocks | | 99,968 |
# | classifier | $DC + C = 640 + 10$ | 650 |
# | **all** | $1{,}280 + 99{,}968 + 650$ | **101,898** |
#
# Two thirds of a block are in its feed-forward network. The number of heads does not appear. The
# sinusoids are fixed and count nothing; a learned table of 32 positions would add 2,048.

# %%
V, D, F, C = 20, 64, 256, 10
block = (3 * D * D + 3 * D) + (D * D + D) + (D * F + F) + (F * D + D) + 2 * 2 * D
standard = Encoder.create(EncoderConfig(), np.random.default_rng(0))
by_part: dict[str, int] = {}
for name, array in standard.params.items():
    part = ".".join(name.split(".")[:2]) if name.startswith("layers") else name.split(".")[0]
    by_part[part] = by_part.get(part, 0) + array.size
print(by_part, "together", sum(by_part.values()))
assert by_part == {
    "embedding": V * D,
    "layers.0": block,
    "layers.1": block,
    "classifier": D * C + C,
}
assert sum(by_part.values()) == 101_898

# %% [markdown]
# ## Breaking it
#
# Take the parts out, one at a time. A block with two switches, put in the place of the library's:

# %%
from groundup.scratch.attention import multi_head_attention_backward
from groundup.scratch.normalization import layer_norm_backward

Pair = tuple[Callable, Callable]


def without(residual: bool = True, norm: bool = True) -> Pair:
    """A post-LN block and its backward, with the residuals or the norms taken out."""
    keep = 1.0 if residual else 0.0

    def normal(x: Array, p: Params, name: str) -> tuple[Array, Cache]:
        gamma, beta = p[f"{name}.gamma"], p[f"{name}.beta"]
        return layer_norm(x, gamma, beta) if norm else (x, (gamma,))

    def normal_backward(dy: Array, cache: Cache, g: Params, name: str) -> Array:
        zeros = np.zeros_like(cache[-1])  # gamma is the last entry of either cache
        dx, *rest = layer_norm_backward(dy, cache) if norm else (dy, zeros, zeros)
        g[f"{name}.gamma"], g[f"{name}.beta"] = rest
        return dx

    def forward(
        x: Array, p: Params, heads: int, mask: BoolArray | None = None, noise: object = None
    ) -> tuple[Array, Cache]:
        mixed, attention = multi_head_attention(x, *(p[n] for n in ATTENTION), heads, mask)
        x, norm1 = normal(keep * x + mixed, p, "norm1")
        fed, ffn = feed_forward(x, *(p[n] for n in FEED_FORWARD))
        y, norm2 = normal(keep * x + fed, p, "norm2")
        return y, (attention, norm1, ffn, norm2)

    def backward(dy: Array, cache: Cache) -> tuple[Array, Params]:
        attention, norm1, ffn, norm2 = cache
        g: Params = {}
        dsum = normal_backward(dy, norm2, g, "norm2")
        dx, *rest = feed_forward_backward(dsum, ffn)
        g |= zip(FEED_FORWARD, rest, strict=True)
        dsum = normal_backward(dx + keep * dsum, norm1, g, "norm1")
        dx, *rest = multi_head_attention_backward(dsum, attention)
        g |= zip(ATTENTION, rest, strict=True)
        return dx + keep * dsum, g

    return forward, backward


def trained_with(pair: Pair, layers: int) -> tuple[list[float], dict[str, float]]:
    """Train an encoder of such blocks; its losses, and its accuracy on unseen questions."""
    model = Encoder.create(config(layers), np.random.default_rng(0))
    patched = mock.patch.dict("groundup.scratch.encoder.BLOCKS", post=pair)
    with patched, np.errstate(all="ignore"):
        return trained(model), accuracy(model, unseen)


DEEP = 8
deep_post = Encoder.create(config(DEEP), np.random.default_rng(0))
deep_pre = Encoder.create(config(DEEP, "pre"), np.random.default_rng(0))
table_rows = [
    (2, "post-LN, whole", losses["post"], accuracy(whole, unseen)),
    (2, "pre-LN, whole", losses["pre"], accuracy(pre, unseen)),
    (2, "no positions", losses["no positions"], accuracy(blind, unseen)),
    (2, "no residuals", *trained_with(without(residual=False), 2)),
    (2, "no norms", *trained_with(without(norm=False), 2)),
    (DEEP, "post-LN, whole", trained(deep_post), accuracy(deep_post, unseen)),
    (DEEP, "pre-LN, whole", trained(deep_pre), accuracy(deep_pre, unseen)),
    (DEEP, "no residuals", *trained_with(without(residual=False), DEEP)),
    (DEEP, "no norms", *trained_with(without(norm=False), DEEP)),
]
print(" " * 17 + "first loss   last     all" + "".join(f"{n:>8}" for n in OPERATIONS))
right = {}
for layers, name, loss, score in table_rows:
    right[layers, name] = score["all"]
    print(f"{layers} {name:15}{loss[0]:10.2f} {np.mean(loss[-20:]):6.2f}", end="")
    print("".join(f"{share:8.0%}" for share in score.values()))
print(f"seconds for all experiments of this page: {time.perf_counter() - began:.0f}")
assert min(right[2, "post-LN, whole"], right[2, "pre-LN, whole"]) > 0.85
assert right[2, "no residuals"] < right[2, "post-LN, whole"] - 0.1
assert right[DEEP, "pre-LN, whole"] > right[DEEP, "post-LN, whole"] + 0.1
assert right[DEEP, "no residuals"] < 0.3
assert right[DEEP, "no norms"] < right[2, "no norms"] - 0.2
assert table_rows[-1][2][0] > 10  # the first loss of eight blocks without norms

# %% [markdown]
# Read it against the first row of each half.
#
# - **No positions**: as proved. Where order is asked, the result is a guess among three digits.
# - **No residuals**: at two blocks the network learns late. At eight it learns next to nothing: a
#   constant answer for each operation would score 20%.
# - **No norms**: at two blocks, a little is lost. At eight, all. Each sublayer multiplies the variance
#   of the stream by $1 + v$, so it grows exponentially with depth. The first logits are huge: look at
#   the first loss, where a blind guess has $\ln 10 = 2.3$.
# - **Pre-LN against post-LN**: at two blocks there is nothing to choose. At eight, under the same
#   recipe, post-LN has not got far when pre-LN is nearly done.
#
# This is one seed and one recipe. In two more seeds that we tried the numbers differ, and these
# sentences stay true.
#
# Why does depth hurt? Take fresh networks of eight blocks, and ask how different the tokens of a
# question still are: the squared length of the differences from their mean, as a share of
# everything.


# %%
def apart_by_depth(forward: Callable, model: Encoder) -> list[float]:
    """The share of the stream in which the tokens of a question differ, before and after each block."""
    stream = model.params["embedding"][batch.ids] + model.positions[: batch.ids.shape[1]]
    shares = []
    for i in range(DEEP + 1):
        differences = stream - stream.mean(axis=1, keepdims=True)
        shares.append(float((differences**2).sum() / (stream**2).sum()))
        if i < DEEP:
            stream, _ = forward(stream, layer(model, i), model.config.heads, batch.mask)
    return shares


fresh = Encoder.create(config(DEEP), np.random.default_rng(0))
KINDS = {
    "pre-LN": pre_norm_block,
    "post-LN": post_norm_block,
    "no residuals": without(residual=False)[0],
}
alike = {name: apart_by_depth(forward, fresh) for name, forward in KINDS.items()}
print("blocks:      " + "".join(f"{n:9}" for n in range(0, DEEP + 1, 2)))
for name, shares in alike.items():
    print(f"{name:13}" + "".join(f"{share:9.1e}" for share in shares[::2]))
assert alike["no residuals"][2] < 0.1 * alike["post-LN"][2]
assert alike["post-LN"][-1] < 0.1 * alike["pre-LN"][-1]

fig, ax = figure(height=2.8)
for (name, shares), mark in zip(alike.items(), ("o-", "s--", "^:"), strict=True):
    ax.plot(range(DEEP + 1), [max(share, 1e-9) for share in shares], mark, label=name)
ax.set(yscale="log", xlabel="blocks passed", ylabel="share that differs", ylim=(1e-9, 2))
ax.legend()
show(
    fig,
    "alike",
    "Fresh networks: how much the tokens of a question still differ after each block (one seed; "
    "shares below 10⁻⁹ are drawn there).",
)

# %% [markdown]
# Fresh attention averages, and averaging makes tokens alike. Without residuals they are as good as
# equal after a few blocks; Dong et al. (2021) prove that attention alone does this at a doubly
# exponential rate. If all tokens are equal, it no longer matters where attention looks, and no
# gradient can tell it where to look. Residuals carry each token's own past around the mixing. Post-LN
# lets it fade by a constant factor in every block, and pre-LN far more slowly. This is the fading that
# we did not find in the gradients: it is in the signal.
#
# ## What practitioners do differently
#
# - **Pre-LN, nearly everywhere.** Deep transformers became easy to train with it (Wang et al., 2019).
#   Mostly the norm is RMSNorm (Zhang and Sennrich, 2019), which leaves out the mean; chapter 09 has
#   it. The question is not closed: Gemma 2 puts norms on both sides of a sublayer, OLMo 2 after the
#   sublayer and before the sum, and DeepNet (Wang et al., 2022) trains post-LN with 1,000 layers by
#   scaling up the residual.
# - **Smaller last matrices.** GPT-2 divides the start values of each matrix that writes into the
#   stream by the root of the number of such matrices, so that $s_L$ does not grow with depth
#   (Radford et al., 2019).
# - **Positions are rotated in, not added.** RoPE (Su et al., 2021) applies the rotation of this chapter
#   to queries and keys, so that their dot product sees the distance and the token's vector stays
#   clean. A decoder can even do without: its causal mask tells order (Haviv et al., 2022). An
#   encoder cannot, as you have proved.
# - **Less dropout.** Who sees each text once has little to fear from memorising; PaLM was trained
#   without (Chowdhery et al., 2022). In fine-tuning on few examples it is still common.
# - **Reading the stream.** That a trained network's output is a sum of parts is the ground on which
#   much of interpretability stands. Geva et al. (2020) read the hidden units of feed-forward networks
#   as keys, and their rows of $W_2$ as what they write.
#
# ## What you know now, and what is missing
#
# What turns attention into a network that trains? A network for each token, which decides. Residuals,
# so that every part adds to a stream and none has to carry the whole. Norms and start values, which
# keep sizes in order forward and backward. Positions, without which 43% is the limit. A pooling that
# does not count what is not there. Together: 101,898 numbers, each accounted for.
#
# And yet all runs of this page were made by a recipe that you took on faith: 250 steps of something
# called AdamW, a rate of 0.003, a warm-up of 30 steps, clipping. Pre-LN and post-LN differed under
# *that* recipe. A gradient tells each parameter a direction. How far to go, it does not say.
# Chapter 05 is about the step.
#
# ## Sources
#
# - X. Glorot, Y. Bengio (2010), *Understanding the difficulty of training deep feedforward neural
#   networks*, AISTATS.
# - N. Srivastava et al. (2014), *Dropout: a simple way to prevent neural networks from overfitting*,
#   Journal of Machine Learning Research 15.
# - K. He et al. (2015), *Deep residual learning for image recognition*, arXiv 1512.03385.
# - J. Ba, J. Kiros, G. Hinton (2016), *Layer normalization*, arXiv 1607.06450.
# - A. Vaswani et al. (2017), *Attention is all you need*, arXiv 1706.03762.
# - A. Radford et al. (2019), *Language models are unsupervised multitask learners*.
# - Q. Wang et al. (2019), *Learning deep transformer models for machine translation*, arXiv
#   1906.01787.
# - B. Zhang, R. Sennrich (2019), *Root mean square layer normalization*, arXiv 1910.07467.
# - R. Xiong et al. (2020), *On layer normalization in the transformer architecture*, arXiv
#   2002.04745.
# - L. Liu et al. (2020), *Understanding the difficulty of training transformers*, arXiv 2004.08249.
# - M. Geva et al. (2020), *Transformer feed-forward layers are key-value memories*, arXiv 2012.14913.
# - Y. Dong, J.-B. Cordonnier, A. Loukas (2021), *Attention is not all you need: pure attention loses
#   rank doubly exponentially with depth*, arXiv 2103.03404.
# - J. Su et al. (2021), *RoFormer: enhanced transformer with rotary position embedding*, arXiv
#   2104.09864.
# - N. Elhage et al. (2021), *A mathematical framework for transformer circuits*,
#   transformer-circuits.pub.
# - H. Wang et al. (2022), *DeepNet: scaling transformers to 1,000 layers*, arXiv 2203.00555.
# - A. Haviv et al. (2022), *Transformer language models without positional encodings still learn
#   positional information*, arXiv 2203.16634.
# - A. Chowdhery et al. (2022), *PaLM: scaling language modeling with pathways*, arXiv 2204.02311.
# - Gemma Team (2024), *Gemma 2: improving open language models at a practical size*, arXiv 2408.00118.
# - Team OLMo (2025), *2 OLMo 2 Furious*, arXiv 2501.00656.
