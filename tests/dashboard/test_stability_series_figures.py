"""Figures of sweeps, spectra and training, by their data and layout, against hand-made frames."""

import math

import numpy as np
import pandas as pd
import pytest
from stability_drawn import bands, legend, lines, measured, spectra, sweep, training, words

from gatebench.report.figures.axes import NEVER
from gatebench.report.figures.stability_series import sweep_figure, training_figure
from gatebench.report.stability_series import sweep_table, training_table
from tests.stability_frames import case, frame, half_lives, long_rows, spectrum, trained


def no_nan_in(figure):
    """Check that no number of a figure but the gaps of its lines is NaN or infinite, ranges and shapes too."""
    for entry in figure.data:
        assert not np.isnan(np.asarray([x for x in entry.x if x is not None], dtype=float)).any()
        assert not np.isinf(np.asarray([y for y in entry.y if y is not None], dtype=float)).any()
        if entry.fill:
            assert not np.isnan(np.asarray(entry.y, dtype=float)).any()
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        assert np.isfinite([end for end in axis.range or () if isinstance(end, float)]).all()
    assert all(math.isfinite(end) for shape in figure.layout.shapes for end in (shape.x0, shape.y0) if isinstance(end, float))  # fmt: skip


# --- sweeps


def biases(values=(-2, 0, 2), half_life=2.0, **more):
    return [case(half_life * 2.0**b, -(2.0**-b), init=f"forget_bias={b}", **more) for b in values]


def test_a_sweep_draws_half_lives_and_exponents_against_the_number():
    figure = sweep(*biases())
    half, exponents = measured(figure)
    assert (list(half.x), list(half.y)) == ([-2, 0, 2], [0.5, 2.0, 8.0])
    assert list(exponents.y) == [-4.0, -1.0, -0.25]
    assert figure.layout.xaxis.title.text == "forget bias b"
    assert (figure.layout.yaxis.type, figure.layout.yaxis2.type) == ("log", None)
    assert legend(figure) == ["lstm"]
    no_nan_in(figure)


def test_bands_run_between_deciles_and_break_where_there_are_none():
    rows = [half_lives(1.0, 2.0, 4.0, init=f"gaussian={g}") for g in (1, 2, 4)]
    (band,) = bands(sweep(*rows))
    assert (list(band.x), list(band.y)) == ([1, 2, 4, 4, 2, 1], [1, 1, 1, 4, 4, 4])
    gap = frame(*(case(init=f"gaussian={g}") for g in (1, 2, 4)))
    gap.loc[(gap["init"] == "gaussian=2") & (gap["metric"] == "largest_lyapunov"), "value"] = -math.inf
    pieces = [band for band in bands(sweep_figure(sweep_table(gap))) if band.yaxis == "y2"]
    assert [list(dict.fromkeys(band.x)) for band in pieces] == [[1], [4]]


def test_infinite_half_lives_lie_on_a_line_above_all_others():
    figure = sweep(*biases((0, 2)), case(math.inf, init="forget_bias=100"))
    half = measured(figure)[0]
    never = half.y[-1]
    assert never == pytest.approx(24.0)
    (line,) = [shape for shape in figure.layout.shapes if shape.yref == "y"]
    assert line.y0 == never
    axis = figure.layout.yaxis
    assert dict(zip(axis.ticktext, axis.tickvals, strict=True))[NEVER] == never
    assert axis.range[1] < math.log10(never) + 0.5
    assert "∞ steps" in half.customdata[-1]
    no_nan_in(figure)


def test_a_sweep_of_nothing_but_infinite_half_lives_is_drawn():
    figure = sweep(*(case(math.inf, math.inf, init=f"gaussian={g}") for g in (1, 2)))
    assert set(measured(figure)[0].y) == {1e3}
    no_nan_in(figure)


def test_theory_is_a_dotted_line_that_does_not_stretch_the_axis():
    predicted = [long_rows(metric="predicted_half_life", value=v, init=f"forget_bias={b}") for b, v in ((0, 1.0), (2, 5.5), (100, 1e43))]  # fmt: skip
    figure = sweep(*biases((0, 2, 100), half_life=2.0**-90), *biases((0, 2)), predicted)
    (theory,) = [line for line in lines(figure) if line.customdata is None]
    assert (list(theory.y), theory.line.dash) == ([1.0, 5.5, 1e43], "dot")
    assert figure.layout.yaxis.range[1] < 6
    assert legend(figure) == ["lstm", "theory"]
    assert "theory: 5.50 steps" in measured(figure)[0].customdata[1]


def test_what_theory_calls_infinite_is_drawn_with_the_other_infinities():
    predicted = [long_rows(metric="predicted_half_life", value=math.inf, init="forget_bias=1000")]
    figure = sweep(*biases((0,)), case(math.inf, init="forget_bias=1000"), predicted)
    theory = next(line for line in lines(figure) if line.customdata is None)
    assert theory.y[1] == measured(figure)[0].y[1]
    alone = sweep(*biases((0,)), case(9.0, init="forget_bias=1000"), predicted)
    no_nan_in(alone)


def edges(init, **more):
    return [long_rows(metric="predicted_edge", value=2.0, init=init, **more)]


def test_the_edge_of_stability_is_a_place_on_an_axis_of_gains_only():
    gains = [*(case(init=f"gaussian={g}") for g in (1, 3)), edges("gaussian=1"), edges("gaussian=3")]
    figure = sweep(*gains)
    assert [(shape.x0, shape.xref) for shape in figure.layout.shapes if shape.x0 == shape.x1] == [(2.0, "x2")]
    assert words(figure) == ["edge g = 2"]
    lengths = [*(case(init="gaussian=1", seq_len=t) for t in (8, 16)), edges("gaussian=1"), edges("gaussian=1", seq_len=16)]  # fmt: skip
    assert words(sweep(*lengths)) == []


def test_the_exponent_0_is_marked():
    figure = sweep(*biases())
    assert [(shape.y0, shape.yref) for shape in figure.layout.shapes] == [(0, "y2")]


def test_a_sweep_over_lengths_is_logarithmic_with_the_lengths_as_ticks():
    figure = sweep(*(case(seq_len=t) for t in (16, 128, 1000)))
    axis = figure.layout.xaxis
    assert (axis.type, axis.title.text) == ("log", "T (steps)")
    assert list(axis.ticktext) == ["16", "128", "1000"]


def test_what_was_not_measured_has_no_panel():
    rows = frame(*biases())
    figure = sweep_figure(sweep_table(rows[rows["metric"] != "largest_lyapunov"]))
    assert [axis.title.text for axis in figure.select_yaxes()] == ["half-life (steps)"]
    figure = sweep_figure(sweep_table(rows[rows["metric"] != "half_life"]))
    assert [axis.title.text for axis in figure.select_yaxes()] == ["largest Lyapunov exponent (nats/step)"]
    assert figure.layout.yaxis.type is None


def test_dtypes_are_told_apart_by_dash_where_there_are_several():
    figure = sweep(*biases(), *biases(dtype="bfloat16"))
    lines = [(line.line.dash, line.line.width) for line in measured(figure)]
    assert sorted(set(lines)) == [("dash", 5), ("solid", 2)]
    assert lines.index(("dash", 5)) < lines.index(("solid", 2))  # the wide one below
    assert legend(figure) == ["lstm", "float32", "bfloat16"]


def test_a_class_that_is_not_known_is_not_said():
    rows = frame(*biases())
    hover = measured(sweep_figure(sweep_table(rows[rows["metric"] != "class"])))[0].customdata[0]
    assert "None" not in hover
    assert "nan" not in hover
    assert "vanishing, n = 1 seed" in measured(sweep(*biases()))[0].customdata[0]


def test_infinite_exponents_of_a_sweep_lie_on_a_line_of_their_own():
    figure = sweep(*biases((0, 2)), case(lyapunov=-math.inf, init="forget_bias=-9"))
    exponents = measured(figure)[1]
    axis = figure.layout.yaxis2
    ticks = dict(zip(axis.ticktext, axis.tickvals, strict=True))
    assert exponents.y[0] == ticks["-∞"] < -1.01
    assert axis.range[0] < exponents.y[0]
    assert ticks["-∞"] in [shape.y0 for shape in figure.layout.shapes if shape.yref == "y2"]
    assert "-∞ nats/step<br>no interval<br>" in exponents.customdata[0]
    assert "-∞" not in (sweep(*biases()).layout.yaxis2.ticktext or ())


def test_points_of_a_sweep_say_what_their_interval_is():
    half_life, exponent = (line.customdata[0] for line in measured(sweep(*biases(), *biases(seed=1))))
    assert "<br>0.500 steps<br>deciles: 0.500 to 0.500 steps<br>" in half_life
    assert "<br>-4.00 nats/step<br>95 % interval: -4.00 to -4.00 nats/step<br>vanishing, n = 2 seeds" in exponent
    half_life, exponent = (line.customdata[0] for line in measured(sweep(*biases())))
    assert "± 2 standard errors: -4.02 to -3.98 nats/step" in exponent
    rows = frame(*biases())
    rows.loc[(rows["metric"] == "half_life") & (rows["init"] == "forget_bias=0"), "value"] = math.nan
    assert "<br>not known<br>no interval<br>" in measured(sweep_figure(sweep_table(rows)))[0].customdata[1]


# --- spectra


def test_spectra_are_counted_from_1_and_drawn_by_kind():
    figure = spectra(spectrum([-0.1, -0.2], [-0.8, -8.0], unresolved=(1,)))
    exponents, singular = measured(figure)
    assert (list(exponents.x), list(exponents.y), exponents.line.dash) == ([1, 2], [-0.1, -0.2], "solid")
    assert (list(singular.y), singular.line.dash) == ([-0.1, -1.0], "dot")
    assert list(singular.marker.symbol) == ["circle", "circle-open"]
    assert legend(figure) == ["torch", "Lyapunov exponent", "ln σ / T"]
    assert "ln σ / T 2: -1.00 nats/step" in singular.customdata[1]


def test_what_has_collapsed_ends_its_line():
    figure = spectra(*(spectrum([-0.1 - seed, -math.inf], seed=seed) for seed in (0, 1)))
    (line,) = measured(figure)
    assert math.isnan(line.y[1])
    assert "-∞ nats/step" in line.customdata[1]
    (band,) = bands(figure)
    assert set(band.x) == {1}
    no_nan_in(figure)


def test_points_of_a_spectrum_have_deciles_over_seeds():
    (line,) = measured(spectra(*(spectrum([-0.1 - seed], seed=seed) for seed in range(3))))
    assert line.customdata[0] == "<b>lstm</b>, torch<br>Lyapunov exponent 1: -1.10 nats/step<br>deciles: -2.10 to -0.100 nats/step<br>n = 3 seeds"  # fmt: skip
    (line,) = measured(spectra(spectrum([-0.1])))
    assert line.customdata[0].endswith("-0.100 nats/step<br>no interval<br>n = 1 seed")


def test_a_panel_per_gate_and_dtypes_told_in_words():
    figure = spectra(*(spectrum([-0.1], gate=g, dtype=d) for g in ("lstm", "gru", "mlstm") for d in ("float64", "bfloat16")))  # fmt: skip
    assert words(figure) == ["lstm", "gru", "mlstm"]
    assert legend(figure)[:2] == ["torch, bfloat16", "torch, float64"]
    assert len(measured(figure)) == 6


# --- training


def test_training_has_a_panel_for_what_was_measured():
    figure = training(*(trained((2.0, 1.0 + s), (2.0, 4.0), seed=s) for s in range(3)))
    assert words(figure) == ["loss", "gradient norm (before clipping)", "clip rate (per window)", "half-life (steps)"]
    found = {entry.customdata[0].split("<br>")[1].partition(":")[0]: (list(entry.x), list(entry.y)) for entry in measured(figure)}  # fmt: skip
    assert found == {
        "loss": ([0, 1], [2.0, 2.0]), "gradient norm": ([0, 1], [20.0, 20.0]), "clip rate": ([1, 2], [1.0, 0.0]),
        "half-life": ([0, 2], [2.0, 4.0]),
    }  # fmt: skip
    assert list(bands(figure)[0].y) == [2.0, 1.0, 3.0, 2.0]
    assert legend(figure) == ["lstm, torch"]
    assert "clip rate (per window)" not in words(training(trained(rates=())))


def test_half_lives_that_become_infinite_stay_in_their_panel():
    figure = training(trained(half_life=(2.0, math.inf)))
    line = measured(figure)[-1]
    assert list(line.y) == [2.0, 6.0]
    axis = next(axis for axis in figure.select_yaxes() if axis.ticktext and NEVER in axis.ticktext)
    assert axis.range[1] > math.log10(6.0)
    no_nan_in(figure)


def test_points_of_training_have_units_and_deciles():
    hovers = [line.customdata[0] for line in measured(training(*(trained((2.0 + s,), seed=s) for s in range(3))))]
    assert hovers[0] == "<b>lstm, torch</b>, step 0<br>loss: 3.00<br>deciles: 2.00 to 4.00<br>n = 3 seeds"
    assert hovers[-1] == "<b>lstm, torch</b>, step 0<br>half-life: 2.00 steps<br>deciles: 2.00 to 2.00 steps<br>n = 3 seeds"  # fmt: skip
    one = [line.customdata[0] for line in measured(training(trained()))]
    assert one[0].endswith("loss: 2.00<br>no interval<br>n = 1 seed")
    assert one[-1].endswith("deciles: 2.00 to 2.00 steps<br>n = 1 seed")  # over the rows of the batch


def test_losses_that_are_not_finite_break_their_line_and_say_so():
    figure = training(trained((2.0, math.inf, 1.0)))
    loss = measured(figure)[0]
    assert [math.isnan(y) for y in loss.y] == [False, True, False]
    assert "loss: ∞" in loss.customdata[1]
    no_nan_in(figure)


def test_a_snapshot_without_a_half_life_leaves_no_panel():
    rows = frame(trained())
    rows.loc[rows["metric"] == "half_life", "value"] = math.nan
    assert "half-life (steps)" not in words(training_figure(training_table(rows)))


# --- all of them


def test_a_gate_has_one_colour_in_sweep_and_training_alike():
    gates = ("rnn_tanh", "gru", "lstm")  # in no order of letters
    swept = sweep(*(case(gate=gate, seq_len=t) for gate in gates for t in (8, 16)))
    learnt = training(*(trained(gate=gate) for gate in gates))
    assert [name.partition(",")[0] for name in legend(swept)][:3] == list(gates)
    assert [name.partition(",")[0] for name in legend(learnt)][:3] == list(gates)


def test_an_all_nan_column_of_theory_is_no_line():
    table = sweep_table(frame(*biases()))
    assert table[["predicted_half_life", "predicted_edge"]].isna().all().all()
    assert isinstance(table, pd.DataFrame)
    assert len(lines(sweep_figure(table))) == 2
