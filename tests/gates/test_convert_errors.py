"""Converted parameters: dtypes, copies, and what does not fit as an error of one line."""

import numpy as np
import pytest
import torch
from convert_helpers import text
from ml_dtypes import bfloat16
from torch import nn

from gatebench import gates
from gatebench.errors import UserError


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_the_dtype_is_kept_and_nothing_is_shared(dtype):
    module = nn.RNN(5, 4, dtype=dtype)
    params = dict(module.named_parameters())
    found = gates.convert("rnn_tanh", params, source="torch")
    assert {value.dtype for value in found.values()} == {dtype}
    assert not any(value.requires_grad for value in found.values())
    before = {name: value.clone() for name, value in found.items()}
    with torch.no_grad():
        for value in params.values():
            value.fill_(7)
    assert all(torch.equal(found[name], before[name]) for name in found)


def test_converted_parameters_share_no_memory_among_each_other():
    found = gates.convert("rnn_tanh", text("h", biases=False), source="textbook")
    assert len({value.data_ptr() for value in found.values()}) == 4
    assert all(value.is_contiguous() for value in found.values())


@pytest.mark.parametrize("order", [">f4", "<f4"])
def test_arrays_may_be_strided_read_only_and_of_either_byte_order(order):
    kernel = np.arange(10.0).reshape(5, 2).astype(order)[::-1]
    kernel.setflags(write=False)
    params = {"kernel": kernel, "recurrent_kernel": np.eye(2, dtype=order)}
    found = gates.convert("rnn_tanh", params, source="keras")
    assert found["weight_ih"].tolist() == [[8, 6, 4, 2, 0], [9, 7, 5, 3, 1]]
    assert found["weight_ih"].dtype == torch.float32


def test_arrays_of_bfloat16_are_known():

    params = {"kernel": np.ones((3, 2), bfloat16), "recurrent_kernel": np.full((2, 2), 0.5, bfloat16)}
    found = gates.convert("rnn_tanh", params, source="keras")
    assert torch.equal(found["weight_hh"], torch.full((2, 2), 0.5, dtype=torch.bfloat16))


# --- errors


LSTM = {name: value.detach() for name, value in nn.LSTM(5, 4).named_parameters()}
KERAS_GRU = {"kernel": np.ones((5, 12)), "recurrent_kernel": np.ones((4, 12))}


def without(params, *names):
    return {name: value for name, value in params.items() if name not in names}


def test_layers_and_directions_are_never_dropped_in_silence():
    stack = {
        f"rnn.{name}": value for name, value in nn.LSTM(5, 4, num_layers=2, bidirectional=True).state_dict().items()
    }
    with pytest.raises(
        UserError, match="layers and directions l0, l0_reverse, l1, l1_reverse; accepted: layer and direction"
    ):
        gates.convert("lstm", stack, source="torch")
    assert gates.convert("lstm", stack, source="torch", layer=0)["weight_ih"].shape == (16, 5)
    node = {"W": np.ones((2, 16, 5)), "R": np.ones((2, 16, 4))}
    with pytest.raises(UserError, match="W has 2 directions; accepted: direction of one"):
        gates.convert("lstm", node, source="onnx")


@pytest.mark.parametrize(
    ("name", "params", "keywords", "message"),
    [
        ("lstm", LSTM, {"source": "pytorch"}, r"^convert: unknown source 'pytorch'; accepted: .*torch; did you mean 'torch'"),
        ("rnn_linear", LSTM, {"source": "torch"}, r"no form of this gate; accepted: rnn_tanh, rnn_relu, lstm"),
        ("lstm", [1.0], {"source": "keras"}, r"params is a list; accepted: a mapping of names"),
        ("lstm", {0: [1.0]}, {"source": "keras"}, r"params is a dict; accepted: a mapping of names"),
        ("lstm", LSTM, {"source": "torch", "layer": 2}, r"no parameter weight_ih_l2, weight_hh_l2; accepted: "),
        ("lstm", LSTM, {"source": "torch", "direction": "reverse"}, r"no parameter weight_ih_l0_reverse"),
        ("lstm", LSTM, {"source": "torch", "direction": "back"}, r"unknown direction 'back'; accepted: forward, reverse"),
        ("lstm", without(LSTM, "weight_hh_l0"), {"source": "torch"}, r"no parameter weight_hh_l0; accepted"),
        ("lstm", without(LSTM, "bias_hh_l0"), {"source": "torch"}, r"only one of bias_ih_l0 and bias_hh_l0; accepted: both"),
        ("lstm", {**LSTM, "weight_hr_l0": torch.ones(2, 4)}, {"source": "torch"}, r"unknown parameter 'weight_hr_l0'"),
        ("gru", LSTM, {"source": "torch"}, r"weight_ih_l0 has shape \(16, 5\); accepted: \(15, 5\)"),
        ("lstm", {f"{at}.{name}": value for at in "ab" for name, value in LSTM.items()}, {"source": "torch"}, r"weight_ih_l0 is there 2 times, after 'a\.' and 'b\.'; accepted: one module"),
        ("lstm", {**LSTM, "bias_ih_l0": LSTM["bias_ih_l0"].double()}, {"source": "torch"}, r"float32 and float64; accepted: all alike"),
        ("lstm", {name: value.int() for name, value in LSTM.items()}, {"source": "torch"}, r"parameters are int32; accepted"),
        ("lstm", {**LSTM, "weight_ih_l0": torch.ones(16)}, {"source": "torch"}, r"weight_ih_l0 has shape \(16,\); accepted: 2 axes"),
        ("swiglu_ffn", LSTM, {"source": "torch"}, r"no parameter gate_proj\.weight, up_proj\.weight, down_proj\.weight"),
        ("swiglu_ffn", LSTM, {"source": "torch", "layer": 1}, r"layer = 1 says nothing here; leave out layer"),
        ("gru_reset_before", {**KERAS_GRU, "bias": np.ones((2, 12))}, {"source": "keras"}, r"bias has shape \(2, 12\); accepted: \(12,\); reset_after=True is `gru`"),
        ("gru", {**KERAS_GRU, "bias": np.ones(12)}, {"source": "keras"}, r"bias has shape \(12,\); accepted: \(2, 12\)"),
        ("gru", {**KERAS_GRU, "biass": np.ones(12)}, {"source": "keras"}, r"unknown parameter 'biass'; .*did you mean 'bias'"),
        ("gru", {**KERAS_GRU, "kernel": [["x"]]}, {"source": "keras"}, r"kernel is a list of no known dtype; accepted: float64"),
        ("gru", KERAS_GRU, {"source": "keras", "direction": "reverse"}, r"direction = 'reverse' says nothing here"),
        ("gru", KERAS_GRU, {"source": "keras", "forget_bias": 0.0}, r"forget_bias = 0\.0 says nothing here"),
        ("lstm", {"W": np.ones((3, 4, 1)), "R": np.ones((3, 4, 1))}, {"source": "onnx"}, r"W has 3 directions; accepted: 1 or 2"),
        ("lstm", {"W": np.ones((1, 4, 1)), "R": np.ones((2, 4, 1))}, {"source": "onnx"}, r"R has shape \(2, 4, 1\); accepted: \(1, 4, 1\)"),
        ("lstm", {"W": np.ones((1, 4, 1)), "R": np.ones((1, 4, 1)), "P": np.ones((1, 3))}, {"source": "onnx"}, r"unknown parameter 'P'"),
        ("lstm", {"W": np.ones((1, 4, 0)), "R": np.ones((1, 4, 1))}, {"source": "onnx"}, r"W has shape \(1, 4, 0\); accepted: 3 axes"),
        ("lstm", text("fio"), {"source": "textbook"}, r"no parameter W_g, U_g; accepted"),
        ("lstm", text("fiogc"), {"source": "textbook"}, r"unknown parameter '._g'"),
        ("lstm", text("fiog"), {"source": "textbook", "update_gate": "adds"}, r"update_gate = 'adds' says nothing here"),
        ("gru", text("zrh"), {"source": "textbook", "update_gate": "add"}, r"unknown update_gate 'add'; accepted: adds, keeps"),
        ("gru", {**text("zrh"), "U_r": np.ones((2, 2))}, {"source": "textbook"}, r"U_r has shape \(2, 2\); accepted: \(1, 1\)"),
        ("lstm", {"kernel": np.ones((4, 16)), "bias": np.ones(16)}, {"source": "tensorflow1"}, r"kernel has 4 rows; accepted: more than the state's 4"),
        ("lstm", {"kernel": np.ones((9, 15)), "bias": np.ones(16)}, {"source": "tensorflow1"}, r"kernel has shape \(9, 15\); accepted: \(9, 16\)"),
        ("gru_reset_before", text("zrh"), {"source": "tensorflow1"}, r"no parameter gates/kernel, gates/bias, candidate/kernel, candidate/bias"),
        ("gru_reset_before", text("zrh"), {"source": "tensorflow1", "forget_bias": 2.0}, r"forget_bias = 2\.0 says nothing here"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error_of_one_line(name, params, keywords, message):
    with pytest.raises(UserError, match=message) as caught:
        gates.convert(name, params, **keywords)
    assert "\n" not in str(caught.value)
