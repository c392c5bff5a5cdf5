"""The literal evaluation: what it computes, and that it encodes in every epoch."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn

from tests.literal import evaluation
from tests.literal import input as views


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class ToyEncoder(nn.Module):
    """A feature that shows the class of `toy_views`; counts its calls."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.calls = 0

    def fused(self, clips):  # (B, C, T, V, M) -> (B, 2·25)
        self.calls += 1
        return self.scale * clips[:, 0].mean(dim=1).flatten(1)


def toy_views(rng, per_class=6, classes=7):
    labels = np.repeat(np.arange(classes), per_class)
    joints = rng.normal(0, 0.05, (len(labels), 3, 80, 25, 2)).astype(np.float32)
    joints[np.arange(len(labels)), :, :, labels] += 1
    return views.EvaluationViews(joints, np.full(len(labels), 80), labels)


def test_linear_evaluation_encodes_in_every_epoch_and_learns(rng):
    train, test = toy_views(rng), toy_views(rng)
    encoder = ToyEncoder()
    torch.manual_seed(0)
    results = evaluation.linear_evaluation(encoder, train, test, classes=7, epochs=10, batch=16)
    assert [epoch for epoch, _, _ in results] == [5, 10]
    assert results[-1][1:] == (1.0, 1.0)
    assert encoder.calls == 1 + 10 * 3 + 2 * 3  # size of the feature, epochs, tests
    assert encoder.scale.grad is None
    defaults = inspect.signature(evaluation.linear_evaluation).parameters
    published = {"epochs": 150, "milestones": (120, 140), "batch": 512}
    assert {name: defaults[name].default for name in published} == published


def test_linear_evaluation_is_plain_sgd_with_momentum(rng, monkeypatch):
    """Against the update written out, on the full batch, with a milestone inside."""
    train, test = toy_views(rng), toy_views(rng)
    encoder = ToyEncoder()
    x, y = evaluation.extract_features(encoder, train)
    layer = evaluation.linear_layer(x.shape[1], 7)
    monkeypatch.setattr(evaluation, "linear_layer", lambda features, classes: layer)
    w, b = layer.weight.detach().clone(), layer.bias.detach().clone()
    assert (b == 0).all()
    assert w.std().item() == pytest.approx(0.01, rel=0.2)
    evaluation.linear_evaluation(encoder, train, test, 7, 5, milestones=(3,))
    dw, db = torch.zeros_like(w), torch.zeros_like(b)
    for epoch in range(5):
        error = (x @ w.T + b).softmax(dim=1) - nn.functional.one_hot(y, 7)
        dw = 0.9 * dw + error.T @ x / len(x)
        db = 0.9 * db + error.mean(dim=0)
        lr = 0.03 if epoch < 3 else 0.003
        w, b = w - lr * dw, b - lr * db
    torch.testing.assert_close(layer.weight, w, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(layer.bias, b, rtol=1e-4, atol=1e-6)


def test_accuracy_counts_the_first_and_the_first_five_scores():
    class Scores(nn.Module):
        def fused(self, clips):
            return clips

    scores = torch.tensor([[9.0, 8, 7, 6, 5, 4], [4, 5, 6, 7, 8, 9]])
    batches = [(scores, torch.tensor([0, 0])), (scores, torch.tensor([3, 5]))]
    found = evaluation.accuracy(Scores(), nn.Identity(), batches, "cpu")
    assert found == (0.5, 0.75)


def test_nearest_neighbors_are_those_of_scikit_learn(rng):
    train, test = rng.normal(size=(200, 16)), rng.normal(size=(60, 16))
    exact = NearestNeighbors(n_neighbors=1, algorithm="brute", metric="cosine").fit(train)
    found = evaluation.nearest_neighbors(torch.from_numpy(train), torch.from_numpy(test))
    np.testing.assert_array_equal(found, exact.kneighbors(test, return_distance=False)[:, 0])
    labels = torch.from_numpy(rng.integers(3, size=200))
    truth = torch.from_numpy(rng.integers(3, size=60))
    share = evaluation.retrieval_accuracy(
        torch.from_numpy(train), labels, torch.from_numpy(test), truth
    )
    assert share == pytest.approx((labels.numpy()[found] == truth.numpy()).mean())
