"""Look at a recording: an animated GIF, or a contact sheet as PNG.

python -m tools.visualize S001C001P001R001A023.skeleton --out wave.gif
python -m tools.visualize --dataset ntu60 --sample S001C001P001R001A023 --augmented --out v.png
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data_gen.datasets.ntu import ALL_DATASETS
from data_gen.preparing.clip import prepare_clip
from data_gen.preparing.files import whole_file
from data_gen.readers.skeleton_file import SkeletonFileError, read_skeleton_file
from feeder.augment import DRAWS
from feeder.batches import VIEWS, Batch, Clips
from feeder.store import open_store
from net.modalities import MODALITIES
from tools import cli
from tools.drawing import draw
from tools.drawing.draw import Scene

FPS = 30  # of a Kinect
SHEET_FRAMES = 8
# What the network is given of each augmented view.
VIEW_NAMES = ("joint view", "bone view", "motion view", "fused view")
VIEW_MODALITIES = (*MODALITIES, "joint")


# fmt: off
def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    what = parser.add_argument_group("what to show: a raw file, or a clip of a store")
    what.add_argument("file", type=Path, nargs="?", metavar="FILE.skeleton", help="a raw file")
    what.add_argument("--data-root", default="data", help="folder that holds the stores")
    what.add_argument("--dataset", choices=ALL_DATASETS, default="ntu120", help="its data set")
    what.add_argument("--sample", metavar="NAME", help="name of the clip")

    how = parser.add_argument_group("how to show it")
    how.add_argument("--raw", action="store_true",
                     help="as the sensor saw it: not repaired, centred or turned; FILE only")
    how.add_argument("--modality", choices=MODALITIES, nargs="+", default=["joint"],
                     help="what to draw of it, one picture each")
    how.add_argument("--augmented", action="store_true",
                     help="the clip and four augmented views, each as pre-training sees it")
    how.add_argument("--seed", type=cli.whole_number(0), default=0, help="of the augmentations")
    how.add_argument("--frames", type=cli.whole_number(1),
                     help=f"how many, evenly spread (all in a GIF, {SHEET_FRAMES} in a sheet)")
    how.add_argument("--size", type=cli.whole_number(32, 2048), default=240,
                     help="pixels of a picture")
    how.add_argument("--out", type=Path, help="a .gif or .png (default: the clip's name .gif)")
    args = parser.parse_args()
    if (args.file is None) == (args.sample is None):
        parser.error("name either a FILE.skeleton or a --sample")
    if args.raw and (args.sample or args.augmented):
        parser.error("--raw is for a FILE.skeleton without --augmented")
    args.out = args.out or Path(f"{args.sample or args.file.stem}.gif")
    if args.out.suffix not in (".gif", ".png"):
        parser.error(f"--out {args.out} is neither .gif nor .png")
    return args
# fmt: on


def main() -> None:
    args = parse_args()
    clip = read_clip(args)
    shown = augmented(clip, args.seed) if args.augmented else as_modalities(clip, args.modality)
    if args.out.suffix == ".gif":
        pictures = animation(shown, args.frames or len(clip), args.size)
        save_gif(args.out, pictures, seconds=len(clip) / FPS)
    else:
        pictures = [contact_sheet(shown, args.frames or SHEET_FRAMES, args.size)]
        with whole_file(args.out) as part:
            draw.to_image(pictures[0]).save(part, "PNG")
    print(f"{len(clip)} frames; {' | '.join(shown)}\nwritten to {args.out}")


def read_clip(args: argparse.Namespace) -> Tensor:
    """The clip that the flags name: (T, M, 25, 3) float32, in metres.

    Raises UserError or StoreError where there is none.
    """
    if args.sample:
        store = open_store(args.data_root, args.dataset)
        if args.sample not in store.names:
            raise cli.UserError(
                f"{store.folder} holds no clip {args.sample}, but {len(store.names)} others, "
                f"from {store.names[0]} to {store.names[-1]}"
            )
        row = store.names.index(args.sample)
        start = store.start[row]
        return torch.from_numpy(np.array(store.joints[start : start + store.frames[row]]))
    try:
        bodies = read_skeleton_file(args.file)
    except SkeletonFileError as error:
        raise cli.UserError(str(error)) from None
    clip = bodies if args.raw else prepare_clip(bodies)
    if clip is None or not clip.any():
        raise cli.UserError(f"{args.file.name} shows nobody")
    return torch.from_numpy(clip).float()


def as_modalities(clip: Tensor, modalities: list[str]) -> dict[str, Scene]:
    """A clip (T, M, V, C) as each of some modalities shows it."""
    return {modality: draw.scene(clip, modality) for modality in modalities}


def augmented(clip: Tensor, seed: int) -> dict[str, Scene]:
    """A clip (T, M, V, C) whole, resized as for the evaluation, and its four augmented views."""
    rng = np.random.default_rng(seed)
    uniform = torch.from_numpy(rng.random((VIEWS, 1, DRAWS), dtype=np.float32))
    clips = Clips(clip, torch.tensor([0]), torch.tensor([len(clip)]))
    views = Batch(clips, uniform, step=0, rows=np.array([0]), shares=[1]).views()
    return {"whole clip": draw.scene(clips.resized()[0])} | view_scenes(views[:, 0])


def view_scenes(views: Tensor) -> dict[str, Scene]:
    """The four augmented views (4, T, M, V, C) of one clip, each as its modality shows it."""
    pairs = zip(VIEW_NAMES, views, VIEW_MODALITIES, strict=True)
    return {name: draw.scene(view, modality) for name, view, modality in pairs}


def animation(shown: dict[str, Scene], frames: int, size: int) -> list[Tensor]:
    """One picture a frame, the scenes side by side, each with its own view."""
    views = {name: draw.fit([scene], size) for name, scene in shown.items()}
    total = len(next(iter(shown.values())).joints)
    pictures = []
    for frame in draw.evenly(total, frames):
        row = [draw.draw(scene, frame, views[name]) for name, scene in shown.items()]
        row = [draw.write(p, name) for p, name in zip(row, shown, strict=True)]
        row[0] = draw.write(row[0], f"frame {frame + 1} of {total}", below=True)
        pictures.append(draw.rows([row]))
    return pictures


def contact_sheet(shown: dict[str, Scene], frames: int, size: int) -> Tensor:
    """One row a scene, one column a frame."""
    sheet = []
    for name, scene in shown.items():
        view, total = draw.fit([scene], size), len(scene.joints)
        row = [
            draw.write(draw.draw(scene, frame, view), f"frame {frame + 1} of {total}", below=True)
            for frame in draw.evenly(total, frames)
        ]
        sheet.append([draw.write(row[0], name), *row[1:]])
    return draw.rows(sheet)


def save_gif(path: Path, pictures: list[Tensor], seconds: float) -> None:
    """Write pictures (3, H, W) as a GIF without end that takes so many seconds a round."""
    # One palette for all, so that nothing flickers; its entries are those of the fullest picture.
    first, *rest = (draw.to_image(picture) for picture in pictures)
    palette = max((first, *rest), key=lambda image: len(image.getcolors(2**16) or ()))
    palette = palette.quantize(64, Image.Quantize.FASTOCTREE)  # keeps white white
    first, *rest = (image.quantize(palette=palette, dither=0) for image in (first, *rest))
    pause = max(20, round(1000 * seconds / len(pictures)))  # milliseconds; browsers go no faster
    settings = {"duration": pause, "loop": 0, "optimize": True}
    with whole_file(path) as part:
        first.save(part, "GIF", save_all=True, append_images=rest, **settings)


if __name__ == "__main__":
    cli.run(main)
