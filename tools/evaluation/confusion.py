"""Which classes are confused: the matrix, the accuracy of each class, the most confused pairs."""

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix
from sklearn.utils.multiclass import unique_labels
from torch.utils.tensorboard import SummaryWriter

from tools.drawing import figures
from tools.evaluation.results import Evaluation
from tools.formats.tables import markdown, write_csv

PAIRS = 20
MOST_NUMBERED = 24  # most classes for which the picture has numbers in its fields


def write(evaluation: Evaluation, predicted: np.ndarray, writer: SummaryWriter) -> None:
    """Write NAME_confusion.csv and .png, NAME_classes.csv, NAME_pairs.csv, and to TensorBoard.

    predicted: (runs, m) classes, from 0. A class neither true nor predicted anywhere is left out.
    """
    store, rows, task = evaluation.data.store, evaluation.data.test, evaluation.task
    truth, predicted = np.tile(store.label[rows], len(predicted)), predicted.ravel()
    names = [store.class_names[k] for k in unique_labels(truth, predicted)]
    matrix = confusion_matrix(truth, predicted)  # (K, K); rows are true classes
    with np.errstate(invalid="ignore"):  # NaN for a class without clips
        accuracy = 100 * matrix.diagonal() / matrix.sum(1)
    columns = zip(names, matrix.sum(1), accuracy, strict=True)
    classes = ["class", "clips", "accuracy"], [[a, b, f"{c:.2f}"] for a, b, c in columns]
    taken = [[names[i], names[j], n, f"{share:.2f}"] for i, j, n, share in pairs(matrix)]
    confused = ["class", "taken for", "clips", "percent of the class"], taken
    lines = ([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))
    write_csv(evaluation.file("_confusion.csv"), ["class", *names], lines)
    write_csv(evaluation.file("_classes.csv"), *classes)
    write_csv(evaluation.file("_pairs.csv"), *confused)
    figure = draw(names, matrix)
    figures.save(figure, evaluation.file("_confusion.png"), dpi=110)
    writer.add_figure(f"{task}/confusion", figure)
    writer.add_text(f"{task}/classes", "\n".join(markdown(*classes)))
    writer.add_text(f"{task}/most confused", "\n".join(markdown(*confused)))


def pairs(matrix: np.ndarray) -> list[tuple[int, int, int, float]]:
    """The most confused pairs: (true class, predicted class, clips, percent of the true class)."""
    rows, columns = np.nonzero(matrix - np.diag(matrix.diagonal()))
    clips = matrix[rows, columns]
    share = 100 * clips / matrix.sum(1)[rows]
    order = np.lexsort((columns, rows, -clips, -share))[:PAIRS]  # by percent, clips, class
    return list(zip(*(part[order].tolist() for part in (rows, columns, clips, share)), strict=True))


def draw(names: list[str], matrix: np.ndarray) -> Figure:
    """The matrix (K, K) of some classes as a picture, each row in percent of its class."""
    numbered = len(names) <= MOST_NUMBERED
    side = max(5.0, 2.5 + (0.36 if numbered else 0.16) * len(names))  # inches
    figure = Figure((side, side), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    share = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    style = {"cmap": "Blues", "xticks_rotation": "vertical", "values_format": ".0f"}
    style |= {"im_kw": {"norm": PowerNorm(0.5, 0, 100)}}  # makes rare confusions visible
    display = ConfusionMatrixDisplay(share, display_labels=names)
    display.plot(include_values=numbered, ax=axes, colorbar=False, text_kw={"fontsize": 7}, **style)
    right = 100 * matrix.trace() / max(matrix.sum(), 1)
    axes.set_title(f"{right:.2f} % right; percent of each class's clips", fontsize=10)
    axes.tick_params(length=0, labelsize=8 if numbered else 6)
    return figure
