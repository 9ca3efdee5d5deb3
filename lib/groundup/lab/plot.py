"""Figures that read well on light and dark pages, in a script and in a notebook.

``figure`` makes the axes, ``show`` puts the result where the reader is: under the cell in a
notebook and on the course's pages, in a file when a script runs. Matplotlib is imported when a
figure is made, never before.
"""

import io
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundup.lab.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Contrast of at least 3:1 with white and with the dark page, and told apart by colour-blind
# readers: four colours of Okabe and Ito (2008) with their blue lighter and their orange darker.
COLOURS = ("#1f7fc4", "#d55e00", "#009e73", "#cc79a7", "#c98500")
INK = "#7a808a"  # text, axes and anything left black: 4:1 on both pages
_PAGE_DPI, _FILE_DPI = 100, 200  # a figure is shown at half the pixels it is saved with
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def style() -> dict[Any, Any]:
    """The rcParams of the course's figures, for ``matplotlib.rc_context(style())``."""
    from cycler import cycler

    ink: dict[Any, Any] = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    )
    return ink | {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "axes.prop_cycle": cycler(linestyle=["-", "--"]) * cycler(color=COLOURS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.labelsize": 10,
        "font.size": 10,
        "grid.color": INK,
        "grid.alpha": 0.25,
    }


def figure(
    rows: int = 1, columns: int = 1, width: float = 7.0, height: float = 3.2, **options: Any
) -> "tuple[Figure, Any]":
    """A figure and its axes in the course's style.

    Nothing global changes, and no window is kept open: the figure belongs to the caller alone.

    Args:
        rows: rows of axes.
        columns: columns of axes.
        width: inches; 7 fill the width of a page.
        height: inches.
        options: passed to ``Figure.subplots`` (``sharex``, ``width_ratios``, …).

    Returns:
        The figure, and its axes: one, or an array of them as ``Figure.subplots`` gives it.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(style()):
        fig = Figure(figsize=(width, height), dpi=_PAGE_DPI, layout="constrained")
        return fig, fig.subplots(rows, columns, **options)


def save_figure(fig: "Figure", path: Path) -> Path:
    """Write a figure on white paper to a PNG file, atomically, and give its path."""
    with atomic_file(path) as temporary:
        fig.savefig(temporary, format="png", dpi=150, facecolor="white")
    return path


def show(fig: "Figure", name: str, caption: str = "") -> None:
    """Show a figure under the cell of a notebook, or save it when a script runs.

    What Matplotlib made black by itself is turned into :data:`INK`, which both light and dark pages
    show. Text on a coloured cell needs a colour of its own: ``color="#111"``.

    A script writes ``figures/NAME.png`` below the directory in the environment variable
    ``GROUNDUP_RUNS`` (``runs`` by default) and prints its path and caption.

    Args:
        fig: a Matplotlib figure, from :func:`figure` or from elsewhere.
        name: what its file is called: lower-case letters, digits, ``_`` and ``-``.
        caption: the message of the figure, in a sentence. It may hold Markdown and maths.

    Raises:
        ValueError: the name can't be the name of a file.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a figure's name is lower-case letters, digits, _ and -: got {name!r}")
    png = _png(fig)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(fig)  # or a notebook shows it a second time
    if _in_kernel():
        _display(fig, png, name, caption)
        return
    path = Path(os.environ.get("GROUNDUP_RUNS", "runs")) / "figures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)
    print(f"Figure {path}" + (f": {caption}" if caption else ""))


def _png(fig: "Figure") -> bytes:
    _make_readable(fig)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=_FILE_DPI, transparent=True)
    return buffer.getvalue()


def _make_readable(fig: "Figure") -> None:
    """Turn what Matplotlib made black by itself (a colour bar, a legend, a note) into ink."""
    from matplotlib.colors import same_color
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.spines import Spine
    from matplotlib.text import Text

    for artist in fig.findobj():
        if isinstance(artist, Text | Line2D) and same_color(artist.get_color(), "black"):
            artist.set_color(INK)
            if isinstance(artist, Line2D):  # the marks of an axis are markers
                artist.set(markeredgecolor=INK, markerfacecolor=INK)
        elif isinstance(artist, Spine) and same_color(artist.get_edgecolor(), "black"):
            artist.set_edgecolor(INK)
        elif isinstance(artist, Legend):
            artist.get_frame().set(facecolor="none", edgecolor="none")


def _in_kernel() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def _display(fig: "Figure", png: bytes, name: str, caption: str) -> None:
    from IPython.display import Image, Markdown, display

    width = round(fig.get_figwidth() * _PAGE_DPI)
    # The renderer of the chapters reads this metadata, and skips the caption that follows it.
    about = {"name": name, "caption": caption, "width": width}
    display(Image(data=png, format="png", width=width), metadata={"groundup": about})
    if caption:
        display(Markdown(f"*{caption}*"), metadata={"groundup": {"caption_of": name}})
