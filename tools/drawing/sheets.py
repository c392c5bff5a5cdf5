"""Pictures of scenes put together: rows, contact sheets, animations and the files of them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont  # pillow comes with torchvision, which draws with it
from torch import Tensor
from torchvision.utils import make_grid

from data_gen.preparing.files import whole_file
from tools.drawing.draw import INK, draw, fit
from tools.drawing.scenes import Scene

COLORS = 64  # of an animation


def write(picture: Tensor, text: str, *, size: int | None = None, below: bool = False) -> Tensor:
    """A picture (3, H, W) uint8 with a line of text in its upper or lower left corner.

    size: of the letters, in pixels; by default, by the picture's.
    """
    image = to_image(picture)
    size = size or max(10, picture.shape[1] // 18)
    at = (size // 2, picture.shape[1] - size // 2 if below else size // 2)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text(at, text, INK, font, anchor="ld" if below else "la")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def rows(pictures: list[list[Tensor]]) -> Tensor:
    """Rows of equally many pictures of one size as one picture (3, H, W) uint8."""
    flat = torch.stack([picture for row in pictures for picture in row])
    return make_grid(flat, nrow=len(pictures[0]), padding=2, pad_value=238)


def evenly(total: int, wanted: int) -> list[int]:
    """At most `wanted` of `total` frames, evenly spread, the first and the last among them."""
    return np.linspace(0, total - 1, min(total, wanted)).round().astype(int).tolist()


def contact_sheet(shown: dict[str, Scene], frames: int, size: int, *, floor: bool) -> Tensor:
    """One row a scene, with its name, and one column a frame: (3, H, W) uint8.

    size: pixels of each picture; floor: whether the bodies stand on one.
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
    """One picture (3, H, W) uint8 a frame, the scenes side by side, each with its own view.

    size, floor: as for `contact_sheet`.
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
    """A picture (3, H, W) uint8 as an image that can be saved."""
    return Image.fromarray(picture.permute(1, 2, 0).numpy())


def save_png(path: Path, picture: Tensor) -> None:
    """Write a picture (3, H, W) uint8."""
    with whole_file(path) as part:
        to_image(picture).save(part, "PNG")


def save_gif(path: Path, pictures: list[Tensor], seconds: float) -> None:
    """Write pictures (3, H, W) as a GIF without end that takes so many seconds a round."""
    # One palette for all, so that nothing flickers; its entries are those of the fullest picture.
    first, *rest = (to_image(picture) for picture in pictures)
    palette = max((first, *rest), key=lambda image: len(image.getcolors(2**16) or ()))
    palette = palette.quantize(COLORS, Image.Quantize.FASTOCTREE)  # keeps white white
    first, *rest = (image.quantize(palette=palette, dither=0) for image in (first, *rest))
    pause = max(20, round(1000 * seconds / len(pictures)))  # milliseconds; browsers go no faster
    settings = {"duration": pause, "loop": 0, "optimize": True}
    with whole_file(path) as part:
        first.save(part, "GIF", save_all=True, append_images=rest, **settings)
