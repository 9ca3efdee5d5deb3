# %% [markdown]
# # Training
#
# You stand on a hillside in fog and want to reach the valley. Your foot can feel the ground: it
# falls to the left, steeply. That is a gradient. But **how far should you step?** The ground does
# not say whether the slope ends after one pace or goes on for a mile, whether a stone made it steep
# just here, or whether you have come down this same bank ten times already.
#
# A gradient is a fact about one point and one batch of examples. An *optimizer* is the rule that
# turns gradients into steps. **What does an optimizer know that the gradient does not?** You will
# work through three steps of the most used one, Adam, with a pencil. Then you will train the
# encoder of chapter 04 until it answers at least 99.5% of questions it has never seen, make each
# step faster, and break the training on purpose.
#
# ## Why a gradient is not a step
#
# Write $\theta$ for one parameter and $g = \partial L/\partial\theta$ for the derivative of the
# loss $L$. *Gradient descent* moves against it:
#
# $$\theta \leftarrow \theta - \eta\, g$$
#
# The number $\eta$ is the *learning rate*. Look at the units. With the loss in nats, $g$ is in nats
# per unit of $\theta$, and a step must be in units of $\theta$. So $\eta$ is in units of $\theta$
# squared per nat: it hides a scale that belongs to this loss and this parameter.
#
# How long may a step be? Take the simplest valley, $L = \tfrac{c}{2}\theta^2$. Its gradient is
# $c\,\theta$, and $c$ is its *curvature*: how fast the slope changes. One step gives
#
# $$\theta \leftarrow \theta - \eta c\,\theta = (1 - \eta c)\,\theta .$$
#
# Each step multiplies $\theta$ by $1-\eta c$. The size of $\theta$ shrinks only if this factor lies
# between −1 and 1, so only if $\eta < 2/c$. Beyond that every step overshoots to a higher place.
#
# A network has many parameters with many curvatures. Here are two: curvature 1 along $x$ and 100
# along $y$, a long narrow valley whose lowest point is $(10, 1)$. The steep direction demands
# $\eta < 0.02$. The flat direction would like a step a hundred times longer and must wait.

# %%
import os
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.scratch.types import Array, Params

LOWEST = np.array([10.0, 1.0])
VALLEY = np.diag([1.0, 100.0])  # the curvatures


def height(points: Array, valley: Array) -> Array:
    away = points - LOWEST
    return 0.5 * ((away @ valley) * away).sum(axis=-1)


def slope(point: Array, valley: Array) -> Array:
    return (point - LOWEST) @ valley


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
# 1964), and the memory $u$ is called the *velocity*:
#
# $$u \leftarrow \beta u + g, \qquad \theta \leftarrow \theta - \eta\, u .$$
#
# By hand: with $\beta = 0.5$ the gradients 2, 2, 2 give the velocities 2, then $1 + 2 = 3$, then
# $1.5 + 2 = 3.5$. The gradients 2, −2, 2 give 2, −1, 1.5. What persists grows, what alternates
# shrinks. With $\beta = 0.9$ a gradient that never changes adds up to
# $g(1 + 0.9 + 0.81 + \dots) = 10\,g$: ten times the speed along the valley floor. Descent with
# gradients from random batches is called *stochastic gradient descent*, SGD.
#
# !!! example "Exercise 5.6: gradient descent with momentum"
#     The shortest one, so begin with it: gradient and velocity in, change and new velocity out.
#     `groundup watch 5.6` checks each time you save.
#
# ::: source groundup.scratch.optim:sgd folded
#
# ## The second thing: the scale
#
# Momentum still shares one rate among all directions. Adam (Kingma and Ba, 2014) keeps a second
# memory for every parameter: how large its gradients have been. It divides by that, and the scale
# of the gradient cancels. The two memories are running means of the gradient and of its square:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\,g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\,g^2 .$$
#
# A running mean is a weighted average in which old values fade: with $\beta_1 = 0.9$ the newest
# gradient has weight 0.1, the one before it 0.09, then 0.081.
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
# The gradient fell by a fifth in two steps, and the steps hardly changed. Now the library's
# [adam][groundup.scratch.optim.adam] on the same curve:

# %%
from groundup.scratch.optim import SGD, Adam, AdamW, adam

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
# The published rule has one more symbol, $\epsilon = 10^{-8}$, added to the root so that a gradient
# that has always been zero does not divide by zero:
# $\Delta = -\eta\,\hat m/(\sqrt{\hat v} + \epsilon)$. Here it changes the ninth digit.
#
# !!! example "Exercise 5.1: Adam"
#     One step of Adam for one parameter array. The traps: a step that counts from 0, a correction
#     on one memory only, $\epsilon$ under the root. Check it with `groundup watch 5.1`. Then run
#     `groundup chapter 5 --mine 5.1`: the experiments below stand on your function, and a report
#     compares its run with the library's.
#
# ::: source groundup.scratch.optim:adam folded
#
# ## One valley, four rules
#
# Back to the valley with curvatures 1 and 100. *Weight decay* is the fourth idea: at each step
# every weight also shrinks by a small share of itself, so that a weight stays large only while the
# loss asks for it. AdamW (Loshchilov and Hutter, 2017) is Adam with this shrinking done separately:
# $\theta \leftarrow (1 - \eta\lambda)\,\theta + \Delta$, with $\lambda$ the strength of the decay.

# %%
RULES: dict[str, tuple[Callable[[Params], SGD | AdamW], float]] = {
    "SGD": (lambda params: SGD(params, momentum=0.0), 0.018),
    "momentum": (SGD, 0.018),
    "Adam": (Adam, 0.3),
    "AdamW": (lambda params: AdamW(params, weight_decay=0.05), 0.3),
}


def descend(name: str, lr: float, valley: Array, start: Array, steps: int) -> Array:
    """The path (steps + 1, 2) of a point that a rule moves."""
    params = {"point": start[None].copy()}  # of two dimensions: AdamW spares vectors
    optimizer, path = RULES[name][0](params), [start]
    for _ in range(steps):
        optimizer.step({"point": slope(params["point"], valley)}, lr)
        path.append(params["point"][0].copy())
    return np.array(path)


fig, axes = figure(2, 2, height=4.6, sharex=True, sharey=True)
x, y = np.meshgrid(np.linspace(-1, 14, 120), np.linspace(-0.6, 2.6, 120))
levels = height(np.stack([x, y], axis=-1), VALLEY)
for i, (ax, (name, (_, lr))) in enumerate(zip(axes.flat, RULES.items(), strict=True)):
    path = descend(name, lr, VALLEY, np.zeros(2), 60)
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
# Adam's first steps are equally long in $x$ and in $y$, because each direction is divided by its own
# scale. AdamW stops short of the lowest point: at each step the decay takes back a small share of
# $x$. Here that is only a brake. In training it keeps small the weights that no batch insists on.
#
# Has Adam solved the narrow valley? Turn it by 45 degrees and ask again. The landscape is the same,
# only the coordinate axes lie differently in it.

# %%
turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
print("steps until the height stays below 0.01")
print("             along the axes   turned by 45°")
counts = {}
for name, lr in (("SGD", 0.018), ("momentum", 0.018), ("Adam", 0.1)):
    for frame in (np.eye(2), turn):
        valley = frame @ VALLEY @ frame.T
        path = descend(name, lr, valley, LOWEST - frame @ LOWEST, 1000)
        counts.setdefault(name, []).append(np.flatnonzero(height(path, valley) >= 0.01)[-1] + 1)
    print(f"{name:10} {counts[name][0]:16} {counts[name][1]:15}")
assert counts["SGD"][0] == counts["SGD"][1]
assert counts["Adam"][1] > 1.5 * counts["Adam"][0]

# %% [markdown]
# SGD and momentum do not notice the turn: they treat all directions alike. Adam does. It keeps one
# scale for each *parameter*. When the valley runs diagonally, both parameters see the same mixture
# of steep and flat, and dividing by their equal scales changes nothing. Adam knows a scale for each
# coordinate; it knows nothing of how coordinates act together.
#
# ## Where the gradient begins: cross-entropy
#
# So far the loss was a toy. For the digit task the network returns ten *logits* $z$ for each
# question: a score for each digit, of any size and sign. Softmax (chapter 03) turns them into
# probabilities $p$. The loss is the *cross-entropy*, $-\ln p_t$, where $t$ is the right digit: the
# surprise, in nats, at seeing it. Backpropagation starts with its gradient.
#
# Write $S = \sum_k e^{z_k}$ for the sum inside softmax. Then $p_t = e^{z_t}/S$, and the logarithm
# splits the fraction:
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
# Read it: *the probabilities, with one taken off the right class.* With two classes and
# $z = (0, \ln 3)$ the exponentials are 1 and 3, so the probabilities are $1/4$ and $3/4$. If the
# second class is right, the loss is $\ln\tfrac43 = 0.287682$ and the gradient $(0.25, -0.25)$: the
# wrong logit should fall and the right one rise, by as much. A batch has $B$ rows and its loss is
# their mean, so each row's gradient carries the factor $1/B$. Subtracting the largest logit from
# all of them first changes nothing in $L$ and keeps every exponential at most 1.

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

sure_and_wrong = np.array([[10.0, 0.0]])  # the right class is 1
_, cache = cross_entropy(sure_and_wrong, np.array([1]))
p = np.exp(sure_and_wrong[0]) / np.exp(sure_and_wrong[0]).sum()
squared = 2 * (p[1] - 1) * p[1] * (1 - p[1])  # of (p₁ - 1)², through dp₁/dz₁ = p₁(1 - p₁)
print(f"sure and wrong: cross-entropy has {cross_entropy_backward(cache)[0, 1]:.5f} at the right")
print(f"                logit, the squared error (p - 1)² has {squared:.5f}")
assert abs(squared) < 1e-3 < 0.99 < abs(cross_entropy_backward(cache)[0, 1])

# %% [markdown]
# !!! example "Exercise 5.2: cross-entropy, forward and backward"
#     Write the pair: the mean loss of a batch, and its gradient with respect to the logits. It must
#     survive logits of ten thousand. Check it with `groundup watch 5.2`.
#
# ::: source groundup.scratch.loss:cross_entropy folded
#
# ::: source groundup.scratch.loss:cross_entropy_backward folded
#
# The last two lines say why it is this loss. A squared error has almost no gradient where help is
# needed most, because softmax is flat there. The logarithm undoes the exponential, and what remains
# is plain: the gradient is as large as the mistake.
#
# ## Choosing the rate: a range test
#
# Now the real thing: the encoder of chapter 04 and the splits of chapter 01, which share no input.
# The experiments below take their gradients from a faster twin of the model. How it is made comes
# later; that it computes the same comes first.

# %%
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.examples import Examples
from groundup.scratch.fast import FastTrainer
from groundup.scratch.tasks.digits import OPERATIONS, accuracy, make_splits
from groundup.scratch.trainer import batches, loss_and_gradients, predict

B, DIGITS = 64, EncoderConfig()
splits = make_splits(np.random.default_rng(0))


def fresh(config: EncoderConfig = DIGITS, dtype: type = np.float32) -> Encoder:
    return Encoder.create(config, np.random.default_rng(0), dtype)


def apart(some: Params, others: Params) -> float:
    """The largest difference of two sets of gradients, relative to the largest entry."""
    largest = max(np.abs(g).max() for g in others.values())
    return float(max(np.abs(some[n] - others[n]).max() for n in others) / largest)


batch = next(batches(splits.train, B, seed=0))
_, plain = loss_and_gradients(fresh(dtype=np.float64), batch)
twin = FastTrainer(fresh(dtype=np.float64))
_, fast = twin.gradients(batch.ids, batch.mask, batch.answers)
print(
    f"{len(plain)} gradients, plain and fast, differ by {apart(fast, plain):.0e} at most (float64)"
)
assert apart(fast, plain) < 1e-12

# %% [markdown]
# A quick way to see which rates are sensible is the *range test* (Smith, 2015): start far too
# small, multiply the rate by a constant at every step, and watch the loss.


# %%
def gradients_of(model: Encoder) -> Callable[[Examples], tuple[float, Params]]:
    """From a batch to the loss and the gradients, on the fast twin if there is one."""
    if model.config.norm == "pre":
        return lambda batch: loss_and_gradients(model, batch)
    twin = FastTrainer(model)
    return lambda batch: twin.gradients(batch.ids, batch.mask, batch.answers)


def run(
    rule: Callable[[Params], SGD | AdamW],
    rate: Callable[[int], float],
    steps: int,
    config: EncoderConfig = DIGITS,
    batch_size: int = B,
    scale: float = 1.0,
) -> tuple[Encoder, list[float]]:
    """Train a fresh digit model by a rule; ``scale`` multiplies every gradient."""
    model = fresh(config)
    gradients = gradients_of(model)
    optimizer, source, losses = rule(model.params), batches(splits.train, batch_size, 0), []
    with np.errstate(all="ignore"):  # some runs are meant to fail
        for step in range(1, steps + 1):
            loss, grads = gradients(next(source))
            losses.append(loss)
            if not loss < 1000:  # not a number, or lost
                break
            optimizer.step({name: scale * g for name, g in grads.items()}, rate(step))
    return model, losses


def smooth(losses: list[float], width: int = 15) -> Array:
    """Running mean of the last ``width`` values (fewer at the start)."""
    total = np.cumsum(np.concatenate([[0.0], losses]))
    last = np.arange(1, len(losses) + 1)
    first = np.maximum(last - width, 0)
    return (total[last] - total[first]) / (last - first)


TESTED = ("SGD", "momentum", "Adam")
LOW, HIGH, COUNT = 1e-4, 3.0, 150


def rising(step: int) -> float:
    return float(LOW * (HIGH / LOW) ** ((step - 1) / (COUNT - 1)))


fig, ax = figure()
lowest = {}
for i, name in enumerate(TESTED):
    _, losses = run(RULES[name][0], rising, COUNT)
    curve, rates = smooth(losses, 10), [rising(step) for step in range(1, len(losses) + 1)]
    lowest[name] = rates[int(np.nanargmin(curve))]
    ax.plot(rates, curve, color=COLOURS[i], linestyle=("-", "--", "-.")[i], label=name)
    ax.plot(lowest[name], np.nanmin(curve), "o", color=COLOURS[i])
    print(f"{name:9} lowest at a rate of {lowest[name]:.2g}")
ax.set(xscale="log", xlabel="learning rate (log scale)", ylabel="training loss (nats)")
ax.set_ylim(0.5, 3.6)
ax.legend()
show(
    fig,
    "range_test",
    "Three runs of 150 steps in which the rate grows from 0.0001 to 3. The loss falls while the "
    "rate is useful and rises when it is too high. Each rule has a region of its own.",
)
assert lowest["Adam"] < lowest["momentum"] < lowest["SGD"]

# %% [markdown]
# In the middle the network learns; to the right it forgets what it had learned. The usual advice is
# to stay three to ten times below the lowest point, because the loss there was earned at the
# smaller rates before it. Does it hold? Three constant rates for each rule:

# %%
SHARES = (0.1, 1 / 3, 1.0)
print("loss (nats) after 150 steps at a share of the rate of the lowest point")
print("             a tenth   a third     whole")
reached = {}
for name in TESTED:
    for share in SHARES:
        _, losses = run(RULES[name][0], lambda _, lr=share * lowest[name]: lr, 150)
        reached[name, share] = float(smooth(losses, 30)[-1])
    print(f"{name:10}" + "".join(f"{reached[name, share]:10.3f}" for share in SHARES))
assert reached["Adam", 1 / 3] < reached["Adam", 1.0]
best = {name: min(reached[name, share] for share in SHARES) for name in TESTED}
assert max(best.values()) < 0.5
assert best["momentum"] < best["Adam"] + 0.1
CHOSEN = 2e-3
assert lowest["Adam"] / 30 < CHOSEN < lowest["Adam"]

# %% [markdown]
# For Adam the advice holds: at the lowest point itself it has hardly learned. For SGD and momentum
# it is too timid. And on a small task, with a rate searched for it, plain momentum keeps up with
# Adam. The case for Adam is not that it always wins. It is what happens when something changes.
# Somebody now *sums* the loss over the batch instead of taking the mean, a common slip that
# multiplies every gradient by $B = 64$:

# %%
for name in ("SGD", "Adam"):
    lr = lowest[name] / 3
    _, losses = run(RULES[name][0], lambda _, lr=lr: lr, 150, scale=B)
    if len(losses) == 150:
        now = float(smooth(losses, 30)[-1])
        print(f"{name:5} gradients times {B}: loss {now:.3f}, before {reached[name, 1 / 3]:.3f}")
        assert name == "Adam"
        assert abs(now - reached[name, 1 / 3]) < 0.2
    else:
        print(f"{name:5} gradients times {B}: lost after {len(losses)} steps")
        assert name == "SGD"

# %% [markdown]
# SGD is gone within a few steps. Adam does not notice. In a large model gradients differ in scale
# from part to part, and a rare word's row sees one far less often than a common word's. A rule that
# finds every parameter's scale by itself needs one rate where SGD would need many (Kunstner et al.,
# 2024).
#
# ### Why the decay stands outside
#
# Before AdamW, decay was written as a penalty $\tfrac{\lambda}{2}\theta^2$ in the loss, called *L2*.
# Its gradient $\lambda\theta$ is added to $g$ and travels through Adam with it. For SGD the two
# forms are one: $\theta - \eta(g + \lambda\theta) = (1-\eta\lambda)\theta - \eta g$. For Adam they
# are not. Take the first step with $g = 1$, $\theta = 1$, $\lambda = 0.1$. Coupled, the gradient is
# 1.1, and the first step is $-\eta$ with the decay or without it: dividing by the scale has erased
# it. Where gradients are tiny the opposite happens: the penalty is most of the gradient, and after
# the division it moves the weight by a full step. Here is what is left of two matrices of the digit
# model, at $\lambda = 0.1$ for both:


# %%
def size(weight: Array) -> float:
    """Root mean square of the entries."""
    return float(np.sqrt(np.square(weight).mean()))


DECAYS: dict[str, Callable[[Params], AdamW]] = {
    "no decay": Adam,
    "AdamW, decoupled": lambda params: AdamW(params, weight_decay=0.1),
    "Adam with L2": lambda params: Adam(params, l2=0.1),
}
MATRICES = ("layers.0.w1", "classifier.weight")
print("150 steps            loss    layers.0.w1   classifier   (size of a weight)")
left = {}
for name, rule in DECAYS.items():
    model, losses = run(rule, lambda _: CHOSEN, 150)
    left[name] = [size(model.params[matrix]) for matrix in MATRICES]
    print(f"{name:18} {smooth(losses, 30)[-1]:6.3f} {left[name][0]:14.4f} {left[name][1]:12.4f}")
_, grads = loss_and_gradients(fresh(), batch)
pulls = [size(grads[matrix]) for matrix in MATRICES]
print(f"their gradients at the start {pulls[0]:11.4f} {pulls[1]:12.4f}")
assert pulls[0] < 0.5 * pulls[1]
assert left["AdamW, decoupled"][0] > 0.8 * left["no decay"][0]
assert left["Adam with L2"][0] < 0.2 * left["no decay"][0]
assert left["Adam with L2"][1] > 0.3 * left["no decay"][1]

# %% [markdown]
# Decoupled, both matrices are a little smaller. Coupled, the same $\lambda$ has all but wiped out
# the first layer's matrix, whose gradients are small, and left much of the classifier's. The
# penalty was divided by a scale that has nothing to do with it.
#
# The library's [AdamW][groundup.scratch.optim.AdamW] applies decay to matrices only: a norm's scale
# has no need to be near zero. Embeddings are left out too: the row of a rare token would shrink at
# every step and be renewed at few.
#
# !!! example "Exercise 5.7: AdamW's decoupled decay"
#     One step for all parameters by name: Adam's change, and a decay that the gradient never
#     hears of. `groundup watch 5.7`.
#
# ::: source groundup.scratch.optim:AdamW.step folded
#
# ## The third thing: the clock
#
# An optimizer also knows which step of how many it is at. Early and late steps want different rates.
#
# **Warm-up.** In the first steps Adam's memories rest on very few gradients. After one step the
# ratio $\hat m/\sqrt{\hat v}$ is $\pm 1$ for *every* parameter, however noisy its gradient, so all
# of them move by the full rate at once. A rate that starts low and rises in a straight line gives
# the averages time to mean something.
#
# **Decay of the rate.** Late in training each batch points somewhere slightly different, and a
# constant rate keeps the weights shaking. Letting the rate fall lets them settle. Half a cosine
# does this smoothly (Loshchilov and Hutter, 2016): with $d$ the share of the fall that is done, from
# 0 to 1, the rate is
#
# $$\eta = \eta_\text{floor} + (\eta_\text{peak} - \eta_\text{floor})\,
# \frac{1 + \cos \pi d}{2} .$$
#
# By hand, from 0.4 down to 0: at a quarter of the way $0.4\,(1 + 0.7071)/2 = 0.3414$, half-way 0.2.

# %%
from groundup.scratch.optim import clip_by_norm, warmup_cosine

TOTAL, WARMUP = 600, 60
schedule = [warmup_cosine(step, TOTAL, WARMUP, CHOSEN) for step in range(TOTAL)]
assert max(schedule) == schedule[WARMUP] == CHOSEN
assert abs(warmup_cosine(5, total=11, warmup=3, peak=0.4) - 0.3414) < 1e-4

fig, ax = figure(height=2.4)
ax.plot(range(1, TOTAL + 1), schedule, color=COLOURS[0], linestyle="-")
ax.axvline(WARMUP, color=COLOURS[1], linestyle="--", linewidth=1)
ax.text(WARMUP + 8, CHOSEN / 20, "end of warm-up", color=COLOURS[1])
ax.set(xlabel="step", ylabel="learning rate")
show(
    fig,
    "schedule",
    "The rate of the run below: a straight rise over 60 steps, then half a cosine down to zero.",
)

# %% [markdown]
# !!! example "Exercise 5.4: warm-up and a cosine"
#     Every slip here is off by one: a first step at rate zero, a peak that is never reached, a rate
#     that climbs again after the end. `groundup watch 5.4`.
#
# ::: source groundup.scratch.optim:warmup_cosine folded
#
# ## Clipping
#
# Now and then a batch gives a gradient far larger than usual, and one such step can undo a hundred.
# The *norm* of all gradients together, $\sqrt{\sum g_i^2}$ over every entry of every array,
# is the length of the gradient as one long arrow: Pythagoras, in 101,898 dimensions. If the arrow
# is longer than a limit, shorten it to the limit (Pascanu et al., 2012). All entries are scaled by
# one factor, so the arrow keeps its direction. Clipping each entry by itself would turn it.

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
# What is clipping worth if Adam cancels the scale anyway? It cancels the scale of the *past*. With gradients of 1 until now, and then one of 100, $m$ becomes $0.9 + 10 = 10.9$ and
# $\sqrt v$ becomes $\sqrt{0.999 + 10} = 3.32$: a step three times too long, in the direction of the
# accident. And $v$ remembers it for about a thousand steps. Clipping keeps it out of both memories.
#
# !!! example "Exercise 5.3: clipping by the norm"
#     One norm, one factor, in place; and a gradient that is not a number is refused before it ruins
#     the weights. `groundup watch 5.3`.
#
# ::: source groundup.scratch.optim:clip_by_norm folded
#
# ## A batch in parts
#
# A batch that does not fit into memory can be cut into parts. Compute the gradient of each, add
# them up, and step once: *gradient accumulation*. But add how? Let part $i$ have $n_i$ answers and
# the mean loss $\ell_i$. The whole batch has $\sum_j n_j$ answers and the mean
#
# $$\ell = \frac{\sum_i n_i\,\ell_i}{\sum_j n_j} = \sum_i \frac{n_i}{\sum_j n_j}\,\ell_i ,$$
#
# and the gradient of a weighted sum is the weighted sum of the gradients. One answer with loss 4
# and three with a mean of 8 have the mean $(4 + 24)/4 = 7$. The plain mean of the means says 6.

# %%
from groundup.scratch.trainer import accumulate

model = fresh(dtype=np.float64)
_, in_one_piece = loss_and_gradients(model, batch)
rows = np.arange(B)
for name, parts in (
    ("32 and 32", [batch.take(rows[:32]), batch.take(rows[32:])]),
    ("8 and 56", [batch.take(rows[:8]), batch.take(rows[8:])]),
):
    _, weighted = accumulate(loss_and_gradients, model, parts)
    first, second = (loss_and_gradients(model, part)[1] for part in parts)
    means = {name: (first[name] + second[name]) / 2 for name in first}
    print(f"{name:10} weighted: off by {apart(weighted, in_one_piece):.1g}", end="   ")
    print(f"mean of means: off by {apart(means, in_one_piece):.1g}")
    assert apart(weighted, in_one_piece) < 1e-12
assert apart(means, in_one_piece) > 0.01

# %% [markdown]
# Equal parts hide the mistake. In a language model, where padding does not count, parts are hardly
# ever equal. The trainer of the transformers library had this fault until October 2024 (Hugging
# Face, 2024).
#
# !!! example "Exercise 5.5: gradient accumulation"
#     Weigh each part by what it counts; leave out the parts that count nothing, whose mean is 0/0.
#     `groundup watch 5.5`.
#
# ::: source groundup.scratch.trainer:accumulate folded
#
# ## The run
#
# All parts are in place: gradients, clip, rate, step. This is the library's loop. It yields a record
# at each step, and whoever calls it decides what to do with it.
# [train][groundup.scratch.trainer.train] calls it for the digit model.
#
# ::: source groundup.scratch.trainer:optimize

# %%
from groundup.scratch.trainer import TrainConfig, train

config = TrainConfig(steps=TOTAL, batch_size=B, lr=CHOSEN, warmup=WARMUP, seed=0)
model = fresh()
print(f"{sum(p.size for p in model.params.values()):,} parameters")
progress, records, seconds = [(0, accuracy(model, splits.validation)["all"])], [], 0.0
began = time.perf_counter()
for record in train(model, splits.train, config):
    seconds += time.perf_counter() - began
    records.append(record)
    if record.step % 50 == 0:
        progress.append((record.step, accuracy(model, splits.validation)["all"]))
    began = time.perf_counter()

fig, (left_axes, right_axes) = figure(1, 2)
losses = [r.loss for r in records]
left_axes.plot(losses, color=COLOURS[0], linewidth=0.5, alpha=0.4, linestyle="-")
left_axes.plot(smooth(losses), color=COLOURS[0], linestyle="-")
left_axes.set(xlabel="step", ylabel="training loss (nats)", yscale="log")
right_axes.plot(*zip(*[(at, 100 * share) for at, share in progress], strict=True), "o-")
right_axes.set(xlabel="step", ylabel="right answers, unseen inputs (%)", ylim=(0, 103))
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
wrong = sum(round(len(p) * (1 - scores[n]["all"])) for n, p in vars(splits).items() if n in scores)
print(f"{wrong} wrong among {unseen:,} unseen inputs")
clipped = np.mean([r.gradient_norm > config.clip for r in records])
print(f"share of steps that were clipped: {clipped:.0%}")
assert scores["test"]["all"] >= 0.995
assert scores["validation"]["all"] >= 0.995

# %% [markdown]
# A sample without errors does not prove a model without errors. With a true error rate of $q$, a
# sample of $n$ questions is free of errors with probability $(1-q)^n$. For $n = 1{,}000$ and
# $q = 0.3\%$ that is 5%: the honest claim of such a sample is *probably below 0.3%*, not zero. And
# it is one seed.
#
# A run may be interrupted. What must be saved, so that nothing differs from a run in one piece? The
# weights, Adam's two memories and the step number. Rate, order of the batches and dropout are
# functions of that number.

# %%
import tempfile
from pathlib import Path

from groundup.scratch.checkpoint import load, load_state, optimizer_state, restore_optimizer, save

brief = replace(config, steps=40, warmup=10)
whole = fresh()
at_once = [record.loss for record in train(whole, splits.train, brief)]

half = fresh()
optimizer = AdamW(half.params)
in_two = [r.loss for r in islice(train(half, splits.train, brief, optimizer), 20)]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "half.safetensors"
    save(half, path, state=optimizer_state(optimizer))
    resumed, state = load(path)[0], load_state(path)
optimizer = AdamW(resumed.params)
restore_optimizer(optimizer, state)
in_two += [r.loss for r in train(resumed, splits.train, brief, optimizer)]
same = all(np.array_equal(whole.params[n], resumed.params[n]) for n in whole.params)
print(f"stopped after 20 of 40 steps and resumed: every loss and weight the same bits: {same}")
assert same
assert at_once == in_two

# %% [markdown]
# When should a run end? [EarlyStopping][groundup.scratch.trainer.EarlyStopping] watches the
# validation loss and keeps the best weights. Here the schedule ends it.
#
# !!! example "Train with your own functions"
#     Cross-entropy, accumulation, clipping, schedule, Adam: you have written a training loop.
#     `groundup digits train --mine` trains the digit model with your functions, and
#     `groundup chapter 5 --mine 5` runs this page on them. Each ends with a report that puts your
#     losses beside the library's.
#
# ## Where the time goes
#
# A product of an $(m, k)$ and a $(k, n)$ matrix takes $mkn$ multiplications and as many additions,
# $2mkn$ floating-point operations (FLOPs): two for each weight and each row. The backward pass has
# two products of the same size (chapter 02: $dy\,W^\top$ and $x^\top dy$). So a training step costs
# about **six FLOPs for each weight and token** (Kaplan et al., 2020), a rule you will meet again
# when a run needs a cluster. But arithmetic is not where all the time goes. Profile the plain step:

# %%
import cProfile
import pstats

GROUPS = {
    "linear maps": ("linear", "linear_backward"),
    "attention": ("attention", "attention_backward"),
    "layer norm": ("layer_norm", "layer_norm_backward"),
    "ReLU": ("relu", "relu_backward"),
    "embedding": ("embedding", "embedding_backward"),
    "cross-entropy": ("cross_entropy", "cross_entropy_backward"),
    "clipping": ("clip_by_norm",),
    "AdamW": ("step",),
}
model, profile = fresh(), cProfile.Profile()
optimizer = AdamW(model.params)
profile.enable()
for batch in islice(batches(splits.train, B, seed=1), 60):
    _, grads = loss_and_gradients(model, batch)
    clip_by_norm(grads, 1.0)
    optimizer.step(grads, 1e-3)
profile.disable()
within: dict[str, float] = {}  # seconds in a function and in all that it calls
for (_, _, function), (*_, spent, _) in pstats.Stats(profile).stats.items():
    within[function] = within.get(function, 0.0) + spent
times = {group: sum(within.get(f, 0.0) for f in fs) for group, fs in GROUPS.items()}
total = sum(within[f] for f in ("loss_and_gradients", "clip_by_norm", "step"))
times["the rest"] = total - sum(times.values())

fig, ax = figure(height=2.6)
bars = ax.barh(list(times), [1e3 * t / 60 for t in times.values()], color=COLOURS[0])
ax.bar_label(bars, [f"{t / total:.0%}" for t in times.values()], padding=3, color=INK)
ax.invert_yaxis()
ax.set_xlabel("milliseconds of a plain step")
show(
    fig,
    "profile",
    "Where a plain step of 64 questions spends its time on the machine that built this page. The "
    "matrix products are in the linear maps and in attention. (The rest: residual sums, reshaping "
    "of heads, bookkeeping.)",
)
print(f"{1e3 * total / 60:.2f} ms a step; {times['linear maps'] / total:.0%} in linear maps")

# %% [markdown]
# Only part of a step is products. The other work has few FLOPs and much traffic: means,
# exponentials, masks, copies, one pass through memory for each. The fast twin,
# [FastTrainer][groundup.scratch.fast.trainer.FastTrainer], does the same mathematics with less of
# both. Its ideas are of two kinds.
#
# **Less traffic.** All parameters lie in one buffer, so Adam is a dozen long array operations
# instead of a dozen for each parameter. Arrays are made once and written over in every step. Heads
# are views of the same memory, not copies. Sums over rows are products with a vector of ones.
# Softmax runs over the outermost axis, where NumPy goes through memory in order.
#
# **Less work.** The classifier reads the *first* token only. So in the last layer only that token's
# query is needed, and only its path through the feed-forward network. Even keys and values need not
# be formed. With query $q$ and inputs $x_t$, a score is
#
# $$q \cdot (x_t W_k + b_k) = (q W_k^\top) \cdot x_t + q \cdot b_k .$$
#
# The last term is the same for every $t$, and softmax does not see it. The weights sum to one, so
# the mixed value is $\sum_t p_t (x_t W_v + b_v) = (\sum_t p_t x_t)\,W_v + b_v$. Two products over
# all tokens have become two over one row. The first projection shrinks too: there are 20 different
# tokens and a few positions, so it is made for those and looked up.
#
# Train the same run with it:

# %%
model = fresh()
trainer = FastTrainer(model, weight_decay=config.weight_decay, clip=config.clip)
began = time.perf_counter()
losses = [record.loss for record in trainer.train(splits.train, config)]
quick = time.perf_counter() - began
correct = accuracy(model, splits.test)["all"]
print(f"{TOTAL} steps: plain {seconds:.1f} s, fast {quick:.1f} s ({seconds / quick:.1f} times)")
print(f"first loss: plain {records[0].loss:.6f}, fast {losses[0]:.6f}; test {correct:.1%}")
assert abs(records[0].loss - losses[0]) < 1e-5
assert correct >= 0.995

# %% [markdown]
# ### Weights that no loss can see
#
# The term $q \cdot b_k$ has another consequence. Softmax ignores it, so the loss does not depend on
# the keys' bias $b_k$, and its gradient is zero. The plain step computes that zero as a sum of many
# terms, and rounding leaves about $10^{-9}$. Adam then divides rounding error by the size of past
# rounding errors. Train two models on the same batches, once with the rows of each batch in reverse
# order. The mathematics is the same; only the order of the sums differs:

# %%
twins = []
for order in (np.arange(B), np.arange(B)[::-1]):
    model = fresh()
    optimizer = AdamW(model.params)
    for batch in islice(batches(splits.train, B, seed=0), 20):
        _, grads = loss_and_gradients(model, batch.take(order))
        optimizer.step(grads, CHOSEN)
    twins.append(model)

shares = {}
for i, kind in enumerate(("query", "key", "value")):
    start, one, other = (m.params["layers.0.bqkv"].reshape(3, -1)[i] for m in (fresh(), *twins))
    moved, between = np.linalg.norm(one - start), np.linalg.norm(one - other)
    shares[kind] = between / moved
    print(f"{kind:5} bias: moved by {moved:.1e}, the twins are {between:.1e} apart", end=", ")
    print(f"{shares[kind]:.1%} of the way")

expected = predict(twins[0], splits.test)
for name in ("layers.0.bqkv", "layers.1.bqkv"):
    first, second = (twin.params[name].reshape(3, -1) for twin in twins)
    first[1] = second[1]  # the keys' bias of the other twin
changed = float(np.abs(predict(twins[0], splits.test) - expected).max())
print(f"with the other's keys' bias, logits of up to {np.abs(expected).max():.1f}", end=" ")
print(f"change by {changed:.0e}")
assert shares["key"] > 0.25 > 0.05 > max(shares["query"], shares["value"])
assert changed < 1e-4

# %% [markdown]
# The keys' biases of the twins ended about as far from each other as from where they began: what
# moved them was rounding. The function is the same up to rounding. Any single weight meets
# this when its gradient passes close to zero, if only for a step. So two right programs, or one
# program on two processors, may end with different weights. **Compare functions**: outputs, losses,
# gradients. Compare weights only one step at a time, from the same state and the same gradient.
# FastTrainer is tested in this way.
#
# How good is the fast step? The benchmark `benchmarks/numpy_step.py` puts both beside PyTorch and JAX with
# the same model, and beside the floor: the matrix products of the linear maps and nothing else.

# %%
import json

from groundup.course import clone

bench = json.loads((clone.root() / "benchmarks/results/numpy_step.json").read_text("utf-8"))
about = bench["machine"]
print(f"milliseconds a step, batch 32 x 20, one thread, median of {bench['rounds']};", end=" ")
print(f"{bench['date']}, {about['cpu']}, {about['cores']} cores")
print(f"{'':32}{'all tokens read':>16}{'first token read':>18}")
at = {
    (row["variant"], row["pooling"]): row["median_ms"]
    for row in bench["times"]
    if (row["threads"], row["batch"], row["length"]) == (1, 32, 20)
}
for variant in dict.fromkeys(name for name, _ in at):
    print(f"{variant:32}{at[variant, 'mean']:16.2f}{at[variant, 'first']:18.2f}")

# %% [markdown]
# When all tokens are read, the gain comes mostly from the first kind of idea. When one is read, the
# second kind takes the step below the products of the full model: the fastest work is the work not
# done. The rows called
# *the same ideas* give the other engines that trick too, which is the fair comparison; part of what
# remains is the matrix library under each.
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
def uncorrected(params: Params) -> Adam:
    optimizer = Adam(params)
    optimizer.step_count = 10**9  # where the correction divides by one: it is switched off
    return optimizer


t = np.arange(1, 1001)
factor = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)
print(f"too long by {factor[0]:.2f} at step 1, by {factor.max():.2f} at step {t[factor.argmax()]},")
print(f"still by {factor[199]:.2f} at step 200")
assert abs(factor[0] - 3.1623) < 1e-4
_, with_correction = run(Adam, lambda _: 3e-3, 150)
_, without = run(uncorrected, lambda _: 3e-3, 150)
print(f"loss after 150 steps: {smooth(with_correction, 30)[-1]:.2f} with the correction", end=", ")
print(f"{smooth(without, 30)[-1]:.2f} without")
assert smooth(without, 30)[-1] > smooth(with_correction, 30)[-1] + 0.3

fig, (left_axes, right_axes) = figure(1, 2)
left_axes.plot(t, factor, color=COLOURS[1], linestyle="-")
left_axes.axhline(1, color=INK, linewidth=0.8)
left_axes.set(xscale="log", xlabel="step (log scale)", ylabel="length of a step, times the right")
left_axes.set_ylim(0, 7)
right_axes.plot(smooth(with_correction), color=COLOURS[0], linestyle="-", label="corrected")
right_axes.plot(smooth(without), color=COLOURS[1], linestyle="--", label="not corrected")
right_axes.axhline(np.log(10), color=INK, linewidth=0.8)
right_axes.text(150, np.log(10) + 0.05, "ln 10: a blind guess", ha="right", color=INK, fontsize=8)
right_axes.set(xlabel="step", ylabel="training loss (nats)")
right_axes.legend()
show(
    fig,
    "no_correction",
    "Without bias correction the early steps are several times too long, for a steady gradient "
    "(left). At a rate of 0.003, which the corrected rule bears, the run is lost in them (right).",
)

# %% [markdown]
# The loss lingers near $\ln 10$, that of a network that gives every question the same answer, ten
# digits equally likely. Warm-up hides this fault, because its rate is low exactly where the factor
# is high. The optimizer published with BERT left the correction out; Zhang et al. (2020) found the
# omission behind much of the instability of fine-tuning BERT on small sets.
#
# ## Breaking it: no warm-up
#
# Now the right Adam, at 0.003 from the first step on. Does our post-LN encoder need its warm-up?
# Small batches of 16 keep the experiment short:

# %%
SHORT, CLIMB, PEAK = 150, 50, 3e-3
WARMUPS: dict[str, Callable[[int], float]] = {
    "full rate at once": lambda step: PEAK,
    "50 steps of warm-up": lambda step: PEAK * min(1.0, step / CLIMB),
}
ends, spread = {}, {}
fig, ax = figure()
styles = iter(((COLOURS[1], "--"), (COLOURS[0], "-"), (COLOURS[2], "-.")))
print("loss after 150 steps      full rate at once   50 steps of warm-up")
for layers, order in ((2, "post"), (6, "post"), (6, "pre")):
    for name, rate in WARMUPS.items():
        shape = EncoderConfig(layers=layers, norm=order)
        model, losses = run(Adam, rate, SHORT, shape, batch_size=16)
        spread[layers, order, name] = float(predict(model, splits.validation).std(axis=0).mean())
        ends[layers, order, name] = float(smooth(losses, 30)[-1])
        if layers == 6 and not (order == "pre" and "warm-up" in name):
            colour, style = next(styles)
            ax.plot(smooth(losses), color=colour, linestyle=style, label=f"{order}-LN, {name}")
    row = "".join(f"{ends[layers, order, name]:20.2f}" for name in WARMUPS)
    print(f"{layers} layers, {order + '-LN':8}{row}")
deaf, hears = (spread[6, "post", name] for name in WARMUPS)
print(f"6 layers, post-LN: spread of the logits over questions {deaf:.2f} and {hears:.2f}")
assert deaf < hears
assert abs(ends[2, "post", "full rate at once"] - ends[2, "post", "50 steps of warm-up"]) < 0.3
at_once_6, warmed_6 = (ends[6, "post", name] for name in WARMUPS)
assert at_once_6 > warmed_6 + 0.2
assert ends[6, "pre", "full rate at once"] < warmed_6
ax.set(xlabel="step", ylabel="training loss (nats)")
ax.legend()
show(
    fig,
    "no_warmup",
    "Six layers. Post-LN without warm-up stays near a blind guess; with it, it begins to learn; "
    "pre-LN does not need it.",
)

# %% [markdown]
# At two layers, on this seed, leaving warm-up out costs nothing. At six it decides: without it the
# loss stays near $\ln 10$, and the logits differ less from one question to another. Chapter 04
# measured why depth matters: in a post-LN encoder every block gets the full gradient from the first
# step, and changes of the weights are amplified on the way up. Pre-LN damps them, and learns with
# the full rate at once (Xiong et al., 2020; Liu et al., 2020). So warm-up is not a law of training. It is a remedy for
# the first steps of a network that is hard to train.
#
# ## What practitioners do differently
#
# - **A shorter memory of scale.** A running mean with $\beta_2 = 0.999$ looks back over about
#   $1/(1-\beta_2) = 1{,}000$ steps, with 0.95 over 20. GPT-3, LLaMA and NeoBERT use
#   $(\beta_1, \beta_2) = (0.9, 0.95)$ (Brown et al., 2020; Touvron et al., 2023; Le Breton et al.,
#   2025): when the scale of gradients changes quickly, an old mean makes steps too long.
# - **Clipping as an instrument.** People plot the norm before clipping. A rising norm announces
#   trouble before the loss does.
# - **Memory.** In float32, parameter, gradient and Adam's memories take 16 bytes a parameter: at a
#   billion parameters 16 GB, which is why chapter 18 cuts these arrays into shards.
# - **More than a scale for each coordinate.** The turned valley showed what Adam misses. Muon
#   (Jordan et al., 2024) treats a weight matrix as a whole.
#
# ## What you know now, and what is missing
#
# What does an optimizer know that the gradient does not? **The past, the scale, and the time.** A
# mean over past gradients tells what persists from what alternates. A mean of squares gives each
# parameter its own unit of length. The step number says how far both can be trusted and how much of
# the run is left. None of this makes the gradient better. It makes it a step.
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
# - I. Loshchilov, F. Hutter (2017), *Decoupled weight decay regularization*, arXiv 1711.05101.
# - J. Kaplan et al. (2020), *Scaling laws for neural language models*, arXiv 2001.08361.
# - R. Xiong et al. (2020), *On layer normalization in the transformer architecture*, arXiv
#   2002.04745.
# - L. Liu et al. (2020), *Understanding the difficulty of training transformers*, arXiv 2004.08249.
# - T. Brown et al. (2020), *Language models are few-shot learners*, arXiv 2005.14165.
# - T. Zhang et al. (2020), *Revisiting few-sample BERT fine-tuning*, arXiv 2006.05987.
# - H. Touvron et al. (2023), *LLaMA: open and efficient foundation language models*, arXiv
#   2302.13971.
# - F. Kunstner et al. (2024), *Heavy-tailed class imbalance and why Adam outperforms gradient
#   descent on language models*, arXiv 2402.19449.
# - Hugging Face (2024), *Fixing gradient accumulation*, huggingface.co/blog/gradient_accumulation.
# - K. Jordan et al. (2024), *Muon: an optimizer for hidden layers in neural networks*,
#   kellerjordan.github.io/posts/muon.
# - L. Le Breton et al. (2025), *NeoBERT: a next-generation BERT*, arXiv 2502.19587.
