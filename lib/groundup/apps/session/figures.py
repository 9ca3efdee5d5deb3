"""The figures a NumPy training leaves beside its model, where Matplotlib is installed."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from groundup.apps.session.resumable_training import ResumableTraining
from groundup.lab.plot import COLOURS, figure, save_figure
from groundup.scratch.probe import Geometry
from groundup.scratch.types import Array


def installed() -> bool:
    """Whether figures can be drawn."""
    return find_spec("matplotlib") is not None


def draw_training(training: ResumableTraining[Any]) -> Path:
    """Draw the loss of each step, the held-out loss, and the accuracy if it was measured.

    Returns:
        The file: ``NAME.curves.png`` beside the model.
    """
    steps = [point["step"] for point in training.points]
    score = "accuracy" if "accuracy" in training.points[0] else "perplexity"
    fig, (left, right) = figure(1, 2, width=9, height=3)
    losses = np.array(training.losses)
    left.plot(np.arange(1, len(losses) + 1), losses, color=COLOURS[0], linewidth=0.6, alpha=0.4)
    width = max(1, len(losses) // 20)
    mean = np.convolve(losses, np.full(width, 1 / width), "valid")
    left.plot(np.arange(width, len(losses) + 1), mean, color=COLOURS[0], label="training")
    held_out = [point["loss"] for point in training.points]
    left.plot(steps, held_out, "o-", color=COLOURS[1], markersize=3, label="held out")
    left.set(xlabel="step", ylabel="loss (nats)", yscale="log")
    left.legend()
    values = [point[score] for point in training.points]
    right.plot(steps, values, "o-", color=COLOURS[1], markersize=3)
    right.set(xlabel="step", ylabel=f"{score}, held out")
    if score == "perplexity":
        right.set_yscale("log")
    return save_figure(fig, training.path.with_suffix(".curves.png"))


def draw_heads(path: Path, shares: Array, operations: Sequence[str]) -> Path:
    """Draw how spread out each head looks, for each operation.

    Args:
        path: of the figure.
        shares: (layers, H, operations), from :func:`groundup.scratch.analysis.head_entropy`.
        operations: their names.
    """
    fig, axis = figure(width=6, height=3)
    rows = shares.reshape(-1, shares.shape[-1])
    heads = [f"layer {i + 1} head {j + 1}" for i, j in np.ndindex(*shares.shape[:2])]
    picture = axis.imshow(rows, vmin=0, vmax=1, aspect="auto", cmap="viridis")
    axis.set(xticks=range(len(operations)), yticks=range(len(heads)))
    axis.set_xticklabels(operations)
    axis.set_yticklabels(heads)
    for (i, j), share in np.ndenumerate(rows):
        colour = "#111" if share > 0.5 else "#eee"
        axis.text(j, i, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=8)
    fig.colorbar(picture, ax=axis, label="0: one token, 1: all alike")
    return save_figure(fig, path)


def draw_digits(path: Path, geometry: Geometry) -> Path:
    """Draw the embeddings of the digits on their first two principal axes."""
    fig, axis = figure(width=5, height=4)
    axis.plot(*geometry.coordinates.T, "-", color=COLOURS[0], linewidth=0.8)
    for digit, (x, y) in enumerate(geometry.coordinates):
        axis.annotate(str(digit), (x, y), fontsize=13, ha="center", va="center", color=COLOURS[1])
    first, second = geometry.explained
    axis.set(xlabel=f"axis 1 ({first:.0%} of the variance)", ylabel=f"axis 2 ({second:.0%})")
    return save_figure(fig, path)
