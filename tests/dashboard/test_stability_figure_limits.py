"""Figures of stability of nothing, of many points, and of more series than colours."""

import math

import pandas as pd
import pytest
from figure_helpers import marks, trace
from stability_drawn import legend, measured, spectra, sweep, training, words

from gatebench.report.figures.curves import MOST_GATES, MOST_SERIES
from gatebench.report.figures.layout import MOST_MARKS
from gatebench.report.figures.saturation import saturation_figure
from gatebench.report.figures.stability import norm_figure, summary_figure
from gatebench.report.figures.stability_series import spectrum_figure, sweep_figure, training_figure
from gatebench.report.stability import case_summary, norm_curves, saturation_table
from gatebench.report.stability_series import spectrum_table, sweep_table, training_table
from tests.stability_frames import case, frame, long_rows, profile, spectrum, trained

NOTHING = {
    "no axis": (lambda: sweep(case()), "Nothing here differs in a number"),
    "no value": (lambda: sweep(*([long_rows(metric="class", label="stable", seq_len=t)] for t in (8, 16))), "ask for the metrics profile or lyapunov"),
    "nothing at all": (lambda: sweep_figure(sweep_table(frame(case()).iloc[:0])), "Nothing here differs"),
    "no spectrum": (lambda: spectra(case()), "ask for the metrics spectrum or singular_values"),
    "all collapsed": (lambda: spectra(spectrum([-math.inf, -math.inf])), "each direction has collapsed"),
    "no training": (lambda: training(case()), "give --task and --after-steps"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_an_empty_figure_says_why(name):
    draw, text = NOTHING[name]
    figure = draw()
    assert len(figure.data) == 0
    (said,) = words(figure)
    assert text in said


def stretched(table, column, count):
    """Return a table with each row repeated, `column` counting from 0: many points of few made-up cases."""
    return pd.concat([table.assign(**{column: number}) for number in range(count)], ignore_index=True)


GATES = ("lstm", "gru", "rnn_tanh", "mlstm", "qrnn", "sru", "mingru", "minlstm")


def many_sweeps():
    rows = frame(*(case(init=f"gaussian={g}", gate=gate) for g in (1, 2) for gate in GATES))
    table = sweep_table(rows)
    return sweep_figure(stretched(table[table["x"] == 1], "x", 300))


def many_spectra():
    table = spectrum_table(frame(*(spectrum([-0.1], [-1.0], gate=gate) for gate in GATES)))
    return spectrum_figure(stretched(table, "index", 300))


def many_trainings():
    table = training_table(frame(*(trained((2.0,), init=init) for init in ("torch", "irnn"))))
    return training_figure(stretched(table, "step", 1000))


def many_curves():
    rows = frame(*(profile(seeds=1, lags=1, init=f"gaussian={g}", gate=gate) for g in range(8) for gate in GATES[:2]))
    return norm_figure(stretched(norm_curves(rows), "back", 120))


@pytest.mark.parametrize("draw", [many_sweeps, many_spectra, many_trainings, many_curves], ids=lambda draw: draw.__name__)  # fmt: skip
def test_many_points_are_thinned_to_what_a_browser_draws_with_both_ends(draw):
    figure = draw()
    assert MOST_MARKS / 3 < marks(figure) <= MOST_MARKS
    ends = {"many_sweeps": 299, "many_spectra": 300, "many_trainings": 999, "many_curves": 119}
    assert {line.x[-1] for line in measured(figure)} == {ends[draw.__name__]}


FIGURES = {
    "sweep": lambda names: sweep(*(case(init=name, seq_len=t) for name in names for t in (8, 16))),
    "spectrum": lambda names: spectra(*(spectrum([-0.1], init=name) for name in names)),
    "training": lambda names: training(*(trained(init=name) for name in names)),
    "norms": lambda names: norm_figure(norm_curves(frame(*(profile(init=name) for name in names)))),
    "summary": lambda names: summary_figure(case_summary(frame(*(case(init=name) for name in names)))),
    "saturation": lambda names: saturation_figure(saturation_table(frame(*(saturated(init=name) for name in names)))),
}


def saturated(letters="f", **more):
    metrics = ("saturation_low", "saturation_high")
    return [long_rows(metric=metric, part=letter, value=0.25, **more) for metric in metrics for letter in letters]


@pytest.mark.parametrize("name", FIGURES)
def test_no_more_series_than_colours_are_drawn_and_the_legend_says_so(name):
    names = [f"T_{number}" for number in range(MOST_SERIES + 2, 0, -1)]
    figure = FIGURES[name](names)
    drawn = [entry for entry in legend(figure) if "T_" in entry]
    numbers = [entry.rpartition("T_")[2] for entry in drawn]
    assert numbers == [str(number) for number in range(1, MOST_SERIES + 1)]  # as people sort them
    assert trace(figure, "(2 more not drawn)").x == (None,)
    assert "(2 more not drawn)" not in legend(FIGURES[name](names[2:]))


BY_GATE = {
    "norms": lambda gates: norm_figure(norm_curves(frame(*(profile(gate=gate) for gate in gates)))),
    "spectrum": lambda gates: spectra(*(spectrum([-0.1], gate=gate) for gate in gates)),
    "saturation": lambda gates: saturation_figure(saturation_table(frame(*(saturated(gate=gate) for gate in gates)))),
}


@pytest.mark.parametrize("name", BY_GATE)
def test_no_more_than_eight_gates_are_drawn_and_the_legend_says_so(name):
    gates = [f"gate_{number}" for number in range(10, 10 + MOST_GATES + 4)]
    figure = BY_GATE[name](gates)
    assert words(figure) == gates[:MOST_GATES]
    assert trace(figure, "(4 gates not drawn)").x == (None,)
    assert [entry for entry in legend(BY_GATE[name](gates[:MOST_GATES])) if "not drawn" in entry] == []
    assert "(1 gate not drawn)" in legend(BY_GATE[name](gates[: MOST_GATES + 1]))


def test_a_gate_whose_inits_are_all_left_out_has_no_panel_and_is_counted():
    inits = [f"T_{number}" for number in range(MOST_SERIES)]
    rows = [spectrum([-0.1], init=init) for init in inits]
    figure = spectra(*rows, spectrum([-0.1], gate="gru", init="T_99"))
    assert words(figure) == ["lstm"]
    assert legend(figure)[-2:] == ["(1 more not drawn)", "(1 gate not drawn)"]


def test_bars_of_saturation_stay_within_the_marks_and_the_legend_says_what_does_not():
    dtypes, inits = ("float64", "float32", "bfloat16", "float16"), [f"T_{number}" for number in range(60)]
    cases = [{"gate": gate, "init": init, "dtype": dtype} for gate in GATES for init in inits for dtype in dtypes]
    figure = saturation_figure(saturation_table(frame(*(saturated("abcdefg", **case) for case in cases))))
    assert MOST_MARKS / 2 < marks(figure) <= MOST_MARKS
    drawn = [name for name in legend(figure) if name.startswith("T_")]
    assert drawn == inits[: len(drawn)]
    assert f"({60 - len(drawn)} more not drawn)" in legend(figure)
    letters = [f"l{number}" for number in range(MOST_MARKS)]
    figure = saturation_figure(saturation_table(frame(saturated(letters))))
    assert marks(figure) <= MOST_MARKS
    assert "(5050 bars not drawn)" in legend(figure)


def test_a_summary_says_how_many_cases_it_leaves_out():
    rows = frame(*(case(gate=f"gate_{number}") for number in range(1003)))
    figure = summary_figure(case_summary(rows))
    assert "(3 cases not drawn)" in legend(figure)
    assert "not drawn" not in str(legend(summary_figure(case_summary(rows[rows["gate"] != "gate_0"]).head(1000))))
