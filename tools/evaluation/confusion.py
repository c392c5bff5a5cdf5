"""Which classes are confused: the matrix, the accuracy of each class, the most confused pairs.

Beside a result NAME.json lie NAME_confusion.csv and .png, NAME_classes.csv and NAME_pairs.csv; the
same goes into TensorBoard.
"""

from collections.abc import Sequence

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


def confusion(
    names: Sequence[str], classes: np.ndarray, predicted: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """Count the predictions for n clips, both classes (n,) from 0.

    Returns the names of the K classes that occur, and the matrix (K, K) int64 of clips: rows are
    true classes, columns are predicted classes.
    """
    there = unique_labels(classes, predicted)
    return [names[i] for i in there], confusion_matrix(classes, predicted)


def pairs(names: list[str], matrix: np.ndarray) -> list[tuple[str, str, int, float]]:
    """The most confused pairs: (true class, predicted class, clips, percent of the true class).

    They are sorted by percent, then by clips, then by class.
    """
    rows, columns = np.nonzero(matrix - np.diag(matrix.diagonal()))
    clips = matrix[rows, columns]
    share = 100 * clips / matrix.sum(1)[rows]
    order = np.lexsort((columns, rows, -clips, -share))[:PAIRS]
    return [(names[rows[i]], names[columns[i]], int(clips[i]), float(share[i])) for i in order]


def write(evaluation: Evaluation, predicted: np.ndarray, writer: SummaryWriter) -> None:
    """Write the matrix, the tables and the picture beside a result, and into TensorBoard.

    predicted: (runs, m), the classes, from 0, that each run predicted for the test clips.
    """
    store, rows, task = evaluation.data.store, evaluation.data.test, evaluation.task
    classes = np.broadcast_to(store.label[rows], predicted.shape)
    names, matrix = confusion(store.class_names, classes.ravel(), predicted.ravel())
    write_csv(
        evaluation.file("_confusion.csv"),
        ["class", *names],
        [[name, *row] for name, row in zip(names, matrix.tolist(), strict=True)],
    )
    each = [
        [name, row.sum(), f"{100 * row[i] / row.sum() if row.any() else np.nan:.2f}"]
        for i, (name, row) in enumerate(zip(names, matrix, strict=True))
    ]
    taken = [[*pair, f"{share:.2f}"] for *pair, share in pairs(names, matrix)]
    for suffix, title, header, table in (
        ("_classes.csv", "classes", ("class", "clips", "accuracy"), each),
        (
            "_pairs.csv",
            "most confused",
            ("class", "taken for", "clips", "percent of the class"),
            taken,
        ),
    ):
        write_csv(evaluation.file(suffix), header, table)
        writer.add_text(f"{task}/{title}", "\n".join(markdown(header, table)))
    figure = draw(names, matrix)
    with atomic(evaluation.file("_confusion.png")) as part:
        figure.savefig(part, format="png")
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    writer.add_image(f"{task}/confusion", pixels, dataformats="HWC")


def draw(names: list[str], matrix: np.ndarray) -> Figure:
    """The matrix as a picture, each row in percent of its class."""
    count = len(names)
    numbered = count <= MOST_NUMBERED
    side = max(5.0, 2.5 + (0.36 if numbered else 0.16) * count)  # inches
    figure = Figure((side, side), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    share = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    ConfusionMatrixDisplay(share, display_labels=names).plot(
        include_values=numbered,
        cmap="Blues",
        xticks_rotation="vertical",
        values_format=".0f",
        ax=axes,
        colorbar=False,
        im_kw={"norm": PowerNorm(0.5, 0, 100)},  # makes rare confusions visible
        text_kw={"fontsize": 7},
    )
    right = 100 * matrix.trace() / max(matrix.sum(), 1)
    axes.set_title(f"{right:.2f} % right; percent of each class's clips", fontsize=10)
    axes.tick_params(length=0, labelsize=8 if numbered else 6)
    axes.spines[:].set_visible(False)
    figure.canvas.draw()
    return figure
