"""Figures of matplotlib: save them as files, and choose a text color for any background."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from data_gen.preparing.files import whole_file


def save(figure: Figure, path: Path, *, dpi: int) -> None:
    """Write a figure as .png or .svg, whichever the path names.

    The same figure gives the same bytes.
    """
    # No date and no random ids; text stays text, and pictures stay separate.
    svg = {"svg.hashsalt": "umurl", "svg.fonttype": "none", "image.composite_image": False}
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with matplotlib.rc_context(svg), whole_file(path) as part:
        figure.savefig(part, format=path.suffix[1:], dpi=dpi, metadata=metadata)


def text_color(background: Sequence[float]) -> str:
    """`white` or `black`, whichever has more contrast with a background.

    background: (red, green, blue, ...), numbers from 0 to 1.

    The contrast is that of WCAG 2, by relative luminance. It is at least 4.5; both colors are equal
    at a luminance of 0.179.
    """
    rgb = np.asarray(background[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "white" if linear @ (0.2126, 0.7152, 0.0722) < 0.179 else "black"
