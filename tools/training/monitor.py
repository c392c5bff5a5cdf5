"""What a run shows in TensorBoard beside its scalars: settings, pictures, and a quick k-NN.

The monitor only observes. It has its own random generator, changes no weight, and runs on the main
process; the other processes wait at the next step.
"""

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from feeder.augment import uniform_draws
from feeder.batches import VIEWS, Batch, load_clips, whole_clips
from feeder.store import Store
from feeder.strengths import PUBLISHED, Strengths
from net.encoder import Encoder
from net.modalities import MODALITIES, derive
from tools.drawing.views import views_image
from tools.evaluation.features import in_batches
from tools.evaluation.neighbors import nearest, vote
from tools.evaluation.standardize import scale_of
from tools.formats.tables import markdown
from tools.training.settings import LOCAL

CLIPS_SHOWN = 4
QUERIES, DATABASE = 512, 2048  # most clips; so k-NN is quick for any size of data set
NEIGHBORS = 5
ENCODING_BATCH = 64
METRICS = ("loss/total", f"monitor/knn_{NEIGHBORS}")  # shown beside the settings in hparams
SIMPLE = (bool, int, float, str)  # types of values that hparams takes


class Monitor:
    """Shows views and k-NN accuracy of a run every few epochs.

    writer: of the run's events; None on processes that show nothing.
    store: the clips.
    rows: the training clips, rows of the store.
    seed: the run's seed.
    every: epochs between two looks; 0: never.
    last: the last epoch; the monitor looks after it in any case.
    strengths: of the augmentation of the views.
    modalities: what the encoder reads.
    """

    def __init__(
        self,
        writer: SummaryWriter | None,
        store: Store,
        rows: np.ndarray,
        *,
        seed: int,
        every: int,
        last: int,
        strengths: Strengths = PUBLISHED,
        modalities: tuple[str, ...] = MODALITIES,
    ):
        self.modalities = modalities
        self.writer, self.store, self.seed = writer, store, seed
        self.every, self.last, self.strengths = every, last, strengths
        self.database, self.queries = held_out(store, rows, seed)
        self.shown = np.random.default_rng([seed, 0]).permutation(rows)[:CLIPS_SHOWN]

    def settings(self, facts: dict[str, dict], step: int) -> None:
        """Write facts of the run as tables, and its settings as hparams of TensorBoard.

        facts: {title of a table: {name: value}}; it has a table `settings`.
        """
        for name, part in facts.items() if self.writer else ():
            self.writer.add_text(name, "\n".join(markdown(("", ""), part.items())), step)
        if self.writer:
            chosen = {k: v for k, v in facts["settings"].items() if k not in LOCAL}
            plain = {k: v if isinstance(v, SIMPLE) else str(v) for k, v in chosen.items()}
            # `SummaryWriter.add_hparams` would write them as another run.
            for summary in hparams(plain, dict.fromkeys(METRICS, 0.0))[:2]:
                self.writer.file_writer.add_summary(summary)

    def write(self, epoch: int, step: int, encoder: Encoder) -> None:
        """Write the views and the accuracy after this epoch, if a look is due."""
        due = self.every and (epoch % self.every == 0 or epoch == self.last)
        if not self.writer or not due:
            return
        device = next(encoder.parameters()).device
        pictures = views_picture(
            *(self.store, self.shown, self.seed, epoch, device), strengths=self.strengths
        )
        self.writer.add_image("monitor/views", pictures, step, dataformats="HWC")
        if len(self.queries):
            clips = self.store, self.database, self.queries
            found = quick_accuracies(encoder, *clips, self.modalities)
            for name, accuracy in zip(("", "_standardized"), found, strict=True):
                self.writer.add_scalar(f"monitor/knn_{NEIGHBORS}{name}", accuracy, step)


def held_out(store: Store, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide some training clips into a database to search and queries to ask: rows (m,) and (n,).

    The queries are clips of a fifth of the training subjects, since another take or camera of the
    same person is too easy to find. With a single subject they are every fifth clip. No test clip
    is used. The seed draws at most DATABASE and QUERIES clips.
    """
    rng = np.random.default_rng([seed, 1])
    rows = rng.permutation(rows)
    subjects = rng.permutation(np.unique(store.subject[rows]))
    asked = np.isin(store.subject[rows], subjects[: max(1, len(subjects) // 5)])
    if len(subjects) == 1:
        asked = np.arange(len(rows)) % 5 == 0
    return rows[~asked][:DATABASE], rows[asked][:QUERIES]


@torch.no_grad()
def quick_accuracies(
    encoder: Encoder,
    store: Store,
    database: np.ndarray,
    queries: np.ndarray,
    modalities: tuple[str, ...] = MODALITIES,
) -> tuple[float, float]:
    """k-NN accuracy in percent: by the features as they are, and standardized.

    database, queries: rows of the store.
    modalities: what the encoder reads; several are fused.

    The database gives the mean and the deviation for standardizing. The encoder is in eval mode
    meanwhile, so its batch statistics do not change.
    """
    device = next(encoder.parameters()).device

    def encode(rows: np.ndarray) -> Tensor:
        clips = (whole_clips(store, batch, device) for batch in in_batches(rows, ENCODING_BATCH))
        return torch.cat([encoder(derive(clip, modalities, store.skeleton)) for clip in clips])

    training = encoder.training
    encoder.eval()
    asked, among = encode(queries), encode(database)
    encoder.train(training)
    classes, truth = (torch.from_numpy(store.label[rows]) for rows in (database, queries))

    def accuracy(asked: Tensor, among: Tensor) -> float:
        _, found = nearest(asked, among, min(NEIGHBORS, len(among)))
        return 100 * (vote(classes[found.cpu()]) == truth).float().mean().item()

    scale = scale_of(among)
    return accuracy(asked, among), accuracy(scale.apply(asked), scale.apply(among))


def views_picture(
    store: Store,
    rows: np.ndarray,
    seed: int,
    epoch: int,
    device: torch.device,
    strengths: Strengths = PUBLISHED,
) -> np.ndarray:
    """An image (H, W, 3) uint8; each row shows a whole clip and its four augmented views.

    rows: the clips, rows of the store.
    seed, epoch: of the random numbers that draw the views.
    strengths: of the augmentation.

    The views are made as in training.
    """
    rng, shape = np.random.default_rng([seed, 2, epoch]), (VIEWS, len(rows))
    uniform = uniform_draws(rng, shape, store.skeleton.num_joints, strengths)
    uniform = torch.from_numpy(uniform).to(device)
    clips = load_clips(store, rows, device)
    batch = Batch(clips, uniform, step=0, rows=rows, shares=[len(rows)], strengths=strengths)
    views, whole = batch.views().cpu().numpy(), clips.resized().cpu().numpy()
    shown = [(store.names[row], whole[i], views[:, i]) for i, row in enumerate(rows)]
    return views_image(shown, store.skeleton)
