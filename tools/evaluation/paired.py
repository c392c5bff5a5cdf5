"""The difference between two methods that were run with the same seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

# The 97.5 % quantile of Student's t for 1, 2, … degrees of freedom. More degrees take the last one,
# which makes the interval a little too wide.
T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)


class Interval(NamedTuple):
    """The mean of some differences, and its 95 % confidence interval.

    low, high: the ends of the interval; None where there is a single difference.
    """

    mean: float
    low: float | None
    high: float | None

    @property
    def is_noise(self) -> bool:
        """Whether the interval contains 0, or is not known."""
        return self.low is None or self.low <= 0 <= self.high


def paired_interval(values: Sequence[float], others: Sequence[float]) -> Interval:
    """The mean of `values` minus `others`, and its interval.

    values, others: (n,) figures of two methods, with the same seeds in the same order.

    The interval is mean ± t(n − 1) · s / √n, where s is the unbiased standard deviation of the
    differences and t is Student's. It assumes that the differences are normally distributed.
    """
    differences = [a - b for a, b in zip(values, others, strict=True)]
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return Interval(mean, None, None)
    t = T[min(len(differences) - 1, len(T)) - 1]
    half = t * statistics.stdev(differences) / math.sqrt(len(differences))
    return Interval(mean, mean - half, mean + half)
