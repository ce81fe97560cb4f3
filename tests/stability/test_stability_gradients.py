"""Cut gradients, profiles and bounds against exact oracles. P numbers name the oracle."""

import math

import pytest
import torch
from stability_models import GOLDEN, TOLERANCE, at_rest, drawn, gated_by_bias, golden, linear, relu_step
from stability_models import LinearRNN as Linear

from gatebench import stability
from gatebench.stability.gradients import gradients, profile_of_gradients

RECURRENT = ["rnn_tanh", "lstm", "gru"]


def orthogonal(size, seed=0):
    return torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(seed)).double()).Q


@pytest.mark.parametrize("a", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_p1_scaled_orthogonal_recurrence_decays_as_a_to_the_lag(a):
    trajectory = linear(a * orthogonal(5), steps=40, batch=2)
    lags = torch.arange(41, dtype=torch.float64)[:, None]
    norms = stability.gradient_norms(trajectory)
    torch.testing.assert_close(norms.flip(0) / norms[-1], (a**lags).expand(41, 2), rtol=TOLERANCE["exact"], atol=0)
    profile = stability.gradient_profile(trajectory)
    torch.testing.assert_close(profile.slope, torch.full((2,), math.log(a), dtype=torch.float64), rtol=0, atol=1e-12)
    if a < 1:
        torch.testing.assert_close(profile.half_life, torch.full((2,), math.log(2) / -math.log(a), dtype=torch.float64))
        torch.testing.assert_close(profile.horizon, torch.full((2,), -1 / math.log(a), dtype=torch.float64))
    if a > 1:
        assert profile.half_life.tolist() == profile.horizon.tolist() == [math.inf] * 2
    if a != 1:
        expected = 40 if a >= 0.9 else math.floor(math.log(1e-3) / math.log(a))
        assert profile.reach.tolist() == [expected] * 2


def test_products_of_100000_steps_neither_overflow_nor_underflow():
    steps, gains = 100_000, torch.tensor([0.5, 2.0], dtype=torch.float64)
    trajectory = linear(torch.diag(gains), steps, batch=2)
    found = gradients(trajectory, torch.eye(2, dtype=torch.float64))  # row 0 sees the gain 0.5, row 1 sees 2
    profile = profile_of_gradients(found, trajectory)
    torch.testing.assert_close(profile.log_norm[-1], steps * gains.log(), rtol=1e-12, atol=0)
    torch.testing.assert_close(profile.slope, gains.log(), rtol=1e-12, atol=0)
    assert found.norms(slice(None))[0].tolist() == [0.0, math.inf]


def test_rescaling_by_powers_of_two_changes_no_bit():
    trajectory = stability.unroll(*drawn("lstm", seq_len=30))
    norms = stability.gradient_norms(trajectory)
    delta = torch.zeros_like(trajectory.states[-1])
    delta[:, trajectory.parts["h"]] = 1
    for t in range(30, 0, -1):
        delta = trajectory.linear_map(trajectory.x[t - 1], trajectory.states[t - 1]).pull(delta)
        torch.testing.assert_close(norms[t - 1], delta.norm(dim=-1), rtol=1e-15, atol=0)


def test_p2_identity_relu_network_carries_gradients_bitwise():
    params = {"weight_ih": torch.rand(4, 3, dtype=torch.float64), "weight_hh": torch.eye(4, dtype=torch.float64)}
    inputs = {"x": torch.rand(20, 2, 3, dtype=torch.float64), "state0": torch.rand(2, 4, dtype=torch.float64) + 0.1}
    trajectory = stability.unroll(relu_step, params, inputs)
    assert trajectory.parts == {}
    assert all(
        torch.equal(trajectory.jacobian(t), torch.eye(4, dtype=torch.float64).expand(2, 4, 4)) for t in range(1, 21)
    )
    assert torch.equal(stability.gradient_norms(trajectory), torch.full((21, 2), 2.0, dtype=torch.float64))


def test_p2_a_unit_driven_below_zero_loses_its_gradient_and_its_exponent():
    params = {
        "weight_ih": torch.tensor([[1.0], [-9.0]], dtype=torch.float64),
        "weight_hh": torch.eye(2, dtype=torch.float64),
    }
    inputs = {"x": torch.ones(12, 1, 1, dtype=torch.float64), "state0": torch.ones(1, 2, dtype=torch.float64)}
    trajectory = stability.unroll(relu_step, params, inputs)
    assert trajectory.jacobian(1)[0].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    spectrum = stability.lyapunov_spectrum(trajectory, burn_in=2)
    assert spectrum.values.tolist() == [0.0, -math.inf]
    assert spectrum.collapsed.tolist() == [0, 10]
    dead = stability.gradient_profile(trajectory, cotangent=torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    assert dead.log_norm[1:].eq(-math.inf).all()
    assert stability.classify(dead, torch.float64) == ["vanished"]


@pytest.mark.parametrize(
    ("bias", "half_life"), [(0, 1.0), (1, 2.212678), (2, 5.460947), (3, 14.266000), (5, 103.218348)]
)
def test_p3_lstm_cell_decays_by_its_forget_gate(bias, half_life):
    trajectory = stability.unroll(*gated_by_bias("lstm", 100, f=bias))
    on_c = torch.zeros(2, 4, dtype=torch.float64)
    on_c[:, trajectory.parts["c"]] = 1
    profile = stability.gradient_profile(trajectory, cotangent=on_c, part="c")
    f = 1 / (1 + math.exp(-bias))
    torch.testing.assert_close(
        profile.log_norm[-1], torch.full((2,), 100 * math.log(f), dtype=torch.float64), rtol=1e-12, atol=0
    )
    torch.testing.assert_close(profile.half_life, torch.full((2,), half_life, dtype=torch.float64), rtol=1e-6, atol=0)


def test_p4_gru_keeps_by_its_update_gate():
    trajectory = stability.unroll(*gated_by_bias("gru", 10, z=2))
    norms = stability.gradient_norms(trajectory)
    kept, added = 0.2810338623, 5.792540e-10
    torch.testing.assert_close(norms[0] / norms[-1], torch.full((2,), kept, dtype=torch.float64), rtol=1e-9, atol=0)
    assert norms[0, 0] / norms[-1, 0] > 1e6 * added  # what a swapped z would give


def test_p4_the_textbook_gru_adds_by_its_update_gate():
    norms = stability.gradient_norms(stability.unroll(*gated_by_bias("gru_textbook", 10, z=2)))
    added = torch.full((2,), 5.792540e-10, dtype=torch.float64)
    torch.testing.assert_close(norms[0] / norms[-1], added, rtol=1e-6, atol=0)


def test_p2_a_relu_network_with_identity_keeps_its_gradient_to_the_bit():
    gate, params, inputs = drawn("rnn_relu", seq_len=50)
    params = {name: torch.zeros_like(value) for name, value in params.items()}
    params["weight_hh"] = torch.eye(4, dtype=torch.float64)
    trajectory = stability.unroll(gate, params, {"x": inputs["x"].abs(), "h0": inputs["h0"].abs() + 0.1})
    assert all(
        torch.equal(J, torch.eye(4, dtype=torch.float64).expand_as(J)) for J in map(trajectory.jacobian, (1, 50))
    )
    norms = stability.gradient_norms(trajectory)
    assert torch.equal(norms, norms[-1].expand_as(norms))


@pytest.mark.parametrize("name", [*RECURRENT, "rnn_relu", "gru_reset_before", "gru_textbook"])
def test_p22_golden_states_and_cut_gradients(name):
    gate, params, inputs, expected = golden(name)
    trajectory = stability.unroll(gate, params, inputs)
    close = {"rtol": 0, "atol": TOLERANCE["golden"]}
    torch.testing.assert_close(
        trajectory.states[-1, 0], torch.tensor(expected["final_state"], dtype=torch.float64), **close
    )
    norms = stability.gradient_norms(trajectory)[:, 0]
    torch.testing.assert_close(
        norms.flip(0), torch.tensor(expected["cut_gradient_norms_t5_to_t0"], dtype=torch.float64), **close
    )
    at_start = torch.tensor(expected["cut_gradient_t0"], dtype=torch.float64)
    for part, where in trajectory.parts.items():
        start = stability.gradient_norms(trajectory, part=part)[0, 0]
        torch.testing.assert_close(start, at_start[where].norm(), **close)


@pytest.mark.parametrize("name", [*RECURRENT, "gru_reset_before", "gru_textbook"])
def test_p22_golden_product_of_jacobians(name):
    gate, params, inputs, expected = golden(name)
    trajectory = stability.unroll(gate, params, inputs)
    jacobians = [trajectory.jacobian(t)[0] for t in range(1, 6)]
    log_det = sum(J.slogdet().logabsdet for J in jacobians)
    assert float(log_det) == pytest.approx(expected["log_abs_det"], abs=TOLERANCE["determinant"])
    product = torch.linalg.multi_dot(jacobians[::-1])
    values = torch.linalg.svdvals(product)
    resolved = values > torch.finfo(torch.float64).eps * values[0] / TOLERANCE["singular"]
    assert resolved.sum() >= 3
    logs = torch.tensor(expected["log_singular_values"], dtype=torch.float64)
    torch.testing.assert_close(values.log()[resolved], logs[resolved], rtol=0, atol=TOLERANCE["singular"])


def test_the_golden_fixture_is_whole():
    assert (GOLDEN["hidden_size"], GOLDEN["input_size"], GOLDEN["steps"]) == (3, 2, 5)
    assert set(RECURRENT) <= set(GOLDEN["cells"])


@pytest.mark.parametrize("name", ["linear", *RECURRENT])
def test_gradient_norms_agree_with_autograd_on_the_unrolled_network(name):
    gate, params, inputs = drawn(name, seq_len=9)
    trajectory = stability.unroll(gate, params, inputs)
    norms = stability.gradient_norms(trajectory)
    for t in (0, 4, 8):  # s_t as the independent input of steps t+1..T
        leaf = trajectory.states[t].clone().requires_grad_()
        state = leaf
        for x_t in inputs["x"][t:]:
            state = gate.step(params, x_t, state)
        (delta,) = torch.autograd.grad(state[:, trajectory.parts["h"]].sum(), leaf)
        torch.testing.assert_close(norms[t], delta.norm(dim=-1), rtol=TOLERANCE["exact"], atol=0)
        for part, where in trajectory.parts.items():
            expected = delta[:, where].norm(dim=-1)
            torch.testing.assert_close(
                stability.gradient_norms(trajectory, part=part)[t], expected, rtol=TOLERANCE["exact"], atol=0
            )


def test_forward_and_unroll_agree():
    for name in RECURRENT:
        gate, params, inputs = drawn(name)
        trajectory = stability.unroll(gate, params, inputs)
        final = gate.forward(params, inputs)
        for part, where in trajectory.parts.items():
            torch.testing.assert_close(trajectory.states[-1][:, where], final[part])


def test_retain_grad_on_c_is_another_number():
    gate, params, inputs = drawn("lstm", seq_len=6)
    trajectory = stability.unroll(gate, params, inputs)
    H, cs = 4, []
    h, c = inputs["h0"], inputs["c0"].clone().requires_grad_()
    for x_t in inputs["x"]:
        (h, c), _ = gate.cell(params, torch.nn.functional.linear(x_t, params["weight_ih"], params["bias_ih"]), (h, c))
        c.retain_grad()
        cs.append(c)
    h.sum().backward()
    cut = stability.gradient_norms(trajectory, part="c")
    wrong = torch.stack([value.grad.norm(dim=-1) for value in cs])
    assert cs[0].shape[-1] == H
    assert (cut[-1] == 0).all()  # L depends on h_T alone, and c_T is another input of steps that do not exist
    assert (wrong[-1] > 0.1).all()
    assert ((cut[1:] - wrong).abs() > 1e-3 * wrong).all()


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
    trajectory = linear(scale * torch.eye(1), steps=160, dtype=dtype)
    norms = stability.gradient_norms(trajectory).flip(0)[:, 0]
    lags = torch.arange(last_exact + 1, dtype=torch.float64)
    assert torch.equal(norms[: last_exact + 1], scale**lags)
    assert norms[last_exact + 1 :].eq(then).all()
    exact = stability.gradient_profile(linear(scale * torch.eye(1), steps=160))
    found = stability.classify(stability.gradient_profile(trajectory), dtype, reference=exact)
    assert found == ["underflow" if then == 0 else "nonfinite"]


def test_low_precision_chains_are_plain_also_beside_a_row_that_died():
    gains = torch.tensor([0.4, 0.5], dtype=torch.float64)
    trajectory = linear(torch.diag(gains), steps=60, batch=2, dtype=torch.float16)
    norms = stability.gradient_norms(trajectory, torch.eye(2)).flip(0)
    assert (norms[:, 0] > 0).sum() < 25  # row 0 is gone before row 1 is
    assert norms[24:26, 1].tolist() == [2.0**-24, 0.0]


def test_non_finite_trajectories_are_results():
    U = 2 * torch.eye(3, dtype=torch.float64)
    params, inputs = at_rest(U, 2000)
    trajectory = stability.unroll(Linear(), params, inputs | {"h0": torch.ones(1, 3, dtype=torch.float64)})
    assert not torch.isfinite(trajectory.states).all()
    assert stability.gradient_profile(trajectory).log_norm[-1].item() == pytest.approx(2000 * math.log(2))
    gate, params, inputs = drawn("lstm", hidden_size=40)  # wide enough for the Lanczos bound
    broken = stability.unroll(
        lambda p, x, s: gate.step(p, x, s) * math.inf,
        params,
        {"x": inputs["x"], "state0": torch.cat([inputs["h0"], inputs["c0"]], -1)},
    )
    profile = stability.gradient_profile(broken)
    assert not profile.log_norm.isnan().any()
    assert stability.classify(profile, torch.float64) == ["nonfinite"] * 2
    assert stability.norm_bound(broken)[-1].eq(math.inf).all()
    assert int(stability.lyapunov_spectrum(broken, k=1).nonfinite) == 16
