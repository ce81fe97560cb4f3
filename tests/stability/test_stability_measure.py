"""The rows that the worker stores, and what the package loads for them."""

import json
import math
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gatebench import Shape, gates, stability
from gatebench.forms import DEFAULT_METRICS
from gatebench.forms import METRICS as GROUPS
from gatebench.stability.measure import measure
from gatebench.stability.metrics import CLASSES, METRICS
from gatebench.stability.rows import stored_lags

COLUMNS = {
    "gate", "options", "init", "inputs", "dtype", "seq_len", "input_size", "hidden_size", "batch", "seed", "probe", "task",
    "train_step", "part", "metric", "lag", "index", "value", "standard_error", "label", "unit", "status", "reason",
}  # fmt: skip
REQUEST = {
    "gate": "lstm", "gate_options": {}, "init": "torch", "inputs": "normal", "dtype": "float32",
    "seq_len": 24, "input_size": 5, "hidden_size": 8, "batch": 3, "seed": 0,
}  # fmt: skip


LESSON = {"inputs": "task", "input_size": 2, "task": "adding", "after_steps": 8, "clip": 0.5}


def rows_of(**changes):
    return measure(REQUEST | changes)


def values(rows, metric, **columns):
    chosen = [row for row in rows if row["metric"] == metric and all(row[k] == v for k, v in columns.items())]
    return [row["value"] for row in chosen]


@pytest.mark.parametrize("gate", ["rnn_tanh", "lstm", "gru", "glu", "swiglu", "swiglu_ffn"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_every_row_has_every_column_and_a_known_metric(gate, dtype):
    rows = rows_of(gate=gate, dtype=dtype)
    keys = set()
    for row in rows:
        assert set(row) == COLUMNS
        assert row["unit"] == METRICS[row["metric"]].unit
        assert row["status"] in ("ok", "unsupported")
        assert (row["reason"] is None) is (row["status"] == "ok")
        assert row["label"] is None or row["label"] in CLASSES
        for column in ("value", "standard_error"):
            assert row[column] is None or (isinstance(row[column], float) and not math.isnan(row[column]))
        keys.add(tuple(row[key] for key in ("metric", "part", "lag", "index")))
    assert len(keys) == len(rows)  # no value is there twice
    json.dumps(rows)


def test_all_metrics_of_the_table_are_measured_somewhere():
    found = set()
    for gate in ("rnn_tanh", "rnn_relu", "lstm", "swiglu_ffn", "channel_gate"):
        rows = rows_of(gate=gate, dtype="bfloat16", metrics=list(GROUPS), input_size=8)
        found |= {row["metric"] for row in rows}
    found |= {row["metric"] for row in rows_of(**LESSON)}
    for init, inputs in (("gaussian=1", "white=1"), ("gaussian=1", "zero")):
        found |= {row["metric"] for row in rows_of(gate="rnn_tanh", init=init, inputs=inputs)}
    found |= {row["metric"] for row in rows_of(init="forget_bias=1")}
    assert found == set(METRICS)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_metrics_is_measured_where_it_is_asked_for(group):
    for gate in ("lstm", "reglu_ffn"):
        found = {METRICS[row["metric"]].group for row in rows_of(gate=gate, dtype="bfloat16", metrics=[group])}
        assert found <= {"", group}
        assert "" in found


def test_what_is_costly_is_measured_only_when_asked_for():
    assert set(GROUPS) - set(DEFAULT_METRICS) == {"spectrum", "singular_values", "determinant"}


def test_spectra_agree_with_the_functions():
    shape = Shape(batch=3, seq_len=24, input_size=5, hidden_size=8)
    gate = gates.get("lstm")
    trajectory = stability.unroll(gate, gate.draw(shape, 0), gate.inputs(shape, 0))
    rows = rows_of(dtype="float64", metrics=["spectrum", "singular_values", "determinant"])
    spectrum = stability.lyapunov_spectrum(trajectory, burn_in=6)
    assert values(rows, "lyapunov_exponent") == pytest.approx(spectrum.values.tolist())
    assert values(rows, "kaplan_yorke_dimension") == [spectrum.kaplan_yorke_dimension]
    logs = stability.singular_values(trajectory).values
    assert values(rows, "log_singular_value") == pytest.approx(logs.mean(0).tolist())
    determinants = stability.log_abs_det(trajectory)
    assert values(rows, "log_abs_det", index=2) == pytest.approx([determinants[2].item()])
    assert values(rows, "log_abs_det", index=2) == pytest.approx([logs[2].sum().item()])


def test_a_metric_that_is_refused_costs_no_other():
    rows = rows_of(dtype="float64", hidden_size=1025, batch=1, seq_len=2, metrics=["spectrum", "profile"])
    (refused,) = [row for row in rows if row["status"] != "ok"]
    assert (refused["metric"], refused["status"]) == ("lyapunov_exponent", "unsupported")
    assert (
        refused["reason"] == "spectrum: the state has 2050 values; accepted: up to 2048; choose a smaller hidden_size"
    )
    assert values(rows, "half_life", index=None)


def test_gaussian_probes_have_profiles_of_their_own():
    rows = rows_of(dtype="float64", probes=2)
    probes = [row["probe"] for row in rows if row["metric"] == "half_life" and row["index"] is None]
    assert probes == ["ones", "gaussian:0", "gaussian:1"]
    at_end = {
        row["probe"]: row["value"]
        for row in rows
        if row["metric"] == "log_gradient_norm" and row["lag"] == 24 and not row["part"]
    }
    assert len(set(at_end.values())) == 3


def test_rows_agree_with_the_functions():
    shape = Shape(batch=3, seq_len=24, input_size=5, hidden_size=8)
    gate = gates.get("lstm")
    params, inputs = gate.draw(shape, 0), gate.inputs(shape, 0)
    trajectory = stability.unroll(gate, params, inputs)
    profile = stability.gradient_profile(trajectory)
    rows = rows_of(dtype="float64")
    expected = profile.log_norm.mean(1).tolist()
    assert values(rows, "log_gradient_norm", part="") == pytest.approx(expected)
    assert values(rows, "half_life", index=1) == pytest.approx([profile.half_life[1].item()])
    assert values(rows, "half_life", index=None) == pytest.approx([profile.half_life.median().item()])
    assert values(rows, "log_norm_bound") == pytest.approx(stability.norm_bound(trajectory).mean(1).tolist())
    lyapunov = stability.lyapunov_spectrum(trajectory, k=1, burn_in=6)
    assert values(rows, "largest_lyapunov") == pytest.approx(lyapunov.values.tolist())
    found = stability.saturation(gate, params, inputs)
    assert values(rows, "saturation_high", part="f") == pytest.approx([found["f"].high])
    gap = stability.norm_bound(trajectory)[-1] - profile.log_norm[-1]
    assert values(rows, "bound_gap") == pytest.approx([gap.mean().item()])


def test_a_stack_of_layers_has_no_bound_from_the_weights_of_one():
    one, two = ({row["metric"] for row in rows_of(gate="rnn_tanh", gate_options={"num_layers": n})} for n in (1, 2))
    assert one - two == {"log_weight_bound", "weight_bound_gap"}


def test_parts_are_stored_where_there_are_several():
    assert {row["part"] for row in rows_of() if row["metric"] == "log_gradient_norm"} == {"", "h", "c"}
    assert {row["part"] for row in rows_of(gate="gru") if row["metric"] == "log_gradient_norm"} == {""}
    assert values(rows_of(), "log_gradient_norm", part="c", lag=0) == [-math.inf]


def test_low_precision_rows_are_the_chain_of_that_dtype():
    shape = Shape(batch=3, seq_len=24, input_size=5, hidden_size=8)
    gate = gates.get("lstm")
    low = ({k: v.bfloat16() for k, v in tensors.items()} for tensors in (gate.draw(shape, 0), gate.inputs(shape, 0)))
    params, inputs = low
    profile = stability.gradient_profile(stability.unroll(gate, params, inputs, torch.bfloat16))
    reference = stability.gradient_profile(stability.unroll(gate, params, inputs))
    rows = rows_of(dtype="bfloat16")
    assert values(rows, "log_gradient_norm", part="", lag=24) == pytest.approx([profile.log_norm[-1].mean().item()])
    found = values(rows, "reference_log_gradient_norm", lag=24)
    assert found == pytest.approx([reference.log_norm[-1].mean().item()])
    assert found != pytest.approx([profile.log_norm[-1].mean().item()], rel=1e-5)
    bound = stability.norm_bound(stability.unroll(gate, params, inputs))[-1]
    assert values(rows, "bound_gap") == pytest.approx([(bound - reference.log_norm[-1]).mean().item()])
    errors = values(rows, "relative_error")
    assert errors[0] == 0.0
    assert 2**-9 < errors[5] < 0.25


def test_long_float32_chains_underflow_and_the_reference_still_has_a_half_life():
    rows = rows_of(seq_len=400, batch=2)
    labels = [row["label"] for row in rows if row["metric"] == "class"]
    assert labels == ["underflow"] * 3
    assert values(rows, "log_gradient_norm", part="", lag=400) == [-math.inf]
    assert 1 < values(rows, "reference_half_life", index=None)[0] < 3
    assert 100 < values(rows, "first_bad_lag", index=0)[0] < 400


def test_weights_that_the_dtype_cannot_hold_are_a_case_of_their_own_class():
    rows = rows_of(gate="rnn_linear", init="gaussian=1e6", dtype="float16", seq_len=4)
    assert {row["label"] for row in rows if row["metric"] == "class"} == {"nonfinite"}
    assert set(values(rows, "first_bad_step")) == {1.0}
    assert {row["status"] for row in rows} == {"ok"}


def test_the_forget_bias_lengthens_the_half_life():
    torch_init, biased = (values(rows_of(init=init), "half_life", index=None)[0] for init in ("torch", "forget_bias=1"))
    assert biased > 1.5 * torch_init


def test_what_does_not_apply_is_a_row_with_a_reason():
    (row,) = rows_of(gate="rnn_tanh", init="forget_bias=1")
    assert row["status"] == "unsupported"
    assert "no gate that keeps its state" in row["reason"]
    rows = rows_of(gate="glu")
    assert [row["status"] for row in rows].count("unsupported") == 1
    assert {row["metric"] for row in rows if row["status"] == "ok"} >= {"saturation_low", "saturation_high"}


@pytest.mark.parametrize(
    ("gate", "metrics", "reason"),
    [
        ("lstm", ["depth"], "lstm has time, so it has no depth; accepted: profile, bounds"),
        (
            "swiglu_ffn",
            ["spectrum", "theory"],
            "swiglu_ffn has no time, so it has no spectrum and no theory; accepted: depth, ",
        ),
        ("swiglu", ["depth"], "swiglu has no time, so it has no depth; accepted: saturation"),
    ],
)
def test_a_gate_that_has_nothing_that_is_asked_for_is_one_row_with_the_reason(gate, metrics, reason):
    (row,) = rows_of(gate=gate, metrics=metrics)
    assert row["status"] == "unsupported"
    assert row["reason"].startswith(reason)
    assert {row["status"] for row in rows_of(gate=gate, metrics=[*metrics, "saturation"])} >= {"ok"}


def test_a_gate_that_has_all_that_is_asked_for_has_no_row_without_a_value():
    assert {row["status"] for row in rows_of(gate="swiglu", metrics=["saturation"])} == {"ok"}


def test_a_stack_whose_layers_do_not_fit_is_a_row():
    (row,) = rows_of(gate="channel_gate")
    assert row["status"] == "unsupported"
    assert "accepted: an output of x's shape" in row["reason"]


def test_layers_of_a_stack_have_weights_of_their_own():
    rows = rows_of(gate="swiglu_ffn", dtype="float64", layers=4)
    shape = Shape(batch=3, seq_len=24, input_size=5, hidden_size=8)
    gate = gates.get("swiglu_ffn")
    layers = [gate.draw(shape, 1_000_003 * layer) for layer in range(4)]
    norms = stability.depth_profile(gate, layers, gate.inputs(shape, 0))
    expected = (norms.log() - norms[-1].log()).mean(1).tolist()
    assert values(rows, "log_depth_gradient_norm") == pytest.approx(expected)
    assert not torch.equal(layers[0]["W"], layers[1]["W"])


@pytest.mark.parametrize("steps", [1, 2, 32, 33, 34, 128, 1000, 100_000])
def test_stored_lags_are_few_and_hold_both_ends(steps):
    lags = stored_lags(steps)
    assert lags == sorted(set(lags))
    assert lags[0] == 0
    assert lags[-1] == steps
    assert len(lags) <= 97
    assert lags[: min(steps, 32) + 1] == list(range(min(steps, 32) + 1))


def test_short_sequences_have_no_slope():
    rows = rows_of(seq_len=2)
    assert set(values(rows, "slope")) == {None}
    assert rows_of(seq_len=1)


def test_the_table_of_metrics_loads_no_torch():
    code = "import sys; import gatebench.stability.metrics; print('torch' in sys.modules)"
    assert _output(code) == "False"
    assert _output(code.replace("; print", "; gatebench.stability.unroll; print")) == "True"


def test_the_public_names_are_listed_and_load_no_torch():
    code = "import sys; from gatebench import stability; print(*dir(stability)); print('torch' in sys.modules)"
    names, loaded = _output(code).split("\n")
    assert [name for name in names.split() if not name.startswith("__")] == sorted(stability.__all__)
    assert loaded == "False"


def test_help_lists_functions_and_result_classes():
    text = pydoc.render_doc(stability, renderer=pydoc.plaintext)
    assert "\n    class Profile(builtins.object)" in text
    assert "\n    unroll(" in text
    assert "Lyapunov exponents, nats/step" in text


def _output(code):
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    ).stdout.strip()


def test_public_names_are_functions_even_after_the_modules_are_loaded():
    import gatebench.stability.measure  # noqa: F401, loads every module

    for name in stability.__all__:
        assert callable(getattr(stability, name)), name
