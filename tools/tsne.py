"""Draw t-SNE of test clips' features: of checkpoints, side by side in the same colors.

python -m tools.tsne --checkpoint checkpoints/baseline --checkpoint checkpoints/ntu60_xsub
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch.nn.functional as F
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from torch import Tensor

from common import UserError, atomic, run
from net import methods
from tools.drawing import figures
from tools.evaluation import encoders, features
from tools.evaluation.neighbors import nearest

CLASSES = 10  # by default, if the test clips have so many
PERPLEXITY = 30  # less for few clips
PANEL = 4.6  # inches: width and height of a panel


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    checkpoints = "folder of a run, or a checkpoint; may be given several times"
    add("--checkpoint", type=Path, required=True, action="append", help=checkpoints)
    add("--classes", type=int, help="number of classes, drawn by the seed (10, or all)")
    add("--seed", type=int, default=0, help="seed of the classes and of t-SNE (0)")
    add("--out", type=Path, help="files to write, without suffix (tsne in the last run's folder)")
    add("--standardize", action="store_true", help="draw standardized features, too")
    add("--data-root", help="folder that holds the stores (the checkpoint's)")
    add("--dataset", metavar="STORE", help="name of the store (the checkpoint's)")
    add("--protocol", help="split of the store (the checkpoint's)")
    args = parser.parse_args(argv)
    if args.classes is not None and args.classes < 2:
        parser.error("--classes must be at least 2")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    loaded = [encoders.load(path, device=encoders.best_device()) for path in args.checkpoint]
    data = features.split_for(loaded[0], args.data_root, args.dataset, args.protocol)
    store, rows = data.store, draw_clips(data, args.classes, args.seed)
    for one in loaded[1:]:
        features.check_layout(one, store)
    used, labels = np.unique(store.label[rows], return_inverse=True)
    panels = []
    for one in loaded:
        method, streams = methods.title(one.settings.get("method")), [one.modalities]
        title = f"{method}, {one.folder.name}, {one.source.stem}"
        (x,) = features.extract_features(one.encoder, store, rows, streams)
        panels.append(embed(title, x, labels, args.seed))
        if args.standardize:
            (train,) = features.extract_features(one.encoder, store, data.train, streams)
            x = features.scale_of(train).apply(x)
            panels.append(embed(f"{title}, standardized", x, labels, args.seed))

    out = args.out or loaded[-1].folder / "tsne"
    classes = [store.class_names[k] for k in used]
    figure = picture(panels, labels, classes)
    for suffix in (".png", ".svg"):
        figures.save(figure, Path(f"{out}{suffix}"), dpi=150)
    described = {
        "dataset": store.dataset,
        "title": store.title,
        "protocol": data.protocol,
        "seed": args.seed,
        "classes": classes,
        "labels": labels.tolist(),
        "clips": [store.names[row] for row in rows],
        "panels": [p._asdict() | {"points": p.points.round(3).tolist()} for p in panels],
    }
    with atomic(f"{out}.json") as part:
        part.write_text(json.dumps(described) + "\n")
    print("\n".join(panel.caption for panel in panels))
    print(f"written to {out}.png, .svg and .json")
    print(f"next: python -m tools.report {loaded[-1].folder}")


class Panel(NamedTuple):
    """The features of one encoder."""

    title: str
    knn: float  # percent of clips whose nearest other clip has the same class
    silhouette: float
    points: np.ndarray  # (n, 2), by t-SNE

    @property
    def caption(self) -> str:
        return f"{self.title}: 1-NN {self.knn:.1f} %, silhouette {self.silhouette:.2f}"


def embed(title: str, x: Tensor, labels: np.ndarray, seed: int) -> Panel:
    """Embed features x (n, D) of clips with labels (n,) by t-SNE."""
    x = F.normalize(x).cpu()
    first, second = nearest(x, x, 2)[1].numpy().T
    other = np.where(first == np.arange(len(first)), second, first)  # the nearest other clip
    knn = float(100 * (labels[other] == labels).mean())
    silhouette = float(silhouette_score(x.numpy(), labels, metric="cosine"))
    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return Panel(title, knn, silhouette, tsne.fit_transform(x.numpy()))


def draw_clips(data: features.TrainTestSplit, count: int | None, seed: int) -> np.ndarray:
    """Draw `count` classes (None: CLASSES, or all) of the test clips; return their rows."""
    label = data.store.label[data.test]
    there = np.unique(label)
    count = min(CLASSES, len(there)) if count is None else count
    if count > len(there):
        raise UserError(f"--classes {count} is more than the {len(there)} of the test clips")
    chosen = np.random.default_rng(seed).choice(there, count, replace=False)
    rows = data.test[np.isin(label, chosen)]
    if not 2 <= count < len(rows):
        fault = f"{len(rows)} test clips of {count} classes under {data.protocol}"
        raise UserError(f"{fault}: too few; name another --protocol")
    return rows


def picture(panels: list[Panel], labels: np.ndarray, classes: list[str]) -> Figure:
    """Draw the panels side by side; labels (n,) index `classes`."""
    columns = 2 if len(panels) == 1 else 4
    height = PANEL + 0.24 * -(-len(classes) // columns) + 0.3
    figure = Figure((PANEL * len(panels), height), layout="constrained")
    hues = np.arange(len(classes)) if len(classes) <= 20 else np.linspace(0, 1, len(classes), False)
    name = "tab10" if len(classes) <= 10 else "tab20" if len(classes) <= 20 else "hsv"
    colors = matplotlib.colormaps[name](hues)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for k, color in enumerate(colors):
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


if __name__ == "__main__":
    run(main)
