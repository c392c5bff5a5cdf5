"""The t-SNE command: seeded, with figures as defined."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from feeder.datasets import NTU_ACTIONS
from feeder.skeletons import COCO_17, Layout
from net.umurl import UmURL
from tests.runs import refusal, succeed
from tests.tiny_run import SIZES, features_of, write_run
from tests.tiny_store import write_store
from tools import tsne
from tools.evaluation.features import TrainTestSplit
from tools.training import checkpoint


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data_root):
    folder = tmp_path_factory.mktemp("runs")
    return [write_run(folder / name, data_root, seed=i) for i, name in enumerate("ab")]


def test_two_checkpoints_side_by_side_the_same_twice(runs, store, tmp_path):
    flags = ("--checkpoint", runs[0], "--checkpoint", runs[1], "--classes", 3, "--seed", 5)
    for name in ("one", "two"):
        assert str(tmp_path / name) in succeed(tsne.main, *flags, "--out", tmp_path / name)
    for suffix in (".json", ".svg", ".png"):
        one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two, suffix

    found = json.loads((tmp_path / "one.json").read_text())
    svg = (tmp_path / "one.svg").read_text()
    _, test = store.split("cross_subject")
    rows = [store.names.index(name) for name in found["clips"]]
    classes = store.label[rows]
    assert set(rows) <= set(test) and len(found["classes"]) == 3
    assert len(rows) == np.isin(store.label[test], classes).sum()
    assert [found["classes"][i] for i in found["labels"]] == [NTU_ACTIONS[c] for c in classes]
    assert all(name in svg for name in found["classes"])
    for panel, run in zip(found["panels"], runs, strict=True):
        assert run.name in panel["title"] and np.shape(panel["points"]) == (len(rows), 2)
        x = features_of(run, store)[rows].numpy()
        score = silhouette_score(x, classes, metric="cosine")
        assert panel["silhouette"] == pytest.approx(score, abs=1e-4)
        assert f"1-NN {panel['knn']:.1f} %, silhouette {panel['silhouette']:.2f}" in svg


def test_checkpoints_and_clips_that_cannot_be_drawn_are_refused(runs, data_root, tmp_path):
    layout, saved = Layout(COCO_17, 2), checkpoint.load(checkpoint.newest(runs[0]))
    model = UmURL(*SIZES.values(), layout).state_dict()
    checkpoint.save(tmp_path, saved | {"layout": layout.to_plain(), "model": model})
    assert "COCO" in refusal(tsne.main, "--checkpoint", runs[0], "--checkpoint", tmp_path)
    one = write_run(tmp_path / "one", write_store(tmp_path / "data", classes=1))
    assert "1 classes" in refusal(tsne.main, "--checkpoint", one)


def test_of_the_nearest_other_clips_those_of_the_same_class_are_counted(rng):
    x, labels = rng.normal(size=(40, 8)), np.arange(40) % 2
    x[1] = x[0]  # as near as the clip itself
    neighbors = NearestNeighbors(n_neighbors=2, metric="cosine").fit(x)
    distances, nearest = neighbors.kneighbors()  # of each clip, without itself
    assert (np.diff(distances) > 1e-6).all()  # so that rounding chooses no other neighbor
    right = labels[nearest[:, 0]] == labels
    panel = tsne.embed("a", torch.from_numpy(x), labels, seed=0)
    assert panel.knn == pytest.approx(100 * right.mean())


def test_standardized_features_are_shown_beside_the_others(runs, tmp_path):
    here = ("--checkpoint", runs[0])
    for name, more in (("a", ()), ("b", ("--standardize",))):
        succeed(tsne.main, *here, *more, "--out", tmp_path / name)
    plain, both = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab")
    assert both["panels"][0] == plain["panels"][0] and len(both["panels"]) == 2
    assert len(plain["classes"]) == 4  # all, since there are less than ten
    assert both["panels"][1]["title"] == f"{plain['panels'][0]['title']}, standardized"
    assert both["panels"][1]["points"] != plain["panels"][0]["points"]


def test_flags_out_of_range_are_refused(runs, tmp_path):
    flags = ("--checkpoint", runs[0], "--classes", 9, "--out", tmp_path / "x")
    assert "--classes 9" in refusal(tsne.main, *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [3, 10, 20, 60])
def test_a_class_has_one_color_in_both_panels(count):
    rng, labels = np.random.default_rng(0), np.tile(np.arange(count), 2)
    panels = [tsne.Panel(name, 50.0, 0.1, rng.normal(size=(2 * count, 2))) for name in "ab"]
    first, second = tsne.picture(panels, labels, [f"class {k}" for k in range(count)]).axes
    for k, both in enumerate(zip(first.collections, second.collections, strict=True)):
        assert (both[0].get_facecolor() == both[1].get_facecolor()).all()
        for drawn, panel in zip(both, panels, strict=True):
            np.testing.assert_allclose(drawn.get_offsets(), panel.points[labels == k])
    assert len({tuple(drawn.get_facecolor()[0]) for drawn in first.collections}) == count


def test_the_classes_are_those_of_the_seed():
    label = np.repeat(np.arange(20), 3)
    data = TrainTestSplit(SimpleNamespace(label=label), "x", np.arange(1), np.arange(1, 60))
    chosen = [frozenset(label[tsne.draw_clips(data, 4, seed)]) for seed in (0, 0, 1, 2)]
    assert chosen[0] == chosen[1] and len(set(chosen)) > 1
    assert (tsne.draw_clips(data, 20, 0) == data.test).all()
