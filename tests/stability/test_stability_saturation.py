"""Saturation: shares of gate values at their ends, and of slopes that let nothing through."""

import math

import pytest
import torch
import torch.nn.functional as F
from stability_models import drawn, gated_by_bias

from gatebench import Shape, gates, stability

SHAPE = Shape(batch=2, seq_len=3, input_size=5, hidden_size=4)


def test_saturation_of_gates_held_open_and_shut():
    found = stability.saturation(*gated_by_bias("lstm", 5, f=10.0, i=-10.0, g=3.0))
    assert (found["f"].low, found["f"].high) == (0.0, 1.0)
    assert (found["i"].low, found["i"].high) == (1.0, 0.0)
    assert found["o"].mean == pytest.approx(1.0)
    assert found["f"].mean == pytest.approx(4 * 4.5395807735907655e-05, rel=1e-4)
    assert found["f"].slope == pytest.approx(4.5395807735907655e-05, rel=1e-4)
    assert (found["f"].flat, found["o"].flat, found["o"].slope) == (1.0, 0.0, 0.25)
    assert (found["g"].tanh, found["g"].low) == (1.0, None)  # tanh 3 = 0.995
    assert found["g"].slope == pytest.approx(1 - math.tanh(3) ** 2)
    assert found["g"].flat == 1.0  # 1 - tanh² 3 = 0.00987


def test_saturation_counts_every_step_row_and_unit():
    gate, params, inputs = drawn("gru", seq_len=7)
    state, values = inputs["h0"], []
    for x_t in inputs["x"]:
        values.append(gate.activations(params, x_t, state)["z"])
        state = gate.step(params, x_t, state)
    z = torch.stack(values)
    found = stability.saturation(gate, params, inputs)["z"]
    assert found.high == pytest.approx(float((z > 0.9).double().mean()))
    assert found.mean == pytest.approx(float((4 * z * (1 - z)).mean()))
    assert found.slope == pytest.approx(float((z * (1 - z)).mean()))


def test_dead_units_of_a_relu():
    gate, params, inputs = drawn("rnn_relu", hidden_size=4, seq_len=10)
    params = {name: torch.zeros_like(value) for name, value in params.items()}
    params["bias_ih"] = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
    found = stability.saturation(gate, params, inputs)["h"]
    assert (found.dead, found.slope, found.flat) == (0.75, 0.25, 0.75)


def test_negative_lobe_of_swish():
    gate = gates.get("swiglu")
    inputs = {"value": torch.ones(1, 1, 4), "gate": torch.tensor([[[-1.0, -2.0, 0.5, 3.0]]])}
    found = stability.saturation(gate, {}, inputs)["gate"]
    assert (found.negative_lobe, found.low) == (0.5, None)


def test_density_of_a_channel_gate():
    gate = gates.get("channel_gate")
    shape = Shape(batch=2, seq_len=4, input_size=8, hidden_size=3)
    params, inputs = gate.draw(shape, 0), gate.inputs(shape, 0)
    shares = {threshold: {**params, "threshold": torch.full((3,), threshold).double()} for threshold in (-1e9, 1e9)}
    assert [stability.saturation(gate, each, inputs)["d"].density for each in shares.values()] == [1.0, 0.0]


CURVED = [("geglu", {}), ("geglu_tanh", {}), ("swiglu", {}), ("swiglu", {"beta": 2.0}), ("swiglu", {"beta": 0.0})]


@pytest.mark.parametrize(("name", "options"), CURVED)
def test_slopes_of_curved_activations_are_their_derivatives(name, options):
    gate = gates.get(name, **options)
    inputs = {"value": torch.ones(1, 1, 801), "gate": torch.linspace(-8, 8, 801, dtype=torch.float64)[None, None]}
    u = inputs["gate"].clone().requires_grad_()
    expected = torch.autograd.grad(gate.activate(u).sum(), u)[0]
    torch.testing.assert_close(gate.slopes({}, inputs)["gate"], expected, rtol=1e-10, atol=1e-14)
    found = stability.saturation(gate, {}, inputs)["gate"]
    assert found.slope == pytest.approx(float(expected.mean()), rel=1e-10)
    assert found.flat == pytest.approx(float((expected.abs() < 0.01).double().mean()))


@pytest.mark.parametrize(("name", "options"), CURVED)
def test_slopes_inside_a_feed_forward_block_are_those_of_its_gate(name, options):
    block, core = gates.get(f"{name}_ffn", bias=True, **options), gates.get(name, **options)
    params, inputs = block.draw(SHAPE, 1), block.inputs(SHAPE, 1)
    u = F.linear(inputs["x"], params["W"], params["b"])
    expected = core.slopes({}, {"value": u, "gate": u})["gate"]
    torch.testing.assert_close(block.slopes(params, inputs)["gate"], expected, rtol=1e-12, atol=1e-14)


def test_slopes_of_a_gated_attention_unit():
    gate = gates.get("gated_attention_unit")
    params, inputs = gate.draw(SHAPE, 1), gate.inputs(SHAPE, 1)
    u = (inputs["x"] @ params["weight_uv"].chunk(2)[0].T).requires_grad_()
    expected = torch.autograd.grad(F.silu(u).sum(), u)[0]
    torch.testing.assert_close(gate.slopes(params, inputs)["u"], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in gates.names() if ":" not in name])
def test_every_letter_that_can_saturate_says_how_steep_it_is(name):
    gate = gates.get(name)
    shape = Shape(batch=2, seq_len=3, input_size=4, hidden_size=4)
    for letter, found in stability.saturation(gate, gate.draw(shape, 0), gate.inputs(shape, 0)).items():
        assert (found.letter, found.nonlinearity) == (letter, gate.nonlinearities[letter])
        if found.nonlinearity != "step":  # whose surrogate is no derivative
            assert -0.2 < found.slope <= 1.2
            assert 0 <= found.flat <= 1


def test_values_that_are_not_finite_are_counted_and_left_out():
    gate, params, inputs = drawn("rnn_relu", hidden_size=1, batch=2, seq_len=3)
    params = {name: torch.zeros_like(value) for name, value in params.items()}
    params["weight_hh"] += 1e300
    start = torch.tensor([[1e10], [0.0]], dtype=torch.float64)  # row 0 overflows in the first step, row 1 is dead
    found = stability.saturation(gate, params, inputs | {"h0": start})["h"]
    assert (found.nonfinite, found.dead) == (3, 1.0)


def test_inputs_that_are_not_finite_are_refused():
    inputs = {"value": torch.ones(1, 1, 4), "gate": torch.tensor([[[0.0, 100.0, math.inf, -100.0]]])}
    with pytest.raises(stability.StabilityError, match="gate has 1 values"):
        stability.saturation(gates.get("glu"), {}, inputs)
