"""What a run shows in TensorBoard every few epochs: its augmented views, and a quick k-NN.

The monitor only looks: it has its own random generators and changes no weight. Rank 0 runs it.
"""

import numpy as np
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from feeder.augment import Strengths
from feeder.batches import load_clips
from feeder.description import UNLABELED
from feeder.mixture import Mixture
from feeder.store import Store
from net.methods import Method
from tools.drawing.skeletons import augmented, views_image
from tools.evaluation.features import TrainTestSplit, encode, standardized
from tools.evaluation.neighbors import nearest, percent, vote

CLIPS_SHOWN = 4
BANK, QUERIES = 2048, 512  # at most so many clips
NEIGHBORS = 5


class Monitor:
    """Logs views and a quick k-NN of a run; of several stores it takes the first."""

    def __init__(
        self,
        writer: SummaryWriter | None,
        store: Store | Mixture,
        rows: np.ndarray,
        *,
        seed: int,
        every: int,
        last: int,
        strengths: Strengths,
        method: Method,
    ):
        """Choose the clips.

        writer: None on other ranks than 0, which log nothing
        rows: (n,) training clips, rows of the store
        every: epochs between two entries, 0 for none; the `last` epoch has one, too
        """
        if isinstance(store, Mixture):
            store, rows = store.stores[0], rows[: store.sizes(rows)[0]]
        self.writer, self.store, self.seed, self.every, self.last = writer, store, seed, every, last
        self.strengths, self.method = strengths, method
        self.data = held_out(store, rows, seed)
        self.shown = np.random.default_rng([seed, 0]).permutation(rows)[:CLIPS_SHOWN]

    def write(self, epoch: int, step: int, encoder: nn.Module) -> None:
        """Log views and accuracies after an epoch, if it is due."""
        due = self.every and (epoch % self.every == 0 or epoch == self.last)
        if not (self.writer and due):
            return
        store, rng = self.store, np.random.default_rng([self.seed, 2, epoch])
        clips = load_clips(store, self.shown, torch.device("cpu"))
        whole, seen = augmented(clips, rng, self.strengths, self.method.views)
        rows = [(store.names[row], whole[i], seen[:, i]) for i, row in enumerate(self.shown)]
        image = views_image(rows, store.skeleton)
        self.writer.add_image("monitor/views", image, step, dataformats="HWC")
        if len(self.data.test) and store.description.classes != UNLABELED:
            found = knn_accuracy(encoder, self.data, self.method.modalities)
            for name, accuracy in found.items():
                self.writer.add_scalar(f"monitor/{name}", accuracy, step)


def held_out(store: Store, rows: np.ndarray, seed: int) -> TrainTestSplit:
    """Split training clips into a feature bank, `train`, and queries, `test`.

    The queries are clips of a fifth of the training subjects, or every fifth clip of a single
    subject. No test clip is used.
    """
    rng = np.random.default_rng([seed, 1])
    rows = rng.permutation(rows)
    subjects = rng.permutation(np.unique(store.subject[rows]))
    queries = np.isin(store.subject[rows], subjects[: max(1, len(subjects) // 5)])
    if len(subjects) == 1:
        queries = np.arange(len(rows)) % 5 == 0
    return TrainTestSplit(store, "held out", rows[~queries][:BANK], rows[queries][:QUERIES])


def knn_accuracy(
    encoder: nn.Module, data: TrainTestSplit, modalities: tuple[str, ...]
) -> dict[str, float]:
    """5-NN accuracy of the queries in percent: {"knn_5": of features, "knn_5_standardized"}."""
    training, accuracies = encoder.training, {}
    encoder.eval()
    features = encode(encoder, data, [modalities])
    encoder.train(training)
    for way, x in (("", features), ("_standardized", standardized(features)[0])):
        _, found = nearest(x.test[0], x.train[0], min(NEIGHBORS, len(data.train)))
        right = vote(x.train_classes[found]) == x.test_classes
        accuracies[f"knn_{NEIGHBORS}{way}"] = percent(right)
    return accuracies
