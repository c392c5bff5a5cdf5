"""Retrieval: find the training clips nearest to each test clip, by cosine similarity of features.

features = encode(encoder, open_halves(store, "cross_subject"))
(found,) = retrieve(features)
print(found.accuracies)
"""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tools import cli
from tools.evaluation.features import Features
from tools.evaluation.labels import ALL_LABELS, Labels, few_labels
from tools.evaluation.neighbors import average_precision, nearest, vote

RECALLED = (1, 5)  # the numbers of nearest clips for which recall is computed


class Retrieval(NamedTuple):
    """What was found for each of m test clips.

    seed: drew the training clips that have a label.
    labeled: number of training clips that have a label.
    found: (m, k) rows of the store, nearest first.
    similarity: (m, k) cosine similarities.
    predicted: (m,) classes, from 0, by a vote of the first number of neighbors.
    accuracies: {number of neighbors that vote: percent}.
    recalls: {k: percent of test clips with a clip of their class among the k nearest}.
    mean_precision: mean average precision in percent, over the test clips whose class occurs in
        training; None where there is no such clip.
    unseen: number of test clips whose class does not occur in training.
    """

    seed: int
    labeled: int
    found: np.ndarray
    similarity: np.ndarray
    predicted: Tensor
    accuracies: dict[int, float]
    recalls: dict[int, float]
    mean_precision: float | None
    unseen: int

    def figures(self) -> dict[str, Any]:
        """The figures of the result, by the names that its file has."""
        neighbors = next(iter(self.accuracies))
        return {
            "neighbours": neighbors,
            "accuracy": self.accuracies[neighbors],
            "accuracies": self.accuracies,
            "map": self.mean_precision,
            **{f"recall_at_{k}": recall for k, recall in self.recalls.items()},
        }


def retrieve(
    features: Features,
    neighbors: Sequence[int] = (1,),
    labels: Labels = ALL_LABELS,
    seeds: Iterable[int] = (0,),
) -> list[Retrieval]:
    """Find the training clips nearest to each test clip, once for each seed.

    features: of one stream.
    neighbors: how many neighbors vote; several numbers give several accuracies.
    labels: how many training clips of each class can be found.
    seeds: draw these training clips.
    Raises UserError where there are fewer training clips than neighbors.
    """
    train_labels = features.data.store.label[features.data.train]
    return [
        _retrieve(features, neighbors, few_labels(train_labels, seed, *labels), seed)
        for seed in seeds
    ]


def check(neighbors: Sequence[int], clips: int) -> None:
    """Raise UserError where there are fewer training clips than neighbors that vote."""
    if max(neighbors) > clips:
        raise cli.UserError(f"--knn-neighbours {max(neighbors)} is more than {clips} clips")


def _retrieve(
    features: Features, neighbors: Sequence[int], labeled: np.ndarray, seed: int
) -> Retrieval:
    kept = torch.from_numpy(labeled).to(features.train.device)
    (queries,), (database,) = features.test, features.train
    database = database if len(kept) == len(database) else database[kept]
    check(neighbors, len(database))
    classes, truth = features.train_classes[kept], features.test_classes
    shown = min(max(*neighbors, *RECALLED), len(database))
    similarity, indices = nearest(queries, database, shown)
    found = classes[indices]  # (m, k)
    precision = average_precision(queries, database, truth, classes)
    unseen = int((~torch.isin(truth, classes)).sum())
    return Retrieval(
        seed,
        len(labeled),
        features.data.train[labeled][indices.cpu().numpy()],
        similarity.cpu().numpy(),
        vote(found[:, : neighbors[0]]),
        {k: percent(vote(found[:, :k]) == truth) for k in neighbors},
        {k: percent((found[:, :k] == truth[:, None]).any(1)) for k in RECALLED},
        None if unseen == len(truth) else 100 * precision.nanmean().item(),
        unseen,
    )


def summary(runs: Sequence[Retrieval]) -> dict[str, Any]:
    """The figures of a result: means over the runs, and the figures of each run.

    `accuracy_std` is the standard deviation (unbiased) of the first accuracy; None for a single
    run.
    """
    each = [run.figures() for run in runs]
    first = each[0]
    means = {key: _mean([one[key] for one in each]) for key in first if key != "accuracies"}
    accuracies = {k: _mean([one["accuracies"][k] for one in each]) for k in first["accuracies"]}
    values = [one["accuracy"] for one in each]
    return means | {
        "neighbours": first["neighbours"],
        "accuracies": accuracies,
        "accuracy_std": statistics.stdev(values) if len(runs) > 1 else None,
        "test_clips_of_classes_without_training": runs[0].unseen,
        "runs": [
            {"seed": run.seed, "labelled_clips": run.labeled} | one
            for run, one in zip(runs, each, strict=True)
        ],
    }


def _mean(values: list[float | None]) -> float | None:
    return None if None in values else statistics.fmean(values)


def percent(right: Tensor) -> float:
    """Percent of true values in (n,) bool."""
    return 100 * right.sum().item() / len(right)
