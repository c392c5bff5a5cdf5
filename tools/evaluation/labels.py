"""Few labels: which of the training clips keep their label."""

from typing import NamedTuple

import numpy as np


class Labels(NamedTuple):
    """How many training clips of each class keep their label: a share, or a count; else all."""

    fraction: float | None = None
    per_class: int | None = None

    @property
    def are_few(self) -> bool:
        """Whether they are drawn at all."""
        return self != ALL_LABELS


ALL_LABELS = Labels()


def few_labels(
    classes: np.ndarray, seed: int, fraction: float | None = None, count: int | None = None
) -> np.ndarray:
    """Which of some clips keep their label: as many of each class, drawn by a seed.

    classes: (n,) integers; fraction: share of each class, rounded, at least one clip; count: clips
    of each class, or all it has; neither: all clips. Returns indices (m,), ascending. With one
    seed, fewer labels are a subset of more.
    """
    if fraction is None and count is None:
        return np.arange(len(classes))
    rng = np.random.default_rng(seed)
    kept = []
    for name in np.unique(classes):
        clips = rng.permutation(np.flatnonzero(classes == name))
        kept.append(clips[: count or max(1, round(fraction * len(clips)))])
    return np.sort(np.concatenate(kept))
