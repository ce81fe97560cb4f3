"""P1, P2, P7, P8, P15: chains whose products are known in closed form."""

import math

import pytest
import torch
from stability_models import TOLERANCE, chain, drawn, end_to_end, gaussian, linear, orthogonal, relu_step

from gatebench import stability

EXACT = {"rtol": TOLERANCE["exact"], "atol": TOLERANCE["exact"]}


def recorded(U, steps, batch=1):
    """Return a linear network at rest whose Jacobians autograd finds."""
    return linear(U, steps, batch)


def in_closed_form(U, steps, batch=1):
    """Return a linear network at rest whose Jacobians are known."""
    gate, params, inputs = drawn("rnn_linear", hidden_size=len(U), seq_len=steps, batch=batch)
    at_rest = {name: torch.zeros_like(value) for name, value in inputs.items()}
    zeros = {name: torch.zeros_like(value) for name, value in params.items()}
    return stability.unroll(gate, zeros | {"weight_hh": U}, at_rest)


BOTH_WAYS = pytest.mark.parametrize("network", [recorded, in_closed_form])


# --- P1: a scaled orthogonal matrix


@BOTH_WAYS
@pytest.mark.parametrize("a", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_p1_gradients_of_a_scaled_orthogonal_recurrence_are_powers_of_the_scale(a, network):
    trajectory = network(a * orthogonal(5, 5), 40, batch=2)
    lags = torch.arange(41, dtype=torch.float64)[:, None]
    norms = stability.gradient_norms(trajectory)
    torch.testing.assert_close(norms.flip(0) / norms[-1], (a**lags).expand(41, 2), rtol=TOLERANCE["exact"], atol=0)
    profile = stability.gradient_profile(trajectory)
    torch.testing.assert_close(profile.slope, torch.full((2,), math.log(a), dtype=torch.float64), rtol=0, atol=1e-12)
    half_life, horizon = (math.log(2) / -math.log(a), -1 / math.log(a)) if a < 1 else (math.inf, math.inf)
    if a != 1:  # there rounding decides whether the slope is 0
        assert profile.half_life.tolist() == pytest.approx([half_life] * 2, rel=1e-10)
        assert profile.horizon.tolist() == pytest.approx([horizon] * 2, rel=1e-10)
        reach = 40 if a >= 0.9 else math.floor(math.log(1e-3) / math.log(a))
        assert profile.reach.tolist() == [reach] * 2


@BOTH_WAYS
@pytest.mark.parametrize("a", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_p1_all_singular_values_and_exponents_of_a_scaled_orthogonal_recurrence_are_equal(a, network):
    trajectory = network(a * orthogonal(5, 5), 40, batch=2)
    found = stability.singular_values(trajectory)
    assert bool(found.resolved.all())
    torch.testing.assert_close(found.values, torch.full((2, 5), 40 * math.log(a), dtype=torch.float64), **EXACT)
    condition = (found.values[:, 0] - found.values[:, -1]).exp()
    torch.testing.assert_close(condition, torch.ones(2, dtype=torch.float64), **EXACT)
    spectrum = stability.lyapunov_spectrum(trajectory)
    torch.testing.assert_close(spectrum.values, torch.full((5,), math.log(a), dtype=torch.float64), **EXACT)
    expected = torch.full((2,), 5 * 40 * math.log(a), dtype=torch.float64)
    torch.testing.assert_close(stability.log_abs_det(trajectory), expected, **EXACT)


# --- P2: the identity behind a ReLU


def relu_network(weight, steps=20, batch=2):
    """Return a bare ReLU network with U = I, W given, and positive inputs and states."""
    H = len(weight)
    params = {"weight_ih": weight, "weight_hh": torch.eye(H, dtype=torch.float64)}
    x = gaussian(steps, batch, weight.shape[1]).abs() + 1
    return stability.unroll(relu_step, params, {"x": x, "state0": gaussian(batch, H, seed=1).abs() + 0.1})


def relu_gate(weight, steps=20, batch=2):
    """Return the same as the catalogue's gate."""
    H, I = weight.shape
    gate, params, inputs = drawn("rnn_relu", hidden_size=H, input_size=I, seq_len=steps, batch=batch)
    params = {name: torch.zeros_like(value) for name, value in params.items()}
    params |= {"weight_ih": weight, "weight_hh": torch.eye(H, dtype=torch.float64)}
    return stability.unroll(gate, params, {"x": inputs["x"].abs() + 1, "h0": inputs["h0"].abs() + 0.1})


BOTH_RELUS = pytest.mark.parametrize("network", [relu_network, relu_gate])


@BOTH_RELUS
def test_p2_the_identity_behind_a_relu_carries_gradients_to_the_bit(network):
    trajectory = network(gaussian(4, 3).abs())
    identity = torch.eye(4, dtype=torch.float64).expand(2, 4, 4)
    assert all(torch.equal(trajectory.jacobian(t), identity) for t in range(1, 21))
    assert torch.equal(end_to_end(trajectory), identity)
    assert torch.equal(stability.gradient_norms(trajectory), torch.full((21, 2), 2.0, dtype=torch.float64))


@BOTH_RELUS
def test_p2_a_unit_driven_below_zero_loses_column_exponent_and_singular_value(network):
    trajectory = network(torch.tensor([[1.0], [-9.0]], dtype=torch.float64), steps=12, batch=1)
    assert trajectory.jacobian(1)[0].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    spectrum = stability.lyapunov_spectrum(trajectory, burn_in=2)
    assert spectrum.values.tolist() == [0.0, -math.inf]
    assert spectrum.collapsed.tolist() == [0, 10]
    found = stability.singular_values(trajectory)
    assert found.values[0].tolist() == pytest.approx([0.0, -math.inf], abs=1e-12)
    assert found.resolved[0].tolist() == [True, False]
    assert stability.log_abs_det(trajectory).tolist() == [-math.inf]
    dead = stability.gradient_profile(trajectory, cotangent=torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    assert bool(dead.log_norm[1:].eq(-math.inf).all())
    assert stability.classify(dead, torch.float64) == ["vanished"]


# --- P7: a constant symmetric matrix


@BOTH_WAYS
def test_p7_a_constant_symmetric_recurrence(network):
    d = torch.tensor([0.9, -0.7, 0.3, 1.2], dtype=torch.float64)
    Q = orthogonal(4, 4)
    rates = d.abs().log().sort(descending=True).values
    for U in (torch.diag(d), Q @ torch.diag(d) @ Q.T):
        trajectory = network(U, 400)
        spectrum = stability.lyapunov_spectrum(trajectory, burn_in=100)
        torch.testing.assert_close(spectrum.values, rates, rtol=0, atol=TOLERANCE["exact"])
        found = stability.singular_values(trajectory)
        assert bool(found.resolved.all())
        torch.testing.assert_close(found.values[0], 400 * rates, rtol=TOLERANCE["exact"], atol=0)


# --- P8: growth for a while although every exponent is negative

JORDAN = torch.tensor([[0.9, 5.0], [0.0, 0.9]], dtype=torch.float64)
LARGEST = {
    1: 5.157066051117, 5: 16.423730161277, 10: 19.37729862975, 20: 13.50961127801, 50: 1.431622777606,
    100: 0.01475638052569,
}  # fmt: skip


@BOTH_WAYS
@pytest.mark.parametrize("steps", LARGEST)
def test_p8_nonnormal_growth(steps, network):
    found = stability.singular_values(network(JORDAN, steps))
    assert bool(found.resolved.all())
    assert math.exp(found.values[0, 0]) == pytest.approx(LARGEST[steps], rel=1e-11)  # 13 digits are known
    assert float(found.values.sum()) == pytest.approx(2 * steps * math.log(0.9), rel=TOLERANCE["exact"])
    alone = stability.singular_values(network(JORDAN, steps), k=1)
    torch.testing.assert_close(alone.values, found.values[:, :1], rtol=0, atol=1e-10)


def test_p8_nonnormal_growth_ends_in_negative_exponents():
    spectrum = stability.lyapunov_of_products(JORDAN.expand(6_000, 2, 2), burn_in=3_000)
    assert spectrum.values.tolist() == pytest.approx([-0.1053605157] * 2, abs=3e-4)  # ln 2 / 3000 is left
    assert float(spectrum.values.sum()) == pytest.approx(2 * math.log(0.9), abs=1e-10)


# --- P15: rates far below the resolution of the formed product


def test_p15_rates_below_the_resolution_of_the_product_are_resolved():
    rates = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64).log()
    Q = orthogonal(41, 3, 3)
    J = Q[1:] @ torch.diag(rates.exp()) @ Q[:-1].mT
    trajectory = chain(J)
    found = stability.singular_values(trajectory)
    assert bool(found.resolved.all())
    torch.testing.assert_close(found.values[0] / 40, rates, rtol=0, atol=TOLERANCE["singular"] / 40)
    assert stability.log_abs_det(trajectory).item() == pytest.approx(40 * math.log(0.045), rel=TOLERANCE["exact"])
    spectrum = stability.lyapunov_spectrum(trajectory)
    assert float(spectrum.values.sum()) == pytest.approx(math.log(0.045), abs=TOLERANCE["exact"])
    settled = stability.lyapunov_of_products(J, burn_in=20).values
    torch.testing.assert_close(settled, rates, rtol=0, atol=1e-6)
    naive = torch.linalg.svdvals(torch.linalg.multi_dot(list(J.flip(0)))).log() / 40
    assert float(naive[2]) == pytest.approx(-1.12, abs=0.15)  # what the formed product has left of -2.3026
