"""P23: identities that hold for any random model, by hypothesis."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stability_models import TOLERANCE, drawn

from gatebench import stability

SETTINGS = settings(max_examples=20, deadline=None, derandomize=True, database=None)
names = st.sampled_from(["rnn_tanh", "lstm", "gru", "linear"])
sizes = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "seq_len": st.integers(1, 12),
        "input_size": st.integers(1, 4),
        "hidden_size": st.integers(1, 6),
    }
)
seeds = st.integers(0, 10_000)


def random_model(name, sizes, seed):
    gate, params, inputs = drawn(name, seed, **sizes)
    return gate, {key: 2 * value for key, value in params.items()}, inputs


@given(names, sizes, seeds)
@SETTINGS
def test_the_spectrum_sums_to_the_mean_log_determinant(name, sizes, seed):
    trajectory = stability.unroll(*random_model(name, sizes, seed))
    dets = [trajectory.jacobian(t).slogdet().logabsdet.mean() for t in range(1, trajectory.steps + 1)]
    mean = float(torch.stack(dets).mean())
    spectrum = stability.lyapunov_spectrum(trajectory)
    assert float(spectrum.values.sum()) == pytest.approx(
        mean, rel=TOLERANCE["determinant"], abs=TOLERANCE["determinant"]
    )


@given(names, sizes, seeds)
@SETTINGS
def test_gradients_stay_below_products_of_norms_and_those_below_the_weights(name, sizes, seed):
    trajectory = stability.unroll(*random_model(name, sizes, seed))
    bound = stability.norm_bound(trajectory)
    assert (stability.gradient_profile(trajectory).log_norm <= bound + TOLERANCE["golden"]).all()
    if name == "rnn_tanh":
        assert (bound <= stability.norm_bound(trajectory, "weights") + TOLERANCE["golden"]).all()


@given(names, sizes, seeds)
@SETTINGS
def test_pushing_and_pulling_are_dual_and_agree_with_the_jacobian(name, sizes, seed):
    trajectory = stability.unroll(*random_model(name, sizes, seed))
    J = trajectory.jacobian(1)
    linear = trajectory.linear_map(trajectory.x[0], trajectory.states[0])
    generator = torch.Generator().manual_seed(seed)
    u, v = torch.randn(2, *J.shape[:2], generator=generator, dtype=torch.float64)
    close = {"rtol": 1e-12, "atol": 1e-13}
    torch.testing.assert_close((u * linear.push(v)).sum(-1), (linear.pull(u) * v).sum(-1), **close)
    torch.testing.assert_close(linear.push(v), (J @ v[..., None])[..., 0], **close)
    torch.testing.assert_close(linear.pull(u), (J.mT @ u[..., None])[..., 0], **close)


@given(names, sizes, seeds)
@SETTINGS
def test_the_order_of_hidden_units_does_not_matter(name, sizes, seed):
    gate, params, inputs = random_model(name, sizes, seed)
    H = sizes["hidden_size"]
    order = torch.randperm(H, generator=torch.Generator().manual_seed(seed))
    rows = torch.cat([order + H * block for block in range(len(params["weight_hh"]) // H)])
    turned = {key: value[rows] for key, value in params.items()}
    turned["weight_hh"] = turned["weight_hh"][:, order]
    moved = {key: value if key == "x" else value[:, order] for key, value in inputs.items()}
    one, other = stability.unroll(gate, params, inputs), stability.unroll(gate, turned, moved)
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(
        stability.gradient_profile(one).log_norm, stability.gradient_profile(other).log_norm, **close
    )
    torch.testing.assert_close(stability.norm_bound(one), stability.norm_bound(other), **close)
    for letter, found in stability.saturation(gate, params, inputs).items():
        assert stability.saturation(gate, turned, moved)[letter].mean == pytest.approx(found.mean)


@given(names, sizes, seeds)
@SETTINGS
def test_batch_rows_do_not_see_each_other(name, sizes, seed):
    gate, params, inputs = random_model(name, sizes, seed)
    whole = stability.gradient_profile(stability.unroll(gate, params, inputs)).log_norm
    last = {key: value[:, -1:] if key == "x" else value[-1:] for key, value in inputs.items()}
    alone = stability.gradient_profile(stability.unroll(gate, params, last)).log_norm
    torch.testing.assert_close(whole[:, -1:], alone, rtol=1e-9, atol=1e-9)


@given(names, sizes, seeds)
@SETTINGS
def test_a_sequence_cut_in_two_joins_again(name, sizes, seed):
    trajectory = stability.unroll(*random_model(name, sizes, seed))
    T, whole = trajectory.steps, stability.gradient_norms(trajectory)
    J = torch.eye(trajectory.size, dtype=torch.float64)
    for t in range(1, T + 1):
        J = trajectory.jacobian(t) @ J
    ones = torch.zeros(trajectory.batch, trajectory.size, 1, dtype=torch.float64)
    ones[:, trajectory.parts["h"]] = 1
    torch.testing.assert_close(whole[0], (J.mT @ ones)[..., 0].norm(dim=-1), rtol=1e-10, atol=1e-300)


def test_half_lives_are_in_steps_and_slopes_in_nats():
    profile = stability.gradient_profile(stability.unroll(*drawn("gru", seq_len=40)))
    assert profile.half_life.tolist() == pytest.approx([math.log(2) / -m for m in profile.slope.tolist()])
