"""Power, blocks and minimum detectable effects: against simulated tests, and at the ends of their ranges."""

import math

import numpy as np
import pytest

from gatebench.analyze.detection import (
    blocks_in_time,
    confirm_blocks,
    largest_suite,
    least_blocks,
    minimum_detectable_effect,
    power,
    screen_blocks,
)
from gatebench.analyze.plan import make_plan
from gatebench.analyze.sign_flip import p_value

PLAN = make_plan(cases={f"c{i}": "both" for i in range(200)}, controls={}, compiles=[], sides={})


@pytest.mark.parametrize(
    ("shift", "blocks", "alpha"), [(0.5, 12, 0.025), (1.0, 12, 0.025), (1.4, 16, 2.5e-4), (0.8, 32, 2.5e-4)]
)
def test_power_is_the_share_of_simulated_tests_that_reject(shift, blocks, alpha):
    values = np.random.default_rng(blocks).normal(shift, 1, (3000, blocks))
    rejected = np.mean([p_value(row, "greater") <= alpha for row in values])
    assert power(shift, blocks, alpha) == pytest.approx(rejected, abs=0.03)


def test_power_without_an_effect_is_the_level_of_the_test():
    assert power(0.0, 12, 0.025) == pytest.approx(
        0.0212, abs=0.005
    )  # the largest level that 12 blocks have below 0.025


def test_power_ends_at_zero_and_one():
    assert power(9.0, 5, 0.025) == 0.0  # five signs reach 1/32 at best
    assert power(9.0, 6, 0.025) > 0.999
    assert power(1e3, 64, 2.5e-4) == 1.0


def test_blocks_follow_the_spread_between_their_limits():
    spreads = [0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.5]
    screened, confirmed = ([size(s, PLAN) for s in spreads] for size in (screen_blocks, confirm_blocks))
    assert screened == sorted(screened)
    assert confirmed == sorted(confirmed)
    assert (screened[0], screened[3], screened[-1]) == (12, 12, 48)
    assert (confirmed[0], confirmed[-1]) == (16, 64)
    assert 13 <= screened[4] <= 16  # a spread of 2 % needs a few more than the 12 that every case has
    assert (screen_blocks(math.nan, PLAN), confirm_blocks(math.nan, PLAN)) == (12, 16)


def test_a_change_of_the_margin_becomes_a_suspect():
    for spread in (0.01, 0.02, 0.03, 0.04):
        blocks = screen_blocks(spread, PLAN)
        assert power(math.log(1.03) / spread, blocks, 0.025) >= 0.995


def test_confirmation_has_the_blocks_that_its_level_needs():
    assert least_blocks(PLAN["alpha_confirm"]) == 13  # log2(8000)
    assert 2.0 ** -least_blocks(PLAN["alpha_confirm"]) <= PLAN["alpha_confirm"] / 4
    assert confirm_blocks(0.0, PLAN | {"alpha_confirm": 1e-9}) == 32
    assert least_blocks(PLAN["rate"] / PLAN["alpha_screen"] / largest_suite(PLAN)) == 64
    assert least_blocks(PLAN["rate"] / PLAN["alpha_screen"] / (1.001 * largest_suite(PLAN))) == 65


def test_a_wider_margin_needs_fewer_blocks():
    assert confirm_blocks(0.02, PLAN, "compile") == 16
    assert confirm_blocks(0.02, PLAN) > 40


def test_a_minimum_detectable_effect_grows_with_the_spread_and_shrinks_with_blocks():
    base = minimum_detectable_effect(0.02, 12, 40, PLAN)
    assert 0.018 < base < 0.025
    assert minimum_detectable_effect(0.04, 12, 40, PLAN) == pytest.approx((1 + base) ** 2 - 1)
    assert minimum_detectable_effect(0.02, 24, 64, PLAN) < base < minimum_detectable_effect(0.02, 12, 16, PLAN)
    assert minimum_detectable_effect(0.02, 12, 40, PLAN | {"power": 0.95}) > base


def test_a_minimum_detectable_effect_is_infinite_where_blocks_are_too_few():
    assert minimum_detectable_effect(0.02, 5, 40, PLAN) == math.inf
    assert minimum_detectable_effect(0.02, 12, 11, PLAN) == math.inf
    assert math.isnan(minimum_detectable_effect(math.nan, 12, 16, PLAN))


def test_a_time_limit_leaves_a_suspect_no_more_blocks_than_all_could_have():
    short = PLAN | {"confirm_blocks": PLAN["confirm_blocks"] | {"room": 20}}
    assert [blocks_in_time(wanted, short) for wanted in (16, 20, 64)] == [16, 20, 20]
    assert blocks_in_time(64, PLAN) == 64
