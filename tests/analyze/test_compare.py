"""Comparing implementations: paired blocks, baselines, ties, geometric means; numbers worked out by hand."""

import math

import pandas as pd
import pytest

from gatebench.analyze.compare import compare, geometric_means, pay_back_calls

# Two cases of one block drift by the same factor: their ratio has no spread at all.
DRIFT = {0: 1.0, 1: 1.3, 2: 0.8}
TABLE = {
    "run_id": "r", "side": "run", "gate": "gru", "gate_options": "{}", "dtype": "float32", "mode": "forward",
    "device": "cpu", "threads": 2, "cache": "hot", "launch": "eager", "harness": "worker",
}  # fmt: skip


def row(implementation, time_ns, problem="p", options="{}", **other):
    """Return one measurement."""
    case_id = f"{implementation}/{problem}/{options}/{sorted(other.items())}"
    return {
        **TABLE, "case_id": case_id, "problem_id": problem, "implementation": implementation,
        "implementation_options": options, "time_ns": time_ns, **other,
    }  # fmt: skip


def samples(rows, spread=None):
    """Return one sample per block of every timed row; spread: log factor by (implementation, block)."""
    found = [
        {
            "run_id": each["run_id"], "case_id": each["case_id"], "side": "run", "quantity": "time", "block": block,
            "dropped": False, "reason": None,
            "wall_ns": each["time_ns"] * factor * math.exp((spread or {}).get((each["implementation"], block), 0.0)),
        }
        for each in rows if each["time_ns"] for block, factor in DRIFT.items()
    ]  # fmt: skip
    return pd.DataFrame(found)


def compared(rows, baseline=None, spread=None):
    """Compare rows whose samples drift alike."""
    return compare(pd.DataFrame(rows), samples(rows, spread), baseline)


def test_speed_ups_pair_the_blocks_of_two_cases():
    rows = [row("eager", 6e6), row("numba", 2e6), row("failed", None)]
    measurements = pd.DataFrame(rows, index=[7, 3, 9])
    found = compare(measurements, samples(rows))
    assert list(found.index) == [7, 3, 9]
    numba = found.loc[3]
    assert (numba["baseline"], numba["rank"], numba["tied"]) == ("eager", 1, False)
    assert numba["baseline_case_id"] == rows[0]["case_id"]
    assert [numba[name] for name in ("speedup", "speedup_low", "speedup_high")] == pytest.approx([3.0] * 3)
    assert [found.loc[7][name] for name in ("speedup", "speedup_low", "speedup_high")] == [1.0] * 3
    failed = found.loc[9]
    assert failed["rank"] == 0
    assert pd.isna([failed["baseline_case_id"], failed["speedup"]]).all()


def test_an_interval_is_students_t_over_blocks():
    # Log ratios 0.1, 0.2, 0.3: mean 0.2, s = 0.1, t(2, 0.975) = 4.3027; half = 4.3027 * 0.1 / sqrt(3) = 0.24841.
    spread = {("numba", 0): -0.1, ("numba", 1): -0.2, ("numba", 2): -0.3}
    found = compared([row("eager", 1e6), row("numba", 1e6)], spread=spread).iloc[1]
    logs = [math.log(found[name]) for name in ("speedup", "speedup_low", "speedup_high")]
    assert logs == pytest.approx([0.2, 0.2 - 0.24841, 0.2 + 0.24841], abs=1e-4)


def test_as_fast_as_the_fastest_is_tied_and_so_is_the_fastest():
    spread = {("numba", 0): 0.02, ("numba", 1): -0.03, ("numba", 2): 0.02}
    found = compared([row("eager", 1e6), row("numba", 1.001e6), row("slow", 5e6)], spread=spread)
    assert list(found["tied"]) == [True, True, False]


def test_the_fastest_is_unsure_where_nothing_tells_it_from_the_next():
    rows = [row("eager", 1e6), row("numba", 2e6), row("slow", 9e6)]
    assert list(compared(rows)["unsure"]) == [False] * 3
    wide = compared(rows, spread={("numba", 0): 0.9, ("numba", 1): -0.9})
    assert list(wide["unsure"]) == [True, False, False]
    assert not wide["tied"].any(), "twice as slow is no tie"
    drawn = samples(rows)
    assert list(compare(pd.DataFrame(rows), drawn[drawn["block"] == 0])["unsure"]) == [True, False, False]
    assert list(compared(rows[:1])["unsure"]) == [False], "nothing else competes"


@pytest.mark.parametrize(("restless", "unsure"), [("eager", True), ("numba", True), ("slow", False)])
def test_the_fastest_is_unsure_where_it_or_the_next_never_settled(restless, unsure):
    rows = [{**row(name, time_ns), "unsteady": name == restless} for name, time_ns in (("eager", 1e6), ("numba", 2e6), ("slow", 9e6))]  # fmt: skip
    assert list(compared(rows)["unsure"]) == [unsure, False, False]


def test_native_goes_before_eager_and_a_wish_before_both():
    rows = [row("eager", 6e6), row("numba", 2e6), row("native", 3e6)]
    assert list(compared(rows)["baseline"]) == ["native"] * 3
    assert list(compared(rows, "numba")["speedup"]) == pytest.approx([1 / 3, 1.0, 2 / 3])


def test_one_table_has_one_baseline_even_where_it_lacks_a_time():
    rows = [row("eager", 6e6), row("native", 3e6), row("eager", 8e6, "q"), row("native", None, "q")]
    found = compared(rows)
    assert list(found["baseline"]) == ["native"] * 4
    assert list(found["baseline_case_id"].dropna()) == [rows[1]["case_id"]] * 2
    assert found["speedup"].isna().tolist() == [False, False, True, True]


def test_another_table_has_its_own_baseline():
    rows = [row("eager", 6e6), row("native", 3e6), row("eager", 8e6, "q", mode="backward")]
    assert list(compared(rows)["baseline"]) == ["native", "native", "eager"]


def test_the_default_options_of_the_baseline_are_the_baseline():
    rows = [row("eager", 6e6, options='{"a": 1}'), row("eager", 2e6), row("eager", 3e6, options='{"a": 2}')]
    found = compared(rows)
    assert set(found["baseline_case_id"]) == {rows[1]["case_id"]}
    assert list(found["speedup"]) == pytest.approx([1 / 3, 1.0, 2 / 3])


def test_geometric_means_count_wins_and_losses():
    rows = [
        row("eager", 8e6), row("numba", 2e6), row("slow", 16e6),
        row("eager", 8e6, "q"), row("numba", 8e6, "q"), row("slow", 32e6, "q"),
    ]  # fmt: skip
    means = geometric_means(compared(rows), samples(rows), ["gate"]).set_index("implementation")
    assert list(means.index) == ["numba", "slow"]
    assert list(means["geometric_mean"]) == pytest.approx([2.0, math.sqrt(0.5 * 0.25)])
    assert means.loc["numba", ["low", "high"]].tolist() == pytest.approx([2.0, 2.0])
    assert means[["problems", "wins", "losses"]].to_numpy().tolist() == [[2, 1, 0], [2, 0, 2]]


def test_variants_of_one_implementation_have_a_mean_each():
    rows = [
        row("native", 8e6),
        row("compile", 4e6, options='{"chunk": 8}'),
        row("compile", 2e6, options='{"chunk": 16}'),
    ]
    means = geometric_means(compared(rows), samples(rows), ["gate"])
    assert list(means["implementation_options"]) == ['{"chunk": 8}', '{"chunk": 16}']
    assert list(means["geometric_mean"]) == pytest.approx([2.0, 4.0])


def test_a_mean_uses_only_blocks_that_hold_all_its_problems():
    rows = [row("eager", 8e6), row("numba", 2e6), row("eager", 8e6, "q"), row("numba", 1e6, "q")]
    frame = samples(rows)
    lost = frame["case_id"].eq(rows[3]["case_id"]) & frame["block"].gt(0)
    found = compare(pd.DataFrame(rows), frame[~lost])
    mean = geometric_means(found, frame[~lost], ["gate"]).iloc[0]
    assert mean["geometric_mean"] == pytest.approx(math.sqrt(4 * 8))
    assert math.isnan(mean["low"])


def disturb(frame, count, kept=False, who=None):
    """Return samples of which the first `count` of ten rounds were disturbed: dropped, or kept for want of quieter ones."""
    rounds = pd.concat([frame.assign(round=number) for number in range(10)], ignore_index=True)
    hit = rounds["round"].lt(count) & (rounds["case_id"].str.startswith(who) if who else True)
    return rounds.assign(
        dropped=hit & (not kept), reason=[("steal: 30 % of the machine's CPU time" if each else None) for each in hit]
    )


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(("count", "expected"), [(0, False), (2, False), (3, True)])
def test_more_than_a_fifth_of_disturbed_samples_makes_a_case_inconclusive(count, expected, kept):
    rows = [row("eager", 6e6), row("numba", 2e6), row("failed", None)]
    found = compare(pd.DataFrame(rows), disturb(samples(rows), count, kept))
    assert found["inconclusive"].tolist() == found["speedup_inconclusive"].tolist() == [expected, expected, False]
    assert found["disturbed_share"].tolist()[:2] == pytest.approx([count / 10] * 2)
    assert found["speedup"].tolist()[:2] == pytest.approx([1.0, 3.0])


def test_nothing_is_won_or_paid_back_against_an_inconclusive_baseline():
    rows = [row("eager", 8e6, compile_cold_ns=None, compile_warm_ns=None), row("compile", 2e6, compile_cold_ns=2e9, compile_warm_ns=None)]  # fmt: skip
    kinds = {"compile_cold_ns": float, "compile_warm_ns": float}
    for who, unsure in (("nobody", 0), ("eager", 1), ("compile", 1)):
        found = compare(pd.DataFrame(rows).astype(kinds), disturb(samples(rows), 5, who=who))
        mean = geometric_means(found, samples(rows), ["gate"]).iloc[0]
        assert (mean["wins"], mean["losses"], mean["inconclusive"]) == (1 - unsure, 0, unsure)
        assert mean["geometric_mean"] == pytest.approx(4.0)
        assert math.isnan(pay_back_calls(found).iloc[1]) == bool(unsure)


def test_rows_of_different_harness_never_compete():
    rows = [row("eager", 8e6), row("numba", 2e6, harness="pytest"), row("numba", 4e6)]
    found = compared(rows)
    assert found["rank"].tolist() == [2, 1, 1]
    assert found["baseline_case_id"].tolist() == [rows[0]["case_id"], rows[1]["case_id"], rows[0]["case_id"]]
    assert found["speedup"].tolist() == pytest.approx([1.0, 1.0, 2.0])


def test_means_are_grouped_by_any_column_even_that_of_the_competitors():
    rows = [
        row("eager", 8e6), row("numba", 2e6), row("eager", 8e6, "q", gate="lstm"), row("numba", 1e6, "q", gate="lstm"),
    ]  # fmt: skip
    over_all = geometric_means(compared(rows), samples(rows), ["implementation"])
    assert over_all[["implementation", "problems", "wins"]].to_numpy().tolist() == [["numba", 2, 2]]
    assert over_all["geometric_mean"].item() == pytest.approx(math.sqrt(4 * 8))
    each = geometric_means(compared(rows), samples(rows), ["gate", "mode"])
    assert each[["gate", "mode"]].to_numpy().tolist() == [["gru", "forward"], ["lstm", "forward"]]
    assert each["geometric_mean"].tolist() == pytest.approx([4.0, 8.0])


def test_compiling_pays_back_after_its_cost_over_what_a_call_saves():
    compiled = {"compile_cold_ns": None, "compile_warm_ns": None}
    rows = [
        row("eager", 8e6, **compiled),
        row("compile", 3e6, options='{"chunk": 8}', compile_cold_ns=2e9, compile_warm_ns=None),  # 2 s / 5 ms
        row("compile", 6e6, options='{"chunk": 2}', compile_cold_ns=None, compile_warm_ns=1e8),  # 0.1 s / 2 ms
        row("compile", 9e6, options='{"chunk": 1}', compile_cold_ns=1e9, compile_warm_ns=None),
        row("compile", None, options='{"chunk": 4}', compile_cold_ns=1e9, compile_warm_ns=None),
        row("numba", 2e6, **compiled),
    ]
    frame = compared(rows).astype({"compile_cold_ns": float, "compile_warm_ns": float})
    assert pay_back_calls(frame).fillna(-1).tolist() == pytest.approx([-1, 400, 50, math.inf, -1, -1])


def test_what_cannot_be_told_from_the_baseline_pays_back_after_no_number():
    spread = {("compile", 0): 0.02, ("compile", 1): -0.03, ("compile", 2): 0.0}
    costs = {"compile_cold_ns": 1e9, "compile_warm_ns": None}
    rows = [row("eager", 8e6, compile_cold_ns=None, compile_warm_ns=None), row("compile", 7.99e6, **costs)]
    frame = compared(rows, spread=spread).astype({"compile_cold_ns": float, "compile_warm_ns": float})
    assert math.isnan(pay_back_calls(frame).iloc[1])
    one_block = compare(pd.DataFrame(rows), samples(rows).query("block == 0"))
    assert math.isnan(pay_back_calls(one_block.astype({"compile_warm_ns": float})).iloc[1])
