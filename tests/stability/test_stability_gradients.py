"""Gradients back through time: rescaling, parts of the state, initial states by name, low precision beside it."""

import math

import pytest
import torch
from stability_models import drawn, gaussian, linear

from gatebench import stability
from gatebench.stability.gradients import gradients


def test_rescaling_by_powers_of_two_changes_no_digit():
    trajectory = linear(gaussian(5, 5) * 2.0**-20, 40, batch=2)  # to about 2^-800: float64 holds it, but it is rescaled
    found = gradients(trajectory)
    assert int(found.exponents.min()) < -300
    delta = torch.ones(2, 5, dtype=torch.float64)
    for t in range(40, 0, -1):
        delta = trajectory.linear_map(trajectory.x[t - 1], trajectory.states[t - 1]).pull(delta)
        again = found.values[t - 1] * torch.exp2(found.exponents[t - 1].double())[:, None]
        assert torch.equal(again, delta)


def test_part_c_is_relative_to_the_whole_state_at_lag_0():
    trajectory = stability.unroll(*drawn("lstm"))
    whole, c = (stability.gradient_profile(trajectory, part=part) for part in (None, "c"))
    h = stability.gradient_profile(trajectory, part="h")
    assert c.log_norm[0].eq(-math.inf).all()
    both = torch.logaddexp(2 * h.log_norm, 2 * c.log_norm) / 2
    torch.testing.assert_close(both, whole.log_norm)


def test_initial_states_go_by_name_not_by_position():
    gate, params, inputs = drawn("lstm")
    turned = dict(reversed(inputs.items()))
    assert list(turned) != list(inputs)
    assert torch.equal(stability.unroll(gate, params, turned).states, stability.unroll(gate, params, inputs).states)


def test_a_step_that_ignores_its_state_has_a_jacobian_of_zeros():
    trajectory = stability.unroll(
        lambda params, x, state: x, {}, {"x": torch.ones(4, 2, 3), "state0": torch.ones(2, 3)}
    )
    assert bool(trajectory.jacobian(1).eq(0).all())
    assert stability.gradient_norms(trajectory)[:, 0].tolist() == [0.0, 0.0, 0.0, 0.0, math.sqrt(3)]
    assert stability.lyapunov_spectrum(trajectory, 1).values.tolist() == [-math.inf]
    assert bool(stability.singular_values(trajectory).values.eq(-math.inf).all())


def test_low_precision_chains_are_plain_also_beside_a_row_that_died():
    gains = torch.tensor([0.4, 0.5], dtype=torch.float64)
    trajectory = linear(torch.diag(gains), steps=60, batch=2, dtype=torch.float16)
    norms = stability.gradient_norms(trajectory, torch.eye(2)).flip(0)
    assert (norms[:, 0] > 0).sum() < 25  # row 0 is gone before row 1 is
    assert norms[24:26, 1].tolist() == [2.0**-24, 0.0]


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 1.7e308])
def test_a_cotangent_of_any_size_has_the_same_profile(size):
    """The norm of the largest is more than float64 holds, and so is all that it grows to."""
    trajectory, ones = linear(2 * torch.eye(4, dtype=torch.float64), 5), torch.ones(1, 4, dtype=torch.float64)
    found, expected = (stability.gradient_profile(trajectory, each) for each in (size * ones, ones))
    torch.testing.assert_close(found.log_norm, expected.log_norm, rtol=1e-12, atol=1e-12)
    norms = stability.gradient_norms(trajectory, size * ones)
    assert norms[-1].item() == (pytest.approx(2 * size, rel=1e-12) if size < 1e308 else math.inf)
