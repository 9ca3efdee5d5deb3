"""Figures: where they go, and whether they can be read on a dark page."""

import io
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from groundup.lab.plot import COLOURS, INK, figure, show

WHITE, DARK = (1.0, 1.0, 1.0), to_rgb("#1e2129")


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [*COLOURS, INK])
def test_every_colour_is_visible_on_both_pages(colour: str) -> None:
    assert contrast(to_rgb(colour), WHITE) >= 3
    assert contrast(to_rgb(colour), DARK) >= 3


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDUP_RUNS", str(tmp_path))
    return tmp_path / "figures" / "sample.png"


def test_a_script_saves_the_figure_and_prints_where(saved: Path, capsys) -> None:
    fig, axes = figure()
    axes.plot([1, 2])
    show(fig, "sample", "A caption.")
    assert capsys.readouterr().out == f"Figure {saved}: A caption.\n"
    assert imread(io.BytesIO(saved.read_bytes())).shape == (640, 1400, 4)


def test_nothing_is_left_black_or_opaque(saved: Path) -> None:
    fig, axes = plt.subplots()  # made elsewhere, with Matplotlib's own look
    axes.plot([1, 2], color="black", label="a line")
    axes.set(xlabel="x", title="title")
    axes.legend()
    axes.text(0.5, 1.5, "a note")
    fig.colorbar(axes.imshow(np.ones((2, 2)), cmap="Reds"))
    show(fig, "sample")
    pixels = imread(io.BytesIO(saved.read_bytes()))
    opaque = pixels[pixels[..., 3] > 0.99][:, :3]
    assert len(opaque)
    assert not (opaque.max(axis=1) < 0.2).any(), "black ink"
    assert not (opaque.min(axis=1) > 0.97).any(), "white paper"
    assert pixels[0, 0, 3] == 0


def test_show_closes_what_pyplot_keeps_open(saved: Path) -> None:
    fig, _ = plt.subplots()
    show(fig, "sample")
    assert not plt.fignum_exists(fig.number)


def test_no_global_setting_changes(saved: Path) -> None:
    before = matplotlib.rcParams.copy()
    show(figure()[0], "sample")
    assert matplotlib.rcParams == before


@pytest.mark.parametrize("name", ["../up", "a/b", "", "Loss", "a b"])
def test_a_name_that_is_no_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a figure's name is"):
        show(figure()[0], name)


def test_importing_the_module_does_not_import_matplotlib() -> None:
    code = "import sys, groundup.lab.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
