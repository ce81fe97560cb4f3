"""The grid of statuses and the heatmap of error ratios, by their data and layout."""

import math

import pandas as pd
import pytest

from gatebench.report.colours import STATUS, STATUS_SYMBOLS
from gatebench.report.coverage import coverage_cells
from gatebench.report.figures.coverage import coverage_figure
from gatebench.report.figures.errors import ERROR_COLUMNS, error_cells, error_figure, tensor_order
from gatebench.report.figures.layout import MOST_MARKS

HOSTILE = "<img src=x onerror=alert(1)>" + 10_000 * "y"


def grid(*cases):
    """Return the cells of (gate, implementation, status) triples, each triple a problem of its own."""
    rows = [
        {
            "gate": gate,
            "implementation": name,
            "status": status,
            "problem_id": f"{gate}{number}",
            "case_id": str(number),
        }
        for number, (gate, name, status) in enumerate(cases)
    ]
    return coverage_cells(pd.DataFrame(rows))


def symbols(figure, status):
    return next(trace for trace in figure.data if trace.type == "scatter" and trace.name == status)


def tiles(figure, status):
    return next(trace for trace in figure.data if trace.type == "bar" and trace.name == status)


def test_every_status_has_a_colour_and_a_symbol_of_its_own():
    assert set(STATUS) == set(STATUS_SYMBOLS)
    assert len(set(STATUS_SYMBOLS.values())) == len(STATUS_SYMBOLS)


def test_a_tile_shows_its_worst_status_as_symbol_colour_and_text():
    figure = coverage_figure(grid(("gru", "native", "ok"), ("gru", "native", "wrong"), ("lstm", "native", "ok")))
    wrong, ok = symbols(figure, "wrong"), symbols(figure, "ok")
    assert (wrong.marker.symbol, wrong.marker.color) == ("x", STATUS["wrong"])
    assert (list(wrong.x), [round(y) for y in wrong.y]) == ([0], [0])
    assert [round(y) for y in ok.y] == [1]
    assert list(tiles(figure, "wrong").text) == ["1 wrong<br>1 ok"]
    assert list(figure.layout.yaxis.ticktext) == ["gru", "lstm"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first gate is at the top"


@pytest.mark.parametrize("page", ["#FFFFFF", "#161513"], ids=["light", "dark"])
def test_the_text_of_a_tile_is_read_in_both_themes(page):
    figure = coverage_figure(grid(("gru", "native", "wrong")))
    brighter, darker = sorted((luminance(page), luminance(tiles(figure, "wrong").insidetextfont.color)), reverse=True)
    assert (brighter + 0.05) / (darker + 0.05) > 4  # the contrast ratio of WCAG 2; its least for large text is 3


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb, by WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_tiles_of_more_than_two_kinds_count_the_rest_and_tell_all_when_asked():
    figure = coverage_figure(
        grid(("gru", "native", "wrong"), ("gru", "native", "failed"), ("gru", "native", "timeout"))
    )
    tile = tiles(figure, "wrong")
    assert list(tile.text) == ["1 wrong<br>2 more kinds"]
    assert tuple(tile.customdata[0]) == ("<b>gru by native</b><br>1 wrong<br>1 failed<br>1 timeout", "gru by native")


def test_unmeasured_tiles_are_blank_and_say_so_and_partly_measured_ones_are_hatched():
    figure = coverage_figure(grid(("gru", "native", "ok"), ("gru", "native", "ok"), ("lstm", "numba", "ok")))
    assert list(tiles(figure, "not measured").text) == ["not measured", "not measured"]
    assert set(tiles(figure, "not measured").marker.pattern.shape) == {""}
    cells = coverage_cells(
        pd.DataFrame(
            {"gate": "gru", "implementation": ["native", "native", "numba"], "status": "ok",
             "problem_id": ["a", "b", "a"], "case_id": ["1", "2", "3"]}
        )
    )  # fmt: skip
    assert list(tiles(coverage_figure(cells), "ok").marker.pattern.shape) == ["", "/"]


def test_a_grid_draws_at_most_5000_marks_and_says_what_is_left_out():
    cases = [(f"gate{number:04d}", name, "ok") for number in range(600) for name in ("a", "b", "c", "d", "e")]
    figure = coverage_figure(grid(*cases))
    assert sum(len(trace.x) for trace in figure.data) <= MOST_MARKS
    assert figure.layout.title.text == "100 of 600 gates are left out; the table has them"


def test_hostile_names_are_escaped_and_shortened():
    figure = coverage_figure(grid((HOSTILE, HOSTILE, "ok")))
    texts = [
        *figure.layout.xaxis.ticktext,
        *figure.layout.yaxis.ticktext,
        *(data[0] for data in tiles(figure, "ok").customdata),
    ]
    assert all("<img" not in text and len(text) < 300 for text in texts)
    cells = error_cells(*errors((HOSTILE, HOSTILE, 1.0)))
    drawn = error_figure(cells)
    texts = [*drawn.layout.xaxis.ticktext, *drawn.layout.yaxis.ticktext, drawn.data[0].customdata[0][0]]
    assert all("<img" not in text and len(text) < 600 for text in texts)


def test_nothing_measured_is_said_in_words():
    assert "Nothing was measured" in coverage_figure(grid()).layout.annotations[0].text
    assert "No errors" in error_figure(pd.DataFrame(columns=ERROR_COLUMNS)).layout.annotations[0].text


def errors(*values, **more):
    """Return accuracy and cases of (tensor, implementation, error ratio) triples, each triple a case of its own."""
    accuracy = [
        {"run_id": "r", "case_id": f"c{number}", "side": "run", "tensor": tensor, "dtype": "float32", "max_abs_error": 1e-7,
         "relative_error": 1e-6, "error_ratio": ratio, "limit_ratio": 10.0, "passed": ratio <= 10} | more
        for number, (tensor, _, ratio) in enumerate(values)
    ]  # fmt: skip
    cases = [
        {"run_id": "r", "case_id": f"c{number}", "side": "run", "implementation": name, "implementation_options": "{}"}
        for number, (_, name, _) in enumerate(values)
    ]
    return pd.DataFrame(accuracy), pd.DataFrame(cases)


def test_a_cell_is_the_worst_of_its_cases_against_its_limit():
    cells = error_cells(*errors(("output", "numba", 2.0), ("output", "numba", 5.0), ("h", "numba", 1.0)))
    worst = cells.set_index("tensor").loc["output"]
    assert (worst["error_ratio"], worst["share"], worst["case_id"], worst["cases"]) == (5.0, 0.5, "c1", 2)


def test_a_case_that_did_not_pass_is_worse_than_a_larger_ratio_that_did():
    accuracy, cases = errors(("output", "numba", 2.0), ("output", "numba", 5.0))
    accuracy.loc[0, "passed"] = False
    [cell] = error_cells(accuracy, cases).to_dict("records")
    assert (cell["error_ratio"], cell["passed"]) == (2.0, False)


def test_tensors_come_in_groups_outputs_before_gradients():
    names = ["grad:x", "grad:x@last", "output", "grad:w/f", "h", "output@last", "grad:w/i", "output@first"]
    assert list(tensor_order(pd.Series(names))) == [
        "output", "output@last", "output@first", "h", "grad:x", "grad:x@last", "grad:w/f", "grad:w/i",
    ]  # fmt: skip


def test_colours_are_the_decades_below_and_above_the_limit():
    values = (
        ("output", "eager", 1.0),
        ("h", "eager", 10.0),
        ("c", "eager", 0.0),
        ("d", "eager", math.inf),
        ("e", "eager", 1e-9),
    )
    figure = error_figure(error_cells(*errors(*values)))
    heatmap = figure.data[0]
    assert [row[0] for row in heatmap.z] == pytest.approx([-1.0, 0.0, -2.0, 1.0, -2.0])
    assert [row[0] for row in heatmap.text] == ["1.0", "10", "0", "∞ ✗", "1.0e-09"]
    assert (heatmap.zmin, heatmap.zmax) == (-2.0, 1.0)
    assert "the limit" in heatmap.colorbar.ticktext


def test_a_wrong_cell_is_marked_beside_its_colour():
    figure = error_figure(error_cells(*errors(("output", "numba", 31.2), ("output", "eager", 1.0))))
    assert [list(row) for row in figure.data[0].text] == [["1.0", "31 ✗"]], "eager comes first"
    assert "error ratio 31.2, limit 10.0" in figure.data[0].customdata[0][1]
    assert "wrong" in figure.data[0].customdata[0][1]


def test_a_tensor_that_an_implementation_lacks_is_said():
    figure = error_figure(error_cells(*errors(("output", "numba", 1.0), ("h", "eager", 1.0))))
    gaps = next(trace for trace in figure.data if trace.name == "not compared")
    assert list(zip(gaps.x, gaps.y, strict=True)) == [(0, 0), (1, 1)]
    assert gaps.customdata[0] == "output by eager: not compared in any of these cases"


def test_a_ratio_without_its_limit_has_no_colour_and_says_why():
    figure = error_figure(error_cells(*errors(("output", "numba", 1.0), limit_ratio=None, passed=None)))
    gaps = next(trace for trace in figure.data if trace.name == "not compared")
    assert "no ratio or limit is stored" in gaps.customdata[0]


def test_a_heatmap_has_at_most_5000_cells_and_says_what_is_left_out():
    figure = error_figure(error_cells(*errors(*((f"t{number}", "eager", 1.0) for number in range(6000)))))
    assert len(figure.data[0].z) == MOST_MARKS
    assert figure.layout.title.text == "1000 of 6000 tensors are left out; the table has them"
