"""New recordings: whole, or in windows that slide over them, classified or only encoded."""

import argparse
import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from common import UserError
from data_gen.clip import Recording
from data_gen.readers.clip_table import find_recordings
from data_gen.readers.recording import AXES, CHANNELS, SUFFIXES, UNITS, prepare, read_recording
from feeder.augment import resize
from tools.evaluation.encoders import Preparation
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
FILES = f"recordings ({', '.join(SUFFIXES)}, a folder of JSON frames), or folders of them"


class Window(NamedTuple):
    """A part of a recording, and its classes.

    start: its first frame, from 0; frames: their number.
    probabilities: (K,) float32 of the classes; None where the window shows nobody.
    near: the nearest training clips, nearest first: name, class, cosine similarity.
    """

    start: int
    frames: int
    probabilities: np.ndarray | None = None
    near: Sequence[tuple[str, str, float]] = ()

    @property
    def best(self) -> list[int]:
        """The most probable classes, from 0, at most SHOWN; empty where the window shows nobody."""
        if self.probabilities is None:
            return []
        return np.argsort(-self.probabilities, kind="stable")[:SHOWN].tolist()


# ---- reading


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how recordings are read, and in which windows."""
    add = parser.add_argument_group("how recordings are read (as those of the store)").add_argument
    add("--unit", choices=UNITS, help="of the coordinates")
    add("--axes", choices=AXES, help="of the coordinates")
    add("--channels", choices=CHANNELS, help="numbers of a joint; c is a confidence")
    add = parser.add_argument_group("long recordings, in windows that slide over them").add_argument
    add("--window", metavar="3s", help="frames as in 90, or seconds as in 3s (the recording)")
    add("--stride", metavar="1s", help="from one window to the next (half a window)")
    add("--fps", type=float, default=30.0, help="frames per second of the recordings (30)")


def check_flags(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Turn --window and --stride into frames; refuse values that cannot be, or have no effect."""
    for name in ("window", "stride"):
        if (text := getattr(args, name)) is None:
            continue
        try:
            frames = float(text[:-1]) * args.fps if text.endswith("s") else int(text)
        except ValueError:
            frames = 0
        if not 0 < frames < np.inf:
            parser.error(f"--{name} {text} is neither frames (90) nor seconds (3s)")
        setattr(args, name, max(1, round(frames)))
    if args.stride and not args.window:
        parser.error("--stride is for --window")
    if args.fps <= 0:
        parser.error("--fps must be above 0")


def find(paths: Iterable[Path]) -> list[Path]:
    """The recordings in some paths: a path itself, or all at any depth in a folder.

    Raises UserError where a folder holds no recording.
    """
    found = []
    for path in paths:
        found += find_recordings(path) if path.is_dir() else [path]
    return found


def read(path: Path, preparation: Preparation, args: argparse.Namespace) -> Recording:
    """Read a recording as those of the store, but as the flags say where they are given."""
    how = {name: getattr(args, name) for name in ("unit", "axes", "channels")}
    reading = replace(preparation.reading, **{k: v for k, v in how.items() if v is not None})
    return read_recording(path, reading, preparation.alignment)


@contextlib.contextmanager
def left_out(path: Path, bad: list[str]) -> Iterator[None]:
    """Print a UserError of a recording, and note the recording's name in `bad`."""
    try:
        yield
    except UserError as error:
        print(f"left out: {error}", file=sys.stderr, flush=True)
        bad.append(path.name)


def spans(frames: int, window: int | None = None, stride: int | None = None) -> list[tuple]:
    """Windows that slide over a recording, in frames: a list of (start, frames).

    window: None: the whole recording. stride: None: half a window.
    The last window ends with the recording. A recording shorter than a window is one window.
    """
    if window is None or frames <= window:
        return [(0, frames)]
    starts = list(range(0, frames - window + 1, stride or max(1, window // 2)))
    if starts[-1] + window < frames:
        starts.append(frames - window)
    return [(start, window) for start in starts]


def batches(
    recording: Recording, args: argparse.Namespace, preparation: Preparation
) -> Iterator[tuple[list[tuple[int, int, bool]], Tensor]]:
    """Yield windows in batches, [(start, frames, whether somebody is seen)], and their clips.

    The clips (k, 64, M, V, C) are of windows that show somebody, each prepared on its own.
    """
    layout, alignment, reading = preparation
    pieces = spans(len(recording.bodies), args.window, args.stride)
    for first in range(0, len(pieces), ENCODING_BATCH):
        some, views = [], [torch.empty(0, 64, *layout.frame_shape)]
        for start, frames in pieces[first : first + ENCODING_BATCH]:
            part = recording.part(start, start + frames)
            try:
                clip = prepare(part, layout, alignment, reading.fill_gaps)
            except UserError:  # too few joints
                if len(pieces) == 1:
                    raise
                clip = None
            some.append((start, frames, clip is not None))
            if clip is not None:
                whole = torch.tensor([0]), torch.tensor([len(clip)])
                views.append(resize(torch.from_numpy(clip), *whole))
        yield some, torch.cat(views)


# ---- classifying


class Bank(NamedTuple):
    """The training clips that are searched: `data.train`, and their joined features (n, S·D)."""

    data: Halves
    features: Tensor

    def near(self, features: Tensor, count: int) -> list[list[tuple[str, str, float]]]:
        """The clips nearest to features (S, k, D), for each of k: name, class, similarity."""
        store, rows = self.data.store, self.data.train
        similarity, found = nearest(joined(features), self.features, min(count, len(rows)))
        return [
            [
                (store.names[r], store.class_names[store.label[r]], s)
                for r, s in zip(*both, strict=True)
            ]
            for both in zip(rows[found.cpu().numpy()], similarity.tolist(), strict=True)
        ]


def open_bank(trained: Trained, data_root: str | Path | None = None) -> Bank:
    """Encode the training clips of linear layers; data_root as at their training if it is None.

    Raises UserError where the store is missing or is not the store of the training.
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
    return Bank(data, joined(trained.scaled(features)))


@torch.inference_mode()
def classify(
    trained: Trained,
    recording: Recording,
    args: argparse.Namespace,
    bank: Bank | None = None,
) -> list[Window]:
    """Classify a recording in the windows that the flags ask for.

    bank: the training clips, of which the nearest args.neighbors are found; None: no clips.
    Raises UserError where no window shows anybody.
    """
    device, windows = device_of(trained.loaded.encoder), []
    for some, views in batches(recording, args, trained.preparation):
        found = iter(())
        if len(views):
            features = trained.features(views.to(device))  # (S, k, D)
            near = bank.near(features, args.neighbors) if bank else [()] * len(views)
            found = zip(trained.probabilities(features).cpu().numpy(), near, strict=True)
        for start, frames, is_seen in some:
            windows.append(Window(start, frames, *(next(found) if is_seen else ())))
    if not any(window.best for window in windows):
        raise UserError(f"{recording.name} shows nobody")
    return windows


def write_table(
    path: Path, found: Sequence[tuple[str, list[Window]]], classes: Sequence[str], fps: float
) -> None:
    """Write a CSV file with one line a window: its place, its classes, its nearest training clips.

    found: the name and the windows of each recording.
    Frames count from 0; `end_frame` is the first frame after the window.
    """
    lines = []
    for name, windows in found:
        for one in windows:
            start, end = one.start, one.start + one.frames
            line = {"recording": name, "start_frame": start, "end_frame": end}
            line |= {"start_seconds": f"{start / fps:.3f}", "end_seconds": f"{end / fps:.3f}"}
            for i, k in enumerate(one.best, 1):
                line |= {
                    f"class_{i}": classes[k],
                    f"probability_{i}": f"{one.probabilities[k]:.6f}",
                }
            for i, (clip, action, similarity) in enumerate(one.near, 1):
                line |= {f"clip_{i}": clip, f"clip_class_{i}": action}
                line |= {f"similarity_{i}": f"{similarity:.6f}"}
            lines.append(line)
    header = max(lines, key=len)  # a window that shows nobody has fewer columns
    write_csv(path, header, [[line.get(name, "") for name in header] for line in lines])
