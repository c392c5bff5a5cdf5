"""Show a recording: as an animated GIF, or as a PNG with several frames.

python -m tools.visualize S001C001P001R001A023.skeleton --out wave.gif
python -m tools.visualize --dataset ntu60 --sample S001C001P001R001A023 --augmented --out v.png
"""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from common import UserError, run
from feeder.augment import Strengths
from feeder.skeletons import KINECT_V2
from feeder.store import open_store
from net import MODALITIES
from tools.drawing.figures import save_images
from tools.drawing.skeletons import evenly, fit, picture, scene
from tools.drawing.views import augmented, read_clip, view_scenes

FPS = 30  # of a Kinect
SHEET_FRAMES = 8  # in a PNG


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.visualize", allow_abbrev=False,
                                     description=__doc__.splitlines()[0])
    what = parser.add_argument_group("what to show: a raw file, or a clip of a store")
    what.add_argument("file", type=Path, nargs="?", metavar="FILE.skeleton", help="a raw file")
    what.add_argument("--data-root", help="folder that holds the stores (default: data)")
    what.add_argument("--dataset", metavar="STORE", help="name of the store (default: ntu120)")
    what.add_argument("--sample", metavar="NAME", help="name of a clip of the store")
    how = parser.add_argument_group("how to show it")
    how.add_argument("--raw", action="store_true",
                     help="a FILE as recorded, on a floor: not repaired, centered or aligned")
    how.add_argument("--modality", choices=MODALITIES, nargs="+",
                     help="joint: the bodies (default); bone: each bone as an arrow from one "
                     "point; motion: the bodies, with an arrow at each joint")
    how.add_argument("--frames", type=int, metavar="N",
                     help=f"evenly spread (default: all in a GIF, {SHEET_FRAMES} in a PNG)")
    how.add_argument("--size", type=int, default=240, help="pixels of a picture (default: 240)")
    how.add_argument("--out", type=Path, help=".gif or .png (default: the clip's name .gif)")
    views = parser.add_argument_group("augmented views; strengths as in pretrain.py")
    views.add_argument("--augmented", action="store_true",
                       help="the clip and four augmented views, each as pre-training sees it")
    views.add_argument("--seed", type=int, help="of the augmentation (default: 0)")
    for field in fields(Strengths):
        takes = {"type": field.type, "help": f"default: {field.default}"}
        if field.type is bool:
            takes = {"action": argparse.BooleanOptionalAction}
        views.add_argument(f"--{field.name.replace('_', '-')}", **takes)
    args = parser.parse_args(argv)
    args.strengths = {f.name: getattr(args, f.name) for f in fields(Strengths)
                      if getattr(args, f.name) is not None}
    args.out = args.out or Path(f"{args.sample or (args.file and args.file.stem)}.gif")
    for wrong, why in (
        ((args.file is None) == (args.sample is None), "name either a FILE or a --sample"),
        (args.file and (args.data_root or args.dataset), "--data-root, --dataset: for a --sample"),
        (args.raw and args.sample, "--raw is for a FILE"),
        (args.augmented and (args.modality or args.raw), "--modality, --raw: not --augmented"),
        (not args.augmented and (args.strengths or args.seed is not None),
         "--seed and strengths of views need --augmented"),
        (not 32 <= args.size <= 2048, "--size is 32 to 2048"),
        (args.frames is not None and args.frames < 1, "--frames is at least 1"),
        (args.out.suffix not in (".gif", ".png"), f"--out {args.out} is neither .gif nor .png"),
    ):
        if wrong:
            parser.error(why)
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if args.sample:
        store = open_store(args.data_root or "data", args.dataset or "ntu120")
        if args.sample not in store.names:
            raise UserError(f"{store.folder} has no clip {args.sample}; one is {store.names[0]}")
        clip, skeleton = store.clip(store.names.index(args.sample)), store.skeleton
    else:
        clip, skeleton = read_clip(args.file, raw=args.raw), KINECT_V2
    if args.augmented:
        whole, views = augmented(clip, args.seed or 0, Strengths(**args.strengths))
        scenes = {"whole clip": scene(whole, skeleton=skeleton)} | view_scenes(views, skeleton)
    else:
        names = args.modality or ["joint"]
        scenes = {name: scene(clip, name, skeleton, floor=args.raw) for name in names}

    fitted = {name: fit(one)[0] for name, one in scenes.items()}
    total = len(next(iter(fitted.values())).lines)
    every = total if args.out.suffix == ".gif" else SHEET_FRAMES
    frames = evenly(total, args.frames or every)
    rows = [[(s, t, f"{name} {t + 1}/{total}") for t in frames] for name, s in fitted.items()]
    if args.out.suffix == ".gif":
        columns = tqdm(zip(*rows, strict=True), total=len(frames), unit="frame", disable=None)
        images = [picture([column], args.size) for column in columns]
    else:
        images = [picture(rows, args.size)]
    save_images(images, args.out, seconds=len(clip) / FPS)
    print(f"{len(clip)} frames; {' | '.join(scenes)}\nwritten to {args.out}")


if __name__ == "__main__":
    run(main)
