"""Stability as tables, text and JSON, against hand-made frames: what stands in titles and columns, numbers that fit."""

import json
import math
import re

import numpy as np

from gatebench.report.stability_blocks import stability_blocks, stability_json
from gatebench.report.stability_ends import spectra_table, training_ends
from gatebench.report.terminal import print_block, print_json
from tests.stability_frames import case, cells, failed, frame, half_lives, long_rows, spectrum, trained

# --- do gradients survive?


def test_what_all_cases_share_stands_in_the_title_and_the_rest_in_columns():
    (block,) = stability_blocks(frame(case(2.0), case(4.0, init="irnn", seq_len=16)))
    assert block.title == "Do gradients survive? (half-life and reach in steps, inputs normal, float32, seeds 1)"
    assert block.header == ("gate", "init", "shape", "class", "half-life", "Lyapunov (nats/step)")
    assert block.names == 3
    assert [row[:5] for row in block.rows] == [
        ("lstm", "torch", "T8 B2 H4", "vanishing", "2.00"), ("lstm", "irnn", "T16 B2 H4", "vanishing", "4.00"),
    ]  # fmt: skip


def test_one_shape_stands_in_the_title_with_i_only_where_it_follows_from_nothing():
    assert "T8 B2 H4)" in stability_blocks(frame(case()))[0].title
    assert "T8 B2 I7 H4)" in stability_blocks(frame(case(input_size=7)))[0].title
    assert "T8 B2 H4)" in stability_blocks(frame(trained()))[0].title  # a task has its own
    (block,) = stability_blocks(frame(case(input_size=4), case(input_size=7)))
    assert [row["shape"] for row in cells(block)] == ["T8 B2 H4", "T8 B2 I7 H4"]


def test_snapshots_say_task_and_steps_and_probes_their_name():
    probe = half_lives(3.0, task="adding", inputs="task", input_size=2, train_step=0, probe="gaussian:0")
    block, _ = stability_blocks(frame(trained(), probe, case()))
    found = [tuple(row[name] for name in ("inputs", "probe", "task", "after", "half-life")) for row in cells(block)]
    assert found == [
        ("", "ones", "adding", "0", "2.00"), ("", "ones", "adding", "2", "4.00"),
        ("", "gaussian:0", "adding", "0", "3.00"), ("normal", "ones", "", "", "2.00"),
    ]  # fmt: skip


def test_columns_of_what_nobody_measured_are_left_out_and_so_are_their_notes():
    (block,) = stability_blocks(frame([long_rows(metric="class", label="stable")]))
    assert block.header == ("gate", "class")
    assert block.title == "Do gradients survive? (init torch, inputs normal, float32, seeds 1, T8 B2 H4)"
    assert block.notes == ("class: that of the worst seed and row",)
    assert not stability_blocks(frame(failed()))[0].header


def test_theory_stands_beside_what_was_measured():
    rows = [long_rows(metric="predicted_half_life", value=math.inf), long_rows(metric="predicted_edge", value=2.0)]
    (block,) = stability_blocks(frame(case(), rows))
    (row,) = cells(block)
    assert (row["half-life"], row["in theory"], row["edge at g"]) == ("2.00", "∞", "2.00")
    assert sum(note.startswith(("in theory: ", "edge at g: ")) for note in block.notes) == 2
    assert "mean field" not in block.header


def test_what_came_to_nothing_is_said_once_below_the_last_table():
    blocks = stability_blocks(frame(case(), spectrum([-1.0]), failed(init="forget_bias=1"), failed(init="forget_bias=1", seed=1)))  # fmt: skip
    reason = "lstm, init forget_bias=1: unsupported: it has no forget gate"
    assert [block.notes.count(reason) for block in blocks] == [0, 1]


def test_a_bound_gap_is_told_where_there_is_nothing_else_of_a_case():
    gaps = [long_rows(metric="bound_gap", lag=8, value=value, seed=seed) for seed, value in enumerate((3.0, 1.0, 2.0))]
    (block,) = stability_blocks(frame(gaps))
    assert cells(block)[0]["bound gap (nats)"] == "2.00"
    assert block.notes[-1].startswith("bound gap: ")
    (block,) = stability_blocks(frame(gaps, case()))
    assert "bound gap (nats)" not in block.header


# --- spectra


def test_spectra_show_their_ends_as_medians_over_seeds():
    seeds = [spectrum([-0.1 * (s + 1), -2.0 - s], [0.5, -30.0 - s], unresolved=(1,) if s else (), seed=s) for s in range(3)]  # fmt: skip
    more = [long_rows(metric="log_abs_det", index=i, value=v) for i, v in enumerate((-math.inf, -7.0, -5.0))]
    (block,) = stability_blocks(frame(*seeds, more, [long_rows(metric="kaplan_yorke_dimension", value=0.0)]))
    (row,) = cells(block)
    assert row["λ"] == "-0.200 … -3.00"
    assert row["ln σ"] == "0.500 … -31.0 (1 unresolved)"
    assert (row["D_KY"], row["ln|det|"]) == ("0", "-7.00")
    assert len(block.notes) == 3


def test_a_class_is_the_worst_and_a_half_life_a_median_and_so_it_says():
    (block,) = stability_blocks(frame(case()))
    assert block.notes[0] == "class: that of the worst seed and row; half-life and reach: medians over seeds and rows"


# --- low precision


def rounded(plateaus=(0.0, 40.0, 60.0), error=0.5, underflow=0.25, scale=2.0**7, **more):
    """Return what precision leaves of one seed: by lag 0 and 8, by row, and the medians over rows, wrong numbers here."""
    more = {"dtype": "bfloat16"} | more
    rows = [
        long_rows(metric=metric, lag=lag, value=value * (lag > 0), **more)
        for metric, value in (("relative_error", error), ("underflow_share", underflow)) for lag in (0, 8)
    ]  # fmt: skip
    for metric, values in (
        ("false_plateau", plateaus), ("usable_loss_scale", [scale] * 3), ("reference_half_life", (2.0, 3.0, 4.0)),
    ):  # fmt: skip
        rows += [long_rows(metric=metric, index=index, value=value, **more) for index, value in enumerate(values)]
        rows.append(long_rows(metric=metric, value=12345.0, **more))
    return rows


def test_low_precision_says_how_far_the_first_step_is_off_and_what_stands_still():
    wide = case(2.0, dtype="float64")
    seeds = [rounded(error=error, seed=seed) for seed, error in enumerate((0.5, math.inf, 0.75))]
    _, block = stability_blocks(frame(wide, case(9.0, dtype="bfloat16"), *seeds))
    assert block.title.startswith(
        "Low precision (false plateau and half-life in steps, init torch, inputs normal, bfloat16, seeds 3"
    )
    assert cells(block) == [
        {"gate": "lstm", "error": "0.750", "underflow": "25%", "false plateau": "40 (6 of 9 rows)", "loss scale": "2^7",
         "half-life (float64)": "3.00"},
    ]  # fmt: skip
    assert len(block.notes) == 5


def test_low_precision_without_plateau_or_scale_says_so():
    _, block = stability_blocks(frame(case(), rounded((0.0, 0.0, 0.0), underflow=0.001, scale=0.0)))
    (row,) = cells(block)
    assert (row["underflow"], row["false plateau"], row["loss scale"]) == ("<1%", "none", "0")
    _, block = stability_blocks(frame(case(), rounded((0.0, 0.0, 70.0), scale=math.inf)))
    assert cells(block)[0]["false plateau"] == "70 (1 of 3 rows)"
    assert cells(block)[0]["loss scale"] == "∞"


def test_low_precision_of_a_stack_is_that_of_its_first_layer():
    rows = [
        long_rows(gate="swiglu_ffn", metric=metric, index=layer, value=value / (layer + 1))
        for metric, value in (("depth_relative_error", 0.5), ("depth_underflow_share", 0.25)) for layer in range(3)
    ]  # fmt: skip
    _, block = stability_blocks(frame(case(), rows))
    assert cells(block) == [{"gate": "swiglu_ffn", "error": "0.500", "underflow": "25%"}]


# --- more of spectra


def test_a_spectrum_has_only_the_columns_that_were_asked_for():
    (block,) = stability_blocks(frame(spectrum([-0.1, -math.inf])))
    assert block.header == ("gate", "λ")
    assert cells(block)[0]["λ"] == "-0.100 … -∞"
    assert len(block.notes) == 1


def test_probes_and_cases_without_a_spectrum_are_no_rows_of_it():
    table = spectra_table(frame(spectrum([-0.1]), half_lives(1.0, probe="gaussian:0"), case(init="irnn")))
    assert table[["init", "probe", "seeds"]].to_numpy().tolist() == [["torch", "ones", 1]]


def test_values_that_are_not_known_are_no_numbers():
    rows = [
        long_rows(metric="kaplan_yorke_dimension", value=None),
        long_rows(metric="log_abs_det", index=0, value=None),
    ]
    (block,) = stability_blocks(frame(spectrum([-0.1]), rows))
    assert block.header == ("gate", "λ")


# --- training


def test_training_shows_loss_and_half_life_before_and_after():
    losses = [4.0] + 18 * [3.0] + [2.0, 1.0]  # the last tenth of 21 steps are three: 3, 2 and 1
    block = stability_blocks(
        frame(*(trained(losses, (2.0 + s, 8.0), rates=(1.0, 1.0, 1.0, 0.2), seed=s) for s in range(3)))
    )[-1]
    (row,) = cells(block)
    assert row["loss"] == "4.00 → 2.00"
    assert row["half-life"] == "3.00 → 8.00"
    assert (row["clipped"], row["norm p50, p99"], row["not finite"]) == ("80%", "3.00, 9.00", "0")
    assert "task adding, after 21 steps, float32, seeds 3" in block.title
    assert "inputs" not in block.title


def test_half_lives_of_both_tables_agree_whatever_other_probes_there_are():
    probe = [half_lives(99.0, task="adding", inputs="task", input_size=2, probe="gaussian:0", train_step=t) for t in (0, 2)]  # fmt: skip
    gradients, training = stability_blocks(frame(trained(half_life=(2.0, math.inf)), *probe))
    shown = [row["half-life"] for row in cells(gradients) if row["probe"] == "ones"]
    assert cells(training)[0]["half-life"] == " → ".join(shown) == "2.00 → ∞"


def test_steps_that_were_left_out_are_counted_over_all_seeds():
    rows = frame(
        trained((2.0, math.inf), nonfinite=1.0), trained((2.0, 1.5), nonfinite=2.0, seed=1), trained((2.0, 1.0), seed=2)
    )
    block = stability_blocks(rows)[-1]
    (row,) = cells(block)
    assert (row["not finite"], row["loss"]) == ("3", "2.00 → 1.50")
    assert any(note.startswith("not finite: ") for note in block.notes)


def test_without_a_threshold_nothing_is_said_of_clipping():
    block = stability_blocks(frame(trained(rates=())))[-1]
    assert "clipped" not in block.header
    assert np.isnan(training_ends(frame(trained(rates=())))["clip_rate"].iloc[0])


def test_without_half_lives_training_still_has_its_losses():
    rows = frame(trained())
    (row,) = cells(stability_blocks(rows[rows["metric"] != "half_life"])[-1])
    assert "half-life" not in row
    assert row["loss"] == "2.00 → 1.00"


# --- on paper


def test_tables_fit_into_100_columns_whatever_the_numbers(capsys):
    rows = [
        [*trained((1e300, 1e-300), (1e15, 1e-15), seed=seed, init=init, gate=gate, dtype=dtype),
         *spectrum([1e-17, -1e-17], [1e-200, -1e200], unresolved=(0, 1), gate=gate, init=init, dtype=dtype)]
        for gate in ("lstm", "lstm_no_output_activation") for init in ("torch", "forget_bias=-1.25")
        for dtype in ("float32", "bfloat16") for seed in (0, 1)
    ]  # fmt: skip
    for block in stability_blocks(frame(*rows)):
        print_block(block)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 100
    assert not re.search(r"0{12}", "".join(lines))


def test_json_has_what_the_tables_show_and_words_for_infinities(capsys):
    rows = frame(case(math.inf, -math.inf), spectrum([-0.1, -math.inf], [-1.0], (0,)), trained(init="irnn"))
    print_json(stability_json(rows))
    found = json.loads(capsys.readouterr().out)
    first = found["stability"][0]
    assert (first["half_life"], first["lyapunov"]) == ("inf", "-inf")
    (spectra,) = found["spectra"]
    assert (spectra["lyapunov_exponents"], spectra["log_singular_values"]) == ([-0.1, "-inf"], [-1.0])
    assert (spectra["unresolved"], spectra["log_abs_det"], spectra["task"]) == (1, None, None)
    (training,) = found["training"]
    assert (training["init"], training["after_steps"], training["loss_last"]) == ("irnn", 2, 1.0)
    assert training["half_life_last"] == 4.0


def test_json_has_low_precision():
    (entry,) = stability_json(frame(case(), rounded()))["low_precision"]
    assert (entry["false_plateau"], entry["plateau_rows"], entry["rows"]) == (40.0, 2, 3)
    assert (entry["usable_loss_scale"], entry["relative_error"], entry["reference_half_life"]) == (128.0, 0.5, 3.0)


def test_json_says_nothing_of_what_nobody_asked_for():
    assert set(stability_json(frame(case()))) == {"stability"}
    assert stability_json(frame(case()).iloc[:0]) == {"stability": []}


def test_what_fails_for_one_reason_is_one_line_per_gate():
    forms = [(f"forget_bias={bias}", dtype) for bias in (0, 1) for dtype in ("float64", "float32")]
    rows = [failed(init=init, dtype=dtype) for init, dtype in forms]
    highway = failed(init="forget_bias=0", gate="highway", options='{"transform_bias": -1.0}')
    assert stability_blocks(frame(case(), *rows, highway))[-1].notes[-2:] == (
        "lstm, init forget_bias=0, forget_bias=1: unsupported: it has no forget gate",
        "highway (transform_bias=-1.0), init forget_bias=0: unsupported: it has no forget gate",
    )
