"""t-SNE of the features of some test clips, and how well the features separate classes."""

import json
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch.nn.functional as F
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from torch import Tensor

from common import UserError, atomic
from net import methods
from tools.drawing import figures
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import Halves
from tools.evaluation.neighbors import nearest
from tools.training import checkpoint

USUAL = 10  # classes, if the test clips have so many
PERPLEXITY = 30  # less where there are few clips
PANEL = 4.6  # inches: width and height of a panel


class Panel(NamedTuple):
    """The features of one encoder.

    knn: percent of clips whose nearest other clip has the same class. points: (n, 2), by t-SNE.
    """

    title: str
    knn: float
    silhouette: float
    points: np.ndarray

    @property
    def caption(self) -> str:
        """The title and the figures in one line."""
        return f"{self.title}: 1-NN {self.knn:.1f} %, silhouette {self.silhouette:.2f}"


def embed(title: str, features: Tensor, classes: np.ndarray, seed: int) -> Panel:
    """Embed features (n, D) of clips of some classes (n,) by t-SNE, which the seed starts."""
    features = F.normalize(features).cpu()
    _, near = nearest(features, features, 2)
    first, second = near.numpy().T
    other = np.where(first == np.arange(len(first)), second, first)  # the nearest other clip
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return Panel(
        title=title,
        knn=float(100 * (classes[other] == classes).mean()),
        silhouette=float(silhouette_score(features.numpy(), classes, metric="cosine")),
        points=tsne.fit_transform(features.numpy()),
    )


def title_of(loaded: LoadedEncoder) -> str:
    """A title for an encoder: its method, its run, and its epochs if the file's name has them."""
    path, method = loaded.source, methods.title(loaded.settings.get("method"))
    if path not in checkpoint.in_folder(path.parent):
        return f"{method}, {path.name}"
    return f"{method}, {loaded.folder.name}, {checkpoint.position(path)[0]} epochs"


def draw_clips(data: Halves, count: int | None, seed: int) -> np.ndarray:
    """Rows of the test clips of `count` classes (None: ten, or all) that the seed draws.

    Raises UserError where the test clips have fewer classes, or too few clips.
    """
    label = data.store.label[data.test]
    there = np.unique(label)
    count = min(USUAL, len(there)) if count is None else count
    if count > len(there):
        raise UserError(f"--classes {count} is more than the {len(there)} of the test clips")
    chosen = np.random.default_rng(seed).choice(there, count, replace=False)
    rows = data.test[np.isin(label, chosen)]
    if len(rows) < max(4, count + 1):
        raise UserError(f"{len(rows)} test clips of {count} classes are too few for t-SNE")
    return rows


def write(out: Path, data: Halves, rows: np.ndarray, panels: list[Panel], seed: int) -> None:
    """Write OUT.png, OUT.svg and OUT.json. The same clusters give the same bytes."""
    store = data.store
    used, labels = np.unique(store.label[rows], return_inverse=True)
    classes = [store.class_names[k] for k in used]
    figure = picture(panels, labels, classes)
    for suffix in (".png", ".svg"):
        figures.save(figure, Path(f"{out}{suffix}"), dpi=150)
    described = {
        "dataset": store.dataset,
        "title": store.title,
        "protocol": data.protocol,
        "seed": seed,
        "classes": classes,
        "labels": labels.tolist(),
        "clips": [store.names[row] for row in rows],
        "panels": [p._asdict() | {"points": p.points.round(3).tolist()} for p in panels],
    }
    with atomic(f"{out}.json") as part:
        part.write_text(json.dumps(described) + "\n")


def picture(panels: list[Panel], labels: np.ndarray, classes: list[str]) -> Figure:
    """Draw the panels side by side; labels (n,) are the clips' classes, indices into `classes`."""
    columns = 2 if len(panels) == 1 else 4
    height = PANEL + 0.24 * -(-len(classes) // columns) + 0.3
    figure = Figure((PANEL * len(panels), height), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for k, color in enumerate(palette(len(classes))):
            x, y = panel.points[labels == k].T
            axes.scatter(x, y, s=14, color=color, alpha=0.8, linewidths=0, label=classes[k])
        axes.set_title(panel.caption.replace(": ", "\n"), fontsize=10)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("0.8")
        axes.set_aspect("equal", "datalim")
    entries = axes.get_legend_handles_labels()
    style = {"fontsize": 8, "frameon": False, "markerscale": 1.6}
    figure.legend(*entries, loc="outside lower center", ncols=columns, **style)
    return figure


def palette(count: int) -> list[str]:
    """One color, as #rrggbb, for each class; the colors of few classes differ clearly."""
    name = "tab10" if count <= 10 else "tab20" if count <= 20 else "hsv"
    colors = matplotlib.colormaps[name]
    return [to_hex(colors(k / count if name == "hsv" else k)) for k in range(count)]
