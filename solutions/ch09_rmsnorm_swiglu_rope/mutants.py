"""Wrong versions of the exercises of chapter 9. What is wrong stands in each docstring."""

import numpy as np
import torch

from groundup.course.exercises.mutants import mutant
from groundup.neobert.rope_layout import check_rows
from groundup.scratch.activations import silu, silu_backward
from groundup.scratch.linear import linear, linear_backward


def _scaled(x, root, weight):
    """y and the cache, given the divisor of each vector."""
    normal = x / root
    return (normal * weight).to(x.dtype), (normal, 1 / root, weight)


def _mean_square(x):
    precise = torch.promote_types(x.dtype, torch.float32)
    return x.to(precise).square().mean(-1, keepdim=True)


@mutant("9.1", replaces="rms_norm")
def mean_subtracted(x, weight, eps):
    """The mean is subtracted first: this is layer norm without its bias."""
    centred = x - x.mean(-1, keepdim=True)
    return _scaled(centred, (_mean_square(centred) + eps).sqrt(), weight)


@mutant("9.1", replaces="rms_norm")
def standard_deviation(x, weight, eps):
    """x is divided by its standard deviation, which leaves the mean out of the size."""
    return _scaled(x, (_mean_square(x - x.mean(-1, keepdim=True)) + eps).sqrt(), weight)


@mutant("9.1", replaces="rms_norm")
def length_of_the_vector(x, weight, eps):
    """The squares are summed and not averaged: the entries shrink as the width grows."""
    return _scaled(x, (_mean_square(x) * x.shape[-1] + eps).sqrt(), weight)


@mutant("9.1", replaces="rms_norm")
def divided_by_n_minus_1(x, weight, eps):
    """The sum of squares is divided by D - 1, as if a mean had been estimated."""
    return _scaled(
        x, (_mean_square(x) * (x.shape[-1] / (x.shape[-1] - 1 or 1)) + eps).sqrt(), weight
    )


@mutant("9.1", replaces="rms_norm")
def root_missing(x, weight, eps):
    """x is divided by its mean square, and not by the root of it."""
    return _scaled(x, _mean_square(x) + eps, weight)


@mutant("9.1", replaces="rms_norm")
def mean_size(x, weight, eps):
    """The mean of the absolute values stands where the root of the mean of the squares should."""
    return _scaled(x, x.abs().mean(-1, keepdim=True) + eps, weight)


@mutant("9.1", replaces="rms_norm")
def eps_outside_the_root(x, weight, eps):
    """eps is added to the root and not to the mean square under it."""
    return _scaled(x, _mean_square(x).sqrt() + eps, weight)


@mutant("9.1", replaces="rms_norm")
def eps_forgotten(x, weight, eps):
    """eps is not used: a vector of zeros becomes nan."""
    return _scaled(x, _mean_square(x).sqrt(), weight)


@mutant("9.1", replaces="rms_norm")
def eps_as_a_floor(x, weight, eps):
    """eps is the smallest divisor (clamp) and is not added."""
    return _scaled(x, _mean_square(x).sqrt().clamp(min=eps), weight)


@mutant("9.1", replaces="rms_norm")
def one_plus_weight(x, weight, eps):
    """The scale is 1 + weight, which is right only where weights are stored as distances from 1."""
    y, cache = _scaled(x, (_mean_square(x) + eps).sqrt(), 1 + weight)
    return y, (*cache[:2], weight)


@mutant("9.1", replaces="rms_norm")
def weight_applied_first(x, weight, eps):
    """x is scaled before its root mean square is taken, so the weight changes the divisor."""
    scaled = x * weight
    return _scaled(scaled, (_mean_square(scaled) + eps).sqrt(), torch.ones_like(weight))


@mutant("9.1", replaces="rms_norm")
def mean_over_the_rows(x, weight, eps):
    """The mean runs over the rows, axis 0, and not over the entries of each vector."""
    return _scaled(x, (x.float().to(x.dtype).square().mean(0, keepdim=True) + eps).sqrt(), weight)


@mutant("9.1", replaces="rms_norm")
def one_root_for_all(x, weight, eps):
    """One root mean square is taken of the whole batch, and not one for each vector."""
    precise = torch.promote_types(x.dtype, torch.float32)
    root = (x.to(precise).square().mean() + eps).sqrt().expand(*x.shape[:-1], 1)
    return _scaled(x, root, weight)


@mutant("9.1", replaces="rms_norm")
def squared_in_float16(x, weight, eps):
    """The squares are taken in x's own dtype: in float16 the square of 256 is infinite."""
    return _scaled(x, (x.square().mean(-1, keepdim=True) + eps).sqrt(), weight)


@mutant("9.1", replaces="rms_norm")
def float32_returned(x, weight, eps):
    """The result stays in float32: the next product refuses bfloat16 with float32."""
    root = (_mean_square(x) + eps).sqrt()
    normal = x / root
    return normal * weight, (normal, 1 / root, weight)


@mutant("9.1", replaces="rms_norm")
def through_float32(x, weight, eps):
    """Everything passes through float32: in float64 half of the digits are lost."""
    y, cache = _scaled(x.float(), (x.float().square().mean(-1, keepdim=True) + eps).sqrt(), weight)
    return y.to(x.dtype), tuple(each.to(x.dtype) for each in cache)


@mutant("9.1", replaces="rms_norm")
def written_into_x(x, weight, eps):
    """The result is written into x, and the residual stream is gone."""
    y, cache = _scaled(x, (_mean_square(x) + eps).sqrt(), weight)
    x.copy_(y)
    return y, cache


def _parts(dy, cache):
    normal, inverse, weight = cache
    g = dy * weight
    return normal, inverse, weight, g, (g * normal).mean(-1, keepdim=True)


def _dweight(dy, normal):
    return (dy * normal).reshape(-1, dy.shape[-1]).sum(0).to(dy.dtype)


@mutant("9.1", replaces="rms_norm_backward")
def root_as_a_constant(dy, cache):
    """The root mean square is taken for a constant; every entry of x changes it too."""
    normal, inverse, _, g, _ = _parts(dy, cache)
    return (g * inverse).to(dy.dtype), _dweight(dy, normal)


@mutant("9.1", replaces="rms_norm_backward")
def weight_forgotten(dy, cache):
    """dx is made from dy, without the weight that stood behind the normalised vector."""
    normal, inverse, *_ = _parts(dy, cache)
    mean = (dy * normal).mean(-1, keepdim=True)
    return ((dy - normal * mean) * inverse).to(dy.dtype), _dweight(dy, normal)


@mutant("9.1", replaces="rms_norm_backward")
def summed_not_averaged(dy, cache):
    """g · x̂ is summed over the width; the rule has its mean."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    return ((g - normal * mean * dy.shape[-1]) * inverse).to(dy.dtype), _dweight(dy, normal)


@mutant("9.1", replaces="rms_norm_backward")
def rule_of_layer_norm(dy, cache):
    """The mean of g is taken off as well: that is layer norm's rule."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    dx = (g - g.mean(-1, keepdim=True) - normal * mean) * inverse
    return dx.to(dy.dtype), _dweight(dy, normal)


@mutant("9.1", replaces="rms_norm_backward")
def division_forgotten(dy, cache):
    """The division by the root mean square is missing: gradients have the wrong size."""
    normal, _, _, g, mean = _parts(dy, cache)
    return (g - normal * mean).to(dy.dtype), _dweight(dy, normal)


@mutant("9.1", replaces="rms_norm_backward")
def second_part_added(dy, cache):
    """The second part is added: a larger entry makes the divisor larger, and so it is a minus."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    return ((g + normal * mean) * inverse).to(dy.dtype), _dweight(dy, normal)


@mutant("9.1", replaces="rms_norm_backward")
def along_x(dy, cache):
    """The second part is along x and not along the normalised vector."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    return ((g - normal / inverse * mean) * inverse).to(dy.dtype), _dweight(dy, normal)


@mutant("9.1", replaces="rms_norm_backward")
def weight_gradient_averaged(dy, cache):
    """dweight is averaged over the vectors; one weight serves all, so their shares add up."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    dx = ((g - normal * mean) * inverse).to(dy.dtype)
    return dx, _dweight(dy, normal) / (dy.numel() // dy.shape[-1])


@mutant("9.1", replaces="rms_norm_backward")
def weight_gradient_from_x(dy, cache):
    """dweight is made from x; what the weight multiplied is the normalised vector."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    dx = ((g - normal * mean) * inverse).to(dy.dtype)
    return dx, _dweight(dy, normal / inverse)


@mutant("9.1", replaces="rms_norm_backward")
def weight_gradient_with_weight(dy, cache):
    """dweight contains the weight itself: a factor does not stay in its own derivative."""
    normal, inverse, weight, g, mean = _parts(dy, cache)
    return ((g - normal * mean) * inverse).to(dy.dtype), _dweight(dy, normal) * weight


@mutant("9.1", replaces="rms_norm_backward")
def weight_gradient_over_one_axis(dy, cache):
    """dweight is summed over the first axis alone; a batch of sequences has two."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    return ((g - normal * mean) * inverse).to(dy.dtype), (dy * normal).sum(0).to(dy.dtype)


@mutant("9.1", replaces="rms_norm_backward")
def root_made_again(dy, cache):
    """The root mean square is made again from x, without eps: zeros give nan."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    root = (normal / inverse).square().mean(-1, keepdim=True).sqrt()
    return ((g - normal * mean) / root).to(dy.dtype), _dweight(dy, normal)


@mutant("9.1", replaces="rms_norm_backward")
def written_into_dy(dy, cache):
    """dy is multiplied by the weight in place, and the residual branch gets it too."""
    normal, inverse, weight = cache
    dweight = _dweight(dy, normal)
    dy *= weight
    return (dy - normal * (dy * normal).mean(-1, keepdim=True)) * inverse, dweight


def _network(gate, value, cache_in, w3, act=silu):
    active, cache_gate = act(gate)
    y, cache_out = linear(active * value, w3)
    return y, (cache_in, cache_gate, active, value, cache_out)


@mutant("9.2", replaces="swiglu")
def gate_and_value_swapped(x, w12, w3):
    """The second half is taken for the gate; NeoBERT's weights have the gate first."""
    both, cache_in = linear(x, w12)
    value, gate = np.split(both, 2, axis=-1)
    return _network(gate, value, cache_in, w3)


@mutant("9.2", replaces="swiglu")
def silu_on_both(x, w12, w3):
    """silu is applied before the cut, so to gate and value; the value stays linear."""
    both, cache_in = linear(x, w12)
    active, cache_gate = silu(both)
    gate, value = np.split(active, 2, axis=-1)
    y, cache_out = linear(gate * value, w3)
    half = tuple(each[..., : gate.shape[-1]] for each in cache_gate)
    return y, (cache_in, half, gate, value, cache_out)


@mutant("9.2", replaces="swiglu")
def gate_not_activated(x, w12, w3):
    """The gate is not activated: the network is a plain product of two linear maps."""
    both, cache_in = linear(x, w12)
    gate, value = np.split(both, 2, axis=-1)
    return _network(gate, value, cache_in, w3, lambda a: (a, silu(a)[1]))


@mutant("9.2", replaces="swiglu")
def sigmoid_gate(x, w12, w3):
    """The gate is a sigmoid: that is GLU (Dauphin et al., 2016); silu is x times the sigmoid."""
    both, cache_in = linear(x, w12)
    gate, value = np.split(both, 2, axis=-1)
    return _network(gate, value, cache_in, w3, lambda a: (silu(a)[1][1], silu(a)[1]))


@mutant("9.2", replaces="swiglu")
def value_forgotten(x, w12, w3):
    """The value is not used: what is left is an ordinary network with silu."""
    both, cache_in = linear(x, w12)
    gate, value = np.split(both, 2, axis=-1)
    return _network(gate, np.ones_like(value), cache_in, w3)


@mutant("9.2", replaces="swiglu")
def added_not_multiplied(x, w12, w3):
    """Gate and value are added; a gate multiplies."""
    both, cache_in = linear(x, w12)
    gate, value = np.split(both, 2, axis=-1)
    active, cache_gate = silu(gate)
    y, cache_out = linear(active + value, w3)
    return y, (cache_in, cache_gate, active, value, cache_out)


@mutant("9.2", replaces="swiglu")
def columns_alternate(x, w12, w3):
    """Gates and values are taken to alternate column by column; they are two halves."""
    both, cache_in = linear(x, w12)
    return _network(both[..., 0::2], both[..., 1::2], cache_in, w3)


@mutant("9.2", replaces="swiglu")
def relu_gate(x, w12, w3):
    """The gate is a ReLU (ReGLU): negative gates are shut completely."""
    both, cache_in = linear(x, w12)
    gate, value = np.split(both, 2, axis=-1)
    return _network(gate, value, cache_in, w3, lambda a: (np.maximum(a, 0), silu(a)[1]))


@mutant("9.2", replaces="swiglu")
def w3_forgotten(x, w12, w3):
    """The result is not led back to the width D by w3."""
    both, cache_in = linear(x, w12)
    gate, value = np.split(both, 2, axis=-1)
    _, cache = _network(gate, value, cache_in, w3)
    return cache[2] * cache[3], cache


@mutant("9.2", replaces="swiglu")
def hidden_in_place(x, w12, w3):
    """x is overwritten with zeros while it is still in the cache and in the residual stream."""
    both, cache_in = linear(x.copy(), w12)
    gate, value = np.split(both, 2, axis=-1)
    x *= 0
    return _network(gate, value, cache_in, w3)


def _back(dy, cache, dgate=None, dvalue=None, order=("gate", "value"), dw3=None):
    """The backward pass, with the gradients of gate and value made by the functions given."""
    cache_in, cache_gate, active, value, cache_out = cache
    dproduct, right, _ = linear_backward(dy, cache_out)
    dgate = dgate or (lambda dh: silu_backward(dh * value, cache_gate))
    dvalue = dvalue or (lambda dh: dh * active)
    grads = {"gate": dgate(dproduct), "value": dvalue(dproduct)}
    dboth = np.concatenate([grads[name] for name in order], axis=-1)
    dx, dw12, _ = linear_backward(dboth, cache_in)
    return dx, dw12, right if dw3 is None else dw3


@mutant("9.2", replaces="swiglu_backward")
def halves_swapped(dy, cache):
    """The gradients of gate and value are put side by side in the wrong order."""
    return _back(dy, cache, order=("value", "gate"))


@mutant("9.2", replaces="swiglu_backward")
def gate_lacks_the_value(dy, cache):
    """The gate's gradient lacks the value, which is its factor in the product."""
    return _back(dy, cache, dgate=lambda dh: silu_backward(dh, cache[1]))


@mutant("9.2", replaces="swiglu_backward")
def slope_of_silu_forgotten(dy, cache):
    """The gradient goes past silu as if its slope were one."""
    return _back(dy, cache, dgate=lambda dh: dh * cache[3])


@mutant("9.2", replaces="swiglu_backward")
def value_with_the_raw_gate(dy, cache):
    """The value's gradient is made with the gate before silu; the product had the gate after it."""
    return _back(dy, cache, dvalue=lambda dh: dh * cache[1][0])


@mutant("9.2", replaces="swiglu_backward")
def value_lacks_the_gate(dy, cache):
    """The value's gradient lacks the gate: a shut gate must stop it."""
    return _back(dy, cache, dvalue=lambda dh: dh)


@mutant("9.2", replaces="swiglu_backward")
def value_without_gradient(dy, cache):
    """The value gets no gradient; a product passes it on to both of its factors."""
    return _back(dy, cache, dvalue=np.zeros_like)


@mutant("9.2", replaces="swiglu_backward")
def dw3_from_the_gate(dy, cache):
    """dw3 is made from the gate alone; what w3 multiplied is gate times value."""
    width = dy.shape[-1]
    rows = cache[2].reshape(-1, cache[2].shape[-1])
    return _back(dy, cache, dw3=rows.T @ dy.reshape(-1, width))


@mutant("9.2", replaces="swiglu_backward")
def dx_through_the_gate_alone(dy, cache):
    """x gets its share through the gate alone; it is read twice, so two shares add up."""
    dx_gate, _, _ = _back(dy, cache, dvalue=np.zeros_like)
    return dx_gate, *_back(dy, cache)[1:]


@mutant("9.2", replaces="swiglu_backward")
def dw12_transposed(dy, cache):
    """dw12 is transposed: (2F, D), as torch keeps it."""
    dx, dw12, dw3 = _back(dy, cache)
    return dx, dw12.T, dw3


def _tables(angles):
    return angles.cos(), angles.sin()


def _precise(positions):
    return torch.float64 if positions.dtype == torch.float64 else torch.float32


def _steps(positions, head_dim):
    return torch.arange(0, head_dim, 2, dtype=_precise(positions)) / head_dim


def _angles(positions, head_dim, theta, scale=1.0):
    places = positions.to(_precise(positions)) / scale
    return torch.outer(places, theta ** -_steps(positions, head_dim))


@mutant("9.3", replaces="rope_tables")
def cos_and_sin_swapped(positions, head_dim, theta, scale=1.0):
    """The sines come first: every pair turns by a quarter turn minus its angle."""
    cos, sin = _tables(_angles(positions, head_dim, theta, scale))
    return sin, cos


@mutant("9.3", replaces="rope_tables")
def positions_from_one(positions, head_dim, theta, scale=1.0):
    """Positions begin at 1: each token is taken for the one after it."""
    return _tables(_angles(positions + 1, head_dim, theta, scale))


@mutant("9.3", replaces="rope_tables")
def degrees(positions, head_dim, theta, scale=1.0):
    """The angles are taken in degrees: the fastest pair needs 360 tokens for a turn."""
    return _tables(_angles(positions, head_dim, theta, scale) * torch.pi / 180)


@mutant("9.3", replaces="rope_tables")
def whole_turns(positions, head_dim, theta, scale=1.0):
    """The angles are taken in whole turns: at whole positions the first pair never moves."""
    return _tables(_angles(positions, head_dim, theta, scale) * 2 * torch.pi)


@mutant("9.3", replaces="rope_tables")
def turned_back(positions, head_dim, theta, scale=1.0):
    """The angles are negative: the pairs turn the other way."""
    return _tables(-_angles(positions, head_dim, theta, scale))


@mutant("9.3", replaces="rope_tables")
def exponent_i_over_k(positions, head_dim, theta, scale=1.0):
    """The exponent is i/K; with 2i/K the speeds span the whole range from 1 to 1/theta."""
    return _tables(_angles(positions, head_dim, theta**0.5, scale))


@mutant("9.3", replaces="rope_tables")
def ends_at_theta(positions, head_dim, theta, scale=1.0):
    """The exponent is i/(K/2 - 1), so that the last pair turns by 1/theta exactly; the rule has
    i/(K/2), and stops before it."""
    last = max(head_dim // 2 - 1, 1)
    steps = torch.arange(head_dim // 2, dtype=_precise(positions)) / last
    return _tables(torch.outer(positions.to(steps.dtype) / scale, theta**-steps))


@mutant("9.3", replaces="rope_tables")
def minus_forgotten(positions, head_dim, theta, scale=1.0):
    """The exponent lacks its minus: later pairs turn faster, by hundreds of turns a token."""
    return _tables(_angles(positions, head_dim, 1 / theta, scale))


@mutant("9.3", replaces="rope_tables")
def pairs_reversed(positions, head_dim, theta, scale=1.0):
    """The pairs are in the opposite order: the slowest comes first."""
    return _tables(_angles(positions, head_dim, theta, scale).flip(-1))


@mutant("9.3", replaces="rope_tables")
def rows_counted(positions, head_dim, theta, scale=1.0):
    """Rows are counted from 0 and the positions are not looked at: packed sequences run on."""
    counted = torch.arange(len(positions), dtype=_precise(positions))
    return _tables(_angles(counted, head_dim, theta, scale))


@mutant("9.3", replaces="rope_tables")
def multiplied_by_the_scale(positions, head_dim, theta, scale=1.0):
    """Positions are multiplied by the scale: a longer text lies even further from what is known."""
    return _tables(_angles(positions, head_dim, theta, 1 / scale))


@mutant("9.3", replaces="rope_tables")
def scale_not_used(positions, head_dim, theta, scale=1.0):
    """The scale is not used."""
    return _tables(_angles(positions, head_dim, theta))


@mutant("9.3", replaces="rope_tables")
def scale_on_theta(positions, head_dim, theta, scale=1.0):
    """theta is multiplied by the scale; what must be divided is the positions."""
    return _tables(_angles(positions, head_dim, theta * scale))


@mutant("9.3", replaces="rope_tables")
def positions_rounded_down(positions, head_dim, theta, scale=1.0):
    """Scaled positions are rounded down: neighbours fall on one place."""
    scaled = torch.div(positions.to(_precise(positions)), scale, rounding_mode="floor")
    return _tables(_angles(scaled, head_dim, theta))


@mutant("9.3", replaces="rope_tables")
def one_column_an_entry(positions, head_dim, theta, scale=1.0):
    """The tables are K wide, each angle twice; here a pair has one column."""
    angles = _angles(positions, head_dim, theta, scale)
    return _tables(torch.cat((angles, angles), dim=-1))


@mutant("9.3", replaces="rope_tables")
def dtype_of_the_positions(positions, head_dim, theta, scale=1.0):
    """The tables take the positions' dtype: in bfloat16 the cosine of a small angle is 1."""
    tables = _tables(_angles(positions, head_dim, theta, scale))
    kind = positions.dtype if positions.dtype.is_floating_point else torch.float32
    return tuple(each.to(kind) for each in tables)


@mutant("9.3", replaces="rope_tables")
def positions_in_bfloat16(positions, head_dim, theta, scale=1.0):
    """Positions pass through bfloat16, which can't tell 1,001 from 1,000."""
    rounded = positions.to(torch.bfloat16).to(_precise(positions))
    return _tables(_angles(rounded, head_dim, theta, scale))


@mutant("9.3", replaces="rope_tables")
def speeds_in_bfloat16(positions, head_dim, theta, scale=1.0):
    """The speeds are stored in bfloat16, as happens to a buffer of a model in half precision."""
    speeds = (theta ** -_steps(positions, head_dim)).to(torch.bfloat16).to(_precise(positions))
    return _tables(torch.outer(positions.to(speeds.dtype) / scale, speeds))


@mutant("9.3", replaces="rope_tables")
def through_single_precision(positions, head_dim, theta, scale=1.0):
    """The angles pass through float32 even where the positions are float64."""
    tables = _tables(_angles(positions.float(), head_dim, theta, scale))
    return tuple(each.to(_precise(positions)) for each in tables)


@mutant("9.3", replaces="rope_tables")
def positions_scaled_in_place(positions, head_dim, theta, scale=1.0):
    """The positions are divided in place: every layer divides them again."""
    if positions.is_floating_point():
        positions /= scale
        return _tables(_angles(positions, head_dim, theta))
    return _tables(_angles(positions, head_dim, theta, scale))


def _pairs(weight, head_dim):
    check_rows(weight, head_dim)
    return weight.unflatten(0, (-1, head_dim // 2, 2))


def _halves(weight, head_dim):
    check_rows(weight, head_dim)
    return weight.unflatten(0, (-1, 2, head_dim // 2))


def _join(x):
    return x.transpose(1, 2).flatten(0, 2)


@mutant("9.4", replaces="pairs_to_halves")
def the_way_back(weight, head_dim):
    """This is the opposite order, from halves to pairs; at K = 4 the two are the same."""
    return _join(_halves(weight, head_dim))


@mutant("9.4", replaces="pairs_to_halves")
def heads_together(weight, head_dim):
    """The rows of all heads are reordered as one: a head's first half then has rows of another."""
    check_rows(weight, head_dim)
    return _join(weight.unflatten(0, (1, -1, 2)))


@mutant("9.4", replaces="pairs_to_halves")
def second_members_first(weight, head_dim):
    """The second members of the pairs make the first half: every pair turns the other way."""
    return _join(_pairs(weight, head_dim).flip(2))


@mutant("9.4", replaces="pairs_to_halves")
def second_half_reversed(weight, head_dim):
    """The second half is in reverse, as in a Fourier transform: members meet another pair's."""
    first, second = _pairs(weight, head_dim).unbind(2)
    return torch.stack((first, second.flip(1)), 1).flatten(0, 2)


@mutant("9.4", replaces="pairs_to_halves")
def columns_moved(weight, head_dim):
    """The columns of a matrix are reordered; a row makes an entry of the query."""
    check_rows(weight, head_dim)
    if weight.dim() == 2 and weight.shape[1] % head_dim == 0:
        return _join(_pairs(weight.T, head_dim)).T
    return _join(_pairs(weight, head_dim))


@mutant("9.4", replaces="pairs_to_halves")
def rows_not_checked(weight, head_dim):
    """Rows that are no whole heads pass in silence, and the last ones are left where they were."""
    whole = weight.shape[0] // (2 * (head_dim // 2)) * (2 * (head_dim // 2))
    moved = _join(weight[:whole].unflatten(0, (-1, head_dim // 2, 2)))
    return torch.cat((moved, weight[whole:]))


@mutant("9.4", replaces="pairs_to_halves")
def only_matrices(weight, head_dim):
    """Axes behind the rows are lost: a bias comes back as a column."""
    check_rows(weight, head_dim)
    return _join(_pairs(weight.reshape(weight.shape[0], -1), head_dim))


@mutant("9.4", replaces="pairs_to_halves")
def moved_in_place(weight, head_dim):
    """The rows are moved in the weight itself: a second call moves them again."""
    weight.copy_(_join(_pairs(weight, head_dim)).clone())
    return weight


@mutant("9.4", replaces="halves_to_pairs")
def the_way_there(weight, head_dim):
    """This is the order from pairs to halves; the way back is its inverse."""
    return _join(_pairs(weight, head_dim))


@mutant("9.4", replaces="halves_to_pairs")
def halves_of_all_rows(weight, head_dim):
    """The two halves are those of all rows together, and not of each head."""
    check_rows(weight, head_dim)
    return _join(weight.unflatten(0, (1, 2, -1)))


@mutant("9.4", replaces="halves_to_pairs")
def members_swapped(weight, head_dim):
    """The second half's rows come first in each pair: every pair turns the other way."""
    return _join(_halves(weight, head_dim).flip(1))


@mutant("9.4", replaces="halves_to_pairs")
def shape_not_restored(weight, head_dim):
    """Heads, pairs and members keep axes of their own."""
    return _halves(weight, head_dim).transpose(1, 2)


@mutant("9.1", replaces="rms_norm_backward")
def dweight_in_float32(dy, cache):
    """dweight stays in float32, and the weight is bfloat16: an optimizer's step fails."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    dx = (g - normal * mean) * inverse
    precise = torch.promote_types(dy.dtype, torch.float32)
    return dx.to(dy.dtype), (dy.to(precise) * normal).reshape(-1, dy.shape[-1]).sum(0)


@mutant("9.1", replaces="rms_norm_backward")
def summed_over_no_axes(dy, cache):
    """sum(dim=()) sums over all axes, not over none: for a single vector dweight is one number."""
    normal, inverse, _, g, mean = _parts(dy, cache)
    dx = (g - normal * mean) * inverse
    dweight = (dy * normal).sum(dim=tuple(range(dy.dim() - 1)))
    return dx.to(dy.dtype), dweight.to(dy.dtype)


@mutant("9.2", replaces="swiglu")
def sigmoid_in_float64(x, w12, w3):
    """The sigmoid is made in float64, and float32 inputs come back as float64."""
    both, cache_in = linear(x, w12)
    gate, value = np.split(both, 2, axis=-1)
    return _network(gate.astype(np.float64), value, cache_in, w3)


@mutant("9.2", replaces="swiglu_backward")
def one_axis_of_rows(dy, cache):
    """The weights' gradients are written for a matrix of rows: a single vector gives others."""
    dx, dw12, dw3 = _back(dy, cache)
    if dy.ndim == 1:
        _, _, active, value, _ = cache
        return dx, dw12, active * value * dy.sum()
    return dx, dw12, dw3


@mutant("9.2", replaces="swiglu_backward")
def two_axes_alone(dy, cache):
    """x.T @ dy is the rule for a matrix of rows; a batch of sequences has one axis more."""
    (x, w12), cache_gate, active, value, (hidden, w3) = cache
    dhidden = dy @ w3.T
    dgate = silu_backward(dhidden * value, cache_gate)
    dboth = np.concatenate([dgate, dhidden * active], axis=-1)
    return dboth @ w12.T, x.T @ dboth, hidden.T @ dy


@mutant("9.3", replaces="rope_tables")
def divided_before_float32(positions, head_dim, theta, scale=1.0):
    """Positions are divided in their own dtype: in bfloat16 the quotient has eight bits."""
    steps = _steps(positions, head_dim)
    scaled = (positions / scale).to(_precise(positions))
    return _tables(torch.outer(scaled, theta**-steps))


def _short_passes(weight, head_dim):
    """check_rows, but for a weight with fewer rows than one head."""
    if weight.shape[0] > head_dim or head_dim % 2:
        check_rows(weight, head_dim)


@mutant("9.4", replaces="pairs_to_halves")
def part_of_a_head(weight, head_dim):
    """Fewer rows than a head has are let through: they are no whole head either."""
    _short_passes(weight, head_dim)
    if weight.shape[0] < head_dim:
        return weight.clone()
    return _join(_pairs(weight, head_dim))


@mutant("9.4", replaces="halves_to_pairs")
def part_of_a_head_back(weight, head_dim):
    """On the way back, fewer rows than a head has are let through."""
    _short_passes(weight, head_dim)
    if weight.shape[0] < head_dim:
        return weight.clone()
    return _join(_halves(weight, head_dim))


@mutant("9.4", replaces="pairs_to_halves")
def bias_left(weight, head_dim):
    """A bias comes back as it was; it is added to the entries that the rows make."""
    check_rows(weight, head_dim)
    return weight.clone() if weight.dim() == 1 else _join(_pairs(weight, head_dim))
