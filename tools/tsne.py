"""t-SNE of test clips' features: one checkpoint, or two side by side, in the same colours.

python -m tools.tsne --checkpoint checkpoints/baseline --checkpoint checkpoints/ntu60_xsub
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from torch import Tensor

from data_gen.preparing.commands import command
from data_gen.preparing.files import whole_file
from feeder.store import Store
from tools import cli
from tools.evaluation import encoders
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import extract_features, halves_for
from tools.evaluation.neighbours import nearest
from tools.formats import checkpoint

METHODS = {"umurl": "UmURL", "baseline": "simple baseline"}
PERPLEXITY = 30  # or less where there are few clips
PANEL = 4.6  # inches


class Panel(NamedTuple):
    """The features of one encoder.

    title: which it is; knn: share, in percent, of clips whose nearest other has their class;
    silhouette: from -1 to 1; points: (n, 2).
    """

    title: str
    knn: float
    silhouette: float
    points: np.ndarray


# fmt: off
def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, action="append",
                        help="folder of a run, or a checkpoint; may be given twice")
    parser.add_argument("--classes", type=cli.whole_number(2), default=10,
                        help="how many classes, drawn by the seed")
    parser.add_argument("--seed", type=cli.whole_number(0), default=0, help="of classes and t-SNE")
    parser.add_argument("--out", type=Path,
                        help="what to write, less .png, .svg, .json (tsne, by the last checkpoint)")
    parser.add_argument("--data-root", help="folder that holds the stores (the checkpoint's)")
    parser.add_argument("--dataset", metavar="STORE", help="name of the store (the checkpoint's)")
    parser.add_argument("--protocol", help="its split (the checkpoint's)")
    args = parser.parse_args()
    if len(args.checkpoint) > 2:
        parser.error("--checkpoint can be given once or twice")
    last = args.checkpoint[-1]
    args.out = args.out or (last if last.is_dir() else last.parent) / "tsne"
    return args
# fmt: on


def main() -> None:
    args = parse_args()
    device = encoders.best_device()
    loaded = [encoders.load(path, device=device) for path in args.checkpoint]
    data = [halves_for(one, args.data_root, args.dataset, args.protocol) for one in loaded]
    store, test = data[0].store, data[0].test
    rows, classes = draw_clips(store.label, test, args.classes, args.seed)
    names = store.class_names
    panels = [
        embed(one, halves.store, rows, args.seed) for one, halves in zip(loaded, data, strict=True)
    ]

    # ---- written
    used = np.unique(classes)
    shown = [names[i] for i in used]
    of = np.searchsorted(used, classes)  # (n,): which of the classes shown
    figure = draw(panels, of, shown)
    for suffix in (".png", ".svg"):
        # Without date and random ids the same clusters are the same file.
        with matplotlib.rc_context({"svg.hashsalt": "tsne", "svg.fonttype": "none"}):
            metadata = {"Date": None} if suffix == ".svg" else None
            with whole_file(f"{args.out}{suffix}") as part:
                figure.savefig(part, format=suffix[1:], dpi=150, metadata=metadata)
    described = {
        "dataset": store.dataset,
        "protocol": data[0].protocol,
        "seed": args.seed,
        "classes": shown,
        "labels": of.tolist(),
        "clips": [store.names[row] for row in rows],
        "panels": [p._asdict() | {"points": p.points.round(3).tolist()} for p in panels],
    }
    with whole_file(f"{args.out}.json") as part:
        part.write_text(json.dumps(described) + "\n")
    for panel in panels:
        print(caption(panel))
    print(f"written to {args.out}.png, .svg and .json")
    print(f"next: {command('tools.report', args.out.parent)}")


def draw_clips(
    label: np.ndarray, test: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The test clips, rows (n,) of the store, of some random classes, and their classes (n,).

    Raises UserError where the test clips have fewer classes, or hardly more than one of each.
    """
    there = np.unique(label[test])
    if count > len(there):
        raise cli.UserError(f"--classes {count} is more than the {len(there)} of the test clips")
    chosen = np.random.default_rng(seed).choice(there, count, replace=False)
    rows = test[np.isin(label[test], chosen)]
    if len(rows) < max(4, count + 1):
        raise cli.UserError(f"{len(rows)} test clips of {count} classes are too few for t-SNE")
    return rows, label[rows]


def embed(loaded: LoadedEncoder, store: Store, rows: np.ndarray, seed: int) -> Panel:
    """t-SNE of the features of some clips, rows (n,), and how well these tell the classes apart."""
    title, classes = describe(loaded), store.label[rows]
    features = F.normalize(extract_features(loaded.encoder, store, rows, what=title)).cpu()
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    points = tsne.fit_transform(features.numpy())
    silhouette = float(silhouette_score(features.numpy(), classes, metric="cosine"))
    return Panel(title, nearest_other(features, classes), silhouette, points)


def describe(loaded: LoadedEncoder) -> str:
    """Which encoder it is: its method, its run, its epochs where the file's name tells them."""
    path = loaded.source
    method = METHODS[loaded.settings.get("method", "umurl")]
    if path not in checkpoint.in_folder(path.parent):
        return f"{method}, {path.name}"
    epochs, _ = checkpoint.position(path)
    return f"{method}, {loaded.folder.name}, {epochs} epochs"


def nearest_other(features: Tensor, classes: np.ndarray) -> float:
    """Share, in percent, of clips whose nearest other clip has their class: (n, D), (n,)."""
    _, found = nearest(features, features, 2)
    itself = found[:, 0] == torch.arange(len(found))
    other = torch.where(itself, found[:, 1], found[:, 0]).numpy()
    return float(100 * (classes[other] == classes).mean())


def caption(panel: Panel) -> str:
    """A panel's title and figures."""
    return f"{panel.title}: 1-NN {panel.knn:.1f} %, silhouette {panel.silhouette:.2f}"


def draw(panels: list[Panel], of: np.ndarray, classes: list[str]) -> Figure:
    """The panels side by side; of: (n,) which of the classes a clip has, in all panels alike."""
    columns = 2 if len(panels) == 1 else 4
    figure = Figure((PANEL * len(panels), PANEL + 0.24 * -(-len(classes) // columns) + 0.3))
    figure.set_layout_engine("constrained")
    colours = palette(len(classes))
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1)
        for k, name in enumerate(classes):
            x, y = panel.points[of == k].T
            axes.scatter(x, y, s=14, color=colours[k], alpha=0.8, linewidths=0, label=name)
        axes.set_title(caption(panel).replace(": ", "\n"), fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color("0.8")
        axes.set_aspect("equal", "datalim")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        *(handles, labels),
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
        frameon=False,
        markerscale=1.6,
    )
    return figure


def palette(count: int) -> list:
    """As many colours as there are classes, far apart as long as they are few."""
    if count <= 20:
        return list(matplotlib.colormaps["tab10" if count <= 10 else "tab20"].colors)
    return [matplotlib.colormaps["hsv"](k / count) for k in range(count)]


if __name__ == "__main__":
    cli.run(main)
