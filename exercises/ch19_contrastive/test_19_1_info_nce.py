"""The checks of exercise 19.1, InfoNCE."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check

# Directions whose cosines are 1, 0.6 and 0.8: the triangle with the sides 3, 4 and 5.
QUERIES = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
DOCUMENTS = torch.tensor([[0.6, 0.8], [0.8, 0.6]], dtype=torch.float64)


def by_definition(queries: Tensor, documents: Tensor, temperature: float, offset: int) -> Tensor:
    """The loss, one query at a time, as its definition says it."""
    losses = []
    for i, query in enumerate(queries):
        cosines = torch.stack([torch.cosine_similarity(query, d, dim=0) for d in documents])
        losses.append((cosines / temperature).logsumexp(0) - cosines[offset + i] / temperature)
    return torch.stack(losses).sum() / len(losses)


def draw(rows: int, of: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random queries and documents, with one decimal."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (rows, width), (of, width)
    tenths = (torch.randint(1, 20, shape, generator=generator) for shape in shapes)
    queries, documents = ((each.double() - 9.5) / 10 for each in tenths)
    return queries, documents


@check(Layer.SHAPES)
def test_scalar(own: Any) -> None:
    """a scalar tensor comes back, of the dtype of the queries"""
    queries = QUERIES.float()
    loss = own.info_nce(queries, DOCUMENTS.float())
    probably = "Take the mean over the queries."
    expect.array(loss, like=queries, shape=(), what="The loss", probably=probably)


@check(Layer.SHAPES)
def test_refuses(own: Any) -> None:
    """no query, or no document for one of them, raises ValueError"""
    for rows, offset, when in (
        (2, 1, "the last query's document would be row 2, and there are 2"),
        (2, -1, "the first query's document would be row -1"),
        (0, 0, "there is no query to take the mean over"),
    ):
        given = {"queries": QUERIES[:rows], "documents": DOCUMENTS, "offset": offset}
        with expect.raises(ValueError, when, given):
            own.info_nce(QUERIES[:rows], DOCUMENTS, offset=offset)


@check(Layer.INPUTS)
def test_inputs_unchanged(own: Any) -> None:
    """queries and documents are left as they were"""
    queries, documents = 2 * QUERIES, 3 * DOCUMENTS
    with expect.unchanged(queries=queries, documents=documents):
        own.info_nce(queries, documents)


@check(Layer.EXAMPLE)
def test_one_query(own: Any) -> None:
    """one query, two documents, worked by hand"""
    given = {"queries": QUERIES[:1], "documents": DOCUMENTS, "temperature": 0.5, "offset": 0}
    expect.close(
        own.info_nce(**given),
        math.log1p(math.exp((0.8 - 0.6) / 0.5)),
        what="The loss",
        given=given,
        probably="The cosines are 0.6 and 0.8, the logits 1.2 and 1.6, the loss "
        "log(1 + exp(1.6 - 1.2)) = 0.913. If you have 0.7444, you multiplied by the temperature. "
        "If you have 0.4, the right document is missing from the denominator. If you have 1.317, "
        "the logarithm is that of base 2: nats are natural ones.",
    )


@check(Layer.EXAMPLE)
def test_offset(own: Any) -> None:
    """a second process: its first document is row 2 of all"""
    queries = QUERIES[:1]
    documents = torch.cat([DOCUMENTS, QUERIES])
    given = {"queries": queries, "documents": documents, "temperature": 0.5, "offset": 2}
    expect.close(
        own.info_nce(**given),
        math.log(math.exp(1.2) + math.exp(1.6) + math.exp(2.0) + math.exp(0.0)) - 2.0,
        what="The loss",
        given=given,
        probably="The cosines are 0.6, 0.8, 1 and 0, and the right document is row 2. If you have "
        "1.613, the labels lack the offset. If you have 0.9419, vectors are normalised over the "
        "batch and not over their width.",
    )


@check(Layer.EXAMPLE)
def test_two_queries(own: Any) -> None:
    """two queries, each among three documents"""
    documents = torch.stack([DOCUMENTS[0], QUERIES[1], QUERIES[0]])
    given = {"queries": QUERIES, "documents": documents, "temperature": 1.0, "offset": 0}
    first = math.log(math.exp(0.6) + math.exp(0.0) + math.exp(1.0)) - 0.6
    second = math.log(math.exp(0.8) + math.exp(1.0) + math.exp(0.0)) - 1.0
    expect.close(
        own.info_nce(**given),
        (first + second) / 2,
        what="The loss",
        given=given,
        probably="The two losses are 1.112 and 0.7824, and their mean 0.9472. If you have 1.894, "
        "they are summed. If you have 0.6315, their sum is divided by the number of documents.",
    )


@check(Layer.EXAMPLE)
def test_length(own: Any) -> None:
    """the length of a vector does not matter"""
    documents = DOCUMENTS * torch.tensor([[10.0], [0.5]], dtype=torch.float64)
    given = {"queries": 3 * QUERIES, "documents": documents, "temperature": 1.0, "offset": 0}
    expect.close(
        own.info_nce(**given),
        math.log1p(math.exp(0.2)),
        what="The loss",
        given=given,
        probably="The vectors are those of the first example, longer or shorter, and cosines stay "
        "as they were. Bring each row to length one: along the last axis, queries and documents. "
        "If you have 11.55, neither is. If you have 3.852, the queries alone are.",
    )
    short = given | {"queries": QUERIES / 1000, "documents": DOCUMENTS / 1000}
    expect.close(
        own.info_nce(**short),
        math.log1p(math.exp(0.2)),
        what="The loss with short vectors",
        given=short,
        probably="Vectors of length 0.001 have the same cosines: what bounds the length from "
        "below, or is added to it, must be far smaller, as the 1e-12 of F.normalize is.",
    )


@check(Layer.RANDOM)
def test_random(own: Any) -> None:
    """random vectors agree with the definition, one query at a time"""
    for seed, (rows, of, width) in enumerate(((1, 2, 1), (2, 2, 2), (2, 4, 3), (4, 12, 8))):
        queries, documents = draw(rows, of, width, seed)
        for offset in sorted({0, of - rows}):
            given = {"queries": queries, "documents": documents, "temperature": 0.1}
            given |= {"offset": offset}
            expect.close(
                own.info_nce(**given),
                by_definition(queries, documents, 0.1, offset),
                what="The loss",
                given=given,
                probably="Each query has its own row of cosines, over all documents, and its own "
                "right document, offset + i. Cosines may be below zero.",
            )


@check(Layer.RANDOM)
def test_default_temperature(own: Any) -> None:
    """without a temperature it is 0.05, and without an offset 0"""
    queries, documents = draw(2, 4, 3, 9)
    expect.close(
        own.info_nce(queries, documents),
        by_definition(queries, documents, 0.05, 0),
        what="The loss",
        given={"queries": queries, "documents": documents},
        probably="The parameters' defaults are used: temperature = 0.05 and offset = 0.",
    )


@check(Layer.GRADIENTS, points=2)
def test_gradients(own: Any) -> None:
    """queries and documents both get their gradient"""
    for rows, of, width, offset in ((1, 2, 2, 0), (2, 4, 3, 2)):
        own_inputs = [x.requires_grad_() for x in draw(rows, of, width, 7)]
        right_inputs = [x.requires_grad_() for x in draw(rows, of, width, 7)]
        loss = own.info_nce(*own_inputs, 0.5, offset)
        if loss.requires_grad:
            loss.backward()
        by_definition(*right_inputs, 0.5, offset).backward()
        for name, received, right in zip(
            ("queries", "documents"), own_inputs, right_inputs, strict=True
        ):
            expect.close(
                torch.zeros_like(received) if received.grad is None else received.grad,
                right.grad,
                what=f"The gradient of the {name}",
                given={"queries": own_inputs[0], "documents": own_inputs[1], "temperature": 0.5}
                | {"offset": offset},
                probably="Where a gradient is zero, the input is cut off from the loss: detach, "
                ".data, item() and no_grad do that.",
            )


@check(Layer.STABILITY)
def test_vector_of_zeros(own: Any) -> None:
    """the cosine with a vector of zeros is 0, and gradients are finite"""
    queries = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    loss = own.info_nce(queries, DOCUMENTS, 0.5)
    given = {"queries": queries, "documents": DOCUMENTS, "temperature": 0.5, "offset": 0}
    expect.close(
        loss,
        math.log(2),
        what="The loss",
        given=given,
        probably="Both logits are 0, so the loss is ln 2. If you have nan, zero is divided by "
        "zero: F.normalize divides by a length of at least 1e-12.",
    )
    documents = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    expect.close(
        own.info_nce(QUERIES[:1], documents, 1.0),
        math.log(math.e + 1) - 1,
        what="The loss where a document is of zeros",
        given={"queries": QUERIES[:1], "documents": documents, "temperature": 1.0, "offset": 0},
        probably="The cosines are 1 and 0.",
    )
    gradient = torch.autograd.grad(loss, queries)[0] if loss.requires_grad else queries.detach()
    expect.close(
        torch.isfinite(gradient),
        np.array([[True, True]]),
        what="Whether the gradient of the queries is finite",
        given=given,
        probably="torch.where after a division passes the division's gradient back, NaN included.",
    )


@check(Layer.STABILITY)
def test_small_temperature(own: Any) -> None:
    """a temperature of 0.005, in float32, gives the exact loss"""
    queries, documents = QUERIES[:1].float(), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    given = {"queries": queries, "documents": documents, "temperature": 0.005}
    expect.close(
        own.info_nce(**given),
        200.0,
        like=queries,
        what="The loss",
        given=given,
        probably="The logits are 0 and 200, and exp(200) is too large for float32. Use "
        "cross_entropy or logsumexp, which subtract the largest logit, and never the logarithm "
        "of a softmax.",
    )
