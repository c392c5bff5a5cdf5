"""Figures: the same bytes for the same figure."""

import pytest
from matplotlib.figure import Figure

from tools.drawing import figures


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_a_figure_is_written_the_same_twice(tmp_path, name):
    for folder in ("one", "two"):
        figure = Figure((1, 1))
        figure.add_subplot().plot([0, 1])
        figures.save(figure, tmp_path / folder / name, dpi=50)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
