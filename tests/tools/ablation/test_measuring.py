"""What is measured of features, and that the choice among runs sees no test clip."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tools.ablation import measuring
from tools.cli import UserError
from tools.evaluation.features import Features, Halves
from tools.evaluation.recognition import linear_evaluation, summary
from tools.evaluation.retrieval import retrieve

CLIPS = 60  # of which the first 40 train


def made(streams: int = 1, people: int = 4, seed: int = 0) -> Features:
    """Features of which classes can be told, not surely: 3 classes."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(CLIPS) % 3)
    store = SimpleNamespace(label=label, subject=np.arange(CLIPS) % people, num_classes=3)
    drawn = torch.from_numpy(rng.normal(size=(streams, CLIPS, 6)).astype(np.float32))
    drawn[:, np.arange(CLIPS), label] += 1.5
    data = Halves(store, "cross_view", np.arange(40), np.arange(40, CLIPS))
    return Features(data, drawn[:, :40], drawn[:, 40:])


def test_figures_are_those_of_recognition_and_retrieval():
    features = made()
    found = measuring.figures(features, seed=3)
    assert found["linear"] == summary(linear_evaluation(features, seeds=[3]))["top1"]
    assert found["knn"] == retrieve(features)[0].accuracies[1]
    assert set(found) == {"linear", "knn", "linear_standardized", "knn_standardized"}


def test_several_streams_are_one_decision():
    one, several = made(), made()
    several = Features(one.data, one.train.repeat(3, 1, 1), one.test.repeat(3, 1, 1))
    assert measuring.figures(several, 0)["knn"] == measuring.figures(one, 0)["knn"]


def test_held_out_figures_see_no_test_clip():
    features = made()
    found = measuring.held_out_figures(features, 0)
    store = features.data.store
    other = SimpleNamespace(**vars(store) | {"label": store.label.copy()})
    other.label[40:] = (store.label[40:] + 1) % 3
    moved = Features(features.data._replace(store=other), features.train, -features.test)
    assert measuring.held_out_figures(moved, 0) == found
    assert measuring.figures(moved, 0) != measuring.figures(features, 0)


def test_each_subject_is_judged_by_the_others_alone():
    """Subjects stand apart and have classes of their own order: only their own clips could help."""
    features = made(people=10)
    store = features.data.store
    store.label = store.subject % 3
    place = torch.nn.functional.one_hot(torch.from_numpy(store.subject), 10).float()
    own = Features(features.data, place[None, :40], place[None, 40:])
    assert measuring.figures(own, 0)["knn"] == 100
    assert measuring.held_out_figures(own, 0)["knn"] < 60


def test_one_person_cannot_be_held_out():
    with pytest.raises(UserError, match="two"):
        measuring.held_out_figures(made(people=1), 0)
