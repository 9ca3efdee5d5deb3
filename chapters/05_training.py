# %% [markdown]
# # Training
#
# You stand on a hillside in fog and want to reach the valley. Your foot can feel the ground: it
# falls to the left, steeply. That is a gradient. Now the question that matters: **how far should
# you step?** The ground under your foot does not say. It does not say whether the slope ends after
# one pace or goes on for a mile, whether a stone made it steep just here, or whether you have come
# down this same bank ten times already.
#
# A gradient is a fact about one point and one batch of examples. An *optimizer* is the rule that
# turns gradients into steps. This chapter asks: **what does an optimizer know that the gradient
# does not?** You will work through the first three steps of the most used one, Adam, with a pencil.
# Then you will train the encoder of chapter 04 until it answers at least 99.5% of questions it has
# never seen, and break the training on purpose to see what each part was for.
#
# ## Why a gradient is not a step
#
# Write $\theta$ for one parameter and $g = \partial L/\partial\theta$ for the derivative of the
# loss $L$. *Gradient descent* moves against it:
#
# $$\theta \leftarrow \theta - \eta\, g$$
#
# The number $\eta$ is the *learning rate*. Look at the units. If the loss is measured in nats (the
# unit of a natural logarithm, chapter 01), then $g$ is in nats per unit of $\theta$. A step must be
# in units of $\theta$. So $\eta$ must be in units of $\theta$ squared per nat: it hides a scale
# that belongs to this loss and this parameter. Measure the loss in bits instead, and every gradient
# grows by the factor $1/\ln 2$. No hill has changed, yet every step is longer.
#
# How long may a step be? Take the simplest valley, $L = \tfrac{c}{2}\theta^2$. Its gradient is
# $c\,\theta$, and $c$ is its *curvature*: how fast the slope changes. One step gives
#
# $$\theta \leftarrow \theta - \eta c\,\theta = (1 - \eta c)\,\theta .$$
#
# Each step multiplies $\theta$ by $1-\eta c$. The size of $\theta$ shrinks only if this factor lies
# between −1 and 1, so only if $\eta < 2/c$. Beyond that every step overshoots to a higher place on
# the other side.
#
# A network has many parameters with many curvatures. Here are two: curvature 1 along $x$ and 100
# along $y$, a long narrow valley whose lowest point is $(10, 1)$. The steep direction demands
# $\eta < 0.02$. The flat direction would like a step a hundred times longer and must wait.

# %%
import os
import time
from collections.abc import Callable
from math import comb

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.scratch.types import Array

LOWEST = np.array([10.0, 1.0])
VALLEY = np.diag([1.0, 100.0])  # the curvatures


def height(points: Array, valley: Array) -> Array:
    away = points - LOWEST
    return 0.5 * ((away @ valley) * away).sum(axis=-1)


def slope(point: Array, valley: Array) -> Array:
    return valley @ (point - LOWEST)


for lr in (0.0199, 0.0201):
    point = np.zeros(2)
    for _ in range(1000):
        point = point - lr * slope(point, VALLEY)
    print(f"rate {lr}: height {height(point, VALLEY):9.3g} after 1,000 steps from height 100")

# %% [markdown]
# A change of one percent in the rate decides between arriving and flying off. The limit is set by
# the steepest direction alone.
#
# ## The first thing to know: the past
#
# Look at what the gradient does along the steep direction when the rate is near its limit. The
# point jumps from one wall to the other, so the gradient changes its sign at every step. Along the
# flat direction it keeps its sign. One gradient cannot show this. A *memory* of gradients can: a
# sum over the past cancels what alternates and collects what persists. This is *momentum* (Polyak,
# 1964):
#
# $$u \leftarrow \beta u + g, \qquad \theta \leftarrow \theta - \eta\, u .$$
#
# With $\beta = 0.9$ a gradient that never changes adds up to $g(1 + 0.9 + 0.81 + \dots) = 10\,g$:
# ten times the speed along the valley floor. The name for descent with gradients from random
# batches, with or without this memory, is *stochastic gradient descent*, SGD.
#
# As code, a rule takes a parameter, its gradient and its memory, and returns the new parameter:

# %%
Rule = Callable[[Array, Array, dict, int, float], Array]


def sgd(x: Array, g: Array, memory: dict, step: int, lr: float) -> Array:
    return x - lr * g


def momentum(x: Array, g: Array, memory: dict, step: int, lr: float) -> Array:
    memory["u"] = 0.9 * memory.get("u", 0.0) + g
    return x - lr * memory["u"]


# %% [markdown]
# ## The second thing: the scale
#
# Momentum still shares one rate among all directions. Adam (Kingma and Ba, 2014) keeps a second
# memory for every parameter: how large its gradients have been. It divides by that, and the scale
# of the gradient cancels. The two memories are running means of the gradient and of its square:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\,g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\,g^2 .$$
#
# A running mean is a weighted average in which old values fade. With $\beta_1 = 0.9$ the newest
# gradient has weight 0.1, the one before it 0.09, then 0.081, and so on.
#
# ### Three steps with a pencil
#
# One parameter, one curve: $L = 2\theta^2$, so $g = 4\theta$. Start at $\theta = 1$ with
# $\eta = 0.1$, $\beta_1 = 0.9$, $\beta_2 = 0.999$, and both memories at zero.
#
# **Step 1.** $g = 4$. Then $m = 0.1 \cdot 4 = 0.4$ and $v = 0.001 \cdot 16 = 0.016$.
#
# Stop here and look. The only gradient so far is 4, but $m$, which claims to be its mean, says 0.4.
# The memory started at zero, and zero still holds nine tenths of the weight. The weights given to
# real gradients sum to 0.1 in $m$ and to 0.001 in $v$. Divide by these sums, and the averages are
# honest. This is the *bias correction*:
#
# $$\hat m = \frac{0.4}{0.1} = 4, \qquad \hat v = \frac{0.016}{0.001} = 16 .$$
#
# What is the sum after $t$ steps? The weights are $(1-\beta)(1 + \beta + \dots + \beta^{t-1})$.
# Multiply out: every term but the first and the last cancels, and $1 - \beta^t$ is left. So the
# correction divides by $1-\beta_1^t$ and $1-\beta_2^t$. The step is
#
# $$\Delta = -\eta\,\frac{\hat m}{\sqrt{\hat v}} = -0.1 \cdot \frac{4}{\sqrt{16}} = -0.1,
# \qquad \theta = 0.9 .$$
#
# The 4 has cancelled. The first step of Adam is $-\eta$ times the sign of the gradient, whatever
# its size. **The learning rate is now in units of the parameter:** it says how far to move.
#
# **Step 2.** $g = 4 \cdot 0.9 = 3.6$.
#
# - $m = 0.9 \cdot 0.4 + 0.1 \cdot 3.6 = 0.72$, and $1 - 0.9^2 = 0.19$, so
#   $\hat m = 0.72/0.19 = 3.789474$.
# - $v = 0.999 \cdot 0.016 + 0.001 \cdot 12.96 = 0.028944$, and $1 - 0.999^2 = 0.001999$, so
#   $\hat v = 14.479240$ with root $3.805160$.
# - $\Delta = -0.1 \cdot 3.789474 / 3.805160 = -0.099588$, and $\theta = 0.800412$.
#
# **Step 3.** $g = 4 \cdot 0.800412 = 3.201649$.
#
# - $m = 0.9 \cdot 0.72 + 0.1 \cdot 3.201649 = 0.968165$; divided by $1 - 0.9^3 = 0.271$, that is
#   $\hat m = 3.572564$.
# - $v = 0.999 \cdot 0.028944 + 0.001 \cdot 10.250558 = 0.039166$; divided by
#   $1 - 0.999^3 = 0.002997$, that is $\hat v = 13.068269$ with root $3.615006$.
# - $\Delta = -0.1 \cdot 3.572564 / 3.615006 = -0.098826$, and $\theta = 0.701586$.
#
# The gradient fell by a fifth in two steps, and the steps hardly changed. The running mean follows
# the gradient down a little faster than the running mean square does, which is why they shrink at
# all. Now the library's [adam][groundup.scratch.optim.adam] on the same curve:

# %%
from groundup.scratch.optim import adam

BY_HAND = {1: (4.0, -0.1, 0.9), 2: (3.6, -0.099588, 0.800412), 3: (3.201649, -0.098826, 0.701586)}

theta = np.array(1.0)
m = v = np.zeros(())
print("step  gradient         m          v     change     theta")
for step, expected in BY_HAND.items():
    g = 4 * theta
    change, m, v = adam(g, m, v, step, lr=0.1)
    theta = theta + change
    print(f"{step:4}  {g:8.6f}  {m:8.6f}   {v:8.6f}  {change:9.6f}  {theta:8.6f}")
    assert np.allclose([g, change, theta], expected, rtol=0, atol=1e-6)

theta = np.array(1.0)
m = v = np.zeros(())
for step in BY_HAND:  # the same curve, a thousand times as steep
    change, m, v = adam(4000 * theta, m, v, step, lr=0.1)
    theta = theta + change
print(f"a thousand times as steep: theta after three steps {theta:.6f}")
assert abs(theta - 0.701586) < 1e-6

# %% [markdown]
# The numbers agree to the last printed digit. The curve that is a thousand times as steep gives the
# same three steps.
#
# The published rule has one more symbol, $\epsilon = 10^{-8}$, added to the root so that a gradient
# that has always been zero does not divide by zero:
# $\Delta = -\eta\,\hat m/(\sqrt{\hat v} + \epsilon)$. Here it changes the ninth digit.
#
# !!! example "Exercise 5.1: Adam"
#     Write one step of Adam for one parameter array: gradient, two memories and the step number
#     in, the change and the new memories out. The traps are the ones people really fall into: the
#     step that counts from 0, the correction on one memory only, $\epsilon$ under the root. Check
#     it with
#
#     ```
#     groundup watch 5.1
#     ```
#
#     Afterwards run `groundup chapter 5 --mine 5.1`: the experiments below then stand on your
#     function, and a report compares its run with the library's.
#
# ::: source groundup.scratch.optim:adam folded

# %% [markdown]
# ## One valley, four rules
#
# Back to the valley with curvatures 1 and 100. *Weight decay* is the fourth idea: at each step
# every weight also shrinks by a small share of itself, so that a weight stays large only while the
# loss asks for it. AdamW (Loshchilov and Hutter, 2017) is Adam with this shrinking done separately:
# $\theta \leftarrow (1 - \eta\lambda)\,\theta + \Delta$, with $\lambda$ the strength of the decay.


# %%
def adam_rule(x: Array, g: Array, memory: dict, step: int, lr: float) -> Array:
    zeros = np.zeros_like(g)
    change, memory["m"], memory["v"] = adam(
        g, memory.get("m", zeros), memory.get("v", zeros), step, lr
    )
    return x + change


def adamw_rule(x: Array, g: Array, memory: dict, step: int, lr: float) -> Array:
    decayed = (1 - lr * 0.05) * x  # λ = 0.05
    return adam_rule(decayed, g, memory, step, lr)


RULES: dict[str, tuple[Rule, float]] = {
    "SGD": (sgd, 0.018),
    "momentum": (momentum, 0.018),
    "Adam": (adam_rule, 0.3),
    "AdamW": (adamw_rule, 0.3),
}


def descend(rule: Rule, lr: float, valley: Array, start: Array, steps: int) -> Array:
    """The path (steps + 1, 2) of a point that a rule moves."""
    path, memory = [start], {}
    for step in range(1, steps + 1):
        path.append(rule(path[-1], slope(path[-1], valley), memory, step, lr))
    return np.array(path)


fig, axes = figure(2, 2, height=4.6, sharex=True, sharey=True)
x, y = np.meshgrid(np.linspace(-1, 14, 120), np.linspace(-0.6, 2.6, 120))
levels = height(np.stack([x, y], axis=-1), VALLEY)
for i, (ax, (name, (rule, lr))) in enumerate(zip(axes.flat, RULES.items(), strict=True)):
    path = descend(rule, lr, VALLEY, np.zeros(2), 60)
    ax.contour(x, y, levels, levels=[1, 5, 15, 40, 80], colors=INK, linewidths=0.5)
    ax.plot(*path.T, color=COLOURS[i], linestyle="-", marker=".", markersize=4, linewidth=1)
    ax.plot(*LOWEST, marker="+", color=INK, markersize=11, markeredgewidth=2)
    ax.set_title(f"{name}, rate {lr}")
for ax in axes[1]:
    ax.set_xlabel("x (curvature 1)")
for ax in axes[:, 0]:
    ax.set_ylabel("y (curvature 100)")
show(
    fig,
    "paths",
    "60 steps from (0, 0); the cross is the lowest point. SGD bounces off the steep walls and "
    "creeps along the floor. Momentum and Adam cover the floor. AdamW lags on the side of the "
    "origin, towards which its decay pulls. (The y axis is stretched.)",
)

# %% [markdown]
# Look at the first few steps of Adam: it moves along the diagonal, equally fast in $x$ and in $y$,
# because each direction is divided by its own scale. (The y axis of the figure is stretched, so
# the diagonal looks steeper than it is.) Look at where AdamW is after 60 steps: short of the lowest
# point, on the side of zero. At each step the decay takes back a small share of $x$. On this toy
# that is only a brake. In training, where batches disagree about many weights, it keeps small
# those that no batch insists on.
#
# Has Adam solved the narrow valley? Turn the valley by 45 degrees and ask again. The landscape is
# the same, only the coordinate axes lie differently in it.

# %%
turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
print("steps until the height stays below 0.01")
print("             along the axes   turned by 45°")
counts = {}
for name in ("SGD", "momentum", "Adam"):
    rule, _ = RULES[name]
    lr = 0.1 if name == "Adam" else 0.018
    for frame in (np.eye(2), turn):
        valley = frame @ VALLEY @ frame.T
        path = descend(rule, lr, valley, LOWEST - frame @ LOWEST, 2000)
        counts.setdefault(name, []).append(np.flatnonzero(height(path, valley) >= 0.01)[-1] + 1)
    print(f"{name:10} {counts[name][0]:16} {counts[name][1]:15}")
assert counts["SGD"][0] == counts["SGD"][1]
assert counts["Adam"][1] > 1.5 * counts["Adam"][0]

# %% [markdown]
# SGD and momentum do not notice the turn: they treat all directions alike. Adam does. It keeps one
# scale for each *parameter*, so it can stretch the landscape along the axes and in no other
# direction. When the valley runs diagonally, both parameters see the same mixture of steep and
# flat, and dividing by their equal scales changes nothing. Adam knows a scale for each coordinate;
# it knows nothing of how coordinates act together.
#
# ### Why the decay stands outside
#
# Before AdamW, decay was written as a penalty $\tfrac{\lambda}{2}\theta^2$ in the loss. Its
# gradient $\lambda\theta$ is added to $g$ and travels through Adam with it. For SGD the two forms
# are one: $\theta - \eta(g + \lambda\theta) = (1-\eta\lambda)\theta - \eta g$. For Adam they are
# not. Take the first step with $g = 1$, $\theta = 1$, $\lambda = 0.1$. Coupled, the gradient is
# 1.1, and the first step is $-\eta$ with the decay or without it: dividing by the scale has erased
# it. On a longer run, here is one weight whose gradient alternates between $+G$ and $-G$. The loss
# asks for nothing, so the decay should have its way.

# %%
LAMBDA, RATE, STEPS = 0.1, 0.01, 1000
print("one weight, from 1.0, after 1,000 steps; the decay alone leaves", end=" ")
print(f"{(1 - RATE * LAMBDA) ** STEPS:.3f}")
print("gradient ±G    coupled   decoupled")
ends = {}
for size in (0.1, 1.0, 10.0):
    for coupled in (True, False):
        w, m, v = np.array(1.0), np.zeros(()), np.zeros(())
        for step in range(1, STEPS + 1):
            g = size if step % 2 else -size
            if coupled:
                change, m, v = adam(g + LAMBDA * w, m, v, step, RATE)
                w = w + change
            else:
                change, m, v = adam(np.array(g), m, v, step, RATE)
                w = (1 - RATE * LAMBDA) * w + change
        ends[size, coupled] = float(w)
    print(f"{size:11} {ends[size, True]:10.3f} {ends[size, False]:11.3f}")
decoupled = [w for (_, coupled), w in ends.items() if not coupled]
assert np.ptp(decoupled) < 1e-6
assert ends[10.0, True] > 2 * ends[1.0, True] > 100 * ends[0.1, True]

# %% [markdown]
# Coupled, a weight with small gradients is wiped out and a weight with large ones hardly decays:
# the penalty was divided by a scale that has nothing to do with it. Decoupled, all three weights
# decay by the same known factor.
#
# The library's [AdamW][groundup.scratch.optim.AdamW] applies decay to matrices only. A bias or a
# norm's scale has few entries and no need to be near zero. Embeddings are left out too: the row of
# a rare token would shrink at every step and be renewed at few.
#
# ::: source groundup.scratch.optim:AdamW.step
#
# ## Where the gradient begins: cross-entropy
#
# So far the loss was a toy. For the digit task the network returns ten *logits* $z$ for each
# question: one score for each digit, of any size and sign. Softmax (chapter 03) turns them into
# probabilities $p$. The loss is the *cross-entropy*, $-\ln p_t$, where $t$ is the right digit: the
# surprise, in nats, at seeing it. Backpropagation starts with the gradient of this loss with
# respect to the logits. Let us derive it, with two classes first.
#
# **Two classes.** Let the right class be 1. Only the difference $d = z_1 - z_0$ counts:
#
# $$p_1 = \frac{e^{z_1}}{e^{z_0} + e^{z_1}} = \frac{1}{1 + e^{-d}}, \qquad
# L = -\ln p_1 = \ln\left(1 + e^{-d}\right).$$
#
# By the chain rule, and because $1 - p_1 = e^{-d}/(1+e^{-d})$,
#
# $$\frac{dL}{dd} = \frac{-e^{-d}}{1 + e^{-d}} = -(1 - p_1) = p_1 - 1 .$$
#
# Now $\partial d/\partial z_1 = 1$ and $\partial d/\partial z_0 = -1$, so
#
# $$\frac{\partial L}{\partial z_1} = p_1 - 1, \qquad
# \frac{\partial L}{\partial z_0} = 1 - p_1 = p_0 .$$
#
# Read it: *the probabilities, with one taken off the right class.* With $z = (0, \ln 3)$ the
# probabilities are $1/4$ and $3/4$, the loss is $\ln\tfrac43 = 0.287682$, and the gradient is
# $(0.25, -0.25)$. The wrong logit should fall and the right one rise, by as much.
#
# **Any number of classes.** Write $S = \sum_k e^{z_k}$ for the sum inside softmax. Then
# $p_t = e^{z_t}/S$, and the logarithm splits the fraction:
#
# $$L = -\ln\frac{e^{z_t}}{S} = \ln S - z_t .$$
#
# Differentiate the two terms with respect to a logit $z_j$. For the first,
# $\partial S/\partial z_j = e^{z_j}$, since only one term of the sum contains $z_j$. So
#
# $$\frac{\partial \ln S}{\partial z_j} = \frac{1}{S}\,\frac{\partial S}{\partial z_j}
# = \frac{e^{z_j}}{S} = p_j .$$
#
# The second, $z_t$, has derivative 1 if $j = t$ and 0 otherwise; write $[j = t]$ for that.
# Together:
#
# $$\boxed{\;\frac{\partial L}{\partial z_j} = p_j - [j = t]\;}$$
#
# It is the result for two classes again. A batch has $B$ rows and its loss is their mean, so each
# row's gradient carries the factor $1/B$. Note what the form $\ln S - z_t$ spares you: the
# logarithm of a tiny probability is never taken. Subtracting the largest logit from all of them
# first changes nothing in $L$ and keeps every exponential at most 1.

# %%
from groundup.scratch.gradcheck import compare, numerical_gradient
from groundup.scratch.loss import cross_entropy, cross_entropy_backward

loss, cache = cross_entropy(np.array([[0.0, np.log(3)]]), np.array([1]))
dlogits = cross_entropy_backward(cache)
print(f"two classes: loss {loss:.6f}, gradient {dlogits.round(6).tolist()}")
assert abs(loss - 0.287682) < 1e-6
assert np.allclose(dlogits, [[0.25, -0.25]])

rng = np.random.default_rng(0)
logits, targets = 2 * rng.normal(size=(6, 10)), rng.integers(10, size=6)
received = cross_entropy_backward(cross_entropy(logits, targets)[1])
expected = numerical_gradient(lambda: cross_entropy(logits, targets)[0], logits)
error = compare("logits", received, expected)
print(f"six rows, ten classes, against finite differences: {error}")
assert error.relative < 1e-7
assert np.allclose(received.sum(axis=-1), 0)

# %% [markdown]
# !!! example "Exercise 5.2: cross-entropy, forward and backward"
#     Write the pair: the mean loss of a batch, and its gradient with respect to the logits. It must
#     survive logits of ten thousand. Check it with `groundup watch 5.2`.
#
# ::: source groundup.scratch.loss:cross_entropy folded
#
# ::: source groundup.scratch.loss:cross_entropy_backward folded
#
# Why this loss, and not the squared error $(p_t - 1)^2$? Let a network be wrong and sure of it.

# %%
sure_and_wrong = np.array([[10.0, 0.0]])  # the right class is 1
_, cache = cross_entropy(sure_and_wrong, np.array([1]))
p = np.exp(sure_and_wrong[0]) / np.exp(sure_and_wrong[0]).sum()
squared = 2 * (p[1] - 1) * p[1] * (1 - p[1])  # chain rule through dp₁/dz₁ = p₁(1 − p₁)
print(f"gradient at the right logit: cross-entropy {cross_entropy_backward(cache)[0, 1]:.5f}")
print(f"                             squared error {squared:.5f}")
assert abs(squared) < 1e-3 < 0.99 < abs(cross_entropy_backward(cache)[0, 1])

# %% [markdown]
# Where help is needed most, the squared error has almost no gradient, because softmax is flat
# there. The logarithm of cross-entropy undoes the exponential of softmax, and what remains is
# plain: the gradient is as large as the mistake.
#
# ## The four rules on the task
#
# Now the real thing: the encoder of chapter 04 and the splits of chapter 01, which share no input.
# Each rule gets the same initial weights, the same batches of $B = 64$ and a constant rate, chosen
# beforehand as the best of a small grid in factors of about three.

# %%
from groundup.scratch.digits import OPERATIONS, make_splits
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.trainer import accuracy, batches, loss_and_gradients

B = 64
splits = make_splits(np.random.default_rng(0))


def run(
    rule: Rule, rate: Callable[[int], float], steps: int, scale: float = 1.0
) -> tuple[Encoder, list[float]]:
    """Train a fresh digit model by a rule; ``scale`` multiplies every gradient."""
    model = Encoder.create(EncoderConfig(), np.random.default_rng(0))
    memory: dict[str, dict] = {name: {} for name in model.params}
    source, losses = batches(splits.train, B, seed=0), []
    for step in range(1, steps + 1):
        loss, grads = loss_and_gradients(model, next(source))
        losses.append(loss)
        if not np.isfinite(loss):
            break
        for name, x in model.params.items():
            x[...] = rule(x, scale * grads[name], memory[name], step, rate(step))
    return model, losses


def smooth(losses: list[float], width: int = 15) -> Array:
    """Running mean of the last ``width`` values (fewer at the start)."""
    total = np.cumsum(np.concatenate([[0.0], losses]))
    last = np.arange(1, len(losses) + 1)
    first = np.maximum(last - width, 0)
    return (total[last] - total[first]) / (last - first)


TASK_RATES = {"SGD": 0.1, "momentum": 0.01, "Adam": 0.001, "AdamW": 0.001}
print("150 steps        rate   loss (nats)   validation accuracy")
histories = {}
for name, lr in TASK_RATES.items():
    model, histories[name] = run(RULES[name][0], lambda step, lr=lr: lr, 150)
    score = accuracy(model, splits.validation)["all"]
    print(f"{name:12} {lr:8} {smooth(histories[name], 30)[-1]:13.3f} {score:20.1%}")
    assert smooth(histories[name], 30)[-1] < 1.0

# %% [markdown]
# Read this table soberly. On a small task, with a rate searched for it, plain SGD does its work.
# The case for Adam is not that it always wins. It is what happens when something changes. Somebody
# now *sums* the loss over the batch instead of taking the mean, a common slip that multiplies every
# gradient by $B = 64$:

# %%
print(f"the same rates, gradients times {B}")
for name in ("SGD", "Adam"):
    with np.errstate(all="ignore"):
        _, losses = run(RULES[name][0], lambda step, lr=TASK_RATES[name]: lr, 150, scale=B)
    if np.isfinite(losses[-1]):
        gap = np.abs(smooth(losses, 30)[-1] - smooth(histories[name], 30)[-1])
        print(f"{name:6} loss {smooth(losses, 30)[-1]:.3f}, {gap:.3f} from the run above")
        assert name == "Adam"
        assert gap < 0.1
    else:
        print(f"{name:6} not finite after {len(losses)} steps")
        assert name == "SGD"

# %% [markdown]
# SGD is gone within a few steps. Adam does not notice. Transformers have gradients of very
# different scales in their different parts, and in language a rare word's row sees a gradient far
# less often than a common one's. A rule that finds every parameter's scale by itself needs one rate
# where SGD would need many. Kunstner et al. (2024) show that such heavy-tailed frequencies are
# where Adam gains most.
#
# ## Choosing the rate: a range test
#
# Adam takes the scale of the gradient out of the rate. It does not choose the rate. A quick way to
# see which rates are sensible is the *range test* (Smith, 2015): start far too small, multiply the
# rate by a constant at every step, and watch the loss.

# %%
LOW, HIGH, COUNT = 1e-5, 1.0, 150


def rising(step: int) -> float:
    return float(LOW * (HIGH / LOW) ** ((step - 1) / (COUNT - 1)))


with np.errstate(all="ignore"):
    _, losses = run(adam_rule, rising, COUNT)
rates = np.array([rising(step) for step in range(1, len(losses) + 1)])
curve = smooth(losses, 10)
best = rates[int(np.nanargmin(curve))]
chosen = 2e-3
print(f"lowest smoothed loss at a rate of {best:.1e}; the run below uses {chosen:.0e}")
assert best / 30 < chosen < best

fig, ax = figure()
ax.plot(rates, curve, color=COLOURS[0], linestyle="-")
ax.axvline(chosen, color=COLOURS[1], linestyle="--", linewidth=1)
ax.text(chosen * 0.9, 3.0, "chosen", ha="right", color=COLOURS[1])
ax.set(xscale="log", xlabel="learning rate (log scale)", ylabel="training loss (nats)")
ax.set_ylim(0.5, 3.6)
show(
    fig,
    "range_test",
    "One run of 150 steps in which the rate grows from 0.00001 to 1. The loss falls while the rate "
    "is useful and rises when it is too high; a good rate lies below the lowest point.",
)

# %% [markdown]
# To the left nothing happens; in the middle the network learns; to the right it forgets what it
# had learned. The lowest point itself is already too bold, because the loss there was earned at the
# smaller rates before it. Take a rate some three to ten times below.
#
# ## The third thing: the clock
#
# An optimizer also knows what time it is: which step of how many. Early and late steps want
# different rates.
#
# **Warm-up.** In the first steps Adam's memories rest on very few gradients. After one step the
# ratio $\hat m/\sqrt{\hat v}$ is $\pm 1$ for *every* parameter, however noisy its gradient, so all
# 101,898 parameters move by the full rate at once. A rate that starts low and rises in a straight
# line gives the averages time to mean something. In a post-LN encoder there is a second reason: the
# gradients near the output are large at the start (Xiong et al., 2020; chapter 04).
#
# **Decay of the rate.** Late in training each batch points somewhere slightly different, and a
# constant rate keeps the weights shaking. Letting the rate fall lets them settle. Half a cosine
# does this smoothly (Loshchilov and Hutter, 2016).

# %%
from groundup.scratch.optim import clip_by_norm, warmup_cosine

TOTAL, WARMUP = 600, 60
schedule = [warmup_cosine(step, TOTAL, WARMUP, chosen) for step in range(TOTAL)]
assert max(schedule) == schedule[WARMUP] == chosen
assert schedule[0] < chosen / WARMUP
assert schedule[-1] < chosen / 1000

fig, ax = figure(height=2.4)
ax.plot(range(1, TOTAL + 1), schedule, color=COLOURS[0], linestyle="-")
ax.axvline(WARMUP, color=COLOURS[1], linestyle="--", linewidth=1)
ax.text(WARMUP + 8, chosen / 20, "end of warm-up", color=COLOURS[1])
ax.set(xlabel="step", ylabel="learning rate")
show(
    fig,
    "schedule",
    "The rate of the run below: a straight rise over 60 steps, then half a cosine down to zero.",
)

# %% [markdown]
# ::: source groundup.scratch.optim:warmup_cosine
#
# **Clipping.** Now and then a batch gives a gradient far larger than usual. One such step can undo
# a hundred good ones. The *norm* of all gradients together, $\sqrt{\sum g_i^2}$ over every entry of
# every array, is the length of the gradient as one long arrow: Pythagoras, in 101,898 dimensions.
# If the arrow is longer than a limit, shorten it to the limit (Pascanu et al., 2012). All entries
# are scaled by one factor, so the arrow keeps its direction. Clipping each entry by itself would
# turn it.

# %%
two = {"a": np.array([3.0]), "b": np.array([4.0])}
norm = clip_by_norm(two, limit=1.0)
print(f"norm {norm}, after clipping {two['a'][0]:.2f} and {two['b'][0]:.2f}")
assert norm == 5.0
assert np.allclose([two["a"][0], two["b"][0]], [0.6, 0.8])

one, late = np.array(1.0), 10**6  # long after the start, with a mean and a mean square of 1
change, _, _ = adam(np.array(100.0), one, one, late, lr=1.0)
print(f"after a gradient of 100 among ones, Adam's step is {-change:.2f} times the rate")
assert abs(-change - 10.9 / 3.3165) < 1e-3

# %% [markdown]
# The arrow (3, 4) has length 5 and becomes (0.6, 0.8), of length 1. You may ask what clipping is
# worth if Adam cancels the scale anyway. It cancels the scale of the *past*. One gradient that is a
# hundred times larger than those before it enters $m$ with weight 0.1 and $\sqrt v$ only with the
# root of 0.001, about 0.03. With gradients of 1 until now, and then one of 100, $m$ becomes
# $0.9 + 10 = 10.9$ and $\sqrt v$ becomes $\sqrt{0.999 + 10} = 3.32$: a step more than three times
# too long, in the direction of the accident. And $v$ remembers it for about a thousand steps.
# Clipping keeps it out of both memories.
#
# ## The run
#
# All parts are in place: forward, loss, backward, clip, rate, step. This is the library's loop. It
# yields a record at each step, and whoever calls it decides what to do with it.
#
# ::: source groundup.scratch.trainer:train

# %%
from groundup.scratch.trainer import TrainConfig, train

config = TrainConfig(steps=TOTAL, batch_size=B, lr=chosen, warmup=WARMUP, seed=0)
model = Encoder.create(EncoderConfig(), np.random.default_rng(config.seed))
print(f"{sum(p.size for p in model.params.values()):,} parameters")
start = accuracy(model, splits.validation)["all"]
records, progress = [], [(0, start)]
for record in train(model, splits.train, config):
    records.append(record)
    if record.step % 50 == 0:
        progress.append((record.step, accuracy(model, splits.validation)["all"]))

fig, (left, right) = figure(1, 2)
left.plot([r.loss for r in records], color=COLOURS[0], linewidth=0.5, alpha=0.4, linestyle="-")
left.plot(smooth([r.loss for r in records]), color=COLOURS[0], linestyle="-")
left.set(xlabel="step", ylabel="training loss (nats)", yscale="log")
right.plot(
    *zip(*[(step, 100 * share) for step, share in progress], strict=True), "o-", color=COLOURS[1]
)
right.set(xlabel="step", ylabel="right answers, unseen inputs (%)", ylim=(0, 103))
show(
    fig,
    "run",
    "The training loss (thin: each batch; thick: mean of 15) and the share of right answers on "
    "validation inputs that are never trained on. Both settle well before the end.",
)

# %%
scores = {
    name: accuracy(model, part)
    for name, part in (("validation", splits.validation), ("test", splits.test))
}
print("operation   validation     test")
for operation in (*OPERATIONS, "all"):
    row = "   ".join(f"{scores[part][operation]:8.1%}" for part in scores)
    print(f"{operation:10} {row}")
unseen = len(splits.validation) + len(splits.test)
missed = sum(round(len(p) * (1 - scores[n]["all"])) for n, p in vars(splits).items() if n in scores)
print(f"{missed} wrong among {unseen:,} unseen inputs")
bound = next(
    q
    for q in np.arange(0, 1, 1e-4)
    if sum(comb(unseen, k) * q**k * (1 - q) ** (unseen - k) for k in range(missed + 1)) <= 0.05
)
print(f"a model with an error rate of {bound:.2%} does this well in 5% of such samples")
clipped = np.mean([r.gradient_norm > config.clip for r in records])
print(f"share of steps that were clipped: {clipped:.0%}")
assert scores["test"]["all"] >= 0.995
assert scores["validation"]["all"] >= 0.995

# %% [markdown]
# The last line but one deserves a word. No error in a sample does not mean no errors at all. With a
# true error rate of $q$, a sample of $n$ questions is free of errors with probability $(1-q)^n$
# (and has $k$ errors with a probability you can write down as easily). The line prints the $q$ at
# which so good a result becomes unlikely: it happens in one sample of twenty. An error rate below
# that $q$ is the honest claim this sample can carry.
#
# Where do the operations differ on the way up? Print `accuracy` at step 100 for yourself. First,
# Second and Last need one position each; Max and Min must compare. Chapter 06 opens the model to
# see how.
#
# ## Where the time goes
#
# A training step has four parts. Time them, and count the arithmetic. A product of an
# $(m, k)$ and a $(k, n)$ matrix takes $mkn$ multiplications and as many additions: $2mkn$
# floating-point operations, FLOPs. The backward pass of each product is two more of the same size
# (chapter 02: $dy\,W^\top$ and $x^\top dy$), so a step costs three times its forward products.


# %%
def products(c: EncoderConfig, batch: int, length: int, first_only: bool = False) -> list:
    """(how many, m, k, n) of each matrix product in a forward pass.

    ``first_only`` counts the queries of the first token alone in the last layer.
    """
    d, head, shapes = c.width, c.width // c.heads, []
    for layer in range(c.layers):
        asking = 1 if first_only and layer == c.layers - 1 else length
        shapes += [
            (1, batch * length, d, 2 * d),  # keys and values
            (1, batch * asking, d, d),  # queries
            (batch * c.heads, asking, head, length),  # scores
            (batch * c.heads, asking, length, head),  # mixtures
            (1, batch * asking, d, d),  # the projection that mixes heads
            (1, batch * asking, d, c.hidden),  # feed-forward, in
            (1, batch * asking, c.hidden, d),  # feed-forward, out
        ]
    return [*shapes, (1, batch, d, c.classes)]


def flops(shapes: list) -> int:
    return 3 * sum(2 * count * m * k * n for count, m, k, n in shapes)


def time_products(shapes: list) -> float:
    """Seconds for the products of one step, forward and backward, and nothing else."""
    pairs = []
    for count, m, k, n in shapes:
        a, b, c = (np.ones((count, *s), np.float32) for s in ((m, k), (k, n), (m, n)))
        pairs += [(a, b), (c, b.swapaxes(1, 2)), (a.swapaxes(1, 2), c)]
    times = []
    for _ in range(15):
        before = time.perf_counter()
        for a, b in pairs:
            a @ b
        times.append(time.perf_counter() - before)
    return float(np.median(times))


from groundup.scratch.optim import AdamW

probe = Encoder.create(EncoderConfig(), np.random.default_rng(0))
optimizer = AdamW(probe.params)
source = batches(splits.train, B, seed=1)
laps: dict[str, list[float]] = {"forward and loss": [], "backward": [], "clip": [], "optimizer": []}
for _ in range(60):
    batch = next(source)
    marks = [time.perf_counter()]
    logits, cache = probe.forward(batch.ids, batch.mask)
    _, cache_loss = cross_entropy(logits, batch.answers)
    marks.append(time.perf_counter())
    grads = probe.backward(cross_entropy_backward(cache_loss), cache)
    marks.append(time.perf_counter())
    clip_by_norm(grads, 1.0)
    marks.append(time.perf_counter())
    optimizer.step(grads, 1e-3)
    marks.append(time.perf_counter())
    for lap, seconds in zip(laps.values(), np.diff(marks), strict=True):
        lap.append(seconds)

medians = {name: float(np.median(lap)) for name, lap in laps.items()}
whole = sum(medians.values())
shapes = products(probe.config, B, splits.train.ids.shape[1])
alone = time_products(shapes)
for name, seconds in medians.items():
    print(f"{name:18} {1e3 * seconds:6.2f} ms  {seconds / whole:4.0%}")
print(f"{'whole step':18} {1e3 * whole:6.2f} ms")
print(f"{'products alone':18} {1e3 * alone:6.2f} ms  {alone / whole:4.0%}", end="  ")
print(f"{flops(shapes) / 1e6:.0f} million FLOPs at {flops(shapes) / alone / 1e9:.0f} GFLOP/s")

# %% [markdown]
# These times are of the machine that built this page; run the script for yours. The backward pass
# has twice the forward pass's products. Compare the line of the products with the whole step: the
# difference is the work between them: means, exponentials, masks, copies, one pass through memory
# for each. It has few FLOPs and much traffic. The optimizer is made of nothing else: it reads a
# parameter, its gradient and two memories, and writes three of them back.
#
# Two ways to a faster step follow. One is to do the same work with less traffic: write into arrays
# that already exist, and join several passes into one. Chapter 10 does that for attention. The
# other is not to do the work. The classifier reads the *first* token only. So in the last layer
# only the first token's query is needed, and only its path through the feed-forward network. Keys
# and values of all tokens are still needed.

# %%
length = splits.train.ids.shape[1]
needed = products(probe.config, B, length, first_only=True)
print(f"FLOPs a step: {flops(shapes) / 1e6:.0f} million as written", end=", ")
print(f"{flops(needed) / 1e6:.0f} million needed ({flops(needed) / flops(shapes):.0%})")
matrices = sum(p.size for n, p in probe.params.items() if p.ndim == 2 and n.startswith("layers"))
rule_of_six = 6 * matrices * B * length
print(f"6 x matrix parameters x tokens: {rule_of_six / 1e6:.0f} million")
assert abs(rule_of_six / flops(shapes) - 1) < 0.1

# %% [markdown]
# The fastest work is the work not done. The last line is a rule you will meet again when we plan a
# run that needs a cluster: a training step costs about six FLOPs for each parameter and token
# (Kaplan et al., 2020), two forward and four backward. It leaves out the attention scores, which
# are small while sequences are short.
#
# ## Breaking it: no bias correction
#
# Leave out the division by $1-\beta^t$. Both memories are then too small at the start, but not by
# the same factor: $m$ by $1-\beta_1^t$, and the root of $v$ by $\sqrt{1-\beta_2^t}$. For a steady
# gradient the step is therefore
#
# $$\frac{1-\beta_1^t}{\sqrt{1-\beta_2^t}}$$
#
# times what it should be. At step 1 that is $0.1/\sqrt{0.001} = 3.16$. One expects that a missing
# correction makes the first steps too *small*. It makes them too large.


# %%
def uncorrected(x: Array, g: Array, memory: dict, step: int, lr: float) -> Array:
    # At step 10⁹ the correction divides by one: it is switched off.
    return adam_rule(x, g, memory, 10**9, lr)


t = np.arange(1, 1001)
factor = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)
print(f"too long by {factor[0]:.2f} at step 1, by {factor.max():.2f} at step {t[factor.argmax()]},")
print(f"still by {factor[199]:.2f} at step 200")
assert abs(factor[0] - 3.1623) < 1e-4
_, with_correction = run(adam_rule, lambda step: 3e-3, 150)
_, without = run(uncorrected, lambda step: 3e-3, 150)
print(f"loss after 150 steps: {smooth(with_correction, 30)[-1]:.2f} with the correction", end=", ")
print(f"{smooth(without, 30)[-1]:.2f} without")
assert smooth(without, 30)[-1] > smooth(with_correction, 30)[-1] + 0.3

fig, (left, right) = figure(1, 2)
left.plot(t, factor, color=COLOURS[1], linestyle="-")
left.axhline(1, color=INK, linewidth=0.8)
left.set(xscale="log", xlabel="step (log scale)", ylabel="length of a step, times the right one")
left.set_ylim(0, 7)
right.plot(smooth(with_correction), color=COLOURS[0], linestyle="-", label="corrected")
right.plot(smooth(without), color=COLOURS[1], linestyle="--", label="not corrected")
right.axhline(np.log(10), color=INK, linewidth=0.8)
right.text(150, np.log(10) + 0.05, "ln 10: a blind guess", ha="right", color=INK, fontsize=8)
right.set(xlabel="step", ylabel="training loss (nats)")
right.legend()
show(
    fig,
    "no_correction",
    "Without bias correction the early steps are several times too long, for a steady gradient "
    "(left). At a rate of 0.003, which the corrected rule bears, the run is lost in them (right).",
)

# %% [markdown]
# The loss lingers near $\ln 10$, the loss of a network that gives every question the same answer,
# ten digits equally likely. It was thrown there in the first dozens of steps, and the way back is
# long.
# Warm-up hides this fault, because its rate is low exactly where the factor is high. The optimizer
# published with BERT left the correction out and relied on warm-up; Zhang et al. (2020) found the
# omission behind much of the instability of fine-tuning BERT on small sets.
#
# ## Breaking it: no warm-up
#
# Now the right Adam at a high rate, 0.01, on our post-LN encoder. One run starts at the full rate.
# The other climbs to it in 30 steps. After step 10 we stop and measure two things: how far the
# feed-forward matrix of the first layer has moved, relative to its own norm, and how much the
# logits still differ from one question to another.

# %%
HIGH_RATE = 0.01


def look(model: Encoder, fresh: Encoder) -> tuple[float, float]:
    """How far a matrix has moved, and the spread of logits over questions."""
    name = "layers.0.w1"
    moved = np.linalg.norm(model.params[name] - fresh.params[name])
    logits, _ = model.forward(splits.validation.ids)
    return moved / np.linalg.norm(fresh.params[name]), float(logits.std(axis=0).mean())


def climbing(step: int) -> float:
    return HIGH_RATE * min(1.0, step / 30)


fresh, _ = run(adam_rule, climbing, 0)
print(f"before training: spread of the logits {look(fresh, fresh)[1]:.2f}")
print("                  moved by step 10   spread of the logits   loss at step 150")
lost, spread = {}, {}
for name, rate in (("no warm-up", lambda step: HIGH_RATE), ("30 steps", climbing)):
    moved, spread[name] = look(run(adam_rule, rate, 10)[0], fresh)
    _, lost[name] = run(adam_rule, rate, 150)
    print(f"{name:15} {moved:18.0%} {spread[name]:22.2f} {smooth(lost[name], 30)[-1]:18.2f}")
assert spread["no warm-up"] < 0.5 * spread["30 steps"]
assert smooth(lost["no warm-up"], 30)[-1] > smooth(lost["30 steps"], 30)[-1] + 0.3

fig, ax = figure()
for (name, losses), style in zip(lost.items(), ("--", "-"), strict=True):
    ax.plot(smooth(losses), linestyle=style, label=name, color=COLOURS[style == "--"])
ax.set(xlabel="step", ylabel="training loss (nats)")
ax.legend()
show(
    fig,
    "no_warmup",
    "Post-LN at a rate of 0.01. Without warm-up the first steps push the loss above its start, "
    "and the run stays behind for as long as we watch.",
)

# %% [markdown]
# Ten full steps move the matrix by a large share of its own size. The logits then hardly depend on
# the question: the network has gone deaf. A gradient can only correct differences that still reach
# the output, so it must first learn to hear again. With warm-up the first ten steps stay small, and
# the spread grows instead. The same experiment with four layers is harsher; try it.
#
# ## What practitioners do differently
#
# - **A shorter memory of scale.** A running mean with $\beta_2 = 0.999$ looks back over about
#   $1/(1-\beta_2) = 1{,}000$ steps, with 0.95 over 20. GPT-3, LLaMA and NeoBERT use
#   $(\beta_1, \beta_2) = (0.9, 0.95)$ (Brown et al., 2020; Touvron et al., 2023; Le Breton et al.,
#   2025): when the scale of gradients changes quickly, a mean over 1,000 steps is out of date, and
#   steps are too long after every sudden growth. The first transformer used 0.98 (Vaswani et al.,
#   2017).
# - **Much the same recipe around it.** LLaMA and NeoBERT: clipping at 1.0, decay 0.1, 2,000 steps
#   of warm-up, a cosine down to a tenth of the peak. Nothing falls quite to zero, so that training
#   can go on.
# - **Clipping as an instrument.** People plot the norm before clipping. A rising norm announces
#   trouble before the loss does. In our run the table above shows how often the limit was met: for
#   a small model early in training, clipping is no rare event, and under Adam it costs little.
# - **Memory.** Adam keeps two numbers beside each parameter. In float32, parameter, gradient and
#   both memories take 16 bytes a parameter. At a billion parameters that is 16 GB before the first
#   activation, which is why chapter 18 cuts these arrays into shards.
# - **Knowing more than a scale for each coordinate.** The turned valley showed what Adam misses.
#   Shampoo (Gupta et al., 2018) and Muon (Jordan et al., 2024; Liu et al., 2025) treat a weight
#   matrix as a matrix and so handle directions that mix its entries.
#
# ## What you know now, and what is missing
#
# What does an optimizer know that the gradient does not? **The past, the scale, and the time.** A
# mean over past gradients tells what persists from what alternates. A mean of squares gives each
# parameter its own unit of length. The step number says how far both can be trusted and how much of
# the run is left. None of this makes the gradient better. It makes it a step.
#
# To test yourself beyond the exercises: set `eps` to 1 in the first experiment and explain the step
# you see; find the highest rate at which 200 steps of warm-up still save the run; replace the
# cosine by a constant rate and look at the last hundred losses.
#
# The model now answers every kind of question. You have not told it how: no line of code says what
# a maximum is. So what did it learn? An accuracy cannot tell a rule from a very good disguise of
# one. Chapter 06 opens the model and looks inside.
#
# ## Sources
#
# - B. Polyak (1964), *Some methods of speeding up the convergence of iteration methods*, USSR
#   Computational Mathematics and Mathematical Physics 4(5).
# - R. Pascanu, T. Mikolov, Y. Bengio (2012), *On the difficulty of training recurrent neural
#   networks*, arXiv 1211.5063.
# - D. Kingma, J. Ba (2014), *Adam: a method for stochastic optimization*, arXiv 1412.6980.
# - L. Smith (2015), *Cyclical learning rates for training neural networks*, arXiv 1506.01186.
# - I. Loshchilov, F. Hutter (2016), *SGDR: stochastic gradient descent with warm restarts*, arXiv
#   1608.03983.
# - A. Vaswani et al. (2017), *Attention is all you need*, arXiv 1706.03762.
# - I. Loshchilov, F. Hutter (2017), *Decoupled weight decay regularization*, arXiv 1711.05101.
# - V. Gupta, T. Koren, Y. Singer (2018), *Shampoo: preconditioned stochastic tensor optimization*,
#   arXiv 1802.09568.
# - J. Kaplan et al. (2020), *Scaling laws for neural language models*, arXiv 2001.08361.
# - R. Xiong et al. (2020), *On layer normalization in the transformer architecture*, arXiv
#   2002.04745.
# - T. Brown et al. (2020), *Language models are few-shot learners*, arXiv 2005.14165.
# - T. Zhang et al. (2020), *Revisiting few-sample BERT fine-tuning*, arXiv 2006.05987.
# - H. Touvron et al. (2023), *LLaMA: open and efficient foundation language models*, arXiv
#   2302.13971.
# - F. Kunstner et al. (2024), *Heavy-tailed class imbalance and why Adam outperforms gradient
#   descent on language models*, arXiv 2402.19449.
# - K. Jordan et al. (2024), *Muon: an optimizer for hidden layers in neural networks*,
#   kellerjordan.github.io/posts/muon.
# - J. Liu et al. (2025), *Muon is scalable for LLM training*, arXiv 2502.16982.
# - L. Le Breton et al. (2025), *NeoBERT: a next-generation BERT*, arXiv 2502.19587.
