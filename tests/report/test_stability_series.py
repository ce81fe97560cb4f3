"""Stability along an axis, against hand-made frames: what series are named, which axis, medians and deciles with inf."""

import math

import numpy as np
import pandas as pd
import pytest

from gatebench.report.names import natural
from gatebench.report.stability_series import series, spectrum_table, sweep_axis, sweep_table, training_table
from tests.stability_frames import case, frame, half_lives, long_rows, spectrum, trained

# --- names of series


def names_of(*parts, but=()):
    return list(dict.fromkeys(series(frame(*parts), but)["init"]))


def test_a_series_says_what_cases_differ_in_and_nothing_that_all_share():
    assert names_of(case(), case(init="irnn")) == ["torch", "irnn"]
    assert names_of(case(seq_len=8), case(seq_len=16)) == ["torch, T=8", "torch, T=16"]
    assert names_of(case(inputs="white=1"), case(inputs="zero", batch=8)) == [
        "torch, inputs white=1, B=2", "torch, inputs zero, B=8",
    ]  # fmt: skip
    assert names_of(case(), case(probe="gaussian:0")) == ["torch", "torch, probe gaussian:0"]
    assert names_of(case(options='{"num_layers": 2}')) == ["torch"]
    assert set(series(frame(case(options='{"num_layers": 2}')))["gate"]) == {"lstm (num_layers=2)"}


def test_a_series_says_its_task_and_step_where_another_has_none():
    steps = [f"torch, adding, {step} steps" for step in range(3)]
    assert names_of(case(), trained()) == ["torch, inputs normal", *steps]
    assert names_of(trained(), but=("train_step",)) == ["torch"]
    assert names_of(trained(), trained(task="copy", input_size=10), but=("train_step",)) == ["torch, adding", "torch, copy"]  # fmt: skip


def test_the_input_size_is_said_only_where_it_follows_from_nothing():
    assert names_of(case(hidden_size=4, input_size=4), case(hidden_size=8, input_size=8)) == ["torch, H=4", "torch, H=8"]  # fmt: skip
    assert names_of(case(input_size=4), case(input_size=5)) == ["torch, I=4", "torch, I=5"]


def test_files_of_ones_own_are_named_by_the_beginning_of_their_hash():
    own = f"file:{'1a2b3c4d' * 8}#encoder,l0"
    assert names_of(case(init=own)) == ["file:1a2b3c4d#encoder,l0"]


def test_names_are_sorted_by_the_numbers_in_them():
    names = ["b=10", "b=-2", "b=1.5", "b=2", "T=16", "T=128", "torch"]
    assert sorted(names, key=natural) == ["T=16", "T=128", "b=-2", "b=1.5", "b=2", "b=10", "torch"]


# --- sweeps


@pytest.mark.parametrize(
    ("parts", "axis"),
    [
        ((case(init="gaussian=1"), case(init="gaussian=2", seq_len=16)), "init"),
        ((case(init="chrono=8"), case(init="chrono", seq_len=16)), "seq_len"),
        ((case(init="gaussian=1"), case(init="orthogonal=1")), None),
        ((case(seq_len=8, hidden_size=4), case(seq_len=16, hidden_size=8)), "seq_len"),
        ((case(), case(hidden_size=8)), "hidden_size"),
        ((trained(seq_len=8), trained(seq_len=16)), "train_step"),
        ((case(),), None),
        ((), None),
    ],
)
def test_the_axis_of_a_sweep_is_a_form_with_a_number_or_else_what_differs(parts, axis):
    rows = frame(*parts) if parts else frame(case()).iloc[:0]
    assert sweep_axis(rows) == axis
    assert len(sweep_table(rows)) == (0 if axis is None else len(parts) * (2 if axis == "train_step" else 1))


def test_steps_whose_loss_alone_is_known_are_no_axis():
    rows = frame(trained())
    assert sweep_axis(rows[rows["metric"].str.startswith("train_")]) is None


def test_failures_are_no_axis_either():
    failed = [long_rows(init="forget_bias=2", metric="class", status="failed", reason="broke")]
    assert sweep_axis(frame(case(init="forget_bias=1"), failed)) is None


def test_a_sweep_has_a_row_per_case_gates_as_the_run_lists_them_and_numbers_in_their_order():
    rows = frame(*(case(init=f"forget_bias={b}", half_life=2.0**b, gate=g) for g in ("lstm", "gru") for b in (10, -2, 1)))  # fmt: skip
    sweep = sweep_table(rows)
    assert set(sweep["axis"]) == {"forget_bias"}
    assert list(zip(sweep["gate"], sweep["x"], sweep["half_life"], strict=True)) == [
        (gate, b, 2.0**b) for gate in ("lstm", "gru") for b in (-2.0, 1.0, 10.0)
    ]


def test_a_sweep_over_lengths_says_inits_and_sizes_and_keeps_what_theory_says():
    own = f"file:{'ab' * 32}"
    parts = [case(seq_len=t, init=init, hidden_size=h) for t in (16, 8) for init in ("torch", own) for h in (4, 12)]
    predicted = [long_rows(metric="predicted_half_life", value=7.0, seq_len=8, init="torch", hidden_size=4)]
    sweep = sweep_table(frame(*parts, predicted))
    names = [f"lstm, H={size}, {init}" for size in (4, 12) for init in ("file:abababab", "torch")]
    assert list(dict.fromkeys(sweep["gate"])) == names
    told = sweep[sweep["predicted_half_life"].notna()]
    assert told[["x", "predicted_half_life"]].to_numpy().tolist() == [[8.0, 7.0]]


def test_a_sweep_over_training_leaves_out_what_is_not_trained():
    sweep = sweep_table(frame(case(half_life=1.0), trained(half_life=(2.0, math.inf))))
    assert sweep[["x", "half_life"]].to_numpy().tolist() == [[0.0, 2.0], [2.0, math.inf]]
    assert list(sweep["gate"]) == ["lstm, adding"] * 2


def test_half_lives_of_a_sweep_are_observed_ones_of_all_rows_and_seeds():
    rows = frame(*(half_lives(1.0, 3.0, math.inf, seq_len=t, seed=s) for t in (8, 16) for s in range(4)))
    sweep = sweep_table(rows)
    assert sweep[["half_life_low", "half_life", "half_life_high", "rows"]].to_numpy().tolist() == 2 * [[1.0, 3.0, math.inf, 12]]  # fmt: skip


# --- spectra


def test_spectra_are_medians_and_deciles_over_seeds_with_infinities_kept():
    rows = frame(*(spectrum([-0.1 * (seed + 1), -math.inf if seed else -3.0], seed=seed) for seed in range(3)))
    table = spectrum_table(rows).set_index("index")
    assert table.loc[0, ["low", "value", "high"]].tolist() == pytest.approx([-0.3, -0.2, -0.1])
    assert table.loc[1, ["low", "value", "high"]].tolist() == [-math.inf, -math.inf, -3.0]
    assert list(table["seeds"]) == [3, 3]


def test_singular_values_are_per_step_and_resolved_only_where_every_seed_is():
    rows = frame(
        spectrum([], [-8.0, -80.0], seq_len=16), spectrum([], [-4.0, -40.0], unresolved=(1,), seed=1, seq_len=16)
    )
    table = spectrum_table(rows)
    assert set(table["kind"]) == {"ln σ / T"}
    assert table[["low", "high"]].to_numpy().tolist() == [[-0.5, -0.25], [-5.0, -2.5]]
    assert list(table["resolved"]) == [True, False]


def test_a_value_that_is_not_known_is_no_part_of_a_spectrum():
    assert spectrum_table(frame(spectrum([np.nan, -1.0])))["index"].tolist() == [1]
    assert spectrum_table(frame(case())).empty


# --- training


def test_training_is_told_by_step_window_and_snapshot():
    table = training_table(frame(*(trained((2.0, 1.0 + seed), (2.0 + seed, 8.0), seed=seed) for seed in range(3))))
    found = {what: rows.set_index("step")["value"].to_dict() for what, rows in table.groupby("what")}
    assert found == {
        "loss": {0: 2.0, 1: 2.0}, "gradient norm": {0: 20.0, 1: 20.0}, "clip rate": {1: 1.0, 2: 0.0},
        "half-life": {0: 3.0, 2: 8.0},
    }  # fmt: skip
    at = table[(table["what"] == "loss") & (table["step"] == 1)].iloc[0]
    assert (at["low"], at["high"], at["seeds"]) == (1.0, 3.0, 3)


def test_half_lives_while_training_are_those_of_the_table_and_of_no_other_probe():
    rows = frame(trained(half_life=(2.0, math.inf)), half_lives(0.5, train_step=0, task="adding", probe="gaussian:0"))
    table = training_table(rows)
    assert table[table["what"] == "half-life"].set_index("step")["value"].to_dict() == {0: 2.0, 2: math.inf}


def test_losses_that_are_not_finite_stay_so():
    table = training_table(frame(trained((2.0, math.inf)), trained((2.0, 1.0), seed=1)))
    at = table[(table["what"] == "loss") & (table["step"] == 1)].iloc[0]
    assert (at["low"], at["high"]) == (1.0, math.inf)
    assert not math.isnan(at["value"])


def test_what_is_not_trained_has_no_training():
    assert training_table(frame(case())).empty
    assert isinstance(training_table(frame(case())), pd.DataFrame)
