"""Standardize features by the mean and the deviation of each dimension over the training clips.

The encoder ends in a maximum over tokens, so its features have large means and unequal deviations.
MAE puts a batch norm before its linear layer for the same reason (He et al., CVPR 2022, A.1).
"""

from typing import NamedTuple

from torch import Tensor

from tools.evaluation.features import Features


class Scale(NamedTuple):
    """Mean and standard deviation of each dimension of features, (..., 1, D) float32 both."""

    mean: Tensor
    deviation: Tensor

    def apply(self, features: Tensor) -> Tensor:
        """Standardize features (..., n, D)."""
        return (features - self.mean) / self.deviation


def scale_of(features: Tensor) -> Scale:
    """The scale of features (..., n, D). A dimension that is constant gets the deviation 1."""
    deviation = features.std(-2, correction=0, keepdim=True)
    return Scale(features.mean(-2, keepdim=True), deviation.where(deviation > 0, 1.0))


def standardized(features: Features) -> tuple[Features, Scale]:
    """Standardize training and test features by the training clips; returns them and the scale."""
    scale = scale_of(features.train)
    return Features(features.data, scale.apply(features.train), scale.apply(features.test)), scale
