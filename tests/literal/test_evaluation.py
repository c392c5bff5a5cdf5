"""The literal linear evaluation and ours train the same layer, with the published settings."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from tests.golden_files import CLOSE
from tests.literal import evaluation
from tests.literal import input as views
from tools.evaluation.features import Features, TrainTestSplit
from tools.evaluation.probe import LINEAR, linear_evaluation

CLASSES, CLIPS = 7, 42


class ToyEncoder(nn.Module):
    """A feature that shows the class of `toy_views`; counts its calls."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.calls = 0

    def fused(self, clips):  # (B, C, T, V, M) -> (B, 2·25)
        self.calls += 1
        return self.scale * clips[:, 0].mean(dim=1).flatten(1)


def toy_views(rng):
    """Clips in which the joint with the number of the class is apart, and others are by chance."""
    labels = np.repeat(np.arange(CLASSES), CLIPS // CLASSES)
    joints = np.repeat(rng.normal(0, 0.8, (CLIPS, 3, 1, 25, 2)), 80, axis=2).astype(np.float32)
    joints[np.arange(CLIPS), :, :, labels] += 1
    return views.EvaluationViews(joints, np.full(CLIPS, 80), labels)


def test_it_encodes_in_every_epoch_and_trains_the_layer_that_we_train(rng, monkeypatch):
    """All clips are one batch, so their order does not matter."""
    train, test, encoder = toy_views(rng), toy_views(rng), ToyEncoder()
    torch.manual_seed(0)  # from which ours draws its layer, too
    layer = evaluation.linear_layer(50, CLASSES)
    monkeypatch.setattr(evaluation, "linear_layer", lambda features, classes: layer)
    literal = evaluation.linear_evaluation(encoder, train, test, CLASSES)
    assert encoder.calls == 1 + 150 + 30  # size of the feature, epochs, tests
    assert encoder.scale.grad is None
    assert evaluation.linear_evaluation.__defaults__ == (150, (120, 140), LINEAR.batch_size)

    store = SimpleNamespace(label=np.concatenate([train.labels, test.labels]), num_classes=CLASSES)
    data = TrainTestSplit(store, "", np.arange(CLIPS), np.arange(CLIPS, 2 * CLIPS))
    features = (evaluation.extract_features(encoder, part)[0][None] for part in (train, test))
    ours = linear_evaluation(Features(data, *features), seed=0)
    torch.testing.assert_close(ours.model.layers[0].state_dict(), layer.state_dict(), **CLOSE)
    shares = [(found["epoch"], found["top1"] / 100, found["top5"] / 100) for found in ours.tests]
    np.testing.assert_allclose(literal, shares)
    assert 0.2 < literal[-1][1] < literal[-1][2] < 1  # so that they tell something
