"""P23: identities between the metrics of any random model, by hypothesis."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stability_models import CLOSED_FORMS, TOLERANCE, drawn, end_to_end, gaussian

from gatebench import stability
from gatebench.stability.bounds import STEEPEST

NAMES = (
    *CLOSED_FORMS, "linear", "lstm_projected", "lstm_layernorm", "lstm_no_input_activation", "lstm_gate_recurrence",
    "slstm", "minimal_rnn", "mingru", "minlstm", "qrnn", "sru", "rg_lru", "mlstm",
)  # fmt: skip
# h = o ⊙ tanh(c) of a state that has o and c, too; a shift of the stabiliser m that is nowhere seen: det J_t = 0
SINGULAR = ("lstm_gate_recurrence", "slstm")
EACH = pytest.mark.parametrize("name", NAMES)
SETTINGS = settings(max_examples=10, deadline=None, derandomize=True, database=None)
models = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "seq_len": st.integers(1, 12),
        "input_size": st.integers(1, 4),
        "hidden_size": st.integers(2, 5),
        "seed": st.integers(0, 10_000),
        "scale": st.sampled_from([1.0, 2.0]),
    }
)


def trajectory_of(name, model):
    """Return the trajectory of a random model, weights scaled."""
    sizes = dict(model)
    seed, scale = sizes.pop("seed"), sizes.pop("scale")
    gate, params, inputs = drawn(name, seed, **sizes)
    return stability.unroll(gate, {key: scale * value for key, value in params.items()}, inputs)


def same_sum(found, expected):
    """Compare sums of logs; -inf equals -inf."""
    torch.testing.assert_close(found, expected, rtol=TOLERANCE["determinant"], atol=TOLERANCE["determinant"])


@EACH
@given(models)
@SETTINGS
def test_p23_spectrum_determinant_and_singular_values_have_one_sum(name, model):
    trajectory = trajectory_of(name, model)
    T = trajectory.steps
    det = stability.log_abs_det(trajectory)
    if name not in SINGULAR:  # of a matrix that is singular but for rounding, slogdet gives the rounding
        same_sum(det, sum(trajectory.jacobian(t).slogdet().logabsdet for t in range(1, T + 1)))
    same_sum(stability.lyapunov_spectrum(trajectory).values.sum(), det.mean() / T)
    found, regular = stability.singular_values(trajectory), torch.isfinite(det)
    assert torch.equal(found.resolved.all(-1), regular)
    same_sum(found.values.sum(-1)[regular], det[regular])


@EACH
@given(models)
@SETTINGS
def test_p23_growth_is_below_products_of_norms_and_those_below_the_weights(name, model):
    trajectory = trajectory_of(name, model)
    bound, slack = stability.norm_bound(trajectory), TOLERANCE["golden"]
    assert bool((stability.singular_values(trajectory).values[:, 0] <= bound[-1] + slack).all())
    assert bool((stability.gradient_profile(trajectory).log_norm <= bound + slack).all())
    if name in STEEPEST:
        assert bool((bound <= stability.norm_bound(trajectory, "weights") + slack).all())


@EACH
@given(models)
@SETTINGS
def test_p23_pushing_and_pulling_end_to_end_are_dual(name, model):
    trajectory = trajectory_of(name, model)
    u, v = gaussian(2, trajectory.batch, trajectory.size, seed=model["seed"])
    pushed, pulled = v, u
    for jacobian in trajectory.linear_maps():
        pushed = jacobian.push(pushed)
    for jacobian in trajectory.linear_maps(reverse=True):
        pulled = jacobian.pull(pulled)
    scale = u.norm(dim=-1) * pushed.norm(dim=-1) + v.norm(dim=-1) * pulled.norm(dim=-1)
    assert bool((((u * pushed).sum(-1) - (pulled * v).sum(-1)).abs() <= TOLERANCE["exact"] * scale).all())


@EACH
@given(models)
@SETTINGS
def test_the_extreme_singular_values_bound_every_gradient(name, model):
    trajectory = trajectory_of(name, model)
    logs = stability.singular_values(trajectory).values
    growth = stability.gradient_profile(trajectory, gaussian(trajectory.batch, trajectory.size)).log_norm[-1]
    assert bool((growth <= logs[:, 0] + TOLERANCE["golden"]).all())
    assert bool((growth >= logs[:, -1] - TOLERANCE["golden"]).all())


@EACH
@given(models)
@SETTINGS
def test_p23_a_sequence_cut_in_two_joins_again(name, model):
    whole = trajectory_of(name, model | {"seq_len": model["seq_len"] + 1})
    cut = whole.steps // 2
    first = stability.Trajectory(
        whole.states[: cut + 1], whole.parts, whole.step, whole.params, whole.x[:cut], whole.gate
    )
    second = stability.Trajectory(whole.states[cut:], whole.parts, whole.step, whole.params, whole.x[cut:], whole.gate)
    P, P1, P2 = (end_to_end(each) for each in (whole, first, second))
    torch.testing.assert_close(P, P2 @ P1, rtol=0, atol=1e-12 * float(P2.abs().max() * P1.abs().max()))
    same_sum(stability.log_abs_det(whole), stability.log_abs_det(first) + stability.log_abs_det(second))
    handed_over = torch.zeros(whole.batch, whole.size, dtype=torch.float64)
    handed_over[:, whole.parts.get("h", slice(None))] = 1
    for jacobian in second.linear_maps(reverse=True):
        handed_over = jacobian.pull(handed_over)
    norms = stability.gradient_norms(whole)
    torch.testing.assert_close(norms[cut:], stability.gradient_norms(second), rtol=1e-14, atol=0)
    if bool((handed_over != 0).any(-1).all()):
        torch.testing.assert_close(norms[: cut + 1], stability.gradient_norms(first, handed_over), rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", ["gru", "lstm", "mingru"])
def test_half_lives_are_in_steps_and_slopes_in_nats(name):
    profile = stability.gradient_profile(stability.unroll(*drawn(name, seq_len=40)))
    slopes = profile.slope.tolist()
    assert profile.half_life.tolist() == pytest.approx([math.log(2) / -slope for slope in slopes])
    assert profile.horizon.tolist() == pytest.approx([-1 / slope for slope in slopes])
