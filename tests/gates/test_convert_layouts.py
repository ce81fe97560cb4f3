"""Converted parameters of each layout, entry by entry, against numbers worked out by hand."""

import numpy as np
import pytest
import torch
from convert_helpers import TOLERANCE, random, text
from torch import nn

from gatebench import gates
from gatebench.errors import UserError


def listed(params):
    return {name: value.tolist() for name, value in params.items()}


def test_keras_lstm_blocks_are_transposed():
    kernel = [[1.0, 2, 3, 4], [5, 6, 7, 8]]  # I = 2, H = 1: columns i, f, c, o
    params = {"kernel": kernel, "recurrent_kernel": [[11.0, 12, 13, 14]], "bias": [21.0, 22, 23, 24]}
    assert listed(gates.convert("lstm", params, source="keras")) == {
        "weight_ih": [[1, 5], [2, 6], [3, 7], [4, 8]],
        "weight_hh": [[11], [12], [13], [14]],
        "bias_ih": [21, 22, 23, 24],
        "bias_hh": [0, 0, 0, 0],
    }


GRU = {  # I = 1, H = 2: columns z, z, r, r, h, h
    "kernel": [[1.0, 2, 3, 4, 5, 6]],
    "recurrent_kernel": [[11.0, 12, 13, 14, 15, 16], [21, 22, 23, 24, 25, 26]],
}
GRU_WEIGHTS = {  # rows r, r, z, z, n, n
    "weight_ih": [[3], [4], [1], [2], [5], [6]],
    "weight_hh": [[13, 23], [14, 24], [11, 21], [12, 22], [15, 25], [16, 26]],
}


def test_keras_gru_with_reset_after_has_two_biases():
    params = {**GRU, "bias": [[31.0, 32, 33, 34, 35, 36], [41, 42, 43, 44, 45, 46]]}
    assert listed(gates.convert("gru", params, source="keras")) == {
        **GRU_WEIGHTS,
        "bias_ih": [33, 34, 31, 32, 35, 36],
        "bias_hh": [43, 44, 41, 42, 45, 46],
    }


def test_keras_gru_with_reset_before_has_one_bias():
    found = gates.convert("gru_reset_before", {**GRU, "bias": [31.0, 32, 33, 34, 35, 36]}, source="keras")
    assert listed(found) == {**GRU_WEIGHTS, "bias_ih": [33, 34, 31, 32, 35, 36], "bias_hh": [0] * 6}


def test_a_gate_whose_z_adds_gets_the_block_z_negated():
    found = gates.convert("gru_textbook", {**GRU, "bias": [31.0, 32, 33, 34, 35, 36]}, source="keras")
    assert listed(found) == {
        "weight_ih": [[3], [4], [-1], [-2], [5], [6]],
        "weight_hh": [[13, 23], [14, 24], [-11, -21], [-12, -22], [15, 25], [16, 26]],
        "bias_ih": [33, 34, -31, -32, 35, 36],
        "bias_hh": [0] * 6,
    }


@pytest.mark.parametrize("name", ["rnn_linear", "rnn_tanh", "rnn_relu"])
def test_keras_simple_rnn_without_a_bias(name):
    params = {"kernel": [[1.0, 2], [3, 4], [5, 6]], "recurrent_kernel": [[7.0, 8], [9, 10]]}
    assert listed(gates.convert(name, params, source="keras")) == {
        "weight_ih": [[1, 3, 5], [2, 4, 6]],
        "weight_hh": [[7, 9], [8, 10]],
        "bias_ih": [0, 0],
        "bias_hh": [0, 0],
    }


def test_onnx_lstm_blocks_and_directions():
    first, second = np.arange(1.0, 5), np.arange(101.0, 105)  # H = I = 1: i, o, f, c
    params = {
        "W": np.stack((first, second))[:, :, None],
        "R": 10 * np.stack((first, second))[:, :, None],
        "B": np.stack((np.r_[first, 2 * first], np.r_[second, 2 * second])),
    }
    assert listed(gates.convert("lstm", params, source="onnx", direction="forward")) == {
        "weight_ih": [[1], [3], [4], [2]],
        "weight_hh": [[10], [30], [40], [20]],
        "bias_ih": [1, 3, 4, 2],
        "bias_hh": [2, 6, 8, 4],
    }
    reverse = gates.convert("lstm", params, source="onnx", direction="reverse")
    assert reverse["weight_ih"].tolist() == [[101], [103], [104], [102]]
    assert reverse["bias_hh"].tolist() == [202, 206, 208, 204]
    only = {name: value[1:] for name, value in params.items()}  # a node with one direction has only that
    assert listed(gates.convert("lstm", only, source="onnx", direction="reverse")) == listed(reverse)


def test_tensorflow_lstm_adds_the_forget_bias():
    kernel = [[1.0, 2, 3, 4], [11, 12, 13, 14]]  # I = H = 1: rows x, h; columns i, j, f, o
    params = {"rnn/basic_lstm_cell/kernel": kernel, "rnn/basic_lstm_cell/bias": [21.0, 22, 23, 24]}
    found = {
        "weight_ih": [[1], [3], [2], [4]],
        "weight_hh": [[11], [13], [12], [14]],
        "bias_ih": [21, 23, 22, 24],
        "bias_hh": [0, 1, 0, 0],
    }
    assert listed(gates.convert("lstm", params, source="tensorflow1")) == found
    without = gates.convert("lstm", params, source="tensorflow1", forget_bias=0.0)
    assert listed(without) == {**found, "bias_hh": [0, 0, 0, 0]}


def test_tensorflow_gru_splits_inputs_and_state():
    params = {  # I = 2, H = 1: rows x, x, h; columns r, u
        "gates/kernel": [[1.0, 2], [3, 4], [5, 6]],
        "gates/bias": [7.0, 8],
        "candidate/kernel": [[9.0], [10], [11]],
        "candidate/bias": [12.0],
    }
    assert listed(gates.convert("gru_reset_before", params, source="tensorflow1")) == {
        "weight_ih": [[1, 3], [2, 4], [9, 10]],
        "weight_hh": [[5], [6], [11]],
        "bias_ih": [7, 8, 12],
        "bias_hh": [0, 0, 0],
    }


@pytest.mark.parametrize("candidate", ["g", "c"])
def test_textbook_lstm_stacks_a_matrix_per_gate(candidate):
    assert listed(gates.convert("lstm", text(["f", "i", "o", candidate]), source="textbook")) == {
        "weight_ih": [[20, 21], [10, 11], [40, 41], [30, 31]],
        "weight_hh": [[22], [12], [42], [32]],
        "bias_ih": [23, 13, 43, 33],
        "bias_hh": [0, 0, 0, 0],
    }


@pytest.mark.parametrize(
    ("name", "update_gate", "sign"),
    [
        ("gru_reset_before", None, 1),
        ("gru_reset_before", "keeps", 1),
        ("gru_reset_before", "adds", -1),
        ("gru_textbook", None, 1),
        ("gru_textbook", "adds", 1),
        ("gru_textbook", "keeps", -1),
        ("gru", "adds", -1),
    ],
)
def test_textbook_update_gate_is_negated_where_text_and_gate_differ(name, update_gate, sign):
    found = gates.convert(name, text("zrh"), source="textbook", update_gate=update_gate)
    assert listed(found) == {
        "weight_ih": [[20, 21], [10 * sign, 11 * sign], [30, 31]],
        "weight_hh": [[22], [12 * sign], [32]],
        "bias_ih": [23, 13 * sign, 33],
        "bias_hh": [0, 0, 0],
    }


def test_textbook_biases_may_be_missing():
    found = gates.convert("rnn_tanh", text("h", biases=False), source="textbook")
    assert listed(found) == {"weight_ih": [[10, 11]], "weight_hh": [[12]], "bias_ih": [0], "bias_hh": [0]}


@pytest.mark.parametrize("names", [("gate_proj", "up_proj", "down_proj"), ("wi_0", "wi_1", "wo")])
@pytest.mark.parametrize("prefix", ["", "model.layers.0.mlp."])
def test_feed_forward_projections_of_model_libraries(names, prefix):
    gated, linear, down = (random(*size, seed=seed) for seed, size in enumerate([(3, 2), (3, 2), (2, 3)]))
    params = {f"{prefix}{name}.weight": value for name, value in zip(names, (gated, linear, down), strict=True)}
    params |= {"model.layers.0.norm.weight": random(2)} if prefix else {}
    x = random(1, 4, 2)
    expected = (torch.nn.functional.silu(torch.tensor(x @ gated.T)) * torch.tensor(x @ linear.T)) @ torch.tensor(down).T
    gate = gates.get("swiglu_ffn")
    output = gate.forward(gates.convert(gate, params, source="torch"), {"x": torch.tensor(x)})["output"]
    torch.testing.assert_close(output, expected, **TOLERANCE)


def test_feed_forward_biases_are_taken_where_the_gate_has_them():
    params = {"gate_proj.weight": random(3, 2), "up_proj.weight": random(3, 2), "down_proj.weight": random(2, 3)}
    biases = {"gate_proj.bias": [1.0, 2, 3], "up_proj.bias": [4.0, 5, 6]}
    found = gates.convert(gates.get("geglu_ffn", bias=True), params | biases, source="torch")
    assert (found["b"].tolist(), found["c"].tolist()) == ([1, 2, 3], [4, 5, 6])
    with pytest.raises(UserError, match=r"unknown parameter 'gate_proj\.bias'"):
        gates.convert("geglu_ffn", params | biases, source="torch")


# --- peepholes and projections


ONE = {"weight_ih": [[1], [3], [2], [4]], "weight_hh": [[11], [13], [12], [14]], "bias_ih": [21, 23, 22, 24]}
PEEPHOLES = {"weight_ci": [5], "weight_cf": [6], "weight_co": [7]}


def test_peepholes_of_tensorflow_onnx_and_texts():
    cell = {"kernel": [[1.0, 2, 3, 4], [11, 12, 13, 14]], "bias": [21.0, 22, 23, 24]}
    cell |= {"w_i_diag": [5.0], "w_f_diag": [6.0], "w_o_diag": [7.0]}
    expected = {**ONE, "bias_hh": [0, 1, 0, 0], **PEEPHOLES}
    assert listed(gates.convert("lstm_peephole", cell, source="tensorflow1")) == expected
    node = {"W": [[[1.0], [4], [3], [2]]], "R": [[[11.0], [14], [13], [12]]], "P": [[5.0, 7, 6]]}
    found = listed(gates.convert("lstm_peephole", node, source="onnx"))
    assert found == {**ONE, "bias_ih": [0] * 4, "bias_hh": [0] * 4, **PEEPHOLES}
    found = listed(gates.convert("lstm_peephole", {**text("ifgo"), "p_i": [5.0], "p_o": [7.0]}, source="textbook"))
    assert {name: found[name] for name in PEEPHOLES} == {**PEEPHOLES, "weight_cf": [0]}


def test_full_peepholes_of_texts_are_matrices():
    found = gates.convert("lstm_peephole_full", {**text("ifgo"), "P_f": [[6.0]]}, source="textbook")
    assert (found["weight_cf"].tolist(), found["weight_co"].tolist()) == ([[6]], [[0]])


def test_coupled_gates_of_onnx_keep_i_negated():
    node = {"W": [[[1.0], [2], [3], [4]]], "R": [[[11.0], [12], [13], [14]]], "B": [[21.0, 22, 23, 24, 31, 32, 33, 34]]}
    assert listed(gates.convert("lstm_coupled", node, source="onnx")) == {
        "weight_ih": [[-1], [4], [2]],
        "weight_hh": [[-11], [14], [12]],
        "bias_ih": [-21, 24, 22],
        "bias_hh": [-31, 34, 32],
    }
    assert gates.convert("lstm_coupled", text("foc"), source="textbook")["bias_ih"].tolist() == [13, 33, 23]


def test_the_projection_of_tensorflow_is_transposed():
    gate = gates.get("lstm_projected", proj_size=1)  # I = 1, H = 2, P = 1: rows x, h; columns i, i, j, j, f, f, o, o
    cell = {"kernel": [[1.0, 2, 3, 4, 5, 6, 7, 8], [11, 12, 13, 14, 15, 16, 17, 18]], "bias": [0.0] * 8}
    cell |= {"projection/kernel": [[21.0], [22]]}
    assert listed(gates.convert(gate, cell, source="tensorflow1")) == {
        "weight_ih": [[1], [2], [5], [6], [3], [4], [7], [8]],
        "weight_hh": [[11], [12], [15], [16], [13], [14], [17], [18]],
        "bias_ih": [0] * 8,
        "bias_hh": [0, 0, 1, 1, 0, 0, 0, 0],
        "weight_hr": [[21, 22]],
    }
    with pytest.raises(UserError, match="unknown parameter 'projection/kernel'"):
        gates.convert("lstm", cell, source="tensorflow1")


def test_another_projected_width_is_an_error():
    module = nn.LSTM(5, 4, proj_size=3)
    with pytest.raises(UserError, match=r"weight_hh_l0 has shape \(16, 3\); accepted: \(16, 2\)"):
        gates.convert(gates.get("lstm_projected", proj_size=2), module.state_dict(), source="torch")
