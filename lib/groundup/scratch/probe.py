"""What an encoder's vectors hold: its hidden states, linear probes on them, and their geometry."""

from dataclasses import dataclass

import numpy as np

from groundup.scratch.blocks import block_params, post_norm_block, pre_norm_block
from groundup.scratch.encoder import Encoder
from groundup.scratch.linear import embedding
from groundup.scratch.normalization import layer_norm
from groundup.scratch.types import Array, BoolArray, IntArray


def hidden_states(model: Encoder, ids: IntArray, mask: BoolArray | None = None) -> list[Array]:
    """The vector of every token, before the first block and after each.

    Args:
        model: an encoder. It is not changed, and drops nothing.
        ids: (B, T) token ids.
        mask: (B, T), True at real tokens. None: no padding.

    Returns:
        layers + 1 arrays (B, T, D). The last is what pooling and the classifier read; in a model
        with pre-norm blocks, that is after the last norm.
    """
    params, config = model.params, model.config
    block = post_norm_block if config.norm == "post" else pre_norm_block
    tokens, _ = embedding(ids, params["embedding"])
    states: list[Array] = [tokens + model.positions[: ids.shape[1]]]
    for i in range(config.layers):
        states.append(block(states[-1], block_params(params, i), config.heads, mask)[0])
    if config.norm == "pre":
        states[-1], _ = layer_norm(states[-1], params["norm.gamma"], params["norm.beta"])
    return states


def fit_probe(
    x: Array, labels: IntArray, classes: int, penalty: float = 1.0
) -> tuple[Array, Array]:
    r"""A linear probe: ridge regression from vectors to classes, in closed form.

    Each label becomes a row of C numbers, 1 at its class and 0 elsewhere. Weights and bias make
    the sum of squared differences between these rows and ``x @ weights + bias`` smallest, plus
    ``penalty`` times the sum of the squared weights. The bias is not penalised. The predicted class
    is the one with the largest entry. (Alain and Bengio, 2016, probe with a softmax instead.)

    Args:
        x: (N, D) vectors.
        labels: (N,) classes, in [0, C), of any integer type.
        classes: C.
        penalty: above 0, so that there is one solution however many columns depend on others.

    Returns:
        weights (D, C) and bias (C,), in the dtype of x.

    Raises:
        ValueError: the penalty is not above 0, or a label lies outside [0, C).

    Derivation:
        Setting the derivative by the bias to zero gives :math:`b = \bar y - \bar x W`. With that,
        the bias drops out when x and y are taken from their means, and the derivative by
        :math:`W` gives :math:`(x_c^\top x_c + \lambda I)\,W = x_c^\top y_c`.
    """
    if not penalty > 0:
        raise ValueError(f"penalty must be above 0: got {penalty}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must lie in [0, {classes}): got {labels.min()} to {labels.max()}")
    y = np.eye(classes, dtype=x.dtype)[labels.astype(int, casting="same_kind")]  # (N, C)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    x_c, y_c = x - mean_x, y - mean_y
    gram = x_c.T @ x_c + penalty * np.eye(x.shape[1], dtype=x.dtype)
    weights: Array = np.linalg.solve(gram, x_c.T @ y_c)
    return weights, mean_y - mean_x @ weights


@dataclass(frozen=True)
class Probe:
    """How a probe did on rows that it was not fitted to, as shares of right answers.

    Attributes:
        accuracy: on the labels in question.
        control: of a second probe, on labels drawn at random for each type of row (Hewitt and
            Liang, 2019). It shows how much a probe can learn by heart from such vectors.
        guess: of always naming the label that is most common in the fitted rows.
    """

    accuracy: float
    control: float
    guess: float

    @property
    def selectivity(self) -> float:
        """What the labels in question have over random ones: accuracy minus control."""
        return self.accuracy - self.control


def probe(
    x: Array,
    labels: IntArray,
    types: IntArray,
    fitted: BoolArray,
    rng: np.random.Generator,
    penalty: float = 1.0,
) -> Probe:
    """Fit a probe to some rows, and ask it about the others; likewise for a control.

    Args:
        x: (N, D) vectors.
        labels: (N,) what may be encoded in them, counted from 0.
        types: (N,) whole numbers. The control gives all rows of one type the same random label, so
            a type stands for what decides the label in question, such as a word.
        fitted: (N,), True at rows to fit the probe to. The others are asked.
        rng: draws the control's labels.
        penalty: as for :func:`fit_probe`.

    Raises:
        ValueError: no row is fitted, or none is asked.
    """
    if fitted.all() or not fitted.any():
        raise ValueError(f"some rows are fitted, others asked: got {fitted.sum()} of {len(fitted)}")
    classes = int(labels.max()) + 1
    _, numbers = np.unique(types, return_inverse=True)
    control = rng.integers(classes, size=numbers.max() + 1)[numbers]

    def score(targets: IntArray) -> float:
        weights, bias = fit_probe(x[fitted], targets[fitted], classes, penalty)
        named = (x[~fitted] @ weights + bias).argmax(axis=-1)
        return float((named == targets[~fitted]).mean())

    common = np.bincount(labels[fitted]).argmax()
    return Probe(score(labels), score(control), float((labels[~fitted] == common).mean()))


@dataclass(frozen=True)
class Geometry:
    """How the vectors of things in an order, such as the digits, lie to each other.

    Attributes:
        cosines: (n, n) of the angles between them.
        coordinates: (n, 2) on the first two principal axes, from their mean. Each axis points the
            way in which the order grows.
        explained: (2,) the share of all variance that lies along each axis.
        number_line: from -1 to 1: the rank correlation of distances with differences of place in
            the order. 1: the further apart in the order, the further apart in space; near 0: the
            distances know nothing of the order.
    """

    cosines: Array
    coordinates: Array
    explained: Array
    number_line: float


def geometry(vectors: Array) -> Geometry:
    """Measure the :class:`Geometry` of vectors (n, D), whose rows stand in the order in question.

    Raises:
        ValueError: there are fewer than three rows, or all of them are the same vector.
    """
    count = len(vectors)
    if count < 3:
        raise ValueError(f"an order needs at least three things: got {count}")
    vectors = vectors.astype(np.float64)
    centred = vectors - vectors.mean(axis=0)
    if not centred.any():
        raise ValueError("all vectors are the same: nothing is near or far")
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = u[:, :2] * s[:2]
    place = np.arange(count) - (count - 1) / 2
    coordinates = coordinates * np.where(place @ coordinates < 0, -1, 1)
    first, second = np.triu_indices(count, 1)
    distances = np.linalg.norm(vectors[first] - vectors[second], axis=1)
    distances = (distances / distances.max()).round(9)  # what differs by rounding is equal
    return Geometry(
        directions @ directions.T,
        coordinates,
        s[:2] ** 2 / (s**2).sum(),
        rank_correlation(distances, second - first),
    )


def rank_correlation(a: Array | IntArray, b: Array | IntArray) -> float:
    """Spearman's rank correlation: how far two lists (n,) agree on what is more and what is less.

    Equal values share the mean of their ranks.

    Raises:
        ValueError: the lists differ in length, or one has a single value.
    """
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"two lists of one length are needed: got {a.shape} and {b.shape}")
    ranks = np.array([_ranks(a), _ranks(b)])
    if not np.ptp(ranks, axis=1).all():
        raise ValueError("a list with a single value ranks nothing")
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: Array | IntArray) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = counts.cumsum() - (counts - 1) / 2  # the mean rank of each distinct value
    return ranks[place]
