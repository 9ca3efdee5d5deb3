"""Right versions of the exercises of chapter 9 in other styles, as each docstring says."""

import numpy as np
import torch

from groundup.course.exercises.mutants import variant
from groundup.neobert.rope_layout import check_rows
from groundup.scratch.activations import silu, silu_backward


@variant("9.1", replaces="rms_norm")
def mean_of_squares(x, weight, eps):
    """The mean of the squares, its root and a division; a list for a tuple."""
    wide = x.float() if x.element_size() < 4 else x
    root = torch.sqrt(torch.mean(wide**2, dim=-1)[..., None] + eps)
    return [(wide / root * weight).to(x.dtype), (wide / root, 1 / root, weight)]


@variant("9.1", replaces="rms_norm_backward")
def by_the_formula(dy, cache):
    """The rule as it is derived, and einsum over flat rows."""
    normal, inverse, weight = cache
    g = (dy * weight).to(normal.dtype)
    dx = inverse * (g - normal * torch.mean(g * normal, dim=-1, keepdim=True))
    rows = [each.reshape(-1, len(weight)) for each in (dy.to(normal.dtype), normal)]
    return dx.to(dy.dtype), torch.einsum("nd,nd->d", *rows).to(dy.dtype)


@variant("9.2", replaces="swiglu")
def two_matrices(x, w12, w3):
    """w12 is cut into two matrices; the cache is one that the solution's backward pass reads."""
    w1, w2 = np.split(w12, 2, axis=1)
    gate, cache_gate = silu(np.einsum("...d,df->...f", x, w1))
    value = np.einsum("...d,df->...f", x, w2)
    hidden = gate * value
    return hidden @ w3, ((x, w12), cache_gate, gate, value, (hidden, w3))


@variant("9.2", replaces="swiglu_backward")
def by_einsum(dy, cache):
    """einsum over flat rows, and a list for a tuple."""
    (x, w12), cache_gate, gate, value, (hidden, w3) = cache
    dhidden = dy @ w3.T
    dboth = np.append(silu_backward(dhidden * value, cache_gate), dhidden * gate, axis=-1)

    def rows(array):
        return array.reshape(-1, array.shape[-1])

    dw12 = np.einsum("nd,ne->de", rows(x), rows(dboth))
    return [dboth @ w12.T, dw12, np.einsum("nf,nd->fd", rows(hidden), rows(dy))]


@variant("9.3", replaces="rope_tables")
def polar(positions, head_dim, theta, scale=1.0):
    """Complex numbers of length one, and their two parts in a list."""
    real = torch.float64 if positions.dtype == torch.float64 else torch.float32
    speeds = torch.tensor([theta ** (-k / head_dim) for k in range(0, head_dim, 2)], dtype=real)
    angles = torch.einsum("t,i->ti", positions.to(real) / scale, speeds)
    turns = torch.polar(torch.ones_like(angles), angles)
    return [turns.real, turns.imag]


@variant("9.4", replaces="pairs_to_halves")
def by_index(weight, head_dim):
    """A list of row numbers, head by head."""
    check_rows(weight, head_dim)
    order = [*range(0, head_dim, 2), *range(1, head_dim, 2)]
    return weight[[start + i for start in range(0, len(weight), head_dim) for i in order]]


@variant("9.4", replaces="halves_to_pairs")
def written_by_slices(weight, head_dim):
    """Each head's halves are written into every second row of a copy."""
    check_rows(weight, head_dim)
    done, half = weight.clone(), head_dim // 2
    for start in range(0, len(weight), head_dim):
        done[start : start + head_dim : 2] = weight[start : start + half]
        done[start + 1 : start + head_dim : 2] = weight[start + half : start + head_dim]
    return done
