"""The linear classifier on features."""

import pytest
import torch

from tools.evaluation.classifiers import LinearClassifier


def test_linear_classifier_starts_as_published():
    torch.manual_seed(0)
    layer = LinearClassifier(2, 2048, 60)
    assert [x.weight.std().item() for x in layer.layers] == pytest.approx([0.01] * 2, rel=0.02)
    assert all((x.bias == 0).all() for x in layer.layers)
    assert layer(torch.randn(2, 5, 2048)).shape == (2, 5, 60)
