"""Scaling by its points, lines and marks, against hand-made frames."""

import json
import math

import pandas as pd
from figure_helpers import row, trace

from gatebench.report import colours
from gatebench.report.figures.scaling import scaling_figure, scaling_points


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
