# %% [markdown]
# # NeoBERT
#
# How are the parts proportioned into a model one can share?
#
# You have every part now. Attention mixes positions, a gated network works on each position by itself, norms keep the numbers in range, rotations tell the model how far apart two tokens stand (chapter 09), and attention over a long text can be afforded (chapter 10). What is left are decisions: how wide, how deep, how many heads, and in which order the numbers lie in the file. The first decisions settle what the model costs. The last one settles whether anyone else can use it.
#
# NeoBERT (Le Breton et al., 2025)[^neobert] is one published set of answers. It is an *encoder*: it reads a text in both directions and returns one vector for each token. The weights that its authors shared are 172 named tables of numbers. This chapter assembles the class that those tables fit, counts its 245,136,954 parameters by hand, and shows that the fit of the shapes is not enough.
#
# The symbols are those of the whole course: $B$ sequences in a batch, $T$ tokens in each, width $D$, $H$ heads of width $K$, and a vocabulary of $V$ tokens. $L$ is the number of layers and $F$ the hidden width of the feed-forward network.

# %% Imports tags=["hide"]
import json
import os
import re
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import transformers
from safetensors import safe_open
from torch.utils.flop_counter import FlopCounterMode

from groundup.data.corpus import read_packages
from groundup.data.tokenizer import train_tokenizer
from groundup.lab.plot import COLOURS, figure, show
from groundup.neobert import cpu_kernels
from groundup.neobert.attention import attention, split_qkv
from groundup.neobert.auto import register_auto_classes
from groundup.neobert.block import NeoBERTLayer, rotation
from groundup.neobert.classification import (
    NeoBERTForSequenceClassification,
    NeoBERTForTokenClassification,
)
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.count import count_parameters
from groundup.neobert.mlm import (
    MaskedText,
    log_frequencies,
    masked_loss,
    tokenize_rows,
    unigram_loss,
)
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel
from groundup.neobert.rope import rotate_pairs
from groundup.parity.numpy_torch import LIMIT, layer_parity
from groundup.train.config import LoopConfig
from groundup.train.loop import fit

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.manual_seed(0)

# %% [markdown]
# ## One row, two ways to cut it
#
# Attention needs three vectors for each token and head: a query, a key and a value. Three matrices could make them. In practice one makes them all, because one large product keeps the processor busier than three small ones. This is a *fused projection*, and its result is a row of $3HK$ numbers for each token.
#
# A row of numbers does not say which of them is a query. Take two heads of width two, $H=2$ and $K=2$. Each token then has a row of twelve numbers, in six pieces of two. Here are the rows of two tokens:
#
# | | piece 1 | piece 2 | piece 3 | piece 4 | piece 5 | piece 6 |
# |:--|:-:|:-:|:-:|:-:|:-:|:-:|
# | token 1 | 1 0 | 0 1 | 5 6 | 0 2 | 2 0 | 7 8 |
# | token 2 | 0 1 | 1 0 | 1 2 | 2 0 | 0 2 | 3 4 |
#
# **Head by head.** Head 0 owns the first half of the row: its query, then its key, then its value. Head 1 owns the second half. So the queries of head 0 are $(1,0)$ and $(0,1)$, its keys are $(0,1)$ and $(1,0)$, its values are $(5,6)$ and $(1,2)$.
#
# **In thirds.** The first third of the row holds the queries of all heads, the second third all keys, the last third all values. Now the queries of head 0 are still $(1,0)$ and $(0,1)$. But its keys are $(5,6)$ and $(1,2)$, which a moment ago were values, and its values are $(2,0)$ and $(0,2)$, which were keys of the other head.
#
# Follow token 1 through head 0, with positions left out. Cut head by head, its query $(1,0)$ meets the keys $(0,1)$ and $(1,0)$ with scores 0 and 1. Divided by $\sqrt K=\sqrt 2$ they are 0 and 0.7071, and the softmax turns them into shares:
#
# $$
# \frac{1}{1+e^{0.7071}} = 0.3302, \qquad \frac{e^{0.7071}}{1+e^{0.7071}} = 0.6698 .
# $$
#
# The head returns $0.3302\,(5,6) + 0.6698\,(1,2) = (2.321, 3.321)$.
#
# Cut in thirds, the same query meets $(5,6)$ and $(1,2)$ with scores 5 and 1. Divided by $\sqrt 2$, their difference is 2.8284, the shares are 0.9442 and 0.0558, and the head returns $0.9442\,(2,0) + 0.0558\,(0,2) = (1.888, 0.112)$. Nothing about this result looks broken: two shares that sum to one, two numbers of ordinary size.
#
# The library's functions give the same numbers. `split_in_thirds` is the wrong idea, as code.


# %%
def split_in_thirds(qkv, heads):
    """The plain cut: all queries, then all keys, then all values. Wrong for these weights."""
    return tuple(part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))


rows = torch.tensor(
    [[[1, 0, 0, 1, 5, 6, 0, 2, 2, 0, 7, 8], [0, 1, 1, 0, 1, 2, 2, 0, 0, 2, 3, 4]]],
    dtype=torch.float64,
)  # (B, T, 3HK) = (1, 2, 12)

by_hand = {"head by head": [2.3209, 3.3209], "in thirds": [1.8884, 0.1116]}
for name, cut in (("head by head", split_qkv), ("in thirds", split_in_thirds)):
    q, k, v = cut(rows, 2)
    mixed = attention(q, k, v)  # (B, T, HK), the heads side by side
    print(f"{name:12}  head 0: keys {k[0, 0].tolist()}, values {v[0, 0].tolist()}")
    print(f"{'':12}  token 1, head 0 returns {mixed[0, 0, :2].round(decimals=4).tolist()}")
    assert q.shape == k.shape == v.shape == (1, 2, 2, 2)
    torch.testing.assert_close(mixed[0, 0, :2].tolist(), by_hand[name], rtol=0, atol=1e-4)

# %% [markdown]
# Both cuts return tensors of the same shape, $(B, H, T, K)$. No error can be raised, because no rule of shapes is broken.
#
# How much of the wrong cut is right by luck? There are $3H$ pieces. Read head by head, head $h$ finds its query, key and value at pieces $3h$, $3h+1$ and $3h+2$. Read in thirds, it looks at $h$, $H+h$ and $2H+h$. The queries agree where $3h=h$, so for head 0 alone. The values agree where $3h+2=2H+h$, so for head $H-1$ alone. The keys agree where $2h=H-1$, which no head of an even number satisfies. The published model has 12 heads: 2 of 36 pieces are read rightly.

# %% The figure's code tags=["hide"]
heads = 12
pieces = torch.arange(3 * heads).view(1, 1, -1)  # one column a piece, K = 1
fig, axes = figure(height=2.0)
right_pieces = 0
for y, cut in enumerate((split_in_thirds, split_qkv)):
    for kind, (part, letter) in enumerate(zip(cut(pieces, heads), "qkv", strict=True)):
        for head, place in enumerate(part[0, :, 0, 0].tolist()):
            axes.barh(y, 1, left=place, height=0.8, color=COLOURS[kind], edgecolor="white", lw=0.6)
            axes.text(
                place + 0.5,
                y,
                f"{letter}\n{head}",
                ha="center",
                va="center",
                fontsize=7,
                color="#111",
            )
            right_pieces += y == 0 and place == 3 * head + kind
axes.set(yticks=[0, 1], yticklabels=["in thirds", "head by head"], xlim=(0, 36))
axes.set(xlabel="piece of the fused row (64 columns each, published model)", xticks=range(0, 37, 6))
for side in ("left", "bottom"):
    axes.spines[side].set_visible(False)
print(f"pieces that both cuts read alike: {right_pieces} of {3 * heads}")
assert right_pieces == 2
show(
    fig,
    "layout",
    "One row of 2,304 numbers, read in two ways: q, k or v, and the head it belongs to. Only q0 and v11 agree.",
)

# %% [markdown]
# The published weights are laid out head by head.
#
# !!! example "Exercise 11.1: cut the fused projection"
#     From $(B, T, 3HK)$ to query, key and value, each $(B, H, T, K)$, and a `ValueError` for a width that does not divide. The checks begin with a row that you can follow on paper, and name the layout that yours is when it is another. `groundup watch 11.1`
#
# ::: source groundup.neobert.attention:split_qkv folded
#
# ## A position turns each pair
#
# Chapter 09 derived RoPE, *rotary position embedding*[^rope]: at position $t$, pair $i$ of every query and key turns by the angle $t\,\theta^{-2i/K}$, and products then depend on distances alone. [rope_tables][groundup.neobert.rope.rope_tables], exercise 9.3, makes the cosines and sines. What is left is to apply them, and that is the second place where an order has to be known.
#
# What does a turn by $\varphi$ do to the point $(a, b)$? First take the two axes. The point $(1, 0)$ comes to $(\cos\varphi, \sin\varphi)$: that is what the two words mean. The point $(0, 1)$ is a quarter turn ahead of it and stays so: it comes to $(-\sin\varphi, \cos\varphi)$. And $(a, b)$ is $a$ times the first plus $b$ times the second:
#
# $$
# (a, b) \;\to\; (a\cos\varphi - b\sin\varphi,\; a\sin\varphi + b\cos\varphi) .
# $$
#
# By hand: take the angle whose cosine is 0.6 and whose sine is 0.8, about 53 degrees. The point $(2, 1)$ comes to $(2\cdot 0.6 - 1\cdot 0.8,\; 2\cdot 0.8 + 1\cdot 0.6) = (0.4, 2.2)$.
#
# NeoBERT's pairs are neighbours, entries $2i$ and $2i+1$. Here they are beside the other custom, halves:

# %%
by_neighbours = rotate_pairs(
    torch.tensor([[2.0, 1.0]]), torch.tensor([[0.6]]), torch.tensor([[0.8]])
)
print("(2, 1) turned by 53 degrees:", [round(number, 4) for number in by_neighbours[0].tolist()])
torch.testing.assert_close(by_neighbours, torch.tensor([[0.4, 2.2]]))

query = torch.tensor([[1.0, 2.0, 3.0, 4.0]])  # one position, two pairs
cos, sin = torch.tensor([[0.0, 0.6]]), torch.tensor([[1.0, 0.8]])  # 90 degrees and 53 degrees
a, b = query.chunk(2, dim=-1)
by_halves = torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
for name, turned in (("neighbours", rotate_pairs(query, cos, sin)), ("halves", by_halves)):
    print(f"(1, 2, 3, 4) by {name:10}", [round(number, 4) for number in turned[0].tolist()])
assert abs(by_halves.norm() - query.norm()) < 1e-5  # a turn as well, and a wrong one here
assert not torch.allclose(by_halves, rotate_pairs(query, cos, sin))

# %% [markdown]
# By neighbours, $(1, 2)$ makes a quarter turn and comes to $(-2, 1)$. The vector by halves is as long, and shows no sign of a fault.
#
# !!! example "Exercise 11.2: turn the pairs"
#     Given $(\dots, T, K)$ and the two tables, every pair of neighbours turned by its position's angle. The traps: halves, a minus in the wrong place, an order of entries that no longer alternates, tables that are rounded too early. `groundup watch 11.2`
#
# ::: source groundup.neobert.rope:rotate_pairs folded
#
# ## One layer, end to end
#
# A *layer* changes each token's vector twice, and both times by adding something to it. First attention reads from the other tokens; then the feed-forward network works on each token alone. What is added to is called the *residual stream*, and a norm stands before each reading of it, so that the stream itself is never rescaled:
#
# $$
# x \leftarrow x + W_o\,\mathrm{attention}(\mathrm{norm}(x)), \qquad
# x \leftarrow x + W_3\bigl(\mathrm{silu}(W_1 n) \odot W_2 n\bigr) \quad\text{with } n = \mathrm{norm}(x).
# $$
#
# In the layer's own words: the norms are `attention_norm` and `ffn_norm`, the network is `ffn`, and everything from the fused projection to $W_o$ is one method. Its `split_rotated` is what you have just written, the cut and then the turn, done on a CPU in one pass over memory.
#
# ::: source groundup.neobert.block:NeoBERTLayer.self_attention
#
# Two arguments are handed through. `layout` serves texts of different lengths: the model leaves padding out once, at its beginning, and lays the texts end to end (chapter 10); `layout.packed` says where each begins, and attention keeps them apart. Its cache, `groups` and `causal` serve the decoder that is made of the same layers. `need_weights` asks for the attention weights, which a fused kernel never has; they are then computed by the written formula.
#
# By hand, at width 2 with one token, $x = (1, 7)$. A token alone attends to itself with a share of 1, so attention is just a matrix; let it be $(a, b) \to (6a, -6b)$, let the feed-forward network leave what it reads, and let the norms have the scales $(5, \tfrac57)$ and $(\tfrac57, 10)$.
#
# 1. The root mean square of $(1, 7)$ is 5. Normed $(0.2, 1.4)$, scaled $(1, 1)$. Attention gives $(6, -6)$, and the stream is $(7, 1)$.
# 2. The root mean square is 5 again. Normed $(1.4, 0.2)$, scaled $(1, 2)$. The network gives $(1, 2)$, and the stream is $(8, 3)$.
#
# The transformer of 2017 had the norms after the sums (chapter 04), and the switch `norm_position` of the configuration asks for that order.
#
# !!! example "Exercise 11.3: assemble a block"
#     Write the method `forward` of a layer. `self` is the layer: it has `attention_norm`, `ffn_norm`, `ffn` and `self_attention`, and `self.config.norm_position` is `"pre"` or `"post"`. In the second case a branch reads the stream as it is, and the norm is taken of the sum, `attention_norm` of the first and `ffn_norm` of the second. Return the stream and the weights. The traps: a branch that reads the stream of before, one norm for two, a sum into the caller's tensor, an argument that is not handed on. `groundup watch 11.3`, and with `groundup chapter 11 --mine 11.3` this page runs on your block.
#
# ::: source groundup.neobert.block:NeoBERTLayer folded
#
# The network's `w12` is a fused projection too: $W_1$ above $W_2$ in one matrix, the gate first.
#
# ::: source groundup.neobert.block:SwiGLUFeedForward folded
#
# Take one step at a time at the published width and print each shape. The batch is two sequences of 16 tokens.

# %%
config = NeoBERTConfig()  # the defaults are the published model
layer = NeoBERTLayer(config)
x = torch.randn(2, 16, config.hidden_size)
cos, sin = rotation(config, torch.arange(16), x.dtype)


def report(name, tensor):
    print(f"{name:34} {tuple(tensor.shape)}")
    return tensor


with torch.no_grad():
    report("x, the residual stream", x)
    normal = layer.attention_norm(x)
    row = report("qkv, the fused row", layer.qkv(normal))
    q, k, v = split_qkv(row, layer.heads)
    report("q, and k and v alike", q)
    q, k = rotate_pairs(q, cos, sin), rotate_pairs(k, cos, sin)
    report("scores q·k, one matrix a head", q @ k.mT)
    mixed = report("mixed values, heads side by side", attention(q, k, v))
    x1 = x + report("wo, back into the stream", layer.wo(mixed))
    gate, value = report("w12, gate and value", layer.ffn.w12(layer.ffn_norm(x1))).chunk(2, dim=-1)
    report("silu(gate) · value", gate)
    x2 = report("x after both sums", x1 + layer.ffn.w3(torch.nn.functional.silu(gate) * value))
    difference = float((x2 - layer(x, (cos, sin))[0]).abs().max())
print(f"largest difference between the steps and the layer: {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# The scores are the one tensor that grows with $T^2$. The kernels of chapter 10 never store them; they are written out here only to show their shape.
#
# ## The same layer, in NumPy
#
# The library holds this layer once more, in NumPy, with every backward pass written by hand: [modern_block][groundup.scratch.modern.modern_block] and [modern_block_backward][groundup.scratch.modern.modern_block_backward]. If both are right, they are equal. [layer_parity][groundup.parity.numpy_torch.layer_parity] gives both the same random weights and the same padded batch in float64. It compares the output and the gradient of every tensor, by the norm of the difference divided by the norm of the values. The limit is $10^{-10}$: far above what rounding leaves, and far below what a wrong formula would.
#
# ::: source groundup.scratch.modern:modern_block folded

# %%
rungs = layer_parity(np.random.default_rng(0))
print(f"{'tensor':26} relative error")
for rung in rungs:
    print(f"{rung.tensor:26} {rung.error:.1e}")
    assert rung.equal, rung
print(f"all {len(rungs)} within {LIMIT:.0e}")

# %% [markdown]
# So nothing in the torch layer is new. Its gradients were derived on paper in chapters 02, 03 and 09, and that of a turn is the turn back.
#
# ## 245,136,954 parameters
#
# A *parameter* is a number that training may change. A linear map from $m$ to $n$ numbers without a bias holds $mn$ of them. NeoBERT has no biases but one, so the count is a sum of products. Do it on paper first: $D=768$, $L=28$, $V=30{,}522$.
#
# The configuration says 3,072 for the feed-forward network. A gated one has three matrices where the older one had two, so by the two-thirds rule of chapter 09 its width is $F = \tfrac23\cdot 3072 = 2048$[^swiglu].
#
# | Part | Shape | Parameters |
# |:--|:--|--:|
# | `qkv` | $3D \times D = 2304 \times 768$ | 1,769,472 |
# | `wo` | $D \times D = 768 \times 768$ | 589,824 |
# | `w12` | $2F \times D = 4096 \times 768$ | 3,145,728 |
# | `w3` | $D \times F = 768 \times 2048$ | 1,572,864 |
# | two norms | $2 \times 768$ | 1,536 |
# | **one layer** | | **7,079,424** |
# | 28 layers | $28 \times 7{,}079{,}424$ | 198,223,872 |
# | token embedding | $V \times D = 30522 \times 768$ | 23,440,896 |
# | final norm | $768$ | 768 |
# | **encoder** | | **221,665,536** |
# | decoder, its matrix | $V \times D$ | 23,440,896 |
# | decoder, its bias | $V$ | 30,522 |
# | **all** | | **245,136,954** |
#
# Three things are worth reading off. Attention costs $4D^2$ a layer and the feed-forward network $3DF = 8D^2$, so two thirds of a layer are feed-forward. A layer is close to $12D^2$, a rule to remember. And the two tables of the vocabulary together hold almost a fifth of the model.
#
# The *decoder* is the linear map from a token's vector to one score for each entry of the vocabulary. Many models *tie* it to the embedding: one matrix serves as both. NeoBERT does not, so it pays for both.
#
# !!! example "Exercise 11.4: count the parameters"
#     The same table for any configuration, as a dictionary: heads that are not $D/H$ wide, GELU for SwiGLU, LayerNorm with its shifts, a learned table of positions. Do not build the model. The traps: biases that are not there, a tied decoder, one norm a layer, the rule of two thirds. `groundup watch 11.4`
#
# ::: source groundup.neobert.count:count_parameters folded
#
# Is the formula right? Build the model and count. A tensor on the *meta device* has a shape and no contents, so the whole model takes no memory and is built at once.

# %%
with torch.device("meta"):
    published = NeoBERTForMaskedLM(NeoBERTConfig())


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


by_formula = count_parameters(NeoBERTConfig())
layers = published.model.transformer_encoder
by_counting = {
    "layer": count(layers[0]),
    "layers": count(layers),
    "encoder": count(published.model),
    "decoder": count(published.decoder),
    "total": count(published),
}
print("               by formula     by counting")
for name, number in by_counting.items():
    print(f"{name:9} {by_formula[name]:15,} {number:15,}")
    assert by_formula[name] == number
assert by_formula["total"] == 245_136_954
print(f"in float32, 4 bytes each: {4 * by_formula['total'] / 1e9:.3f} GB")
print(f"share of feed-forward in a layer: {by_formula['ffn'] / by_formula['layer']:.1%}")
print(
    f"share of the two vocabulary tables: {2 * by_formula['embedding'] / by_formula['total']:.1%}"
)

# %% [markdown]
# ## Deep or wide?
#
# A layer holds about $12D^2$ parameters, so $L$ layers hold $12LD^2$. You can keep this product and move along it: half the width buys four times the depth. What changes?
#
# Count the work. A *FLOP* is one multiplication or one addition of two numbers. A matrix of $n$ parameters does one of each per parameter and token: $2n$ FLOPs a token. At equal parameters, this part is the same for every shape. Attention adds the scores and the mixture. Each token's query meets $T$ keys of $K$ numbers in each of $H$ heads, which is $2THK = 2TD$ FLOPs; mixing the values is as much again. Over all layers:
#
# $$
# \text{FLOPs a token} = \underbrace{2\cdot 12LD^2}_{\text{weights}} + \underbrace{4LTD}_{\text{attention}} .
# $$
#
# With $LD^2$ held constant, $LD$ is that constant divided by $D$. So the narrower model pays more for long texts. torch can count the FLOPs of the products that run in a layer, on the meta device too, and the formula must agree.

# %%
shapes = [(112, 384), (63, 512), (28, 768), (12, 1152), (7, 1536)]  # layers, width


def weight_flops(layers, width):
    hidden = NeoBERTConfig(
        hidden_size=width, intermediate_size=4 * width, num_attention_heads=width // 64
    ).swiglu_size
    return 2 * layers * (4 * width * width + 3 * width * hidden)


def attention_flops(layers, width, length):
    return 4 * layers * length * width


def counted_flops(layer, length):
    """Of one layer, its two branches run once, for each token."""
    with torch.device("meta"):
        x = torch.zeros(1, length, layer.config.hidden_size)
        tables = rotation(layer.config, torch.arange(length), x.dtype)
    with FlopCounterMode(display=False) as counter:
        layer.self_attention(x, tables, layout=None, need_weights=False)
        layer.ffn(x)
    return counter.get_total_flops() / length


print("layers × width   layers (M)   one vocabulary table (M)   MFLOP a token at T=128, 1024, 4096")
for layers, width in shapes:
    with torch.device("meta"):
        layer = NeoBERTLayer(
            NeoBERTConfig(
                hidden_size=width, num_attention_heads=width // 64, intermediate_size=4 * width
            )
        )
    costs = []
    for length in (128, 1024, 4096):
        measured = layers * counted_flops(layer, length)
        assert measured == weight_flops(layers, width) + attention_flops(layers, width, length)
        costs.append(measured / 1e6)
    in_layers, in_table = layers * count(layer), config.vocab_size * width
    assert abs(in_layers / by_formula["layers"] - 1) < 0.04  # equal, as far as whole layers allow
    numbers = "".join(f"{cost:9.0f}" for cost in costs)
    print(f"{layers:6} × {width:<5} {in_layers / 1e6:13.1f} {in_table / 1e6:21.1f}      {numbers}")

# %% The figure's code tags=["hide"]
lengths = np.geomspace(64, 8192, 40)
fig, axes = figure(height=3.4)
for layers, width in shapes:
    total = [
        (weight_flops(layers, width) + attention_flops(layers, width, t)) / 1e6 for t in lengths
    ]
    published_shape = (layers, width) == (28, 768)
    axes.plot(lengths, total, label=f"{layers} × {width}", lw=3 if published_shape else 1.6, ls="-")
axes.axvline(4096, lw=1, ls=":", color="black")
axes.text(3900, 1500, "NeoBERT's longest text", ha="right", va="top", fontsize=9)
axes.set_xscale("log", base=2)
axes.set(xlabel="length of the text (tokens)", ylabel="MFLOP a token, forward", ylim=(0, 1600))
axes.set_xticks([64, 256, 1024, 4096, 8192], ["64", "256", "1024", "4096", "8192"])
axes.legend(title="layers × width", frameon=False, loc="upper left")
show(
    fig,
    "depth_width",
    "Five shapes with the same number of parameters in their layers. On short texts they cost nearly the same; on long ones the deep and narrow pay for their depth in attention.",
)

# %% [markdown]
# Work is one cost, waiting is another. The layers of a model run one after the other, and each is a row of small steps that begin only when the last has ended. Four times the layers are four times the steps. Here are two small shapes with the same parameters, on texts so short that the counted work is nearly the same.

# %%
pair = [(4, 384), (16, 192)]
encoders = []
for layers, width in pair:
    shape = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": width // 64}
    encoders.append(
        NeoBERTModel(NeoBERTConfig(vocab_size=1000, intermediate_size=4 * width, **shape)).eval()
    )
ids = torch.randint(0, 1000, (4, 128))
times = [[], []]
with torch.no_grad():
    for _ in range(6):  # in turn, so that a busy moment meets both; the first round warms up
        for encoder, taken in zip(encoders, times, strict=True):
            start = time.perf_counter()
            encoder(ids)
            taken.append(time.perf_counter() - start)
for (layers, width), encoder, taken in zip(pair, encoders, times, strict=True):
    work = 4 * 128 * (weight_flops(layers, width) + attention_flops(layers, width, 128)) / 1e9
    median = 1000 * float(np.median(taken[1:]))
    print(
        f"{layers:2} layers × {width}: {count(encoder.transformer_encoder):,} parameters in layers, {work:.2f} GFLOP, {median:.0f} ms"
    )

# %% [markdown]
# These times belong to the machine that ran this page. Equal parameters and equal work need not be equal time.
#
# So why go deep at all? Because of quality, which no count can show. Levine et al. (2020)[^levine] study how depth and width share the work in self-attention. They find that a threshold exists, a depth that grows with the logarithm of the width. Below it, another layer adds more than the same parameters spent on width; above it, the width has become the bottleneck. NeoBERT's authors read from this that BERT base, with 12 layers of width 768 (Devlin et al., 2018)[^bert], is too shallow for its width. They keep the width of 768 and raise the depth to 28. (Whatever took vectors of 768 numbers from BERT base can then take NeoBERT's.) In the paper's own series of models, growing from 120 to 250 million parameters raised the mean on GLUE, a collection of English language tasks, by 2.9%.
#
# The evidence has limits. That step changed the size along with the shape, so it is no test of the shape alone. Tay et al. (2021)[^tay] do compare many shapes, of an encoder-decoder, and also recommend going deep before going wide. ModernBERT base (Warner et al., 2024)[^modernbert] stops at 22 layers of width 768: its authors weigh quality against what runs fast on common GPUs. Where to stop is a judgement.
#
# ## What is in the file
#
# A *state dict* is the list of a model's tensors by name. The names come from the attributes of the class: `self.model`, in it `self.transformer_encoder`, in it layer 0, in it `self.qkv`, in it `weight`. So a class whose attributes have other names can't take the published tensors, even if it computes the same function. Here is all that NeoBERT publishes, read from our class on the meta device; `{i}` runs over the 28 layers.

# %%
state = published.state_dict()
groups = {}
for key, tensor in state.items():
    pattern = re.sub(r"\.\d+\.", ".{i}.", key)
    times_seen, _ = groups.get(pattern, (0, None))
    groups[pattern] = (times_seen + 1, tuple(tensor.shape))
for pattern, (times_seen, shape) in groups.items():
    print(f"{times_seen:3} × {pattern:50} {shape}")
print(f"{len(state)} keys")
assert len(state) == 172

# %% [markdown]
# Read the list for what it does not hold. There is no table of positions: RoPE computes its angles. There are no biases but the decoder's. There is no second embedding for the first and second text of a pair, as BERT has. And the token embedding is called `model.encoder`: names in a published file stay as they are.
#
# The first axis of every matrix is its output, so row $r$ of `qkv.weight` makes column $r$ of the fused row. Head $h$ owns rows $192h$ to $192h+191$: 64 for its query, 64 for its key, 64 for its value. No key and no shape in the list above tells you that. It is a convention outside the file, and the file is useless without it.
#
# ## Saving and loading
#
# The weights are stored as [safetensors](https://huggingface.co/docs/safetensors): a table of names, types and shapes, then the raw numbers. Nothing in such a file is ever executed, unlike a pickle, which may run any code when it is opened.

# %%
folder = Path(tempfile.mkdtemp())
small = NeoBERTConfig(
    vocab_size=200,
    hidden_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=192,
    max_length=64,
)
model = NeoBERTForMaskedLM(small).eval()
model.save_pretrained(folder / "ours")

print("files:", ", ".join(sorted(path.name for path in (folder / "ours").iterdir())))
with safe_open(folder / "ours" / "model.safetensors", "pt") as file:
    keys = list(file.keys())
    stored = {key: file.get_tensor(key) for key in keys}
print("keys: ", ", ".join(keys[:5]), "…")
assert set(keys) == set(model.state_dict())
assert {re.sub(r"\.\d+\.", ".{i}.", key) for key in keys} == set(groups)

ids = torch.randint(5, 200, (2, 10))
loaded = NeoBERTForMaskedLM.from_pretrained(folder / "ours").eval()
with torch.no_grad():
    assert torch.equal(loaded(ids).logits, model(ids).logits)
print("loaded again: identical outputs")

# %% [markdown]
# Beside the weights lie the configuration and the Python files that define the model. With them the directory can be loaded where this library is not installed, if its user says `trust_remote_code=True`, which means: run the code that came with the weights. Here nobody has to. The library holds the classes, and one call tells transformers about them.
#
# The published directory has the weights and a configuration whose code we do not run. Make such a directory: nothing but those keys, and a `config.json` with the published names and our small sizes.

# %%
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForMaskedLM

bare = folder / "published"
bare.mkdir()
save_file(stored, bare / "model.safetensors", metadata={"format": "pt"})
sizes = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_length",
    "norm_eps",
)
entries = {
    "model_type": "neobert",
    "pad_token_id": 0,
    **{name: getattr(small, name) for name in sizes},
}
(bare / "config.json").write_text(json.dumps(entries))

register_auto_classes()
with torch.no_grad():
    masked = AutoModelForMaskedLM.from_pretrained(bare).eval()
    encoder = AutoModel.from_pretrained(bare).eval()
    assert torch.equal(masked(ids).logits, model(ids).logits)
    assert torch.equal(encoder(ids).last_hidden_state, model.model(ids).last_hidden_state)
print(
    f"{type(masked).__name__} and {type(encoder).__name__} from {len(keys)} keys and a configuration"
)

# %% [markdown]
# ## What stands on the encoder
#
# `AutoModel` gave the encoder alone, and `AutoModelForMaskedLM` the encoder with the decoder on top. A map like this at the end is called a *head*, and other tasks have others:
#
# - [NeoBERTForSequenceClassification][groundup.neobert.classification.NeoBERTForSequenceClassification] gives one answer for a text. It reads the vector of the first token, `[CLS]`: a dense layer, tanh, and a linear map to the classes, with dropout before each map.
# - [NeoBERTForTokenClassification][groundup.neobert.classification.NeoBERTForTokenClassification] gives one for each token: dropout and a linear map.
#
# Load the same directory into both. Keys under `model.` fit. The decoder has no place in them, and the head is not in the file, so it begins at random: it has to be trained first, which is chapter 14.

# %%
for head in (NeoBERTForSequenceClassification, NeoBERTForTokenClassification):
    classifier, report = head.from_pretrained(bare, num_labels=3, output_loading_info=True)
    own = {name: p for name, p in classifier.state_dict().items() if not name.startswith("model.")}
    print(head.__name__)
    for name, tensor in own.items():
        print(f"  begins at random: {name:18} {tuple(tensor.shape)}")
    print("  left in the file:", ", ".join(sorted(report["unexpected_keys"])))
    assert set(report["missing_keys"]) == set(own)
    print("  logits of two texts of 10 tokens:", tuple(classifier.eval()(ids).logits.shape))

# %% [markdown]
# ## What else a pass can give
#
# Each of the following is one argument or one line.
#
# **Hidden states**, to look inside (chapter 06) or to build on another layer than the last. They are the stream before each block, and at last the output, which the final norm has passed: one more than there are layers.
#
# **Attention weights**, to see who looks at whom. They cost $T^2$ numbers a head, so they are computed only when asked for.
#
# **Another engine.** `attn_implementation` takes the names of chapter 10's table. The numbers stay.

# %%
with torch.no_grad():
    states = masked(ids, output_hidden_states=True).hidden_states
    weights = masked(ids, output_attentions=True).attentions
    eager = AutoModelForMaskedLM.from_pretrained(bare, attn_implementation="eager").eval()
    difference = float((eager(ids).logits - masked(ids).logits).abs().max())
    last = masked.model(ids).last_hidden_state
print(f"hidden states: {len(states)} of {tuple(states[0].shape)}")
print(f"weights: {len(weights)} of {tuple(weights[0].shape)}, each row sums to one")
print(f"eager against {masked.config._attn_implementation}: largest difference {difference:.0e}")
assert torch.equal(states[0], masked.model.encoder(ids))
assert torch.equal(states[-1], last)
torch.testing.assert_close(weights[0].sum(-1), torch.ones(2, 4, 10))
assert difference < 1e-5

# %% [markdown]
# **Activation checkpointing**, also called gradient checkpointing, to train in less memory. A backward pass needs what the forward pass computed, so autograd keeps it, for every layer at once. With checkpointing (Chen et al., 2016)[^checkpointing], only the input of each block is kept. When the backward pass comes to a block, the block runs again. The price is a second forward pass. With `every_n_layers=2` only every second block does so: half the saving, half the price. Count the bytes, and compare the gradients:


# %% Counting what is kept tags=["hide"]
def training_step(net):
    """Bytes kept for the backward pass, and all gradients."""
    parameters = {p.untyped_storage().data_ptr() for p in net.parameters()}
    sizes = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    def note_input(layer, inputs):
        note(inputs[0])

    hooks = []
    if net.model.gradient_checkpointing:  # a block's input is kept by the checkpoint itself
        blocks = net.model.transformer_encoder
        hooks = [layer.register_forward_pre_hook(note_input) for layer in blocks]
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = net(batch_ids, labels=batch_ids).loss
    for hook in hooks:
        hook.remove()
    loss.backward()
    return sum(sizes.values()), [p.grad for p in net.parameters()]


# %%
shape = {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512}
trained = NeoBERTForMaskedLM(NeoBERTConfig(vocab_size=200, num_hidden_layers=8, **shape)).train()
batch_ids = torch.randint(5, 200, (4, 128))
plain_bytes, plain = training_step(trained)
trained.zero_grad()
trained.activation_checkpointing_enable()
kept_bytes, again = training_step(trained)
print(
    f"kept for the backward pass: {plain_bytes / 1e6:.1f} MB, with checkpointing {kept_bytes / 1e6:.1f} MB"
)
print(
    f"largest difference between gradients: {max(float((a - b).abs().max()) for a, b in zip(plain, again, strict=True)):.0e}"
)
for a, b in zip(plain, again, strict=True):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
assert kept_bytes < plain_bytes / 3

# %% [markdown]
# ## Filling blanks with the published weights
#
# NeoBERT was trained by *masked language modelling*: a fifth of the tokens of a text are replaced by `[MASK]`, and the model must say what stood there. The published weights, about a gigabyte, are not part of this course. If you have them in a directory, with the tokenizer's files of bert-base-uncased beside them, name it in the environment variable `GROUNDUP_NEOBERT`.

# %%
weights = os.environ.get("GROUNDUP_NEOBERT")
if weights and Path(weights).is_dir():
    from transformers import AutoTokenizer

    wordpiece = AutoTokenizer.from_pretrained(weights, trust_remote_code=False)
    real = NeoBERTForMaskedLM.from_pretrained(weights, dtype=torch.float32).eval()
    for sentence in ("The capital of France is [MASK].", "Paris is the capital of [MASK]."):
        encoded = wordpiece(sentence, return_tensors="pt")
        with torch.no_grad():
            logits = real(encoded["input_ids"], encoded["attention_mask"]).logits
        place = encoded["input_ids"][0] == wordpiece.mask_token_id
        best = logits[0, place][0].softmax(-1).topk(3)
        guesses = (
            f"{wordpiece.decode([i])} {p:.0%}"
            for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        )
        print(f"{sentence}  {', '.join(guesses)}")
else:
    print("Skipped: GROUNDUP_NEOBERT names no directory, so there are no published weights to ask.")

# %% [markdown]
# The answers to expect are *paris* and *france*. If you get other words of good English, read on.
#
# ## Break it: cut in thirds
#
# Now put the wrong cut into the real layer. First measure a layer of published width, in float64, with random weights of the size that trained ones have.

# %%
exact = NeoBERTLayer(config).double()
x = torch.randn(2, 16, config.hidden_size, dtype=torch.float64)
cos, sin = rotation(config, torch.arange(16), x.dtype)


def relative(a, b):
    return float((a - b).norm() / b.norm())


with torch.no_grad():
    for parameter in exact.parameters():  # a fresh layer hardly mixes
        if parameter.dim() == 2:
            parameter.normal_(0, parameter.shape[1] ** -0.5)
    here, _ = exact(x, (cos, sin))
with torch.no_grad(), mock.patch.multiple(cpu_kernels, PLAIN=True, split_qkv=split_in_thirds):
    wrong = exact(x, (cos, sin))[0]  # inside this block the layer cuts in thirds
for name, output in (("head by head", here), ("in thirds", wrong)):
    print(
        f"{name:13} shape {tuple(output.shape)}, mean {output.mean():+.3f}, deviation {output.std():.3f}"
    )
print(f"relative error of the layer's output: {relative(wrong, here):.2f}")
print(f"relative error of what the layer adds: {relative(wrong - x, here - x):.2f}")
assert wrong.shape == here.shape
assert relative(wrong - x, here - x) > 0.1

# %% [markdown]
# Shape, mean and deviation look as they should. Only the comparison with the right answer gives the fault away, and a person who loads a model for the first time does not have that.
#
# What does it do to a trained model? Train one, small enough for a page. The text is the documentation of Python's standard library on your own disk. Its tokens are single letters here, or rather bytes, so that a few seconds of training teach something. [fit][groundup.train.loop.fit] is the library's training loop.
#
# The model is measured on modules it has not seen, by its *loss*: the mean surprise $-\ln p$ at the hidden letters, in nats. Zero is certainty. A useful mark beside it is the *unigram loss*, the surprise of somebody who ignores the text and only knows how often each letter occurs. A model below that mark uses the context.

# %%
corpus = read_packages(("stdlib",)).split()
letters = train_tokenizer(
    corpus.train.text(), vocab_size=260, max_length=64
)  # 256 bytes, 4 specials
train_rows, test_rows = (
    tokenize_rows(letters, part.text(), 64) for part in (corpus.train, corpus.test)
)
train_text = MaskedText(train_rows, letters, batch_size=16)
test_text = MaskedText(test_rows, letters, batch_size=16, seed=1)

torch.manual_seed(0)
reader = NeoBERTForMaskedLM(
    NeoBERTConfig(
        vocab_size=len(letters),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_length=64,
        pad_token_id=letters.pad_token_id,
        # Not as published; these four make a short run learn sooner.
        initializer_range=0.2,
        embedding_std=0.5,
        zero_residual=True,
        sparse_prediction=True,
    )
)
start = time.perf_counter()
fit(reader, train_text, LoopConfig(steps=250, lr=5e-3, weight_decay=0.1))
print(f"{count(reader):,} parameters, 250 steps, {time.perf_counter() - start:.0f} s")
reader.save_pretrained(folder / "reader")

# %%
reader = NeoBERTForMaskedLM.from_pretrained(folder / "reader").eval()
right, hidden_letters = masked_loss(reader, test_text, 24)
with mock.patch.multiple(cpu_kernels, PLAIN=True, split_qkv=split_in_thirds):
    wrong_loss, _ = masked_loss(reader, test_text, 24)
unigram = unigram_loss(log_frequencies(train_rows, len(letters)), hidden_letters)
print(f"loss head by head  {right:.2f} nats")
print(f"unigram loss       {unigram:.2f} nats")
print(f"loss in thirds     {wrong_loss:.2f} nats")
assert right < unigram < wrong_loss

# %% The figure's code tags=["hide"]
fig, axes = figure(height=2.0)
names = ["head by head", "frequencies of letters alone", "in thirds"]
bars = axes.barh(names, [right, unigram, wrong_loss], color=[COLOURS[0], "#7a808a", COLOURS[1]])
axes.bar_label(bars, fmt="%.2f", padding=4)
axes.invert_yaxis()
axes.set(
    xlabel="loss on unseen modules (nats a hidden letter)",
    xlim=(0, 1.12 * max(right, unigram, wrong_loss)),
)
show(
    fig,
    "thirds",
    "The same file read in two ways, beside a guess from frequencies alone. Lower is better.",
)

# %% [markdown]
# The file is the same, the keys match, no warning is given, and what the model learned is gone. Good weights read in the wrong order do worse than ignoring the text: the model still acts on what it sees with confidence, and what it sees is wrong. Here is how it looks as text. A dot is a hidden letter.

# %%
batch = test_text.batch(3)
with torch.no_grad():
    best = {"head by head": reader(batch["input_ids"], batch["attention_mask"]).logits.argmax(-1)}
    with mock.patch.multiple(cpu_kernels, PLAIN=True, split_qkv=split_in_thirds):
        best["in thirds"] = reader(batch["input_ids"], batch["attention_mask"]).logits.argmax(-1)


def spelled(row, blanks=None):
    tokens = letters.convert_ids_to_tokens(row.tolist())
    if blanks is not None:
        tokens = [
            "." if blank else token for token, blank in zip(tokens, blanks.tolist(), strict=True)
        ]
    return (
        "".join(t for t in tokens if t not in ("[CLS]", "[SEP]", "[PAD]")).replace("Ġ", " ").strip()
    )


hidden = batch["labels"] != -100
truth = torch.where(hidden, batch["labels"], batch["input_ids"])
for i in range(3):
    print(f"{'the blanks':13} {spelled(batch['input_ids'][i], hidden[i])}")
    for name, guess in best.items():
        print(f"{name:13} {spelled(torch.where(hidden, guess, batch['input_ids'])[i])}")
    print(f"{'the text':13} {spelled(truth[i])}\n")
for name, guess in best.items():
    print(
        f"{name:13} {float((guess == batch['labels'])[hidden].double().mean()):.0%} of the hidden letters in this batch"
    )

# %% [markdown]
# With letters the damage is plain. With whole words it is not: a large model that guesses by frequency fills every blank with a real word in a plausible place, and a reader may take the result for a weak model. Hence *fluent nonsense*. What protects you is a number from outside: an independent forward pass, a known answer such as *paris*, or the unigram loss.
#
# ## What practitioners do
#
# **They meet this fault.** DeepSpeed's automatic tensor parallelism had to learn three layouts of the fused projection. Its author reports of one model "incorrect results, but there were no errors or warnings" (DeepSpeed, pull request 3844, 2023). In transformers, GPT-NeoX, BLOOM and Falcon read the row head by head or by group of heads, and ModernBERT reads it in thirds.
#
# **They convert once, by moving rows.** The rows of the matrix can be put in the order of thirds. With the plain cut, the layer is then exactly what it was.

# %%
D, H, K = config.hidden_size, config.num_attention_heads, config.head_dim
head_by_head = exact.qkv.weight.detach().clone()  # (H·3·K, D)
in_thirds = head_by_head.view(H, 3, K, D).transpose(0, 1).reshape(3 * H * K, D)  # (3·H·K, D)
with torch.no_grad(), mock.patch.multiple(cpu_kernels, PLAIN=True, split_qkv=split_in_thirds):
    exact.qkv.weight.copy_(in_thirds)
    print(
        f"rows moved, then cut in thirds: relative error {relative(exact(x, (cos, sin))[0], here):.1e}"
    )
    assert relative(exact(x, (cos, sin))[0], here) < 1e-12
    exact.qkv.weight.copy_(head_by_head)

# %% [markdown]
# **They have a reason for head by head.** When a layer is too large for one GPU, its matrices are cut across several; this is *tensor parallelism* (Shoeybi et al., 2019)[^megatron]. Attention splits naturally by heads, since no head needs another before $W_o$. Laid out head by head, the first half of the rows of `qkv.weight` is the first half of the heads, complete with query, key and value. Laid out in thirds, it would be all the queries and half of the keys. So a device takes one block of rows of `qkv`, the matching columns of `wo`, and works alone; the sum of what they return is the layer's attention.

# %%
with torch.no_grad():
    normal = exact.attention_norm(x)
    parts = []
    for device in range(2):
        rows_here = slice(device * 3 * H * K // 2, (device + 1) * 3 * H * K // 2)
        columns_here = slice(device * H * K // 2, (device + 1) * H * K // 2)
        q, k, v = split_qkv(normal @ exact.qkv.weight[rows_here].T, H // 2)
        q, k = (rotate_pairs(part, cos, sin) for part in (q, k))
        parts.append(attention(q, k, v) @ exact.wo.weight[:, columns_here].T)
    q, k, v = split_qkv(exact.qkv(normal), H)
    whole = exact.wo(attention(rotate_pairs(q, cos, sin), rotate_pairs(k, cos, sin), v))
print(f"two halves of the heads, summed: relative error {relative(parts[0] + parts[1], whole):.1e}")
assert relative(parts[0] + parts[1], whole) < 1e-12

# %% [markdown]
# **They test against another's forward pass.** The tests of this library hold a second NeoBERT, written from the description alone with complex numbers for RoPE and formulas for everything else. The two must agree to $10^{-10}$ on random weights with padding. A snapshot of one's own output would have passed with the wrong cut as well.
#
# **They leave the proportions to the hardware.** Widths are multiples of 64 or 128, and a head is often 64 or 128 wide, because the units that multiply matrices work on tiles of such sizes.
#
# ## What you have, and what is missing
#
# You have a model that takes the published tensors, is equal to the layer derived by hand, and can be shared. You can say where each of its parameters is, what a longer text costs, and what its class gives beside the answer.
#
# But the model begins with token ids, and 30,522 of them were given. It never sees a letter of the text. Who decided what a token is, and what is lost before the first embedding is looked up? That is the next chapter.
#
# ## Sources
#
# The facts about the published checkpoint (configuration, key names, layout, check sentences) are those of the model's own page and code, `chandar-lab/NeoBERT`.
#
# [^neobert]: L. Le Breton, Q. Fournier, M. El Mezouar, J. X. Morris, S. Chandar (2025). *NeoBERT: A Next-Generation BERT.* arXiv 2502.19587.
# [^rope]: J. Su, Y. Lu, S. Pan, A. Murtadha, B. Wen, Y. Liu (2021). *RoFormer: Enhanced Transformer with Rotary Position Embedding.* arXiv 2104.09864.
# [^swiglu]: N. Shazeer (2020). *GLU Variants Improve Transformer.* arXiv 2002.05202.
# [^levine]: Y. Levine, N. Wies, O. Sharir, H. Bata, A. Shashua (2020). *Limits to Depth-Efficiencies of Self-Attention.* NeurIPS; arXiv 2006.12467.
# [^bert]: J. Devlin, M.-W. Chang, K. Lee, K. Toutanova (2018). *BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding.* arXiv 1810.04805.
# [^tay]: Y. Tay et al. (2021). *Scale Efficiently: Insights from Pre-training and Fine-tuning Transformers.* arXiv 2109.10686.
# [^modernbert]: B. Warner et al. (2024). *Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder.* arXiv 2412.13663.
# [^checkpointing]: T. Chen, B. Xu, C. Zhang, C. Guestrin (2016). *Training Deep Nets with Sublinear Memory Cost.* arXiv 1604.06174.
# [^megatron]: M. Shoeybi et al. (2019). *Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism.* arXiv 1909.08053.
