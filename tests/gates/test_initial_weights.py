"""Initialisations: gains, limits and moments of weights, and biases of forget gates."""

import math

import pytest
import torch

from gatebench import Shape, gates

SHAPE = Shape(batch=2, seq_len=9, input_size=6, hidden_size=8)
SQUARE = Shape(batch=2, seq_len=9, input_size=8, hidden_size=8)  # what some gates want
WIDE = Shape(batch=1, seq_len=9, input_size=40, hidden_size=64)
RECURRENT = [name for name in gates.names() if gates.get(name).family == "recurrent"]
PLAIN = ["rnn_linear", "rnn_tanh", "rnn_relu"]
FORGETTING = [name for name in gates.names() if gates.get(name).memory_block == "f"]
EXACT = {"rtol": 0, "atol": 1e-12}


def eye(size):
    return torch.eye(size, dtype=torch.float64)


def blocks(gate, params, name):
    """Return the matrices of a weight, whether they lie along its rows or its columns."""
    rows, columns = gate.grid(name)
    return [block for band in params[name].chunk(rows) for block in band.chunk(columns, dim=1)]


def recurrent_weights(gate, params):
    return [name for name in params if gate.role(name) == "recurrent" and params[name].dim() == 2]


# --- what is a recurrent weight

SEES_MORE = {
    "lstm_peephole_full": {"weight_hh", "weight_ci", "weight_cf", "weight_co"},
    "lstm_gate_recurrence": {"weight_hh", "weight_gates"},
}


@pytest.mark.parametrize("name", gates.names())
def test_recurrent_weights_are_those_that_the_state_passes(name):
    gate = gates.get(name)
    expected = SEES_MORE.get(name, {"weight_hh"} if name in RECURRENT else set())
    assert set(recurrent_weights(gate, gate.draw(SQUARE, 0))) == expected


# --- keras


@pytest.mark.parametrize("name", RECURRENT)
def test_keras_recurrent_weights_are_orthogonal_over_all_blocks_at_once(name):
    gate = gates.get(name)
    params = gate.draw(SHAPE, 0, init="keras")
    for weight in recurrent_weights(gate, params):
        value = params[weight]
        torch.testing.assert_close(value.T @ value, eye(value.shape[1]), **EXACT)
        assert value.is_contiguous()


@pytest.mark.parametrize(("name", "count"), [("rnn_tanh", 1), ("gru", 3), ("lstm", 4), ("lstm_coupled", 3)])
def test_a_block_of_a_keras_recurrent_weight_has_one_over_root_g_as_its_gain(name, count):
    gate = gates.get(name)
    found = blocks(gate, gate.draw(WIDE, 0, init="keras"), "weight_hh")
    assert len(found) == count
    for block in found:  # mean squared singular value
        assert float(block.square().sum() / 64) == pytest.approx(1 / count, rel=0.15)


def test_keras_forms_one_set_of_numbers_per_pass():
    gate = gates.get("lstm", num_layers=2, bidirectional=True)
    params = gate.draw(SHAPE, 0, init="keras")
    H, drawn = SHAPE.hidden_size, []
    for suffix in ("", "_reverse", "_l1", "_l1_reverse"):
        weight = params[f"weight_hh{suffix}"]
        torch.testing.assert_close(weight.T @ weight, eye(H), **EXACT)
        assert params[f"bias_ih{suffix}"].tolist() == [0.0] * H + [1.0] * H + [0.0] * 2 * H
        assert not params[f"bias_hh{suffix}"].any()
        drawn.append(weight)
    assert not any(torch.equal(drawn[0], other) for other in drawn[1:])
    assert torch.equal(drawn[0], gates.get("lstm").draw(SHAPE, 0, init="keras")["weight_hh"])


@pytest.mark.parametrize("name", FORGETTING)
def test_keras_opens_a_forget_gate_by_a_bias_of_one_in_total(name):
    gate = gates.get(name)
    params = gate.draw(SHAPE, 0, init="keras")
    held = [bias for bias in gate.memory_biases if bias in params]
    total = {
        letter: sum(params[bias].chunk(len(gate.blocks(bias)))[number] for bias in held)
        for number, letter in enumerate(gate.blocks(held[0]))
    }
    for letter, bias in total.items():
        assert set(bias.tolist()) == {1.0 if letter == "f" else 0.0}, letter


def test_lstms_and_scans_with_a_forget_gate_are_among_these():
    assert {"lstm", "lstm_peephole", "lstm_coupled", "lstm_projected", "lstm_layernorm", "slstm", "mlstm", "qrnn"} <= set(FORGETTING)  # fmt: skip
    assert not {"gru", "gru_textbook", "minimal_rnn", "mingru", "rg_lru", "lstm_no_forget_gate"} & set(FORGETTING)


def test_an_exponential_forget_gate_is_opened_as_far():
    rows = slice(SHAPE.hidden_size, 2 * SHAPE.hidden_size)
    bias = gates.get("slstm", forget="exp").draw(SHAPE, 0, init="keras")["bias_ih"][rows]
    torch.testing.assert_close(bias.exp(), torch.full_like(bias, 1 / (1 + math.exp(-1))), **EXACT)


# --- limits of Glorot's rule


def reaches(value, limit):
    highest = float(value.abs().max())
    assert 0.97 * limit < highest <= limit
    assert float(value.std()) == pytest.approx(limit / math.sqrt(3), rel=5 * math.sqrt(1 / value.numel()))


@pytest.mark.parametrize(("name", "count"), [("rnn_relu", 1), ("gru", 3), ("lstm", 4)])
def test_glorots_limit_is_that_of_all_blocks_in_keras_and_of_one_in_xavier(name, count):
    gate = gates.get(name)
    reaches(gate.draw(WIDE, 0, init="keras")["weight_ih"], math.sqrt(6 / (40 + count * 64)))
    params = gate.draw(WIDE, 0, init="xavier")
    reaches(params["weight_ih"], math.sqrt(6 / (40 + 64)))
    reaches(params["weight_hh"], math.sqrt(6 / (64 + 64)))


@pytest.mark.parametrize(("name", "options", "weight", "keras", "xavier"), [
    ("lstm_projected", {"proj_size": 16}, "weight_hr", 64 + 16, 64 + 16),
    ("qrnn", {"kernel_size": 3}, "weight_ih", 3 * (40 + 3 * 64), 3 * (40 + 64)),
    ("swiglu_ffn", {}, "W2", 64 + 40, 64 + 40),
    ("mlstm", {"heads": 16}, "weight_if", 40 + 32, 40 + 16),
    ("gated_conv", {}, "weight", 3 * (40 + 128), 3 * (40 + 64)),
    ("rg_lru", {"num_blocks": 4}, "weight_ih", 16 + 128, 16 + 16),
    ("gated_attention", {}, "in_proj_weight", 40 + 192, 40 + 64),
])  # fmt: skip
def test_fans_of_weights_of_other_forms(name, options, weight, keras, xavier):
    gate = gates.get(name, **options)
    reaches(gate.draw(WIDE, 0, init="keras")[weight], math.sqrt(6 / keras))
    reaches(gate.draw(WIDE, 0, init="xavier")[weight], math.sqrt(6 / xavier))


# --- irnn, orthogonal, gaussian


@pytest.mark.parametrize("name", PLAIN)
def test_irnn_is_the_identity_with_small_input_weights(name):
    params = gates.get(name).draw(WIDE, 0, init="irnn")
    assert torch.equal(params["weight_hh"], eye(64))
    n = params["weight_ih"].numel()
    assert float(params["weight_ih"].std()) == pytest.approx(0.001, rel=5 / math.sqrt(2 * n))
    assert abs(float(params["weight_ih"].mean())) < 5 * 0.001 / math.sqrt(n)


@pytest.mark.parametrize("gain", [0.0, 0.9, 2.0])
@pytest.mark.parametrize("name", RECURRENT)
def test_each_recurrent_block_is_the_gain_times_an_orthogonal_matrix_and_other_weights_stay(name, gain):
    gate = gates.get(name)
    params, plain = gate.draw(SHAPE, 0, init=f"orthogonal={gain}"), gate.draw(SHAPE, 0)
    for weight in recurrent_weights(gate, params):
        for block in blocks(gate, params, weight):
            torch.testing.assert_close(block.T @ block, gain**2 * eye(block.shape[1]), **EXACT)
    for other in params:
        if other not in recurrent_weights(gate, params) and gate.role(other) != "bias":
            assert torch.equal(params[other], plain[other])


def test_the_nine_matrices_of_gate_recurrence_are_nine():
    gate = gates.get("lstm_gate_recurrence")
    nine = blocks(gate, gate.draw(SHAPE, 0, init="orthogonal=1"), "weight_gates")
    assert [tuple(block.shape) for block in nine] == [(8, 8)] * 9
    assert len({float(block[0, 0]) for block in nine}) == 9


def test_orthogonal_matrices_are_uniform_in_haars_measure():
    # Householder's Q without R's signs has Q_00 < 0 always. Of Haar's, √H Q_ij has mean 0 and variance 1, and a trace, too.
    drawn = torch.stack([
        gates.get("rnn_tanh").draw(SHAPE, seed, init="orthogonal=1")["weight_hh"] for seed in range(400)
    ])  # fmt: skip
    corner, trace = drawn[:, 0, 0] * math.sqrt(8), drawn.diagonal(dim1=1, dim2=2).sum(1)
    for value in (corner, trace):
        assert abs(float(value.mean())) < 5 / math.sqrt(400)
        assert float(value.var()) == pytest.approx(1, abs=5 * math.sqrt(2 / 400))


@pytest.mark.parametrize("name", RECURRENT)
def test_gaussian_weights_have_the_gain_over_the_root_of_their_fan_in(name):
    gate, shape = gates.get(name), Shape(batch=1, seq_len=2, input_size=32, hidden_size=48)
    params = gate.draw(shape, 0, init="gaussian=1.7")
    for weight, value in params.items():
        if gate.role(weight) in ("recurrent", "input") and value.dim() == 2:
            gain = 1.7 if gate.role(weight) == "recurrent" else 1.0
            fan_in = value.shape[1] // gate.grid(weight)[1]
            tolerance = 5 / math.sqrt(2 * value.numel())
            assert float(value.std() * math.sqrt(fan_in)) == pytest.approx(gain, rel=tolerance), weight
            assert abs(float(value.mean() * math.sqrt(fan_in))) < 5 * gain / math.sqrt(value.numel())


@pytest.mark.parametrize("gain", [0.5, 1.5])
def test_the_spectral_radius_of_a_gaussian_block_is_its_gain(gain):
    shape = Shape(batch=1, seq_len=2, input_size=1, hidden_size=400)
    gate = gates.get("gru")
    for block in blocks(gate, gate.draw(shape, 0, init=f"gaussian={gain}"), "weight_hh"):
        assert float(torch.linalg.eigvals(block).abs().max()) == pytest.approx(gain, rel=0.08)


def test_white_inputs_pass_a_gaussian_input_weight_with_their_variance():
    gate, shape = gates.get("rnn_tanh"), Shape(batch=20, seq_len=50, input_size=100, hidden_size=100)
    x = gate.inputs(shape, 0, kind="white=0.25")["x"]
    assert float(gate.project(gate.draw(shape, 0, init="gaussian=2"), x).var()) == pytest.approx(0.25, rel=0.1)
