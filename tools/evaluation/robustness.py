"""Accuracy on incomplete test clips, of models that learned from whole ones: tables, pictures."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from common import UserError
from feeder.batches import Clips, whole_clips
from feeder.store import Store
from tools.drawing import figures
from tools.evaluation.features import Loader
from tools.evaluation.results import Evaluation, in_words
from tools.formats.tables import write_csv

# kind -> label of the amounts in a picture, and the default amounts.
# `observe`: the share of the frames, from the first one, that is kept.
# `drop_joints`: the number of joints that are moved to the origin.
# `drop_frames`: the share of the frames that is left out.
KINDS: dict[str, tuple[str, list[float]]] = {
    "observe": ("observed share of each clip", [k / 10 for k in range(1, 11)]),
    "drop_joints": ("joints that are missing", [0, 1, 2, 5, 10, 15]),
    "drop_frames": ("share of frames that are missing", [0.0, 0.2, 0.4, 0.6, 0.8, 0.9]),
}


def load_altered(
    store: Store, rows: np.ndarray, device: torch.device, *, kind: str, amount: float
) -> Tensor:
    """Load some clips of a store, altered: (n, 64, M, V, C).

    Joints and frames are drawn with the row as seed; a larger drop contains every smaller one.
    """
    if kind == "drop_joints":
        views = whole_clips(store, rows, device)
        if amount > views.shape[3]:
            raise UserError(f"--drop-joints {amount:g}: a body has {views.shape[3]} joints")
        order = np.stack([_rng(row).permutation(views.shape[3]) for row in rows])  # (n, V)
        return views * torch.from_numpy(order >= amount).to(device)[:, None, None, :, None]
    kept = [kept_frames(kind, amount, int(store.length[row]), row) for row in rows]
    length = np.array([len(frames) for frames in kept])
    frames = store.joints[np.concatenate(kept) + np.repeat(store.start[rows], length)]
    parts = frames, np.cumsum(length) - length, length
    return Clips(*map(torch.from_numpy, parts)).to(device).resized()


def kept_frames(kind: str, amount: float, count: int, row: int) -> np.ndarray:
    """The frames, (k,) in order, that stay of a clip of `count` frames; at least one."""
    share = Fraction(str(amount))  # exact: in float32, 0.3 of 50 frames are more than 15
    if kind == "observe":
        return np.arange(math.ceil(share * count))
    return np.sort(_rng(row).permutation(count)[: max(1, round(count * (1 - share)))])


def _rng(row: int) -> np.random.Generator:
    return np.random.default_rng([int(row), 3])


def write_curves(
    evaluation: Evaluation,
    curves: Mapping[str, Sequence[float]],
    accuracies: Callable[[Loader], list[float]],
) -> list[Path]:
    """Write NAME_KIND.csv and .png beside a result, for each curve; return the pictures' paths.

    curves: {kind: amounts}. accuracies: how clips are loaded -> each run's accuracy in percent.
    """
    drawn = []
    for kind, amounts in curves.items():
        label, usual = KINDS[kind]
        loaders = [partial(load_altered, kind=kind, amount=amount) for amount in amounts]
        values = np.array([accuracies(load) for load in loaders])  # (amounts, runs)
        stem = f"_{kind if amounts == usual else in_words(kind, amounts)}"
        header = [kind, *(f"run {i + 1}" for i in range(values.shape[1]))]
        rows = ([a, *(f"{v:.2f}" for v in row)] for a, row in zip(amounts, values, strict=True))
        write_csv(evaluation.file(f"{stem}.csv"), header, rows)
        figure = Figure((5.5, 3.8), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(amounts, values.mean(1), marker="o", color="#2a6fb0")
        axes.fill_between(amounts, values.min(1), values.max(1), color="#2a6fb0", alpha=0.2)
        for amount, mean in zip(amounts, values.mean(1), strict=True):
            axes.annotate(f"{mean:.1f}", (amount, mean + 2), ha="center", fontsize=8)
        axes.set(xlabel=label, ylabel="accuracy, %", ylim=(0, 105))
        axes.grid(alpha=0.3)
        drawn.append(evaluation.file(f"{stem}.png"))
        figures.save(figure, drawn[-1], dpi=120)
    return drawn
