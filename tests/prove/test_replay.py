"""Replays of banks whose noise is known come out as they must."""

import numpy as np
import pytest
import replay
from bank import Banked, banks_of, work_of

from gatebench.analyze.pairs import Pairs
from gatebench.analyze.sign_flip import spread


def bank(effect=0.0, sd=0.01, blocks=40, disturbed=0.0, seed=0, bias=0.0):
    noise = np.random.default_rng(seed).normal(0, sd, blocks)
    return Banked("toy", effect, Pairs(noise + np.log1p(effect) + bias, np.zeros(blocks), disturbed))


def test_suites_alike_have_no_alarm_even_where_the_bank_is_biased():
    alarms = replay.false_alarms([bank(bias=0.005), bank(seed=1)], suites=10, seed=0)
    assert alarms.with_alarm == 0
    assert sum(alarms.verdicts.values()) == 10 * replay.CASES
    assert alarms.verdicts["same"] > 0.95 * 10 * replay.CASES


def test_an_alarm_is_counted(monkeypatch):
    monkeypatch.setattr(replay, "PLAN", replay.PLAN | {"alpha_confirm": replay.PLAN["alpha_screen"]})
    assert replay.false_alarms([bank()], suites=10, seed=0).with_alarm > 0


def slower(banked, undisturbed=False):
    return replay.share(
        replay.judged(banked, spread(banked.pairs.differences), 50, seed=0, undisturbed=undisturbed), "slower"
    )


def blocks(banked, calibrated=None):
    return np.mean(
        [
            verdict.blocks
            for verdict in replay.judged(banked, calibrated or spread(banked.pairs.differences), 50, seed=0)
        ]
    )


def test_what_was_planted_is_found_and_nothing_is_found_where_all_is_disturbed():
    assert slower(bank(0.05)) == 1.0
    assert slower(bank(0.05, disturbed=0.9)) == 0.0
    assert slower(bank(0.05, disturbed=0.9), undisturbed=True) == 1.0
    assert slower(bank(0.002, sd=0.03)) < 0.2


def test_a_slower_case_takes_the_blocks_of_both_stages():
    assert blocks(bank(sd=0.002)) < 14
    assert blocks(bank(sd=0.002), calibrated=0.05) >= 48  # the noise of the calibration, not of the day, says how many
    assert blocks(bank(0.05, sd=0.002)) >= 12 + 16


def test_a_noisier_callable_hides_more_although_it_gets_more_blocks():
    assert replay.detectable(bank(sd=0.02)) > 1.3 * replay.detectable(bank(sd=0.01))


@pytest.mark.parametrize(
    ("case_id", "expected"),
    [
        ("prove:work/prove:eager/T1/float32/cpu-1/forward;planted=0.03;work=eager_cell", ("eager_cell", 0.03)),
        ("prove:work/prove:eager/T1/float32/cpu-1/forward;work=eager_cell", ("eager_cell", 0.0)),
        ("bilinear/gatebench:control/T1/float32/cpu-1/forward;gatebench:control.extra=0.03", None),
    ],
)
def test_a_case_names_its_callable_and_what_is_planted(case_id, expected):
    assert work_of(case_id) == expected


def test_blocks_as_they_came_show_what_a_coin_hides():
    biased = bank(bias=0.05)
    assert replay.verdict_of(biased) == "slower"
    assert replay.p_two_sided(biased) < 1e-6
    assert replay.covered([biased]) == (0, 3)
    assert replay.verdict_of(bank(sd=0.004)) == "same"
    assert replay.p_two_sided(bank()) > 0.05


def test_intervals_as_they_came_are_held_against_what_was_planted():
    assert replay.covered([bank(0.05, sd=1e-6)]) in {(2, 3), (3, 3)}
    assert replay.covered([bank(0.05, sd=1e-6, bias=-0.001)]) == (0, 3)


def test_a_share_has_clopper_and_pearsons_interval():
    assert replay.share_interval(0, 10) == (0.0, pytest.approx(0.3085, abs=1e-4))
    assert replay.share_interval(10, 10) == (pytest.approx(0.6915, abs=1e-4), 1.0)
    assert replay.share_interval(2, 10) == (pytest.approx(0.0252, abs=1e-4), pytest.approx(0.5561, abs=1e-4))


def test_banks_are_split_by_callable_and_effect():
    import pandas as pd

    rows = [(name, effect, 0, 0.1, 1.0, 0.5) for name in ("a", "b") for effect in (0.0, 0.03) for _ in range(3)]
    table = pd.DataFrame(rows, columns=["name", "effect", "part", "log_ratio", "base_log_ns", "disturbed"])
    found = banks_of(table)
    assert [(bank.name, bank.effect, len(bank.pairs)) for bank in found] == [("a", 0.0, 3), ("a", 0.03, 3), ("b", 0.0, 3), ("b", 0.03, 3)]  # fmt: skip
    assert found[0].pairs.disturbed == 0.5
