# %% [markdown]
# # A task you can see
#
# Here is a question: `Max ( 5 3 9 )`. You know the answer at once, and you could write a program
# for it in one line. Now throw that line away. You may not say what a maximum is, nor what the 5
# has to do with the 3. You may only show questions with their answers, and change numbers inside a
# machine until it answers rightly, also where it was never told the answer.
#
# Such a machine is a *neural network*: a function with many adjustable numbers in it, its
# *weights*. Training means to adjust them. A network takes numbers and returns numbers, and it
# knows nothing else about the world. So before there is anything to train, two things must be
# settled. **What must a network be given, and what must it be asked, to learn `Max ( 5 3 9 )`?**
#
# This chapter settles them, and then lets three simple machines try. None of them is a transformer.
# Each fails in a way that you can compute beforehand, and each failure names a part of the
# transformer that the next chapters build. On the way we set a trap, the most common one in
# machine learning, and walk into it on purpose.
#
# ## The task
#
# There are five operations: `First`, `Second`, `Last`, `Max` and `Min`. Each is asked of three
# digits. `First ( 5 3 9 )` is 5, `Second ( 5 3 9 )` is 3, and `Min ( 5 3 9 )` is 3 as well. Five
# operations times $10 \cdot 10 \cdot 10$ triples of digits make 5,000 different questions, and
# that is all there is. This whole world would fit into a thin booklet.
#
# It is small, but it is not trivial. For `First`, `Second` and `Last` one must know *where* each
# digit stands. For `Max` and `Min` the place does not matter, and one must know how digits *compare*.
# And it is the first word that says which of the two is wanted. A language model has all three of
# these problems in every sentence.

# %%
import os

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from groundup.scratch.tasks.digits import OPERATIONS, all_examples, answer

for operation in OPERATIONS:
    print(f"{operation:6} ( 5 3 9 ) = {answer(operation, (5, 3, 9))}")
everything = all_examples()
print(f"{len(everything):,} questions in all")
assert len(everything) == 5 * 10**3

# %% [markdown]
# ## From text to numbers
#
# A network can't read. Somebody must turn the text into numbers, and the way it is done decides
# what the network can notice. We cut the text into *tokens*, pieces that are never cut further.
# Here each word, each bracket and each digit is a token. The list of all tokens there are is the
# *vocabulary*. Ours has 20. The place of a token in that list, counted from 0, is its *id*.

# %%
from groundup.scratch.tasks.digits import VOCABULARY, tokenize

for start in (0, 10):
    print("token " + "".join(f"{token:>8}" for token in VOCABULARY[start : start + 10]))
    print("id    " + "".join(f"{i:>8}" for i in range(start, start + 10)))

# %% [markdown]
# With this table, `Max ( 5 3 9 )` can be translated by hand. Look up each token in turn:
#
# | token | Max | ( | 5 | 3 | 9 | ) | [EOS] |
# |:------|:---:|:-:|:-:|:-:|:-:|:-:|:-----:|
# | id    |  5  | 7 | 15 | 13 | 19 | 8 | 1 |
#
# Three things deserve a second look.
#
# - **An id is a name, not an amount.** The digit 5 has the id 15, and `Max` has the id 5. That
#   19 is more than 13 means nothing. The network will have to find out by itself that 9 is more
#   than 3, from answers alone.
# - **[EOS]** means *end of sequence*. It says that the question is over. In this chapter it only
#   goes along; in chapter 07, where a network writes its answer, it says when to stop.
# - **A word that is not in the vocabulary has no id.** It must be refused, loudly. A network that
#   quietly drops what it does not know answers a question that nobody has asked.

# %%
ids = tokenize("Max ( 5 3 9 )")
print(ids)
assert ids == [5, 7, 15, 13, 19, 8, 1]
try:
    tokenize("Median ( 5 3 9 )")
except ValueError as error:
    print("refused:", error)

# %% [markdown]
# !!! example "Exercise 1.1: text to token ids"
#     Write `tokenize`. Spaces around brackets may be missing, operations may come in any case, and
#     what is not in the vocabulary is refused. The traps: a digit taken for its own id, a bracket
#     that sticks to its word, an unknown word that vanishes. In a terminal beside your editor:
#
#     ```text
#     groundup watch 1.1
#     ```
#
# ::: source groundup.scratch.tasks.digits:tokenize folded
#
# ## A batch is a rectangle
#
# Networks are trained on many questions at a time, a *batch*, because one big multiplication is far
# faster than many small ones. A batch is an array with one row for each question. An array is a
# rectangle: all its rows have the same length. Questions need not have. `Min ( 8 2 )` and
# `Last ( 7 )` are shorter than our example.
#
# So the short rows are filled up with a token that means nothing, `[PAD]`, whose id is 0. This is
# *padding*. A second array of the same shape, the *mask*, says which tokens are real. By hand:
#
# | text | ids | | | | | | | mask |
# |:-----|:-:|:-:|:-:|:-:|:-:|:-:|:-:|:-----|
# | Max ( 5 3 9 ) | 5 | 7 | 15 | 13 | 19 | 8 | 1 | 1 1 1 1 1 1 1 |
# | Min ( 8 2 ) | 6 | 7 | 18 | 12 | 8 | 1 | **0** | 1 1 1 1 1 1 0 |
# | Last ( 7 ) | 4 | 7 | 17 | 8 | 1 | **0** | **0** | 1 1 1 1 1 0 0 |
#
# The shape is $(B, T)$: $B = 3$ questions in the batch, $T = 7$ tokens in the longest.

# %%
from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.scratch.tasks.digits import pad

texts = ["Max ( 5 3 9 )", "Min ( 8 2 )", "Last ( 7 )"]
ids, mask = pad([tokenize(text) for text in texts])
print(ids)
print(mask.astype(int))
assert ids.tolist() == [[5, 7, 15, 13, 19, 8, 1], [6, 7, 18, 12, 8, 1, 0], [4, 7, 17, 8, 1, 0, 0]]
assert mask.sum(axis=1).tolist() == [7, 6, 5]

# %% The picture tags=["hide"]
from matplotlib.patches import Rectangle

fig, ax = figure(height=2.6)
kinds = {"operation": COLOURS[1], "bracket": COLOURS[4], "digit": COLOURS[0], "[EOS]": COLOURS[3]}
for row, column in np.ndindex(ids.shape):
    token = VOCABULARY[ids[row, column]]
    kind = "digit" if token.isdigit() else "bracket" if token in "()" else "operation"
    kind = token if token in ("[EOS]", "[PAD]") else kind
    real = mask[row, column]
    ax.add_patch(
        Rectangle(
            (column - 0.46, row - 0.42),
            0.92,
            0.84,
            facecolor=kinds.get(kind, "none"),
            edgecolor="none" if real else INK,
            linestyle="-" if real else "--",
        )
    )
    colour = "#111111" if real else INK
    ax.text(column, row - 0.15, token, ha="center", va="center", color=colour, fontsize=11)
    ax.text(column, row + 0.2, ids[row, column], ha="center", va="center", color=colour, fontsize=9)
ax.set(
    xlim=(-0.6, 6.6),
    ylim=(2.6, -0.6),
    xticks=range(7),
    yticks=range(3),
    xlabel="position in the sequence (tokens)",
    ylabel="row of the batch",
)
show(
    fig,
    "batch",
    "Three questions as one rectangle. Each cell is a token, with its id below. The dashed cells "
    "are padding: the mask is False there and True everywhere else.",
)

# %% [markdown]
# What is the mask for? Let us compute something harmless about `Last ( 7 )`: the share of its
# tokens that are digits. It has five tokens and one digit, so the share is $1/5$. In the batch its
# row has seven cells. Beside a longer neighbour it would have twenty.

# %%
alone, _ = pad([tokenize("Last ( 7 )")])
together, real = pad([tokenize("Last ( 7 )"), tokenize("Max (" + " 1" * 16 + ")")])
is_digit = together[0] >= VOCABULARY.index("0")
print(f"alone            {np.mean(alone[0] >= VOCABULARY.index('0')):.3f}")
print(f"in a batch       {is_digit.mean():.3f}  (row of {together.shape[1]})")
print(f"with the mask    {is_digit[real[0]].mean():.3f}")
assert is_digit[real[0]].mean() == 0.2 != is_digit.mean()

# %% [markdown]
# Without the mask, the result for a question depends on who happens to sit beside it in the batch.
# A model that forgets its mask somewhere gives slightly different answers at every batch size, and
# nothing crashes. Remember this when you meet masks again, in attention (chapter 03) and in pooling
# (chapter 16).
#
# !!! example "Exercise 1.2: padding and mask"
#     Write `pad`. The traps: padding on the wrong side, a mask that is turned or ends one token too
#     soon, padding appended to the caller's own lists. `groundup watch 1.2`
#
# ::: source groundup.scratch.tasks.digits:pad folded
#
# ## What to ask
#
# The answer to `Max ( 5 3 9 )` is 9. The tempting way is to ask the network for a number, and to
# train it towards 9. Look at what that asks. Say that the network cannot tell yet whether the
# answer is 3 or 5, and that each is right half of the time. With the squared error, the best number
# $a$ is the one that makes $\tfrac12 (a-3)^2 + \tfrac12 (a-5)^2$ smallest. Its derivative,
# $(a - 3) + (a - 5)$, is zero at $a = 4$. The best answer is the one that is *surely wrong*. A
# single number has no way to say "3 or 5".
#
# So we ask for ten numbers: one score for each possible answer, 0 to 9. The scores are called
# *logits*, and written $z_0, \dots, z_9$. They may have any size and sign. To read them as
# probabilities, make them positive and divide by their sum. That is *softmax*:
#
# $$p_c = \frac{e^{z_c}}{e^{z_0} + e^{z_1} + \dots + e^{z_9}} .$$
#
# Each possible answer is a *class*, and a machine that gives scores to classes is a *classifier*.
# Its answer is the class with the highest score.
#
# ### Surprise
#
# How bad is a wrong prediction? Let $p$ be the probability that was given to the right class. The
# *cross-entropy* loss is the surprise at seeing it,
#
# $$L = -\ln p .$$
#
# If $p = 1$, there is no surprise: $-\ln 1 = 0$. If $p = \tfrac12$, it is $0.693$. A blind guess
# among ten classes gives each $p = \tfrac1{10}$, and a loss of $\ln 10 = 2.303$. Remember this
# number: a network that has learned nothing should start there. As $p$ goes to 0, the surprise
# grows without bound: to be sure and wrong is the worst. With the natural logarithm, the unit is
# the *nat*. Divided by $\ln 2$ it becomes the *bit* (Shannon, 1948).
#
# By hand, with three classes: let $z = (0, \ln 2, 0)$. The exponentials are 1, 2 and 1, with the
# sum 4, so $p = (\tfrac14, \tfrac12, \tfrac14)$. If the middle class is right, the loss is
# $\ln 2 = 0.693$; if the first is, $\ln 4 = 1.386$. The loss of a batch is the mean over its rows.

# %%
from groundup.scratch.activations import softmax
from groundup.scratch.loss import cross_entropy, cross_entropy_backward

z = np.array([[0.0, np.log(2), 0.0]])
print("probabilities", softmax(z)[0].round(4))
for right in (1, 0):
    loss, _ = cross_entropy(z, np.array([right]))
    print(f"class {right} is right: loss {loss:.3f} nats")
blind, _ = cross_entropy(np.zeros((1, 10)), np.array([9]))
print(f"a blind guess among ten: {blind:.3f} nats")
assert abs(blind - np.log(10)) < 1e-12

fig, ax = figure(height=2.6)
p = np.linspace(0.005, 1, 300)
ax.plot(p, -np.log(p), color=COLOURS[0], linestyle="-")
ax.plot([0.1, 0.5, 1], -np.log([0.1, 0.5, 1]), "o", color=COLOURS[1])
for x, text in ((0.1, "a blind guess: 2.303"), (0.5, "one half: 0.693")):
    ax.text(x + 0.02, -np.log(x) + 0.15, text, color=COLOURS[1])
ax.set(xlabel="probability given to the right answer", ylabel="loss (nats)")
show(
    fig,
    "surprise",
    "The loss is the surprise at the right answer. It is zero for certainty, and grows without "
    "bound as the right answer is held to be impossible.",
)

# %% [markdown]
# That is the whole setting. In: a rectangle of ids, with its mask. Out: ten scores a row. The
# number to make small: the mean surprise. The number that you care about: the share of right
# answers on questions whose answers were never shown, the *accuracy*. Now let machines try.
#
# ## The first machine: a table
#
# The simplest way to learn from examples is to write them down. Our first machine is a dictionary
# from question to answer. If it is asked something that it has never seen, it gives the most common
# answer of its training data.
#
# To test it fairly, we do what nearly everybody does at first. Draw 10,000 questions at random,
# shuffle them, put 80% into a *training set* and 10% into a *test set* on which the machine is
# judged. The remaining 10% are the *validation set*, on which one compares variants while working,
# so that the test set stays untouched for the end. The machine never sees the test answers.

# %%
from groundup.scratch.examples import Examples


def look_up(train: Examples, asked: Examples) -> np.ndarray:
    """The table's answers: what it has written down, or the most common answer."""
    table = {row.tobytes(): right for row, right in zip(train.ids, train.answers, strict=True)}
    common = np.bincount(train.answers).argmax()
    return np.array([table.get(row.tobytes(), common) for row in asked.ids])


def report(name: str, given: np.ndarray, asked: Examples) -> float:
    """Print the accuracy for each operation, and return that of all."""
    right = given == asked.answers
    each = [right[asked.operations == i].mean() for i in range(len(OPERATIONS))]
    print(f"{name:24}" + "".join(f"{share:8.1%}" for share in [*each, right.mean()]))
    return float(right.mean())


HEADER = " " * 24 + "".join(f"{name:>8}" for name in [*OPERATIONS, "all"])

rng = np.random.default_rng(0)
drawn = everything.take(rng.integers(len(everything), size=10_000))
order = rng.permutation(len(drawn))
train, test = drawn.take(order[:8000]), drawn.take(order[9000:])
print(HEADER)
leaky_table = report("table, on the test set", look_up(train, test), test)
assert leaky_table > 0.75

# %% [markdown]
# Four out of five right! Has it learned what `Max` means? Look along the row. `First` goes as well
# as `Max`, though they have nothing in common. Nothing in this machine knows a digit from a bracket.
# How can it score above chance at all?
#
# ### How much was seen before
#
# There are only 5,000 different questions, and we drew 10,000 times. Take one question of the test
# set. What is the probability that the training set holds it too? One draw misses it with
# probability $1 - \tfrac1{5000}$. All 8,000 draws of the training set miss it with probability
#
# $$\left(1 - \tfrac{1}{5000}\right)^{8000} \approx e^{-8000/5000} = e^{-1.6} = 0.202 .$$
#
# (For small $x$, $1 - x$ is close to $e^{-x}$, and $(e^{-x})^n = e^{-nx}$.) So four in five
# test questions, 79.8%, were in the training set, answer included. The table has been asked what it
# was told. This is a *leak*: something of the test has got into the training.

# %%
known = {row.tobytes() for row in train.ids}
seen = np.array([row.tobytes() in known for row in test.ids])
print(f"test questions that stand in the training set: {seen.mean():.1%}")
print(f"expected: {1 - (1 - 1 / 5000) ** 8000:.1%}")
given = look_up(train, test)
print(f"right on those     {np.mean(given[seen] == test.answers[seen]):.1%}")
print(f"right on the rest  {np.mean(given[~seen] == test.answers[~seen]):.1%}")
assert np.all(given[seen] == test.answers[seen])
assert np.mean(given[~seen] == test.answers[~seen]) < 0.25

# %% [markdown]
# All it was told, it knows. On the rest it is at chance. What is chance here? The most common answer
# is 9, or just as well 0, and it is right in 10% of `First`, `Second` and `Last`. The largest of
# three digits is 9 unless all three are below 9: $1 - 0.9^3 = 27.1\%$. The smallest is 9 only for
# `9 9 9`: 0.1%. Over all five operations that is $(3 \cdot 10 + 27.1 + 0.1)/5 = 11.4\%$.
#
# ## A split that shares nothing
#
# The repair is to cut the *questions*, and not the draws: all rows with one question go to the same
# side. Do it once by hand. Eight rows, numbered from 0, hold the questions 7, 3, 5, 7, 3, 7, 9, 7 (one
# digit each, for short). Let the row in which a question stands first stand for it: row 0 for 7, row 1
# for 3, row 2 for 5, row 6 for 9. Now shuffle all rows. Say that they come in this order:
#
# | row | 5 | 6 | 1 | 7 | 2 | 0 | 3 | 4 |
# |:----|:-:|:-:|:-:|:-:|:-:|:-:|:-:|:-:|
# | question | 7 | 9 | 3 | 7 | 5 | 7 | 7 | 3 |
# | stands for it | | yes | yes | | yes | yes | | |
#
# The rows marked *yes* are a line that has each question once, shuffled: 9, 3, 5, 7. Cut this line:
# a half, a quarter, a quarter. The first part gets the questions 9 and 3, with all their rows: 6, 1, 4.
# The second gets 5: row 2. The third gets 7: rows 5, 7, 0, 3. No question stands on two sides.
#
# (Why not simply take the questions as the shuffled rows first show them? A question with many rows
# would show up early, and nearly all frequent ones would go to the first part. This way each question
# has the same chance, however often it occurs.) The library does the same:

# %%
from groundup.scratch.tasks.splits import disjoint_split

questions = np.array([[7], [3], [5], [7], [3], [7], [9], [7]])
parts = disjoint_split(questions, np.array([5, 6, 1, 7, 2, 0, 3, 4]), (0.5, 0.25, 0.25))
print([part.tolist() for part in parts])
assert [part.tolist() for part in parts] == [[6, 1, 4], [2], [5, 7, 0, 3]]

rows, _, apart = disjoint_split(drawn.ids, order)
fair_train, fair_test = drawn.take(rows), drawn.take(apart)
print(f"{len(fair_train):,} rows to train on, {len(fair_test):,} to test on")
print(HEADER)
leaky_table = report("table, draws cut", look_up(train, test), test)
fair_table = report("table, questions cut", look_up(fair_train, fair_test), fair_test)
assert not {row.tobytes() for row in fair_train.ids} & {row.tobytes() for row in fair_test.ids}
assert fair_table < 0.2

# %% [markdown]
# The same machine, the same draws, and only the cut is another. The table never knew anything. (To
# whatever is new it gives one and the same answer, 0 or 9. What it gets right of `Min`, or of `Max`,
# comes from that.) How bad is the leak for other numbers of draws? The formula above predicts it: the
# table gets right all that was seen before, and 11.4% of the rest.

# %%
counts = np.array([1000, 2000, 4000, 7000, 10_000, 15_000, 20_000])
leaky, fair = np.zeros(len(counts)), np.zeros(len(counts))
for n, count in enumerate(counts):
    for _ in range(3):  # the mean of three samples
        data = everything.take(rng.integers(len(everything), size=count))
        order = rng.permutation(count)
        cut = np.split(order, [int(0.8 * count), int(0.9 * count)])
        for (first, _, last), shares in ((cut, leaky), (disjoint_split(data.ids, order), fair)):
            asked = data.take(last)
            shares[n] += np.mean(look_up(data.take(first), asked) == asked.answers) / 3

grid = np.linspace(500, 20_000, 200)
overlap = 1 - np.exp(-0.8 * grid / 5000)
predicted = overlap + 0.114 * (1 - overlap)  # all that was seen, and chance on the rest
fig, ax = figure()
ax.plot(grid, 100 * predicted, color=INK, linestyle="--", label="draws cut, predicted")
ax.plot(counts, 100 * leaky, "o", color=COLOURS[1], label="draws cut, measured")
ax.plot(counts, 100 * fair, "s-", color=COLOURS[0], label="questions cut, measured")
ax.set(xlabel="draws from 5,000 questions", ylabel="right answers, test set (%)", ylim=(0, 103))
ax.legend()
show(
    fig,
    "leak",
    "A table that learns nothing. If draws are cut, its accuracy follows the overlap, as predicted, "
    "and looks like learning from more data. If questions are cut, it stays at chance.",
)
assert leaky[-1] > 0.9 > 0.25 > fair[-1]

# %% [markdown]
# The upper curve is the dangerous one: it rises with more data, as real learning would.
#
# !!! example "Exercise 1.3: a split that shares no input"
#     Write `disjoint_split`. The traps: cutting rows; losing rows; frequent questions that gather
#     in one part; `np.unique`, which sorts, so that all the questions of one operation end in the
#     test set. `groundup watch 1.3`
#
#     Then run this chapter on your own three functions: `groundup chapter 1 --mine`.
#
# ::: source groundup.scratch.tasks.splits:disjoint_split folded
#
# From here on every question is used once, and the 5,000 are cut into 4,000, 500 and 500. No number
# is tuned in this chapter, so validation and test serve together as 1,000 *unseen* questions. Later
# chapters get three such parts, with as many questions of each operation in every one, from
# [make_splits][groundup.scratch.tasks.digits.make_splits].
#
# ## The second machine: a bag of tokens
#
# A better machine must use what is *in* a question. Count the tokens: the row for
# `Max ( 5 3 9 )` has one `Max`, one 5, one 3, one 9, and so on. This *bag of tokens* is a
# vector $x$ of 20 counts. (The mask has its first job here: padding is not counted.) Each token $v$
# has a weight $W_{v,c}$ for each class $c$, and the score of a class is the sum
#
# $$z_c = \sum_v x_v\, W_{v,c}, \qquad\text{or for all rows at once}\qquad z = x\,W .$$
#
# That is a *linear classifier*. With $20 \cdot 10 = 200$ weights it is hardly a neural network, but
# it is trained like one. The derivative of the loss with respect to a weight says how fast the loss
# rises if that weight rises. All these derivatives together are the *gradient*. Move each weight a
# little against it, and the loss falls. This is *gradient descent*, and how far to move is the
# *learning rate*. Where the gradient comes from is the subject of chapter 02, and the one for this
# loss is derived in chapter 05. Here we borrow both lines from there.


# %%
def bag(asked: Examples) -> np.ndarray:
    """How often each token occurs: (B, T) ids to (B, V) counts."""
    one_hot = np.eye(len(VOCABULARY))[asked.ids]  # (B, T, V): a single 1 at the token's id
    return (one_hot * asked.mask[:, :, None]).sum(axis=1)


def fit(x: np.ndarray, answers: np.ndarray, steps: int = 500, lr: float = 0.5) -> np.ndarray:
    """Weights (features, 10) of a linear classifier, by gradient descent on all rows at once."""
    w = np.zeros((x.shape[1], 10))
    for _ in range(steps):
        _, cache = cross_entropy(x @ w, answers)
        gradient = x.T @ cross_entropy_backward(cache)  # chapters 02 and 05
        w -= lr * gradient
    return w


rows, *others = disjoint_split(everything.ids, np.random.default_rng(0).permutation(5000))
taught, unseen = everything.take(rows), everything.take(np.concatenate(others))
bag_weights = fit(bag(taught), taught.answers)
print(HEADER)
table_score = report("table, unseen", look_up(taught, unseen), unseen)
bag_score = report("bag, unseen", (bag(unseen) @ bag_weights).argmax(axis=1), unseen)
report("bag, all 5,000", (bag(everything) @ bag_weights).argmax(axis=1), everything)
assert bag_score > table_score + 0.3

# %% [markdown]
# This is real learning: most `Max` and `Min` questions that it has never seen are right. And there is
# a wall: on all 5,000 questions `First`, `Second` and `Last` stand at 43.0%, all three. Where does that
# number come from?
#
# ### The wall, by hand
#
# To the bag, `First ( 5 3 9 )` and `First ( 9 5 3 )` are the same vector, so they get the same answer,
# and at most one of the two can be right. Sort the 1,000 triples of digits by how many are equal:
#
# | digits | triples | best guess is right in | right |
# |:-------|--------:|:--|----:|
# | all different | $10\cdot 9\cdot 8 = 720$ | 1 of 3 | 240 |
# | two equal | $10 \cdot 9 \cdot 3 = 270$ | 2 of 3 | 180 |
# | all equal | 10 | all | 10 |
#
# With three different digits, each is first in a third of the orders. With two equal ones, name that
# digit: it is first in two orders of three. Together 430 of 1,000. *No* function of the bag can do
# better, however large and however trained: what tells the questions apart is not in its input. No
# training repairs that. **The network must be given positions**; chapter 04 does so.
#
# (On unseen questions the three together are lower still. The orders of the same three digits are
# shared out between the two sides. Where more of the seen ones began with a 5, fewer of the others do,
# so what was learned from the seen ones leans the wrong way.)

# %%
right = (bag(everything) @ bag_weights).argmax(axis=1) == everything.answers
for index, operation in enumerate(OPERATIONS[:3]):
    share = right[everything.operations == index].mean()
    assert 0.40 < share <= 0.435, operation
triples = everything.ids[:1000, 2:5]
equal = [len(set(row)) for row in triples.tolist()]
places = unseen.operations < 3
score = np.mean((bag(unseen) @ bag_weights).argmax(axis=1)[places] == unseen.answers[places])
print(f"First, Second and Last together, unseen: {score:.1%}")
assert score < 0.43
print("triples with 3, 2, 1 different digits:", *(equal.count(n) for n in (3, 2, 1)))
assert [equal.count(n) for n in (3, 2, 1)] == [720, 270, 10]

# %% [markdown]
# ### How it answers Max without comparing
#
# This machine never looks at two digits together: each adds its own weights to the scores, whatever
# stands beside it. How can it answer nearly nine in ten `Max` questions? Look at the weights.

# %%
digits = slice(VOCABULARY.index("0"), None)
fig, (left, right_axes) = figure(1, 2, height=3.4)
image = left.imshow(bag_weights[digits], cmap="viridis")
fig.colorbar(image, ax=left, label="weight", shrink=0.8)
left.set(
    xlabel="class that is scored",
    ylabel="digit in the question",
    xticks=range(10),
    yticks=range(10),
)
for operation, colour, style in (("Max", COLOURS[1], "-"), ("Min", COLOURS[0], "--")):
    weights = bag_weights[VOCABULARY.index(operation)]
    right_axes.plot(range(10), weights, style, marker="o", color=colour, label=operation)
right_axes.set(xlabel="class that is scored", ylabel="weight", xticks=range(10))
right_axes.legend()
show(
    fig,
    "bag_weights",
    "What the bag has learned. Left: each digit votes for itself (the diagonal). Right: the word "
    "Max prefers large answers, the word Min small ones. Together: the best liked of the digits "
    "that are there.",
)

wrong = ~right & np.isin(everything.operations, [3, 4])
repeated = np.array([len(set(row)) < 3 for row in everything.ids[:, 2:5].tolist()])
print(f"wrong on Max and Min: {wrong.sum()} of 2,000, with a repeated digit: ", end="")
print(f"{(wrong & repeated).sum()}")
question = tokenize("Max ( 0 0 1 )")
counts = np.bincount(question, minlength=len(VOCABULARY))
said = (counts @ bag_weights).argmax()
print(f"Max ( 0 0 1 ) = {said}")
assert (wrong & repeated).sum() > 0.8 * wrong.sum()
assert said == 0

# %% [markdown]
# Each digit votes for itself, and the word `Max` adds a bonus that grows with the class. That is no
# comparison. It is a list of preferences, and it breaks where votes are counted twice: in
# `Max ( 0 0 1 )` two votes for 0 outdo one vote for 1 and its slightly larger bonus.
#
# Be careful with the conclusion. *Could* a linear classifier get every `Max` right? Let a digit $c$
# vote for itself with weight $4^c$. The largest digit $m$ collects at least $4^m$. Another digit
# occurs at most twice beside it and collects at most $2 \cdot 4^{m-1}$, which is less. So yes, exactly.
# Gradient descent did not find these weights, and they run from 1 to $4^9 = 262{,}144$. What a machine
# *can represent* and what training *finds* are two questions. And the trick lives on there being only
# ten digits: every number that can occur needs a vote of its own, several times that of the one below.

# %%
votes = np.zeros((len(VOCABULARY), 10))
votes[digits] = np.diag(4.0 ** np.arange(10))
is_max = everything.take(np.flatnonzero(everything.operations == OPERATIONS.index("Max")))
exact = (bag(is_max) @ votes).argmax(axis=1) == is_max.answers
print(f"Max with weights made by hand: {exact.sum():,} of {len(exact):,}")
assert exact.all()

# %% [markdown]
# ## The third machine: positions, added
#
# The wall came from throwing positions away. So give them: let each token have its own weight at each
# position, $7 \cdot 20 = 140$ features instead of 20. Now the machine is told where the 5 stands.


# %%
def by_position(asked: Examples) -> np.ndarray:
    """Which token stands where: (B, T) ids to (B, T·V) zeros and ones."""
    one_hot = np.eye(len(VOCABULARY))[asked.ids] * asked.mask[:, :, None]
    return one_hot.reshape(len(asked), -1)


position_weights = fit(by_position(taught), taught.answers)
print(HEADER)
report("bag, all 5,000", (bag(everything) @ bag_weights).argmax(axis=1), everything)
guesses = (by_position(everything) @ position_weights).argmax(axis=1)
position_score = report("by position, all 5,000", guesses, everything)
assert position_score < 0.7

# %% [markdown]
# Nothing gained. That should surprise you: the answer to `First` now stands in the input, at a known
# place. Why can't it be read off?
#
# Take two questions' digits, `( 1 5 3 )` and `( 3 5 1 )`, and ask `First` and `Last` of both. Look at
# one number: by how much class 1 is ahead of class 3. The machine adds up what each token says. So
# this lead is a sum of a part $s$ that comes from the operation and a part $t$ that comes from the
# rest. For the right answers it needs
#
# | question | answer | the lead of class 1 over class 3 |
# |:---------|:--:|:--|
# | `First ( 1 5 3 )` | 1 | $s_{\text{First}} + t_{153} > 0$ |
# | `Last ( 3 5 1 )` | 1 | $s_{\text{Last}} + t_{351} > 0$ |
# | `Last ( 1 5 3 )` | 3 | $s_{\text{Last}} + t_{153} < 0$ |
# | `First ( 3 5 1 )` | 3 | $s_{\text{First}} + t_{351} < 0$ |
#
# Add the first two lines: $s_{\text{First}} + s_{\text{Last}} + t_{153} + t_{351} > 0$. Add the last two:
# the same sum is $< 0$. Both cannot hold. **At least one of the four answers is wrong, for all weights
# and after any training.** We used nothing but that operation and digits are *added*. (Minsky and
# Papert made such arguments famous in 1969; the smallest case is called XOR.)
#
# The operation must not be added to the digits. It must decide *which* digit counts: it must
# multiply. Let us do that for the machine. Make a feature for each combination of operation, position
# and digit, $5 \cdot 3 \cdot 10 = 150$ of them: "the word is `First` *and* the digit at place 1 is 5".


# %%
def crossed(asked: Examples) -> np.ndarray:
    """Operation times digit at each place: (B, 5·3·10) zeros and ones."""
    operation = np.eye(len(OPERATIONS))[asked.operations]  # (B, 5)
    place = np.eye(len(VOCABULARY))[asked.ids][:, 2:5, digits]  # (B, 3, 10)
    return np.einsum("bo,bpd->bopd", operation, place).reshape(len(asked), -1)


crossed_weights = fit(crossed(taught), taught.answers)
machines = {
    "table": look_up(taught, unseen),
    "bag": (bag(unseen) @ bag_weights).argmax(axis=1),
    "by position": (by_position(unseen) @ position_weights).argmax(axis=1),
    "crossed by hand": (crossed(unseen) @ crossed_weights).argmax(axis=1),
}
print(HEADER)
scores = {name: report(f"{name}, unseen", guesses, unseen) for name, guesses in machines.items()}
assert scores["crossed by hand"] > 0.9 > 0.7 > max(scores["bag"], scores["by position"])

fig, ax = figure(height=3.8)
for number, (name, guesses) in enumerate(machines.items()):
    right = guesses == unseen.answers
    shares = [100 * right[unseen.operations == i].mean() for i in range(5)]
    place = np.arange(5) + 0.2 * (number - 1.5)
    ax.bar(place, shares, width=0.18, color=COLOURS[number], label=name)
ax.plot([-0.45, 2.45], [43, 43], color=INK, linestyle="--", label="limit of a bag, all questions")
ax.set(xticks=range(5), ylabel="right answers, unseen questions (%)", xlabel="operation")
ax.set_xticklabels(OPERATIONS)
ax.set_yticks(range(0, 101, 20))
ax.set_ylim(0, 138)
ax.legend(ncols=3, loc="upper center")
show(
    fig,
    "machines",
    "The three machines, and the one with crossed features, on 1,000 unseen questions. Memory is at "
    "chance. Adding up tokens gets Max and Min mostly right, and places wrong even if it is told them. "
    "Multiplying operation and place does all five.",
)

# %% [markdown]
# It works: the same training, on better features. But *we* did the thinking. We knew which token is
# the operation, that places matter, and what to multiply with what. For three digits that is 150
# features. For sentences nobody knows the list, and it would have no end. The network must find
# such products by itself. *Attention*, in chapter 03, is a product that is learned: one token decides
# how much each other token counts.
#
# ## Breaking it: which machine is best?
#
# One last look at the leak. Suppose that you must choose between the table and the bag, and you have
# only the careless split to go by.

# %%
print(f"{'':8}{'draws cut':>14}{'questions cut':>16}")
table_row = leaky_table, fair_table
bag_row = []
for a, b in ((train, test), (fair_train, fair_test)):
    guesses = (bag(b) @ fit(bag(a), a.answers)).argmax(axis=1)
    bag_row.append(float(np.mean(guesses == b.answers)))
for name, (leaky_score, fair_score) in (("table", table_row), ("bag", bag_row)):
    print(f"{name:8}{leaky_score:14.1%}{fair_score:16.1%}")
assert table_row[0] > bag_row[0]
assert table_row[1] < bag_row[1]

# %% [markdown]
# The careless split does not merely flatter everybody. It **turns the ranking around**: the machine
# that memorises wins, and you would throw away the one that learns. The bag gains only a little,
# because 200 weights cannot memorise thousands of questions. A transformer has a hundred thousand weights and more.
# It can do both, and only a clean split tells you which it did.
#
# ## What practitioners do
#
# - **A baseline first.** The most common answer, a table, a linear model on counts: an hour's work that
#   tells you what the score of a large model is worth. The bag gets nearly nine in ten `Max` questions
#   right without ever comparing two digits.
# - **Split by what must not be shared.** By patient, by author, by document, by time; not by row. Often
#   by a *hash*, a fixed function that turns the name of the patient or document into a number: the side
#   then never changes when data is added. This course does so with modules of documentation.
# - **Hunt duplicates.** Of the test images of CIFAR-10 3.3%, and of CIFAR-100 10%, have a duplicate in
#   the training set (Barz and Denzler, 2019). In common text sets more than 4% of the validation data
#   overlaps with training data (Lee et al., 2021). GPT-3's authors looked for overlaps of 13 words; a bug
#   left some in, and it was too expensive to train again (Brown et al., 2020). Nearly equal inputs leak
#   too, and a comparison of bytes, like ours, does not see them. Kapoor and Narayanan (2022) collect
#   such cases across the sciences.
# - **Larger vocabularies.** 30,000 to 250,000 tokens, pieces of words, so that hardly any text is
#   refused (chapter 12).
# - **Less padding.** With one text of 512 tokens and 31 of 20 in a batch, more than nine tenths of the
#   rectangle is padding. So texts of similar length are put together, or packed end to end (chapters
#   10 and 12).
# - **Small tasks on purpose.** Ours has a larger relative in ListOps (Nangia and Bowman, 2018), with
#   nested operations such as `[MAX 2 9 [MIN 4 7 ] 0 ]`.
#
# ## What you know now, and what is missing
#
# What must a network be given? Ids, a mask, and positions. What must it be asked? A score for each
# possible answer, judged by its surprise, on questions that it has not seen. A table can't generalise,
# a bag can't tell orders apart, and a sum can't let one token decide about another.
#
# To test yourself beyond the exercises: let the bag say only *whether* a token occurs and not how often,
# and predict both the score of `Max` and the new wall for `First` before you run it; ask four digits
# (`all_examples(4)`) and compute the wall again.
#
# The product that was missing needs a machine of several layers: one that makes features, and one
# that reads them. Our training can't reach the first of them. It borrowed a gradient that holds for
# weights right beside the loss, and says nothing about weights further back. How does an error at the
# output travel back through a computation? That is chapter 02.
#
# ## Sources
#
# - C. Shannon (1948), *A mathematical theory of communication*, Bell System Technical Journal 27.
# - M. Minsky, S. Papert (1969), *Perceptrons: an introduction to computational geometry*, MIT Press.
# - N. Nangia, S. Bowman (2018), *ListOps: a diagnostic dataset for latent tree learning*, arXiv
#   1804.06028.
# - B. Barz, J. Denzler (2019), *Do we train on test data? Purging CIFAR of near-duplicates*, arXiv
#   1902.00423.
# - T. Brown et al. (2020), *Language models are few-shot learners*, arXiv 2005.14165.
# - K. Lee et al. (2021), *Deduplicating training data makes language models better*, arXiv
#   2107.06499.
# - S. Kapoor, A. Narayanan (2022), *Leakage and the reproducibility crisis in ML-based science*, arXiv
#   2207.07048.
