# %% [markdown]
# # Backpropagation by hand
#
# A network has read "Max ( 5 3 9 )" and answered 5. The answer came out of a hundred thousand
# numbers, multiplied and added in layers. Something in there must change. But what? Which of the
# hundred thousand is to blame, and by how much?
#
# You could ask each one. Nudge one number up by a hair, run the network again, and see whether the
# answer got better. This works, and it needs two runs for every number. The encoder that we build
# in chapter 04 has 101,898 of them. Here is the bill:

# %%
import os
import time
from collections.abc import Callable
from functools import partial

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.tasks.digits import make_splits
from groundup.scratch.types import Array, Cache, IntArray, Params

splits = make_splits(np.random.default_rng(0))
encoder = Encoder.create(EncoderConfig(), np.random.default_rng(0))
batch = splits.train.take(np.arange(64))
forward_times, backward_times = [], []
for _ in range(30):
    marks = [time.perf_counter()]
    logits, cache = encoder.forward(batch.ids, batch.mask)
    marks.append(time.perf_counter())
    grads = encoder.backward(np.ones_like(logits), cache)
    marks.append(time.perf_counter())
    forward_times.append(marks[1] - marks[0])
    backward_times.append(marks[2] - marks[1])
count = sum(p.size for p in encoder.params.values())
once, back = min(forward_times), min(backward_times)
print(f"parameters:                           {count:,}")
print(f"one run on 64 questions:              {1e3 * once:8.1f} ms")
print(f"asking every parameter, {2 * count:,} runs: {2 * count * once / 60:6.0f} minutes")
print(f"one run backwards, which tells all:   {1e3 * back:8.1f} ms")
assert count == 101_898
assert sum(g.size for g in grads.values()) == count

# %% [markdown]
# All these minutes would be for a single step of training, of which there are hundreds. The last
# line is what this chapter is about: one pass backwards through the computation, about as long as a
# few passes forwards, gives the answer for *every* number at once. Without it there would be no
# large networks.
#
# So: **how does an error travel back through a computation?** You will do it with a pencil first,
# then find the rule behind it, then work it out for every kind of layer that a transformer has
# besides attention. At the end you will build the instrument that tells whether such a derivation
# is right, and see why you need it: wrong ones learn too.
#
# ## Two inputs, every number
#
# Some words first. A *parameter* is a number in the network that training may change. The *loss*
# $L$ is one number that says how bad the output is; smaller is better. The *gradient* of the loss
# with respect to a number is the derivative $\partial L/\partial(\text{that number})$: by how much
# the loss rises for each unit that the number rises, if it moves a little and all else stands
# still.
#
# The smallest layer with something to see is a *linear layer* with two inputs and two outputs. Its
# parameters are a weight for each pair of an input and an output, and a *bias* for each output:
#
# $$y_1 = x_1 W_{11} + x_2 W_{21} + b_1, \qquad y_2 = x_1 W_{12} + x_2 W_{22} + b_2 .$$
#
# Take $x = (1, 2)$, the weights $W = \begin{pmatrix}3 & -1\\ 1 & 2\end{pmatrix}$ and the bias
# $b = (0, -1)$. Then
#
# $$y_1 = 1\cdot 3 + 2\cdot 1 + 0 = 5, \qquad y_2 = 1\cdot(-1) + 2\cdot 2 - 1 = 2 .$$
#
# Say that both outputs should have been 4. As a loss, take half the sum of the squared misses:
# $L = \tfrac12(5-4)^2 + \tfrac12(2-4)^2 = 2.5$.
#
# Now backwards, from the loss to everything that made it.
#
# **The outputs.** The derivative of $\tfrac12(y_1-4)^2$ is $y_1 - 4 = 1$, and for $y_2$ it is
# $2 - 4 = -2$. Read it: the loss falls if $y_1$ falls, and it falls twice as fast if $y_2$ rises.
# Write $dy = (1, -2)$; from now on $d$ before a name means the gradient of the loss with respect to
# it.
#
# **A weight.** $W_{12}$ is multiplied by $x_1 = 1$ and goes into $y_2$, and nowhere else. Raise it
# by a small $\delta$, and $y_2$ rises by $x_1\delta$, and the loss by $x_1\delta$ times $dy_2$. So
# $dW_{12} = x_1\,dy_2 = 1\cdot(-2) = -2$. All four weights in the same way:
#
# $$dW_{ij} = x_i\,dy_j, \qquad
# dW = \begin{pmatrix}1\cdot 1 & 1\cdot(-2)\\ 2\cdot 1 & 2\cdot(-2)\end{pmatrix}
# = \begin{pmatrix}1 & -2\\ 2 & -4\end{pmatrix} .$$
#
# **The bias.** $b_j$ goes into $y_j$ as it is, so $db = dy = (1, -2)$.
#
# **An input.** $x_1$ goes to *both* outputs. Raise it by $\delta$: $y_1$ rises by $3\delta$, which
# costs $3\delta\cdot 1$; $y_2$ changes by $-1\cdot\delta$, which costs $-\delta\cdot(-2)$. The two
# costs add:
#
# $$dx_1 = 3\cdot 1 + (-1)\cdot(-2) = 5, \qquad dx_2 = 1\cdot 1 + 2\cdot(-2) = -3 .$$
#
# The inputs are no parameters of this layer. But in a network they are the outputs of the layer
# before, and that layer needs $dx$ as its $dy$. This is how the error travels.

# %% The drawing tags=["hide"]
NODES = {
    "x₁": (0, 1, "1", "5"),
    "x₂": (0, 0, "2", "−3"),
    "y₁": (2, 1, "5", "1"),
    "y₂": (2, 0, "2", "−2"),
    "L": (3.6, 0.5, "2.5", "1"),
}
EDGES = [
    ("x₁", "y₁", "3", 0.5),
    ("x₁", "y₂", "−1", 0.28),
    ("x₂", "y₁", "1", 0.28),
    ("x₂", "y₂", "2", 0.5),
    ("y₁", "L", "1", 0.5),
    ("y₂", "L", "−2", 0.5),
]
fig, ax = figure(height=3.0)
for start, end, slope, at in EDGES:
    (x0, y0, *_), (x1, y1, *_) = NODES[start], NODES[end]
    arrow = {"arrowstyle": "->", "color": INK, "shrinkA": 17, "shrinkB": 17}
    ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
    ax.text(x0 + at * (x1 - x0), y0 + at * (y1 - y0) + 0.07, slope, ha="center", color=INK)
for name, (x, y, value, gradient) in NODES.items():
    ax.plot(x, y, "o", markersize=30, markerfacecolor="none", markeredgecolor=INK)
    ax.text(x, y, name, ha="center", va="center", fontsize=11)
    ax.text(x, y + 0.2, value, ha="center", va="bottom", color=COLOURS[0], weight="bold")
    ax.text(x, y - 0.2, gradient, ha="center", va="top", color=COLOURS[1], weight="bold")
ax.set(xlim=(-0.5, 4.1), ylim=(-0.5, 1.5))
ax.axis("off")
show(
    fig,
    "graph",
    "Above each node its value (blue), computed from left to right; below it its gradient "
    "(orange), computed from right to left. On each arrow: by how much its end moves if its start "
    "moves by one. A gradient is the sum, over the arrows that leave a node, of the arrow's number "
    "times the gradient at its end.",
)

# %% [markdown]
# The picture holds the whole method. **Along a path the slopes multiply. Where a node has several
# ways to the loss, the ways add.** The first half is the chain rule. The second is its form for
# several variables: for a small enough nudge, the effects through $y_1$ and through $y_2$ do not
# disturb each other. Everything else in this chapter is these two sentences, applied.
#
# Does it agree with the library, and with a nudge? Raise $W_{12}$ from $-1$ to $-0.99$. The
# gradient says that the loss changes by about $-2 \cdot 0.01 = -0.02$.

# %%
from groundup.scratch.linear import linear, linear_backward

x, bias = np.array([[1.0, 2.0]]), np.array([0.0, -1.0])
weight = np.array([[3.0, -1.0], [1.0, 2.0]])
y, cache = linear(x, weight, bias)
dx, dweight, dbias = linear_backward(y - 4, cache)
print(f"y  {y[0]}\ndx {dx[0]}\ndW {dweight.tolist()}\ndb {dbias}")
assert y.tolist() == [[5, 2]]
assert dx.tolist() == [[5, -3]]
assert dweight.tolist() == [[1, -2], [2, -4]]
assert dbias.tolist() == [1, -2]

nudged = weight.copy()
nudged[0, 1] += 0.01
after = 0.5 * ((linear(x, nudged, bias)[0] - 4) ** 2).sum()
print(f"loss 2.5 before the nudge, {after:.5f} after it: {after - 2.5:+.5f}")
assert abs(after - 2.5 + 0.02) < 1e-4

# %% [markdown]
# ## The rule behind it
#
# A layer turns a vector $x$ into a vector $y$. Collect all its slopes in a table, the *Jacobian*:
# $J_{ij} = \partial y_i/\partial x_j$, a row for each output, a column for each input. Then "sum,
# over the arrows that leave $x_j$, slope times gradient at the end" is
#
# $$dx_j = \sum_i dy_i\,J_{ij}, \qquad\text{in short}\qquad dx = dy\,J .$$
#
# A row vector times a matrix: a *vector–Jacobian product*. For a chain of layers with Jacobians
# $J_1, J_2, \dots, J_n$, from input to output, each layer's $dx$ is the $dy$ of the one before:
#
# $$dx = \big(\,((dy\,J_n)\,J_{n-1})\cdots\big)\,J_1 .$$
#
# Look at the brackets. Starting at the loss, there is a *vector* on the left at every moment. From
# the other end, $J_2 J_1$ would be a product of two matrices. With a thousand numbers in each layer
# and two layers, the first way takes 2 million multiplications, the second 1,001 million. That is
# why the error travels *back*: a loss is one number, so from its end the luggage is always light.
#
# Even so, no sensible program builds a Jacobian. Take a linear layer from 64 to 256 numbers, on 512
# rows. Its outputs are $512\cdot256 = 131{,}072$ numbers and its weights 16,384, so the table of
# slopes between them would have 2.1 billion entries, 8.6 GB in float32, nearly all of them zero.
# The product $x^\top dy$ gives the same result without it.
#
# So this is the contract of every layer in this library. Its forward function returns the output
# and a *cache*: whatever the way back will need. Its backward function takes $dy$ and the cache,
# and returns $dy\,J$ for each input, by the cheapest formula there is. **A network's backward pass
# calls them in reverse order.** Nothing more.
#
# ## Many rows, one weight
#
# Layers see many examples at once: $x$ has $N$ rows, and every row goes through the same $W$ and
# $b$. So a weight has $N$ ways to the loss, one through each row, and ways add:
#
# $$dW_{ij} = \sum_n x_{ni}\,dy_{nj} \;=\; (x^\top dy)_{ij}, \qquad db_j = \sum_n dy_{nj},
# \qquad dx = dy\,W^\top .$$
#
# The sum over rows is what the matrix product does anyway. $W$ is transposed in $dx$ because the
# sum runs over outputs, the second index of $W$. Each product is of the same size as the forward
# one: two products on the way back for one on the way forward. That is the whole price of knowing
# every gradient.
#
# The bias deserves a second look. NumPy adds $b$, of shape $(E,)$, to an $(N, E)$ array by
# pretending that there are $N$ copies of it: this is *broadcasting*. **The backward of a copy is a
# sum**, as the copies are $N$ ways to the loss. It is a general rule, and short as code:


# %%
def sum_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: sum over every axis along which an array of this shape was copied."""
    in_front = tuple(range(gradient.ndim - len(shape)))
    gradient = gradient.sum(axis=in_front)
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return gradient.sum(axis=stretched, keepdims=True)


column, row = np.zeros((2, 1)), np.zeros(3)
dsum = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])  # the gradient of column + row
print(f"to the column {sum_to(dsum, column.shape).tolist()}, to the row {sum_to(dsum, row.shape)}")
assert sum_to(dsum, column.shape).tolist() == [[6], [60]]
assert sum_to(dsum, row.shape).tolist() == [11, 22, 33]

# %% [markdown]
# The mirror image holds too: the backward of a sum is a copy, and the backward of a mean over $D$
# numbers is a copy divided by $D$. You will need both in a moment.
#
# !!! example "Exercise 2.1: a linear layer and its gradients"
#     Write the pair. The traps are the classical ones: a transpose too few or too many, which a
#     square matrix hides; a bias that is not summed, or summed over the wrong axes; a mean where
#     the sum belongs. Let it be checked as you save:
#
#     ```text
#     groundup watch 2.1
#     ```
#
# ::: source groundup.scratch.linear:linear folded
#
# ::: source groundup.scratch.linear:linear_backward folded
#
# ## Element by element
#
# Between two linear layers stands a bend; without one, two would be no more than one. The simplest
# is *ReLU*, $y = \max(x, 0)$, for each number by itself. Each output has one input, so the Jacobian
# has entries on its diagonal alone: 1 where $x > 0$, 0 where $x < 0$. A gradient passes or stops.
# At $x = 0$ there is a corner and no derivative; everyone picks one side, and so do we.
#
# ::: source groundup.scratch.activations:relu_backward
#
# Smooth bends work alike: $dx = dy \cdot f'(x)$, number by number.
#
# ## Softmax: everything depends on everything
#
# Often a layer must turn any numbers into weights that are positive and sum to one: probabilities
# of ten digits, or, in chapter 03, how much to look at each token. *Softmax* does it. With
# $S = \sum_k e^{x_k}$,
#
# $$p_i = \frac{e^{x_i}}{S} .$$
#
# Here every output depends on every input, since each $x_j$ sits in $S$. So the Jacobian is full.
# Two cases, both by the quotient rule. For the diagonal, numerator and denominator both change:
#
# $$\frac{\partial p_j}{\partial x_j} = \frac{e^{x_j}\,S - e^{x_j}\,e^{x_j}}{S^2} = p_j - p_j^2 =
# p_j\,(1-p_j) .$$
#
# Off the diagonal, only the denominator does:
#
# $$\frac{\partial p_i}{\partial x_j} = \frac{0\cdot S - e^{x_i}\,e^{x_j}}{S^2} = -p_i\,p_j .$$
#
# Let $\delta_{ij}$ be 1 for $i = j$ and 0 otherwise; then both read $p_i(\delta_{ij} - p_j)$. Now
# the vector–Jacobian product, with $g$ for the gradient that arrives at $p$:
#
# $$dx_j = \sum_i g_i\,p_i\,(\delta_{ij} - p_j) = g_j\,p_j - p_j\sum_i g_i\,p_i
# = p_j\Big(g_j - \sum_i g_i\,p_i\Big) .$$
#
# The sum is the mean of $g$, weighted by $p$. A logit (an input of softmax) is pushed according to
# how its own $g$ compares with this mean. And the square table has disappeared again.
#
# **By hand.** Let the exponentials be 1, 3 and 4, so $p = (1/8, 3/8, 4/8)$, and let
# $g = (8, 0, -8)$. The weighted mean is $1 + 0 - 4 = -3$, and
#
# $$dx = \left(\tfrac18(8+3),\ \tfrac38(0+3),\ \tfrac48(-8+3)\right)
# = \left(\tfrac{11}{8},\ \tfrac{9}{8},\ -\tfrac{20}{8}\right).$$
#
# It sums to zero, as it must: raise all three inputs together, and no weight changes. Look at the
# middle entry. Its $g$ is 0, so nobody asked for its weight to change. Yet its gradient is not 0:
# if $x_2$ rises, it takes weight from both others. Somebody who keeps only the diagonal of the
# Jacobian misses exactly this.

# %%
from groundup.scratch.activations import relu, relu_backward, softmax, softmax_backward

p = softmax(np.log([[1.0, 3.0, 4.0]]))
g = np.array([[8.0, 0.0, -8.0]])
jacobian = np.diag(p[0]) - np.outer(p[0], p[0])
print("Jacobian times 64:\n", (64 * jacobian).round(12))
print("whole Jacobian:  ", softmax_backward(g, p)[0])
print("diagonal alone:  ", (g * p * (1 - p))[0])
assert np.allclose(softmax_backward(g, p), [[11 / 8, 9 / 8, -20 / 8]])
assert np.allclose(g @ jacobian, softmax_backward(g, p))

# %% [markdown]
# One thing more: $e^{1000}$ is too large for a computer's number. Taking the same constant off all
# inputs changes nothing in $p$, so softmax takes off the largest one first. No exponential is then
# larger than 1.
#
# !!! example "Exercise 2.2: softmax and its gradient"
#     Write softmax, safe for inputs of ten thousand and for entries of minus infinity, and its
#     gradient with the whole Jacobian: `groundup watch 2.2`.
#
# ::: source groundup.scratch.activations:softmax folded
#
# ::: source groundup.scratch.activations:softmax_backward folded
#
# ## Layer norm, every step
#
# Numbers that pass through many layers tend to grow or to fade. *Layer norm* (Ba et al., 2016) puts
# every vector back on one scale: take off its mean, divide by its spread, then apply a learned
# scale $\gamma$ and shift $\beta$ to each entry. For a vector of $D$ numbers, in small steps:
#
# $$\mu = \tfrac1D\textstyle\sum_j x_j, \quad c_i = x_i - \mu, \quad v = \tfrac1D\sum_j c_j^2,
# \quad \sigma = \sqrt{v+\epsilon}, \quad \hat x_i = c_i/\sigma, \quad
# y_i = \gamma_i\hat x_i + \beta_i .$$
#
# The tiny $\epsilon$ prevents a division by zero. We go back through these steps in reverse order.
# At each we ask the one question: what does this number act on, and by how much?
#
# **$\gamma$ and $\beta$** are multiplied and added, in every vector. So
# $d\gamma_i = \sum dy_i\,\hat x_i$ and $d\beta_i = \sum dy_i$, summed over all vectors.
#
# **$\hat x$** is multiplied by $\gamma$: its gradient is $g_i = dy_i\,\gamma_i$.
#
# **$\sigma$** divides every entry. Since $\hat x_j = c_j/\sigma$ has the derivative
# $-c_j/\sigma^2 = -\hat x_j/\sigma$,
#
# $$d\sigma = -\frac1\sigma\sum_j g_j\,\hat x_j = -\frac{D}{\sigma}\,\overline{g\hat x},$$
#
# where a bar means the mean over the vector.
#
# **$c$** has two ways to the loss: directly to its own $\hat x_i$, with slope $1/\sigma$, and
# through $\sigma$. For the second we need the slope of $\sigma$. The mean of squares has the slope
# $2c_i/D$ and the root $1/(2\sigma)$; together $c_i/(D\sigma) = \hat x_i/D$. The two ways add:
#
# $$dc_i = \frac{g_i}{\sigma} + d\sigma\cdot\frac{\hat x_i}{D}
# = \frac1\sigma\left(g_i - \hat x_i\,\overline{g\hat x}\right).$$
#
# **$x$** has two ways as well: to its own $c_i$, with slope 1, and to *every* $c_j$ through the
# mean, with slope $-1/D$. So $dx_i = dc_i - \tfrac1D\sum_j dc_j = dc_i - \overline{dc}$. In
# $\overline{dc}$ the second part vanishes, because the mean of $\hat x$ is zero; what is left is
# $\bar g/\sigma$. The result:
#
# $$\boxed{\;dx_i = \frac1\sigma\left(g_i - \bar g - \hat x_i\,\overline{g\hat x}\right)\;}$$
#
# Read it. Two things are taken out of $g$: its mean, and its share along $\hat x$. They *must* go.
# Layer norm gives the same output if all of $x$ is shifted, or (but for $\epsilon$) stretched
# around its mean. So the gradient can have nothing to say about either.
#
# **By hand.** $x = (8, 2, 2, 0)$ has mean 3. Less the mean it is $(5, -1, -1, -3)$, with mean
# square $36/4 = 9$, so $\sigma = 3$ and $\hat x = (5, -1, -1, -3)/3$. Let $\gamma = 1$,
# $\epsilon = 0$ and $dy = (9, 0, 0, 3)$. Then $\bar g = 12/4 = 3$, and
# $\overline{g\hat x} = (15 - 3)/4 = 3$. So $dx_1 = (9 - 3 - 3\cdot\tfrac53)/3 = \tfrac13$, and in
# the same way $dx = (1, -2, -2, 3)/3$.

# %%
from groundup.scratch.normalization import (
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)

x = np.array([[8.0, 2.0, 2.0, 0.0]])
y, cache = layer_norm(x, np.ones(4), np.zeros(4), eps=0.0)
dx, _, _ = layer_norm_backward(np.array([[9.0, 0.0, 0.0, 3.0]]), cache)
print("3 y ", (3 * y[0]).round(12))
print("3 dx", (3 * dx[0]).round(12))
print(f"dx along a shift: {dx.sum():.0e}, along a stretch: {(dx * y).sum():.0e}")
assert np.allclose(3 * y, [[5, -1, -1, -3]])
assert np.allclose(3 * dx, [[1, -2, -2, 3]])
assert np.allclose([dx.sum(), (dx * y).sum()], 0)

# %% [markdown]
# !!! example "Exercise 2.3: layer norm and its gradients"
#     Write the pair: `groundup watch 2.3`. Among the traps: squares of $x$ in place of squares of
#     $x - \mu$, the two subtracted means, and $\gamma$ applied too late.
#
# ::: source groundup.scratch.normalization:layer_norm folded
#
# ::: source groundup.scratch.normalization:layer_norm_backward folded
#
# ## A table: the same row read twice
#
# A network computes with numbers, and its input is words. So the first layer is a table with a row
# of numbers for every word: an *embedding*. The token with id 4 reads row 4. There is nothing to
# differentiate in the id, but the rows are parameters like any other. Row $v$ was copied to every
# position that read it, and the backward of a copy is a sum:
#
# $$d\text{table}_v = \sum_{\text{positions that read } v} dx .$$
#
# A word that occurs twice must add twice. In NumPy this is where people stumble:

# %%
from groundup.scratch.linear import embedding, embedding_backward

ids = np.array([[2, 1, 2]])  # the word 2 stands twice
dx = np.array([[[1.0], [10.0], [100.0]]])
lost = np.zeros((3, 1))
lost[ids] += dx
_, cache = embedding(ids, np.zeros((3, 1)))
print("table[ids] += dx: ", lost[:, 0])
print("every one added:  ", embedding_backward(dx, cache)[:, 0])
assert lost[:, 0].tolist() == [0, 10, 100]
assert embedding_backward(dx, cache)[:, 0].tolist() == [0, 10, 101]

# %% [markdown]
# `+=` with an array of indices reads all rows, adds, and writes all rows back. Both visits of row 2
# start from zero, and the second overwrites the first. No error, no warning.
#
# !!! example "Exercise 2.4: an embedding table and its gradient"
#     Write the pair, and refuse ids that are not in the table: `groundup watch 2.4`.
#
# ::: source groundup.scratch.linear:embedding folded
#
# ::: source groundup.scratch.linear:embedding_backward folded
#
# ## The checker
#
# How do you know that a derivation is right? Go back to the method that was too slow: nudge and
# look. It is too slow to train with, but to *test* a layer on a few dozen numbers it is perfect,
# because it knows nothing of your derivation. Three decisions make it an instrument.
#
# **Both sides.** Expand a function around $x$ (its Taylor series):
#
# $$f(x\pm h) = f(x) \pm h f'(x) + \tfrac{h^2}{2}f''(x) \pm \tfrac{h^3}{6}f'''(x) + \dots$$
#
# From one side, $\frac{f(x+h)-f(x)}{h} = f' + \tfrac h2 f'' + \dots$: the error shrinks with $h$.
# From both sides $f$ and $f''$ cancel, and
#
# $$\frac{f(x+h) - f(x-h)}{2h} = f'(x) + \tfrac{h^2}{6} f'''(x) + \dots$$
#
# The error shrinks with $h^2$. This is the *central difference*.
#
# **A step that is small, but not too small.** A computer rounds. In float64 each value of $f$ is
# off by about $10^{-16}$ of its size. $f(x+h)$ and $f(x-h)$ agree in their leading digits, which
# cancel, so the rounding stays and is divided by $2h$. One error falls with $h^2$, the other grows
# with $1/h$. Their sum must look like a V. Here it is, measured on layer norm, whose exact gradient
# you derived above.


# %%
def one_number(x: Array, rest: list[Array]) -> float:
    """Layer norm, with its output summed up by fixed random weights."""
    gamma, beta, weights = rest
    return (layer_norm(x, gamma, beta)[0] * weights).sum()


def difference_error(h: float, dtype: type, central: bool) -> float:
    """Relative error of a gradient by differences, against the exact one."""
    x, rest = point.astype(dtype), [each.astype(dtype) for each in others]
    h, middle, found = dtype(h), one_number(x, rest), np.empty(x.shape)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = one_number(x, rest)
        x[index] = kept - h
        below = one_number(x, rest)
        x[index] = kept
        found[index] = (above - below) / (2 * h) if central else (above - middle) / h
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


rng = np.random.default_rng(0)
point = rng.normal(size=(4, 8))
others = [rng.normal(size=8), rng.normal(size=8), rng.normal(size=(4, 8))]
exact, _, _ = layer_norm_backward(others[2], layer_norm(point, *others[:2])[1])

steps = 10.0 ** -np.arange(0.0, 14.5, 0.5)
H5, H10 = 10, 20  # where 1e-5 and 1e-10 stand among the steps
KINDS = {
    "float64, both sides": (np.float64, True),
    "float64, one side": (np.float64, False),
    "float32, both sides": (np.float32, True),
}
errors = {k: np.array([difference_error(h, *kind) for h in steps]) for k, kind in KINDS.items()}
for name, values in errors.items():
    best = int(values.argmin())
    print(f"{name:20} best {values[best]:.0e} at h = {steps[best]:.0e}", end=", ")
    print(f"at 1e-5 {values[H5]:.0e}, at 1e-10 {values[H10]:.0e}")

fig, ax = figure(height=3.6)
for (name, values), colour, style in zip(errors.items(), COLOURS, ("-", "--", "-."), strict=False):
    ax.plot(steps, values, color=colour, linestyle=style, marker=".", label=name)
ax.axhline(1e-7, color=INK, linewidth=0.8)
ax.text(1e-14, 8e-8, "what we demand of a gradient", va="top", fontsize=8)
ax.set(xscale="log", yscale="log", xlabel="h (log scale)")
ax.set_ylabel("relative error of the gradient (log scale)")
ax.legend()
show(
    fig,
    "v",
    "To the right of each tip the error of a large step: it grows with h² for both sides, with h "
    "for one. To the left the rounding, divided by h. Central differences in float64 go far below "
    "the line, deepest near 1e-5; one side only just; float32 never.",
)

central, one_side, single = errors.values()
assert central[H5] < 1e-9
assert central[H10] > 1e-7
assert single.min() > 1e-6
assert central.min() < one_side.min() / 10

# %% [markdown]
# With $h = 10^{-5}$ the demand of $10^{-7}$ is met with room to spare. With $h = 10^{-10}$ a right
# gradient would fail. In float32 no step helps at all: the best is worse than what we must be able
# to see. So gradients are checked in float64, with the same code that trains in float32.
#
# Where is the tip? Let $f$ and its derivatives be of size 1. The sum
# $\tfrac{h^2}{6} + \tfrac{\varepsilon}{h}$, with $\varepsilon \approx 10^{-16}$, is smallest where
# its derivative $\tfrac h3 - \tfrac{\varepsilon}{h^2}$ is zero: at
# $h = \sqrt[3]{3\varepsilon} \approx 7\cdot10^{-6}$.
#
# **Relative error.** How large may the difference of two gradients be? That depends on how large
# they are. We divide the norm of the difference (its length as one long vector) by the larger of
# the two norms. Here a right gradient and one that is wrong by a factor of two, at three scales:

# %%
from groundup.scratch.gradcheck import check_gradients, compare, numerical_gradient

print("scale     absolute error          relative error")
print("           right     wrong        right     wrong")
for scale in (1e-6, 1.0, 1e6):
    weights = scale * others[2]
    by_differences = numerical_gradient(
        lambda w=weights: one_number(point, [*others[:2], w]), point
    )
    rows = [(k, np.linalg.norm(k * scale * exact - by_differences)) for k in (1, 2)]
    relative = [compare("x", k * scale * exact, by_differences).relative for k in (1, 2)]
    print(f"{scale:5.0e}   {rows[0][1]:8.0e}  {rows[1][1]:8.0e}", end="     ")
    print(f"{relative[0]:8.0e}  {relative[1]:8.0e}")
    assert relative[0] < 1e-7
    assert relative[1] > 1e-4

# %% [markdown]
# No limit on the absolute error could separate right from wrong in all three rows; the relative one
# does. The norm is of the whole array, not entry by entry, because an entry that is truly zero
# would compare rounding noise with nothing. For the same reason the library counts norms below 0.01
# as 0.01; that is why the wrong gradient of the first row is not at one half. So give the checker
# inputs whose gradients are about as large as one.
#
# !!! example "Exercise 2.5: the gradient checker"
#     Write `numerical_gradient`. It is a loop of six lines with four traps: one side, a wrong
#     divisor, a copy in place of the array that the function reads, an entry not put back.
#     `groundup watch 2.5`.
#
# ::: source groundup.scratch.gradcheck:numerical_gradient folded
#
# A layer's output is an array, and a difference needs one number. So the library's checker weighs
# the outputs with fixed *random* numbers and sums them up; the weights are the $dy$. Why not simply
# sum the outputs? With $\gamma = 1$ and $\beta = 0$ the outputs of layer norm sum to zero, whatever
# $x$ is. The gradient of that sum is zero, and a backward pass that returns nothing but zeros would
# be praised.
#
# ::: source groundup.scratch.gradcheck:check_gradients
#
# The copies are there because a backward pass that writes into its inputs would change what it is
# compared with. An array with more than 512 entries is not checked one by one:
# [compare_directions][groundup.scratch.gradcheck.compare_directions] moves all entries at once, each
# up or down at random, in sixteen such directions, and finds a wrong entry by halving.
#
# Now everything in this chapter, under the instrument:

# %%
TOKENS = np.array([[0, 2, 2], [3, 2, 0]])


def draw(**shapes: tuple[int, ...]) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def softmax_pair(x: Array) -> tuple[Array, Array]:
    p = softmax(x)
    return p, p


Rules = dict[str, tuple[Callable, Callable]]  # a forward and a backward function by name
RIGHT: Rules = {
    "linear": (linear, linear_backward),
    "relu": (relu, relu_backward),
    "softmax": (softmax_pair, softmax_backward),
    "layer_norm": (layer_norm, layer_norm_backward),
    "embedding": (embedding, embedding_backward),
}
INPUTS = {
    "linear": draw(x=(2, 3, 4), weight=(4, 5), bias=(5,)),
    "relu": draw(x=(3, 4)),
    "softmax": draw(x=(3, 4)),
    "layer_norm": draw(x=(2, 3, 4), gamma=(4,), beta=(4,)),
    "embedding": draw(table=(4, 3)),
}


def worst(name: str, rules: Rules) -> float:
    """The largest relative error over the inputs of a layer."""
    forward, backward = rules[name]
    if name == "embedding":
        forward = partial(forward, TOKENS)  # ids have no gradient
    found = check_gradients(forward, backward, INPUTS[name], np.random.default_rng(2))
    return max(error.relative for error in found)


for name in RIGHT:
    print(f"{name:11} {worst(name, RIGHT):.0e}")
    assert worst(name, RIGHT) < 1e-7
corner = np.zeros(1)
halves = numerical_gradient(lambda: float(relu(corner)[0].sum()), corner)
passed = relu_backward(np.ones(1), relu(corner)[1])
print(f"relu at exactly 0: differences say {halves[0]}, backward says {passed[0]}")
assert (halves[0], passed[0]) == (0.5, 0.0)

# %% [markdown]
# All are right to nine digits or more. The last line is a warning: within $h$ of a corner the
# difference straddles it, and the checker complains about a right gradient. Keep test inputs away
# from corners.
#
# ## Breaking it: wrong, and learning
#
# "The loss goes down, so the gradients are right." Let us see what that argument is worth. Here is
# a network from the layers above. It reads the seven tokens of a question from chapter 01 at fixed
# places, one after the other: look up, linear, layer norm, ReLU, linear, softmax. The loss is
# $-\ln p$ of the right digit, in nats (chapter 01); its gradient is $-1/p$ there and 0 elsewhere.
# Read the backward pass against the forward pass: the same lines, from the last to the first.

# %%
LENGTH, WIDTH, HIDDEN = 7, 24, 64


def fresh(rng: np.random.Generator) -> Params:
    def matrix(rows: int, columns: int) -> Array:
        return rng.normal(scale=rows**-0.5, size=(rows, columns))

    return {
        "table": rng.normal(size=(20, WIDTH)),
        "w1": matrix(LENGTH * WIDTH, HIDDEN),
        "b1": np.zeros(HIDDEN),
        "gamma": np.ones(HIDDEN),
        "beta": np.zeros(HIDDEN),
        "w2": matrix(HIDDEN, 10),
        "b2": np.zeros(10),
    }


def forward(params: Params, ids: IntArray, rules: Rules) -> tuple[Array, Cache]:
    do = {name: pair[0] for name, pair in rules.items()}
    tokens, cache0 = do["embedding"](ids, params["table"])  # (N, 7, 24)
    wide = tokens.reshape(len(ids), -1)  # (N, 168)
    hidden, cache1 = do["linear"](wide, params["w1"], params["b1"])  # (N, 64)
    normal, cache2 = do["layer_norm"](hidden, params["gamma"], params["beta"])
    active, cache3 = do["relu"](normal)
    logits, cache4 = do["linear"](active, params["w2"], params["b2"])  # (N, 10)
    p, cache5 = do["softmax"](logits)
    return p, (p, cache0, cache1, cache2, cache3, cache4, cache5)


def backward(answers: IntArray, cache: Cache, rules: Rules) -> tuple[float, Params]:
    p, cache0, cache1, cache2, cache3, cache4, cache5 = cache
    undo = {name: pair[1] for name, pair in rules.items()}
    rows, g = np.arange(len(p)), Params()
    dp = np.zeros_like(p)
    dp[rows, answers] = -1 / p[rows, answers] / len(p)
    dlogits = undo["softmax"](dp, cache5)
    dactive, g["w2"], g["b2"] = undo["linear"](dlogits, cache4)
    dnormal = undo["relu"](dactive, cache3)
    dhidden, g["gamma"], g["beta"] = undo["layer_norm"](dnormal, cache2)
    dwide, g["w1"], g["b1"] = undo["linear"](dhidden, cache1)
    g["table"] = undo["embedding"](dwide.reshape(len(p), LENGTH, WIDTH), cache0)
    return float(-np.log(p[rows, answers]).mean()), g


# %% [markdown]
# Four mistakes that are easily made. A step moves every parameter against its gradient, by 0.1
# times the gradient. Every run starts from the same numbers and sees the same 1,500 batches of 64
# questions. The second column of numbers checks the whole network at once: it moves all parameters
# together along one random direction $u$, and compares the slope of the loss with the sum of all
# gradients times $u$. That takes two forward passes, however many parameters there are. The third
# is the angle between the wrong gradient and the right one, both as one long arrow.


# %%
def bias_of_one_row(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    dx, dweight, _ = linear_backward(dy, cache)
    return dx, dweight, dy.reshape(-1, dy.shape[-1])[0]


def look_up(ids: IntArray, table: Array) -> tuple[Array, Cache]:
    return table[ids], (ids, table.shape)


def assigned(dx: Array, cache: Cache) -> Array:
    ids, shape = cache
    dtable = np.zeros(shape)
    dtable[ids] = dx
    return dtable


def norm(x: Array, gamma: Array, beta: Array) -> tuple[Array, Cache]:
    y, cache = layer_norm(x, gamma, beta)
    return y, (cache, gamma / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5))


def held_fixed(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    inner, slope = cache  # the slope, if mean and deviation did not depend on x
    _, dgamma, dbeta = layer_norm_backward(dy, inner)
    return dy * slope, dgamma, dbeta


def diagonal_alone(dp: Array, p: Array) -> Array:
    return dp * p * (1 - p)


MISTAKES: dict[str, Rules] = {
    "none": {},
    "bias of one row": {"linear": (linear, bias_of_one_row)},
    "table assigned": {"embedding": (look_up, assigned)},
    "norm held fixed": {"layer_norm": (norm, held_fixed)},
    "softmax diagonal": {"softmax": (softmax_pair, diagonal_alone)},
}


def loss_and_arrow(params: Params, rules: Rules) -> tuple[float, Array]:
    """The loss on 64 questions, and all gradients as one long vector."""
    some = splits.train.take(np.arange(64))
    loss, grads = backward(some.answers, forward(params, some.ids, rules)[1], rules)
    return loss, np.concatenate([grads[name].ravel() for name in params])


def one_direction(rules: Rules, h: float = 1e-5) -> float:
    """Relative error of the loss's slope along a random direction through all parameters."""
    rng = np.random.default_rng(3)
    params = fresh(rng)
    u = {name: rng.normal(size=value.shape) for name, value in params.items()}
    whole = np.concatenate([each.ravel() for each in u.values()])
    length = np.linalg.norm(whole)
    above, below = (
        loss_and_arrow({k: v + step / length * u[k] for k, v in params.items()}, rules)[0]
        for step in (h, -h)
    )
    slope = loss_and_arrow(params, rules)[1] @ whole / length
    return float(abs((above - below) / (2 * h) / slope - 1))


def angle(rules: Rules) -> float:
    """Degrees between these rules' gradient of the whole network and the right one."""
    params = fresh(np.random.default_rng(3))
    a, b = (loss_and_arrow(params, each)[1] for each in (RIGHT, rules))
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.degrees(np.arccos(min(1.0, cosine))))


def train(rules: Rules) -> tuple[Array, Params]:
    params, order = fresh(np.random.default_rng(0)), np.random.default_rng(1)
    losses = []
    for _ in range(1500):
        batch = splits.train.take(order.integers(len(splits.train), size=64))
        loss, grads = backward(batch.answers, forward(params, batch.ids, rules)[1], rules)
        losses.append(loss)
        if not np.isfinite(loss):
            break
        for name, value in params.items():
            value -= 0.1 * grads[name]
    return np.array(losses), params


def smooth(losses: Array, width: int = 50) -> Array:
    return np.convolve(losses, np.ones(width) / width, mode="valid")


print("                  checker's  along one   angle to   steps to a   right answers,")
print("mistake           error      direction   right one  loss of 0.1  unseen questions")
curves, reached, scores = {}, {}, {}
for name, wrong in MISTAKES.items():
    rules = RIGHT | wrong
    found = max(worst(layer, rules) for layer in rules)
    with np.errstate(all="ignore"):
        losses, params = train(rules)
    print(f"{name:16} {found:7.0e} {one_direction(rules):12.0e} {angle(rules):11.0f}°", end=" ")
    if np.isfinite(losses[-1]):
        curves[name] = smooth(losses)
        reached[name] = int(np.argmax(curves[name] < 0.1)) + 50
        p, _ = forward(params, splits.validation.ids, rules)
        scores[name] = (p.argmax(axis=-1) == splits.validation.answers).mean()
        print(f"{reached[name]:11,} {scores[name]:14.1%}")
        assert losses[-50:].mean() < 0.1 < 2 < losses[0]
    else:
        lowest = float(np.nanmin(losses))
        print(f"   falls from {losses[0]:.2f} to {lowest:.2f}, infinite at step {len(losses)}")
        assert lowest < losses[0]
    assert (found < 1e-7) == (one_direction(rules) < 1e-7) == (name == "none")
    assert angle(rules) < 90
assert reached["norm held fixed"] > 1.3 * reached["none"]
assert scores["norm held fixed"] < scores["none"]
assert max(reached["bias of one row"], reached["table assigned"]) < 1.1 * reached["none"]
assert set(MISTAKES) - set(curves) == {"softmax diagonal"}

# %%
fig, ax = figure()
for (name, curve), colour, style in zip(
    curves.items(), COLOURS, ("-", "--", ":", "-."), strict=False
):
    label = "right" if name == "none" else name
    ax.plot(np.arange(50, 50 + len(curve)), curve, color=colour, linestyle=style, label=label)
ax.set(xlabel="step", ylabel="training loss (nats)", yscale="log")
ax.legend()
show(
    fig,
    "wrong",
    "Three wrong backward passes and the right one (mean of 50 steps). All four curves look like "
    "learning, and two of the wrong ones can't be told from the right one.",
)

# %% [markdown]
# Read the table from left to right. The checker's verdict on the wrong rules is beyond doubt:
# millions of times above the limit. Their *training* tells almost nothing. Two of them run beside
# the right one, curve on curve. The frozen statistics of layer norm need many more steps for the
# same loss and end with more wrong answers, but the curve has a healthy shape: without the right
# one beside it, you would go looking for a better learning rate. Only the softmax is loud, and not
# at once. Its right digit is always pushed up and no other ever down; all logits grow together
# until the numbers overflow.
#
# Why do wrong gradients learn? To go downhill you need not take the steepest way. Any direction
# less than 90 degrees away from it goes down, if the steps are small, and all four angles are below
# that. **That the loss falls proves that the direction was not hopeless. It does not prove that it
# was right.**
#
# ### Wrong, and consistent
#
# The most patient mistakes are those where forward and backward agree with each other. Say that a
# softmax is to be softer, so the forward pass divides by 4 first. The cache holds $p$. The backward
# pass applies the rule for $p$, which is right for $p$, and the factor is forgotten.


# %%
def softer(x: Array) -> tuple[Array, Array]:
    p = softmax(x / 4)
    return p, p


[error] = check_gradients(softer, softmax_backward, draw(x=(3, 4)), np.random.default_rng(2))
print("factor forgotten: ", error)
assert abs(error.expected * 4 - error.received) < 1e-6

norms = draw(x=(3, 4), gamma=(4,))
found = check_gradients(rms_norm, rms_norm_backward, norms, np.random.default_rng(2))
print("an impostor:      ", *found, sep="\n  ")
print("means of its outputs: ", rms_norm(norms["x"], np.ones(4))[0].mean(axis=-1).round(3))
assert max(each.relative for each in found) < 1e-7

# %% [markdown]
# The gradient is too long by a factor of 4 and points in exactly the right direction. No curve will
# ever show it: it looks like another learning rate in one layer. The checker sees it, since it
# never looks at the cache. It asks the forward function itself. And it names the worst entry, where
# received and expected differ by the factor: a clue to what is missing.
#
# The second case is the checker's limit. Suppose that somebody meant layer norm and wrote
# [rms_norm][groundup.scratch.normalization.rms_norm], which does not take off the mean (chapter 09
# uses it on purpose). The checker is content: the backward pass *is* the derivative of the forward
# pass. That the forward pass is not what was meant, it can't know. Its outputs' means, which should
# be zero, tell. **A gradient check compares two pieces of your code with each other.** It needs a
# companion that knows the right answer: an example by hand, a property, or another library.
#
# ## What practitioners do differently
#
# - **They let the machine apply the rule.** PyTorch records every operation in the forward pass and
#   calls each one's backward function in reverse (Paszke et al., 2019). The functions are those of
#   this chapter. Chapter 08 takes ours out and compares every number.
# - **They still write some by hand.** Where speed counts, several operations become one with a
#   backward of its own; chapter 10 does so for attention. Such code is tested with
#   `torch.autograd.gradcheck`: central differences, float64, a step of $10^{-6}$.
# - **They pay for the cache.** Every linear layer keeps its input until the way back. So training
#   needs far more memory than use. One remedy is to keep few caches and compute the others a second
#   time (Chen et al., 2016).
# - **They know a difference without rounding.** For $f$ built from smooth formulas, evaluate it at
#   the complex number $x + ih$: the imaginary part divided by $h$ is $f'(x)$, and nothing is
#   subtracted, so $h$ may be $10^{-20}$ (Squire and Trapp, 1998).

# %%
by_complex, bent = np.empty(point.shape), point.astype(complex)
for index in np.ndindex(point.shape):
    bent[index] += 1e-20j
    by_complex[index] = one_number(bent, others).imag / 1e-20
    bent[index] = point[index]
error = np.linalg.norm(by_complex - exact) / np.linalg.norm(exact)
print(f"relative error with a complex step of 1e-20: {error:.0e}")
assert error < 1e-14

# %% [markdown]
# ## What you know now, and what is missing
#
# How does an error travel back through a computation? **As a vector, from the loss to the inputs,
# multiplied at every layer by that layer's slopes. Along a path slopes multiply; where paths meet,
# they add.** What was copied is summed, what was summed is copied. And you have an instrument that
# says whether you did it right.
#
# To test yourself beyond the exercises: give layer norm vectors of *two* entries and
# $\epsilon = 0$, and explain why $dx$ is zero for every $dy$. Add a fifth mistake of your own to
# the table above, and guess its line before you look.
#
# The little network answers nearly all questions, so are we done? Look at how it reads. Its first
# matrix has a set of weights of its own for each of the seven places. What it has learned about a
# digit in the fourth place says nothing about the same digit in the fifth. And a question with one
# digit more does not fit at all:

# %%
from groundup.scratch.tasks.digits import tokenize

longer = np.array([tokenize("Max ( 5 3 9 4 )")])
try:
    forward(params, longer, RIGHT)
except ValueError as error:
    print(f"{longer.shape[1]} tokens: {error}")
else:
    raise AssertionError("a longer question must not fit")

# %% [markdown]
# What we want is a layer with one set of weights for all places, in which a position can *look* at
# another, however many there are, and decide for itself which one matters. That is attention, and
# it is chapter 03.
#
# ## Sources
#
# - S. Linnainmaa (1976), *Taylor expansion of the accumulated rounding error*, BIT 16: the backward
#   method for any computation, from his thesis of 1970.
# - D. Rumelhart, G. Hinton, R. Williams (1986), *Learning representations by back-propagating
#   errors*, Nature 323.
# - J. Bridle (1990), *Probabilistic interpretation of feedforward classification network outputs*:
#   the name softmax.
# - W. Squire, G. Trapp (1998), *Using complex variables to estimate derivatives of real functions*,
#   SIAM Review 40(1).
# - V. Nair, G. Hinton (2010), *Rectified linear units improve restricted Boltzmann machines*, ICML.
# - A. Baydin, B. Pearlmutter, A. Radul, J. Siskind (2015), *Automatic differentiation in machine
#   learning: a survey*, arXiv 1502.05767.
# - T. Chen, B. Xu, C. Zhang, C. Guestrin (2016), *Training deep nets with sublinear memory cost*,
#   arXiv 1604.06174.
# - J. Ba, J. Kiros, G. Hinton (2016), *Layer normalization*, arXiv 1607.06450.
# - A. Paszke et al. (2019), *PyTorch: an imperative style, high-performance deep learning library*,
#   arXiv 1912.01703.
