"""Figures: text that is read on any color, and the same bytes for the same figure."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tools.drawing import figures
from tools.evaluation import confusion


def luminance(color) -> float:
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one, other) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_is_read_on_any_color():
    for color in itertools.product(np.linspace(0, 1, 9), repeat=3):
        assert contrast(color, figures.text_color(color)) >= 4.5


def test_the_numbers_of_a_confusion_matrix_are_read():
    matrix = np.array([[share, 100 - share] for share in range(1, 21)] + [[50, 50]] * 3)
    found = confusion.Confusion(
        [f"class {i}" for i in range(23)], np.pad(matrix, ((0, 0), (0, 21)))
    )
    (axes,) = confusion.draw(found).axes
    (image,) = axes.images
    assert len(axes.texts) == 46
    for text in axes.texts:
        column, row = text.get_position()
        behind = image.to_rgba(image.get_array())[row, column, :3]
        assert contrast(text.get_color(), behind) >= 4.5


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_a_figure_is_written_the_same_twice(tmp_path, name):
    for folder in ("one", "two"):
        figure = Figure((1, 1))
        figure.add_subplot().plot([0, 1])
        figures.save(figure, tmp_path / folder / name, dpi=50)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
