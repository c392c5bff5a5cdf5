"""Charts as SVG for the page: matplotlib draws them, the page's style colors them."""

import io
import re
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from net.methods import curve_titles

RUNS = ("#1f5fbf", "#b34d05", "#17734a", "#8a3fa0", "#b3261e", "#5c636a")
INK, MUTED, LINE = "#010101", "#020202", "#030303"
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line"}
VARIABLES |= {color: f"run{i + 1}" for i, color in enumerate(RUNS)}
STYLE = {
    **{"svg.fonttype": "none", "svg.hashsalt": "umurl", "font.size": 7, "text.parse_math": False},
    **{"text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": LINE},
    **{"xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED},
    **{"xtick.color": LINE, "ytick.color": LINE, "grid.color": LINE},
    **{"axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.2},
}
# Black and white text both have a contrast of 4.5 on it, at any opacity on white and on black.
CELL = np.array([33, 119, 181]) / 255
MOST_NUMBERED = 24  # most classes of a matrix with numbers in its cells


def svg(figure: Figure) -> str:
    """A figure as an SVG element without ids, in colors of the page's style."""
    FigureCanvasSVG(figure)
    text, nothing = io.StringIO(), dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    element = text.getvalue()[text.getvalue().index("<svg") :]
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    for color, name in VARIABLES.items():
        element = element.replace(color, f"var(--{name})")
    return element


def curves(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One chart for each TensorBoard tag, with the curves of all runs, losses first."""
    titles, charts = curve_titles(), []
    tags = {tag for run in runs for tag in run["curves"]}
    for tag in [tag for tag in titles if tag in tags] + sorted(tags - titles.keys()):
        lines = [(i, run["curves"][tag]) for i, run in enumerate(runs) if tag in run["curves"]]
        with matplotlib.rc_context(STYLE):
            figure = Figure((3.2, 1.5), layout="constrained")
            axes = figure.add_subplot(xlabel="step")
            for i, points in lines:
                marker = "." if len(points) == 1 else ""
                axes.plot(*points.T, color=RUNS[i % len(RUNS)], marker=marker)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.grid(axis="y", linewidth=0.6)
            last = [(i, f"{points[-1, 1]:.4g}") for i, points in lines]
            charts.append({"title": titles.get(tag, tag), "last": last, "svg": svg(figure)})
    return charts


def confusion(names: list[str], matrix: np.ndarray) -> str:
    """A confusion matrix (rows: true class) in percent of the true class."""
    count = len(names)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    # A square root makes rare confusions visible.
    cells = np.dstack([np.broadcast_to(CELL, (count, count, 3)), np.sqrt(share)])
    side = (0.34 if count <= MOST_NUMBERED else 0.15) * count  # inches
    with matplotlib.rc_context(STYLE):
        figure = Figure((side + 2.2, side + 1.6), layout="constrained")
        axes = figure.add_subplot(xlabel="predicted class", ylabel="true class")
        axes.imshow(cells, interpolation="none")
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
        axes.tick_params(length=0)
        for row, column in np.argwhere(share >= 0.005) if count <= MOST_NUMBERED else ():
            text = f"{100 * share[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center")
        return svg(figure)
