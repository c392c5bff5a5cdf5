"""What a run shows in TensorBoard every few epochs: its augmented views, and a quick k-NN.

The monitor only looks: it has its own random generators and changes no weight. Rank 0 runs it.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from feeder.augment import Strengths, uniform_draws
from feeder.batches import Batch, load_clips, whole_clips
from feeder.mixture import Mixture
from feeder.store import Store
from net.modalities import derive
from tools.drawing.views import views_image
from tools.evaluation.features import scale_of
from tools.evaluation.neighbors import nearest, vote

CLIPS_SHOWN = 4
BANK, QUERIES = 2048, 512  # at most so many clips
NEIGHBORS, BATCH = 5, 64


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
        views: int,
        modalities: tuple[str, ...],
    ):
        """Choose the clips.

        writer: None on other ranks than 0, which log nothing
        rows: (n,) training clips, rows of the store
        every: epochs between two entries, 0 for none; the `last` epoch has one, too
        views, modalities: of the method
        """
        if isinstance(store, Mixture):
            store, rows = store.stores[0], rows[: store.sizes(rows)[0]]
        self.writer, self.store, self.seed, self.every, self.last = writer, store, seed, every, last
        self.strengths, self.views, self.modalities = strengths, views, modalities
        self.bank, self.queries = held_out(store, rows, seed)
        self.shown = np.random.default_rng([seed, 0]).permutation(rows)[:CLIPS_SHOWN]

    def write(self, epoch: int, step: int, encoder: nn.Module) -> None:
        """Log views and accuracies after an epoch, if it is due."""
        due = self.every and (epoch % self.every == 0 or epoch == self.last)
        if not (self.writer and due):
            return
        image = draw_views(
            self.store,
            self.shown,
            seed=self.seed,
            epoch=epoch,
            strengths=self.strengths,
            views=self.views,
            device=next(encoder.parameters()).device,
        )
        self.writer.add_image("monitor/views", image, step, dataformats="HWC")
        if len(self.queries):
            accuracies = knn_accuracy(encoder, self.store, self.bank, self.queries, self.modalities)
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


@torch.no_grad()
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
    device, training = next(encoder.parameters()).device, encoder.training

    def encode(rows: np.ndarray) -> Tensor:
        parts = np.split(rows, range(BATCH, len(rows), BATCH))
        clips = (whole_clips(store, part, device) for part in parts)
        return torch.cat([encoder(derive(clip, modalities, store.skeleton)) for clip in clips])

    encoder.eval()
    query_features, bank_features = encode(queries), encode(bank)
    encoder.train(training)
    scale = scale_of(bank_features)
    bank_labels, labels = (torch.from_numpy(store.label[rows]) for rows in (bank, queries))

    def accuracy(queries: Tensor, bank: Tensor) -> float:
        _, found = nearest(queries, bank, min(NEIGHBORS, len(bank)))
        return 100 * (vote(bank_labels[found.cpu()]) == labels).float().mean().item()

    return {
        f"knn_{NEIGHBORS}": accuracy(query_features, bank_features),
        f"knn_{NEIGHBORS}_standardized": accuracy(
            scale.apply(query_features), scale.apply(bank_features)
        ),
    }


def draw_views(
    store: Store,
    rows: np.ndarray,
    *,
    seed: int,
    epoch: int,
    strengths: Strengths,
    views: int,
    device: torch.device,
) -> np.ndarray:
    """Some clips and their augmented views, made as in training: (H, W, 3) uint8."""
    rng = np.random.default_rng([seed, 2, epoch])
    draws = uniform_draws(rng, (views, len(rows)), store.skeleton.num_joints, strengths)
    clips = load_clips(store, rows, device)
    uniform = torch.from_numpy(draws).to(device)
    batch = Batch(clips, uniform, step=0, rows=rows, shares=[len(rows)], strengths=strengths)
    augmented, whole = batch.views().cpu(), clips.resized().cpu()
    shown = [(store.names[row], whole[i], augmented[:, i]) for i, row in enumerate(rows)]
    return views_image(shown, store.skeleton)
