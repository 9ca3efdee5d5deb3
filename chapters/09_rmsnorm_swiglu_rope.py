# %% [markdown]
# # RMSNorm, SwiGLU, RoPE
#
# Open the code of a language model from 2017 and of one from this year. Attention is the same. So are
# the residual stream and the network for each token. But the norm has lost its mean, the network has
# got a gate, and the table of positions is gone. Each replacement came with a paper, and almost every
# large model has taken all three.
#
# **Which parts of the 2017 block were replaced, and does it matter?** You will take each part to pieces
# with a pencil, put the old one back, and measure. One difference will turn out large. The others are so
# small that runs like ours can hardly tell them from chance, and you will see what that looks like.
#
# | part | 2017 (Vaswani et al.) | NeoBERT (Le Breton et al., 2025) |
# |:--|:--|:--|
# | norm | LayerNorm, after each sum | RMSNorm, before each branch |
# | network for each token | two matrices, ReLU (BERT: GELU) | three matrices, SwiGLU |
# | positions | a vector added to each token | a rotation of queries and keys, RoPE |
#
# The symbols are those of the course: $B$ sequences, $T$ tokens, width $D$, $H$ heads of width $K$,
# $F$ hidden units. Where a norm stands, before or after, was the subject of chapter 04.

# %% Imports tags=["hide"]
import copy
import json
import os
from unittest import mock

# Small matrices: a second thread costs more than it gives. It has to be said before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from groundup.course import clone
from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.neobert import stack
from groundup.neobert.block import rotation
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM
from groundup.neobert.norm import rms_norm, rms_norm_backward
from groundup.neobert.rope import rope_tables, rotate_pairs
from groundup.neobert.rope_layout import halves_to_pairs, pairs_to_halves
from groundup.scratch.feedforward import swiglu, swiglu_backward

# %% [markdown]
# ## A norm without a mean
#
# Layer norm (chapter 02) does two things to a vector: it takes the mean off, and it divides by what
# is left, the standard deviation. Zhang and Sennrich (2019) asked which of the two trains networks,
# and kept the second alone. Their *root mean square norm* divides by
#
# $$r = \sqrt{\tfrac1D \sum_i x_i^2 + \epsilon}, \qquad \hat x = \frac{x}{r}, \qquad y = w \odot \hat x .$$
#
# The scale $w$ is learned, one number for each entry; there is no shift. The small $\epsilon$ keeps a
# vector of zeros from a division by zero.
#
# By hand: $x = (1, 7)$. The squares are 1 and 49, their mean is 25, so $r = 5$ and $\hat x = (0.2,
# 1.4)$. Layer norm takes off the mean 4, which leaves $(-3, 3)$, and divides by 3: $(-1, 1)$. Now
# take $x = (1, 2)$. Layer norm gives $(-1, 1)$ again. With two entries it can give nothing else but
# this and its opposite: it keeps which of the two is larger, and forgets everything else.
#
# That is the difference in general. RMSNorm keeps the direction of a vector and gives up its
# length. Layer norm first removes the part of the vector along $(1, 1, \dots, 1)$, and gives up
# that too: one of $D$ directions. With $D = 2$ this is half of what there is; with $D = 768$ it is
# little.

# %%
points = torch.randn(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2
one = torch.ones(2, dtype=torch.float64)
by_rms, _ = rms_norm(points, one, 0.0)
by_layer_norm = F.layer_norm(points, (2,), eps=0.0)

pair = torch.tensor([[1.0, 7.0], [1.0, 2.0]], dtype=torch.float64)
both = rms_norm(pair, one, 0.0)[0], F.layer_norm(pair, (2,), eps=0.0)
print("x          RMSNorm            layer norm")
for row in zip(pair, *both, strict=True):
    x, rms, layer = (each.round(decimals=4).tolist() for each in row)
    print(f"{x}  {rms!s:17}  {layer}")
assert torch.allclose(rms_norm(pair, one, 0.0)[0][0], torch.tensor([0.2, 1.4]).double())
centred = pair - pair.mean(-1, keepdim=True)
assert torch.allclose(rms_norm(centred, one, 0.0)[0], F.layer_norm(pair, (2,), eps=0.0))

fig, axes = figure(1, 3, height=2.6, sharex=True, sharey=True)
clouds = {"vectors": points, "after RMSNorm": by_rms, "after layer norm": by_layer_norm}
for ax, (title, cloud) in zip(axes, clouds.items(), strict=True):
    ax.scatter(*cloud.T, s=14 if title == "vectors" else 22, color=COLOURS[0], alpha=0.6)
    ax.set(title=title, xlabel="first entry", xlim=(-5, 5), ylim=(-5, 5), aspect="equal")
axes[0].set_ylabel("second entry")
show(
    fig,
    "norms",
    "200 vectors of width two. RMSNorm moves each along its own ray to the circle of radius "
    r"$\sqrt2$. Layer norm leaves two points.",
)

# %% [markdown]
# The assertion in the cell says the rest: **layer norm is RMSNorm of a vector whose mean has been
# taken off.** Where the mean is zero already, they agree.
#
# ### The way back
#
# Why write the gradient by hand, when PyTorch would find it? Because a norm does little arithmetic
# and much reading and writing of memory, and a rule of one's own passes over memory fewer times.
# The library uses this one on CPUs.
#
# Write $g_i = dy_i\,w_i$ for the gradient of the loss with respect to $\hat x_i$. An entry $x_j$
# acts on $\hat x_j$ directly, and on every $\hat x_i$ through $r$. First the slope of $r$. From
# $r^2 = \tfrac1D\sum_i x_i^2 + \epsilon$:
#
# $$2r\,\frac{\partial r}{\partial x_j} = \frac{2x_j}{D}
# \quad\Rightarrow\quad \frac{\partial r}{\partial x_j} = \frac{x_j}{D\,r} = \frac{\hat x_j}{D}.$$
#
# Then the quotient rule for $\hat x_i = x_i/r$, with $[i=j]$ for 1 where $i=j$ and 0 elsewhere:
#
# $$\frac{\partial\hat x_i}{\partial x_j} = \frac{[i=j]}{r} - \frac{x_i}{r^2}\,\frac{\hat x_j}{D}
# = \frac1r\Big([i=j] - \frac{\hat x_i\hat x_j}{D}\Big).$$
#
# Sum over all $i$ with the weights $g_i$, and write a bar for the mean over the $D$ entries:
#
# $$\boxed{\;dx = \frac{1}{r}\Big(g - \hat x\;\overline{g\,\hat x}\Big), \qquad
# dw = \sum_{\text{vectors}} dy \odot \hat x\;}$$
#
# Layer norm's rule had one term more, the mean of $g$, which came from taking the mean off. By hand:
# $x = (1, 7)$, $w = (1, 1)$, $dy = (1, 0)$. Then $\overline{g\hat x} = 0.2/2 = 0.1$ and
# $dx = (1 - 0.02,\; 0 - 0.14)/5 = (0.196, -0.028)$. This is at right angles to $x$, since
# $0.196 - 7\cdot 0.028 = 0$. It has to be: a longer $x$ gives the same $\hat x$.

# %%
x = torch.tensor([[1.0, 7.0]], dtype=torch.float64)
_, cache = rms_norm(x, one, 0.0)
dx, dweight = rms_norm_backward(torch.tensor([[1.0, 0.0]], dtype=torch.float64), cache)
print(f"dx {dx.round(decimals=6).tolist()[0]}, dweight {dweight.round(decimals=6).tolist()}")
assert torch.allclose(dx, torch.tensor([[0.196, -0.028]]).double())

x, w, dy = (torch.randn(s, dtype=torch.float64) for s in ((3, 8), (8,), (3, 8)))
x.requires_grad_(), w.requires_grad_()
F.rms_norm(x, (8,), w, 1e-5).backward(dy)  # torch's own, differentiated by autograd
ours = rms_norm_backward(dy, rms_norm(x.detach(), w.detach(), 1e-5)[1])
error = max(float((a - b).abs().max()) for a, b in zip(ours, (x.grad, w.grad), strict=True))
print(f"against autograd: largest difference {error:.0e}")
assert error < 1e-12

# %% [markdown]
# !!! example "Exercise 9.1: RMSNorm and its gradient"
#     Forward and backward, in torch. The traps: $\epsilon$ outside the root, a mean over the wrong axis,
#     layer norm's rule, and float16, in which 256 squared is infinite. `groundup watch 9.1`. With
#     `groundup chapter 9 --mine 9.1` the models below are trained with your rule.
#
# ::: source groundup.neobert.norm:rms_norm folded
#
# ::: source groundup.neobert.norm:rms_norm_backward folded
#
# ## A network with a gate
#
# The network for each token was: widen, switch, narrow. A hidden unit is switched by its own value.
# In a *gated* network each hidden unit is made twice. One copy, the *gate*, says how far to open;
# the other, the *value*, is what passes:
#
# $$(a, b) = x\,W_{12}, \qquad y = \big(\mathrm{silu}(a) \odot b\big)\,W_3, \qquad
# \mathrm{silu}(a) = a\,\sigma(a), \quad \sigma(a) = \frac{1}{1+e^{-a}} .$$
#
# This is *SwiGLU* (Shazeer, 2020). By hand, with one hidden unit: a gate $a = \ln 3$ has $\sigma(a)
# = \tfrac34$, so $\mathrm{silu}(a) = 0.75 \cdot 1.0986 = 0.8240$. With a value $b = 2$ the product
# is $1.6479$. A gate of $-\ln 3$ has $\sigma = \tfrac14$ and silu $-0.2747$: nearly shut. What is
# new is the product of two linear maps. A ReLU unit can say *if this, then so much of the same*; a
# gated one can say *if this, then so much of that*. Why this should be better, Shazeer's paper does
# not claim to know. It attributes the success, in its last line, "to divine benevolence".
#
# ### The two-thirds rule
#
# A gated network has three matrices of $D \times F$ numbers where the old one has two. A comparison
# at the same number of parameters asks for
#
# $$3\,D\,F_{\text{gated}} = 2\,D\,F \quad\Rightarrow\quad F_{\text{gated}} = \tfrac23 F .$$
#
# NeoBERT writes the old size into its configuration and takes two thirds of it: the whole part, then
# rounded *up* to a multiple of 8, because matrix units work on tiles. From 3072 comes
# exactly 2048. From 64 comes 42.67, then 42, then 48.

# %%
w12 = np.array([[np.log(3), 2.0]])  # one input, one gate, one value
h, _ = swiglu(np.ones((1, 1)), w12, np.ones((1, 1)))
print(f"silu(ln 3) · 2 = {h[0, 0]:.4f}")
assert abs(h[0, 0] - 1.6479) < 1e-4

print("in the configuration   hidden units   numbers, SwiGLU   numbers, GELU   ratio   (D = F/4)")
for size in (64, 384, 3072):
    hidden = NeoBERTConfig(intermediate_size=size).swiglu_size
    gated, plain = 3 * size // 4 * hidden, 2 * size // 4 * size
    print(f"{size:20} {hidden:14} {gated:17,} {plain:15,} {gated / plain:7.3f}")
assert NeoBERTConfig(intermediate_size=3072).swiglu_size == 2048
assert NeoBERTConfig(intermediate_size=64).swiglu_size == 48

# %% [markdown]
# Backwards there is one new step (you know it if you have done exercise 8.2). In $h = s \odot b$,
# with $s = \mathrm{silu}(a)$, each factor gets the other: $ds = dh \odot b$ and $db = dh \odot s$.
# Then silu, by the product rule and $\sigma' = \sigma(1-\sigma)$, which chapter 02 derived:
#
# $$\mathrm{silu}'(a) = \sigma(a) + a\,\sigma(a)\big(1-\sigma(a)\big), \qquad da = ds \odot \mathrm{silu}'(a).$$
#
# The rest is linear maps. Here is the NumPy form against autograd:

# %%
rng = np.random.default_rng(0)
arrays = [rng.normal(size=size) for size in ((3, 4), (4, 10), (5, 4), (3, 4))]
x, w12, w3, dy = arrays
_, cache = swiglu(x, w12, w3)
tensors = [torch.tensor(each, requires_grad=True) for each in (x, w12, w3)]
gate, value = (tensors[0] @ tensors[1]).chunk(2, dim=-1)
((F.silu(gate) * value) @ tensors[2]).backward(torch.tensor(dy))
pairs = zip(swiglu_backward(dy, cache), tensors, strict=True)
error = max(float(np.abs(a - t.grad.numpy()).max()) for a, t in pairs)
print(f"dx, dw12, dw3 against autograd: largest difference {error:.0e}")
assert error < 1e-12

# %% [markdown]
# !!! example "Exercise 9.2: SwiGLU and its gradients"
#     In NumPy, so that nothing differentiates for you. The traps: silu on the wrong half, gates and values
#     that alternate, a value that gets no gradient. `groundup watch 9.2`
#
# ::: source groundup.scratch.feedforward:swiglu folded
#
# ::: source groundup.scratch.feedforward:swiglu_backward folded
#
# ## A position is a turn
#
# Chapter 04 added a vector to each token that says where it stands. Then a query carries its place
# and a key carries its own, mixed with what they mean, and the model has to learn that only the
# *distance* between the two should count. RoPE (*rotary position embedding*; Su et al., 2021)
# builds that in.
#
# Take $K = 2$: a query is a point in the plane, and so is a key. **Turn each by an angle
# proportional to its position.** By hand, with a quarter turn for each position: $(a, b)$ goes to
# $(-b, a)$. Let $q = (2, 1)$ stand at position 1 and $k = (1, 3)$ at position 0.
#
# - Turned once, $q$ is $(-1, 2)$. Not turned, $k$ is $(1, 3)$. The score is $-1 + 6 = 5$.
# - Both one place further: $q$ at 2 is $(-2, -1)$, $k$ at 1 is $(-3, 1)$. The score is $6 - 1 = 5$.
# - Only $q$ one place further: $(-2,-1)$ meets $(1, 3)$. The score is $-2 - 3 = -5$.
#
# Moving both changes nothing, moving one does. In general, let $q$ have length $|q|$ and direction
# $\alpha$, and $k$ length $|k|$ and direction $\beta$. With an angle of $\omega$ for each position,
# $q$ at position $m$ points to $\alpha + m\omega$, and $k$ at position $n$ to $\beta + n\omega$. A
# dot product is the product of the lengths and the cosine of the angle between:
#
# $$q_m \cdot k_n = |q|\,|k|\,\cos\big(\alpha - \beta + (m - n)\,\omega\big) .$$
#
# **The positions come in as their difference alone.** In matrices it is one line. Let $R_m$ turn by
# $m\omega$. Turning back is the transpose, so
#
# $$(R_m q)\cdot(R_n k) = q^\top R_m^\top R_n\,k = q^\top R_{n-m}\,k .$$
#
# Unlike the dot product of two added vectors in chapter 04, this is not the same to both sides. With
# $\alpha \ne \beta$ the cosine tells $m - n$ from $n - m$.

# %%
quarter = torch.arange(3) * torch.pi / 2
cos, sin = quarter.cos()[:, None], quarter.sin()[:, None]  # positions 0, 1, 2; one pair
q = rotate_pairs(torch.tensor([2.0, 1.0]).expand(3, 2), cos, sin)
k = rotate_pairs(torch.tensor([1.0, 3.0]).expand(3, 2), cos, sin)
print("score of q at m (down) and k at n (across)")
print((q @ k.T).round().int().numpy())
assert torch.allclose((q @ k.T).diagonal(-1), torch.tensor(5.0))

# %% [markdown]
# Read along the diagonals: each is one distance, and holds one number.
#
# ### Many clocks
#
# A single angle comes round: with quarter turns, distance 4 looks like distance 0. So a head of
# width $K$ is cut into $K/2$ pairs, each with a speed of its own, the same speeds as the clocks of
# chapter 04:
#
# $$\omega_i = \theta^{-2i/K}, \qquad i = 0, \dots, \tfrac K2 - 1, \qquad \theta = 10{,}000 .$$
#
# The first pair turns by one radian a token and the last by little more than $1/\theta$. A score is
# the sum over the pairs. The table of all cosines and sines is made by
# [rope_tables][groundup.neobert.rope.rope_tables] from the positions;
# [rotate_pairs][groundup.neobert.rope.rotate_pairs] applies it, and is exercise 11.2. Shift all
# positions, and look at the scores:

# %%
generator = torch.Generator().manual_seed(1)
q, k, v = torch.randn(3, 6, 32, dtype=torch.float64, generator=generator)  # T = 6, K = 32


def tables(first, length=6):
    places = torch.arange(first, first + length, dtype=torch.float64)
    return rope_tables(places, 32, 10_000.0)


def scores(first_q, first_k):
    return rotate_pairs(q, *tables(first_q)) @ rotate_pairs(k, *tables(first_k)).T


for shift in (1, 100, 4000):
    both = (scores(shift, shift) - scores(0, 0)).abs().max()
    alone = (scores(shift, 0) - scores(0, 0)).abs().max()
    print(f"shift by {shift:4}: scores move by {both:.0e}; by {alone:.1f} if queries alone shift")
    assert both < 1e-10 < 0.1 < alone

distance = torch.arange(0, 513, dtype=torch.float64)
near = torch.linspace(0, 64, 400, dtype=torch.float64)
fig, (left, right) = figure(1, 2)
cos, _ = rope_tables(near, 32, 10_000.0)
for number, i in enumerate((0, 3, 6, 9)):
    left.plot(near, cos[:, i], color=COLOURS[number], linestyle="-", label=f"pair {i}")
left.set(xlabel="distance (tokens)", ylabel="cosine of the pair's angle", ylim=(-1.1, 1.6))
left.legend(ncols=2, loc="upper right", frameon=False)
for number, theta in enumerate((100.0, 10_000.0, 1_000_000.0)):
    cos, _ = rope_tables(distance, 32, theta)
    label = f"θ = {theta:,.0f}"
    right.plot(distance, cos.mean(1), color=COLOURS[number], linestyle="-", label=label)
right.set(xlabel="distance (tokens)", ylabel="mean cosine over the pairs", ylim=(-0.5, 1.6))
right.legend(frameon=False)
show(
    fig,
    "clocks",
    "K = 32. Left: fast pairs tell neighbours apart and come round soon; slow ones tell far from near. "
    "Right: the score of a query and a key that are equal before they are turned, as a share of what it "
    r"is at distance 0, if all pairs are equally long. The larger $\theta$, the slower it falls.",
)

# %% [markdown]
# !!! example "Exercise 9.3: the angles of RoPE"
#     Positions in, two tables out. The traps: $i/K$ for $2i/K$, rows counted where positions are given, a
#     scale that multiplies, and 16-bit numbers, in which 1,001 is 1,000. `groundup watch 9.3`
#
# ::: source groundup.neobert.rope:rope_tables folded
#
# ## Neighbours or halves
#
# Which entries make a pair? The paper and NeoBERT take neighbours, $2i$ and $2i+1$. Llama's code in
# transformers, and many models after it, takes $i$ and $i + K/2$: the two *halves* of a head. Nothing
# in a file of weights says which. Are these two models, or one?
#
# One, in another order. Let $P$ be the permutation that moves entry $2i$ to $i$ and entry $2i+1$ to
# $i + K/2$. For $K = 6$:
#
# | new place | 0 | 1 | 2 | 3 | 4 | 5 |
# |:--|:-:|:-:|:-:|:-:|:-:|:-:|
# | entry | 0 | 2 | 4 | 1 | 3 | 5 |
#
# Pair $i$ has the same angle in both customs. So turning the halves of $Pq$ is the same as turning
# the neighbours of $q$ and then moving: $R^{\text{halves}} P = P R^{\text{pairs}}$. And the
# products stay, since both sums have the same terms:
#
# $$(R^{\text{halves}}_m P q)\cdot(R^{\text{halves}}_n P k) = (P R^{\text{pairs}}_m q)\cdot(P R^{\text{pairs}}_n k)
# = (R^{\text{pairs}}_m q)\cdot(R^{\text{pairs}}_n k) .$$
#
# A query is $W_q x$, so $P$ can be applied once and for all to the *rows* of $W_q$ and $W_k$, head by
# head. Values are not turned, and stay as they are.

# %%
heads, width = 2, 12
wq, wk = torch.randn(2, heads * 6, width, dtype=torch.float64, generator=generator)
x = torch.randn(5, width, dtype=torch.float64, generator=generator)
cos, sin = rope_tables(torch.arange(5, dtype=torch.float64), 6, 10_000.0)


def by_head(weight):
    return (x @ weight.T).unflatten(-1, (heads, 6)).transpose(0, 1)  # (H, T, K)


def llama_scores(wq, wk):
    wide = torch.cat((cos, cos), -1)[None], torch.cat((sin, sin), -1)[None]
    q, k = apply_rotary_pos_emb(by_head(wq)[None], by_head(wk)[None], *wide)
    return (q @ k.mT)[0]


ours = rotate_pairs(by_head(wq), cos, sin) @ rotate_pairs(by_head(wk), cos, sin).mT
moved = llama_scores(pairs_to_halves(wq, 6), pairs_to_halves(wk, 6))
print("rows of one head, to halves:", pairs_to_halves(torch.arange(6), 6).tolist())
print("and back:                   ", halves_to_pairs(torch.arange(6), 6).tolist())
print(
    f"transformers' Llama rotation on the moved rows: scores differ by {(moved - ours).abs().max():.0e}"
)
print(f"on the rows as they were: {(llama_scores(wq, wk) - ours).abs().max():.1f}")
assert torch.allclose(moved, ours, atol=1e-12)
assert torch.equal(halves_to_pairs(pairs_to_halves(wq, 6), 6), wq)
assert (llama_scores(wq, wk) - ours).abs().max() > 0.1

# %% [markdown]
# The library's tests move a whole NeoBERT layer into transformers' Llama layer this way, and the
# outputs agree.
#
# !!! example "Exercise 9.4: from pairs to halves, and back"
#     Two functions that you need whenever you move weights between such models. The traps: the
#     inverse for the permutation (at $K = 4$ nobody can tell), all heads as one, columns for rows.
#     `groundup watch 9.4`
#
# ::: source groundup.neobert.rope_layout:pairs_to_halves folded
#
# ::: source groundup.neobert.rope_layout:halves_to_pairs folded
#
# ## Does it matter?
#
# Put each part back to 2017, one at a time, in an otherwise modern model. The task is an **echo**:
# random tokens, of which some are hidden, and a hidden token is the one that stands five places
# before it. Nothing but positions can solve it. The library's configuration has a switch for each
# part.

# %%
VOCABULARY, BACK, T = 32, 5, 32
SWITCHES = {
    "modern": {},
    "learned positions": {"position_embedding_type": "absolute"},
    "norm after the sum": {"norm_position": "post"},
    "LayerNorm": {"norm_type": "layer_norm"},
    "GELU": {"hidden_act": "gelu"},
}


def echo(rows, length, generator):
    """Tokens (B, T) with some hidden as 0, and labels (B, T): −100 where nothing is asked."""
    ids = torch.randint(1, VOCABULARY, (rows, length), generator=generator)
    hidden = torch.rand(rows, length, generator=generator) < 0.3
    hidden[:, :BACK] = False
    hidden &= ~hidden.roll(BACK, 1)  # what it echoes must be visible
    ids = torch.where(hidden, ids.roll(BACK, 1), ids)
    return ids.masked_fill(hidden, 0), ids.masked_fill(~hidden, -100)


def train(switches, rate=4e-3, steps=120, seed=0):
    torch.manual_seed(seed)
    config = NeoBERTConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=256,
        max_length=512,
        initializer_range=0.1,
        sparse_prediction=True,
        **switches,
    )
    model, generator, losses = NeoBERTForMaskedLM(config), torch.Generator().manual_seed(seed), []
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / 15) * (1 - step / steps)
        ids, labels = echo(32, T, generator)
        loss = model(ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return model.eval(), losses


@torch.no_grad()
def accuracy(model, length, back=BACK):
    """Share of hidden tokens for which the answer is the token ``back`` places before."""
    ids, labels = echo(32, length, torch.Generator().manual_seed(99))
    asked = labels != -100
    asked[:, :back] = False
    whole = torch.where(labels != -100, labels, ids)
    answers = model(ids).logits.argmax(-1)
    return float((answers == whole.roll(back, 1))[asked].float().mean())


runs = {name: (switches, 4e-3) for name, switches in SWITCHES.items()}
runs["norm after the sum, rate 0.01"] = SWITCHES["norm after the sum"], 0.01
models = {}
fig, ax = figure(height=3.6)
for number, (name, (switches, rate)) in enumerate(runs.items()):
    models[name], losses = train(switches, rate)
    smooth = np.convolve(losses, np.ones(8) / 8, mode="valid")
    style = {"color": COLOURS[number % 5], "linestyle": "-" if number < 3 else "--"}
    ax.plot(smooth, label=name, **(style if number < 5 else {**style, "color": COLOURS[2]}))
    parameters = sum(p.numel() for p in models[name].parameters())
    right = accuracy(models[name], T)
    print(f"{name:30} {parameters:7,} parameters, last loss {smooth[-1]:.3f}, {right:.0%} right")
ax.axhline(np.log(VOCABULARY - 1), color=INK, linewidth=0.8)
ax.text(112, np.log(VOCABULARY - 1) + 0.06, "a blind guess", ha="right", color=INK, fontsize=8)
ax.set(xlabel="step", ylabel="training loss (nats)", ylim=(0, 4.2))
ax.legend(frameon=False, fontsize=8)
show(
    fig,
    "ablation",
    "One layer, one seed, 120 steps. LayerNorm and GELU run with the modern block. A learned table of "
    "positions starts later. With the norm after the sum, the rate decides.",
)
assert accuracy(models["modern"], T) > 0.97
assert accuracy(models["learned positions"], T) > 0.97
slow, quick = models["norm after the sum"], models["norm after the sum, rate 0.01"]
assert accuracy(slow, T) < 0.5 < accuracy(quick, T)

# %% [markdown]
# Three lessons. LayerNorm for RMSNorm and GELU for SwiGLU make little difference to how this is
# learned. The learned table learns it as well, but must find the rule *five back* for each place
# anew, and starts later. And the norm after the sum looks broken at the rate that suits the others.
# It is not: at two and a half times the rate it learns. **An ablation with one learning rate tests
# the rate as much as the part.**
#
# ### Three seeds, real text
#
# So here is a larger study: hidden bytes of documentation text, two layers of width 96, 600 steps,
# two learning rates for each variant, of which the better one counts, and three seeds.
# `benchmarks/modern_block.py` makes it.

# %%
study = json.loads((clone.root() / "benchmarks/results/modern_block.json").read_text("utf-8"))
found = {}
for name in dict.fromkeys(run["variant"] for run in study["runs"]):
    at_rate = {}
    for run in study["runs"]:
        if run["variant"] == name:
            at_rate.setdefault(run["lr"], []).append(run["held_out_loss"])
    rate = min(at_rate, key=lambda lr: np.mean(at_rate[lr]))
    found[name] = rate, np.array(at_rate[rate])
print(f"{study['date']}, {study['machine']['cores']} cores; nats a hidden byte, held-out modules")
print(f"knowing the frequencies of bytes alone: {study['unigram_loss']:.3f}")
print(f"{'':20} {'rate':>6} {'each seed':>21} {'mean':>7}   against modern, same seed")
for name, (rate, losses) in found.items():
    behind = losses - found["modern"][1]
    each = " ".join(f"{loss:.3f}" for loss in losses)
    print(
        f"{name:20} {rate:6} {each:>21} {losses.mean():7.3f}   {behind.min():+.3f} to {behind.max():+.3f}"
    )
away = {name: losses - found["modern"][1] for name, (_, losses) in found.items()}
spread = np.ptp(found["modern"][1])
print(f"modern, from its best seed to its worst: {spread:.3f}")
assert 0 < away["LayerNorm"].max() < spread < away["GELU"].max()
assert away["GELU"].min() > 0
assert away["norm after the sum"].min() < 0 < away["norm after the sum"].max()
assert away["learned positions"].min() > 0.5

# %% [markdown]
# Read the last column with the line below it in mind: the same model differs by so much from seed to seed.
#
# - **LayerNorm** is behind RMSNorm by less than that. Nobody should choose by it. RMSNorm is chosen
#   because it does less.
# - **GELU**, with as many parameters, is behind SwiGLU in all three seeds: clearly in two, hardly in the
#   third. That is a hint in favour of the gate. Shazeer's runs are larger, and point the same way.
# - **The norm after the sum** is ahead in two seeds and behind in the third. Whoever stopped after two
#   would have reported a win. The case for the norm before the branch is depth, and two layers have none:
#   chapter 04 showed that deep networks with the norm first train at high rates and with little care.
# - **Learned positions** have hardly begun after 600 steps: they are near the loss of knowing the
#   frequencies alone. With RoPE, *the byte before me* is one rotation, the same everywhere; a table must
#   find it for each of 64 places. This does not say where a longer run would end. BERT learned with such
#   a table, in a million steps.
#
# ## Longer than it was trained
#
# Now the question that a table of positions cannot answer. The models of the echo were trained on 32
# tokens. Give them more. Five places back is still five places back.

# %%
LENGTHS = (32, 64, 128, 256)


def changed(model, window=None, **switches):
    """A copy of a model with other positions; ``window``: tokens seen to each side."""
    other = copy.deepcopy(model)
    for name, value in switches.items():
        setattr(other.config, name, value)
    for layer in other.model.transformer_encoder:
        layer.window = window
        layer.config = other.config
    return other


modern, learned = models["modern"], models["learned positions"]
ways = {
    "learned positions": learned,
    "RoPE": modern,
    "RoPE, each sees 16 to a side": changed(modern, window=16),
    "RoPE, θ · 4.4": changed(modern, rope_theta=10_000 * 4 ** (32 / 30)),
    "RoPE, positions / 4": changed(modern, rope_scale=4.0),
}
fig, ax = figure()
print(f"{'right at a length of':30}" + "".join(f"{length:7}" for length in LENGTHS))
shares = {}
for number, (name, model) in enumerate(ways.items()):
    shares[name] = [accuracy(model, length) for length in LENGTHS]
    print(f"{name:30}" + "".join(f"{share:7.0%}" for share in shares[name]))
    style = {"color": COLOURS[number], "linestyle": "-" if number < 3 else "--"}
    ax.plot(LENGTHS, shares[name], marker="o", label=name, **style)
ax.axvline(T, color=INK, linewidth=0.8, linestyle=":")
ax.set_xscale("log", base=2)
ax.set_xticks(LENGTHS, [str(length) for length in LENGTHS])
ax.set(
    xlabel="length of the sequence (tokens)", ylabel="share of right answers", ylim=(-0.03, 1.05)
)
ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
show(
    fig,
    "longer",
    "Trained on 32 tokens (dotted), asked about more. A learned table knows no place beyond the 32nd. "
    "RoPE fades slowly; where no token sees further than in training, it does not fade at all.",
)
assert shares["learned positions"][2] < 0.5 < shares["RoPE"][2]
assert shares["RoPE, each sees 16 to a side"][3] > 0.97
assert shares["RoPE, positions / 4"][2] < 0.2
assert shares["RoPE, θ · 4.4"][0] > 0.95

# %% [markdown]
# **Learned positions.** At 64 tokens half of the places have vectors that no training has touched;
# at 128 three quarters. The share of right answers is the share of known places.
#
# **RoPE** holds on, because the rule is about a distance, and the distance has not changed. But it
# fades. Each query now also meets keys at distances that were never seen in training. Their scores
# are whatever the slow pairs give at angles nobody has trained, and some come out high. The third
# row tests this explanation. With a window, each token sees 16 to each side, so only distances that
# it knows, and the model is right at any length. That works for RoPE alone: in a learned table even
# near tokens stand at unknown places. ModernBERT gives two layers of three such a window.
#
# **Dividing the positions** (*position interpolation*; Chen et al., 2023) is meant to help: 128
# tokens with positions divided by 4 lie between 0 and 32, all known. But this model has learned
# that five tokens back means *an angle of 5*. Divided by 4, that angle lies twenty tokens back. If
# that is right, its answer must be the token twenty places before:

# %%
for scale in (2, 4):
    divided = changed(modern, rope_scale=float(scale))
    shares_back = {back: accuracy(divided, T * scale, back) for back in range(1, 31)}
    most = sorted(shares_back, key=shares_back.__getitem__, reverse=True)[:3]
    listed = ", ".join(f"{back} back {shares_back[back]:.0%}" for back in most)
    print(
        f"positions / {scale}: the answer is the token 5 back {shares_back[5]:.0%}; most often {listed}"
    )
    assert most[0] == 5 * scale

# %% [markdown]
# It is, more often than any other, and the next are its neighbours: one token more or less is now a
# turn of a quarter radian, which the head was never asked to tell apart. The model reads a
# stretched text in units of its own. This is why position interpolation comes with further
# training, up to 1,000 steps in the paper. The units matter most to the fast pairs, which tell
# neighbours apart. So rather raise $\theta$. Pair $i$ has the speed $\theta^{-2i/K}$; the fastest
# ($i = 0$) has 1 whatever $\theta$ is, and only the slow ones slow down. To make the slowest, $i =
# K/2 - 1$, turn $s$ times as slowly, its speed must satisfy
#
# $$\theta'^{-(K-2)/K} = \tfrac1s\,\theta^{-(K-2)/K} \quad\Rightarrow\quad \theta' = \theta\, s^{K/(K-2)} .$$
#
# (This is known as *NTK-aware* scaling, from a note on the web in 2023; Peng et al. (2023) tell its
# story.) With $s = 4$ and $K = 32$ the factor is 4.4. In the figure it costs next to nothing at 32
# tokens, where dividing costs everything. But our rule lives in the fast pairs and has little to
# gain from the slow ones. What does text say? These are models of the study, trained on 64 bytes
# and read longer, without further training; the mean over the seeds.

# %%
print(f"{'nats a hidden byte at a length of':36}" + "".join(f"{n:>8}" for n in (64, 128, 256, 512)))
table = {}
for name in ("modern", "learned positions"):
    group = [run for run in study["runs"] if (run["variant"], run["lr"]) == (name, found[name][0])]
    for way in group[0]["longer"]:
        table[name, way] = np.mean([list(run["longer"][way].values()) for run in group], axis=0)
        print(f"{name + ', ' + way:36}" + "".join(f"{loss:8.3f}" for loss in table[name, way]))
trained, divided, raised = (
    table["modern", way] for way in ("as trained", "positions divided", "larger theta")
)
assert (divided[1:] > trained[1:] + 0.3).all()
assert raised[3] < trained[3]

# %% [markdown]
# The same picture, on text. Rotations as trained get worse slowly; a larger $\theta$ helps at the
# longest; dividing the positions without further training ruins the model at once. (The learned
# table has little to lose: it had learned almost nothing.)
#
# ## Breaking it: turn the values too
#
# Queries and keys are turned. Why not values? Write $A_{mn}$ for the attention weights, which
# depend on distances. With turned values the output at position $m$ is
#
# $$\sum_n A_{mn} R_n v_n .$$
#
# Shift the whole text by $s$. The weights stay, but every $R_n$ becomes $R_{n+s} = R_s R_n$, and
# the output turns by $R_s$: it depends on where the text begins. Queries and keys met each other,
# so their turns could cancel. The value meets $W_o$, which is not turned.


# %%
def mixed(first, turn_values):
    weights = (scores(first, first) / 32**0.5).softmax(-1)
    return weights @ (rotate_pairs(v, *tables(first)) if turn_values else v)


for turn_values in (False, True):
    moves = (mixed(100, turn_values) - mixed(0, turn_values)).abs().max()
    print(
        f"values turned: {turn_values!s:5}   the output moves by {moves:.0e} when the text shifts by 100"
    )
    assert (moves > 0.1) == turn_values
cos, sin = tables(100)
turned_back = rotate_pairs(mixed(100, True), cos, -sin)  # by the query's own angle
cos, sin = tables(0)
error = (turned_back - rotate_pairs(mixed(0, True), cos, -sin)).abs().max()
print(f"turned, and the output turned back at its own position: moves by {error:.0e}")
assert error < 1e-10

# %% [markdown]
# The last line shows a way out. Turned back by the query's own angle, the output is $\sum_n A_{mn}
# R_{n-m} v_n$, and only distances are left. It is a consistent design, and another model.
#
# ## Breaking it: positions that begin anew
#
# Several short texts can share one row, and then positions begin at 0 in each. That is right where
# no text can see another. It is a common fault to reset the positions and forget the rest. Take the
# echo model, which sees everything, and let positions begin anew in the middle:

# %%
anew = torch.cat((torch.arange(16), torch.arange(16)))
with mock.patch.object(
    stack, "rotation", lambda config, places, dtype: rotation(config, anew, dtype)
):
    reset = accuracy(modern, T)
print(f"positions 0 to 31: {accuracy(modern, T):.0%} right; 0 to 15 twice: {reset:.0%} right")
assert reset < 0.75

# %% [markdown]
# *Five back* now fits two tokens in most places, one in each half, and the head looks at both with
# the same weight. The scores cannot tell them apart: $m - n$ is the same. No error is raised, and a
# loss that is a bit too high is the only sign. Chapter 10 packs texts into one row and sees to it
# that they cannot see each other.
#
# ## What practitioners do differently
#
# - **Long texts come late.** Models are trained on short texts, then for a short time on long ones, with a larger $\theta$ from the beginning or from then on.
#   Llama 3 uses 500,000 (Grattafiori et al., 2024), ModernBERT 160,000 in its global layers.
#   NeoBERT stays at 10,000 and trains its last 50,000 steps at 4,096 tokens.
# - **YaRN** (Peng et al., 2023) divides the slow pairs and leaves the fast ones, with a ramp
#   between, and sharpens the softmax. transformers has it as a `rope_type`.
# - **They turn a part of the head.** GPT-J and GPT-NeoX rotate only the first entries of a head.
# - **Tables are made in float32.** Computed in bfloat16, positions above 256 can no longer be told apart.
# - **RMSNorm is taken for its cost**, not for its loss. Pre-norm networks with LayerNorm can be
#   rewritten to RMSNorm exactly, by taking means off weights beforehand (Jiang et al., 2023).
# - **Gates are the common choice** in models since 2023, among them Llama and ModernBERT; the
#   latter with a GELU in the gate (GeGLU). The two-thirds rule is often left behind: sizes are then
#   chosen for the hardware.
#
# ## What you know now, and what is missing
#
# Which parts were replaced? The norm gave up its mean, which costs one direction in $D$ and saves a
# pass over memory. The network gained a gate and paid for it with a third of its hidden units. The
# table of positions became a rotation, in which only distances are left. Does it matter? In these
# small runs, positions mattered most: at once, and again when the text grew. The gate seems to
# earn its place on text. The missing mean hardly showed, and where the norm stands made no difference
# that three seeds could tell from chance, as long as each had its own rate.
#
# You have the parts of a modern block. What they cost is less arithmetic than traffic: numbers read from
# memory and written back. The largest traffic is elsewhere. Attention makes a table of $T \times T$
# scores for each head, writes it down, reads it again for the softmax, and once more for the mixture. At
# 4,096 tokens that is 16.8 million numbers a head. Chapter 10 computes the same result without ever
# writing the table.
#
# ## Sources
#
# - A. Vaswani et al. (2017), *Attention is all you need*, arXiv 1706.03762.
# - B. Zhang, R. Sennrich (2019), *Root mean square layer normalization*, arXiv 1910.07467.
# - N. Shazeer (2020), *GLU variants improve transformer*, arXiv 2002.05202.
# - J. Su et al. (2021), *RoFormer: enhanced transformer with rotary position embedding*, arXiv
#   2104.09864.
# - S. Chen et al. (2023), *Extending context window of large language models via positional
#   interpolation*, arXiv 2306.15595.
# - B. Peng et al. (2023), *YaRN: efficient context window extension of large language models*, arXiv
#   2309.00071.
# - Z. Jiang et al. (2023), *Pre-RMSNorm and pre-CRMSNorm transformers: equivalent and efficient
#   pre-LN transformers*, arXiv 2305.14858.
# - A. Grattafiori et al. (2024), *The Llama 3 herd of models*, arXiv 2407.21783.
# - B. Warner et al. (2024), *Smarter, better, faster, longer* (ModernBERT), arXiv 2412.13663.
# - L. Le Breton et al. (2025), *NeoBERT: a next-generation BERT*, arXiv 2502.19587.
