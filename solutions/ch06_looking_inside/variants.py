"""Right versions of the exercises of chapter 6 in other styles: the checks must accept each."""

import copy
import math

import numpy as np

from groundup.course.exercises.mutants import variant
from groundup.scratch.analysis import attention_entropy as right_attention_entropy
from groundup.scratch.analysis import without_head
from groundup.scratch.encoder import Encoder
from groundup.scratch.tasks.digits import OPERATIONS


@variant("6.1", replaces="attention_entropy")
def logs_where_there_is_weight(weights):
    """np.log2 with where and out, and an einsum of the two arrays."""
    logs = np.log2(weights, out=np.zeros_like(weights), where=weights > 0)
    return np.einsum("...t,...t->...", weights, -logs)


@variant("6.1", replaces="attention_entropy")
def nats_turned_to_bits(weights):
    """Natural logarithms, of weights bounded from below, over log 2."""
    bounded = np.maximum(weights, np.finfo(weights.dtype).tiny)
    return np.sum(weights * np.log(1 / bounded), -1) / weights.dtype.type(math.log(2))


@variant("6.1", replaces="entropy_share")
def rows_in_a_loop(weights, mask=None):
    """One row at a time, with math.log2 and a mask that is always made."""
    mask = np.ones(weights.shape[-1], bool) if mask is None else mask
    visible = np.zeros(weights.shape, bool) | mask
    share = np.zeros(weights.shape[:-1], weights.dtype)
    entropy = right_attention_entropy(weights)
    for row in np.ndindex(share.shape):
        count = int(np.count_nonzero(visible[row]))
        if count > 1:
            share[row] = entropy[row] / math.log2(count)
    return share


@variant("6.1", replaces="entropy_share")
def divided_where_there_is_a_choice(weights, mask=None):
    """np.divide with where, and the number of tokens as a product with ones."""
    real = np.broadcast_to(1 if mask is None else mask, weights.shape).astype(weights.dtype)
    count = real @ np.ones(weights.shape[-1], weights.dtype)
    with np.errstate(divide="ignore"):
        most = np.log2(count)
    entropy = right_attention_entropy(weights)
    return np.divide(entropy, most, out=np.zeros_like(entropy), where=count > 1)


@variant("6.2", replaces="without_head")
def by_a_diagonal(wo, heads, head):
    """A product with a diagonal of zeros and ones."""
    width = wo.shape[0]
    if head not in range(heads) or width % heads != 0:
        raise ValueError("head")
    kept = np.arange(width) // (width // heads) != head
    return np.where(kept[:, None], wo, np.zeros_like(wo))


@variant("6.2", replaces="without_head")
def by_three_axes(wo, heads, head):
    """wo is seen as (H, K, D), one head is cleared, and the shape is put back."""
    if head < 0 or head > heads - 1 or len(wo) / heads != len(wo) // heads:
        raise ValueError("head")
    parts = np.array(wo).reshape(heads, -1, wo.shape[1])
    parts[head] = 0
    return parts.reshape(wo.shape)


@variant("6.2", replaces="ablate_heads")
def counted_by_hand(model, data):
    """The whole model is copied for each head, and the answers are counted without accuracy."""
    shares = []
    for layer in range(model.config.layers):
        for head in range(model.config.heads):
            other = Encoder(model.config, copy.deepcopy(model.params))
            name = f"layers.{layer}.wo"
            other.params[name] = without_head(other.params[name], model.config.heads, head)
            said = other.forward(data.ids, data.mask)[0].argmax(axis=1)
            for number in range(len(OPERATIONS)):
                asked = data.operations == number
                right = (said[asked] == data.answers[asked]).tolist()
                shares.append(sum(right) / len(right) if right else math.nan)
    return np.array(shares).reshape(model.config.layers, model.config.heads, -1)


@variant("6.3", replaces="confusion")
def counts_of_32_bits(answers, predictions, classes):
    """A loop over the questions, and counts of 32 bits."""
    if answers.ndim != 1 or predictions.ndim != 1 or len(answers) != len(predictions):
        raise ValueError("pairs")
    counts = np.zeros((classes, classes), np.int32)
    for right, said in zip(answers.tolist(), predictions.tolist(), strict=True):
        if min(right, said) < 0 or max(right, said) >= classes:
            raise ValueError("class")
        counts[right][said] += 1
    return counts


@variant("6.3", replaces="confusion")
def product_of_one_hots(answers, predictions, classes):
    """Two one-hot matrices of whole numbers are multiplied."""
    if answers.shape != predictions.shape or len(answers.shape) != 1:
        raise ValueError("pairs")
    for each in (answers, predictions):
        if ((each < 0) | (each >= classes)).any():
            raise ValueError("class")
    numbers = np.arange(classes)
    rows, columns = ((each[:, None] == numbers).astype(np.int64) for each in (answers, predictions))
    return rows.T @ columns


@variant("6.4", replaces="fit_probe")
def least_squares(x, labels, classes, penalty=1.0):
    """Least squares of a longer system: a row for each weight, and a column of ones."""
    if not penalty > 0 or any(not 0 <= label < classes for label in labels.tolist()):
        raise ValueError("penalty or label")
    rows, width = x.shape
    system = np.zeros((rows + width, width + 1))
    system[:rows, :width], system[:rows, width] = x, 1
    system[rows:, :width] = math.sqrt(penalty) * np.eye(width)
    wanted = np.zeros((rows + width, classes))
    wanted[range(rows), labels.tolist()] = 1
    both = np.linalg.lstsq(system, wanted, rcond=None)[0].astype(x.dtype)
    return both[:-1], both[-1]


@variant("6.4", replaces="fit_probe")
def by_the_inverse(x, labels, classes, penalty=1.0):
    """An explicit inverse, comparisons for the one-hot rows, and a list for the two parts."""
    if math.isnan(penalty) or penalty <= 0:
        raise ValueError("penalty")
    if np.any(labels < 0) or np.any(labels > classes - 1):
        raise ValueError("label")
    y = (labels[:, None] == np.arange(classes)).astype(x.dtype)
    centred = x - x.mean(0, keepdims=True)
    inverse = np.linalg.inv(centred.T @ centred + np.diag(np.full(x.shape[1], penalty, x.dtype)))
    weights = inverse @ centred.T @ y
    return [weights, (y - x @ weights).mean(axis=0)]


@variant("6.1", replaces="attention_entropy")
def with_a_safe_logarithm(weights):
    """The logarithm of the weights with ones in the place of zeros."""
    logs = np.log2(np.where(weights > 0, weights, 1))
    return -np.einsum("...t,...t->...", weights, logs) + 0.0


@variant("6.1", replaces="entropy_share")
def in_nats(weights, mask=None):
    """Both logarithms are natural; their quotient is the same."""
    allowed = np.ones(weights.shape, bool) if mask is None else np.broadcast_to(mask, weights.shape)
    terms = np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1)), 0)
    entropy, most = -terms.sum(-1), np.log(np.maximum(allowed.sum(-1), 1))
    share = np.divide(entropy, most, out=np.zeros_like(entropy), where=most > 0)
    return share.astype(weights.dtype)


@variant("6.3", replaces="confusion")
def narrow_counts(answers, predictions, classes):
    """Counts of 32 bits, one question at a time."""
    if answers.shape != predictions.shape or answers.ndim != 1:
        raise ValueError("shapes")
    counts = np.zeros((classes, classes), np.int32)
    for right, said in zip(answers.tolist(), predictions.tolist(), strict=True):
        if not (0 <= right < classes and 0 <= said < classes):
            raise ValueError("classes")
        counts[right, said] += 1
    return counts


@variant("6.4", replaces="fit_probe")
def larger_system(x, labels, classes, penalty=1.0):
    """Least squares with a row of its own for each weight, and a list for a tuple."""
    if not penalty > 0:
        raise ValueError("penalty")
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise ValueError("labels")
    wide = x.astype(np.float64)
    targets = np.eye(classes)[labels]
    centred = np.vstack([wide - wide.mean(0), np.sqrt(penalty) * np.eye(x.shape[1])])
    wanted = np.vstack([targets - targets.mean(0), np.zeros((x.shape[1], classes))])
    weights = np.linalg.lstsq(centred, wanted, rcond=None)[0]
    bias = targets.mean(0) - wide.mean(0) @ weights
    return [weights.astype(x.dtype), bias.astype(x.dtype)]
