"""Show a recording: as an animated GIF, or as a PNG with several frames.

python -m tools.visualize S001C001P001R001A023.skeleton --out wave.gif
python -m tools.visualize openpose.json --skeleton openpose_25 --raw
python -m tools.visualize --dataset ntu60 --sample S001C001P001R001A023 --augmented --out v.png
"""

import argparse
from dataclasses import fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common import UserError, run
from data_gen.gendata import skeleton
from data_gen.readers import recording
from data_gen.readers.recording import SUFFIXES, Reading, prepare, read_recording
from data_gen.readers.skeleton_file import SUFFIX
from feeder.augment import Strengths
from feeder.batches import Clips
from feeder.skeletons import KINECT_V2, Layout
from feeder.store import open_store
from net import MODALITIES
from tools.drawing.figures import save_images
from tools.drawing.skeletons import augmented, evenly, fit, picture, scene, view_scenes

FPS = 30  # of a Kinect
SHEET_FRAMES = 8  # in a PNG


# fmt: off
def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.visualize", allow_abbrev=False,
                                     description=__doc__.splitlines()[0])
    add = parser.add_argument_group("what to show: a recording, or a clip of a store").add_argument
    add("file", type=Path, nargs="?", metavar="FILE",
        help=f"{', '.join(SUFFIXES)}, or a folder with one JSON file a frame")
    add("--data-root", help="folder that holds the stores (default: data)")
    add("--dataset", metavar="STORE", help="name of the store (default: ntu120)")
    add("--sample", metavar="NAME", help="name of a clip of the store")
    add("--skeleton", type=skeleton, metavar="NAME", help="of a FILE (default: kinect_v2)")
    recording.add_flags(parser, "what a FILE holds (y-up, xyz, m; a JSON file y-down, xyc, px)")
    add = parser.add_argument_group("how to show it").add_argument
    add("--raw", action="store_true",
        help="a FILE as recorded: bodies neither chosen nor repaired, centered or aligned")
    add("--modality", choices=MODALITIES, nargs="+",
        help="joint: the bodies (default); bone: each bone as an arrow from one point; motion: the "
        "bodies, with an arrow at each joint")
    add("--frames", type=int, metavar="N",
        help=f"evenly spread (default: all in a GIF, {SHEET_FRAMES} in a PNG)")
    add("--size", type=int, default=240, help="pixels of a picture (default: 240)")
    add("--out", type=Path, help=".gif or .png (default: the clip's name .gif)")
    add = parser.add_argument_group("augmented views; strengths as in pretrain.py").add_argument
    add("--augmented", action="store_true",
        help="the clip and four augmented views, each as pre-training sees it")
    add("--seed", type=int, help="of the augmentation (default: 0)")
    for field in fields(Strengths):
        takes = {"type": field.type, "help": f"default: {field.default}"}
        if field.type is bool:
            takes = {"action": argparse.BooleanOptionalAction}
        add(f"--{field.name.replace('_', '-')}", **takes)
    args = parser.parse_args(argv)
    args.strengths = {f.name: getattr(args, f.name) for f in fields(Strengths)
                      if getattr(args, f.name) is not None}
    args.out = args.out or Path(f"{args.sample or (args.file and args.file.stem)}.gif")
    for wrong, why in (
        ((args.file is None) == (args.sample is None), "name either a FILE or a --sample"),
        (args.file and (args.data_root or args.dataset), "--data-root, --dataset: for a --sample"),
        (args.sample and any((args.raw, args.skeleton, args.axes, args.channels, args.unit)),
         "--raw, --skeleton, --axes, --channels, --unit: for a FILE"),
        (args.file and args.file.suffix == SUFFIX and (args.axes or args.channels or args.unit),
         f"--axes, --channels, --unit: not for a {SUFFIX} file, which is a Kinect's"),
        (args.augmented and (args.modality or args.raw), "--modality, --raw: not --augmented"),
        (not args.augmented and (args.strengths or args.seed is not None),
         "--seed and strengths of views need --augmented"),
        (args.out.suffix not in (".gif", ".png"), f"--out {args.out} is neither .gif nor .png"),
    ):
        if wrong:
            parser.error(why)
    return args
# fmt: on


def read(path: Path, reading: Reading, is_raw: bool) -> np.ndarray:
    """The clip (T, M, V, 3) of a recording, raw or as a store would hold it."""
    found = read_recording(path, reading)
    clip = np.nan_to_num(found.bodies) if is_raw else prepare(found, reading)
    if not clip.any():
        raise UserError(f"{path} shows nobody")
    return clip


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.sample:
        store = open_store(args.data_root or "data", args.dataset or "ntu120")
        if args.sample not in store.names:
            raise UserError(f"{store.folder} has no clip {args.sample}; one is {store.names[0]}")
        clip, bones = store.clip(store.names.index(args.sample)), store.skeleton
    else:
        bones = args.skeleton or KINECT_V2
        reading = Reading(
            Layout(bones, 2),
            bones,
            axes=args.axes,
            channels=args.channels,
            unit=args.unit,
            alignment="kinect" if args.file.suffix == SUFFIX else "upright",
        )
        clip = read(args.file, reading, args.raw)
    if args.augmented:
        rng, strengths = np.random.default_rng(args.seed or 0), Strengths(**args.strengths)
        (whole,), views = augmented(Clips.one(clip), rng, strengths)
        scenes = {"whole clip": scene(whole, skeleton=bones)} | view_scenes(views[:, 0], bones)
    else:
        scenes = {name: scene(clip, name, bones) for name in args.modality or ["joint"]}

    is_gif, total = args.out.suffix == ".gif", len(whole if args.augmented else clip)
    frames = evenly(total, args.frames or (total if is_gif else SHEET_FRAMES))
    rows = []
    for name, one in scenes.items():
        (fitted,) = fit(one)
        rows.append([(fitted, t, f"{name} {t + 1}/{total}") for t in frames])
    if is_gif:
        columns = tqdm(zip(*rows, strict=True), total=len(frames), unit="frame", disable=None)
        images = [picture([column], args.size) for column in columns]
    else:
        images = [picture(rows, args.size)]
    save_images(images, args.out, seconds=len(clip) / FPS)
    print(f"{len(clip)} frames; {' | '.join(scenes)}\nwritten to {args.out}")


if __name__ == "__main__":
    run(main)
