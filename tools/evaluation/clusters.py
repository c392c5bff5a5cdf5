"""t-SNE of the features of some test clips, and how well the features separate classes."""

import json
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from torch import Tensor

from data_gen.preparing.files import whole_file
from feeder.store import Store
from net import methods
from tools.cli import UserError
from tools.drawing import figures
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import Halves, extract_features
from tools.evaluation.neighbors import nearest
from tools.evaluation.standardize import Scale, scale_of
from tools.formats import checkpoint

PERPLEXITY = 30  # less where there are few clips
PANEL = 4.6  # inches: width and height of a panel


class Panel(NamedTuple):
    """The features of one encoder.

    title: names the encoder.
    knn: percent of clips whose nearest other clip has the same class.
    silhouette: from -1 to 1.
    points: (n, 2), by t-SNE.
    """

    title: str
    knn: float
    silhouette: float
    points: np.ndarray


class Clusters(NamedTuple):
    """The same clips as several encoders see them.

    data: their store and protocol.
    clips: (n,) rows of the store.
    classes: names of the classes of these clips.
    labels: (n,) the class of each clip, an index into `classes`.
    panels: one for each encoder.
    """

    data: Halves
    clips: np.ndarray
    classes: list[str]
    labels: np.ndarray
    panels: list[Panel]


def find(
    loaded: list[LoadedEncoder],
    data: Halves,
    count: int,
    seed: int,
    *,
    standardize: bool = False,
) -> Clusters:
    """Make the panels of the test clips of some classes, one for each encoder.

    loaded: the encoders.
    data: their store and protocol.
    count: number of classes.
    seed: draws the classes, and starts t-SNE.
    standardize: add a panel for each encoder, with features that are standardized by the training
        clips.
    Raises UserError where the test clips have fewer classes, or too few clips.
    """
    store = data.store
    rows, classes = draw_clips(store.label, data.test, count, seed)
    used = np.unique(classes)
    panels = []
    for one in loaded:
        panels.append(embed(one, store, rows, seed))
        if standardize:
            what = "encoding training clips"
            scale = scale_of(
                extract_features(one.encoder, store, data.train, one.modalities, what=what)
            )
            panels.append(embed(one, store, rows, seed, scale))
    names = [store.class_names[i] for i in used]
    return Clusters(data, rows, names, np.searchsorted(used, classes), panels)


def write(found: Clusters, out: Path, seed: int) -> None:
    """Write OUT.png, OUT.svg and OUT.json. The same clusters give the same bytes."""
    figure = picture(found.panels, found.labels, found.classes)
    for suffix in (".png", ".svg"):
        figures.save(figure, Path(f"{out}{suffix}"), dpi=150)
    store = found.data.store
    described = {
        "dataset": store.dataset,
        "title": store.title,
        "protocol": found.data.protocol,
        "seed": seed,
        "classes": found.classes,
        "labels": found.labels.tolist(),
        "clips": [store.names[row] for row in found.clips],
        "panels": [p._asdict() | {"points": p.points.round(3).tolist()} for p in found.panels],
    }
    with whole_file(f"{out}.json") as part:
        part.write_text(json.dumps(described) + "\n")


def draw_clips(
    label: np.ndarray, test: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw some classes; return the rows (n,) of their test clips, and the clips' classes (n,).

    label: class of each clip of the store.
    test: rows of the test clips.
    count, seed: number of classes, and the seed that draws them.
    Raises UserError where the test clips have fewer classes, or too few clips.
    """
    there = np.unique(label[test])
    if count > len(there):
        raise UserError(f"--classes {count} is more than the {len(there)} of the test clips")
    chosen = np.random.default_rng(seed).choice(there, count, replace=False)
    rows = test[np.isin(label[test], chosen)]
    if len(rows) < max(4, count + 1):
        raise UserError(f"{len(rows)} test clips of {count} classes are too few for t-SNE")
    return rows, label[rows]


def embed(
    loaded: LoadedEncoder, store: Store, rows: np.ndarray, seed: int, scale: Scale | None = None
) -> Panel:
    """Make the panel of one encoder from some clips.

    rows: (n,) of the store.
    seed: of t-SNE.
    scale: standardizes the features; None: features as they are.
    """
    title, classes = describe(loaded), store.label[rows]
    features = extract_features(loaded.encoder, store, rows, loaded.modalities, what=title)
    if scale:
        features, title = scale.apply(features), f"{title}, standardized"
    features = F.normalize(features).cpu()
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    points = tsne.fit_transform(features.numpy())
    silhouette = float(silhouette_score(features.numpy(), classes, metric="cosine"))
    return Panel(title, nearest_other(features, classes), silhouette, points)


def describe(loaded: LoadedEncoder) -> str:
    """A title for an encoder: its method, its run, and its epochs if the file's name tells them."""
    path = loaded.source
    method = methods.title(loaded.settings.get("method"))
    if path not in checkpoint.in_folder(path.parent):
        return f"{method}, {path.name}"
    epochs, _ = checkpoint.position(path)
    return f"{method}, {loaded.folder.name}, {epochs} epochs"


def nearest_other(features: Tensor, classes: np.ndarray) -> float:
    """Percent of clips whose nearest other clip has the same class.

    features: (n, D). classes: (n,).
    """
    _, found = nearest(features, features, 2)
    itself = found[:, 0] == torch.arange(len(found))
    other = torch.where(itself, found[:, 1], found[:, 0]).numpy()
    return float(100 * (classes[other] == classes).mean())


def caption(panel: Panel) -> str:
    """A panel's title and figures in one line."""
    return f"{panel.title}: 1-NN {panel.knn:.1f} %, silhouette {panel.silhouette:.2f}"


def picture(panels: list[Panel], labels: np.ndarray, classes: list[str]) -> Figure:
    """Draw the panels side by side.

    labels: (n,) the class of each clip, an index into `classes`.
    """
    columns = 2 if len(panels) == 1 else 4
    figure = Figure((PANEL * len(panels), PANEL + 0.24 * -(-len(classes) // columns) + 0.3))
    figure.set_layout_engine("constrained")
    colors = palette(len(classes))
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1)
        for k, name in enumerate(classes):
            x, y = panel.points[labels == k].T
            axes.scatter(x, y, s=14, color=colors[k], alpha=0.8, linewidths=0, label=name)
        axes.set_title(caption(panel).replace(": ", "\n"), fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color("0.8")
        axes.set_aspect("equal", "datalim")
    entries = axes.get_legend_handles_labels()
    figure.legend(
        *entries,
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
        frameon=False,
        markerscale=1.6,
    )
    return figure


def palette(count: int) -> list[str]:
    """One color, as #rrggbb, for each class; the colors of few classes differ clearly."""
    if count <= 20:
        found = matplotlib.colormaps["tab10" if count <= 10 else "tab20"].colors[:count]
    else:
        found = [matplotlib.colormaps["hsv"](k / count) for k in range(count)]
    return [to_hex(color) for color in found]
