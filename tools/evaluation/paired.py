"""Differences between two methods that were run with the same seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

# Student's t, 97.5 %, for 1, 2, … degrees of freedom; for more of them the last one, which is a
# little too wide.
T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)


class Interval(NamedTuple):
    """The mean of some differences, and where it would lie in 95 % of repetitions.

    low, high: None of a single difference, which tells nothing of its spread.
    """

    mean: float
    low: float | None
    high: float | None

    @property
    def is_noise(self) -> bool:
        """Whether the interval contains 0, or is not known."""
        return self.low is None or self.low <= 0 <= self.high


def paired_interval(values: Sequence[float], others: Sequence[float]) -> Interval:
    """The mean of `values` less `others`, which have the same seeds in the same order.

    The interval is that of Student's t over the n differences, mean ± t(n − 1) · s / √n, with their
    unbiased deviation s. It takes the differences for a normal sample.
    """
    differences = [a - b for a, b in zip(values, others, strict=True)]
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return Interval(mean, None, None)
    t = T[min(len(differences) - 1, len(T)) - 1]
    half = t * statistics.stdev(differences) / math.sqrt(len(differences))
    return Interval(mean, mean - half, mean + half)
