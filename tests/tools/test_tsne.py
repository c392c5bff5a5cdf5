"""The t-SNE command: seeded, with figures as defined."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier

from feeder.datasets.ntu import ACTION_NAMES
from feeder.store import open_store
from tests.runs import call
from tests.tiny_run import write_run
from tools import tsne
from tools.evaluation.encoders import load_encoder
from tools.evaluation.features import encode_clip


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data_root):
    folder = tmp_path_factory.mktemp("runs")
    return [write_run(folder / name, data_root, seed=i) for i, name in enumerate("ab")]


def test_two_checkpoints_side_by_side_the_same_twice(runs, data_root, tmp_path):
    flags = ("--checkpoint", runs[0], "--checkpoint", runs[1], "--classes", 3, "--seed", 5)
    for name in ("one", "two"):
        done = call(tsne.main, *flags, "--out", tmp_path / name)
        assert done.code == 0 and str(tmp_path / name) in done.out, done.err
        assert f"tools.report {runs[1]}\n" in done.out
    for suffix in (".json", ".svg", ".png"):
        one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two, suffix

    found = json.loads((tmp_path / "one.json").read_text())
    store = open_store(data_root, "ntu60")
    _, test = store.split("cross_subject")
    rows = [store.names.index(name) for name in found["clips"]]
    assert set(rows) <= set(test)
    classes = store.label[rows]
    assert [found["classes"][i] for i in found["labels"]] == [ACTION_NAMES[c] for c in classes]
    assert len(found["classes"]) == 3 and len(rows) == np.isin(store.label[test], classes).sum()
    for panel, run in zip(found["panels"], runs, strict=True):
        assert run.name in panel["title"] and np.shape(panel["points"]) == (len(rows), 2)
        encoder = load_encoder(run)
        starts = zip(store.start[rows], store.length[rows], strict=True)
        clips = [store.joints[start : start + frames] for start, frames in starts]
        features = torch.stack([encode_clip(encoder, np.array(c)) for c in clips])
        score = silhouette_score(features.numpy(), classes, metric="cosine")
        assert panel["silhouette"] == pytest.approx(score, abs=1e-4)
        unit = torch.nn.functional.normalize(features)
        same = torch.from_numpy(classes[:, None] == classes)
        near = (unit @ unit.T).fill_diagonal_(-1)
        own, other = (near.where(kind, -1).amax(1) for kind in (same, ~same))
        assert (own - other).abs().min() > 1e-5  # so that rounding makes no other one the nearest
        alone = []
        for i in range(len(rows)):
            others = np.arange(len(rows)) != i
            voter = KNeighborsClassifier(1, metric="cosine")
            voter.fit(features[others].numpy(), classes[others])
            alone.append(voter.predict(features[i : i + 1].numpy())[0] == classes[i])
        assert panel["knn"] == pytest.approx(100 * np.mean(alone))
        svg = (tmp_path / "one.svg").read_text()
        assert f"1-NN {panel['knn']:.1f} %, silhouette {panel['silhouette']:.2f}" in svg
        assert all(name in svg for name in found["classes"])


def test_standardized_features_are_shown_beside_the_others(runs, tmp_path):
    here = ("--checkpoint", runs[0], "--classes", 3)
    for name, more in (("a", ()), ("b", ("--standardize",))):
        assert call(tsne.main, *here, *more, "--out", tmp_path / name).code == 0
    plain, both = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab")
    assert both["panels"][0] == plain["panels"][0] and len(both["panels"]) == 2
    assert both["panels"][1]["title"] == f"{plain['panels'][0]['title']}, standardized"
    assert both["panels"][1]["points"] != plain["panels"][0]["points"]


def test_by_default_all_classes_are_drawn_if_there_are_less_than_ten(runs, tmp_path):
    done = call(tsne.main, "--checkpoint", runs[0], "--out", tmp_path / "t")
    assert done.code == 0, done.err
    assert len(json.loads((tmp_path / "t.json").read_text())["classes"]) == 4


def test_what_cannot_be_is_said_in_one_line(runs, tmp_path):
    done = call(tsne.main, "--checkpoint", runs[0], "--classes", 9, "--out", tmp_path / "x")
    assert done.code == 1 and "--classes 9" in done.err
    assert call(tsne.main, *["--checkpoint", runs[0]] * 3).code == 2
    assert not list(tmp_path.iterdir())
