"""Draw recordings as timelines: how probable each action is at each time."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tools.drawing import figures

ROWS = (5, 12)  # least and most classes that are drawn of a recording


class Track(NamedTuple):
    """A recording of W windows, with K classes.

    edges: (W + 1,) seconds, ascending; window i is drawn from edge i to edge i + 1.
    probabilities: (W, K), NaN where a window shows nobody.
    """

    title: str
    edges: np.ndarray
    probabilities: np.ndarray


def tracks(found: Iterable[tuple[str, Sequence[Any]]], fps: float) -> list[Track]:
    """The tracks of recordings. At least one window of each recording must show somebody.

    found: the name and the windows of each recording, see `tools.classify.Window`
    Where windows overlap, each window is drawn where its middle is the nearest one.
    """
    made = []
    for title, windows in found:
        classes = next(len(w.probabilities) for w in windows if w.probabilities is not None)
        nobody = np.full(classes, np.nan, np.float32)
        rows = [nobody if w.probabilities is None else w.probabilities for w in windows]
        middles = np.array([w.start + w.frames / 2 for w in windows])
        first, last = windows[0].start, windows[-1].start + windows[-1].frames
        edges = np.concatenate([[first], (middles[1:] + middles[:-1]) / 2, [last]])
        made.append(Track(title, edges / fps, np.stack(rows)))
    return made


def shown(probabilities: np.ndarray) -> list[int]:
    """The classes to draw of (W, K) probabilities, by the window in which they are most probable.

    They are the most probable class of each window, then those with the next greatest maximum.
    """
    seen = probabilities[~np.isnan(probabilities[:, 0])]
    first, best = np.unique(seen.argmax(1)), seen.max(0)
    rank = best + np.isin(np.arange(len(best)), first)
    kept = np.argsort(-rank, kind="stable")[: np.clip(len(first), *ROWS)]
    return sorted(kept.tolist(), key=lambda k: (seen[:, k].argmax(), -best[k]))


def picture(some: Sequence[Track], classes: Sequence[str]) -> Figure:
    """Draw the tracks below each other: time to the right, a row a class, dark where probable."""
    rows = [shown(track.probabilities) for track in some]
    ratios = [len(kept) for kept in rows]
    figure = Figure((9, 0.24 * sum(ratios) + 0.95 * len(some)), layout="constrained")
    axes = figure.subplots(len(some), squeeze=False, height_ratios=ratios)[:, 0]
    for track, kept, axis in zip(some, rows, axes, strict=True):
        values = np.ma.masked_invalid(track.probabilities[:, kept].T)  # (rows, W)
        mesh = axis.pcolormesh(track.edges, np.arange(len(kept) + 1), values, cmap="Blues")
        mesh.set_clim(0, 1)
        axis.set_yticks(np.arange(len(kept)) + 0.5, [classes[k] for k in kept], parse_math=False)
        axis.set(facecolor="0.8", xlabel="seconds")
        axis.invert_yaxis()
        gap = " (gray: nobody)" if values.mask.any() else ""
        axis.set_title(track.title + gap, fontsize=10, loc="left", parse_math=False)
    figure.colorbar(mesh, ax=axes, fraction=0.03, pad=0.01, label="probability")
    return figure


def write(path: Path, some: Iterable[Track], classes: Sequence[str]) -> None:
    """Write the timelines as .png or .svg, whichever the path names."""
    figures.save(picture(list(some), classes), path, dpi=150)
