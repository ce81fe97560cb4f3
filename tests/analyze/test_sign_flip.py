"""The sign-flip test, its interval and its spread: against all sign patterns counted one by one, scipy, and by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from gatebench.analyze.sign_flip import p_value, shift_interval, spread, untied_tail


def counted(differences, sign):
    """Return the p-value by trying every pattern of signs; midranks by scipy."""
    values = np.asarray(differences) * sign
    ranks = stats.rankdata(np.abs(values)) * (values != 0)
    observed = ranks[values > 0].sum()
    patterns = np.array(list(itertools.product([0, 1], repeat=len(values))))
    return float(np.mean(patterns @ ranks >= observed - 1e-9))


@pytest.mark.parametrize(
    "differences",
    [
        [1.0, 2.0, 3.0],
        [0.3, -0.1, 0.25, 0.7, -0.05, 0.4, 0.11, -0.32],
        [1, 1, -1, 2, 2, -3, 3, 3, 3],  # ties
        [0, 0, 1, 2, -2, 4],  # zeros keep their rank
        [0, 0, 0],
        [-5.0],
    ],
)
def test_p_values_count_every_pattern_of_signs(differences):
    assert p_value(np.array(differences), "greater") == pytest.approx(counted(differences, 1), abs=1e-15)
    assert p_value(np.array(differences), "less") == pytest.approx(counted(differences, -1), abs=1e-15)


def test_p_values_count_ties_and_zeros_of_any_kind():
    random = np.random.default_rng(9)
    for _ in range(40):
        values = random.integers(-3, 5, 8).astype(float)
        assert p_value(values, "greater") == pytest.approx(counted(values, 1), abs=1e-15)


def test_p_values_by_hand():
    assert p_value(np.array([1.0, 2.0, 3.0]), "greater") == 1 / 8
    assert p_value(np.array([1.0, 2.0, 3.0]), "less") == 1.0
    assert p_value(np.array([0.0, 1.0, 2.0]), "greater") == 1 / 4  # the zero has rank 1 and no sign
    assert p_value(np.array([]), "greater") == 1.0
    assert p_value(np.full(64, 0.5), "greater") == 2.0**-64


def test_p_values_of_many_blocks_are_those_of_scipy():
    random = np.random.default_rng(5)
    for blocks in (12, 30, 50):
        values = random.normal(0.3, 1, blocks)
        for direction in ("greater", "less"):
            expected = stats.wilcoxon(values, alternative=direction, method="exact").pvalue
            assert p_value(values, direction) == pytest.approx(expected, rel=1e-9)


def test_the_order_of_blocks_and_the_unit_do_not_matter():
    values = np.random.default_rng(1).normal(0.2, 1, 40)
    expected = p_value(values, "greater")
    assert p_value(values[::-1], "greater") == expected
    assert p_value(values * 1024, "greater") == expected
    assert p_value(-values, "less") == expected


def test_the_interval_holds_what_the_test_does_not_reject():
    for blocks, confidence in ((6, 0.95), (12, 0.95), (12, 0.9), (31, 0.9), (64, 0.95)):
        values = np.random.default_rng(blocks).normal(0.01, 0.02, blocks)
        estimate, low, high = shift_interval(values, confidence)
        assert low < estimate < high
        outside = p_value(values - (low - 1e-9), "greater")  # too small a shift: the rest is still above zero
        inside = p_value(values - (low + 1e-9), "greater")
        assert outside < (1 - confidence) / 2 * 1.4
        assert outside < inside
        assert p_value(values - (high + 1e-9), "less") == pytest.approx(outside)
        coverage, neighbour = 1 - 2 * outside, 1 - 2 * inside
        assert abs(coverage - confidence) <= abs(neighbour - confidence)


def test_the_estimate_is_the_median_of_the_walsh_averages():
    # Averages of 0, 1, 5: 0, 0.5, 1, 2.5, 3, 5; median (1 + 2.5) / 2.
    assert shift_interval(np.array([0.0, 1.0, 5.0]), 0.95)[0] == 1.75


def test_the_bounds_of_six_blocks_are_its_extreme_averages():
    # P(W ≤ 0) = 1/64: the range covers 96.9 %, without one average on either side 93.75 %, which is nearer to 95 %.
    values = np.array([0.0, 1.0, 3.0, 7.0, 12.0, 20.0])
    assert shift_interval(values, 0.95)[1:] == (0.5, 16.0)
    assert shift_interval(values, 0.96)[1:] == (0.0, 20.0)


def test_too_few_blocks_have_an_estimate_and_no_bounds():
    assert math.isnan(shift_interval(np.array([]), 0.95)[0])
    assert shift_interval(np.array([0.5]), 0.95)[0] == 0.5
    for blocks, confidence in ((5, 0.95), (4, 0.9)):
        assert np.isnan(shift_interval(np.arange(float(blocks)), confidence)[1:]).all()
        assert np.isfinite(shift_interval(np.arange(blocks + 1.0), confidence)[1:]).all()


def test_one_slow_block_moves_neither_estimate_nor_bounds_nor_spread_far():
    values = np.random.default_rng(2).normal(0, 0.01, 16)
    slow = np.where(np.arange(16) == 3, 5.0, values)
    assert np.abs(np.subtract(shift_interval(slow, 0.95), shift_interval(values, 0.95))).max() < 0.005
    assert spread(slow) < 1.5 * spread(values)


def test_spread_is_a_standard_deviation_on_normal_noise():
    random = np.random.default_rng(3)
    for blocks in (4, 6, 12, 24, 64):
        found = [spread(values) for values in random.normal(7, 0.02, (4000, blocks))]
        assert np.mean(found) == pytest.approx(0.02, rel=0.03)


def test_spread_ignores_the_effect_and_needs_two_blocks():
    values = np.array([0.0, 1.0, 3.0])  # differences 1, 2, 3
    assert spread(values) == pytest.approx(2 / 0.95387 / (1 + 0.414253 / 3 + 0.442397 / 9), rel=1e-4)
    assert spread(values + 5) == pytest.approx(spread(values))
    assert spread(-3 * values) == pytest.approx(3 * spread(values))
    assert math.isnan(spread(values[:1]))


def test_the_tail_of_untied_ranks_is_a_distribution():
    tail = untied_tail(12)
    assert tail[0] == 1.0
    assert tail[78] == 2.0**-12
    assert tail[65] == pytest.approx(0.021240234375)  # the table: 13 is critical for 12 pairs, one-sided 0.025
