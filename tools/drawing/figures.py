"""Figures of matplotlib as files."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from data_gen.preparing.files import whole_file


def save(figure: Figure, path: Path, *, dpi: int) -> None:
    """Write a figure as the .png or .svg that its path names; the same figure, the same bytes."""
    # Without date and random ids, and with its pictures and text each for itself.
    svg = {"svg.hashsalt": "umurl", "svg.fonttype": "none", "image.composite_image": False}
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with matplotlib.rc_context(svg), whole_file(path) as part:
        figure.savefig(part, format=path.suffix[1:], dpi=dpi, metadata=metadata)
