"""Stability figures and the tables behind them, by their data and layout, against hand-made frames."""

import math

import pandas as pd
import pytest
from figure_helpers import long_rows, profile

from gatebench.report import stability as stability_tables
from gatebench.report.colours import SERIES
from gatebench.report.figures.saturation import PATTERNS, saturation_figure
from gatebench.report.figures.stability import norm_figure, summary_figure
from gatebench.report.stability_ends import ROUNDED, SPECTRAL, WITHOUT_ENDS
from gatebench.report.stability_series import SPECTRA
from gatebench.stability.metrics import CLASSES, METRICS
from tests.stability_frames import case


def test_norm_curves_take_medians_over_seeds_and_the_widest_deciles():
    curves = stability_tables.norm_curves(pd.DataFrame(profile(seeds=3))).set_index("back")
    at = curves.loc[4]
    assert at["norm"] == pytest.approx(-3.9)
    assert (at["low"], at["high"]) == (pytest.approx(-5.0), pytest.approx(-2.8))
    assert at["bound"] == pytest.approx(-1.9)
    assert at["seeds"] == 3


def test_norm_figure_shows_the_norm_in_decades_with_ribbon_and_bound():
    figure = norm_figure(stability_tables.norm_curves(pd.DataFrame(profile(seeds=1))))
    line = next(trace for trace in figure.data if trace.customdata is not None)
    assert line.y[8] == pytest.approx(-8 / math.log(10))
    assert sum(trace.fill == "toself" for trace in figure.data) == 1
    assert sum(trace.line.dash == "dot" and len(trace.x) > 1 for trace in figure.data) == 1
    assert "10⁻²" in figure.layout.yaxis.ticktext
    assert "steps" in figure.layout.xaxis.title.text


def test_norms_that_rounding_does_not_change_are_still_seen_below_the_finer_dtypes():
    rows = profile(seeds=1) + [{**row, "dtype": "bfloat16"} for row in profile(seeds=1)]
    figure = norm_figure(stability_tables.norm_curves(pd.DataFrame(rows)))
    assert [trace.line.to_plotly_json() for trace in figure.data if trace.customdata is not None] == [
        {"color": SERIES[0], "dash": "dash", "width": 5}, {"color": SERIES[0], "dash": "solid", "width": 2},
    ]  # fmt: skip


def test_norms_over_a_short_range_have_ticks_at_1_2_and_5():
    rows = profile(seeds=1, slope=-0.2)
    short = norm_figure(stability_tables.norm_curves(pd.DataFrame(rows)))
    values = [value / math.log(10) for row in rows for value in [row["value"]]]
    low, high = short.layout.yaxis.range
    assert low < min(values) < max(values) < high
    assert high - low < 2.3
    assert short.layout.yaxis.ticktext == ("0.1", "0.2", "0.5", "1", "2", "5")
    assert short.layout.yaxis.tickvals == pytest.approx([math.log10(float(text)) for text in short.layout.yaxis.ticktext])  # fmt: skip
    still = norm_figure(stability_tables.norm_curves(pd.DataFrame(profile(seeds=1, slope=0.0))))
    assert len(still.layout.yaxis.ticktext) >= 3


def test_norm_figure_marks_where_a_gradient_becomes_exactly_zero():
    rows = profile(seeds=1)
    for entry in rows:
        if entry["lag"] >= 5 and entry["metric"] != "log_norm_bound":
            entry["value"] = -math.inf
    figure = norm_figure(stability_tables.norm_curves(pd.DataFrame(rows)))
    cross = next(trace for trace in figure.data if trace.marker.symbol == "x")
    assert list(cross.x) == [4]
    assert "exactly 0 from 5 back on" in cross.hovertemplate


def test_bounds_without_norms_are_no_gradient_that_is_lost():
    bounds = [row for row in profile(seeds=3, init="gaussian=1") if row["metric"] == "log_norm_bound"]
    curves = stability_tables.norm_curves(pd.DataFrame(profile(seeds=2) + bounds))
    assert set(curves["init"]) == {"torch"}
    assert curves["seeds"].tolist() == [2] * 9
    figure = norm_figure(curves)
    assert [trace for trace in figure.data if trace.marker.symbol == "x"] == []
    assert all(text.endswith("n = 2 seeds") for trace in figure.data for text in trace.customdata or ())
    assert stability_tables.norm_curves(pd.DataFrame(bounds)).empty


def test_a_lag_that_is_not_stored_is_a_gap_and_no_end():
    rows = [row for row in profile(seeds=1) if row["lag"] != 4 or row["metric"] == "log_norm_bound"]
    figure = norm_figure(stability_tables.norm_curves(pd.DataFrame(rows)))
    line = next(trace for trace in figure.data if trace.customdata is not None)
    assert [math.isnan(y) for y in line.y] == [lag == 4 for lag in range(9)]
    assert "4 back: not stored<br>no deciles<br>" in line.customdata[4]
    assert [trace for trace in figure.data if trace.marker.symbol == "x"] == []


def test_norms_of_which_one_seed_is_0_and_one_not_finite_are_not_finite():
    ends = {0: -math.inf, 1: math.inf}
    rows = [{**row, "value": ends[row["seed"]] if row["lag"] > 5 else row["value"]} for row in profile(seeds=2)]
    curves = stability_tables.norm_curves(pd.DataFrame(rows))
    assert curves["norm"].tolist()[6:] == [math.inf] * 3
    cross = next(trace for trace in norm_figure(curves).data if trace.marker.symbol == "x")
    assert "not finite from 6 back on" in cross.hovertemplate


def test_depth_profiles_count_layers_back_from_the_output():
    rows = [
        long_rows(gate="swiglu_ffn", metric="log_depth_gradient_norm", index=layer, value=float(layer - 4))
        for layer in range(5)
    ]
    curves = stability_tables.norm_curves(pd.DataFrame(rows))
    assert dict(zip(curves["back"], curves["norm"], strict=True)) == {0: 0, 1: -1, 2: -2, 3: -3, 4: -4}
    assert norm_figure(curves).layout.xaxis.title.text == "layers back from the output"


def test_a_norm_of_no_known_lag_or_layer_is_left_out():
    alone = [long_rows(gate="swiglu_ffn", metric="log_depth_gradient_norm", value=-1.0, index=None, lag=None)]
    usual = profile(seeds=1, lags=9, slope=-1.0)
    curves = stability_tables.norm_curves(pd.DataFrame(usual))
    pd.testing.assert_frame_equal(stability_tables.norm_curves(pd.DataFrame(usual + alone)), curves)
    assert stability_tables.norm_curves(pd.DataFrame(alone)).empty


def test_a_stack_of_layers_does_not_flatten_the_gates_with_time():
    rows = profile(seeds=1, lags=9, slope=-1.0) + profile(seeds=1, lags=9, slope=-1.0, gate="gru")
    rows += profile(seeds=1, lags=9, slope=-1.0, gate="rnn_tanh")
    rows += [
        long_rows(gate="swiglu_ffn", metric="log_depth_gradient_norm", index=layer, value=100.0 * (layer - 4))
        for layer in range(5)
    ]
    figure = norm_figure(stability_tables.norm_curves(pd.DataFrame(rows)))
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["gru", "lstm", "rnn_tanh", "swiglu_ffn"]
    lowest = {title: axis.range[0] for title, axis in zip(titles, figure.select_yaxes(), strict=True)}
    assert lowest["gru"] == lowest["lstm"] == lowest["rnn_tanh"] > -6
    assert lowest["swiglu_ffn"] < -170
    assert len(list(figure.select_yaxes(row=3))) == 1  # on a row of its own, beside nothing


def test_case_summary_takes_the_most_severe_class_and_keeps_infinite_half_lives():
    rows = [long_rows(metric="half_life", index=i, value=value) for i, value in enumerate((2.0, 4.0, math.inf))]
    rows += [long_rows(metric="class", label=label, seed=seed) for seed, label in enumerate(("stable", "vanished"))]
    summary = stability_tables.case_summary(pd.DataFrame(rows)).iloc[0]
    assert summary["label"] == "vanished"
    assert (summary["half_life"], summary["half_life_high"]) == (4.0, math.inf)
    figure = summary_figure(stability_tables.case_summary(pd.DataFrame(rows)))
    assert "never" in figure.layout.xaxis.ticktext


def test_a_summary_has_no_panel_for_what_was_not_measured():
    half_life = [long_rows(metric="half_life", index=0, value=4.0)]
    exponent = [long_rows(metric="largest_lyapunov", value=-0.5, standard_error=0.01)]
    for rows, titles in (
        (half_life, ["half-life (steps)"]),
        (exponent, ["Lyapunov exponent<br>(nats/step)"]),
        (half_life + exponent, ["half-life (steps)", "Lyapunov exponent<br>(nats/step)"]),
    ):
        figure = summary_figure(stability_tables.case_summary(pd.DataFrame(rows)))
        assert [axis.title.text for axis in figure.select_xaxes()] == titles
        assert sum(len(trace.x) for trace in figure.data if trace.x[0] is not None) == len(titles)


def test_lyapunov_of_one_seed_has_two_standard_errors_and_of_several_a_t_interval():
    one = [long_rows(metric="largest_lyapunov", value=-0.5, standard_error=0.01)]
    summary = stability_tables.case_summary(pd.DataFrame(one)).iloc[0]
    assert (summary["lyapunov_low"], summary["lyapunov_high"]) == (pytest.approx(-0.52), pytest.approx(-0.48))
    two = [*one, long_rows(metric="largest_lyapunov", value=-0.3, standard_error=0.01, seed=1)]
    summary = stability_tables.case_summary(pd.DataFrame(two)).iloc[0]
    assert summary["lyapunov"] == pytest.approx(-0.4)
    assert summary["lyapunov_high"] - summary["lyapunov"] == pytest.approx(12.706 * 0.1, rel=1e-3)
    dots = [
        trace
        for trace in summary_figure(stability_tables.case_summary(pd.DataFrame(two))).data
        if trace.error_x.array is not None
    ]
    assert dots[-1].error_x.array[0] == pytest.approx(1.2706, rel=1e-3)


def exponents(**values):
    """Return a summary of gates with such exponents, with half-lives beside them."""
    rows = [row for gate, value in values.items() for row in case(lyapunov=value, gate=gate)]
    return stability_tables.case_summary(pd.DataFrame(rows))


def test_an_exponent_that_is_infinite_has_a_place_of_its_own_with_a_name():
    figure = summary_figure(exponents(lstm=-math.inf, gru=-0.5, rnn_tanh=-0.1))
    dots = {trace.y[n]: (trace.x[n], text) for trace in figure.data if trace.xaxis == "x2" for n, text in enumerate(trace.customdata or ())}  # fmt: skip
    axis = figure.layout.xaxis2
    ticks = dict(zip(axis.ticktext, axis.tickvals, strict=True))
    lanes = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    place, text = dots[lanes["lstm"]]
    assert place == ticks["-∞"] < -0.52
    assert axis.range[0] < place
    assert axis.range[1] > -0.1
    assert [tick for tick in axis.tickvals if -0.52 <= tick <= -0.08]
    assert "<br>-∞ nats/step<br>no interval<br>n = 1 seed" in text
    assert dots[lanes["gru"]][0] == -0.5
    right = summary_figure(exponents(lstm=math.inf, gru=-0.5)).layout.xaxis2
    assert right.ticktext[-1] == "∞"
    assert right.tickvals[-1] > -0.48


def test_exponents_that_are_all_infinite_or_alike_have_an_axis():
    for values in ({"lstm": -math.inf}, {"lstm": -math.inf, "gru": -0.5}, {"lstm": -math.inf, "gru": -0.0}):
        figure = summary_figure(exponents(**values))
        drawn = [trace for trace in figure.data if trace.xaxis == "x2" and trace.customdata]
        assert sum(len(trace.x) for trace in drawn) == len(values)
        low, high = figure.layout.xaxis2.range
        assert all(low < x < high for trace in drawn for x in trace.x)
    seeds = [long_rows(metric="largest_lyapunov", value=0.1 + 1e-17 * seed, seed=seed) for seed in range(3)]
    summary = stability_tables.case_summary(pd.DataFrame([*seeds, *case(lyapunov=-math.inf, gate="gru")]))
    assert "-∞" in summary_figure(summary).layout.xaxis2.ticktext


def test_an_exponent_that_is_not_finite_has_no_interval():
    rows = [long_rows(metric="largest_lyapunov", value=-math.inf, standard_error=0.01)]
    summary = stability_tables.case_summary(pd.DataFrame(rows)).iloc[0]
    assert summary["lyapunov"] == -math.inf
    assert summary[["lyapunov_low", "lyapunov_high"]].isna().all()


def test_an_exponent_says_what_its_interval_is():
    one = case(lyapunov=-0.5)
    two = [*one, *case(lyapunov=-0.3, seed=1)]
    for rows, words in ((one, "± 2 standard errors: -0.520 to -0.480 nats/step<br>n = 1 seed"), (two, "95 % interval: -1.67 to 0.871 nats/step<br>n = 2 seeds")):  # fmt: skip
        figure = summary_figure(stability_tables.case_summary(pd.DataFrame(rows)))
        half_life, exponent = [text for trace in figure.data for text in trace.customdata or ()]
        assert exponent.endswith(f"<br>{words}")
        assert "<br>2.00 steps<br>deciles: 2.00 to 2.00 steps<br>" in half_life


def test_saturation_is_shown_by_letter_and_side():
    rows = [
        long_rows(metric="saturation_low", part="f", value=0.1),
        long_rows(metric="saturation_high", part="f", value=0.3),
        long_rows(metric="saturation_tanh", part="g", value=0.2),
    ]
    table = stability_tables.saturation_table(pd.DataFrame(rows))
    assert dict(zip(zip(table["letter"], table["side"], strict=True), table["share"], strict=True)) == {
        ("f", "below 0.1"): 0.1, ("f", "above 0.9"): 0.3, ("g", "beyond ±0.99 (tanh)"): 0.2,
    }  # fmt: skip
    bars = [trace for trace in saturation_figure(table).data if trace.x[0] is not None]
    assert sorted((bar.x[0], bar.y[0]) for bar in bars) == [("f", 0.1), ("f", 0.3), ("g", 0.2)]


def test_saturation_of_nothing_is_said_and_not_drawn():
    rows = [long_rows(metric="saturation_low", part=letter, value=0.0) for letter in "fi"]
    (note,) = saturation_figure(stability_tables.saturation_table(pd.DataFrame(rows))).layout.annotations
    assert note.text == "No letter has a value at an end of its range."


def test_flat_slopes_are_told_where_no_end_of_the_range_says_it():
    shares = [
        ("gate", "negative_lobe", 0.5),
        ("gate", "flat_share", 0.4),
        ("h", "dead_share", 0.6),
        ("h", "flat_share", 0.6),
    ]
    rows = [
        long_rows(metric=metric, part=letter, value=value) for letter, metric, value in [*shares, ("d", "density", 0.7)]
    ]
    table = stability_tables.saturation_table(pd.DataFrame(rows))
    assert sorted(zip(table["letter"], table["side"], strict=True)) == [
        ("d", "1 (of 0 or 1)"), ("gate", "below 0 (swish, gelu)"), ("gate", "slope below 0.01"), ("h", "0 (relu)"),
    ]  # fmt: skip
    bars = {bar.y[0]: bar for bar in saturation_figure(table).data if bar.x[0] == "gate"}
    assert bars[0.5].offsetgroup != bars[0.4].offsetgroup, "overlapping shares must not be stacked"


def test_each_dtype_has_its_own_shade_which_the_legend_shows():
    dtypes = ("float64", "float32", "bfloat16")
    rows = [long_rows(metric="saturation_high", part="f", value=0.3, dtype=dtype) for dtype in dtypes]
    for count, legend in ((2, ["float64", "float32 (paler, 55%)"]), (3, ["float64", "float32 (paler, 62%)", "bfloat16 (paler, 25%)"])):  # fmt: skip
        figure = saturation_figure(stability_tables.saturation_table(pd.DataFrame(rows[:count])))
        shades = [trace.marker.color.split(",")[-1] for trace in figure.data if trace.x[0] is not None]
        keys = [trace for trace in figure.data if trace.name and trace.name.startswith(dtypes)]
        assert [key.name for key in keys] == legend
        assert [key.marker.color.split(",")[-1] for key in keys] == shades
        assert len(set(shades)) == count


def test_every_share_has_a_pattern():
    assert set(PATTERNS) == set(stability_tables.SATURATION.values())


def test_a_legend_of_many_inits_has_room_above_the_panels_and_a_colour_each():
    def figure(count):
        rows = [row for bias in range(count) for row in profile(seeds=1, init=f"forget_bias={bias}")]
        return norm_figure(stability_tables.norm_curves(pd.DataFrame(rows)))

    few, many = figure(2), figure(12)
    assert many.layout.margin.t > few.layout.margin.t
    assert many.layout.height - many.layout.margin.t == few.layout.height - few.layout.margin.t
    named = [(trace.name, trace.line.color) for trace in many.data if trace.name and trace.name.startswith("forget")]
    assert [name for name, _ in named] == [f"forget_bias={bias}" for bias in range(12)]
    assert len({colour for _, colour in named}) == 12


def test_the_stability_names_used_here_are_those_of_the_metrics_table():
    used = {"half_life", "reach", "largest_lyapunov", "class", "bound_gap", *stability_tables.SATURATION}
    used |= {*stability_tables.PREDICTIONS, *stability_tables.BY_STEP, *SPECTRA, *SPECTRAL, *ROUNDED, *WITHOUT_ENDS}
    for norm, *bounds in stability_tables.CURVES.values():
        used |= {norm, f"{norm}_p10", f"{norm}_p90", *filter(None, bounds)}
    assert used <= set(METRICS)
    assert stability_tables.CLASSES == CLASSES
