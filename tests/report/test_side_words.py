"""Two sides in words and tables, against hand-made rows."""

import math

import numpy as np
import pandas as pd
from two_sides import row, sides

from gatebench.analyze.sides import CHANGE, COLUMNS
from gatebench.report.side_words import blocks_text, case_names, group_names, shown_rows, without_number


def test_n_is_pairs_or_the_blocks_of_both_sides():
    rows = pd.DataFrame(
        [row(), row(pairs=1), row(pairs=np.nan, blocks_b=3), row(math.nan, pairs=np.nan)], columns=COLUMNS
    )
    assert [blocks_text(each) for each in rows.itertuples()] == [
        "5 pairs of blocks",
        "1 pair of blocks",
        "5 and 3 blocks",
        "–",
    ]


def test_groups_and_cases_tell_what_differs():
    rows = pd.DataFrame([row(), row(dtype="bfloat16"), row(cache="cold", gate_options='{"beta": 1.0}', seed=3), row(gate=None, key="lstm/x/T1")], columns=COLUMNS)  # fmt: skip
    assert group_names(rows).tolist()[:3] == [
        "lstm, forward, float32",
        "lstm, forward, bfloat16",
        "lstm (beta=1.0), forward, float32, cache cold",
    ]
    assert case_names(rows).tolist() == ["T8 B4 H16 seed 0", "T8 B4 H16 seed 0", "T8 B4 H16 seed 3", "lstm/x/T1"]


def test_the_table_has_every_number_with_interval_n_and_outcome():
    found = shown_rows(sides(row(2.0, 1.8, 2.5, low_b=9e5, high_b=1.1e6), row(math.nan, outcome="failed")))
    assert found.to_dict("records") == [{
        "gate, mode": "lstm, forward", "case": "T8 B4 H16", "speed-up of B over A (95 %)": "2.00× (1.80 to 2.50)",
        "n": "5 pairs of blocks", "outcome": "faster", "A": "2.00 ms (no interval)", "B": "1.00 ms (0.900 to 1.10)", "why": "",
    }]  # fmt: skip


def test_a_time_without_an_interval_says_so():
    without = row(0.25, math.nan, math.nan, "inconclusive", pairs=math.nan, blocks_a=1, blocks_b=1)
    assert shown_rows(sides(without)).iloc[0]["speed-up of B over A (95 %)"] == "0.250× (no interval)"
    assert shown_rows(sides(without, measure=CHANGE)).iloc[0]["change from A to B (95 %)"] == "+25.0 % (no interval)"


def test_verdicts_are_named_by_their_quantity_and_show_what_could_have_been_seen():
    stored = row(0.25, math.nan, math.nan, "slower", amount_a=1024, amount_b=1280, detectable=0.02)
    found = shown_rows(sides(stored, measure=CHANGE, judged=True), "peak_bytes").iloc[0]
    assert found[["verdict", "A", "B", "detectable"]].tolist() == ["more memory", "1 KiB", "1.25 KiB", "2.0 %"]
    assert found["change from A to B (95 %)"] == "+25.0 %"


def test_cases_without_a_number_are_gathered_by_reason_failures_first():
    refused = [
        row(math.nan, outcome="unavailable", seq_len=t, reason="no CUDA device", implementation="cudnn")
        for t in range(20)
    ]
    refused += [
        row(math.nan, outcome="unavailable", gate=f"gate{n}", reason="no CUDA device", implementation="cudnn")
        for n in range(8)
    ]
    missing = [row(math.nan, outcome="out_of_memory", seq_len=t, reason="B ran out of memory: 8 GB") for t in (8, 16)]
    found = without_number(sides(*refused, *missing, row()))
    assert found.to_dict("records") == [
        {
            "implementation": "numba", "outcome": "out of memory", "cases": 2, "why": "B ran out of memory: 8 GB",
            "where": "lstm · forward · T8 B4 H16, T16 B4 H16",
        },
        {
            "implementation": "cudnn", "outcome": "unavailable", "cases": 28, "why": "no CUDA device",
            "where": "lstm, " + ", ".join(f"gate{n}" for n in range(5)) + ", … and 3 more · forward · "
            + ", ".join(f"T{t} B4 H16" for t in range(6)) + ", … and 14 more",
        },
    ]  # fmt: skip
