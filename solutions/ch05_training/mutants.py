"""Wrong versions of the exercises of chapter 5. What is wrong stands in each docstring."""

import numpy as np

from groundup.course.implementations import mutant
from groundup.scratch.activations import softmax


@mutant("5.1", replaces="adam")
def no_bias_correction(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The bias correction is missing: the means start at zero, and the first steps are wrong."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    return -lr * first / (np.sqrt(second) + eps), first, second


@mutant("5.1", replaces="adam")
def correction_from_zero(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The bias correction takes step - 1 for its exponent; steps count from 1."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    with np.errstate(all="ignore"):
        mean = first / (1 - beta1 ** (step - 1))
        mean_square = second / (1 - beta2 ** (step - 1))
        return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def correction_without_step(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The bias correction divides by 1 - beta at every step; only step 1 is right."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1)
    mean_square = second / (1 - beta2)
    return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def one_correction(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Only the first mean is corrected; the second stays too small, and early steps too long."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    return -lr * mean / (np.sqrt(second) + eps), first, second


@mutant("5.1", replaces="adam")
def corrected_state(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The corrected means are returned as the state, so that the next step corrects them again."""
    first = (beta1 * first + (1 - beta1) * gradient) / (1 - beta1**step)
    second = (beta2 * second + (1 - beta2) * gradient**2) / (1 - beta2**step)
    return -lr * first / (np.sqrt(second) + eps), first, second


@mutant("5.1", replaces="adam")
def eps_under_root(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """eps stands under the root, where its root is what counts: 1e-8 acts like 1e-4."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return -lr * mean / np.sqrt(mean_square + eps), first, second


@mutant("5.1", replaces="adam")
def no_eps(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """eps is not used: a parameter without a gradient becomes NaN."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    with np.errstate(all="ignore"):
        return -lr * mean / np.sqrt(mean_square), first, second


@mutant("5.1", replaces="adam")
def no_root(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The mean is divided by the mean square and not by its root: large gradients move less."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return -lr * mean / (mean_square + eps), first, second


@mutant("5.1", replaces="adam")
def not_squared(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The second mean is of the gradient and not of its square; its root may not exist."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    with np.errstate(all="ignore"):
        return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def betas_swapped(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """beta1 and beta2 have changed places."""
    first = beta2 * first + (1 - beta2) * gradient
    second = beta1 * second + (1 - beta1) * gradient**2
    mean = first / (1 - beta2**step)
    mean_square = second / (1 - beta1**step)
    return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def weights_swapped(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """beta weighs the new gradient and 1 - beta the old mean: almost nothing is remembered."""
    first = (1 - beta1) * first + beta1 * gradient
    second = (1 - beta2) * second + beta2 * gradient**2
    mean = first / (1 - (1 - beta1) ** step)
    mean_square = second / (1 - (1 - beta2) ** step)
    return -lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def changed_in_place(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """first and second are updated with *= and +=, which writes into the caller's arrays."""
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
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return lr * mean / (np.sqrt(mean_square) + eps), first, second


@mutant("5.1", replaces="adam")
def change_alone(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Only the change is returned; without the means, every step is a first step."""
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return -lr * mean / (np.sqrt(mean_square) + eps)


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
    """The gradient is not divided by the number of rows, and the loss is a mean."""
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
