"""Right versions of the exercises of chapter 8 in other styles, as each docstring says."""

import numpy as np
import torch
from torch import nn

from groundup.course.exercises.mutants import variant
from groundup.parity.numpy_torch import torch_name


@variant("8.1", replaces="to_torch")
def as_parameters(params):
    """nn.Parameter values, on memory of their own, from a loop."""
    found = {}
    for name in params:
        value = torch.tensor(params[name])
        if value.dim() == 2 and not name.startswith("embedding"):
            value = value.t().contiguous()
        found[torch_name(name)] = nn.Parameter(value)
    return found


@variant("8.2", replaces="silu_gate_backward")
def slices(dy, x):
    """Slices, and the slope of silu as s times one plus a times one minus s."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    s = torch.special.expit(a)
    return torch.cat([dy * b * s * (1 + a * (1 - s)), dy * a * s], -1)


@variant("8.1", replaces="to_torch")
def views_by_last_name(params):
    """Matrices are told by the last part of their name, and turned as views."""
    return {
        torch_name(name): torch.as_tensor(value).t()
        if name.rsplit(".", 1)[-1].startswith("w")
        else torch.as_tensor(value)
        for name, value in params.items()
    }


@variant("8.2", replaces="silu_gate_backward")
def filled(dy, x):
    """An empty tensor is filled, one half after the other."""
    size = dy.size(-1)
    dx = torch.empty_like(x)
    s = x[..., :size].sigmoid()
    active = x[..., :size] * s
    dx[..., :size] = dy * x[..., size:] * (s + active - active * s)
    dx[..., size:] = dy * active
    return dx


@variant("8.3", replaces="slope_errors")
def data_replaced(loss, parameters, generator, h=1e-5):
    """backward() with grad put aside; .data is replaced and put back."""
    wrong = [name for name, each in parameters.items() if each.dtype is not torch.float64]
    if wrong:
        raise ValueError(f"not float64: {wrong}")
    kept = {name: each.grad for name, each in parameters.items()}
    for each in parameters.values():
        each.grad = None
    loss().backward()
    found = {}
    for name, each in parameters.items():
        found[name], each.grad = each.grad, kept[name]
    result = {}
    for name, each in parameters.items():
        v = torch.randn(each.shape, generator=generator, dtype=torch.float64)
        v = v / torch.linalg.vector_norm(v)
        tape = 0.0 if found[name] is None else torch.sum(found[name] * v).item()
        start, sides = each.data, []
        for sign in (1, -1):
            each.data = start + sign * h * v
            sides.append(loss().item())
        each.data = start
        steps = (sides[0] - sides[1]) / (2 * h)
        result[name] = np.float64(abs(tape - steps) / max(0.001, abs(tape), abs(steps)))
    return result
