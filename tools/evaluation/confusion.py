"""Which classes are confused: the matrix, the accuracy of each class, the most confused pairs.

Beside a result NAME.json lie NAME_confusion.csv and .png, NAME_classes.csv and NAME_pairs.csv; the
same goes into TensorBoard.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix
from sklearn.utils.multiclass import unique_labels
from torch.utils.tensorboard import SummaryWriter

from common import atomic
from tools.evaluation.results import Evaluation
from tools.formats.tables import markdown, write_csv

PAIRS = 20
MOST_NUMBERED = 24  # most classes for which the picture has numbers in its fields


class Confusion(NamedTuple):
    """How many clips of each class were predicted to have each class.

    names: of the K classes that are true or predicted for a clip.
    matrix: (K, K) int64; rows are true classes, columns are predicted classes.
    """

    names: list[str]
    matrix: np.ndarray

    @property
    def clips(self) -> np.ndarray:
        """The number of clips of each class, (K,)."""
        return self.matrix.sum(1)

    def accuracy(self) -> np.ndarray:
        """Percent of the clips of each class that are right, (K,); NaN where there are no clips."""
        total = self.clips
        right = self.matrix.diagonal()
        return 100 * np.divide(right, total, np.full(len(total), np.nan), where=total > 0)

    def pairs(self) -> list[tuple[str, str, int, float]]:
        """The most confused pairs: (true class, predicted class, clips, percent of the true class).

        They are sorted by percent, then by clips, then by class.
        """
        rows, columns = np.nonzero(self.matrix - np.diag(self.matrix.diagonal()))
        clips = self.matrix[rows, columns]
        share = 100 * clips / self.clips[rows]
        order = np.lexsort((columns, rows, -clips, -share))[:PAIRS]
        return [
            (self.names[rows[i]], self.names[columns[i]], int(clips[i]), float(share[i]))
            for i in order
        ]


def confusion(names: Sequence[str], classes: Sequence[int], predicted: Sequence[int]) -> Confusion:
    """Count the predictions of n clips for each true class; classes count from 0."""
    there = unique_labels(classes, predicted)
    return Confusion([names[i] for i in there], confusion_matrix(classes, predicted))


def write(evaluation: Evaluation, predicted: np.ndarray, writer: SummaryWriter) -> None:
    """Write the matrix, the tables and the picture beside a result, and into TensorBoard.

    predicted: (runs, m), the classes, from 0, that each run predicted for the test clips.
    """
    store, rows = evaluation.data.store, evaluation.data.test
    classes = np.broadcast_to(store.label[rows], predicted.shape)
    found = confusion(store.class_names, classes.ravel(), predicted.ravel())
    matrix = ([name, *row] for name, row in zip(found.names, found.matrix.tolist(), strict=True))
    write_csv(evaluation.file("_confusion.csv"), ["class", *found.names], matrix)
    heading = ["class", "clips", "accuracy"]
    each = zip(found.names, found.clips, found.accuracy(), strict=True)
    classes = [[name, clips, f"{accuracy:.2f}"] for name, clips, accuracy in each]
    write_csv(evaluation.file("_classes.csv"), heading, classes)
    pair_heading = ["class", "taken for", "clips", "percent of the class"]
    pairs = [[true, taken, clips, f"{share:.2f}"] for true, taken, clips, share in found.pairs()]
    write_csv(evaluation.file("_pairs.csv"), pair_heading, pairs)
    figure = draw(found)
    with atomic(evaluation.file("_confusion.png")) as part:
        figure.savefig(part, format="png")
    task, pixels = evaluation.task, np.asarray(figure.canvas.buffer_rgba())[..., :3]
    writer.add_image(f"{task}/confusion", pixels, dataformats="HWC")
    writer.add_text(f"{task}/classes", "\n".join(markdown(heading, classes)))
    writer.add_text(f"{task}/most confused", "\n".join(markdown(pair_heading, pairs)))


def draw(found: Confusion) -> Figure:
    """The matrix as a picture, each row in percent of its class."""
    count = len(found.names)
    numbered = count <= MOST_NUMBERED
    side = max(5.0, 2.5 + (0.36 if numbered else 0.16) * count)  # inches
    figure = Figure((side, side), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    share = 100 * found.matrix / np.maximum(found.clips[:, None], 1)
    ConfusionMatrixDisplay(share, display_labels=found.names).plot(
        include_values=numbered,
        cmap="Blues",
        xticks_rotation="vertical",
        values_format=".0f",
        ax=axes,
        colorbar=False,
        im_kw={"norm": PowerNorm(0.5, 0, 100)},  # makes rare confusions visible
        text_kw={"fontsize": 7},
    )
    right = 100 * found.matrix.trace() / max(found.matrix.sum(), 1)
    axes.set_title(f"{right:.2f} % right; percent of each class's clips", fontsize=10)
    axes.tick_params(length=0, labelsize=8 if numbered else 6)
    axes.spines[:].set_visible(False)
    figure.canvas.draw()
    return figure
