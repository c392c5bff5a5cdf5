"""Features standardized: each dimension minus its mean, over its standard deviation.

Both are of the training clips. The encoder ends in a maximum over tokens, so its features have
large means and unequal spreads; MAE puts a batch norm before its linear layer for the same reason
(He et al., CVPR 2022, appendix A.1).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from data_gen.preparing.files import whole_file
from tools.evaluation.features import Features


class Scale(NamedTuple):
    """Mean and standard deviation of each dimension of some features: (..., 1, D) float32."""

    mean: Tensor
    deviation: Tensor

    def apply(self, features: Tensor) -> Tensor:
        """Features (..., n, D), standardized: the same shape."""
        return (features - self.mean) / self.deviation


def scale_of(features: Tensor) -> Scale:
    """The scale of features (..., n, D); the deviation of a constant dimension is taken as 1."""
    mean = features.mean(-2, keepdim=True)
    deviation = features.std(-2, correction=0, keepdim=True)
    return Scale(mean, deviation.where(deviation > 0, 1.0))


def standardized(features: Features) -> tuple[Features, Scale]:
    """The features of both halves by the scale of the training clips, and this scale."""
    scale = scale_of(features.train)
    halves = (scale.apply(part) for part in (features.train, features.test))
    return Features(features.data, *halves), scale


def write(path: Path, scale: Scale) -> None:
    """Write a scale as arrays `mean` and `deviation`, (S, D) float32, that need no pickle."""
    with whole_file(path) as part, part.open("wb") as file:
        arrays = {name: part.squeeze(-2).cpu().numpy() for name, part in scale._asdict().items()}
        np.savez(file, **arrays)
