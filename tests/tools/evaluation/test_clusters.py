"""Clusters: one color a class in all panels, classes by the seed, titles."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from common import UserError
from tests.tiny_run import write_run
from tools.evaluation import clusters, encoders
from tools.evaluation.features import Halves


def test_a_class_has_one_color_in_both_panels():
    rng = np.random.default_rng(0)
    panels = [clusters.Panel(name, 50.0, 0.1, rng.normal(size=(6, 2))) for name in "ab"]
    of = np.array([0, 1, 2, 0, 1, 2])
    first, second = clusters.picture(panels, of, ["x", "y", "z"]).axes
    colors = [[to_hex(c.get_facecolor()[0]) for c in axes.collections] for axes in (first, second)]
    assert colors[0] == colors[1] == clusters.palette(3)
    for axes, panel in zip((first, second), panels, strict=True):
        for k, drawn in enumerate(axes.collections):
            assert np.allclose(drawn.get_offsets(), panel.points[of == k])
    for count in (3, 10, 20, 60):
        assert len(set(clusters.palette(count))) == count


def test_the_classes_are_those_of_the_seed():
    label = np.repeat(np.arange(20), 3)
    data = Halves(SimpleNamespace(label=label), "x", np.arange(1), np.arange(1, 60))
    chosen = [frozenset(label[clusters.draw_clips(data, 4, seed)]) for seed in (0, 0, 1, 2)]
    assert chosen[0] == chosen[1] and len(set(chosen)) > 1
    assert (clusters.draw_clips(data, 20, 0) == data.test).all()
    with pytest.raises(UserError):
        clusters.draw_clips(data._replace(test=np.array([0, 3])), 2, 0)


def test_a_title_says_method_run_and_epochs(tmp_path, data_root):
    run = write_run(tmp_path / "a", data_root, more={"method": "baseline"})
    assert clusters.title_of(encoders.load(run)) == "simple baseline, a, 3 epochs"
    (source,) = run.glob("checkpoint_*.pt")
    moved = source.rename(tmp_path / "published.pt")
    assert clusters.title_of(encoders.load(moved)) == "simple baseline, published.pt"
