"""Standardize features: subtract the mean of each dimension, divide by its standard deviation.

Both are those of the training clips. The encoder ends in a maximum over tokens, so its features
have large means and unequal deviations. MAE puts a batch norm before its linear layer for the same
reason (He et al., CVPR 2022, appendix A.1).
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
    mean = features.mean(-2, keepdim=True)
    deviation = features.std(-2, correction=0, keepdim=True)
    return Scale(mean, deviation.where(deviation > 0, 1.0))


def standardized(features: Features) -> tuple[Features, Scale]:
    """Standardize the features of both halves by the training clips; returns them and the scale."""
    scale = scale_of(features.train)
    train, test = (scale.apply(part) for part in (features.train, features.test))
    return Features(features.data, train, test), scale
