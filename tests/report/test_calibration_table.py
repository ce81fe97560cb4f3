"""The table of a calibration: a line for each case, however long its name, and in words what deserves a look."""

import pandas as pd

from gatebench.analyze.detection import confirm_blocks, screen_blocks
from gatebench.analyze.plan import make_plan
from gatebench.report.calibration import calibration_of, noise_block
from gatebench.report.terminal import print_block
from gatebench.store.read import read_run
from gatebench.store.write import write_run
from tests.analyze.ab_frames import NOISE, both, samples

QUIET = {
    "case_id": "bilinear/gatebench:control/T1-B1-I8-H8/float32/cpu-1/forward;gatebench:control.extra=0.03;seed=2",
    "spread": 0.0123, "autocorrelation": 0.1, "slow_share": 0.0, "slow_by": 0.0, "place_effect": 0.001, "place_low": -0.01,
    "place_high": 0.01, "minimum_detectable_effect": 0.021, "screen_blocks": 12, "confirm_blocks": 16, "disturbed": 0.0,
}  # fmt: skip
NOISY = QUIET | {
    "case_id": "swiglu/mylab:swiglu/T128-B8-I512-H512/float32/cpu-1/forward_backward", "autocorrelation": 0.6, "slow_share": 0.125,
    "slow_by": 0.4, "place_effect": 0.02, "place_low": 0.01, "place_high": 0.03, "screen_blocks": 48, "confirm_blocks": 64, "disturbed": 0.3,
}  # fmt: skip


def test_a_case_is_one_line_and_its_troubles_stand_below(capsys):
    print_block(noise_block(pd.DataFrame([QUIET, NOISY])))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("bilinear", "swiglu"))] == [
        [QUIET["case_id"], "1.2", "%", "2.1", "%", "12", "+", "16"],
        [NOISY["case_id"], "1.2", "%", "2.1", "%", "48", "+", "64"],
    ]
    below = " ".join(" ".join(lines).split()).split("screening + confirmation ")[1]
    assert below == (
        f"{NOISY['case_id']}: 12.5 % of processes are 40.0 % slower, samples of a process are alike (autocorrelation 0.6), "
        "the place of the checkout changes +2.0 %, 30.0 % of samples disturbed"
    )


def test_a_slow_mode_that_most_processes_are_in_is_called_a_fast_one(capsys):
    print_block(noise_block(pd.DataFrame([NOISY | {"slow_share": 11 / 12, "slow_by": 0.6}])))
    assert "8.3 % of processes are 37.5 % faster" in " ".join(capsys.readouterr().out.split())


def calibrated(store, number, **manifest):
    """Return a stored calibration of two cases whose blocks differ by about 2 %."""
    rows = [row | {"stage": "calibrate"} for case in ("a", "b") for row in samples(case, 2 * NOISE)]
    tables = {"measurements": [*both("a"), *both("b")], "samples": rows}
    about = {"run_id": f"r{number}", "purpose": "calibrate", **manifest}
    return read_run(write_run(store / "_staging" / f"r{number}", store / "runs" / f"r{number}", about, [], tables))


def test_blocks_and_changes_are_those_of_an_ab_with_the_same_margin_and_compiled_cases(tmp_path):
    given = [None, {"margin": 0.03, "compiles": []}, {"margin": 0.1, "compiles": []}, {"margin": 0.03, "compiles": ["a", "b", "gone"]}]  # fmt: skip
    runs = [calibrated(tmp_path, 1), *(calibrated(tmp_path, 2 + n, calibration=each) for n, each in enumerate(given))]
    older, null, plain, wide, compiling = [calibration_of(run) for run in runs]
    pd.testing.assert_frame_equal(older, plain)
    pd.testing.assert_frame_equal(null, plain)
    for found, compiles, margin in ((plain, [], 0.03), (wide, [], 0.1), (compiling, ["a", "b"], 0.03)):
        plan = make_plan(cases={"a": "both", "b": "both"}, controls={}, compiles=compiles, sides={}, margin=margin)
        spread = found["spread"].iloc[0]
        assert set(found["screen_blocks"]) == {screen_blocks(spread, plan)}
        assert set(found["confirm_blocks"]) == {confirm_blocks(spread, plan)}
    assert wide["confirm_blocks"].max() < plain["confirm_blocks"].min() < compiling["confirm_blocks"].min()
    assert wide["screen_blocks"].max() < plain["screen_blocks"].min()
