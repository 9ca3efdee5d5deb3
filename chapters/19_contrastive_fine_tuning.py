# %% [markdown]
# # Contrastive fine-tuning
#
# A language model is trained to say which token comes next. Nobody ever asked it to put "open a
# file" near "read data from disk". Inside it there are vectors all the same, one for each token and
# layer. Many teams take such a model, train it for an hour on pairs of texts, and use the result
# for search. **Can a small language model become an embedder?**
#
# An *embedder* turns a text into one vector, such that texts that mean alike have vectors that
# point alike. This chapter takes one published recipe (Ukarapol et al., 2024) apart: the loss, with
# a pencil; the vector that stands for a text; the few weights that move; the gradient when several
# processes share a batch. Then you run it on two small models, with a search task as the
# judge and a method from the 1990s as the rival. At the end you break it in the two ways in which
# people really break it. Both train without an error message.
#
# ## One triplet, with a pencil
#
# A *triplet* is an anchor, a positive and a negative: a question, its answer, and a text that looks
# like an answer and is none. Say the model has made these vectors of them:
#
# $$q = (2, 0), \qquad p = (0.6, 0.8), \qquad n = (0.8, 0.6) .$$
#
# We compare directions, so we measure cosines. The unit vector of $q$ is $\hat q = (1, 0)$; the
# other two have length one already.
#
# $$c_p = \cos(q, p) = 0.6, \qquad c_n = \cos(q, n) = 0.8 .$$
#
# The model is wrong: the negative is nearer. The loss should say how wrong. Divide the cosines by a
# *temperature* $\tau = 0.05$, as the recipe does. That gives the logits $0.6/0.05 = 12$ and
# $0.8/0.05 = 16$. A softmax makes probabilities of them:
#
# $$P_p = \frac{e^{12}}{e^{12} + e^{16}} = \frac{1}{1 + e^{4}} = 0.017986, \qquad
#   P_n = 0.982014 .$$
#
# The loss is the surprise that the positive was right:
# $L = -\ln 0.017986 = \ln(1 + e^4) = 4.018150$ nats. This is InfoNCE (van den Oord et al., 2018).
#
# **The gradient of the logits** is the one of every cross-entropy, probability minus truth:
# $0.017986 - 1$ for the positive, $0.982014$ for the negative. Each cosine was divided by $\tau$, so
#
# $$\frac{\partial L}{\partial c_p} = \frac{-0.982014}{0.05} = -19.640276, \qquad
#   \frac{\partial L}{\partial c_n} = +19.640276 .$$
#
# **From a cosine to its vectors.** How does $c_p$ change when $p$ moves? Take the part of $\hat q$
# that stands at right angles to $p$, and divide by the length of $p$:
#
# $$\frac{\partial c_p}{\partial p} = \frac{\hat q - c_p\,\hat p}{\lVert p\rVert}
#   = (1, 0) - 0.6\,(0.6, 0.8) = (0.64, -0.48) .$$
#
# (The general rule is derived below.) Likewise $\partial c_n/\partial n = (1, 0) - 0.8\,(0.8, 0.6) =
# (0.36, -0.48)$. For $q$, both cosines count, and its length 2 divides:
#
# $$\frac{\partial c_p}{\partial q} = \tfrac12\big((0.6, 0.8) - 0.6\,(1, 0)\big) = (0, 0.4), \qquad
#   \frac{\partial c_n}{\partial q} = (0, 0.3) .$$
#
# Multiply and add:
#
# | | gradient of the loss |
# |:--|:--|
# | $q$ | $-19.640276\,(0, 0.4) + 19.640276\,(0, 0.3) = (0, -1.964028)$ |
# | $p$ | $-19.640276\,(0.64, -0.48) = (-12.569777, 9.427333)$ |
# | $n$ | $19.640276\,(0.36, -0.48) = (7.070499, -9.427333)$ |
#
# Descent goes against the gradient. So $q$ turns up, towards $p$. The positive moves right and
# down, towards $q$. The negative moves left and up, away. Now the library's
# [info_nce][groundup.embed.losses.info_nce] on the same three vectors:

# %%
from groundup.lab.library_logs import quiet_libraries

quiet_libraries()

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from groundup.embed.losses import info_nce

torch.set_num_threads(1)  # the models of this page are too small for a second thread to help

q = torch.tensor([[2.0, 0.0]], dtype=torch.float64, requires_grad=True)
d = torch.tensor([[0.6, 0.8], [0.8, 0.6]], dtype=torch.float64, requires_grad=True)

loss = info_nce(q, d, temperature=0.05)
loss.backward()
print(f"loss       {loss.item():.6f} nats")
for name, gradient in (("anchor", q.grad[0]), ("positive", d.grad[0]), ("negative", d.grad[1])):
    print(f"{name:9}  ({gradient[0]:10.6f}, {gradient[1]:10.6f})")

assert abs(loss.item() - 4.018150) < 1e-6
assert np.allclose(q.grad, [[0, -1.964028]], atol=1e-6)
assert np.allclose(d.grad, [[-12.569777, 9.427333], [7.070499, -9.427333]], atol=1e-6)

# %% Figure: one step tags=["hide"]
from groundup.lab.plot import COLOURS, INK, figure, show

fig, axes = figure(width=5.6, height=3.4)
points = torch.cat([q, d]).detach().numpy()
moves = -0.03 * torch.cat([q.grad, d.grad]).numpy()
labels = (("anchor", (1.3, 0.04)), ("positive", (0.08, 0.55)), ("negative", (0.58, 0.32)))
for (name, place), point, move, colour in zip(labels, points, moves, COLOURS, strict=False):
    axes.plot([0, point[0]], [0, point[1]], color=colour, linestyle="-", linewidth=2)
    arrow = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", point + move, point, arrowprops=arrow)
    axes.annotate(name, place, color=colour)
axes.set(xlim=(0, 2.2), ylim=(-0.1, 1.1), xlabel="first coordinate", ylabel="second coordinate")
axes.set_aspect("equal")
show(
    fig,
    "triplet",
    "One step of descent (grey, 0.03 times the negative gradient) turns the positive towards the "
    "anchor and the negative away; every move is at right angles to its vector.",
)

# %% [markdown]
# ## The same for a whole batch
#
# Now $B$ anchors $q_1, \dots, q_B$ and $N \ge B$ documents, where $d_i$ is the positive of $q_i$.
# All other documents are negatives of $q_i$, among them the positives of the other anchors. Those
# *in-batch negatives* cost nothing: their vectors are computed anyway. Hard negatives are simply
# more rows of documents. Let $c_{ij} = \hat q_i \cdot \hat d_j$ and
#
# $$P_{ij} = \frac{e^{c_{ij}/\tau}}{\sum_k e^{c_{ik}/\tau}}, \qquad
#   L = -\frac1B \sum_i \ln P_{ii} = \frac1B \sum_i \Big(\ln \sum_k e^{c_{ik}/\tau}
#   - \frac{c_{ii}}{\tau}\Big) .$$
#
# **Step 1, the cosines.** The logarithm of the sum has the derivative $P_{ij}/\tau$ in $c_{ij}$. The
# second term gives $-1/\tau$ where $j = i$ and nothing elsewhere. Write $y_{ij}$ for 1 where
# $j = i$ and 0 elsewhere:
#
# $$G_{ij} := \frac{\partial L}{\partial c_{ij}} = \frac{P_{ij} - y_{ij}}{B\,\tau} .$$
#
# Each row of $G$ sums to zero: what the positive is pulled by, the negatives share as a push, each
# in proportion to its probability. A negative far away gets no push. A near one, a *hard negative*,
# gets almost all of it.
#
# **Step 2, a unit vector.** Let $\hat q = q/\ell$ with $\ell = \lVert q\rVert = \sqrt{q\cdot q}$.
# Move $q$ by a small $\delta$. The length changes by $\hat q\cdot\delta$ (the derivative of the root
# is $1/2\ell$, that of $q \cdot q$ is $2q$). The quotient rule gives
#
# $$\delta\hat q = \frac{\delta}{\ell} - \frac{q}{\ell^2}\,(\hat q\cdot\delta)
#   = \frac{1}{\ell}\big(\delta - \hat q\,(\hat q\cdot\delta)\big) .$$
#
# **Step 3, a cosine.** $c = \hat q\cdot\hat d$, so
# $\delta c = \hat d\cdot\delta\hat q = \tfrac1\ell\big(\hat d - c\,\hat q\big)\cdot\delta$. The
# bracket is the gradient: $\partial c/\partial q = (\hat d - c\,\hat q)/\lVert q\rVert$.
#
# **Step 4, collect.** Each $q_i$ is in row $i$ of the cosines, each $d_j$ in column $j$:
#
# $$\frac{\partial L}{\partial q_i} = \frac{1}{\lVert q_i\rVert}\sum_j G_{ij}\,(\hat d_j -
#   c_{ij}\,\hat q_i), \qquad
#   \frac{\partial L}{\partial d_j} = \frac{1}{\lVert d_j\rVert}\sum_i G_{ij}\,(\hat q_i -
#   c_{ij}\,\hat d_j) .$$
#
# Two things can be read off. The gradient of a vector is at right angles to it, so a loss of cosines
# turns vectors and does not care for their length. And **every row of the batch is in the gradient
# of every other row**. The second fact decides how batches may be shared, below.

# %%
rng = np.random.default_rng(0)
Q, D = rng.normal(size=(4, 3)), rng.normal(size=(7, 3))  # 4 anchors; 4 positives, 3 hard negatives
tau = 0.05

lq, ld = (np.linalg.norm(x, axis=1, keepdims=True) for x in (Q, D))
c = (Q / lq) @ (D / ld).T  # (B, N)
P = np.exp((c - c.max(1, keepdims=True)) / tau)
P /= P.sum(1, keepdims=True)
G = (P - np.eye(4, 7)) / (4 * tau)
dQ = (G @ (D / ld) - (G * c).sum(1, keepdims=True) * Q / lq) / lq
dD = (G.T @ (Q / lq) - (G * c).sum(0)[:, None] * D / ld) / ld

q, d = (torch.tensor(x, requires_grad=True) for x in (Q, D))
loss = info_nce(q, d, tau)
loss.backward()
print(f"loss: formula {-np.log(P[range(4), range(4)]).mean():.12f}, library {loss.item():.12f}")
off = max(np.abs(q.grad.numpy() - dQ).max(), np.abs(d.grad.numpy() - dD).max())
print(f"largest difference of a gradient: {off:.0e}")
assert np.allclose(q.grad, dQ, atol=1e-12)
assert np.allclose(d.grad, dD, atol=1e-12)
assert np.allclose((dQ * Q).sum(1), 0, atol=1e-12)  # at right angles

# %% [markdown]
# ### What the temperature does
#
# The cosines of the triplet were 0.6 and 0.8. What pull they cause depends on $\tau$:

# %%
two = torch.tensor([[0.6, 0.8], [0.8, 0.6]], dtype=torch.float64)
print("temperature  probability of the positive  loss (nats)  pull (1 / unit of cosine)")
for tau in (1.0, 0.5, 0.1, 0.05, 0.02):
    loss = info_nce(torch.tensor([[2.0, 0.0]], dtype=torch.float64), two, tau).item()
    print(f"{tau:11}  {np.exp(-loss):27.6f}  {loss:11.4f}  {(1 - np.exp(-loss)) / tau:25.3f}")

# %% [markdown]
# Cosines live between −1 and 1. At $\tau = 1$ the best possible pair of logits is 1 and −1: the
# softmax can never be sure, and the loss pushes all negatives, near and far, about alike. A small
# $\tau$ makes the loss look at the nearest negatives only. Too small, and it looks at one single
# rival, which may be a mislabelled text. You will measure this on the real task.
#
# !!! example "Exercise 19.1: InfoNCE over several processes"
#     Write the loss: queries, documents, a temperature, and an `offset` that says where the
#     positives of these queries begin. The traps: vectors that are not normalised, a temperature
#     that multiplies, a label that forgets the offset. Check it with
#
#     ```
#     groundup check 19.1
#     ```
#
# ::: source groundup.embed.losses:info_nce folded
#
# ## One vector for a text
#
# The model gives a vector $h_t$ for each of the $T$ tokens. Which one is the text?
#
# An **encoder** attends in both directions: every token has read the whole text, so the *mean* over
# the tokens is a fair summary. Common words need not count as much as rare ones. The library's
# encoder may give each token of the vocabulary a weight of its own that is learned. It begins at
# the *inverse document frequency*, the logarithm of how rare the token is among the texts (Spärck
# Jones, 1972).
#
# ::: source groundup.embed.pooling:mean_pool folded
#
# A **causal** model, which is what most language models are, lets a token attend only to itself and
# to what comes before. The first token has read one word. Only the *last* has read everything. So
# the recipe appends an end-of-sequence token and takes its vector.
#
# A batch is a rectangle, and texts are not equally long. The short ones are filled with a *pad*
# token, on the right or on the left, and a *mask* marks the real tokens: 1 for a real token, 0 for
# a pad. "The last token" must therefore mean the last **attended** token. With padding on the left
# it is position −1. With padding on the right it is not. Which side a tokenizer pads is a setting
# that comes with the model, and models differ.
#
# By hand, with four positions counted from 0: the mask 1 1 0 0 is padded on the right, and the last
# real token stands at position 1. The mask 0 0 1 1 is padded on the left, and it stands at position
# 3. Both have two real tokens, so their number alone does not tell. What is the same in both? The
# last real token has the largest position of all real ones.
#
# !!! example "Exercise 19.2: the last real token"
#     Write `last_token_pool` in `exercises/ch19_contrastive`: token vectors $(B, T, D)$ and a mask
#     $(B, T)$ give one vector a text, $(B, D)$, wherever the padding stands. A text without a real
#     token has no last one, and raises `ValueError`. Check it with
#
#     ```text
#     groundup check 19.2
#     ```
#
# ::: source groundup.embed.pooling:last_token_pool folded
#
# The library's function gives 2 and 4 where the four positions hold the vectors 1, 2, 3 and 4:

# %%
from groundup.embed.pooling import last_token_pool, mean_pool

hidden = torch.arange(1.0, 5.0).reshape(1, 4, 1)  # four positions whose vectors are 1, 2, 3, 4
for side, mask in (("right", [[1, 1, 0, 0]]), ("left", [[0, 0, 1, 1]])):
    last = last_token_pool(hidden, torch.tensor(mask)).item()
    mean = mean_pool(hidden, torch.tensor(mask)).item()
    print(
        f"padded on the {side:5} mask {mask[0]}: last {last}, mean {mean}, position -1 {hidden[0, -1].item()}"
    )
    assert last == (2 if side == "right" else 4)
    assert mean == (1.5 if side == "right" else 3.5)

# %% [markdown]
# ## The recipe
#
# Ukarapol, Lee and Li (2024, arXiv 2408.00690) apply this to language models of about two billion
# parameters. What they report, and what their published code sets:
#
# | part | setting |
# |:-----|:--------|
# | data | 275,000 triplets from natural language inference: a premise, a sentence that follows from it, and one that contradicts it (the hard negative), as in SimCSE (Gao et al., 2021) |
# | text to vector | hidden state of the appended end token, length at most 150 tokens |
# | loss | InfoNCE, $\tau = 0.05$; every process's positives and hard negatives serve every anchor |
# | weights that move | LoRA on the query and value maps, rank 8, $\alpha = 32$, dropout 0.1 |
# | optimizer | rate $5\cdot10^{-5}$, 100 steps of warm-up, cosine, weight decay $10^{-4}$ |
# | amount | 1,000 steps of 28 triplets, bfloat16, 4 GPUs |
# | result | MiniCPM-2B: mean Spearman correlation 83.84 on nine similarity sets, a gain of 56.33% |
#
# So for the question of this chapter there is a published yes, for a model of two billion
# parameters that had been pretrained on a great deal of text. A thousand steps are not even one
# pass over the triplets. The knowledge was there. The fine-tuning brought it to the place where a
# cosine can read it.
#
# Four traps stand in the way of whoever repeats it. Each of them is silent.
#
# 1. **The padding side.** If the code reads position −1 and the tokenizer pads on the right, the
#    vector of every text but the longest is that of a pad. Where the pad token *is* the end token, a
#    look at the token does not tell.
# 2. **The end token.** Many causal tokenizers append none. Then "last" is whatever word stands at
#    the end, or where the text was cut. The library's [encoder][groundup.embed.encoder.SentenceEncoder]
#    has its tokenizer put the end token there, after cutting.
# 3. **Copies in a batch.** Two anchors with the same positive are each other's negatives: the loss
#    pushes the right answer away. So no text may come twice in a batch: where two pairs share one, the
#    library puts the next pair of the epoch in place of the second.
# 4. **The vocabulary.** A language model's head computes $V$ logits for each token. An embedding
#    needs none of them. Load the model without its head.
#
# ## LoRA: what moves
#
# LoRA (Hu et al., 2021; chapter 17) freezes a weight matrix $W$ and adds a product of two thin ones:
# $W + \frac{\alpha}{r} B A$, with $A$ of $r$ rows and $B$ of $r$ columns. $B$ begins at zero, so at
# the start nothing has changed. Here are a small causal model, Llama's architecture from
# transformers with random weights, and the recipe's adapters on it, put there by PEFT:

# %%
from transformers import LlamaConfig, LlamaModel

from groundup.data.corpus import read_packages
from groundup.data.tokenizer import train_tokenizer
from groundup.embed.encoder import SentenceEncoder, inverse_document_frequency
from groundup.embed.lora import LoraSettings, add_lora, merge_lora
from groundup.embed.objective import ContrastiveConfig, ContrastiveObjective

splits = read_packages(("stdlib",)).split()  # modules are assigned to one split each
tokenizer = train_tokenizer(splits.train.text(), vocab_size=4096)


def causal_model() -> SentenceEncoder:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=1,
        num_attention_heads=4,
        initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id,
    )
    return SentenceEncoder(LlamaModel(config).eval(), tokenizer, pooling="last", max_length=128)


texts = ["Open a file and return a stream.", "Sort a list.", "Wait until the lock is free."]
adapted = causal_model()
before = adapted.encode(texts)
recipe = LoraSettings(rank=8, alpha=32, targets=("q_proj", "v_proj"), train_also=())
add_lora(adapted, recipe)
assert np.array_equal(adapted.encode(texts), before)  # B is zero

moving = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
for name, parameter in moving.items():
    print(f"{name.removeprefix('backbone.base_model.model.'):48} {tuple(parameter.shape)}")
count, whole = sum(p.numel() for p in moving.values()), sum(p.numel() for p in adapted.parameters())
print(f"{count:,} of {whole:,} parameters move: {count / whole:.2%}")
assert count == 2 * 8 * (96 + 96)  # two maps, rank 8, inputs + outputs

with torch.no_grad():  # stand-in for a training run
    for name, parameter in moving.items():
        if "lora_B" in name:
            parameter.normal_(std=0.1)
unmerged = adapted.encode(texts)
merge_lora(adapted)
merged = adapted.encode(texts)
print(f"the adapters moved the vectors by up to {np.abs(unmerged - before).max():.3f}")
print(f"merged differs from unmerged by at most {np.abs(merged - unmerged).max():.0e}")
assert np.abs(merged - unmerged).max() < 1e-5

# %% [markdown]
# After *merging*, the product is added to $W$, the adapters are gone, and the model runs as fast as
# before. Both forms are the same function up to the rounding of float32.
#
# ## Two processes: whose gradient is whose?
#
# A large batch has many negatives, and it does not fit on one device. So two processes take half the
# rows each. Process 0 holds anchors 1 and 2, process 1 holds 3 and 4. Three steps follow. Each
# process computes the vectors of its rows. They *gather* the documents, so that each holds all of
# them. Each computes the loss of its own anchors against all documents. At the end the parameter
# gradients of the two are averaged, as DistributedDataParallel does.
#
# Is the result the gradient of one process with the whole batch? Call the losses $L_0$ and $L_1$.
# Each is a mean over half of the anchors, so the full loss is $L = \tfrac12(L_0 + L_1)$. A document
# $d_1$ of process 0 is a positive in $L_0$ and a **negative in $L_1$**. Its gradient has two parts:
#
# $$\frac{\partial L}{\partial d_1} = \frac12\Big(\frac{\partial L_0}{\partial d_1} +
#   \frac{\partial L_1}{\partial d_1}\Big) .$$
#
# The second part arises in process 1, which has only a copy of $d_1$. The parameters' gradient
# needs it where $d_1$ was computed, in process 0. A plain all-gather copies numbers, and the copy
# has no history: the second part is lost. [all_gather][groundup.embed.distributed.all_gather] brings it home. Its
# backward sums over the processes what each says about every row, and each process keeps its own
# rows:
#
# ::: source groundup.embed.distributed:AllGather
#
# You can watch this without a second process. Below, two "ranks" share one weight matrix, and
# autograd plays the network: a gather with gradient is a plain concatenation, a gather without is a
# concatenation in which the other's rows are detached.

# %%
generator = torch.Generator().manual_seed(0)
x, z = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)  # 4 anchors, 4 documents
start = torch.randn(5, 3, generator=generator, dtype=torch.float64)


def shared_gradient(detach: bool = False, offset: bool = True) -> tuple[float, Tensor]:
    """Mean loss and mean gradient of two ranks with two rows each."""
    weight = start.clone().requires_grad_()
    losses = []
    for rank in range(2):
        mine = slice(2 * rank, 2 * rank + 2)
        documents = z @ weight
        if detach:
            rows = documents.detach().clone()
            rows[mine] = documents[mine]
            documents = rows
        losses.append(info_nce(x[mine] @ weight, documents, 0.2, 2 * rank if offset else 0))
    mean = (losses[0] + losses[1]) / 2
    mean.backward()
    return mean.item(), weight.grad


weight = start.clone().requires_grad_()
full = info_nce(x @ weight, z @ weight, 0.2)
full.backward()
print(f"{'one process, the full batch':35} loss {full.item():.6f}")
errors = {}
for name, options in {
    "gather with gradient": {},
    "gather, other rows detached": {"detach": True},
    "labels without the rank's offset": {"offset": False},
}.items():
    value, gradient = shared_gradient(**options)
    errors[name] = ((gradient - weight.grad).norm() / weight.grad.norm()).item()
    print(f"{name:35} loss {value:.6f}  relative error of the gradient {errors[name]:.0e}")
assert errors["gather with gradient"] < 1e-12
assert errors["gather, other rows detached"] > 0.05

# %% [markdown]
# Look at the loss of the detached gather. It is right to the last digit: forward, nothing was lost.
# **No loss curve tells you that its gradient is wrong.** That is why the library's runs compare
# gradients. [gradient_error][groundup.embed.train.gradient_error] is computed in float64 at the
# start of each run with several processes and printed with the result. The tests do the same with
# two real processes, and with both wrong forms, to be sure that the comparison can fail.
#
# Two consequences follow. The processes must hold equally many rows: the objective refuses a batch
# that cannot be shared evenly. And *accumulation*, which sums the gradients of small batches, is not
# the same as a large batch here, because rows of different small batches never meet.
# [fit][groundup.train.loop.fit] refuses it by name.
#
# ## The experiment
#
# The pairs are documentation: the first sentence about a function of Python's standard library, and
# the rest of its text. The question: given the first sentence of a function from a module that was
# never trained on, find the rest among all of them. Nothing is downloaded. *nDCG@10* gives 1 for the
# right text in first place, less for later places, 0 beyond the tenth; *recall@10* is the share found
# among the first ten. Chapter 20 says when to believe such numbers. Beside the models stands BM25
# (Robertson and Zaragoza, 2009), which counts shared words, weighs rare ones higher, and learns
# nothing.

# %%
from dataclasses import replace

from groundup.embed.retrieval import RetrievalTask, bm25, evaluate_retrieval, retrieval_metrics
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.modeling import NeoBERTModel
from groundup.train.config import LoopConfig
from groundup.train.loop import fit

pairs = splits.train.strong_pairs()
task = RetrievalTask.from_pairs(splits.test.strong_pairs())
print(f"{len(pairs):,} pairs to train on, {len(task.queries)} unseen ones to be found")
print(f"query:    {task.queries[0]}")
print(f"document: {task.documents[0][:80]}…")

frequency = inverse_document_frequency(tokenizer, [body for _, body in pairs], len(tokenizer))


def neobert(pooling: str = "weighted") -> SentenceEncoder:
    """One layer; embeddings N(0, 1), branches that begin at zero: at first a bag of words."""
    torch.manual_seed(0)
    config = NeoBERTConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        num_hidden_layers=1,
        num_attention_heads=2,
        head_dim=32,
        intermediate_size=96,
        embedding_std=1.0,
        zero_residual=True,
        pad_token_id=tokenizer.pad_token_id,
    )
    weights = frequency.clone() if pooling == "weighted" else None
    return SentenceEncoder(NeoBERTModel(config).eval(), tokenizer, pooling, weights, max_length=128)


LOOP = LoopConfig(
    steps=32,
    lr=1e-3,
    lr_scale={"backbone.encoder": 50.0, "backbone.embed_tokens": 10.0, "token_weights": 20.0},
)
SETTINGS = ContrastiveConfig(
    model="",  # no directories here: the objects are used directly
    pairs="",
    output="",
    loop=LOOP,
    batch_size=64,
    temperature=0.1,
    query_length=24,
    document_length=40,
)
assert LOOP.steps * SETTINGS.batch_size < len(pairs)  # no pair is seen twice


def tune(encoder: SentenceEncoder, **changes) -> list[float]:
    """Train with the settings above, some of them changed; the loss of each step."""
    settings = replace(SETTINGS, **changes)
    if settings.lora:
        add_lora(encoder, settings.lora)
    losses: list[float] = []
    fit(
        encoder,
        ContrastiveObjective(pairs, encoder, settings),
        settings.loop,
        lambda s: losses.append(s.loss),
    )
    if settings.lora:
        merge_lora(encoder)
    return losses


def similarities(encoder: SentenceEncoder) -> np.ndarray:
    return encoder.encode(task.queries) @ encoder.encode(task.documents).T


rows = {"BM25": bm25(task)}
encoder = neobert()
sim_before = similarities(encoder)
rows["NeoBERT, before"] = retrieval_metrics(sim_before)
neobert_losses = tune(encoder)
rows["NeoBERT, after"] = evaluate_retrieval(encoder, task)  # through mteb
sim_after = similarities(encoder)
assert abs(rows["NeoBERT, after"].ndcg - retrieval_metrics(sim_after).ndcg) < 1e-3

causal = causal_model()
rows["causal, before"] = retrieval_metrics(similarities(causal))
causal_losses = tune(causal)
rows["causal, after"] = retrieval_metrics(similarities(causal))

print(f"\n{'':18}  nDCG@10  recall@10")
for name, result in rows.items():
    print(f"{name:18}  {result.ndcg:7.3f}  {result.recall:9.3f}")
assert rows["NeoBERT, after"].ndcg > rows["NeoBERT, before"].ndcg
assert rows["causal, after"].ndcg > rows["causal, before"].ndcg
assert rows["causal, after"].ndcg < rows["NeoBERT, before"].ndcg
print(f"\nbest: {max(rows, key=lambda name: rows[name].ndcg)}")

# %% Figure: losses and scores tags=["hide"]
fig, (left, right) = figure(1, 2, height=3.0, width_ratios=(1.1, 1))
for name, losses, colour in (
    ("NeoBERT", neobert_losses, COLOURS[0]),
    ("causal", causal_losses, COLOURS[1]),
):
    left.plot(range(1, len(losses) + 1), losses, color=colour, linestyle="-", label=name)
left.axhline(np.log(64), color=INK, linestyle=":", label="ln 64: guessing")
left.set(xlabel="step", ylabel="loss (nats)", ylim=(0, None))
left.legend()
order = list(rows)[::-1]
colours = {"BM25": INK, "NeoBERT": COLOURS[0], "causal": COLOURS[1]}
right.barh(order, [rows[n].ndcg for n in order], color=[colours[n.split(",")[0]] for n in order])
right.set(xlabel="nDCG@10 (1 is perfect)")
show(
    fig,
    "before-and-after",
    "After 32 batches without a repetition both models rank unseen documentation better. BM25, "
    "which learned nothing, sets the mark.",
)

# %% [markdown]
# Read the table without mercy. Both models are better after 32 steps than before: the loss does
# what it says. But the causal model, the one with the recipe's pooling, ends below the point where
# the encoder began. The encoder started as a bag of random word vectors with idf weights, so two
# texts that share a rare word were near each other before any training. The causal model had to
# summarise a text in its end token with random weights, and a few seconds do not teach it to.
#
# Now look at the last line. **On this page the answer is no, for a model that knows nothing.** The
# published yes rests on pretraining, which took far longer than thirty seconds. Compare any embedder
# with BM25 before you believe in it: BM25 costs nothing, and where question and answer share their
# rare words it is hard to beat.
#
# What changed inside? Take twelve unseen pairs and look at all 144 cosines. The diagonal should stand
# out.

# %% Figure: similarity matrices tags=["hide"]
chosen = np.random.default_rng(2).choice(len(task.queries), 12, replace=False)
fig, panels = figure(1, 2, height=3.4)
for axes, title, matrix in zip(panels, ("before", "after"), (sim_before, sim_after), strict=True):
    image = axes.imshow(matrix[np.ix_(chosen, chosen)], vmin=-0.2, vmax=0.8, cmap="viridis")
    axes.set(title=title, xlabel="document (number)", ylabel="query (number)")
    axes.set(xticks=range(0, 12, 2), yticks=range(0, 12, 2))
fig.colorbar(image, ax=panels, label="cosine")
show(
    fig,
    "similarities",
    "Twelve unseen pairs: after training the diagonal, where query and document belong together, "
    "stands out more.",
)

# %%
distances = []
for name, matrix in (("before", sim_before), ("after", sim_after)):
    own = np.diag(matrix)
    other = matrix[~np.eye(len(matrix), dtype=bool)]
    distances.append((own.mean() - other.mean()) / other.std())
    print(
        f"cosines {name:6}  own document {own.mean():.3f}  others {other.mean():.3f} ± {other.std():.3f}"
    )
print(f"distance: {distances[0]:.2f} standard deviations before, {distances[1]:.2f} after")
assert distances[1] > distances[0]

# %% [markdown]
# The cosine of a pair means little by itself. What counts for a ranking is how far it stands above
# those of the wrong documents, in units of their spread.
#
# ### What each ingredient adds
#
# One thing is changed at a time. All runs have 32 steps and the same seed. "Hard
# negatives" means that half of each batch comes from neighbouring places of the corpus: functions of
# one module, which share its vocabulary. The LoRA run trains adapters on all maps of the layer and
# the token weights; the embedding table is frozen.

# %%
variants = {
    "temperature 0.5": {"temperature": 0.5},
    "temperature 0.02": {"temperature": 0.02},
    "batch of 16": {"batch_size": 16},
    "half hard negatives": {"neighbours": 0.5},
    "plain mean, no idf weights": {},
    "LoRA, rank 8": {
        "lora": LoraSettings(rank=8, alpha=32),
        "loop": replace(LOOP, lr=3e-3),
    },
}
print(f"{'':28}  nDCG@10  recall@10")
base = rows["NeoBERT, after"]
print(f"{'as above':28}  {base.ndcg:7.3f}  {base.recall:9.3f}")
scores = {"as above": base.ndcg}
for name, changes in variants.items():
    trial = neobert("mean" if "mean" in name else "weighted")
    tune(trial, **changes)
    result = retrieval_metrics(similarities(trial))
    scores[name] = result.ndcg
    print(f"{name:28}  {result.ndcg:7.3f}  {result.recall:9.3f}")
begin = rows["NeoBERT, before"]
print(f"{'no training':28}  {begin.ndcg:7.3f}  {begin.recall:9.3f}")
assert scores["plain mean, no idf weights"] < begin.ndcg < base.ndcg

# %% [markdown]
# The idf weights are worth more than all of the training: a plain mean that was trained ends below a
# weighted mean that was not. That is a lesson about beginnings. LoRA keeps the embedding table as it
# was, and here the table is random. The method is made for a base worth keeping, and this base is
# not. Be careful with the other rows. One seed and a few hundred queries do not tell apart numbers
# that differ in the second digit. How large a difference must be is the subject of chapter 20.
#
# ## Break it: the last position
#
# Take the trained causal model. Tokenize batches with padding on the right, this tokenizer's default,
# and read position −1. Three cases: a pad token of its own; the common habit to use the end token as
# the pad; and the same without handing the model the mask.


# %%
@torch.no_grad()
def last_position(texts: list[str], pad: int, masked: bool = True) -> np.ndarray:
    """The wrong embedding: position -1 of a batch padded on the right."""
    found = []
    for first in range(0, len(texts), 64):
        tokens = causal.tokenize(texts[first : first + 64], 128)
        tokens["input_ids"][tokens["attention_mask"] == 0] = pad
        if not masked:
            del tokens["attention_mask"]
        hidden = causal.backbone(**tokens).last_hidden_state
        found.append(F.normalize(hidden[:, -1], dim=-1).numpy())
    return np.concatenate(found)


PAD, END = tokenizer.pad_token_id, tokenizer.sep_token_id
ways = {
    "last attended token": causal.encode,
    "position -1, own pad": lambda texts: last_position(texts, PAD),
    "position -1, pad = end": lambda texts: last_position(texts, END),
    "position -1, pad = end, no mask": lambda texts: last_position(texts, END, masked=False),
}
short, other, long = "Sort a list.", "Wait for the lock.", " ".join(task.documents[:3])
print(f"{'':32}  same text  other text  nDCG@10  recall@10")
broken = {}
for name, embed in ways.items():
    alone, (padded, neighbour, _) = causal.encode([short])[0], embed([short, other, long])
    result = retrieval_metrics(embed(task.queries) @ embed(task.documents).T)
    broken[name] = result.ndcg
    print(
        f"{name:32}  {alone @ padded:9.3f}  {padded @ neighbour:10.3f}  "
        f"{result.ndcg:7.3f}  {result.recall:9.3f}"
    )
assert max(list(broken.values())[1:]) < broken["last attended token"]
assert padded @ neighbour > 0.95  # without the mask: two texts, one vector

# %% [markdown]
# "Same text" is the cosine between the vector of "Sort a list." alone, rightly read, and its vector in
# a batch with a text of over a hundred tokens. It should be 1. "Other text" compares it with "Wait for
# the lock." in that same batch.
#
# With a pad of its own the damage is plain. Every padded vector is that of a pad. It has still seen
# the text, because a causal model lets a late position attend to all real ones before it, but it asks
# the wrong question of them. Where the pad is the end token, the vector is nearly right: it is that
# of an end token, some positions too late. **That is the worse fault to have.** Nothing looks broken,
# scores are a little lower, and the vector of a text depends on what else was in its batch. An index
# built in batches of 64 does not agree with a query encoded alone. Without the mask the pads also
# read each other: in a long row of end tokens, the text is a small part of what the last one sees, and
# the two short texts get one and the same vector.
#
# The guard is a test of two lines: encode a text alone and with a longer one, and compare.
#
# ## Break it: labels without the rank's offset
#
# The other classic. Each process numbers its anchors from 0 and forgets that its documents do not
# begin at row 0 of what was gathered. Process 0 is right by luck. Process 1 is told that the answers
# to its questions are the documents of process 0.


# %%
class WithoutOffset(ContrastiveObjective):
    """Two ranks simulated in one process; both label from row 0."""

    def loss(self, model: torch.nn.Module, batch: tuple[dict[str, Tensor], ...]) -> Tensor:
        queries, documents = model(*batch)
        half = len(queries) // 2
        total = torch.zeros(())
        for one, other in ((queries, documents), (documents, queries)):
            for rank in range(2):
                rows = one[half * rank : half * (rank + 1)]
                total = total + info_nce(rows, other, self.config.temperature, offset=0)
        return total / 4 * len(queries)


wrong = neobert()
wrong_losses: list[float] = []
fit(wrong, WithoutOffset(pairs, wrong, SETTINGS), LOOP, lambda s: wrong_losses.append(s.loss))
result = retrieval_metrics(similarities(wrong))
print("                        last loss (nats)  nDCG@10  recall@10   (loss: mean of 5 steps)")
print(f"{'no training':22}  {'':16}  {begin.ndcg:7.3f}  {begin.recall:9.3f}")
print(
    f"{'right labels':22}  {np.mean(neobert_losses[-5:]):16.2f}  {base.ndcg:7.3f}  {base.recall:9.3f}"
)
print(
    f"{'labels without offset':22}  {np.mean(wrong_losses[-5:]):16.2f}  {result.ndcg:7.3f}  {result.recall:9.3f}"
)
assert result.ndcg < base.ndcg
assert np.mean(wrong_losses[-5:]) > np.mean(neobert_losses[-5:]) + 0.5

# %% [markdown]
# Nothing collapses. Half of the labels are right, and the wrong half has nothing in common that could
# be learned: it pairs each question with the answer to another, a different one every time. So most
# of the gain is lost, the model is no ruin, and a team without a reference would keep it. The symptom
# is the loss, which stays high.
#
# ## What practitioners do
#
# - **They use a library.** In sentence-transformers this loss is `MultipleNegativesRankingLoss`. Its
#   `scale` is $1/\tau$ and 20 by default, its `gather_across_devices` is the gather of this chapter.
#   The batch sampler `NO_DUPLICATES` keeps copies out of a batch, and `mine_hard_negatives` finds
#   near misses with a first model. Chapter 21 exports our encoders to its format.
# - **They want large batches in small memory.** GradCache (Gao et al., 2021, arXiv 2101.06983)
#   computes all vectors in small chunks without a graph, takes the gradient of the loss with respect
#   to the vectors, then runs each chunk again and hands it its part. The gradient is that of the full
#   batch. sentence-transformers has it as `CachedMultipleNegativesRankingLoss`. Chapter 18 derives it.
# - **They train in stages.** First many weak pairs (title and text), then few good ones with mined
#   negatives. E5-Mistral (Wang et al., 2024, arXiv 2401.00368) skips the first stage: it takes a
#   pretrained causal model, synthetic pairs, an instruction before each query, last-token pooling
#   and LoRA.
# - **They undo the causal mask.** LLM2Vec (BehnamGhader et al., 2024, arXiv 2404.05961) lets a causal
#   model attend in both directions, adapts it briefly with masked prediction, and then trains it
#   contrastively.
# - **They keep the general model.** Adapters are a few megabytes. One base can serve many tasks, with
#   one adapter each.
#
# ## What you know now, and what is missing
#
# Can a small language model become an embedder? **One that has learned language can, with little
# training. One that has not cannot, with the same training.** The loss turns vectors by what the
# softmax gets wrong, and every row moves every other. The vector of a text is the last attended token
# in a causal model, a mean in an encoder. LoRA moves a small share of the weights and costs nothing
# afterwards. Two processes give the gradient of one, if the gather carries gradients home.
#
# To test yourself further: write the gradient of the triplet for $\tau = 0.5$ with a pencil and
# check it; give the causal model ten times the steps; let a batch hold one pair twice and look at
# the gradient of its document.
#
# The tables above compare systems by numbers with three digits. Some of the differences are real,
# and some would be gone with another seed. You cannot tell which yet. That is the subject of chapter
# 20: **when is a number evidence?**
#
# ## Sources
#
# - K. Spärck Jones (1972), *A statistical interpretation of term specificity and its application in
#   retrieval*, Journal of Documentation 28(1).
# - S. Robertson, H. Zaragoza (2009), *The probabilistic relevance framework: BM25 and beyond*,
#   Foundations and Trends in Information Retrieval 3(4).
# - A. van den Oord, Y. Li, O. Vinyals (2018), *Representation learning with contrastive predictive
#   coding*, arXiv 1807.03748.
# - L. Gao, Y. Zhang, J. Han, J. Callan (2021), *Scaling deep contrastive learning batch size under
#   memory limited setup*, arXiv 2101.06983.
# - T. Gao, X. Yao, D. Chen (2021), *SimCSE: simple contrastive learning of sentence embeddings*, arXiv
#   2104.08821.
# - E. Hu et al. (2021), *LoRA: low-rank adaptation of large language models*, arXiv 2106.09685.
# - L. Wang et al. (2024), *Improving text embeddings with large language models*, arXiv 2401.00368.
# - P. BehnamGhader et al. (2024), *LLM2Vec: large language models are secretly powerful text
#   encoders*, arXiv 2404.05961.
# - T. Ukarapol, Z. Lee, A. Xin (2024), *Improving text embeddings for smaller language models using
#   contrastive fine-tuning*, arXiv 2408.00690.
