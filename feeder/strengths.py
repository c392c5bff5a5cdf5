"""Old place of the strengths of the augmentation; import them from feeder.augment."""

from feeder.augment import PUBLISHED, Strengths

__all__ = ["PUBLISHED", "Strengths"]
