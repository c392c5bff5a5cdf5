"""The difference between two methods that were run with the same seeds."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from scipy.stats import ttest_rel


class Interval(NamedTuple):
    """The mean of some differences, and its 95 % confidence interval; None for one difference."""

    mean: float
    low: float | None
    high: float | None

    @property
    def is_noise(self) -> bool:
        """Whether the interval contains 0, or is not known."""
        return self.low is None or self.low <= 0 <= self.high


def paired_interval(values: Sequence[float], others: Sequence[float]) -> Interval:
    """The mean of `values` minus `others`, paired by seeds, and its interval (Student's t)."""
    mean = statistics.fmean(a - b for a, b in zip(values, others, strict=True))
    if len(values) < 2:
        return Interval(mean, None, None)
    low, high = ttest_rel(values, others).confidence_interval()
    return Interval(mean, float(low), float(high))
