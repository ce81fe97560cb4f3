"""The table of a calibration: a line for each case, however long its name, and in words what deserves a look."""

import pandas as pd

from gatebench.report.calibration import noise_block
from gatebench.report.terminal import print_block

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
