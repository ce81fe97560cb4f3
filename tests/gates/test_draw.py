"""Initialisations: the bias of the block that keeps the state, whatever vectors hold it."""

import math

import pytest
import torch

import gatebench
from gatebench import Shape, gates

SHAPE = Shape(batch=2, seq_len=40, input_size=4, hidden_size=4)
KEEPING = [name for name in gates.names() if gates.get(name).memory_block is not None]
CHRONO = [name for name in KEEPING if name != "rg_lru"]
OTHERS = [name for name in gates.names() if name not in KEEPING]


def memory_bias(gate, params, letter):
    """Return the sum of all biases of one block."""
    held = [name for name in gate.memory_biases if name in params]
    return sum(params[name].chunk(len(gate.blocks(name)))[gate.blocks(name).index(letter)] for name in held)


def keeps(gate, params):
    """Return the value of the gate that keeps the state where all weights are 0."""
    silent = {name: torch.zeros_like(value) if "weight" in name else value for name, value in params.items()}
    inputs = gate.inputs(SHAPE, 0)
    state = torch.cat([inputs[f"{part}0"] for part in gate.state(SHAPE)], -1)
    x_t = gate.step_inputs(inputs)[0]
    value = gate.activations(silent, x_t, state)[gate.memory_block]
    if gate.name == "slstm":  # stabilised: f = exp(log σ + m' - m)
        m = gate.step(silent, x_t, state).chunk(4, -1)[3]
        return value * torch.exp(m - inputs["m0"])
    return value if gate.memory_sign == 1 else 1 - value


@pytest.mark.parametrize("name", KEEPING)
def test_forget_bias_opens_the_gate_that_keeps_the_state_by_that_bias(name):
    gate = gates.get(name)
    params = gate.draw(SHAPE, 0, init="forget_bias=1.5")
    value = keeps(gate, params)
    torch.testing.assert_close(value, torch.full_like(value, 1 / (1 + math.exp(-1.5))), rtol=1e-12, atol=0)
    assert set(memory_bias(gate, params, gate.memory_block).tolist()) == {1.5 * gate.memory_sign}


@pytest.mark.parametrize("name", KEEPING)
def test_forget_bias_changes_that_block_alone(name):
    gate = gates.get(name)
    plain, changed = gate.draw(SHAPE, 0), gate.draw(SHAPE, 0, init="forget_bias=1.5")
    for key, value in plain.items():
        letters = gate.blocks(key) or ("",)
        for letter, before, after in zip(
            letters, value.chunk(len(letters)), changed[key].chunk(len(letters)), strict=True
        ):
            touched = key in gate.memory_biases and letter == gate.memory_block
            assert touched or torch.equal(before, after), (key, letter)


@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
@pytest.mark.parametrize(
    ("init", "shares"), [("forget_bias=1.5", (0.8175744761936437,) * 2), ("chrono", (0.5, 38 / 39))]
)
def test_the_slstm_keeps_the_share_asked_for_whatever_its_forget_gate(forget, init, shares):
    gate = gates.get("slstm", forget=forget)
    params = gate.draw(SHAPE, 0, init=init)
    kept, (low, high) = keeps(gate, params), shares
    assert bool(((kept >= low - 1e-12) & (kept <= high + 1e-12)).all())
    if init == "chrono":  # i = exp of the input gate's bias, -b where σ(b) is kept
        expected = torch.log(1 / kept[0] - 1)
        torch.testing.assert_close(memory_bias(gate, params, "i"), expected, rtol=1e-9, atol=1e-12)


def test_chrono_refuses_a_gate_whose_bias_sets_no_time_scale():
    with pytest.raises(gatebench.Unsupported, match="rg_lru: no bias b keeps"):
        gates.get("rg_lru").draw(SHAPE, 0, init="chrono")


@pytest.mark.parametrize("name", CHRONO)
def test_chrono_negates_the_input_gate_only_where_there_is_one(name):
    gate = gates.get(name)
    plain, params = gate.draw(SHAPE, 0), gate.draw(SHAPE, 0, init="chrono")
    kept = gate.memory_sign * memory_bias(gate, params, gate.memory_block)
    assert bool(((kept >= 0) & (kept <= math.log(39))).all())
    assert len(set(kept.tolist())) == len(kept)  # a unit, or a head, each its own
    for letter in gate.blocks(next(key for key in gate.memory_biases if key in params)):
        if letter == "i":
            assert torch.equal(memory_bias(gate, params, "i"), -kept)
        elif letter != gate.memory_block:
            assert torch.equal(memory_bias(gate, params, letter), memory_bias(gate, plain, letter))


def test_vectors_that_an_option_leaves_out_are_not_needed():
    gate = gates.get("lstm_layernorm", affine=False)
    assert memory_bias(gate, gate.draw(SHAPE, 0, init="forget_bias=2"), "f").tolist() == [2.0] * 4


@pytest.mark.parametrize("name", OTHERS)
def test_a_gate_without_such_a_block_refuses(name):
    for init in ("forget_bias=1", "chrono"):
        with pytest.raises(gatebench.Unsupported, match="no gate that keeps its state"):
            gates.get(name).draw(SHAPE, 0, init=init)


def test_the_gates_that_keep_a_state_are_these():
    assert {"lstm_coupled", "lstm_projected", "lstm_layernorm", "minimal_rnn", "slstm", "gru_textbook"} <= set(KEEPING)
    assert {"lstm_no_forget_gate", "highway", "rnn_tanh", "glu"} <= set(OTHERS)
