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
from tools.evaluation.features import extract_features, scale_of
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
        self.bank, self.queries = held_out(store, rows, seed)
        self.shown = np.random.default_rng([seed, 0]).permutation(rows)[:CLIPS_SHOWN]

    def write(self, epoch: int, step: int, encoder: nn.Module) -> None:
        """Log views and accuracies after an epoch, if it is due."""
        due = self.every and (epoch % self.every == 0 or epoch == self.last)
        if not (self.writer and due):
            return
        rng, method = np.random.default_rng([self.seed, 2, epoch]), self.method
        image = draw_views(self.store, self.shown, rng, self.strengths, method.views)
        self.writer.add_image("monitor/views", image, step, dataformats="HWC")
        if len(self.queries) and self.store.description.classes != UNLABELED:
            accuracies = knn_accuracy(
                encoder, self.store, self.bank, self.queries, method.modalities
            )
            for name, accuracy in accuracies.items():
                self.writer.add_scalar(f"monitor/{name}", accuracy, step)


def held_out(store: Store, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split training clips into a feature bank and queries: rows (m,) and (n,).

    The queries are clips of a fifth of the training subjects, or every fifth clip of a single
    subject. No test clip is used.
    """
    rng = np.random.default_rng([seed, 1])
    rows = rng.permutation(rows)
    subjects = rng.permutation(np.unique(store.subject[rows]))
    queries = np.isin(store.subject[rows], subjects[: max(1, len(subjects) // 5)])
    if len(subjects) == 1:
        queries = np.arange(len(rows)) % 5 == 0
    return rows[~queries][:BANK], rows[queries][:QUERIES]


def knn_accuracy(
    encoder: nn.Module,
    store: Store,
    bank: np.ndarray,
    queries: np.ndarray,
    modalities: tuple[str, ...],
) -> dict[str, float]:
    """5-NN accuracy in percent: {"knn_5": of features, "knn_5_standardized": standardized}.

    bank, queries: rows of the store; the bank gives mean and deviation for standardizing
    """
    training = encoder.training
    encoder.eval()
    (x,), (y,) = (extract_features(encoder, store, rows, [modalities]) for rows in (queries, bank))
    encoder.train(training)
    bank_labels, labels = (torch.from_numpy(store.label[rows]) for rows in (bank, queries))
    scale, accuracies = scale_of(y), {}
    for way, a, b in (("", x, y), ("_standardized", scale.apply(x), scale.apply(y))):
        _, found = nearest(a, b, min(NEIGHBORS, len(bank)))
        accuracies[f"knn_{NEIGHBORS}{way}"] = percent(vote(bank_labels[found.cpu()]) == labels)
    return accuracies


def draw_views(
    store: Store, rows: np.ndarray, rng: np.random.Generator, strengths: Strengths, views: int
) -> np.ndarray:
    """Some clips and their augmented views, made as in training: (H, W, 3) uint8."""
    clips = load_clips(store, rows, torch.device("cpu"))
    whole, seen = augmented(clips, rng, strengths, views)
    shown = [(store.names[row], whole[i], seen[:, i]) for i, row in enumerate(rows)]
    return views_image(shown, store.skeleton)
