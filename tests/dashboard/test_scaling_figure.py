"""Scaling by its points, lines and marks, against hand-made frames."""

import json
import math

import pandas as pd
import pytest
from figure_helpers import marks, row, trace

from gatebench.analyze.scaling import CROSSOVER_COLUMNS
from gatebench.report import colours
from gatebench.report.figures.keys import click_key
from gatebench.report.figures.layout import MOST_MARKS
from gatebench.report.figures.scaling import MOST_CROSSOVERS, scaling_figure
from gatebench.report.scaling import NO_VALUE, scaling_points


def test_scaling_points_divide_by_steps_and_tokens():
    frame = pd.DataFrame([row(seq_len=10, time_ns=4000.0)])
    values = {per: scaling_points(frame, "seq_len", per)["value"].item() for per in ("call", "step", "token")}
    assert values == {"call": 4000.0, "step": 400.0, "token": 100.0}
    images = scaling_points(frame.assign(family="channel"), "seq_len", "token")
    assert images["value"].isna().all()


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
    assert all(band.line.width > 0 for band in bands), "a band at one size has no width of its own"
    assert list(trace(figure, "failed").x) == [128]
    assert "it broke" in trace(figure, "failed").customdata[0]


def test_scaling_axes_are_logarithmic_with_units_and_ticks_at_the_measured_sizes():
    figure = scaling_figure(pd.DataFrame([row(seq_len=t, time_ns=t * 1e4) for t in (128, 256, 512)]))
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["128", "256", "512"]
    assert "steps" in figure.layout.xaxis.title.text
    assert all(label.split()[1] in ("ns", "µs", "ms", "s") for label in figure.layout.yaxis.ticktext)


@pytest.mark.parametrize(("widest", "is_cut"), [(2.0, False), (1000.0, True)])
def test_bands_over_decades_leave_room_for_the_lines(widest, is_cut):
    wide = {"ci_low_ns": 1e6 / widest, "ci_high_ns": 1e6 * widest}
    figure = scaling_figure(pd.DataFrame([row(seq_len=64, **wide), row(seq_len=128, time_ns=2e6)]))
    low, high = (10**end for end in figure.layout.yaxis.range)
    assert (1e6 / widest < low) == (1e6 * widest > high) == is_cut
    assert low < 1e6 < 2e6 < high < 30e6
    assert ("run on beyond the edges" in figure.layout.yaxis.title.text) == is_cut


def test_scaling_without_any_time_says_so():
    figure = scaling_figure(pd.DataFrame([row(time_ns=None)]))
    assert "No case here has a time" in figure.layout.annotations[0].text


def test_options_of_one_implementation_are_two_lines_of_one_colour():
    other = row("compile", 64, time_ns=2e6, implementation_options=json.dumps({"mode": "max-autotune"}))
    figure = scaling_figure(pd.DataFrame([row("compile"), other]))
    first, second = trace(figure, "compile"), trace(figure, "compile (mode=max-autotune)")
    assert first.line.color == second.line.color == colours.implementation_colour("compile")
    assert first.line.dash != second.line.dash


def test_no_variant_is_drawn_as_its_implementation_without_options_or_as_another_variant():
    variants = [{"weights": "initializers"}, {"threads": 4}, {"arena": False}]
    rows = [row(name) for name in ("compile", "eager", "native", "onnxruntime", "triton")]
    rows += [row("onnxruntime", 64, implementation_options=json.dumps(options)) for options in variants]
    rows.append(row("triton", 64, implementation_options=json.dumps({"stages": 2})))
    lines = [line for line in scaling_figure(pd.DataFrame(rows)).data if line.name]
    assert len(lines) == 9
    assert {line.name for line in lines if line.line.dash == "solid"} == {
        "compile",
        "eager",
        "native",
        "onnxruntime",
        "triton",
    }
    assert len({(line.line.color, line.line.dash) for line in lines}) == 9


def test_what_is_right_and_was_not_timed_says_so_in_the_strip():
    rows = [row(seq_len=64), row(seq_len=128, time_ns=None, status="ok"), row(seq_len=256, time_ns=None)]
    reasons = pd.Series([math.nan] * len(rows), dtype=object)  # texts that are null, as pandas reads them
    figure = scaling_figure(pd.DataFrame(rows).assign(reason=reasons))
    (untimed,) = trace(figure, "no time").customdata
    assert untimed == "native at 128: no time<br>its result is right; it was not timed"
    (failed,) = trace(figure, "failed").customdata
    assert failed == "native at 256: failed"


def test_scaling_points_divide_by_flops_and_bytes():
    frame = pd.DataFrame([row(time_ns=4e6, flops=2e9, bytes_min=5e8)])  # 2 GFLOP and half a GB in 4 ms
    values = {
        per: scaling_points(frame, "seq_len", per)[["value", "low", "high"]].iloc[0].tolist()
        for per in ("flop", "byte")
    }
    assert values["flop"] == pytest.approx([2e6, 1.8e6, 2.2e6])
    assert values["byte"] == pytest.approx([8e6, 7.2e6, 8.8e6])


@pytest.mark.parametrize(
    ("per", "values", "why"),
    [("flop", {"flops": None}, "FLOPs"), ("flop", {"flops": 0.0}, "FLOPs"), ("ceiling", {"share": math.nan}, "no ceiling"),
     ("baseline", {"speedup": math.nan}, "the baseline has no time")],
)  # fmt: skip
def test_what_has_a_time_and_nothing_to_divide_it_by_says_why(per, values, why):
    frame = pd.DataFrame(
        [
            row(
                **{
                    "share_low": math.nan,
                    "share_high": math.nan,
                    "speedup_low": math.nan,
                    "speedup_high": math.nan,
                    **values,
                }
            )
        ]
    )
    point = scaling_points(frame, "seq_len", per).iloc[0]
    assert point["status"] == NO_VALUE
    assert why in point["reason"]
    assert "No case here has a number" in scaling_figure(frame, "seq_len", per).layout.annotations[0].text


def test_a_share_of_the_ceiling_is_in_percent_beside_a_line_at_the_whole():
    frame = pd.DataFrame([
        row(seq_len=t, share=share, share_low=share / 2, share_high=share * 1.1, flops=1e6, bytes_min=1e3, bound="compute")
        for t, share in ((64, 0.02), (128, 0.3))
    ])  # fmt: skip
    figure = scaling_figure(frame, "seq_len", "ceiling")
    assert list(trace(figure, "native").y) == [0.02, 0.3]
    assert "2.00 %<br>95 %: 1.00 % to 2.20 %" in trace(figure, "native").customdata[0][0]
    assert "bound by the matrix product" in trace(figure, "native").customdata[0][0]
    assert all(label.endswith(" %") for label in figure.layout.yaxis.ticktext)
    assert [shape.y0 for shape in figure.layout.shapes] == [1]
    assert figure.layout.yaxis.range[1] > 0, "100 % is seen although nothing reaches it"


def test_speed_ups_have_a_line_at_one():
    frame = pd.DataFrame([row(seq_len=t, speedup=3.0, speedup_low=2.5, speedup_high=3.5) for t in (64, 128)])
    figure = scaling_figure(frame, "seq_len", "baseline")
    assert "3.00×<br>95 %: 2.50× to 3.50×" in trace(figure, "native").customdata[0][0]
    assert figure.layout.yaxis.range[0] < 0
    assert figure.layout.shapes[0].y0 == 1


def test_batch_is_an_axis():
    figure = scaling_figure(pd.DataFrame([row(batch=b, time_ns=b * 1e4) for b in (1, 16)]), "batch", "token")
    assert list(figure.layout.xaxis.ticktext) == ["1", "16"]
    assert list(trace(figure, "native").y) == pytest.approx([1e4 / 64] * 2)
    assert figure.layout.xaxis.title.text == "B (batch size)"


def crossing(name, other, size, below=1, above=16):
    values = (name, "{}", other, "{}", below, above, size, 2.0, 2.0)
    return dict(zip(CROSSOVER_COLUMNS, values, strict=True))


LINES = [row("numba", 1, time_ns=1e6), row("numba", 16, time_ns=64e6), row("native", 1, time_ns=4e6), row("native", 16, time_ns=16e6)]  # fmt: skip


@pytest.mark.parametrize(("per", "height"), [("call", 8e6), ("step", 2e6)])
def test_a_crossover_is_marked_where_the_drawn_lines_cross(per, height):
    figure = scaling_figure(pd.DataFrame(LINES), "seq_len", per, pd.DataFrame([crossing("numba", "native", 4.0)]))
    mark = trace(figure, "crossover")
    assert (list(mark.x), list(mark.y)) == ([4.0], [pytest.approx(height)])
    assert mark.customdata[0].startswith("<b>about 4.00</b>, between 1 and 16<br>below: numba is faster")


def test_crossovers_of_lines_that_are_not_drawn_are_left_out():
    figure = scaling_figure(pd.DataFrame(LINES), crossings=pd.DataFrame([crossing("numba", "eager", 4.0)]))
    assert not len(trace(figure, "crossover").x)


def test_however_many_lines_and_crossovers_the_marks_fit():
    names = [f"lab:{number}" for number in range(80)]
    frame = pd.DataFrame([row(name, t) for name in names for t in range(1, 60)])
    pairs = pd.DataFrame([crossing("lab:0", name, 4.0) for name in names[1:]])
    figure = scaling_figure(frame, crossings=pairs)
    assert marks(figure) <= MOST_MARKS
    assert len(trace(figure, "crossover").x) <= MOST_CROSSOVERS
    assert "competitors left out" in figure.layout.annotations[-1].text


def test_hostile_names_and_reasons_are_shown_as_text_and_cut():
    name = "<i>x</i>" + "y" * 10_000
    frame = pd.DataFrame([row(name, 64), row(name, 128, time_ns=None, reason="<script>" + "z" * 10_000)])
    figure = scaling_figure(frame)
    line, failed = trace(figure, "&lt;i&gt;x&lt;/i&gt;" + "y" * 32 + " …"), trace(figure, "failed")
    texts = [
        line.name,
        *(data[0] for data in line.customdata),
        *failed.y,
        *failed.customdata,
        *figure.layout.yaxis2.categoryarray,
    ]
    assert not any("<i>" in text or "<script>" in text for text in texts)
    assert [data[1] for data in line.customdata] == [
        click_key(frame["case_id"].iloc[0]),
        None,
    ]  # the second has no value
    assert len(figure.to_json()) < 15_000
