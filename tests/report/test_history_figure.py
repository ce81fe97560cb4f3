"""The figures of history: places in order, bands, changes in words, environments, failures; against hand-made points."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from gatebench.analyze.history import CHANGE_COLUMNS, POINT_COLUMNS, failures
from gatebench.report.colours import implementation_colour
from gatebench.report.figures.history import (
    change_words,
    history_figure,
    in_places,
    place_label,
    value_words,
    version,
)
from gatebench.report.figures.history_grid import history_grid

CASE = "lstm/numba/T64-B4-I8-H8/float32/cpu-2/forward"


def day(number):
    return pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(days=number)


def point(number, value=0.5, **more):
    row = {
        "case_id": CASE, "harness": "worker", "environment_class": "one", "kind": "relative", "implementation": "numba",
        "reference": "native", "segment": 1, "position": number, "git_sha": f"{number:07x}aaaa", "git_dirty": False,
        "time_utc": day(number), "run_id": f"r{number:04d}", "runs": 1, "value": value, "low": value * 0.9,
        "high": value * 1.1, "time_ns": 1e6, "verdict": None, "inconclusive": False,
    }  # fmt: skip
    return {**dict.fromkeys(POINT_COLUMNS), **row, **more}


def frame(rows):
    return pd.DataFrame(rows, columns=pd.Index(POINT_COLUMNS))


def step(place, change=0.3, case=CASE):
    return {
        "case_id": case, "harness": "worker", "environment_class": "one", "kind": "relative", "reference": "native", "segment": 1,
        "position": place, "run_id": f"r{place:04d}", "before_run_id": f"r{place - 1:04d}", "git_sha": "b", "before_git_sha": "a",
        "change": change, "low": change - 0.02, "high": change + 0.02, "p_value": 1e-5,
    }  # fmt: skip


NONE = pd.DataFrame(columns=pd.Index(CHANGE_COLUMNS))
FAILED = pd.DataFrame(
    columns=pd.Index(["case_id", "implementation", "status", "reason", "run_id", "environment_class", "git_sha", "git_dirty", "time_utc"])
)  # fmt: skip


def failed(number, status="wrong", reason="off by <b>"):
    return {
        "case_id": CASE, "implementation": "numba", "status": status, "reason": reason, "run_id": f"r{number:04d}",
        "environment_class": "one", "git_sha": f"{number:07x}aaaa", "git_dirty": False, "time_utc": day(number),
    }  # fmt: skip


def trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def marks(figure):
    return sum(len(trace.x) for trace in figure.data)


def test_a_change_is_said_in_words_with_its_interval():
    assert change_words(0.12, 0.10, 0.14) == "slower by 12 % (10 to 14)"
    assert change_words(-0.25, -0.28, -0.22) == "faster by 25 % (22 to 28)"
    assert change_words(0.12, float("nan"), float("nan")) == "slower by 12 %"


def test_a_value_is_a_time_or_a_share_with_its_interval():
    assert value_words("time", 2e6, 1.9e6, 2.1e6) == "2.00 ms (1.90 ms to 2.10 ms)"
    assert value_words("relative", 0.5, 0.45, 0.55) == "0.500 (0.450 to 0.550)"
    assert value_words("ab", 1.02, float("nan"), float("nan")) == "1.02 (no interval)"


def test_a_version_is_its_commit_or_else_its_run():
    assert version("0123456789", "20260101T000000Z-4f1c") == "0123456"
    assert version("0123456789", "20260101T000000Z-4f1c", True) == "0123456+"
    assert version(None, "20260101T000000Z-4f1c") == "run 4f1c"
    assert version("<b>", "r") == "&lt;b&gt;"


def test_points_and_failures_share_the_places_of_their_runs_in_the_order_of_time():
    points, fails, places = in_places(frame([point(0), point(3)]), pd.DataFrame([failed(1), failed(3)]))
    assert points["place"].tolist() == [0, 2]
    assert fails["place"].tolist() == [1, 2]
    assert [place_label(place) for place in places.itertuples()][1] == "0000001<br>2026-01-02"


def test_line_band_and_marker_are_those_of_the_points():
    figure = history_figure(frame([point(0), point(1, 0.8)]), NONE, FAILED)
    marker = trace(figure, "point")
    assert list(marker.x) == [0, 1]
    assert list(marker.y) == [0.5, 0.8]
    assert marker.marker.color == implementation_colour("numba")
    band = next(found for found in figure.data if found.fill == "toself")
    assert list(band.y) == pytest.approx([0.45, 0.72, 0.88, 0.55])
    assert figure.layout.yaxis.title.text == "time / time of native in the same run"
    assert marker.customdata[0][1] == "r0000"
    assert "0.500 (0.450 to 0.550)" in marker.customdata[0][0]
    assert "n = 1 run" in marker.customdata[0][0]


def test_a_plain_time_has_its_unit_on_the_axis():
    figure = history_figure(frame([point(0, 2e6, kind="time", reference=None)]), NONE, FAILED)
    assert figure.layout.yaxis.title.text == "time of one call (ms)"
    assert list(trace(figure, "point").y) == [2.0]


def test_inconclusive_points_are_hollow():
    figure = history_figure(frame([point(0), point(1, inconclusive=True)]), NONE, FAILED)
    hollow = trace(figure, "inconclusive: disturbed by others")
    assert list(hollow.x) == [1]
    assert hollow.marker.symbol.endswith("-open")


def test_a_change_is_a_vertical_line_between_two_versions_with_its_size():
    points = frame([point(number, 0.5 if number < 3 else 0.65) for number in range(6)])
    figure = history_figure(points, pd.DataFrame([step(3)]), FAILED)
    line = next(shape for shape in figure.layout.shapes if shape.line.dash is None)
    assert (line.x0, line.x1) == (2.5, 2.5)
    assert figure.layout.annotations[0].text.strip() == "slower by 30 % (28 to 32)"


def test_a_new_environment_is_a_dashed_line_and_breaks_the_line():
    rows = [point(0), point(1), point(2, environment_class="two"), point(3, environment_class="two")]
    figure = history_figure(frame(rows), NONE, FAILED)
    dashed = [shape.x0 for shape in figure.layout.shapes if shape.line.dash == "dash"]
    assert dashed == [1.5]
    lines = [
        list(found.x)
        for found in figure.data
        if found.mode == "lines" and found.fill is None and found.x[0] is not None
    ]
    assert lines == [[0, 1], [2, 3]]


def test_failures_stand_in_a_strip_below_with_their_reason_in_plain_signs():
    figure = history_figure(frame([point(0), point(2)]), NONE, pd.DataFrame([failed(1), failed(3, "timeout", None)]))
    wrong, late = trace(figure, "wrong"), trace(figure, "timeout")
    assert (list(wrong.x), list(late.x)) == ([1], [3])
    assert wrong.yaxis == "y2"
    assert wrong.marker.symbol != late.marker.symbol
    assert "off by &lt;b&gt;" in wrong.customdata[0][0]
    assert "no reason given" in late.customdata[0][0]


def test_a_case_that_only_failed_is_drawn():
    figure = history_figure(frame([]), NONE, pd.DataFrame([failed(0)]))
    assert list(trace(figure, "wrong").x) == [0]


def test_a_case_without_history_says_so():
    assert "no point" in history_figure(frame([]), NONE, FAILED).layout.annotations[0].text


def test_many_points_are_thinned_and_those_around_a_change_are_kept():
    points = frame([point(number) for number in range(4000)])
    figure = history_figure(points, pd.DataFrame([step(1111)]), FAILED)
    assert marks(figure) <= 5000
    assert {1110, 1111} <= set(trace(figure, "point").x)
    assert "of 4,000 points drawn" in figure.layout.xaxis.title.text
    assert len(figure.to_json()) < 2_000_000


def test_ticks_are_few_and_name_commit_and_date():
    figure = history_figure(frame([point(number) for number in range(50)]), NONE, FAILED)
    assert len(figure.layout.xaxis.ticktext) == 4
    assert figure.layout.xaxis.ticktext[0] == "0000000<br>2026-01-01"


def test_small_panels_are_relative_to_their_first_point():
    other = CASE.replace("T64", "T128")
    points = frame([point(0, 0.5), point(1, 0.6), point(0, 8.0, case_id=other), point(1, 8.0, case_id=other)])
    figure = history_grid(points, pd.DataFrame([step(1)]), [CASE, other, "nobody"])
    drawn, axis = trace(figure, "point"), figure.layout.yaxis
    at = dict(zip(axis.ticktext, axis.tickvals, strict=True))
    assert list(drawn.y) == pytest.approx([at["1"], at["1.2"], math.nan, at["1"], at["1"]], nan_ok=True)
    assert [note.text for note in figure.layout.annotations] == [
        "lstm/numba<br>T64-B4-I8-H8",
        "lstm/numba<br>T128-B4-I8-H8",
    ]
    assert [shape.x0 for shape in figure.layout.shapes] == [pytest.approx((drawn.x[0] + drawn.x[1]) / 2)]


def test_small_panels_lie_beside_and_below_each_other_and_nothing_reaches_over():
    cases = [f"lstm/numba/T{size}/float32/cpu-2/forward" for size in range(3)]
    wide = [point(number, 1.0, low=1e-6, high=1e6, case_id=case) for case in cases for number in range(2)]
    figure = history_grid(frame(wide), NONE, cases)
    band = next(found for found in figure.data if found.fill == "toself")
    pieces = np.split(np.array([band.x, band.y]), np.flatnonzero(np.isnan(band.x)), axis=1)
    boxes = [(*np.nanmin(piece, axis=1), *np.nanmax(piece, axis=1)) for piece in pieces]
    titles = [(note.x, note.y) for note in figure.layout.annotations]
    assert [high for *_, high in boxes] == [y for _, y in titles]
    assert boxes[0][2] < boxes[1][0], "the second begins to the right of the first's end"
    assert boxes[2][3] < boxes[0][1], "the third's top is below the first's bottom"
    assert figure.layout.yaxis.range[0] <= boxes[2][1]
    assert figure.layout.yaxis.range[1] == boxes[0][3]


def test_small_panels_of_many_points_keep_their_changes():
    cases = [f"lstm/numba/T{size}/float32/cpu-2/forward" for size in range(12)]
    points = frame([point(number, case_id=case) for case in cases for number in range(334)])
    changed = pd.DataFrame([step(place, case=case) for place, case in enumerate(cases, 100)])
    figure = history_grid(points, changed, cases)
    x = np.array(trace(figure, "point").x)
    panels = [panel[~np.isnan(panel)] for panel in np.split(x, np.flatnonzero(np.isnan(x)))]
    places = [np.interp(shape.x0, [panel[0], panel[-1]], [0, 333]) for shape, panel in zip(figure.layout.shapes, panels, strict=True)]  # fmt: skip
    assert places == pytest.approx([place - 0.5 for place in range(100, 112)])
    assert sum(len(found.x) for found in figure.data) <= 5000


def test_a_small_panel_tells_the_value_itself_and_what_it_is_of_the_first():
    points = frame([point(0, 2e6, kind="time", reference=None), point(1, 3e6, kind="time", reference=None)])
    figure = history_grid(points, NONE, [CASE])
    words = figure.data[-1].customdata[1][0]
    assert words.startswith("<b>3.00 ms (2.70 ms to 3.30 ms)</b>")
    assert "1.50 of this panel's first point" in words


def test_small_panels_stand_in_the_order_of_time_and_what_has_none_last():
    rows = [point(0), point(2), point(1), point(3, time_utc=pd.NaT)]
    for order in itertools.permutations(rows):
        figure = history_grid(frame([*order]), NONE, [CASE])
        drawn = trace(figure, "point")
        assert sorted((place, data[1]) for data, place in zip(drawn.customdata, drawn.x, strict=True)) == [
            (pytest.approx(place), f"r{number:04d}")
            for number, place in enumerate(np.linspace(min(drawn.x), max(drawn.x), 4))
        ]


def test_small_panels_name_what_tells_cases_apart_and_are_twelve_at_most():
    cases = [f"lstm/numba/T{size}/float32/cpu-2/forward;beta={size}" for size in range(20)]
    figure = history_grid(frame([point(0, case_id=case) for case in cases]), NONE, cases)
    titles = [note.text for note in figure.layout.annotations]
    assert len(titles) == 12
    assert titles[1] == "lstm/numba<br>T1<br>beta=1"


def test_failures_are_the_wrong_and_failed_rows_of_the_version_that_was_measured():
    runs = pd.DataFrame({"run_id": ["a", "b"], "created_utc": ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"], "environment_class": "one", "git_sha": ["x", "y"], "git_dirty": False})  # fmt: skip
    rows = [
        ("a", "run", "wrong"),
        ("b", "head", "timeout"),
        ("b", "base", "failed"),
        ("a", "run", "unavailable"),
        ("a", "run", "ok"),
    ]
    measurements = pd.DataFrame(
        [{"run_id": run, "case_id": "c", "implementation": "i", "side": side, "status": status, "reason": None} for run, side, status in rows]
    )  # fmt: skip
    found = failures(runs, measurements)
    assert found[["run_id", "status", "git_sha"]].values.tolist() == [["b", "timeout", "y"], ["a", "wrong", "x"]]
    assert np.issubdtype(found["time_utc"].dt.tz_localize(None).dtype, np.datetime64)
