"""Figures of matplotlib: text that is read on any color, and files."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from data_gen.preparing.files import whole_file


def save(figure: Figure, path: Path, *, dpi: int) -> None:
    """Write a figure as the .png or .svg that its path names; the same figure, the same bytes."""
    # Without date and random ids, and with its pictures and text each for itself.
    svg = {"svg.hashsalt": "umurl", "svg.fonttype": "none", "image.composite_image": False}
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with matplotlib.rc_context(svg), whole_file(path) as part:
        figure.savefig(part, format=path.suffix[1:], dpi=dpi, metadata=metadata)


def text_color(background: Sequence[float]) -> str:
    """`white` or `black`, whichever has the greater contrast with a color (red, green, blue).

    The numbers are from 0 to 1. By the relative luminance of WCAG 2: the contrast is 4.5 at least,
    and both are equal at a luminance of 0.179.
    """
    rgb = np.asarray(background[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "white" if linear @ (0.2126, 0.7152, 0.0722) < 0.179 else "black"
