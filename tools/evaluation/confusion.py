"""Which classes are confused: the matrix, the accuracy of each class, the most confused pairs.

Beside a result NAME.json lie NAME_confusion.csv and .png, NAME_classes.csv and NAME_pairs.csv; the
same goes into TensorBoard.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from data_gen.preparing.files import whole_file
from tools.cli import UserError
from tools.drawing.figures import text_color
from tools.formats.tables import markdown, read_csv, write_csv

PAIRS = 20
MOST_NUMBERED = 24  # most classes for which the picture has numbers in its fields


class Confusion(NamedTuple):
    """How many clips of each class were predicted to have each class.

    names: of K classes.
    matrix: (K, K) int64; rows are true classes, columns are predicted classes.
    """

    names: list[str]
    matrix: np.ndarray

    def accuracy(self) -> np.ndarray:
        """Percent of the clips of each class that are right, (K,).

        NaN for a class without clips.
        """
        total = self.matrix.sum(1)
        return 100 * np.divide(
            self.matrix.diagonal(), total, np.full(len(total), np.nan), where=total > 0
        )

    def pairs(self, most: int = PAIRS) -> list[tuple[int, int, int, float]]:
        """The most confused pairs: (true class, predicted class, clips, percent of the true class).

        They are sorted by percent, then by clips, then by class.
        """
        rows, columns = np.nonzero(self.matrix - np.diag(self.matrix.diagonal()))
        clips = self.matrix[rows, columns]
        share = 100 * clips / self.matrix.sum(1)[rows]
        order = np.lexsort((columns, rows, -clips, -share))[:most]
        found = (rows[order], columns[order], clips[order], share[order])
        return list(zip(*(part.tolist() for part in found), strict=True))


def confusion(names: Sequence[str], classes: Sequence[int], predicted: Sequence[int]) -> Confusion:
    """Count the predictions for each true class.

    names: of all classes.
    classes: (n,) true classes, from 0.
    predicted: (n,) predicted classes, from 0.

    A class that is neither true nor predicted for any clip is left out.
    """
    classes, predicted = np.asarray(classes), np.asarray(predicted)
    count = 1 + max(classes.max(initial=0), predicted.max(initial=0))
    matrix = np.bincount(classes * count + predicted, minlength=count**2).reshape(count, count)
    kept = np.flatnonzero(matrix.sum(0) + matrix.sum(1))
    return Confusion([names[i] for i in kept], matrix[np.ix_(kept, kept)])


def write(found: Confusion, beside: Path, writer: SummaryWriter) -> None:
    """Write the matrix, the tables and the picture beside a result, and into TensorBoard.

    beside: the result, a .json file.
    writer: of the evaluation's events.
    """
    stem = str(beside.with_suffix(""))
    heading = ["class", "clips", "accuracy"]
    accuracies = zip(found.names, found.matrix.sum(1), found.accuracy(), strict=True)
    classes = [[name, clips, f"{accuracy:.2f}"] for name, clips, accuracy in accuracies]
    pairs = [
        [found.names[true], found.names[taken], clips, f"{share:.2f}"]
        for true, taken, clips, share in found.pairs()
    ]
    pair_heading = ["class", "taken for", "clips", "percent of the class"]
    matrix = ([name, *row] for name, row in zip(found.names, found.matrix.tolist(), strict=True))
    write_csv(Path(f"{stem}_confusion.csv"), ["class", *found.names], matrix)
    write_csv(Path(f"{stem}_classes.csv"), heading, classes)
    write_csv(Path(f"{stem}_pairs.csv"), pair_heading, pairs)
    figure = draw(found)
    with whole_file(f"{stem}_confusion.png") as part:
        figure.savefig(part, format="png")
    task = beside.stem.split("_")[0]
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    writer.add_image(f"{task}/confusion", pixels, dataformats="HWC")
    writer.add_text(f"{task}/classes", "\n".join(markdown(heading, classes)))
    writer.add_text(f"{task}/most confused", "\n".join(markdown(pair_heading, pairs)))


def read(path: Path) -> Confusion:
    """Read NAME_confusion.csv. Raises UserError, which names the line, where it is no such file."""
    header, rows = read_csv(path)
    names = header[1:]
    for line, row in enumerate(rows, 2):
        if len(row) != len(header) or not all(v.isascii() and v.isdigit() for v in row[1:]):
            raise UserError(f"{path}, line {line}: not {len(names)} numbers of clips")
    if [row[0] for row in rows] != names or not names:
        raise UserError(f"{path}: its rows are not the classes of its first line")
    return Confusion(names, np.array([row[1:] for row in rows], dtype=np.int64))


def draw(found: Confusion) -> Figure:
    """The matrix as a picture, each row in percent of its class."""
    count = len(found.names)
    side = max(5.0, 2.5 + (0.36 if count <= MOST_NUMBERED else 0.16) * count)  # inches
    font = 8 if count <= MOST_NUMBERED else 6
    figure = Figure((side, side), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    share = 100 * found.matrix / np.maximum(found.matrix.sum(1, keepdims=True), 1)
    # A square root as color scale, so that rare confusions are visible.
    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 100))
    axes.set_xticks(range(count), found.names, rotation=90, fontsize=font)
    axes.set_yticks(range(count), found.names, fontsize=font)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    right = 100 * found.matrix.trace() / max(found.matrix.sum(), 1)
    axes.set_title(f"{right:.2f} % right; percent of each class's clips", fontsize=10)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if count <= MOST_NUMBERED:
        for row, column in np.argwhere(share >= 0.5):
            color = text_color(image.to_rgba(share[row, column]))
            text = f"{share[row, column]:.0f}"
            axes.text(column, row, text, color=color, ha="center", va="center", fontsize=7)
    figure.canvas.draw()
    return figure
