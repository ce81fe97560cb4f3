"""What sums a trajectory up: slope, class, depth."""

import math

import pytest
import torch
from stability_models import TOLERANCE, drawn, linear

from gatebench import Shape, stability
from gatebench.stability.lyapunov import LyapunovSpectrum
from gatebench.stability.profile import profile_of


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def line(total, steps=40):
    return torch.linspace(0, total, steps + 1, dtype=torch.float64)[:, None]


# --- profile


def test_slope_is_fitted_over_the_last_three_quarters_of_the_lags():
    log_norm = line(-20.0)
    log_norm[:10] += torch.linspace(5, 9, 10, dtype=torch.float64)[:, None]  # lags 0..9 lie before T/4
    profile = profile_of(log_norm)
    assert profile.slope.item() == pytest.approx(-0.5, rel=1e-12)
    assert profile.r_squared.item() == pytest.approx(1.0, abs=1e-12)
    assert profile.half_life.item() == pytest.approx(2 * math.log(2), rel=1e-12)
    assert profile.horizon.item() == pytest.approx(2.0, rel=1e-12)


def test_slope_and_r_squared_are_those_of_least_squares():
    noise = torch.randn(65, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    profile = profile_of(line(-8.0, 64) + noise)
    k, p = torch.arange(16, 65, dtype=torch.float64), (line(-8.0, 64) + noise)[16:, 0]
    covariance = torch.cov(torch.stack([k, p]))
    assert profile.slope.item() == pytest.approx(float(covariance[0, 1] / covariance[0, 0]), rel=1e-10)
    expected = float(covariance[0, 1] ** 2 / (covariance[0, 0] * covariance[1, 1]))
    assert profile.r_squared.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("steps", "known"), [(1, False), (2, False), (3, False), (4, True), (5, True)])
def test_fewer_than_four_lags_have_no_slope(steps, known):
    profile = profile_of(line(-9.0, steps))
    for value in (profile.slope, profile.r_squared, profile.half_life, profile.horizon):
        assert math.isnan(value.item()) is not known
    assert stability.classify(profile, "float64") == ["vanishing"]


def test_reach_is_the_largest_lag_not_the_first_crossing():
    log_norm = line(-40.0)
    log_norm[30] = math.log(1e-3)
    assert profile_of(log_norm).reach.item() == 30


def test_a_chain_that_ends_at_zero_keeps_the_slope_of_its_finite_lags():
    log_norm = line(-20.0)
    log_norm[30:] = -math.inf
    profile = profile_of(log_norm)
    assert profile.slope.item() == pytest.approx(-0.5, rel=1e-12)
    log_norm[12:] = -math.inf
    assert math.isnan(profile_of(log_norm).slope.item())


# --- classes


@pytest.mark.parametrize(
    ("total", "dtype", "expected"),
    [
        (7.0, "float32", "exploding"),
        (6.8, "float32", "stable"),
        (-6.8, "float32", "stable"),
        (-7.0, "float32", "vanishing"),
        (-16.7, "float32", "vanished"),
        (-16.3, "float32", "vanishing"),  # ln 2^-24 = -16.6
        (-16.7, "float64", "vanishing"),
        (-5.6, "bfloat16", "vanished"),
        (-36.8, "float64", "vanished"),
        (math.nan, "float32", "nonfinite"),
        (math.inf, "float32", "nonfinite"),
    ],
)
def test_classes_by_total_and_slope(total, dtype, expected):
    assert stability.classify(profile_of(line(total)), dtype) == [expected]


def test_growth_at_the_end_of_a_decay_is_not_vanishing():
    log_norm = line(-10.0)
    log_norm[:10] = -30.0
    log_norm[10:] = torch.linspace(-30, -10, 31, dtype=torch.float64)[:, None]
    assert stability.classify(profile_of(log_norm), "float64") == ["stable"]  # m > 0, R < -ln 1000


def test_a_level_gradient_that_ends_at_zero_has_vanished():
    log_norm = line(0.0)
    log_norm[-1] = -math.inf
    assert stability.classify(profile_of(log_norm), "float64") == ["vanished"]


def test_underflow_needs_a_reference_that_is_not_zero():
    low = line(-20.0)
    low[20:] = -math.inf
    assert stability.classify(profile_of(low), "float32", reference=profile_of(line(-20.0))) == ["underflow"]
    assert stability.classify(profile_of(low), "float32", reference=profile_of(low)) == ["vanished"]
    assert stability.classify(profile_of(low), "float32") == ["vanished"]


@pytest.mark.parametrize(("exponent", "expected"), [(0.019, "marginal"), (-0.019, "marginal"), (0.021, "stable")])
def test_marginal_needs_an_exponent_that_may_be_zero(exponent, expected):
    known = LyapunovSpectrum(f64([exponent]), f64([0.01]), torch.zeros(1), torch.zeros(1))
    assert stability.classify(profile_of(line(-1.0)), "float64", lyapunov=known) == [expected]
    assert stability.classify(profile_of(line(-9.0)), "float64", lyapunov=known) == ["vanishing"]


def test_a_case_is_as_bad_as_its_worst_row():
    assert stability.most_severe(["stable", "vanished", "exploding", "vanishing"]) == "exploding"
    assert stability.most_severe(["stable", "underflow", "nonfinite"]) == "nonfinite"


# --- depth


def test_depth_profile_agrees_with_autograd_through_the_stack():
    gate, params, inputs = drawn("swiglu_ffn", input_size=5, hidden_size=7, batch=3)
    layers = [params, gate.draw(_shape(), 1), gate.draw(_shape(), 2)]
    found = stability.depth_profile(gate, layers, inputs)
    xs = [inputs["x"].clone().requires_grad_()]
    for layer in layers:
        xs.append(gate.forward(layer, {"x": xs[-1]})["output"])
    gradients = torch.autograd.grad(xs[-1].sum(), xs)
    expected = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients])
    assert found.shape == (4, 3)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE["exact"], atol=0)


def _shape():
    return Shape(batch=3, seq_len=8, input_size=5, hidden_size=7)


def test_depth_profile_of_a_recurrent_stack_keeps_batch_rows_apart():
    gate, params, inputs = drawn("gru", input_size=4)
    found = stability.depth_profile(gate, [params, params], inputs)
    alone = {"x": inputs["x"][:, :1], "h0": inputs["h0"][:1]}
    torch.testing.assert_close(found[:, :1], stability.depth_profile(gate, [params, params], alone))


# --- linear chains under every summary


def test_a_chain_of_exact_isometries_is_marginal():
    trajectory = linear(torch.eye(3, dtype=torch.float64), 50)
    profile = stability.gradient_profile(trajectory)
    spectrum = stability.lyapunov_spectrum(trajectory, k=1)
    assert stability.classify(profile, "float64", lyapunov=spectrum) == ["marginal"]
    assert profile.half_life.item() == math.inf


def test_what_the_docstrings_say_of_rows_and_of_lags():
    trajectory = stability.unroll(*drawn("gru", batch=3))
    total = stability.lyapunov_spectrum(trajectory).values.sum()
    assert stability.log_abs_det(trajectory).mean().item() == pytest.approx(trajectory.steps * total.item(), rel=1e-10)
    norms, profile = stability.gradient_norms(trajectory), stability.gradient_profile(trajectory)
    torch.testing.assert_close((norms.flip(0) / norms[-1]).log(), profile.log_norm, rtol=1e-12, atol=1e-12)
    assert bool((stability.norm_bound(trajectory) >= profile.log_norm - 1e-9).all())
