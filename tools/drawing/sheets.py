"""Put pictures of scenes together: rows, sheets, animations, and the files of them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont  # pillow comes with torchvision, which draws with it
from torch import Tensor
from torchvision.utils import make_grid

from data_gen.preparing.files import whole_file
from tools.drawing.draw import INK, draw, fit
from tools.drawing.scenes import Scene

COLORS = 64  # colors of an animation


def write(picture: Tensor, text: str, *, size: int | None = None, below: bool = False) -> Tensor:
    """A picture (3, H, W) uint8 with a line of text in its upper or lower left corner.

    size: height of the letters in pixels; by default it depends on the picture's height.
    below: write in the lower corner.
    """
    image = to_image(picture)
    size = size or max(10, picture.shape[1] // 18)
    at = (size // 2, picture.shape[1] - size // 2 if below else size // 2)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text(at, text, INK, font, anchor="ld" if below else "la")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def rows(pictures: list[list[Tensor]]) -> Tensor:
    """Join rows of pictures of one size to one picture (3, H, W) uint8."""
    flat = torch.stack([picture for row in pictures for picture in row])
    return make_grid(flat, nrow=len(pictures[0]), padding=2, pad_value=238)


def evenly(total: int, wanted: int) -> list[int]:
    """At most `wanted` of `total` frames, evenly spread; the first and the last are among them."""
    return np.linspace(0, total - 1, min(total, wanted)).round().astype(int).tolist()


def contact_sheet(shown: dict[str, Scene], frames: int, size: int, *, floor: bool) -> Tensor:
    """One row for each scene, with its name, and one column for each frame: (3, H, W) uint8.

    shown: scenes by name.
    frames: number of frames.
    size: width of each picture in pixels.
    floor: whether the bodies stand on a floor.
    """
    sheet = []
    for name, scene in shown.items():
        view, total = fit([scene], size, floor=floor), len(scene.joints)
        row = [
            write(draw(scene, frame, view), f"frame {frame + 1} of {total}", below=True)
            for frame in evenly(total, frames)
        ]
        sheet.append([write(row[0], name), *row[1:]])
    return rows(sheet)


def animation(shown: dict[str, Scene], frames: int, size: int, *, floor: bool) -> list[Tensor]:
    """One picture (3, H, W) uint8 for each frame, with the scenes side by side.

    shown, frames, size, floor: as in `contact_sheet`.
    """
    views = {name: fit([scene], size, floor=floor) for name, scene in shown.items()}
    total = len(next(iter(shown.values())).joints)
    pictures = []
    for frame in evenly(total, frames):
        row = [write(draw(scene, frame, views[name]), name) for name, scene in shown.items()]
        row[0] = write(row[0], f"frame {frame + 1} of {total}", below=True)
        pictures.append(rows([row]))
    return pictures


def to_image(picture: Tensor) -> Image.Image:
    """A picture (3, H, W) uint8 as an image of pillow."""
    return Image.fromarray(picture.permute(1, 2, 0).numpy())


def save_png(path: Path, picture: Tensor) -> None:
    """Write a picture (3, H, W) uint8 as PNG."""
    with whole_file(path) as part:
        to_image(picture).save(part, "PNG")


def save_gif(path: Path, pictures: list[Tensor], seconds: float) -> None:
    """Write pictures (3, H, W) uint8 as an endless GIF.

    seconds: duration of one round.
    """
    # One palette for all pictures, so that nothing flickers: that of the picture with most colors.
    first, *rest = (to_image(picture) for picture in pictures)
    palette = max((first, *rest), key=lambda image: len(image.getcolors(2**16) or ()))
    palette = palette.quantize(COLORS, Image.Quantize.FASTOCTREE)  # keeps white exactly white
    first, *rest = (image.quantize(palette=palette, dither=0) for image in (first, *rest))
    pause = max(20, round(1000 * seconds / len(pictures)))  # milliseconds; browsers need 20
    settings = {"duration": pause, "loop": 0, "optimize": True}
    with whole_file(path) as part:
        first.save(part, "GIF", save_all=True, append_images=rest, **settings)
