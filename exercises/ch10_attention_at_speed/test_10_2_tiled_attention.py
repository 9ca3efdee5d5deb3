"""The checks of exercise 10.2, attention in tiles."""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# One query and four keys of width 4: √K is 2, and the scaled scores are ln 1, ln 4, ln 8 and ln 2.
Q = np.array([[2.0, 0.0, 0.0, 0.0]])
K = np.zeros((4, 4))
K[:, 0] = np.log([1.0, 4.0, 8.0, 2.0])
V = np.zeros((4, 4))
V[:, 0] = [8.0, 4.0, 1.0, 2.0]


def counter() -> SimpleNamespace:
    """Counts as Traffic does: numbers loaded, numbers stored, and the largest array of all."""
    counts = np.zeros(3, dtype=np.int64)

    def load(x: Any) -> Any:
        counts[0], counts[2] = counts[0] + x.size, max(counts[2], x.size)
        return x

    def store(x: Any) -> Any:
        counts[1], counts[2] = counts[1] + x.size, max(counts[2], x.size)
        return x

    return SimpleNamespace(load=load, store=store, counts=counts)


def by_definition(
    q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False
) -> tuple[Any, Any]:
    """y and the log-sum-exp, one query at a time, over the keys it may look at and no other."""
    (*lead, queries, width), keys = q.shape, k.shape[-2]
    full = (*lead, queries, keys)
    look = np.ones(full, bool) if mask is None else np.broadcast_to(mask, full)
    y, log_sum = np.zeros(q.shape), np.full((*lead, queries, 1), np.inf)
    for place in np.ndindex(*lead, queries):
        row, t = place[:-1], place[-1]
        last = t + keys - queries if causal else keys
        seen = [s for s in range(keys) if look[(*place, s)] and s <= last]
        if seen:
            scores = [float(q[place] @ k[(*row, s)]) / math.sqrt(width) for s in seen]
            total = math.fsum(map(math.exp, scores))
            shares = [math.exp(score) / total for score in scores]
            y[place] = sum(p * v[(*row, s)] for p, s in zip(shares, seen, strict=True))
            log_sum[place] = math.log(total)
    return y, log_sum


SIZES = (((), 2, 2, 1), ((), 3, 3, 2), ((2,), 2, 5, 3), ((2, 1), 4, 4, 4), ((), 5, 7, 2))
BLOCKS = ((1, 1), (2, 2), (3, 2), (2, 3), (9, 9))


def cases(seed: int) -> Iterator[dict[str, Any]]:
    """Random q, k and v, from small to large, each with a few blocks."""
    rng = np.random.default_rng(seed)
    for lead, t, s, width in SIZES:
        shapes = {"q": (*lead, t, width), "k": (*lead, s, width), "v": (*lead, s, width)}
        case: dict[str, Any] = {n: rng.normal(size=shape).round(1) for n, shape in shapes.items()}
        yield case


def compare(own: Any, case: dict[str, Any], blocks: Any, probably: str) -> None:
    """y against the definition, in tiles of each size."""
    options = {name: case[name] for name in ("mask", "causal") if name in case}
    expected, _ = by_definition(**case)
    for block in blocks:
        inputs = [case[name].copy() for name in "qkv"]
        expect.close(
            own.tiled_attention(*inputs, **options, block=block)[0],
            expected,
            what="y",
            given={**case, "block": block},
            probably=probably,
        )


@check(Layer.SHAPES)
def test_result(own: Any) -> None:
    """y is like q: (..., T, K), float32 if the inputs are"""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 3, n, 4)).astype(np.float32) for n in (2, 5, 5))
    result = own.tiled_attention(q, k, v, block=(2, 2))
    expect.parts(result, ("y", "cache"))
    expect.array(result[0], like=q, shape=q.shape, what="y")
    expect.array(result[1][4], like=q, shape=(2, 3, 2, 1), what="cache[4], the log-sum-exp,")


@check(Layer.SHAPES)
def test_refuses(own: Any) -> None:
    """what does not fit raises ValueError: mask, causal, block"""
    q = Q.repeat(2, axis=0)
    for when, keys, options in (
        ("the mask is of integers", K, {"mask": np.ones((2, 4), int)}),
        ("the mask is of floats", K, {"mask": np.ones((2, 4))}),
        ("the mask is (2, 5), and the scores are (2, 4)", K, {"mask": np.ones((2, 5), bool)}),
        ("the mask is (3, 4), and the scores are (2, 4)", K, {"mask": np.ones((3, 4), bool)}),
        ("there are 2 causal queries and 1 key", K[:1], {"causal": True}),
        ("a tile has 0 queries", K, {"block": (0, 2)}),
        ("a tile has 0 keys", K, {"block": (2, 0)}),
    ):
        with expect.raises(ValueError, when, options):
            own.tiled_attention(q.copy(), keys.copy(), keys.copy(), **options)


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """q, k, v and the mask are left as they were"""
    q, k, v, mask = Q.copy(), K.copy(), V.copy(), np.array([[True, True, False, True]])
    with expect.unchanged(q=q, k=k, v=v, mask=mask):
        own.tiled_attention(q, k, v, mask, block=(1, 2))


@check(Layer.EXAMPLE)
def test_one_tile(own: Any) -> None:
    """one query and four keys in one tile"""
    y, _ = own.tiled_attention(Q.copy(), K.copy(), V.copy(), block=(1, 4))
    expect.close(
        y,
        np.array([[2.4, 0.0, 0.0, 0.0]]),
        what="y",
        given={"q": Q, "k[:, 0]": K[:, 0], "v[:, 0]": V[:, 0], "block": (1, 4)},
        probably="The scores are 2·ln 1, 2·ln 4, 2·ln 8 and 2·ln 2; divided by √4 their "
        "exponentials are 1, 4, 8 and 2, which sum to 15, and (1·8 + 4·4 + 8·1 + 2·2)/15 = 2.4. "
        "If you have 1.694 at [0, 0], the scores are not divided. If you have 2.99 at [0, 0], "
        "they are divided by K and not by its root. If you have 1.28 at [0, 0], the result is "
        "divided by the sum twice, after the tile and at the end.",
    )


@check(Layer.EXAMPLE, points=2)
def test_two_tiles(own: Any) -> None:
    """the same keys in two tiles: of 2 and 2, and of 3 and 1"""
    for size in (2, 3):
        y, _ = own.tiled_attention(Q.copy(), K.copy(), V.copy(), block=(1, size))
        expect.close(
            y,
            np.array([[2.4, 0.0, 0.0, 0.0]]),
            what="y",
            given={"q": Q, "k[:, 0]": K[:, 0], "v[:, 0]": V[:, 0], "block": (1, size)},
            probably="In tiles of 2, the first gives the sum 1.25 and the "
            "output 6, both relative to ln 4; the second makes them 1.875 and 4.5, relative to "
            "ln 8. If you have 1.2 at [0, 0], only the last tile counts. If you have 2.462 at "
            "[0, 0], the last, shorter tile is left out.",
        )


@check(Layer.EXAMPLE)
def test_cache(own: Any) -> None:
    """the cache holds y at its place 3 and the log-sum-exp at 4"""
    _, cache = own.tiled_attention(Q.copy(), K.copy(), V.copy(), block=(1, 2))
    given = {"q": Q, "k[:, 0]": K[:, 0], "v[:, 0]": V[:, 0], "block": (1, 2)}
    y = np.array([[2.4, 0.0, 0.0, 0.0]])
    expect.close(cache[3], y, what="cache[3], y,", given=given)
    expect.close(
        cache[4],
        np.log([[15.0]]),
        what="cache[4], the log-sum-exp,",
        given=given,
        probably="The cache is (q, k, v, y, log_sum, mask, causal, block), and the exponentials "
        "of the scaled scores sum to 15: ln 15 = 2.708.",
    )


@check(Layer.EXAMPLE)
def test_the_rest_of_the_cache(own: Any) -> None:
    """it also holds q, k, v, mask, causal and block, each in place"""
    inputs, mask = (Q.copy(), K.copy(), V.copy()), np.array([[True, True, False, True]])
    for chosen, causal, block in ((mask, False, (3, 2)), (None, True, (2, 3))):
        _, cache = own.tiled_attention(*inputs, chosen, causal, block=block)
        if len(cache) != 8:
            expect.fail(f"The cache has {len(cache)} parts, not 8.")
        for name, kept, given in zip("qkv", cache, inputs, strict=False):
            expect.close(kept, given, what=f"{name} in the cache")
        if chosen is None:
            if cache[5] is not None:
                expect.fail("cache[5], the mask, should be None, as it was given.")
        else:
            look = np.broadcast_to(cache[5], mask.shape)
            expect.close(look, mask, what="cache[5], the mask,")
        for at, name, given in ((6, "causal", causal), (7, "block", block)):
            if cache[at] != given:
                expect.fail(f"cache[{at}], {name}, is {cache[at]!r}, and {given!r} was given.")


@check(Layer.EXAMPLE, points=2)
def test_two_queries(own: Any) -> None:
    """two queries in two tiles: each begins with nothing seen"""
    q = np.array([[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    y, _ = own.tiled_attention(q, K.copy(), V.copy(), block=(1, 2))
    expect.close(
        y,
        np.array([[2.4, 0.0, 0.0, 0.0], [3.75, 0.0, 0.0, 0.0]]),
        what="y",
        given={"q": q, "k[:, 0]": K[:, 0], "v[:, 0]": V[:, 0], "block": (1, 2)},
        probably="The second query has four scores of 0, so its result is the mean of 8, 4, 1 and "
        "2. If you have 2.684 at [1, 0], the largest score, the sum and the output are those that "
        "the first query has left.",
    )


@check(Layer.EXAMPLE, points=2)
def test_causal(own: Any) -> None:
    """a causal mask whose edge runs through the tiles"""
    q, k, v = np.zeros((4, 1)), np.zeros((4, 1)), V[:, :1].copy()
    y, _ = own.tiled_attention(q, k, v, causal=True, block=(2, 2))
    expect.close(
        y,
        np.array([[8.0], [6.0], [13 / 3], [3.75]]),
        what="y",
        given={"q": q, "k": k, "v": v, "causal": True, "block": (2, 2)},
        probably="All scores are 0, so each result is the mean of the values up to its own place: "
        "8, 12/2, 13/3, 15/4. If you have 3.75 at [0, 0], everyone looks everywhere. If you have 6 "
        "at [2, 0], the tile on the diagonal is skipped or cut: only tiles wholly above it are "
        "empty. If you have 4.5 at [2, 0], the places are counted inside the tile.",
    )


@check(Layer.EXAMPLE, points=2)
def test_traffic(own: Any) -> None:
    """what is loaded and stored, counted by hand"""
    q, k, v = np.zeros((4, 1)), np.zeros((4, 1)), np.ones((4, 1))
    lower = np.tri(4, dtype=bool)
    for block, mask, causal, loaded in (
        ((2, 2), None, False, 4 + 2 * 8),
        ((2, 2), None, True, 4 + 3 * 4),
        ((2, 2), lower, False, 4 + 3 * 4),
        ((1, 2), None, False, 4 + 4 * 8),
    ):
        traffic = counter()
        own.tiled_attention(q, k, v, mask, causal, block, traffic)
        for what, received, expected in zip(
            ("loaded", "stored", "in the largest tile"),
            traffic.counts.copy(),
            (loaded, 4 + 4, 2),
            strict=True,
        ):
            expect.close(
                received,
                expected,
                what=f"The count of numbers {what}",
                given={"T, S, K": "4, 4, 1", "block": block, "causal": causal, "mask": mask},
                probably="In tiles of 2 and 2, the 4 numbers of q are loaded once and the 8 of k "
                "and v for each of the two tiles of queries: 20. Where no query may look ahead, by "
                "causal or by a mask, one pair of tiles of the four is empty and not loaded: "
                "4 + 3·4 = 16. With one query in a tile "
                "k and v are loaded four times: 36. Stored are the 4 numbers of y and the 4 of the "
                "log-sum-exp. If you have 24, q is loaded for each pair of tiles. If you have 12, "
                "everything is loaded in one piece.",
            )


@check(Layer.RANDOM)
def test_random(own: Any) -> None:
    """random cases in tiles of many sizes, from the definition"""
    for case in cases(101):
        compare(
            own,
            case,
            BLOCKS,
            "Tiles need not divide the length, any axes may come in front of T, and T and S may "
            "differ.",
        )


@check(Layer.RANDOM, points=2)
def test_random_masks(own: Any) -> None:
    """random masks, causal masks, and both"""
    rng = np.random.default_rng(102)
    for n, case in enumerate(cases(103)):
        full = (*case["q"].shape[:-1], case["k"].shape[-2])
        shapes = (full, full[-1:], (full[-2], 1))  # all of them broadcast to the scores
        mask, other = (rng.random(shapes[(n + i) % 3]) < 0.6 for i in range(2))
        for options in ({"mask": mask}, {"causal": True}, {"mask": other, "causal": True}):
            compare(
                own,
                {**case, **options},
                BLOCKS[1:4],
                "Each tile has its own part of the mask, which may broadcast to (..., T, S), and a "
                "score that must not be seen is minus infinity before merge_block.",
            )


@check(Layer.STABILITY)
def test_nothing_to_look_at(own: Any) -> None:
    """a query that may look nowhere gets zeros; scores are large"""
    q, k = np.array([[100.0], [100.0]]), np.array([[100.0], [99.0]])
    v, mask = np.array([[1.0], [2.0]]), np.array([[True, True], [False, False]])
    y, _ = own.tiled_attention(q, k, v, mask, block=(2, 1))
    expect.close(
        y,
        np.array([[1.0], [0.0]]),
        what="y",
        given={"q": q, "k": k, "v": v, "mask": mask, "block": (2, 1)},
        probably="The scores are 10000 and 9900, and exp(10000) is too large for a float: "
        "merge_block takes off the largest. A masked score is minus infinity, not a large "
        "negative number and not 0.",
    )
