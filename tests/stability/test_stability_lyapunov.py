"""Lyapunov exponents against theory, and the classic ways to get them wrong."""

import math

import pytest
import torch
from stability_models import drawn

from gatebench import stability
from gatebench.stability import lyapunov


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
