# %% [markdown]
# # A decoder that writes
#
# The encoder of the last chapters answers questions. It reads a whole line, looks to and fro in it,
# and names one of ten digits. A writer does something else. It has a beginning and must say what
# comes next, and then what comes after that, and nobody hands it the rest of the line.
#
# **How does an encoder become a writer?** The answer is short: nobody may look ahead, and
# everybody must guess the next word. This is what makes a GPT-2 (Radford et al., 2019). In this chapter
# you make the change, train the result on small stories, and let it write. You will measure what it
# writes: whether a story still knows at its end what its hero is called. Then you make it write
# faster, and break it with a mask that is off by one.
#
# ## One word at a time
#
# A text is a row of *tokens*, here words and marks: $w_1, w_2, \dots, w_T$. How probable is the
# whole row? Any probability of several things splits into steps, each given what came before:
#
# $$p(w_1, \dots, w_T) = p(w_1)\; p(w_2 \mid w_1)\; p(w_3 \mid w_1, w_2) \cdots
# p(w_T \mid w_1, \dots, w_{T-1}).$$
#
# This is no assumption. It is the definition of "given" applied $T-1$ times. So whoever can tell
# the probability of the *next* token after any beginning can tell the probability of every text,
# and can write: draw $w_1$, then $w_2$ given it, and so on. A *language model* is a function that
# takes a beginning and returns a probability for every token of the vocabulary. A *decoder* is a
# transformer that does this.
#
# ## Where nobody may look
#
# Training must not be slow. A row of $T$ tokens holds $T$ questions ("after one token, what?",
# "after two?"), and we want them answered in one pass. In an encoder that can't work: position 1
# looks at position 2, sees the answer, and learns to copy. So take the look away. The *causal
# mask* of chapter 03 lets position $t$ see positions 1 to $t$ and nothing later.
#
# !!! note "Three tokens with a pencil"
#     Three positions have the values 8, 4 and 0. Their scores are in the table; the exponentials
#     are whole numbers. A dash is masked: its score counts as $-\infty$, its exponential as 0.
#
#     | query | exponentials, all visible | with the mask | weights | mixture |
#     |:--|:--|:--|:--|:--|
#     | 1 | 1, 5, 1 | 1, –, – | 1 | $8$ |
#     | 2 | 3, 1, 4 | 3, 1, – | 3/4, 1/4 | $\tfrac34 8 + \tfrac14 4 = 7$ |
#     | 3 | 1, 2, 1 | 1, 2, 1 | 1/4, 2/4, 1/4 | $\tfrac14 8 + \tfrac24 4 + \tfrac14 0 = 4$ |
#
#     Query 1 wanted value 2 more than anything, five to one. It does not get a share of it. Row 2
#     has lost the exponential 4, so 3 and 1 share the whole weight. Row 3 sees all.

# %%
import gzip
import lzma
import os
import time
from collections import Counter
from textwrap import fill

# Small matrices: a second thread costs more than it gives. It has to be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from groundup.lab.plot import COLOURS, INK, figure, show
from groundup.scratch.attention import attention
from groundup.scratch.decoder import Decoder, DecoderConfig
from groundup.scratch.masks import causal_mask
from groundup.scratch.types import Array

scores = np.log([[1.0, 5, 1], [3, 1, 4], [1, 2, 1]])
q, k = scores * np.sqrt(3), np.eye(3)  # so that q·k/√3 are these scores
v = np.array([[8.0], [4.0], [0.0]])
for name, mask in (("all visible", None), ("causal mask", causal_mask(3))):
    mixture, _ = attention(q[None, None], k[None, None], v[None, None], mask)
    print(f"{name}: {mixture.ravel().round(3).tolist()}")
assert np.allclose(mixture.ravel(), [8, 7, 4])

# %% [markdown]
# Attention is the only place where tokens meet. Linear layers, norms and the feed-forward network
# treat each position by itself. So if no attention of any layer looks ahead, then by going through
# the layers one after the other, the output at position $t$ depends on tokens 1 to $t$ alone. Check
# it on a whole fresh decoder: change the last token, and look at the outputs before it.

# %%
fresh = Decoder.create(DecoderConfig(), np.random.default_rng(0))
one = np.array([[3, 1, 4, 1, 5]])
other = np.array([[3, 1, 4, 1, 9]])
change = np.abs(fresh.forward(one)[0] - fresh.forward(other)[0]).max(axis=-1)[0]
print("largest change of the outputs at positions 1 to 5:", change.round(4).tolist())
assert change[:4].max() == 0 < change[4]

# %% [markdown]
# Exactly zero, not nearly. The mask was exercise 3.2; here is the block it sits in. It differs from
# the encoder's in little: the norms stand before each part (pre-LN, chapter 04), and GELU is the
# activation. The output head is the embedding itself: the score of a word is the dot product of
# the final vector with that word's row (*tied weights*, Press and Wolf, 2017).
#
# ::: source groundup.scratch.decoder:decoder_block folded
#
# ## What comes next is the same row
#
# What are the right answers? No one has to write them down. After "Once upon a" comes "time", and it
# stands in the text. The *targets* of a row are the same row, moved by one place. A special token
# marks the end of a story; it also stands in front, as if another story had just ended, so that
# the first word is learned too:
#
# | read | `[END]` | Mia | was | kind | `.` |
# |:--|:--|:--|:--|:--|:--|
# | target | Mia | was | kind | `.` | `[END]` |
#
# Rows have different lengths. Short ones are filled up on the right, and the target there is
# −100, a number that is no token and means "do not count this". No padding mask is needed: the
# filling stands behind the story, and nobody looks behind.
#
# !!! example "Exercise 7.1: rows and what comes next"
#     Write `story_rows`. A shift by one is easy to do twice, or not at all; both train without any
#     error. Check it with `groundup watch 7.1`.
#
# ::: source groundup.scratch.tasks.stories:story_rows folded
#
# ## Loss is surprise
#
# How good is a guess? If the model gave the true next token the probability $p$, its *surprise* is
# $\log_2 \frac1p$ *bits*. A token with $p = \frac12$ surprises by one bit, like the throw of a coin.
# One with $p = 1$ does not surprise.
#
# !!! note "Two tokens with a pencil"
#     The text is " cat sat", 8 bytes. The model gives " cat" the probability 1/4 and then " sat"
#     1/16.
#
#     - Surprise: $\log_2 4 = 2$ bits and $\log_2 16 = 4$ bits, together 6. The probability of the
#       text is $\frac14 \cdot \frac1{16} = \frac1{64}$, and $\log_2 64 = 6$: products of
#       probabilities are sums of bits.
#     - **Loss**, the mean over tokens: 3 bits. With the natural logarithm it is
#       $3 \ln 2 = 2.0794$ nats, which is what training uses.
#     - **Perplexity**, $e^{\text{loss}} = 2^3 = 8$: as uncertain as a choice among 8 equal tokens.
#     - **Bits per byte**: 6 bits over 8 bytes, 0.75.
#
# Why bytes? A model that cuts text into syllables has more, easier tokens than one that cuts it
# into words. Its loss per token is lower, and it may be the worse model. Bytes are the same for
# both. And a bit is meant literally: a language model and an arithmetic coder store a text in that
# many bits, all but one or two (Shannon, 1951; Delétang et al., 2023). So `gzip` is a rival we can
# compare with.
#
# Both passes are those of chapter 05: every token that counts is one row of cross-entropy. A loss
# that divides by *all* places, the filled ones too, looks better the more filling there is.

# %%
from groundup.scratch.language import (
    Rows,
    bits_per_byte,
    evaluate,
    next_token_loss,
    perplexity,
    train,
)

p = np.array([[[1 / 4, 1 / 2, 1 / 4], [1 / 16, 7 / 16, 1 / 2], [1 / 3, 1 / 3, 1 / 3]]])
loss, _ = next_token_loss(np.log(p), np.array([[0, 0, -100]]))  # the third does not count
print(f"loss {loss:.4f} nats, perplexity {perplexity(loss):.1f}", end=", ")
print(f"bits per byte {bits_per_byte(loss, tokens=2, size=len(b' cat sat')):.2f}")
assert np.allclose(
    [loss, perplexity(loss), bits_per_byte(loss, 2, 8)], [2.0794, 8, 0.75], rtol=1e-4
)

# %% [markdown]
# !!! example "Exercise 7.2: surprise"
#     Write the loss with ignored targets, its gradient, and bits per byte. `cross_entropy` does the
#     middle part. Check it with `groundup watch 7.2`.
#
# ::: source groundup.scratch.language:next_token_loss folded
#
# ::: source groundup.scratch.language:next_token_loss_backward folded
#
# ::: source groundup.scratch.language:bits_per_byte folded
#
# ## Something to read
#
# Large models read the web. In thirty seconds we need a smaller world. Eldan and Li (2023) showed
# that models of less than ten million parameters write sound English if the English is that of a
# small child; they called the corpus TinyStories. Ours is smaller still: a grammar makes stories of six
# sentences in which a child has a name, a pronoun and a coloured thing, goes to a place, and is
# helped by an animal. We write the grammar ourselves for two reasons. We know what must return in a
# story, so we can *count* contradictions. And we know how many bits of chance go into each story.
# That is its *entropy*: no model can need fewer bits on average, so we know the floor.

# %%
from groundup.scratch.tasks.stories import (
    END,
    consistent,
    mistakes,
    stories,
    story_bits,
    story_rows,
    words,
)

TRAINING, UNSEEN = stories(6000, seed=1), stories(300, seed=2)
unseen = UNSEEN.split(END)[:-1]
print(fill(unseen[0], 90))
seen = set(TRAINING.split(END))
print(f"unseen stories that training holds too: {sum(s in seen for s in unseen)} of {len(unseen)}")
assert not seen & set(unseen)
assert all(map(consistent, unseen))

rng = np.random.default_rng(3)
bits = np.mean([story_bits(rng)[1] for _ in range(2000)])
SIZE = len(UNSEEN.encode())
floor = bits * len(unseen) / SIZE
print(f"{bits:.1f} bits of chance a story: as many as 2^{bits:.0f} = {2**bits:.0e} equal choices")
print(f"the floor: {floor:.3f} bits per byte")
broken = "Mia was a shy girl. He had a red kite. At the park she found a fox. Mia hugged the cat."
print("broken:", mistakes(broken))

# %% [markdown]
# Stories are drawn apart for training and for testing, and no test story occurs in training. With
# so many possible stories, remembering them is no way out.
#
# Next, cut the text. A token is a word with the space before it, or a mark. Nothing is lost: the
# tokens joined are the text, so bits per byte are honest.

# %%
VOCABULARY = sorted(set(words(TRAINING)))
IDS = {word: i for i, word in enumerate(VOCABULARY)}
STOP = IDS[END]
assert "".join(words(UNSEEN)) == UNSEEN
assert set(words(UNSEEN)) <= set(VOCABULARY)


def encode(text: str) -> list[int]:
    return [IDS[word] for word in words(text)]


def decode(ids: list[int]) -> str:
    return "".join(VOCABULARY[i] for i in ids).removesuffix(END)


def rows(text: str) -> Rows:
    return Rows(*story_rows([encode(story) for story in text.split(END)[:-1]], STOP))


training, test = rows(TRAINING), rows(UNSEEN)
print(words(unseen[0])[:9])
print(f"{len(VOCABULARY)} tokens in the vocabulary; rows {training.ids.shape}", end=", ")
print(f"{training.counted:,} targets to learn from, {SIZE / test.counted:.2f} bytes a token")

# %% [markdown]
# ### What others need
#
# Before we train, the rivals. *Unigram*: each token by its frequency alone. *Bigram*: each token by
# how often it followed the one before it (one is added to every count, so that nothing is
# impossible). And two compressors, `gzip` and the stronger LZMA of `xz`. A compressor that gets the
# test stories alone has not seen the training text, which is unfair to it. So we also give it the
# training text first and count only what the test text adds.

# %%
ids, later = training.ids, training.targets
kept, size = later >= 0, len(VOCABULARY)
unigram = np.bincount(later[kept], minlength=size) + 1.0
bigram = np.ones((size, size))
np.add.at(bigram, (ids[kept], later[kept]), 1)
kept = test.targets >= 0
before, after = test.ids[kept], test.targets[kept]
surprise = {
    "unigram": -np.log2(unigram[after] / unigram.sum()).sum(),
    "bigram": -np.log2((bigram / bigram.sum(axis=1, keepdims=True))[before, after]).sum(),
}
for name, pack in (("gzip", gzip.compress), ("xz", lzma.compress)):
    surprise[f"{name}, test text alone"] = 8 * len(pack(UNSEEN.encode()))
    both, first = (len(pack(text.encode())) for text in (TRAINING + UNSEEN, TRAINING))
    surprise[f"{name}, after the training text"] = 8 * (both - first)
rivals = {name: float(total / SIZE) for name, total in surprise.items()}
for name, value in rivals.items():
    print(f"{name:30} {value:.3f} bits per byte")

# %% [markdown]
# gzip looks back over 32,768 bytes, about a hundred stories, so most of the training text is lost on
# it. xz remembers all of it.
#
# ## Learning to write
#
# The decoder has one block of width 96. Every part of the step is known from chapters 02 to 05:
# forward, loss, backward, clip, AdamW. One thing is set by hand. GPT-2 starts its embedding at a
# scale of 0.02; we start seven times higher. With the small start this short run copies
# few facts; try it. While it trains, we stop at some moments and let it write.

# %%
from groundup.scratch.generate import beam_search, generate
from groundup.scratch.sampling import greedy, sampler
from groundup.scratch.trainer import TrainConfig

CONFIG = DecoderConfig(len(VOCABULARY), width=96, heads=4, layers=1, hidden=128, max_length=96)
MOMENTS = (1, 100, 400, 700, 1100)


def fresh_writer() -> Decoder:
    model = Decoder.create(CONFIG, np.random.default_rng(0))
    model.params["embedding"] *= 7
    return model


def write(model: Decoder, count: int, **options: float) -> list[str]:
    """Stories drawn from the model, from their first word on."""
    choose = sampler(np.random.default_rng(0), **options)
    return [decode(ids) for ids in generate(model, [[STOP]] * count, choose, 90, stop=[STOP])]


def share(texts: list[str]) -> float:
    return float(np.mean([consistent(text) for text in texts]))


writer = fresh_writer()
print(f"{sum(p.size for p in writer.params.values()):,} parameters")
history, moments = [], []
some = test.take(np.arange(60))
some_size = len("".join(story + END for story in unseen[:60]).encode())
recipe = TrainConfig(steps=MOMENTS[-1], batch_size=8, lr=8e-3, warmup=50)
for record in train(writer, training, recipe):
    if record.step % 50 == 0 or record.step in (1, 10, 25):
        history.append((record.step, bits_per_byte(*evaluate(writer, some), some_size)))
    if record.step in MOMENTS:
        texts = write(writer, 60)
        moments.append(share(texts))
        print(f"\nafter {record.step} steps ({moments[-1]:.0%} of 60 stories are consistent):")
        print(fill(texts[0][:330], 90))

# %% [markdown]
# Read the samples from the top. At first there are words in no order. Soon there are sentences: after
# "Once upon a" comes "time", a bigram's knowledge. Then whole sentences follow each other in the
# right order, in good English, and the story is still wrong, because its facts do not return: at
# the end the hero has another name, or the place is another place. Facts begin to hold only later.
# Fluency comes first, and it is cheap. Sense comes late, and it lives in few words of each story. That
# is worth remembering when you read what a much larger model wrote.

# %%
nats, tokens = evaluate(writer, test)
ours = bits_per_byte(nats, tokens, SIZE)
print(f"on all {len(unseen)} unseen stories: {nats:.3f} nats a token", end=", ")
print(f"perplexity {perplexity(nats):.2f}, {ours:.3f} bits per byte (floor {floor:.3f})")
assert floor < ours < min(rivals.values())
assert moments[0] == 0 < 0.3 < moments[-1]

fig, ax = figure(height=3.6)
ax.plot(*zip(*history, strict=True), color=COLOURS[0], linestyle="-")
above = {name: rivals[name] for name in ("unigram", "gzip, after the training text", "bigram")}
below = {"xz, after the training text": rivals["xz, after the training text"], "the floor": floor}
for lines, side in ((above, "bottom"), (below, "top")):
    for name, value in lines.items():
        ax.axhline(value, color=INK, linewidth=0.8)
        ax.text(MOMENTS[-1], value, name, ha="right", va=side, color=INK, fontsize=8)
ax.set(xlabel="step", ylabel="bits per byte, unseen stories", yscale="log", ylim=(0.12, 3))
ax.set_yticks([0.15, 0.3, 0.6, 1.2, 2.4], ["0.15", "0.3", "0.6", "1.2", "2.4"])
ax.minorticks_off()
show(
    fig,
    "bits",
    "Bits per byte on unseen stories during training, beside the rivals. The decoder passes the "
    "bigram early and ends a little above the floor that the grammar's own chance sets.",
)

# %% [markdown]
# The comparison has limits, and you should know them. The model's own parameters are not counted; to
# send somebody this text you would have to send them too. The compressors know nothing of words,
# and ours was handed them. And the distance from the floor looks small because most tokens are
# easy. In bits for a whole story it is plain:

# %%
excess = (ours - floor) * SIZE / len(unseen)
print(f"{excess:.1f} bits a story above the floor, on {tokens / len(unseen):.0f} tokens")

# %% [markdown]
# How does a fact come back? Take an unseen story and stop it before a word that it must know from
# earlier. The attention weights say where each head looks from there.

# %%
_, cache = writer.forward(np.array([[STOP, *encode(unseen[0])]]))
weights = writer.attention_maps(cache)[0][0]  # (H, T, T)
read = [END, *words(unseen[0])]
for fact in (" duck", " bell"):
    last = len(read) - 1 - read[::-1].index(fact)  # where the fact is said for the last time
    print(f'before the last "{fact.strip()}", after "{"".join(read[last - 3 : last]).strip()}":')
    for head, row in enumerate(weights[:, last - 1]):
        shares = Counter()
        for token, weight in zip(read, row, strict=True):
            shares[token.strip() or "[END]"] += float(weight)
        print(f"  head {head}:", ", ".join(f"{t} {x:.0%}" for t, x in shares.most_common(3)))
    earlier = np.array([token == fact for token in read])
    assert weights[:, last - 1, earlier].sum(axis=-1).max() > 0.5

# %% [markdown]
# (The weights of a word that occurs several times are added up.) One head looks for the animal and others
# for the thing, wherever these stand, and with the tied head a copied word is a predicted word. No one
# asked for this division of work. It is also why facts come late: a head must learn *where to look*
# before copying pays, and until then there is little to learn it from.
#
# ## Drawing the next token
#
# The model gives probabilities. Somebody must choose. *Greedy* takes the likeliest token each time.
# *Sampling* draws: lay the probabilities side by side on a ruler from 0 to 1, draw a number $u$
# between 0 and 1, and take the piece it falls into.
#
# Between the two stands the *temperature* $\tau$: divide the logits by it before the softmax.
#
# $$p_j = \frac{e^{z_j/\tau}}{\sum_k e^{z_k/\tau}}, \qquad
# \frac{p_i}{p_j} = e^{(z_i - z_j)/\tau} = \left(\frac{p_i^{(1)}}{p_j^{(1)}}\right)^{1/\tau},$$
#
# where $p^{(1)}$ are the probabilities at $\tau = 1$. Take $3/4$ and $1/4$: a ratio of 3 to 1. At
# $\tau = \frac12$ the ratio is squared, 9 to 1, so 0.9 and 0.1. At $\tau = 2$ it is $\sqrt3$ to 1, so
# 0.634 and 0.366. As $\tau$ falls to 0 every ratio grows without limit, and sampling becomes
# greedy. Dividing the *probabilities* by $\tau$ instead would do nothing: all shrink alike.

# %%
from groundup.scratch.activations import softmax
from groundup.scratch.sampling import scale, top_k, top_p

for tau in (0.5, 1.0, 2.0):
    print(f"temperature {tau}: {softmax(scale(np.log([3.0, 1.0]), tau)).round(3).tolist()}")

prompt = "Nora was a clever girl. She wanted a red kite more than anything. At the"
logits = writer.forward(np.array([[STOP, *encode(prompt)]]))[0][0, -1]
fig, axes = figure(1, 3, height=2.6, sharey=True)
order = np.argsort(-logits)[:16]
for ax, tau in zip(axes, (0.5, 1.0, 2.0), strict=True):
    ax.bar(range(len(order)), softmax(scale(logits, tau))[order], color=COLOURS[0])
    ax.set_title(f"temperature {tau}")
    ax.set_xlabel("token, likeliest first")
axes[0].set_ylabel("probability")
show(
    fig,
    "temperature",
    'What comes after "… At the", at three temperatures. The grammar has 12 places, equally '
    "likely. A low temperature makes favourites of some; a high one gives weight to words behind "
    "the twelfth that do not belong here.",
)

# %% [markdown]
# !!! example "Exercise 7.3: drawing a token"
#     Write `sample`: one number a row, one piece of the ruler. Check it with `groundup watch 7.3`.
#
# ::: source groundup.scratch.sampling:sample folded
#
# ## Cutting the tail
#
# A vocabulary is long, and most of it is wrong at any place. Each wrong word has a tiny probability,
# but there are many, and a text of $n$ tokens offers $n$ chances to pick one. If a share $\epsilon$
# of the probability lies on wrong words, a text stays clean with probability $(1-\epsilon)^n$: at
# $\epsilon = 1\%$ and 70 tokens that is 49%. So cut the tail off before drawing.
#
# - *top-k* (Fan et al., 2018): keep the $k$ likeliest tokens.
# - *top-p*, the *nucleus* (Holtzman et al., 2020): keep the fewest tokens whose probabilities
#   together reach $p$.
#
# The probabilities are 8/16, 5/16, 2/16 and 1/16, and $p = 0.6$. The first token has 0.5, which is not
# yet 0.6. With the second it is 0.8125. So two stay: **the one that crosses the line belongs to the
# nucleus.** Drop it, and at $p = 0.4$ nothing at all would be left. The two keep their ratio and
# share everything: 8/13 and 5/13.
#
# Top-k keeps as many where one word is possible as where a hundred are. The nucleus follows the
# model: narrow after "Once upon a", wide after "named".

# %%
example = np.log([[2.0, 8.0, 1.0, 5.0]])
print("top-p 0.6:", softmax(top_p(example, 0.6)).round(3).tolist())
for start in ("Once upon a", "Once there was a shy boy whose name was"):
    here = writer.forward(np.array([[STOP, *encode(start)]]))[0][:, -1]
    nucleus = int(np.isfinite(top_p(here, 0.95)).sum())
    print(f'after "{start}" the nucleus of 0.95 holds {nucleus}, top-k 8 keeps', end=" ")
    print(int(np.isfinite(top_k(here, 8)).sum()))
assert np.allclose(softmax(top_p(example, 0.6)), [[0, 8 / 13, 0, 5 / 13]])

# %% [markdown]
# !!! example "Exercise 7.4: the nucleus"
#     Write `top_p`. The mistakes are one token to the left and one to the right. Check it with
#     `groundup watch 7.4`.
#
# ::: source groundup.scratch.sampling:top_p folded
#
# ## The likeliest text
#
# Greedy is short-sighted: the likeliest first word may lead to an unlikely text. *Beam search* keeps
# the $W$ best beginnings at each step and lets each grow. It finds texts of higher probability.
#
# It has a bias. Every token multiplies the probability by a number below 1, so a longer text is a
# less likely one, and among texts of different lengths the search favours the short. Dividing $\log p$
# by the length ranks by the mean token instead, and the bias is gone or turned round (Wu et al., 2016;
# Stahlberg and Byrne, 2019, found models of translation for which the likeliest output of all was
# the empty one).
#
# Now measure. Each way of choosing continues the first sentences of the same 60 unseen stories.
# *Consistent* is the share of stories without contradiction. *Different* is the share of 4-grams (four
# tokens in a row) that are not repeats of another, over all continuations; the true stories stand
# beside it. *Bits* is the surprise of the model at the whole continuation.

# %%
openings = [story[: story.index(".") + 1] for story in unseen[:60]]
prompts = [[STOP, *encode(opening)] for opening in openings]


def measure(name: str, written: list[list[int]]) -> dict[str, float]:
    """Print a row of the table of what was written after the prompts, and return it."""
    pairs = list(zip(prompts, [[i for i in ids if i != STOP] for ids in written], strict=True))
    grams = [tuple(ids[i : i + 4]) for ids in written for i in range(len(ids) - 3)]
    whole = Rows(*story_rows([prompt[1:] + ids for prompt, ids in pairs], STOP))
    for targets, prompt in zip(whole.targets, prompts, strict=True):
        targets[: len(prompt) - 1] = -100  # the prompt was given
    nats, counted = evaluate(writer, whole)
    row = {
        "consistent": share([decode(prompt[1:] + ids) for prompt, ids in pairs]),
        "different": len(set(grams)) / len(grams),
        "tokens": float(np.mean([len(ids) for ids in written])),
        "bits": nats * counted / np.log(2) / len(written),
    }
    print(
        f"{name:22} {row['consistent']:10.0%} {row['different']:10.0%} {row['tokens']:7.1f} "
        f"{row['bits']:7.1f}"
    )
    return row


print(f"{'':22} consistent  different  tokens    bits")
rest = [story[len(opening) :] for story, opening in zip(unseen, openings, strict=False)]
table = {}
measure("the true stories", [[*encode(text), STOP] for text in rest])
ways = {
    "greedy": greedy,
    "temperature 0.5": sampler(np.random.default_rng(0), 0.5),
    "temperature 1": sampler(np.random.default_rng(0)),
    "temperature 1.5": sampler(np.random.default_rng(0), 1.5),
    "top-k 8": sampler(np.random.default_rng(0), k=8),
    "top-p 0.95": sampler(np.random.default_rng(0), p=0.95),
}
for name, choose in ways.items():
    table[name] = measure(name, generate(writer, prompts, choose, 80, stop=[STOP]))
for name, power in (("beam 4", 0.0), ("beam 4, per token", 1.0)):
    found = beam_search(writer, prompts, 4, 80, stop=[STOP], length_power=power)
    table[name] = measure(name, [best[0].ids for best in found])


drawn = [decode(ids) for ids in generate(writer, prompts, ways["temperature 1"], 80, stop=[STOP])]
wholes = [opening + text for opening, text in zip(openings, drawn, strict=True)]
faults = Counter(fault.split(":")[0] for text in wholes for fault in mistakes(text))
print("\nwhat contradicts itself, at temperature 1:", dict(faults.most_common()))
assert table["temperature 1.5"]["consistent"] < table["top-p 0.95"]["consistent"]
assert table["greedy"]["different"] < 0.5 * table["temperature 1"]["different"]
assert faults.most_common(1)[0][0] == "place"
assert table["greedy"]["consistent"] > table["temperature 1"]["consistent"]
assert table["beam 4"]["bits"] < table["greedy"]["bits"] < table["temperature 1"]["bits"]

# %% [markdown]
# Read it column by column.
#
# - **Greedy** and **beam** write stories that hold together more often, and always the same one: the
#   share of different 4-grams falls far below that of the true stories. The likeliest story is a
#   typical plot with favourite words, and each prompt gets it. In large models it is worse: greedy
#   text falls into loops and repeats a sentence without end (Holtzman et al., 2020).
# - **Beam** finds texts that need fewer bits than greedy's: it does what it promises. They are also a
#   little shorter. The bias is mild here, because every story must walk through the same six
#   sentences before it may stop.
# - Likely is not the same as good. The bits of true stories are near those of sampled ones, and not
#   near those of the likeliest. People, and our grammar, do not write the most probable text.
# - **A high temperature** breaks the facts, then the grammar. The tail does this, as computed above.
# - **The nucleus** draws as variously as temperature 1, and its texts need fewer bits: it trims the
#   accidents.
#
# (A share of 60 stories is uncertain by about $\sqrt{0.6 \cdot 0.4 / 60}$, six points. Smaller
# differences in the first column say nothing.)
#
# The last line says where the stories fail: at the fact that returns most rarely. Only one of the four
# endings mentions the place again, so training asked for it least.
#
# ## Reading nothing twice
#
# To write token $n$, the loop above could hand the whole text to the model again. But position 1 sees
# only itself, now as before; nothing that was computed for it has changed. What do later tokens need
# of it? Its key and its value in each layer, and nothing else. So keep those, and compute only the
# new token. This is the *KV cache*. Only a causal model can have one: in an encoder a new
# token changes all the others.
#
# Count the multiplications for token $n$. A token costs, in each layer, $3D^2$ for query, key and
# value, $D^2$ for the output projection and $2DF$ for the feed-forward network; once more $DV$ for the
# head. Call the sum $c$. Attention takes $2D$ for each pair of query and key: $D$ for the score and
# $D$ for the mixture, over all heads. With $L$ layers:
#
# $$\underbrace{n\,c + 2LD\,n^2}_{\text{read everything again}} \qquad
# \underbrace{c + 2LD\,n}_{\text{with the cache}}$$
#
# The left is exactly $n$ times the right. The hundredth token costs a hundredth. Over a whole text of
# $N$ tokens the sums of $n$ and of $n^2$ make it about $\frac12 N$ to $\frac23 N$ times cheaper.

# %%
from dataclasses import replace

from groundup.scratch.decoder import KVCache

sentence = np.array([[STOP, *encode(unseen[0])]])
at_once, _ = writer.forward(sentence)
store = KVCache(CONFIG, batch=1)
piecewise = [writer.step(sentence[:, t : t + 1], store) for t in range(sentence.shape[1])]
difference = np.abs(np.concatenate(piecewise, axis=1) - at_once).max()
print(f"logits token by token, against one pass: largest difference {difference:.1e}")
assert difference < 1e-4

long = Decoder.create(replace(CONFIG, max_length=384), np.random.default_rng(0))
c = 4 * 96**2 + 2 * 96 * 128 + 96 * len(VOCABULARY)
print("tokens   counted   measured: seconds with, without, times faster")
for length in (24, 96, 384):
    n = np.arange(1, length + 1)
    counted = (n * c + 2 * 96 * n**2).sum() / (c + 2 * 96 * n).sum()
    took = []
    for cached in (True, False):
        laps = []
        for _ in range(3 if length < 200 else 1):
            start = time.perf_counter()
            generate(long, [[STOP]], greedy, length, cached=cached)
            laps.append(time.perf_counter() - start)
        took.append(min(laps))
    print(f"{length:6} {counted:9.0f} {took[0]:18.3f} {took[1]:8.3f} {took[1] / took[0]:10.1f}")

# %% [markdown]
# The differences are the rounding of float32. The time saved is real, and large for long texts, but far
# from the count: one token alone is so little work that most of its time goes into calling
# NumPy, whereas a long row keeps the processor busy. Multiplications are not seconds. Large models have
# the same trouble for another reason: for one token they must fetch every weight from memory and
# use it once.
#
# !!! example "Exercise 7.5: the KV cache"
#     Write the store and the step that reads on. One place to the left and the last token is
#     overwritten; one to the right and a hole is read. Check it with `groundup watch 7.5`.
#
# ::: source groundup.scratch.decoder:KVCache.extend folded
#
# ::: source groundup.scratch.decoder:Decoder.step folded
#
# ## A question, answered in writing
#
# The digit model of chapter 05 chose one of ten answers. A writer is not bound to a list: it can
# *write* the number 70, first `7`, then `0`, then `[EOS]`. The format is a choice. Here a digit is a token
# (as a hundred number tokens would hide that 53 and 57 begin alike), a number always has two of them
# (09 for 9, so that each digit has its place in the sequence), and a comma stands between numbers.
# Only the answer is a target; the question is ignored by the loss.

# %%
from groundup.scratch.tasks import two_digits

splits = two_digits.make_splits(np.random.default_rng(0))
example = splits.train.take(np.array([0])).rows()
print("ids    ", example.ids[0].tolist())
print("targets", example.targets[0].tolist())
solver = Decoder.create(DecoderConfig(), np.random.default_rng(0))
taste = TrainConfig(steps=250, batch_size=64, lr=2e-3, warmup=20)
steps = list(train(solver, splits.train.rows(), taste))
scores = two_digits.exact_match(solver, splits.test)
print(
    f"after {len(steps)} steps, right to the last token on {len(splits.test):,} unseen questions:"
)
print(", ".join(f"{name} {value:.0%}" for name, value in scores.items()))
assert scores["all"] > 0.5

# %% [markdown]
# This is a taste of a few seconds. The whole training takes 10,000 steps of a narrower decoder and
# about two minutes (`groundup digits train --two-digit`). How often it is then right on questions it
# has never seen, over five seeds, stands [on a page of its own](../digits.md). Note what the writer
# must do: say the tens of a maximum before its ones, although all
# it reads are single digits.
#
# ## Breaking it: a mask that is off by one
#
# Let position $t$ see up to $t+1$: one True more in each row of the mask. It is a slip
# of one character. Train the same decoder with it, on the same stories, for a few seconds.

# %%
import groundup.scratch.decoder as decoder_module


def peeking(queries: int, keys: int | None = None) -> Array:
    keys = queries if keys is None else keys
    return np.tri(queries, keys, keys - queries + 1, dtype=bool)


right_mask = decoder_module.causal_mask
peeker = fresh_writer()
decoder_module.causal_mask = peeking
losses = [r.loss for r in train(peeker, training, replace(recipe, steps=250))]
cheat = evaluate(peeker, test)[0]
noise = sampler(np.random.default_rng(0))
nonsense = [
    decode(p[1:] + ids)
    for p, ids in zip(prompts, generate(peeker, prompts, noise, 50), strict=True)
]
decoder_module.causal_mask = right_mask
honest = evaluate(peeker, test)[0]
print(f"loss on unseen stories, as trained: {cheat:.3f} nats a token (the floor is", end=" ")
print(f"{floor * SIZE * np.log(2) / tokens:.3f})")
print(f"the same weights with the right mask: {honest:.2f} nats")
print(f"consistent: {share(nonsense):.0%} of {len(nonsense)}. It was given the first sentence:")
print(fill(nonsense[0][:260], 90))
assert cheat < 0.5 * floor * SIZE * np.log(2) / tokens
assert honest > 2
assert share(nonsense) == 0

# %% [markdown]
# The loss is the best of this chapter, on unseen text too: **below the floor**, which is the tell-tale. The
# model has learned one thing: copy the token to the right. When it writes there is no token to the
# right, and what comes out is noise. No error was raised anywhere. A held-out set does not protect
# you, since the answer leaks in the test as well. Two things do: knowing a floor and being suspicious
# of what lies under it, and the test at the beginning of the chapter: change a token, and see that no
# output before it moves. Chapter 15 makes a tool of it.
#
# ## What practitioners do differently
#
# - **GPT-2's choices** are ours in the large: pre-LN blocks with a last norm, tied weights, learned
#   positions, GELU, and matrices that write into the residual stream shrunk by the root of their
#   number. GPT-2 small has 12 layers of width 768, a context of 1,024 tokens and a vocabulary of
#   50,257 (Radford et al., 2019). Newer models changed the parts (chapter 09), not the plan.
# - **Tokenizers.** A vocabulary of whole words fails at the first new word. GPT-2 starts from bytes and
#   joins frequent pairs (Sennrich et al., 2015; chapter 12): no text is outside it.
# - **Rows without filling.** Texts are laid end to end and cut into rows of equal length, so no place is
#   wasted ([windows][groundup.scratch.language.windows]); a story may then be cut in two.
# - **Smaller caches.** A cache holds $2 \cdot L \cdot H \cdot K$ numbers a token. Llama 2 70B has 80
#   layers, 64 heads and $K = 128$: 1.3 million numbers, 2.6 MB a token in 16 bits, 10.7 GB at 4,096
#   tokens. It shares each pair of key and value among 8 query heads (*grouped-query attention*, Ainslie
#   et al., 2023; with one pair for all it is *multi-query*, Shazeer, 2019), and so needs an eighth:
#   1.3 GB.
# - **Speculative decoding** (Leviathan et al., 2022): a small model writes a few tokens ahead, the
#   large one checks them in one pass, and keeps those it might have drawn, so that its own distribution
#   is exactly preserved.
# - **On your own text**, `groundup text --help` shows the command that trains this decoder on a file.

# %%
layers, heads, each, context = 80, 64, 128, 4096
token = 2 * layers * heads * each * 2  # bytes
print(f"{token / 1e6:.2f} MB a token, {token * context / 1e9:.1f} GB", end=" at 4,096 tokens; ")
print(f"8 key heads for 64: {token * context / 8 / 1e9:.2f} GB")
assert round(token * context / 1e9, 1) == 10.7

# %% [markdown]
# ## What you know now, and what is missing
#
# How does an encoder become a writer? Hide the future, ask at every position for the next token, and
# feed each answer back. The mask makes a row of text into $T$ honest questions; the shift by one gives
# their answers for nothing; a way of choosing turns probabilities into text. What it writes
# should be measured and not admired: fluent text whose facts do not hold is what a model learns first.
#
# To test yourself beyond the exercises: train with the embedding as it comes, without the factor 7, and
# watch the share of consistent stories; give greedy the rows of ten prompts and look at how the plots
# agree; let the top-p fall to 0.5.
#
# This ends Part I. You have built a transformer from nothing but arrays, and derived each of its gradients
# by hand. That is also the limit. Every new idea has cost a derivation and a `_backward`, one slip in
# which trains on in silence; and all of it runs on one core. Chapter 08 hands both to PyTorch: it
# records the computation and derives the backward pass itself. You now know what it records.
#
# ## Sources
#
# - C. Shannon (1951), *Prediction and entropy of printed English*, Bell System Technical Journal 30(1).
# - R. Sennrich, B. Haddow, A. Birch (2015), *Neural machine translation of rare words with subword
#   units*, arXiv 1508.07909.
# - O. Press, L. Wolf (2017), *Using the output embedding to improve language models*, arXiv
#   1608.05859.
# - Y. Wu et al. (2016), *Google's neural machine translation system*, arXiv 1609.08144.
# - A. Fan, M. Lewis, Y. Dauphin (2018), *Hierarchical neural story generation*, arXiv 1805.04833.
# - A. Radford et al. (2019), *Language models are unsupervised multitask learners*, OpenAI.
# - N. Shazeer (2019), *Fast transformer decoding: one write-head is all you need*, arXiv 1911.02150.
# - F. Stahlberg, B. Byrne (2019), *On NMT search errors and model errors: cat got your tongue?*, arXiv
#   1908.10090.
# - A. Holtzman et al. (2020), *The curious case of neural text degeneration*, arXiv 1904.09751.
# - Y. Leviathan, M. Kalman, Y. Matias (2022), *Fast inference from transformers via speculative
#   decoding*, arXiv 2211.17192.
# - R. Eldan, Y. Li (2023), *TinyStories: how small can language models be and still speak coherent
#   English?*, arXiv 2305.07759.
# - J. Ainslie et al. (2023), *GQA: training generalized multi-query transformer models from multi-head
#   checkpoints*, arXiv 2305.13245.
# - H. Touvron et al. (2023), *Llama 2: open foundation and fine-tuned chat models*, arXiv 2307.09288.
# - G. Delétang et al. (2023), *Language modeling is compression*, arXiv 2309.10668.
