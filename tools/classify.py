"""Classify recordings: print their most probable classes and the training clips nearest to them.

python -m tools.classify checkpoints/mine recordings --window 3s --csv table.csv --out timeline.png

The classes come from the linear layer that `action_classification.py` saved with the run.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import repeat, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from common import UserError, run
from feeder.store import Store
from tools.drawing import figures
from tools.evaluation import encoders, linear_layers, recordings
from tools.evaluation.features import extract_features, split_for
from tools.evaluation.linear_layers import Trained
from tools.evaluation.neighbors import joined, nearest
from tools.evaluation.recordings import FILES
from tools.formats.tables import write_csv

SHOWN = 5  # classes for each window
ROWS = (5, 12)  # least and most classes that are drawn of a recording
MOST_DRAWN = 20  # recordings in one picture
LONG = 600  # frames: twice as long as the longest clip of NTU RGB+D
Neighbor = tuple[str, str, float]  # a training clip, its class, the cosine similarity


class Window(NamedTuple):
    """A part of a recording."""

    start: int  # its first frame, from 0
    frames: int
    probabilities: np.ndarray  # (K,) float32; NaN where it shows nobody
    near: Sequence[Neighbor] = ()  # nearest first

    @property
    def best(self) -> list[int]:
        """The most probable classes, from 0; empty where the window shows nobody."""
        if np.isnan(self.probabilities).any():
            return []
        return np.argsort(-self.probabilities, kind="stable")[:SHOWN].tolist()


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder with recognition.pt in it, or such a file")
    add("files", type=Path, nargs="+", metavar="FILE", help=FILES)
    add("--neighbors", type=int, default=5, help="training clips to show; 0 needs no data set (5)")
    add("--data-root", help="folder that holds the stores (the linear layer's)")
    add("--csv", type=Path, metavar="FILE", help="also write a table")
    add("--out", type=Path, metavar="FILE.png", help="also draw a timeline, as .png or .svg")
    recordings.add_flags(parser)
    args = parser.parse_args(argv)
    recordings.check_flags(parser, args)
    if args.neighbors < 0:
        parser.error("--neighbors must not be negative")
    if args.neighbors == 0 and args.data_root:
        parser.error("--data-root has no effect with --neighbors 0")
    if args.out and args.out.suffix not in (".png", ".svg"):
        parser.error("--out must end in .png or .svg")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    paths = recordings.find(args.files)
    if args.csv and args.csv.resolve() in [path.resolve() for path in paths]:
        raise UserError(f"--csv {args.csv} is one of the recordings; name another file")
    if args.out and len(paths) > MOST_DRAWN:
        raise UserError(f"--out draws {MOST_DRAWN} recordings at most, these are {len(paths)}")
    trained = linear_layers.load(args.run, encoders.best_device())
    bank = open_bank(trained, args.data_root) if args.neighbors else None
    encoder, streams, classes = trained.loaded.encoder, trained.streams, trained.classes

    found, bad = [], []
    for path in paths:
        done = recordings.encode(path, args, trained.reading, encoder, streams)
        if done is None:
            bad.append(path.name)
            continue
        spans, features = done[0], trained.scaled(done[1])
        seen = [is_seen for *_, is_seen in spans]
        probabilities = np.full((len(spans), len(classes)), np.nan, np.float32)
        probabilities[seen] = trained.probabilities(features).cpu().numpy()
        clips = near(features, *bank, args.neighbors) if bank else repeat(())
        windows = [
            Window(start, frames, p, next(clips) if is_seen else ())
            for (start, frames, is_seen), p in zip(spans, probabilities, strict=True)
        ]
        name = "".join(c if c.isprintable() else "?" for c in str(path))
        found.append((name, windows))
        for one in windows:
            print("\n".join(lines(name, one, classes, args.fps)), flush=True)
        if not args.window and windows[0].frames > LONG:
            print(f"{windows[0].frames} frames as one action; --window divides them")

    if found and args.csv:
        rows = [columns(name, window, classes, args.fps) for name, some in found for window in some]
        header = list(max(rows, key=len))  # a window that shows nobody has fewer columns
        write_csv(args.csv, header, ([row.get(name, "") for name in header] for row in rows))
        print(f"written to {args.csv}")
    if found and args.out:
        figures.save(timeline(found, args.fps, classes), args.out, dpi=150)
        print(f"written to {args.out}")
    if bad:
        raise UserError(f"{len(bad)} of {len(paths)} recordings are left out: {', '.join(bad)}")


def open_bank(trained: Trained, data_root: str | None) -> tuple[Store, np.ndarray, Tensor]:
    """Encode the training clips of linear layers: their store, rows (n,) and features (n, S·D)."""
    facts, encoder = trained.facts, trained.loaded.encoder
    where = data_root or facts["data_root"]
    store, _, rows, _ = split_for(trained.loaded, where, facts["dataset"], facts["protocol"])
    if store.fingerprint != facts["fingerprint"]:
        fault = f"{trained.path} was trained on another store than {store.folder}"
        raise UserError(f"{fault}; name the right --data-root, or take --neighbors 0")
    features = extract_features(encoder, store, rows, trained.streams)
    return store, rows, joined(trained.scaled(features))


def near(
    features: Tensor, store: Store, rows: np.ndarray, bank: Tensor, count: int
) -> Iterator[list[Neighbor]]:
    """Yield the training clips nearest to each of k features (S, k, D)."""
    similarity, found = nearest(joined(features), bank, min(count, len(rows)))
    for near_rows, values in zip(rows[found.cpu().numpy()], similarity.tolist(), strict=True):
        classes = [store.class_names[k] for k in store.label[near_rows]]
        yield list(zip([store.names[row] for row in near_rows], classes, values, strict=True))


def lines(name: str, window: Window, classes: Sequence[str], fps: float) -> list[str]:
    """What is printed for a window: classes on the left, training clips on the right."""
    start, end = window.start, window.start + window.frames
    head = f"{name}, {start / fps:.2f} to {end / fps:.2f} s (frames {start} to {end - 1})"
    if not window.best:
        return [f"{head}: nobody"]
    left = [f"{100 * window.probabilities[k]:6.2f} %  {classes[k]}" for k in window.best]
    right = [f"{similarity:.4f}  {clip}  {action}" for clip, action, similarity in window.near]
    if right:
        head += "; probability, class; cosine similarity, training clip, its class"
    wide = max(map(len, left))
    return [head, *(f"{a:{wide}}  {b}".rstrip() for a, b in zip_longest(left, right, fillvalue=""))]


def columns(name: str, window: Window, classes: Sequence[str], fps: float) -> dict[str, Any]:
    """A window as a line of the table; `end_frame` is the first frame after the window."""
    start, end = window.start, window.start + window.frames
    found = {"recording": name, "start_frame": start, "end_frame": end}
    found |= {"start_seconds": f"{start / fps:.3f}", "end_seconds": f"{end / fps:.3f}"}
    for i, k in enumerate(window.best, 1):
        found |= {f"class_{i}": classes[k], f"probability_{i}": f"{window.probabilities[k]:.6f}"}
    for i, (clip, action, similarity) in enumerate(window.near, 1):
        found |= {f"clip_{i}": clip, f"clip_class_{i}": action}
        found |= {f"similarity_{i}": f"{similarity:.6f}"}
    return found


def timeline(
    found: Sequence[tuple[str, Sequence[Window]]], fps: float, classes: Sequence[str]
) -> Figure:
    """Draw how probable each class is at each time: recordings below each other, a row a class.

    Of windows that overlap, each is drawn where its middle is the nearest one.
    """
    probabilities = [np.stack([w.probabilities for w in windows]) for _, windows in found]  # (W, K)
    kept = [drawn_classes(one) for one in probabilities]
    ratios = [len(rows) for rows in kept]
    figure = Figure((9, 0.24 * sum(ratios) + 0.95 * len(kept)), layout="constrained")
    axes = figure.subplots(len(kept), squeeze=False, height_ratios=ratios)[:, 0]
    for (title, windows), one, rows, axis in zip(found, probabilities, kept, axes, strict=True):
        middles = np.array([w.start + w.frames / 2 for w in windows])
        first, last = windows[0].start, windows[-1].start + windows[-1].frames
        edges = np.concatenate([[first], (middles[1:] + middles[:-1]) / 2, [last]]) / fps
        values = np.ma.masked_invalid(one[:, rows].T)  # (rows, W)
        mesh = axis.pcolormesh(edges, np.arange(len(rows) + 1), values, cmap="Blues")
        mesh.set_clim(0, 1)
        axis.set_yticks(np.arange(len(rows)) + 0.5, [classes[k] for k in rows], parse_math=False)
        axis.set(facecolor="0.8", xlabel="seconds")
        axis.invert_yaxis()
        gap = " (gray: nobody)" if values.mask.any() else ""
        axis.set_title(title + gap, fontsize=10, loc="left", parse_math=False)
    figure.colorbar(mesh, ax=axes, fraction=0.03, pad=0.01, label="probability")
    return figure


def drawn_classes(probabilities: np.ndarray) -> list[int]:
    """The classes to draw of (W, K) probabilities: the most probable one of each window, then those
    with the next greatest maximum; by the window in which they are most probable.
    """
    seen = probabilities[~np.isnan(probabilities[:, 0])]
    first, best = np.unique(seen.argmax(1)), seen.max(0)
    rank = best + np.isin(np.arange(len(best)), first)
    kept = np.argsort(-rank, kind="stable")[: np.clip(len(first), *ROWS)]
    return sorted(kept.tolist(), key=lambda k: (seen[:, k].argmax(), -best[k]))


if __name__ == "__main__":
    run(main)
