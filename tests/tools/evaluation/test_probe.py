"""Linear evaluation: what is trained, on which labels, the summary of several runs, tuning."""

from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch

from common import UserError
from tests.encoders import GraphEncoder
from tools.evaluation import encoders, probe
from tools.evaluation.features import Features, Labels, TrainTestSplit, open_split, split_for
from tools.evaluation.probe import FINETUNE, LINEAR, finetune, linear_evaluation

SHORT = replace(LINEAR, epochs=8, schedule=())


@pytest.fixture
def features(store, rng) -> Features:
    """Features that show the class, far too small for a small learning rate."""
    data = open_split(store, "cross_subject")

    def of(rows):
        shown = 0.02 * np.eye(8)[store.label[rows]] + rng.normal(0, 0.01, (len(rows), 8))
        return torch.from_numpy(shown.astype(np.float32))[None]

    return Features(data, of(data.train), of(data.test))


def test_late_fusion_adds_the_scores_of_layers_trained_apart(features, monkeypatch):
    """With all clips in one batch their order does not matter: each stream trains as if alone."""
    monkeypatch.setattr(torch.nn.init, "normal_", lambda x, std: torch.nn.init.zeros_(x))
    settings = replace(LINEAR, lr=1.0, wd=0.01, epochs=30, schedule=(20,))
    both = Features(features.data, *(torch.cat([x, -3 * x]) for x in features[1:]))
    scores = []
    for some in (slice(0, 1), slice(1, 2), slice(0, 2)):
        streams = Features(both.data, both.train[some], both.test[some])
        run = linear_evaluation(streams, settings)
        scores.append(probe.predict(run.model, [(streams.test, streams.test_classes)])[0])
    torch.testing.assert_close(scores[2], scores[0] + scores[1], rtol=1e-4, atol=1e-5)


def test_scores_that_are_not_finite_are_no_result(features):
    """Also after the last step, whose loss was still finite."""
    with pytest.raises(UserError, match="--lr"):
        large = features._replace(train=1e3 * features.train, test=1e3 * features.test)
        linear_evaluation(large, replace(LINEAR, lr=3e38, epochs=1))


def test_the_loss_is_the_epochs_mean_and_nan_in_any_batch_is_noticed(features):
    one_batch = linear_evaluation(features, replace(LINEAR, lr=1e-9, epochs=1)).tests[0]
    many = linear_evaluation(features, replace(LINEAR, lr=1e-9, epochs=1, batch_size=5)).tests[0]
    assert many["loss"] == pytest.approx(one_batch["loss"], rel=1e-5)
    features.train[0, 3, 2] = torch.nan
    for seed in range(4):  # whichever batch has the clip
        with pytest.raises(UserError):
            settings = replace(LINEAR, epochs=1, batch_size=5)
            linear_evaluation(features, settings, seed=seed)


def test_accuracy_counts_the_first_and_the_first_five():
    scores = torch.tensor([[9.0, 8, 7, 6, 5, 4], [4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4]])
    found = probe.accuracy(scores, torch.tensor([0, 1, 5]))
    assert found == pytest.approx({"top1": 100 / 3, "top5": 200 / 3})
    assert probe.accuracy(scores[:, :2], torch.tensor([0, 1, 1]))["top5"] == 100


def test_summary_takes_the_best_test_of_each_run():
    tests = [
        [{"epoch": 5, "top1": a, "top5": 90.0}, {"epoch": 7, "top1": b, "top5": 80.0}]
        for a, b in ((60.0, 50.0), (50.0, 54.0))
    ]
    label = np.array([0, 1, 2, 3, 4, 5, 0, 0, 0, 1])
    data = TrainTestSplit(SimpleNamespace(label=label), "x", np.arange(6), np.arange(6, 10))
    taken = (torch.tensor([0, 0, 0, 0]), torch.tensor([0, 1, 1, 1]))  # of 0, 0, 0, 1
    runs = [probe.Run(i, 4, each, taken[i], None) for i, each in enumerate(tests)]
    found = probe.summary(runs, data)
    assert (found["top1"], found["best_top1"], found["best_epoch"]) == (52, 57, 5)
    assert found["top1_std"] == pytest.approx(8**0.5)
    assert found["best_top1_std"] == pytest.approx(18**0.5)
    assert found["top5"] == 80 and probe.summary(runs[:1], data)["top1_std"] is None
    assert found["mean_class_accuracy"] == pytest.approx((50 + (100 / 3 + 100) / 2) / 2)
    few = probe.summary(runs, data._replace(train=np.arange(5)))  # five classes
    assert (few["top5"], few["top5_std"], few["tests"][0]["top5"]) == (None, None, None)
    assert few["runs"][0]["tests"][1] == {"epoch": 7, "top1": 50.0, "top5": None}


def test_few_labels_are_balanced_nested_and_drawn_by_seed(rng):
    classes = rng.permutation(np.repeat([0, 3, 7, 9], [100, 40, 7, 1]))
    tenth = Labels(fraction=0.1).draw(classes, 0)
    assert np.bincount(classes[tenth], minlength=10).tolist() == [10, 0, 0, 4, 0, 0, 0, 1, 0, 1]
    assert set(Labels(fraction=0.01).draw(classes, 0)) <= set(tenth)
    assert set(tenth) <= set(Labels(fraction=0.5).draw(classes, 0))
    assert not np.array_equal(tenth, Labels(fraction=0.1).draw(classes, 1))
    np.testing.assert_array_equal(tenth, Labels(fraction=0.1).draw(classes, 0))
    five = Labels(per_class=5).draw(classes, 0)
    assert np.bincount(classes[five])[[0, 3, 7, 9]].tolist() == [5, 5, 5, 1]
    np.testing.assert_array_equal(Labels().draw(classes, 0), np.arange(148))
    np.testing.assert_array_equal(Labels(fraction=1.0).draw(classes, 0), np.arange(148))


def test_the_best_rate_on_held_out_subjects_is_taken(features, monkeypatch):
    train = mock.Mock(wraps=linear_evaluation)
    monkeypatch.setattr(probe, "linear_evaluation", train)
    found = probe.tune(features, SHORT)
    best = max(one["top1"] for one in found["tried"])
    assert [one["lr"] for one in found["tried"]] == list(probe.RATES)
    assert next(one["top1"] for one in found["tried"] if one["lr"] == found["lr"]) == best
    store = features.data.store
    tuned_on = [call.args[0].data for call in train.call_args_list]
    assert len(tuned_on) == len(probe.RATES)
    for data in tuned_on:
        assert set(data.train) | set(data.test) == set(features.data.train)
        assert not set(store.subject[data.train]) & set(store.subject[data.test])
    probe.tune(features, SHORT, Labels(per_class=3))  # clips with a label alone
    data = train.call_args.args[0].data
    assert len(data.train) + len(data.test) == 12
    # The test clips' features take no part.
    spoiled = features._replace(test=features.test * torch.nan)
    assert probe.tune(spoiled, SHORT) == found


def test_one_person_alone_cannot_be_held_out(features):
    store = features.data.store
    alone = np.flatnonzero(store.subject[features.data.train] == 1)
    data = features.data._replace(train=features.data.train[alone])
    with pytest.raises(UserError, match="--tune"):
        probe.tune(Features(data, features.train[:, alone], features.test), SHORT)


# ---- fine-tuning


@pytest.mark.parametrize(("batch", "sizes"), [(64, [3] * 8), (2, [2] * 12)])
def test_few_clips_make_steps_enough(run, monkeypatch, batch, sizes):
    seen = []
    view = probe.view
    monkeypatch.setattr(probe, "view", lambda b, kind: seen.append(b.rows) or view(b, kind))
    loaded = encoders.load(run)
    data = split_for(loaded)
    settings = replace(FINETUNE, batch_size=batch, epochs=1)
    finetune(loaded.encoder, data, settings=settings)
    assert [len(rows) for rows in seen] == sizes
    assert sorted(row for rows in seen for row in rows) == sorted(data.train)


def test_batch_statistics_change_in_training_and_not_in_tests(store):
    torch.manual_seed(0)
    encoder = GraphEncoder(12).eval().requires_grad_(False)
    modes = []
    encoder.register_forward_hook(lambda module, *_: modes.append(module.training))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    data = open_split(store, "cross_subject")
    tuned = finetune(encoder, data, [("joint",)], replace(FINETUNE, epochs=5)).model.encoder
    assert modes == [*[True] * 8 * 5, False]  # 8 steps an epoch, one test
    assert not encoder.training
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), key
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert not torch.equal(tuned.state_dict()[f"norm.{name}"], before[f"norm.{name}"])
    assert tuned.norm.num_batches_tracked == 8 * 5
    assert not torch.equal(tuned.norm.weight, before["norm.weight"])
