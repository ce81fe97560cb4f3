"""Figures by their data and layout, and the small tables behind them, against hand-made frames."""

import math

import numpy as np
import pandas as pd
from figure_helpers import long_rows, marks, profile, row, samples_of, trace

from gatebench.cases import COMMAND_LINE_SUITE
from gatebench.report import colours, quantities
from gatebench.report import stability as stability_tables
from gatebench.report.figures.axes import time_ticks
from gatebench.report.figures.layout import MOST_MARKS
from gatebench.report.figures.saturation import saturation_figure
from gatebench.report.figures.scaling import scaling_figure
from gatebench.report.figures.stability import norm_figure, summary_figure
from gatebench.report.figures.winner_map import winner_map_figure
from gatebench.report.names import by_value, run_label
from gatebench.report.runs import failures, news
from gatebench.report.winners import winner_cells


def test_an_implementation_has_one_colour_in_every_figure():
    rows = [row("mylab:fused", time_ns=1e6), row("native", time_ns=2e6)]
    frame = pd.DataFrame(rows)
    line = trace(scaling_figure(frame), "mylab:fused").line.color
    tile = trace(winner_map_figure(winner_cells(frame, samples_of(rows))), "mylab:fused").marker.color
    assert line == tile == colours.implementation_colour("mylab:fused")
    assert colours.implementation_colour("mylab:fused") not in colours.BUILT_IN.values()


def test_built_in_colours_differ_also_for_the_colour_blind():
    # Viénot et al. 1999: what a protanope and a deuteranope see of linear RGB; distances in sRGB, 0 to 255.
    weights = {"protan": (0.1124, 0.8876), "deutan": (0.2927, 0.7073)}
    for red, green in weights.values():
        seen = {}
        for name, colour in colours.BUILT_IN.items():
            linear = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
            yellow = red * linear[0] + green * linear[1]
            seen[name] = np.array([yellow, linear[2]]) ** (1 / 2.2) * 255
        names = list(seen)
        closest = min(np.linalg.norm(seen[a] - seen[b]) for a in names for b in names if a < b)
        assert closest > 20, {name: value.round() for name, value in seen.items()}
    assert len({colours.implementation_marker(name) for name in colours.BUILT_IN}) == len(colours.BUILT_IN)


def test_no_figure_exceeds_its_marks_however_large_the_data():
    names = [f"lab:{number}" for number in range(60)]
    big = [row(name, t) for name in names for t in range(1, 60)]
    assert marks(scaling_figure(pd.DataFrame(big))) <= MOST_MARKS
    curves = pd.concat(
        stability_tables.norm_curves(pd.DataFrame(profile(seeds=1, lags=2001, gate=f"gate{n}", init=init)))
        for n in range(4) for init in ("torch", "chrono")
    )  # fmt: skip
    assert marks(norm_figure(curves)) <= MOST_MARKS
    cells = pd.DataFrame({"seq_len": t, "hidden_size": h, "state": "not measured", "outcomes": ""}
                         for t in range(100) for h in range(100)).reindex(
        columns=winner_cells(pd.DataFrame(), pd.DataFrame()).columns)  # fmt: skip
    assert marks(winner_map_figure(cells)) <= MOST_MARKS


def test_empty_frames_give_figures_that_say_so():
    nothing = pd.DataFrame(columns=list(long_rows(metric="", value=0.0)))
    for figure in (
        norm_figure(stability_tables.norm_curves(nothing)),
        summary_figure(stability_tables.case_summary(nothing)),
        saturation_figure(stability_tables.saturation_table(nothing)),
        winner_map_figure(winner_cells(pd.DataFrame(), pd.DataFrame())),
    ):
        assert figure.layout.annotations[0].text.startswith("No ")


def test_times_read_with_unit_and_three_digits():
    texts = [quantities.time_text(value) for value in (12.34, 1840.0, 1.84e6, 2.5e9, None, math.nan)]
    assert texts == ["12.3 ns", "1.84 µs", "1.84 ms", "2.50 s", "–", "–"]
    assert quantities.estimate_text(1.84e6, 1.8e6, 1.89e6) == "1.84 ms (1.80 to 1.89)"
    assert quantities.estimate_text(294e3, 5.92e3, 14.6e6) == "294 µs (5.92 µs to 14.6 ms)"
    assert quantities.estimate_text(1.84e6, None, math.nan) == "1.84 ms (no interval)"


def test_time_ticks_are_round_and_named():
    values, labels = time_ticks(3e5, 2e6)
    assert "500 µs" in labels
    assert "1 ms" in labels
    assert values == sorted(values)
    assert time_ticks(1e3, 1e9)[1] == ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"]
    assert time_ticks(2.7e6, 2.9e6)[1] == ["2.7 ms", "2.8 ms", "2.9 ms"]  # around one point


def test_a_run_is_named_by_its_suite_unless_it_has_none():
    run = ("20261120T231500Z-4f1c", "2026-11-20T23:15:00+00:00")
    assert run_label(run[0], "quick", run[1]) == "2026-11-20 23:15 quick 4f1c"
    assert run_label(run[0], COMMAND_LINE_SUITE, run[1], "reference") == "ref. 2026-11-20 23:15 4f1c"
    assert run_label(run[0], "quick", run[1], harness="pytest") == "2026-11-20 23:15 quick pytest 4f1c"


def test_a_column_is_named_value_by_value_nothing_too():
    column = pd.Series([1.0, None, 1.0], index=[5, 6, 9])
    named = by_value(column, lambda value: "none" if value != value else f"{value:g}")
    assert named.to_dict() == {5: "1", 6: "none", 9: "1"}
    assert by_value(column[:0], str).empty


def test_failures_are_gathered_by_reason():
    rows = [row("numba", 64, time_ns=None), row("numba", 128, time_ns=None), row("native", 64)]
    table = failures(pd.DataFrame(rows))
    assert table[["status", "implementation", "reason", "cases"]].to_numpy().tolist() == [
        ["failed", "numba", "it broke", 2]
    ]


def test_news_compares_with_runs_of_the_same_environment_only():
    runs = pd.DataFrame({"run_id": ["a", "b", "c"], "place": ["x", "y", "x"], "harness": "worker"})
    before = [row("native", run_id="a"), row("numba", run_id="b")]
    now = [row("native", run_id="c", time_ns=None), row("numba", run_id="c")]
    found = news(runs, pd.DataFrame(before + now), "c")
    assert found[0] == "New implementation: numba."
    assert "Wrong or failed now, ok before: 1 case (lstm by native)." in found
    assert "Never measured on this machine before: 1 case (lstm by numba)." in found
    assert news(runs, pd.DataFrame(before + now), "b") == [
        "First run of this machine: there is nothing to compare it with."
    ]
    runs["harness"] = ["worker", "worker", "pytest"]
    assert news(runs, pd.DataFrame(before + now), "c") == [
        "First run of this machine with the harness pytest: there is nothing to compare it with."
    ]
