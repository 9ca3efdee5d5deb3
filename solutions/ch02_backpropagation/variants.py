"""Right versions of the exercises of chapter 2 in other styles: the checks must accept each."""

import numpy as np

from groundup.course.exercises.mutants import variant


@variant("2.1", replaces="linear")
def by_einsum(x, weight, bias=None):
    """einsum, a bias of zeros for None, and a list for the cache."""
    if bias is None:
        bias = np.zeros(weight.shape[1], x.dtype)
    return np.einsum("...d,de->...e", x, weight) + bias, [x, weight]


@variant("2.1", replaces="linear_backward")
def by_tensordot(dy, cache):
    """All axes but the last are summed at once, and a list is returned."""
    x, weight = cache
    rows = tuple(range(dy.ndim - 1))
    dweight = np.tensordot(x, dy, (rows, rows))
    return [np.einsum("...e,de->...d", dy, weight), dweight, dy.sum(axis=rows)]


@variant("2.1", replaces="linear_backward")
def row_by_row(dy, cache):
    """A loop over the rows, which adds outer products."""
    x, weight = cache
    dx, dweight = np.empty_like(x), np.zeros_like(weight)
    dbias = np.zeros(weight.shape[1], dy.dtype)
    for row in np.ndindex(x.shape[:-1]):
        dx[row] = weight @ dy[row]
        dweight += np.outer(x[row], dy[row])
        dbias += dy[row]
    return dx, dweight, dbias


@variant("2.2", replaces="softmax")
def by_the_logarithm(x):
    """The logarithm of the sum is subtracted inside exp."""
    masked = np.isneginf(x).all(axis=-1, keepdims=True)
    safe = np.where(masked, x.dtype.type(0), x)
    top = safe.max(axis=-1, keepdims=True)
    whole = top + np.log(np.exp(safe - top).sum(axis=-1, keepdims=True))
    return np.where(masked, x.dtype.type(0), np.exp(safe - whole))


@variant("2.2", replaces="softmax")
def nan_replaced(x):
    """The nan of a row that is masked throughout is replaced afterwards."""
    with np.errstate(invalid="ignore"):
        e = np.exp(x - np.max(x, -1)[..., None])
        return np.nan_to_num(e / np.sum(e, -1)[..., None])


@variant("2.2", replaces="softmax_backward")
def whole_jacobian(dp, p):
    """The Jacobian of each row is built as a square."""
    square = np.einsum("...i,ij->...ij", p, np.eye(p.shape[-1], dtype=p.dtype))
    square = square - p[..., :, None] * p[..., None, :]
    return (dp[..., None, :] @ square)[..., 0, :]


@variant("2.3", replaces="layer_norm")
def by_var(x, gamma, beta, eps=1e-5):
    """np.var and a multiplication by the inverse deviation; the cache is a list."""
    std = np.sqrt(np.var(x, axis=-1, keepdims=True) + eps)
    normal = (x - np.mean(x, axis=-1, keepdims=True)) * (1 / std)
    return normal * gamma + beta, [normal, std, gamma]


@variant("2.3", replaces="layer_norm_backward")
def sums_over_the_width(dy, cache):
    """dx by sums and a common factor 1/(D·σ), the parameters by rows, in a list."""
    normal, std, gamma = cache
    width = dy.shape[-1]
    g = gamma * dy
    inner = width * g - g.sum(-1, keepdims=True) - normal * (g * normal).sum(-1, keepdims=True)
    rows_dy, rows = dy.reshape(-1, width), normal.reshape(-1, width)
    return [inner / (width * std), np.einsum("nd,nd->d", rows_dy, rows), rows_dy.sum(0)]


@variant("2.4", replaces="embedding")
def by_take(ids, table):
    """np.take, after a comparison of every id."""
    if not np.all((ids >= 0) & (ids < table.shape[0])):
        raise ValueError("an id is not a row of the table")
    return np.take(table, ids, axis=0), [ids, table.shape]


@variant("2.4", replaces="embedding_backward")
def by_a_one_hot_product(dx, cache):
    """A product with the one-hot rows, which are built."""
    ids, (size, width) = cache
    one_hot = np.eye(size, dtype=dx.dtype)[ids.ravel()]
    return one_hot.T @ dx.reshape(-1, width)


@variant("2.4", replaces="embedding_backward")
def position_by_position(dx, cache):
    """A loop over all positions of all texts."""
    ids, shape = cache
    dtable = np.zeros(shape, dtype=dx.dtype)
    for place, token in np.ndenumerate(ids):
        dtable[token] += dx[place]
    return dtable


@variant("2.5", replaces="numerical_gradient")
def by_flat(f, x, h=1e-5):
    """x.flat, which writes into views too, and a finally that puts the entry back."""
    if not x.dtype == float:
        raise ValueError(f"x must be float64: {x.dtype}")
    slopes = []
    for n in range(x.size):
        old = x.flat[n]
        try:
            values = []
            for step in (h, -h):
                x.flat[n] = old + step
                values.append(f())
        finally:
            x.flat[n] = old
        slopes.append((values[0] - values[1]) / (2 * h))
    return np.array(slopes).reshape(x.shape)


@variant("2.5", replaces="numerical_gradient")
def by_nditer(f, x, h=1e-5):
    """np.nditer with a multi-index, and the whole array put back from a copy."""
    if x.dtype != "float64":
        raise ValueError("x must be float64")
    before, gradient = x.copy(), np.zeros(x.shape)
    places = np.nditer(before, flags=["multi_index"])
    for _ in places:
        place = places.multi_index
        x[place] = before[place] - h
        below = f()
        x[...] = before
        x[place] = before[place] + h
        gradient[place] = (f() - below) / (h + h)
        x[...] = before
    return gradient
