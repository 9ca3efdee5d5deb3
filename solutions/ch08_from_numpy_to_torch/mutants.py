"""Wrong versions of the exercises of chapter 8. What is wrong stands in each docstring."""

import numpy as np
import torch

from groundup.course.exercises.mutants import mutant
from groundup.parity.numpy_torch import torch_name


def _tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))


def _is_map(name, value):
    return value.ndim == 2 and name != "embedding"


def _turned(name, value):
    return value.T if _is_map(name, value) else value


@mutant("8.1", replaces="to_torch")
def nothing_turned(params):
    """No matrix is transposed: torch keeps its linear maps as (out, in)."""
    return {torch_name(name): _tensor(value) for name, value in params.items()}


@mutant("8.1", replaces="to_torch")
def embedding_turned(params):
    """The embedding is transposed with the rest, and it is a table and no linear map."""
    return {torch_name(name): _tensor(value.T) for name, value in params.items()}


@mutant("8.1", replaces="to_torch")
def reshaped(params):
    """The maps are reshaped to (out, in) and not transposed: right shapes, shuffled numbers."""
    return {
        torch_name(name): _tensor(
            value.reshape(value.shape[::-1]) if _is_map(name, value) else value
        )
        for name, value in params.items()
    }


@mutant("8.1", replaces="to_torch")
def turned_if_not_square(params):
    """Only matrices whose shape does not fit are transposed; a square one stays as it was."""
    return {
        torch_name(name): _tensor(value.T if len(set(value.shape)) == 2 else value)
        for name, value in params.items()
    }


@mutant("8.1", replaces="to_torch")
def each_third_turned(params):
    """Query, key and value are transposed each for itself, and laid side by side as before."""

    def turn(name, value):
        if not name.endswith("wqkv"):
            return _turned(name, value)
        parts = [part.T for part in np.split(value, 3, axis=1)]
        return np.hstack(parts).reshape(value.shape[::-1])

    return {torch_name(name): _tensor(turn(name, value)) for name, value in params.items()}


@mutant("8.1", replaces="to_torch")
def values_first(params):
    """The three parts of the fused projection come out as values, keys, queries."""

    def turn(name, value):
        if name.endswith(("wqkv", "bqkv")):
            value = np.concatenate(np.split(value, 3, axis=-1)[::-1], axis=-1)
        return _turned(name, value)

    return {torch_name(name): _tensor(turn(name, value)) for name, value in params.items()}


@mutant("8.1", replaces="to_torch")
def our_names(params):
    """The numbers are right, but the names are still those of the NumPy encoder."""
    return {name: _tensor(_turned(name, value)) for name, value in params.items()}


@mutant("8.1", replaces="to_torch")
def number_lost(params):
    """Every layer is called number 0: the last one writes over those before it."""
    found = {}
    for name, value in params.items():
        head, _, rest = name.partition(".")
        if head == "layers":
            name = f"layers.0.{rest.partition('.')[2]}"
        found[torch_name(name)] = _tensor(_turned(name, value))
    return found


@mutant("8.1", replaces="to_torch")
def one_digit(params):
    """The number of a layer is read as one digit: layer 10 writes over layer 1."""
    found = {}
    for name, value in params.items():
        if name.startswith("layers."):
            _, number, rest = name.split(".", 2)
            name = f"layers.{number[0]}.{rest}"
        found[torch_name(name)] = _tensor(_turned(name, value))
    return found


@mutant("8.1", replaces="to_torch")
def last_norm_left_out(params):
    """The norm after the last layer is left out: it keeps the ones and zeros it was made with."""
    return {
        torch_name(name): _tensor(_turned(name, value))
        for name, value in params.items()
        if not name.startswith("norm.")
    }


@mutant("8.1", replaces="to_torch")
def last_norm_outside(params):
    """The norm after the last layer keeps its own name; torch counts it to the layers' module."""
    return {
        name if name.startswith("norm.") else torch_name(name): _tensor(_turned(name, value))
        for name, value in params.items()
    }


@mutant("8.1", replaces="to_torch")
def through_float32(params):
    """Every tensor is float32, torch's default: in float64 half of the digits are lost."""
    return {
        torch_name(name): torch.Tensor(np.ascontiguousarray(_turned(name, value)))
        for name, value in params.items()
    }


@mutant("8.1", replaces="to_torch")
def vectors_made_matrices(params):
    """Vectors are made matrices of one column, so that everything can be transposed."""
    return {
        torch_name(name): _tensor(value if name == "embedding" else np.atleast_2d(value).T)
        for name, value in params.items()
    }


@mutant("8.1", replaces="to_torch")
def put_back(params):
    """The transposed maps are put back into the caller's dictionary: a second call turns twice."""
    for name, value in params.items():
        params[name] = _turned(name, value)
    return {torch_name(name): _tensor(value) for name, value in params.items()}


def _parts(x):
    gate, value = x.chunk(2, dim=-1)
    sigmoid = torch.sigmoid(gate)
    return gate, value, sigmoid, sigmoid + gate * sigmoid * (1 - sigmoid)


@mutant("8.2", replaces="silu_gate_backward")
def halves_of_the_result_swapped(dy, x):
    """The gradient of the values stands first; gates come first in x, and so in its gradient."""
    gate, value, sigmoid, slope = _parts(x)
    return torch.cat((dy * gate * sigmoid, dy * value * slope), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def value_is_the_gate(dy, x):
    """The second half is taken for the gates, as in some other models."""
    value, gate = x.chunk(2, dim=-1)
    sigmoid = torch.sigmoid(gate)
    slope = sigmoid + gate * sigmoid * (1 - sigmoid)
    return torch.cat((dy * gate * sigmoid, dy * value * slope), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def alternating(dy, x):
    """Gates and values are taken to alternate; they are two halves."""
    gate, value = x[..., 0::2], x[..., 1::2]
    sigmoid = torch.sigmoid(gate)
    slope = sigmoid + gate * sigmoid * (1 - sigmoid)
    return torch.stack((dy * value * slope, dy * gate * sigmoid), dim=-1).flatten(-2)


@mutant("8.2", replaces="silu_gate_backward")
def sigmoid_alone(dy, x):
    """The slope of the gate is the sigmoid alone: its own slope is forgotten."""
    gate, value, sigmoid, _ = _parts(x)
    return torch.cat((dy * value * sigmoid, dy * gate * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def slope_of_the_sigmoid(dy, x):
    """The slope of the gate is s(1 - s), that of the sigmoid; silu has its argument in front."""
    gate, value, sigmoid, _ = _parts(x)
    return torch.cat((dy * value * sigmoid * (1 - sigmoid), dy * gate * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def first_term_missing(dy, x):
    """Of the product rule only a·s(1 - s) is there; the term s is missing."""
    gate, value, sigmoid, _ = _parts(x)
    return torch.cat((dy * value * gate * sigmoid * (1 - sigmoid), dy * gate * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def silu_for_its_argument(dy, x):
    """In the second term silu(a) stands where a should: a sigmoid too many."""
    gate, value, sigmoid, _ = _parts(x)
    slope = sigmoid + gate * sigmoid * sigmoid * (1 - sigmoid)
    return torch.cat((dy * value * slope, dy * gate * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def sign_of_the_sigmoid(dy, x):
    """The second term has s(s - 1) in it, and so the wrong sign."""
    gate, value, sigmoid, _ = _parts(x)
    slope = sigmoid + gate * sigmoid * (sigmoid - 1)
    return torch.cat((dy * value * slope, dy * gate * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def value_missing(dy, x):
    """The gradient of the gate lacks the value, which is its factor."""
    gate, _, sigmoid, slope = _parts(x)
    return torch.cat((dy * slope, dy * gate * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def gate_without_sigmoid(dy, x):
    """The gradient of the value has the bare gate as its factor, and not silu of it."""
    gate, value, _, slope = _parts(x)
    return torch.cat((dy * value * slope, dy * gate), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def sigmoid_without_gate(dy, x):
    """The gradient of the value has the sigmoid as its factor, which is the gate of GLU."""
    _, value, sigmoid, slope = _parts(x)
    return torch.cat((dy * value * slope, dy * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def gradient_of_the_sum(dy, x):
    """The gradient that comes in is left out: this is the slope of the sum of all y."""
    gate, value, sigmoid, slope = _parts(x)
    return torch.cat((value * slope, gate * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def gate_alone(dy, x):
    """Only the gradient of the gates is returned, as if the values were constants."""
    _, value, _, slope = _parts(x)
    return dy * value * slope


@mutant("8.2", replaces="silu_gate_backward")
def written_into_dy(dy, x):
    """dy is multiplied in place, and whoever passed it has another gradient now."""
    gate, value, sigmoid, slope = _parts(x)
    active = dy * gate * sigmoid
    dy *= (value * slope).detach()
    return torch.cat((dy, active), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def written_into_x(dy, x):
    """The gradient is written over x, which others may have kept for their own backward pass."""
    gate, value, sigmoid, slope = _parts(x.detach().clone())
    x.data.copy_(torch.cat((dy * value * slope, dy * gate * sigmoid), dim=-1))
    return x.clone()


@mutant("8.2", replaces="silu_gate_backward")
def exponential_overflows(dy, x):
    """The sigmoid is e^a / (1 + e^a), which is infinity over infinity for a large gate."""
    gate, value = x.chunk(2, dim=-1)
    sigmoid = gate.exp() / (1 + gate.exp())
    slope = sigmoid + gate * sigmoid * (1 - sigmoid)
    return torch.cat((dy * value * slope, dy * gate * sigmoid), dim=-1)


@mutant("8.2", replaces="silu_gate_backward")
def cut_off(dy, x):
    """x is detached: the result has no second derivative, and a gradient penalty learns nothing."""
    gate, value, sigmoid, slope = _parts(x.detach())
    return torch.cat((dy * value * slope, dy * gate * sigmoid), dim=-1)


def _check(
    loss,
    parameters,
    generator,
    h=1e-5,
    *,
    direction=None,
    unit=True,
    slope=lambda above, below, here, h: (above - below) / (2 * h),
    error=lambda a, b: abs(a - b) / max(abs(a), abs(b), 1e-3),
    restore=lambda parameter, start, v, h: parameter.copy_(start),
    grads_of=lambda loss, leaves: torch.autograd.grad(loss(), leaves, allow_unused=True),
    refuse=True,
):
    """The right check, but for what is passed."""
    if refuse and any(parameter.dtype != torch.float64 for parameter in parameters.values()):
        raise ValueError("gradients are checked in float64")
    grads = grads_of(loss, list(parameters.values()))
    errors = {}
    for (name, parameter), grad in zip(parameters.items(), grads, strict=True):
        if direction is None:
            v = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        else:
            v = direction(parameter)
        if unit:
            v = v / v.norm()
        received = 0.0 if grad is None else float((grad * v).sum())
        start = parameter.detach().clone()
        with torch.no_grad():
            here = float(loss())
            parameter.copy_(start + h * v)
            above = float(loss())
            parameter.copy_(start - h * v)
            below = float(loss())
            restore(parameter, start, v, h)
        errors[name] = error(received, slope(above, below, here, h))
    return errors


@mutant("8.3", replaces="slope_errors")
def one_sided(loss, parameters, generator, h=1e-5):
    """Only one side is looked at: the error falls with h, and not with its square."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        slope=lambda above, below, here, h: (above - here) / h,
    )


@mutant("8.3", replaces="slope_errors")
def over_h(loss, parameters, generator, h=1e-5):
    """The two points are 2h apart, and the difference is divided by h."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        slope=lambda above, below, here, h: (above - below) / h,
    )


@mutant("8.3", replaces="slope_errors")
def h_too_small(loss, parameters, generator, h=1e-12):
    """h is 1e-12 if none is passed: the losses differ in their last digits, which are rounding."""
    return _check(loss, parameters, generator, h)


@mutant("8.3", replaces="slope_errors")
def h_ignored(loss, parameters, generator, h=1e-5):
    """The step is 1e-5 whatever h is passed."""
    return _check(loss, parameters, generator, 1e-5)


@mutant("8.3", replaces="slope_errors")
def not_put_back(loss, parameters, generator, h=1e-5):
    """The parameter stays at its last point, and the ones after it are checked elsewhere."""
    return _check(loss, parameters, generator, h, restore=lambda *_: None)


@mutant("8.3", replaces="slope_errors")
def put_back_by_arithmetic(loss, parameters, generator, h=1e-5):
    """h v is added to get back, which rounds: the last bits of the parameter are others."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        restore=lambda parameter, start, v, h: parameter.add_(v, alpha=h),
    )


@mutant("8.3", replaces="slope_errors")
def first_alone(loss, parameters, generator, h=1e-5):
    """A return inside the loop: the first parameter is checked and no other."""
    name, parameter = next(iter(parameters.items()))
    return _check(loss, {name: parameter}, generator, h)


@mutant("8.3", replaces="slope_errors")
def absolute(loss, parameters, generator, h=1e-5):
    """The error is not divided by the size of the slopes: a small gradient is always right."""
    return _check(loss, parameters, generator, h, error=lambda a, b: abs(a - b))


@mutant("8.3", replaces="slope_errors")
def signed(loss, parameters, generator, h=1e-5):
    """The error keeps its sign: a gradient that is too small passes every limit."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        error=lambda a, b: (a - b) / max(abs(a), abs(b), 1e-3),
    )


@mutant("8.3", replaces="slope_errors")
def over_the_right_slope(loss, parameters, generator, h=1e-5):
    """The error is divided by the expected slope, and not by the larger of the two."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        error=lambda a, b: abs(a - b) / max(abs(b), 1e-3),
    )


@mutant("8.3", replaces="slope_errors")
def no_floor(loss, parameters, generator, h=1e-5):
    """There is no least size: two slopes of zero give zero over zero."""

    def error(a, b):
        size = max(abs(a), abs(b))
        return abs(a - b) / size if size else float("nan")

    return _check(loss, parameters, generator, h, error=error)


@mutant("8.3", replaces="slope_errors")
def none_passed_over(loss, parameters, generator, h=1e-5):
    """A parameter whose gradient is None is left out, and a detached one is never found."""
    grads = torch.autograd.grad(loss(), list(parameters.values()), allow_unused=True)
    reached = zip(parameters, grads, strict=True)
    names = {name for name, grad in reached if grad is not None}
    found = _check(loss, parameters, generator, h)
    return {name: each for name, each in found.items() if name in names}


@mutant("8.3", replaces="slope_errors")
def none_is_right(loss, parameters, generator, h=1e-5):
    """A parameter whose gradient is None gets the error 0, as if that were right."""
    grads = torch.autograd.grad(loss(), list(parameters.values()), allow_unused=True)
    found = _check(loss, parameters, generator, h)
    reached = zip(parameters, grads, strict=True)
    return {name: 0.0 if grad is None else found[name] for name, grad in reached}


@mutant("8.3", replaces="slope_errors")
def all_ones(loss, parameters, generator, h=1e-5):
    """The direction is the same for all entries: errors that cancel in the sum go unseen."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        direction=lambda parameter: torch.ones(parameter.shape, dtype=torch.float64),
    )


@mutant("8.3", replaces="slope_errors")
def not_of_length_one(loss, parameters, generator, h=1e-5):
    """The direction is not divided by its length: the step grows with the number of entries."""
    return _check(loss, parameters, generator, h, unit=False)


@mutant("8.3", replaces="slope_errors")
def any_dtype(loss, parameters, generator, h=1e-5):
    """float32 is taken: its losses have seven digits, and the difference of two has none left."""
    return _check(loss, parameters, generator, h, refuse=False)


@mutant("8.3", replaces="slope_errors")
def added_to_grad(loss, parameters, generator, h=1e-5):
    """backward() is called: it adds to grad, and what a trainer had left there is counted too."""

    def grads_of(loss, leaves):
        loss().backward()
        return [each.grad for each in leaves]

    return _check(loss, parameters, generator, h, grads_of=grads_of)


@mutant("8.1", replaces="to_torch")
def feed_forward_not_turned(params):
    """The maps w1 and w2 of the feed-forward network are not transposed; they are linear too."""
    kept = ("w1", "w2")
    return {
        torch_name(name): _tensor(value if name.endswith(kept) else _turned(name, value))
        for name, value in params.items()
    }


@mutant("8.1", replaces="to_torch")
def ones_squeezed_away(params):
    """squeeze() takes the axes of length 1 away: a map to one number is a vector then."""
    return {torch_name(n): _tensor(_turned(n, v)).squeeze() for n, v in params.items()}


@mutant("8.2", replaces="silu_gate_backward")
def rows_one_by_one(dy, x):
    """The rows are stacked one by one, and torch.stack refuses a list without a row."""
    size = x.shape[-1]
    slopes = []
    for slope, row in zip(dy.reshape(-1, size // 2), x.reshape(-1, size), strict=True):
        gate, value, sigmoid, rise = _parts(row)
        slopes.append(torch.cat((slope * value * rise, slope * gate * sigmoid)))
    return torch.stack(slopes).reshape(x.shape)


@mutant("8.3", replaces="slope_errors")
def only_zero_bounded(loss, parameters, generator, h=1e-5):
    """The least size only keeps zero from dividing; it is 0.001, and small slopes count as that."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        error=lambda a, b: abs(a - b) / max(abs(a), abs(b), 1e-12),
    )


@mutant("8.3", replaces="slope_errors")
def floor_added(loss, parameters, generator, h=1e-5):
    """0.001 is added to the larger size, and is not its least value."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        error=lambda a, b: abs(a - b) / (max(abs(a), abs(b)) + 1e-3),
    )


@mutant("8.3", replaces="slope_errors")
def only_float32_refused(loss, parameters, generator, h=1e-5):
    """float32 is refused and float16 is not: every dtype but float64 has to be."""
    if any(parameter.dtype == torch.float32 for parameter in parameters.values()):
        raise ValueError("gradients are checked in float64")
    return _check(loss, parameters, generator, h, refuse=False)


@mutant("8.3", replaces="slope_errors")
def any_float64_will_do(loss, parameters, generator, h=1e-5):
    """The refusal asks whether one parameter is float64; all of them must be."""
    if not any(parameter.dtype == torch.float64 for parameter in parameters.values()):
        raise ValueError("gradients are checked in float64")
    return _check(loss, parameters, generator, h, refuse=False)


@mutant("8.3", replaces="slope_errors")
def sizes_compared(loss, parameters, generator, h=1e-5):
    """The sizes of the slopes are compared: a gradient of the wrong sign passes."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        error=lambda a, b: abs(abs(a) - abs(b)) / max(abs(a), abs(b), 1e-3),
    )


@mutant("8.3", replaces="slope_errors")
def largest_not_in_size(loss, parameters, generator, h=1e-5):
    """What divides is the larger slope, not the larger size: below zero 0.001 takes its place."""
    return _check(
        loss,
        parameters,
        generator,
        h,
        error=lambda a, b: abs(a - b) / max(a, b, 1e-3),
    )


@mutant("8.3", replaces="slope_errors")
def no_direction_for_none(loss, parameters, generator, h=1e-5):
    """A parameter whose gradient is None gets its direction last: the others get each other's."""
    grads = torch.autograd.grad(loss(), list(parameters.values()), allow_unused=True)
    reached = dict(zip(parameters, grads, strict=True))
    first = {name: each for name, each in parameters.items() if reached[name] is not None}
    found = _check(loss, {**first, **parameters}, generator, h)
    return {name: found[name] for name in parameters}


@mutant("8.3", replaces="slope_errors")
def one_direction_a_shape(loss, parameters, generator, h=1e-5):
    """Parameters of one shape share one direction; each is to have its own draw."""
    drawn = {}

    def direction(parameter):
        if parameter.shape not in drawn:
            drawn[parameter.shape] = torch.randn(
                parameter.shape, generator=generator, dtype=torch.float64
            )
        return drawn[parameter.shape]

    return _check(loss, parameters, generator, h, direction=direction)


@mutant("8.2", replaces="silu_gate_backward")
def slope_cut_off(dy, x):
    """dy is detached: the result has no derivative along dy, which a second one needs too."""
    gate, value, sigmoid, slope = _parts(x)
    return torch.cat((dy.detach() * value * slope, dy.detach() * gate * sigmoid), dim=-1)
