"""What is measured of features, and that the choice among runs sees no test clip."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from common import UserError
from tools.ablation.run import figures, to_measure
from tools.evaluation.features import Features, TrainTestSplit
from tools.evaluation.neighbors import nearest, percent
from tools.evaluation.probe import linear_evaluation
from tools.training.checkpoint import path_of

CLIPS = 60  # of which the first 40 train


def made(streams: int = 1, people: int = 4) -> Features:
    """Features of 3 classes, which overlap."""
    rng = np.random.default_rng(0)
    label = rng.permutation(np.arange(CLIPS) % 3)
    store = SimpleNamespace(label=label, subject=np.arange(CLIPS) % people, num_classes=3)
    drawn = torch.from_numpy(rng.normal(size=(CLIPS, 6)).astype(np.float32))
    drawn[np.arange(CLIPS), label] += 1.5
    drawn = drawn.expand(streams, CLIPS, 6)
    data = TrainTestSplit(store, "cross_view", np.arange(40), np.arange(40, CLIPS))
    return Features(data, drawn[:, :40], drawn[:, 40:])


@pytest.mark.parametrize(("every", "epochs"), [(0, [12]), (1, [1, 2, 5, 12]), (5, [5, 12])])
def test_checkpoints_of_stops_are_not_measured(tmp_path, every, epochs):
    for epoch, step in ((1, 0), (2, 0), (2, 3), (5, 0), (12, 0)):
        path_of(tmp_path, epoch, step).touch()
    assert to_measure(tmp_path, every) == [path_of(tmp_path, epoch) for epoch in epochs]


def test_figures_are_those_of_recognition_and_retrieval():
    features = made()
    found = figures(features, seed=3)["test"]
    assert found["linear"] == linear_evaluation(features, seed=3).tests[-1]["top1"]
    near = nearest(features.test[0], features.train[0], 1)[1][:, 0]
    assert found["knn"] == percent(features.train_classes[near] == features.test_classes)
    assert figures(made(streams=3), seed=3)["test"]["knn"] == found["knn"]


def test_held_out_figures_see_no_test_clip():
    features = made()
    found = figures(features, 0)
    store = SimpleNamespace(**vars(features.data.store))
    store.label = np.concatenate([store.label[:40], (store.label[40:] + 1) % 3])
    moved = features._replace(data=features.data._replace(store=store), test=-features.test)
    other = figures(moved, 0)
    assert other["held_out"] == found["held_out"] and other["test"] != found["test"]


def test_each_subject_is_judged_by_the_others_alone():
    """Subjects stand apart and have classes of their own order: only their own clips could help."""
    features = made(people=10)
    store = features.data.store
    store.label = store.subject % 3
    place = torch.nn.functional.one_hot(torch.from_numpy(store.subject), 10).float()
    found = figures(Features(features.data, place[None, :40], place[None, 40:]), 0)
    assert found["test"]["knn"] == 100 and found["held_out"]["knn"] < 60


def test_one_person_cannot_be_held_out():
    with pytest.raises(UserError):
        figures(made(people=1), 0)
