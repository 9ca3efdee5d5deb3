# %% [markdown]
# # Looking inside
#
# The model of chapter 05 answers every kind of question, also those it has never seen. Nobody told
# it what a maximum is. Somewhere in 101,898 numbers there must be something that does the work of
# "compare, and keep the larger one". **What did it learn?**
#
# It is tempting to print an attention matrix, point at a bright cell, and say: there, it looks at
# the 9. Sometimes that is right. This chapter collects five instruments, uses each on the digit
# model, and then asks of each what it can prove. Two of them will show us something clear that
# turns out not to matter. You will learn to tell three questions apart that are often taken for
# one: *where does it look? what could be read there? what does the answer need?*
#
# ## The model on the table
#
# First we need a model. Layers and heads are counted from 0 here, as in the code: layer 0 and layer
# 1, each with heads 0 to 3. We keep copies of the parameters on the way, to watch what grows. The
# numbers have 64 bits, so that the rounding of another machine does not lead to another model.

# %%
import os

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.examples import Examples
from groundup.scratch.fast import FastTrainer
from groundup.scratch.optim import warmup_cosine
from groundup.scratch.tasks.digits import OPERATIONS, TOKEN_IDS, accuracy, make_splits, tokenize
from groundup.scratch.trainer import batches, predict

splits = make_splits(np.random.default_rng(0))
# Validation and test questions together: 1,000 that are never trained on.
parts = [vars(part).values() for part in (splits.validation, splits.test)]
unseen = Examples(*(np.concatenate(both) for both in zip(*parts, strict=True)))
digits = unseen.ids[:, 2:5] - TOKEN_IDS["0"]  # (N, 3)
asked = [unseen.operations == i for i in range(len(OPERATIONS))]
STEPS, KEPT = 800, (0, 25, 50, 100, 200, 400, 800)


def train(seed: int) -> dict[int, Encoder]:
    """Models after so many steps of one run; the last is the finished one."""
    model = Encoder.create(EncoderConfig(), np.random.default_rng(seed), np.float64)
    trainer, kept = FastTrainer(model, clip=1.0), {}
    for step, batch in enumerate(batches(splits.train, 64, seed)):
        if step in KEPT:
            kept[step] = Encoder(model.config, {n: p.copy() for n, p in model.params.items()})
        if step == STEPS:
            break
        rate = warmup_cosine(step, STEPS, 60, 2e-3)
        trainer.step(batch.ids, batch.mask, batch.answers, rate)
    return kept


run = train(seed=1)
model = run[STEPS]
print("step   " + "".join(f"{name:>8}" for name in (*OPERATIONS, "all")))
for step, then in run.items():
    scores = accuracy(then, unseen)
    print(f"{step:4}   " + "".join(f"{scores[name]:8.1%}" for name in (*OPERATIONS, "all")))
assert accuracy(model, unseen)["all"] >= 0.99

# %% [markdown]
# ## Are the mistakes near misses?
#
# The first instrument needs no look inside. Ask which wrong answers are given. The *confusion
# matrix* counts, in row $r$ and column $c$, the questions whose right answer is $r$ and whose given
# answer is $c$. Five questions with three classes, by hand: right answers 0, 0, 1, 2, 2; given
# answers 0, 1, 1, 0, 2. The pairs are (0,0), (0,1), (1,1), (2,0), (2,2):

# %%
from itertools import combinations, product

from groundup.scratch.analysis import confusion

print(confusion(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 2]), 3))

# %% [markdown]
# What is right stands on the diagonal. The finished model has next to nothing off it. So take the
# model while it is learning, and ask about each mistake: is the given answer next to the right one
# (a near miss)? Is it at least one of the digits in the question? Beside each share stands, in
# brackets, what it would be for wrong answers drawn blindly from the other nine digits.

# %%
KINDS = {"First Second Last": (0, 1, 2), "Max Min": (3, 4)}
blind_near = np.where(np.isin(unseen.answers, (0, 9)), 1, 2) / 9
together = zip(digits.tolist(), unseen.answers.tolist(), strict=True)
blind_among = np.array([len({*row} - {right}) for row, right in together]) / 9
near: dict[tuple[str, int], np.ndarray] = {}
print("mistakes in         step   number   next to it    in the question")
for (kind, operations), step in product(KINDS.items(), (25, 50, 100)):
    given = predict(run[step], unseen).argmax(axis=-1)
    rows = (given != unseen.answers) & np.isin(unseen.operations, operations)
    near[kind, step] = np.abs(given - unseen.answers)[rows] == 1
    among = (digits == given[:, None]).any(axis=1)[rows]
    print(f"{kind:18} {step:5} {rows.sum():8}", end="")
    print(f"{near[kind, step].mean():9.0%} ({blind_near[rows].mean():.0%})", end="")
    print(f"{among.mean():12.0%} ({blind_among[rows].mean():.0%})")
late = np.concatenate([near["Max Min", 50], near["Max Min", 100]])
assert late.mean() > 1.3 * blind_near.mean()
assert near["First Second Last", 50].mean() < 1.3 * blind_near.mean()

fig, axes = figure(1, 2, height=3.3, sharey=True)
given = predict(run[50], unseen).argmax(axis=-1)
for ax, (kind, operations) in zip(axes, KINDS.items(), strict=True):
    rows = np.isin(unseen.operations, operations)
    counts = confusion(unseen.answers[rows], given[rows], 10)
    image = ax.imshow(counts / counts.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
    ax.set(title=kind, xlabel="given answer", xticks=range(10), yticks=range(10))
axes[0].set_ylabel("right answer")
fig.colorbar(image, ax=axes, label="share of the row")
show(
    fig,
    "confusion",
    "Which answers are given after 50 steps, as shares of each row. Mistakes about places lie "
    "anywhere. Those about sizes are fewer, and lie nearer to the diagonal, which is right.",
)

# %% [markdown]
# Two kinds of ignorance. A model that cannot tell *where* the digits stand gives another digit of
# the question. It is no neighbour of the right one more often than blind chance has it.
#
# Mistakes about *size* change their kind. After 25 steps they are no near misses either. Print the
# answers, and you find habits: mostly large digits for `Max` and small ones for `Min`, whether they
# are in the question or not. Later the digits that are confused with each other are often
# neighbours. (These are few mistakes, and few mistakes make rough percentages.) Nobody gave the
# model an order of digits: to the input, 3 and 4 are as different as 3 and 8. Somewhere it has
# found one. We will look for it.
#
# !!! example "Exercise 6.3: confusion matrix"
#     Count. The traps: rows and columns in each other's place, a pair that occurs three times and
#     is counted once, a class that never occurs. `groundup watch 6.3`
#
# ::: source groundup.scratch.analysis:confusion folded
#
# ## One head, read aloud
#
# Here is what head 0 of layer 0 does with the question `Min ( 5 3 9 )`. Each row is a token that
# looks, each column a token that is looked at. The numbers of a row are its attention weights, and
# sum to one (chapter 03).

# %%
words = "Min ( 5 3 9 )"
ids = np.array([tokenize(words)])
_, cache = model.forward(ids)
matrix = model.attention_maps(cache)[0][0, 0]  # layer 0, the only example, head 0
names = [*words.split(), "[EOS]"]
fig, ax = figure(height=3.6)
image = ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
for t, s in np.ndindex(matrix.shape):
    colour = "#111" if matrix[t, s] < 0.6 else "#fff"
    ax.text(s, t, f"{matrix[t, s]:.2f}", ha="center", va="center", fontsize=8, color=colour)
ax.set(xticks=range(7), xticklabels=names, xlabel="is looked at")
ax.set(yticks=range(7), yticklabels=names, ylabel="looks")
fig.colorbar(image, ax=ax, label="weight")
show(
    fig,
    "one_head",
    "Head 0 of layer 0 on one question. The answer will be read from the token of the first row, "
    "which looks at the 3.",
)
first_row = zip(names, matrix[0], strict=True)
print("row Min:", ", ".join(f"{name} {weight:.2f}" for name, weight in first_row))
assert names[matrix[0].argmax()] == "3"

# %% [markdown]
# Read the first row aloud: "I am the token `Min`. I look hardly at myself and at the brackets. I
# look at the digits, most of all at the 3, somewhat at the 5, and not at the 9." The answer is 3.
# It is hard to see this and not to believe that the model has been understood.
#
# Read the other rows too: the closing bracket looks at the 5, the 3 looks at a bracket. Nothing in
# the question calls for either. Softmax makes every row sum to one, so a token that has nothing to
# look for must look at something. A large weight alone is no sign of interest. Clark et al. (2019)
# found the same in BERT: many heads put most of their weight on the separator token, as if to say
# "nothing for me here".
#
# ## How spread out is a look?
#
# Eight heads, five operations, a thousand questions: too many matrices to read. We want one number
# that says whether a head looks at one thing or at many. A row of weights $p_1, \dots, p_T$ is a
# probability distribution, and there is a number for its spread: the *entropy*, the mean surprise
# (Shannon, 1948). The surprise at a token of weight $p$ is $-\log_2 p$ bits (chapter 01 had the
# same with the natural logarithm, in nats), and each counts as often as it happens:
#
# $$H = -\sum_t p_t \log_2 p_t .$$
#
# By hand, for the weights $\tfrac12, \tfrac14, \tfrac18, \tfrac18$: the surprises are 1, 2, 3 and 3
# bits, and $H = \tfrac12 \cdot 1 + \tfrac14 \cdot 2 + \tfrac18 \cdot 3 + \tfrac18 \cdot 3 = 1.75$
# bits. All weight on one token: $-1 \cdot \log_2 1 = 0$ bits. Evenly on $n$ tokens: $n$ times
# $\tfrac1n \log_2 n$, so $\log_2 n$ bits. And a token of weight zero? As $p$ goes to 0,
# $p \log_2 p$ goes to 0 too, so it adds nothing.
#
# No distribution on $n$ tokens has more than $\log_2 n$. To see it, use $\ln u \le u - 1$ (the line
# touches the logarithm at $u = 1$ and lies above it elsewhere) with $u = \tfrac{1}{n p_t}$:
#
# $$\sum_t p_t \ln\frac{1}{n p_t} \;\le\; \sum_t p_t \left(\frac{1}{n p_t} - 1\right)
# \;\le\; 1 - 1 = 0 .$$
#
# (The sums run over tokens with $p_t > 0$; there are at most $n$ of them, each adding $\tfrac1n$.)
# The left side is $\sum_t p_t \ln\tfrac{1}{p_t} - \ln n$. Divide by $\ln 2$ and read: $H \le \log_2
# n$. So the *share* $H / \log_2 n$ lies between 0 and 1, and can be compared between questions of
# different lengths. For the weights above it is $1.75/2 = 0.875$.

# %%
from groundup.scratch.analysis import attention_entropy, entropy_share

weights = np.array([1 / 2, 1 / 4, 1 / 8, 1 / 8])
print(f"entropy {attention_entropy(weights):.3f} bits, share {entropy_share(weights):.3f}")
assert attention_entropy(weights) == 1.75

# %% [markdown]
# !!! example "Exercise 6.1: entropy of attention"
#     Write both functions. The traps: a zero weight that becomes NaN, nats where bits are asked for,
#     padding counted among the tokens that could be looked at. `groundup watch 6.1`
#
# ::: source groundup.scratch.analysis:attention_entropy folded
#
# ::: source groundup.scratch.analysis:entropy_share folded
#
# Now the whole model. The answer is read from the first token, so its row counts. We take the share
# for each question, and the mean over the questions of an operation. To have two words for it, call
# a head *focused* below one half and *distributed* above. Why one half? A share $s$ is the entropy
# of looking evenly at $7^s$ of the seven tokens. One half is $\sqrt 7 = 2.6$ of them: two digits
# evenly (share 0.36) still count as focused, three (0.56) as distributed.

# %%
from groundup.scratch.analysis import head_entropy, verdicts

shares = head_entropy(model, unseen)  # (layers, heads, operations)
words_of = verdicts(shares)
print("share of the most entropy" + "".join(f"{name:>9}" for name in OPERATIONS))
for layer, head in np.ndindex(2, 4):
    both = zip(shares[layer, head], words_of[layer, head], strict=True)
    row = "".join(f"{share:8.2f}{word[0]}" for share, word in both)
    print(f"layer {layer}, head {head}          {row}")
print("f: focused, d: distributed")

_, cache = model.forward(unseen.ids, unseen.mask)
maps = model.attention_maps(cache)
looks = np.array([[m[rows][:, :, 0].mean(axis=0) for rows in asked] for m in maps])  # (2, 5, H, T)
fig, axes = figure(2, 4, height=4.4, sharex=True, sharey=True)
tokens = ["op", "(", "1st", "2nd", "3rd", ")", "end"]
for (layer, head), ax in np.ndenumerate(axes):
    image = ax.imshow(looks[layer, :, head], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_title(f"layer {layer}, head {head}", fontsize=9)
    ax.set(xticks=range(7), yticks=range(5), yticklabels=OPERATIONS)
    ax.set_xticklabels(tokens, rotation=90)
fig.supxlabel("looked at", fontsize=10, color=INK)
fig.supylabel("question", fontsize=10, color=INK)
fig.colorbar(image, ax=axes, label="mean weight")
show(
    fig,
    "looks",
    "Where the first token looks, averaged over the unseen questions of each operation. In layer 1 "
    "the rows First, Second and Last form a diagonal in every head; Max is spread over the digits.",
)
focused = (shares[1, :, :3] < 0.5).all()
print(f"layer 1 is focused for First, Second and Last in every head: {focused}")
assert focused

# %%
max_rows = maps[1][asked[3]][:, :, 0]  # (questions, H, T)
print("Max, layer 1           head 0  head 1  head 2  head 3")
for label, values in (
    ("mean of the entropies", entropy_share(max_rows).mean(axis=0)),
    ("entropy of the mean", entropy_share(max_rows.mean(axis=0))),
):
    print(f"{label:22}" + "".join(f"{value:8.2f}" for value in values))
peak = max_rows[:, 0].argmax(axis=-1) - 2  # the place of the digit that head 0 looks at most
on_digit = (peak >= 0) & (peak < 3)
at_largest = digits[asked[3]][np.arange(len(peak)), peak.clip(0, 2)] == digits[asked[3]].max(axis=1)
print(
    f"head 0 looks most at the largest digit in {(on_digit & at_largest).mean():.0%} of questions"
)
assert entropy_share(max_rows[:, 0].mean(axis=0)) > 2 * entropy_share(max_rows[:, 0]).mean()

# %% [markdown] One would expect focus for `First`, `Second` and `Last`, whose place is known, and
# spread for `Max` and `Min`, which must see all three digits. The picture of averages seems to say
# so. The numbers disagree: for `Max`, head 0 of layer 1 is as focused as can be wished. Both are
# right. The head looks at *one* digit, but at another one in each question; averaged over
# questions, its looks cover all three places. **The entropy of a mean is not the mean of the
# entropies.** An averaged attention map cannot tell a head that looks everywhere from one that
# chooses. This one chooses: in most questions the largest. The comparing is done by then, in the
# scores before the softmax.
#
# ## Remove one head at a time
#
# Where a head looks is one question. Whether the answer needs it is another, and there is a direct
# way to ask: take the head out, and count right answers (Michel et al., 2019). To take a part out
# and watch what fails is called *ablation*.
#
# How is a head taken out? Each head returns $K$ numbers for a token. They stand side by side in one
# vector $c$ of width $D = HK$, and the layer's output is $y = c\,W + b$, with `wo` for $W$ and `bo`
# for $b$. Write the product out by entries of $c$: entry $c_i$ meets row $i$ of $W$ and no other,
# so
#
# $$y = b + \sum_i c_i W_i = b + \sum_h \Big(\text{head } h\text{'s entries times head }
# h\text{'s rows}\Big).$$
#
# The output is a *sum of what each head writes*. By hand, with two heads of one number each:
# $c = (2, 3)$, rows $W_0 = (1, 0)$ and $W_1 = (4, -1)$, $b = (10, 10)$. Head 0 writes $(2, 0)$, head
# 1 writes $(12, -3)$, and $y = (24, 7)$. Without head 1 it is $(12, 10)$. If head 1 returned 0, it
# would write $(0, 0)$; if its row were zero, it would write $(0, 0)$ too. So to remove a head,
# clear its rows of $W$ in a copy of the model.

# %%
from groundup.scratch.analysis import ablate_heads, without_head

c, wo, bo = np.array([2.0, 3.0]), np.array([[1.0, 0.0], [4.0, -1.0]]), np.array([10.0, 10.0])
print("whole", c @ wo + bo, "  without head 1", c @ without_head(wo, 2, 1) + bo)
assert (c @ without_head(wo, 2, 1) + bo).tolist() == [12, 10]

left = ablate_heads(model, unseen)  # (layers, heads, operations)
print("right answers without" + "".join(f"{name:>9}" for name in OPERATIONS))
for layer, head in np.ndindex(2, 4):
    row = "".join(f"{share:9.1%}" for share in left[layer, head])
    print(f"layer {layer}, head {head}      {row}")
assert left.min() > 0.85

# %% [markdown]
# !!! example "Exercise 6.2: remove a head"
#     Write both: the matrix that is deaf to a head, and the table above. The traps: columns instead
#     of rows, K and H mixed up, a copy that is none, a bias that goes with the head.
#     `groundup watch 6.2`
#
# ::: source groundup.scratch.analysis:without_head folded
#
# ::: source groundup.scratch.analysis:ablate_heads folded
#
# ## Breaking it: a clear picture that is not needed
#
# Now hold the two tables side by side. Pick, for `Second`, the head with the clearest picture: the
# one that puts most of its weight on the second digit. And pick the head whose removal costs the
# most.

# %%
second = OPERATIONS.index("Second")
clearest = np.unravel_index(looks[:, second, :, 3].argmax(), (2, 4))
needed = np.unravel_index(left[:, :, second].argmin(), (2, 4))
for what, (layer, head) in (("clearest picture", clearest), ("most needed", needed)):
    print(f"{what:17} layer {layer}, head {head}:", end=" ")
    print(f"weight on the second digit {looks[layer, second, head, 3]:.2f},", end=" ")
    print(f"share of entropy {shares[layer, head, second]:.2f},", end=" ")
    print(f"right without it {left[layer, head, second]:.1%}")
assert clearest != needed
assert looks[clearest[0], second, clearest[1], 3] > 0.9
assert left[*clearest, second] >= 0.99

# %% [markdown] The first head is a figure for a textbook. It looks at the second digit and nowhere
# else. Take it out, and nothing happens. The second head looks here and there, with no pattern that
# one could name, and it is the one that is missed, if only in a few questions of a hundred. **What
# is easy to read need not be needed, and what is needed need not be easy to read.**
#
# Why is the clear head not needed? Look at the figure again: all four heads of layer 1 look at the
# second digit. Three are enough. So remove two, three, or all four, in every possible choice.


# %%
def without(which: Encoder, layer: int, heads: tuple[int, ...]) -> Encoder:
    """The same model without some heads of one layer."""
    name = f"layers.{layer}.wo"
    wo = which.params[name]
    for head in heads:
        wo = without_head(wo, which.config.heads, head)
    return Encoder(which.config, which.params | {name: wo})


def right(which: Encoder) -> list[float]:
    """The share of right answers for each operation."""
    scores = accuracy(which, unseen)
    return [scores[name] for name in OPERATIONS]


ALL = (0, 1, 2, 3)
fig, axes = figure(1, 2, height=3.4, sharey=True)
for layer, ax in enumerate(axes):
    curves = [
        np.mean([right(without(model, layer, some)) for some in combinations(ALL, n)], axis=0)
        for n in range(5)
    ]
    for i, (name, curve) in enumerate(zip(OPERATIONS, np.transpose(curves), strict=True)):
        ax.plot(range(5), 100 * curve, "osd^v"[i] + "-", label=name, color=COLOURS[i], markersize=5)
    ax.set(title=f"layer {layer}", xlabel="heads removed", xticks=range(5))
axes[0].set(ylabel="right answers (%)", ylim=(0, 105))
axes[0].legend()
show(
    fig,
    "removed",
    "Right answers when heads of one layer are removed, mean over all choices of so many heads. "
    "One head is never missed much. All four are, but not for every operation.",
)
other = train(seed=2)[STEPS]
print(f"another seed, whole: {accuracy(other, unseen)['all']:.1%} right")
assert accuracy(other, unseen)["all"] >= 0.99
print("no attention in       " + "".join(f"{name:>9}" for name in OPERATIONS))
alone = {}
for label, which in (("this model", model), ("another seed", other)):
    for layer in range(2):
        alone[label, layer] = right(without(which, layer, ALL))
        row = "".join(f"{share:9.1%}" for share in alone[label, layer])
        print(f"{label:13} layer {layer} {row}")
mine = np.array([alone["this model", 0], alone["this model", 1]])
assert mine[0, 3] > mine[1, 3] + 0.15  # Max needs layer 1 more
assert mine[1, 4] > mine[0, 4] + 0.3  # Min needs layer 0 more

# %% [markdown]
# Removing heads one at a time had told us that hardly any is needed. That was true, and misleading:
# they stand in for each other. Only together do they show what they do. And then something quite
# unexpected stands in the table. In this model `Min` is worked out by the attention of layer 0, and
# does almost as well without that of layer 1. `Max` is the other way round. Two questions that are
# mirror images of each other are answered in different places.
#
# Is that how transformers find extremes? The second model, from another seed, says no. It answers
# as well, and its work is divided in another way. **What one trained model does is a fact about
# that model.** To say more, train several.
#
# One warning about the tool itself. Zero is a value that the later parts have never seen from this
# head, so some of the damage may come from the strangeness of the zero and not from the missing
# information. Practitioners also put the head's mean output, or its output on another question, in
# its place. If accuracy stays, as for the clear head above, the question does not arise.
#
# ## Is there a number line?
#
# The mistakes suggested that the model knows an order of digits. Where is it? The first place to
# look is the embedding: ten vectors of 64 numbers. If they lay on a line from 0 to 9, or along any
# bend without loops, then digits further apart in the order would be further apart in space. So
# take all 45 pairs of digits, and compare their distances with the differences $|i - j|$ by *rank
# correlation*: replace each list by its ranks, and correlate the ranks (Spearman, 1904). 1 means
# that both lists agree on what is more and what is less; 0, that they know nothing of each other.

# %%
from groundup.scratch.probe import geometry, rank_correlation

DIGITS = slice(TOKEN_IDS["0"], TOKEN_IDS["9"] + 1)
start = run[0].params["embedding"][DIGITS]
print("step   number line   moved since step 0")
for step, then in run.items():
    table = then.params["embedding"][DIGITS]
    moved = np.linalg.norm(table - start) / np.linalg.norm(start)
    print(f"{step:4} {geometry(table).number_line:13.2f} {moved:14.1%}")
rng = np.random.default_rng(0)
shuffled = [geometry(table[rng.permutation(10)]).number_line for _ in range(300)]
low, high = np.quantile(shuffled, [0.05, 0.95])
print(f"digits in a random order: 90% lie between {low:.2f} and {high:.2f}")
assert low < geometry(table).number_line < high

# %% [markdown]
# There is no number line here. The score is what ten vectors in random order would get, and it does
# not change. The second column tells why: the vectors have hardly moved. In 64 dimensions they were
# far apart from the start, each with a direction of its own, and the layers above could learn to
# read them as they were. The embedding of a digit is a name tag, drawn by dice.
#
# So the order must be in the reading. `Max` is answered in layer 1, by a token that compares its
# query with the keys of three digits. The larger the score, the more it looks (chapter 03). Take
# these scores, before the softmax, and average them for each digit.

# %%
from groundup.scratch.probe import hidden_states


def scores_of(which: Encoder, layer: int, operation: int) -> np.ndarray:
    """(heads, 10): the score of each digit under the first token's query, mean over questions."""
    rows, heads = asked[operation], which.config.heads
    x = hidden_states(which, unseen.ids[rows])[layer]  # what the layer reads
    w, b = which.params[f"layers.{layer}.wqkv"], which.params[f"layers.{layer}.bqkv"]
    q, k, _ = np.split(x @ w + b, 3, axis=-1)
    q = q[:, :1].reshape(len(x), 1, heads, -1)
    k = k[:, 2:5].reshape(len(x), 3, heads, -1)
    s = (q * k).sum(axis=-1) / np.sqrt(k.shape[-1])  # (questions, 3 digits, heads)
    return np.array([s[digits[rows] == digit].mean(axis=0) for digit in range(10)]).T


def orders(scores: np.ndarray) -> list[float]:
    """The rank correlation of each head's scores with the digits 0 to 9."""
    return [rank_correlation(s, np.arange(10)) for s in scores]


MAX, MIN = OPERATIONS.index("Max"), OPERATIONS.index("Min")
print("order in the scores      head 0  head 1  head 2  head 3")
for step, then in run.items():
    row = "".join(f"{r:8.2f}" for r in orders(scores_of(then, 1, MAX)))
    print(f"Max, layer 1, step {step:3} {row}")
min_orders = orders(scores_of(model, 0, MIN))
print(f"Min, layer 0, step {STEPS} " + "".join(f"{r:8.2f}" for r in min_orders))
print("Min without the head  " + "".join(f"{share:8.1%}" for share in left[0, :, MIN]))
assert np.sort(orders(scores_of(model, 1, MAX)))[1:].min() > 0.7
assert min(min_orders) < -0.7

fig, (flat, line) = figure(1, 2, height=3.4)
shape = geometry(table)
for digit, (x, y) in enumerate(shape.coordinates):
    flat.text(x, y, str(digit), ha="center", va="center", color=COLOURS[0], fontsize=12)
span = 1.15 * np.abs(shape.coordinates).max()
flat.set(xlim=(-span, span), ylim=(-span, span), title="embedding")
flat.set(xlabel=f"first axis ({shape.explained[0]:.0%} of the variance)")
flat.set(ylabel=f"second axis ({shape.explained[1]:.0%})")
for head, s in enumerate(scores_of(model, 1, MAX)):
    line.plot(range(10), s, "osd^"[head] + "-", color=COLOURS[head], label=f"head {head}")
line.set(xticks=range(10), xlabel="digit", ylabel="mean score", title="under the query of Max")
line.legend()
show(
    fig,
    "number_line",
    "Left: the digits' embeddings on the two axes along which they differ most. No order. Right: "
    "how well each digit's key matches the query of Max in layer 1. The scores climb.",
)

# %% [markdown] Here is the number line. It is not a shape of the embedding but a *direction in
# which it is read*, and the table shows it grow from nothing, in three of the heads within two
# hundred steps. No head has it perfectly. Four of them together do.
#
# The last two lines hold a second surprise. For `Min` in layer 0, head 0 has scores in almost
# perfect falling order. Head 2 has no order at all. An honest observer would call head 0 "the
# minimum head" and leave head 2 out of the story. Yet removing head 2 costs more. What does it do?
# Look at both heads' scores, and at the questions that fail without head 2.

# %%
for head in (0, 2):
    row = " ".join(f"{score:5.1f}" for score in scores_of(model, 0, MIN)[head])
    print(f"Min, layer 0, head {head}, scores of 0 to 9: {row}")
failing = predict(without(model, 0, (2,)), unseen).argmax(axis=-1) != unseen.answers
by_answer = np.bincount(unseen.answers[failing & asked[MIN]], minlength=10)
assert by_answer.argmax() == 1
print(f"fail without head 2, by right answer 0 to 9:   {' '.join(f'{n:5}' for n in by_answer)}")

# %% [markdown]
# Head 0 falls nicely, but it scores 3 above 1. Head 2 scores 1 far above everything else, and what
# is lost without it are questions whose answer is 1. The untidy head does one thing that the tidy
# one gets wrong. A rank correlation, like an entropy, sums a head up; what the head is *for* can
# hide in a single entry.
#
# ## A probe on paper
#
# The last instrument asks what *could* be read from a vector. A *probe* is a small classifier that
# is trained on the vectors of a layer while the model stays as it is (Alain and Bengio, 2016). If
# it finds the answer to some question there, then the information is there. We keep it linear, so
# that it can read but not compute much.
#
# Turn each label into a row $y$ of zeros with a 1 at its class. We look for weights $W$ and a bias
# $b$ that make
#
# $$J = \sum_n \lVert x_n W + b - y_n \rVert^2 + \lambda \lVert W \rVert^2$$
#
# smallest. The second term, with a small $\lambda > 0$, prefers small weights; this is *ridge
# regression* (Hoerl and Kennard, 1970). It needs no training loop. First the bias: the derivative
# of $J$ by $b$ is $2 \sum_n (x_n W + b - y_n)$. Set it to zero and divide by $2N$:
# $b = \bar y - \bar x W$, with bars for means. Put that in, and the bias is gone: what remains is
# $(x_n - \bar x) W - (y_n - \bar y)$. Call the centred arrays $X$ and $Y$. The derivative by $W$ is
# that of a linear layer (chapter 02), and $2\lambda W$ for the penalty:
#
# $$2 X^\top (X W - Y) + 2 \lambda W = 0 \quad\Longrightarrow\quad
# (X^\top X + \lambda I)\, W = X^\top Y .$$
#
# By hand: $x$ is 0 and 2, the classes are 0 and 1, $\lambda = 2$. The means are 1 and
# $(\tfrac12, \tfrac12)$. So $X = (-1, 1)^\top$, and the column of class 1 in $Y$ is
# $(-\tfrac12, \tfrac12)^\top$. Then $X^\top X + \lambda = 4$ and $X^\top Y = 1$: the weight is
# $\tfrac14$ for class 1, and $-\tfrac14$ for class 0. The biases are $\tfrac14$ and $\tfrac34$.

# %%
from groundup.scratch.probe import fit_probe

weights, bias = fit_probe(np.array([[0.0], [2.0]]), np.array([0, 1]), 2, penalty=2.0)
print("weights", weights, "bias", bias)
assert np.allclose(weights, [[-0.25, 0.25]])
assert np.allclose(bias, [0.75, 0.25])

# %% [markdown]
# !!! example "Exercise 6.4: a linear probe"
#     Write it in closed form. The traps: no bias, or one that is penalised; means that are taken off
#     and never put back; vectors centred in the caller's own array. `groundup watch 6.4`
#
# ::: source groundup.scratch.probe:fit_probe folded
#
# How would *you* find a maximum? You would go from left to right and remember the largest so far.
# Does the model? At the second digit's token, let the label be the larger of the first two digits.
# Know two numbers beforehand. A vector that holds only its own digit $b$ allows a guess: $b$ is the
# larger one whenever the first digit is at most $b$, which happens for $b + 1$ digits in ten. The
# mean of
# $(b+1)/10$ over $b = 0, \dots, 9$ is 0.55. So 55% are right without knowing the first digit at all.
#
# And a probe can learn by heart. Hewitt and Liang (2019) propose a *control*: give each of the 100
# pairs of digits a random label, the same wherever the pair occurs, and train a probe on that. What
# the real labels have over the control is what the vectors offer beyond a list of pairs. Both are
# asked about rows that they were not fitted to.

# %%
from groundup.scratch.probe import Probe, probe
from groundup.scratch.tasks.digits import all_examples

everything = all_examples()


def largest_so_far(which: Encoder, operation: int) -> list[Probe]:
    """At the second digit's token: before layer 0, after it, and after layer 1."""
    rows = everything.operations == operation
    pair = everything.ids[rows][:, 2:4] - TOKEN_IDS["0"]
    fitted = np.random.default_rng(0).random(len(pair)) < 0.7
    return [
        probe(
            x[:, 3],
            labels=pair.max(axis=1),
            types=pair @ [10, 1],
            fitted=fitted,
            rng=np.random.default_rng(1),
        )
        for x in hidden_states(which, everything.ids[rows])
    ]


deaf = without(model, 0, ALL)  # no attention in layer 0
print("largest so far, probe (control)   embedding     after layer 0   after layer 1")
found = {}
for label, which in (("whole model", model), ("layer 0 deaf", deaf)):
    for operation in (MAX, OPERATIONS.index("First")):
        name = OPERATIONS[operation]
        found[label, name] = largest_so_far(which, operation)
        row = "".join(f"{p.accuracy:10.0%} ({p.control:.0%})" for p in found[label, name])
        print(f"{label:13} {name:6}        {row}")
print(f"questions about Max answered rightly, layer 0 deaf: {right(deaf)[MAX]:.1%}")
whole, cut = found["whole model", "Max"], found["layer 0 deaf", "Max"]
assert whole[1].accuracy > whole[0].accuracy + 0.15
assert whole[1].selectivity > 0.1
assert abs(cut[1].accuracy - cut[0].accuracy) < 0.1
assert right(deaf)[MAX] > 0.9

fig, ax = figure(height=2.8)
for i, (label, probes) in enumerate((("whole model", whole), ("layer 0 deaf", cut))):
    marker = "os"[i]
    ax.plot([100 * p.accuracy for p in probes], marker + "-", color=COLOURS[i], label=label)
    ax.plot([100 * p.control for p in probes], marker + ":", color=COLOURS[i], label="its control")
ax.axhline(55, color=INK, linewidth=0.8)
ax.text(0.03, 49, "from the own digit alone", va="top", color=INK, fontsize=8)
ax.set(xticks=range(3), xticklabels=["embedding", "after layer 0", "after layer 1"])
ax.set(ylabel="right on held-out rows (%)", ylim=(0, 100))
ax.legend(fontsize=8, loc="lower right")
show(
    fig,
    "probe",
    "Largest so far, read from the second digit's vector in questions about Max. The whole model "
    "has it after layer 0. With no attention in layer 0 it is gone there, and Max is hardly harmed.",
)

# %% [markdown]
# Read the first line. After layer 0 the probe knows the larger of two digits far better than from
# the own digit alone, and better than its control knows a random table. One could stop here and
# write: the model keeps a running maximum. Three facts speak against it.
#
# - The control is high. A good part of what the probe gets right needs no comparison; it needs
#   only that the vector holds both digits.
# - The same is found in questions about `First`, where nobody wants a maximum. Tokens mix with
#   their neighbours whatever is asked.
# - The deaf model settles it. Without attention in layer 0 no token knows any other after it, and
#   the running maximum is gone from there, as the third line shows. `Max` is answered nearly as
#   well. (After layer 1 it can be read again. That is too late: the answer is read from the first
#   token, and no later layer takes anything there.)
#
# **A probe tells what could be read. Only an intervention tells what is.** Here `Max` is answered
# by layer 1 in one look, along the number line of its scores, over digits that may never have heard
# of each other.
#
# ## Is attention an explanation?
#
# You have now met both sides of a debate in your own data. Jain and Wallace (2019) titled their
# paper *Attention is not explanation*. In text classifiers with attention over a recurrent network,
# weights agreed poorly with gradient-based measures of importance, and quite different weights
# often gave the same prediction. Our clear head that nobody misses is a case of their kind.
#
# Wiegreffe and Pinter (2019) replied with *Attention is not not explanation*. That other weights
# *could* give the same answer does not show that these weights did nothing. Weights are part of a
# model that was trained as a whole, and one should ask what they do there, and compare with
# baselines. Our layers show that: without any head of layer 1, `First`, `Second` and `Last` lose a
# third of their right answers or more, which is what the maps had suggested together.
#
# The two papers ask different questions. A map is a true report of where a head looked. It is no
# report of what was taken from there, of whether other heads took it too, or of what happened to it
# later. It is a good source of guesses, and guesses are then tested by taking something away.
#
# ## What practitioners do differently
#
# - **Prune heads.** Michel et al. (2019) removed a large part of the heads of trained translation
#   models and of BERT with little loss. In each layer but a few, one head was often enough. They
#   ranked heads by a gradient: one backward pass for all heads, instead of one run for each.
# - **Patch instead of cut.** Replace a part's output by its output on another question, and see
#   whether the answer moves to that question's answer (Vig et al., 2020; Meng et al., 2022). This
#   keeps the values natural and shows what a part *carries*.
# - **Read circuits.** Elhage et al. (2021) treat each head's query-key and value-output products as
#   matrices on the embedding, as we did with the scores, and follow how heads compose over layers.
# - **Report the control.** A probe's accuracy alone is not a result. The table above has three
#   numbers beside it: guess from the token itself, control, and what an intervention does.
#
# ## What you know now, and what is missing
#
# What did the digit model learn? To treat digits as ordered, without placing them on a line: the
# order is in how keys are read. To choose one digit, by its place or by its size, in a single look.
# To do so several times over, so that no head is indispensable. And to divide the work between
# layers in a way that another seed divides otherwise. Each of these sentences was tested by a
# number that could have come out differently.
#
# To go on: replace zero by the mean output of the head; probe for the *smallest* so far; train a
# model with one head a layer, and see whether its map can still be removed.
#
# Now look at what this model can't do. It answers every question with one of ten digits. It has ten
# scores, and no way to say "12", or a word, or a sentence. To write, a model must give one token,
# read what it has written, and give the next. Chapter 07 turns the encoder into a decoder that
# writes.
#
# ## Sources
#
# - C. Spearman (1904), *The proof and measurement of association between two things*, American
#   Journal of Psychology 15(1).
# - C. Shannon (1948), *A mathematical theory of communication*, Bell System Technical Journal 27.
# - A. Hoerl, R. Kennard (1970), *Ridge regression: biased estimation for nonorthogonal problems*,
#   Technometrics 12(1).
# - G. Alain, Y. Bengio (2016), *Understanding intermediate layers using linear classifier probes*,
#   arXiv 1610.01644.
# - S. Jain, B. Wallace (2019), *Attention is not explanation*, arXiv 1902.10186.
# - P. Michel, O. Levy, G. Neubig (2019), *Are sixteen heads really better than one?*, arXiv
#   1905.10650.
# - K. Clark, U. Khandelwal, O. Levy, C. Manning (2019), *What does BERT look at?*, arXiv 1906.04341.
# - S. Wiegreffe, Y. Pinter (2019), *Attention is not not explanation*, arXiv 1908.04626.
# - J. Hewitt, P. Liang (2019), *Designing and interpreting probes with control tasks*, arXiv
#   1909.03368.
# - J. Vig et al. (2020), *Causal mediation analysis for interpreting neural NLP: the case of gender
#   bias*, arXiv 2004.12265.
# - N. Elhage et al. (2021), *A mathematical framework for transformer circuits*,
#   transformer-circuits.pub/2021/framework.
# - K. Meng, D. Bau, A. Andonian, Y. Belinkov (2022), *Locating and editing factual associations in
#   GPT*, arXiv 2202.05262.
