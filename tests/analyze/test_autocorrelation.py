"""The order of raw samples, why some were dropped, and their autocorrelation, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from gatebench.analyze.autocorrelation import autocorrelation
from gatebench.analyze.raw_samples import in_order, reasons


def sample(wall_ns=1.0, block=0, number=0, **more):
    return {
        "run_id": "r", "case_id": "c", "side": "run", "stage": "run", "quantity": "time", "block": block, "round": number,
        "position": 0, "wall_ns": wall_ns, "event_ns": None, "dropped": False, "reason": None, **more,
    }  # fmt: skip


def block_of(logs, block=0, dropped=(), **more):
    """Return the samples of a block whose log times are `logs`; dropped: at which rounds."""
    return [
        sample(float(np.exp(log)), block, number, dropped=number in dropped, **more) for number, log in enumerate(logs)
    ]


def lags(rows, side="run"):
    table = autocorrelation(in_order(pd.DataFrame(rows)))
    return table[table["side"] == side].set_index("lag")


def test_samples_stand_in_the_order_of_stage_block_round_and_place_in_the_round():
    rows = [
        sample(6, block=2, stage="confirm"), sample(5, block=1, number=1, stage="screen"),
        sample(4, block=1, number=0, position=1, side="base", stage="screen"),
        sample(3, block=1, number=0, position=0, side="head", stage="screen"), sample(1, block=0, stage="screen"),
        sample(9, quantity="import"),
    ]  # fmt: skip
    ordered = in_order(pd.DataFrame(rows))
    assert ordered["time_ns"].tolist() == [1, 3, 4, 5, 6]
    assert ordered["place"].tolist() == [1, 2, 3, 4, 5]


def test_a_sample_is_kept_or_disturbed_and_kept_or_dropped():
    rows = [sample(), sample(number=1, reason="steal: 9 %"), sample(number=2, dropped=True, reason="steal: 9 %")]
    assert in_order(pd.DataFrame(rows))["state"].tolist() == ["kept", "kept all the same", "dropped"]


def test_the_time_is_that_of_cuda_events_where_there_are_some():
    ordered = in_order(pd.DataFrame([sample(10, event_ns=7.0), sample(10, number=1)]))
    assert ordered["time_ns"].tolist() == [7, 10]


def test_reasons_that_differ_in_numbers_only_are_counted_together_with_the_range():
    texts = [
        "steal: 6 % of the time",
        "steal: 25 % of the time",
        "other processes: 30 %",
        "steal: 12 % of the time",
        None,
    ]
    rows = [sample(number=number, dropped=True, reason=text) for number, text in enumerate(texts)]
    rows += [sample(number=9, reason="other processes: 40 %")]
    found = reasons(in_order(pd.DataFrame(rows)))
    assert found.values.tolist() == [
        ["dropped", "steal: 6 to 25 % of the time", 3],
        ["dropped", "other processes: 30 %", 1],
        ["dropped", "no reason given", 1],
        ["kept all the same", "other processes: 40 %", 1],
    ]


def test_no_reason_is_listed_where_all_were_kept():
    assert reasons(in_order(pd.DataFrame([sample()]))).empty


def test_autocorrelation_by_lag_as_worked_out_by_hand():
    # Logs 1, 2, 3, 4 around 2.5: d = -1.5, -0.5, 0.5, 1.5; Σ d² = 5.
    # Lag 1: (0.75 - 0.25 + 0.75) / 5 = 0.25, and back 3 / (4 · 3) = 0.25. Lag 2: (-0.75 - 0.75) / 5 + 2 / 12.
    found = lags(block_of([1, 2, 3, 4]))
    assert found.index.tolist() == [1, 2]
    assert found["autocorrelation"].tolist() == pytest.approx([0.5, -0.3 + 1 / 6])
    assert found["bound"].tolist() == pytest.approx([0.98, 0.98])  # 1.96 / √4
    assert found["samples"].tolist() == [4, 4]


def test_blocks_are_averaged_each_around_its_own_mean():
    # Logs 1, -1, 1, -1 around 0: lag 1: -3 / 4 + 1 / 4 = -0.5; a shift of the whole block changes nothing.
    found = lags(block_of([1, 2, 3, 4], block=0) + block_of([8, 6, 8, 6], block=1))
    assert found.loc[1, "autocorrelation"] == pytest.approx((0.5 - 0.5) / 2)
    assert found.loc[1, "blocks"] == 2
    assert found.loc[1, "bound"] == pytest.approx(1.96 / np.sqrt(8))


def test_a_dropped_sample_is_a_gap_and_no_neighbour():
    # Kept logs 1, 2, 3, 4 with a dropped one between 2 and 3: pairs one apart are (1, 2) and (3, 4).
    # (0.75 + 0.75) / 5 + 2 / 12
    found = lags(block_of([1, 2, 99, 3, 4], dropped=[2]))
    assert found.loc[1, "autocorrelation"] == pytest.approx(0.3 + 1 / 6)
    assert found.loc[1, "samples"] == 4


def test_sides_are_told_apart():
    rows = block_of([1, 2, 3, 4], side="base") + block_of([1, -1, 1, -1], side="head")
    assert lags(rows, "base").loc[1, "autocorrelation"] == pytest.approx(0.5)
    assert lags(rows, "head").loc[1, "autocorrelation"] == pytest.approx(-0.5)


def test_samples_in_random_order_have_none_on_the_average():
    random = np.random.default_rng(3)
    rows = [row for block in range(400) for row in block_of(random.normal(0, 0.1, 6), block)]
    found = lags(rows)
    assert found.index.tolist() == [1, 2, 3]
    assert found["autocorrelation"].abs().max() < 0.05  # without the correction it is -1/6 at lag 1


@pytest.mark.parametrize("logs", [[1, 2, 3], [2, 2, 2, 2, 2]], ids=["three samples", "no spread"])
def test_a_block_that_says_nothing_gives_no_row(logs):
    assert lags(block_of(logs)).empty


def test_lags_go_up_to_twenty():
    assert lags(block_of(np.sin(np.arange(100)))).index.tolist() == list(range(1, 21))


def test_a_time_of_zero_breaks_nothing():
    rows = [*block_of([1, 2, 3, 4]), sample(0.0, number=4, dropped=True)]
    assert lags(rows).loc[1, "autocorrelation"] == pytest.approx(0.5)
