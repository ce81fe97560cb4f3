"""Recurrent gates against torch.nn, against hand-made numbers, and against themselves step by step."""

import math
from functools import partial

import pytest
import torch
from torch import nn

import gatebench
from gatebench import Shape, gates

MODULES = {"rnn_tanh": nn.RNN, "rnn_relu": partial(nn.RNN, nonlinearity="relu"), "lstm": nn.LSTM, "gru": nn.GRU}
NAMES = [*MODULES, "rnn_linear", "gru_reset_before", "gru_textbook"]
FAMILY = [name for name in gates.names() if gates.get(name).family == "recurrent"]
SHAPE = Shape(batch=3, seq_len=7, input_size=5, hidden_size=4)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}


def state_of(gate, inputs):
    return torch.cat([inputs[f"{part}0"] for part in gate.state(SHAPE)], dim=-1)


@pytest.mark.parametrize("name", MODULES)
def test_forward_equals_torch_module_with_the_same_parameters(name):
    gate = gates.get(name)
    params, inputs = gate.draw(SHAPE, seed=1), gate.inputs(SHAPE, seed=1)
    module = MODULES[name](SHAPE.input_size, SHAPE.hidden_size, dtype=torch.float64)
    module.load_state_dict({f"{key}_l0": value for key, value in params.items()})
    initial = tuple(inputs[f"{part}0"][None] for part in gate.state(SHAPE))
    output, final = module(inputs["x"], initial if name == "lstm" else initial[0])
    found = gate.forward(params, inputs)
    torch.testing.assert_close(found["output"], output.detach(), **TOLERANCE)
    final = final if name == "lstm" else (final,)
    for part, expected in zip(gate.state(SHAPE), final, strict=True):
        torch.testing.assert_close(found[part], expected[0].detach(), **TOLERANCE)


@pytest.mark.parametrize("name", FAMILY)
def test_steps_in_sequence_equal_forward(name):
    gate = gates.get(name)
    params, inputs = gate.draw(SHAPE, seed=2), gate.inputs(SHAPE, seed=2)
    state = state_of(gate, inputs)
    for x_t in inputs["x"]:
        state = gate.step(params, x_t, state)
    found = gate.forward(params, inputs)
    torch.testing.assert_close(state, torch.cat([found[part] for part in gate.state(SHAPE)], dim=-1), **TOLERANCE)


@pytest.mark.parametrize("name", FAMILY)
def test_gradients_are_those_of_the_function_that_is_computed(name):
    gate, shape = gates.get(name), Shape(batch=2, seq_len=3, input_size=2, hidden_size=3)
    params, inputs = gate.draw(shape, seed=8), gate.inputs(shape, seed=8)
    leaves = [value.requires_grad_() for value in (*params.values(), *inputs.values())]

    def outputs(*values):
        given = dict(zip((*params, *inputs), values, strict=True))
        return tuple(gate.forward(given, {key: given[key] for key in inputs}).values())

    assert torch.autograd.gradcheck(outputs, leaves, fast_mode=True)


@pytest.mark.parametrize("name", FAMILY)
def test_every_letter_of_the_activations_has_a_nonlinearity(name):
    gate = gates.get(name)
    params, inputs = gate.draw(SHAPE, seed=3), gate.inputs(SHAPE, seed=3)
    values = gate.activations(params, inputs["x"][0], state_of(gate, inputs))
    assert set(values) == set(gate.nonlinearities)
    assert all(value.shape == (3, 4) for value in values.values())
    ranges = {"sigmoid": (0, 1), "tanh": (-1, 1), "exp": (0, 1)}  # exp: stabilised
    for letter, value in values.items():
        low, high = ranges.get(gate.nonlinearities[letter], (-math.inf, math.inf))
        assert bool(((value >= low) & (value <= high)).all())


@pytest.mark.parametrize("name", NAMES)
def test_activations_are_the_values_that_step_uses(name):
    gate = gates.get(name)
    params, inputs = gate.draw(SHAPE, seed=3), gate.inputs(SHAPE, seed=3)
    state = state_of(gate, inputs)
    values = gate.activations(params, inputs["x"][0], state)
    new = gate.step(params, inputs["x"][0], state)
    if name == "lstm":
        _, c = state.chunk(2, dim=-1)
        c = values["f"] * c + values["i"] * values["g"]
        expected = torch.cat((values["o"] * torch.tanh(c), c), dim=-1)
    elif name == "gru_textbook":
        expected = values["z"] * values["n"] + (1 - values["z"]) * state
    elif name.startswith("gru"):
        expected = (1 - values["z"]) * values["n"] + values["z"] * state
    else:
        expected = values["h"]
    torch.testing.assert_close(new, expected, **TOLERANCE)
    assert set(values) == set(gate.nonlinearities)


def test_the_textbook_gru_is_reset_before_with_its_update_block_negated():
    textbook, before = gates.get("gru_textbook"), gates.get("gru_reset_before")
    params, inputs = textbook.draw(SHAPE, seed=4), textbook.inputs(SHAPE, seed=4)
    negated = {name: torch.cat((r, -z, n)) for name, (r, z, n) in ((k, v.chunk(3)) for k, v in params.items())}
    torch.testing.assert_close(
        textbook.forward(params, inputs)["output"], before.forward(negated, inputs)["output"], **TOLERANCE
    )


def test_the_three_forms_of_the_gru_differ():
    params, inputs = gates.get("gru").draw(SHAPE, seed=5), gates.get("gru").inputs(SHAPE, seed=5)
    outputs = [
        gates.get(name).forward(params, inputs)["output"] for name in ("gru", "gru_reset_before", "gru_textbook")
    ]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert float((outputs[first] - outputs[second]).abs().max()) > 1e-2


def test_reset_before_equals_the_formula_written_out():
    gate = gates.get("gru_reset_before")
    params, inputs = gate.draw(SHAPE, seed=6), gate.inputs(SHAPE, seed=6)
    x, h = inputs["x"][0], inputs["h0"]
    W, U, b, c = (params[name].chunk(3) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    r, z = (torch.sigmoid(x @ W[k].T + b[k] + h @ U[k].T + c[k]) for k in (0, 1))
    n = torch.tanh(x @ W[2].T + b[2] + (r * h) @ U[2].T + c[2])
    torch.testing.assert_close(gate.step(params, x, h), (1 - z) * n + z * h, **TOLERANCE)


def test_a_linear_rnn_is_a_power_series():
    gate = gates.get("rnn_linear")
    params, inputs = gate.draw(SHAPE, seed=7), gate.inputs(SHAPE, seed=7)
    bias, U, W = params["bias_ih"] + params["bias_hh"], params["weight_hh"], params["weight_ih"]
    expected = inputs["h0"] @ torch.linalg.matrix_power(U, 7).T
    for t, x_t in enumerate(inputs["x"]):
        expected = expected + (x_t @ W.T + bias) @ torch.linalg.matrix_power(U, 6 - t).T
    torch.testing.assert_close(gate.forward(params, inputs)["h"], expected, **TOLERANCE)


def test_a_forget_bias_keeps_the_state_of_the_textbook_gru_too():
    shape = Shape(batch=1, seq_len=20, input_size=2, hidden_size=3)
    for name in ("gru_reset_before", "gru_textbook"):
        gate = gates.get(name)
        inputs = gate.inputs(shape, 0, kind="zero") | {"h0": torch.ones(1, 3, dtype=torch.float64)}
        held = gate.forward(gate.draw(shape, 0, init="forget_bias=8"), inputs)["h"]
        assert float((held - 1).abs().max()) < 0.1


def test_a_gate_with_state_and_step_alone_unrolls():
    @gatebench.gate("test:linear_rnn", family="recurrent")
    class LinearRNN(gates.Gate):
        def parameters(self, shape):
            return {"weight": (shape.hidden_size, shape.hidden_size)}

        def state(self, shape):
            return {"h": shape.hidden_size}

        def step(self, params, x_t, state):
            return state @ params["weight"].T + x_t

    gate = LinearRNN()
    shape = Shape(batch=2, seq_len=3, input_size=4, hidden_size=4)
    params, inputs = gate.draw(shape, 0), gate.inputs(shape, 0)
    found = gate.forward(params, inputs)
    h = inputs["h0"]
    for x_t in inputs["x"]:
        h = h @ params["weight"].T + x_t
    assert found["output"].shape == (3, 2, 4)
    assert torch.equal(found["h"], h)
    assert torch.equal(found["output"][-1], h)
    assert gate.equation == "not given"
    assert gate.cost(shape, "forward", "float32") is None


def test_drawing_depends_on_seed_and_name_only():
    gate = gates.get("lstm")
    first, again, other = (gate.draw(SHAPE, seed) for seed in (5, 5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    assert not torch.equal(first["bias_ih"], first["bias_hh"])
    wider = gate.draw(Shape(batch=9, seq_len=2, input_size=5, hidden_size=4), 5)
    assert all(torch.equal(first[name], wider[name]) for name in first)


def test_torch_init_lies_within_one_over_root_h():
    params = gates.get("gru").draw(Shape(batch=1, seq_len=1, input_size=50, hidden_size=25), seed=0)
    for value in params.values():
        assert value.dtype == torch.float64
        assert 0.19 < float(value.abs().max()) <= 0.2


@pytest.mark.parametrize(("name", "rows"), [("lstm", slice(4, 8)), ("gru", slice(4, 8))])
def test_forget_bias_acts_once_although_there_are_two_bias_vectors(name, rows):
    gate = gates.get(name)
    params, plain = gate.draw(SHAPE, 0, init="forget_bias=1"), gate.draw(SHAPE, 0)
    total = params["bias_ih"][rows] + params["bias_hh"][rows]
    assert torch.equal(total, torch.ones(4, dtype=torch.float64))
    assert torch.equal(params["bias_ih"][:4], plain["bias_ih"][:4])
    assert torch.equal(params["weight_hh"], plain["weight_hh"])


def test_chrono_biases_lie_between_zero_and_log_of_the_longest_time():
    gate = gates.get("lstm")
    shape = Shape(batch=1, seq_len=1000, input_size=2, hidden_size=500)
    bias = gate.draw(shape, 0, init="chrono")["bias_ih"]
    i, f = bias[:500], bias[500:1000]
    assert torch.equal(i, -f)
    assert float(f.min()) >= 0
    assert math.log(900) < float(f.max()) <= math.log(999)


def test_forget_bias_is_unsupported_without_a_gate_that_keeps_the_state():
    with pytest.raises(gatebench.Unsupported, match="no gate that keeps its state"):
        gates.get("rnn_tanh").draw(SHAPE, 0, init="forget_bias=1")


def test_costs_equal_numbers_worked_out_by_hand():
    shape = Shape(batch=2, seq_len=3, input_size=5, hidden_size=4)
    # LSTM: 2·B·T·4H(I+H) = 2·2·3·16·9; bytes s[BTI + 4H(I+H+2) + BTH + 2·2BH]
    forward = gates.get("lstm").cost(shape, "forward", "float32")
    assert forward.flops == 1728
    assert forward.transcendental == 5 * 24
    assert forward.bytes_min == 4 * (30 + 16 * 11 + 24 + 32)
    backward = gates.get("lstm").cost(shape, "backward", "float32")
    assert backward.flops == 2 * 1728
    assert backward.bytes_min == 4 * (60 + 48 + 5 * 24 + 2 * 16 * 11)
    both = gates.get("lstm").cost(shape, "forward_backward", "float32")
    assert both.flops == 3 * 1728
    assert both.bytes_min == forward.bytes_min + backward.bytes_min + 4 * 5 * 24
    assert gates.get("gru").cost(shape, "forward", "bfloat16").flops == 1728 * 3 // 4
    assert gates.get("gru").cost(shape, "forward", "bfloat16").bytes_min == 2 * (30 + 12 * 11 + 24 + 16)
    assert gates.get("rnn_tanh").cost(shape, "forward", "float64").bytes_min == 8 * (30 + 4 * 11 + 24 + 16)
