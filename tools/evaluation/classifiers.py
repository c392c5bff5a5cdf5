"""What recognition trains: linear layers on features, alone or together with the encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from net.modalities import derive


class LinearClassifier(nn.Module):
    """One linear layer for each stream of features.

    Weights are drawn with standard deviation 0.01, biases are zero.
    """

    def __init__(self, streams: int, feature_size: int, num_classes: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(feature_size, num_classes) for _ in range(streams))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features (S, n, D) of S streams -> scores (S, n, classes)."""
        return torch.stack([layer(x) for layer, x in zip(self.layers, features, strict=True)])


class Recognizer(nn.Module):
    """An encoder and linear layers that are trained together.

    encoder: any module with a `feature_size` and a `layout` that takes views as
        `net.modalities.derive` makes them.
    classifier: one linear layer for each stream.
    streams: the set of modalities of each stream.
    """

    def __init__(
        self,
        encoder: nn.Module,
        classifier: LinearClassifier,
        streams: Sequence[tuple[str, ...]],
    ):
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier
        self.streams = streams

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (n, T, M, V, C) -> scores (S, n, classes) of S streams."""
        skeleton = self.encoder.layout.skeleton
        views = (derive(clips, modalities, skeleton) for modalities in self.streams)
        features = self.encoder(*views)  # (S·n, D)
        return self.classifier(features.unflatten(0, (len(self.streams), -1)))
