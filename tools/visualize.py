"""Show a recording: as an animated GIF, or as a PNG with several frames.

python -m tools.visualize S001C001P001R001A023.skeleton --out wave.gif
python -m tools.visualize --dataset ntu60 --sample S001C001P001R001A023 --augmented --out v.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from feeder.skeletons import KINECT_V2
from feeder.store import open_store
from feeder.strengths import Strengths
from net import MODALITIES
from tools import cli
from tools.training import records

FPS = 30  # frames of a second, of a Kinect
SHEET_FRAMES = 8  # frames in a PNG


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    what = parser.add_argument_group("what to show: a raw file, or a clip of a store")
    what.add_argument("file", type=Path, nargs="?", metavar="FILE.skeleton", help="a raw file")
    what.add_argument("--data-root", default="data", help="folder that holds the stores")
    what.add_argument("--dataset", metavar="STORE", default="ntu120",
                      help="name of the store")
    what.add_argument("--sample", metavar="NAME", help="name of a clip of the store")

    how = parser.add_argument_group("how to show it")
    how.add_argument("--raw", action="store_true",
                     help="as the sensor saw the bodies, on a floor: not repaired, centered or "
                     "turned (prepared clips have no floor, since the turn of the shoulders onto "
                     "an axis tilts upright bodies); only for a FILE")
    how.add_argument("--modality", choices=MODALITIES, nargs="+", default=["joint"],
                     help="what to draw, one picture each: joint: the bodies; bone: each bone as "
                     "an arrow from one point; motion: the bodies, with an arrow at each joint")
    how.add_argument("--augmented", action="store_true",
                     help="the clip and four augmented views, each as pre-training sees it")
    how.add_argument("--seed", type=cli.whole_number(0), default=0,
                     help="seed of the augmentations")
    how.add_argument("--frames", type=cli.whole_number(1),
                     help=f"number of frames, evenly spread (GIF: all, PNG: {SHEET_FRAMES})")
    how.add_argument("--size", type=cli.whole_number(32, 2048), default=240,
                     help="width of each picture in pixels")
    how.add_argument("--out", type=cli.file_with(".gif", ".png"),
                     help="file to write: .gif or .png (default: the clip's name .gif)")
    records.add_flags(parser, Strengths)
    args = parser.parse_args(argv)
    if (args.file is None) == (args.sample is None):
        parser.error("name either a FILE.skeleton or a --sample")
    if args.raw and (args.sample or args.augmented):
        parser.error("--raw is for a FILE.skeleton without --augmented")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from tools.drawing import clips, scenes, sheets  # import torch, so after the flags are checked

    if args.sample:
        store = open_store(args.data_root, args.dataset)
        clip, skeleton = clips.of_store(store, args.sample), store.skeleton
    else:
        clip, skeleton = clips.of_recording(args.file, raw=args.raw), KINECT_V2
    out = args.out or Path(f"{args.sample or args.file.stem}.gif")
    if args.augmented:
        strengths = records.pick(Strengths, vars(args))
        shown = scenes.of_augmentation(clip, args.seed, skeleton, strengths)
    else:
        shown = scenes.of_modalities(clip, args.modality, skeleton)
    if out.suffix == ".gif":
        pictures = sheets.animation(shown, args.frames or len(clip), args.size, floor=args.raw)
        sheets.save_gif(out, pictures, seconds=len(clip) / FPS)
    else:
        sheet = sheets.contact_sheet(shown, args.frames or SHEET_FRAMES, args.size, floor=args.raw)
        sheets.save_png(out, sheet)
    print(f"{len(clip)} frames; {' | '.join(shown)}\nwritten to {out}")


if __name__ == "__main__":
    cli.run(main)
