"""P9 to P12: Lyapunov exponents that are known: constant gains, scalar maps, random products, textbook maps."""

import math

import pytest
import torch
from scipy.special import digamma, polygamma
from stability_models import drawn, gaussian

from gatebench import stability


def autonomous_tanh(U, steps, h0):
    """Return the trajectory of h = tanh(U h) from h0 (B, H)."""
    gate, params, inputs = drawn("rnn_tanh", batch=len(h0), hidden_size=len(U), input_size=1, seq_len=steps)
    params = {name: torch.zeros_like(value) for name, value in params.items()}
    return stability.unroll(gate, params | {"weight_hh": U}, {"x": 0 * inputs["x"], "h0": h0})


# --- P9: a random constant gain, at the fixed point 0


def random_gain(H, g, seed):
    """Return U with entries N(0, g²/H), its spectral radius ρ, and whether its largest eigenvalue is real."""
    U = gaussian(H, H, seed=seed) * g * H**-0.5
    sizes = torch.linalg.eigvals(U).abs().sort(descending=True).values
    return U, float(sizes[0]), float(sizes[1]) < 0.98 * float(sizes[0])


@pytest.mark.parametrize(("seed", "gap", "close"), [(1, True, {"rel": 1e-6}), (4, False, {"abs": 5e-3})])
@pytest.mark.parametrize("g", [0.8, 1.7])
def test_p9_the_exponent_at_rest_is_the_log_of_the_spectral_radius(g, seed, gap, close):
    U, radius, has_gap = random_gain(20, g, seed)
    assert has_gap is gap
    trajectory = autonomous_tanh(U, 10_000, torch.zeros(1, 20, dtype=torch.float64))
    found = stability.lyapunov_spectrum(trajectory, k=1, burn_in=1_000)
    assert found.values.item() == pytest.approx(math.log(radius), **close)


@pytest.mark.parametrize("seed", [1, 4])
def test_p9_below_gain_1_every_state_goes_there(seed):
    U, radius, _ = random_gain(20, 0.8, seed)
    trajectory = autonomous_tanh(U, 3_000, gaussian(2, 20))
    assert float(trajectory.states[-1].abs().max()) < 1e-12
    found = stability.lyapunov_spectrum(trajectory, k=1, burn_in=500)
    assert found.values.item() == pytest.approx(math.log(radius), abs=5e-3)


# --- P10: one tanh unit; a bound that grows where gradients vanish


@pytest.mark.parametrize(
    ("h0", "slope", "exponent"), [(0.957504024077, 0.166372087752, -1.793528506542), (0.0, 2.0, math.log(2))]
)
def test_p10_a_scalar_tanh_has_the_same_bound_where_it_vanishes_and_where_it_explodes(h0, slope, exponent):
    start = torch.full((1, 1), h0, dtype=torch.float64)
    trajectory = autonomous_tanh(torch.full((1, 1), 2.0, dtype=torch.float64), 50, start)
    lags = torch.arange(51, dtype=torch.float64)[:, None]
    torch.testing.assert_close(trajectory.states, start.expand(51, 1, 1), rtol=0, atol=1e-12)  # a fixed point
    assert trajectory.jacobian(50).item() == pytest.approx(slope, abs=1e-12)
    torch.testing.assert_close(stability.norm_bound(trajectory, "weights"), lags * math.log(2), rtol=1e-12, atol=0)
    torch.testing.assert_close(stability.norm_bound(trajectory), lags * exponent, rtol=1e-10, atol=0)
    assert stability.lyapunov_spectrum(trajectory).values.item() == pytest.approx(exponent, abs=1e-11)
    assert stability.singular_values(trajectory).values.item() == pytest.approx(50 * exponent, rel=1e-11)
    profile = stability.gradient_profile(trajectory)
    torch.testing.assert_close(profile.log_norm, lags * exponent, rtol=1e-10, atol=0)
    assert stability.classify(profile, torch.float64) == ["exploding" if exponent > 0 else "vanished"]


# --- P11: products of fresh Gaussian matrices (Newman 1986)

NEWMAN = {
    2: (1.0, (0.0579657578, -0.6351814227)),
    4: (0.5, (-0.1351814, -0.3283286, -0.6351814, -1.3283286)),
}  # N: standard deviation of an entry, exponents


@pytest.mark.parametrize("N", NEWMAN)
def test_p11_products_of_gaussian_matrices(N):
    (scale, printed), n, degrees = NEWMAN[N], 8_000, list(range(N, 0, -1))
    theory = [math.log(scale) + 0.5 * (math.log(2) + digamma(degree / 2)) for degree in degrees]
    assert theory == pytest.approx(printed, abs=5e-8)
    spectrum = stability.lyapunov_of_products(scale * gaussian(n, N, N, seed=N))
    for value, claimed, expected, degree in zip(spectrum.values, spectrum.standard_error, theory, degrees, strict=True):
        error = math.sqrt(polygamma(1, degree / 2) / (4 * n))  # ln|R_ii| is half the log of a χ² with these degrees
        assert abs(float(value) - expected) < 4 * error
        assert float(claimed) == pytest.approx(error, rel=0.8)  # ten segments tell it no better


# --- P12: textbook maps


def test_p12_henon_map():
    x, y, matrices = 0.1, 0.1, []
    for _ in range(21_000):
        matrices.append([[-2.8 * x, 1.0], [0.3, 0.0]])
        x, y = 1 - 1.4 * x * x + y, 0.3 * x
    spectrum = stability.lyapunov_of_products(torch.tensor(matrices, dtype=torch.float64), burn_in=1_000)
    assert spectrum.values.tolist() == pytest.approx([0.4192, -1.6232], abs=2e-3)
    assert float(spectrum.values.sum()) == pytest.approx(-1.2039728043, abs=1e-10)
    assert float(spectrum.values.sum()) == pytest.approx(math.log(0.3), abs=1e-10)


def test_p12_henon_map_as_a_step_of_a_trajectory():
    def step(params, x_t, state):
        x, y = state.unbind(-1)
        return torch.stack([1 - params["a"] * x * x + y, params["b"] * x], dim=-1)

    params = {name: torch.tensor(value, dtype=torch.float64) for name, value in (("a", 1.4), ("b", 0.3))}
    state = torch.linspace(0, 0.1, 200, dtype=torch.float64)[:, None].expand(200, 2)
    trajectory = stability.unroll(step, params, {"x": torch.zeros(1_000, 200, 1), "state0": state})
    spectrum = stability.lyapunov_spectrum(trajectory, burn_in=100)
    assert spectrum.values.tolist() == pytest.approx([0.4192, -1.6232], abs=2e-3)
    det = stability.log_abs_det(trajectory)
    torch.testing.assert_close(det, torch.full((200,), 1_000 * math.log(0.3), dtype=torch.float64), rtol=1e-12, atol=0)


def test_p12_cat_map():
    J = torch.tensor([[2.0, 1.0], [1.0, 1.0]], dtype=torch.float64).expand(200, 2, 2)
    spectrum = stability.lyapunov_of_products(J, burn_in=100)
    assert spectrum.values.tolist() == pytest.approx([0.9624236501, -0.9624236501], abs=1e-10)


def test_p12_logistic_map():
    x, slopes = 0.3, []
    for _ in range(8_000):
        slopes.append(4 - 8 * x)
        x = 4 * x * (1 - x)
    spectrum = stability.lyapunov_of_products(torch.tensor(slopes, dtype=torch.float64)[:, None, None])
    assert spectrum.values.item() == pytest.approx(math.log(2), abs=2e-3)
