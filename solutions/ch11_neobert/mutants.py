"""Wrong versions of the exercises of chapter 11. What is wrong stands in each docstring."""

import torch
from torch import nn

from groundup.course.exercises.mutants import mutant
from groundup.neobert.attention import split_qkv
from groundup.neobert.backends import eager
from groundup.neobert.rope import rotate_pairs


def _refuse(qkv, heads):
    if qkv.shape[-1] % (3 * heads):
        raise ValueError("the width must be a multiple of 3·heads")


@mutant("11.1", replaces="split_qkv")
def three_thirds(qkv, heads):
    """The width is cut into three thirds; NeoBERT's weights go head by head."""
    _refuse(qkv, heads)
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in qkv.chunk(3, dim=-1))
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def keys_and_values_swapped(qkv, heads):
    """Keys and values have changed places."""
    _refuse(qkv, heads)
    q, k, v = qkv.unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    return q, v, k


@mutant("11.1", replaces="split_qkv")
def queries_and_keys_swapped(qkv, heads):
    """Queries and keys have changed places: every score is transposed."""
    _refuse(qkv, heads)
    k, q, v = qkv.unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def not_transposed(qkv, heads):
    """Heads and positions are not swapped: the result is (B, T, H, K)."""
    _refuse(qkv, heads)
    q, k, v = qkv.unflatten(-1, (heads, -1)).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def reshaped_not_transposed(qkv, heads):
    """A reshape to (B, H, T, 3K) instead of a transpose: heads and positions are mixed."""
    _refuse(qkv, heads)
    batch, length, _ = qkv.shape
    q, k, v = qkv.reshape(batch, heads, length, -1).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def column_by_column(qkv, heads):
    """q, k and v are taken to alternate column by column inside a head."""
    _refuse(qkv, heads)
    by_head = qkv.unflatten(-1, (heads, -1, 3)).transpose(1, 2)
    return by_head[..., 0], by_head[..., 1], by_head[..., 2]


@mutant("11.1", replaces="split_qkv")
def heads_innermost(qkv, heads):
    """The head is taken to be the innermost part of a column's number, and not the outermost."""
    _refuse(qkv, heads)
    q, k, v = qkv.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def scaled_in_place(qkv, heads):
    """The queries are scaled by 1/√K in place, which changes the projection itself."""
    _refuse(qkv, heads)
    q, k, v = qkv.data.unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    q *= 0.5
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def detached(qkv, heads):
    """The input is detached: no gradient reaches the projection."""
    _refuse(qkv, heads)
    q, k, v = qkv.detach().unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def width_not_checked(qkv, heads):
    """A width that does not fit is cut short in silence, and columns are lost."""
    size = qkv.shape[-1] // (3 * heads)
    by_head = qkv[..., : 3 * heads * size].unflatten(-1, (heads, 3 * size)).transpose(1, 2)
    q, k, v = by_head.split(size, dim=-1)
    return q, k, v


@mutant("11.1", replaces="split_qkv")
def first_sequence_for_all(qkv, heads):
    """Every sequence of the batch gets the first one's numbers."""
    _refuse(qkv, heads)
    first = qkv[:1].expand_as(qkv)
    q, k, v = first.unflatten(-1, (heads, -1)).transpose(1, 2).chunk(3, dim=-1)
    return q, k, v


def _turn(a, b, cos, sin):
    return (a * cos - b * sin).to(a.dtype), (a * sin + b * cos).to(a.dtype)


def _interleaved(a, b):
    return torch.stack((a, b), dim=-1).flatten(-2)


@mutant("11.2", replaces="rotate_pairs")
def halves(x, cos, sin):
    """Entry i is paired with entry i + K/2, as other models do; NeoBERT pairs neighbours."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat(_turn(first, second, cos, sin), dim=-1)


@mutant("11.2", replaces="rotate_pairs")
def not_interleaved(x, cos, sin):
    """The turned entries are joined with cat: all first ones, then all second ones."""
    return torch.cat(_turn(x[..., 0::2], x[..., 1::2], cos, sin), dim=-1)


@mutant("11.2", replaces="rotate_pairs")
def clockwise(x, cos, sin):
    """The pairs turn the other way: the minus stands at the wrong sine."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return _interleaved(even * cos + odd * sin, odd * cos - even * sin).to(x.dtype)


@mutant("11.2", replaces="rotate_pairs")
def minus_missing(x, cos, sin):
    """Both signs are plus: the pair is not turned, and its length changes."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return _interleaved(even * cos + odd * sin, even * sin + odd * cos).to(x.dtype)


@mutant("11.2", replaces="rotate_pairs")
def cos_and_sin_swapped(x, cos, sin):
    """cos and sin have changed places: the pair turns by a quarter turn minus its angle."""
    return _interleaved(*_turn(x[..., 0::2], x[..., 1::2], sin, cos))


@mutant("11.2", replaces="rotate_pairs")
def second_entries_left(x, cos, sin):
    """Only the first entry of each pair is changed; the second is left as it was."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return _interleaved((even * cos - odd * sin).to(x.dtype), odd)


@mutant("11.2", replaces="rotate_pairs")
def reads_what_it_wrote(x, cos, sin):
    """The second entry is made from the first after it was turned, and not before."""
    y = x.clone()
    y[..., 0::2] = y[..., 0::2] * cos - y[..., 1::2] * sin
    y[..., 1::2] = y[..., 0::2] * sin + y[..., 1::2] * cos
    return y


@mutant("11.2", replaces="rotate_pairs")
def tables_repeated_whole(x, cos, sin):
    """The tables are made K wide with cat, as for halves: neighbours get different angles."""
    neighbours = _interleaved(-x[..., 1::2], x[..., 0::2])
    turned = x * torch.cat((cos, cos), dim=-1) + neighbours * torch.cat((sin, sin), dim=-1)
    return turned.to(x.dtype)


@mutant("11.2", replaces="rotate_pairs")
def angles_along_heads(x, cos, sin):
    """The tables lie along the axis before T, as they would for x of shape (B, T, H, K)."""
    return _interleaved(*_turn(x[..., 0::2], x[..., 1::2], cos[:, None], sin[:, None]))


@mutant("11.2", replaces="rotate_pairs")
def not_flattened(x, cos, sin):
    """The pairs keep an axis of their own: (..., K/2, 2), and not K entries in a row."""
    return torch.stack(_turn(x[..., 0::2], x[..., 1::2], cos, sin), dim=-1)


@mutant("11.2", replaces="rotate_pairs")
def written_into_x(x, cos, sin):
    """The result is written into x, and the caller's queries are gone."""
    x[..., 0::2], x[..., 1::2] = _turn(x[..., 0::2].clone(), x[..., 1::2].clone(), cos, sin)
    return x


@mutant("11.2", replaces="rotate_pairs")
def float32_returned(x, cos, sin):
    """The result is float32 whatever x is: the next product refuses bfloat16 with float32."""
    return _interleaved(*_turn(x.float()[..., 0::2], x.float()[..., 1::2], cos, sin)).float()


@mutant("11.2", replaces="rotate_pairs")
def tables_rounded(x, cos, sin):
    """The tables or the products are rounded to x's type before the sum: too coarse in bfloat16."""
    return _interleaved(*_turn(x[..., 0::2], x[..., 1::2], cos.to(x.dtype), sin.to(x.dtype)))


@mutant("11.2", replaces="rotate_pairs")
def through_float32(x, cos, sin):
    """The numbers pass through float32 on their way: in float64 half of the digits are lost."""
    x32, cos, sin = x.float(), cos.float(), sin.float()
    return _interleaved(*_turn(x32[..., 0::2], x32[..., 1::2], cos, sin)).to(x.dtype)


@mutant("11.2", replaces="rotate_pairs")
def flat_view(x, cos, sin):
    """view() puts the leading axes together, which needs x in one piece of memory; reshape not."""
    rows = x.view(-1, x.shape[-2], x.shape[-1])
    return _interleaved(*_turn(rows[..., 0::2], rows[..., 1::2], cos, sin)).view(x.shape)


@mutant("11.2", replaces="rotate_pairs")
def cut_off(x, cos, sin):
    """The input is detached: queries and keys learn nothing."""
    x = x.detach()
    return _interleaved(*_turn(x[..., 0::2], x[..., 1::2], cos, sin))


def _mixer(self, rotation, layout, need_weights):
    """Attention as a function of its input alone."""
    return lambda x: self.self_attention(x, rotation, layout, need_weights)


def _pre(self, x, mix, ffn_norm=None):
    """The published order, with attention given."""
    mixed, weights = mix(self.attention_norm(x))
    x = x + mixed
    return x + self.ffn((ffn_norm or self.ffn_norm)(x)), weights


def _post(self, x, mix):
    """The order of 2017, with attention given."""
    mixed, weights = mix(x)
    x = self.attention_norm(x + mixed)
    return self.ffn_norm(x + self.ffn(x)), weights


def _right(self, x, mix):
    return _post(self, x, mix) if self.config.norm_position == "post" else _pre(self, x, mix)


def _is_post(self):
    return self.config.norm_position == "post"


@mutant("11.3", replaces="forward")
def always_post(self, x, rotation, layout=None, need_weights=False):
    """The norms stand after the sums whatever norm_position says; NeoBERT is pre-norm."""
    return _post(self, x, _mixer(self, rotation, layout, need_weights))


@mutant("11.3", replaces="forward")
def always_pre(self, x, rotation, layout=None, need_weights=False):
    """norm_position is not read: the norms stand before the branches where "post" is asked for."""
    return _pre(self, x, _mixer(self, rotation, layout, need_weights))


@mutant("11.3", replaces="forward")
def branch_normed(self, x, rotation, layout=None, need_weights=False):
    """In the post form the norm is taken of the branch alone, and not of the sum."""
    if not _is_post(self):
        return _pre(self, x, _mixer(self, rotation, layout, need_weights))
    mixed, weights = self.self_attention(x, rotation, layout, need_weights)
    x = x + self.attention_norm(mixed)
    return x + self.ffn_norm(self.ffn(x)), weights


@mutant("11.3", replaces="forward")
def stream_of_before(self, x, rotation, layout=None, need_weights=False):
    """The second branch reads the stream as it was before the first sum, and not after it."""
    if _is_post(self):
        return _post(self, x, _mixer(self, rotation, layout, need_weights))
    mixed, weights = self.self_attention(self.attention_norm(x), rotation, layout, need_weights)
    return x + mixed + self.ffn(self.ffn_norm(x)), weights


@mutant("11.3", replaces="forward")
def attention_unnormed(self, x, rotation, layout=None, need_weights=False):
    """Attention reads the stream itself: the norm before it is missing."""
    if _is_post(self):
        return _post(self, x, _mixer(self, rotation, layout, need_weights))
    return _pre(self, x, lambda n: self.self_attention(x, rotation, layout, need_weights))


@mutant("11.3", replaces="forward")
def ffn_unnormed(self, x, rotation, layout=None, need_weights=False):
    """The feed-forward network reads the stream itself: the norm before it is missing."""
    mix = _mixer(self, rotation, layout, need_weights)
    return _post(self, x, mix) if _is_post(self) else _pre(self, x, mix, nn.Identity())


@mutant("11.3", replaces="forward")
def same_norm_twice(self, x, rotation, layout=None, need_weights=False):
    """attention_norm stands before both branches; each has scales of its own."""
    mix = _mixer(self, rotation, layout, need_weights)
    return _post(self, x, mix) if _is_post(self) else _pre(self, x, mix, self.attention_norm)


@mutant("11.3", replaces="forward")
def norms_swapped(self, x, rotation, layout=None, need_weights=False):
    """ffn_norm stands before attention, and attention_norm before the feed-forward network."""
    if _is_post(self):
        return _post(self, x, _mixer(self, rotation, layout, need_weights))
    mixed, weights = self.self_attention(self.ffn_norm(x), rotation, layout, need_weights)
    x = x + mixed
    return x + self.ffn(self.attention_norm(x)), weights


@mutant("11.3", replaces="forward")
def attention_replaces(self, x, rotation, layout=None, need_weights=False):
    """What attention gives takes the place of the stream: the first sum is missing."""
    if _is_post(self):
        return _post(self, x, _mixer(self, rotation, layout, need_weights))
    x, weights = self.self_attention(self.attention_norm(x), rotation, layout, need_weights)
    return x + self.ffn(self.ffn_norm(x)), weights


@mutant("11.3", replaces="forward")
def ffn_replaces(self, x, rotation, layout=None, need_weights=False):
    """What ffn gives takes the place of the stream: the second sum is missing."""
    if _is_post(self):
        return _post(self, x, _mixer(self, rotation, layout, need_weights))
    mixed, weights = self.self_attention(self.attention_norm(x), rotation, layout, need_weights)
    return self.ffn(self.ffn_norm(x + mixed)), weights


@mutant("11.3", replaces="forward")
def normed_stream_kept(self, x, rotation, layout=None, need_weights=False):
    """Each branch is added to its normed input: the stream itself is rescaled at each norm."""
    if _is_post(self):
        return _post(self, x, _mixer(self, rotation, layout, need_weights))
    x = self.attention_norm(x)
    mixed, weights = self.self_attention(x, rotation, layout, need_weights)
    x = self.ffn_norm(x + mixed)
    return x + self.ffn(x), weights


@mutant("11.3", replaces="forward")
def values_turned(self, x, rotation, layout=None, need_weights=False):
    """Values are rotated too; RoPE is for queries and keys, which meet in products."""

    def mix(normal):
        q, k, v = split_qkv(self.qkv(normal), self.heads)
        if rotation is not None:
            q, k, v = (rotate_pairs(each, *rotation) for each in (q, k, v))
        mixed, weights = eager(q, k, v, layout and layout.packed, self.window, causal=False)
        return self.wo(mixed.flatten(2)), weights if need_weights else None

    return _right(self, x, mix)


@mutant("11.3", replaces="forward")
def rotation_dropped(self, x, rotation, layout=None, need_weights=False):
    """The rotation is not handed on: no token knows where another stands."""
    return _right(self, x, _mixer(self, None, layout, need_weights))


@mutant("11.3", replaces="forward")
def layout_dropped(self, x, rotation, layout=None, need_weights=False):
    """layout is not handed on: tokens attend to other texts of their row."""
    return _right(self, x, _mixer(self, rotation, None, need_weights))


@mutant("11.3", replaces="forward")
def weights_dropped(self, x, rotation, layout=None, need_weights=False):
    """None comes back where the weights were asked for."""
    return _right(self, x, _mixer(self, rotation, layout, need_weights))[0], None


@mutant("11.3", replaces="forward")
def weights_always(self, x, rotation, layout=None, need_weights=False):
    """The weights are computed and returned unasked: every score is written out, at every layer."""
    return _right(self, x, _mixer(self, rotation, layout, True))


@mutant("11.3", replaces="forward")
def stream_alone(self, x, rotation, layout=None, need_weights=False):
    """The stream comes back alone; the caller unpacks two things."""
    return _right(self, x, _mixer(self, rotation, layout, need_weights))[0]


@mutant("11.3", replaces="forward")
def added_in_place(self, x, rotation, layout=None, need_weights=False):
    """The sums are written into x, which the caller may have kept as a hidden state."""
    if _is_post(self):
        return _post(self, x, _mixer(self, rotation, layout, need_weights))
    mixed, weights = self.self_attention(self.attention_norm(x), rotation, layout, need_weights)
    x += mixed
    x += self.ffn(self.ffn_norm(x))
    return x, weights


@mutant("11.3", replaces="forward")
def ffn_cut_off(self, x, rotation, layout=None, need_weights=False):
    """The second branch reads a detached stream: no gradient comes back through it."""
    mix = _mixer(self, rotation, layout, need_weights)
    if _is_post(self):
        return _post(self, x, mix)
    return _pre(self, x, mix, lambda stream: self.ffn_norm(stream.detach()))


def _sum_up(config, **parts):
    """The dictionary of counts from its smallest parts."""
    layer = parts["qkv"] + parts["wo"] + parts["ffn"] + parts["norms"]
    layers = config.num_hidden_layers * layer
    encoder = parts["embedding"] + parts["positions"] + layers + parts["final_norm"]
    sums = {"layer": layer, "layers": layers, "encoder": encoder}
    return {**parts, **sums, "total": encoder + parts["decoder"]}


def _parts(config):
    """The smallest parts, counted right."""
    width, heads = config.hidden_size, config.num_attention_heads * config.head_dim
    swiglu = 3 * width * config.swiglu_size
    norm = width if config.norm_type == "rms_norm" else 2 * width
    return {
        "embedding": config.vocab_size * width,
        "positions": config.max_length * width * (config.position_embedding_type == "absolute"),
        "qkv": 3 * width * heads,
        "wo": width * heads,
        "ffn": swiglu if config.hidden_act == "swiglu" else 2 * width * config.intermediate_size,
        "norms": 2 * norm,
        "final_norm": norm * (config.norm_position == "pre"),
        "decoder": (width + 1) * config.vocab_size,
    }


@mutant("11.4", replaces="count_parameters")
def biases_counted(config):
    """Every linear map gets a bias; in NeoBERT the decoder alone has one."""
    parts, width = _parts(config), config.hidden_size
    parts["qkv"] += 3 * config.num_attention_heads * config.head_dim
    parts["wo"] += width
    gated = config.hidden_act == "swiglu"
    parts["ffn"] += width + (2 * config.swiglu_size if gated else config.intermediate_size)
    return _sum_up(config, **parts)


@mutant("11.4", replaces="count_parameters")
def one_of_three(config):
    """qkv is counted as one matrix of a query's size; it holds query, key and value."""
    parts = _parts(config)
    return _sum_up(config, **parts | {"qkv": parts["wo"]})


@mutant("11.4", replaces="count_parameters")
def two_thirds_ignored(config):
    """SwiGLU's matrices are taken to be intermediate_size wide; they are two thirds of it."""
    parts = _parts(config)
    if config.hidden_act == "swiglu":
        parts["ffn"] = 3 * config.hidden_size * config.intermediate_size
    return _sum_up(config, **parts)


@mutant("11.4", replaces="count_parameters")
def not_rounded_up(config):
    """Two thirds of intermediate_size are taken as they are, not rounded up to a multiple of 8."""
    parts = _parts(config)
    if config.hidden_act == "swiglu":
        parts["ffn"] = 3 * config.hidden_size * (2 * config.intermediate_size // 3)
    return _sum_up(config, **parts)


@mutant("11.4", replaces="count_parameters")
def two_thirds_as_float(config):
    """Two thirds are computed with a single /, and the counts become floats."""
    parts = _parts(config)
    if config.hidden_act == "swiglu":
        parts["ffn"] = 3 * config.hidden_size * (2 * config.intermediate_size / 3)
    return _sum_up(config, **parts)


@mutant("11.4", replaces="count_parameters")
def gate_or_value(config):
    """SwiGLU gets two matrices: gate and value are one each, and w12 holds both."""
    parts = _parts(config)
    if config.hidden_act == "swiglu":
        parts["ffn"] = 2 * config.hidden_size * config.swiglu_size
    return _sum_up(config, **parts)


@mutant("11.4", replaces="count_parameters")
def always_swiglu(config):
    """hidden_act is not read: a network with GELU is counted as one with SwiGLU."""
    return _sum_up(config, **_parts(config) | {"ffn": 3 * config.hidden_size * config.swiglu_size})


@mutant("11.4", replaces="count_parameters")
def one_norm_a_layer(config):
    """One norm is counted a layer; there is one for each branch."""
    parts = _parts(config)
    return _sum_up(config, **parts | {"norms": parts["norms"] // 2})


@mutant("11.4", replaces="count_parameters")
def no_shifts(config):
    """LayerNorm's shifts are missing: it has a bias besides its scales."""
    parts = _parts(config)
    if config.norm_type == "layer_norm":
        parts["norms"] //= 2
        parts["final_norm"] //= 2
    return _sum_up(config, **parts)


@mutant("11.4", replaces="count_parameters")
def final_norm_forgotten(config):
    """The norm after the last layer is not counted."""
    return _sum_up(config, **_parts(config) | {"final_norm": 0})


@mutant("11.4", replaces="count_parameters")
def final_norm_always(config):
    """A norm is counted after the last post-norm block, which ends with one already."""
    parts = _parts(config)
    return _sum_up(config, **parts | {"final_norm": parts["norms"] // 2})


@mutant("11.4", replaces="count_parameters")
def positions_with_rope(config):
    """A table of positions is counted with RoPE too, which computes its angles and stores none."""
    return _sum_up(config, **_parts(config) | {"positions": config.max_length * config.hidden_size})


@mutant("11.4", replaces="count_parameters")
def positions_never(config):
    """The learned table of positions is never counted."""
    return _sum_up(config, **_parts(config) | {"positions": 0})


@mutant("11.4", replaces="count_parameters")
def heads_fill_the_width(config):
    """The heads are taken to be D wide together; head_dim may be given, and is not read."""
    square = config.hidden_size**2
    return _sum_up(config, **_parts(config) | {"qkv": 3 * square, "wo": square})


@mutant("11.4", replaces="count_parameters")
def tied_decoder(config):
    """The decoder's matrix is taken to be the embedding's; in NeoBERT it is another."""
    return _sum_up(config, **_parts(config) | {"decoder": config.vocab_size})


@mutant("11.4", replaces="count_parameters")
def decoder_without_bias(config):
    """The decoder's bias is left out, the only one in the published model."""
    parts = _parts(config)
    return _sum_up(config, **parts | {"decoder": parts["embedding"]})


@mutant("11.4", replaces="count_parameters")
def one_layer(config):
    """layers is one layer, not all of them."""
    right = _sum_up(config, **_parts(config))
    less = right["layers"] - right["layer"]
    right["layers"] -= less
    right["encoder"] -= less
    right["total"] -= less
    return right


@mutant("11.4", replaces="count_parameters")
def parts_twice(config):
    """The encoder adds up all entries so far: a layer's parts count again, and the layer again."""
    right = _sum_up(config, **_parts(config))
    twice = 2 * right["layer"]
    return right | {"encoder": right["encoder"] + twice, "total": right["total"] + twice}


@mutant("11.4", replaces="count_parameters")
def total_without_decoder(config):
    """The total is the encoder's: the decoder is not added."""
    right = _sum_up(config, **_parts(config))
    return right | {"total": right["encoder"]}


@mutant("11.4", replaces="count_parameters")
def only_the_total(config):
    """The total comes back alone, under its key."""
    return {"total": _sum_up(config, **_parts(config))["total"]}


@mutant("11.4", replaces="count_parameters")
def config_overwritten(config):
    """intermediate_size is overwritten with two thirds of it, in the caller's configuration."""
    parts = _parts(config)
    if config.hidden_act == "swiglu":
        config.intermediate_size = config.swiglu_size
    return _sum_up(config, **parts)


@mutant("11.1", replaces="split_qkv")
def quotient_checked(qkv, heads):
    """The width is divided by the heads with // and then checked: 10 with 3 heads passes."""
    if qkv.shape[-1] // heads % 3:
        raise ValueError("three parts")
    size = qkv.shape[-1] // (3 * heads)
    parts = qkv[..., : 3 * heads * size].unflatten(-1, (heads, 3, size)).transpose(1, 2)
    return parts.unbind(-2)


@mutant("11.1", replaces="split_qkv")
def three_and_heads_apart(qkv, heads):
    """The width is checked for 3 and for H, and not for 3·H: 12 with 3 heads passes."""
    if qkv.shape[-1] % 3 or qkv.shape[-1] % heads:
        raise ValueError("three parts of each head")
    size = qkv.shape[-1] // (3 * heads)
    parts = qkv[..., : 3 * heads * size].unflatten(-1, (heads, 3, size)).transpose(1, 2)
    return parts.unbind(-2)


@mutant("11.3", replaces="forward")
def layout_dropped_in_post(self, x, rotation, layout=None, need_weights=False):
    """In the post form layout is not handed on: tokens attend to other texts of their row."""
    if self.config.norm_position == "post":
        layout = None
    return _right(self, x, _mixer(self, rotation, layout, need_weights))


@mutant("11.3", replaces="forward")
def weights_dropped_in_post(self, x, rotation, layout=None, need_weights=False):
    """In the post form need_weights is not handed on, and None comes back."""
    if self.config.norm_position == "post":
        need_weights = False
    return _right(self, x, _mixer(self, rotation, layout, need_weights))


@mutant("11.3", replaces="forward")
def no_weights_of_a_pack(self, x, rotation, layout=None, need_weights=False):
    """A pack's weights are not returned, though they were asked for."""
    x, weights = _right(self, x, _mixer(self, rotation, layout, need_weights))
    return x, None if layout is not None else weights


@mutant("11.4", replaces="count_parameters")
def tied_by_the_configuration(config):
    """tie_word_embeddings is read and a table left out; the counts are always those of two."""
    parts = _parts(config)
    if config.tie_word_embeddings:
        parts["decoder"] -= config.vocab_size * config.hidden_size
    return _sum_up(config, **parts)
