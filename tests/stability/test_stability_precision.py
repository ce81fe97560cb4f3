"""Gradients below float64: P20, chains of powers of two, exact until the dtype ends; what rounding costs elsewhere."""

import math

import pytest
import torch
from stability_models import drawn, gated_by_bias, linear

from gatebench import Shape, gates, stability
from gatebench.stability.gradients import Gradients
from gatebench.stability.low_precision import compare_gradients


def scalar_chain(gain, steps):
    """Return gate, parameters and inputs of h_t = gain h_{t-1} at rest."""
    gate, params, inputs = drawn("linear", hidden_size=1, seq_len=steps, batch=1)
    at_rest = {name: torch.zeros_like(value) for name, value in inputs.items()}
    return gate, params | {"weight_hh": torch.full((1, 1), gain, dtype=torch.float64)}, at_rest


# --- P20


# Where the hardware flushes subnormals to zero, halving in float16 ends at lag 15 already; CPUs do not.
@pytest.mark.parametrize(
    ("scale", "dtype", "last_exact", "then"),
    [
        (0.5, torch.float16, 24, 0.0),
        (2.0, torch.float16, 15, math.inf),
        (2.0, torch.float32, 127, math.inf),
        (2.0, torch.bfloat16, 127, math.inf),
        (0.5, torch.float32, 149, 0.0),
        (0.5, torch.bfloat16, 133, 0.0),
    ],
)
def test_p20_low_precision_chains_end_where_the_dtype_does(scale, dtype, last_exact, then):
    trajectory = linear(scale * torch.eye(3), steps=160, dtype=dtype)
    norms = stability.gradient_norms(trajectory, torch.tensor([[1.0, 0.0, 0.0]])).flip(0)[:, 0]
    lags = torch.arange(last_exact + 1, dtype=torch.float64)
    assert torch.equal(norms[: last_exact + 1], scale**lags)
    assert norms[last_exact + 1 :].eq(then).all()
    exact = stability.gradient_profile(linear(scale * torch.eye(3), steps=160))
    found = stability.classify(stability.gradient_profile(trajectory), dtype, reference=exact)
    assert found == ["underflow" if then == 0 else "nonfinite"]


def test_p20_the_last_values_of_float16():
    halves = stability.gradient_norms(linear(0.5 * torch.eye(1), steps=25, dtype=torch.float16)).flip(0)[:, 0]
    assert halves[24].item() == pytest.approx(5.9605e-8, rel=1e-5)
    assert halves[25].item() == 0.0
    doubles = stability.gradient_norms(linear(2.0 * torch.eye(1), steps=16, dtype=torch.float16)).flip(0)[:, 0]
    assert doubles[15:].tolist() == [32768.0, math.inf]


@pytest.mark.parametrize(("gain", "lag", "underflow", "nonfinite"), [(0.5, 25, 1.0, 0.0), (2.0, 16, 0.0, 1.0)])
def test_p20_first_bad_lag_and_shares(gain, lag, underflow, nonfinite):
    error = stability.precision(*scalar_chain(gain, 40), "float16")
    assert error.first_bad_lag.tolist() == [lag]
    assert error.underflow_share[[lag - 1, lag, 40], 0].tolist() == [0.0, underflow, underflow]
    assert error.nonfinite_share[[lag - 1, lag, 40], 0].tolist() == [0.0, nonfinite, nonfinite]
    assert error.relative_error[lag, 0].item() == (1.0 if gain < 1 else math.inf)
    assert error.cosine[lag, 0].item() == 0.0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_p20_doubling_is_infinite_from_lag_128(dtype):
    assert stability.precision(*scalar_chain(2.0, 130), dtype).first_bad_lag.tolist() == [128]


# --- errors against float64


def test_float64_has_no_error_against_itself():
    error = stability.precision(*drawn("lstm"), "float64")
    for part in (error.arithmetic, error.quantisation, error.total):
        assert part.relative_error.eq(0).all()
        torch.testing.assert_close(part.cosine, torch.ones_like(part.cosine))
    assert error.first_bad_lag.tolist() == [-1, -1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rounding_of_a_diagonal_chain_stays_within_its_bound(dtype):
    error = stability.precision(*scalar_chain(0.7, 60), dtype)
    u = torch.finfo(getattr(torch, dtype)).eps / 2
    lags = torch.arange(61, dtype=torch.float64)
    assert (error.relative_error[:, 0] <= (1 + u) ** lags - 1 + 1e-15).all()
    assert error.relative_error[-1, 0] > u
    rounded = float(torch.tensor(0.7).to(getattr(torch, dtype)))
    expected = abs((rounded / 0.7) ** 60 - 1)
    assert error.quantisation.relative_error[-1, 0].item() == pytest.approx(expected, rel=1e-6)


def test_weights_are_rounded_before_the_reference_sees_them():
    error = stability.precision(*scalar_chain(0.999, 500), "bfloat16")  # which has nothing between 0.99609375 and 1
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


def test_a_plateau_need_not_be_perfectly_flat():
    gate, shape = gates.get("gru"), Shape(batch=4, seq_len=1500, input_size=16, hidden_size=16)
    params = gate.draw(shape, seed=0, init="forget_bias=7")
    inputs = {**gate.inputs(shape, seed=0), "x": 0.1**0.5 * gate.inputs(shape, seed=0)["x"]}
    error = stability.precision(gate, params, inputs, "bfloat16")
    low = stability.gradient_profile(stability.unroll(gate, params, inputs, torch.bfloat16))
    assert (low.log_norm[0] - low.log_norm[-1]).abs().min() > torch.finfo(torch.bfloat16).eps
    # float64's half-life is about 900 steps; the fourth row shrinks by more than a tenth of what it should.
    assert error.false_plateau.gt(700).tolist() == [True, True, True, False]


def test_float16_stalls_on_a_subnormal():
    error = stability.precision(*scalar_chain(0.9, 300), "float16")
    assert error.false_plateau.item() > 50
    assert error.first_bad_lag.item() == -1


def test_usable_loss_scale_keeps_the_largest_gradient_finite():
    assert stability.precision(*scalar_chain(0.5, 10), "float16").usable_loss_scale.item() == 2.0**15
    assert stability.precision(*scalar_chain(2.0, 10), "float16").usable_loss_scale.item() == 2.0**5
    assert stability.precision(*scalar_chain(0.5, 10), "float64").usable_loss_scale.item() == 2.0**1023
    assert stability.precision(*scalar_chain(3.0, 1300), "float32").usable_loss_scale.item() == 0.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_twice_the_usable_loss_scale_is_one_too_many(dtype):
    largest = torch.tensor([1.0, 1.999, 1.9999999999, 3.1, 4.0], dtype=torch.float64)[None, :, None]
    found = Gradients(largest, torch.zeros(1, 5, dtype=torch.int64))
    scale, top = compare_gradients(found, found, found, dtype).usable_loss_scale, torch.finfo(dtype).max
    assert bool((scale * largest[0, :, 0] <= top).all())
    assert bool((2 * scale * largest[0, :, 0] > top).all())


def test_no_loss_scale_saves_a_gradient_that_is_not_finite_itself():
    values = torch.tensor([[1.0], [math.nan], [math.inf]], dtype=torch.float64)[:, None]
    found = Gradients(values, torch.zeros(3, 1, dtype=torch.int64))
    assert compare_gradients(found, found, found, torch.float16).usable_loss_scale.tolist() == [0.0]


def test_what_underflowed_is_wrong_by_all_of_it_however_small_the_reference_is():
    """After 1500 steps of 1/4 the reference is 2^-3000, which float64 holds by its exponent alone."""
    error = stability.precision(*scalar_chain(0.25, 1500), "float32")
    for part in (error.arithmetic, error.total):
        assert part.relative_error[:75, 0].eq(0).all()
        assert part.relative_error[75:, 0].eq(1).all()
        assert part.cosine[75:, 0].eq(0).all()
    assert error.quantisation.relative_error.eq(0).all()


def test_no_error_metric_is_nan_where_everything_underflows():
    for dtype in ("float16", "bfloat16"):
        error = stability.precision(*scalar_chain(0.01, 600), dtype)
        for part in (error.arithmetic, error.quantisation, error.total):
            assert not part.relative_error.isnan().any()
            assert not part.cosine.isnan().any()


def test_weights_that_the_dtype_cannot_hold_are_a_result():
    gate, params, inputs = drawn("gru", seq_len=6)
    params = params | {"weight_hh": 1e6 * params["weight_hh"]}
    error = stability.precision(gate, params, inputs, "float16")
    assert error.first_bad_lag.tolist() == [1, 1]
    assert error.usable_loss_scale.tolist() == [0.0, 0.0]
    assert error.total.relative_error[1:].eq(math.inf).all()
    fine = stability.precision(gate, params, inputs, "bfloat16")
    assert fine.nonfinite_share.eq(0).all()
