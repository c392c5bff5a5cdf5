"""Figures: the same bytes for the same figure, and text that is read on any color."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from tools.drawing import figures


def contrast(one, other) -> float:
    """The contrast of two colors (WCAG 2)."""
    rgb = np.array([to_rgb(one), to_rgb(other)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ (0.2126, 0.7152, 0.0722))
    return (high + 0.05) / (low + 0.05)


def test_text_is_read_on_any_color():
    for color in itertools.product(np.linspace(0, 1, 9), repeat=3):
        assert contrast(color, figures.text_color(color)) >= 4.5


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_a_figure_is_written_the_same_twice(tmp_path, name):
    for folder in ("one", "two"):
        figure = Figure((1, 1))
        figure.add_subplot().plot([0, 1])
        figures.save(figure, tmp_path / folder / name, dpi=50)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_gif_has_its_images_and_its_duration(tmp_path):
    images = [np.full((8, 8, 3), value, np.uint8) for value in (0, 90, 250)]
    figures.save_images(images, tmp_path / "a.gif", seconds=0.3)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 3 and gif.info["duration"] == 100 and gif.info["loop"] == 0
