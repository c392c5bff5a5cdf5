"""Training and testing a classifier, accuracies, and the summary of several runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tools.cli import UserError
from tools.evaluation import encoders, recognition
from tools.evaluation.features import encode, halves_for
from tools.evaluation.learners import linear_learner
from tools.evaluation.recognition import Run, accuracy, predict, summary
from tools.evaluation.settings import LINEAR


def test_late_fusion_adds_the_scores_of_layers_trained_apart(run):
    """With all clips in one batch their order does not matter: each stream trains as if alone."""
    loaded = encoders.load(run)
    data = halves_for(loaded)
    settings = replace(LINEAR, wd=0.01, epochs=30, schedule=(20,))
    streams = [("joint",), ("bone",), ("motion",)]
    scores = []
    for some in ([streams[0]], [streams[1]], [streams[2]], streams):
        features = encode(loaded.encoder, data, some)
        learner = linear_learner(features, settings, np.arange(len(data.train)))
        for layer in learner.model.layers:  # the same start for all
            torch.nn.init.zeros_(layer.weight)
        recognition.train_and_test(learner, settings, 0, len(data.train))
        scores.append(predict(learner.model, learner.test())[0])
    torch.testing.assert_close(scores[3], scores[0] + scores[1] + scores[2], rtol=1e-4, atol=1e-5)


def test_scores_that_are_not_finite_are_no_result(run):
    """Also after the last step, whose loss was still finite."""
    loaded = encoders.load(run)
    features = encode(loaded.encoder, halves_for(loaded))
    with pytest.raises(UserError, match="--lr"):
        recognition.linear_evaluation(features, replace(LINEAR, lr=3e38, epochs=1))


def test_accuracy_counts_the_first_and_the_first_five():
    scores = torch.tensor([[9.0, 8, 7, 6, 5, 4], [4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4]])
    assert accuracy(scores, torch.tensor([0, 1, 5])) == pytest.approx(
        {"top1": 100 / 3, "top5": 200 / 3}
    )
    assert accuracy(scores[:, :2], torch.tensor([0, 1, 1]))["top5"] == 100


def test_summary_takes_the_best_of_the_mean_curve():
    tests = [
        [{"epoch": 5, "top1": a, "top5": 90.0}, {"epoch": 7, "top1": b, "top5": 80.0}]
        for a, b in ((60.0, 50.0), (50.0, 54.0))
    ]
    runs = [Run(seed, 4, each, torch.zeros(1), None) for seed, each in enumerate(tests)]
    found = summary(runs)
    assert (found["top1"], found["best_top1"], found["best_epoch"]) == (52, 55, 5)
    assert found["top1_std"] == pytest.approx(8**0.5)
    assert found["best_top1_std"] == pytest.approx(50**0.5)
    assert found["top5"] == 80
