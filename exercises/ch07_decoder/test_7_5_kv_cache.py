"""The checks of exercise 7.5, reading nothing twice."""

from dataclasses import replace
from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check
from groundup.scratch.decoder import Decoder, DecoderConfig, KVCache

SMALL = DecoderConfig(vocabulary=7, width=4, heads=2, layers=2, hidden=4, max_length=6)


def column(*numbers: float) -> Any:
    """(1, 1, T, 1) keys or values of one row and one head, one number each."""
    return np.array(numbers, dtype=float).reshape(1, 1, -1, 1)


def narrow(layers: int = 1) -> KVCache:
    """A cache of four places for one row, one head, one number a key."""
    return KVCache(DecoderConfig(5, 1, 1, layers, 1, 4), 1, np.float64)


def model(dtype: Any = np.float64) -> Decoder:
    """A small decoder, its weights large enough for every position to count."""
    rng = np.random.default_rng(7)
    made = Decoder.create(SMALL, rng, dtype)
    made.params |= {name: 3 * made.params[name] for name in ("embedding", "positions")}
    return made


@check(Layer.SHAPES)
def test_extend_shapes(own: Any) -> None:
    """extend returns keys and values, those so far and no more"""
    cache = KVCache(SMALL, 3, np.float32)
    cache.length = 2
    new = np.ones((3, 2, 1, 2), np.float32)
    result = own.extend(cache, 0, new, new)
    expect.parts(result, ("keys", "values"))
    for name, received in zip(("keys", "values"), result, strict=True):
        expect.array(
            received,
            like=new,
            shape=(3, 2, 3, 2),
            what=name,
            probably="Two older tokens and a new one are three; the places behind are empty.",
        )


@check(Layer.SHAPES)
def test_step_shape(own: Any) -> None:
    """step returns the logits of the new tokens"""
    ids = np.array([[1, 2], [3, 4]])
    for dtype in (np.float64, np.float32):
        received = own.step(model(dtype), ids, KVCache(replace(SMALL), 2, dtype))
        expect.array(received, like=np.zeros(0, dtype), shape=(2, 2, 7), what="logits")


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """new keys, values, ids and mask are left as they were"""
    k, v = column(1.0), column(2.0)
    with expect.unchanged(k=k, v=v):
        own.extend(narrow(), 0, k, v)
    ids, mask = np.array([[0, 1, 2]]), np.array([[False, True, True]])
    with expect.unchanged(ids=ids, mask=mask):
        own.step(model(), ids, KVCache(SMALL, 1, np.float64), mask)


@check(Layer.EXAMPLE, points=2)
def test_three_keys(own: Any) -> None:
    """keys 1 and 2, then key 3: all three come back, in this order"""
    cache = narrow()
    own.extend(cache, 0, column(1, 2), column(10, 20))
    cache.length = 2
    result = own.extend(cache, 0, column(3), column(30))
    given = {"stored": np.array([1, 2]), "length": 2, "new": np.array([3])}
    for name, received, factor in zip(("keys", "values"), result, (1, 10), strict=True):
        expect.close(
            np.asarray(received).reshape(-1),
            factor * np.array([1.0, 2.0, 3.0]),
            what=name,
            given=given,
            probably="The older ones are in places 0 and 1, and the new one goes to place 2, "
            "which is length. If you have 3 at [0], the first is overwritten. If you have 3 at "
            "[1], the last is. If you have 10 at [0], keys and values have changed places.",
        )


@check(Layer.EXAMPLE)
def test_layers_apart(own: Any) -> None:
    """two layers store at the same place, each its own"""
    cache = narrow(layers=2)
    own.extend(cache, 0, column(1), column(10))
    received, _ = own.extend(cache, 1, column(2), column(20))
    given = {"layer 0 stores": np.array([1]), "layer 1 stores": np.array([2]), "length": 0}
    expect.close(
        np.asarray(received).reshape(-1),
        np.array([2.0]),
        what="keys, of layer 1,",
        given=given,
        probably="Both layers read the same tokens, so both store at length, which step moves on "
        "when all layers are done.",
    )
    cache.length = 1
    received, _ = own.extend(cache, 0, column(3), column(30))
    expect.close(
        np.asarray(received).reshape(-1),
        np.array([1.0, 3.0]),
        what="keys, of layer 0, one token later,",
        given=given,
        probably="If you have 2 at [0], all layers write into one.",
    )


@check(Layer.EXAMPLE)
def test_length_and_mask(own: Any) -> None:
    """step moves the length on by T, and remembers what is padding"""
    cache = KVCache(SMALL, 1, np.float64)
    own.step(model(), np.array([[0, 1, 2]]), cache, np.array([[False, True, True]]))
    expect.number(cache.length, what="cache.length")
    expect.close(
        cache.length, 3, what="cache.length after three tokens", given={"T": 3}, probably="T = 3."
    )
    own.step(model(), np.array([[3]]), cache)
    expect.close(
        cache.mask[0],
        np.array([False, True, True, True, False, False]),
        what="cache.mask after three tokens and one",
        given={"mask of the first three": np.array([False, True, True])},
        probably="Without a mask, the new tokens are real.",
    )


@check(Layer.EXAMPLE)
def test_refuses_what_does_not_fit(own: Any) -> None:
    """what does not fit raises ValueError and changes nothing"""
    other, taller = replace(SMALL, vocabulary=8), replace(SMALL, layers=3)
    longer = replace(SMALL, max_length=8)
    one, read = np.ones((1, 1), int), KVCache(SMALL, 1, np.float64)
    own.step(model(), np.array([[1, 2, 3, 4]]), read)
    cases: tuple[tuple[str, KVCache, Any, Any], ...] = (
        ("4 tokens are in the cache, of 6 that fit, and 3 come", read, np.ones((1, 3), int), None),
        ("7 tokens come and 6 fit", KVCache(SMALL, 1, np.float64), np.ones((1, 7), int), None),
        ("the cache is of one row and ids of two", read, np.ones((2, 1), int), None),
        ("the cache is of two rows and ids of one", KVCache(SMALL, 2, np.float64), one, None),
        ("the cache is float32 and the model float64", KVCache(SMALL, 1, np.float32), one, None),
        ("the cache is for a vocabulary of 8, not 7", KVCache(other, 1, np.float64), one, None),
        ("the cache has room for 8 tokens, not 6", KVCache(longer, 1, np.float64), one, None),
        ("the cache is for 3 layers, not 2", KVCache(taller, 1, np.float64), one, None),
        ("an id is 7 and there are 7 tokens", read, 7 * one, None),
        ("an id is -1", read, -one, None),
        ("ids have one axis", read, np.array([1]), None),
        ("ids are floats", read, np.ones((1, 1)), None),
        ("the mask is (1, 2) and ids (1, 1)", read, one, np.ones((1, 2), bool)),
        ("the mask holds integers", read, one, one),
    )
    for when, cache, ids, mask in cases:
        before = [cache.keys.copy(), cache.values.copy(), cache.mask.copy(), cache.length]
        with np.errstate(all="ignore"), expect.raises(ValueError, when):
            own.step(model(), ids, cache, mask)
        after = (cache.keys, cache.values, cache.mask, cache.length)
        for name, old, new in zip(("keys", "values", "mask", "length"), before, after, strict=True):
            if not np.array_equal(old, new):
                says = f"cache.{name} is changed by a call that is refused, when {when}."
                expect.fail(says, probably="Ask for everything that is refused first.")
    with expect.raises(ValueError, "the cache is float64 and the model float32"):
        own.step(model(np.float32), one, KVCache(SMALL, 1, np.float64))


@check(Layer.RANDOM, points=2)
def test_prompt_at_once(own: Any) -> None:
    """a whole prompt in one step: the logits of the full pass"""
    rng = np.random.default_rng(75)
    for length in (1, 2, 5):
        ids = rng.integers(7, size=(1, length))
        expect.close(
            own.step(model(), ids, KVCache(SMALL, 1, np.float64)),
            model().forward(ids)[0],
            what="logits",
            given={"ids": ids},
            probably="With an empty cache the causal mask is square: each token of the prompt "
            "sees itself and those before it. Positions count from 0.",
        )


@check(Layer.RANDOM, points=2)
def test_token_by_token(own: Any) -> None:
    """a prompt, then pieces of any size: as if read at once"""
    rng = np.random.default_rng(76)
    for pieces in ((1, 1), (2, 2), (1, 2, 3)):
        ids = rng.integers(7, size=(2, sum(pieces)))
        cache, received = KVCache(SMALL, 2, np.float64), []
        for part in np.split(ids, np.cumsum(pieces)[:-1], axis=1):
            received.append(own.step(model(), part, cache))
        expect.close(
            np.concatenate(received, axis=1),
            model().forward(ids)[0],
            what="logits",
            given={"ids": ids, "read in pieces of": np.array(pieces)},
            probably="A new token sees all older ones, itself and no later one. Its position is "
            "the number of real tokens before it.",
        )


@check(Layer.RANDOM)
def test_two_caches(own: Any) -> None:
    """two texts, read in turns into two caches"""
    texts = np.array([[[1, 2, 3, 4]], [[6, 5, 0, 2]]])
    stores = [KVCache(SMALL, 1, np.float64) for _ in texts]
    received: list[list[Any]] = [[], []]
    for part in (slice(0, 2), slice(2, 3), slice(3, 4)):
        for n, store in enumerate(stores):
            received[n].append(own.step(model(), texts[n][:, part], store))
    for n, ids in enumerate(texts):
        expect.close(
            np.concatenate(received[n], axis=1),
            model().forward(ids)[0],
            what=f"logits, of text {n},",
            given={"ids": ids, "read in pieces of": np.array([2, 1, 1])},
            probably="All that is remembered of a text is in its own cache.",
        )


@check(Layer.RANDOM)
def test_padding(own: Any) -> None:
    """padding on the left changes nothing, in any later step"""
    ids, mask = np.array([[0, 0, 3, 4]]), np.array([[False, False, True, True]])
    cache = KVCache(SMALL, 1, np.float64)
    own.step(model(), ids, cache, mask)
    expect.close(
        own.step(model(), np.array([[5]]), cache),
        model().forward(np.array([[3, 4, 5]]))[0][:, -1:],
        what="logits, at the last token,",
        given={"ids": ids, "mask": mask, "then": np.array([[5]])},
        probably="Padding is never looked at, in later steps too, and it counts for no position.",
    )


@check(Layer.RANDOM)
def test_padding_on_the_right(own: Any) -> None:
    """padding on the right, and in a later step: as if read at once"""
    ids = np.array([[1, 2, 3, 4, 5], [6, 5, 4, 3, 2]])
    mask = np.array([[True, True, True, False, True], [True, False, False, True, True]])
    cache = KVCache(SMALL, 2, np.float64)
    own.step(model(), ids[:, :3], cache, mask[:, :3])
    own.step(model(), ids[:, 3:4], cache, mask[:, 3:4])
    expect.close(
        own.step(model(), ids[:, 4:], cache),
        model().forward(ids, mask)[0][:, 4:],
        what="logits, at the last tokens,",
        given={"ids": ids, "mask": mask, "read in pieces of": np.array([3, 1, 1])},
        probably="The mask of each step is remembered at the places of its tokens. A position is "
        "the number of real tokens before it.",
    )


@check(Layer.RANDOM, points=2)
def test_both_together(own: Any) -> None:
    """your step with your extend: two layers, token by token"""

    class Cache(KVCache):
        extend = own.extend

    ids = np.random.default_rng(77).integers(7, size=(2, 5))
    cache = Cache(SMALL, 2, np.float64)
    parts = (ids[:, :2], ids[:, 2:3], ids[:, 3:4], ids[:, 4:])
    expect.close(
        np.concatenate([own.step(model(), part, cache) for part in parts], axis=1),
        model().forward(ids)[0],
        what="logits",
        given={"ids": ids, "read in pieces of": np.array([2, 1, 1, 1])},
        probably="extend stores at cache.length and leaves it as it is; step moves it on by T, "
        "once, when all layers are done.",
    )
    expect.close(
        np.array([cache.length, *cache.keys.shape]),
        np.array([5, 2, 2, 2, 6, 2]),
        what="The list of cache.length and the shape of cache.keys",
        given={"ids": ids},
        probably="Five tokens were read, and the store keeps its 6 places.",
    )
