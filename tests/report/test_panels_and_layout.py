"""Room that figures have for labels and titles, and traces that are drawn as one."""

import numpy as np
import plotly.graph_objects as go
import pytest

from gatebench.report.figures.layout import dress, seat_axes
from gatebench.report.figures.panels import joined, make_panels


def line(x, y, **more):
    return {"type": "scatter", "mode": "lines", "x": np.array(x), "y": np.array(y), **more}


def margins(figure):
    return seat_axes(figure).layout.margin


def two_by_two():
    return dress(make_panels(rows=2, cols=2), 400)


def test_room_grows_with_the_longest_label_and_the_lines_of_a_title():
    figure = dress(go.Figure(), 300)
    bare = margins(figure).to_plotly_json()
    figure.update_yaxes(tickvals=[1, 2], ticktext=["short", "a label of many letters"], title_text="time")
    figure.update_xaxes(tickvals=[1], ticktext=["one<br>two<br>three"], title_text="lag<br>(steps)")
    wide = margins(figure)
    assert wide.l > bare["l"] + 80
    assert wide.b > bare["b"] + 60
    assert (wide.r, wide.t) == (bare["r"], bare["t"])


def test_a_long_line_counts_not_the_letters_of_all_lines_of_a_label():
    one, two = (dress(go.Figure(), 300) for _ in range(2))
    one.update_yaxes(tickvals=[1], ticktext=["twelve of it"])
    two.update_yaxes(tickvals=[1], ticktext=["twelve of it<br>and more"])
    assert margins(one).l == margins(two).l


def test_only_axes_at_the_left_and_below_need_room():
    plain, inner = two_by_two(), two_by_two()
    inner.update_yaxes(tickvals=[1], ticktext=["a label of so many letters"], col=2)
    inner.update_xaxes(tickvals=[1], ticktext=["one<br>two"], title_text="title", row=1)
    assert margins(inner) == margins(plain)
    outer = two_by_two()
    outer.update_yaxes(tickvals=[1], ticktext=["a label of so many letters"], row=2, col=1)
    assert margins(outer).l > margins(plain).l + 80


@pytest.mark.parametrize("hidden", [{"visible": False}, {"showticklabels": False}, {"side": "right"}])
def test_axes_that_show_nothing_there_leave_the_margin_as_it_was(hidden):
    figure = dress(go.Figure(), 300)
    given = figure.layout.margin.l
    figure.update_yaxes(ticktext=["a label of many letters"], tickvals=[1], **hidden)
    assert margins(figure).l == given


def test_a_margin_that_is_wider_already_stays():
    figure = dress(go.Figure(), 300).update_layout(margin={"l": 400, "b": 300})
    assert (margins(figure).l, margins(figure).b) == (400, 300)


def test_traces_that_look_alike_are_one_with_gaps_between_their_points():
    red, blue = ({"line": {"color": colour}} for colour in ("red", "blue"))
    told = [np.array([[f"point {number}", number]], dtype=object) for number in range(3)]
    traces = [line([0], [1], customdata=told[0], **red), line([5], [6], customdata=told[1], **blue), line([2], [3], customdata=told[2], **red)]  # fmt: skip
    one, other = joined(traces)
    np.testing.assert_array_equal(one["x"], [0, np.nan, 2])
    np.testing.assert_array_equal(one["y"], [1, np.nan, 3])
    assert one["customdata"].tolist() == [["point 0", 0], [None, None], ["point 2", 2]]
    assert one["line"] == {"color": "red"}
    assert other == traces[1]


def test_a_trace_with_error_bars_stays_alone():
    traces = [line([0.0], [1.0], error_y={"array": np.array([2.0])}) for _ in range(2)]
    assert joined(traces) == traces
