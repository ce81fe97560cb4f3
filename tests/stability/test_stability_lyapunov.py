"""Lyapunov exponents: one direction or all, standard errors, and directions that collapse."""

import math

import pytest
import torch
from stability_models import drawn, orthogonal

from gatebench import stability
from gatebench.stability import LyapunovSpectrum, lyapunov


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru"])
def test_one_direction_pushed_forward_equals_explicit_jacobians(name, monkeypatch):
    trajectory = stability.unroll(*drawn(name, hidden_size=6, seq_len=40))
    explicit = stability.lyapunov_spectrum(trajectory, k=2, burn_in=5)
    monkeypatch.setattr(lyapunov, "_explicit", lambda size, k: False)
    pushed = stability.lyapunov_spectrum(trajectory, k=2, burn_in=5)
    torch.testing.assert_close(pushed.values, explicit.values, rtol=1e-10, atol=0)
    alone = stability.lyapunov_spectrum(trajectory, k=1, burn_in=5)
    torch.testing.assert_close(alone.values, explicit.values[:1], rtol=1e-10, atol=0)


def test_the_largest_exponent_is_the_gradients_slope():
    trajectory = stability.unroll(*drawn("gru", hidden_size=16, batch=4, seq_len=300))
    slope = stability.gradient_profile(trajectory).slope.mean()
    exponent = stability.lyapunov_spectrum(trajectory, k=1, burn_in=75)
    assert float(exponent.values[0]) == pytest.approx(float(slope), abs=0.03)
    assert 0 < float(exponent.standard_error[0]) < 0.02


def test_one_sample_has_no_standard_error_and_no_nan():
    spectrum = stability.lyapunov_of_products(torch.eye(2, dtype=torch.float64)[None])
    assert spectrum.values.tolist() == pytest.approx([0.0, 0.0], abs=1e-15)
    assert spectrum.standard_error.tolist() == [math.inf] * 2


@pytest.mark.parametrize("k", [1, 2])
def test_a_direction_that_collapses_once_is_counted_once_and_goes_on(k):
    J = torch.eye(2, dtype=torch.float64).repeat(10, 1, 1)
    J[4] = 0
    spectrum = stability.lyapunov_of_products(J, k)
    assert spectrum.values.tolist() == [-math.inf] * k
    assert spectrum.collapsed.tolist() == [1] * k
    assert spectrum.nonfinite.tolist() == [0] * k
    assert spectrum.standard_error.tolist() == [0.0] * k


def test_a_direction_that_shrinks_by_less_than_the_round_off_has_not_collapsed():
    narrow = torch.diag(torch.tensor([1.0, 1e-12], dtype=torch.float64))
    spectrum = stability.lyapunov_of_products(orthogonal(20, 2, 2) @ narrow @ orthogonal(20, 2, 2, seed=1))
    assert float(spectrum.values.sum()) == pytest.approx(math.log(1e-12), abs=1e-3)  # eps / 1e-12 is left of it
    assert spectrum.collapsed.tolist() == [0, 0]


def test_the_dimension_of_an_attractor_by_kaplan_and_yorke():
    def dimension(*values):
        none = torch.zeros(len(values))
        return LyapunovSpectrum(torch.tensor(values), none, none, none).kaplan_yorke_dimension

    assert dimension(0.5, -0.25, -1.0) == 2.25
    assert dimension(0.4192, -1.6232) == pytest.approx(1.258, abs=1e-3)  # Hénon's map
    assert dimension(-0.1, -0.2) == 0.0
    assert dimension(0.0, -math.inf) == 1.0
    assert dimension(0.3, 0.1) == 2.0
    lost = stability.lyapunov_of_products(torch.full((3, 2, 2), math.inf, dtype=torch.float64))
    assert lost.kaplan_yorke_dimension == math.inf
