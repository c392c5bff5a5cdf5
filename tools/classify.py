"""Classify recordings: print their most probable classes and the training clips nearest to them.

python -m tools.classify checkpoints/ntu60_xsub wave.skeleton
python -m tools.classify checkpoints/mine day.npy --window 3s --csv day.csv --out day.png

The classes come from the linear layer that `action_classification.py` trained and saved with the
run.
"""

import argparse
import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from data_gen.readers.array_file import SUFFIXES, UNITS
from tools import cli

if TYPE_CHECKING:  # they import torch, which is slow
    from tools.evaluation.new_recordings import Database, Window

MOST_DRAWN = 20  # recordings in one picture
LONG = 600  # frames: twice as long as the longest clip of NTU RGB+D


def duration(value: str) -> tuple[float, str]:
    """An argparse type: frames as in `90`, or seconds as in `0.5s`.

    Returns the number and its unit.
    """
    if not re.fullmatch(r"[0-9]{1,6}|[0-9]{1,6}(\.[0-9]{1,6})?s", value, re.ASCII):
        raise argparse.ArgumentTypeError(f"{value[:20]!r} is neither frames (90) nor seconds (3s)")
    return cli.positive(value.removesuffix("s")), "s" if value.endswith("s") else "frames"


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN",
                        help="folder of a run with recognition.pt in it, or such a file")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE",
                        help=f"a recording ({', '.join(SUFFIXES)}), or a folder of recordings")
    parser.add_argument("--unit", choices=UNITS, default="m",
                        help="unit of the coordinates in .npy and .csv files")
    parser.add_argument("--neighbors", type=cli.whole_number(0, 1000), default=5,
                        help="how many training clips are shown; with 0 no data set is needed")
    parser.add_argument("--data-root", help="folder that holds the stores (the linear layer's)")
    windows = parser.add_argument_group("long recordings, in windows that slide over them")
    windows.add_argument("--window", type=duration, metavar="3s",
                         help="length of a window: frames as in 90, or seconds as in 3s (the whole "
                         "recording)")
    windows.add_argument("--stride", type=duration, metavar="1s",
                         help="from one window to the next: frames or seconds (half a window)")
    windows.add_argument("--fps", type=cli.positive, default=30.0,
                         help="frames of a second in the recordings")
    windows.add_argument("--csv", type=Path, metavar="FILE", help="also write a table")
    windows.add_argument("--out", type=cli.file_with(".png", ".svg"), metavar="FILE.png",
                         help="also draw a timeline, as .png or .svg")
    args = parser.parse_args(argv)
    if args.stride and not args.window:
        parser.error("--stride is for --window")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from tools.evaluation import (  # torch: once the flags are right
        encoders,
        new_recordings,
        saved_layers,
    )

    paths = new_recordings.recordings(args.files)
    if args.csv and args.csv.resolve() in [path.resolve() for path in paths]:
        raise cli.UserError(f"--csv {args.csv} is one of the recordings; name another file")
    if args.out and len(paths) > MOST_DRAWN:
        raise cli.UserError(f"--out draws {MOST_DRAWN} recordings at most, these are {len(paths)}")
    trained = saved_layers.load(args.run, encoders.best_device())
    skeleton = trained.loaded.encoder.layout.skeleton
    window, stride = (in_frames(value, args.fps) for value in (args.window, args.stride))
    among = new_recordings.database(trained, args.data_root) if args.neighbors else None

    found = []
    for path in paths:
        name, bodies = printable(path), new_recordings.read(path, skeleton, UNITS[args.unit])
        pieces = new_recordings.spans(len(bodies), window, stride)
        windows = new_recordings.classify(trained, bodies, pieces, among, args.neighbors)
        if not any(one.best for one in windows):
            raise cli.UserError(f"{path} shows nobody")
        found.append((name, windows))
        for one in windows:
            print("\n".join(lines(name, one, trained.classes, among, args.fps)), flush=True)
        if not window and len(bodies) > LONG:
            print(f"{len(bodies)} frames were classified as one action; --window divides them")
    if args.csv:
        new_recordings.write(args.csv, found, trained.classes, among, args.fps)
        print(f"written to {args.csv}")
    if args.out:
        from tools.drawing import timeline

        timeline.write(args.out, timeline.tracks(found, args.fps), trained.classes)
        print(f"written to {args.out}")


def in_frames(value: tuple[float, str] | None, fps: float) -> int | None:
    """A duration in frames, at least one; None for None."""
    if value is None:
        return None
    number, unit = value
    return max(1, round(number * fps if unit == "s" else number))


def lines(
    name: str, window: "Window", classes: Sequence[str], among: "Database | None", fps: float
) -> list[str]:
    """The lines that are printed for a window: classes on the left, training clips on the right."""
    from tools.evaluation.new_recordings import neighbors_of

    start, end = window.start, window.start + window.frames
    head = f"{name}, {start / fps:.2f} to {end / fps:.2f} s (frames {start} to {end - 1})"
    if not window.best:
        return [f"{head}: nobody"]
    left = [f"{100 * window.probabilities[k]:6.2f} %  {classes[k]}" for k in window.best]
    right = [f"{s:.4f}  {clip}  {action}" for clip, action, s in neighbors_of(window, among)]
    if among:
        head += "; probability, class; cosine similarity, training clip, its class"
    wide = max(map(len, left))
    return [head, *(f"{a:{wide}}  {b}".rstrip() for a, b in zip_longest(left, right, fillvalue=""))]


def printable(path: Path) -> str:
    """A path with its unprintable characters replaced by question marks."""
    return "".join(c if c.isprintable() else "?" for c in str(path))


if __name__ == "__main__":
    cli.run(main)
