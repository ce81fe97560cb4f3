"""Two stored runs: unpaired changes by Welch's t, what only one of them holds, means; numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gatebench.analyze.two_runs import CASE, DESCRIBED, changes, mean_changes, welch_interval

LOGS = {"old": [0.0, 0.1, 0.2], "new": [0.3, 0.4, 0.5, 0.4]}


def rows(run, *cases, **more):
    """Return measurements of a run, a case per name."""
    return pd.DataFrame(
        [
            {
                **dict.fromkeys(DESCRIBED, "x"), "run_id": run, "case_id": case, "side": "run", "harness": "worker", "gate": case[0],
                "status": "ok", "reason": None, "time_ns": 1e6, "ci_low_ns": 9e5, "ci_high_ns": 1.1e6, "blocks": 3,
                "error_ratio": 1.0, "unsteady": False, **more,
            }
            for case in cases
        ]
    )  # fmt: skip


def samples(run, logs, disturbed=None):
    """Return one sample per block; logs: log times in units of 1 ms by case."""
    return pd.DataFrame(
        [
            {
                "run_id": run, "case_id": case, "side": "run", "quantity": "time", "block": block, "dropped": False,
                "reason": disturbed, "wall_ns": 1e6 * math.exp(log),
            }
            for case, values in logs.items() for block, log in enumerate(values)
        ]
    )  # fmt: skip


def changed(old_cases, new_cases):
    """Return changes between two runs; cases: log times by case."""
    frames = [(rows(run, *cases), samples(run, cases)) for run, cases in (("old", old_cases), ("new", new_cases))]
    return changes(*frames)


def test_a_change_is_welchs_t_over_unpaired_blocks():
    found = changed({"a": LOGS["old"]}, {"a": LOGS["new"]}).iloc[0]
    reference = stats.ttest_ind(LOGS["new"], LOGS["old"], equal_var=False).confidence_interval(0.95)
    assert found["change"] == pytest.approx(math.exp(0.3) - 1)
    assert found["change_low"] == pytest.approx(math.exp(reference.low) - 1)
    assert found["change_high"] == pytest.approx(math.exp(reference.high) - 1)


@pytest.mark.parametrize(("old", "new"), [([0.1], [0.2, 0.3, 0.2]), ([0.2, 0.1, 0.2], [0.4]), ([0.0], [1.0])])
def test_one_block_on_a_side_gives_no_interval(old, new):
    difference, low, high = welch_interval(np.array(old), np.array(new))
    assert difference == pytest.approx(np.mean(new) - np.mean(old))
    assert math.isnan(low)
    assert math.isnan(high)


def test_blocks_without_any_spread_give_an_interval_of_no_width():
    assert welch_interval(np.array([1.0, 1.0]), np.array([3.0, 3.0])) == (2.0, 2.0, 2.0)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(7)
    draws = 4000
    old, new = random.normal(0, 0.01, (draws, 3)), random.normal(0.05, 0.03, (draws, 4))
    ends = np.array([welch_interval(*pair)[1:] for pair in zip(old, new, strict=True)])
    covered = np.mean((ends[:, 0] < 0.05) & (ends[:, 1] > 0.05))
    assert 0.94 < covered < 0.975  # Welch's t is a little conservative with three blocks


def test_what_only_one_run_holds_is_kept_and_told_apart():
    found = changed({"a": [0.0, 0.1], "gone": [0.0, 0.1]}, {"new": [0.0, 0.1], "a": [0.0, 0.1]})
    assert found[["case_id", "found"]].to_numpy().tolist() == [["new", "after"], ["a", "both"], ["gone", "before"]]
    assert found["change"].isna().tolist() == [True, False, True]
    assert found["gate"].tolist() == ["n", "a", "g"]


def test_another_harness_or_side_is_another_case():
    for column, value in (("harness", "pytest"), ("side", "head")):
        old = rows("old", "a"), samples("old", {"a": LOGS["old"]})
        new = rows("new", "a", **{column: value}), samples("new", {"a": LOGS["new"]})
        found = changes(old, new)
        assert found["found"].tolist() == ["after", "before"]
        assert found["change"].isna().all()
        assert set(CASE) <= set(found.columns)


def test_a_case_without_a_time_on_one_side_has_no_change():
    broken = rows("new", "a", status="wrong", reason="values", time_ns=None, blocks=None)
    found = changes(
        (rows("old", "a"), samples("old", {"a": LOGS["old"]})), (broken, samples("new", {"a": LOGS["new"]}))
    )
    assert (found["status_before"].item(), found["status_after"].item()) == ("ok", "wrong")
    assert found["found"].item() == "both"
    assert math.isnan(found["change"].item())


def test_a_disturbed_run_makes_the_change_inconclusive():
    reason = "steal: 40 % of the machine's CPU time"
    for disturbed in ("old", "new"):
        frames = [
            (rows(run, "a"), samples(run, {"a": LOGS[run]}, reason if run == disturbed else None))
            for run in ("old", "new")
        ]
        found = changes(*frames)
        assert found["change_inconclusive"].item()
        assert found["change"].item() == pytest.approx(math.exp(0.3) - 1)
        mean = mean_changes(found, frames[0][1], frames[1][1], ["gate"]).iloc[0]
        assert (mean["slower"], mean["faster"]) == (0, 0)
    assert not changed({"a": LOGS["old"]}, {"a": LOGS["new"]})["change_inconclusive"].item()


def test_a_mean_of_changes_goes_over_cases_and_its_interval_over_blocks():
    old, new = {"a1": [0.0, 0.2], "a2": [0.2, 0.0], "b": [0.0, 0.0]}, {"a1": [0.5, 0.7], "a2": [0.3, 0.1], "b": [-0.1, -0.1]}  # fmt: skip
    frames = [(rows(run, *cases), samples(run, cases)) for run, cases in (("old", old), ("new", new))]
    found = mean_changes(changes(*frames), frames[0][1], frames[1][1], ["gate"]).set_index("gate")
    # Blocks' means: 0.1 and 0.1 before, 0.4 and 0.4 after: cases differ, blocks do not.
    assert found.loc["a", ["change", "low", "high"]].tolist() == pytest.approx([math.exp(0.3) - 1] * 3)
    assert found.loc["a", "cases"] == 2
    assert found.loc["b", ["cases", "slower", "faster"]].tolist() == [1, 0, 1]


def test_a_block_that_lacks_a_case_is_left_out_of_a_mean():
    old, new = {"a1": [0.0, 9.0], "a2": [0.0]}, {"a1": [0.1, 0.1], "a2": [0.3, 0.3]}
    frames = [(rows(run, *cases), samples(run, cases)) for run, cases in (("old", old), ("new", new))]
    found = mean_changes(changes(*frames), frames[0][1], frames[1][1], ["gate"]).iloc[0]
    assert found["change"] == pytest.approx(math.exp(0.2) - 1)
    assert math.isnan(found["low"])
