"""Classify recordings: print their most probable classes and the training clips nearest to them.

python -m tools.classify checkpoints/ntu60_xsub wave.skeleton
python -m tools.classify checkpoints/mine recordings --window 3s --csv table.csv --out timeline.png

The classes come from the linear layer that `action_classification.py` trained and saved with the
run. A recording that cannot be used is listed, and the others are classified.
"""

import argparse
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import common
from common import UserError
from tools.drawing import timeline
from tools.evaluation import encoders, linear_layers, recordings
from tools.evaluation.recordings import FILES, Window

MOST_DRAWN = 20  # recordings in one picture
LONG = 600  # frames: twice as long as the longest clip of NTU RGB+D


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
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
    if args.neighbors < 1 and args.data_root:
        parser.error("--data-root has no effect with --neighbors 0")
    if args.out and args.out.suffix not in (".png", ".svg"):
        parser.error("--out must end in .png or .svg")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    paths = recordings.find(args.files)
    if args.csv and args.csv.resolve() in [path.resolve() for path in paths]:
        raise UserError(f"--csv {args.csv} is one of the recordings; name another file")
    if args.out and len(paths) > MOST_DRAWN:
        raise UserError(f"--out draws {MOST_DRAWN} recordings at most, these are {len(paths)}")
    trained = linear_layers.load(args.run, encoders.best_device())
    bank = recordings.open_bank(trained, args.data_root) if args.neighbors > 0 else None

    found, bad = [], []
    for path in paths:
        with recordings.left_out(path, bad):
            recording = recordings.read(path, trained.preparation, args)
            windows = recordings.classify(trained, recording, args, bank)
            name = "".join(c if c.isprintable() else "?" for c in str(path))
            found.append((name, windows))
            for one in windows:
                print("\n".join(lines(name, one, trained.classes, args.fps)), flush=True)
            if not args.window and windows[0].frames > LONG:
                print(f"{windows[0].frames} frames as one action; --window divides them")
    if found and args.csv:
        recordings.write_table(args.csv, found, trained.classes, args.fps)
        print(f"written to {args.csv}")
    if found and args.out:
        timeline.write(args.out, timeline.tracks(found, args.fps), trained.classes)
        print(f"written to {args.out}")
    if bad:
        raise UserError(f"{len(bad)} of {len(paths)} recordings are left out: {', '.join(bad)}")


def lines(name: str, window: Window, classes: Sequence[str], fps: float) -> list[str]:
    """The lines that are printed for a window: classes on the left, training clips on the right."""
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


if __name__ == "__main__":
    common.run(main)
