"""Highway layers: values by hand, the Jacobian, the ties between the two forms, depth, and the shapes they refuse."""

import math

import pytest
import torch

import gatebench.stability
from gatebench import Shape, Unsupported, gates
from gatebench.stability.measure import measure

SHAPE = Shape(batch=2, seq_len=3, input_size=4, hidden_size=4)
NAMES = ["highway", "highway_uncoupled"]


# x = 1/2 and one unit; 13 digits from another program.
@pytest.mark.parametrize(
    ("name", "activation", "expected"),
    [
        ("highway", "tanh", 0.4353015843932), ("highway", "relu", 0.4379948962255),
        ("highway_uncoupled", "tanh", 0.4131424969423), ("highway_uncoupled", "relu", 0.4158358087746),
    ],
)  # fmt: skip
def test_one_unit_equals_the_numbers_worked_out_by_hand(name, activation, expected):
    values = {"W_H": 0.8, "b_H": -0.1, "W_T": 0.4, "b_T": -1.0, "W_C": 0.6, "b_C": 0.3}
    gate = gates.get(name, activation=activation)
    sizes = gate.parameters(Shape(batch=1, seq_len=1, input_size=1, hidden_size=1))
    params = {key: torch.full(size, values[key], dtype=torch.float64) for key, size in sizes.items()}
    found = gate.forward(params, {"x": torch.full((1, 1, 1), 0.5, dtype=torch.float64)})
    assert found["output"].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", NAMES)
def test_the_jacobian_is_the_one_in_closed_form(name, activation):
    """J = diag(1-T) + diag(H-x) diag(T(1-T)) W_T + diag(T H') W_H; uncoupled with C for 1 - T and x C(1-C) W_C."""
    gate = gates.get(name, activation=activation)
    params, x = gate.draw(SHAPE, 1), gate.inputs(SHAPE, 1)["x"][:1, :1]
    J = torch.autograd.functional.jacobian(
        lambda x: gate.forward(params, {"x": x[None, None]})["output"][0, 0], x[0, 0]
    )
    x = x[0, 0]
    a = params["W_H"] @ x + params["b_H"]
    H, slope = (a.tanh(), 1 - a.tanh() ** 2) if activation == "tanh" else (a.clamp(min=0), (a > 0).double())
    T = torch.sigmoid(params["W_T"] @ x + params["b_T"])
    if name == "highway":
        carried = torch.diag(1 - T) + torch.diag((H - x) * T * (1 - T)) @ params["W_T"]
    else:
        C = torch.sigmoid(params["W_C"] @ x + params["b_C"])
        carried = torch.diag(C) + torch.diag(x * C * (1 - C)) @ params["W_C"]
        carried = carried + torch.diag(H * T * (1 - T)) @ params["W_T"]
    torch.testing.assert_close(J, carried + torch.diag(T * slope) @ params["W_H"], rtol=1e-12, atol=1e-14)


def test_the_uncoupled_layer_with_negated_transform_weights_is_the_coupled_one():
    coupled, free = gates.get("highway"), gates.get("highway_uncoupled")
    params, inputs = coupled.draw(SHAPE, 2), coupled.inputs(SHAPE, 2)
    more = {"W_C": -params["W_T"], "b_C": -params["b_T"]}
    found = free.forward({**params, **more}, inputs)["output"]
    torch.testing.assert_close(found, coupled.forward(params, inputs)["output"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("bias", "expected"), [(-1.0, 1.576191e-7), (-2.0, 1.753046e-3), (-3.0, 0.0880925)])
def test_p17_fifty_layers_without_weights_keep_a_power_of_the_carry_gate(bias, expected):
    gate = gates.get("highway", gate_bias=bias)
    params = {name: value if name == "b_T" else torch.zeros_like(value) for name, value in gate.draw(SHAPE, 0).items()}
    norms = gatebench.stability.depth_profile(gate, [params] * 50, gate.inputs(SHAPE, 0))
    torch.testing.assert_close(norms[0] / norms[-1], torch.full((2,), expected).double(), rtol=1e-6, atol=0)
    carried = 1 / (1 + math.exp(bias))  # at bias -2 0.8807970780 a layer
    torch.testing.assert_close(
        norms[0] / norms[-1], torch.full((2,), carried**50, dtype=torch.float64), rtol=1e-12, atol=0
    )


def test_p17_one_layer_without_weights_is_its_carry_gate():
    gate = gates.get("highway", gate_bias=-2.0)
    params = {name: value if name == "b_T" else torch.zeros_like(value) for name, value in gate.draw(SHAPE, 0).items()}
    x = gate.inputs(SHAPE, 0)["x"][0, 0]
    J = torch.autograd.functional.jacobian(lambda x: gate.forward(params, {"x": x[None, None]})["output"][0, 0], x)
    torch.testing.assert_close(J, 0.8807970780 * torch.eye(4, dtype=torch.float64), rtol=0, atol=5e-11)


def test_the_gate_bias_is_what_is_drawn():
    drawn = gates.get("highway_uncoupled", gate_bias=-2.5).draw(SHAPE, 0)
    assert bool((drawn["b_T"] == -2.5).all())
    assert bool((drawn["b_C"] == 2.5).all())
    assert 0 < float(drawn["b_H"].abs().max()) <= 0.5
    assert bool((gates.get("highway").draw(SHAPE, 0)["b_T"] == -1.0).all())


@pytest.mark.parametrize("name", NAMES)
def test_widths_that_differ_are_refused_in_one_sentence(name):
    odd = Shape(batch=1, seq_len=2, input_size=3, hidden_size=4)
    for ask in (gates.get(name).draw, gates.get(name).inputs):
        with pytest.raises(Unsupported, match=f"{name}: input_size = 3, hidden_size = 4; accepted: equal sizes"):
            ask(odd, 0)


def test_stability_of_a_shape_that_is_refused_is_a_row_with_the_reason():
    request = {
        "gate": "highway", "gate_options": {}, "init": "torch", "inputs": "normal", "dtype": "float64",
        "seq_len": 2, "input_size": 3, "hidden_size": 4, "batch": 2, "seed": 0,
    }  # fmt: skip
    (row,) = measure(request)
    assert (row["status"], row["reason"]) == (
        "unsupported",
        "highway: input_size = 3, hidden_size = 4; accepted: equal sizes",
    )
    assert {row["status"] for row in measure(request | {"input_size": 4})} == {"ok"}


def test_activations_are_named_with_the_activation_that_was_chosen():
    assert gates.get("highway").nonlinearities == {"H": "tanh", "T": "sigmoid"}
    assert gates.get("highway_uncoupled", activation="relu").nonlinearities == {
        "H": "relu",
        "T": "sigmoid",
        "C": "sigmoid",
    }
