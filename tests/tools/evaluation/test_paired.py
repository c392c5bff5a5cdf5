"""Differences that are paired by seeds."""

import pytest

from tools.evaluation.paired import paired_interval


def test_the_interval_is_that_of_student():
    found = paired_interval([3.0, 5.0, 4.0], [1.0, 2.0, 3.0])  # differences 2, 3, 1: deviation 1
    half = 4.302653 / 3**0.5  # t(0.975; 2) · s / √n
    assert found == pytest.approx((2, 2 - half, 2 + half), abs=1e-5) and found.is_noise
    clear = paired_interval([12.0, 13.0, 11.0], [1.0, 2.0, 3.0])  # 11, 11, 8: mean 10, variance 3
    assert clear == pytest.approx((10, 10 - 4.302653, 10 + 4.302653), abs=1e-5)
    assert not clear.is_noise


def test_one_difference_has_no_interval_and_different_seeds_are_refused():
    found = paired_interval([3.0], [1.0])
    assert found == (2.0, None, None) and found.is_noise
    with pytest.raises(ValueError):
        paired_interval([1.0, 2.0], [1.0])
