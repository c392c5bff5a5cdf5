"""Clusters: one color a class in all panels, classes by the seed, titles."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.tiny_run import write_run
from tools.cli import UserError
from tools.evaluation import clusters


def test_a_class_has_one_color_in_both_panels():
    rng = np.random.default_rng(0)
    panels = [clusters.Panel(name, 50.0, 0.1, rng.normal(size=(6, 2))) for name in "ab"]
    of = np.array([0, 1, 2, 0, 1, 2])
    first, second = clusters.picture(panels, of, ["x", "y", "z"]).axes
    colors = [[to_hex(c.get_facecolor()[0]) for c in axes.collections] for axes in (first, second)]
    assert colors[0] == colors[1] and len(set(colors[0])) == 3
    for axes, panel in zip((first, second), panels, strict=True):
        for k, drawn in enumerate(axes.collections):
            assert np.allclose(drawn.get_offsets(), panel.points[of == k])
    assert colors[0] == clusters.palette(3)
    for count in (3, 10, 20, 60):
        assert len(set(clusters.palette(count))) == count


def test_the_classes_are_those_of_the_seed():
    label = np.repeat(np.arange(20), 3)
    test = np.arange(1, 60)
    chosen = [set(clusters.draw_clips(label, test, 4, seed)[1]) for seed in (0, 0, 1, 2)]
    assert chosen[0] == chosen[1] and len(set(map(frozenset, chosen))) > 1
    rows, classes = clusters.draw_clips(label, test, 20, 0)
    assert (rows == test).all() and (classes == label[test]).all()
    with pytest.raises(UserError, match="too few"):
        clusters.draw_clips(np.array([0, 1]), np.array([0, 1]), 2, 0)


def test_a_title_says_method_run_and_epochs(tmp_path, data_root):
    run = write_run(tmp_path / "a", data_root)
    (source,) = run.glob("checkpoint_*.pt")
    loaded = SimpleNamespace(source=source, folder=run)
    for settings, name in (({}, "UmURL"), ({"method": "baseline"}, "simple baseline")):
        loaded.settings = settings
        assert clusters.describe(loaded) == f"{name}, a, 3 epochs"
    loaded.source = source.rename(tmp_path / "published.pt")
    assert clusters.describe(loaded) == "simple baseline, published.pt"
    (tmp_path / "published.pt").rename(source)
