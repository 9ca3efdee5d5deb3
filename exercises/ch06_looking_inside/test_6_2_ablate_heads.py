"""The checks of exercise 6.2, remove a head."""

from typing import Any

import numpy as np

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check
from groundup.scratch.encoder import Encoder, EncoderConfig, init_params
from groundup.scratch.tasks.digits import Examples, all_examples

# Row r, column c holds 10 (r + 1) + c + 1: the first digit is the row, the second the column.
WO = np.add.outer(10.0 * np.arange(1, 7), np.arange(1.0, 7))


def switch() -> Encoder:
    """A model that answers 3, and 7 once head 1 of layer 0 returns zeros; see the test."""
    config = EncoderConfig(width=4, heads=4, layers=2, hidden=1)
    params = init_params(config, np.random.default_rng(0), np.float64)
    params = {n: np.ones_like(v) if "gamma" in n else 0 * v for n, v in params.items()}
    params["layers.0.bqkv"][2 * 4 + 1] = 1.0  # head 1's value is 1 at every token
    params["layers.0.wo"][1, 0] = 100.0  # and is written to the vector's first entry
    params["classifier.weight"][0, [3, 7]] = 1.0, -1.0  # where it is above 0: answer 3, else 7
    return Encoder(config, params)


def questions(operations: list[int], answers: list[int]) -> Examples:
    """So many questions, whatever they ask."""
    ids = np.tile([5, 7, 15, 13, 19, 8, 1], (len(answers), 1))
    return Examples(ids, ids > 0, np.array(answers), np.array(operations))


@check(Layer.SHAPES)
def test_shape(own: Any) -> None:
    """without_head returns a matrix like wo"""
    wo = WO.astype(np.float32)
    expect.array(own.without_head(wo, 3, 0), like=wo, shape=(6, 6), what="The matrix")


@check(Layer.SHAPES)
def test_table_shape(own: Any) -> None:
    """ablate_heads returns a table: layers, heads, operations"""
    received = own.ablate_heads(switch(), questions([0, 3], [3, 3]))
    expect.array(received, like=WO, shape=(2, 4, 5), what="The table")


@check(Layer.INPUTS)
def test_wo_unchanged(own: Any) -> None:
    """without_head leaves wo as it was"""
    wo = WO.copy()
    with expect.unchanged(wo=wo):
        own.without_head(wo, 3, 1)


@check(Layer.INPUTS)
def test_model_unchanged(own: Any) -> None:
    """ablate_heads leaves the model as it was"""
    config = EncoderConfig(width=4, heads=2, layers=2, hidden=3)
    random = Encoder(config, init_params(config, np.random.default_rng(66), np.float64))
    for model in (switch(), random):
        before = {name: value.copy() for name, value in model.params.items()}
        for right in (3, 7):
            own.ablate_heads(model, questions([0, 3], [3, right]))
        changed = [n for n, v in before.items() if not np.array_equal(model.params.get(n), v)]
        if changed or len(model.params) != len(before):
            expect.fail(
                f"The model is changed: {', '.join(changed) or 'it has other parameters'}.",
                given={"layers": 2, "heads": model.config.heads},
                probably="An encoder of its own, with a dictionary of its own, can lack a head "
                "without any change to the model.",
            )


@check(Layer.EXAMPLE, points=2)
def test_rows_of_a_head(own: Any) -> None:
    """three heads of width two: which rows become zero"""
    for head in range(3):
        expected = WO.copy()
        for row in (2 * head, 2 * head + 1):
            expected[row] = 0
        expect.close(
            own.without_head(WO.copy(), 3, head),
            expected,
            what=f"wo without head {head}",
            given={"wo": WO, "heads": 3, "head": head},
            probably="D = 6 and H = 3, so each head has K = 2 entries of the concatenation, and "
            f"head {head} has entries {2 * head} and {2 * head + 1}. In concat @ wo they meet "
            "rows, not columns, and the other rows stay as they are.",
        )


@check(Layer.EXAMPLE)
def test_refuses(own: Any) -> None:
    """a head that does not exist, or that does not fit, is refused"""
    with expect.raises(ValueError, "head is 3 and there are 3 heads"):
        own.without_head(WO.copy(), 3, 3)
    with expect.raises(ValueError, "head is -1"):
        own.without_head(WO.copy(), 3, -1)
    with expect.raises(ValueError, "the width is 6 and there are 4 heads"):
        own.without_head(WO.copy(), 4, 0)


@check(Layer.EXAMPLE, points=3)
def test_one_head_that_matters(own: Any) -> None:
    """a model in which one head decides between 3 and 7"""
    operations, answers = [0, 0, 0, 0, 3, 3], [3, 3, 3, 7, 3, 3]
    expected = np.full((2, 4, 5), np.nan)
    expected[..., 0], expected[..., 3] = 3 / 4, 1.0
    expected[0, 1, [0, 3]] = 1 / 4, 0.0
    received = own.ablate_heads(switch(), questions(operations, answers))
    for layer in range(2):
        expect.close(
            received[layer],
            expected[layer],
            what=f"The table of layer {layer}",
            given={"operations": np.array(operations), "answers": np.array(answers)},
            probably="Two layers of four heads. The model answers 3 to everything, so First (0) is "
            "right in 3 of 4 and Max (3) always. Only head 1 of layer 0 matters: without it the "
            "answer is 7. Each head is removed alone, from the whole model. An operation that is "
            "not asked for has no share: NaN.",
        )


@check(Layer.RANDOM, points=2)
def test_random_outputs(own: Any) -> None:
    """what is left is the sum of what the other heads write"""
    rng = np.random.default_rng(62)
    for heads, size in ((1, 2), (2, 1), (2, 3), (4, 2)):
        width = heads * size
        wo, outputs = rng.normal(size=(width, width)), rng.normal(size=(3, heads, size))
        for head in range(heads):
            written = np.zeros((3, width))
            for other in set(range(heads)) - {head}:
                for k in range(size):
                    written += np.outer(outputs[:, other, k], wo[other * size + k])
            expect.close(
                outputs.reshape(3, width) @ own.without_head(wo.copy(), heads, head),
                written,
                what="What the other heads write",
                given={"wo": wo, "heads": heads, "head": head},
                probably="A head has K = D / H rows of wo, one after the other; the rows of the "
                "other heads stay as they are.",
            )


@check(Layer.RANDOM, points=3)
def test_random_ablation(own: Any) -> None:
    """a random model: the same as with the head's values at zero"""
    rng = np.random.default_rng(63)
    every = all_examples()
    data = every.take(rng.permutation(len(every))[:60])
    for layers, heads in ((1, 2), (2, 3)):
        size = 2
        config = EncoderConfig(width=heads * size, heads=heads, layers=layers, hidden=3)
        params = init_params(config, rng, np.float64)
        params |= {n: v + rng.normal(size=v.shape) for n, v in params.items() if "o" in n[-2:]}
        expected = np.zeros((layers, heads, 5))
        for layer, head in np.ndindex(layers, heads):
            silent = {name: value.copy() for name, value in params.items()}
            columns = slice((2 * heads + head) * size, (2 * heads + head + 1) * size)
            silent[f"layers.{layer}.wqkv"][:, columns] = 0  # values, after queries and keys
            silent[f"layers.{layer}.bqkv"][columns] = 0
            right = Encoder(config, silent).forward(data.ids)[0].argmax(axis=-1) == data.answers
            for operation in range(5):
                expected[layer, head, operation] = right[data.operations == operation].mean()
        expect.close(
            own.ablate_heads(Encoder(config, params), data),
            expected,
            what="The table",
            given={"layers": layers, "heads": heads},
            probably="A head whose values are zero returns zeros, which is what the table should "
            "show. bo belongs to no head and stays, as does every other parameter.",
        )
