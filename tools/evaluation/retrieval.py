"""Retrieval: the nearest training clips of each test clip, by cosine similarity of features.

features = encode(encoder, open_halves(store, "cross_subject"))
print(retrieve(features).accuracies)
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tools import cli
from tools.evaluation.features import Features
from tools.evaluation.neighbours import average_precision, nearest, vote

RECALLED = (1, 5)  # recall is among this many nearest clips


class Retrieval(NamedTuple):
    """What was found for each of m test clips.

    found: (m, k) rows of the store, the nearest first; similarity: (m, k) cosines; predicted: (m,)
    the classes, from 0, that the neighbours vote for, as many of them as the first number says.
    accuracies: {how many neighbours vote: percent}; recalls: {k: percent of test clips with a clip
    of their class among the k nearest}. mean_precision: mean average precision in percent, over the
    test clips whose class occurs in training; None where there is no such clip. unseen: how many
    test clips have a class that does not occur in training.
    """

    found: np.ndarray
    similarity: np.ndarray
    predicted: Tensor
    accuracies: dict[int, float]
    recalls: dict[int, float]
    mean_precision: float | None
    unseen: int

    def figures(self) -> dict[str, Any]:
        """The figures of a retrieval result, as its file has them."""
        neighbours = next(iter(self.accuracies))
        return {
            "neighbours": neighbours,
            "accuracy": self.accuracies[neighbours],
            "accuracies": self.accuracies,
            "map": self.mean_precision,
            **{f"recall_at_{k}": recall for k, recall in self.recalls.items()},
            "test_clips_of_classes_without_training": self.unseen,
        }


def retrieve(features: Features, neighbours: Sequence[int] = (1,)) -> Retrieval:
    """Find the training clips that are nearest to each test clip.

    features: of one stream; neighbours: how many vote, several numbers: each. Raises UserError
    where there are not so many training clips.
    """
    (queries,), (database,) = features.test, features.train
    if (most := max(neighbours)) > len(database):
        raise cli.UserError(f"--knn-neighbours {most} is more than {len(database)} clips")
    classes, truth = features.train_classes, features.test_classes
    shown = min(max(most, *RECALLED), len(database))
    similarity, indices = nearest(queries, database, shown)
    found = classes[indices]  # (m, k)
    precision = average_precision(queries, database, truth, classes)
    unseen = int((~torch.isin(truth, classes)).sum())
    return Retrieval(
        features.data.train[indices.cpu().numpy()],
        similarity.cpu().numpy(),
        vote(found[:, : neighbours[0]]),
        {k: percent(vote(found[:, :k]) == truth) for k in neighbours},
        {k: percent((found[:, :k] == truth[:, None]).any(1)) for k in RECALLED},
        None if unseen == len(truth) else 100 * precision.nanmean().item(),
        unseen,
    )


def percent(right: Tensor) -> float:
    """Share of true values in percent: (n,) bool."""
    return 100 * right.sum().item() / len(right)
