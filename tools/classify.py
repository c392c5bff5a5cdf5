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

import common
from common import UserError
from data_gen.readers.array_file import SUFFIXES, UNITS, read_bodies
from tools.drawing import timeline
from tools.evaluation import encoders, linear_layers, recordings
from tools.evaluation.recordings import Window

MOST_DRAWN = 20  # recordings in one picture
LONG = 600  # frames: twice as long as the longest clip of NTU RGB+D


def duration(value: str) -> tuple[float, str]:
    """An argparse type: frames as in `90`, or seconds as in `0.5s`; the number and its unit."""
    if not re.fullmatch(r"[0-9]+|[0-9]+(\.[0-9]+)?s", value, re.ASCII):
        raise argparse.ArgumentTypeError(f"{value!r} is neither frames (90) nor seconds (3s)")
    return float(value.removesuffix("s")), "s" if value.endswith("s") else "frames"


def in_frames(value: tuple[float, str] | None, fps: float) -> int | None:
    """A duration in frames, at least one; None for None."""
    if value is None:
        return None
    number, unit = value
    return max(1, round(number * fps if unit == "s" else number))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN",
        help="folder of a run with recognition.pt in it, or such a file")  # fmt: skip
    add("files", type=Path, nargs="+", metavar="FILE",
        help=f"a recording ({', '.join(SUFFIXES)}), or a folder of recordings")  # fmt: skip
    add("--unit", choices=UNITS, default="m", help="of the coordinates in .npy and .csv files (m)")
    add("--neighbors", type=int, default=5,
        help="number of training clips to show; with 0 no data set is needed (5)")  # fmt: skip
    add("--data-root", help="folder that holds the stores (the linear layer's)")
    add = parser.add_argument_group("long recordings, in windows that slide over them").add_argument
    add("--window", type=duration, metavar="3s",
        help="length of a window: frames as in 90, or seconds as in 3s (all)")  # fmt: skip
    add("--stride", type=duration, metavar="1s",
        help="from one window to the next: frames or seconds (half a window)")  # fmt: skip
    add("--fps", type=float, default=30.0, help="frames per second of the recordings (30)")
    add("--csv", type=Path, metavar="FILE", help="also write a table")
    add("--out", type=Path, metavar="FILE.png", help="also draw a timeline, as .png or .svg")
    args = parser.parse_args(argv)
    if args.stride and not args.window:
        parser.error("--stride is for --window")
    if args.fps <= 0 or any(value and value[0] <= 0 for value in (args.window, args.stride)):
        parser.error("--fps, --window and --stride must be above 0")
    if args.out and args.out.suffix not in (".png", ".svg"):
        parser.error("--out must end in .png or .svg")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    paths = recordings.recordings(args.files)
    if args.csv and args.csv.resolve() in [path.resolve() for path in paths]:
        raise UserError(f"--csv {args.csv} is one of the recordings; name another file")
    if args.out and len(paths) > MOST_DRAWN:
        raise UserError(f"--out draws {MOST_DRAWN} recordings at most, these are {len(paths)}")
    trained = linear_layers.load(args.run, encoders.best_device())
    skeleton = trained.loaded.encoder.layout.skeleton
    window, stride = (in_frames(value, args.fps) for value in (args.window, args.stride))
    among = recordings.database(trained, args.data_root) if args.neighbors else None

    found = []
    for path in paths:
        bodies = read_bodies(path, skeleton, UNITS[args.unit])
        pieces = recordings.spans(len(bodies), window, stride)
        windows = recordings.classify(trained, bodies, pieces, among, args.neighbors)
        if not any(one.best for one in windows):
            raise UserError(f"{path} shows nobody")
        name = "".join(c if c.isprintable() else "?" for c in str(path))
        found.append((name, windows))
        for one in windows:
            print("\n".join(lines(name, one, trained.classes, args.fps)), flush=True)
        if not window and len(bodies) > LONG:
            print(f"{len(bodies)} frames were classified as one action; --window divides them")
    if args.csv:
        recordings.write(args.csv, found, trained.classes, args.fps)
        print(f"written to {args.csv}")
    if args.out:
        timeline.write(args.out, timeline.tracks(found, args.fps), trained.classes)
        print(f"written to {args.out}")


def lines(name: str, window: Window, classes: Sequence[str], fps: float) -> list[str]:
    """The lines that are printed for a window: classes on the left, training clips on the right."""
    start, end = window.start, window.start + window.frames
    head = f"{name}, {start / fps:.2f} to {end / fps:.2f} s (frames {start} to {end - 1})"
    if not window.best:
        return [f"{head}: nobody"]
    left = [f"{100 * window.probabilities[k]:6.2f} %  {classes[k]}" for k in window.best]
    right = [f"{one.similarity:.4f}  {one.clip}  {one.action}" for one in window.near]
    if right:
        head += "; probability, class; cosine similarity, training clip, its class"
    wide = max(map(len, left))
    return [head, *(f"{a:{wide}}  {b}".rstrip() for a, b in zip_longest(left, right, fillvalue=""))]


if __name__ == "__main__":
    common.run(main)
