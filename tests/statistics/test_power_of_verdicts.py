"""What is slower is found: power by effect and noise, and minimum detectable effects that keep their word."""

import numpy as np
import pytest
from scipy.special import stdtrit
from simulator import NOISES, decide, differences, log_times

from gatebench.analyze.detection import confirm_blocks, minimum_detectable_effect, screen_blocks
from gatebench.analyze.plan import make_plan
from gatebench.analyze.sign_flip import p_value, spread

PLAN = make_plan(cases={f"c{number}": "both" for number in range(200)}, controls={}, compiles=[], sides={})
CALIBRATED = screen_blocks(0.02, PLAN)
# Least power at +2 % and +3 %, all at a spread of 2 % (of the bulk, where there is a slow mode of 30 %). Outliers cost power:
# the aims of 0.80 and 0.99 are met without them.
AIMS = {
    "normal": (0.80, 0.99),
    "drift": (0.80, 0.99),
    "slot bias": (0.80, 0.99),
    "heavy tails": (0.80, 0.98),
    "rare slow mode": (0.70, 0.92),
    "everything": (0.70, 0.90),
}


def found(name, effect, cases, screened=CALIBRATED):
    """Return the share of cases slower by `effect` that are judged slower."""
    return np.mean(decide(NOISES[name], effect, PLAN, cases, np.random.default_rng(21), screened) == 1)


def test_three_percent_are_found_in_99_of_100_and_two_in_80():
    assert found("normal", 0.03, 2000) >= 0.99
    assert found("normal", 0.02, 2000) >= 0.80


@pytest.mark.slow
@pytest.mark.parametrize("name", NOISES)
def test_slower_cases_are_found_whatever_the_noise(name):
    two, three = AIMS[name]
    assert found(name, 0.02, 5000) >= two
    assert found(name, 0.03, 5000) >= three


def test_twelve_blocks_without_a_calibration_do_nearly_as_well():
    assert found("normal", 0.03, 2000, screened=12) >= 0.985
    assert found("normal", 0.02, 2000, screened=12) >= 0.77


def test_faster_is_found_as_slower_is():
    words = decide(NOISES["normal"], 1 / 1.03 - 1, PLAN, 1000, np.random.default_rng(22), CALIBRATED)
    assert (words == -1).mean() >= 0.985
    assert not (words == 1).any()


def power_at_own_effect(name, cases):
    """Return how often cases are found at the effect that an earlier job of theirs, alike, named as detectable."""
    random = np.random.default_rng(23)
    before, screen = (differences(log_times(NOISES[name], cases, 12, 0.0, random)) for _ in range(2))
    fresh = differences(log_times(NOISES[name], cases, 64, 0.0, random))
    hits = 0
    for earlier, screened, confirmed in zip(before, screen, fresh, strict=True):
        size = spread(earlier)
        shift = np.log1p(minimum_detectable_effect(size, 12, confirm_blocks(size, PLAN), PLAN))
        if p_value(screened + shift, "greater") <= PLAN["alpha_screen"] / 2:
            blocks = confirm_blocks(spread(screened), PLAN)
            hits += p_value(confirmed[:blocks] + shift, "greater") <= PLAN["alpha_confirm"] / 2
    return hits / cases


@pytest.mark.parametrize("name", ["normal", "everything"])
def test_a_minimum_detectable_effect_is_found_with_about_the_power_it_names(name):
    assert power_at_own_effect(name, 600) == pytest.approx(0.8, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOISES)
def test_a_minimum_detectable_effect_keeps_its_word_whatever_the_noise(name):
    assert power_at_own_effect(name, 3000) == pytest.approx(0.8, abs=0.08)


def test_a_rare_slow_mode_blinds_a_mean_and_not_the_ranks():
    values = differences(log_times(NOISES["rare slow mode"], 1000, 40, 0.03, np.random.default_rng(24)))
    student = values.mean(axis=1) / (values.std(axis=1, ddof=1) / np.sqrt(40)) >= stdtrit(39, 1 - 2.5e-4)
    ranks = [p_value(row, "greater") <= 2.5e-4 for row in values]
    assert np.mean(ranks) > 0.98
    assert student.mean() < 0.6
