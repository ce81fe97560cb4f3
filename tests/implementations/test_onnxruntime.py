"""`onnxruntime` against float64 at odd sizes and with all options; what it refuses, remembers, and says of itself."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gatebench import gates
from gatebench.cases import Case
from gatebench.conformance import Trial
from gatebench.contract import Failure, Unsupported
from gatebench.gates.recurrent.lstm import LSTM
from gatebench.measure import catalogue
from gatebench.measure.service import Service
from gatebench.registry import default_registry
from gatebench.run.environment import environment_class
from gatebench.shape import Shape

ROOT = Path(__file__).resolve().parents[2]
SERVED = [name for name in gates.names() if default_registry().implementation("onnxruntime", name) is not None]
RECURRENT = [name for name in SERVED if gates.get(name).family == "recurrent"]
SHAPES = {
    "T=1": Shape(batch=3, seq_len=1, input_size=5, hidden_size=4),
    "B=1": Shape(batch=1, seq_len=5, input_size=4, hidden_size=8),
    "H=1": Shape(batch=2, seq_len=4, input_size=3, hidden_size=1),
    "I=1": Shape(batch=2, seq_len=3, input_size=1, hidden_size=6),
    "H=13": Shape(batch=2, seq_len=19, input_size=7, hidden_size=13),
    "H=300": Shape(batch=9, seq_len=3, input_size=33, hidden_size=300),  # onnxruntime divides rows, not columns
}
PROBE = SHAPES["H=13"]


def trial(name, threads=1, **options):
    return Trial(default_registry().implementation("onnxruntime", name), gates.get(name, **options), threads=threads)


def case_of(name, dtype="float32", **settings):
    return Case(gate=name, implementation="onnxruntime", shape=PROBE, dtype=dtype, mode="forward", **settings)


def judge(trial, shape=PROBE, dtype="float32", **implementation_options):
    """Compare with float64 by the table of tolerances; raises CheckFailed where a tensor is wrong."""
    case = replace(trial.case(shape, dtype), implementation_options=tuple(implementation_options.items()))
    return trial.agree(case)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SERVED)
def test_odd_sizes_are_right_in_every_dtype_that_is_claimed(name, shape, threads):
    found = trial(name, threads)
    for dtype in found.entry.dtypes:
        judge(found, SHAPES[shape], dtype)


def test_every_recurrent_form_that_onnx_has_and_the_whole_glu_family_are_served():
    assert {"rnn_linear", "rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before", "gru_textbook"} <= set(RECURRENT)
    assert {name for name in gates.names() if gates.get(name).family == "glu"} <= set(SERVED)


@pytest.mark.parametrize("name", [name for name in SERVED if "packed" in gates.get(name).options])
def test_packed_inputs_are_right(name):
    judge(trial(name, packed=True))


@pytest.mark.parametrize("name", [name for name in SERVED if name.endswith("_ffn")])
def test_biases_are_right(name):
    judge(trial(name, bias=True))


@pytest.mark.parametrize(
    ("name", "options"),
    [("gated_conv", {"kernel_size": 4}), ("gated_conv", {"dimensions": 2, "kernel_size": 4, "width": 5}),
     ("gated_conv", {"dimensions": 2}), ("gated_tanh_conv", {"kernel_size": 3, "dilation": 4})],
)  # fmt: skip
def test_convolutions_pad_and_dilate_as_the_gate_does(name, options):
    judge(trial(name, **options))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("beta", [0.0, 1e-7, 1.702, 100.0])
@pytest.mark.parametrize("name", ["swiglu", "swiglu_ffn"])
def test_every_slope_of_swish_is_right(name, beta, dtype):
    judge(trial(name, beta=beta), dtype=dtype)


# --- gates that ONNX writes with another sign or with vectors of their own, step by step and row by row


class PlainLSTM(LSTM):
    """Both are written out over single rows, as ONNX's documentation has them."""

    def forward(self, params, inputs):
        rows = [
            self.row(params, inputs["x"][:, b], inputs["h0"][b], inputs["c0"][b]) for b in range(inputs["x"].shape[1])
        ]
        output, h, c = (torch.stack(values, dim=axis) for values, axis in zip(zip(*rows, strict=True), (1, 0, 0), strict=True))  # fmt: skip
        return {"output": output, "h": h, "c": c}

    def row(self, params, x, h, c):
        output = []
        for x_t in x:
            a = params["weight_ih"] @ x_t + params["bias_ih"] + params["weight_hh"] @ h + params["bias_hh"]
            h, c = self.advance(params, dict(zip(self.letters, a.chunk(len(self.letters)), strict=True)), c)
            output.append(h)
        return torch.stack(output), h, c


class Peephole(PlainLSTM):
    name = "lstm_peephole"

    def parameters(self, shape):
        return super().parameters(shape) | dict.fromkeys(("weight_ci", "weight_cf", "weight_co"), (shape.hidden_size,))

    def advance(self, params, a, c):
        i = torch.sigmoid(a["i"] + params["weight_ci"] * c)
        f = torch.sigmoid(a["f"] + params["weight_cf"] * c)
        c = f * c + i * torch.tanh(a["g"])
        return torch.sigmoid(a["o"] + params["weight_co"] * c) * torch.tanh(c), c


class Coupled(PlainLSTM):
    name = "lstm_coupled"
    letters = ("f", "g", "o")

    def advance(self, params, a, c):
        f = torch.sigmoid(a["f"])
        c = f * c + (1 - f) * torch.tanh(a["g"])
        return torch.sigmoid(a["o"]) * torch.tanh(c), c


@pytest.mark.parametrize("weights", ["inputs", "initializers"])
@pytest.mark.parametrize("gate", [Peephole, Coupled])
def test_peepholes_and_coupled_gates_are_right(gate, weights):
    entry = default_registry().implementation("onnxruntime", "lstm")
    judge(Trial(entry, gate()), weights=weights)


# --- what it keeps and what it does not


@pytest.mark.parametrize("name", [name for name in SERVED if gates.get(name).parameters(PROBE)])
def test_initializers_give_the_same_values_and_leave_no_leaf(name):
    found = trial(name)
    judge(found, weights="initializers")
    case = case_of(name, implementation_options=(("weights", "initializers"),))
    assert found.bind(case).prepared.leaves == {}


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru", "swiglu_ffn"])
def test_weights_are_read_at_every_call(name):
    found = trial(name)
    bound, inputs = found.bind(case_of(name)), found.inputs(case_of(name))
    for leaf in bound.prepared.leaves.values():
        leaf.zero_()
    output = bound(inputs)["output"]
    expected = found.gate.forward({key: torch.zeros_like(value) for key, value in found.params(case_of(name)).items()}, inputs)  # fmt: skip
    torch.testing.assert_close(output, expected["output"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm", "bilinear"])
def test_results_share_no_memory_and_outlive_the_session(name):
    found = trial(name)
    bound, inputs = found.bind(case_of(name)), found.inputs(case_of(name))
    first = bound(inputs)
    kept = {key: value.clone() for key, value in first.items()}
    other = bound({key: value + 1 for key, value in inputs.items()})
    del bound
    torch.ones(1000)
    assert all(torch.equal(first[key], kept[key]) and not torch.equal(first[key], other[key]) for key in kept)


def test_its_threads_do_not_spin_after_a_call():
    found = trial("lstm", threads=2)
    case = replace(case_of("lstm"), shape=Shape(batch=16, seq_len=16, input_size=64, hidden_size=64), threads=2)
    bound, inputs = found.bind(case), found.inputs(case)
    spent = []
    for _ in range(8):
        bound(inputs)
        before = time.process_time()
        time.sleep(0.01)
        spent.append(time.process_time() - before)
    assert sorted(spent)[4] < 0.001  # of 10 ms; by default onnxruntime's pool goes on spinning


# --- what it refuses, and what it says of itself


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("lstm", {"dtype": "float64"}, r"does not take dtype float64 \(it takes float32\)"),
        ("geglu", {"dtype": "float64"}, r"does not take dtype float64 \(it takes float32\)"),
        ("glu", {"dtype": "bfloat16"}, r"does not take dtype bfloat16 \(it takes float32, float64\)"),
        ("gru", {"mode": "forward_backward"}, r"does not take mode forward_backward \(it takes forward\)"),
    ],
)
def test_what_onnxruntime_has_no_kernel_for_is_unsupported(name, settings, reason):
    case = replace(case_of(name), **settings)
    with pytest.raises(Failure, match=reason) as failure:
        Service("onnxruntime", [], 1).prepare(case.to_json())
    assert failure.value.status == "unsupported"


def test_another_shape_than_the_case_is_refused():
    found = trial("lstm")
    inputs = found.inputs(case_of("lstm"))
    with pytest.raises(Unsupported, match="built for the shape of its case"):
        found.bind(case_of("lstm"))({**inputs, "x": inputs["x"][:3]})


@pytest.mark.parametrize("package", ["onnxruntime", "onnx.parser"])
def test_a_missing_package_makes_it_unavailable_and_names_the_command(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    described = catalogue.describe(default_registry(), ["onnxruntime"], ceilings=False)["implementations"]
    assert package in described["onnxruntime"]["unavailable"]["cpu"]
    with pytest.raises(Failure, match=r"; in the checkout: pip install '\.\[onnxruntime\]'") as failure:
        Service("onnxruntime", [], 1).prepare(case_of("lstm").to_json())
    assert failure.value.status == "unavailable"


@pytest.mark.parametrize("weights", ["inputs", "initializers"])
@pytest.mark.parametrize(
    ("name", "dtype", "nodes"),
    [("lstm", "float32", "LSTM"), ("glu", "float64", "Sigmoid, Mul"), ("bilinear_ffn", "float64", "Gemm, Gemm, Mul, Gemm")],
)  # fmt: skip
def test_a_profile_names_the_provider_and_the_nodes_that_ran(name, dtype, nodes, weights):
    service = Service("onnxruntime", [], 1)
    options = (("weights", weights),) if weights != "inputs" else ()
    service.prepare(case_of(name, dtype, implementation_options=options).to_json())
    found = service.profile()
    assert found["kernel"] == f"CPUExecutionProvider: {nodes}"
    assert found["detail"]["weights"] == weights
    assert found["peak_bytes"] is None  # onnxruntime's memory is not torch's


def test_knowing_the_implementation_does_not_load_it():
    code = "import sys, gatebench.implementations.onnxruntime; print({'onnx', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_version_counts_for_what_is_comparable_where_it_is_installed():
    assert catalogue.versions()["onnxruntime"].count(".") == 2
    classes = [
        environment_class({"versions": {"python": "3.11.7", "torch": "2.13.0", **more}})
        for more in ({}, {"onnxruntime": "1.30.0"}, {"onnxruntime": "1.31.0"})
    ]
    assert len(set(classes)) == 3
