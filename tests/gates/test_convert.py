"""Converted parameters: entries by hand, torch's modules, the equations of Keras and TensorFlow, and errors."""

import numpy as np
import pytest
import torch
from ml_dtypes import bfloat16
from torch import nn

from gatebench import Shape, gates
from gatebench.errors import UserError

SHAPE = Shape(batch=3, seq_len=6, input_size=5, hidden_size=4)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}
MODULES = {
    "rnn_tanh": nn.RNN,
    "rnn_relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


def random(*shape, seed=0, dtype=np.float64):
    """Return normal numbers from a fixed seed."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def states(gate, seed=1):
    """Return random inputs of the gate and its initial state side by side."""
    inputs = gate.inputs(SHAPE, seed)
    return inputs, torch.cat([inputs[f"{part}0"] for part in gate.state(SHAPE)], dim=-1)


# --- entries worked out by hand


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
    assert listed(gates.convert("lstm", params, source="onnx")) == {
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


def text(letters, biases=True):
    """Return a text's parameters for I = 2, H = 1, the k-th gate's numbers beginning with k."""
    params = {}
    for k, letter in enumerate(letters, start=1):
        params |= {f"W_{letter}": [[10.0 * k, 10 * k + 1]], f"U_{letter}": [[10.0 * k + 2]]}
        params |= {f"b_{letter}": [10.0 * k + 3]} if biases else {}
    return params


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


# --- against torch's modules


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("prefix", ["", "encoder.rnn."])
@pytest.mark.parametrize("name", MODULES)
def test_layers_and_directions_of_a_torch_module_in_sequence(name, prefix, bias):
    I, H = SHAPE.input_size, SHAPE.hidden_size
    module = MODULES[name](I, H, num_layers=2, bidirectional=True, bias=bias, dtype=torch.float64)
    params = {prefix + key: value for key, value in module.state_dict().items()}
    params |= {"head.weight": torch.ones(1)}
    gate = gates.get(name)
    x = torch.tensor(random(SHAPE.seq_len, SHAPE.batch, I))
    parts = [torch.tensor(random(4, SHAPE.batch, H, seed=seed)) for seed in range(len(gate.state(SHAPE)))]
    expected, _ = module(x, tuple(parts) if name == "lstm" else parts[0])
    for layer in (0, 1):
        outputs = []
        for way, direction in enumerate(("forward", "reverse")):
            found = gates.convert(gate, params, source="torch", layer=layer, direction=direction)
            initial = {f"{part}0": value[2 * layer + way] for part, value in zip(gate.state(SHAPE), parts, strict=True)}
            output = gate.forward(found, {"x": x.flip(0) if way else x, **initial})["output"]
            outputs.append(output.flip(0) if way else output)
        x = torch.cat(outputs, dim=-1)
    torch.testing.assert_close(x, expected.detach(), **TOLERANCE)


# --- against the equations that Keras and TensorFlow document


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def keras_lstm(p, x, h, c):
    i, f, g, o = np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def keras_gru(p, x, h):
    x_z, x_r, x_h = np.split(x @ p["kernel"] + p["bias"][0], 3, axis=1)
    h_z, h_r, h_h = np.split(h @ p["recurrent_kernel"] + p["bias"][1], 3, axis=1)
    z = sigmoid(x_z + h_z)
    return (z * h + (1 - z) * np.tanh(x_h + sigmoid(x_r + h_r) * h_h),)


def keras_gru_reset_before(p, x, h):
    x_z, x_r, x_h = np.split(x @ p["kernel"] + p["bias"], 3, axis=1)
    u_z, u_r, u_h = np.split(p["recurrent_kernel"], 3, axis=1)
    z = sigmoid(x_z + h @ u_z)
    return (z * h + (1 - z) * np.tanh(x_h + (sigmoid(x_r + h @ u_r) * h) @ u_h),)


def tensorflow_lstm(p, x, h, c):
    i, j, f, o = np.split(np.concatenate((x, h), axis=1) @ p["kernel"] + p["bias"], 4, axis=1)
    c = sigmoid(f + 1.0) * c + sigmoid(i) * np.tanh(j)
    return np.tanh(c) * sigmoid(o), c


def tensorflow_gru(p, x, h):
    r, u = np.split(sigmoid(np.concatenate((x, h), axis=1) @ p["gates/kernel"] + p["gates/bias"]), 2, axis=1)
    candidate = np.tanh(np.concatenate((x, r * h), axis=1) @ p["candidate/kernel"] + p["candidate/bias"])
    return (u * h + (1 - u) * candidate,)


def tensorflow_rnn(p, x, h):
    return (np.tanh(np.concatenate((x, h), axis=1) @ p["kernel"] + p["bias"]),)


KERAS = {"kernel": (5, 12), "recurrent_kernel": (4, 12)}
CELLS = {"gates/kernel": (9, 8), "gates/bias": (8,), "candidate/kernel": (9, 4), "candidate/bias": (4,)}


@pytest.mark.parametrize(
    ("name", "source", "step", "sizes"),
    [
        ("lstm", "keras", keras_lstm, {"kernel": (5, 16), "recurrent_kernel": (4, 16), "bias": (16,)}),
        ("gru", "keras", keras_gru, {**KERAS, "bias": (2, 12)}),
        ("gru_reset_before", "keras", keras_gru_reset_before, {**KERAS, "bias": (12,)}),
        ("gru_textbook", "keras", keras_gru_reset_before, {**KERAS, "bias": (12,)}),
        ("rnn_tanh", "tensorflow1", tensorflow_rnn, {"kernel": (9, 4), "bias": (4,)}),
        ("lstm", "tensorflow1", tensorflow_lstm, {"kernel": (9, 16), "bias": (16,)}),
        ("gru_reset_before", "tensorflow1", tensorflow_gru, CELLS),
        ("gru_textbook", "tensorflow1", tensorflow_gru, CELLS),
    ],
)
def test_a_step_equals_the_equations_of_the_source(name, source, step, sizes):
    gate = gates.get(name)
    params = {key: random(*size, seed=seed) for seed, (key, size) in enumerate(sizes.items())}
    inputs, state = states(gate)
    expected = step(params, inputs["x"][0].numpy(), *(part.numpy() for part in state.chunk(len(gate.state(SHAPE)), -1)))
    found = gate.step(gates.convert(gate, params, source=source), inputs["x"][0], state)
    torch.testing.assert_close(found, torch.tensor(np.concatenate(expected, axis=1)), **TOLERANCE)


# --- dtypes and copies


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


LSTM = {name: value.detach() for name, value in nn.LSTM(5, 4, num_layers=2).named_parameters()}
KERAS_GRU = {"kernel": np.ones((5, 12)), "recurrent_kernel": np.ones((4, 12))}


def without(params, *names):
    return {name: value for name, value in params.items() if name not in names}


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


# --- gates that have several layers or directions themselves


@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}]
)
@pytest.mark.parametrize("name", MODULES)
def test_a_whole_stack_of_a_torch_module(name, options):
    gate = gates.get(name, **options)
    module = MODULES[name](SHAPE.input_size, SHAPE.hidden_size, **options)
    found = gates.convert(gate, module.state_dict(), source="torch")
    assert list(found) == list(gate.parameters(SHAPE))
    for key, value in found.items():
        base, layer, reverse = key.removesuffix("_reverse"), 0, "_reverse" * key.endswith("_reverse")
        if base.endswith("_l1"):
            base, layer = base.removesuffix("_l1"), 1
        assert torch.equal(value, getattr(module, f"{base}_l{layer}{reverse}"))


def test_both_directions_of_an_onnx_node():
    gate = gates.get("rnn_tanh", bidirectional=True)
    params = {"W": random(2, 4, 5), "R": random(2, 4, 4)}
    found = gates.convert(gate, params, source="onnx")
    assert torch.equal(found["weight_ih_reverse"], torch.from_numpy(params["W"][1]))
    assert torch.equal(found["weight_hh"], torch.from_numpy(params["R"][0]))


@pytest.mark.parametrize(
    ("options", "source", "keywords", "message"),
    [
        ({"num_layers": 2}, "onnx", {}, "num_layers = 2; accepted: one pass, in its own gate; convert pass by pass"),
        ({"bidirectional": True}, "keras", {}, "bidirectional = True; accepted: one pass"),
        ({"num_layers": 2}, "torch", {"layer": 1}, "layer = 1 says nothing here"),
    ],
)
def test_what_a_stack_cannot_be_read_from_is_an_error(options, source, keywords, message):
    with pytest.raises(UserError, match=message):
        gates.convert(gates.get("lstm", **options), {}, source=source, **keywords)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ({"num_layers": 2, "bidirectional": True}, {"num_layers": 2}, "unknown parameter 'weight_ih_l0_reverse'"),
        ({"num_layers": 3}, {"num_layers": 2}, "unknown parameter 'weight_ih_l2'"),
        ({"num_layers": 1}, {"num_layers": 2}, "no parameter weight_ih_l1"),
    ],
)
def test_another_stack_than_the_gates_is_an_error(theirs, ours, message):
    module = nn.LSTM(SHAPE.input_size, SHAPE.hidden_size, **theirs)
    with pytest.raises(UserError, match=message):
        gates.convert(gates.get("lstm", **ours), module.state_dict(), source="torch")


def test_layers_of_another_width_are_an_error():
    state = nn.LSTM(SHAPE.input_size, SHAPE.hidden_size, num_layers=2).state_dict()
    state["weight_ih_l1"] = torch.zeros(4 * SHAPE.hidden_size, 2 * SHAPE.hidden_size)
    with pytest.raises(UserError, match=r"weight_ih_l1 has shape \(16, 8\); accepted: \(16, 4\)"):
        gates.convert(gates.get("lstm", num_layers=2), state, source="torch")


def test_a_node_of_one_direction_is_no_bidirectional_gate():
    with pytest.raises(UserError, match="W has 1 direction; accepted: 2"):
        gates.convert(
            gates.get("rnn_tanh", bidirectional=True), {"W": random(1, 4, 5), "R": random(1, 4, 4)}, source="onnx"
        )


def test_the_candidate_of_a_text_is_found_behind_a_path():
    params = {f"cell.{matrix}_{letter}": random(4, width) for matrix, width in (("W", 5), ("U", 4)) for letter in "rzh"}
    found = gates.convert("gru", params, source="textbook")
    assert torch.equal(found["weight_ih"][8:], torch.from_numpy(params["cell.W_h"]))
