"""Classify new recordings: whole, or in windows that slide over them.

trained = linear_layers.load(Path("checkpoints/mine"))
bodies = read_bodies(Path("wave.npy"), trained.loaded.encoder.layout.skeleton)
(window,) = classify(trained, bodies, [(0, len(bodies))])
print(trained.classes[window.best[0]])
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from common import UserError
from data_gen.clip import prepare_clip
from data_gen.readers.array_file import SUFFIXES
from feeder.augment import resize
from feeder.skeletons import Layout
from tools.evaluation.features import (
    ENCODING_BATCH,
    Halves,
    device_of,
    extract_features,
    halves_for,
)
from tools.evaluation.linear_layers import Trained
from tools.evaluation.neighbors import joined, nearest
from tools.formats.tables import write_csv

SHOWN = 5  # classes that are shown for each window


class Database(NamedTuple):
    """The training clips that are searched: `data.train`, and their joined features (n, S·D)."""

    data: Halves
    features: Tensor


class Neighbor(NamedTuple):
    """A training clip near a window: its name, its class, its cosine similarity."""

    clip: str
    action: str
    similarity: float


class Window(NamedTuple):
    """A part of a recording, and its classes.

    start, frames: its first frame, from 0, and its number of frames.
    probabilities: (K,) float32 of the classes; None where the window shows nobody.
    near: the nearest training clips, nearest first.
    """

    start: int
    frames: int
    probabilities: np.ndarray | None = None
    near: Sequence[Neighbor] = ()

    @property
    def best(self) -> list[int]:
        """The most probable classes, from 0, at most SHOWN; empty where the window shows nobody."""
        if self.probabilities is None:
            return []
        return np.argsort(-self.probabilities, kind="stable")[:SHOWN].tolist()


def recordings(paths: Iterable[Path]) -> list[Path]:
    """List the files of some paths: a path itself, or all recordings in a folder.

    Raises UserError where a folder holds no recording.
    """
    found = []
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
        if not files:
            raise UserError(f"{path} holds no file {', '.join(SUFFIXES)}")
        found += files
    return found


def spans(frames: int, window: int | None = None, stride: int | None = None) -> list[tuple]:
    """Where windows lie that slide over a recording: a list of (start, frames).

    window: frames of a window; None: the whole recording.
    stride: frames from one window to the next; None: half a window.

    The last window ends with the recording. A recording that is not longer than a window is one
    span.
    """
    if window is None or frames <= window:
        return [(0, frames)]
    starts = list(range(0, frames - window + 1, stride or max(1, window // 2)))
    if starts[-1] + window < frames:
        starts.append(frames - window)
    return [(start, window) for start in starts]


def database(trained: Trained, data_root: str | Path | None = None) -> Database:
    """Encode the training clips from which the linear layers learned.

    data_root: the folder of the stores; None: the folder at the time of the training.
    Raises StoreError or UserError where the store is missing or is not the store of the training.
    """
    facts, encoder = trained.facts, trained.loaded.encoder
    where = data_root or facts["data_root"]
    data = halves_for(trained.loaded, where, facts["dataset"], facts["protocol"])
    if data.store.fingerprint != facts["fingerprint"]:
        raise UserError(
            f"{data.store.folder} is another store than the one that {trained.path} was trained "
            "on; name the right one by --data-root, train again, or take --neighbors 0"
        )
    what = "encoding training clips"
    features = extract_features(encoder, data.store, data.train, trained.streams, what=what)
    return Database(data, joined(trained.scaled(features)))


@torch.inference_mode()
def classify(
    trained: Trained,
    bodies: np.ndarray,
    pieces: Sequence[tuple[int, int]],
    among: Database | None = None,
    neighbors: int = 5,
) -> list[Window]:
    """Classify parts of a recording; each part is prepared as a clip of a store is.

    bodies: (T, M, V, 3) float64, in metres.
    pieces: (start, frames) of each part.
    among: the training clips to search, or None.
    neighbors: how many training clips are searched for each part.
    """
    encoder, windows = trained.loaded.encoder, []
    for first in range(0, len(pieces), ENCODING_BATCH):
        some = pieces[first : first + ENCODING_BATCH]
        views = [_view(bodies[s : s + n], encoder.layout) for s, n in some]
        if seen := [view for view in views if view is not None]:
            features = trained.features(torch.cat(seen).to(device_of(encoder)))  # (S, n, D)
            probabilities = iter(trained.probabilities(features).cpu().numpy())
            near = iter(_neighbors(features, among, neighbors))
        for (start, frames), view in zip(some, views, strict=True):
            found = () if view is None else (next(probabilities), next(near))
            windows.append(Window(start, frames, *found))
    return windows


def _view(bodies: np.ndarray, layout: Layout) -> Tensor | None:
    """A part of a recording as the encoder sees it, (1, 64, M, V, C); None where it is empty."""
    clip = prepare_clip(bodies, layout)
    if clip is None:
        return None
    return resize(torch.from_numpy(clip), torch.tensor([0]), torch.tensor([len(clip)]))


def _neighbors(features: Tensor, among: Database | None, count: int) -> list[list[Neighbor]]:
    """The training clips nearest to each of n features (S, n, D)."""
    if among is None:
        return [[]] * features.shape[1]
    store, rows = among.data.store, among.data.train
    similarity, found = nearest(joined(features), among.features, min(count, len(rows)))
    return [
        [
            Neighbor(store.names[row], store.class_names[store.label[row]], value)
            for row, value in zip(rows[indices], values, strict=True)
        ]
        for indices, values in zip(found.cpu().numpy(), similarity.tolist(), strict=True)
    ]


def write(
    path: Path, found: Sequence[tuple[str, list[Window]]], classes: Sequence[str], fps: float
) -> None:
    """Write a CSV file with one line a window: its place, its classes, its nearest training clips.

    found: the name and the windows of each recording.
    fps: frames of a second. Frames count from 0; `end` is the first frame after the window.
    """
    shown = min(SHOWN, len(classes))
    near = max(len(window.near) for _, windows in found for window in windows)
    header = ["recording", "start_frame", "end_frame", "start_seconds", "end_seconds"]
    header += [f"{what}_{i + 1}" for i in range(shown) for what in ("class", "probability")]
    columns = "clip", "clip_class", "similarity"
    header += [f"{what}_{i + 1}" for i in range(near) for what in columns]
    rows = []
    for name, windows in found:
        for window in windows:
            ends = window.start, window.start + window.frames
            row = [name, *ends, *(f"{end / fps:.3f}" for end in ends)]
            for best in window.best:
                row += [classes[best], f"{window.probabilities[best]:.6f}"]
            for one in window.near:
                row += [one.clip, one.action, f"{one.similarity:.6f}"]
            rows.append(row + [""] * (len(header) - len(row)))
    write_csv(path, header, rows)
