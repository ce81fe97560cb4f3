"""The forest plot of two sides by data and layout, against hand-made rows."""

import math

import numpy as np
import pytest
from two_sides import mean, row, sides

from gatebench.analyze.sides import CHANGE
from gatebench.report.colours import implementation_colour
from gatebench.report.figures.forest import BEYOND, TALL, forest_figure, forest_rows
from gatebench.report.figures.layout import MOST_MARKS
from gatebench.report.side_words import shown_rows


def trace(figure, name="numba"):
    return next(each for each in figure.data if each.name == name)


def ticks(axis):
    return dict(zip(axis.tickvals, axis.ticktext, strict=True))


def test_a_row_is_a_point_at_its_value_with_its_interval_on_a_logarithmic_axis():
    figure = forest_figure(sides(row(2.0, 1.8, 2.5)))
    points = trace(figure)
    assert list(points.x) == [2.0]
    assert (points.error_x.array[0], points.error_x.arrayminus[0]) == (pytest.approx(0.5), pytest.approx(0.2))
    assert figure.layout.xaxis.type == "log"
    assert ticks(figure.layout.xaxis)[1.0] == "1×"
    assert "speed-up of B over A" in figure.layout.xaxis.title.text
    assert figure.layout.showlegend, "of one competitor, too"


def test_changes_are_drawn_as_ratios_and_labelled_in_percent():
    figure = forest_figure(sides(row(0.5, 0.4, 0.7, "slower"), row(-0.5, -0.6, -0.4, seq_len=16), measure=CHANGE))
    assert sorted(trace(figure).x) == [0.5, 1.5]
    labels = ticks(figure.layout.xaxis)
    assert (labels[1.0], labels[0.5]) == ("0 %", "-50 %")
    assert "right: slower" in figure.layout.xaxis.title.text


def test_a_filled_marker_is_told_apart_and_a_hollow_one_is_not():
    rows = [row(4.0), row(3.0, outcome="not told apart", seq_len=16), row(0.5, outcome="slower", seq_len=32), row(1.1, outcome="inconclusive", seq_len=64)]  # fmt: skip
    points = trace(forest_figure(sides(*rows)))
    assert list(points.x) == [4.0, 3.0, 0.5, 1.1], "largest effect first"
    assert [symbol.endswith("-open") for symbol in points.marker.symbol] == [False, True, False, True]
    assert points.marker.color == implementation_colour("numba")


def test_rows_stand_below_the_name_of_their_group_and_its_geometric_mean():
    means = [mean(1.7, 2), mean(1.2, 1, mode="backward")]
    figure = forest_figure(sides(row(2.0), row(1.5, seq_len=16), row(1.2, mode="backward"), means=means))
    labels = ticks(figure.layout.yaxis)
    assert {place: text for place, text in labels.items() if place < 4} == {
        1: "geometric mean of 2",
        2: "T8 B4 H16",
        3: "T16 B4 H16",
    }
    assert [(note.text, note.y) for note in figure.layout.annotations] == [
        ("<b>lstm, forward</b>", 0),
        ("<b>lstm, backward</b>", 4),
    ]
    drawn = trace(figure, "geometric mean of a group")
    assert list(drawn.x) == [1.7], "of one case there is no mean"
    assert [list(data) for data in drawn.customdata] == [
        ["<b>lstm, forward</b><br>geometric mean of 2 cases: 1.70× (1.53 to 1.87)"]
    ]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_groups_stand_as_the_run_lists_gates_and_then_by_mode():
    rows = [row(1.2, gate="gru", mode="forward"), row(9.0, gate="lstm", mode="forward_backward"), row(1.2, gate="gru", mode="forward_backward"), row(3.0, gate="gru", mode="backward")]  # fmt: skip
    drawn = forest_rows(sides(*rows))
    assert list(dict.fromkeys(drawn["group"])) == [
        "gru, forward",
        "gru, backward",
        "gru, forward + backward",
        "lstm, forward + backward",
    ]


def test_a_tall_figure_has_the_ends_of_its_axis_above_the_rows_too():
    rows = [row(0.5, seq_len=500), *(row(1 + 0.1 * number, seq_len=number) for number in range(1, TALL + 1))]
    above = [[note for note in forest_figure(sides(*some)).layout.annotations if note.yref == "paper"] for some in (rows, rows[1:])]  # fmt: skip
    assert [len(notes) for notes in above] == [3, 0]
    labels = ticks(forest_figure(sides(*rows)).layout.xaxis)
    assert {10**note.x: note.text for note in above[0]} == pytest.approx({min(labels): labels[min(labels)], 1.0: "1×", max(labels): labels[max(labels)]})  # fmt: skip


def test_beyond_the_most_rows_the_smallest_effects_are_left_out_and_counted():
    many = [row(1 + 0.01 * number, seq_len=number) for number in range(1, 101)]
    figure = forest_figure(sides(row(0.25, outcome="slower", seq_len=999), *many), most=10)
    assert sorted(trace(figure).x) == pytest.approx([0.25, *(1 + 0.01 * number for number in range(92, 101))])
    told = "10 of 101 cases, the largest effects; the table has all"
    assert told in [note.text for note in figure.layout.annotations]
    assert not any(
        "the table has all" in note.text for note in forest_figure(sides(*many), most=100).layout.annotations
    )


def test_a_wide_interval_is_cut_and_does_not_squeeze_the_estimates():
    figure = forest_figure(sides(row(2.0, 1e-6, 1e6)))
    low, high = (10**end for end in figure.layout.xaxis.range)
    assert (low, high) == (pytest.approx(1 / BEYOND, rel=0.2), pytest.approx(2.0 * BEYOND, rel=0.2))
    points = trace(figure)
    assert high < points.x[0] + points.error_x.array[0] < 2 * high, "it goes on out of sight"
    assert 0 < points.x[0] - points.error_x.arrayminus[0] < low
    assert "2.00× (1.00e-06 to 1.00e+06)" in points.customdata[0][0]


def test_of_many_intervals_nearly_all_are_drawn_whole():
    rows = [row(1.01, 0.8, 1.25, "not told apart", seq_len=number) for number in range(1, 30)]
    figure = forest_figure(sides(*rows, row(1.01, 0.01, 100, "not told apart", seq_len=99)))
    low, high = (10**end for end in figure.layout.xaxis.range)
    assert (low, high) == (pytest.approx(0.8, rel=0.05), pytest.approx(1.25, rel=0.05))


def test_a_row_without_an_interval_has_no_bar():
    points = trace(forest_figure(sides(row(2.0, math.nan, math.nan, "inconclusive"))))
    assert np.isnan([points.error_x.array[0], points.error_x.arrayminus[0]]).all()


def test_a_point_says_value_interval_n_both_sides_and_why_and_names_its_row():
    rows = [row(2.0, 1.8, 2.5, "not told apart", reason="too wide", low_a=1.9e6, high_a=2.1e6)]
    text, key = trace(forest_figure(sides(*rows))).customdata[0]
    for part in (
        "2.00× (1.80 to 2.50)",
        "5 pairs of blocks",
        "not told apart",
        "too wide",
        "A: 2.00 ms (1.90 to 2.10)",
        "B: 1.00 ms",
    ):
        assert part in text
    assert key == rows[0]["key"]


def test_verdicts_have_their_margin_as_a_band():
    rows = [row(0.05, 0.04, 0.06, "slower", margin=0.03), row(0.01, 0.0, 0.02, "same", margin=0.03, seq_len=16)]
    judged = forest_figure(sides(*rows, measure=CHANGE, judged=True))
    assert [(shape.x0, shape.x1) for shape in judged.layout.shapes if shape.type == "rect"] == [(0.97, 1.03)]
    assert not [shape for shape in forest_figure(sides(*rows, measure=CHANGE)).layout.shapes if shape.type == "rect"]


def test_the_axis_shows_all_of_the_margin():
    rows = [row(0.001, 0.0005, 0.0015, "same", margin=0.03)]
    low, high = (10**end for end in forest_figure(sides(*rows, measure=CHANGE, judged=True)).layout.xaxis.range)
    assert low < 0.97
    assert high > 1.03


def test_without_a_number_the_figure_says_so():
    for found in (sides(), sides(row(math.nan, math.nan, math.nan, "failed"))):
        assert "No case has a number on both sides" in forest_figure(found).layout.annotations[0].text


FROM_NOTHING = row(math.inf, math.nan, math.nan, "slower", seq_len=16)
TO_NOTHING = row(-1.0, math.nan, math.nan, "faster", seq_len=32)


def notes(figure):
    return {note.y: note.text for note in figure.layout.annotations if note.y < 0}


def test_changes_from_or_to_nothing_are_counted_apart_from_the_largest_that_are_drawn():
    figure = forest_figure(sides(row(0.01), FROM_NOTHING, TO_NOTHING, measure=CHANGE, judged=True), "saved_bytes")
    assert list(trace(figure).x) == [1.01]
    assert notes(figure) == {-1: "2 cases from or to nothing have no place on this axis; the table has them"}
    one = forest_figure(sides(row(0.01), row(0.5, seq_len=64), FROM_NOTHING, measure=CHANGE), most=1)
    assert notes(one) == {
        -2: "1 of 2 cases, the largest effects; the table has all",
        -1: "1 case from or to nothing has no place on this axis; the table has it",
    }
    assert one.layout.yaxis.range[1] < -2.5, "both lines are in sight"
    assert notes(forest_figure(sides(row(0.01), measure=CHANGE))) == {}


def test_changes_from_or_to_nothing_alone_are_said_to_be_in_the_table():
    found = sides(FROM_NOTHING, TO_NOTHING, measure=CHANGE, judged=True)
    text = forest_figure(found, "saved_bytes").layout.annotations[0].text
    assert text == "2 changes from or to nothing: no place on this axis; see the table below."
    shown = shown_rows(found, "saved_bytes")["change from A to B (95 %)"]
    assert shown.tolist() == ["+∞ %", "-100 %"]


def test_a_mean_of_cases_that_are_not_drawn_stands_where_it_is_with_its_interval():
    drawn = [row(1.4 + 0.01 * number, 1.3, 2.1, seq_len=number) for number in range(1, 61)]
    left_out = [row(0.8, 0.75, 0.85, "slower", seq_len=number) for number in range(100, 110)]
    figure = forest_figure(sides(*drawn, *left_out, means=[mean(0.85, 70, low=0.77, high=0.94)]))
    assert len(trace(figure).x) == 60
    diamond = trace(figure, "geometric mean of a group")
    assert list(diamond.x) == [0.85]
    ends = (diamond.x[0] - diamond.error_x.arrayminus[0], diamond.x[0] + diamond.error_x.array[0])
    assert ends == (pytest.approx(0.77), pytest.approx(0.94))
    low, high = (10**end for end in figure.layout.xaxis.range)
    assert low < 0.77
    assert high > 2.0


def test_competitors_have_a_colour_each_and_stand_in_the_names_of_cases():
    figure = forest_figure(sides(row(2.0), row(3.0, implementation="native")))
    assert trace(figure, "native").marker.color == implementation_colour("native")
    assert set(ticks(figure.layout.yaxis).values()) == {"numba T8 B4 H16", "native T8 B4 H16"}


def test_names_of_strangers_are_shown_as_they_are_and_cut():
    evil = "<b onmouseover=x>" + 10_000 * "y"
    figure = forest_figure(sides(row(2.0, gate=evil, implementation=evil, reason=evil), row(2.5, gate=evil)))
    texts = [*ticks(figure.layout.yaxis).values(), *(note.text for note in figure.layout.annotations), *(each.name for each in figure.data), *(each.customdata[0][0] for each in figure.data)]  # fmt: skip
    assert not any("<b onmouse" in text for text in texts)
    assert any("&lt;b onmouse" in text for text in texts)
    assert max(map(len, texts)) < 600


def test_a_large_comparison_stays_small():
    rows = [row(1 + 0.001 * number, seq_len=number) for number in range(1, 2001)]
    figure = forest_figure(sides(*rows))
    assert sum(len(each.x) for each in figure.data) <= MOST_MARKS
    assert len(figure.to_json()) < 200_000
