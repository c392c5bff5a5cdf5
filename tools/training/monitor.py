"""What a pre-training run shows in TensorBoard beside its scalars: settings, views, a quick k-NN.

It only looks: it draws from a random generator of its own, leaves the weights alone and runs on
the main process, while the others wait at the next step.
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
from tools.drawing import draw, scenes, sheets
from tools.evaluation.neighbors import nearest, vote
from tools.evaluation.standardize import scale_of
from tools.formats.tables import markdown
from tools.training.settings import LOCAL

CLIPS_SHOWN, FRAMES_SHOWN, PICTURE = 4, 3, 120
QUERIES, DATABASE = 512, 2048  # clips at most: seconds on a GPU at any size of data set
NEIGHBORS = 5
ENCODING_BATCH = 64
METRICS = ("loss/total", f"monitor/knn_{NEIGHBORS}")  # beside the settings, in hparams
SIMPLE = (bool, int, float, str)  # kinds of values in hparams


class Monitor:
    """Looks at a run every so many epochs.

    writer: of the run's events, None on processes that do not look; rows: the training clips, rows
    of the store; seed: the run's; every: epochs between looks, 0 for never; last: the last epoch,
    after which it looks in any case; strengths: of the views' augmentation.
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
    ):
        self.writer, self.store, self.seed = writer, store, seed
        self.every, self.last, self.strengths = every, last, strengths
        self.database, self.queries = held_out(store, rows, seed)
        self.shown = np.random.default_rng([seed, 0]).permutation(rows)[:CLIPS_SHOWN]

    def settings(self, facts: dict[str, dict], step: int) -> None:
        """Write what is known of the run, by subject (settings, data, ...), as tables.

        The settings also as TensorBoard's hparams, beside METRICS, whose curves have these tags.
        """
        for name, part in facts.items() if self.writer else ():
            self.writer.add_text(name, "\n".join(markdown(("", ""), part.items())), step)
        if self.writer:
            chosen = {k: v for k, v in facts["settings"].items() if k not in LOCAL}
            plain = {k: v if isinstance(v, SIMPLE) else str(v) for k, v in chosen.items()}
            # `SummaryWriter.add_hparams` would make a run of its own of them.
            for summary in hparams(plain, dict.fromkeys(METRICS, 0.0))[:2]:
                self.writer.file_writer.add_summary(summary)

    def write(self, epoch: int, step: int, encoder: Encoder) -> None:
        """Write the views and the accuracy after so many epochs, if it is time to."""
        due = self.every and (epoch % self.every == 0 or epoch == self.last)
        if not self.writer or not due:
            return
        device = next(encoder.parameters()).device
        pictures = views_picture(
            *(self.store, self.shown, self.seed, epoch, device), strengths=self.strengths
        )
        self.writer.add_image("monitor/views", pictures, step)
        if len(self.queries):
            found = quick_accuracies(encoder, self.store, self.database, self.queries)
            for name, accuracy in zip(("", "_standardized"), found, strict=True):
                self.writer.add_scalar(f"monitor/knn_{NEIGHBORS}{name}", accuracy, step)


def held_out(store: Store, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training clips to look among, and training clips to ask about: (m,) and (n,) rows.

    The latter are clips of a fifth of the training subjects, since another take or camera of the
    same person would be too easy to find; of every fifth clip where there is one subject only.
    No test clip is among them. DATABASE and QUERIES at most, drawn by the seed.
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
    encoder: Encoder, store: Store, database: np.ndarray, queries: np.ndarray
) -> tuple[float, float]:
    """Share, in percent, of clips whose nearest others vote for their class, by fused features.

    database, queries: rows of the store. Returns that of the features as they are, and that of
    features standardized by those of the database. The encoder is in eval mode meanwhile, so that
    looking leaves no trace in its batch statistics.
    """
    device = next(encoder.parameters()).device

    def encode(rows: np.ndarray) -> Tensor:
        batches = np.split(rows, range(ENCODING_BATCH, len(rows), ENCODING_BATCH))
        clips = (whole_clips(store, batch, device) for batch in batches)
        return torch.cat([encoder(derive(clip, MODALITIES, store.skeleton)) for clip in clips])

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
) -> Tensor:
    """Some clips whole and as four augmented views: (3, H, W) uint8, a row a clip.

    Made as those of training are, from draws of its own. The whole clip and each view, its name
    above it, take FRAMES_SHOWN frames; all of a row are drawn to one scale.
    """
    rng, shape = np.random.default_rng([seed, 2, epoch]), (VIEWS, len(rows))
    uniform = uniform_draws(rng, shape, store.skeleton.num_joints, strengths)
    uniform = torch.from_numpy(uniform).to(device)
    clips = load_clips(store, rows, device)
    batch = Batch(clips, uniform, step=0, rows=rows, shares=[len(rows)], strengths=strengths)
    views, whole = batch.views().cpu(), clips.resized().cpu()
    sheet = []
    for i, row in enumerate(rows):
        shown = {store.names[row]: scenes.scene(whole[i], skeleton=store.skeleton)}
        shown |= scenes.of_views(views[:, i], store.skeleton)
        view = draw.fit(list(shown.values()), PICTURE)
        line = []
        for name, scene in shown.items():
            frames = sheets.evenly(len(scene.joints), FRAMES_SHOWN)
            pictures = [draw.draw(scene, frame, view) for frame in frames]
            line += [sheets.write(pictures[0], name, size=9), *pictures[1:]]
        sheet.append(line)
    return sheets.rows(sheet)
