# %% [markdown]
# # From NumPy to torch
#
# In Part I every function had a partner. `layer_norm` came with `layer_norm_backward`, and between
# them went a *cache*: what the one keeps and the other needs. You derived each rule, and you called
# the partners in the right order, last one first.
#
# Open any other project and you find the forward functions alone. Then comes one line,
# `loss.backward()`, and every gradient is there. The program that does it is called *autograd*, and
# it is part of PyTorch, in code `torch`. **What does autograd do that we did?** Is it a clever
# piece of mathematics, or is it bookkeeping?
#
# This chapter takes it apart on four lines of arithmetic. Then it moves the digit encoder to torch
# with the same weights and compares every gradient, to the last digit that rounding leaves. After
# that you can rely on it, and also know three ways to make it fail without a word.
#
# ## The same four lines, twice
#
# Here is a small expression in which one number is used twice:
#
# $$a = w x, \qquad L = a^2 + b\,a, \qquad\text{with } x = 2,\; w = 3,\; b = 1 .$$
#
# **Forward, by hand.** $a = 6$, the square is 36, the product $b a$ is 6, and $L = 42$.
#
# **Backward, by hand.** The sum passes the slope 1 to both of its terms. The number $a$ reaches $L$
# along two roads. Through the square its slope is $2a = 12$. Through the product it is $b = 1$. What
# arrives along different roads is added, since a small change of $a$ changes both terms:
#
# $$\frac{\partial L}{\partial a} = 12 + 1 = 13, \qquad
# \frac{\partial L}{\partial b} = a = 6, \qquad
# \frac{\partial L}{\partial w} = 13 \cdot x = 26 .$$
#
# As Part I would write it, each step keeps what its partner needs. In torch only the forward part is
# written. A *tensor* is torch's array. Made with `requires_grad=True`, it is a *leaf* whose gradient
# is wanted.

# %%
import os
import statistics
import time
from collections import Counter

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F

from groundup.lab.plot import COLOURS, INK, figure, show

torch.set_num_threads(1)

# In NumPy: the forward pass keeps, the backward pass uses, in the opposite order.
x, w, b = np.array(2.0), np.array(3.0), np.array(1.0)
a, cache_a = w * x, (w, x)
square, cache_square = a**2, (a,)
product, cache_product = b * a, (b, a)
L = square + product
dsquare = dproduct = 1.0
da = dsquare * 2 * cache_square[0]
db = dproduct * cache_product[1]
da += dproduct * cache_product[0]  # the second road
dw = da * cache_a[1]
print(f"NumPy: L = {L}, da = {da}, db = {db}, dw = {dw}")

# In torch: the forward pass alone.
x = torch.tensor(2.0)
w = torch.tensor(3.0, requires_grad=True)
b = torch.tensor(1.0, requires_grad=True)
a = w * x
loss = a**2 + b * a
loss.backward()
print(f"torch: L = {loss.item()}, db = {b.grad}, dw = {w.grad}")
assert (float(L), float(db), float(dw)) == (42, 6, 26)
assert (loss.item(), b.grad.item(), w.grad.item()) == (42, 6, 26)

# %% [markdown]
# ## The tape
#
# How did torch know the order? While the forward lines ran, it wrote them down. Each result carries
# a `grad_fn`: a *node* that knows which rule runs backward through it, which numbers that rule
# needs, and in `next_functions` which nodes come before it. The record of one forward pass is
# called the *tape*, or the graph. Here is the real one, read from `loss`.

# %%
a = w * x
loss = a**2 + b * a


def walk_tape(root):
    """Every node of a tape, and its distance from the root."""
    depth, todo = {root: 0}, [root]
    while todo:
        node = todo.pop(0)
        for before, _ in node.next_functions:
            if before is not None and depth.get(before, -1) <= depth[node]:
                depth[before] = depth[node] + 1
                todo.append(before)
    return depth


LEAVES = {id(w): "w", id(b): "b"}


def kept(node):
    """What a node keeps for its backward rule."""
    found = []
    for name in dir(node):
        value = getattr(node, name) if name.startswith("_saved_") else None
        if value is not None and name != "_saved_alpha":  # of the sum: a factor, here 1
            number = value.item() if isinstance(value, torch.Tensor) else value
            found.append(f"{name.removeprefix('_saved_')} = {number:g}")
    return ", ".join(found)


def title(node):
    if hasattr(node, "variable"):
        return f"leaf {LEAVES[id(node.variable)]}"
    return node.name().removesuffix("0")


depth = walk_tape(loss.grad_fn)
for node in depth:
    before = [title(other) if other is not None else "-" for other, _ in node.next_functions]
    print(f"{title(node):12} comes from: {', '.join(before) or 'nothing':28} keeps: {kept(node)}")
assert len(depth) == 6

# %% The figure's code tags=["hide"]
fig, ax = figure(height=2.6)
boxes = {}
for node, steps in depth.items():
    column = [other for other in depth if depth[other] == steps]
    height = 1.5 * (column.index(node) - (len(column) - 1) / 2)
    leaf, keeps = hasattr(node, "variable"), kept(node).replace(", ", "\n")
    boxes[node] = ax.text(
        3.2 * (max(depth.values()) - steps),
        height,
        title(node) + (f"\nkeeps {keeps}" if keeps else ""),
        ha="center",
        va="center",
        fontsize=8,
        color="#111",
        bbox={
            "boxstyle": "round,pad=0.45",
            "facecolor": "#f3d9a4" if leaf else "#bcd9ef",
            "edgecolor": INK,
        },
    )
for node, box in boxes.items():
    for before, _ in node.next_functions:
        if before is not None:
            ax.annotate(
                "",
                xy=boxes[before].get_position(),
                xytext=box.get_position(),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": COLOURS[1],
                    "patchA": box.get_bbox_patch(),
                    "patchB": boxes[before].get_bbox_patch(),
                    "shrinkA": 1,
                    "shrinkB": 1,
                    "lw": 1.5,
                },
            )
ax.set(xlim=(-1.4, 11.0), ylim=(-1.2, 1.2))
ax.axis("off")
show(
    fig,
    "tape",
    "The tape of $L = a^2 + ba$, drawn from the graph itself. The arrows show which way gradients "
    "go: from the sum on the right back to the leaves. The product that made $a$ is reached twice.",
)

# %% [markdown]
# In torch's names `self` is the first operand and `other` the second. Compare with the caches above.
# The node of the square keeps $a$, as `cache_square` did. The node of $b a$ keeps both factors, as
# `cache_product` did. The first product keeps $x$ alone: $w$ would
# be needed for the gradient of $x$, and nobody asked for that. In this point torch is thriftier
# than we were.
#
# A node is a function: call it with a gradient, and it returns the gradients of what came before. So
# we can do the rest ourselves. A node may run only when *all* roads into it have arrived, or the 12
# would go on without the 1. So count the roads first.


# %%
def run_backward(root, slope):
    """Autograd's own work: call the nodes in order, and add what meets."""
    roads = Counter(before for node in walk_tape(root) for before, _ in node.next_functions)
    arrived, ready, found = {root: slope}, [root], {}
    while ready:
        node = ready.pop()
        gradient = arrived.pop(node)
        if hasattr(node, "variable"):  # a leaf: the end of a road
            found[LEAVES[id(node.variable)]] = gradient
            continue
        results = node(gradient)  # the backward rule
        results = results if isinstance(results, tuple) else (results,)
        for (before, _), result in zip(node.next_functions, results, strict=True):
            if before is None:
                continue
            arrived[before] = arrived[before] + result if before in arrived else result
            roads[before] -= 1
            if not roads[before]:
                ready.append(before)
    return found


found = run_backward(loss.grad_fn, torch.tensor(1.0))
print({name: gradient.item() for name, gradient in sorted(found.items())})
assert found["w"].item() == 26
assert found["b"].item() == 6

# %% [markdown]
# That is the answer to the chapter's question. Autograd has **a backward rule for each operation,
# as you had; it writes down the order, keeps the numbers, runs the rules in reverse, and adds where
# roads meet.** It is bookkeeping, done by a program that does not forget. No rule is simpler than
# those you derived, and none is found by differences: the derivatives are exact up to rounding. The
# method is called *reverse-mode automatic differentiation* (Baydin et al., 2015).
#
# | Part I | torch |
# |:--|:--|
# | the cache that `f` returns | tensors saved in the node, freed after `backward()` |
# | calling the partners in reverse | the order of the tape |
# | `dx = dx1 + dx2` where a value is used twice | sums at nodes |
# | a dictionary of gradients | `.grad` of each leaf |
# | a forward pass without a cache | `with torch.no_grad():` |
#
# One habit differs. Part I returned fresh gradients each time. torch *adds* to `.grad`, so that
# several batches can be summed. Whoever does not want that must clear it before each step:

# %%
for call in (1, 2):
    (w * x + b).backward()  # slopes 2 and 1, on top of what is there
    print(f"after call {call}: w.grad = {w.grad.item():g}, b.grad = {b.grad.item():g}")
assert (w.grad.item(), b.grad.item()) == (30, 8)
w.grad = b.grad = None
(w * x + b).backward()
print(f"cleared first: w.grad = {w.grad.item():g}, b.grad = {b.grad.item():g}")
assert (w.grad.item(), b.grad.item()) == (2, 1)

# %% [markdown]
# ## The same weights
#
# Now a whole model. A *module* in torch is an object that holds parameters and has a `forward`.
# [TorchEncoder][groundup.parity.numpy_torch.TorchEncoder] is the digit encoder put together from torch's
# own modules, written by people who never saw our code. If both compute the same from the same
# weights, then two independent programs agree.
#
# "The same weights" needs care. We compute $y = xW + b$ with $W$ of shape (in, out). `nn.Linear`
# keeps the matrix as (out, in) and computes $y = xW^\top + b$. So a matrix $W$ of ours with rows
# $(1, 2, 3)$ and $(4, 5, 6)$ becomes $W^\top$ with rows $(1, 4)$, $(2, 5)$ and $(3, 6)$. The input
# $(1, 0)$ gives $(1, 2, 3)$ in both. An embedding has two axes as well, but it is a table whose rows
# are looked up, and no map.
#
# !!! example "Exercise 8.1: the same weights, as torch keeps them"
#     Write `to_torch`: every parameter under its new name, in torch's order. The traps: a table that
#     is no map, a square matrix that fits both ways. `groundup watch 8.1` checks each time you save.
#
# ::: source groundup.parity.numpy_torch:to_torch folded
#
# ::: source groundup.parity.numpy_torch:TorchEncoder folded
#
# [encoder_parity][groundup.parity.numpy_torch.encoder_parity] gives both the same batch in float64. It
# compares the logits, the loss and the gradient of every parameter: ours by the rules of Part I,
# torch's by the tape. The measure is the length of the difference over the length of the values.

# %%
from groundup.parity.numpy_torch import LIMIT, TorchEncoder, encoder_parity, to_torch
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.tasks.digits import make_splits
from groundup.scratch.trainer import batches, loss_and_gradients

splits = make_splits(np.random.default_rng(0))
B = 32
batch = next(batches(splits.train, B, seed=0))


def fresh(dtype=np.float32):
    return Encoder.create(EncoderConfig(), np.random.default_rng(0), dtype)


rungs = encoder_parity(fresh(), batch.ids, batch.mask, batch.answers)
print(f"{'tensor':46} relative error")
for rung in rungs:
    print(f"{rung.tensor:46} {rung.error:.1e}")
    assert rung.equal, rung
print(
    f"{len(rungs)} tensors, all within {LIMIT:.0e}; the largest error {max(rung.error for rung in rungs):.1e}"
)

# %% [markdown]
# A float64 holds almost 16 digits. What differs is the order of the sums. Nothing in the derivations
# of Part I was wrong, and nothing in torch is magic.
#
# How would a mistake look? Forget to turn the output matrix of attention, `wo`. It is square, so it
# fits both ways.

# %%
model = fresh(np.float64)
ids, mask, answers = (torch.from_numpy(each) for each in (batch.ids, batch.mask, batch.answers))
right, careless = TorchEncoder(model), TorchEncoder(model)
turned = {**to_torch(model.params), "positions": right.positions}
name = "layers.layers.0.self_attn.out_proj.weight"
turned[name] = turned[name].T
print("torch reports:", careless.load_state_dict(turned))
with torch.no_grad():
    off = (right(ids, mask) - careless(ids, mask)).abs().mean()
print(f"mean difference of the logits: {off:.2f}")
assert off > 0.05

# %% [markdown]
# Every name and every shape fits, and the model is another one. Shapes prove little; outputs prove
# much. Whenever you carry weights from one program to another, compare outputs.
#
# ## A Function of our own
#
# Autograd knows a rule for each of torch's operations. You can give it one more: a class with a
# `forward` and a `backward`, called an `autograd.Function`. Both are the functions you know. The
# first argument `ctx` (*context*) belongs to the node: what `forward` hangs on it, `backward` finds
# there. `apply` runs the forward pass and puts the node on the tape. Here is the layer norm of
# Part I, NumPy and all:

# %%
from groundup.scratch.normalization import layer_norm, layer_norm_backward


class OurLayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, beta):
        y, ctx.cache = layer_norm(*(each.detach().numpy() for each in (x, gamma, beta)))
        return torch.from_numpy(y)

    @staticmethod
    def backward(ctx, dy):
        return tuple(torch.from_numpy(g) for g in layer_norm_backward(dy.numpy(), ctx.cache))


torch.manual_seed(0)
rows = torch.randn(4096, 64, requires_grad=True)
gamma, beta = (torch.randn(64, requires_grad=True) for _ in range(2))
slopes = torch.randn(4096, 64)


def measure(functions, *inputs, dy, rounds=15):
    """Median milliseconds, forward and backward, of functions that take turns."""
    spent = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.perf_counter()
            torch.autograd.grad(function(*inputs), inputs, dy)
            spent[name].append(time.perf_counter() - began)
    return {name: 1e3 * statistics.median(each) for name, each in spent.items()}


norms = {
    "our NumPy pair": OurLayerNorm.apply,
    "torch's layer_norm": lambda x, gamma, beta: F.layer_norm(x, (64,), gamma, beta),
}
ours, theirs = (torch.autograd.grad(f(rows, gamma, beta), rows, slopes)[0] for f in norms.values())
apart = ((ours - theirs).norm() / theirs.norm()).item()
print(f"the gradients differ by {apart:.0e} (float32)")
assert apart < 1e-5
for name, spent in measure(norms, rows, gamma, beta, dy=slopes).items():
    print(f"{name:20} {spent:6.2f} ms")

# %% [markdown]
# It works, and it is slower than torch's own, whose loops are written in C++ and touch each number
# once or twice. So delete it. A rule that torch has already needs no second author. **When is one
# of your own worth having?** When you know something about a *chain* of operations that autograd,
# which sees one at a time, cannot know.
#
# The models of Part II have such a chain. Their feed-forward network makes two numbers for each
# hidden unit, a *gate* $a$ and a *value* $b$, and multiplies (Shazeer, 2020):
#
# $$y = \mathrm{silu}(a)\,b, \qquad \mathrm{silu}(a) = a\,\sigma(a), \qquad
# \sigma(a) = \frac{1}{1 + e^{-a}} .$$
#
# (Chapter 09 asks whether a gate is a good idea. Here it is an example.) Write $s = \sigma(a)$. First
# the slope of the sigmoid, by the chain rule on $(1 + e^{-a})^{-1}$:
#
# $$s' = \frac{e^{-a}}{(1 + e^{-a})^2} = \frac{1}{1 + e^{-a}} \cdot \frac{e^{-a}}{1 + e^{-a}}
# = s\,(1 - s) .$$
#
# Then silu, a product of two functions of $a$, has a slope of two terms, $s + a\,s(1-s)$. And since
# $b$ is a plain factor of $y$, and silu(a) a plain factor of the other kind,
#
# $$\frac{\partial L}{\partial a} = dy \cdot b\,\bigl(s + a\,s(1 - s)\bigr), \qquad
# \frac{\partial L}{\partial b} = dy \cdot a\,s .$$
#
# By hand, at $a = \ln 3$, where $e^{-a} = 1/3$ and $s = 3/4$, with $b = 2$ and $dy = 1$: the slope of
# silu is $0.75 + 1.0986 \cdot 0.1875 = 0.9560$, so the gate's gradient is 1.9120, and the value's is
# $1.0986 \cdot 0.75 = 0.8240$.

# %%
from groundup.neobert.swiglu import silu_gate, silu_gate_backward

one = torch.tensor([[np.log(3), 2.0]], dtype=torch.float64)  # the gate, then the value
by_rule = silu_gate_backward(torch.ones(1, 1, dtype=torch.float64), one)
print("gate and value:", [round(number, 4) for number in by_rule[0].tolist()])
assert torch.allclose(by_rule, torch.tensor([[1.9120, 0.8240]], dtype=torch.float64), atol=1e-4)


def composed(x):
    """The same from torch's own operations: autograd sees three of them."""
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


some = torch.randn(5, 8, dtype=torch.float64, requires_grad=True)
assert torch.autograd.gradcheck(silu_gate, some)  # against finite differences, entry by entry
print("torch's gradcheck: passed")

# %% [markdown]
# !!! example "Exercise 8.2: the backward pass of a gate"
#     Write `silu_gate_backward`: the gradient of the gates, then that of the values. The traps: a
#     product rule with one term, halves that change places. `groundup watch 8.2`.
#
# ::: source groundup.neobert.swiglu:silu_gate_backward folded
#
# What can we know that autograd can't? Two things. Autograd keeps silu(a) beside $x$, because the
# product needs it. We can make it again from $x$. And each of its operations goes over all of memory
# before the next one begins. We can go over a block of rows that fits into the processor's cache,
# and do all operations there. That is the library's Function:
#
# ::: source groundup.neobert.swiglu:_SiluGateCPU folded
#
# Count the bytes that each keeps until the backward pass. torch has a hook that is called for every
# tensor that goes onto the tape:


# %%
def bytes_on_tape(function):
    """The bytes that a forward pass keeps for its backward pass, each piece of memory once."""
    pieces = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        pieces[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = function()  # alive until its bytes are counted
    del result
    return sum(pieces.values())


gates = {"three operations": composed, "one Function": silu_gate}
print("4,096 rows             kept (MB)   forward and backward (ms)")
for hidden in (512, 2048):
    x = torch.randn(4096, 2 * hidden, requires_grad=True)
    spent = measure(gates, x, dy=torch.randn(4096, hidden), rounds=7)
    for name, function in gates.items():
        size = bytes_on_tape(lambda function=function, x=x: function(x)) / 1e6
        print(f"F = {hidden:4}, {name:16} {size:6.1f} {spent[name]:18.1f}")
    ratio = bytes_on_tape(lambda x=x: composed(x)) / bytes_on_tape(lambda x=x: silu_gate(x))
    assert ratio == 1.5

# %% [markdown]
# A third of the kept memory is gone, at every width. The gain in time depends on the machine. It
# is small while the arrays fit into a cache, and large where memory is the bottleneck. So a Function
# of your own is worth having if it keeps less, moves less, or computes something that torch has no
# operation for. Otherwise it is one more place for mistakes. On a GPU, or under a compiler that joins
# such chains by itself, the library leaves this one to torch.
#
# ## Trust, and check
#
# A wrong `backward` raises no error, so it must be checked. `gradcheck` goes entry by entry and is
# meant for small cases. For a whole model use *directions*. Move all entries of one parameter
# together, by $h$ along a random direction $v$ of length 1, and look at the loss on either side. The
# chain rule says what the slope should be:
#
# $$\nabla L \cdot v \;\approx\; \frac{L(\theta + h v) - L(\theta - h v)}{2h} .$$
#
# Two losses for each parameter, however large it is. The error is the difference of the two slopes
# over the larger one: 0 is right, $1/2$ is a factor of two, 1 is a gradient that is missing.
#
# !!! example "Exercise 8.3: a gradient check for any module"
#     Write `slope_errors`. The traps: one side only, a parameter that is not put back, a gradient of
#     `None` passed over, directions in which errors cancel. `groundup watch 8.3`.
#
# ::: source groundup.neobert.gradcheck:slope_errors folded

# %%
from groundup.neobert.gradcheck import slope_errors


def twin_loss(twin):
    return F.cross_entropy(twin(ids, mask), answers)


twin = TorchEncoder(fresh(np.float64))
named = dict(twin.named_parameters())
errors = slope_errors(lambda: twin_loss(twin), named, torch.Generator().manual_seed(0))
worst = max(errors, key=errors.get)
print(f"{len(errors)} parameters checked; the worst is {worst}: {errors[worst]:.1e}")
assert errors[worst] < 1e-6

# %% [markdown]
# ## What rounding takes away
#
# All comparisons so far were in float64. Models are trained with fewer bits. A *floating-point*
# number is a sign, an exponent and a *significand*, its digits. Between one power of two and the next
# the numbers lie evenly, and their distance doubles at every power:

# %%
print("type       bits of significand   distance above 1    largest      1000.4 becomes")
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    info = torch.finfo(dtype)
    bits = 1 - int(np.log2(info.eps))
    became = torch.tensor(1000.4, dtype=dtype).item()
    print(f"{str(dtype)[6:]:9} {bits:12} {info.eps:24.2e} {info.max:14.1e} {became:14.8g}")
assert torch.tensor(1000.4, dtype=torch.bfloat16).item() == 1000

# %% [markdown]
# bfloat16 is float32 with the last 16 of its 32 bits cut off. It has the same range and two to three
# decimal digits. float16 has one digit more and ends at 65,504. Products of matrices run many times
# faster in 16 bits on hardware built for them, and take half the memory. What does it cost?
#
# **By hand.** Between 256 and 512 the bfloat16 numbers are 2 apart. So $256 + 1$ lies half-way
# between two of them. A tie goes to the one whose last bit is 0: 256. Add 1 to 256 a million times,
# and it is 256.
#
# In general, adding $d$ again and again stops where half the distance of neighbours reaches $d$. In
# bfloat16, from $2^k$ on the distance is $2^{k-7}$. With $d = 2^{-10}$ the sum stops at
# $2^{k-8} = 2^{-10}$, so $k = -2$: at $1/4$, after 256 additions. In float32 the distance is
# $2^{k-23}$, and it stops only at $2^{14} = 16{,}384$.

# %%
COUNT, STEP = 1500, 2.0**-10
fig, (left_axes, right_axes) = figure(1, 2)
for i, dtype in enumerate((torch.float32, torch.float16, torch.bfloat16)):
    total, d, sums = torch.zeros((), dtype=dtype), torch.tensor(STEP, dtype=dtype), []
    for _ in range(COUNT):
        total = total + d
        sums.append(total.item())
    print(f"{str(dtype)[6:]:9} {COUNT} times 1/1024 is {sums[-1]:.6f} (right: {COUNT * STEP:.6f})")
    style = {"color": COLOURS[i], "linestyle": ("-", "-.", "--")[i]}
    left_axes.plot(range(1, COUNT + 1), sums, label=str(dtype)[6:], **style)
    if dtype == torch.bfloat16:
        assert sums[-1] == sums[255] == 0.25
        assert sums[254] < 0.25
left_axes.set(xlabel="additions of 1/1024", ylabel="running sum")
left_axes.legend()

for i, dtype in enumerate((torch.float32, torch.bfloat16)):
    weight, second = torch.ones((), dtype=dtype), torch.ones((), dtype=dtype)
    weights, seconds = [], []
    for _ in range(1000):
        weight = weight - torch.tensor(0.001, dtype=dtype)  # a step of the optimizer
        second = second * torch.tensor(0.999, dtype=dtype)  # Adam's memory, when gradients vanish
        weights.append(weight.item())
        seconds.append(second.item())
    print(f"{str(dtype)[6:]:9} 1 less 0.001, 1000 times: {weight.item():6.3f};", end=" ")
    print(f"1 times 0.999, 1000 times: {second.item():.3f}")
    label = str(dtype)[6:]
    right_axes.plot(weights, color=COLOURS[2 * i], linestyle="-", label=f"weight, {label}")
    right_axes.plot(seconds, color=COLOURS[2 * i], linestyle=":", label=f"Adam's v, {label}")
    if dtype == torch.bfloat16:
        assert weight == second == 1
right_axes.set(xlabel="steps", ylabel="value")
right_axes.legend(fontsize=8)
show(
    fig,
    "rounding",
    "Left: the running sum of 1/1024 in bfloat16 stops at 1/4, as computed by hand. Right: a bfloat16 "
    "weight of 1 does not move by steps of 0.001, and a running mean does not fade.",
)

# %% [markdown]
# The right picture is why weights and the memories of the optimizer stay in float32, also where the
# products are in bfloat16. The update of a step is often a thousandth of the weight. (The factor
# 0.999 itself becomes 1 in bfloat16.) The left one is why sums over many terms are made in float32:
# the mean of squares inside a norm, the total of a softmax, a loss over a batch. And softmax has one
# more reason. Its inputs are exponents, and large ones are coarse:

# %%
logits = torch.tensor([20.0, 20.06])
print("probabilities of 20 and 20.06 in float32: ", logits.softmax(-1).numpy().round(4))
print("probabilities of 20 and 20.06 in bfloat16:", logits.bfloat16().softmax(-1).float().numpy())
assert logits.bfloat16()[0] == logits.bfloat16()[1]

flat = torch.zeros(1000, dtype=torch.bfloat16)  # a thousand equal logits
total = torch.zeros((), dtype=torch.bfloat16)
for term in flat.exp():
    total = total + term
print(f"e⁰ a thousand times: {total.item():g} summed in bfloat16;", end=" ")
print(f"the shares would sum to {1000 / total.item():.2f}")
print(f"torch's softmax sums in float32 inside: {flat.softmax(-1).float().sum().item():.4f}")
assert total == 256
assert abs(flat.softmax(-1).float().sum() - 1) < 0.01

# %% [markdown]
# So "training in bfloat16" means: the large products in bfloat16, and what is summed, exponentiated
# or remembered in float32 (Micikevicius et al., 2017; Kalamkar et al., 2019).
#
# ## The first training
#
# Now train the twin. Both models start from the same weights, see the same batches in the same
# order, and follow the same rule, AdamW with warm-up and clipping. One loop calls `backward` on our
# encoder, the other on the tape. torch's AdamW takes *groups* of parameters, so that matrices decay
# and the rest does not, as in chapter 05.

# %%
from itertools import islice

from groundup.scratch.loss import cross_entropy, cross_entropy_backward
from groundup.scratch.optim import AdamW, clip_by_norm, warmup_cosine

STEPS, WARMUP, PEAK, DECAY, CLIP = 160, 30, 2e-3, 0.01, 1.0


def examples():
    return enumerate(islice(batches(splits.train, B, seed=0), STEPS))


def numpy_training(model):
    """The loop of chapter 05; yields each step's loss, gradients and cache."""
    rule = AdamW(model.params, weight_decay=DECAY)
    for step, batch in examples():
        logits, cache = model.forward(batch.ids, batch.mask)
        loss, cache_loss = cross_entropy(logits, batch.answers)
        grads = model.backward(cross_entropy_backward(cache_loss), cache)
        clip_by_norm(grads, CLIP)
        rule.step(grads, warmup_cosine(step, STEPS, WARMUP, PEAK))
        yield loss, grads, cache


def make_optimizer(twin):
    groups = {DECAY: [], 0.0: []}
    for name, parameter in twin.named_parameters():
        decays = parameter.dim() >= 2 and name != "embedding.weight"
        groups[DECAY if decays else 0.0].append(parameter)
    return torch.optim.AdamW(
        [{"params": each, "weight_decay": decay} for decay, each in groups.items()]
    )


def clip(parameters):
    """Scale all gradients so that their joint norm is at most the limit."""
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.stack([grad.norm() for grad in grads]).norm()
    if norm > CLIP:
        for grad in grads:
            grad.mul_(CLIP / norm)


def torch_training(twin, forward):
    """The loop that every torch project has; yields each step's loss."""
    optimizer = make_optimizer(twin)
    for step, batch in examples():
        ids, mask, answers = map(torch.from_numpy, (batch.ids, batch.mask, batch.answers))
        optimizer.zero_grad()  # or the gradients of the last batch are still there
        loss = F.cross_entropy(forward(ids, mask), answers)
        loss.backward()
        clip(twin.parameters())
        for group in optimizer.param_groups:
            group["lr"] = warmup_cosine(step, STEPS, WARMUP, PEAK)
        optimizer.step()
        yield loss.item()


# %% [markdown]
# Three things are recorded at each step: both losses, how far the gradients are apart, and how many
# hidden units are on different sides of zero, so that the ReLU lets them through in one model and
# not in the other.


# %%
def side_by_side(dtype):
    """Train both; losses (N, 2), relative differences of the gradients (N,), units apart (N,)."""
    model = fresh(dtype)
    twin = TorchEncoder(model)
    fires, losses, gaps, units = {}, [], [], []
    for i, layer in enumerate(twin.layers.layers):  # a hook sees what a module returns
        layer.linear1.register_forward_hook(lambda _, __, out, i=i: fires.update({i: out > 0}))
    runs = zip(numpy_training(model), torch_training(twin, twin), strict=True)
    for (loss, grads, cache), torch_loss in runs:
        losses.append((loss, torch_loss))
        ours = to_torch(grads)
        gaps.append(
            max(
                ((ours[name] - each.grad).norm() / each.grad.norm()).item()
                for name, each in twin.named_parameters()
            )
        )
        # In our cache: the layers, their feed-forward networks, the ReLU by name, its output.
        units.append(
            sum(
                int((fires[i].numpy() != (layer[3][1][1][0] > 0)).sum())
                for i, layer in enumerate(cache[1])
            )
        )
    return np.array(losses), np.array(gaps), np.array(units)


recorded = {dtype: side_by_side(dtype) for dtype in (np.float32, np.float64)}
for dtype, (losses, _, units) in recorded.items():
    apart = np.abs(losses[:, 0] - losses[:, 1])
    last = losses[-1]
    print(f"{np.dtype(dtype).name}: last losses {last[0]:.6f} (NumPy) and {last[1]:.6f} (torch)")
    if units.any():
        first = int(np.flatnonzero(units)[0])
        print(f"  units on two sides of zero: none before step {first + 1}, there {units[first]}")
        print(f"  losses apart up to there at most {apart[: first + 1].max():.0e} nats", end=", ")
        print(f"in all {STEPS} steps {apart.max():.0e}")
    else:
        print(f"  no unit on two sides of zero; losses apart at most {apart.max():.0e} nats")

losses, gaps, units = recorded[np.float32]
first = int(np.flatnonzero(units)[0]) if units.any() else STEPS
fig, (left_axes, right_axes) = figure(1, 2)
left_axes.plot(losses[:, 0], color=COLOURS[0], linestyle="-", linewidth=4, alpha=0.5, label="NumPy")
left_axes.plot(losses[:, 1], color=COLOURS[1], linestyle="-", linewidth=1, label="torch")
left_axes.set(xlabel="step", ylabel="training loss (nats)", title="float32")
left_axes.legend()
for i, (dtype, (_, gaps, _)) in enumerate(recorded.items()):
    right_axes.plot(gaps, color=COLOURS[2 + i], linestyle="-", label=np.dtype(dtype).name)
right_axes.axvline(first, color=INK, linewidth=1, linestyle=":")
right_axes.set(yscale="log", xlabel="step", ylabel="relative difference of gradients")
right_axes.legend(loc="center right")
show(
    fig,
    "training",
    "The same training in NumPy and in torch. Left: in float32 one loss curve lies on the other. "
    "Right: the gradient that differs most. In float32 the first unit that fires in one model alone "
    "(dotted) ends the agreement; in float64 there is none.",
)
assert np.abs(losses[:10, 0] - losses[:10, 1]).max() < 1e-5
assert np.abs(losses[:, 0] - losses[:, 1]).max() < 0.2
assert np.abs(np.subtract(*recorded[np.float64][0].T)).max() < 1e-9
assert losses[-20:, 1].mean() < losses[:20, 1].mean() - 0.5

# %% [markdown]
# In float64 the two runs are one: after 160 steps the losses still agree to their last digits. In
# float32 they agree as well as float32 can, as long as no hidden unit comes out as a tiny number
# above zero here and below zero there. For the loss such a unit is nothing. But the slope of a ReLU
# jumps at zero from 0 to 1, so its weights get a gradient in one model and none in the other. From
# then on the models are two, and the steps carry them further apart. Neither is wrong, and both
# learn equally well.
#
# So how do you tell rounding from a mistake? **Compute in float64, and see whether the difference
# shrinks with the precision.** A mistake does not.
#
# The weights hold a riddle. Compare them after ten steps, long before any unit differs:


# %%
def weights_apart(dtype):
    """The largest difference of a key bias, and of any other weight, after ten steps."""
    model = fresh(dtype)
    twin = TorchEncoder(model)
    for _ in islice(zip(numpy_training(model), torch_training(twin, twin), strict=True), 10):
        pass
    keys, rest = [], []
    for name, ours in to_torch(model.params).items():
        gap = (ours - twin.get_parameter(name).detach()).abs()
        if name.endswith("in_proj_bias"):  # of queries, keys and values, 64 each
            query, key, value = gap.chunk(3)
            keys.append(key.max().item())
            gap = torch.cat((query, value))
        rest.append(gap.max().item())
    return max(keys), max(rest)


for dtype in (np.float32, np.float64):
    key, other = weights_apart(dtype)
    name = np.dtype(dtype).name
    print(f"{name}: key biases are {key:.0e} apart, no other weight more than {other:.0e}")
    assert key > 50 * other

# %% [markdown]
# A key bias $b_k$ adds $q \cdot b_k$ to all scores of a query, and softmax does not see what is added
# to all. So its true gradient is zero, and both programs compute rounding noise. Adam divides every
# gradient by its own size, noise too, and makes steps of it. Here this does no harm, because the loss
# does not see these biases. Only Adam's $\epsilon = 10^{-8}$ holds them back, which in float64 is far
# above the noise.
#
# One detail is ours. torch's `clip_grad_norm_` divides by the norm plus $10^{-6}$. That is harmless,
# but in float64 it would be the largest difference in this figure, so the loop clips by itself.
#
# ## Speed and memory
#
# What does the move cost, what does it bring? One training step of 32 questions, on the machine that
# built this page: time, and the bytes kept between forward and backward.

# %%
import json

from groundup.course import clone
from groundup.scratch.fast import FastTrainer


def bytes_in_cache(cache, seen):
    """The bytes of all arrays in a nested cache, each piece of memory once."""
    if isinstance(cache, np.ndarray):
        owner = cache
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        seen[id(owner)] = owner.nbytes
    elif isinstance(cache, tuple | list):
        for part in cache:
            bytes_in_cache(part, seen)
    elif isinstance(cache, dict):
        bytes_in_cache(list(cache.values()), seen)
    return sum(seen.values())


ids, mask, answers = (torch.from_numpy(each) for each in (batch.ids, batch.mask, batch.answers))
plain, fast, twin = fresh(), FastTrainer(fresh()), TorchEncoder(fresh())
rule, optimizer = AdamW(plain.params), make_optimizer(twin)


def plain_step():
    _, grads = loss_and_gradients(plain, batch)
    clip_by_norm(grads, 1.0)
    rule.step(grads, 1e-3)


def torch_step():
    optimizer.zero_grad()
    twin_loss(twin).backward()
    clip(twin.parameters())
    optimizer.step()


steps = {
    "NumPy, plain": plain_step,
    "NumPy, fast": lambda: fast.step(batch.ids, batch.mask, batch.answers, 1e-3),
    "torch, the twin": torch_step,
}
spent = {name: [] for name in steps}
for _ in range(25):
    for name, step in steps.items():
        began = time.perf_counter()
        step()
        spent[name].append(time.perf_counter() - began)
for name, each in spent.items():
    print(f"{name:16} {1e3 * statistics.median(each[3:]):6.2f} ms a step")

_, cache = plain.forward(batch.ids, batch.mask)
weights = {id(value): value.nbytes for value in plain.params.values()}
in_cache = bytes_in_cache(cache, dict(weights)) - sum(weights.values())
on_tape = bytes_on_tape(lambda: twin_loss(twin))
on_tape -= sum(each.untyped_storage().nbytes() for each in twin.parameters())
print(
    f"kept for the backward pass, beside the weights: our caches {in_cache / 1e6:.2f} MB,", end=" "
)
print(f"the tape {on_tape / 1e6:.2f} MB")

bench = json.loads((clone.root() / "benchmarks/results/numpy_step.json").read_text("utf-8"))
about = bench["machine"]
print(
    f"\nbenchmarks/numpy_step.py, {bench['date']}, {about['cpu']}, batch 32 x 20, one thread, ms:"
)
for row in bench["times"]:
    shape = (row["threads"], row["batch"], row["length"], row["pooling"])
    if shape == (1, 32, 20, "first") and "JAX" not in row["variant"]:
        print(f"  {row['variant']:32} {row['median_ms']:6.2f}")

# %% [markdown]
# On a model this small torch brings little. Its step and that of the plain NumPy code take times of
# the same order, and the fast twin is ahead of both. Each operation of torch has to be looked up,
# recorded and started, which takes microseconds, and there are hundreds of them
# in a step. The products themselves take about as long: both programs call a matrix library. And
# tape and caches hold about as much, since they hold the same things.
#
# You do not move to torch for this model. You move for what Part I could not do: run on a GPU
# without changing a line, try a new block without deriving its backward pass, use every optimizer,
# loader and model that others wrote. The price is that the work happens out of sight. Now see what
# can go wrong there.
#
# ## Breaking it: the detached tensor
#
# `detach()` gives the same numbers without the tape. It has good uses, and it gets into models by
# accident: a round trip through NumPy, a `torch.tensor(...)` around something that is a tensor
# already. Put one between the encoder and the classifier:


# %%
def cut_forward(twin):
    def forward(ids, mask):
        x = twin.embedding(ids) + twin.positions[: ids.shape[1]]
        x = twin.layers(x, src_key_padding_mask=~mask)
        return twin.classifier(x[:, 0].detach())  # the slip

    return forward


cut = TorchEncoder(fresh())
cut_losses = list(torch_training(cut, cut_forward(cut)))
whole_losses = recorded[np.float32][0][:, 1]
fig, ax = figure(height=2.6)
ax.plot(cut_losses, color=COLOURS[1], linestyle="-", label="with detach()")
ax.plot(whole_losses, color=COLOURS[0], linestyle="--", label="without")
ax.axhline(np.log(10), color=INK, linewidth=0.8)
ax.text(STEPS, np.log(10) + 0.05, "ln 10: a blind guess", ha="right", color=INK, fontsize=8)
ax.set(xlabel="step", ylabel="training loss (nats)")
ax.legend(loc="lower left")
show(fig, "detached", "With a cut tape the loss falls all the same, and stops early.")
without = [name for name, parameter in cut.named_parameters() if parameter.grad is None]
total = len(list(cut.parameters()))
print(f"grad is None for {len(without)} of {total} parameters: {', '.join(without[:3])}, …")
print("has a grad:", [name for name, _ in cut.named_parameters() if name not in without])
assert len(without) == total - 2
print(f"mean loss of the last 20 steps {np.mean(cut_losses[-20:]):.2f}", end=", ")
print(f"without the slip {whole_losses[-20:].mean():.2f}")
assert np.mean(cut_losses[-20:]) < np.mean(cut_losses[:20]) - 0.2
assert np.mean(cut_losses[-20:]) > whole_losses[-20:].mean() + 0.3

# %% [markdown]
# No error, no warning, and **the loss falls**. The classifier learns what it can from an encoder that
# stays random. Somebody who looks at the curve alone says that the model is too small. One line
# finds it: after the first `backward()`, list the parameters whose `.grad` is `None`.
# `slope_errors` finds it too, with an error of 1: the loss moves with the parameter, and the gradient
# says that it does not.

# %%
cut = TorchEncoder(fresh(np.float64))
cut_logits = cut_forward(cut)
some = {name: p for name, p in cut.named_parameters() if name.endswith("linear1.weight")}
some["classifier.weight"] = cut.classifier.weight
checked = slope_errors(
    lambda: F.cross_entropy(cut_logits(ids, mask), answers), some, torch.Generator().manual_seed(0)
)
for name, error in checked.items():
    print(f"{name:32} {error:.1e}")
    assert (error < 1e-6) == (name == "classifier.weight")

# %% [markdown]
# ## Breaking it: an edit in place
#
# The tape keeps tensors, not copies. An operation whose name ends in `_`, and `+=`, write into a
# tensor in place. If the tape still needs its old numbers, they are gone. The sigmoid, for example,
# keeps its *result* $s$, since its slope is $s(1-s)$. At $x = 0$ that is $1/4$. Now add 1 to $s$
# before the backward pass, in five ways:


# %%
def add(s):
    s.add_(1)


def add_without_tape(s):
    with torch.no_grad():
        s.add_(1)


def add_to_detached(s):
    s.detach().add_(1)


def add_to_data(s):
    s.data.add_(1)


def add_to_numpy(s):
    s.detach().numpy()[...] += 1


outcomes = {}
for edit in (add, add_without_tape, add_to_detached, add_to_data, add_to_numpy):
    x = torch.zeros((), requires_grad=True)
    s = torch.sigmoid(x)
    y = 3 * s
    version = s._version
    edit(s)
    try:
        y.backward()
        outcomes[edit.__name__] = f"dx = {x.grad.item():g}"
    except RuntimeError as error:
        outcomes[edit.__name__] = "RuntimeError"
        message = str(error)
    print(f"{edit.__name__:18} version {version} -> {s._version}: {outcomes[edit.__name__]}")
print(f"\n{message[:205]}…")
assert [value == "RuntimeError" for value in outcomes.values()] == [True, True, True, False, False]
assert outcomes["add_to_data"] == outcomes["add_to_numpy"] == "dx = -2.25"

# %% [markdown]
# The right answer is $3 \cdot \tfrac14 = 0.75$. Every tensor counts its edits, the tape notes the
# count when it keeps one, and the backward pass compares. So the first three edits end in an error,
# with the numbers of both versions in it. `no_grad` and `detach` do not hide an edit. The last two
# do: `.data` and a NumPy view go around the counter. The rule then runs on $s = 1.5$ and returns
# $3 \cdot 1.5 \cdot (1 - 1.5) = -2.25$ instead of $0.75$: wrong in size and in sign, without a word.
#
# So leave `.data` alone; `detach()` and `no_grad()` do what people want from it and keep the counter.
# And never edit an array that you got from a tensor whose graph is still alive.
#
# ## What practitioners do differently
#
# - **They write no backward passes**, or very few, for chains where memory or traffic is the cost,
#   as here; and then they run `gradcheck` in float64.
# - **Automatic mixed precision.** `torch.autocast` picks the type of each operation by a list: matrix
#   products in bfloat16, losses and sums that need it in float32, and the weights stay float32.
# - **Recomputation.** *Checkpointing* keeps only the inputs of whole layers and runs their forward
#   pass again: our trick with silu(a), on a larger scale.
# - **Compilers.** `torch.compile` reads the program ahead of time, makes one graph of forward and
#   backward, and joins chains of small operations into one.
# - **Tools for what is silent.** `torch.autograd.set_detect_anomaly(True)` says which forward line led
#   to a failing backward one, and stops at the first NaN. A list of parameters without a gradient, and
#   of gradient norms, belongs in the first step of every new training script.
#
# ## What you know now, and what is missing
#
# Autograd does nothing that you did not do: it keeps, orders, runs and adds. You have seen two
# programs agree on every gradient, and a check that works on any module. You also know what it
# cannot see: a cut tape, an edit behind its back, a rounding that eats the update.
#
# From here on the backward pass costs no derivation. So a new block can be tried in an afternoon.
# The twin is still the block of 2017: layer norms that subtract a mean, a ReLU, positions that are
# added once at the bottom. Models of today have replaced all three. Which of these changes matter,
# and how would you find out? That is chapter 09.
#
# ## Sources
#
# - A. Paszke et al. (2019), *PyTorch: an imperative style, high-performance deep learning library*,
#   arXiv 1912.01703.
# - A. Baydin, B. Pearlmutter, A. Radul, J. Siskind (2015), *Automatic differentiation in machine
#   learning: a survey*, arXiv 1502.05767.
# - P. Micikevicius et al. (2017), *Mixed precision training*, arXiv 1710.03740.
# - D. Kalamkar et al. (2019), *A study of BFLOAT16 for deep learning training*, arXiv 1905.12322.
# - N. Shazeer (2020), *GLU variants improve transformer*, arXiv 2002.05202.
# - D. Goldberg (1991), *What every computer scientist should know about floating-point arithmetic*,
#   ACM Computing Surveys 23(1).
