"""Mean and variance of rows that lie in several parts, without sums of large squares.

Chan et al., The American Statistician 1983, equation 2.1, for several parts.
"""

from torch import Tensor


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of rows, and the sum of squares about it: (..., n, D) -> (..., D) twice.

    Both are 0 for n = 0.
    """
    mean = x.sum(-2) / max(x.shape[-2], 1)
    return mean, (x - mean.unsqueeze(-2)).square().sum(-2)


def pooled(means: Tensor, squares: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The moments of all rows from those of the parts.

    means, squares: (parts, ..., D), as `moments` gives them.
    rows: (parts, 1, ...), how many rows each part has.
    Returns the mean (..., D), the variance (..., D), without Bessel's correction, and the number of
    all rows.
    """
    count = rows.sum()
    mean = (means * rows).sum(0) / count
    return mean, (squares + rows * (means - mean).square()).sum(0) / count, count
