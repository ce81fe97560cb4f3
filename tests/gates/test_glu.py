"""The GLU family against torch's functions, known values, and its own packed form."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from gatebench import Shape, gates
from gatebench.errors import UserError
from gatebench.scaffold import FAMILIES

SHAPE = Shape(batch=2, seq_len=3, input_size=5, hidden_size=4)


def scalar(value):
    return torch.tensor([[[value]]], dtype=torch.float64, requires_grad=True)


# Value a = 2, gate b = -1: (name, options, output, derivative by the gate); 10 digits, tolerance 1e-10.
POINTS = [
    ("glu", {}, 0.5378828427, 0.3932238665),
    ("swiglu", {}, -0.5378828427, 0.1446589763),
    ("swiglu", {"beta": 2.0}, -0.2384058440, None),
    ("bilinear", {}, -2.0, 2.0),
    ("reglu", {}, 0.0, 0.0),
    ("geglu", {}, -0.3173105079, -0.1666309412),
    ("geglu_tanh", {}, -0.3176160188, None),
    ("gtu", {}, math.tanh(2.0) * 0.2689414213699951, math.tanh(2.0) * 0.1966119332414819),
]


@pytest.mark.parametrize(("name", "options", "output", "slope"), POINTS)
def test_p16_values_and_derivatives(name, options, output, slope):
    value, gate = scalar(2.0), scalar(-1.0)
    found = gates.get(name, **options).forward({}, {"value": value, "gate": gate})["output"]
    assert float(found.detach()) == pytest.approx(output, abs=1e-10)
    if slope is not None:
        assert float(torch.autograd.grad(found.sum(), gate)[0]) == pytest.approx(slope, abs=1e-10)


# Activations at 1, 12 digits; u σ(1.702 u) is the quick form of GELU.
AT_ONE = [
    ("geglu", {}, 0.841344746069),
    ("geglu_tanh", {}, 0.841191990608),
    ("swiglu", {"beta": 1.702}, 0.845795765933),
    ("swiglu", {}, 0.731058578630),
]


@pytest.mark.parametrize(("name", "options", "expected"), AT_ONE)
def test_p16_activations_at_one(name, options, expected):
    one = torch.ones(1, dtype=torch.float64)
    assert gates.get(name, **options).activate(one).item() == pytest.approx(expected, abs=1e-12)


def test_swish_with_beta_zero_is_half_of_the_gate():
    gate = gates.get("swiglu", beta=0.0)
    inputs = gate.inputs(SHAPE, 0)
    torch.testing.assert_close(gate.forward({}, inputs)["output"], inputs["value"] * inputs["gate"] / 2)


POINTWISE = ["glu", "bilinear", "reglu", "geglu", "geglu_tanh", "swiglu", "gtu"]
TORCH = {"reglu": F.relu, "geglu": F.gelu, "geglu_tanh": partial(F.gelu, approximate="tanh"), "swiglu": F.silu}


@pytest.mark.parametrize("name", TORCH)
def test_activations_are_torchs(name):
    gate = gates.get(name)
    inputs = gate.inputs(SHAPE, 1)
    expected = inputs["value"] * TORCH[name](inputs["gate"])
    torch.testing.assert_close(gate.forward({}, inputs)["output"], expected, rtol=1e-13, atol=1e-15)


def test_the_two_gelus_differ_by_as_much_as_is_known():
    u = torch.linspace(-6, 6, 120_001, dtype=torch.float64)
    erf, tanh = (gates.get(name).activate(u) for name in ("geglu", "geglu_tanh"))
    gap, place = (erf - tanh).abs().max(0)
    assert float(gap) == pytest.approx(4.7324e-4, abs=1e-8)
    assert abs(float(u[place])) == pytest.approx(2.6989, abs=1e-3)


@pytest.mark.parametrize("name", POINTWISE)
def test_the_feed_forward_block_is_the_gate_between_linear_layers(name):
    block, core = gates.get(f"{name}_ffn", bias=True), gates.get(name)
    params, inputs = block.draw(SHAPE, 2), block.inputs(SHAPE, 2)
    gate = F.linear(inputs["x"], params["W"], params["b"])
    value = F.linear(inputs["x"], params["V"], params["c"])
    expected = core.forward({}, {"value": value, "gate": gate})["output"] @ params["W2"].T
    torch.testing.assert_close(block.forward(params, inputs)["output"], expected, rtol=1e-13, atol=1e-15)
    assert {key: tuple(v.shape) for key, v in params.items()} == {
        "W": (4, 5), "V": (4, 5), "W2": (5, 4), "b": (4,), "c": (4,),
    }  # fmt: skip
    assert set(gates.get(f"{name}_ffn").parameters(SHAPE)) == {"W", "V", "W2"}
    assert block.activations(params, inputs).keys() == core.activations({}, {"value": value, "gate": gate}).keys()


def test_beta_reaches_the_gate_inside_the_block():
    block = gates.get("swiglu_ffn", beta=2.0)
    params, inputs = block.draw(SHAPE, 3), block.inputs(SHAPE, 3)
    u, v = inputs["x"] @ params["W"].T, inputs["x"] @ params["V"].T
    expected = (u * torch.sigmoid(2 * u) * v) @ params["W2"].T
    torch.testing.assert_close(block.forward(params, inputs)["output"], expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", POINTWISE)
def test_packed_form_takes_the_value_first(name):
    packed, plain = gates.get(name, packed=True), gates.get(name)
    x = packed.inputs(SHAPE, 0)["x"]
    assert x.shape == (2, 3, 8)
    expected = plain.forward({}, {"value": x[..., :4], "gate": x[..., 4:]})["output"]
    assert torch.equal(packed.forward({}, {"x": x})["output"], expected)
    if name == "glu":
        torch.testing.assert_close(expected, F.glu(x, dim=-1), rtol=1e-14, atol=0)


def test_swiglu_ffn_is_silu_between_three_linear_layers():
    gate = gates.get("swiglu_ffn")
    params, inputs = gate.draw(SHAPE, 0), gate.inputs(SHAPE, 0)
    x = inputs["x"]
    expected = (F.silu(x @ params["W"].T) * (x @ params["V"].T)) @ params["W2"].T
    torch.testing.assert_close(gate.forward(params, inputs)["output"], expected, rtol=1e-13, atol=1e-15)
    assert {name: tuple(value.shape) for name, value in params.items()} == {"W": (4, 5), "V": (4, 5), "W2": (5, 4)}
    assert float(params["W2"].abs().max()) <= 4**-0.5


def test_costs_equal_numbers_worked_out_by_hand():
    # n = 6 tokens: 6·n·I·H FLOP forward, 12 backward; pointwise 3n values forward, 5n backward.
    ffn = gates.get("swiglu_ffn")
    assert ffn.cost(SHAPE, "forward", "float32").flops == 6 * 6 * 5 * 4
    assert ffn.cost(SHAPE, "backward", "float32").flops == 12 * 6 * 5 * 4
    assert ffn.cost(SHAPE, "forward", "float32").bytes_min == 4 * (2 * 30 + 60)
    assert ffn.cost(SHAPE, "forward_backward", "float32").flops == 18 * 6 * 5 * 4
    glu = gates.get("glu")
    assert glu.cost(SHAPE, "forward", "bfloat16").bytes_min == 3 * 24 * 2
    assert glu.cost(SHAPE, "backward", "bfloat16").bytes_min == 5 * 24 * 2


def test_gates_are_frozen_values():
    assert gates.get("swiglu", beta=2) == gates.get("swiglu", beta=2.0)
    assert hash(gates.get("swiglu", beta=2)) == hash(gates.get("swiglu", beta=2.0))
    assert gates.get("swiglu") != gates.get("glu")
    with pytest.raises(AttributeError):
        gates.get("glu").option_values = ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bta": 1.0}, "did you mean 'beta'"),
        ({"beta": -1.0}, "out of range; accepted: float from 0.0 to 100.0"),
        ({"beta": "big"}, "has type str"),
        ({"packed": 1}, "has type int"),
    ],
)
def test_wrong_options_are_named_with_their_range(options, words):
    with pytest.raises(UserError, match="gate swiglu") as caught:
        gates.get("swiglu", **options)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", gates.names())
def test_every_gate_says_what_it_is(name):
    gate = gates.get(name)
    assert gate.equation != "not given"
    assert gate.source != "not given"
    assert gate.family in FAMILIES
    for size in gate.parameters(SHAPE).values():
        assert all(part > 0 for part in size)
