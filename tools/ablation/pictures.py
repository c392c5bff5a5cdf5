"""Pictures of the ablation: differences to the default with intervals, and figures over steps."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.ablation.table import FIGURES, Row
from tools.evaluation.clusters import palette

TASKS = ("linear", "knn")
WAYS = {"": ("as published", "#1f5fbf", 0.14), "_standardized": ("standardized", "#a34e00", -0.14)}
WIDTH, ROW = 9.0, 0.34  # inches: of a picture, of a row
GRAY = "#5c636a"


def differences(rows: Sequence[Row]) -> Figure:
    """Draw the differences to the default: a dot is a mean, a line is an interval.

    A dot is hollow where the interval contains 0, and where there is no interval.

    rows: variants with differences, from the top down.
    """
    figure = Figure((WIDTH, 1.3 + ROW * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(TASKS), sharey=True)
    for axes, task in zip(panels, TASKS, strict=True):
        axes.axvline(0, color=GRAY, linewidth=0.8)
        for way, (title, color, shift) in WAYS.items():
            for place, row in enumerate(rows):
                found = row.differences[f"{task}{way}"]
                y = len(rows) - 1 - place + shift
                if found.low is not None:
                    axes.plot((found.low, found.high), (y, y), color=color, linewidth=1.4)
                fill = "white" if found.is_noise else color
                axes.plot(found.mean, y, "o", color=color, markerfacecolor=fill, markersize=5.5)
            axes.plot([], [], "o-", color=color, label=title)
        axes.plot([], [], "o", color=GRAY, markerfacecolor="white", label="within noise")
        axes.set_title(FIGURES[task], fontsize=10)
        axes.set_xlabel("points more than the default, 95 % interval", fontsize=9)
        axes.set_yticks(range(len(rows)), [row.title for row in reversed(rows)], fontsize=9)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        _plain(axes, "x")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(WAYS) + 1,
        fontsize=9,
        frameon=False,
    )
    return figure


def curves(results: Iterable[dict[str, Any]], rows: Sequence[Row]) -> Figure:
    """Draw the figures on the test clips over steps: a line is a mean over seeds, a band a range.

    results: runs that were measured several times.
    rows: the variants and learning rates to draw.
    """
    found = list(results)
    figure = Figure((WIDTH, 6.2), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for axes, (name, title) in zip(panels.flat, FIGURES.items(), strict=True):
        for row, color in zip(rows, palette(len(rows)), strict=True):
            steps, values = over_steps(found, row, name)
            label = f"{row.title}, learning rate {row.lr:g}"
            axes.plot(steps, [statistics.fmean(v) for v in values], color=color, label=label)
            limits = [min(v) for v in values], [max(v) for v in values]
            axes.fill_between(steps, *limits, color=color, alpha=0.15, linewidth=0)
        axes.set_title(title, fontsize=10)
        _plain(axes, "y")
    for axes in panels[1]:
        axes.set_xlabel("steps", fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy, %", fontsize=9)
    entries = panels[0, 0].get_legend_handles_labels()
    place = {"loc": "outside lower center", "ncols": 2, "fontsize": 8, "frameon": False}
    figure.legend(*entries, **place)
    return figure


def over_steps(
    results: Iterable[dict[str, Any]], row: Row, figure: str
) -> tuple[list[int], list[list[float]]]:
    """The steps at which a variant was measured, and the figures of all seeds at each step."""
    at: dict[int, list[float]] = {}
    for result in results:
        if (result["variant"], result["lr"]) == (row.variant, row.lr):
            for point in result["curve"]:
                at.setdefault(point["step"], []).append(point["test"][figure])
    return sorted(at), [at[step] for step in sorted(at)]


def _plain(axes: Axes, grid: str) -> None:
    axes.grid(axis=grid, alpha=0.3)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
