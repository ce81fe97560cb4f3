"""Every public function on every gate of the catalogue that has a state: shapes, no NaN, values that fit each other."""

import math

import pytest
import torch
from stability_models import drawn, with_time

from gatebench import stability
from gatebench.stability.metrics import CLASSES

T, B, H = 9, 3, 3
EVERY_GATE = pytest.mark.parametrize("name", with_time())
INITS = pytest.mark.parametrize("scale", [0.0, 1.0, 30.0], ids=["all weights 0", "as drawn", "saturated"])


def unrolled(name, scale=1.0, dtype=torch.float64):
    gate, params, inputs = drawn(name, batch=B, seq_len=T, hidden_size=H)
    return stability.unroll(gate, {key: scale * value for key, value in params.items()}, inputs, dtype)


def no_nan(*tensors):
    for tensor in tensors:
        assert not bool(tensor.isnan().any())


@EVERY_GATE
@INITS
def test_trajectory(name, scale):
    trajectory = unrolled(name, scale)
    S = sum(part.stop - part.start for part in trajectory.parts.values())
    assert (trajectory.steps, trajectory.batch, trajectory.size) == (T, B, S)
    assert trajectory.states.shape == (T + 1, B, S)
    assert trajectory.first_bad_step.tolist() == [-1] * B
    together = torch.cat(list(trajectory.jacobians()))
    assert together.shape == (T, B, S, S)
    no_nan(trajectory.states, together)
    maps = list(trajectory.linear_maps())
    assert len(maps) == len(list(trajectory.linear_maps(reverse=True))) == T


@EVERY_GATE
@INITS
def test_gradients_and_profile(name, scale):
    trajectory = unrolled(name, scale)
    for part in (None, *trajectory.parts):
        norms, profile = (
            stability.gradient_norms(trajectory, part=part),
            stability.gradient_profile(trajectory, part=part),
        )
        assert norms.shape == profile.log_norm.shape == (T + 1, B)
        no_nan(norms, profile.log_norm, profile.reach)
        assert not bool((norms < 0).any())
        whole = stability.gradient_norms(trajectory)[-1]
        relative = torch.where(norms > 0, norms.log(), -math.inf) - whole.log()
        torch.testing.assert_close(profile.log_norm.flip(0), relative, rtol=1e-10, atol=1e-10)
        assert (
            profile.slope.shape == profile.half_life.shape == profile.horizon.shape == profile.r_squared.shape == (B,)
        )
    assert all(label in CLASSES for label in stability.classify(stability.gradient_profile(trajectory), "float64"))


@EVERY_GATE
@INITS
def test_exponents_singular_values_and_determinant(name, scale):
    trajectory = unrolled(name, scale)
    S = trajectory.size
    det, found = stability.log_abs_det(trajectory), stability.singular_values(trajectory)
    spectrum = stability.lyapunov_spectrum(trajectory)
    assert det.shape == (B,)
    assert found.values.shape == found.resolved.shape == (B, S)
    assert spectrum.values.shape == spectrum.standard_error.shape == spectrum.collapsed.shape == (S,)
    no_nan(det, found.values, spectrum.values, spectrum.standard_error)
    assert bool((found.values.diff() <= 0).logical_or(found.values[:, 1:] == -math.inf).all())
    assert not bool(spectrum.nonfinite.any())
    assert bool((spectrum.collapsed > 0).eq(spectrum.values == -math.inf).all())
    if bool(torch.isfinite(det).all() and found.resolved.all()):
        assert float(spectrum.values.sum()) == pytest.approx(float(det.mean()) / T, rel=1e-8, abs=1e-8)
        torch.testing.assert_close(found.values.sum(-1), det, rtol=1e-8, atol=1e-8)


@EVERY_GATE
@pytest.mark.parametrize("k", [1, 3])
def test_the_k_largest(name, k):
    trajectory = unrolled(name)
    spectrum, found = stability.lyapunov_spectrum(trajectory, k, burn_in=2), stability.singular_values(trajectory, k)
    assert spectrum.values.shape == (k,)
    assert found.values.shape == (B, k)
    no_nan(spectrum.values, spectrum.standard_error, found.values)
    whole = stability.singular_values(trajectory)
    both = found.resolved & whole.resolved[:, :k]
    torch.testing.assert_close(found.values[both], whole.values[:, :k][both], rtol=2e-6, atol=2e-6)


@EVERY_GATE
@INITS
def test_bounds_and_saturation(name, scale):
    trajectory = unrolled(name, scale)
    bound = stability.norm_bound(trajectory)
    assert bound.shape == (T + 1, B)
    assert bool(bound[0].eq(0).all())
    no_nan(bound)
    assert bool((stability.gradient_profile(trajectory).log_norm <= bound + 1e-10).all())
    for letter, found in stability.saturation(trajectory.gate, trajectory.params, inputs_of(name)).items():
        shares = (found.low, found.high, found.mean, found.tanh, found.dead, found.density, found.flat)
        assert found.letter == letter
        assert found.nonfinite == 0
        assert all(0 <= share <= 1 for share in shares if share is not None)


def inputs_of(name):
    return drawn(name, batch=B, seq_len=T, hidden_size=H)[2]


@EVERY_GATE
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_low_precision(name, dtype):
    gate, params, inputs = drawn(name, batch=B, seq_len=T, hidden_size=H)
    error = stability.precision(gate, params, inputs, dtype)
    for part in (error.arithmetic, error.quantisation, error.total):
        assert part.relative_error.shape == part.cosine.shape == (T + 1, B)
        no_nan(part.relative_error, part.cosine)
    no_nan(error.underflow_share, error.nonfinite_share, error.usable_loss_scale)
    trajectory = stability.unroll(gate, params, inputs, dtype)
    no_nan(stability.gradient_norms(trajectory), stability.gradient_profile(trajectory).log_norm)
    no_nan(stability.singular_values(trajectory, 1).values, stability.log_abs_det(trajectory))


@EVERY_GATE
def test_depth(name):
    gate, params, inputs = drawn(name, batch=B, seq_len=T, hidden_size=H, input_size=H)
    if gate.forward(params, inputs)["output"].shape != inputs["x"].shape:
        pytest.skip(f"{name} makes its output narrower")
    norms = stability.depth_profile(gate, [params] * 3, inputs)
    assert norms.shape == (4, B)
    no_nan(norms)
