"""Bounds of the gradient's growth."""

import math

import pytest
import torch
from stability_models import TOLERANCE, drawn, gaussian, linear

from gatebench import gates, stability
from gatebench.stability import bounds
from gatebench.stability.bounds import log_jacobian_norms


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru"])
def test_lanczos_norms_are_singular_values_and_never_below(name):
    trajectory = stability.unroll(*drawn(name, hidden_size=48, input_size=20, batch=3, seq_len=12))
    exact = torch.stack([torch.linalg.matrix_norm(trajectory.jacobian(t), ord=2) for t in range(1, 13)]).log()
    found = log_jacobian_norms(trajectory)
    assert (found >= exact - TOLERANCE["exact"]).all()
    assert (found <= exact + bounds.TOLERANCE).all()


def test_lanczos_hands_over_what_does_not_converge(monkeypatch):
    trajectory = stability.unroll(*drawn("lstm", hidden_size=48, seq_len=3))
    exact = torch.stack([torch.linalg.matrix_norm(trajectory.jacobian(t), ord=2) for t in range(1, 4)]).log()
    monkeypatch.setattr(bounds, "CHECKS", (4,))
    torch.testing.assert_close(log_jacobian_norms(trajectory), exact, rtol=0, atol=bounds.TOLERANCE)


def test_lanczos_survives_a_jacobian_of_zeros_and_of_rank_one():
    U = torch.zeros(40, 40, dtype=torch.float64)
    assert stability.norm_bound(linear(U, 3))[1:].eq(-math.inf).all()
    U[3, 5] = 7.0
    torch.testing.assert_close(
        stability.norm_bound(linear(U, 3))[1, 0].exp(), torch.tensor(7.0, dtype=torch.float64), rtol=1e-4, atol=0
    )


def test_a_bound_by_lag_sums_from_the_last_step_backwards():
    trajectory = stability.unroll(*drawn("lstm"))
    norms = [torch.linalg.matrix_norm(trajectory.jacobian(t), ord=2).log() for t in range(1, 9)]
    bound = stability.norm_bound(trajectory)
    assert bound[0].eq(0).all()
    torch.testing.assert_close(bound[2], norms[-1] + norms[-2])
    torch.testing.assert_close(bound[8], sum(norms))


@pytest.mark.parametrize("size", [1e-200, 1e-170, 1e160, 1e200])
def test_lanczos_squares_no_number_that_would_overflow_or_underflow(size):
    J = gaussian(40, 40)
    found = stability.norm_bound(linear(size * J, 3))[-1].item()
    expected = 3 * (math.log(size) + float(torch.linalg.matrix_norm(J, ord=2).log()))
    assert expected - 1e-9 <= found <= expected + 3 * bounds.TOLERANCE


def test_one_layers_weights_do_not_bound_a_stack():
    """Here the first layer forgets, by its weights, and the second does not."""
    gate, params, inputs = drawn(gates.get("rnn_tanh", num_layers=2), hidden_size=3)
    trajectory = stability.unroll(gate, params | {"weight_hh": 0.01 * params["weight_hh"]}, inputs)
    assert stability.norm_bound(trajectory)[-1].max() > 8 * math.log(0.01)
    with pytest.raises(stability.StabilityError, match=r"does not hold for rnn_tanh; accepted: .*, of one layer"):
        stability.norm_bound(trajectory, "weights")


def test_the_bound_of_a_wide_row_does_not_depend_on_its_place():
    gate, params, inputs = drawn("lstm", hidden_size=24, batch=3, seq_len=4)
    last = {name: value[..., -1:, :] for name, value in inputs.items()}
    together, alone = (stability.norm_bound(stability.unroll(gate, params, each)) for each in (inputs, last))
    torch.testing.assert_close(together[:, 2:], alone, rtol=1e-12, atol=0)
