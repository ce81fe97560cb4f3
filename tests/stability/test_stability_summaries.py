"""What sums a trajectory up: slope, class, saturation, errors of low precision, depth."""

import math

import pytest
import torch
from stability_models import TOLERANCE, drawn, gated_by_bias, linear

from gatebench import Shape, gates, stability
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


# --- saturation


def test_saturation_of_gates_held_open_and_shut():
    found = stability.saturation(*gated_by_bias("lstm", 5, f=10.0, i=-10.0, g=3.0))
    assert (found["f"].low, found["f"].high) == (0.0, 1.0)
    assert (found["i"].low, found["i"].high) == (1.0, 0.0)
    assert found["o"].mean == pytest.approx(1.0)
    assert found["f"].mean == pytest.approx(4 * 4.5395807735907655e-05, rel=1e-4)
    assert (found["g"].tanh, found["g"].low) == (1.0, None)  # tanh 3 = 0.995


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


def test_negative_lobe_of_swish():
    gate = gates.get("swiglu")
    inputs = {"value": torch.ones(1, 1, 4), "gate": torch.tensor([[[-1.0, -2.0, 0.5, 3.0]]])}
    found = stability.saturation(gate, {}, inputs)["gate"]
    assert (found.negative_lobe, found.low) == (0.5, None)


# --- pointwise values (P16)


@pytest.mark.parametrize(
    ("name", "options", "value", "slope"),
    [
        ("glu", {}, 0.5378828427, 0.3932238665),
        ("swiglu", {}, -0.5378828427, 0.1446589763),
        ("swiglu", {"beta": 2.0}, -0.2384058440, None),
    ],
)
def test_p16_pointwise_values_and_derivatives(name, options, value, slope):
    a, b = f64([[[2.0]]]), f64([[[-1.0]]]).requires_grad_()
    output = gates.get(name, **options).forward({}, {"value": a, "gate": b})["output"]
    assert output.item() == pytest.approx(value, abs=TOLERANCE["golden"])
    if slope is not None:
        assert torch.autograd.grad(output.sum(), b)[0].item() == pytest.approx(slope, abs=TOLERANCE["golden"])


# --- bias duality (P21)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_p21_both_biases_get_the_same_gradient_except_after_a_reset(name):
    gate, params, inputs = drawn(name)
    leaves = {key: value.requires_grad_() for key, value in params.items()}
    found = torch.autograd.grad(gate.forward(leaves, inputs)["h"].sum(), [leaves["bias_ih"], leaves["bias_hh"]])
    blocks_ih, blocks_hh = (
        dict(zip(gate.blocks("bias_ih"), bias.chunk(len(gate.letters)), strict=True)) for bias in found
    )
    for letter in gate.letters:
        same = torch.allclose(blocks_ih[letter], blocks_hh[letter], rtol=TOLERANCE["exact"], atol=0)
        assert same is (letter != "n")


# --- precision


def test_float64_has_no_error_against_itself():
    error = stability.precision(*drawn("lstm"), "float64")
    for part in (error.arithmetic, error.quantisation, error.total):
        assert part.relative_error.eq(0).all()
        torch.testing.assert_close(part.cosine, torch.ones_like(part.cosine))
    assert error.first_bad_lag.tolist() == [-1, -1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rounding_of_a_diagonal_chain_stays_within_its_bound(dtype):
    gate, params, inputs = drawn("linear", hidden_size=1, seq_len=60, batch=1)
    params["weight_hh"] = f64([[0.7]])
    error = stability.precision(gate, params, inputs, dtype)
    u = torch.finfo(getattr(torch, dtype)).eps / 2
    lags = torch.arange(61, dtype=torch.float64)
    assert (error.relative_error[:, 0] <= (1 + u) ** lags - 1 + 1e-15).all()
    assert error.relative_error[-1, 0] > u
    rounded = float(torch.tensor(0.7).to(getattr(torch, dtype)))
    expected = abs((rounded / 0.7) ** 60 - 1)
    assert error.quantisation.relative_error[-1, 0].item() == pytest.approx(expected, rel=1e-6)


def test_weights_are_rounded_before_the_reference_sees_them():
    gate, params, inputs = drawn("linear", hidden_size=1, seq_len=500, batch=1)
    params["weight_hh"] = f64([[0.999]])  # bfloat16 has nothing between 0.99609375 and 1
    error = stability.precision(gate, params, inputs, "bfloat16")
    assert error.arithmetic.relative_error.eq(0).all()
    assert error.quantisation.relative_error[-1].item() == pytest.approx(1 / 0.999**500 - 1, rel=1e-9)
    assert torch.equal(error.total.relative_error, error.quantisation.relative_error)


def test_bfloat16_snaps_a_slow_gate_to_a_false_plateau():
    gate, params, inputs = gated_by_bias("gru", 500, z=7.0)  # σ(7) = 0.99909 is 1 in bfloat16
    error = stability.precision(gate, params, inputs, "bfloat16")
    assert error.false_plateau.tolist() == [0, 0]  # 0.99909^500 = 0.63: not half yet
    gate, params, inputs = gated_by_bias("gru", 1000, z=7.0)
    error = stability.precision(gate, params, inputs, "bfloat16")
    assert error.false_plateau.tolist() == [1000, 1000]
    assert stability.precision(gate, params, inputs, "float32").false_plateau.tolist() == [0, 0]


def test_float16_stalls_on_a_subnormal():
    error = stability.precision(*_scalar(0.9, 300), "float16")
    assert error.false_plateau.item() > 50
    assert error.first_bad_lag.item() == -1


def _scalar(gain, steps):
    gate, params, inputs = drawn("linear", hidden_size=1, seq_len=steps, batch=1)
    params["weight_hh"] = f64([[gain]])
    return gate, params, {"x": 0 * inputs["x"], "h0": 0 * inputs["h0"]}


@pytest.mark.parametrize(("gain", "lag", "underflow", "nonfinite"), [(0.5, 25, 1.0, 0.0), (2.0, 16, 0.0, 1.0)])
def test_p20_first_bad_lag_and_shares(gain, lag, underflow, nonfinite):
    error = stability.precision(*_scalar(gain, 40), "float16")
    assert error.first_bad_lag.tolist() == [lag]
    assert error.underflow_share[[lag - 1, lag, 40], 0].tolist() == [0.0, underflow, underflow]
    assert error.nonfinite_share[[lag - 1, lag, 40], 0].tolist() == [0.0, nonfinite, nonfinite]
    assert error.relative_error[lag, 0].item() == (1.0 if gain < 1 else math.inf)
    assert error.cosine[lag, 0].item() == 0.0


def test_usable_loss_scale_keeps_the_largest_gradient_finite():
    assert stability.precision(*_scalar(0.5, 10), "float16").usable_loss_scale.item() == 2.0**15
    assert stability.precision(*_scalar(2.0, 10), "float16").usable_loss_scale.item() == 2.0**5


def test_no_error_metric_is_nan_where_everything_underflows():
    for dtype in ("float16", "bfloat16"):
        error = stability.precision(*_scalar(0.01, 600), dtype)
        for part in (error.arithmetic, error.quantisation, error.total):
            assert not part.relative_error.isnan().any()
            assert not part.cosine.isnan().any()


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
