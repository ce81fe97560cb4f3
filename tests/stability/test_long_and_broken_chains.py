"""Chains far longer than float64 can hold their product, and chains that meet infinity: logs stay finite, NaN never."""

import math

import pytest
import torch
from stability_models import LinearRNN, at_rest, chain, drawn, gaussian, linear, orthogonal

from gatebench import Shape, gates, stability
from gatebench.stability.gradients import gradients, profile_of_gradients

# 2^4000 overflows, and 2^-4000 underflows; the slow ones are as long as chains may get
LENGTHS = pytest.mark.parametrize("steps", [4_000, pytest.param(100_000, marks=pytest.mark.slow)])


def growing_and_shrinking(steps, batch=1):
    """Return a linear network at rest whose U doubles one direction and halves the other, neither along an axis."""
    Q = orthogonal(2, 2, seed=3)
    U = Q @ torch.diag(torch.tensor([2.0, 0.5], dtype=torch.float64)) @ Q.T
    gate, params, inputs = drawn("rnn_linear", hidden_size=2, input_size=1, seq_len=steps, batch=batch)
    zeros = {name: torch.zeros_like(value) for name, value in params.items()}
    resting = {name: torch.zeros_like(value) for name, value in inputs.items()}
    return stability.unroll(gate, zeros | {"weight_hh": U}, resting), Q


# --- length


@LENGTHS
def test_gradients_of_a_long_chain(steps):
    trajectory, Q = growing_and_shrinking(steps, batch=2)
    probes = torch.stack([Q[:, 0], Q[:, 0] + Q[:, 1]])
    profile = stability.gradient_profile(trajectory, probes)
    expected = [
        steps * math.log(2),
        steps * math.log(2) - math.log(2) / 2,
    ]  # of the second, half of the square lives on
    assert profile.log_norm[-1].tolist() == pytest.approx(expected, rel=1e-12)
    assert profile.slope.tolist() == pytest.approx([math.log(2)] * 2, rel=1e-9)
    assert not bool(profile.log_norm.isnan().any())
    assert stability.gradient_norms(trajectory)[0].tolist() == [math.inf] * 2  # what float64 cannot hold


@LENGTHS
def test_gradients_of_rows_that_part_ways(steps):
    gains = torch.tensor([0.5, 2.0], dtype=torch.float64)
    trajectory = linear(torch.diag(gains), steps, batch=2)
    found = gradients(trajectory, torch.eye(2, dtype=torch.float64))  # row 0 sees the gain 0.5, row 1 sees 2
    profile = profile_of_gradients(found, trajectory)
    torch.testing.assert_close(profile.log_norm[-1], steps * gains.log(), rtol=1e-12, atol=0)
    torch.testing.assert_close(profile.slope, gains.log(), rtol=1e-12, atol=0)
    assert found.norms(slice(None))[0].tolist() == [0.0, math.inf]


@LENGTHS
def test_singular_values_and_determinant_of_a_long_chain(steps):
    trajectory, _ = growing_and_shrinking(steps)
    found, log = stability.singular_values(trajectory), steps * math.log(2)
    assert found.values[0].tolist() == pytest.approx([log, -log], rel=1e-10)
    assert bool(found.resolved.all())
    assert stability.log_abs_det(trajectory).item() == pytest.approx(0.0, abs=1e-14 * steps)


@LENGTHS
def test_exponents_and_bounds_of_a_long_chain(steps):
    trajectory, _ = growing_and_shrinking(steps)
    spectrum = stability.lyapunov_spectrum(trajectory, burn_in=steps // 2)
    assert spectrum.values.tolist() == pytest.approx([math.log(2), -math.log(2)], rel=1e-12)
    assert stability.lyapunov_spectrum(trajectory, 1, burn_in=100).values.item() == pytest.approx(math.log(2))
    for form in ("jacobian", "weights"):
        assert stability.norm_bound(trajectory, form)[-1].item() == pytest.approx(steps * math.log(2), rel=1e-11)


@pytest.mark.parametrize("steps", [1_500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_long_chain_of_a_gate_that_forgets(steps):
    trajectory = stability.unroll(*drawn("gru", hidden_size=2, input_size=1, seq_len=steps, batch=1))
    det = stability.log_abs_det(trajectory).item()
    profile = stability.gradient_profile(trajectory)
    assert -math.inf < det < -0.2 * steps
    assert bool(torch.isfinite(profile.log_norm).all())
    found = stability.singular_values(trajectory)
    assert bool(found.resolved.all())
    assert float(found.values.sum()) == pytest.approx(det, rel=1e-8)
    assert float(found.values[0, 1]) < float(profile.log_norm[-1, 0]) < float(found.values[0, 0])


def test_a_value_of_exactly_zero_is_minus_infinity_however_long_the_chain():
    U = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    trajectory = linear(U, 500)
    assert stability.singular_values(trajectory).values[0].tolist() == pytest.approx([0.0, -math.inf], abs=1e-12)
    assert stability.log_abs_det(trajectory).item() == -math.inf
    spectrum = stability.lyapunov_spectrum(trajectory)
    assert spectrum.values.tolist() == pytest.approx([0.0, -math.inf], abs=1e-2)
    assert spectrum.standard_error[1].item() == 0.0
    dead = stability.gradient_profile(trajectory, torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    assert bool(dead.log_norm[1:].eq(-math.inf).all())
    assert dead.slope.isnan().tolist() == [True]


@pytest.mark.parametrize("name", ["lstm", "gru", "qrnn"])
def test_chains_cut_into_chunks_give_the_same_numbers(name, monkeypatch):
    """Long trajectories are worked off in chunks, so that memory does not grow with T."""
    trajectory = stability.unroll(*drawn(name, seq_len=13))
    metrics = (
        stability.gradient_norms,
        stability.norm_bound,
        stability.log_abs_det,
        lambda each: stability.singular_values(each).values,
        lambda each: stability.lyapunov_spectrum(each).values,
    )
    whole = [metric(trajectory) for metric in metrics]
    monkeypatch.setattr("gatebench.stability.trajectory.CHUNK_VALUES", 3 * 8 * trajectory.batch * trajectory.size)
    assert [len(chunk) for chunk in trajectory.jacobians()][:1] != [13]
    for metric, expected in zip(metrics, whole, strict=True):
        torch.testing.assert_close(metric(trajectory), expected, rtol=1e-11, atol=1e-11)


# --- infinity


def squares(steps=14):
    """Return s -> s² of two units from 10 and from 1: row 0 is infinite from step 9 on, row 1 stays, with J = 2 I."""
    start = torch.tensor([[10.0, 3.0], [1.0, 1.0]], dtype=torch.float64)
    return stability.unroll(lambda params, x, s: s * s, {}, {"x": torch.zeros(steps, 2, 1), "state0": start})


def test_the_first_bad_step_is_known_by_row():
    trajectory = squares()
    assert trajectory.first_bad_step.tolist() == [9, -1]
    assert bool(torch.isfinite(trajectory.states[8]).all())
    gate, params, inputs = drawn("rnn_linear")
    start = inputs["h0"] * torch.tensor([[1e6], [1.0]])  # what float16 cannot hold is infinite from the start
    assert stability.unroll(gate, params, inputs | {"h0": start}, "float16").first_bad_step.tolist() == [0, -1]


def test_metrics_of_a_row_that_is_infinite_are_infinite_and_others_are_not_touched():
    trajectory, grown = squares(), 14 * math.log(2)
    profile = stability.gradient_profile(trajectory)
    assert stability.classify(profile, "float64") == ["nonfinite", "exploding"]
    assert not bool(profile.log_norm.isnan().any())
    assert profile.log_norm[-1].tolist() == pytest.approx([math.inf, grown])
    assert stability.gradient_norms(trajectory)[0].tolist() == pytest.approx([math.inf, 2**14 * math.sqrt(2)])
    assert stability.norm_bound(trajectory)[-1].tolist() == pytest.approx([math.inf, grown])
    assert stability.log_abs_det(trajectory).tolist() == pytest.approx([math.inf, 2 * grown])
    found = stability.singular_values(trajectory)
    assert found.values[0].tolist() == [math.inf] * 2
    assert found.values[1].tolist() == pytest.approx([grown] * 2)
    assert found.resolved.tolist() == [[False, False], [True, True]]


def test_singular_values_beside_a_row_that_is_infinite_are_what_they_are_alone():
    J = gaussian(9, 2, 4, 4)
    alone = stability.singular_values(chain(J[:, 1:]))
    trajectory = chain(J)
    trajectory.x[4, 0, 6] = math.inf  # an entry of row 0's J_5
    found = stability.singular_values(trajectory)
    assert found.values[0].tolist() == [math.inf] * 4
    torch.testing.assert_close(found.values[1:], alone.values, rtol=0, atol=1e-10)
    assert torch.equal(found.resolved[1:], alone.resolved)


@pytest.mark.parametrize("k", [1, 2])
def test_exponents_leave_out_what_is_not_finite_and_count_it(k):
    spectrum = stability.lyapunov_spectrum(squares(), k)
    assert spectrum.nonfinite.tolist() == [5] * k  # row 0: J_10 = 2 s_9 .. J_14
    assert bool(torch.isfinite(spectrum.values).all())
    only_lost = stability.lyapunov_spectrum(squares(), k, burn_in=9)
    assert only_lost.values.tolist() == pytest.approx([math.log(2)] * k)
    lost = torch.full((3, 2, 2), math.inf, dtype=torch.float64)
    nothing_left = stability.lyapunov_of_products(lost, k)
    assert nothing_left.values.tolist() == [math.inf] * k
    assert nothing_left.nonfinite.tolist() == [3] * k


@pytest.mark.parametrize("size", [4, 40])
def test_a_network_of_nan_has_no_nan_metric(size):
    gate, params, inputs = drawn("lstm", hidden_size=size)
    broken = stability.unroll(
        lambda p, x, s: gate.step(p, x, s) * math.inf,
        params,
        {"x": inputs["x"], "state0": torch.cat([inputs["h0"], inputs["c0"]], -1)},
    )
    profile = stability.gradient_profile(broken)
    assert bool(profile.log_norm[1:].eq(math.inf).all())
    assert stability.classify(profile, torch.float64) == ["nonfinite"] * 2
    assert bool(stability.norm_bound(broken)[-1].eq(math.inf).all())
    assert bool(stability.singular_values(broken, 2).values.eq(math.inf).all())
    assert bool(stability.log_abs_det(broken).eq(math.inf).all())
    for k in (1, 3):
        assert stability.lyapunov_spectrum(broken, k).nonfinite.tolist() == [16] * k


def test_infinite_states_of_a_linear_network_leave_its_finite_jacobians_alone():
    params, inputs = at_rest(2 * torch.eye(3, dtype=torch.float64), 2000)
    trajectory = stability.unroll(LinearRNN(), params, inputs | {"h0": torch.ones(1, 3, dtype=torch.float64)})
    assert trajectory.first_bad_step.item() == 1024
    profile = stability.gradient_profile(trajectory)
    assert profile.log_norm[-1].item() == pytest.approx(2000 * math.log(2))
    assert stability.classify(profile, "float64") == ["nonfinite"]  # the class is the trajectory's
    assert stability.log_abs_det(trajectory).item() == pytest.approx(6000 * math.log(2))


def test_states_of_nan_do_not_pass_for_dead_units():
    """Two infinite units meet in inf - inf; the slope of the ReLU there is not known, and not 0."""
    gate, params, inputs = drawn("rnn_relu", hidden_size=3, batch=1, seq_len=1_100)
    params = {name: torch.zeros_like(value) for name, value in params.items()}
    params["weight_hh"] = torch.tensor([[2.0, 0, 0], [0, 2.0, 0], [1.0, -1.0, 0]], dtype=torch.float64)
    trajectory = stability.unroll(gate, params, {"x": 0 * inputs["x"], "h0": torch.ones(1, 3, dtype=torch.float64)})
    assert bool(trajectory.states[-1, 0, 2].isnan())
    profile = stability.gradient_profile(trajectory)
    assert profile.log_norm[-1].tolist() == [math.inf]
    assert stability.classify(profile, "float64") == ["nonfinite"]
    assert stability.lyapunov_spectrum(trajectory, 1, burn_in=1_050).nonfinite.tolist() == [50]


@pytest.mark.parametrize(("name", "init", "steps"), [
    ("rnn_relu", "gaussian=6", 600), ("rnn_relu", "orthogonal=5", 600), ("rnn_linear", "gaussian=6", 700)
])  # fmt: skip
@pytest.mark.parametrize("bare", [False, True])
def test_what_stands_beside_nonfinite_does_not_contradict_it(name, init, steps, bare):
    """Exponents are those of the finite steps alone: infinite states have none, though autograd's ReLU has a slope at NaN."""
    shape = Shape(batch=1, seq_len=steps, input_size=16, hidden_size=16)
    gate = gates.get(name)
    params, inputs = gate.draw(shape, 0, init=init), gate.inputs(shape, 0)
    own = {"x": inputs["x"], "state0": inputs["h0"]}
    trajectory = stability.unroll(gate.step, params, own) if bare else stability.unroll(gate, params, inputs)
    bad = trajectory.first_bad_step.item()
    assert 300 < bad < steps
    spectrum = stability.lyapunov_spectrum(trajectory, k=1)
    before = stability.unroll(gate, params, inputs | {"x": inputs["x"][:bad]})
    assert spectrum.values.item() == pytest.approx(stability.lyapunov_spectrum(before, k=1).values.item(), abs=0.01)
    assert steps - bad <= spectrum.nonfinite.item() <= steps - bad + 1  # of the step that overflows it may be unknown
    assert stability.lyapunov_spectrum(trajectory, k=1, burn_in=bad).values.item() == math.inf
    profile = stability.gradient_profile(trajectory)
    assert profile.reach.item() == steps
    assert stability.classify(profile, "float64", lyapunov=spectrum) == ["nonfinite"]
