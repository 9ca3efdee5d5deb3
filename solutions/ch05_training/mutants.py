"""Wrong versions of the exercises of chapter 5. What is wrong stands in each docstring."""

import copy
import math

import numpy as np

from groundup.course.exercises.mutants import mutant
from groundup.scratch.activations import softmax
from groundup.scratch.loss import cross_entropy
from groundup.scratch.optim import AdamW, adam, require_gradients, sgd, warmup_cosine


def _refuse_step(step):
    if step < 1:
        raise ValueError("steps count from 1")


@mutant("5.1", replaces="adam")
def no_bias_correction(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The bias correction is missing: the means start at zero, and the first steps are wrong."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    return -lr * first / (np.sqrt(second) + eps), first, second


@mutant("5.1", replaces="adam")
def correction_from_zero(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The bias correction takes step - 1 for its exponent; steps count from 1."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    with np.errstate(all="ignore"):
        mean = first / (1 - beta1 ** (step - 1))
        mean_square = second / (1 - beta2 ** (step - 1))
        return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def correction_without_step(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The bias correction divides by 1 - beta at every step; only step 1 is right."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1)
    mean_square = second / (1 - beta2)
    return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def one_correction(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Only the first mean is corrected; the second stays too small, and early steps too long."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    return -lr * mean / (np.sqrt(second) + eps), first, second


@mutant("5.1", replaces="adam")
def corrected_state(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The corrected means are returned as the state, so that the next step corrects them again."""
    _refuse_step(step)
    first = (beta1 * first + (1 - beta1) * gradient) / (1 - beta1**step)
    second = (beta2 * second + (1 - beta2) * gradient**2) / (1 - beta2**step)
    return -lr * first / (np.sqrt(second) + eps), first, second


@mutant("5.1", replaces="adam")
def eps_under_root(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """eps stands under the root, where its root is what counts: 1e-8 acts like 1e-4."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return -lr * mean / np.sqrt(mean_square + eps), first, second


@mutant("5.1", replaces="adam")
def no_eps(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """eps is not used: a parameter without a gradient becomes NaN."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    with np.errstate(all="ignore"):
        return -lr * mean / np.sqrt(mean_square), first, second


@mutant("5.1", replaces="adam")
def no_root(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The mean is divided by the mean square and not by its root: large gradients move less."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return -lr * mean / (mean_square + eps), first, second


@mutant("5.1", replaces="adam")
def not_squared(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The second mean is of the gradient and not of its square; its root may not exist."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    with np.errstate(all="ignore"):
        return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def betas_swapped(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """beta1 and beta2 have changed places."""
    _refuse_step(step)
    first = beta2 * first + (1 - beta2) * gradient
    second = beta1 * second + (1 - beta1) * gradient**2
    mean = first / (1 - beta2**step)
    mean_square = second / (1 - beta1**step)
    return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def weights_swapped(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """beta weighs the new gradient and 1 - beta the old mean: almost nothing is remembered."""
    _refuse_step(step)
    first = (1 - beta1) * first + beta1 * gradient
    second = (1 - beta2) * second + beta2 * gradient**2
    mean = first / (1 - (1 - beta1) ** step)
    mean_square = second / (1 - (1 - beta2) ** step)
    return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def changed_in_place(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """first and second are updated with *= and +=, which writes into the caller's arrays."""
    _refuse_step(step)
    first *= beta1
    first += (1 - beta1) * gradient
    second *= beta2
    second += (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def climbs(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The minus sign is missing: the change goes up the gradient, and the loss rises."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def change_alone(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Only the change is returned; without the means, every step is a first step."""
    _refuse_step(step)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return -lr * mean / (np.sqrt(mean_square) + eps)


@mutant("5.1", replaces="adam")
def step_not_checked(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """A step of 0 is let through: 1 - beta**0 is zero, and the parameters become NaN."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    with np.errstate(all="ignore"):
        mean = first / np.float64(1 - beta1**step)
        mean_square = second / np.float64(1 - beta2**step)
        change = -lr * mean / (np.sqrt(mean_square) + eps)
    return change.astype(gradient.dtype), first, second


@mutant("5.1", replaces="adam")
def means_forget_sooner(gradient, first, second, step, lr, beta1=0.9, beta2=0.99, eps=1e-8):
    """The default of beta2 is 0.99: without one it is to be 0.999."""
    return adam(gradient, first, second, step, lr, beta1, beta2, eps)


@mutant("5.1", replaces="adam")
def larger_eps(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-6):
    """The default of eps is 1e-6: without one it is to be 1e-8."""
    return adam(gradient, first, second, step, lr, beta1, beta2, eps)


@mutant("5.1", replaces="adam")
def means_swapped(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The second mean is returned before the first: the next step takes each for the other."""
    change, first, second = adam(gradient, first, second, step, lr, beta1, beta2, eps)
    return change, second, first


@mutant("5.1", replaces="adam")
def row_by_row(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The rows are walked through with len: a parameter that is one number has none."""
    rows = [
        adam(gradient[i], first[i], second[i], step, lr, beta1, beta2, eps)
        for i in range(len(gradient))
    ]
    return tuple(np.array(part, dtype=gradient.dtype) for part in zip(*rows, strict=True))


def _refuse(logits, targets):
    if len(targets) != len(logits):
        raise ValueError("each row needs one target")
    _refuse_classes(logits, targets)


def _refuse_classes(logits, targets):
    if not len(targets) or targets.min() < 0 or targets.max() >= logits.shape[-1]:
        raise ValueError("targets must be classes")


@mutant("5.2", replaces="cross_entropy")
def no_max_shift(logits, targets):
    """The largest logit is not subtracted: exp overflows from about 710 on."""
    _refuse(logits, targets)
    with np.errstate(all="ignore"):
        log_total = np.log(np.exp(logits).sum(axis=-1))
    loss = (log_total - logits[np.arange(len(targets)), targets]).mean()
    return float(loss), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def log_of_softmax(logits, targets):
    """The logarithm of a softmax: where the probability rounds to zero the loss is infinite."""
    _refuse(logits, targets)
    with np.errstate(all="ignore"):
        loss = -np.log(softmax(logits)[np.arange(len(targets)), targets]).mean()
    return float(loss), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def softmax_down_the_rows(logits, targets):
    """The softmax runs over the rows of the batch (axis 0) and not over the classes."""
    _refuse(logits, targets)
    shifted = logits - logits.max(axis=0)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=0))
    return float(-log_p[np.arange(len(targets)), targets].mean()), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def sum_of_rows(logits, targets):
    """The rows are summed and not averaged: the loss grows with the batch."""
    _refuse(logits, targets)
    log_p = np.log(softmax(logits))
    return float(-log_p[np.arange(len(targets)), targets].sum()), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def mean_over_classes(logits, targets):
    """The one-hot product is averaged over rows and classes: too small by the number of classes."""
    _refuse(logits, targets)
    log_p = np.log(softmax(logits))
    return float(-(np.eye(logits.shape[-1])[targets] * log_p).mean()), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def one_loss_a_row(logits, targets):
    """The losses of the rows are returned, without their mean."""
    _refuse(logits, targets)
    log_p = np.log(softmax(logits))
    return -log_p[np.arange(len(targets)), targets], (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def in_bits(logits, targets):
    """The logarithm to base 2: the loss is in bits, and the gradient no longer fits it."""
    _refuse(logits, targets)
    log_p = np.log2(softmax(logits))
    return float(-log_p[np.arange(len(targets)), targets].mean()), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def shifted_in_place(logits, targets):
    """The shift is done with -=, which changes the caller's logits."""
    _refuse(logits, targets)
    logits -= logits.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(logits).sum(axis=-1))
    loss = (log_total - logits[np.arange(len(targets)), targets]).mean()
    return float(loss), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def shifted_by_all(logits, targets):
    """One maximum for the whole batch: a row far below it underflows to log 0."""
    _refuse(logits, targets)
    shifted = logits - logits.max()
    with np.errstate(all="ignore"):
        log_total = np.log(np.exp(shifted).sum(axis=-1))
    loss = (log_total - shifted[np.arange(len(targets)), targets]).mean()
    return float(loss), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def targets_not_checked(logits, targets):
    """The targets are not checked: -1 silently means the last class."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=-1))
    loss = (log_total - shifted[np.arange(len(targets)), targets]).mean()
    return float(loss), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def targets_not_counted(logits, targets):
    """The number of targets is not checked: rows without one are left out in silence."""
    _refuse_classes(logits, targets)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=-1))
    rows = np.arange(len(targets))
    return float((log_total[rows] - shifted[rows, targets]).mean()), (logits, targets)


@mutant("5.2", replaces="cross_entropy")
def log_p_without_minus(logits, targets):
    """The minus before the logarithm is missing: training would make the right class rare."""
    _refuse(logits, targets)
    log_p = np.log(softmax(logits))
    return float(log_p[np.arange(len(targets)), targets].mean()), (logits, targets)


@mutant("5.2", replaces="cross_entropy_backward")
def without_minus_one(cache):
    """The gradient is the softmax alone: the one at the target is not taken off."""
    logits, targets = cache
    return softmax(logits) / len(targets)


@mutant("5.2", replaces="cross_entropy_backward")
def minus_one_in_whole_columns(cache):
    """dlogits[:, targets] takes whole columns: it needs a row for each target."""
    logits, targets = cache
    dlogits = softmax(logits)
    dlogits[:, targets] -= 1
    return dlogits / len(targets)


@mutant("5.2", replaces="cross_entropy_backward")
def not_divided_by_rows(cache):
    """The gradient is not divided by the number of rows, and that of a mean is."""
    logits, targets = cache
    dlogits = softmax(logits)
    dlogits[np.arange(len(targets)), targets] -= 1
    return dlogits


@mutant("5.2", replaces="cross_entropy_backward")
def turned_sign(cache):
    """The sign is turned: this is one-hot minus softmax, the direction and not the gradient."""
    logits, targets = cache
    dlogits = -softmax(logits)
    dlogits[np.arange(len(targets)), targets] += 1
    return dlogits / len(targets)


@mutant("5.2", replaces="cross_entropy_backward")
def backward_without_shift(cache):
    """The softmax of the backward pass does not subtract the largest logit: inf / inf is NaN."""
    logits, targets = cache
    with np.errstate(all="ignore"):
        e = np.exp(logits)
        dlogits = e / e.sum(axis=-1, keepdims=True)
    dlogits[np.arange(len(targets)), targets] -= 1
    return dlogits / len(targets)


@mutant("5.2", replaces="cross_entropy_backward")
def only_the_target(cache):
    """Only the target's entry has a gradient; the other logits push the loss too."""
    logits, targets = cache
    rows = np.arange(len(targets))
    dlogits = np.zeros_like(logits)
    dlogits[rows, targets] = softmax(logits)[rows, targets] - 1
    return dlogits / len(targets)


@mutant("5.2", replaces="cross_entropy_backward")
def one_number_a_row(cache):
    """Only the gradient of the target's logit is returned, one number for each row."""
    logits, targets = cache
    rows = np.arange(len(targets))
    return (softmax(logits)[rows, targets] - 1) / len(targets)


def _joint(grads):
    return float(np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in grads.values())))


@mutant("5.2", replaces="cross_entropy")
def axes_not_counted(logits, targets):
    """Logits with three axes are not refused, and rows are taken for classes."""
    if targets.shape != logits.shape[:-1]:
        raise ValueError("each row needs one target")
    _refuse_classes(logits, targets)
    flat, classes = logits.reshape(-1, logits.shape[-1]), targets.ravel()
    shifted = flat - flat.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=-1))
    return float((log_total - shifted[np.arange(len(classes)), classes]).mean()), (flat, classes)


@mutant("5.2", replaces="cross_entropy")
def targets_flattened(logits, targets):
    """The targets are flattened first, so that a column of them, (N, 1), is not refused."""
    return cross_entropy(logits, targets.reshape(-1) if logits.ndim == 2 else targets)


@mutant("5.2", replaces="cross_entropy")
def only_int64(logits, targets):
    """Targets are compared with int64 alone, and whole numbers of fewer bits are refused."""
    if targets.dtype != np.int64:
        raise ValueError("targets must be int64")
    return cross_entropy(logits, targets)


@mutant("5.2", replaces="cross_entropy_backward")
def one_array_for_all_calls(cache, kept={}):  # noqa: B006
    """The gradient is made in an array that is kept: the next call writes over this one's."""
    logits, targets = cache
    dlogits = kept.setdefault((logits.shape, logits.dtype), np.empty_like(logits))
    dlogits[...] = softmax(logits)
    dlogits[np.arange(len(targets)), targets] -= 1
    dlogits /= len(targets)
    return dlogits


@mutant("5.2", replaces="cross_entropy_backward")
def cache_written_over(cache):
    """The gradient is made in the cached logits: a second backward pass is wrong."""
    logits, targets = cache
    logits[...] = softmax(logits)
    logits[np.arange(len(targets)), targets] -= 1
    return logits / len(targets)


def _refuse_gradients(grads, limit):
    if not limit > 0:
        raise ValueError("the limit must be above 0")
    if not all(np.isfinite(g).all() for g in grads.values()):
        raise ValueError("NaN or infinity")


def _scale(grads, factor):
    for g in grads.values():
        g *= factor


@mutant("5.3", replaces="clip_by_norm")
def each_by_itself(grads, limit):
    """Each array is clipped by its own norm: their proportions change, and the arrow turns."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    for g in grads.values():
        own = float(np.sqrt(np.square(g, dtype=np.float64).sum()))
        if own > limit:
            g *= limit / own
    return norm


def _clip_with(norm_of):
    """Clipping that is right but for its norm."""

    def clip(grads, limit):
        _refuse_gradients(grads, limit)
        norm = norm_of(grads)
        if norm > limit:
            _scale(grads, limit / norm)
        return norm

    return clip


@mutant("5.3", replaces="clip_by_norm")
def always_divided(grads, limit):
    """The factor is min(1, limit / norm) also where the norm is zero: 0/0 is NaN."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    with np.errstate(all="ignore"):
        factor = np.minimum(1.0, np.float64(limit) / norm)
        for g in grads.values():
            g *= factor if norm else np.nan
    return norm


@mutant("5.3", replaces="clip_by_norm")
def refused_after_scaling(grads, limit):
    """The limit is asked for after the gradients were scaled."""
    if not all(np.isfinite(g).all() for g in grads.values()):
        raise ValueError("NaN or infinity")
    norm = _joint(grads)
    if norm > limit:
        for g in grads.values():
            g *= limit / norm
    if not limit > 0:
        raise ValueError("the limit must be above 0")
    return norm


@mutant("5.3", replaces="clip_by_norm")
def square_compared(grads, limit):
    """The square of the norm is compared with the limit, and the norm divides it."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    if norm**2 > limit:
        _scale(grads, limit / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def first_entries_asked(grads, limit):
    """Only the first entry of each array is asked for NaN and infinity."""
    if not limit > 0 or not all(np.isfinite(g.flat[0]) for g in grads.values()):
        raise ValueError("NaN or infinity")
    with np.errstate(all="ignore"):
        norm = _joint(grads)
        if norm > limit:
            _scale(grads, limit / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def sum_of_norms(grads, limit):
    """The norms of the arrays are added: the joint norm is the root of the sum of their squares."""
    return _clip_with(lambda grads: sum(_joint({"": g}) for g in grads.values()))(grads, limit)


@mutant("5.3", replaces="clip_by_norm")
def norm_without_root(grads, limit):
    """The root is missing: this is the square of the norm."""
    return _clip_with(lambda grads: _joint(grads) ** 2)(grads, limit)


@mutant("5.3", replaces="clip_by_norm")
def sum_of_sizes(grads, limit):
    """The absolute values are added, not the squares: another norm, which grows with the model."""
    return _clip_with(
        lambda grads: float(sum(np.abs(g, dtype=np.float64).sum() for g in grads.values()))
    )(grads, limit)


@mutant("5.3", replaces="clip_by_norm")
def largest_entry(grads, limit):
    """The largest entry stands for the norm: a long arrow of many small entries is not clipped."""
    return _clip_with(lambda grads: float(max(np.abs(g).max() for g in grads.values())))(
        grads, limit
    )


@mutant("5.3", replaces="clip_by_norm")
def last_array_alone(grads, limit):
    """The norm is of the last array alone: in the loop the sum begins anew with each."""
    return _clip_with(lambda grads: _joint({"": list(grads.values())[-1]}))(grads, limit)


@mutant("5.3", replaces="clip_by_norm")
def root_mean_square(grads, limit):
    """The squares are averaged and not added: the larger the model, the later it is clipped."""
    return _clip_with(
        lambda grads: _joint(grads) / float(np.sqrt(sum(g.size for g in grads.values())))
    )(grads, limit)


@mutant("5.3", replaces="clip_by_norm")
def norm_afterwards(grads, limit):
    """What comes back is the norm after clipping; only the one before tells of trouble."""
    return min(_clip_with(_joint)(grads, limit), limit)


@mutant("5.3", replaces="clip_by_norm")
def always_rescales(grads, limit):
    """Gradients within the limit are scaled up to it: every step has the same length."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    _scale(grads, limit / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def nothing_is_written(grads, limit):
    """g = g * factor gives a name to a new array; the gradients themselves stay as long."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    if norm > limit:
        for g in grads.values():
            g = g * (limit / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def new_arrays(grads, limit):
    """The dictionary gets new arrays; whoever holds the old ones sees gradients unclipped."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    if norm > limit:
        for name in grads:
            grads[name] = (grads[name] * (limit / norm)).astype(grads[name].dtype)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def entries_cut_off(grads, limit):
    """Each entry is cut off at the limit by itself: the large ones shrink, and the arrow turns."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    for g in grads.values():
        np.clip(g, -limit, limit, out=g)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def down_to_one(grads, limit):
    """A long arrow is brought to length 1, whatever the limit is."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    if norm > limit:
        _scale(grads, 1 / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def upside_down(grads, limit):
    """The factor is norm / limit: what is too long becomes longer still."""
    _refuse_gradients(grads, limit)
    norm = _joint(grads)
    if norm > limit:
        _scale(grads, norm / limit)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def norm_taken_again(grads, limit):
    """The norm is taken again for each array, when those before it have been scaled already."""
    _refuse_gradients(grads, limit)
    before = _joint(grads)
    for g in grads.values():
        norm = _joint(grads)
        if norm > limit:
            g *= limit / norm
    return before


@mutant("5.3", replaces="clip_by_norm")
def squares_in_float32(grads, limit):
    """The squares are added in float32, where they overflow long before the gradients do."""
    if not limit > 0:
        raise ValueError("the limit must be above 0")
    with np.errstate(all="ignore"):
        norm = float(np.sqrt(sum((g * g).sum() for g in grads.values())))
    if not np.isfinite(norm):
        raise ValueError("NaN or infinity")
    if norm > limit:
        _scale(grads, limit / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def nan_passes(grads, limit):
    """NaN and infinity are not refused: nan > limit is False, and the next step ruins all."""
    if not limit > 0:
        raise ValueError("the limit must be above 0")
    with np.errstate(all="ignore"):
        norm = _joint(grads)
        if norm > limit:
            _scale(grads, limit / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def limit_not_checked(grads, limit):
    """A limit of 0 or below is not refused: it stops all learning, or turns it round."""
    _refuse_gradients(grads, 1.0)
    norm = _joint(grads)
    if norm > limit:
        _scale(grads, limit / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def endless_limit_refused(grads, limit):
    """An infinite limit is refused, which is above 0 and means that nothing is to be clipped."""
    if np.isinf(limit):
        raise ValueError("the limit must be finite")
    return _clip_with(_joint)(grads, limit)


@mutant("5.3", replaces="clip_by_norm")
def last_array_asked(grads, limit):
    """NaN and infinity are looked for after the loop, and so in its last array alone."""
    if not limit > 0 or not np.isfinite(list(grads.values())[-1]).all():
        raise ValueError("NaN or infinity")
    with np.errstate(all="ignore"):
        norm = _joint(grads)
        if norm > limit:
            _scale(grads, limit / norm)
    return norm


@mutant("5.3", replaces="clip_by_norm")
def gradients_returned(grads, limit):
    """The gradients come back; they are changed in place, and what is asked for is their norm."""
    _clip_with(_joint)(grads, limit)
    return grads


def _refuse_schedule(step, total, warmup, peak, floor):
    if min(step, total, warmup) < 0 or not 0 <= floor <= peak < math.inf:
        raise ValueError("steps or rates are not in order")


def _rise(step, warmup, peak):
    return peak * (step + 1) / (warmup + 1)


def _done(step, total, warmup):
    return min((step - warmup) / max(total - warmup, 1), 1.0)


def _fall(done, peak, floor=0.0):
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * done))


@mutant("5.4", replaces="warmup_cosine")
def zero_at_the_start(step, total, warmup, peak, floor=0.0):
    """The rise is peak * step / warmup: the first step has a rate of zero and is lost."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return peak * step / warmup
    return _fall(_done(step, total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def peak_too_early(step, total, warmup, peak, floor=0.0):
    """The rise is peak * (step + 1) / warmup: the peak comes one step early, and comes twice."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return peak * (step + 1) / warmup
    return _fall(_done(step, total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def without_warmup(step, total, warmup, peak, floor=0.0):
    """There is no rise: before the warm-up ends the rate is the peak."""
    _refuse_schedule(step, total, warmup, peak, floor)
    return _fall(max(_done(step, total, warmup), 0.0), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def fall_begins_early(step, total, warmup, peak, floor=0.0):
    """The fall is one step ahead: at step warmup it has begun, and the peak is never reached."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(_done(step + 1, total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def rise_counts_as_done(step, total, warmup, peak, floor=0.0):
    """done is step / total, the rise with it: where the rise ends, the rate jumps down."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(_done(step, total, 0), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def straight_fall(step, total, warmup, peak, floor=0.0):
    """The fall is a straight line; a cosine stays high at first and lands softly."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return peak + (floor - peak) * _done(step, total, warmup)


@mutant("5.4", replaces="warmup_cosine")
def quarter_turn(step, total, warmup, peak, floor=0.0):
    """The angle goes to π/2 only: the rate falls fastest at the end, and lands hard."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    done = _done(step, total, warmup)
    return floor + (peak - floor) * math.cos(math.pi / 2 * done)


@mutant("5.4", replaces="warmup_cosine")
def whole_turn(step, total, warmup, peak, floor=0.0):
    """The angle goes to 2π: half-way the rate is lowest, and at the end it is back at the peak."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(2 * _done(step, total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def fall_takes_all_steps(step, total, warmup, peak, floor=0.0):
    """The fall is spread over total steps and not over those left: the floor is not reached."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(min((step - warmup) / max(total, 1), 1.0), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def pi_missing(step, total, warmup, peak, floor=0.0):
    """π is missing: the cosine goes from 0 to 1 radian, and the rate never falls to the floor."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(_done(step, total, warmup) / math.pi, peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def floor_forgotten(step, total, warmup, peak, floor=0.0):
    """The floor is not used: the rate falls to zero."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(_done(step, total, warmup), peak)


@mutant("5.4", replaces="warmup_cosine")
def floor_cuts(step, total, warmup, peak, floor=0.0):
    """The cosine falls to zero and the floor cuts it off: there is a bend where they meet."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return max(floor, _fall(_done(step, total, warmup), peak))


@mutant("5.4", replaces="warmup_cosine")
def floor_on_top(step, total, warmup, peak, floor=0.0):
    """The floor is added to a cosine of the whole peak: the highest rate is peak + floor."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return floor + _fall(_done(step, total, warmup), peak)


@mutant("5.4", replaces="warmup_cosine")
def rise_from_the_floor(step, total, warmup, peak, floor=0.0):
    """The rise begins at the floor and not at zero: the first steps are longer than they should."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return floor + _rise(step, warmup, peak - floor)
    return _fall(_done(step, total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def climbs_again(step, total, warmup, peak, floor=0.0):
    """After the end the cosine goes on, and the rate climbs back to the peak."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall((step - warmup) / max(total - warmup, 1), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def zero_after_the_end(step, total, warmup, peak, floor=0.0):
    """After the last step the rate is zero, which is below the floor."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return 0.0 if step > total else _fall(_done(step, total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def nothing_left_to_fall(step, total, warmup, peak, floor=0.0):
    """total - warmup is divided by as it is: a run as long as its warm-up divides by zero."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(min((step - warmup) / (total - warmup), 1.0), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def nothing_refused(step, total, warmup, peak, floor=0.0):
    """Negative steps and a floor above the peak are not refused: the rate is wrong in silence."""
    if step < warmup:
        return _rise(step, max(warmup, 0), peak)
    return _fall(_done(step, total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def rise_without_return(step, total, warmup, peak, floor=0.0):
    """The rise returns nothing: a return is missing in that branch."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if step < warmup:
        _rise(step, warmup, peak)
        return None
    return _fall(_done(step, total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def counts_its_calls(step, total, warmup, peak, floor=0.0, calls=[0]):  # noqa: B006
    """It counts its own calls and takes the step for the first alone: a resumed run starts over."""
    _refuse_schedule(step, total, warmup, peak, floor)
    calls[0] = step if step == 0 else calls[0] + 1
    if calls[0] < warmup:
        return _rise(calls[0], warmup, peak)
    return _fall(_done(calls[0], total, warmup), peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def equal_rates_refused(step, total, warmup, peak, floor=0.0):
    """A floor that equals the peak is refused: the comparison is < where <= is asked for."""
    _refuse_schedule(step, total, warmup, peak, floor)
    if not floor < peak:
        raise ValueError("rates are not in order")
    return warmup_cosine(step, total, warmup, peak, floor)


@mutant("5.4", replaces="warmup_cosine")
def any_peak(step, total, warmup, peak, floor=0.0):
    """An infinite peak is not refused."""
    if min(step, total, warmup) < 0 or not 0 <= floor <= peak:
        raise ValueError("negative")
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(_done(step, total, warmup), peak, floor)


def _accumulate(objective, model, parts, rng, share):
    """Accumulation with shares of one's own: share(part, all parts)."""
    counted = [part for part in parts if part.counted]
    if not counted:
        raise ValueError("there is no answer")
    loss, grads = 0.0, {}
    for part in counted:
        weight = share(part, counted)
        part_loss, part_grads = objective(model, part, rng)
        loss += weight * part_loss
        for name, g in part_grads.items():
            grads[name] = grads.get(name, 0.0) + weight * g
    return loss, grads


def _right_share(part, counted):
    return part.counted / sum(each.counted for each in counted)


@mutant("5.5", replaces="accumulate")
def zeros_of_a_dictionary(objective, model, parts, rng=None):
    """The sums begin as zeros of the model's items, and a model need not be a dictionary."""
    loss, grads = _accumulate(objective, model, parts, rng, _right_share)
    for name, value in model.items():
        grads[name] = np.zeros_like(value) + grads[name]
    return loss, grads


@mutant("5.5", replaces="accumulate")
def mean_of_means(objective, model, parts, rng=None):
    """The plain mean of the parts' means: a part with one answer counts as much as one with ten."""
    return _accumulate(objective, model, parts, rng, lambda part, all: 1 / len(all))


@mutant("5.5", replaces="accumulate")
def added_up(objective, model, parts, rng=None):
    """Means are added up and never divided: with k parts, everything is k times too large."""
    return _accumulate(objective, model, parts, rng, lambda part, all: 1.0)


@mutant("5.5", replaces="accumulate")
def not_divided_by_total(objective, model, parts, rng=None):
    """The parts are weighed with their counts, and the sum is not divided by the total."""
    return _accumulate(objective, model, parts, rng, lambda part, all: part.counted)


@mutant("5.5", replaces="accumulate")
def divided_by_rows(objective, model, parts, rng=None):
    """The total counts all rows, also those without an answer: the mean comes out too small."""

    def share(part, all):
        return part.counted / sum(len(each) for each in all)

    return _accumulate(objective, model, parts, rng, share)


@mutant("5.5", replaces="accumulate")
def halves_each_time(objective, model, parts, rng=None):
    """Each part is averaged with what came before: the last part weighs half, the first little."""
    counted = [part for part in parts if part.counted]
    if not counted:
        raise ValueError("there is no answer")
    loss, grads = objective(model, counted[0], rng)
    grads = {name: g.copy() for name, g in grads.items()}
    for part in counted[1:]:
        part_loss, part_grads = objective(model, part, rng)
        loss = (loss + part_loss) / 2
        grads = {name: (grads[name] + g) / 2 for name, g in part_grads.items()}
    return loss, grads


def _separately(objective, model, parts, rng, combine_loss, combine_gradient):
    """The right loss and gradients, put together by rules of one's own from (shares, values)."""
    counted = [part for part in parts if part.counted]
    if not counted:
        raise ValueError("there is no answer")
    shares = [_right_share(part, counted) for part in counted]
    losses, gradients = [], []
    for part in counted:
        loss, grads = objective(model, part, rng)
        losses.append(loss)
        gradients.append({name: g.copy() for name, g in grads.items()})
    grads = {
        name: combine_gradient(shares, [each[name] for each in gradients]) for name in gradients[0]
    }
    return combine_loss(shares, losses), grads


def _weighted(shares, values):
    return sum(share * value for share, value in zip(shares, values, strict=True))


@mutant("5.5", replaces="accumulate")
def last_loss(objective, model, parts, rng=None):
    """The loss is that of the last part alone; the gradients are right, so training works."""
    return _separately(objective, model, parts, rng, lambda _, values: values[-1], _weighted)


@mutant("5.5", replaces="accumulate")
def last_gradient(objective, model, parts, rng=None):
    """Each part's gradients replace those before: only the last part is learned from."""
    return _separately(objective, model, parts, rng, _weighted, lambda _, values: values[-1])


@mutant("5.5", replaces="accumulate")
def gradients_averaged(objective, model, parts, rng=None):
    """The loss is weighted and the gradients are not: their plain mean belongs to another loss."""

    def mean(_, values):
        return sum(values) / np.float32(len(values))

    return _separately(objective, model, parts, rng, _weighted, mean)


@mutant("5.5", replaces="accumulate")
def gradients_added(objective, model, parts, rng=None):
    """The gradients are added without weights: with k parts the step is k times too long."""
    return _separately(objective, model, parts, rng, _weighted, lambda _, values: sum(values))


@mutant("5.5", replaces="accumulate")
def objectives_arrays_kept(objective, model, parts, rng=None):
    """The objective's own arrays are scaled and added to in place; it may write over them."""
    counted = [part for part in parts if part.counted]
    if not counted:
        raise ValueError("there is no answer")
    loss, grads = 0.0, {}
    for part in counted:
        share = _right_share(part, counted)
        part_loss, part_grads = objective(model, part, rng)
        loss += share * part_loss
        for name, g in part_grads.items():
            g *= share
            if name in grads:
                grads[name] += g
            else:
                grads[name] = g
    return loss, grads


@mutant("5.5", replaces="accumulate")
def one_part_passed_on(objective, model, parts, rng=None):
    """With one part the objective's own arrays are returned, which it writes over later."""
    counted = [part for part in parts if part.counted]
    if len(counted) == 1:
        return objective(model, counted[0], rng)
    return _accumulate(objective, model, parts, rng, _right_share)


@mutant("5.5", replaces="accumulate")
def last_part_first(objective, model, parts, rng=None):
    """The parts are asked in the reverse order: each draws what another one should."""
    return _accumulate(objective, model, list(parts)[::-1], rng, _right_share)


@mutant("5.5", replaces="accumulate")
def empty_parts_asked(objective, model, parts, rng=None):
    """Parts without answers are not left out: their mean is 0/0, and zero times NaN is NaN."""
    total = sum(part.counted for part in parts)
    if not total:
        raise ValueError("there is no answer")
    loss, grads = 0.0, {}
    for part in parts:
        part_loss, part_grads = objective(model, part, rng)
        loss += part.counted / total * part_loss
        for name, g in part_grads.items():
            grads[name] = grads.get(name, 0.0) + part.counted / total * g
    return loss, grads


@mutant("5.5", replaces="accumulate")
def nothing_is_no_error(objective, model, parts, rng=None):
    """Without any answer it returns 0 and no gradients: a run on empty data looks perfect."""
    if not any(part.counted for part in parts):
        return 0.0, {}
    return _accumulate(objective, model, parts, rng, _right_share)


@mutant("5.5", replaces="accumulate")
def rng_forgotten(objective, model, parts, rng=None):
    """The generator is not passed on: nothing is dropped, and dropout is off without a word."""
    return _accumulate(objective, model, parts, None, _right_share)


@mutant("5.5", replaces="accumulate")
def generator_made(objective, model, parts, rng=None):
    """Without a generator one is made, and units are dropped where nothing should be."""
    rng = rng or np.random.default_rng(0)
    return _accumulate(objective, model, parts, rng, _right_share)


@mutant("5.5", replaces="accumulate")
def same_draws_for_each_part(objective, model, parts, rng=None):
    """Each part gets a copy of the generator: dropout draws the same for every one."""

    def ask(model, part, _):
        return objective(model, part, copy.deepcopy(rng))

    return _accumulate(ask, model, parts, rng, _right_share)


@mutant("5.5", replaces="accumulate")
def loss_alone(objective, model, parts, rng=None):
    """Only the loss comes back; the gradients are what the step needs."""
    return _accumulate(objective, model, parts, rng, _right_share)[0]


@mutant("5.6", replaces="sgd")
def uphill(gradient, velocity, lr, momentum=0.9):
    """The minus sign is missing: the change goes up the gradient."""
    velocity = momentum * velocity + gradient
    return lr * velocity, velocity


@mutant("5.6", replaces="sgd")
def running_mean(gradient, velocity, lr, momentum=0.9):
    """The gradient is weighed with 1 - momentum: a running mean, ten times shorter at 0.9."""
    velocity = momentum * velocity + (1 - momentum) * gradient
    return -lr * velocity, velocity


@mutant("5.6", replaces="sgd")
def momentum_on_the_gradient(gradient, velocity, lr, momentum=0.9):
    """momentum weighs the new gradient and not the old velocity: nothing ever fades."""
    velocity = velocity + momentum * gradient
    return -lr * velocity, velocity


@mutant("5.6", replaces="sgd")
def nesterov(gradient, velocity, lr, momentum=0.9):
    """The gradient is added once more to the velocity: Nesterov's form, which is another rule."""
    velocity = momentum * velocity + gradient
    return -lr * (gradient + momentum * velocity), velocity


@mutant("5.6", replaces="sgd")
def one_step_late(gradient, velocity, lr, momentum=0.9):
    """The change is made of the old velocity: each gradient counts one step too late."""
    return -lr * velocity, momentum * velocity + gradient


@mutant("5.6", replaces="sgd")
def nothing_fades(gradient, velocity, lr, momentum=0.9):
    """The velocity is kept whole: it is a sum of all gradients, and never comes to rest."""
    velocity = velocity + gradient
    return -lr * velocity, velocity


@mutant("5.6", replaces="sgd")
def rate_in_the_velocity(gradient, velocity, lr, momentum=0.9):
    """The rate is part of the velocity: when the rate falls, old steps go on at the old one."""
    velocity = momentum * velocity + lr * gradient
    return -velocity, velocity


@mutant("5.6", replaces="sgd")
def past_forgotten(gradient, velocity, lr, momentum=0.9):
    """The gradient comes back as the velocity: the memory is one step long."""
    return -lr * (momentum * velocity + gradient), gradient.copy()


@mutant("5.6", replaces="sgd")
def change_as_velocity(gradient, velocity, lr, momentum=0.9):
    """The change comes back twice, and the next step takes it for the velocity, sign and all."""
    change = -lr * (momentum * velocity + gradient)
    return change, change.copy()


@mutant("5.6", replaces="sgd")
def gradient_alone(gradient, velocity, lr, momentum=0.9):
    """The velocity is kept and never used: the change is plain gradient descent."""
    return -lr * gradient, momentum * velocity + gradient


@mutant("5.6", replaces="sgd")
def always_nine_tenths(gradient, velocity, lr, momentum=0.9):
    """0.9 is written into the rule: the momentum that is passed is not used."""
    velocity = 0.9 * velocity + gradient
    return -lr * velocity, velocity


@mutant("5.6", replaces="sgd")
def velocity_in_place(gradient, velocity, lr, momentum=0.9):
    """The velocity is updated with *= and +=, which writes into the caller's array."""
    velocity *= momentum
    velocity += gradient
    return -lr * velocity, velocity


@mutant("5.6", replaces="sgd")
def without_velocity(gradient, velocity, lr, momentum=0.9):
    """Only the change comes back; without the velocity, there is no past."""
    return -lr * (momentum * velocity + gradient)


def _adam_step(self, grads, lr, update, decay_in_gradient=False):
    """AdamW with an update rule of one's own: update(value, change, lr, decay), in place."""
    require_gradients(self.params, grads, lr)
    self.step_count += 1
    for name, value in self.params.items():
        gradient = grads[name] + self.decay[name] * value if decay_in_gradient else grads[name]
        change, self.first[name], self.second[name] = adam(
            gradient, self.first[name], self.second[name], self.step_count, lr, *self.betas
        )
        update(value, change, lr, self.decay[name])


def _decoupled(value, change, lr, decay):
    value *= 1 - lr * decay
    value += change


@mutant("5.6", replaces="sgd")
def velocity_row_by_row(gradient, velocity, lr, momentum=0.9):
    """The rows are walked through with len: a parameter that is one number has none."""
    rows = [sgd(gradient[i], velocity[i], lr, momentum) for i in range(len(gradient))]
    return tuple(np.array(part, dtype=gradient.dtype) for part in zip(*rows, strict=True))


@mutant("5.6", replaces="sgd")
def other_default(gradient, velocity, lr, momentum=0.99):
    """The default of the momentum is 0.99: without one it is to be 0.9."""
    velocity = momentum * velocity + gradient
    return -lr * velocity, velocity


@mutant("5.7", replaces="step")
def refused_inside_the_loop(self, grads, lr):
    """Each gradient is asked for when its turn comes: earlier parameters have moved by then."""
    if lr < 0:
        raise ValueError("lr")
    count = self.step_count + 1
    for name, value in self.params.items():
        if name not in grads or grads[name].shape != value.shape:
            raise ValueError(name)
        change, self.first[name], self.second[name] = adam(
            grads[name], self.first[name], self.second[name], count, lr, *self.betas
        )
        _decoupled(value, change, lr, self.decay[name])
    self.step_count = count


@mutant("5.7", replaces="step")
def any_rate(self, grads, lr):
    """A negative rate is not refused: the step climbs."""
    require_gradients(self.params, grads, abs(lr))
    self.step_count += 1
    for name, value in self.params.items():
        change, self.first[name], self.second[name] = adam(
            grads[name], self.first[name], self.second[name], self.step_count, lr, *self.betas
        )
        _decoupled(value, change, lr, self.decay[name])


@mutant("5.7", replaces="step")
def zero_rate_refused(self, grads, lr):
    """A rate of 0 is refused with the negative ones, and a schedule may end with it."""
    if not lr > 0:
        raise ValueError("lr")
    AdamW.step(self, grads, lr)


@mutant("5.7", replaces="step")
def decay_coupled(self, grads, lr):
    """The decay is added to the gradient: Adam divides it by a scale it has nothing to do with."""

    def update(value, change, lr, decay):
        value += change

    _adam_step(self, grads, lr, update, decay_in_gradient=True)


@mutant("5.7", replaces="step")
def decay_forgotten(self, grads, lr):
    """There is no decay: this is Adam."""

    def update(value, change, lr, decay):
        value += change

    _adam_step(self, grads, lr, update)


@mutant("5.7", replaces="step")
def decay_without_rate(self, grads, lr):
    """The decay is not multiplied by the rate: weights vanish, also when the rate has fallen."""

    def update(value, change, lr, decay):
        value *= 1 - decay
        value += change

    _adam_step(self, grads, lr, update)


@mutant("5.7", replaces="step")
def decay_after_the_change(self, grads, lr):
    """The change is added first, and the decay shrinks it too."""

    def update(value, change, lr, decay):
        value += change
        value *= 1 - lr * decay

    _adam_step(self, grads, lr, update)


@mutant("5.7", replaces="step")
def weights_grow(self, grads, lr):
    """The sign of the decay is turned: weights grow by a share of themselves."""
    _adam_step(
        self, grads, lr, lambda value, change, lr, decay: _decoupled(value, change, lr, -decay)
    )


@mutant("5.7", replaces="step")
def everything_decays(self, grads, lr):
    """One decay for all: biases and norms shrink as well."""
    most = max(self.decay.values())
    _adam_step(self, grads, lr, lambda value, change, lr, _: _decoupled(value, change, lr, most))


@mutant("5.7", replaces="step")
def parameters_replaced(self, grads, lr):
    """The dictionary gets new arrays; the model still computes with the old ones."""
    require_gradients(self.params, grads, lr)
    self.step_count += 1
    for name, value in list(self.params.items()):
        change, self.first[name], self.second[name] = adam(
            grads[name], self.first[name], self.second[name], self.step_count, lr, *self.betas
        )
        self.params[name] = value * (1 - lr * self.decay[name]) + change


@mutant("5.7", replaces="step")
def counted_for_each_parameter(self, grads, lr):
    """step_count goes up with every parameter: the correction fades too early."""
    require_gradients(self.params, grads, lr)
    for name, value in self.params.items():
        self.step_count += 1
        change, self.first[name], self.second[name] = adam(
            grads[name], self.first[name], self.second[name], self.step_count, lr, *self.betas
        )
        _decoupled(value, change, lr, self.decay[name])


@mutant("5.7", replaces="step")
def means_not_kept(self, grads, lr):
    """The running means are thrown away: every step starts from zero."""
    require_gradients(self.params, grads, lr)
    self.step_count += 1
    for name, value in self.params.items():
        change, _, _ = adam(
            grads[name], self.first[name], self.second[name], self.step_count, lr, *self.betas
        )
        _decoupled(value, change, lr, self.decay[name])


@mutant("5.7", replaces="step")
def betas_not_used(self, grads, lr):
    """The betas are left at Adam's defaults, whatever the optimizer was given."""
    require_gradients(self.params, grads, lr)
    self.step_count += 1
    for name, value in self.params.items():
        change, self.first[name], self.second[name] = adam(
            grads[name], self.first[name], self.second[name], self.step_count, lr
        )
        _decoupled(value, change, lr, self.decay[name])


@mutant("5.7", replaces="step")
def gradients_not_checked(self, grads, lr):
    """A gradient of another shape is not refused: it is broadcast in silence."""
    self.step_count += 1
    for name, value in self.params.items():
        change, self.first[name], self.second[name] = adam(
            grads[name], self.first[name], self.second[name], self.step_count, lr, *self.betas
        )
        _decoupled(value, change, lr, self.decay[name])


@mutant("5.7", replaces="step")
def decay_written_into_gradients(self, grads, lr):
    """The decay is added to the gradients with +=: coupled, and the caller's arrays change."""
    require_gradients(self.params, grads, lr)
    self.step_count += 1
    for name, value in self.params.items():
        gradient = grads[name]
        gradient += self.decay[name] * value
        change, self.first[name], self.second[name] = adam(
            gradient, self.first[name], self.second[name], self.step_count, lr, *self.betas
        )
        value += change
