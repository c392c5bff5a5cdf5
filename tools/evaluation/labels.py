"""Few labels: choose the training clips that keep their label."""

from typing import NamedTuple

import numpy as np


class Labels(NamedTuple):
    """How many training clips of each class keep their label.

    fraction: the share of the clips, or None.
    per_class: the number of clips, or None.

    If both are None, all clips keep their label.
    """

    fraction: float | None = None
    per_class: int | None = None

    @property
    def are_few(self) -> bool:
        """Whether only some clips keep their label."""
        return self != ALL_LABELS


ALL_LABELS = Labels()


def few_labels(
    classes: np.ndarray, seed: int, fraction: float | None = None, count: int | None = None
) -> np.ndarray:
    """Choose the clips that keep their label: indices (m,), ascending.

    classes: (n,) integers, the class of each clip.
    seed: draws the clips.
    fraction: share of the clips of each class, rounded, at least one clip.
    count: number of clips of each class; all where the class has fewer.

    If both are None, all clips are chosen. With one seed, a smaller choice is part of a larger one.
    """
    if fraction is None and count is None:
        return np.arange(len(classes))
    rng = np.random.default_rng(seed)
    kept = []
    for name in np.unique(classes):
        clips = rng.permutation(np.flatnonzero(classes == name))
        kept.append(clips[: count or max(1, round(fraction * len(clips)))])
    return np.sort(np.concatenate(kept))
