"""P13: what theory says of wide random tanh networks, and networks of 400 units beside it."""

import math

import mpmath
import pytest
import torch
from stability_models import gaussian

from gatebench import stability

PRINTED = {
    1.5: (0.793354, 1.139323, 0.065217),
    2.0: (2.121474, 1.362673, 0.154724),
    3.0: (6.305391, 1.859855, 0.310249),
    5.0: (20.699367, 2.900421, 0.532428),
}  # gain: q, χ, λ


@pytest.mark.parametrize("gain", PRINTED)
def test_p13_mean_field(gain):
    found = stability.mean_field(gain)
    assert (found.q, found.chi, found.lyapunov) == pytest.approx(PRINTED[gain], abs=5e-7)
    assert found.timescale == pytest.approx(-1 / math.log(found.chi), rel=1e-12)


@pytest.mark.parametrize("gain", [0.0, 0.3, 0.9, 1.0])
def test_up_to_gain_1_a_network_without_input_goes_to_rest(gain):
    found = stability.mean_field(gain)
    assert (found.q, found.chi) == (0.0, gain**2)
    assert found.lyapunov == pytest.approx(math.log(gain) if gain else -math.inf, rel=1e-14)
    limits = {0.0: 0.0, 1.0: math.inf}
    assert found.timescale == pytest.approx(limits[gain] if gain in limits else -0.5 / math.log(gain), rel=1e-14)


def by_quadrature(gain, input_variance):
    """Solve the same equations with 30 digits -> q, λ."""

    def mean(function, q):
        nodes = [-14, -6, -3, -1, 0, 1, 3, 6, 14]
        return mpmath.quad(lambda z: function(mpmath.sqrt(q) * z) * mpmath.npdf(z), nodes)

    with mpmath.workdps(30):
        g2 = mpmath.mpf(gain) ** 2
        guess = (1 - 1 / g2) / 2 if g2 < 1.5 and not input_variance else 0.6 * g2 + input_variance
        q = mpmath.findroot(lambda q: g2 * mean(lambda a: mpmath.tanh(a) ** 2, q) + input_variance - q, guess)
        return float(q), float(mpmath.log(g2 * mean(lambda a: mpmath.sech(a) ** 4, q)) / 2)


@pytest.mark.parametrize(
    ("gain", "variance"),
    [(1 + 1e-6, 0), (1 + 1e-4, 0), (1.2, 0), (4, 0), (0.9, 1e-6), (2, 0.5)],
)
def test_mean_field_agrees_with_thirty_digits(gain, variance):
    found = stability.mean_field(gain, variance)
    q, exponent = by_quadrature(gain, variance)
    assert found.q == pytest.approx(q, rel=1e-9)
    assert found.lyapunov == pytest.approx(exponent, abs=1e-14)


def test_near_the_transition_the_exponent_grows_with_the_square_of_the_excess():
    for excess in (1e-5, 1e-4, 1e-3):
        found = stability.mean_field(1 + excess)
        assert found.lyapunov == pytest.approx(2 / 3 * excess**2, rel=1e-2)
        assert found.timescale < 0


def test_at_large_gain_the_exponent_is_half_a_log_of_it():
    for gain in (1e3, 1e5):
        expected = 0.5 * math.log(4 * gain / (3 * math.sqrt(2 * math.pi)))
        assert stability.mean_field(gain).lyapunov == pytest.approx(expected, abs=1e-3)


def test_the_exponent_of_a_gain_whose_square_underflows():
    found = stability.mean_field(1e-200)
    assert found.lyapunov == pytest.approx(-200 * math.log(10), rel=1e-14)
    assert found.timescale == pytest.approx(1 / (400 * math.log(10)), rel=1e-14)


# --- networks


def exponent_of_a_network(gain, seed, H=400, steps=600, burn_in=100):
    """Return λ_1 of h = tanh(U h), and U."""
    U = gaussian(H, H, seed=seed) * gain * H**-0.5
    inputs = {"x": torch.zeros(steps, 1, 1), "state0": gaussian(1, H, seed=seed + 100)}
    trajectory = stability.unroll(lambda params, x_t, h: torch.tanh(h @ params["U"].T), {"U": U}, inputs)
    return stability.lyapunov_spectrum(trajectory, k=1, burn_in=burn_in).values.item(), U


@pytest.mark.parametrize("gain", PRINTED)
def test_p13_networks_of_400_units_are_near_the_mean_field(gain):
    mean = sum(exponent_of_a_network(gain, seed)[0] for seed in range(3)) / 3
    assert mean == pytest.approx(PRINTED[gain][2], abs=0.025)


def test_p13_below_the_transition_a_network_is_at_rest_and_its_exponent_the_spectral_radius():
    exponent, U = exponent_of_a_network(0.9, seed=0)
    radius = float(torch.linalg.eigvals(U).abs().max())
    assert exponent == pytest.approx(math.log(radius), abs=5e-3)
    assert -0.12 < exponent < -0.04
