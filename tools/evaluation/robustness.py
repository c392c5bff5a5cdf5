"""Accuracy on incomplete test clips: tables and pictures beside a result.

Early recognition shows only the beginning of each clip; robustness removes joints or frames. The
models learned from whole clips.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from data_gen.preparing.files import whole_file
from tools.evaluation.altered_clips import KINDS, Alteration
from tools.evaluation.classifiers import Recognizer
from tools.evaluation.features import (
    Features,
    Halves,
    classes_of,
    device_of,
    extract_streams,
    labeled_clips,
)
from tools.evaluation.labels import ALL_LABELS, Labels, few_labels
from tools.evaluation.neighbors import nearest, vote
from tools.evaluation.recognition import Run, accuracy, predict
from tools.evaluation.retrieval import percent
from tools.evaluation.settings import AMOUNTS, in_words
from tools.evaluation.standardize import Scale
from tools.formats.tables import write_csv


class Curve(NamedTuple):
    """Accuracies on test clips from which more and more is removed.

    kind, amounts: see `Alteration`.
    accuracy: (amounts, runs), in percent.
    """

    kind: str
    amounts: list[float]
    accuracy: np.ndarray


def curve(
    kind: str, amounts: Sequence[float], accuracies: Callable[[Alteration], list[float]]
) -> Curve:
    """Compute a curve.

    kind, amounts: see `Alteration`.
    accuracies: an alteration -> the accuracy of each run in percent.
    """
    values = [accuracies(Alteration(kind, amount)) for amount in amounts]
    return Curve(kind, list(amounts), np.array(values))


def of_recognition(
    encoder: nn.Module,
    data: Halves,
    streams: Sequence[tuple[str, ...]],
    runs: Sequence[Run],
    scale: Scale | None = None,
) -> Callable[[Alteration], list[float]]:
    """The function that gives `curve` the top-1 accuracies of trained models.

    runs: of recognition.
    scale: standardized the features that the models learned from, or None.
    """

    def accuracies(alteration: Alteration) -> list[float]:
        if any(isinstance(run.model, Recognizer) for run in runs):
            clips = (data.store, data.test, device_of(encoder), alteration)
            found = (predict(run.model, labeled_clips(*clips)) for run in runs)
        else:
            features = _features(encoder, data, streams, alteration, scale)
            classes = classes_of(data.store, data.test, features.device)
            found = (predict(run.model, [(features, classes)]) for run in runs)
        return [accuracy(*scored)["top1"] for scored in found]

    return accuracies


def of_retrieval(
    encoder: nn.Module,
    features: Features,
    modalities: tuple[str, ...],
    neighbors: int,
    labels: Labels = ALL_LABELS,
    seeds: Sequence[int] = (0,),
    scale: Scale | None = None,
) -> Callable[[Alteration], list[float]]:
    """The function that gives `curve` the accuracies of retrieval.

    features: of whole clips; standardized if `scale` is given.
    neighbors: how many neighbors vote.
    labels, seeds: as in `retrieval.retrieve`.
    """
    data = features.data
    train_labels = data.store.label[data.train]

    def accuracies(alteration: Alteration) -> list[float]:
        (queries,) = _features(encoder, data, [modalities], alteration, scale)
        found = []
        for seed in seeds:
            kept = torch.from_numpy(few_labels(train_labels, seed, *labels)).to(queries.device)
            _, indices = nearest(queries, features.train[0][kept], neighbors)
            predicted = vote(features.train_classes[kept][indices])
            found.append(percent(predicted == features.test_classes))
        return found

    return accuracies


def _features(
    encoder: nn.Module,
    data: Halves,
    streams: Sequence[tuple[str, ...]],
    alteration: Alteration,
    scale: Scale | None,
) -> Tensor:
    """Features (S, m, D) of the altered test clips."""
    what = f"encoding test clips, {alteration.kind} {alteration.amount:g}"
    features = extract_streams(
        encoder, data.store, data.test, streams, what=what, alteration=alteration
    )
    return scale.apply(features) if scale else features


def write(found: Curve, beside: Path) -> Path:
    """Write NAME_KIND.csv and NAME_KIND.png beside a result NAME.json; returns the picture's path.

    The names of the files contain the amounts if these are not the defaults.
    """
    usual = found.amounts == AMOUNTS[found.kind]
    stem = (
        f"{beside.with_suffix('')}_{found.kind if usual else in_words(found.kind, found.amounts)}"
    )
    heading = [found.kind, *(f"run {i + 1}" for i in range(found.accuracy.shape[1]))]
    rows = zip(found.amounts, found.accuracy.tolist(), strict=True)
    write_csv(Path(f"{stem}.csv"), heading, ([a, *(f"{v:.2f}" for v in row)] for a, row in rows))
    figure = picture(found)
    with whole_file(f"{stem}.png") as part:
        figure.savefig(part, format="png", dpi=120)
    return Path(f"{stem}.png")


def picture(found: Curve) -> Figure:
    """Draw the mean over the runs as a line, and their range as a band."""
    figure = Figure((5.5, 3.8), layout="constrained")
    axes = figure.add_subplot()
    mean = found.accuracy.mean(1)
    axes.plot(found.amounts, mean, marker="o", color="#2a6fb0")
    if found.accuracy.shape[1] > 1:
        limits = found.accuracy.min(1), found.accuracy.max(1)
        axes.fill_between(found.amounts, *limits, color="#2a6fb0", alpha=0.2, linewidth=0)
    for amount, value in zip(found.amounts, mean, strict=True):
        label = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center", "fontsize": 8}
        axes.annotate(f"{value:.1f}", (amount, value), **label)
    axes.set_xlabel(KINDS[found.kind])
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 105)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
