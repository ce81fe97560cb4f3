"""Two sides in one frame of one form: implementations, dtypes, runs, machines, versions; numbers worked out by hand."""

import math

import pandas as pd
import pytest

from gatebench.analyze.compare import compare
from gatebench.analyze.sides import (
    ABOUT,
    CHANGE,
    COLUMNS,
    MEANS,
    SPEEDUP,
    of_dtypes,
    of_implementations,
    of_runs,
    of_versions,
)
from gatebench.analyze.two_runs import changes
from gatebench.store.schema import arrow_schema
from tests.report.ab_reports import EVERY, report

ONE = [0.0, 0.01, -0.01]
NUMBERS = ["value", "low", "high"]


def row(implementation="native", logs=ONE, run="r", shape="s", dtype="float32", **more):
    """Return a measurement, and under `logs` the log times of its blocks in units of 1 ms; no logs: no time."""
    timed = bool(logs) and more.get("status", "ok") == "ok"
    return {
        **dict.fromkeys(ABOUT), "gate": "lstm", "gate_options": "{}", "implementation": implementation, "implementation_options": "{}",
        "mode": "forward", "dtype": dtype, "device": "cpu", "threads": 2, "batch": 4, "seq_len": 8, "input_size": 16,
        "hidden_size": 16, "cache": "hot", "launch": "eager", "seed": 0, "harness": "worker", "side": "run", "run_id": run,
        "case_id": f"lstm/{implementation}/{shape}/{dtype}", "problem_id": f"lstm/{shape}/{dtype}", "family": "recurrent",
        "status": "ok", "reason": None, "time_ns": 1e6 * math.exp(sum(logs) / len(logs)) if timed else math.nan, "ci_low_ns": math.nan,
        "ci_high_ns": math.nan, "blocks": len(logs) if timed else None, "error_ratio": 1.0, "unsteady": False, "logs": logs, **more,
    }  # fmt: skip


def frames(*rows, disturbed=None):
    """Return measurements and samples of rows."""
    samples = [
        {
            "run_id": each["run_id"], "case_id": each["case_id"], "side": each["side"], "quantity": "time", "block": block,
            "dropped": False, "reason": disturbed, "wall_ns": 1e6 * math.exp(log),
        }
        for each in rows for block, log in enumerate(each["logs"] or [])
    ]  # fmt: skip
    columns = ["run_id", "case_id", "side", "quantity", "block", "dropped", "reason", "wall_ns"]
    return pd.DataFrame(rows).drop(columns="logs"), pd.DataFrame(samples, columns=columns)


def implementations(*rows, other="numba", **more):
    return of_implementations(*frames(*rows, **more), "native", (other, "{}"))


def failed(implementation, status="failed", **more):
    return row(implementation, None, status=status, reason="it broke", **more)


TWICE = [log - math.log(2) for log in ONE]  # half the time


def test_implementations_have_the_numbers_of_compare():
    rows = [row(), row("numba", [0.3, 0.5, 0.4])]
    found = implementations(*rows)
    compared = compare(*frames(*rows), "native").iloc[1]
    assert found.rows[NUMBERS].iloc[0].tolist() == compared[["speedup", "speedup_low", "speedup_high"]].tolist()
    assert (found.measure, found.judged) == (SPEEDUP, False)


def test_a_speed_up_stands_with_its_pairs_both_times_and_its_outcome():
    found = implementations(row(), row("numba", TWICE)).rows.iloc[0]
    assert found["value"] == pytest.approx(2.0)
    assert (found["pairs"], found["outcome"], found["key"]) == (3, "faster", "lstm/numba/s/float32")
    assert (found["amount_a"], found["amount_b"]) == (pytest.approx(1e6), pytest.approx(5e5))
    assert (found["case_id_a"], found["side_b"]) == ("lstm/native/s/float32", "run")


@pytest.mark.parametrize(
    ("logs", "outcome"),
    [(TWICE, "faster"), ([0.7, 0.7, 0.71], "slower"), ([0.1, -0.1, 0.02], "not told apart"), ([0.5], "inconclusive")],
)
def test_the_interval_decides_the_outcome(logs, outcome):
    assert implementations(row(), row("numba", logs)).rows["outcome"].tolist() == [outcome]


def test_what_others_disturbed_is_inconclusive_however_clear():
    found = implementations(row(), row("numba", TWICE), disturbed="steal above 5 %").rows.iloc[0]
    assert found["outcome"] == "inconclusive"
    assert found["reason"] == "others disturbed over a fifth of its samples in A or B"
    assert found["value"] == pytest.approx(2.0)


def test_what_failed_or_is_not_there_is_a_row_with_a_reason():
    rows = [row(shape="a"), failed("numba", shape="a"), failed("native", "timeout", shape="b"), row("numba", shape="b"), row(shape="c"), row("numba", shape="d")]  # fmt: skip
    found = implementations(*rows).rows.set_index("key")
    assert found[["outcome", "reason"]].to_numpy().tolist() == [
        ["failed", "B failed: it broke"], ["timeout", "A timed out: it broke"], ["only in B", "A has no such case"], ["only in A", "B has no such case"],
    ]  # fmt: skip
    assert found.index.tolist()[-1] == "lstm/native/c/float32"
    assert found["value"].isna().all()
    assert found["gate"].tolist() == ["lstm"] * 4


def test_wrong_on_both_sides_is_said_of_both():
    found = implementations(failed("native", "out_of_memory"), failed("numba", "wrong")).rows.iloc[0]
    assert (found["outcome"], found["reason"]) == ("wrong", "A ran out of memory: it broke; B is wrong: it broke")


def test_a_failure_of_either_side_is_more_than_a_refusal():
    found = implementations(failed("native", "timeout"), failed("numba", "unavailable")).rows.iloc[0]
    assert (found["outcome"], found["reason"]) == ("timeout", "A timed out: it broke; B is unavailable: it broke")


def test_what_is_alike_on_both_sides_is_said_once():
    found = implementations(failed("native", "unavailable"), failed("numba", "unavailable")).rows.iloc[0]
    assert found["reason"] == "either side is unavailable: it broke"


def test_a_right_result_that_nobody_timed_is_no_failure():
    found = implementations(row(), row("numba", None)).rows.iloc[0]
    assert (found["outcome"], found["reason"]) == ("no time", "no time of B")


def test_the_baseline_with_default_options_is_what_others_are_divided_by():
    tuned = row(logs=TWICE, implementation_options='{"a": 1}') | {"case_id": "lstm/native/s/float32;a=1"}
    found = implementations(tuned, row(), row("numba")).rows
    assert found["case_id_a"].tolist() == ["lstm/native/s/float32"]
    of_variant = of_implementations(*frames(tuned, row()), "native", ("native", '{"a": 1}')).rows
    assert of_variant["value"].tolist() == [pytest.approx(2.0)]
    alone = of_implementations(*frames(tuned), "native", ("native", '{"a": 1}')).rows
    assert alone["value"].isna().all()


def test_the_geometric_mean_is_over_the_problems_of_a_group():
    rows = [row(shape="a"), row("numba", TWICE, shape="a"), row(shape="b"), row("numba", [log - math.log(8) for log in ONE], shape="b"), row("eager", shape="b")]  # fmt: skip
    means = implementations(*rows).means
    assert list(means.columns) == MEANS
    assert means[["value", "cases"]].to_numpy().tolist() == [[pytest.approx(4.0), 2]]


def test_dtypes_pair_the_case_that_is_alike_otherwise():
    rows = [row(), row(dtype="bfloat16", logs=TWICE), row("numba"), row("eager", dtype="bfloat16")]
    found = of_dtypes(*frames(*rows), "float32", "bfloat16")
    keyed = found.rows.set_index("key")
    assert keyed.loc["lstm/native/s/bfloat16", "value"] == pytest.approx(2.0)
    assert keyed["outcome"].to_dict() == {
        "lstm/native/s/bfloat16": "faster",
        "lstm/eager/s/bfloat16": "only in B",
        "lstm/numba/s/float32": "only in A",
    }
    assert keyed["implementation"].tolist() == ["native", "eager", "numba"]
    assert found.means["value"].tolist() == [pytest.approx(2.0)]


def two_runs(before, after, across=False):
    return of_runs(frames(*before), frames(*after), across)


def test_runs_have_the_numbers_of_changes():
    sides = [row(run="old", logs=[0.0, 0.1, 0.2])], [row(run="new", logs=[0.3, 0.4, 0.5, 0.4])]
    found, reference = two_runs(*sides), changes(*(frames(*side) for side in sides)).iloc[0]
    assert found.rows[NUMBERS].iloc[0].tolist() == reference[["change", "change_low", "change_high"]].tolist()
    assert found.rows[["outcome", "blocks_a", "blocks_b", "run_id_a", "run_id_b"]].iloc[0].tolist() == [
        "slower",
        3,
        4,
        "old",
        "new",
    ]
    assert found.rows["pairs"].isna().all()
    assert (found.measure, found.judged) == (CHANGE, False)
    assert found.means["value"].tolist() == [pytest.approx(math.expm1(0.3))]


def test_two_machines_are_speed_ups_whose_intervals_changed_ends():
    sides = [row(run="old", logs=ONE)], [row(run="new", logs=TWICE)]
    found, change = two_runs(*sides, across=True), two_runs(*sides).rows.iloc[0]
    assert found.measure == SPEEDUP
    assert found.rows["value"].tolist() == [pytest.approx(2.0)]
    assert found.rows["low"].tolist() == [pytest.approx(1 / (1 + change["high"]))]
    assert found.rows["outcome"].tolist() == ["faster"]
    assert found.means["value"].tolist() == [pytest.approx(2.0)]


def test_cases_of_one_run_alone_are_said():
    found = two_runs([row(run="old"), row("eager", run="old")], [row(run="new"), failed("numba", run="new")]).rows
    assert dict(zip(found["key"], found["outcome"], strict=True)) == {
        "lstm/native/s/float32": "not told apart", "lstm/numba/s/float32": "failed", "lstm/eager/s/float32": "only in A",
    }  # fmt: skip
    assert found["reason"].tolist()[1] == "B failed: it broke; A has no such case"
    assert found["case_id_b"].isna().tolist() == [False, False, True]


def verdicts(**columns):
    known = {"run_id": "r", "case_id": "lstm/native/s/float32", "quantity": "time", "verdict": "slower", "change": 0.05}
    known |= {
        "ci_low": 0.04,
        "ci_high": 0.06,
        "margin": 0.03,
        "minimum_detectable_effect": 0.02,
        "blocks": 12,
        "reason": None,
    }
    return {name: known.get(name) for name in arrow_schema("verdicts").names} | columns


def test_versions_show_the_stored_verdicts_as_they_are():
    stored = pd.DataFrame([
        verdicts(), verdicts(case_id="c", verdict="same", quantity="peak_bytes"),
        verdicts(case_id="lstm/native/x", verdict="gone", change=None), verdicts(case_id="control"),
    ])  # fmt: skip
    measured, _ = frames(
        row(side="base"), row(side="head", logs=TWICE), row(side="base", shape="x", case_id="lstm/native/x")
    )
    found = of_versions(stored, measured, controls=["control"])
    assert (found.measure, found.judged, len(found.means)) == (CHANGE, True, 0)
    assert list(found.rows.columns) == COLUMNS
    assert found.rows[["key", "value", "low", "high", "pairs", "outcome", "margin", "detectable"]].iloc[0].tolist() == [
        "lstm/native/s/float32", 0.05, 0.04, 0.06, 12, "slower", 0.03, 0.02,
    ]  # fmt: skip
    assert found.rows[["amount_a", "amount_b"]].iloc[0].tolist() == [pytest.approx(1e6), pytest.approx(5e5)]
    gone = found.rows.iloc[1]
    assert (gone["outcome"], gone["gate"], gone["side_a"], len(found.rows)) == ("gone", "lstm", "base", 2)
    assert pd.isna(gone["amount_b"])


def test_every_kind_of_verdict_comes_through():
    run = report(*EVERY)
    found = of_versions(run.verdicts, run.measurements, controls=run.plan["controls"]).rows
    expected = ["slower", "faster", "same", "inconclusive", "new", "gone", "wrong", "failed", "same"]
    assert found["outcome"].tolist() == expected
    assert found["reason"].iloc[6] == "grad:x has error_ratio 31.2; at most 10 is accepted"
    assert found["status_b"].iloc[7] == "timeout"
    assert found["gate"].tolist()[4:6] == ["glu", "glu"], "what one side alone has is named, too"


@pytest.mark.parametrize(
    ("columns", "amounts"),
    [
        ([{"peak_bytes": 1024}, {"peak_bytes": 2048}], ("peak_bytes", [1024, 2048])),
        ([{"compile_warm_ns": 2e9, "compile_cold_ns": 9e9}, {"compile_warm_ns": 3e9, "compile_cold_ns": 8e9}], ("compile", [2e9, 3e9])),
        ([{"compile_warm_ns": 2e9, "compile_cold_ns": 9e9}, {"compile_warm_ns": None, "compile_cold_ns": 8e9}], ("compile", [9e9, 8e9])),
    ],
)  # fmt: skip
def test_other_quantities_of_versions_show_what_was_counted(columns, amounts):
    quantity, expected = amounts
    measured, _ = frames(*(row(side=side, **own) for side, own in zip(("base", "head"), columns, strict=True)))
    found = of_versions(pd.DataFrame([verdicts(quantity=quantity)]), measured, quantity).rows
    assert found[["amount_a", "amount_b"]].iloc[0].tolist() == expected
    assert found[["low_a", "high_b"]].isna().all(axis=None)


def test_every_kind_has_the_same_columns():
    found = [
        implementations(row(), row("numba")),
        of_dtypes(*frames(row()), "float32", "float64"),
        two_runs([row()], [row()]),
    ]
    assert all(list(sides.rows.columns) == COLUMNS and list(sides.means.columns) == MEANS for sides in found)
