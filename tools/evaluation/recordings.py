"""New recordings: read as those of a store, encoded whole or in windows that slide over them."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from common import UserError
from data_gen.clip import Recording
from data_gen.readers import recording
from data_gen.readers.clip_table import find_recordings
from feeder.batches import Clips
from tools.evaluation.features import ENCODING_BATCH, device_of, encode_views

FILES = f"recordings ({', '.join(recording.SUFFIXES)}, a folder of JSON frames), or folders of them"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how recordings are read, and in which windows."""
    recording.add_flags(parser, "how recordings are read (default: as those of the store)")
    add = parser.add_argument_group("long recordings, in windows that slide over them").add_argument
    add("--window", metavar="3s", help="frames as in 90, or seconds as in 3s (the recording)")
    add("--stride", metavar="1s", help="from one window to the next (half a window)")
    add("--fps", type=float, help=f"frames per second of the recordings ({recording.FPS:g})")


def check_flags(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Turn --window and --stride into frames; refuse values out of range or without effect."""
    args.fps = recording.FPS if args.fps is None else args.fps
    if args.fps <= 0:
        parser.error("--fps must be above 0")
    if args.stride and not args.window:
        parser.error("--stride is for --window")
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


def find(paths: Iterable[Path]) -> list[Path]:
    """The recordings in some paths: a path itself, or all at any depth in a folder."""
    found = (find_recordings(path) if path.is_dir() else [path] for path in paths)
    return list(chain.from_iterable(found))


def spans(frames: int, window: int | None = None, stride: int | None = None) -> list[tuple]:
    """Windows (start, frames) that slide over a recording; the last one ends with it.

    window: None: the whole recording. stride: None: half a window.
    """
    if window is None or frames <= window:
        return [(0, frames)]
    starts = list(range(0, frames - window, stride or max(1, window // 2)))
    return [(start, window) for start in [*starts, frames - window]]


@torch.inference_mode()
def encode(
    path: Path,
    args: argparse.Namespace,
    reading: recording.Reading,
    encoder: nn.Module,
    streams: Sequence[tuple[str, ...]],
) -> tuple[list[tuple[int, int, bool]], Tensor] | None:
    """Encode a recording in the windows that the flags ask for, each prepared on its own.

    Returns the windows (first frame, number of frames, whether somebody is seen), and the features
    (S, k, D) of the k with somebody. None, and a line on stderr, if the recording cannot be used.
    """
    how = {name: getattr(args, name) for name in ("unit", "axes", "channels")}
    reading = replace(reading, **{name: value for name, value in how.items() if value is not None})

    def view(part: Recording, is_whole: bool) -> Tensor | None:  # (1, 64, M, V, C)
        try:
            return Clips.one(recording.prepare(part, reading)).resized()
        except UserError:  # nobody, or too few joints
            if is_whole:
                raise
            return None

    try:
        whole = recording.read_new(path, reading)
        pieces = spans(len(whole.bodies), args.window, args.stride)
        windows, features = [], []
        for first in range(0, len(pieces), ENCODING_BATCH):
            some = pieces[first : first + ENCODING_BATCH]
            views = [view(whole.part(start, start + n), len(pieces) == 1) for start, n in some]
            windows += [(*piece, one is not None) for piece, one in zip(some, views, strict=True)]
            if seen := [one for one in views if one is not None]:
                clips = torch.cat(seen).to(device_of(encoder))
                features.append(encode_views(encoder, clips, streams))
        if not features:
            raise UserError(f"{path.name} shows nobody")
    except UserError as error:
        print(f"left out: {error}", file=sys.stderr, flush=True)
        return None
    return windows, torch.cat(features, 1)
