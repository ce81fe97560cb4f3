"""Trade-off of speed against error, memory or half-life: by data and layout, against hand-made rows."""

import math

import numpy as np
import pandas as pd
import pytest

from gatebench.report.colours import implementation_colour
from gatebench.report.figures.axes import NEVER
from gatebench.report.figures.trade_off import AGAINST, POINTS, trade_off_figure, trade_off_points


def row(implementation="native", time_ns=2e6, error_ratio: float | None = 1.0, **more):
    timed = not math.isnan(time_ns)
    known = {
        "case_id": f"lstm/{implementation}", "side": "run", "gate": "lstm", "gate_options": "{}", "implementation": implementation,
        "implementation_options": "{}", "status": "ok" if timed else "failed", "reason": None if timed else "it broke",
        "blocks": 5 if timed else None, "time_ns": time_ns, "ci_low_ns": time_ns * 0.9, "ci_high_ns": time_ns * 1.1, "error_ratio": error_ratio,
        "peak_bytes": 2048, "saved_bytes": 1024, "speedup": 2e6 / time_ns, "speedup_low": 1.9e6 / time_ns, "speedup_high": 2.1e6 / time_ns,
    }  # fmt: skip
    return known | more


def points(*rows, against="error_ratio", speed="time", half_lives=None):
    return trade_off_points(pd.DataFrame(rows), against, speed, half_lives)


def trace(figure, name):
    return next(each for each in figure.data if each.name == name)


FAST = row("numba", 1e6, 3.0)
EXACT = row("eager", 4e6, 1.0)
BEATEN = row("native", 5e6, 2.0)


def test_points_are_time_and_error_and_the_frontier_leaves_out_what_is_beaten():
    found = points(FAST, EXACT, BEATEN)
    assert list(found.columns) == POINTS
    assert found[["x", "y", "frontier", "missing"]].to_numpy().tolist() == [
        [1e6, 3.0, True, ""],
        [4e6, 1.0, True, ""],
        [5e6, 2.0, False, ""],
    ]
    assert found[["x_low", "x_high"]].iloc[0].tolist() == [9e5, 1.1e6]


def test_against_a_speed_up_more_is_better():
    found = points(FAST, EXACT, BEATEN, speed="speedup")
    assert found["x"].tolist() == [2.0, 0.5, 0.4]
    assert found["frontier"].tolist() == [True, True, False]


def test_what_has_no_number_is_named_with_the_reason():
    rows = [
        row("numba", math.nan), row("cudnn", math.nan, status="unavailable", reason=None), row("triton", math.nan, status="ok", reason=None),
        row("eager", error_ratio=None),
    ]  # fmt: skip
    assert points(*rows)["missing"].tolist() == [
        "failed: it broke", "unavailable: no reason given", "no time", "error ratio (1: as exact as eager): not measured",
    ]  # fmt: skip
    assert not points(*rows)["frontier"].any()
    alone = points(row("eager", speedup=math.nan), speed="speedup")
    assert alone["missing"].tolist() == ["no speed-up over the baseline: the baseline has no time here"]


HALF_LIVES = pd.DataFrame(
    [("lstm", "{}", 10.0, 8.0, 12.0), ("gru", '{"a": 1}', math.inf, 20.0, math.inf)],
    columns=["gate", "options", "half_life", "half_life_low", "half_life_high"],
)


def test_a_half_life_is_the_gates_own_whatever_computes_it():
    rows = [row(), row("numba", 1e6), row(gate="gru", gate_options='{"a": 1}'), row(gate="gru")]
    found = points(*rows, against="half_life", half_lives=HALF_LIVES)
    assert found["name"].tolist() == ["lstm by native", "lstm by numba", "gru (a=1) by native", "gru by native"]
    assert found["y"].tolist()[:3] == [10.0, 10.0, math.inf]
    assert found["frontier"].tolist() == [False, True, True, False]
    assert found["missing"].tolist() == ["", "", "", "no half-life of this gate there"]
    assert points(row(), against="half_life")["y"].isna().all()


def test_the_figure_has_a_point_per_case_and_steps_along_the_frontier():
    figure = trade_off_figure(points(FAST, EXACT, BEATEN), "error_ratio")
    steps = trace(figure, "frontier")
    assert (list(steps.x), list(steps.y), steps.line.shape) == ([1e6, 4e6], [3.0, 1.0], "hv")
    beaten, best = trace(figure, "native"), trace(figure, "numba")
    assert (list(beaten.text), list(best.text)) == ([""], ["numba"])
    assert (beaten.marker.symbol, best.marker.symbol) == (("square-open",), ("triangle-up",))
    assert best.marker.color == implementation_colour("numba")
    assert best.error_x.array[0] == pytest.approx(1e5)
    assert np.isnan(best.error_y.array[0]), "an error is the same in every block"
    assert figure.layout.yaxis.title.text == AGAINST["error_ratio"]
    assert all(label.split()[1] in ("ns", "µs", "ms") for label in figure.layout.xaxis.ticktext)


def test_towards_more_speed_the_steps_turn_the_other_way():
    figure = trade_off_figure(points(FAST, EXACT, speed="speedup"), "error_ratio", "speedup")
    assert trace(figure, "frontier").line.shape == "vh"
    assert list(trace(figure, "frontier").x) == [0.5, 2.0]
    assert all(label.endswith("×") for label in figure.layout.xaxis.ticktext)


def test_a_point_says_its_numbers_with_units_interval_and_n_and_names_its_case():
    text, case_id, side = trace(trade_off_figure(points(FAST, EXACT), "error_ratio"), "numba").customdata[0]
    for part in (
        "1.00 ms (0.900 to 1.10)",
        "n = 5 blocks",
        "error ratio (1: as exact as eager): 3.0",
        "on the frontier",
    ):
        assert part in text
    assert (case_id, side) == ("lstm/numba", "run")


def test_a_half_life_without_end_lies_on_a_line_of_its_own():
    rows = [row(), row(gate="gru", gate_options='{"a": 1}', implementation="eager")]
    figure = trade_off_figure(points(*rows, against="half_life", half_lives=HALF_LIVES), "half_life")
    axis = figure.layout.yaxis
    line = dict(zip(axis.ticktext, axis.tickvals, strict=True))[NEVER]
    point = trace(figure, "eager")
    assert list(point.y) == [line]
    assert point.error_y.arrayminus[0] == pytest.approx(line - 20.0)
    assert "never" in point.customdata[0][0]
    assert np.isfinite(axis.range).all()


@pytest.mark.parametrize(
    ("sizes", "labels"),
    [
        ([2**20, 2**24], {"1 MiB", "4 MiB", "16 MiB"}),
        ([2.2 * 2**20, 2.8 * 2**20], {"2 MiB", "2.5 MiB", "3 MiB"}),
        ([0, 6 * 2**10], {"0 bytes", "1 KiB", "6 KiB"}),
        ([0, 0], {"0 bytes"}),
    ],
)
def test_memory_has_ticks_in_its_own_units(sizes, labels):
    rows = [row(name, peak_bytes=size) for name, size in zip(("native", "numba"), sizes, strict=True)]
    figure = trade_off_figure(points(*rows, against="peak_bytes"), "peak_bytes")
    assert labels <= set(figure.layout.yaxis.ticktext)
    assert 2 <= len(figure.layout.yaxis.ticktext) <= 9


def test_no_error_at_all_is_drawn_at_nought():
    figure = trade_off_figure(points(row(error_ratio=0.0), row("numba", error_ratio=2.0)), "error_ratio")
    assert figure.layout.yaxis.type != "log"
    assert figure.layout.yaxis.range[0] < 0 < 2.0 < figure.layout.yaxis.range[1]


def test_without_a_point_the_figure_says_so():
    figure = trade_off_figure(points(row(time_ns=math.nan)), "error_ratio")
    assert "No case here has both numbers" in figure.layout.annotations[0].text


def test_names_of_strangers_are_shown_as_they_are_and_cut():
    figure = trade_off_figure(points(row("<img src=x>" + 1000 * "y")), "error_ratio")
    point = figure.data[1]
    for text in (point.name, *point.text, point.customdata[0][0]):
        assert "<img" not in text
        assert "&lt;img" in text
        assert len(text) < 400
