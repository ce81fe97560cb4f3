"""What theory says beside what is measured: where it applies, and numbers at the ends of what can be asked."""

import math

import numpy as np
import pytest
import torch

from gatebench import Shape, gates, stability
from gatebench.errors import UserError
from gatebench.own_files import sha256_of
from gatebench.stability.measure import measure
from gatebench.stability.predictions import EDGES, half_life
from gatebench.stability.theory import mean_field

REQUEST = {
    "gate": "rnn_tanh", "gate_options": {}, "init": "torch", "inputs": "normal", "dtype": "float64", "seq_len": 6,
    "input_size": 3, "hidden_size": 4, "batch": 2, "seed": 0, "metrics": ["theory"],
}  # fmt: skip


def predicted(**changes):
    """Return metric -> value of what theory says of a request."""
    rows = measure(REQUEST | changes)
    assert {row["status"] for row in rows} == {"ok"}
    return {row["metric"]: row["value"] for row in rows if row["metric"].startswith("predicted_")}


# --- half-life


@pytest.mark.parametrize("bias", [-30.0, -2.0, 0.0, 1.0, 5.0, 30.0])
def test_the_half_life_is_the_step_after_which_half_is_kept(bias):
    kept = torch.sigmoid(torch.tensor(bias, dtype=torch.float64))
    assert float(kept) ** half_life(bias) == pytest.approx(0.5, rel=1e-3)  # 1 - σ(30) has three digits in float64
    assert half_life(0.0) == pytest.approx(1.0)


def test_the_half_life_of_an_extreme_bias_neither_overflows_nor_divides_by_zero():
    assert half_life(1000.0) == math.inf
    assert half_life(-1000.0) == pytest.approx(math.log(2) / 1000)
    assert half_life(40.0) == pytest.approx(math.log(2) * math.exp(40.0))  # σ(40) is 1 in float64
    assert half_life(1e308) == math.inf
    assert 0 < half_life(-1e308) < 1e-300


def test_extreme_biases_are_measured_beside_their_prediction():
    for bias, expected in (("1000", math.inf), ("-1000", math.log(2) / 1000)):
        found = predicted(gate="lstm", init=f"forget_bias={bias}", metrics=["theory", "profile"])
        assert found == {"predicted_half_life": pytest.approx(expected)}


@pytest.mark.parametrize(("name", "block"), [("lstm", 1), ("gru", 1)])
def test_the_half_life_is_that_of_a_gate_with_its_bias_alone(name, block):
    gate, shape = gates.get(name), Shape(batch=2, seq_len=24, input_size=3, hidden_size=4)
    params = {key: torch.zeros_like(value) for key, value in gate.draw(shape, 0).items()}
    params["bias_ih"][4 * block : 4 * block + 4] = 1.5  # f of i, f, g, o; z of r, z, n
    trajectory = stability.unroll(gate, params, gate.inputs(shape, 0))
    # From lag 1 on: a gradient on h of an LSTM reaches c in its first step.
    found = stability.gradient_profile(trajectory).half_life
    assert found.tolist() == pytest.approx([half_life(1.5)] * 2, rel=1e-9)


def test_what_keeps_its_state_by_no_bias_has_no_half_life():
    assert predicted(gate="rg_lru", init="forget_bias=1", input_size=4) == {}
    assert predicted(gate="lstm", init="keras") == {}


# --- mean field


@pytest.mark.parametrize(("inputs", "variance"), [("normal", 1.0), ("white=0.25", 0.25), ("white=0", 0.0)])
def test_the_mean_field_takes_gain_and_variance(inputs, variance):
    found = predicted(init="gaussian=1.5", inputs=inputs)
    assert found == {"predicted_lyapunov": mean_field(1.5, variance).lyapunov}


@pytest.mark.parametrize("changes", [
    {"gate": "rnn_linear"}, {"gate": "lstm"}, {"init": "orthogonal=1.5"}, {"init": "torch"}, {"inputs": "correlated=0.5"},
    {"gate_options": {"num_layers": 2}},
])  # fmt: skip
def test_the_mean_field_is_said_of_one_gaussian_tanh_layer_with_white_inputs_only(changes):
    assert predicted(**{"init": "gaussian=1.5", **changes}) == {}


def test_a_gain_of_0_forgets_at_once():
    assert predicted(init="gaussian=0") == {"predicted_lyapunov": -math.inf}


def test_numbers_whose_squares_are_not_finite_cost_no_other_metric():
    rows = measure(REQUEST | {"init": "gaussian=1e200", "metrics": ["theory", "lyapunov"]})
    (refused,) = [row for row in rows if row["status"] != "ok"]
    assert (refused["metric"], refused["status"]) == ("predicted_half_life", "unsupported")
    assert refused["reason"] == "mean_field: gain is 1e+200; accepted: finite numbers from 0 to 1e+100"
    assert any(row["metric"] == "class" and row["status"] == "ok" for row in rows)
    assert math.isfinite(mean_field(1e100, 1e100).lyapunov)
    with pytest.raises(UserError, match="input_variance is inf"):
        mean_field(1.0, math.inf)


# --- edge of stability


@pytest.mark.parametrize("gate", EDGES)
@pytest.mark.parametrize("init", ["gaussian", "orthogonal"])
def test_the_edge_is_said_of_zero_inputs_only(gate, init):
    assert predicted(gate=gate, init=f"{init}=1", inputs="zero") == {"predicted_edge": EDGES[gate]}
    assert "predicted_edge" not in predicted(gate=gate, init=f"{init}=1", inputs="white=1")
    assert predicted(gate=gate, init="torch", inputs="zero") == {}


@pytest.mark.parametrize("gate", EDGES)
def test_at_the_edge_the_state_0_loses_its_stability(gate):
    """The Jacobian at state 0 of orthogonal matrices Q with an eigenvalue 1: its spectral radius is 1 at the edge."""
    shape = Shape(batch=1, seq_len=1, input_size=3, hidden_size=5)
    built = gates.get(gate)
    inputs = {name: torch.zeros_like(value) for name, value in built.inputs(shape, 0).items()}
    for gain, side in ((EDGES[gate] * 0.99, -1), (EDGES[gate] * 1.01, 1)):
        params = built.draw(shape, 0, init=f"orthogonal={gain}")
        # The same matrix in each block, with determinant 1: of odd size, it has the eigenvalue 1.
        block = params["weight_hh"][:5] if gate != "lstm" else params["weight_hh"][10:15]
        block = block * torch.sign(torch.linalg.det(block))
        params["weight_hh"] = torch.cat([block] * (len(params["weight_hh"]) // 5))
        jacobian = stability.unroll(built, params, inputs).jacobian(1)[0]
        radius = torch.linalg.eigvals(jacobian).abs().max()
        assert math.copysign(1, float(radius) - 1) == side


# --- what theory is silent about


def test_trained_weights_have_no_predictions():
    lesson = {"task": "adding", "after_steps": 2, "inputs": "task", "input_size": 2}
    assert predicted(gate="lstm", init="forget_bias=1", **lesson) == {}


def test_inputs_of_ones_own_have_no_predictions(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((6, 2, 3)))
    own = {"inputs_file": {"file": str(tmp_path / "x.npy"), "sha256": sha256_of(tmp_path / "x.npy")}}
    assert predicted(init="gaussian=1.5", inputs="normal") != {}
    assert predicted(init="gaussian=1.5", inputs="file:0", **own) == {}
