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

from common import UserError, flag, run
from data_gen.gendata import skeleton
from data_gen.readers import recording
from data_gen.readers.skeleton_file import SUFFIX
from feeder.augment import Strengths
from feeder.batches import Clips
from feeder.skeletons import KINECT_V2, Layout
from feeder.store import open_store
from net import MODALITIES
from tools.drawing.figures import save_images
from tools.drawing.skeletons import augmented, evenly, fit, picture, scene, view_scenes

SHEET_FRAMES = 8  # in a PNG


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument_group("what to show: a recording, or a clip of a store").add_argument
    files = f"{', '.join(recording.SUFFIXES)}, or a folder with one JSON file a frame"
    add("file", type=Path, nargs="?", metavar="FILE", help=files)
    add("--data-root", help="folder that holds the stores (data)")
    add("--dataset", metavar="STORE", help="name of the store (ntu120)")
    add("--sample", metavar="NAME", help="name of a clip of the store")
    add("--skeleton", type=skeleton, metavar="NAME", help="of a FILE (kinect_v2)")
    recording.add_flags(parser, "what a FILE holds (y-up, xyz, m; a JSON file y-down, xyc, px)")
    add = parser.add_argument_group("how to show it").add_argument
    add("--raw", action="store_true", help="a FILE as recorded, not prepared")
    modality = "joint: the bodies (default); bone: arrows from one point; motion: arrows at joints"
    add("--modality", choices=MODALITIES, nargs="+", help=modality)
    frames = f"evenly spread (all in a GIF, {SHEET_FRAMES} in a PNG)"
    add("--frames", type=int, metavar="N", help=frames)
    add("--size", type=int, default=240, help="pixels of a picture (240)")
    add("--out", type=Path, help=".gif or .png (the clip's name .gif)")
    add = parser.add_argument_group("augmented views; strengths as in pretrain.py").add_argument
    add("--augmented", action="store_true", help="the clip and four views as in pre-training")
    add("--seed", type=int, help="of the augmentation (0)")
    switch = argparse.BooleanOptionalAction
    for field in fields(Strengths):
        kind = {"action": switch} if field.type is bool else {"type": field.type}
        add(flag(field.name), help=f"({field.default})", **kind)
    args = parser.parse_args(argv)
    names = [field.name for field in fields(Strengths)]
    args.strengths = {k: getattr(args, k) for k in names if getattr(args, k) is not None}
    args.out = args.out or Path(f"{args.sample or (args.file and args.file.stem)}.gif")
    held = args.axes or args.channels or args.unit
    if (args.file is None) == (args.sample is None):
        parser.error("name either a FILE or a --sample")
    if args.file and (args.data_root or args.dataset):
        parser.error("--data-root and --dataset are for a --sample")
    if args.sample and (args.raw or args.skeleton or held):
        parser.error("--raw, --skeleton, --axes, --channels and --unit are for a FILE")
    if args.file and args.file.suffix == SUFFIX and held:
        parser.error(f"--axes, --channels and --unit have no effect on a {SUFFIX} file")
    if args.augmented and (args.modality or args.raw):
        parser.error("--modality and --raw have no effect with --augmented")
    if not args.augmented and (args.strengths or args.seed is not None):
        parser.error("--seed and strengths of views need --augmented")
    if args.out.suffix not in (".gif", ".png"):
        parser.error(f"--out {args.out} is neither .gif nor .png")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.sample:
        store = open_store(args.data_root or "data", args.dataset or "ntu120")
        if args.sample not in store.names:
            raise UserError(f"{store.folder} has no clip {args.sample}; one is {store.names[0]}")
        clip, bones = store.clip(store.names.index(args.sample)), store.skeleton
    else:
        bones = args.skeleton or KINECT_V2
        alignment = "kinect" if args.file.suffix == SUFFIX else "upright"
        held = {name: getattr(args, name) for name in ("axes", "channels", "unit")}
        reading = recording.Reading(Layout(bones, 2), bones, alignment=alignment, **held)
        found = recording.read_recording(args.file, reading)
        clip = found.bodies if args.raw else recording.prepare(found, reading)
        if not np.nan_to_num(clip).any():
            raise UserError(f"{args.file} shows nobody")
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
    save_images(images, args.out, seconds=len(clip) / recording.FPS)
    print(f"{len(clip)} frames; {' | '.join(scenes)}\nwritten to {args.out}")


if __name__ == "__main__":
    run(main)
