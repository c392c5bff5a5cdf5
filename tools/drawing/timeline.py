"""Draw recordings as timelines: how probable each action is at each time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

ROWS = (5, 12)  # least and most classes that are drawn of a recording


def picture(
    found: Sequence[tuple[str, Sequence[Any]]], fps: float, classes: Sequence[str]
) -> Figure:
    """Draw recordings below each other, found as (name, `tools.classify.Window`s), a row a class.
    Of windows that overlap, each is drawn where its middle is the nearest one.
    """
    probabilities = []  # of each recording: (W windows, K classes), NaN where nobody is seen
    for _, windows in found:
        nobody = np.full(len(classes), np.nan, np.float32)
        rows = [nobody if w.probabilities is None else w.probabilities for w in windows]
        probabilities.append(np.stack(rows))
    kept = [shown(one) for one in probabilities]
    ratios = [len(rows) for rows in kept]
    figure = Figure((9, 0.24 * sum(ratios) + 0.95 * len(kept)), layout="constrained")
    axes = figure.subplots(len(kept), squeeze=False, height_ratios=ratios)[:, 0]
    for (title, windows), one, rows, axis in zip(found, probabilities, kept, axes, strict=True):
        middles = np.array([w.start + w.frames / 2 for w in windows])
        first, last = windows[0].start, windows[-1].start + windows[-1].frames
        edges = np.concatenate([[first], (middles[1:] + middles[:-1]) / 2, [last]]) / fps
        values = np.ma.masked_invalid(one[:, rows].T)  # (rows, W)
        mesh = axis.pcolormesh(edges, np.arange(len(rows) + 1), values, cmap="Blues")
        mesh.set_clim(0, 1)
        axis.set_yticks(np.arange(len(rows)) + 0.5, [classes[k] for k in rows], parse_math=False)
        axis.set(facecolor="0.8", xlabel="seconds")
        axis.invert_yaxis()
        gap = " (gray: nobody)" if values.mask.any() else ""
        axis.set_title(title + gap, fontsize=10, loc="left", parse_math=False)
    figure.colorbar(mesh, ax=axes, fraction=0.03, pad=0.01, label="probability")
    return figure


def shown(probabilities: np.ndarray) -> list[int]:
    """The classes to draw of (W, K) probabilities: the most probable one of each window, then those
    with the next greatest maximum; by the window in which they are most probable.
    """
    seen = probabilities[~np.isnan(probabilities[:, 0])]
    first, best = np.unique(seen.argmax(1)), seen.max(0)
    rank = best + np.isin(np.arange(len(best)), first)
    kept = np.argsort(-rank, kind="stable")[: np.clip(len(first), *ROWS)]
    return sorted(kept.tolist(), key=lambda k: (seen[:, k].argmax(), -best[k]))
