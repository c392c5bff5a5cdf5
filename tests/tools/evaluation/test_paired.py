"""Differences that are paired by seeds."""

import pytest

from tools.evaluation.paired import T, paired_interval


def test_the_interval_is_that_of_student():
    found = paired_interval([3.0, 5.0, 4.0], [1.0, 2.0, 3.0])  # differences 2, 3, 1: deviation 1
    assert found.mean == 2.0
    assert (found.low, found.high) == pytest.approx((2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5))
    assert found.is_noise
    clear = paired_interval([12.0, 13.0, 11.0], [1.0, 2.0, 3.0])  # 11, 11, 8: mean 10, variance 3
    assert clear.mean == 10 and (clear.low, clear.high) == pytest.approx((10 - 4.303, 10 + 4.303))
    assert not clear.is_noise


def test_one_difference_has_no_interval_and_different_seeds_are_refused():
    found = paired_interval([3.0], [1.0])
    assert found == (2.0, None, None) and found.is_noise
    with pytest.raises(ValueError, match="shorter"):
        paired_interval([1.0, 2.0], [1.0])


def test_the_quantiles():
    special = pytest.importorskip("scipy.special")
    assert pytest.approx([special.stdtrit(n, 0.975) for n in range(1, len(T) + 1)], abs=6e-4) == T
    many = paired_interval([0.0, 1.0] * 20, [0.0] * 40)
    assert many.high - many.mean == pytest.approx(T[-1] * (10 / 39) ** 0.5 / 40**0.5)
