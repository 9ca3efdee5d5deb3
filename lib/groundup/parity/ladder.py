"""The whole ladder as one matrix: a NeoBERT layer in many forms, each against each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from groundup.parity.numpy_torch import (
    LIMIT,
    LayerCase,
    compare_all,
    draw_layer,
    numpy_layer,
    torch_layer,
)

Result = dict[str, np.ndarray]


@dataclass(frozen=True)
class Form:
    """A way to compute a layer and its gradients.

    Attributes:
        name: what it is.
        run: gives the output and every gradient.
        limit: relative error by norm that its precision allows.
    """

    name: str
    run: Callable[[LayerCase], Result]
    limit: float = LIMIT


FORMS = (
    Form("NumPy, gradients by hand", numpy_layer),
    Form("torch, the written formula", lambda case: torch_layer(case, backend="eager")),
    Form("tiled", lambda case: torch_layer(case, backend="tiled")),
    Form("SDPA, each text alone", lambda case: torch_layer(case, backend="sdpa", alone=True)),
    Form("SDPA, packed", lambda case: torch_layer(case, backend="sdpa")),
    Form("float32, packed", lambda case: torch_layer(case, torch.float32), 1e-5),
    Form("bfloat16, packed", lambda case: torch_layer(case, torch.bfloat16), 5e-2),
)
"""From the lowest rung up. float32 keeps 24 bits of each number and bfloat16 eight: with a few
roundings on the way, errors of some 2⁻²⁴ and 2⁻⁸."""


@dataclass(frozen=True)
class Cell:
    """Two forms of the ladder, and the tensor in which they differ most.

    Attributes:
        forms: the names of the two.
        error: the largest relative error by norm, over the output and every gradient.
        tensor: where it is.
        limit: what the less precise of the two allows.
    """

    forms: tuple[str, str]
    error: float
    tensor: str
    limit: float


def compare_forms(seed: int = 0) -> list[Cell]:
    """Every pair of forms, on the same random weights and padded batch.

    Args:
        seed: of the weights and the batch.
    """
    case = draw_layer(np.random.default_rng(seed), length=100)  # several tiles
    results = [form.run(case) for form in FORMS]
    cells = []
    for i, (form, found) in enumerate(zip(FORMS, results, strict=True)):
        for other, expected in zip(FORMS[:i], results[:i], strict=True):
            rungs = compare_all("ladder", found, expected)
            worst = max(rungs, key=lambda rung: rung.error)
            limit = max(form.limit, other.limit)
            cells.append(Cell((form.name, other.name), worst.error, worst.tensor, limit))
    return cells
