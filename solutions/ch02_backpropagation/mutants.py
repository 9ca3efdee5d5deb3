"""Wrong versions of the exercises of chapter 2. Each docstring says what is wrong."""

import numpy as np

from groundup.course.exercises.mutants import mutant
from groundup.scratch.activations import softmax as right_softmax


def _rows(array):
    return array.reshape(-1, array.shape[-1])


@mutant("2.1", replaces="linear")
def weight_transposed(x, weight, bias=None):
    """The weight is transposed, as torch stores it; here each column makes an output."""
    y = x @ weight.T
    return (y if bias is None else y + bias), (x, weight)


@mutant("2.1", replaces="linear")
def bias_forgotten(x, weight, bias=None):
    """The bias is not added."""
    return x @ weight, (x, weight)


@mutant("2.1", replaces="linear")
def bias_always_added(x, weight, bias=None):
    """The bias is added without asking whether it is None."""
    return x @ weight + bias, (x, weight)


@mutant("2.1", replaces="linear")
def output_in_rows(x, weight, bias=None):
    """y comes back as a list of rows: the axes in front of the last one are lost."""
    y = _rows(x) @ weight
    return (y if bias is None else y + bias), (x, weight)


@mutant("2.1", replaces="linear_backward")
def dx_not_transposed(dy, cache):
    """dx is dy @ weight without the transpose: the backward pass reads columns and not rows."""
    x, weight = cache
    return dy @ weight, _rows(x).T @ _rows(dy), _rows(dy).sum(0)


@mutant("2.1", replaces="linear_backward")
def dweight_transposed(dy, cache):
    """dweight is dyᵀ x, the transpose of what it should be: it fits in shape only when square."""
    x, weight = cache
    return dy @ weight.T, _rows(dy).T @ _rows(x), _rows(dy).sum(0)


@mutant("2.1", replaces="linear_backward")
def dweight_averaged(dy, cache):
    """dweight is divided by the number of rows: a mean in the loss is in dy already."""
    x, weight = cache
    dweight = _rows(x).T @ _rows(dy) / len(_rows(x))
    return dy @ weight.T, dweight, _rows(dy).sum(0)


@mutant("2.1", replaces="linear_backward")
def dweight_for_each_text(dy, cache):
    """dweight is not summed over the batch: a product of matrices for each of its entries."""
    x, weight = cache
    return dy @ weight.T, x.swapaxes(-1, -2) @ dy, _rows(dy).sum(0)


@mutant("2.1", replaces="linear_backward")
def dbias_not_summed(dy, cache):
    """dbias is dy itself: the sum over the rows, which all used one bias, is missing."""
    x, weight = cache
    return dy @ weight.T, _rows(x).T @ _rows(dy), dy


@mutant("2.1", replaces="linear_backward")
def dbias_averaged(dy, cache):
    """dbias is the mean over the rows and not their sum."""
    x, weight = cache
    return dy @ weight.T, _rows(x).T @ _rows(dy), _rows(dy).mean(0)


@mutant("2.1", replaces="linear_backward")
def dbias_over_one_axis(dy, cache):
    """dbias is dy.sum(0): with (B, T, E) the axis of positions is left."""
    x, weight = cache
    return dy @ weight.T, _rows(x).T @ _rows(dy), dy.sum(0)


@mutant("2.1", replaces="linear_backward")
def dbias_over_outputs(dy, cache):
    """dbias sums each row over its outputs; it must sum each output over the rows."""
    x, weight = cache
    return dy @ weight.T, _rows(x).T @ _rows(dy), dy.sum(-1)


@mutant("2.1", replaces="linear_backward")
def dbias_of_the_first_row(dy, cache):
    """dbias is the gradient of the first row alone."""
    x, weight = cache
    return dy @ weight.T, _rows(x).T @ _rows(dy), _rows(dy)[0].copy()


@mutant("2.1", replaces="linear_backward")
def summed_into_dy(dy, cache):
    """The sum of the rows is written into dy[0], which is a view: dy itself is changed."""
    x, weight = cache
    dx, dweight = dy @ weight.T, _rows(x).T @ _rows(dy)
    dbias = _rows(dy)[0]
    for row in _rows(dy)[1:]:
        dbias += row
    return dx, dweight, dbias


@mutant("2.1", replaces="linear_backward")
def parts_in_another_order(dy, cache):
    """The gradients come back in another order: dx first, then dweight, then dbias."""
    x, weight = cache
    return _rows(x).T @ _rows(dy), _rows(dy).sum(0), dy @ weight.T


@mutant("2.1", replaces="linear_backward")
def at_least_two_axes(dy, cache):
    """A single vector, (D,), fails: it is not a matrix, with rows and columns."""
    x, weight = cache
    if dy.ndim > 2:
        x, rows = _rows(x), _rows(dy)
    else:
        rows = dy
    return dy @ weight.T, x.swapaxes(-1, 0) @ rows, rows.sum(0)


@mutant("2.1", replaces="linear_backward")
def three_axes_at_most(dy, cache):
    """The rows are summed over one or two axes by name; there may be none, or more."""
    x, weight = cache
    axes = {1: (), 2: (0,), 3: (0, 1)}.get(dy.ndim, (0, 1))
    return dy @ weight.T, np.tensordot(x, dy, (axes, axes)), dy.sum(axis=axes)


@mutant("2.1", replaces="linear_backward")
def in_float32(dy, cache):
    """The gradients of the parameters are gathered in float32, whatever the inputs are."""
    x, weight = cache
    dweight = np.zeros(weight.shape, np.float32) + _rows(x).T @ _rows(dy)
    return dy @ weight.T, dweight.astype(np.float32), _rows(dy).sum(0)


@mutant("2.1", replaces="linear_backward")
def cached_x_changed(dy, cache):
    """The cached x is scaled in place: a second backward pass over the same cache is wrong."""
    x, weight = cache
    dx, dweight = dy @ weight.T, _rows(x).T @ _rows(dy)
    x *= 2
    return dx, dweight, _rows(dy).sum(0)


def _weights(e):
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _top(x):
    top = x.max(axis=-1, keepdims=True)
    return np.where(np.isneginf(top), 0, top)


@mutant("2.2", replaces="softmax")
def over_the_rows(x):
    """The sum runs over the first axis and not over the last: columns sum to one."""
    top = x.max(axis=0, keepdims=True)
    e = np.exp(x - np.where(np.isneginf(top), 0, top))
    total = e.sum(axis=0, keepdims=True)
    return e / np.where(total == 0, 1, total)


@mutant("2.2", replaces="softmax")
def over_everything(x):
    """One sum over the whole array: the rows share one unit of weight."""
    e = np.exp(x - x.max())
    return e / e.sum()


@mutant("2.2", replaces="softmax")
def no_max_shift(x):
    """The largest logit is not subtracted: exp overflows from about 710 on."""
    with np.errstate(all="ignore"):
        return _weights(np.exp(x))


@mutant("2.2", replaces="softmax")
def one_max_for_all(x):
    """One maximum for the whole array: a row far below it has only zeros."""
    return _weights(np.exp(x - x.max()))


@mutant("2.2", replaces="softmax")
def masked_row_is_nan(x):
    """A row of minus infinity is not looked after: -inf minus -inf, and 0/0, are nan."""
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)


@mutant("2.2", replaces="softmax")
def masked_row_is_uniform(x):
    """A row that is masked throughout gets equal weights, as if -inf were a number like -1e9."""
    return right_softmax(np.where(np.isneginf(x), np.array(-1e9, x.dtype), x))


@mutant("2.2", replaces="softmax")
def low_logits_clipped(x):
    """Logits are clipped at -700 against underflow: below it, differences are lost."""
    masked = np.isneginf(x)
    e = np.where(masked, 0, np.exp(np.maximum(x, -700) - np.maximum(_top(x), -700)))
    return _weights(e.astype(x.dtype))


@mutant("2.2", replaces="softmax")
def masked_as_a_low_number(x):
    """Minus infinity counts as a low number, -10,000: lower logits get less weight than it."""
    masked = np.isneginf(x).all(axis=-1, keepdims=True)
    x = np.where(np.isneginf(x), x.dtype.type(-1e4), x)
    return np.where(masked, 0, _weights(np.exp(x - _top(x)))).astype(x.dtype)


@mutant("2.2", replaces="softmax")
def shift_starts_at_zero(x):
    """The largest of the logits and 0 is subtracted: a row far below 0 has only zeros."""
    return _weights(np.exp(x - np.maximum(_top(x), 0)))


@mutant("2.2", replaces="softmax")
def result_in_float64(x):
    """The weights are float64 for logits in float32, as np.zeros makes them."""
    p = np.zeros(x.shape)
    p[...] = right_softmax(x)
    return p


@mutant("2.2", replaces="softmax")
def eps_in_the_sum(x):
    """A small number is added to every sum against 0/0: no row sums to one any more."""
    e = np.exp(x - _top(x))
    return e / (e.sum(axis=-1, keepdims=True) + 1e-6)


@mutant("2.2", replaces="softmax")
def sum_without_keepdims(x):
    """The sum is taken without keepdims=True: it meets the columns, or does not fit at all."""
    e = np.exp(x - _top(x))
    total = e.sum(axis=-1)
    return e / np.where(total == 0, 1, total)


@mutant("2.2", replaces="softmax")
def powers_of_two(x):
    """2 is raised to the logits and not e: all differences shrink by ln 2."""
    return _weights(np.exp2(x - _top(x)))


@mutant("2.2", replaces="softmax")
def shifted_in_place(x):
    """The logits are shifted in place, as by -=, which changes the caller's x."""
    x -= _top(x)
    return _weights(np.exp(x))


@mutant("2.2", replaces="softmax_backward")
def diagonal_alone(dp, p):
    """Only the diagonal of the Jacobian: what the other weights lose is left out."""
    return dp * p * (1 - p)


@mutant("2.2", replaces="softmax_backward")
def without_the_sum(dp, p):
    """dp * p alone: the weighted mean of dp is not subtracted."""
    return dp * p


@mutant("2.2", replaces="softmax_backward")
def passed_through(dp, p):
    """dp is passed on as it is, as if softmax were not there."""
    return dp.copy()


@mutant("2.2", replaces="softmax_backward")
def p_in_front_missing(dp, p):
    """dp less its weighted mean, without the p in front."""
    return dp - (dp * p).sum(axis=-1, keepdims=True)


@mutant("2.2", replaces="softmax_backward")
def sum_over_everything(dp, p):
    """The sum runs over the whole array: rows take from each other."""
    return p * (dp - (dp * p).sum())


@mutant("2.2", replaces="softmax_backward")
def mean_for_sum(dp, p):
    """dp * p is averaged over the entries and not summed: p is the weight already."""
    return p * (dp - (dp * p).mean(axis=-1, keepdims=True))


@mutant("2.2", replaces="softmax_backward")
def plain_mean(dp, p):
    """The plain mean of dp is subtracted, and not the mean weighted by p."""
    return p * (dp - dp.mean(axis=-1, keepdims=True))


@mutant("2.2", replaces="softmax_backward")
def sum_added(dp, p):
    """The weighted mean is added and not subtracted."""
    return p * (dp + (dp * p).sum(axis=-1, keepdims=True))


@mutant("2.2", replaces="softmax_backward")
def weighted_in_place(dp, p):
    """The product dp * p is written into the caller's dp, as by dp *= p."""
    total = (dp * p).sum(axis=-1, keepdims=True)
    dp *= p
    return dp - p * total


@mutant("2.2", replaces="softmax_backward")
def sum_over_axis_one(dp, p):
    """The sum runs over axis 1: it is the last one only if there are two."""
    return p * (dp - (dp * p).sum(axis=1, keepdims=True))


@mutant("2.2", replaces="softmax_backward")
def first_row_for_all(dp, p):
    """The weighted mean of the first row is subtracted from every row."""
    total = (dp * p).sum(axis=-1, keepdims=True)
    return p * (dp - total[(0,) * (total.ndim - 1)])


@mutant("2.2", replaces="softmax_backward")
def jacobian_returned(dp, p):
    """The Jacobian times dp is returned as a square: the sum over the weights is missing."""
    square = p[..., :, None] * (np.eye(p.shape[-1], dtype=p.dtype) - p[..., None, :])
    return dp[..., :, None] * square


def _over(x, std):
    """What layer_norm and its backward need, for a deviation as one likes it."""
    return (x - x.mean(axis=-1, keepdims=True)) / std


def _std(x, eps):
    return np.sqrt(x.var(axis=-1, keepdims=True) + eps)


@mutant("2.3", replaces="layer_norm")
def squares_of_x(x, gamma, beta, eps=1e-5):
    """The mean of the squares of x is used as the variance: its mean is not subtracted first."""
    std = np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    normal = _over(x, std)
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def difference_of_squares(x, gamma, beta, eps=1e-5):
    """The variance is E[x²] - E[x]²: far from zero its digits cancel, and it may be negative."""
    mean = x.mean(axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        std = np.sqrt((x * x).mean(axis=-1, keepdims=True) - mean * mean + eps)
    normal = _over(x, std)
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def one_less(x, gamma, beta, eps=1e-5):
    """The variance divides by D - 1, as statistics do; layer norm divides by D."""
    with np.errstate(all="ignore"):
        std = np.sqrt(x.var(axis=-1, ddof=1, keepdims=True) + eps)
    normal = _over(x, std)
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def variance_for_deviation(x, gamma, beta, eps=1e-5):
    """The vector is divided by its variance: the root is missing."""
    std = x.var(axis=-1, keepdims=True) + eps
    with np.errstate(all="ignore"):
        normal = _over(x, std)
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def mean_left_in(x, gamma, beta, eps=1e-5):
    """The vector is divided by its deviation, but its mean is not subtracted."""
    std = _std(x, eps)
    with np.errstate(all="ignore"):
        normal = x / std
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def eps_outside_the_root(x, gamma, beta, eps=1e-5):
    """eps is added to the deviation; it belongs to the variance, under the root."""
    std = _std(x, 0) + x.dtype.type(eps)
    normal = _over(x, std)
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def eps_not_used(x, gamma, beta, eps=1e-5):
    """eps is not used: a constant vector becomes nan."""
    std = _std(x, 0)
    with np.errstate(all="ignore"):
        normal = _over(x, std)
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def down_the_rows(x, gamma, beta, eps=1e-5):
    """Mean and variance run over the first axis, as in batch norm; each vector needs its own."""
    std = np.sqrt(x.var(axis=0, keepdims=True) + eps)
    with np.errstate(all="ignore"):
        normal = (x - x.mean(axis=0, keepdims=True)) / std
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def one_mean_for_all(x, gamma, beta, eps=1e-5):
    """One mean and one deviation for the whole array: the vectors see each other."""
    std = np.sqrt(x.var(keepdims=True) + eps)
    normal = (x - x.mean(keepdims=True)) / std
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def statistics_without_keepdims(x, gamma, beta, eps=1e-5):
    """Mean and deviation are taken without keepdims=True: they do not fit several vectors."""
    std = np.sqrt(x.var(axis=-1) + eps)
    normal = (x - x.mean(axis=-1)) / std
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def shift_before_scale(x, gamma, beta, eps=1e-5):
    """beta is added before gamma multiplies: gamma scales the shift too."""
    std = _std(x, eps)
    normal = _over(x, std)
    return gamma * (normal + beta), (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def gamma_not_used(x, gamma, beta, eps=1e-5):
    """gamma is not used in the forward pass."""
    std = _std(x, eps)
    normal = _over(x, std)
    return normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def centred_in_place(x, gamma, beta, eps=1e-5):
    """The mean is subtracted in place, as by -=, which changes the caller's x."""
    x -= x.mean(axis=-1, keepdims=True)
    std = _std(x, eps)
    normal = x / std
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def another_eps(x, gamma, beta, eps=1e-12):
    """eps is 1e-12 unless it is given; 1e-5 is what the signature says."""
    std = _std(x, eps)
    normal = _over(x, std)
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def largest_of_variance_and_eps(x, gamma, beta, eps=1e-5):
    """eps is the least that the variance may be; it must be added."""
    std = np.sqrt(np.maximum(x.var(axis=-1, keepdims=True), x.dtype.type(eps)))
    normal = _over(x, std)
    return gamma * normal + beta, (normal, std, gamma)


@mutant("2.3", replaces="layer_norm")
def statistics_over_axis_one(x, gamma, beta, eps=1e-5):
    """Mean and variance run over axis 1: it is the last one only if there are two."""
    std = np.sqrt(x.var(axis=1, keepdims=True) + eps)
    normal = (x - x.mean(axis=1, keepdims=True)) / std
    return gamma * normal + beta, (normal, std, gamma)


def _parameters(dy, normal):
    rows = tuple(range(dy.ndim - 1))
    return (dy * normal).sum(axis=rows), dy.sum(axis=rows)


def _mean(a):
    return a.mean(axis=-1, keepdims=True)


def _dx(g, normal, std):
    return (g - _mean(g) - normal * _mean(g * normal)) / std


@mutant("2.3", replaces="layer_norm_backward")
def statistics_held_fixed(dy, cache):
    """Mean and deviation are treated as constants: both terms that come from them are missing."""
    normal, std, gamma = cache
    return dy * gamma / std, *_parameters(dy, normal)


@mutant("2.3", replaces="layer_norm_backward")
def without_the_mean(dy, cache):
    """The term of the mean is missing: this is RMS norm's rule."""
    normal, std, gamma = cache
    g = dy * gamma
    return (g - normal * _mean(g * normal)) / std, *_parameters(dy, normal)


@mutant("2.3", replaces="layer_norm_backward")
def without_the_deviation(dy, cache):
    """The term of the deviation is missing: only the mean is known to depend on x."""
    normal, std, gamma = cache
    g = dy * gamma
    return (g - _mean(g)) / std, *_parameters(dy, normal)


@mutant("2.3", replaces="layer_norm_backward")
def sums_for_means(dy, cache):
    """Sums are used where the means of g and of g·x̂ should be: both terms are too large by D."""
    normal, std, gamma = cache
    g = dy * gamma
    width = dy.shape[-1]
    dx = (g - width * _mean(g) - width * normal * _mean(g * normal)) / std
    return dx, *_parameters(dy, normal)


@mutant("2.3", replaces="layer_norm_backward")
def not_divided(dy, cache):
    """dx is not divided by the deviation."""
    normal, _, gamma = cache
    return _dx(dy * gamma, normal, 1), *_parameters(dy, normal)


@mutant("2.3", replaces="layer_norm_backward")
def gamma_left_out(dy, cache):
    """gamma is left out of dx: the normalised vector sees dy times gamma."""
    normal, std, _ = cache
    return _dx(dy, normal, std), *_parameters(dy, normal)


@mutant("2.3", replaces="layer_norm_backward")
def gamma_last(dy, cache):
    """gamma multiplies dx at the end; it must multiply dy before the means are taken."""
    normal, std, gamma = cache
    return gamma * _dx(dy, normal, std), *_parameters(dy, normal)


@mutant("2.3", replaces="layer_norm_backward")
def gamma_in_its_own_gradient(dy, cache):
    """dgamma and dbeta are made of dy times gamma; it is dy alone that they see."""
    normal, std, gamma = cache
    g = dy * gamma
    return _dx(g, normal, std), *_parameters(g, normal)


@mutant("2.3", replaces="layer_norm_backward")
def dgamma_without_the_vector(dy, cache):
    """dgamma is the sum of dy, like dbeta: the normalised vector is missing in it."""
    normal, std, gamma = cache
    _, dbeta = _parameters(dy, normal)
    return _dx(dy * gamma, normal, std), dbeta.copy(), dbeta


@mutant("2.3", replaces="layer_norm_backward")
def dgamma_and_dbeta_swapped(dy, cache):
    """dbeta is returned before dgamma: the order is that of the inputs, x, gamma, beta."""
    normal, std, gamma = cache
    return _dx(dy * gamma, normal, std), *_parameters(dy, normal)[::-1]


@mutant("2.3", replaces="layer_norm_backward")
def parameters_averaged(dy, cache):
    """dgamma and dbeta are means over the vectors and not sums."""
    normal, std, gamma = cache
    dgamma, dbeta = _parameters(dy, normal)
    count = dy.size // dy.shape[-1]
    return _dx(dy * gamma, normal, std), dgamma / count, dbeta / count


@mutant("2.3", replaces="layer_norm_backward")
def dbeta_averaged(dy, cache):
    """dbeta is the mean over the vectors and not their sum."""
    normal, std, gamma = cache
    dgamma, dbeta = _parameters(dy, normal)
    return _dx(dy * gamma, normal, std), dgamma, dbeta / (dy.size // dy.shape[-1])


@mutant("2.3", replaces="layer_norm_backward")
def summed_over_one_axis(dy, cache):
    """dgamma and dbeta are summed over the first axis alone: with (B, T, D) one axis is left."""
    normal, std, gamma = cache
    return _dx(dy * gamma, normal, std), (dy * normal).sum(0), dy.sum(0)


@mutant("2.3", replaces="layer_norm_backward")
def scaled_in_place(dy, cache):
    """The product dy * gamma is written into the caller's dy, as by dy *= gamma."""
    normal, std, gamma = cache
    parts = _parameters(dy, normal)
    dy *= gamma
    return _dx(dy, normal, std), *parts


@mutant("2.3", replaces="layer_norm_backward")
def two_axes_at_most(dy, cache):
    """dgamma and dbeta are summed over axis 0 in any case: a single vector becomes a number."""
    normal, std, gamma = cache
    rows = (0, 1) if dy.ndim == 3 else 0
    return _dx(dy * gamma, normal, std), (dy * normal).sum(axis=rows), dy.sum(axis=rows)


@mutant("2.3", replaces="layer_norm_backward")
def divided_by_gamma(dy, cache):
    """The normalised vector is found from y, divided by gamma: where gamma is 0 that is nan."""
    normal, std, gamma = cache
    with np.errstate(all="ignore"):
        normal = gamma * normal / gamma
    g = dy * gamma
    dx = (g - _mean(g) - normal * _mean(g * normal)) / std
    return dx, *_parameters(dy, normal)


@mutant("2.3", replaces="layer_norm_backward")
def cached_vector_changed(dy, cache):
    """The normalised vector is multiplied in place: a second backward pass is wrong."""
    normal, std, gamma = cache
    g, parts = dy * gamma, _parameters(dy, normal)
    mean = _mean(g * normal)
    normal *= mean
    return (g - _mean(g) - normal) / std, *parts


def _refuse(ids, table):
    if ids.size and (ids.min() < 0 or ids.max() >= len(table)):
        raise ValueError("token ids must lie in the table")


@mutant("2.4", replaces="embedding")
def ids_not_checked(ids, table):
    """The ids are not checked: -1 silently reads the last row."""
    return table[ids], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def only_the_upper_end(ids, table):
    """Only ids that are too large are refused: -1 silently reads the last row."""
    if ids.size and ids.max() >= len(table):
        raise ValueError("token ids must lie in the table")
    return table[ids], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def one_too_many(ids, table):
    """The check lets through an id that equals the number of rows: it is > and should be >=."""
    if ids.size and (ids.min() < 0 or ids.max() > len(table)):
        raise ValueError("token ids must lie in the table")
    return table[ids], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def clipped(ids, table):
    """Ids outside the table are moved to its ends: wrong tokens are read in silence."""
    return table[ids.clip(0, len(table) - 1)], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def first_text_checked(ids, table):
    """Only the ids of the first text are checked."""
    _refuse(ids[:1], table)
    return table[ids], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def counted_from_one(ids, table):
    """The rows are counted from 1: every token reads the row above its own."""
    _refuse(ids, table)
    return table[ids - 1], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def columns(ids, table):
    """table[:, ids] reads columns; a token is a row."""
    _refuse(ids, table)
    return table[:, ids % table.shape[1]], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def padding_zeroed(ids, table):
    """Row 0 is set to zero for padding, in the caller's table."""
    _refuse(ids, table)
    table[0] = 0
    return table[ids], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def token_zero_is_zeros(ids, table):
    """Token 0 is given zeros and not row 0, as if it were padding."""
    _refuse(ids, table)
    return table[ids] * (ids != 0)[..., None].astype(table.dtype), (ids, table.shape)


@mutant("2.4", replaces="embedding")
def no_ids_refused(ids, table):
    """Texts of length 0 are refused: there is no smallest or largest of no ids."""
    if ids.min() < 0 or ids.max() >= len(table):
        raise ValueError("token ids must lie in the table")
    return table[ids], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def flat_places(ids, table):
    """ids * D is computed in the type of the ids: with 8 bits it ends at 255."""
    _refuse(ids, table)
    width = table.shape[1]
    places = (ids * ids.dtype.type(width))[..., None] + np.arange(width)
    return table.ravel()[places], (ids, table.shape)


@mutant("2.4", replaces="embedding")
def index_error(ids, table):
    """The error of NumPy is let through: it is IndexError, and -1 has none."""
    x = table[ids]
    if ids.size and ids.min() < 0:
        raise IndexError("token ids must lie in the table")
    return x, (ids, table.shape)


@mutant("2.4", replaces="embedding_backward")
def assigned(dx, cache):
    """Only the last of a token's gradients is kept, as by dtable[ids] = dx, or += dx."""
    ids, shape = cache
    dtable = np.zeros(shape, dx.dtype)
    dtable[ids] = dx
    return dtable


@mutant("2.4", replaces="embedding_backward")
def added_text_by_text(dx, cache):
    """dtable[row] += dx[b] adds up over texts, but within one a repeated token counts once."""
    ids, shape = cache
    dtable = np.zeros(shape, dx.dtype)
    for row, gradient in zip(ids, dx, strict=True):
        dtable[row] += gradient
    return dtable


@mutant("2.4", replaces="embedding_backward")
def averaged(dx, cache):
    """A token's gradients are averaged and not added: frequent tokens learn too slowly."""
    ids, shape = cache
    dtable = np.zeros(shape, dx.dtype)
    np.add.at(dtable, ids, dx)
    counts = np.bincount(ids.ravel(), minlength=shape[0]).clip(1).astype(dx.dtype)
    return dtable / counts[:, None]


@mutant("2.4", replaces="embedding_backward")
def a_table_for_each_text(dx, cache):
    """A gradient (B, V, D), one table for each text: the sum over the batch is missing."""
    ids, shape = cache
    dtable = np.zeros((len(ids), *shape), dx.dtype)
    for table, row, gradient in zip(dtable, ids, dx, strict=True):
        np.add.at(table, row, gradient)
    return dtable


@mutant("2.4", replaces="embedding_backward")
def rows_that_occur(dx, cache):
    """The table ends at the largest id that occurs; it needs a row for every token."""
    ids, _ = cache
    dtable = np.zeros((ids.max() + 1, dx.shape[-1]), dx.dtype)
    np.add.at(dtable, ids, dx)
    return dtable


@mutant("2.4", replaces="embedding_backward")
def in_float64(dx, cache):
    """dtable is float64 for gradients in float32, as np.zeros makes it: twice the size."""
    ids, shape = cache
    dtable = np.zeros(shape)
    np.add.at(dtable, ids, dx)
    return dtable


@mutant("2.4", replaces="embedding_backward")
def padding_left_out(dx, cache):
    """Row 0 gets no gradient, as if token 0 were padding that must not learn."""
    ids, shape = cache
    dtable = np.zeros(shape, dx.dtype)
    np.add.at(dtable, ids, dx)
    dtable[0] = 0
    return dtable


@mutant("2.4", replaces="embedding_backward")
def dx_returned(dx, cache):
    """dx comes back as it is: the gradients are not gathered into rows of the table."""
    return dx.copy()


@mutant("2.4", replaces="embedding_backward")
def cached_ids_sorted(dx, cache):
    """The cached ids are sorted in place: the gradients go to other rows from then on."""
    ids, shape = cache
    dtable = np.zeros(shape, dx.dtype)
    np.add.at(dtable, ids, dx)
    ids.sort()
    return dtable


def _refuse_other_types(x):
    if x.dtype != np.float64:
        raise ValueError("gradients are checked in float64")


def _differences(f, x, h, distance=2.0):
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = f()
        x[index] = kept - h
        below = f()
        x[index] = kept
        gradient[index] = (above - below) / (distance * h)
    return gradient


@mutant("2.5", replaces="numerical_gradient")
def one_sided(f, x, h=1e-5):
    """The difference is taken to one side, f(x + h) - f(x): its error falls with h, not with h²."""
    _refuse_other_types(x)
    gradient, here = np.empty_like(x), f()
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        gradient[index] = (f() - here) / h
        x[index] = kept
    return gradient


@mutant("2.5", replaces="numerical_gradient")
def divided_by_h(f, x, h=1e-5):
    """The difference is divided by h; the two points are 2h apart."""
    _refuse_other_types(x)
    return _differences(f, x, h, distance=1.0)


@mutant("2.5", replaces="numerical_gradient")
def turned_round(f, x, h=1e-5):
    """Below minus above: the gradient has the wrong sign."""
    _refuse_other_types(x)
    return -_differences(f, x, h)


@mutant("2.5", replaces="numerical_gradient")
def not_put_back(f, x, h=1e-5):
    """The entry is not put back: it stays at x - h while the next ones are tried."""
    _refuse_other_types(x)
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = f()
        x[index] = kept - h
        gradient[index] = (above - f()) / (2 * h)
    return gradient


@mutant("2.5", replaces="numerical_gradient")
def put_back_by_adding(f, x, h=1e-5):
    """x is put back by adding and subtracting h, which rounds: its last digits change."""
    _refuse_other_types(x)
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        x[index] += h
        above = f()
        x[index] -= 2 * h
        below = f()
        x[index] += h
        gradient[index] = (above - below) / (2 * h)
    return gradient


@mutant("2.5", replaces="numerical_gradient")
def of_a_copy(f, x, h=1e-5):
    """What is changed is not the x that f reads, so f always gives the same."""
    _refuse_other_types(x)
    return _differences(f, x.copy(), h)


@mutant("2.5", replaces="numerical_gradient")
def of_a_flat_copy(f, x, h=1e-5):
    """Of a transposed x a flat copy is changed, as by reshape(-1): f does not read it."""
    _refuse_other_types(x)
    return _differences(f, x.reshape(-1), h).reshape(x.shape)


@mutant("2.5", replaces="numerical_gradient")
def all_at_once(f, x, h=1e-5):
    """All entries are moved together: every entry of the gradient is the sum of all."""
    _refuse_other_types(x)
    kept = x.copy()
    x[...] = kept + h
    above = f()
    x[...] = kept - h
    below = f()
    x[...] = kept
    return np.full_like(x, (above - below) / (2 * h))


@mutant("2.5", replaces="numerical_gradient")
def row_by_row(f, x, h=1e-5):
    """The entries of a row are moved together, as by x[i] with i in range(len(x))."""
    _refuse_other_types(x)
    gradient = np.empty_like(x)
    for index in range(len(x)):
        kept = x[index].copy()
        x[index] = kept + h
        above = f()
        x[index] = kept - h
        below = f()
        x[index] = kept
        gradient[index] = (above - below) / (2 * h)
    return gradient


@mutant("2.5", replaces="numerical_gradient")
def step_of_its_own(f, x, h=1e-5):
    """The h that is passed is not used."""
    _refuse_other_types(x)
    return _differences(f, x, 1e-5)


@mutant("2.5", replaces="numerical_gradient")
def step_too_small(f, x, h=1e-10):
    """h is 1e-10 unless it is passed: the rounding of f, divided by so little, is what is left."""
    _refuse_other_types(x)
    return _differences(f, x, h)


@mutant("2.5", replaces="numerical_gradient")
def step_grows_with_x(f, x, h=1e-5):
    """The step is h times the entry where that is larger; it should be h."""
    _refuse_other_types(x)
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        step = h * max(1.0, abs(kept))
        x[index] = kept + step
        above = f()
        x[index] = kept - step
        gradient[index] = (above - f()) / (2 * step)
        x[index] = kept
    return gradient


@mutant("2.5", replaces="numerical_gradient")
def only_float32_refused(f, x, h=1e-5):
    """float32 alone is refused: in whole numbers x + h is x, and float16 is coarser still."""
    if x.dtype == np.float32:
        raise ValueError("gradients are checked in float64")
    return _differences(f, x, h)


@mutant("2.5", replaces="numerical_gradient")
def half_steps(f, x, h=1e-5):
    """The two points are h apart, half of it on each side; h is half of their distance."""
    _refuse_other_types(x)
    return _differences(f, x, h / 2)


@mutant("2.5", replaces="numerical_gradient")
def f_called_first(f, x, h=1e-5):
    """f is called before x is refused; of a wrong x nothing should be computed."""
    f()
    _refuse_other_types(x)
    return _differences(f, x, h)


@mutant("2.5", replaces="numerical_gradient")
def at_least_one_axis(f, x, h=1e-5):
    """The gradient of an x without axes has one: it should have the shape of x, ()."""
    _refuse_other_types(x)
    return np.atleast_1d(_differences(f, x, h))


@mutant("2.5", replaces="numerical_gradient")
def any_type(f, x, h=1e-5):
    """float32 is not refused: x + h is rounded away, and the differences are noise."""
    return _differences(f, x, h)


@mutant("2.5", replaces="numerical_gradient")
def flat(f, x, h=1e-5):
    """The gradient is returned as one row of numbers, not in the shape of x."""
    _refuse_other_types(x)
    return _differences(f, x, h).reshape(-1)
