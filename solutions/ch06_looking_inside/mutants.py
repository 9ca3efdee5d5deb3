"""Wrong versions of the exercises of chapter 6. What is wrong stands in each docstring."""

import numpy as np

from groundup.course.exercises.mutants import mutant
from groundup.scratch.analysis import attention_entropy, without_head
from groundup.scratch.encoder import Encoder
from groundup.scratch.tasks.digits import OPERATIONS, accuracy


def _logs(weights):
    return np.log2(np.where(weights > 0, weights, 1))


def _visible(weights, mask):
    return np.broadcast_to(True if mask is None else mask, weights.shape)


@mutant("6.1", replaces="attention_entropy")
def log_of_zero(weights):
    """The logarithm of a zero weight is taken: 0 times -inf is NaN."""
    with np.errstate(all="ignore"):
        return -(weights * np.log2(weights)).sum(axis=-1)


@mutant("6.1", replaces="attention_entropy")
def something_added(weights):
    """A small number is added inside the logarithm: it hides the zeros and biases the rest."""
    return -(weights * np.log2(weights + weights.dtype.type(1e-6))).sum(axis=-1)


@mutant("6.1", replaces="attention_entropy")
def small_weights_left_out(weights):
    """Weights below 0.001 are taken for zero: each is small, and its surprise is large."""
    return -(weights * np.log2(np.where(weights < 1e-3, 1, weights))).sum(axis=-1)


@mutant("6.1", replaces="attention_entropy")
def in_nats(weights):
    """The natural logarithm: the entropy is in nats, and bits are asked for."""
    return -(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1)


@mutant("6.1", replaces="attention_entropy")
def without_minus(weights):
    """The minus sign is missing: logarithms of weights are never above zero."""
    return (weights * _logs(weights)).sum(axis=-1)


@mutant("6.1", replaces="attention_entropy")
def mean_over_tokens(weights):
    """The mean over tokens instead of the sum: the weights are the averaging already."""
    return -(weights * _logs(weights)).mean(axis=-1)


@mutant("6.1", replaces="attention_entropy")
def surprise_not_weighed(weights):
    """The plain mean of the surprises: a token that is never looked at counts like any other."""
    return -_logs(weights).mean(axis=-1)


@mutant("6.1", replaces="attention_entropy")
def number_of_tokens(weights):
    """2 to the power of the entropy: the number of tokens that it is worth, and not bits."""
    return 2 ** -(weights * _logs(weights)).sum(axis=-1)


@mutant("6.1", replaces="attention_entropy")
def down_the_columns(weights):
    """The sum runs over the queries (axis -2) and not over the tokens that are looked at."""
    return -(weights * _logs(weights)).sum(axis=-2)


@mutant("6.1", replaces="attention_entropy")
def one_for_all_rows(weights):
    """One number for all rows together: each query has an entropy of its own."""
    return -(weights * _logs(weights)).sum()


@mutant("6.1", replaces="attention_entropy")
def zeros_replaced_in_place(weights):
    """Zeros are replaced in the caller's array: whoever reads the weights next gets others."""
    filled = weights
    filled[filled == 0] = 1
    return -(filled * np.log2(filled)).sum(axis=-1)


@mutant("6.1", replaces="entropy_share")
def padding_counted(weights, mask=None):
    """The most possible is taken over all tokens, padding with them: shares come out too low."""
    most = np.log2(weights.shape[-1])
    return attention_entropy(weights) / weights.dtype.type(most)


@mutant("6.1", replaces="entropy_share")
def mask_of_all_rows(weights, mask=None):
    """The mask is summed over all rows together: each row has its own number of tokens."""
    visible = np.array(weights.shape[-1] if mask is None else _visible(weights, mask).sum())
    return attention_entropy(weights) / np.log2(np.maximum(visible, 2)).astype(weights.dtype)


@mutant("6.1", replaces="entropy_share")
def mask_not_broadcast(weights, mask=None):
    """The mask is summed as it came: a column that holds for all tokens counts as one token."""
    visible = np.ones(weights.shape, bool) if mask is None else mask
    most = np.log2(np.maximum(visible.sum(axis=-1), 1)).astype(weights.dtype)
    return attention_entropy(weights) / np.where(most > 0, most, 1)


@mutant("6.1", replaces="entropy_share")
def tokens_with_weight(weights, mask=None):
    """Only tokens with some weight are counted: a head that ignores a token could have looked."""
    most = np.log2(np.maximum((weights > 0).sum(axis=-1), 2)).astype(weights.dtype)
    return attention_entropy(weights) / most


@mutant("6.1", replaces="entropy_share")
def share_of_the_number(weights, mask=None):
    """Divided by the number of tokens, and not by its logarithm."""
    visible = _visible(weights, mask)
    count = np.maximum(visible.sum(axis=-1), 1).astype(weights.dtype)
    return attention_entropy(weights) / count


@mutant("6.1", replaces="entropy_share")
def two_logarithms(weights, mask=None):
    """Bits divided by a natural logarithm: even attention gets 1.44 and not 1."""
    visible = _visible(weights, mask)
    most = np.log(np.maximum(visible.sum(axis=-1), 1)).astype(weights.dtype)
    return attention_entropy(weights) / np.where(most > 0, most, 1)


@mutant("6.1", replaces="entropy_share")
def one_token_divides_by_zero(weights, mask=None):
    """Where one token alone may be looked at, 0 bits are divided by log2 1 = 0."""
    visible = _visible(weights, mask)
    with np.errstate(all="ignore"):
        most = np.log2(visible.sum(axis=-1)).astype(weights.dtype)
        return attention_entropy(weights) / most


@mutant("6.1", replaces="entropy_share")
def summed_axis_kept(weights, mask=None):
    """The numbers of tokens keep the axis that was summed: rows are then divided crosswise."""
    visible = _visible(weights, mask)
    most = np.log2(np.maximum(visible.sum(axis=-1, keepdims=True), 1)).astype(weights.dtype)
    return attention_entropy(weights) / np.where(most > 0, most, 1)


@mutant("6.1", replaces="entropy_share")
def upside_down(weights, mask=None):
    """The most possible is divided by the entropy, and not the other way round."""
    visible = _visible(weights, mask)
    most = np.log2(np.maximum(visible.sum(axis=-1), 1)).astype(weights.dtype)
    entropy = attention_entropy(weights)
    return most / np.where(entropy > 0, entropy, 1)


@mutant("6.1", replaces="attention_entropy")
def axis_kept(weights):
    """The axis that was summed is kept with length 1: (..., 1) comes back and not (...,)."""
    return -(weights * _logs(weights)).sum(axis=-1, keepdims=True)


@mutant("6.1", replaces="attention_entropy")
def one_table_of_rows(weights):
    """All rows come back as one axis: the shape of the batch is lost."""
    return -(weights * _logs(weights)).sum(axis=-1).reshape(-1)


@mutant("6.1", replaces="attention_entropy")
def rows_normalised(weights):
    """Each row is divided by its sum first: for a row of zeros that is 0/0."""
    with np.errstate(all="ignore"):
        shares = weights / weights.sum(axis=-1, keepdims=True)
        return -(shares * _logs(shares)).sum(axis=-1)


@mutant("6.1", replaces="entropy_share")
def one_token_fewer(weights, mask=None):
    """One token too few is counted: the share of even attention is above 1."""
    count = np.maximum(_visible(weights, mask).sum(axis=-1) - 1, 1)
    most = np.log2(count).astype(weights.dtype)
    return attention_entropy(weights) / np.where(most > 0, most, 1)


@mutant("6.1", replaces="entropy_share")
def first_row_for_all(weights, mask=None):
    """The tokens of the first row are counted, and their number is used for every row."""
    rows = _visible(weights, mask).reshape(-1, weights.shape[-1])
    count = rows[0].sum() if len(rows) else 1
    return attention_entropy(weights) / np.log2(np.maximum(count, 2)).astype(weights.dtype)


@mutant("6.1", replaces="entropy_share")
def full_masks_alone(weights, mask=None):
    """The mask is used as an index, so that one of another shape than the weights is an error."""
    visible = np.ones(weights.shape, bool) if mask is None else mask
    if mask is not None and mask.shape[-1] != weights.shape[-1]:
        raise IndexError("mask")
    most = np.log2(np.maximum(visible.sum(axis=-1), 1)).astype(weights.dtype)
    return attention_entropy(weights) / np.where(most > 0, most, 1)


def _refuse_head(wo, heads, head):
    if not 0 <= head < heads:
        raise ValueError("no such head")
    if len(wo) % heads:
        raise ValueError("heads must divide the width")


@mutant("6.2", replaces="without_head")
def columns_of_wo(wo, heads, head):
    """The columns of wo are cleared: they make the output's entries, and each hears all heads."""
    _refuse_head(wo, heads, head)
    size, result = len(wo) // heads, wo.copy()
    result[:, head * size : (head + 1) * size] = 0
    return result


@mutant("6.2", replaces="without_head")
def next_head(wo, heads, head):
    """The rows of the head after it are cleared: heads count from 0."""
    _refuse_head(wo, heads, head)
    size, result = len(wo) // heads, wo.copy()
    result[(head + 1) * size : (head + 2) * size] = 0
    return result


@mutant("6.2", replaces="without_head")
def one_row(wo, heads, head):
    """One row is cleared; a head has K = D / H of them."""
    _refuse_head(wo, heads, head)
    result = wo.copy()
    result[head] = 0
    return result


@mutant("6.2", replaces="without_head")
def as_many_rows_as_heads(wo, heads, head):
    """H rows are taken for a head's, where it has K = D / H; right only where the two are equal."""
    _refuse_head(wo, heads, head)
    result = wo.copy()
    result[head * heads : (head + 1) * heads] = 0
    return result


@mutant("6.2", replaces="without_head")
def every_other_row(wo, heads, head):
    """Every H-th row is cleared: heads stand one after the other, they do not take turns."""
    _refuse_head(wo, heads, head)
    result = wo.copy()
    result[head::heads] = 0
    return result


@mutant("6.2", replaces="without_head")
def all_but_one(wo, heads, head):
    """The head is kept and all others are removed."""
    _refuse_head(wo, heads, head)
    size, result = len(wo) // heads, np.zeros_like(wo)
    result[head * size : (head + 1) * size] = wo[head * size : (head + 1) * size]
    return result


@mutant("6.2", replaces="without_head")
def halved(wo, heads, head):
    """The head is made quieter, and not silent."""
    _refuse_head(wo, heads, head)
    size, result = len(wo) // heads, wo.copy()
    result[head * size : (head + 1) * size] /= 2
    return result


@mutant("6.2", replaces="without_head")
def others_made_louder(wo, heads, head):
    """The other heads are scaled up by H / (H - 1), as dropout would: ablation only takes away."""
    _refuse_head(wo, heads, head)
    size = len(wo) // heads
    result = wo * wo.dtype.type(heads / max(heads - 1, 1))
    result[head * size : (head + 1) * size] = 0
    return result


@mutant("6.2", replaces="without_head")
def rows_taken_out(wo, heads, head):
    """The rows are deleted, and the matrix no longer fits what the heads return."""
    _refuse_head(wo, heads, head)
    size = len(wo) // heads
    return np.delete(wo, np.s_[head * size : (head + 1) * size], axis=0)


@mutant("6.2", replaces="without_head")
def cleared_in_place(wo, heads, head):
    """wo itself is cleared: the caller's model has lost the head for good."""
    _refuse_head(wo, heads, head)
    size = len(wo) // heads
    wo[head * size : (head + 1) * size] = 0
    return wo


@mutant("6.2", replaces="without_head")
def head_not_checked(wo, heads, head):
    """The head is not checked: NumPy reads -1 from the end, and clears nothing beyond it."""
    if len(wo) % heads:
        raise ValueError("heads must divide the width")
    size, result = len(wo) // heads, wo.copy()
    result[head * size : (head + 1) * size] = 0
    return result


@mutant("6.2", replaces="without_head")
def width_not_checked(wo, heads, head):
    """That H divides the width is not checked: some rows then belong to no head."""
    if not 0 <= head < heads:
        raise ValueError("no such head")
    size, result = len(wo) // heads, wo.copy()
    result[head * size : (head + 1) * size] = 0
    return result


def _table(model, data, change):
    """The table of a wrong version: ``change(layer, head)`` gives the parameters to ask."""
    config = model.config
    result = np.full((config.layers, config.heads, len(OPERATIONS)), np.nan)
    for layer, head in np.ndindex(config.layers, config.heads):
        scores = accuracy(Encoder(config, change(layer, head)), data)
        result[layer, head] = [scores.get(name, np.nan) for name in OPERATIONS]
    return result


def _removed(model, layer, head):
    name = f"layers.{layer}.wo"
    return model.params | {name: without_head(model.params[name], model.config.heads, head)}


@mutant("6.2", replaces="ablate_heads")
def heads_stay_away(model, data):
    """A head that was removed is not put back: each row lacks all heads before it, too."""
    config, params = model.config, dict(model.params)

    def change(layer, head):
        name = f"layers.{layer}.wo"
        params[name] = without_head(params[name], config.heads, head)
        return params

    return _table(model, data, change)


@mutant("6.2", replaces="ablate_heads")
def model_changed(model, data):
    """The dictionary or its matrices are the model's own, and change: copy both."""

    def change(layer, head):
        params = dict(model.params)
        wo = params[f"layers.{layer}.wo"]
        wo[...] = without_head(wo, model.config.heads, head)
        return params

    return _table(model, data, change)


@mutant("6.2", replaces="ablate_heads")
def first_layer_only(model, data):
    """The head is always removed from layer 0: each layer has a wo of its own."""
    return _table(model, data, lambda layer, head: _removed(model, 0, head))


@mutant("6.2", replaces="ablate_heads")
def from_every_layer(model, data):
    """The head of that number is removed from all layers at once."""

    def change(layer, head):
        params = dict(model.params)
        for each in range(model.config.layers):
            name = f"layers.{each}.wo"
            params[name] = without_head(params[name], model.config.heads, head)
        return params

    return _table(model, data, change)


@mutant("6.2", replaces="ablate_heads")
def bias_removed(model, data):
    """bo is cleared with the head: the bias belongs to the whole layer."""

    def change(layer, head):
        name = f"layers.{layer}.bo"
        return _removed(model, layer, head) | {name: np.zeros_like(model.params[name])}

    return _table(model, data, change)


@mutant("6.2", replaces="ablate_heads")
def what_is_lost(model, data):
    """The table holds what is lost without a head, and what is left is asked for."""
    base = [accuracy(model, data).get(name, np.nan) for name in OPERATIONS]
    return base - _table(model, data, lambda layer, head: _removed(model, layer, head))


@mutant("6.2", replaces="ablate_heads")
def absent_is_zero(model, data):
    """An operation that is not in the data gets 0: never asked is not the same as always wrong."""
    return np.nan_to_num(_table(model, data, lambda layer, head: _removed(model, layer, head)))


@mutant("6.2", replaces="ablate_heads")
def all_operations_alike(model, data):
    """Each column holds the accuracy of all operations together."""
    config = model.config
    result = np.full((config.layers, config.heads, len(OPERATIONS)), np.nan)
    for layer, head in np.ndindex(config.layers, config.heads):
        result[layer, head] = accuracy(Encoder(config, _removed(model, layer, head)), data)["all"]
    return result


@mutant("6.2", replaces="ablate_heads")
def heads_before_layers(model, data):
    """Heads come first and layers second: the axes have changed places."""
    return _table(model, data, lambda layer, head: _removed(model, layer, head)).swapaxes(0, 1)


@mutant("6.2", replaces="without_head")
def zero_for_no_head(wo, heads, head):
    """Only a head above the last is refused: NumPy reads -1 from the end."""
    if head >= heads or len(wo) % heads:
        raise ValueError("head")
    size, result = len(wo) // heads, wo.copy()
    result[head % heads * size : (head % heads + 1) * size] = 0
    return result


@mutant("6.2", replaces="ablate_heads")
def queries_removed(model, data):
    """The head's queries are zero and not its output: it looks everywhere alike, and still adds."""
    config = model.config
    size = config.width // config.heads

    def change(layer, head):
        names = (f"layers.{layer}.wqkv", f"layers.{layer}.bqkv")
        changed = {name: model.params[name].copy() for name in names}
        for value in changed.values():
            value[..., head * size : (head + 1) * size] = 0
        return model.params | changed

    return _table(model, data, change)


@mutant("6.2", replaces="ablate_heads")
def in_percent(model, data):
    """The shares are multiplied by 100: they are percentages."""
    return 100 * _table(model, data, lambda layer, head: _removed(model, layer, head))


@mutant("6.2", replaces="ablate_heads")
def columns_of_those_asked(model, data):
    """The operations that occur fill the first columns: the others' columns are moved."""
    result = _table(model, data, lambda layer, head: _removed(model, layer, head))
    asked = ~np.isnan(result[0, 0])
    packed = np.full_like(result, np.nan)
    packed[..., : asked.sum()] = result[..., asked]
    return packed


@mutant("6.2", replaces="ablate_heads")
def layers_backwards(model, data):
    """The layers are in the reverse order, the last one first."""
    return _table(model, data, lambda layer, head: _removed(model, layer, head))[::-1]


def _refuse_pairs(answers, predictions, classes):
    if answers.shape != predictions.shape:
        raise ValueError("each answer needs one prediction")
    _refuse_classes(answers, predictions, classes)


def _refuse_classes(answers, predictions, classes):
    for each in (answers, predictions):
        if each.size and (each.min() < 0 or each.max() >= classes):
            raise ValueError("not a class")


def _counts(answers, predictions, classes):
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (answers, predictions), 1)
    return counts


@mutant("6.3", replaces="confusion")
def transposed(answers, predictions, classes):
    """Rows and columns have changed places: the row is the right answer."""
    _refuse_pairs(answers, predictions, classes)
    return _counts(predictions, answers, classes)


@mutant("6.3", replaces="confusion")
def each_pair_once(answers, predictions, classes):
    """counts[rows, columns] += 1 adds one to a cell that is named many times."""
    _refuse_pairs(answers, predictions, classes)
    counts = np.zeros((classes, classes), int)
    counts[answers, predictions] += 1
    return counts


@mutant("6.3", replaces="confusion")
def classes_that_occur(answers, predictions, classes):
    """Only classes that occur get a row: matrices of two sets no longer have one shape."""
    _refuse_pairs(answers, predictions, classes)
    found = np.union1d(answers, predictions)
    return _counts(answers, predictions, classes)[np.ix_(found, found)]


@mutant("6.3", replaces="confusion")
def shares_of_rows(answers, predictions, classes):
    """Each row is divided by its sum: these are shares, and counts are asked for."""
    _refuse_pairs(answers, predictions, classes)
    counts = _counts(answers, predictions, classes)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


@mutant("6.3", replaces="confusion")
def mistakes_alone(answers, predictions, classes):
    """The diagonal is left out: it counts what was right."""
    _refuse_pairs(answers, predictions, classes)
    counts = _counts(answers, predictions, classes)
    np.fill_diagonal(counts, 0)
    return counts


@mutant("6.3", replaces="confusion")
def counts_as_floats(answers, predictions, classes):
    """The counts are floats, as np.zeros makes them by itself."""
    _refuse_pairs(answers, predictions, classes)
    return _counts(answers, predictions, classes).astype(float)


@mutant("6.3", replaces="confusion")
def cells_numbered_in_place(answers, predictions, classes):
    """answers *= classes writes into the caller's array."""
    _refuse_pairs(answers, predictions, classes)
    answers *= classes
    answers += predictions
    return np.bincount(answers, minlength=classes**2).reshape(classes, classes)


@mutant("6.3", replaces="confusion")
def cells_numbered_in_a_small_type(answers, predictions, classes):
    """The cells are numbered in the classes' own type: uint8 begins again at 256."""
    _refuse_pairs(answers, predictions, classes)
    cells = answers * classes + predictions
    return np.bincount(cells, minlength=classes**2).reshape(-1, classes)


@mutant("6.3", replaces="confusion")
def no_class_left_empty(answers, predictions, classes):
    """bincount lacks minlength: where the last cells are empty, they are missing."""
    _refuse_pairs(answers, predictions, classes)
    return np.bincount(answers * classes + predictions).reshape(-1, classes)


@mutant("6.3", replaces="confusion")
def classes_not_checked(answers, predictions, classes):
    """What is no class is not refused: -1 silently counts for the last one."""
    if answers.shape != predictions.shape:
        raise ValueError("each answer needs one prediction")
    counts = np.zeros((classes, classes), int)
    for right, said in zip(answers, predictions, strict=True):
        counts[right, said % classes] += 1
    return counts


@mutant("6.3", replaces="confusion")
def pairs_not_checked(answers, predictions, classes):
    """The numbers of answers and predictions are not compared: one prediction serves for all."""
    _refuse_classes(answers, predictions, classes)
    return _counts(answers, predictions, classes)


@mutant("6.3", replaces="confusion")
def counts_of_one_byte(answers, predictions, classes):
    """The counts are uint8: 300 of a kind are 44, as the type begins again at 256."""
    _refuse_pairs(answers, predictions, classes)
    return _counts(answers, predictions, classes).astype(np.uint8)


@mutant("6.3", replaces="confusion")
def two_axes_taken(answers, predictions, classes):
    """Only the shapes are compared: two tables of answers are counted like two rows."""
    _refuse_pairs(answers, predictions, classes)
    return _counts(answers.reshape(-1), predictions.reshape(-1), classes)


@mutant("6.3", replaces="confusion")
def predictions_not_checked(answers, predictions, classes):
    """The answers are checked and the predictions are not: one of -1 counts for the last class."""
    if predictions.shape != answers.shape or answers.ndim != 1:
        raise ValueError("pairs")
    _refuse_classes(answers, answers, classes)
    return _counts(answers.astype(int), predictions.astype(int) % classes, classes)


@mutant("6.3", replaces="confusion")
def answers_not_checked(answers, predictions, classes):
    """The predictions are checked and the answers are not: one of -1 counts for the last class."""
    if predictions.shape != answers.shape or answers.ndim != 1:
        raise ValueError("pairs")
    _refuse_classes(predictions, predictions, classes)
    return _counts(answers.astype(int) % classes, predictions.astype(int), classes)


@mutant("6.3", replaces="confusion")
def uint64_is_an_error(answers, predictions, classes):
    """The classes are cast to int by a rule that forbids uint64, which is an integer type too."""
    _refuse_pairs(answers, predictions, classes)
    rows, columns = (each.astype(int, casting="safe") for each in (answers, predictions))
    return np.bincount(rows * classes + columns, minlength=classes**2).reshape(-1, classes)


@mutant("6.3", replaces="confusion")
def nothing_is_an_error(answers, predictions, classes):
    """min() of no answers is an error: an empty set of questions has a matrix of zeros."""
    if not len(answers):
        raise ValueError("nothing")
    _refuse_pairs(answers, predictions, classes)
    return _counts(answers, predictions, classes)


@mutant("6.3", replaces="confusion")
def shorter_of_the_two(answers, predictions, classes):
    """zip stops at the shorter of the two, and questions without a partner are lost."""
    _refuse_classes(answers, predictions, classes)
    counts = np.zeros((classes, classes), int)
    for right, said in zip(answers.reshape(-1), predictions.reshape(-1), strict=False):
        counts[right, said] += 1
    return counts


def _refuse_penalty(penalty):
    if penalty <= 0:
        raise ValueError("penalty must be above 0")


def _refuse_penalty_of_any_kind(penalty):
    if not penalty > 0:
        raise ValueError("penalty must be above 0")


def _ridge(x, y, penalty):
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1], dtype=x.dtype), x.T @ y)


def _one_hot(x, labels, classes):
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError("a label is no class")
    return np.eye(classes, dtype=x.dtype)[labels]


def _centred_fit(x, y, penalty):
    weights = _ridge(x - x.mean(axis=0), y - y.mean(axis=0), penalty)
    return weights, y.mean(axis=0) - x.mean(axis=0) @ weights


@mutant("6.4", replaces="fit_probe")
def no_bias(x, labels, classes, penalty=1.0):
    """There is no bias: the probe must pass through zero."""
    _refuse_penalty_of_any_kind(penalty)
    return _ridge(x, _one_hot(x, labels, classes), penalty), np.zeros(classes, x.dtype)


@mutant("6.4", replaces="fit_probe")
def bias_penalised(x, labels, classes, penalty=1.0):
    """The bias is a column of ones, and penalised like a weight: it is pulled towards zero."""
    _refuse_penalty_of_any_kind(penalty)
    ones = np.ones((len(x), 1), x.dtype)
    both = _ridge(np.hstack([x, ones]), _one_hot(x, labels, classes), penalty)
    return both[:-1], both[-1]


@mutant("6.4", replaces="fit_probe")
def bias_is_the_mean(x, labels, classes, penalty=1.0):
    """The bias is the mean of y: right only where the mean of x is zero."""
    _refuse_penalty_of_any_kind(penalty)
    y = _one_hot(x, labels, classes)
    return _centred_fit(x, y, penalty)[0], y.mean(axis=0)


@mutant("6.4", replaces="fit_probe")
def bias_with_turned_sign(x, labels, classes, penalty=1.0):
    """mean(x) W is added to the bias, and must be taken off."""
    _refuse_penalty_of_any_kind(penalty)
    y = _one_hot(x, labels, classes)
    weights, _ = _centred_fit(x, y, penalty)
    return weights, y.mean(axis=0) + x.mean(axis=0) @ weights


@mutant("6.4", replaces="fit_probe")
def weights_not_centred(x, labels, classes, penalty=1.0):
    """The weights are fitted to x as it is, and the bias is put in afterwards."""
    _refuse_penalty_of_any_kind(penalty)
    y = _one_hot(x, labels, classes)
    weights = _ridge(x, y, penalty)
    return weights, y.mean(axis=0) - x.mean(axis=0) @ weights


@mutant("6.4", replaces="fit_probe")
def no_penalty(x, labels, classes, penalty=1.0):
    """The penalty is not used: columns that depend on each other have no single solution."""
    _refuse_penalty_of_any_kind(penalty)
    return _centred_fit(x, _one_hot(x, labels, classes), 0.0)


@mutant("6.4", replaces="fit_probe")
def penalty_times_rows(x, labels, classes, penalty=1.0):
    """The penalty is multiplied by the number of rows: the errors are summed, not averaged."""
    _refuse_penalty_of_any_kind(penalty)
    return _centred_fit(x, _one_hot(x, labels, classes), len(x) * penalty)


@mutant("6.4", replaces="fit_probe")
def labels_of_minus_one(x, labels, classes, penalty=1.0):
    """Labels are -1 and 1 where 0 and 1 are asked for."""
    _refuse_penalty_of_any_kind(penalty)
    return _centred_fit(x, 2 * _one_hot(x, labels, classes) - 1, penalty)


@mutant("6.4", replaces="fit_probe")
def columns_scaled(x, labels, classes, penalty=1.0):
    """Each column is divided by its standard deviation, and the weights are of that."""
    _refuse_penalty_of_any_kind(penalty)
    deviation = x.std(axis=0)
    return _centred_fit(x / deviation, _one_hot(x, labels, classes), penalty)


@mutant("6.4", replaces="fit_probe")
def weights_transposed(x, labels, classes, penalty=1.0):
    """The weights come back as (C, D): a row for each class, and not a column."""
    _refuse_penalty_of_any_kind(penalty)
    weights, bias = _centred_fit(x, _one_hot(x, labels, classes), penalty)
    return weights.T, bias


@mutant("6.4", replaces="fit_probe")
def centred_in_place(x, labels, classes, penalty=1.0):
    """x -= mean writes into the caller's array."""
    _refuse_penalty_of_any_kind(penalty)
    y, mean = _one_hot(x, labels, classes), x.mean(axis=0)
    x -= mean
    weights = _ridge(x, y - y.mean(axis=0), penalty)
    return weights, y.mean(axis=0) - mean @ weights


@mutant("6.4", replaces="fit_probe")
def classes_from_the_labels(x, labels, classes, penalty=1.0):
    """The classes are counted from the labels: one that has no row gets no column."""
    _refuse_penalty_of_any_kind(penalty)
    return _centred_fit(x, _one_hot(x, labels, labels.max() + 1), penalty)


@mutant("6.4", replaces="fit_probe")
def labels_not_checked(x, labels, classes, penalty=1.0):
    """What is no class is not refused: -1 silently counts for the last one."""
    _refuse_penalty_of_any_kind(penalty)
    return _centred_fit(x, np.eye(classes, dtype=x.dtype)[labels % classes], penalty)


@mutant("6.4", replaces="fit_probe")
def penalty_not_checked(x, labels, classes, penalty=1.0):
    """A penalty of zero or below is let through."""
    return _centred_fit(x, _one_hot(x, labels, classes), penalty)


@mutant("6.4", replaces="fit_probe")
def not_a_number_taken(x, labels, classes, penalty=1.0):
    """The penalty is compared with <= 0, which not a number is not: the weights are NaN."""
    _refuse_penalty(penalty)
    return _centred_fit(x, _one_hot(x, labels, classes), penalty)


@mutant("6.4", replaces="fit_probe")
def other_default(x, labels, classes, penalty=0.1):
    """The default of the penalty is 0.1: without one it is to be 1."""
    _refuse_penalty_of_any_kind(penalty)
    return _centred_fit(x, _one_hot(x, labels, classes), penalty)


@mutant("6.4", replaces="fit_probe")
def penalty_everywhere(x, labels, classes, penalty=1.0):
    """The penalty is added to every entry of xᵀx, and not to its diagonal alone."""
    _refuse_penalty_of_any_kind(penalty)
    y = _one_hot(x, labels, classes)
    centred = x - x.mean(axis=0)
    gram = centred.T @ centred + x.dtype.type(penalty)
    weights = np.linalg.lstsq(gram, centred.T @ (y - y.mean(axis=0)), rcond=None)[0]
    return weights, y.mean(axis=0) - x.mean(axis=0) @ weights


@mutant("6.4", replaces="fit_probe")
def in_float64(x, labels, classes, penalty=1.0):
    """np.eye makes float64, and weights and bias are float64 whatever x is."""
    _refuse_penalty_of_any_kind(penalty)
    return _centred_fit(x.astype(float), _one_hot(x, labels, classes).astype(float), penalty)


@mutant("6.4", replaces="fit_probe")
def penalty_squared(x, labels, classes, penalty=1.0):
    """The penalty is squared: it is the factor of the squared weights already."""
    _refuse_penalty_of_any_kind(penalty)
    return _centred_fit(x, _one_hot(x, labels, classes), penalty**2)


@mutant("6.4", replaces="fit_probe")
def classes_that_have_rows(x, labels, classes, penalty=1.0):
    """np.unique gives the classes new numbers: one without a row moves those after it."""
    _refuse_penalty_of_any_kind(penalty)
    _one_hot(x, labels, classes)
    numbers = np.unique(labels, return_inverse=True)[1]
    return _centred_fit(x, np.eye(classes, dtype=x.dtype)[numbers], penalty)


@mutant("6.4", replaces="fit_probe")
def uint64_labels_fail(x, labels, classes, penalty=1.0):
    """A uint64 and an int are added: to NumPy that is a float64, which can't be an index."""
    _refuse_penalty_of_any_kind(penalty)
    _one_hot(x, labels, classes)
    y = np.zeros((len(x), classes), x.dtype)
    y.reshape(-1)[np.arange(len(x), dtype=np.int64) * classes + labels] = 1
    return _centred_fit(x, y, penalty)
