"""The decision rule cries wolf in under 1 % of suites of 200 cases, whatever the noise; the obvious rules do in most."""

import numpy as np
import pytest
from scipy import stats
from simulator import NOISES, Noise, decide, differences, log_times, p_values

from gatebench.analyze.plan import make_plan
from gatebench.analyze.sign_flip import p_value

CASES = 200
PLAN = make_plan(cases={f"c{number}": "both" for number in range(CASES)}, controls={}, compiles=[], sides={})


def upper_bound(count, trials):
    """Return Clopper and Pearson's 97.5 % upper bound of a share."""
    return stats.beta.ppf(0.975, count + 1, trials - count)


def lower_bound(count, trials):
    """Return Clopper and Pearson's 97.5 % lower bound of a share."""
    return stats.beta.ppf(0.025, count, trials - count + 1) if count else 0.0


def suites_with_an_alarm(noise, suites, seed):
    words = decide(noise, 0.0, PLAN, suites * CASES, np.random.default_rng(seed))
    return int((words.reshape(suites, CASES) != 0).any(axis=1).sum())


def test_the_fast_p_values_of_the_simulator_are_those_of_the_library():
    rows = np.random.default_rng(1).normal(0.2, 1, (50, 17))
    slower, faster = p_values(rows)
    assert slower.tolist() == [p_value(row, "greater") for row in rows]
    assert faster.tolist() == [p_value(row, "less") for row in rows]


def lax_alarms(name, cases):
    """Return (slower, faster, share expected): a confirmation as lax as the screening shows in thousands of cases what only
    millions would at the real level."""
    lax = PLAN | {"alpha_confirm": PLAN["alpha_screen"]}
    words = decide(NOISES[name], 0.0, lax, cases, np.random.default_rng(3))
    return int((words == 1).sum()), int((words == -1).sum()), PLAN["alpha_screen"] * lax["alpha_confirm"]


@pytest.mark.parametrize("name", NOISES)
def test_both_stages_keep_their_levels_in_both_directions(name):
    slower, faster, expected = lax_alarms(name, 12_000)
    assert lower_bound(slower, 12_000) < expected / 2
    assert lower_bound(faster, 12_000) < expected / 2


@pytest.mark.parametrize(
    "name", ["normal", "heavy tails", "rare slow mode"]
)  # slots that are swapped in turn cancel: fewer
def test_the_stages_do_not_waste_their_levels(name):
    slower, faster, expected = lax_alarms(name, 12_000)
    assert upper_bound(slower + faster, 12_000) > 0.7 * expected


@pytest.mark.slow
@pytest.mark.parametrize("name", NOISES)
def test_a_suite_of_two_hundred_cases_alike_has_a_false_alarm_in_under_one_percent(name):
    suites = 4000  # with 20 alarms expected at the nominal 0.5 %, the bound is 0.8 %
    assert upper_bound(suites_with_an_alarm(NOISES[name], suites, 17), suites) < 0.01


def test_without_confirmation_every_suite_has_a_false_alarm():
    found = differences(log_times(Noise(), 50 * CASES, 12, 0.0, np.random.default_rng(5)))
    alarms = np.minimum(*p_values(found)) <= 0.025
    assert alarms.reshape(50, CASES).any(axis=1).all()


def test_samples_pooled_over_processes_cry_wolf_even_at_the_level_of_a_whole_suite():
    times = log_times(Noise(), 20 * CASES, 12, 0.0, np.random.default_rng(6)).reshape(20, CASES, 72, 2)
    alarms = stats.ttest_ind(times[..., 1], times[..., 0], axis=-1).pvalue <= PLAN["rate"] / CASES
    assert alarms.any(axis=1).all()


def test_a_fixed_threshold_on_one_pair_of_processes_cries_wolf():
    found = differences(log_times(Noise(), 50 * CASES, 1, 0.0, np.random.default_rng(7)))
    assert (found > np.log(1.03)).reshape(50, CASES).any(axis=1).all()


def test_first_one_side_then_the_other_takes_drift_for_a_change():
    drift = NOISES["drift"]
    random = np.random.default_rng(8)
    ordered = p_values(differences(log_times(drift, 500, 24, 0.0, random, order="base first")))[0]
    balanced = p_values(differences(log_times(drift, 500, 24, 0.0, random)))[0]
    assert (ordered <= PLAN["alpha_confirm"] / 2).mean() > 0.9
    assert (balanced <= PLAN["alpha_confirm"] / 2).mean() < 0.01
