"""Classify new recordings: whole, or in windows that slide over them.

trained = saved_layers.load(Path("checkpoints/mine"))
bodies = read("wave.npy", trained.loaded.encoder.layout.skeleton)
(window,) = classify(trained, bodies, [(0, len(bodies))])
print(trained.classes[window.best[0]])
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data_gen.preparing.clip import prepare_clip
from data_gen.readers.array_file import SUFFIXES, ArrayFileError, read_bodies
from feeder.augment import resize
from feeder.skeletons import Layout, Skeleton
from tools.cli import UserError
from tools.evaluation.features import (
    ENCODING_BATCH,
    Halves,
    device_of,
    extract_streams,
    halves_for,
)
from tools.evaluation.neighbors import joined, nearest
from tools.evaluation.saved_layers import Trained
from tools.formats.tables import write_csv

SHOWN = 5  # classes that are shown for each window


class Database(NamedTuple):
    """The training clips that are searched for the nearest ones.

    data: the clips are `data.train`.
    features: (n, S·D) of S streams; the features of each stream have unit length.
    """

    data: Halves
    features: Tensor


class Window(NamedTuple):
    """A part of a recording, and its classes.

    start, frames: its first frame, from 0, and its number of frames.
    probabilities: (K,) float32 of the classes; None where the window shows nobody.
    near: (k,) rows of the store: the nearest training clips, nearest first.
    similarity: (k,) their cosine similarities.
    """

    start: int
    frames: int
    probabilities: np.ndarray | None = None
    near: np.ndarray = np.empty(0, int)
    similarity: np.ndarray = np.empty(0)

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


def read(path: Path, skeleton: Skeleton, unit: float = 1.0) -> np.ndarray:
    """Read the bodies of a recording: (T, M, V, 3) float64, in metres.

    path, skeleton, unit: see `array_file.read_bodies`.
    Raises UserError where the file cannot be used.
    """
    try:
        return read_bodies(path, skeleton, unit)
    except ArrayFileError as error:
        raise UserError(str(error)) from None


def spans(frames: int, window: int | None = None, stride: int | None = None) -> list[tuple]:
    """Where windows lie that slide over a recording: a list of (start, frames).

    frames: of the recording.
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
    features = extract_streams(encoder, data.store, data.train, trained.streams, what=what)
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
    device, windows = device_of(trained.loaded.encoder), []
    for first in range(0, len(pieces), ENCODING_BATCH):
        some = pieces[first : first + ENCODING_BATCH]
        views = [_view(bodies[s : s + n], trained.loaded.encoder.layout) for s, n in some]
        seen = [view for view in views if view is not None]
        found = iter(())
        if seen:
            features = trained.features(torch.cat(seen).to(device))  # (S, n, D)
            probabilities = trained.probabilities(features).cpu().numpy()
            found = zip(probabilities, *_nearest(features, among, neighbors), strict=True)
        for piece, view in zip(some, views, strict=True):
            windows.append(Window(*piece) if view is None else Window(*piece, *next(found)))
    return windows


def _view(bodies: np.ndarray, layout: Layout) -> Tensor | None:
    """A part of a recording as the encoder sees it: (1, 64, M, V, C).

    None where it shows nobody.
    """
    clip = prepare_clip(bodies, layout)
    if clip is None:
        return None
    return resize(torch.from_numpy(clip), torch.tensor([0]), torch.tensor([len(clip)]))


def _nearest(features: Tensor, among: Database | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, k) of the training clips nearest to features (S, n, D), and similarities (n, k)."""
    if among is None:
        return np.empty((features.shape[1], 0), int), np.empty((features.shape[1], 0))
    k = min(count, len(among.features))
    similarity, found = nearest(joined(features), among.features, k)
    return among.data.train[found.cpu().numpy()], similarity.cpu().numpy()


# ---- tables


def write(
    path: Path,
    found: Sequence[tuple[str, list[Window]]],
    classes: Sequence[str],
    among: Database | None,
    fps: float,
) -> None:
    """Write a CSV file with one line a window: its place, its classes, its nearest training clips.

    found: the name and the windows of each recording.
    classes: names of the classes.
    among: the training clips that were searched, or None.
    fps: frames of a second.

    Frames count from 0. `end` is the first frame after the window.
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
            for clip, action, similarity in neighbors_of(window, among):
                row += [clip, action, f"{similarity:.6f}"]
            rows.append(row + [""] * (len(header) - len(row)))
    write_csv(path, header, rows)


def neighbors_of(window: Window, among: Database | None) -> list[tuple[str, str, float]]:
    """The name, the class and the similarity of each training clip that is near a window."""
    if among is None:
        return []
    store = among.data.store
    return [
        (store.names[row], store.class_names[store.label[row]], similarity)
        for row, similarity in zip(window.near.tolist(), window.similarity.tolist(), strict=True)
    ]
