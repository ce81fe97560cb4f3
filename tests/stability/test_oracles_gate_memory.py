"""P3 to P6: gates whose memory is the product of their own gate values. P21: what reaches their biases."""

import math

import pytest
import torch
import torch.nn.functional as F
from stability_models import TOLERANCE, drawn, end_to_end, gated_by_bias

from gatebench import stability

CLOSE = {"rtol": TOLERANCE["exact"], "atol": 0}


# --- P3: the LSTM's forget gate by its bias

HALF_LIVES = {
    0: (0.5, 1.0),
    1: (0.7310585786, 2.212678),
    2: (0.8807970780, 5.460947),
    3: (0.9525741268, 14.266000),
    5: (0.9933071491, 103.218348),
}


@pytest.mark.parametrize("bias", HALF_LIVES)
def test_p3_an_lstms_cell_decays_by_its_forget_gate(bias):
    trajectory = stability.unroll(*gated_by_bias("lstm", 100, f=bias))
    c = trajectory.parts["c"]
    kept, half_life = HALF_LIVES[bias]
    f = 1 / (1 + math.exp(-bias))
    assert f == pytest.approx(kept, abs=5e-11)
    P = end_to_end(trajectory)[:, c, c]
    torch.testing.assert_close(P, (f**100 * torch.eye(2, dtype=torch.float64)).expand(2, 2, 2), **CLOSE)
    on_c = torch.zeros(2, 4, dtype=torch.float64)
    on_c[:, c] = 1
    profile = stability.gradient_profile(trajectory, cotangent=on_c, part="c")
    assert profile.log_norm[-1].tolist() == pytest.approx([100 * math.log(f)] * 2, rel=TOLERANCE["exact"])
    assert profile.half_life.tolist() == pytest.approx([half_life] * 2, abs=1e-6)


def test_p3_a_hundred_steps_at_forget_bias_1():
    trajectory = stability.unroll(*gated_by_bias("lstm", 100, f=1))
    assert end_to_end(trajectory)[0, 2, 2].item() == pytest.approx(2.484379e-14, rel=5e-7)


# --- P4: the GRU's update gate by its bias; a swapped z gives the other number

KEPT, ADDED = 0.2810338623, 5.792540e-10  # σ(2)^10 and (1 - σ(2))^10
UPDATE_GATES = [
    ("gru", 2, KEPT), ("gru_reset_before", 2, KEPT), ("gru_textbook", 2, ADDED),
    ("gru", -2, ADDED), ("gru_reset_before", -2, ADDED), ("gru_textbook", -2, KEPT),
]  # fmt: skip


@pytest.mark.parametrize(("name", "bias", "printed"), UPDATE_GATES)
def test_p4_a_gru_keeps_or_adds_by_its_update_gate(name, bias, printed):
    trajectory = stability.unroll(*gated_by_bias(name, 10, z=bias))
    share = 1 / (1 + math.exp(-2 if printed == KEPT else 2))
    assert share**10 == pytest.approx(printed, rel=1e-7)
    P = end_to_end(trajectory)
    torch.testing.assert_close(P, (share**10 * torch.eye(2, dtype=torch.float64)).expand(2, 2, 2), **CLOSE)
    norms = stability.gradient_norms(trajectory)
    assert (norms[0] / norms[-1]).tolist() == pytest.approx([printed] * 2, rel=1e-7)


# --- P5: gates that see the input alone


def forget_gates(trajectory):
    """Return what each step keeps, (T, B, H), from the values that the gate itself computes forward."""
    gate, params = trajectory.gate, trajectory.params
    pairs = zip(trajectory.x, trajectory.states[:-1], strict=True)
    values = [gate.activations(params, x_t, state) for x_t, state in pairs]
    kept = {
        "lstm": lambda v: v["f"],
        "qrnn": lambda v: v["f"],
        "mingru": lambda v: 1 - v["z"],
        "rg_lru": lambda v: torch.exp(-8 * v["r"] * F.softplus(params["Lambda"])),
    }[gate.name]
    return torch.stack([kept(value) for value in values])


@pytest.mark.parametrize("name", ["lstm", "qrnn", "mingru", "rg_lru"])
def test_p5_memory_is_the_product_of_recorded_gates(name):
    gate, params, inputs = drawn(name, seq_len=60, hidden_size=5)
    if name == "lstm":
        params["weight_hh"] = torch.zeros_like(params["weight_hh"])
    trajectory = stability.unroll(gate, params, inputs)
    kept = forget_gates(trajectory)
    assert kept.shape == (60, 2, 5)
    assert float(kept.std()) > 1e-3  # they differ from step to step
    memory = trajectory.parts["c" if "c" in trajectory.parts else "h"]
    torch.testing.assert_close(end_to_end(trajectory)[:, memory, memory], torch.diag_embed(kept.prod(0)), **CLOSE)


@pytest.mark.parametrize("name", ["qrnn", "mingru", "rg_lru"])
def test_p5_singular_values_and_determinant_of_a_diagonal_memory(name):
    trajectory = stability.unroll(*drawn(name, seq_len=60, hidden_size=5))
    logs = forget_gates(trajectory).log().sum(0)
    found = stability.singular_values(trajectory)
    assert bool(found.resolved.all())
    torch.testing.assert_close(found.values, logs.sort(descending=True).values, **CLOSE)
    torch.testing.assert_close(stability.log_abs_det(trajectory), logs.sum(-1), **CLOSE)


# --- P6: the spectrum of an LSTM has the path through the cell


@pytest.mark.parametrize("H", [1, 2, 5])
def test_p6_half_of_an_lstms_spectrum_is_its_forget_gate_and_half_is_nothing(H):
    gate, params, inputs = drawn("lstm", seq_len=300, hidden_size=H)
    params = {name: torch.zeros_like(value) for name, value in params.items()}
    params["bias_ih"][H : 2 * H] = math.log(9)  # σ(ln 9) = 0.9
    trajectory = stability.unroll(gate, params, inputs)
    spectrum = stability.lyapunov_spectrum(trajectory, burn_in=250)  # c, and with it h, is at rest by then
    assert spectrum.values[:H].tolist() == pytest.approx([math.log(0.9)] * H, abs=1e-10)
    assert spectrum.values[H:].tolist() == [-math.inf] * H
    assert spectrum.collapsed.tolist() == [0] * H + [100] * H
    h_only = torch.stack([trajectory.jacobian(t)[0, :H, :H] for t in range(1, 301)])
    assert stability.lyapunov_of_products(h_only).values.tolist() == [-math.inf] * H  # the wrong instrument


# --- P21: two biases, one gradient; not so behind a reset gate


def bias_gradients(gate, params, inputs):
    """Return dL/db_ih and dL/db_hh by letter, L = Σ h_T."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    biases = [leaves["bias_ih"], leaves["bias_hh"]]
    found = torch.autograd.grad(gate.forward(leaves, inputs)["h"].sum(), biases)
    return [dict(zip(gate.letters, one.chunk(len(gate.letters)), strict=True)) for one in found]


def test_p21_an_lstms_two_biases_get_the_same_gradient():
    by_input, by_state = bias_gradients(*drawn("lstm"))
    for letter in "ifgo":
        torch.testing.assert_close(by_input[letter], by_state[letter], **CLOSE)


def test_p21_a_grus_recurrent_candidate_bias_gets_its_gradient_through_the_reset_gate():
    gate, params, inputs = drawn("gru")
    by_input, by_state = bias_gradients(gate, params, inputs)
    for letter in "rz":
        torch.testing.assert_close(by_input[letter], by_state[letter], **CLOSE)
    # da_n of every step and row: the gradient of a zero that is added to the pre-activations
    added = torch.zeros(*inputs["x"].shape[:2], 3 * 4, dtype=torch.float64, requires_grad=True)
    projected, h, resets = gate.project(params, inputs["x"]) + added, inputs["h0"], []
    for one in projected:
        (h,), values = gate.cell(params, one, (h,))
        resets.append(values["r"])
    da_n = torch.autograd.grad(h.sum(), added)[0].chunk(3, dim=-1)[2]
    torch.testing.assert_close(by_input["n"], da_n.sum((0, 1)), **CLOSE)
    torch.testing.assert_close(by_state["n"], (torch.stack(resets) * da_n).sum((0, 1)), **CLOSE)
    assert not torch.allclose(by_state["n"], by_input["n"], rtol=1e-2)
