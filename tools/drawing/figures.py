"""Write figures and images as files. The same input gives the same bytes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image  # comes with matplotlib

from common import atomic


def save(figure: Figure, path: Path, *, dpi: int) -> None:
    """Write a figure as .png or .svg."""
    # No date and no random ids; text stays text, and images stay separate.
    svg = {"svg.hashsalt": "umurl", "svg.fonttype": "none", "image.composite_image": False}
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with matplotlib.rc_context(svg), atomic(path) as part:
        figure.savefig(part, format=path.suffix[1:], dpi=dpi, metadata=metadata)


def save_images(images: Sequence[np.ndarray], path: Path, *, seconds: float) -> None:
    """Write images (H, W, 3) uint8: the first as .png, or all as an endless .gif of `seconds`."""
    first, *rest = map(Image.fromarray, images)
    with atomic(path) as part:
        if path.suffix == ".png":
            first.save(part, "PNG")
        else:  # browsers show no frame for less than 20 ms
            pause = max(20, round(1000 * seconds / len(images)))
            first.save(part, "GIF", save_all=True, append_images=rest, duration=pause, loop=0)
