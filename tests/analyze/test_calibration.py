"""What a calibration says of made-up noise whose kind is known."""

import numpy as np
import pandas as pd
import pytest

from gatebench.analyze.calibration import calibration, spreads
from gatebench.analyze.plan import make_plan

CASE = "lstm/eager/T1-B1-I1-H1/float32/cpu-1/forward"
PLAN = make_plan(cases={CASE: "both"}, controls={}, compiles=[], sides={})


def samples(blocks=24, rounds=6, block_sd=0.01, sample_sd=0.001, slow=(), place=0.0, order=0.0, drift=0.0, seed=0):
    """Return samples of two sides that are alike, with planted noise; slow: blocks whose head is 30 % slower."""
    generator = np.random.default_rng(seed)
    rows = []
    for block in range(blocks):
        for side in ("base", "head"):
            process = generator.normal(0, block_sd) + (0.3 if side == "head" and block in slow else 0.0)
            second_place = (side == "head") == (block % 2 == 0)
            for number in range(rounds):
                position = (number + (side == "head")) % 2
                log = (
                    process + generator.normal(0, sample_sd) + place * second_place + order * position + drift * number
                )
                rows.append({"case_id": CASE, "side": side, "stage": "calibrate", "quantity": "time", "block": block,
                             "round": number, "position": position, "wall_ns": 1e6 * np.exp(log), "dropped": False})  # fmt: skip
    return pd.DataFrame(rows).assign(run_id="r", event_ns=None, reason=None)


def noise(**planted):
    return calibration(samples(**planted), PLAN).iloc[0]


def test_the_spread_is_that_of_paired_blocks():
    found = [noise(block_sd=0.01, seed=seed)["spread"] for seed in range(30)]
    assert np.mean(found) == pytest.approx(0.01 * np.sqrt(2), rel=0.06)


def test_a_wider_spread_detects_less_and_asks_for_more_blocks():
    narrow, wide = noise(block_sd=0.002), noise(block_sd=0.03)
    assert narrow["minimum_detectable_effect"] < 0.01 < wide["minimum_detectable_effect"]
    assert (narrow["screen_blocks"], wide["screen_blocks"]) == (12, 48)


def test_independent_samples_have_no_autocorrelation_and_a_drift_has():
    flat = [noise(rounds=10, seed=seed)["autocorrelation"] for seed in range(20)]
    assert np.mean(flat) == pytest.approx(0.0, abs=0.03)
    assert noise(rounds=10, drift=0.005)["autocorrelation"] > 0.5


def test_a_rare_slow_mode_is_seen_and_normal_noise_is_one_mode():
    found = noise(slow=(3, 11), seed=1)
    assert found["slow_share"] == pytest.approx(2 / 48)
    assert found["slow_by"] == pytest.approx(np.expm1(0.3), rel=0.1)
    shares = [noise(seed=seed)["slow_share"] > 0 for seed in range(200)]
    assert np.mean(shares) < 0.02


def test_an_effect_of_the_place_is_told_from_one_of_the_order():
    placed, ordered = noise(block_sd=0.001, place=0.02), noise(block_sd=0.001, order=0.02)
    assert placed["place_effect"] == pytest.approx(np.expm1(0.02), rel=0.1)
    assert placed["place_low"] > 0
    assert placed["order_effect"] == pytest.approx(0.0, abs=0.002)
    assert ordered["order_effect"] == pytest.approx(np.expm1(0.02), rel=0.1)
    assert ordered["place_low"] < 0 < ordered["place_high"]


def test_spreads_size_the_blocks_of_a_later_job():
    found = spreads(samples(block_sd=0.03))
    plan = make_plan(cases={CASE: "both"}, controls={}, compiles=[], sides={}, spreads=found)
    assert plan["screen_blocks"][CASE] == 48


def test_one_block_has_no_spread_and_no_effect():
    found = noise(blocks=1)
    assert np.isnan(found["spread"])
    assert np.isnan(found["place_low"])
    assert spreads(samples(blocks=1)) == {}
