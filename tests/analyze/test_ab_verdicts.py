"""Verdicts on time, and the whole table: every branch of the decision rule, on frames made by hand."""

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ab_frames import COMPILE_BASE_NS, NOISE, ONE, both, confirmed, frame, judged, noise, plan, row, samples

from gatebench.analyze.detection import confirm_blocks, minimum_detectable_effect
from gatebench.analyze.sign_flip import p_value, shift_interval, spread
from gatebench.analyze.verdicts import suspects, verdicts
from gatebench.store.read import read_table
from gatebench.store.schema import TABLES
from gatebench.store.write import write_run

# --- suspects


def test_a_suspect_gets_fresh_blocks_by_its_spread_whatever_its_effect():
    small, large = (suspects(ONE, frame("samples", samples("a", noise(12, shift)))) for shift in (0.03, 0.3))
    assert small.to_dict("records") == [
        {"case_id": "a", "quantity": "time", "blocks": confirm_blocks(spread(NOISE), ONE)}
    ]
    assert large.equals(small)
    assert suspects(ONE, frame("samples", samples("a", noise(12)))).empty


def test_a_case_with_two_suspect_quantities_gets_the_larger_number_for_both():
    of = plan("a", "b", compiles=["a"])
    rows = samples("a", 2 * NOISE + 0.1) + samples("b", noise(12, -0.1))
    rows += samples("a", noise(12, 0.5), quantity="compile_warm", base_ns=COMPILE_BASE_NS)
    found = suspects(of, frame("samples", rows))
    assert found[["case_id", "quantity"]].to_numpy().tolist() == [["a", "time"], ["a", "compile"], ["b", "time"]]
    most = confirm_blocks(spread(2 * NOISE), of)
    assert found["blocks"].tolist() == [most, most, confirm_blocks(spread(NOISE), of)]
    assert most > found["blocks"].iloc[2]


# --- time


def test_slower_and_faster_come_from_fresh_blocks_alone():
    for shift, word, direction in ((0.03, "slower", "greater"), (-0.03, "faster", "less")):
        fresh = noise(24, shift)
        found = judged(confirmed("a", noise(12, 10 * shift), fresh))
        assert (found["verdict"], found["stage"], found["blocks"]) == (word, "confirm", 24)
        expected = np.expm1(shift_interval(fresh, 0.95))
        assert found[["change", "ci_low", "ci_high"]].astype(float).tolist() == pytest.approx(expected.tolist())
        assert found["p_value"] == p_value(fresh, direction)
        assert found["alpha"] == ONE["alpha_confirm"] / 2
        assert found["margin"] == 0.03
        assert 0 < found["minimum_detectable_effect"] < 0.03
        assert pd.isna(found["reason"])


def test_a_suspect_whose_fresh_blocks_lie_within_the_margin_is_the_same():
    found = judged(confirmed("a", noise(12, 0.03), noise(24)))
    assert (found["verdict"], found["stage"]) == ("same", "confirm")


def test_a_suspect_that_fresh_blocks_leave_open_is_inconclusive():
    found = judged(confirmed("a", noise(12, 0.1), 8 * noise(24) + 0.02), of=plan(*"abcdefgh"))
    assert (found["verdict"], found["stage"]) == ("inconclusive", "confirm")
    low, high = 100 * np.expm1(shift_interval(8 * noise(24) + 0.02, 0.9)[1:])
    assert found["reason"] == f"the 90 % interval {low:+.1f} % to {high:+.1f} % reaches beyond the margin of 3 %"


def test_a_suspect_without_fresh_blocks_is_inconclusive_even_within_the_margin():
    found = judged(samples("a", noise(12, 0.015)))
    assert (found["verdict"], found["stage"], found["alpha"]) == ("inconclusive", "screen", 0.025)
    assert found["reason"] == "seems slower, but was not confirmed: interrupted"
    cut = judged(samples("a", noise(12, -0.05)), plan("a", not_measured={"a": "the time limit of 10 min"}))
    assert cut["reason"] == "seems faster, but was not confirmed: the time limit of 10 min"


def test_a_suspect_with_too_few_fresh_blocks_is_inconclusive():
    wanted = confirm_blocks(spread(NOISE), ONE)
    found = judged(confirmed("a", noise(12, 0.05), noise(4, 0.05)))
    assert (found["verdict"], found["reason"]) == ("inconclusive", f"only 4 of {wanted} blocks")


def test_what_a_time_limit_leaves_room_for_is_said_and_bounds_what_could_be_detected():
    of = ONE | {"confirm_blocks": {"least": 16, "most": 64, "room": 18}}
    wanted = confirm_blocks(spread(8 * NOISE), of)
    rows = confirmed("a", 8 * NOISE + 0.2, 8 * noise(18) + 0.02)
    found = judged(rows, of)
    assert found["reason"] == f"only 18 of {wanted} blocks: the time limit leaves no room for more"
    assert judged(rows, of | {"confirm_blocks": {"least": 16, "most": 64, "room": 64}})["reason"].startswith("the 90 %")
    assert judged(confirmed("a", noise(12, 0.1), noise(18, 0.1)), of)["verdict"] == "slower"
    unsuspected = judged(samples("a", 4 * NOISE), of)
    expected = minimum_detectable_effect(spread(4 * NOISE), 12, 18, of)
    assert unsuspected["minimum_detectable_effect"] == pytest.approx(expected)


def test_a_p_value_of_the_level_rejects_and_one_above_it_does_not():
    fresh = np.array([*noise(15, 0.05), -0.001])  # of 16 blocks the one with the smallest size is faster: p = 2 / 2^16
    rows = confirmed("a", noise(12, 0.05), fresh)
    assert judged(rows, ONE | {"alpha_confirm": 2 * 2 / 2**16})["verdict"] == "slower"
    assert judged(rows, ONE | {"alpha_confirm": 2 * 1.99 / 2**16})["verdict"] == "inconclusive"


def test_what_could_have_been_detected_counts_the_blocks_of_both_stages():
    found, wide = judged(samples("a", noise(12))), judged(samples("a", 3 * NOISE))
    for row_, ratios in ((found, NOISE), (wide, 3 * NOISE)):
        size = spread(ratios)
        expected = minimum_detectable_effect(size, 12, confirm_blocks(size, ONE), ONE)
        assert row_["minimum_detectable_effect"] == pytest.approx(expected)
    fresh = judged(confirmed("a", noise(12, 0.05), noise(40, 0.05)))
    expected = minimum_detectable_effect(spread(noise(40)), 12, 40, ONE)
    assert fresh["minimum_detectable_effect"] == pytest.approx(expected)


def test_fresh_blocks_of_a_case_that_was_no_suspect_decide_nothing():
    found = judged(confirmed("a", noise(12), noise(40, 0.1)))
    assert (found["verdict"], found["stage"], found["blocks"]) == ("same", "screen", 12)


def test_no_suspect_is_the_same_where_both_bounds_lie_within_the_margin():
    found = judged(samples("a", noise(12, 0.003)))
    assert (found["verdict"], found["stage"], found["alpha"]) == ("same", "screen", 0.025)
    assert found["minimum_detectable_effect"] > 0


def test_no_suspect_with_wide_bounds_is_inconclusive():
    found = judged(samples("a", 6 * NOISE))
    assert found["verdict"] == "inconclusive"
    assert found["reason"].startswith("the 90 % interval -")
    assert found["reason"].endswith("reaches beyond the margin of 3 %")


def test_a_bound_just_beyond_the_margin_is_beyond_it():
    upper = math.expm1(shift_interval(NOISE, 0.9)[2])
    assert judged(samples("a", NOISE), of=plan("a", margin=1.02 * upper))["verdict"] == "same"
    assert judged(samples("a", NOISE), of=plan("a", margin=0.98 * upper))["verdict"] == "inconclusive"


def test_few_blocks_have_an_estimate_and_say_how_many_they_are():
    found = judged(samples("a", noise(4, 0.1)))
    assert (found["verdict"], found["blocks"]) == ("inconclusive", 4)
    assert found["reason"] == "only 4 of 12 blocks"
    assert found["change"] > 0.1
    assert pd.isna(found["ci_low"])
    assert found["minimum_detectable_effect"] == math.inf
    one = judged(samples("a", noise(1)), plan("a", not_measured={"a": "the time limit of 1 min"}))
    assert one["reason"] == "only 1 of 12 blocks: the time limit of 1 min"
    assert pd.isna(one["minimum_detectable_effect"])


def test_the_plan_says_how_many_blocks_there_should_be():
    of = plan("a", spreads={"a": 0.03}, not_measured={"a": "the time limit of 1 min"})
    found = judged(samples("a", 6 * NOISE), of)
    assert found["reason"] == f"only 12 of {of['screen_blocks']['a']} blocks: the time limit of 1 min"


def test_a_block_that_lacks_a_pair_is_no_reason_where_nothing_was_cut():
    # Compile time: the block in which the caches were empty has no first call that found them filled.
    assert judged(samples("a", 6 * NOISE[:11]))["reason"].startswith("the 90 % interval ")


def test_nothing_could_be_detected_where_nothing_could_be_confirmed():
    cut = plan("a", not_measured={"a": "the time limit of 1 min"})
    for of, ratios in ((cut, noise(8)), (cut, noise(12, 0.05)), (ONE | {"interrupted": True}, noise(12))):
        assert judged(samples("a", ratios), of)["minimum_detectable_effect"] == math.inf
    confirmed_in_time = judged(confirmed("a", noise(12, 0.05), noise(40, 0.05)), ONE | {"interrupted": True})
    assert 0 < confirmed_in_time["minimum_detectable_effect"] < 0.03


def test_a_disturbed_case_is_inconclusive_whatever_it_shows():
    for rows in (samples("a", noise(20), dropped=0.25), samples("a", noise(20, 0.1), dropped=0.25)):
        found = judged(rows)
        assert found["verdict"] == "inconclusive"
        assert found["reason"] == "steal or other processes disturbed 25 % of the samples"
        assert found["blocks"] == 15
    assert judged(samples("a", noise(20), dropped=0.2))["verdict"] == "same"


def test_a_disturbed_screening_does_not_spoil_a_quiet_confirmation():
    rows = samples("a", noise(20, 0.1), dropped=0.4) + samples("a", noise(24, 0.1), stage="confirm")
    assert judged(rows)["verdict"] == "slower"
    rows = samples("a", noise(20, 0.1)) + samples("a", noise(24, 0.1), stage="confirm", dropped=0.4)
    assert judged(rows)["verdict"] == "inconclusive"


def test_a_confirmation_whose_every_round_was_dropped_says_so():
    found = judged(samples("a", noise(20, 0.1)) + samples("a", noise(24, 0.1), stage="confirm", dropped=1.0))
    assert (found["stage"], found["reason"]) == ("confirm", "steal or other processes disturbed 100 % of the samples")


def test_a_case_whose_every_round_was_dropped_says_so():
    found = judged(samples("a", noise(12), dropped=1.0))
    assert (found["blocks"], found["reason"]) == (0, "steal or other processes disturbed 100 % of the samples")
    assert pd.isna(found["change"])


def test_a_block_of_one_side_is_no_pair():
    rows = samples("a", noise(12)) + samples("a", [5.0, 5.0], first=50, sides=("head",))
    assert judged(rows)["blocks"] == 12


def test_a_block_is_its_median_sample():
    rows = samples("a", noise(12))
    for sample in rows:
        if sample["side"] == "head" and sample["round"] == 2:
            sample["wall_ns"] *= 100
    assert judged(rows)["change"] == pytest.approx(judged(samples("a", noise(12)))["change"])


def test_on_cuda_the_time_of_events_decides():
    rows = samples("a", noise(12, 0.1))
    events = [sample | {"event_ns": other["wall_ns"]} for sample, other in zip(rows, samples("a", NOISE), strict=True)]
    assert judged(rows)["verdict"] == "inconclusive"  # a suspect
    assert judged(events)["verdict"] == "same"


# --- the whole table


def everything():
    """Return (plan, measurements, samples) with something of every kind."""
    of = plan(
        *"zyxwvu",
        presence={"w": "new"},
        compiles=["z"],
        controls={"v": 0.0},
        not_measured={"u": "the time limit of 10 min"},
        spreads={"y": 0.03},
    )
    measured = both("z", peak_bytes=1000, saved_bytes=None, error_ratio=1.5, detail='{"counts_differ": []}')
    measured += [row("y", "base"), row("y", "head", "wrong", "grad:x has error_ratio 31")]
    measured += [*both("x"), row("w", "head"), *both("v")]
    rows = confirmed("z", noise(12, 0.05), noise(20, 0.05)) + samples("x", NOISE) + samples("v", NOISE)
    rows += samples("w", NOISE, sides=("head",))
    rows += samples("z", noise(12, 0.5), quantity="compile_warm", base_ns=COMPILE_BASE_NS)
    return of, frame("measurements", measured), frame("samples", rows)


def test_the_table_has_its_columns_and_the_order_of_the_plan():
    of, measured, sampled = everything()
    found = verdicts(of, measured, sampled)
    assert found.columns.tolist() == [column.name for column in TABLES["verdicts"]]
    assert found[["case_id", "quantity", "verdict"]].to_numpy().tolist() == [
        ["z", "time", "slower"], ["z", "compile", "inconclusive"], ["z", "peak_bytes", "same"],
        ["z", "error_ratio", "same"], ["z", "coverage", "same"], ["y", "time", "wrong"], ["y", "coverage", "wrong"],
        ["x", "time", "same"], ["x", "coverage", "same"], ["w", "time", "new"], ["w", "coverage", "new"],
        ["v", "time", "same"], ["v", "coverage", "same"], ["u", "time", "inconclusive"], ["u", "coverage", "inconclusive"],
    ]  # fmt: skip
    assert set(found["run_id"]) == {"r"}


def test_what_was_stored_recomputes_value_for_value(tmp_path):
    of, measured, sampled = everything()
    found = verdicts(of, measured, sampled)
    tables = {"measurements": measured, "samples": sampled, "verdicts": found}
    rows = {name: [{key: None if pd.isna(value) else value for key, value in each.items()} for each in table.to_dict("records")] for name, table in tables.items()}  # fmt: skip
    folder = write_run(tmp_path / "staging", tmp_path / "runs" / "r", {"run_id": "r"}, [], rows)
    stored = {name: read_table(folder / f"{name}.parquet", name).to_pandas() for name in tables}
    again = verdicts(json.loads(json.dumps(of)), stored["measurements"], stored["samples"])
    pd.testing.assert_frame_equal(again, found, check_exact=True)
    pd.testing.assert_frame_equal(again, stored["verdicts"], check_exact=True)


def test_the_order_of_stored_rows_does_not_matter():
    of, measured, sampled = everything()
    found = verdicts(of, measured, sampled)
    shuffled = verdicts(of, measured.sample(frac=1, random_state=1), sampled.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(shuffled, found, check_exact=True)


def test_rows_of_a_resumed_run_are_one_comparison():
    rows = samples("a", noise(12))
    for sample in rows:
        sample["run_id"] = "older" if sample["block"] < 6 else None
    assert judged(rows)["blocks"] == 12


def test_a_run_that_measured_nothing_has_verdicts_all_the_same():
    found = verdicts(ONE, frame("measurements", []), frame("samples", []))
    assert found[["verdict", "reason"]].to_numpy().tolist() == [["inconclusive", "not measured: interrupted"]] * 2
    assert pa.Table.from_pandas(found).num_rows == 2
