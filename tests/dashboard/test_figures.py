"""Figures by their data and layout, and the small tables behind them, against hand-made frames."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from figure_helpers import long_rows, marks, profile, row, samples_of, trace

from gatebench.cases import COMMAND_LINE_SUITE
from gatebench.report import colours, quantities
from gatebench.report import stability as stability_tables
from gatebench.report.figures.layout import MOST_MARKS
from gatebench.report.figures.scaling import scaling_figure, scaling_points
from gatebench.report.figures.stability import norm_figure, saturation_figure, summary_figure
from gatebench.report.figures.winner_map import winner_cells, winner_map_figure
from gatebench.report.names import by_value, run_label
from gatebench.report.runs import failures, news


def test_scaling_points_divide_by_steps_and_tokens():
    frame = pd.DataFrame([row(seq_len=10, time_ns=4000.0)])
    values = {per: scaling_points(frame, "seq_len", per)["value_ns"].item() for per in ("call", "step", "token")}
    assert values == {"call": 4000.0, "step": 400.0, "token": 100.0}
    images = scaling_points(frame.assign(family="channel"), "seq_len", "token")
    assert images["value_ns"].isna().all()


def test_scaling_points_name_what_nobody_measured():
    frame = pd.DataFrame([row("native", 64), row("native", 128), row("numba", 64)])
    points = scaling_points(frame).set_index(["competitor", "size"])
    assert points.loc[("numba", 128), "status"] == "not measured"
    assert len(points) == 4


def test_scaling_figure_draws_times_bands_and_a_lane_for_what_has_no_time():
    frame = pd.DataFrame([row("native", 64), row("native", 128, time_ns=None), row("native", 256, time_ns=4e6)])
    figure = scaling_figure(frame)
    line = trace(figure, "native")
    assert list(line.x) == [64, 128, 256]
    assert line.y[0] == 1e6
    assert math.isnan(line.y[1])
    assert line.connectgaps is False
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert [sorted(set(band.x)) for band in bands] == [[64], [256]], "a band must not span a size without a time"
    assert list(trace(figure, "failed").x) == [128]
    assert "it broke" in trace(figure, "failed").customdata[0]


def test_scaling_axes_are_logarithmic_with_units_and_ticks_at_the_measured_sizes():
    figure = scaling_figure(pd.DataFrame([row(seq_len=t, time_ns=t * 1e4) for t in (128, 256, 512)]))
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["128", "256", "512"]
    assert "steps" in figure.layout.xaxis.title.text
    assert all(label.split()[1] in ("ns", "µs", "ms", "s") for label in figure.layout.yaxis.ticktext)


def test_scaling_without_any_time_says_so():
    figure = scaling_figure(pd.DataFrame([row(time_ns=None)]))
    assert "No case here has a time" in figure.layout.annotations[0].text


def test_options_of_one_implementation_are_two_lines_of_one_colour():
    other = row("compile", 64, time_ns=2e6, implementation_options=json.dumps({"mode": "max-autotune"}))
    figure = scaling_figure(pd.DataFrame([row("compile"), other]))
    first, second = trace(figure, "compile"), trace(figure, "compile (mode=max-autotune)")
    assert first.line.color == second.line.color == colours.implementation_colour("compile")
    assert first.line.dash != second.line.dash


def test_winner_cells_find_the_fastest_its_margin_and_its_interval():
    rows = [row("native", time_ns=2e6), row("numba", time_ns=1e6)]
    cell = winner_cells(pd.DataFrame(rows), samples_of(rows)).iloc[0]
    assert (cell["state"], cell["winner"], cell["runner_up"], cell["tied"]) == ("won", "numba", "native", "")
    assert cell["margin"] == pytest.approx(2.0, rel=1e-3)
    assert cell["margin_low"] < 2.0 < cell["margin_high"]


def test_winner_cells_name_ties():
    rows = [row("native", time_ns=1.0005e6), row("numba", time_ns=1e6)]
    cell = winner_cells(pd.DataFrame(rows), samples_of(rows, noise=0.05)).iloc[0]
    assert cell["tied"] == "native"


def test_winner_cells_tell_failed_from_unmeasured_from_alone():
    rows = [row("native", 64, 64), row("native", 64, 128, time_ns=None), row("native", 128, 64)]
    cells = winner_cells(pd.DataFrame(rows), samples_of(rows)).set_index(["seq_len", "hidden_size"])
    assert dict(cells["state"]) == {
        (64, 64): "alone",
        (64, 128): "failed",
        (128, 64): "alone",
        (128, 128): "not measured",
    }
    assert "it broke" in cells.loc[(64, 128), "outcomes"]


def test_winner_map_hatches_ties_and_marks_winners_without_an_interval():
    tie = [row("native", 64, time_ns=1.0005e6), row("numba", 64, time_ns=1e6)]
    clear = [row("native", 128, time_ns=3e6), row("numba", 128, time_ns=1e6)]
    samples = pd.concat([samples_of(tie, noise=0.05), samples_of(clear, blocks=1, noise=0)])
    tiles = trace(winner_map_figure(winner_cells(pd.DataFrame(tie + clear), samples)), "numba")
    assert list(tiles.marker.pattern.shape) == ["/", ""]
    assert list(tiles.text) == ["numba<br>= native", "numba<br>3.00× ?"]
    assert "one block" in tiles.customdata[1]


def test_a_tile_counts_ties_that_are_too_many_or_too_long_to_name():
    rows = [row(name, time_ns=time_ns) for name, time_ns in (("native", 1e6), ("eager", 1.0005e6), ("numba", 1.0006e6))]
    figure = winner_map_figure(winner_cells(pd.DataFrame(rows), samples_of(rows, noise=0.05)))
    assert list(trace(figure, "native").text) == ["native<br>= 2 others"]
    assert "eager" in trace(figure, "native").customdata[0]


def test_winner_map_shows_failed_and_unmeasured_cells_apart():
    rows = [row("native", 64, 64), row("native", 64, 128, time_ns=None), row("native", 128, 64)]
    figure = winner_map_figure(winner_cells(pd.DataFrame(rows), samples_of(rows)))
    assert trace(figure, "no competitor has a time").marker.pattern.shape == "x"
    assert trace(figure, "not measured").marker.pattern.shape == ""
    assert list(figure.layout.xaxis.ticktext) == ["64", "128"]
    assert marks(figure) == 4


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
    assert quantities.estimate_text(1.84e6, None, math.nan) == "1.84 ms (no interval)"


def test_time_ticks_are_round_and_named():
    values, labels = quantities.time_ticks(3e5, 2e6)
    assert "500 µs" in labels
    assert "1 ms" in labels
    assert values == sorted(values)
    assert quantities.time_ticks(1e3, 1e9)[1] == ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"]


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
    runs = pd.DataFrame({"run_id": ["a", "b", "c"], "environment_class": ["x", "y", "x"], "harness": "worker"})
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
